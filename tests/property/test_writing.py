"""After any writes and any other changes of the folder, all agree on what is there."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from mwl.catalog import Catalog
from mwl.store import ABSENT, ANYTHING, PRESENT, Expected, Store, Write, entity_tag
from mwl.store.directory import DirectoryStore
from mwl.store.folder import WatchMode
from mwl.store.memory import MemoryStore
from support.folder import bytes_of, content, parse

names = st.sampled_from(["a.wl", "b.WL", "c.wl"])
contents = st.sampled_from(["1", "2", "three"]).map(content)
expectations = st.one_of(
    st.sampled_from([ANYTHING, ABSENT, PRESENT]),
    st.frozensets(contents.map(entity_tag), max_size=2).map(
        lambda tags: Expected(tags, may_be_absent=False)
    ),
)
writes = st.builds(Write, names, st.none() | contents, expectations)


class WritingMachine(RuleBasedStateMachine):
    mode: WatchMode

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.stores: list[Store] = [
            DirectoryStore(self.folder, parse, watch=self.mode),
            MemoryStore(parse),
        ]
        self.catalogs = [Catalog(store) for store in self.stores]
        self.model: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.a_query_sees_the_model()
        for catalog in self.catalogs:
            catalog.close()
        shutil.rmtree(self.folder)

    @rule(batch=st.lists(writes, min_size=1, max_size=4))
    def write(self, batch: list[Write]) -> None:
        expected = [self._apply(write) for write in batch]
        for catalog in self.catalogs:
            assert [result is None for result in catalog.write(batch)] == expected

    def _apply(self, write: Write) -> bool:
        before = self.model.get(write.source)
        if not write.expected.admits(None if before is None else entity_tag(before)):
            return False
        if write.data is None:
            self.model.pop(write.source, None)
        else:
            self.model[write.source] = write.data
        return True

    @rule(name=names, data=contents)
    def somebody_drops_a_file(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.stores[1].write([Write(name, data)])
        self.model[name] = data

    @rule(name=names)
    def somebody_takes_a_file(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self.stores[1].write([Write(name, None)])
        self.model.pop(name, None)

    @rule()
    def a_query_sees_the_model(self) -> None:
        for catalog in self.catalogs:
            ticket = catalog.notice()
            while not catalog.is_current(ticket):
                catalog.read(2)
            found = {source: bytes_of(items[0]) for source, items in catalog.sources.items()}
            assert found == self.model
            for source, data in self.model.items():
                assert catalog.content(source) == data
        assert sorted(path.name for path in self.folder.iterdir()) == sorted(self.model)


class Notified(WritingMachine):
    mode = "inotify"


class Scanned(WritingMachine):
    mode = "scan"


TestNotified = Notified.TestCase
TestScanned = Scanned.TestCase
for case in (TestNotified, TestScanned):
    case.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
