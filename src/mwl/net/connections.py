"""The open connections of one listener: counted against limits, watched by one clock, given turns.

What one connection does is in `mwl.net.dicom`.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Protocol

from mwl.wire.association import Limits

MAXIMUM_ASSOCIATIONS = 1000
"""Associations open at once, in all: each costs about 20 KiB and a file descriptor."""

MAXIMUM_ASSOCIATIONS_OF_HOST = 500
"""Associations open at once from one host: one runaway device leaves room for the others."""

MAXIMUM_CONNECTIONS = 2 * MAXIMUM_ASSOCIATIONS
"""TCP connections open at once, those included that have not said who they are: such a one is cut
off by ARTIM, and until then it takes no association from anybody."""

CLOCK_TICK_S = 0.5
"""Seconds between looks at the timers of all associations; how late one may act."""

TICKS_OF_A_TIMEOUT = 4
"""Looks within the shortest timeout, in looks, for timeouts too short for `CLOCK_TICK_S`."""

QUIET_S = 1.0
"""Seconds without anything to do after which an association is asked to end when the server stops.
Most end by themselves right after their answer, and two who ask at once collide."""

ABORT_GRACE_S = 1.0
"""Seconds that the aborts of the others have to go out."""


class Connection(Protocol):
    """What is asked of a connection here."""

    host: str

    def look_at_clock(self, now: float) -> None:
        """Act on a timer that has run out, on the loop's clock."""

    def take_turn(self) -> None:
        """Do one piece of waiting work."""

    def part(self, now: float) -> None:
        """End in good order, where there is nothing to do: asked again and again."""

    def abort(self) -> None:
        """Say A-ABORT."""

    def cut(self) -> None:
        """Close the connection without a word."""


class Connections:
    """The open connections of one listener.

    Args:
        loop: The loop that they run on.
        limits: Times of an association.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._tick_s = min(
            CLOCK_TICK_S,
            limits.artim_timeout_s / TICKS_OF_A_TIMEOUT,
            limits.idle_timeout_s / TICKS_OF_A_TIMEOUT or CLOCK_TICK_S,
        )
        self._clock: asyncio.TimerHandle | None = None
        self._open: set[Connection] = set()
        self._associated: set[Connection] = set()
        self._of_host: dict[str, int] = {}
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

    def add(self, connection: Connection) -> bool:
        """Count a connection in; tell whether there was room for it."""
        if len(self._open) >= MAXIMUM_CONNECTIONS:
            return False
        self._open.add(connection)
        if self._clock is None:
            self._clock = self._loop.call_later(self._tick_s, self._tick)
        return True

    def associate(self, connection: Connection) -> str | None:
        """Count an association in; give the limit that it breaks, None when it fits."""
        if self._closes:
            return "the server stops"
        if len(self._associated) >= MAXIMUM_ASSOCIATIONS:
            return f"{MAXIMUM_ASSOCIATIONS} associations are open"
        of_host = self._of_host.get(connection.host, 0)
        if of_host >= MAXIMUM_ASSOCIATIONS_OF_HOST:
            return f"{MAXIMUM_ASSOCIATIONS_OF_HOST} associations are open from this host"
        self._associated.add(connection)
        self._of_host[connection.host] = of_host + 1
        return None

    def remove(self, connection: Connection) -> None:
        """Count a connection out."""
        self._open.discard(connection)
        if connection in self._associated:
            self._associated.remove(connection)
            left = self._of_host.pop(connection.host) - 1
            if left:
                self._of_host[connection.host] = left
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
