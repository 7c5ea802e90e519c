import errno
import os
import socket
from pathlib import Path

import pytest

from mwl.doctor import ports
from mwl.doctor.ports import Answer, Look, Place
from mwl.net.client import Peer
from support.dcmtk import running_wlmscpfs
from support.server import running_server
from support.users import as_root, nobody


def dicom(port: int, host: str = "127.0.0.1") -> Place:
    return Place("DICOM", "DicomPort", host, port)


def test_a_free_port_is_free() -> None:
    assert ports.problem_of(dicom(0)) is None
    assert ports.problem_of(dicom(0, "")) is None
    assert ports.port(Look(dicom(0), None)).level == "ok"


def test_nothing_listens_after_the_look() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
    assert ports.problem_of(dicom(number)) is None
    assert ports.listener(number) is None


def test_a_taken_port_names_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = dicom(other.getsockname()[1])
        problem = ports.problem_of(place)
        assert problem is not None
        assert problem.errno == errno.EADDRINUSE
        process = ports.listener(place.port)
        assert process == os.getpid()
        found = ports.port(Look(place, problem, process))
    assert found.level == "FAIL"
    assert f"process {process}, " in found.found
    assert f"sudo ss -ltnp 'sport = :{place.port}'" in found.mend


async def test_another_dicom_server_is_told_from_ours(tmp_path: Path) -> None:
    (tmp_path / "MWL").mkdir()
    with running_wlmscpfs(tmp_path) as port:
        answer = await ports.dicom_answer(Peer("127.0.0.1", port, "MWL", "MWL", 5))
    assert answer.is_ours is False
    assert answer.found.startswith("a server answers there as AE title MWL (OFFIS_DCMTK")
    found = ports.port(Look(dicom(port), OSError(errno.EADDRINUSE, "taken"), None, answer))
    assert found.level == "FAIL"


async def test_a_running_server_is_ours(tmp_path: Path) -> None:
    with running_server(tmp_path, "--http-port", "0") as server:
        place = dicom(server.port)
        problem = ports.problem_of(place)
        process = ports.listener(server.port)
        answer = await ports.dicom_answer(Peer("127.0.0.1", server.port, "MWL", "MWL", 5))
        http_port = int(server.log.wait_for("http_listening").fields["port"])
        http = await ports.http_answer(Place("HTTP", "HttpPort", "127.0.0.1", http_port), tls=False)
        assert process == server.process.pid
        assert ports.serves(process)
    assert answer == Answer(True, "a server answers there as AE title MWL (MWL_0_1)")
    assert http == Answer(True, "an HTTP server answers there with status 200")
    assert ports.port(Look(place, problem, process, answer)).level == "ok"


async def test_what_speaks_something_else_is_not_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = await ports.dicom_answer(Peer("127.0.0.1", port, "MWL", "MWL", 0.2))
    assert answer == Answer(False, "no answer within 0.2 s")


def test_http_that_wants_a_password_is_whose_the_other_ports_are() -> None:
    place = Place("HTTP", "HttpPort", "127.0.0.1", 8042)
    look = Look(place, OSError(errno.EADDRINUSE, "taken"), None, Answer(None, "a password"))
    assert ports.port(look, is_ours=True).level == "ok"
    assert ports.port(look, is_ours=False).level == "FAIL"


def test_a_port_that_needs_a_privilege_is_warned_of() -> None:
    found = ports.port(Look(dicom(104), PermissionError(errno.EACCES, "denied")))
    assert (found.level, "CAP_NET_BIND_SERVICE" in found.mend) == ("warn", True)
    allowed = Look(dicom(104), PermissionError(errno.EACCES, "denied"))
    assert ports.port(allowed, may_bind=True).level == "ok"


@as_root
def test_a_port_that_needs_a_privilege_and_is_taken_is_told_as_taken() -> None:
    for number in range(1000, 1024):
        try:
            other = socket.create_server(("127.0.0.1", number))
        except OSError:
            continue
        with other, nobody():
            problem = ports.problem_of(dicom(number))
        assert problem is not None
        assert problem.errno == errno.EADDRINUSE
        return
    pytest.skip("every port below 1024 is taken")


def test_an_address_that_is_not_here_fails() -> None:
    problem = ports.problem_of(dicom(0, "192.0.2.1"))
    assert problem is not None
    assert ports.port(Look(dicom(0, "192.0.2.1"), problem)).level == "FAIL"


def levels(*, is_remote: bool, password: bool, tls: bool, lua: bool = False) -> list[str]:
    found = ports.remote(is_remote=is_remote, password=password, tls=tls, lua=lua)
    return [finding.level for finding in found]


@pytest.mark.parametrize("password", [True, False])
@pytest.mark.parametrize("tls", [True, False])
def test_remote_http_is_safe_with_password_and_encryption(password: bool, tls: bool) -> None:
    assert levels(is_remote=False, password=password, tls=tls) == ["ok"]
    safe = password and tls
    assert levels(is_remote=True, password=password, tls=tls) == ["ok" if safe else "warn"]


def test_lua_of_other_machines_is_warned_of() -> None:
    assert levels(is_remote=True, password=True, tls=True, lua=True) == ["ok", "warn"]
    assert levels(is_remote=False, password=True, tls=True, lua=True) == ["ok"]
