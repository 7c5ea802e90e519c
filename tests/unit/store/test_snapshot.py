"""What is remembered of a folder: taken where nothing changed, and never believed otherwise."""

import errno
import mmap
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mwl
from mwl.catalog import Catalog
from mwl.dataset import ENCODINGS, CharacterSet
from mwl.item import WorklistItem
from mwl.store import mounts
from mwl.store.directory import DirectoryStore
from mwl.store.filesystem import Signature, look
from mwl.store.folder import WatchMode
from mwl.store.known import COARSE_GRANULARITY_NS
from mwl.store.mounts import file_system_type
from mwl.store.snapshot import Remembered, Snapshot
from support.folder import (
    MODES,
    Events,
    bytes_of,
    content,
    named,
    parse,
    remember,
    settle,
    unprivileged,
)
from support.items import items, step

ASCII = ENCODINGS["Ascii"]
MEMORY = Path("/dev/shm")  # noqa: S108 - the subject of a test
FILES = {f"{name}.wl": content(name) for name in "abcde"}


class Site:
    """A folder that is served again and again, with a snapshot in between."""

    def __init__(self, folder: Path, cache: Path, watch: WatchMode) -> None:
        self.folder = folder
        self.cache = cache
        self.watch = watch
        self.parsed: list[str] = []
        self.late_ns = 0

    def snapshot(self, *subject: str, least_files: int = 1) -> Snapshot:
        folder, *settings = subject or ("site",)
        return Snapshot(self.cache, folder, settings, ASCII, least_files=least_files)

    def start(self, *subject: str, least_files: int = 1) -> Catalog:
        snapshot = self.snapshot(*subject, least_files=least_files)
        store = DirectoryStore(
            self.folder,
            self._parse,
            watch=self.watch,
            snapshot=snapshot,
            now_ns=lambda: time.time_ns() + self.late_ns,
        )
        self.parsed = []
        return Catalog(store)

    def _parse(self, name: str, data: bytes) -> tuple[WorklistItem, ...]:
        self.parsed.append(name)
        return parse(name, data)

    def served(self, catalog: Catalog) -> dict[str, bytes]:
        ticket = catalog.notice()
        while not catalog.is_current(ticket):
            catalog.read(2)
        return {name: bytes_of(found[0]) for name, found in catalog.sources.items()}

    def run(self, *subject: str, least_files: int = 1) -> dict[str, bytes]:
        """Start, look, stop."""
        catalog = self.start(*subject, least_files=least_files)
        found = self.served(catalog)
        remember(catalog)
        catalog.close()
        return found


@pytest.fixture(params=MODES)
def site(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Site:
    # So that these tests mean the same where temporary files are kept in memory.
    monkeypatch.setattr(mounts, "MEMORY_FILE_SYSTEMS", frozenset())
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    settle(folder)
    return Site(folder, tmp_path / "cache", request.param)


@pytest.fixture
def remembered(site: Site) -> Site:
    assert site.run() == FILES
    assert sorted(site.parsed) == sorted(FILES)
    return site


def test_files_as_they_were_are_not_read_again(remembered: Site) -> None:
    for _ in range(2):
        assert remembered.run() == FILES
        assert remembered.parsed == []


def test_what_changed_meanwhile_is_read_and_the_rest_is_not(remembered: Site) -> None:
    folder = remembered.folder
    (folder / "a.wl").write_bytes(content("A"))  # as long as before
    (folder / "b.wl").unlink()
    (folder / "f.wl").write_bytes(content("new"))
    (folder / "c.wl").rename(folder / "g.wl")
    expected = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert remembered.run() == expected
    assert sorted(remembered.parsed) == ["a.wl", "f.wl", "g.wl"]


def test_a_change_after_the_start_is_seen(remembered: Site) -> None:
    catalog = remembered.start()
    assert remembered.served(catalog) == FILES
    (remembered.folder / "a.wl").write_bytes(content("later"))
    assert remembered.served(catalog) == FILES | {"a.wl": content("later")}
    assert remembered.parsed == ["a.wl"]
    catalog.close()


def test_a_touched_file_is_read_again_and_is_no_change(remembered: Site) -> None:
    os.utime(remembered.folder / "a.wl")
    catalog = remembered.start()
    assert remembered.served(catalog) == FILES
    assert remembered.parsed == ["a.wl"]
    catalog.close()


def test_a_file_rewritten_with_its_size_and_time_is_read(remembered: Site) -> None:
    path = remembered.folder / "a.wl"
    before = path.stat()
    path.write_bytes(content("A"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    assert remembered.run() == FILES | {"a.wl": content("A")}
    assert remembered.parsed == ["a.wl"]


def test_a_folder_replaced_by_its_copy_is_read(remembered: Site, tmp_path: Path) -> None:
    old = remembered.folder.rename(tmp_path / "old")
    shutil.copytree(old, remembered.folder)
    assert remembered.run() == FILES
    assert sorted(remembered.parsed) == sorted(FILES)


def test_what_is_newer_than_the_clock_is_read(remembered: Site) -> None:
    signature, _ = look(str(remembered.folder / "a.wl"))
    assert signature is not None
    store = DirectoryStore(
        remembered.folder,
        remembered._parse,
        watch=remembered.watch,
        snapshot=remembered.snapshot(),
        now_ns=lambda: signature.newest_ns,
    )
    remembered.parsed = []
    catalog = Catalog(store)
    assert remembered.served(catalog) == FILES
    assert "a.wl" in remembered.parsed
    catalog.close()


def test_files_of_a_file_system_that_became_untrusted_are_read(
    remembered: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "TRUSTED_FILE_SYSTEMS", frozenset())
    assert remembered.run() == FILES
    assert sorted(remembered.parsed) == sorted(FILES)


def test_of_a_file_system_in_memory_nothing_is_remembered(
    remembered: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "file_system_type", lambda _: "kept in memory")
    monkeypatch.setattr(mounts, "TRUSTED_FILE_SYSTEMS", frozenset({"kept in memory"}))
    monkeypatch.setattr(mounts, "MEMORY_FILE_SYSTEMS", frozenset({"kept in memory"}))
    assert remembered.run() == FILES
    assert sorted(remembered.parsed) == sorted(FILES)
    assert list(remembered.cache.iterdir()) == []


@pytest.mark.skipif(
    file_system_type(MEMORY) not in mounts.MEMORY_FILE_SYSTEMS,
    reason=f"{MEMORY} is no file system in memory",
)
def test_a_write_through_a_mapping_that_leaves_no_time_stamp_is_seen(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        path = folder / "a.wl"
        path.write_bytes(content("a"))
        settle(folder)
        site = Site(folder, tmp_path / "cache", "inotify")
        assert site.run() == {"a.wl": content("a")}
        before = path.stat()
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[:] = mapping[:].replace(b"a", b"A")  # reading first maps it without a fault
        after = path.stat()
        if after.st_ctime_ns != before.st_ctime_ns:
            pytest.skip("this kernel does stamp such a write")
        assert site.run() == {"a.wl": content("A")}


@pytest.mark.usefixtures("no_leases")
def test_what_was_read_without_a_lease_is_not_remembered(site: Site) -> None:
    site.late_ns = COARSE_GRANULARITY_NS
    for _ in range(2):
        assert site.run() == FILES
        assert sorted(site.parsed) == sorted(FILES)


def test_time_stamps_in_whole_seconds_are_not_believed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.late_ns = COARSE_GRANULARITY_NS
    monkeypatch.setattr(Signature, "is_fine", property(lambda signature: signature.size != 3))
    (site.folder / "long.wl").write_bytes(content("longer"))
    settle(site.folder)
    for _ in range(2):
        site.run()
    assert sorted(site.parsed) == sorted(FILES)


def test_a_file_that_came_while_serving_is_remembered_once_it_has_settled(
    remembered: Site,
) -> None:
    catalog = remembered.start()
    remembered.served(catalog)
    (remembered.folder / "new.wl").write_bytes(content("new"))
    remembered.served(catalog)
    settle(remembered.folder)
    remember(catalog)
    catalog.close()
    assert remembered.run() == FILES | {"new.wl": content("new")}
    assert remembered.parsed == []


def test_a_file_that_is_being_written_is_remembered_as_it_was_or_not_at_all(
    remembered: Site,
) -> None:
    catalog = remembered.start()
    remembered.served(catalog)
    (remembered.folder / "a.wl").write_bytes(content("1"))
    remembered.served(catalog)
    with (remembered.folder / "a.wl").open("r+b") as writer:
        writer.write(b"<2")
        writer.flush()
        settle(remembered.folder)
        remember(catalog)
        catalog.close()
    assert remembered.run() == FILES | {"a.wl": content("2")}


def test_a_file_that_was_read_while_it_was_young_is_read_again(site: Site) -> None:
    (site.folder / "a.wl").write_bytes(content("young"))
    signature, _ = look(str(site.folder / "a.wl"))
    assert signature is not None
    store = DirectoryStore(
        site.folder,
        parse,
        watch=site.watch,
        snapshot=site.snapshot(),
        now_ns=lambda: signature.newest_ns,
    )
    catalog = Catalog(store)
    site.served(catalog)
    remember(catalog)
    catalog.close()
    settle(site.folder)
    site.run()
    assert "a.wl" in site.parsed


def test_a_file_with_another_name_is_read_again(remembered: Site, outside: Path) -> None:
    (outside / "second").hardlink_to(remembered.folder / "a.wl")
    target = (remembered.folder / "b.wl").rename(outside / "b")
    (remembered.folder / "b.wl").symlink_to(target)
    settle(remembered.folder, outside)
    for _ in range(2):
        assert remembered.run() == FILES
        assert sorted(remembered.parsed) == ["a.wl", "b.wl"]
        kept = {entry.source for entry in remembered.snapshot().read()}
        assert kept == FILES.keys() - {"a.wl", "b.wl"}


def test_an_entry_that_comes_twice_counts_once(remembered: Site) -> None:
    snapshot = remembered.snapshot()
    list(snapshot.write(list(snapshot.read()) * 2))
    assert remembered.run() == FILES
    assert remembered.parsed == []


def test_a_file_that_cannot_be_parsed_is_read_again(site: Site) -> None:
    (site.folder / "a.wl").write_bytes(b"no worklist")
    settle(site.folder)
    for _ in range(2):
        site.run()
    assert site.parsed == ["a.wl"]


@pytest.mark.parametrize("part", range(12))
@pytest.mark.parametrize("change", ["cut", "flipped", "doubled"])
def test_a_damaged_snapshot_is_ignored_from_there_on(
    remembered: Site, part: int, change: str
) -> None:
    path = remembered.snapshot().path
    data = path.read_bytes()
    place = part * (len(data) - 1) // 11
    damaged = {
        "cut": data[:place],
        "flipped": data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :],
        "doubled": data[:place] + data,
    }
    path.write_bytes(damaged[change])
    assert remembered.run() == FILES
    assert remembered.run() == FILES
    assert remembered.parsed == []


def test_a_snapshot_of_other_settings_is_not_used_and_does_not_stay(remembered: Site) -> None:
    assert remembered.run("site", "other settings") == FILES
    assert len(remembered.parsed) == len(FILES)
    assert len(list(remembered.cache.iterdir())) == 1
    assert remembered.run() == FILES
    assert len(remembered.parsed) == len(FILES)


def test_of_an_empty_folder_nothing_stays_whatever_the_settings_were(remembered: Site) -> None:
    for name in FILES:
        (remembered.folder / name).unlink()
    assert remembered.run("site", "other settings") == {}
    assert list(remembered.cache.iterdir()) == []


def test_a_file_of_the_program_that_leads_nowhere_is_no_obstacle(
    remembered: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / ".#edited.py").symlink_to("somebody@somewhere:1")  # as Emacs marks an open file
    monkeypatch.setattr(mwl, "__file__", str(package / "__init__.py"))
    assert remembered.run() == FILES


def test_a_snapshot_of_another_folder_is_not_used(remembered: Site) -> None:
    path = remembered.snapshot("other site").path
    assert path != remembered.snapshot().path
    remembered.snapshot().path.rename(path)
    assert remembered.run("other site") == FILES
    assert len(remembered.parsed) == len(FILES)


def test_a_snapshot_of_another_version_is_not_used(
    remembered: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mwl, "__version__", "99")
    assert remembered.run() == FILES
    assert len(remembered.parsed) == len(FILES)


def test_only_its_owner_can_read_a_snapshot(remembered: Site) -> None:
    path = remembered.snapshot().path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def _writable_by_all(path: Path) -> None:
    path.chmod(0o622)


def _readable_by_a_group(path: Path) -> None:
    path.chmod(0o640)


def _a_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def _with_two_names(path: Path) -> None:
    path.with_name("elsewhere").hardlink_to(path)


def _a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _of_another_user(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    "spoil",
    [_writable_by_all, _readable_by_a_group, _a_link, _with_two_names, _a_fifo, _of_another_user],
)
def test_a_snapshot_that_others_may_have_written_is_not_read(
    remembered: Site, spoil: Callable[[Path], None]
) -> None:
    spoil(remembered.snapshot().path)
    assert remembered.run() == FILES
    assert len(remembered.parsed) == len(FILES)


def test_a_cache_that_cannot_be_written_is_told_once(
    site: Site, tmp_path: Path, events: Events
) -> None:
    site.cache = tmp_path / "file" / "cache"
    (tmp_path / "file").write_bytes(b"in the way")
    catalog = site.start()
    for text in ("1", "2"):
        (site.folder / "a.wl").write_bytes(content(text))
        assert site.served(catalog) == FILES | {"a.wl": content(text)}
        remember(catalog)
    catalog.close()
    (failure,) = named(events, "snapshot_failed")
    assert failure["reason"] == "Not a directory"


def test_a_read_only_cache_is_told_once(site: Site, open_folder: Path, events: Events) -> None:
    open_folder.chmod(0o555)
    site.cache = open_folder
    catalog = site.start()
    assert site.served(catalog) == FILES
    with unprivileged():
        list(catalog._store.remember(catalog.sources))
    catalog.close()
    assert [failure["reason"] for failure in named(events, "snapshot_failed")] == [
        "Permission denied"
    ]


def test_a_full_disk_is_told_once_and_leaves_the_old_snapshot(
    remembered: Site, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = remembered.snapshot().path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "_write_block", fail)
        (remembered.folder / "a.wl").write_bytes(content("A"))
        assert remembered.run() == FILES | {"a.wl": content("A")}
    assert [path.read_bytes() for path in remembered.cache.iterdir()] == [before]
    assert len(named(events, "snapshot_failed")) == 1
    assert remembered.run() == FILES | {"a.wl": content("A")}


def test_nothing_is_written_when_nothing_changed(remembered: Site) -> None:
    before = remembered.snapshot().path.stat()
    remembered.run()
    after = remembered.snapshot().path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_deleted_file_does_not_stay_in_the_snapshot(remembered: Site) -> None:
    (remembered.folder / "a.wl").unlink()
    remembered.run()
    assert "a.wl" not in [entry.source for entry in remembered.snapshot().read()]


def test_few_files_are_not_remembered(remembered: Site) -> None:
    (remembered.folder / "a.wl").unlink()
    assert len(remembered.run(least_files=len(FILES))) == len(FILES) - 1
    assert not remembered.snapshot().path.exists()


def test_what_a_killed_server_was_writing_goes_with_the_snapshot(remembered: Site) -> None:
    path = remembered.snapshot().path
    path.rename(path.with_suffix(".new"))
    assert remembered.run(least_files=len(FILES) + 1) == FILES
    assert list(remembered.cache.iterdir()) == []


def test_a_start_that_was_cut_short_keeps_the_snapshot(remembered: Site) -> None:
    (remembered.folder / "a.wl").write_bytes(content("changed"))
    before = remembered.snapshot().path.read_bytes()
    catalog = remembered.start()
    catalog.notice()
    catalog.read(1)
    read = list(remembered.parsed)
    remember(catalog)
    catalog.close()
    assert remembered.parsed == read
    assert remembered.snapshot().path.read_bytes() == before


def test_writing_that_is_given_up_leaves_the_old_snapshot(remembered: Site) -> None:
    snapshot = remembered.snapshot()
    before = snapshot.path.read_bytes()
    entries = list(snapshot.read()) * 300
    writing = snapshot.write(entries)
    next(writing)
    assert len(list(remembered.cache.iterdir())) == 2
    del writing
    assert [path.read_bytes() for path in remembered.cache.iterdir()] == [before]


def test_two_servers_of_one_folder_do_not_disturb_each_other(remembered: Site) -> None:
    first, second = remembered.snapshot(), remembered.snapshot()
    entries = list(first.read())
    writing = first.write(entries * 300)
    next(writing)
    assert list(second.write(entries)) == []
    list(writing)
    assert len(list(second.read())) == 300 * len(entries)
    list(second.write(entries))
    assert list(map(_facts, first.read())) == list(map(_facts, entries))


def test_both_of_two_servers_start_from_the_snapshot(remembered: Site) -> None:
    first, second = remembered.start(), remembered.start()
    assert remembered.served(first) == remembered.served(second) == FILES
    (remembered.folder / "a.wl").write_bytes(content("new"))
    assert remembered.served(first) == remembered.served(second)
    for catalog in (first, second):
        remember(catalog)
        catalog.close()
    assert remembered.run() == FILES | {"a.wl": content("new")}


def _facts(entry: Remembered) -> object:
    return (
        entry.source,
        entry.signature,
        [
            (item.source, item.step, item.data, item.character_set, item.order, item.indexed)
            for item in entry.items
        ],
    )


@pytest.mark.parametrize("default", [ENCODINGS["Latin1"], ENCODINGS["Windows1251"]])
def test_items_come_back_as_they_were(folder: Path, tmp_path: Path, default: CharacterSet) -> None:
    (folder / "a.wl").write_bytes(b"any")
    signature, _ = look(str(folder / "a.wl"))
    assert signature is not None
    several = [step(Modality="CT")["ScheduledProcedureStepSequence"][0]] * 2
    values = [
        {"PatientName": "NAME", **step(ScheduledProcedureStepStartDate="20260101")},
        {"PatientName": "Ünlü", "SpecificCharacterSet": "ISO_IR 192"},
        {
            "SpecificCharacterSet": "\\ISO 2022 IR 87",
            "PatientName": "Yamada^Tarou=山田^太郎",
            "PatientID": "A\\B",
        },
        {"AccessionNumber": "1", "ScheduledProcedureStepSequence": several},
        {"AccessionNumber": "2", **step(ScheduledProcedureStepStartDate="202601")},
    ]
    entries = [
        Remembered(
            f"{number}\udcff.wl", signature, items(each, f"{number}\udcff.wl", default=default)
        )
        for number, each in enumerate(values)
    ]
    snapshot = Snapshot(tmp_path / "cache", "x", (), default)
    list(snapshot.write(entries))
    assert list(map(_facts, snapshot.read())) == list(map(_facts, entries))
