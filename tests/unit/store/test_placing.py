"""Files are put into a folder whole, or not at all."""

import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from mwl.store.placing import place, placing


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_there_with_its_content_and_nothing_else_is(tmp_path: Path) -> None:
    place(tmp_path / "a.wl", b"content")
    assert (tmp_path / "a.wl").read_bytes() == b"content"
    assert names(tmp_path) == ["a.wl"]


def test_a_file_that_is_there_is_left_alone_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wl"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        place(path, b"new")
    assert path.read_bytes() == b"old"
    place(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.wl"]


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
    def fail(*_: object) -> None:
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
