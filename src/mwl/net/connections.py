"""The open connections of one listener: counted against limits, watched by one clock, given turns.

What one connection does is in `mwl.net.dicom`.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from mwl import limits
from mwl.limits import Exceeded
from mwl.wire.association import Limits

CLOCK_TICK_S = 0.5
"""Seconds between looks at the timers of all associations; how late one may act."""

TICKS_OF_A_TIMEOUT = 4
"""Looks within the shortest timeout, in looks, for timeouts too short for `CLOCK_TICK_S`."""

QUIET_S = 1.0
"""Seconds without anything to do after which an association is asked to end when the server stops.
Most end by themselves right after their answer, and two who ask at once collide."""

ABORT_GRACE_S = 1.0
"""Seconds that the aborts of the others have to go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much one listener takes; see `mwl.limits` for the reasons.

    Args:
        associations: Associations open at once, in all.
        associations_per_host: Associations open at once from one address.
        connections: TCP connections open at once, in all.
        connections_per_host: TCP connections open at once from one address.
        waiting_requests: Requests of one association that wait while another is answered.
        handshake_timeout_s: Seconds that a TLS handshake may take.
    """

    associations: int = limits.ASSOCIATIONS.default
    associations_per_host: int = limits.ASSOCIATIONS_PER_HOST.default
    connections: int = limits.CONNECTIONS.default
    connections_per_host: int = limits.CONNECTIONS_PER_HOST.default
    waiting_requests: int = limits.WAITING_REQUESTS.default
    handshake_timeout_s: float = limits.HANDSHAKE_TIMEOUT.default


class Connection(Protocol):
    """What is asked of a connection here."""

    host: str

    def look_at_clock(self, now: float) -> None:
        """Act on a timer that has run out, on the loop's clock."""

    def take_turn(self) -> None:
        """Do one piece of waiting work."""

    @property
    def work(self) -> object | None:
        """What is being answered, the same thing until that is done; None for nothing."""

    def renew(self) -> None:
        """Go on with what the server has now."""

    def part(self, now: float) -> None:
        """End in good order, where there is nothing to do: asked again and again."""

    def abort(self) -> None:
        """Say A-ABORT."""

    def cut(self) -> None:
        """Close the connection without a word."""

    def make_way(self, exceeded: Exceeded) -> None:
        """Be cut, before it has said who it is, so that another fits below a limit."""


class Connections:
    """The open connections of one listener.

    Args:
        loop: The loop that they run on.
        times: Times of an association.
        capacity: How much is taken.

    Attributes:
        capacity: May be replaced while connections are open: those that are there stay.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, times: Limits, capacity: Capacity | None = None
    ) -> None:
        self._loop = loop
        self.capacity = capacity or Capacity()
        self.follow(times)
        self._clock: asyncio.TimerHandle | None = None
        self._open: dict[Connection, None] = {}  # the oldest first
        self._associated: set[Connection] = set()
        self._open_of_host: dict[str, int] = {}
        self._associated_of_host: dict[str, int] = {}
        self._working: deque[Connection] = deque()
        self._all_closed = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        """How long those that are left may still take, while the server stops."""
        self._closes = False
        self._parting: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def associations(self) -> int:
        """Associations that are open."""
        return len(self._associated)

    def follow(self, times: Limits) -> None:
        """Look at the clock often enough for these times of an association."""
        shortest = min(
            times.artim_timeout_s,
            times.slow_write_timeout_s,
            times.slow_read_timeout_s,
            times.idle_timeout_s or times.artim_timeout_s,
        )
        self._tick_s = min(CLOCK_TICK_S, shortest / TICKS_OF_A_TIMEOUT)

    def renew(self) -> None:
        """Let open associations go on with what the server has now."""
        for connection in self._associated:
            connection.renew()

    def at_work(self) -> set[object]:
        """Give what is being answered now, one thing a query."""
        return {work for connection in self._associated if (work := connection.work) is not None}

    def add(self, connection: Connection) -> Exceeded | None:
        """Count a connection in; give the limit that it breaks, None when it fits.

        Where there is no room, one that has not said who it is makes way, so that whoever opens
        connections and says nothing locks nobody out.
        """
        capacity, host = self.capacity, connection.host
        if self._open_of_host.get(host, 0) >= capacity.connections_per_host:
            exceeded = limits.CONNECTIONS_PER_HOST.hit(capacity.connections_per_host)
            if not self._make_room(exceeded, {host}):
                return exceeded
        if len(self._open) >= capacity.connections:
            exceeded = limits.CONNECTIONS.hit(capacity.connections)
            if not self._make_room(exceeded, self._open_of_host.keys()):
                return exceeded
        self._open[connection] = None
        self._open_of_host[host] = self._open_of_host.get(host, 0) + 1
        if self._clock is None:
            self._clock = self._loop.call_later(self._tick_s, self._tick)
        return None

    def _make_room(self, exceeded: Exceeded, hosts: Collection[str]) -> bool:
        """Cut the oldest connection that is silent, of that host which has the most of them.

        Cost: a look at every open connection, 0.1 ms with the 2,000 of the default.
        """
        oldest: dict[str, Connection] = {}
        silent: Counter[str] = Counter()
        for connection in self._open:
            if connection not in self._associated and connection.host in hosts:
                oldest.setdefault(connection.host, connection)
                silent[connection.host] += 1
        if not silent:
            return False
        ((host, _),) = silent.most_common(1)
        self.remove(oldest[host])
        oldest[host].make_way(exceeded)
        return True

    def associate(self, connection: Connection) -> Exceeded | str | None:
        """Count an association in; give the limit that it breaks, or why else it may not begin."""
        if self._closes:
            return "the server stops"
        capacity, host = self.capacity, connection.host
        if len(self._associated) >= capacity.associations:
            return limits.ASSOCIATIONS.hit(capacity.associations)
        of_host = self._associated_of_host.get(host, 0)
        if of_host >= capacity.associations_per_host:
            return limits.ASSOCIATIONS_PER_HOST.hit(capacity.associations_per_host)
        self._associated.add(connection)
        self._associated_of_host[host] = of_host + 1
        return None

    def remove(self, connection: Connection) -> None:
        """Count a connection out; once is enough, and more do nothing."""
        if connection in self._open:
            del self._open[connection]
            _count_out(self._open_of_host, connection.host)
        if connection in self._associated:
            self._associated.remove(connection)
            _count_out(self._associated_of_host, connection.host)
        if not self._open:
            self._all_closed.set()

    def give_turn(self, connection: Connection) -> None:
        """Let a connection go on with its work when those before it had their turn.

        One connection a round of the loop: what others send is looked at in between, however many
        queries are at work.
        """
        if not self._working:
            self._loop.call_soon(self._next_turn)
        self._working.append(connection)

    def _next_turn(self) -> None:
        connection = self._working.popleft()
        if self._working:
            self._loop.call_soon(self._next_turn)
        connection.take_turn()

    def _tick(self) -> None:
        """Let every connection look at the clock; run on while there are any.

        One timer for all: setting and cancelling one each would cost more than their requests.
        """
        self._clock = self._loop.call_later(self._tick_s, self._tick) if self._open else None
        now = self._loop.time()
        for connection in tuple(self._open):
            connection.look_at_clock(now)

    async def closed(self) -> None:
        """Wait until no connection is open."""
        while self._open:
            self._all_closed.clear()
            await self._all_closed.wait()

    async def close(self, grace_s: float) -> None:
        """Take no association any more; let the open ones end.

        Each is answered what it has asked for and then asked to release. After `grace_s` seconds,
        or when `hurry` is called, those that are left are aborted.
        """
        self._closes = True
        self._part()
        has_closed = await self._closed_within(grace_s)
        if self._parting is not None:
            self._parting.cancel()
        if has_closed:
            return
        for connection in tuple(self._open):
            connection.abort()
        if not await self._closed_within(ABORT_GRACE_S):
            for connection in tuple(self._open):
                connection.cut()
            await self._closed_within(ABORT_GRACE_S)

    def hurry(self) -> None:
        """Let `close`, when it is at work, go on to aborting."""
        if self._patience is not None and not self._patience.expired():
            with suppress(RuntimeError):  # it is over already
                self._patience.reschedule(self._loop.time())

    def _part(self) -> None:
        """Ask them to end, each when it has nothing to do."""
        self._parting = self._loop.call_later(self._tick_s, self._part)
        now = self._loop.time()
        for connection in tuple(self._open):
            connection.part(now)

    async def _closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds) as self._patience:
                await self.closed()
        return not self._open


def _count_out(of_host: dict[str, int], host: str) -> None:
    left = of_host.pop(host) - 1
    if left:
        of_host[host] = left
