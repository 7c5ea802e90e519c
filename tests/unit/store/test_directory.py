"""The folder as a store: its files, in both ways of finding changes."""

import errno
import fcntl
import mmap
import os
import socket
from pathlib import Path

import pytest

from mwl.errors import StoreError
from mwl.item import WorklistItem
from mwl.store import directory, filesystem, mounts
from mwl.store.directory import DirectoryStore
from mwl.store.known import COARSE_GRANULARITY_NS
from mwl.store.placing import place
from mwl.store.unfinished import SETTLE_NS
from support.folder import Events, Served, content, named, parse, unprivileged

OLD, NEW = content("old"), content("new")


# What is in the folder


def test_files_that_are_there_at_the_start_are_served(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}


def test_a_file_written_renamed_in_deleted_or_renamed_out_shows_at_once(
    folder: Path, outside: Path, served: Served
) -> None:
    assert served.look() == {}
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    (outside / "b").write_bytes(NEW)
    (outside / "b").rename(folder / "b.wl")
    assert served.look() == {"a.wl": OLD, "b.wl": NEW}
    (folder / "b.wl").replace(folder / "a.wl")
    assert served.look() == {"a.wl": NEW}
    (folder / "a.wl").rename(folder / "c.wl")
    assert served.look() == {"c.wl": NEW}
    (folder / "c.wl").rename(outside / "c.wl")
    assert served.look() == {}
    (folder / "d.wl").write_bytes(OLD)
    assert served.look() == {"d.wl": OLD}
    (folder / "d.wl").unlink()
    assert served.look() == {}


def test_every_rewrite_of_the_same_length_shows_however_fast_they_come(
    folder: Path, served: Served
) -> None:
    for number in range(100, 200):
        (folder / "a.wl").write_bytes(content(str(number)))
        assert served.look() == {"a.wl": content(str(number))}


def test_a_rewrite_that_keeps_the_time_stamp_shows(folder: Path, served: Served) -> None:
    path = folder / "a.wl"
    path.write_bytes(OLD)
    os.utime(path, ns=(1, 1))
    served.look()
    path.write_bytes(NEW)
    os.utime(path, ns=(1, 1))
    assert served.look() == {"a.wl": NEW}


def test_a_file_that_is_cut_without_being_opened_shows(folder: Path, served: Served) -> None:
    path = folder / "a.wl"
    path.write_bytes(content("old") + content("new"))
    served.look()
    os.truncate(path, len(content("old")))
    assert served.look() == {"a.wl": content("old")}
    os.truncate(path, 2)
    assert served.look() == {}


def test_a_file_that_is_cut_through_its_second_name_shows_under_both(
    folder: Path, served: Served
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    os.link(folder / "a.wl", folder / "b.wl")
    served.look()
    os.truncate(folder / "b.wl", 2)
    assert served.look() == {}


def test_only_worklist_names_count_in_any_letter_case_and_hidden_ones_too(
    folder: Path, served: Served
) -> None:
    names = {"a.wl", "B.WL", "c.Wl", ".hidden.wl", ".wl", "with space.wl", "\udcff.wl"}
    for name in names | {"lockfile", "a.wl.part", "awl", "wl", "a.wlx"}:
        (folder / name).write_bytes(OLD)
    (folder / "below").mkdir()
    (folder / "below" / "d.wl").write_bytes(OLD)
    assert served.look().keys() == names


def test_nothing_is_told_of_a_file_whose_bytes_stay_the_same(folder: Path, served: Served) -> None:
    path = folder / "a.wl"
    path.write_bytes(OLD)
    served.look()
    path.write_bytes(OLD)
    path.touch()
    path.chmod(0o600)
    served.look()
    assert served.changes == 1


def test_a_file_that_vanishes_after_it_was_noticed_is_simply_gone(
    folder: Path, served: Served, events: Events
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    ticket = served.store.notice()
    (folder / "a.wl").unlink()
    while not served.store.is_current(ticket):
        served.read(1)
    assert served.files == {}
    assert not named(events, "file_skipped")


# Files that are being written


def test_a_file_is_served_only_when_its_writer_has_closed_it(folder: Path, served: Served) -> None:
    served.look()
    with (folder / "a.wl").open("wb") as writer:
        for piece in (b"<n", b"e", b"w>"):
            writer.write(piece)
            writer.flush()
            assert served.look() == {}
    assert served.look() == {"a.wl": NEW}


def test_a_file_is_not_served_when_it_is_being_written_at_the_start(
    folder: Path, served: Served
) -> None:
    with (folder / "a.wl").open("wb") as writer:
        writer.write(NEW)
        writer.flush()
        assert served.look() == {}
    assert served.look() == {"a.wl": NEW}


def test_the_previous_content_stays_while_a_file_is_rewritten_in_place(
    folder: Path, served: Served
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    with (folder / "a.wl").open("wb") as writer:
        assert served.look() == {"a.wl": OLD}
        writer.write(content("newer"))
        writer.flush()
        assert served.look() == {"a.wl": OLD}
    assert served.look() == {"a.wl": content("newer")}


def test_a_file_stays_unfinished_until_the_last_of_two_writers_has_closed_it(
    folder: Path, served: Served
) -> None:
    served.look()
    with (folder / "a.wl").open("wb") as one:
        with (folder / "a.wl").open("ab") as other:
            other.write(b"<tw")
        assert served.look() == {}
        one.seek(3)
        one.write(b"o>")
    assert served.look() == {"a.wl": content("two")}


def test_a_file_that_is_written_through_a_mapping_waits_for_its_end(
    folder: Path, served: Served
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    with (folder / "a.wl").open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[1:4] = b"new"
    assert served.look() == {"a.wl": OLD}
    mapping.close()
    assert served.look() == {"a.wl": NEW}


def test_a_file_deleted_while_it_is_being_written_is_gone(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    with (folder / "a.wl").open("wb"):
        assert served.look() == {"a.wl": OLD}
        (folder / "a.wl").unlink()
        assert served.look() == {}


def test_a_writer_who_destroys_what_was_whole_and_not_read_is_waited_for(
    folder: Path, watched: Served
) -> None:
    path = folder / "a.wl"
    path.write_bytes(content("first"))
    watched.look()
    path.write_bytes(content("second"))
    with path.open("wb", buffering=0) as writer:
        writer.write(content("third")[:4])
        ticket = watched.store.notice()
        watched.read(7)
        # The second is gone, and the first was not there any more when this query came.
        assert not watched.store.is_current(ticket)
        other = watched.store.notice()
        writer.write(content("third")[4:])
    watched.read(7)
    assert watched.store.is_current(ticket)
    assert watched.store.is_current(other)
    assert watched.files == {"a.wl": content("third")}


def test_a_writer_who_stays_is_waited_for_once(folder: Path) -> None:
    served = Served(DirectoryStore(folder, parse, watch="inotify", patience_ns=1_000_000))
    path = folder / "a.wl"
    path.write_bytes(content("first"))
    served.look()
    path.write_bytes(content("second"))
    with path.open("wb", buffering=0) as writer:
        assert served.look() == {"a.wl": content("first")}
        writer.write(content("third"))
        ticket = served.store.notice()
        served.read(7)
        assert served.store.is_current(ticket), "not again"
    assert served.look() == {"a.wl": content("third")}
    served.store.close()


def test_a_file_that_is_removed_while_its_writer_is_waited_for_is_gone(
    folder: Path, watched: Served
) -> None:
    path = folder / "a.wl"
    path.write_bytes(content("first"))
    watched.look()
    path.write_bytes(content("second"))
    with path.open("wb"):
        ticket = watched.store.notice()
        watched.read(7)
        assert not watched.store.is_current(ticket)
        path.unlink()
        assert watched.look() == {}


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_new_file_waits_for_its_end_of_writing(
    folder: Path, watched: Served
) -> None:
    watched.look()
    with (folder / "a.wl").open("wb") as writer:
        writer.write(content("whole"))
        writer.flush()
        assert watched.look() == {}
        writer.write(b" and more>")
    assert watched.look() == {"a.wl": b"<whole> and more>"}


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_linked_in_is_taken_when_it_has_settled(folder: Path) -> None:
    late_ns = 0

    def now_ns() -> int:
        return (folder / "a.wl").stat().st_ctime_ns + late_ns

    served = Served(DirectoryStore(folder, parse, watch="inotify", now_ns=now_ns))
    served.look()
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o644)
    except OSError:
        pytest.skip("no O_TMPFILE on this file system")
    os.write(descriptor, NEW)
    # Python follows the link in /proc only when it is given a folder to start from.
    os.link(f"/proc/self/fd/{descriptor}", folder / "a.wl", src_dir_fd=descriptor)
    os.close(descriptor)
    assert served.look() == {}
    late_ns = SETTLE_NS
    assert served.look() == {"a.wl": NEW}
    served.store.close()


@pytest.mark.usefixtures("no_leases")
@pytest.mark.parametrize("has_unnamed_files", [True, False])
@pytest.mark.parametrize("replace", [True, False])
def test_without_leases_a_file_that_was_placed_is_served_at_once(
    folder: Path,
    watched: Served,
    monkeypatch: pytest.MonkeyPatch,
    has_unnamed_files: bool,
    replace: bool,
) -> None:
    if not has_unnamed_files:
        monkeypatch.delattr("os.O_TMPFILE")
    watched.look()
    place(folder / "a.wl", NEW, replace=replace)
    assert watched.look() == {"a.wl": NEW}


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_that_becomes_readable_is_served_at_once(open_folder: Path) -> None:
    served = Served(DirectoryStore(open_folder, parse, watch="inotify"))
    path = open_folder / "a.wl"
    with unprivileged():
        served.look()
    path.write_bytes(NEW)
    path.chmod(0)
    with unprivileged():
        assert served.look() == {}
    path.chmod(0o644)
    with unprivileged():
        assert served.look() == {"a.wl": NEW}
    served.store.close()


def test_a_file_counts_as_settled_by_the_time_before_it_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "a.wl"
    path.write_bytes(OLD)
    clock_ns = path.stat().st_ctime_ns
    read = filesystem._read_bytes

    def slowly(descriptor: int, size: int) -> bytes:
        nonlocal clock_ns
        clock_ns += COARSE_GRANULARITY_NS
        return read(descriptor, size)

    monkeypatch.setattr(filesystem, "_read_bytes", slowly)
    store = DirectoryStore(folder, parse, watch="scan", now_ns=lambda: clock_ns)
    Served(store).look()
    # What was written while it was read would have the time stamp that is known of it.
    assert not store._files.known["a.wl"].is_settled


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_scan_takes_a_young_fragment_for_unfinished(
    folder: Path, events: Events
) -> None:
    late_ns = 0

    def now_ns() -> int:
        return (folder / "a.wl").stat().st_ctime_ns + late_ns

    served = Served(DirectoryStore(folder, parse, watch="scan", now_ns=now_ns))
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    (folder / "a.wl").write_bytes(NEW[:3])
    assert served.look() == {"a.wl": OLD}
    assert not named(events, "file_skipped")
    late_ns = SETTLE_NS
    assert served.look() == {}
    assert len(named(events, "file_skipped")) == 1


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_that_changes_while_it_is_read_is_read_again(
    folder: Path, scanned: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    read = filesystem._read_bytes

    def interrupted(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        (folder / "a.wl").write_bytes(content("newer"))
        return data

    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "_read_bytes", interrupted)
        assert scanned.look() == {}
    assert scanned.look() == {"a.wl": content("newer")}


def test_a_file_system_whose_leases_mean_nothing_is_not_asked_for_one(
    folder: Path, scanned: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(mounts, "file_system_type", lambda _: "nfs4")
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    (folder / "a.wl").write_bytes(NEW)
    assert scanned.look() == {"a.wl": NEW}


# Links


def test_a_symbolic_link_shows_what_it_leads_to(
    folder: Path, outside: Path, served: Served
) -> None:
    target, link = outside / "target", folder / "a.wl"
    link.symlink_to(target)
    assert served.look() == {}
    target.write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    target.write_bytes(NEW)
    assert served.look() == {"a.wl": NEW}
    with target.open("wb") as writer:
        writer.write(b"<ha")
        writer.flush()
        assert served.look() == {"a.wl": NEW}
        writer.write(b"lf>")
    assert served.look() == {"a.wl": content("half")}
    (outside / "other").write_bytes(OLD)
    (outside / "other").replace(target)
    assert served.look() == {"a.wl": OLD}
    target.unlink()
    assert served.look() == {}
    target.write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    link.unlink()
    link.write_bytes(NEW)
    target.unlink()
    assert served.look() == {"a.wl": NEW}


def test_fast_changes_behind_a_link_are_all_seen(
    folder: Path, outside: Path, served: Served
) -> None:
    (folder / "a.wl").symlink_to(outside / "target")
    for number in range(100, 200):
        (outside / "target").write_bytes(content(str(number)))
        assert served.look() == {"a.wl": content(str(number))}


def test_a_second_name_in_the_folder_through_which_a_file_is_changed_shows_in_both(
    folder: Path, served: Served
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    (folder / "b.wl").hardlink_to(folder / "a.wl")
    (folder / "b.wl").write_bytes(NEW)
    assert served.look() == {"a.wl": NEW, "b.wl": NEW}


@pytest.mark.parametrize("away", ["delete", "rename", "delete while it is being written"])
def test_a_second_name_that_came_and_went_leaves_the_change_under_the_first(
    folder: Path, outside: Path, served: Served, away: str
) -> None:
    first, second = folder / "a.wl", folder / "b.wl"
    first.write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    second.hardlink_to(first)
    with second.open("wb") as writer:
        writer.write(NEW)
        if away == "delete while it is being written":
            second.unlink()
            assert served.look() == {"a.wl": OLD}
    if away == "delete":
        second.unlink()
    elif away == "rename":
        second.rename(outside / "other")
    assert served.look() == {"a.wl": NEW}


def test_a_second_name_that_goes_before_its_change_is_read_leaves_it_under_the_first(
    folder: Path, served: Served
) -> None:
    first, second = folder / "a.wl", folder / "b.wl"
    first.write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    second.hardlink_to(first)
    second.write_bytes(NEW)
    served.store.notice()
    second.unlink()
    assert served.look() == {"a.wl": NEW}


def test_a_hard_link_shows_changes_made_under_its_other_name(
    folder: Path, outside: Path, served: Served
) -> None:
    other = outside / "other"
    other.write_bytes(OLD)
    served.look()
    (folder / "a.wl").hardlink_to(other)
    assert served.look() == {"a.wl": OLD}
    other.write_bytes(NEW)
    assert served.look() == {"a.wl": NEW}
    other.unlink()
    assert served.look() == {"a.wl": NEW}
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}


def test_two_names_of_one_file_in_the_folder_change_together(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    (folder / "b.wl").hardlink_to(folder / "a.wl")
    served.look()
    (folder / "b.wl").write_bytes(NEW)
    assert served.look() == {"a.wl": NEW, "b.wl": NEW}


def test_a_link_to_a_file_that_cannot_be_read_is_served_when_it_can(
    folder: Path, outside: Path, served: Served
) -> None:
    target = outside / "target"
    target.mkdir()
    (folder / "a.wl").symlink_to(target)
    assert served.look() == {}
    target.rmdir()
    target.write_bytes(NEW)
    assert served.look() == {"a.wl": NEW}


# Files that cannot be served


def test_a_file_that_cannot_be_parsed_is_skipped_and_told_once(
    folder: Path, served: Served, events: Events
) -> None:
    (folder / "a.wl").write_bytes(b"<cut")
    assert served.look() == {}
    served.look()
    (folder / "a.wl").touch()
    served.look()
    fault = {"folder": str(folder), "source": "a.wl", "reason": "no end at offset 4"}
    assert named(events, "file_skipped") == [fault]
    (folder / "a.wl").write_bytes(b"<other")
    served.look()
    assert named(events, "file_skipped")[1:] == [fault | {"reason": "no end at offset 6"}]
    (folder / "a.wl").write_bytes(NEW)
    assert served.look() == {"a.wl": NEW}


def test_an_old_version_of_a_file_that_is_now_bad_is_not_served(
    folder: Path, served: Served
) -> None:
    assert isinstance(served.store, DirectoryStore)
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    (folder / "a.wl").write_bytes(b"")
    assert served.look() == {}
    assert served.store.unreadable == {"a.wl": "no begin at offset 0"}
    (folder / "a.wl").unlink()
    served.look()
    assert served.store.unreadable == {}


def test_a_file_above_the_size_limit_is_skipped_and_the_limit_named(
    folder: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(served.store, DirectoryStore)
    monkeypatch.setattr(directory, "MAX_FILE_BYTES", 100)
    (folder / "a.wl").write_bytes(content("x" * 98))
    (folder / "b.wl").write_bytes(content("x" * 99))
    assert served.look().keys() == {"a.wl"}
    assert served.store.unreadable == {"b.wl": "file of 101 bytes, limit is 100"}


def test_what_is_no_regular_file_is_skipped_without_waiting_for_it(
    folder: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(served.store, DirectoryStore)
    (folder / "folder.wl").mkdir()
    os.mkfifo(folder / "fifo.wl")
    (folder / "device.wl").symlink_to("/dev/null")
    (folder / "loop.wl").symlink_to("loop.wl")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.wl")
        (folder / "a.wl").write_bytes(OLD)
        assert served.look() == {"a.wl": OLD}
        assert served.look() == {"a.wl": OLD}
    irregular = "not a regular file"
    assert served.store.unreadable == {
        "folder.wl": irregular,
        "fifo.wl": irregular,
        "device.wl": irregular,
        "loop.wl": os.strerror(errno.ELOOP),
        "socket.wl": os.strerror(errno.ENXIO),
    }


def test_a_fault_of_the_parser_in_one_file_costs_no_other(folder: Path, events: Events) -> None:
    def faulty(name: str, data: bytes) -> tuple[WorklistItem, ...]:
        if name == "b.wl":
            raise TypeError("a bug")
        return parse(name, data)

    for name in "abc":
        (folder / f"{name}.wl").write_bytes(OLD)
    store = DirectoryStore(folder, faulty)
    served = Served(store)
    assert served.look() == {"a.wl": OLD, "c.wl": OLD}
    assert served.look() == {"a.wl": OLD, "c.wl": OLD}
    assert len(named(events, "internal_error")) == 1
    assert store.unreadable == {"b.wl": "internal error (TypeError)"}
    store.close()


def test_without_memory_queries_fail_until_all_was_read_again(folder: Path) -> None:
    left = iter([False, False, True])

    def short_of_memory(name: str, data: bytes) -> tuple[WorklistItem, ...]:
        if next(left, False):
            raise MemoryError
        return parse(name, data)

    for number in range(9):
        (folder / f"{number}.wl").write_bytes(OLD)
    store = DirectoryStore(folder, short_of_memory)
    served = Served(store)
    with pytest.raises(StoreError, match="out of memory"):
        served.look()
    assert served.look() == {f"{number}.wl": OLD for number in range(9)}
    store.close()
