"""How the parts are put together."""

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mwl.config import Config, of_folder
from mwl.dataset import load_registry
from mwl.find import READ_SLICE, Worklist
from mwl.server import reading as reading_folder
from mwl.site import Worklists, cache_folder
from mwl.store import mounts
from mwl.store.snapshot import LEAST_FILES
from support.datasets import data_set, file_of
from support.folder import settle
from support.items import elements


@pytest.mark.parametrize(
    ("setting", "environment", "expected"),
    [
        ("off", {"HOME": "/home/a"}, None),
        ("/given", {"HOME": "/home/a"}, "/given"),
        ("auto", {"HOME": "/home/a"}, "/home/a/.cache/mwl"),
        ("auto", {"HOME": "/home/a", "XDG_CACHE_HOME": "/cache"}, "/cache/mwl"),
        ("auto", {"XDG_CACHE_HOME": "/c", "CACHE_DIRECTORY": "/one:/two"}, "/one"),
        ("auto", {}, None),
    ],
)
def test_the_cache_lies_where_the_system_wants_it(
    setting: str, environment: dict[str, str], expected: str | None
) -> None:
    assert cache_folder(setting, environment) == (Path(expected) if expected else None)


def serving(folder: Path, cache: Path) -> Config:
    config = of_folder(folder)
    return replace(config, worklists=replace(config.worklists, snapshot=str(cache)))


def load(worklists: Worklists) -> Worklist:
    worklist = worklists.of_everyone()
    assert worklist is not None
    list(worklist.see_every_change())
    return worklist


def test_a_stopped_server_remembers_a_large_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that this means the same where temporary files are kept in memory.
    monkeypatch.setattr(mounts, "MEMORY_FILE_SYSTEMS", frozenset())
    folder, cache = tmp_path / "worklists", tmp_path / "cache"
    folder.mkdir()
    for number in range(LEAST_FILES):
        (folder / f"{number}.wl").write_bytes(file_of(data_set(PatientID=f"P{number}")))
    settle(folder)
    worklists = Worklists(serving(folder, cache))
    load(worklists)
    worklists.close()
    (snapshot,) = cache.iterdir()
    before = snapshot.stat()
    (folder / "new.wl").write_bytes(file_of(data_set(PatientID="NEW")))
    again = Worklists(serving(folder, cache))
    assert len(load(again).catalog) == LEAST_FILES + 1
    again.close()
    assert snapshot.stat().st_ino != before.st_ino
    assert list(cache.iterdir()) == [snapshot]


def test_a_server_without_a_cache_remembers_nothing(tmp_path: Path) -> None:
    config = of_folder(tmp_path)
    worklists = Worklists(replace(config, worklists=replace(config.worklists, snapshot="off")))
    assert len(load(worklists).catalog) == 0
    worklists.close()
    assert list(tmp_path.iterdir()) == []


class Loop:
    """An event loop that notes what it is to call, and calls nothing by itself."""

    def __init__(self) -> None:
        self.soon: list[Callable[..., object]] = []
        self.later: list[Callable[..., object]] = []

    def call_soon(self, callback: Callable[..., object], *_: Any, **__: Any) -> Any:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[..., object], *_: Any, **__: Any) -> Any:
        assert delay > 0
        self.later.append(callback)

    def turn(self) -> None:
        """Call what was to be called soon."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


def preload(loop: Any, worklist: Worklist) -> Callable[[], None]:
    return reading_folder.preload(loop, worklist)


@pytest.fixture
def reading(tmp_path: Path) -> Worklist:
    """A worklist that it takes two turns to read."""
    for number in range(2 * READ_SLICE):
        (tmp_path / f"{number}.wl").write_bytes(file_of(data_set(PatientID=f"P{number}")))
    worklist = Worklists(of_folder(tmp_path)).of_everyone()
    assert worklist is not None
    return worklist


def test_the_registry_is_loaded_after_the_folder_and_after_those_who_waited(
    reading: Worklist,
) -> None:
    loop = Loop()
    preload(loop, reading)
    while loop.soon:
        assert not loop.later
        loop.turn()
    assert len(reading.catalog) == 2 * READ_SLICE
    assert loop.later == [load_registry]


def test_cycles_are_searched_for_again_once_the_folder_is_read(reading: Worklist) -> None:
    loop = Loop()
    preload(loop, reading)
    assert not gc.isenabled()
    while loop.soon:
        loop.turn()
    assert gc.isenabled()


def test_cycles_are_searched_for_again_when_the_server_stops_while_it_reads(
    reading: Worklist,
) -> None:
    stop = preload(Loop(), reading)
    assert not gc.isenabled()
    stop()
    assert gc.isenabled()


def test_cycles_are_searched_for_again_when_the_folder_cannot_be_read(tmp_path: Path) -> None:
    worklist = Worklists(of_folder(tmp_path / "missing")).of_everyone()
    assert worklist is not None
    preload(Loop(), worklist)
    assert gc.isenabled()


def test_another_default_encoding_counts_for_the_files_too(tmp_path: Path) -> None:
    data = data_set(PatientName="Müler".encode())
    (tmp_path / "one.wl").write_bytes(file_of(data))
    worklists = Worklists(of_folder(tmp_path))
    wanted = elements({"PatientName": "Müler", "SpecificCharacterSet": "ISO_IR 192"})

    def found() -> int:
        worklist = load(worklists)
        search = worklist.search(wanted)
        while True:
            try:
                next(search)
            except StopIteration as done:
                return len(done.value)

    assert found() == 0  # it is Latin 1: "MÃ¼ler"
    worklists.set_default_encoding("Utf8")
    assert found() == 1
    worklists.close()
