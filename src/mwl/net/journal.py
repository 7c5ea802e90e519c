"""What happened lately: the last queries, and counts of all.

The SCP notes each query here when it is answered; HTTP shows it. Nothing here knows a socket, and
a query costs about a microsecond of it.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time_ns
from typing import Any, NamedTuple

LATENCY_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
"""Upper bounds of the histogram of latencies, in seconds."""

_BOUNDS_MS = tuple(1000 * bound for bound in LATENCY_BOUNDS_S)

CALLERS_COUNTED = 200
"""Calling AE titles that are counted each for itself; a peer may call itself whatever it likes, so
the others are counted together."""

OTHERS = "(others)"
"""Stands for all callers beyond `CALLERS_COUNTED`."""


class QueryRecord(NamedTuple):
    """One query and how it ended.

    Args:
        number: Of the query since the start, from 1.
        time_ns: When it ended, in nanoseconds since 1970.
        calling_ae_title: Who asked.
        called_ae_title: Whom it called.
        host: Address that it came from.
        keys: Keys with a value, as the log shows them (`DeidentifyLogs`).
        status: DIMSE status of the final response; FF00 when it was not finished.
        comment: Error Comment of a failure.
        detail: What the log says beyond that.
        items: Items that were served.
        answers: Items that matched.
        milliseconds: From the request to the final response.
    """

    number: int
    time_ns: int
    calling_ae_title: str
    called_ae_title: str
    host: str
    keys: str | None
    status: int
    comment: str
    detail: str
    items: int
    answers: int
    milliseconds: float


Listener = Callable[[QueryRecord], None]


class Journal:
    """The last queries and the counts of all since the start.

    Args:
        kept: How many queries are kept.
        now_ns: Clock, nanoseconds since 1970.

    Attributes:
        count: Queries since the start.
        answers: Answers sent.
        by_caller: Queries by calling AE title and status.
        latencies: How many queries took so long, by the place of the first bound of
            `LATENCY_BOUNDS_S` that they stay below; the last is for the longer ones.
        milliseconds: What all took together.
    """

    def __init__(self, kept: int, now_ns: Callable[[], int] = time_ns) -> None:
        self.count = 0
        self.answers = 0
        self.by_caller: dict[tuple[str, int], int] = {}
        self.latencies = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.milliseconds = 0.0
        self._now_ns = now_ns
        # Plain tuples: to make a `QueryRecord` of each would cost as much as all the rest.
        self._last: deque[tuple[Any, ...]] = deque(maxlen=kept)
        self._callers: set[str] = set()
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[QueryRecord]:
        """Give the queries that are kept, the last one first."""
        return map(QueryRecord._make, reversed(self._last))

    def note(  # noqa: PLR0913, PLR0917 - one argument a field; by name they would cost more
        self,
        calling_ae_title: str,
        called_ae_title: str,
        host: str,
        keys: str | None,
        status: int,
        comment: str,
        detail: str,
        items: int,
        answers: int,
        milliseconds: float,
    ) -> None:
        """Keep a query that has ended, count it and tell those who listen.

        The arguments are the fields of `QueryRecord`. Cost: a microsecond.
        """
        self.count = count = self.count + 1
        self.answers += answers
        self.milliseconds += milliseconds
        self.latencies[bisect_left(_BOUNDS_MS, milliseconds)] += 1
        asked = (calling_ae_title, status)
        try:
            self.by_caller[asked] += 1
        except KeyError:
            self._count(asked)
        record = (
            count,
            self._now_ns(),
            calling_ae_title,
            called_ae_title,
            host,
            keys,
            status,
            comment,
            detail,
            items,
            answers,
            milliseconds,
        )
        self._last.append(record)
        if self._listeners:
            self._tell(QueryRecord._make(record))

    def _count(self, asked: tuple[str, int]) -> None:
        title, status = asked
        if title not in self._callers:
            if len(self._callers) < CALLERS_COUNTED:
                self._callers.add(title)
            else:
                title = OTHERS
        key = (title, status)
        self.by_caller[key] = self.by_caller.get(key, 0) + 1

    def _tell(self, record: QueryRecord) -> None:
        for listener in self._listeners:
            listener(record)

    @contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """Tell a listener of each query while this lasts; it must not raise, nor take long."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
