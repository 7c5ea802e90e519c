"""How the parts are put together."""

from dataclasses import replace
from pathlib import Path

import pytest

from mwl.config import Config, of_folder
from mwl.find import Worklist
from mwl.site import Worklists, cache_folder
from mwl.store import directory
from mwl.store.snapshot import LEAST_FILES
from support.datasets import data_set, file_of
from support.folder import settle


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
    monkeypatch.setattr(directory, "MEMORY_FILE_SYSTEMS", frozenset())
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
