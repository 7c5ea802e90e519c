"""After anything that can happen to a folder, the catalog holds what the folder holds.

The folder is a real one. Its true content is read back for each check, so the only thing that the
model keeps is which files are open for writing: those stay as they were shown before.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mwl.catalog import Catalog
from mwl.dataset import ENCODINGS
from mwl.errors import StoreError
from mwl.item import is_worklist
from mwl.store.directory import DirectoryStore
from mwl.store.folder import WatchMode
from mwl.store.notify import Hint, Trust, Watch
from mwl.store.snapshot import Snapshot
from support.folder import bytes_of, content, parse, remember, settle

if TYPE_CHECKING:
    from mwl.item import WorklistItem

ASCII = ENCODINGS["Ascii"]

names = st.sampled_from(["a.wl", "b.WL", "c.wl", "d.txt"])
pool = st.sampled_from(["p", "q"])
texts = st.sampled_from(["", "1", "2", "three"])


class _Deaf(Watch):
    """A watch whose events were lost, as when the kernel's queue overflows."""

    def drain(self, hints: dict[str, Hint]) -> Trust:
        super().drain(hints)
        hints.clear()
        return Trust.INCOMPLETE


class FolderMachine(RuleBasedStateMachine):
    mode: WatchMode

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp()).resolve()
        self.folder = self.base / "worklists"
        self.folder.mkdir()
        self.pool = self.base / "pool"
        self.pool.mkdir()
        self.writers: list[IO[bytes]] = []
        self.aside = 0
        self.start()

    def start(self) -> None:
        snapshot = Snapshot(self.base / "cache", str(self.folder), (), ASCII, least_files=1)
        self.store = DirectoryStore(self.folder, parse, watch=self.mode, snapshot=snapshot)
        self.catalog = Catalog(self.store)
        self.replica: dict[int, WorklistItem] = {}
        self.replica_version = 0

    def teardown(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()
        self.the_catalog_is_the_folder()
        self.catalog.close()
        shutil.rmtree(self.base)

    def somewhere(self) -> Path:
        self.aside += 1
        return self.base / f"aside{self.aside}"

    # What happens to the folder

    @rule(name=names, text=texts)
    def write_in_place(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError):  # a link in a circle
            (self.folder / name).write_bytes(content(text))

    @rule(name=names)
    def write_a_fragment(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / name).write_bytes(b"<fragment")

    @precondition(lambda self: len(self.writers) < 3)
    @rule(name=names, mode=st.sampled_from(["wb", "ab"]), text=texts)
    def begin_to_write(self, name: str, mode: str, text: str) -> None:
        with contextlib.suppress(OSError):
            writer = (self.folder / name).open(mode, buffering=0)
            self.writers.append(writer)
            writer.write(content(text))

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), piece=st.sampled_from([b"", b">", b"x"]))
    def go_on_writing(self, data: st.DataObject, piece: bytes) -> None:
        data.draw(st.sampled_from(self.writers)).write(piece)

    @precondition(lambda self: self.writers)
    @rule(data=st.data())
    def finish_writing(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.writers) - 1))
        self.writers.pop(index).close()

    @rule(name=names, size=st.integers(0, 3))
    def cut(self, name: str, size: int) -> None:
        with contextlib.suppress(OSError):
            os.truncate(self.folder / name, size)

    @rule(name=names, text=texts)
    def rename_in(self, name: str, text: str) -> None:
        path = self.somewhere()
        path.write_bytes(content(text))
        path.replace(self.folder / name)

    @rule(name=names)
    def rename_out(self, name: str) -> None:
        if os.path.lexists(self.folder / name):
            (self.folder / name).rename(self.somewhere())

    @rule(name=names, other=names)
    def rename_within(self, name: str, other: str) -> None:
        if os.path.lexists(self.folder / name):
            (self.folder / name).replace(self.folder / other)

    @rule(name=names)
    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @rule(name=names, pooled=pool)
    def link_symbolically(self, name: str, pooled: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).symlink_to(self.pool / pooled)

    @rule(name=names, other=names)
    def link_symbolically_within(self, name: str, other: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).symlink_to(other)

    @rule(name=names, pooled=pool)
    def link_from_the_pool(self, name: str, pooled: str) -> None:
        if (self.pool / pooled).exists():
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).hardlink_to(self.pool / pooled)

    @rule(name=names, other=names)
    def link_within(self, name: str, other: str) -> None:
        if not (self.folder / other).is_file():
            return
        target = (self.folder / other).resolve()
        if target != self.folder / name:
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).hardlink_to(target)

    @rule(pooled=pool, text=texts)
    def write_into_the_pool(self, pooled: str, text: str) -> None:
        (self.pool / pooled).write_bytes(content(text))

    @rule(pooled=pool)
    def delete_from_the_pool(self, pooled: str) -> None:
        (self.pool / pooled).unlink(missing_ok=True)

    @rule(name=names, text=texts, copy=st.booleans())
    def replace_the_folder(self, name: str, text: str, *, copy: bool) -> None:
        away = self.folder.rename(self.somewhere())
        if copy:
            shutil.copytree(away, self.folder, symlinks=True)
        else:
            self.folder.mkdir()
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).write_bytes(content(text))

    @rule()
    def take_the_folder_away_for_a_while(self) -> None:
        away = self.folder.rename(self.somewhere())
        with pytest.raises(StoreError):
            self.catalog.notice()
        away.rename(self.folder)

    # What happens to the store

    @rule()
    def lose_notifications(self) -> None:
        if self.store._folder.watch is not None:
            self.store._folder.watch.__class__ = _Deaf

    @rule(limit=st.integers(1, 3))
    def read_a_little(self, limit: int) -> None:
        self.catalog.notice()
        self.catalog.read(limit)

    @rule()
    def let_the_files_settle(self) -> None:
        settle(self.folder, self.pool)

    @precondition(lambda self: not self.writers)
    @rule()
    def restart(self) -> None:
        remember(self.catalog)
        self.catalog.close()
        self.start()

    # What must hold

    def expected(self) -> dict[str, bytes]:
        """Read the folder as a query would see it."""
        writing = {os.fstat(writer.fileno()).st_ino for writer in self.writers}
        expected: dict[str, bytes] = {}
        for path in self.folder.iterdir():
            if not is_worklist(path.name):
                continue
            try:
                data = path.read_bytes()
            except OSError:
                continue  # leads nowhere, or in a circle
            if path.stat().st_ino in writing:
                shown = self.catalog.sources.get(path.name)
                if shown:
                    expected[path.name] = bytes_of(shown[0])
            elif data.endswith(b">"):
                expected[path.name] = data
        return expected

    @rule()
    def the_catalog_is_the_folder(self) -> None:
        ticket = self.catalog.notice()
        before = self.expected()
        while not self.catalog.is_current(ticket):
            self.catalog.read(2)
        if self.store._folder.watch is not None:
            self.store._folder.watch.__class__ = Watch
        assert {name: bytes_of(items[0]) for name, items in self.catalog.sources.items()} == before
        assert len(self.catalog) == len(list(self.catalog)) == len(before)

    @rule()
    def a_reader_of_changes_keeps_up(self) -> None:
        changes = self.catalog.changes_since(self.replica_version)
        assert changes is not None
        for removed, added in changes:
            for item in removed:
                del self.replica[id(item)]
            self.replica |= {id(item): item for item in added}
        self.replica_version = self.catalog.version
        assert self.replica.keys() == {id(item) for item in self.catalog}


class WatchedFolderMachine(FolderMachine):
    mode = "inotify"


class ScannedFolderMachine(FolderMachine):
    mode = "scan"


TestWatchedFolder = WatchedFolderMachine.TestCase
TestScannedFolder = ScannedFolderMachine.TestCase

# The kernel takes 10 ms to close a watch, and an example closes several.
TestWatchedFolder.settings = settings(max_examples=60, stateful_step_count=30)
TestScannedFolder.settings = settings(max_examples=60, stateful_step_count=30)

# Each restart syncs a snapshot to the disk, which takes half a second on a disk that is busy.
for case in (TestWatchedFolder, TestScannedFolder):
    pytest.mark.timeout(240)(case)
