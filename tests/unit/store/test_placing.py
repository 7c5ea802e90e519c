"""Files are put into a folder whole, or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mwl.store.filesystem import read_whole
from mwl.store.placing import place, placing


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _no_nameless_files(patch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return opened(path, flags, mode)

    patch.setattr(os, "open", refuse)


def _no_proc(patch: pytest.MonkeyPatch) -> None:
    link = os.link

    def refuse(source: str | Path, path: Path, **rest: Any) -> None:
        if str(source).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        link(source, path, **rest)

    patch.setattr(os, "link", refuse)


def _no_such_flag(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(os, "O_TMPFILE")


SYSTEMS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "as it is": lambda _: None,
    "a folder without nameless files": _no_nameless_files,
    "a system without /proc": _no_proc,
    "a system without nameless files": _no_such_flag,
}


@pytest.fixture(params=list(SYSTEMS))
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on systems that differ in what a file can be before it has its name."""
    SYSTEMS[request.param](monkeypatch)


@pytest.mark.usefixtures("system")
def test_a_file_is_there_with_its_content_and_nothing_else_is(tmp_path: Path) -> None:
    place(tmp_path / "a.wl", b"content")
    assert (tmp_path / "a.wl").read_bytes() == b"content"
    assert names(tmp_path) == ["a.wl"]


@pytest.mark.usefixtures("system")
def test_a_file_that_is_there_is_left_alone_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wl"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        place(path, b"new")
    assert path.read_bytes() == b"old"
    place(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.wl"]


@pytest.mark.usefixtures("system")
def test_a_new_file_can_be_read_by_others_and_a_replaced_one_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.wl"
    umask = os.umask(0o022)
    try:
        place(path, b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        path.chmod(0o600)
        place(path, b"2", replace=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(umask)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        place(tmp_path / "a.wl", b"content", replace=replace)
    assert names(tmp_path) == []


def test_where_there_are_no_hard_links_a_file_is_left_alone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    path = tmp_path / "a.wl"
    place(path, b"old")
    with pytest.raises(FileExistsError):
        place(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.wl"]


def test_many_files_are_placed_as_one_is(tmp_path: Path) -> None:
    with placing() as place_one:
        for name in ("a.wl", "b.wl"):
            place_one(tmp_path / name, b"content")
        with pytest.raises(FileExistsError):
            place_one(tmp_path / "a.wl", b"new")
        place_one(tmp_path / "b.wl", b"new", replace=True)
    assert (tmp_path / "a.wl").read_bytes() == b"content"
    assert (tmp_path / "b.wl").read_bytes() == b"new"
    assert sorted(names(tmp_path)) == ["a.wl", "b.wl"]


@pytest.mark.parametrize("fails", [False, True])
def test_each_content_is_on_the_disk_before_its_name_and_the_names_are_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(handle: int) -> None:
        fsync(handle)
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append("folder" if is_folder else f"content, {len(list(tmp_path.glob('*.wl')))}")

    monkeypatch.setattr(os, "fsync", record)
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext(), placing() as place_one:
        place_one(tmp_path / "a.wl", b"1")
        place_one(tmp_path / "b.wl", b"2")
        if fails:
            raise KeyboardInterrupt
    assert synced == ["content, 0", "content, 1", "folder"]


def has_nameless_files(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except (AttributeError, OSError):
        return False
    return True


KILLED = """
import os, signal, sys
from pathlib import Path
from mwl.store.placing import place
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
place(Path(sys.argv[1]), b"a patient's name", replace=sys.argv[2] == "True")
"""


@pytest.mark.parametrize("replace", [False, True])
def test_nothing_is_left_of_a_file_whose_writer_is_killed(tmp_path: Path, replace: bool) -> None:
    if not has_nameless_files(tmp_path):
        pytest.skip("this file system has no files without a name")
    path = tmp_path / "a.wl"
    if replace:
        path.write_bytes(b"old")
    command = [sys.executable, "-c", KILLED, str(path), str(replace)]
    done = subprocess.run(command, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert names(tmp_path) == (["a.wl"] if replace else [])
    assert not replace or path.read_bytes() == b"old"


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("replace", [False, True])
def test_nothing_is_left_when_the_name_cannot_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.wl"
    if replace:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace" if replace else "link", interrupt)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        place(path, b"new", replace=replace)
    assert names(tmp_path) == (["a.wl"] if replace else [])
    assert not replace or path.read_bytes() == b"old"


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_cannot_be_read_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    opened = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        nameless = getattr(os, "O_TMPFILE", 0)
        if Path(path) == tmp_path and (not nameless or flags & nameless != nameless):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match="its folder may not be read"):
        place(tmp_path / "a.wl", b"content", replace=replace)
    with pytest.raises(PermissionError), placing() as place_one:
        place_one(tmp_path / "a.wl", b"content", replace=replace)
    assert names(tmp_path) == []


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("replace", [False, True])
def test_when_a_file_gets_a_name_nobody_is_writing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    link, seen = os.link, []

    def read_at_once(source: str | Path, path: Path, **rest: Any) -> None:
        link(source, path, **rest)
        seen.append(read_whole(str(path), 1000, lambda *_: True).data)

    if replace:
        (tmp_path / "a.wl").write_bytes(b"old")
    monkeypatch.setattr(os, "link", read_at_once)
    place(tmp_path / "a.wl", b"content", replace=replace)
    assert set(seen) <= {b"content"}
    assert (tmp_path / "a.wl").read_bytes() == b"content"


def failing_folders(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let names never get to the disk."""
    fsync = os.fsync

    def fail(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    patch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_does_not_sync_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing_folders(monkeypatch, number)
    place(tmp_path / "a.wl", b"content")
    assert (tmp_path / "a.wl").read_bytes() == b"content"


def test_a_name_that_could_not_be_brought_to_the_disk_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="it is there, and a power cut may take it away"):
        place(tmp_path / "a.wl", b"content")
    assert (tmp_path / "a.wl").read_bytes() == b"content"


def test_no_folder_stays_open(tmp_path: Path) -> None:
    place(tmp_path / "a.wl", b"content")
    before = len(list(Path("/dev/fd").iterdir()))
    place(tmp_path / "b.wl", b"content")
    with pytest.raises(FileExistsError):
        place(tmp_path / "a.wl", b"content")
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("replace", [False, True])
def test_a_link_that_leads_to_itself_is_an_error_of_the_system(
    tmp_path: Path, replace: bool
) -> None:
    link = tmp_path / "loop.wl"
    link.symlink_to(link.name)
    with pytest.raises(OSError, match="symbolic links" if replace else "exists"):
        place(link, b"content", replace=replace)
    assert names(tmp_path) == ["loop.wl"]


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        place(tmp_path / "missing" / "a.wl", b"")


def test_what_is_no_regular_file_does_not_make_way(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wl"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        with pytest.raises(OSError, match="no regular file"):
            place(path, b"content", replace=True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe.wl"]


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "a.wl", tmp_path / "link.wl"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link.symlink_to(real)
    place(link, b"new", replace=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
