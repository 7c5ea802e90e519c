"""User identity as pynetdicom offers it, and what is left of it in the log."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from mwl.net.client import Peer, User
from mwl.wire.negotiation import VERIFICATION
from support.dcmtk import echoscu
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, configuration, fill

pytestmark = pytest.mark.interop

PASSCODE, WRONG_PASSCODE = "Tulpe-und-Nelke", "Nelke-und-Tulpe"


def server_with(tmp_path: Path, mode: str, *arguments: str) -> Iterator[RunningServer]:
    file = configuration(
        tmp_path / "mwl.json",
        fill(tmp_path / "items", FIVE_ITEMS),
        DicomUserIdentity=mode,
        DicomAlwaysAllowFindWorklist=True,
        RegisteredUsers={"ct1": PASSCODE},
    )
    with running_server("--config", file, *arguments) as server:
        yield server


@pytest.fixture
def required(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "required", "--trace")


@pytest.fixture
def offered(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "offered", "--trace")


@pytest.fixture
def ignored(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "ignored", "--trace")


ATTEMPTS = 5
"""Now and then pynetdicom's state machine takes a rejection (Sta5, AE-4) and its user is told of an
abort: the thread that reads has ended before the other has looked."""


def associate(
    server: RunningServer, kind: int, name: str = "ct1", passcode: str = "", *, asks: bool = True
) -> Association:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = kind
    identity.primary_field = name.encode()
    if kind == 2:
        identity.secondary_field = passcode.encode()
    identity.positive_response_requested = asks
    ae = AE(ae_title="CT1")
    ae.add_requested_context(VERIFICATION)
    association = ae.associate(server.host, server.port, ext_neg=[identity])
    for _ in range(ATTEMPTS):
        if association.is_aborted:
            association = ae.associate(server.host, server.port, ext_neg=[identity])
    return association


def is_confirmed(association: Association) -> bool:
    return association.acceptor.user_identity is not None


def is_rejected_for_identity(association: Association) -> bool:
    answer = association.acceptor.primitive
    assert association.is_rejected, f"aborted: {association.is_aborted}, answer: {answer}"
    assert answer is not None
    return (answer.result, answer.result_source, answer.diagnostic) == (1, 2, 1)


def test_a_device_with_the_right_passcode_gets_in_and_is_confirmed(
    required: RunningServer,
) -> None:
    association = associate(required, 2, passcode=PASSCODE)
    assert association.is_established
    assert is_confirmed(association)
    status = association.send_c_echo()
    assert status.Status == 0
    association.release()
    silent = associate(required, 2, passcode=PASSCODE, asks=False)
    assert silent.is_established
    assert not is_confirmed(silent)
    silent.release()
    line = required.log.wait_for("user_identified")
    assert (line.fields["user"], line.fields["calling_ae_title"]) == ("ct1", "CT1")
    assert PASSCODE not in required.stop()


@pytest.mark.parametrize(("name", "passcode"), [("ct1", WRONG_PASSCODE), ("ct2", PASSCODE)])
def test_a_device_with_a_wrong_passcode_is_rejected_and_the_log_does_not_have_it(
    required: RunningServer, name: str, passcode: str
) -> None:
    assert is_rejected_for_identity(associate(required, 2, name, passcode))
    line = required.log.wait_for("user_refused")
    assert line.fields["user"] == name
    assert line.fields["host"] == "127.0.0.1"
    assert "RegisteredUsers has no such user" in line.text
    ended = required.log.wait_for("association")
    assert ended.fields["outcome"].startswith("rejected: RegisteredUsers")
    log = required.stop()
    assert PASSCODE not in log
    assert WRONG_PASSCODE not in log


@pytest.mark.parametrize("kind", [1, 3, 4, 5])
def test_what_cannot_be_checked_is_no_identity_where_one_is_required(
    required: RunningServer, kind: int
) -> None:
    assert is_rejected_for_identity(associate(required, kind))
    assert echoscu(required.host, required.port).returncode != 0
    assert "cannot be checked" in required.stop() or kind == 1


@pytest.mark.parametrize("kind", [3, 4, 5])
def test_what_cannot_be_checked_is_let_in_unconfirmed_where_none_is_required(
    offered: RunningServer, kind: int
) -> None:
    association = associate(offered, kind)
    assert association.is_established
    assert not is_confirmed(association)
    association.release()
    assert echoscu(offered.host, offered.port).returncode == 0
    assert offered.log.events("user_identified") == []


def test_where_none_is_required_one_that_is_offered_must_be_right(offered: RunningServer) -> None:
    assert is_rejected_for_identity(associate(offered, 2, passcode=WRONG_PASSCODE))
    assert is_rejected_for_identity(associate(offered, 1, "somebody"))
    for kind in (1, 2):
        association = associate(offered, kind, passcode=PASSCODE)
        assert association.is_established
        assert is_confirmed(association)
        association.release()


def test_a_configuration_of_orthanc_with_users_locks_no_device_out(ignored: RunningServer) -> None:
    association = associate(ignored, 2, passcode=WRONG_PASSCODE)
    assert association.is_established
    association.release()
    assert echoscu(ignored.host, ignored.port).returncode == 0
    assert WRONG_PASSCODE not in ignored.stop()


# ------------------------------------------------------------------------------- ours as a client


@pytest.fixture
def passcode_file(tmp_path: Path) -> Path:
    return written(tmp_path / "passcode", PASSCODE.encode() + b"\n")


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("command", [["echo"], ["find", "--json", "-k", "PatientID"]])
def test_who_logs_in_gets_in_and_who_does_not_is_told(
    required: RunningServer, command: list[str], passcode_file: Path, tmp_path: Path
) -> None:
    server, login = (required.host, required.port), ("--user", "ct1", "--passcode-file")
    done = run_mwl(*command, *login, passcode_file, *server)
    assert (done.returncode, done.stderr) == (0, "")
    assert required.log.wait_for("user_identified").fields["user"] == "ct1"
    wrong = run_mwl(*command, *login, written(tmp_path / "wrong", WRONG_PASSCODE.encode()), *server)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == (
        "mwl: association rejected permanently: no reason given: "
        "it may not accept user ct1 with this passcode\n"
    )
    nobody = run_mwl(*command, *server)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "it may want a user identity" in nobody.stderr


def test_the_passcode_may_be_in_the_environment(
    required: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MWL_PASSCODE", PASSCODE)
    echo = ("echo", required.host, required.port)
    assert run_mwl(*echo, "--user", "ct1").returncode == 0
    assert run_mwl(*echo).returncode == 1  # without a user it is for somebody else
    file = written(tmp_path / "wrong", WRONG_PASSCODE.encode())
    assert run_mwl(*echo, "--user", "ct1", "--passcode-file", file).returncode == 1


def test_on_a_terminal_the_passcode_is_asked_for_and_not_shown(required: RunningServer) -> None:
    status, shown = on_a_terminal(
        "echo", "--user", "ct1", required.host, str(required.port), typed=f"{PASSCODE}\n"
    )
    assert status == 0
    assert "Passcode: " in shown
    assert "answers" in shown
    assert PASSCODE not in shown
    status, shown = on_a_terminal(
        "echo", "--user", "ct1", required.host, str(required.port), typed="\n"
    )
    assert status == 2
    assert "the passcode: nothing was typed" in shown


def on_a_terminal(*arguments: str, typed: str) -> tuple[int, str]:
    """Run a command of mwl on a terminal, type something when it asks; give status and screen."""
    environment = {name: value for name, value in os.environ.items() if name != "MWL_PASSCODE"}
    process, control = pty.fork()
    if not process:
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", "mwl", *arguments], environment
        )
    shown = b""
    try:
        while b"Passcode: " not in shown:
            shown += os.read(control, 1024)
        os.write(control, typed.encode())
        with suppress(OSError):  # at its end: EIO on Linux
            while part := os.read(control, 1024):
                shown += part
    finally:
        os.close(control)
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


@contextmanager
def pynetdicom_that_asks(offers: list[tuple[object, ...]]) -> Iterator[int]:
    """Run a server of pynetdicom that lets one user in and notes what it is offered."""

    def identify(event: Any) -> tuple[bool, None]:
        asked = event.assoc.requestor.user_identity.positive_response_requested
        offers.append((event.user_id_type, asked, event.primary_field, event.secondary_field))
        return event.secondary_field == PASSCODE.encode(), None

    ae = AE(ae_title="THEM")
    ae.add_supported_context(VERIFICATION)
    handlers: Any = [(evt.EVT_C_ECHO, lambda _: 0x0000), (evt.EVT_USER_ID, identify)]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def test_pynetdicom_gets_the_identity_as_the_standard_has_it(
    passcode_file: Path, tmp_path: Path
) -> None:
    offers: list[tuple[object, ...]] = []
    with pynetdicom_that_asks(offers) as port:
        login = ("--user", "grün", "--passcode-file")
        done = run_mwl("echo", "127.0.0.1", port, *login, passcode_file)
        file = written(tmp_path / "wrong", b"wrong\r\n")
        wrong = run_mwl("echo", "127.0.0.1", port, *login, file)
    # PS3.7 Table D.3-14; pynetdicom confirms no passcode.
    assert offers == [
        (2, True, "grün".encode(), PASSCODE.encode()),
        (2, True, "grün".encode(), b"wrong"),
    ]
    assert done.returncode == 0
    assert done.stderr == (
        "mwl: the server does not confirm user grün: it may not look at user identities\n"
    )
    assert wrong.returncode == 1
    assert "rejected for now: no reason given: it may not accept user grün" in wrong.stderr


def test_a_peer_is_shown_without_the_passcode() -> None:
    peer = Peer("127.0.0.1", 104, "THEM", "ME", user=User(b"ct1", PASSCODE.encode()))
    assert "ct1" in repr(peer)
    assert PASSCODE not in repr(peer)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--user", "ct1"], "error: --user: no passcode (--passcode-file FILE, or MWL_PASSCODE)"),
        (["--user", ""], "error: --user: is empty"),
        (["--user", "x" * 1025, "--passcode-file", "passcode"], "--user: 1025 bytes, at most 1024"),
        (["--passcode-file", "passcode"], "error: --passcode-file: a passcode is of no use"),
        (["--user", "a", "--passcode-file", "no"], "no: --passcode-file: No such file or"),
        (["--user", "a", "--passcode-file", "empty"], "--passcode-file: holds no passcode"),
        (
            ["--user", "a", "--passcode-file", "/dev/zero"],
            "error: the passcode: 1027 bytes, at most 1024 are taken",
        ),
    ],
)
@pytest.mark.parametrize("command", ["echo", "find"])
def test_what_cannot_be_used_ends_with_2(
    command: str,
    arguments: list[str],
    told: str,
    passcode_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MWL_PASSCODE", raising=False)
    written(tmp_path / "empty", b"\n")
    done = run_mwl(command, *arguments, "127.0.0.1", 104)
    assert done.returncode == 2
    assert told in done.stderr
    assert PASSCODE not in done.stdout + done.stderr
