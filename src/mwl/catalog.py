"""The items that are served, and their index, in step with a store.

This is the only way an item gets into the index. What changed, and when to look, is known to
`mwl.store`; which items answer a query is decided in `mwl.matching`, in which order in `mwl.find`.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import MappingProxyType

from mwl import telemetry
from mwl.errors import WriteError
from mwl.index import Index
from mwl.item import WorklistItem
from mwl.matching import Criterion, Query, doubts
from mwl.store import Change, Store, Upsert, Write

CHANGES_KEPT = 1024
"""How many changes `changes_since` goes back. A reader further behind starts from scratch, which
costs it about as much as working off this many."""

RECHECK_SLICE = 64
"""Files looked at again before they are remembered, at a time: about 4 ms."""

Difference = tuple[tuple[WorklistItem, ...], tuple[WorklistItem, ...]]
"""Items removed and items added by one change."""


class Catalog:
    """Every worklist item of a store, indexed.

    Not to be read (`candidates`, iteration) while it is being changed (`read`): one thread, and
    no `await` in between.

    Args:
        store: Where the items come from.
        needs_step: Whether the log names items without a scheduled procedure step, which queries
            for attributes of the step will miss.
        tells_doubts: Whether the log names items that some queries will miss.

    Attributes:
        version: Rises by one with each change that altered the items.
    """

    def __init__(self, store: Store, *, needs_step: bool = True, tells_doubts: bool = True) -> None:
        self.version = 0
        self._tells_doubts = tells_doubts
        self._needs_step = needs_step
        self._store = store
        self._index = Index()
        self._items: dict[str, tuple[WorklistItem, ...]] = {}
        self._count = 0
        self._changes: deque[Difference] = deque(maxlen=CHANGES_KEPT)
        self._unapplied: list[Change] = []
        """Changes that the store gave and that do not show yet, last first."""
        self._is_applied = True
        """False while items and index do not agree, or not with the changes given."""

    @property
    def sources(self) -> Mapping[str, tuple[WorklistItem, ...]]:
        """The items of each source, as a live view."""
        return MappingProxyType(self._items)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The sources that are not served because of a fault, each with the reason."""
        return self._store.unreadable

    def notice(self) -> int:
        """Note every change that was complete before this call.

        Returns:
            A ticket for `is_current`.

        Raises:
            StoreError: The store cannot be read.
        """
        return self._store.notice()

    def is_current(self, ticket: int) -> bool:
        """Tell whether the items show every change noted up to this ticket."""
        return self._is_applied and self._store.is_current(ticket)

    def read(self, limit: int) -> None:
        """Apply some of the noted changes.

        The store gives a change once. So one that cannot be applied (memory has run out, say) is
        kept, nothing is current, and the next call tries again.

        Args:
            limit: How many files to handle at most.

        Raises:
            StoreError: The store cannot be read any more.
        """
        if self._is_applied:
            self._unapplied = self._store.read(limit)
            self._unapplied.reverse()
            self._is_applied = False
        else:
            self._index = Index()
            self._index.add(*self)
        self._apply()
        self._is_applied = True

    def changes_since(self, version: int) -> list[Difference] | None:
        """Give what happened after a version, oldest first.

        Returns:
            None when that is too far back to tell.
        """
        behind = self.version - version
        if not 0 <= behind <= len(self._changes):
            return None
        # From the end: a reader is a few changes behind, and there are a thousand.
        return [*islice(reversed(self._changes), behind)][::-1]

    def candidates(self, query: Query) -> Collection[WorklistItem]:
        """Give the items that may match a query: perhaps too many, never too few."""
        return self._index.candidates(query)

    def excluded(self, criterion: Criterion) -> int | None:
        """Give how many items a criterion excludes; None when the index cannot tell."""
        return self._index.excluded(criterion)

    def remember(self) -> Iterator[None]:
        """Keep the items for the next start, where that helps; a slice of work at each step.

        Raises:
            StoreError: The store cannot be read.
        """
        ticket = self._store.recheck()
        if ticket is None:
            return
        while not self.is_current(ticket):
            self.read(RECHECK_SLICE)
            yield
        yield from self._store.remember(self._items)

    def content(self, source: str) -> bytes | None:
        """Give the bytes of a source at this moment; see `mwl.store.Store.content`."""
        return self._store.content(source)

    def changed_ns(self, source: str) -> int | None:
        """Tell when a source got its content; see `mwl.store.Store.changed_ns`."""
        return self._store.changed_ns(source)

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Write some sources, each for itself; see `mwl.store.Store.write`.

        What was written shows here once it was noticed and read, as any other change.
        """
        return self._store.write(writes)

    @property
    def is_watching(self) -> bool:
        """Whether to notice a change costs nothing when there is none."""
        return self._store.is_watching

    def close(self) -> None:
        """Release what the store holds."""
        self._store.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[WorklistItem]:
        return chain.from_iterable(self._items.values())

    def _apply(self) -> None:
        new: list[WorklistItem] = []
        while self._unapplied:
            change = self._unapplied[-1]
            added = change.items if isinstance(change, Upsert) else ()
            removed = self._items.get(change.source, ())
            if (removed or added) and not (removed and _contents(removed) == _contents(added)):
                if removed:
                    if new:
                        self._take_in(new)  # `removed` may be among them
                        new.clear()
                    self._index.remove(*removed)
                new += added
                self._replace(change.source, removed, added)
            self._unapplied.pop()
        self._take_in(new)

    def _take_in(self, items: list[WorklistItem]) -> None:
        self._index.add(*items)
        for item in items if self._tells_doubts else ():
            for reason in doubts(item, needs_step=self._needs_step):
                telemetry.emit("file_doubtful", source=item.source, step=item.step, reason=reason)

    def _replace(
        self,
        source: str,
        removed: tuple[WorklistItem, ...],
        added: tuple[WorklistItem, ...],
    ) -> None:
        if added:
            self._items[source] = added
        else:
            del self._items[source]
        self._count += len(added) - len(removed)
        self.version += 1
        self._changes.append((removed, added))


def _contents(items: tuple[WorklistItem, ...]) -> list[tuple[object, ...]]:
    """Give what tells items apart, which are themselves compared by identity."""
    return [(item.step, item.character_set, item.data) for item in items]
