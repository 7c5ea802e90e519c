"""The catalog keeps items, index and the log of changes in step."""

from collections.abc import Collection

import pytest

from mwl import catalog as catalog_module
from mwl.catalog import Catalog
from mwl.errors import StoreError
from mwl.item import WorklistItem
from mwl.store.memory import MemoryStore
from support.folder import bytes_of, item


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def catalog(store: MemoryStore) -> Catalog:
    return Catalog(store)


def refresh(catalog: Catalog, limit: int = 1) -> None:
    ticket = catalog.notice()
    while not catalog.is_current(ticket):
        catalog.read(limit)


def items(source: str, *texts: bytes) -> tuple[WorklistItem, ...]:
    return tuple(item(source, text, step) for step, text in enumerate(texts))


def contents(found: Collection[WorklistItem]) -> list[bytes]:
    return sorted(map(bytes_of, found))


def test_items_are_there_once_they_have_been_read(store: MemoryStore, catalog: Catalog) -> None:
    store.put("a.wl", items("a.wl", b"1", b"2"))
    store.put("b.wl", items("b.wl", b"3"))
    assert len(catalog) == 0
    refresh(catalog)
    assert contents(list(catalog)) == [b"1", b"2", b"3"]
    assert len(catalog) == 3
    assert {source: len(found) for source, found in catalog.sources.items()} == {
        "a.wl": 2,
        "b.wl": 1,
    }


def test_a_source_is_replaced_as_a_whole(store: MemoryStore, catalog: Catalog) -> None:
    store.put("a.wl", items("a.wl", b"1", b"2"))
    refresh(catalog)
    store.put("a.wl", items("a.wl", b"2"))
    refresh(catalog)
    assert contents(list(catalog)) == [b"2"]
    store.remove("a.wl")
    refresh(catalog)
    assert not list(catalog)
    assert not catalog.sources
    assert len(catalog) == 0


@pytest.mark.parametrize("limit", [1, 100])
def test_the_index_holds_what_the_catalog_holds(
    store: MemoryStore, catalog: Catalog, limit: int
) -> None:
    store.put("a.wl", items("a.wl", b"1", b"2"))
    store.put("b.wl", items("b.wl", b"3"))
    store.put("a.wl", items("a.wl", b"4"))
    store.put("c.wl", items("c.wl", b"5"))
    store.remove("b.wl")
    refresh(catalog, limit)
    assert contents(list(catalog)) == [b"4", b"5"]
    assert set(catalog._index) == set(catalog)
    assert len(catalog._index) == len(catalog)


def test_the_version_rises_only_when_items_change(store: MemoryStore, catalog: Catalog) -> None:
    store.put("a.wl", items("a.wl", b"1", b"2"))
    refresh(catalog)
    assert catalog.version == 1
    kept = list(catalog)
    store.put("a.wl", items("a.wl", b"1", b"2"))
    store.put("b.wl", ())
    store.remove("c.wl")
    refresh(catalog)
    assert catalog.version == 1
    assert list(catalog) == kept
    store.put("a.wl", items("a.wl", b"2", b"1"))
    refresh(catalog)
    assert catalog.version == 2


def test_changes_since_a_version_are_what_a_reader_must_apply(
    store: MemoryStore, catalog: Catalog
) -> None:
    store.put("a.wl", items("a.wl", b"1"))
    refresh(catalog)
    version = catalog.version
    assert catalog.changes_since(version) == []
    store.put("a.wl", items("a.wl", b"2"))
    store.remove("a.wl")
    refresh(catalog)
    changes = catalog.changes_since(version)
    assert changes is not None
    assert [(contents(removed), contents(added)) for removed, added in changes] == [
        ([b"1"], [b"2"]),
        ([b"2"], []),
    ]


def test_changes_too_far_back_are_not_told(
    store: MemoryStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "CHANGES_KEPT", 3)
    catalog = Catalog(store)
    for number in range(5):
        store.put("a.wl", items("a.wl", b"%d" % number))
    refresh(catalog)
    assert catalog.changes_since(1) is None
    assert len(catalog.changes_since(2) or ()) == 3
    assert catalog.changes_since(6) is None


def test_a_store_that_cannot_be_read_fails_the_query(store: MemoryStore, catalog: Catalog) -> None:
    store.put("a.wl", items("a.wl", b"1"))
    refresh(catalog)
    store.fail("taken away", "Call the administrator")
    with pytest.raises(StoreError, match="taken away"):
        catalog.notice()
    store.recover()
    refresh(catalog)
    assert len(catalog) == 1
    catalog.close()


@pytest.mark.parametrize("fault", ["add", "remove"])
def test_a_change_that_could_not_be_applied_is_kept_and_applied_by_the_next_read(
    store: MemoryStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    store.put("a.wl", items("a.wl", b"1"))
    refresh(catalog)
    store.put("b.wl", items("b.wl", b"2"))
    store.put("a.wl", items("a.wl", b"3"))
    store.put("c.wl", items("c.wl", b"4"))

    def fail(*_: WorklistItem) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(catalog._index, fault, fail)
        ticket = catalog.notice()
        with pytest.raises(MemoryError):
            catalog.read(10)
        assert not catalog.is_current(ticket)
    catalog.read(10)
    assert catalog.is_current(ticket)
    assert contents(list(catalog)) == [b"2", b"3", b"4"]
    assert set(catalog._index) == set(catalog)


def test_what_is_not_applied_needs_no_store_to_be_applied(
    store: MemoryStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a.wl", items("a.wl", b"1"))

    def fail(*_: WorklistItem) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(catalog._index, "add", fail)
        catalog.notice()
        with pytest.raises(MemoryError):
            catalog.read(10)
    store.put("b.wl", items("b.wl", b"2"))
    later = catalog.notice()
    store.fail("gone", "gone")
    catalog.read(10)
    assert not catalog.is_current(later)
    store.recover()
    catalog.read(10)
    assert catalog.is_current(later)
    assert contents(list(catalog)) == [b"1", b"2"]
