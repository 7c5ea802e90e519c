"""A store that holds what the program puts into it: for tests and demonstrations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from types import MappingProxyType

from mwl.errors import DatasetError, SourceChanged, StoreError, WriteError
from mwl.item import WorklistItem
from mwl.store import Change, Remove, Sources, Upsert, Write, entity_tag
from mwl.store.writing import require_safe


class MemoryStore:
    """Sources and their items, changed by calls instead of by the world outside.

    Args:
        parse: Gives the items of what is written; without it, nothing can be.
    """

    is_watching = True

    def __init__(
        self, parse: Callable[[str, bytes], tuple[WorklistItem, ...]] | None = None
    ) -> None:
        self._parse = parse
        self._contents: dict[str, bytes] = {}
        self._turn = Lock()
        self._waiting: list[Change] = []
        self._noted = 0
        self._read = 0
        self._failure: StoreError | None = None
        self._faults: dict[str, str] = {}

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The sources that are not served, each with the reason."""
        return MappingProxyType(self._faults)

    def refuse(self, source: str, reason: str) -> None:
        """Let a source have a fault for which it is not served."""
        self._faults[source] = reason

    def put(self, source: str, items: tuple[WorklistItem, ...]) -> None:
        """Let a source hold these items."""
        self._waiting.append(Upsert(source, items))

    def remove(self, source: str) -> None:
        """Let a source hold nothing any more."""
        self._waiting.append(Remove(source))

    def fail(self, message: str, comment: str) -> None:
        """Be unreadable until `recover`."""
        self._failure = StoreError(message, comment=comment)

    def recover(self) -> None:
        """Be readable again."""
        self._failure = None

    def notice(self) -> int:
        """Note every change made so far; see `mwl.store.Store`."""
        self._require()
        self._noted = self._read + len(self._waiting)
        return self._noted

    def read(self, limit: int) -> list[Change]:
        """Give at most `limit` noted changes; see `mwl.store.Store`."""
        self._require()
        count = min(limit, self._noted - self._read)
        changes, self._waiting = self._waiting[:count], self._waiting[count:]
        self._read += count
        return changes

    def is_current(self, ticket: int) -> bool:
        """Tell whether all changes noted up to this ticket were given."""
        return self._failure is None and self._read >= ticket

    def recheck(self) -> None:
        """Nothing to remember."""

    def remember(self, sources: Sources) -> Iterator[None]:
        """Nothing to keep."""
        del sources
        return iter(())

    def content(self, source: str) -> bytes | None:
        """Give what was written last; see `mwl.store.Store`."""
        return self._contents.get(source)

    def changed_ns(self, source: str) -> None:
        """No clock here."""

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Hold what is written; see `mwl.store.Store`. A power cut loses it."""
        for write in writes:
            require_safe(write.source)
        with self._turn:
            return [self._write(write) for write in writes]

    def _write(self, write: Write) -> WriteError | None:
        before = self.content(write.source)
        tag = None if before is None else entity_tag(before)
        if not write.expected.admits(tag):
            return SourceChanged("not the item that was expected", entity_tag=tag)
        if write.data is None:
            if self._contents.pop(write.source, None) is not None:
                self.remove(write.source)
            return None
        if self._parse is None:
            return WriteError("nothing can be written here")
        try:
            items = self._parse(write.source, write.data)
        except DatasetError:
            items = ()
        self._contents[write.source] = write.data
        self.put(write.source, items)
        return None

    def close(self) -> None:
        """Nothing to release."""

    def _require(self) -> None:
        if self._failure is not None:
            raise StoreError(str(self._failure), comment=self._failure.comment)
