"""The folder as a store, in both ways of finding changes."""

import errno
import mmap
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from mwl import telemetry
from mwl.errors import ERROR_COMMENT_LIMIT, StoreError
from mwl.store import directory, filesystem, notify
from mwl.store.directory import COMMENT, DirectoryStore, WatchMode, subfolder
from support.folder import Served, content, open_descriptors, parse, unprivileged

OLD, NEW = content("old"), content("new")
MODES = [mode for mode in get_args(WatchMode) if mode != "auto"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "worklists"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Every user may read it, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=MODES)
def served(folder: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    store = DirectoryStore(folder, parse, watch=request.param)
    yield Served(store)
    store.close()


@pytest.fixture
def watched(folder: Path) -> Iterator[Served]:
    store = DirectoryStore(folder, parse, watch="inotify")
    yield Served(store)
    store.close()


@pytest.fixture
def scanned(folder: Path) -> Iterator[Served]:
    store = DirectoryStore(folder, parse, watch="scan")
    yield Served(store)
    store.close()


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_SET_LEASE", None)


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    emitted: list[tuple[str, dict[str, object]]] = []

    def emit(event: str, **fields: object) -> None:
        assert event in telemetry.EVENTS
        emitted.append((event, fields))

    monkeypatch.setattr(telemetry, "emit", emit)
    return emitted


Events = list[tuple[str, dict[str, object]]]


def named(events: Events, name: str) -> list[dict[str, object]]:
    return [fields for event, fields in events if event == name]


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
    late_ns = directory.SETTLE_NS
    assert served.look() == {"a.wl": NEW}
    served.store.close()


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
    late_ns = directory.SETTLE_NS
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
    fault = {"source": "a.wl", "reason": "no end at offset 4"}
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


# The folder itself


def test_a_missing_folder_fails_every_notice_and_recovers_by_itself(
    folder: Path, served: Served, events: Events
) -> None:
    folder.rmdir()
    for _ in range(2):
        with pytest.raises(StoreError, match=str(folder)) as caught:
            served.store.notice()
        assert caught.value.comment == COMMENT
    folder.mkdir()
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    assert [event for event, _ in events] == [
        "store_unavailable",
        "store_available",
        "folder_loaded",
    ]


def test_the_comment_for_a_modality_fits_its_field() -> None:
    assert len(COMMENT) <= ERROR_COMMENT_LIMIT


def test_a_folder_that_goes_away_later_fails_and_comes_back(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    ticket = served.store.notice()
    served.look()
    away = folder.rename(folder.with_name("away"))
    with pytest.raises(StoreError):
        served.look()
    assert not served.store.is_current(ticket)
    with pytest.raises(StoreError):
        served.read(1)
    (away / "a.wl").write_bytes(NEW)
    away.rename(folder)
    assert served.look() == {"a.wl": NEW}


def test_a_file_in_place_of_the_folder_is_a_failure(folder: Path, served: Served) -> None:
    folder.rmdir()
    folder.write_bytes(b"")
    with pytest.raises(StoreError, match=os.strerror(errno.ENOTDIR)):
        served.look()


def test_a_folder_moved_away_while_it_is_being_read_is_a_failure_and_not_empty(
    folder: Path, served: Served
) -> None:
    for number in range(5):
        (folder / f"{number}.wl").write_bytes(OLD)
    served.look()
    for number in range(5):
        (folder / f"{number}.wl").write_bytes(NEW)
    served.store.notice()
    served.read(2)
    folder.rename(folder.with_name("away"))
    with pytest.raises(StoreError):
        served.read(5)
    assert len(served.files) == 5


def test_a_folder_replaced_while_it_is_being_read_is_read_as_a_whole(
    folder: Path, served: Served
) -> None:
    for number in range(5):
        (folder / f"{number}.wl").write_bytes(OLD)
    ticket = served.store.notice()
    served.read(2)
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    (folder / "a.wl").write_bytes(NEW)
    while not served.store.is_current(ticket):
        served.read(1)
    assert served.files == {"a.wl": NEW}


def test_another_folder_in_its_place_is_served(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    (folder / "b.wl").write_bytes(OLD)
    served.look()
    other = folder.with_name("other")
    other.mkdir()
    (other / "a.wl").write_bytes(NEW)
    folder.rename(folder.with_name("away"))
    other.rename(folder)
    assert served.look() == {"a.wl": NEW}
    (folder / "b.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": NEW, "b.wl": OLD}


def test_a_folder_deleted_and_made_again_is_served(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    shutil.rmtree(folder)
    folder.mkdir()
    assert served.look() == {}
    (folder / "a.wl").write_bytes(NEW)
    assert served.look() == {"a.wl": NEW}


def test_a_link_to_the_folder_may_be_pointed_at_another(tmp_path: Path) -> None:
    for name, data in (("one", OLD), ("two", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wl").write_bytes(data)
    link = tmp_path / "link"
    link.symlink_to("one")
    served = Served(DirectoryStore(link, parse, watch="inotify"))
    assert served.look() == {"a.wl": OLD}
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(link)
    assert served.look() == {"a.wl": NEW}
    served.store.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rights", [0o000, 0o444, 0o111])
def test_a_folder_that_may_not_be_read_is_a_failure_and_not_empty(
    open_folder: Path, mode: WatchMode, rights: int
) -> None:
    served = Served(DirectoryStore(open_folder, parse, watch=mode))
    (open_folder / "a.wl").write_bytes(OLD)
    with unprivileged():
        served.look()
    open_folder.chmod(rights)
    with unprivileged(), pytest.raises(StoreError, match=os.strerror(errno.EACCES)):
        served.look()
    assert served.files == {"a.wl": OLD}
    open_folder.chmod(0o755)
    with unprivileged():
        assert served.look() == {"a.wl": OLD}
    served.store.close()


def test_running_out_of_descriptors_is_a_failure_and_loses_no_item(
    folder: Path, served: Served
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    (folder / "a.wl").write_bytes(NEW)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    served.store.notice()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StoreError, match=os.strerror(errno.EMFILE)):
            served.read(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert served.files == {"a.wl": OLD}
    assert served.look() == {"a.wl": NEW}


# Tickets and work


def test_read_handles_no_more_files_than_it_was_asked_to(folder: Path, served: Served) -> None:
    for number in range(10):
        (folder / f"{number}.wl").write_bytes(OLD)
    ticket = served.store.notice()
    served.read(4)
    assert len(served.files) <= 4
    assert not served.store.is_current(ticket)
    while not served.store.is_current(ticket):
        served.read(4)
    assert len(served.files) == 10


def test_no_ticket_is_current_before_the_first_load_is_done(folder: Path, served: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    assert not served.store.is_current(0)
    assert not served.store.is_current(served.store.notice())


def test_a_notice_without_a_change_is_current_at_once(watched: Served) -> None:
    watched.look()
    assert watched.store.is_current(watched.store.notice())


def test_a_query_does_not_wait_for_changes_noticed_after_it(folder: Path, watched: Served) -> None:
    watched.look()
    (folder / "a.wl").write_bytes(OLD)
    early = watched.store.notice()
    (folder / "b.wl").write_bytes(OLD)
    late = watched.store.notice()
    watched.read(1)
    assert watched.store.is_current(early)
    assert not watched.store.is_current(late)


def test_notices_during_a_scan_share_the_next_one(folder: Path, scanned: Served) -> None:
    (folder / "a.wl").write_bytes(OLD)
    first = scanned.store.notice()
    (folder / "b.wl").write_bytes(OLD)
    second = scanned.store.notice()
    assert scanned.store.notice() == second
    while not scanned.store.is_current(first):
        scanned.read(1)
    assert not scanned.store.is_current(second)
    while not scanned.store.is_current(second):
        scanned.read(1)
    assert scanned.files == {"a.wl": OLD, "b.wl": OLD}


def test_more_events_than_the_kernel_keeps_lead_to_a_comparison(
    folder: Path, watched: Served, events: Events
) -> None:
    (folder / "a.wl").write_bytes(OLD)
    (folder / "b.wl").write_bytes(OLD)
    watched.look()
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    for _ in range(queue // 2 + 1):
        os.utime(folder / "a.wl")
        os.utime(folder / "b.wl")
    (folder / "a.wl").write_bytes(NEW)
    (folder / "b.wl").unlink()
    assert watched.look() == {"a.wl": NEW}
    assert len(named(events, "folder_loaded")) == 2


# The way of finding changes


def test_auto_watches_a_trusted_file_system_and_scans_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    for kind, is_watching in (("ext4", True), ("nfs4", False), ("", False)):
        monkeypatch.setattr(directory, "file_system_type", lambda _, kind=kind: kind)
        store = DirectoryStore(folder, parse)
        store.notice()
        assert store.is_watching == is_watching
        store.close()
    reasons = [fields["reason"] for fields in named(events, "watch_fallback")]
    assert reasons == ["file system nfs4", "file system unknown"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
def test_a_kernel_limit_leads_to_scanning_with_one_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, events: Events, code: int
) -> None:
    def refuse(_: str) -> notify.Watch:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(directory, "Watch", refuse)
    served = Served(DirectoryStore(folder, parse, watch="inotify"))
    served.look()
    (folder / "a.wl").write_bytes(OLD)
    assert served.look() == {"a.wl": OLD}
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    assert served.look() == {}
    assert [fields["reason"] for fields in named(events, "watch_fallback")] == [os.strerror(code)]


def test_without_inotify_the_folder_is_scanned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "inotify_simple", None)
    store = DirectoryStore(folder, parse, watch="inotify")
    store.notice()
    assert not store.is_watching


def test_close_gives_every_descriptor_back(folder: Path) -> None:
    before = open_descriptors()
    (folder / "a.wl").write_bytes(OLD)
    for mode in get_args(WatchMode):
        served = Served(DirectoryStore(folder, parse, watch=mode))
        served.look()
        served.store.close()
        served.store.close()
    assert open_descriptors() == before


# Folders per called AE title


@pytest.mark.parametrize("title", ["CT1", "A", "ABCDEFGHIJKLMNOP", "a-b:c@d_e f"])
def test_the_folder_of_a_called_ae_title_is_below_the_root(tmp_path: Path, title: str) -> None:
    assert subfolder(tmp_path, title) == tmp_path / title


def test_spaces_around_a_called_ae_title_do_not_count(tmp_path: Path) -> None:
    assert subfolder(tmp_path, " CT1 ") == tmp_path / "CT1"


@pytest.mark.parametrize(
    "title",
    ["", "   ", ".", "..", "../X", "a/b", "a\\b", "a.b", "A" * 17, "A\n", "A\0", "Ä", "\u0661"],
)
def test_a_called_ae_title_that_could_leave_the_root_is_refused(
    tmp_path: Path, title: str
) -> None:
    assert subfolder(tmp_path, title) is None
