"""Where lines of the log go, whatever happens to the file meanwhile."""

import errno
import os
from pathlib import Path

import pytest

from mwl import log_sink, telemetry
from mwl.log_sink import LogFile
from support.folder import open_descriptors


class Sunk:
    """A log file, and lines for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = LogFile(path)

    def write(self, *lines: str) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        assert self.file.write(data) == len(data)


@pytest.fixture
def sunk(tmp_path: Path) -> Sunk:
    return Sunk(tmp_path / "mwl.log")


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mwl.log").write_text("old\n")
    Sunk(tmp_path / "mwl.log").write("new")
    assert (tmp_path / "mwl.log").read_text() == "old\nnew\n"


def test_the_file_is_for_its_owner_and_a_group(sunk: Sunk) -> None:
    assert sunk.path.stat().st_mode & 0o7 == 0


def test_a_file_that_was_renamed_is_made_anew(sunk: Sunk, tmp_path: Path) -> None:
    sunk.write("one")
    sunk.path.rename(tmp_path / "mwl.log.1")
    sunk.write("two")
    assert (tmp_path / "mwl.log.1").read_text() == "one\n"
    assert sunk.path.read_text() == "two\n"


def test_a_file_that_another_took_the_place_of_is_left(sunk: Sunk, tmp_path: Path) -> None:
    sunk.write("one")
    sunk.path.rename(tmp_path / "mwl.log.1")
    sunk.path.touch()
    sunk.write("two")
    assert sunk.path.read_text() == "two\n"


def fill_up(output: log_sink.Output) -> None:
    for _ in range(1000):
        output.write(b"x" * 5000)


def test_who_reads_a_pipe_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sink, "READER_S", 0.05)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as _, os.fdopen(writer, "w") as stream:
        output = log_sink.output_under(stream)
        assert output is not None
        with pytest.raises(BlockingIOError, match="nobody reads it"):
            fill_up(output)
        with pytest.raises(BlockingIOError):
            output.write(b"x")
        held = os.read(reader, 1 << 20)
        assert output.write(b"y") == 1
        assert os.read(reader, 1 << 20) == b"y"
        assert set(held) == {ord("x")}


def test_a_pipe_that_nobody_reads_is_not_waited_for(sunk: Sunk, tmp_path: Path) -> None:
    sunk.write("one")
    sunk.path.rename(tmp_path / "mwl.log.1")
    os.mkfifo(sunk.path)
    sunk.write("two")
    assert (tmp_path / "mwl.log.1").read_text() == "one\ntwo\n"
    assert os.get_blocking(sunk.file._descriptor)


def test_a_file_that_was_removed_is_made_anew(sunk: Sunk) -> None:
    sunk.write("one")
    sunk.path.unlink()
    sunk.write("two")
    assert sunk.path.read_text() == "two\n"


def test_a_file_that_was_truncated_goes_on_from_its_beginning(sunk: Sunk) -> None:
    sunk.write("one")
    os.truncate(sunk.path, 0)
    sunk.write("two")
    assert sunk.path.read_text() == "two\n"


def test_lines_go_on_where_they_went_until_the_file_can_be_made_anew(tmp_path: Path) -> None:
    folder, moved = tmp_path / "log", tmp_path / "moved"
    folder.mkdir()
    sunk = Sunk(folder / "mwl.log")
    sunk.write("one")
    folder.rename(moved)
    sunk.write("two")
    assert (moved / "mwl.log").read_text() == "one\ntwo\n"
    folder.mkdir()
    sunk.write("three")
    assert sunk.path.read_text() == "three\n"


def test_rotated_files_are_not_held_open(sunk: Sunk, tmp_path: Path) -> None:
    before = open_descriptors()
    for number in range(10):
        sunk.write("one")
        sunk.path.rename(tmp_path / f"mwl.log.{number}")
    sunk.write("one")
    assert open_descriptors() == before


def test_the_log_tells_how_many_lines_it_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "mwl.log")
    telemetry.configure("default", "text", file)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(LogFile, "write", _full)
            telemetry.emit("stopping")
        telemetry.emit("stopped")
    finally:
        telemetry.configure()
    first, second = (tmp_path / "mwl.log").read_text().splitlines()
    assert "log_interrupted lines=1" in first
    assert " stopped" in second


def _full(_: LogFile, data: bytes) -> int:
    del data
    raise OSError(errno.ENOSPC, "No space left on device")
