"""The TLS handshake before an association: a connection that becomes one of DICOM when it is done.

What certificates and handshakes say is in `mwl.tls`.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from mwl import telemetry
from mwl.limits import HANDSHAKE_TIMEOUT
from mwl.net import report
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection, address_of
from mwl.tls.problems import problem_of


class Handshake(asyncio.Protocol):
    """A TCP connection on which TLS is agreed upon.

    It counts as a connection, so that limits hold, and takes no association.

    Args:
        context: Gives the context in force.
        make: Makes what takes over.
        connections: Where it is counted.
        loop: The loop that calls it.
    """

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        make: Callable[[], DicomConnection],
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._context = context
        self._make = make
        self._connections = connections
        self._loop = loop
        self._early: list[bytes] = []
        self._has_ended = False
        self._is_lost = False
        self._agreeing: asyncio.Task[None] | None = None
        self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        # What comes before TLS reads itself would be taken for what was said within it.
        self._transport.pause_reading()
        self.host, _ = address_of(transport)
        if (exceeded := self._connections.add(self)) is None:
            self._agreeing = self._loop.create_task(self._agree())
        else:
            report.no_room(self.host, exceeded)
            self.cut()

    async def _agree(self) -> None:
        timeout_s = self._connections.capacity.handshake_timeout_s
        try:
            secured = await self._loop.start_tls(
                self._transport,
                self,
                self._context(),
                server_side=True,
                ssl_handshake_timeout=timeout_s,
            )
        except OSError as error:  # an SSLError is one
            reason, hint = problem_of(error)
            # What asyncio raises when the time is over; the peer's going is another OSError.
            is_late = isinstance(error, TimeoutError | ConnectionAbortedError)
            emit = telemetry.emitting(HANDSHAKE_TIMEOUT.hit(timeout_s) if is_late else None)
            emit("tls_refused", host=self.host, reason=reason, hint=hint)
            self.cut()
            return
        finally:
            # DICOM counts itself in. If this fails in another way it must not count for ever.
            self._connections.remove(self)
        if not self._is_lost:
            self._hand_over(cast("asyncio.Transport", secured))

    def _hand_over(self, secured: asyncio.Transport) -> None:
        """Let DICOM begin, with what came right behind the handshake."""
        connection = self._make()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        for data in self._early:
            connection.data_received(data)
        if self._has_ended:
            connection.eof_received()

    def data_received(self, data: bytes) -> None:
        """Keep what comes before DICOM has taken over."""
        self._early.append(data)

    def eof_received(self) -> bool:
        """Keep that nothing more comes."""
        self._has_ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep that nobody is there any more: DICOM does not begin."""
        self._is_lost = True

    # The keeper of the connections calls these: see `mwl.net.connections`.

    def look_at_clock(self, now: float) -> None:
        """Do nothing: the handshake has its own time."""

    def take_turn(self) -> None:
        """Do nothing: there is no query."""

    @property
    def work(self) -> None:
        """Nothing: there is no query."""

    def renew(self) -> None:
        """Do nothing: the handshake ends with what it began with."""

    def part(self, now: float) -> None:
        """End it: there will be no association."""
        del now
        self.cut()

    def abort(self) -> None:
        """End it: nobody is there yet to hear an A-ABORT."""
        self.cut()

    def cut(self) -> None:
        """Close the connection without a word."""
        self._transport.abort()
