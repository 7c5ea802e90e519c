"""The second process reads what the server would have read, and costs nothing but time."""

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from mwl.catalog import Catalog
from mwl.config import of_folder
from mwl.dataset import ENCODINGS
from mwl.item import WorklistItem
from mwl.site import Worklists
from mwl.store import mounts, second_reader
from mwl.store.directory import DirectoryStore
from mwl.store.folder import WatchMode
from mwl.store.known import LOCAL_GRANULARITY_NS
from mwl.store.second_reader import Making, Run, SecondReader
from mwl.store.snapshot import Snapshot
from support.datasets import data_set, file_of
from support.folder import MODES, Events, named, open_descriptors, remember, settle

SAMPLES = Path(__file__).parents[3] / "samples" / "worklists"
MAKING = Making(split_steps=True, default_encoding="Latin1")
FILES = 40
ANSWER_LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def small_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_reader, "FILES_AT_A_TIME", 3)
    monkeypatch.setattr(second_reader, "_cores", lambda: 2)
    # So that these tests mean the same where temporary files are kept in memory.
    monkeypatch.setattr(mounts, "MEMORY_FILE_SYSTEMS", frozenset())


def worklist_file(patient_id: str) -> bytes:
    return file_of(data_set(PatientID=patient_id, PatientName="VIVALDI^ANNA"))


class Site:
    """A folder of real worklist files that is loaded for the first time."""

    def __init__(self, folder: Path, watch: WatchMode = "inotify") -> None:
        self.folder = folder
        for number in range(FILES):
            self.write(f"{number}.wl")
        settle(folder)
        self.reader = SecondReader(MAKING, least_files=1)
        self.parsed: list[str] = []
        self.store = self.new_store(watch)
        self.catalog = Catalog(self.store)

    def new_store(self, watch: WatchMode, **more: Any) -> DirectoryStore:
        return DirectoryStore(
            self.folder, self._parse, watch=watch, second_reader=self.reader, **more
        )

    def write(self, name: str, patient_id: str = "P") -> Path:
        path = self.folder / name
        path.write_bytes(worklist_file(patient_id))
        return path

    def _parse(self, name: str, data: bytes) -> tuple[WorklistItem, ...]:
        self.parsed.append(name)
        return MAKING.parser()(name, data)

    @property
    def run(self) -> Run:
        assert self.store._second_run is not None
        return self.store._second_run

    def start(self) -> list[str]:
        """Begin to load, and give the names whose answer has come and was not taken."""
        self.catalog.notice()
        self.catalog.read(1)
        await_answer(self.run)
        return self.run._given[0]

    def load(self, *, waits: bool = True) -> None:
        """Load the rest; the second reader is given time for everything that it was given."""
        ticket = self.catalog.notice()
        while not self.catalog.is_current(ticket):
            run = self.store._second_run
            if waits and run is not None and run._given and run.fault is None:
                await_answer(run)
            self.catalog.read(1)

    def served(self) -> dict[str, int]:
        return {name: len(items) for name, items in self.catalog.sources.items()}


def await_answer(run: Run) -> None:
    """Wait until the first slice that was given is answered, or nothing more will come."""
    while run.fault is None and not is_answered(run):
        readable, _, _ = select.select([run._connection], [], [], ANSWER_LIMIT_S)
        assert readable
        run._receive()


def is_answered(run: Run) -> bool:
    head = run._received[: second_reader._HEAD.size]
    return len(head) == second_reader._HEAD.size and len(run._received) >= len(
        head
    ) + int.from_bytes(head, "little")


@pytest.fixture(params=MODES)
def site(folder: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(folder, request.param)
    yield site
    site.catalog.close()


@pytest.fixture
def watched(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    yield site
    site.catalog.close()


def contents(item: WorklistItem) -> tuple[object, ...]:
    return (
        *(item.source, item.step, item.data, item.character_set),
        *(item.order, item.indexed),
    )


def test_files_are_read_by_two_and_none_twice(site: Site) -> None:
    site.load()
    assert site.served() == {f"{number}.wl": 1 for number in range(FILES)}
    assert 0 < len(site.parsed) < FILES
    assert len(set(site.parsed)) == len(site.parsed)
    assert site.store._second_run is None


@pytest.mark.parametrize("dialect", ["standard", "orthanc"])
@pytest.mark.parametrize("encoding", ["Latin1", "Windows1251", "Utf8"])
def test_items_are_the_same_whoever_reads_their_file(
    folder: Path, dialect: Literal["standard", "orthanc"], encoding: str
) -> None:
    for path in SAMPLES.glob("*.wl"):
        (folder / path.name).write_bytes(path.read_bytes())
    for number in range(FILES):
        text = "Ж\xfcller".encode("utf-8" if number % 2 else "cp1251", "replace")
        step = [data_set(Modality="CT"), data_set(Modality="MR")]
        (folder / f"{number}.wl").write_bytes(
            file_of(data_set(PatientName=text, ScheduledProcedureStepSequence=step))
        )
    settle(folder)
    config = of_folder(folder)
    worklists = replace(config.worklists, compatibility=dialect, snapshot="off")
    config = replace(config, worklists=worklists, default_encoding=encoding)
    loaded = []
    for least_files in (1, sys.maxsize):
        parts = Worklists(config)
        parts._second_reader._least_files = least_files
        worklist = parts.of_everyone()
        assert worklist is not None
        store = worklist.catalog._store
        assert isinstance(store, DirectoryStore)
        taken = 0
        ticket = worklist.catalog.notice()
        while not worklist.catalog.is_current(ticket):
            if (run := store._second_run) is not None and run._given:
                await_answer(run)
                taken += run.fault is None
            worklist.catalog.read(1)
        assert (taken > 0) == (least_files == 1)
        loaded.append(sorted(map(contents, worklist.catalog)))
        parts.close()
    assert loaded[0] == loaded[1]
    assert ENCODINGS[encoding] in [contents[3] for contents in loaded[0]]


def test_a_process_that_dies_costs_no_file(site: Site, events: Events) -> None:
    site.start()
    site.catalog.read(1)
    site.run._process.kill()
    site.load()
    assert len(site.served()) == FILES
    assert named(events, "second_reader_failed") == [
        {"folder": str(site.folder), "reason": "it ended"}
    ]


def test_a_process_that_dies_within_an_answer_costs_no_file(site: Site, events: Events) -> None:
    site.start()
    del site.run._received[-1:]
    site.run._process.kill()
    site.run._process.wait()
    while site.run._connection.recv(4096):
        pass
    site.load(waits=False)
    assert len(site.served()) == FILES
    assert len(named(events, "second_reader_failed")) == 1


def test_a_process_that_cannot_be_started_costs_no_file(
    site: Site, events: Events, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    before = open_descriptors()
    site.load()
    assert len(site.served()) == len(site.parsed) == FILES
    (failure,) = named(events, "second_reader_failed")
    assert failure["reason"] == "No such file or directory"
    assert open_descriptors() <= before + 1  # the watch


def test_a_process_that_is_something_else_costs_no_file(
    site: Site, events: Events, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho something; exit 3\n", encoding="ascii")
    other.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(other))
    site.load()
    assert len(site.served()) == len(site.parsed) == FILES
    assert len(named(events, "second_reader_failed")) == 1


def test_nobody_waits_for_a_process_that_does_nothing(
    site: Site, events: Events, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    idle = tmp_path / "python"
    idle.write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    idle.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(idle))
    site.load(waits=False)
    assert len(site.served()) == len(site.parsed) == FILES
    assert named(events, "second_reader_failed") == []


def test_a_program_that_was_replaced_meanwhile_reads_nothing(site: Site, events: Events) -> None:
    site.reader._program = ["an older one"]
    site.load()
    assert len(site.served()) == len(site.parsed) == FILES
    assert len(named(events, "second_reader_failed")) == 1


@pytest.mark.parametrize("way", ["in place", "replaced", "with its size and time"])
def test_a_file_that_changed_since_it_was_read_there_is_read_again(site: Site, way: str) -> None:
    changed, *_ = site.start()
    path = site.folder / changed
    before = path.stat()
    if way == "replaced":
        path.unlink()
    site.write(changed, "Q")
    if way == "with its size and time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
    while site.store._scan is not None:
        site.catalog.read(1)
    (item,) = site.catalog.sources[changed]
    assert item.data == MAKING.parser()(changed, worklist_file("Q"))[0].data
    assert changed in site.parsed


def test_a_file_that_is_gone_since_it_was_read_there_is_not_served(site: Site) -> None:
    gone, moved, *_ = site.start()
    (site.folder / gone).unlink()
    (site.folder / moved).rename(site.folder / "moved.wl")
    while site.store._scan is not None:
        site.catalog.read(1)
    assert site.served().keys().isdisjoint({gone, moved})
    site.load()
    assert "moved.wl" in site.served()
    assert len(site.served()) == FILES - 1


def test_a_file_that_got_a_second_name_since_it_was_read_there_is_looked_at_under_both(
    watched: Site, outside: Path
) -> None:
    linked, *_ = watched.start()
    (outside / "second").hardlink_to(watched.folder / linked)
    watched.load()
    (outside / "second").write_bytes(worklist_file("Q"))
    watched.load()
    (item,) = watched.catalog.sources[linked]
    assert item.data == MAKING.parser()(linked, worklist_file("Q"))[0].data


def test_a_file_that_is_being_written_is_not_read_there(site: Site) -> None:
    name = f"{FILES - 1}.wl"
    for each in site.folder.iterdir():
        if each.name != name:
            each.unlink()
    writers = []
    for number in range(FILES):
        path = site.write(f"written{number}.wl", "half")
        writers.append(path.open("r+b"))
    settle(site.folder)
    site.load()
    assert site.served() == {name: 1}
    for writer in writers:
        writer.close()
    site.load()
    assert len(site.served()) == FILES + 1


def test_a_file_that_cannot_be_read_is_told_once(site: Site, events: Events) -> None:
    for number in range(FILES):
        (site.folder / f"{number}.wl").write_bytes(b"no worklist")
    (site.folder / "folder.wl").mkdir()
    (site.folder / "empty.wl").touch()
    os.mkfifo(site.folder / "fifo.wl")
    settle(site.folder)
    site.load()
    assert site.served() == {}
    told = [str(skipped["source"]) for skipped in named(events, "file_skipped")]
    assert sorted(told) == sorted(path.name for path in site.folder.iterdir())


def answered(folder: Path, *names: str) -> list[str]:
    """Give what the second reader vouches for."""
    answer = second_reader._read(f"{folder}/", list(names), MAKING.parser())
    return [source for source, _, _ in answer]


def test_only_what_will_show_each_later_change_is_answered(folder: Path, outside: Path) -> None:
    for name in ("good.wl", "young.wl", "linked.wl", "whole.wl", "written.wl"):
        (folder / name).write_bytes(worklist_file("P"))
    (outside / "second").hardlink_to(folder / "linked.wl")
    (folder / "symbolic.wl").symlink_to(folder / "good.wl")
    (folder / "bad.wl").write_bytes(b"no worklist")
    (folder / "folder.wl").mkdir()
    settle(folder)
    later = time.time_ns() + 10**12
    os.utime(folder / "young.wl", ns=(later, later))
    names = [path.name for path in folder.iterdir()]
    with (folder / "written.wl").open("r+b"):
        settle_changes(folder)
        found = answered(folder, *names, "missing.wl")
    assert sorted(found) == ["good.wl", "whole.wl"]


def settle_changes(folder: Path) -> None:
    """Wait until nothing is so young that its time of change might not show another."""
    newest = max(path.lstat().st_ctime_ns for path in folder.iterdir())
    while time.time_ns() <= newest + 2 * LOCAL_GRANULARITY_NS:
        pass


@pytest.mark.usefixtures("no_leases")
def test_without_a_lease_nothing_is_answered(folder: Path) -> None:
    (folder / "a.wl").write_bytes(worklist_file("P"))
    settle(folder)
    assert answered(folder, "a.wl") == []


def test_a_fault_of_ours_is_left_to_the_server_to_tell(folder: Path) -> None:
    def fail(_name: str, _data: bytes) -> tuple[WorklistItem, ...]:
        raise ZeroDivisionError

    (folder / "a.wl").write_bytes(worklist_file("P"))
    settle(folder)
    assert second_reader._read(f"{folder}/", ["a.wl"], fail) == []


def test_what_was_read_there_is_remembered(folder: Path, tmp_path: Path) -> None:
    site = Site(folder)
    for expected in (True, False):
        snapshot = Snapshot(tmp_path / "cache", str(folder), (), MAKING.default, least_files=1)
        site.parsed = []
        site.store = site.new_store("inotify", snapshot=snapshot)
        site.catalog = Catalog(site.store)
        site.load()
        assert bool(site.parsed) == expected
        assert len(site.served()) == FILES
        remember(site.catalog)
        site.catalog.close()


def test_a_small_folder_and_a_single_core_have_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SecondReader(MAKING, least_files=FILES).start(str(folder), FILES - 1) is None
    monkeypatch.setattr(second_reader, "_cores", lambda: 1)
    assert SecondReader(MAKING, least_files=FILES).start(str(folder), FILES) is None


def test_where_signatures_do_not_tell_there_is_none(
    watched: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "TRUSTED_FILE_SYSTEMS", frozenset())
    watched.catalog.notice()
    watched.catalog.read(1)
    assert watched.store._second_run is None


def test_folders_that_are_loaded_together_share_one(watched: Site) -> None:
    watched.start()
    assert watched.reader.start(str(watched.folder), FILES) is None
    watched.load()
    again = watched.reader.start(str(watched.folder), FILES)
    assert again is not None
    assert again.end() == []


def test_only_the_first_load_has_one(watched: Site) -> None:
    watched.load()
    watched.store._compare_all(is_deep=True)
    watched.catalog.read(1)
    assert watched.store._second_run is None


@pytest.mark.parametrize("way", ["closed", "folder lost", "compared anew"])
def test_it_ends_with_the_load(watched: Site, way: str) -> None:
    before = open_descriptors()
    watched.start()
    run = watched.run
    if way == "closed":
        watched.catalog.close()
        assert open_descriptors() == before
    elif way == "folder lost":
        watched.folder.rename(watched.folder.with_name("elsewhere"))
        with suppress(Exception):
            watched.catalog.notice()
    else:
        watched.store._compare_all(is_deep=True)
    assert run._process.returncode is not None
    assert run.is_ended


def test_it_ends_when_the_server_was_killed(watched: Site) -> None:
    watched.start()
    watched.run._connection.close()
    assert watched.run._process.wait(ANSWER_LIMIT_S) == 0


def test_it_takes_nothing_of_the_program_from_the_current_folder(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    (tmp_path / "mwl").mkdir()
    (tmp_path / "mwl" / "__init__.py").write_text("raise SystemExit(1)", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    site.load()
    assert len(site.parsed) < FILES
    assert named(events, "second_reader_failed") == []
