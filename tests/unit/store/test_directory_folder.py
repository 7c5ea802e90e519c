"""The folder as a store: the folder itself, tickets, and how changes are found."""

import errno
import os
import resource
import shutil
from pathlib import Path
from typing import get_args

import pytest

from mwl.errors import ERROR_COMMENT_LIMIT, StoreError
from mwl.item import WorklistItem
from mwl.store import mounts, notify
from mwl.store.directory import COMMENT, DirectoryStore
from mwl.store.folder import WatchMode
from support.folder import (
    MODES,
    Events,
    Served,
    content,
    named,
    open_descriptors,
    parse,
    unprivileged,
)

OLD, NEW = content("old"), content("new")


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


def test_a_folder_that_is_mounted_no_more_fails_until_it_is_mounted_again(
    folder: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda _: True)
    (folder / "a.wl").write_bytes(OLD)
    served.look()
    folder.rename(folder.with_name("unmounted"))
    folder.mkdir()
    monkeypatch.setattr("os.path.ismount", lambda _: False)
    for _ in range(2):
        with pytest.raises(StoreError, match="nothing is mounted there any more"):
            served.look()
    monkeypatch.setattr("os.path.ismount", lambda _: True)
    assert served.look() == {}


@pytest.mark.parametrize("mode", MODES)
def test_a_link_that_leads_elsewhere_for_a_while_mixes_nothing(
    tmp_path: Path, mode: WatchMode
) -> None:
    for name, data in (("a", OLD), ("b", NEW)):
        (tmp_path / name).mkdir()
        for number in range(10):
            (tmp_path / name / f"{number}.wl").write_bytes(data)
    link, aside = tmp_path / "link", tmp_path / "aside"
    link.symlink_to("a")
    served = Served(DirectoryStore(link, parse, watch=mode))
    ticket = served.store.notice()
    for target in ("b", "a"):
        aside.symlink_to(target)
        aside.replace(link)
        served.read(5)
    while not served.store.is_current(ticket):
        served.read(5)
    served.store.close()
    assert set(served.files.values()) == {OLD}


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


@pytest.mark.parametrize("mode", MODES)
def test_what_was_read_before_the_folder_was_lost_is_told(folder: Path, mode: WatchMode) -> None:
    away = folder.with_name("away")
    parsed: list[str] = []

    def parse_and_lose(name: str, data: bytes) -> tuple[WorklistItem, ...]:
        if not parsed:
            folder.rename(away)
        parsed.append(name)
        return parse(name, data)

    served = Served(DirectoryStore(folder, parse_and_lose, watch=mode))
    for name in ("a.wl", "b.wl"):
        (folder / name).write_bytes(OLD)
    served.store.notice()
    served.read(10)
    assert list(served.files) == parsed
    with pytest.raises(StoreError):
        served.read(10)
    away.rename(folder)
    assert served.look() == {"a.wl": OLD, "b.wl": OLD}
    served.store.close()


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
        monkeypatch.setattr(mounts, "file_system_type", lambda _, kind=kind: kind)
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

    monkeypatch.setattr("mwl.store.folder.Watch", refuse)
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
