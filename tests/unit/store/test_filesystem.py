"""What the operating system tells about one file."""

import errno
import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from mwl.store import filesystem
from mwl.store.filesystem import look, read_whole

LIMIT = 1000


def trust(*_: object) -> bool:
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.wl"
    path.write_bytes(b"content")
    return path


def test_a_file_that_nobody_writes_is_read_with_proof(path: Path) -> None:
    reading = read_whole(str(path), LIMIT, trust)
    assert reading.data == b"content"
    assert reading.is_proven
    assert not reading.is_linked
    assert reading.signature == filesystem.signature_at(str(path))


def test_a_file_that_is_open_for_writing_is_not_read(path: Path) -> None:
    with path.open("ab"), pytest.raises(BlockingIOError):
        read_whole(str(path), LIMIT, trust)


def test_the_lease_is_given_back(path: Path) -> None:
    read_whole(str(path), LIMIT, trust)
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.close(descriptor)


def test_a_writer_that_comes_during_reading_waits_and_ends_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The default of SIGIO would end this process: see signal(7).
    assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL
    read = filesystem._read_bytes
    writer = threading.Thread(target=lambda: path.write_bytes(b"other"))

    def interrupted(descriptor: int, size: int) -> bytes:
        writer.start()
        while fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            os.sched_yield()  # until the writer has asked for the file
        return read(descriptor, size)

    monkeypatch.setattr(filesystem, "_read_bytes", interrupted)
    assert read_whole(str(path), LIMIT, trust).data == b"content"
    writer.join()
    assert path.read_bytes() == b"other"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL, errno.ENOTSUP])
def test_where_no_lease_can_be_had_the_file_is_read_without_proof(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    reading = read_whole(str(path), LIMIT, trust)
    assert reading.data == b"content"
    assert not reading.is_proven


def test_no_lease_is_asked_of_a_device_that_is_not_trusted(path: Path) -> None:
    asked: list[tuple[int, str]] = []

    def distrust(device: int, name: str) -> bool:
        asked.append((device, name))
        return False

    with path.open("ab"):
        reading = read_whole(str(path), LIMIT, distrust)
    assert reading.data == b"content"
    assert not reading.is_proven
    assert asked == [(path.stat().st_dev, str(path))]


def test_a_file_system_that_reads_in_pieces_gives_the_whole_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(3, size)))
    assert read_whole(str(path), LIMIT, trust).data == b"content"


def test_an_empty_file_is_read(path: Path) -> None:
    path.write_bytes(b"")
    assert read_whole(str(path), LIMIT, trust).data == b""


def test_a_link_is_told_from_a_file_with_one_name(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.wl"
    link.symlink_to(path)
    assert read_whole(str(link), LIMIT, trust).is_linked
    assert look(str(link)) == (filesystem.signature_at(str(path)), True)
    assert look(str(path)) == (filesystem.signature_at(str(path)), False)
    path.unlink()
    assert look(str(link)) == (None, True)
    assert look(str(path)) == (None, False)


def test_no_descriptor_stays_open_after_a_failure(path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with path.open("ab"):
        for _ in range(10):
            with pytest.raises(BlockingIOError):
                read_whole(str(path), LIMIT, trust)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_only_a_regular_file_with_one_name_is_sole(tmp_path: Path) -> None:
    path, link, second = tmp_path / "a", tmp_path / "link", tmp_path / "second"
    path.touch()
    link.symlink_to(path)
    assert filesystem.sole_status_at(str(path)) == path.stat()
    assert filesystem.sole_status_at(str(link)) is None
    assert filesystem.sole_status_at(str(tmp_path)) is None
    assert filesystem.sole_status_at(str(tmp_path / "absent")) is None
    second.hardlink_to(path)
    assert filesystem.sole_status_at(str(path)) is None
