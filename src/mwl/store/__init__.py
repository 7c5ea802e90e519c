"""Where worklist items come from.

A store reports changes; it does not keep the items: `mwl.catalog` does. `mwl.store.directory` is
the folder of worklist files, `mwl.store.memory` holds what a test or a program puts into it.

The order of calls is `notice`, then `read` until `is_current` says that the ticket of the notice
has been worked off. Between two calls of `read` the caller may do something else.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mwl.errors import WriteError
from mwl.item import WorklistItem


class Upsert(NamedTuple):
    """A source now holds these items, whatever it held before."""

    source: str
    items: tuple[WorklistItem, ...]


class Remove(NamedTuple):
    """A source no longer holds any item."""

    source: str


Change = Upsert | Remove

Sources = Mapping[str, tuple[WorklistItem, ...]]
"""The items of each source."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a source has to be for a write to be done.

    Args:
        tags: Entity tags of the contents that it may have; None for any.
        may_be_absent: Whether it may hold nothing.
        may_be_present: Whether it may hold something.
    """

    tags: frozenset[str] | None = None
    may_be_absent: bool = True
    may_be_present: bool = True

    def admits(self, tag: str | None) -> bool:
        """Tell whether a source may have this entity tag; None stands for no content."""
        if tag is None:
            return self.may_be_absent
        return self.may_be_present and (self.tags is None or tag in self.tags)


ANYTHING = Expected()
ABSENT = Expected(may_be_present=False)
PRESENT = Expected(may_be_absent=False)


class Write(NamedTuple):
    """One change that somebody asks for.

    Args:
        source: Name of the source.
        data: What it is to hold; None to remove it.
        expected: What it has to be before.
    """

    source: str
    data: bytes | None
    expected: Expected = ANYTHING


def entity_tag(data: bytes) -> str:
    """Give what tells a content from every other: a hash of it, in hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Store(Protocol):
    """A place that holds worklist items and changes without being asked."""

    @property
    def is_watching(self) -> bool:
        """Whether to notice a change costs nothing when there is none."""
        ...

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The sources that are not served because of a fault, each with the reason."""
        ...

    def notice(self) -> int:
        """Note every change that was complete before this call.

        Returns:
            A ticket for `is_current`. Tickets never fall.

        Raises:
            StoreError: The place cannot be read, so no query may be answered from it.
        """
        ...

    def read(self, limit: int) -> list[Change]:
        """Do some of the noted work.

        Args:
            limit: How many files (or rows) to handle at most.

        Returns:
            The changes found, in the order in which they must be applied.

        Raises:
            StoreError: The place cannot be read any more.
        """
        ...

    def is_current(self, ticket: int) -> bool:
        """Tell whether all work noted up to this ticket has been read."""
        ...

    def recheck(self) -> int | None:
        """Note, as `notice` does, and what was read too early to be remembered as well.

        Returns:
            A ticket for `is_current`; None when there is nothing to remember.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def remember(self, sources: Sources) -> Iterator[None]:
        """Keep what was read for the next start, where that helps; a slice of work at each step.

        Args:
            sources: What the changes that `read` gave have led to. May change between two steps.
        """
        ...

    def content(self, source: str) -> bytes | None:
        """Give what a source holds at this moment, None when there is none; from any thread.

        Raises:
            StoreError: It cannot be read.
        """
        ...

    def changed_ns(self, source: str) -> int | None:
        """Tell when a source that was read got its content, in nanoseconds since 1970."""
        ...

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Write some sources, each for itself; may block, and may be called from any thread.

        When this returns, what was written outlasts a power cut, and the next `notice` notes it.
        Of several who write one source each sees what the one before left.

        Returns:
            Of each write why it was not done, None when it was.
        """
        ...

    def close(self) -> None:
        """Release what the operating system holds for this store."""
        ...
