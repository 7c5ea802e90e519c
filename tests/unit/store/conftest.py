"""Fixtures for the store: a folder, a place outside it, and what a store tells of it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwl import telemetry
from mwl.store import filesystem
from mwl.store.directory import DirectoryStore
from support.folder import MODES, Events, Served, parse


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
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    emitted: Events = []

    def emit(event: str, **fields: object) -> None:
        assert event in telemetry.EVENTS
        emitted.append((event, fields))

    monkeypatch.setattr(telemetry, "emit", emit)
    return emitted
