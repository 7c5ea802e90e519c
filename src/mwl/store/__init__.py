"""Where worklist items come from.

A store reports changes; it does not keep the items: `mwl.catalog` does. `mwl.store.directory` is
the folder of worklist files, `mwl.store.memory` holds what a test or a program puts into it.

The order of calls is `notice`, then `read` until `is_current` says that the ticket of the notice
has been worked off. Between two calls of `read` the caller may do something else.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

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


class Store(Protocol):
    """A place that holds worklist items and changes without being asked."""

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

    def close(self) -> None:
        """Release what the operating system holds for this store."""
        ...
