import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from mwl.doctor import audit
from support.users import as_root, nobody


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_is_judged_by_who_may_write_and_read_it(folder: Path) -> None:
    path = folder / "audit.log"
    assert audit.file(path, "me").found == "will be made"
    path.touch(0o640)
    assert audit.file(path, "me").level == "ok"
    path.chmod(0o644)
    assert audit.file(path, "me").mend == f"sudo chmod o= {path}"
    assert audit.file(folder / "gone" / "audit.log", "me").level == "FAIL"
    assert audit.file(folder, "me").level == "FAIL"


@as_root
def test_a_file_that_the_user_may_not_write_fails(folder: Path) -> None:
    path = folder / "audit.log"
    with nobody():
        assert audit.file(path, "nobody").found == "cannot be made by nobody"
    path.touch(0o640)
    with nobody():
        assert audit.file(path, "nobody").mend == f"sudo chown nobody {path}"


def spool(path: Path, limit_mib: int = 100) -> list[str]:
    return [f"{one.level} {one.found}" for one in audit.spool(path, limit_mib, "me")]


def test_the_spool_is_judged_by_who_may_enter_it_and_how_full_it_is(folder: Path) -> None:
    path = folder / "spool"
    assert spool(path) == ["ok will be made"]
    path.mkdir(0o700)
    (path / "1.spool").write_bytes(bytes(1024 * 1024))
    assert spool(path) == ["ok 1.0 of 100 MiB are in use"]
    assert spool(path, 1)[0].startswith("warn 1 of 1 MiB are in use")
    path.chmod(0o750)
    assert spool(path)[0].startswith("warn names patients")
    assert spool(path / "1.spool")[0].startswith("FAIL cannot be used")


@as_root
def test_a_spool_that_the_user_may_not_write_fails(folder: Path) -> None:
    path = folder / "spool"
    with nobody():
        assert spool(path)[0].startswith("FAIL cannot be made")
    path.mkdir(0o700)
    with nobody():
        assert spool(path)[0].startswith("FAIL cannot be used")


async def test_a_receiver_over_udp_needs_a_name_that_can_be_resolved() -> None:
    assert (await audit.receiver("127.0.0.1", 514, None)).level == "ok"
    assert (await audit.receiver("no-such-host.invalid", 514, None)).level == "FAIL"


@asynccontextmanager
async def receiving(authority: trustme.CA) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def client(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def test_a_receiver_over_tls_is_asked_for_a_handshake() -> None:
    authority = trustme.CA()
    async with receiving(authority) as port:
        assert (await audit.receiver("127.0.0.1", port, client(authority))).level == "ok"
        found = await audit.receiver("127.0.0.1", port, client(trustme.CA()))
    assert (found.level, found.found.startswith("no TLS: ")) == ("FAIL", True)


async def test_a_receiver_that_is_gone_fails() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = await audit.receiver("127.0.0.1", probe.getsockname()[1], client(trustme.CA()))
    assert (found.level, "Connection refused" in found.found) == ("FAIL", True)
