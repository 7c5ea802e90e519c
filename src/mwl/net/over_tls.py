"""DICOM over TLS: the handshake before an association, and what goes through TLS from then on.

The event loop has a TLS of its own. It is not used because it closes a connection without the alert
that tells the peer why, which is all that the log of a scanner would have, and because it does not
tell us either. What certificates and handshakes say is in `mwl.tls`.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from mwl import telemetry
from mwl.limits import HANDSHAKE_TIMEOUT, Exceeded
from mwl.net import report
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection
from mwl.net.transports import acknowledge, address_of
from mwl.tls.problems import problem_of

READ_BYTES = 64 * 1024
"""Bytes taken out of TLS at a time."""

UNHEARD_BYTES = 64 * 1024
"""Most bytes of TLS that may come without any for DICOM in them. A record takes 16 KiB, and of
those without data, such as a new key, a peer sends one in many gigabytes; each costs the time of a
small query, so thousands a second would hold up everybody."""


class TlsConnection(asyncio.Protocol):
    """A TCP connection with TLS on it.

    Until TLS is agreed upon it counts as a connection, so that limits hold; then DICOM does.

    Args:
        context: What to encrypt with.
        make: Makes what speaks within.
        connections: Where it is counted.
        loop: The loop that calls it.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], DicomConnection],
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._make = make
        self._connections = connections
        self._timeout_s = connections.capacity.handshake_timeout_s
        self._deadline = loop.time() + self._timeout_s
        self._within: DicomConnection | None = None
        self._is_refused = False
        self._has_spoken = False
        self._is_silent = False
        """Whether what came last was answered with nothing so far."""
        self._unheard = 0
        """Bytes that came since DICOM was last given anything."""
        self.host = ""

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self.host, _ = address_of(transport)
        if (exceeded := self._connections.add(self)) is not None:
            self._is_refused = True
            report.no_room(self.host, exceeded)
            self.cut()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._has_spoken = True
        self._is_silent = True
        # In pieces: what is to be told apart may come in one.
        for start in range(0, len(data), UNHEARD_BYTES):
            self._take(data[start : start + UNHEARD_BYTES])
        if self._is_silent:
            acknowledge(self._transport)

    def eof_received(self) -> bool:
        """The peer will send no more, whether it said so within TLS or not."""
        self._received.write_eof()
        if self._within is not None:
            self._read()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell DICOM, or the log that it came to nothing."""
        if self._within is not None:
            self._within.connection_lost(exc)
            return
        if self._has_spoken:  # who does not only looks whether somebody listens
            self._refuse(exc or ConnectionError())
        self._connections.remove(self)

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        if self._within is not None:
            self._within.pause_writing()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._within is not None:
            self._within.resume_writing()

    # The keeper of the connections calls these until DICOM has begun: see `mwl.net.connections`.

    def look_at_clock(self, now: float) -> None:
        """End a handshake that takes too long."""
        if now >= self._deadline:
            self._refuse(TimeoutError(), HANDSHAKE_TIMEOUT.hit(self._timeout_s))
            self.cut()

    def take_turn(self) -> None:
        """Do nothing: there is no query."""

    @property
    def work(self) -> None:
        """Nothing: there is no query."""

    def renew(self) -> None:
        """Do nothing: DICOM begins with what the server has then."""

    def part(self, now: float) -> None:
        """End it: there will be no association."""
        del now
        self.abort()

    def abort(self) -> None:
        """End it: nobody is there yet to hear an A-ABORT."""
        self._is_refused = True
        self.cut()

    def cut(self) -> None:
        """Close the connection without a word."""
        self._transport.abort()

    def make_way(self, exceeded: Exceeded) -> None:
        """Be cut for another, which may have more to say."""
        self._is_refused = True
        report.no_room(self.host, exceeded)
        self.cut()

    # One step.

    def _take(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._received.write(data)
        if self._within is not None:
            self._unheard += len(data)
        elif not self._is_agreed():
            return
        self._read()
        if self._unheard > UNHEARD_BYTES and not self._transport.is_closing():
            report.nothing_within_tls(self.host, self._unheard)
            self._transport.abort()

    def _is_agreed(self) -> bool:
        """Go on with the handshake; tell whether it is done, and DICOM has begun."""
        if self._is_refused:
            return False
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        except ssl.SSLError as error:
            self._refuse(error)
            self.flush()  # the alert
            self._transport.close()
            return False
        self.flush()
        self._connections.remove(self)
        self._within = self._make()
        self._within.connection_made(_Within(self, self._transport, self._tls))
        return True

    def _refuse(self, error: Exception, exceeded: Exceeded | None = None) -> None:
        if not self._is_refused:
            self._is_refused = True
            reason, hint = problem_of(error)
            emit = telemetry.emitting(exceeded)
            emit("tls_refused", host=self.host, reason=reason, hint=hint)

    def _read(self) -> None:
        """Give DICOM what came for it."""
        within = cast("DicomConnection", self._within)
        while not self._transport.is_closing():
            try:
                data = self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            except ssl.SSLError:
                # PS3.15 B.12: what was changed on the way ends the association.
                self.flush()
                self._transport.abort()
                return
            if not data:
                within.eof_received()
                self.close()
                return
            self._unheard = 0
            within.data_received(data)
        self.flush()

    def write(self, data: bytes) -> None:
        """Send what DICOM says."""
        left = memoryview(data)
        while left and not self._transport.is_closing():
            left = left[self._tls.write(left) :]
            self.flush()

    def close(self) -> None:
        """Say that nothing more comes, and close."""
        with suppress(ssl.SSLError):  # the answer is not waited for
            self._tls.unwrap()
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self._to_send.pending:
            self._is_silent = False
            self._transport.write(self._to_send.read())


class _Within(asyncio.Transport):
    """The way out of TLS for DICOM."""

    def __init__(
        self, connection: TlsConnection, transport: asyncio.Transport, tls: ssl.SSLObject
    ) -> None:
        super().__init__()
        self._connection = connection
        self._transport = transport
        self._tls = tls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peercert":
            return self._tls.getpeercert()
        if name == "socket":
            return default  # it is for TLS to acknowledge
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.write(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._transport.abort()
