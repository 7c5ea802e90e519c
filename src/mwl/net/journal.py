"""What happened lately: the last queries, and counts of all.

The SCP notes each query here when it is answered; HTTP shows it. Nothing here knows a socket, and
a query costs about a microsecond of it.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time_ns
from typing import NamedTuple

LATENCY_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
"""Upper bounds of the histogram of latencies, in seconds."""

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
        latency_sum_s: What all took together, in seconds.
    """

    def __init__(self, kept: int, now_ns: Callable[[], int] = time_ns) -> None:
        self.count = 0
        self.answers = 0
        self.by_caller: Counter[tuple[str, int]] = Counter()
        self.latencies = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.latency_sum_s = 0.0
        self._now_ns = now_ns
        self._last: deque[QueryRecord] = deque(maxlen=kept)
        self._callers: set[str] = set()
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[QueryRecord]:
        """Give the queries that are kept, the last one first."""
        return reversed(self._last)

    def note(  # noqa: PLR0913 - one argument a field
        self,
        *,
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
        """Keep a query that has ended, count it and tell those who listen."""
        self.count += 1
        self.answers += answers
        seconds = milliseconds / 1000
        self.latency_sum_s += seconds
        self.latencies[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.by_caller[self._counted(calling_ae_title), status] += 1
        record = QueryRecord(
            self.count,
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
        for listener in self._listeners:
            listener(record)

    def _counted(self, calling_ae_title: str) -> str:
        if calling_ae_title in self._callers:
            return calling_ae_title
        if len(self._callers) >= CALLERS_COUNTED:
            return OTHERS
        self._callers.add(calling_ae_title)
        return calling_ae_title

    @contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """Tell a listener of each query while this lasts; it must not raise, nor take long."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
