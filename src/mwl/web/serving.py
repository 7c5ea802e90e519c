"""The HTTP listener: uvicorn on a socket that is bound already, in the event loop of DICOM.

Of uvicorn stays what speaks HTTP. Its handling of signals and its waiting in polls do not: the
composition root starts and stops it.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Generator
from functools import partial
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mwl import telemetry
from mwl.limits import (
    HANDSHAKE_TIMEOUT,
    HTTP_CONNECTIONS,
    HTTP_HEAD_TIMEOUT,
    HTTP_REQUESTS,
    Exceeded,
)
from mwl.web.context import HttpLimits

STOP_GRACE_S = 2
"""Seconds that requests at work have to end when the server stops: streams never end by
themselves."""

KEEP_ALIVE_S = 5
"""Seconds that a connection without a request stays open."""

TOO_MANY_CONNECTIONS = "too many connections are open"

TOO_MANY_REQUESTS = "Exceeded concurrency limit."
"""What uvicorn complains of where a request is one too many, which it answers with 503."""

HEAD_LIMIT_BYTES = 64 * 1024
"""Longest request line and headers taken."""


class _Server(uvicorn.Server):
    """uvicorn without signals and without a clock."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to the composition root."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end; the clock that uvicorn has here only serves its header Date."""
        await self.ending.wait()


class _Connection(H11Protocol):
    """A connection that does not wait for ever for a request."""

    keeper: "HttpServer"
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, where there is room."""
        super().connection_made(transport)
        most = self.keeper.limits.http_connections
        if len(self.connections) > most:
            self._cut(HTTP_CONNECTIONS.hit(most), TOO_MANY_CONNECTIONS)
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        super().data_received(data)
        # h11 is idle until the headers are whole.
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._patience is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        seconds = self.keeper.limits.http_head_timeout_s
        self._patience = self.loop.call_later(seconds, self._give_up, seconds)

    def _give_up(self, seconds: float) -> None:
        self._cut(HTTP_HEAD_TIMEOUT.hit(seconds), "its headers took too long to come")

    def _cut(self, exceeded: Exceeded, reason: str) -> None:
        _refuse(self.transport, exceeded, reason)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Arriving(asyncio.Protocol):
    """A connection whose TLS handshake is not over; then another takes its place.

    The event loop can do the handshake before anybody hears of the connection, which nobody could
    count then. So it is accepted without TLS, and its socket is given to the loop anew, unread.
    """

    keeper: "HttpServer"

    def __init__(self, **made_of: Any) -> None:
        self._make = partial(self.keeper.speaks, **made_of)
        self._socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, where there is room."""
        self.host = _host_of(transport)
        if self.keeper.add(self):
            try:
                number = os.dup(transport.get_extra_info("socket").fileno())
            except OSError:  # no descriptor is left
                self.keeper.arriving.pop(self)
            else:
                self._socket = socket.socket(fileno=number)
                loop = asyncio.get_running_loop()
                self._agreeing = loop.create_task(self._agree(loop, self._socket))
        cast("asyncio.Transport", transport).abort()

    def cut(self, exceeded: Exceeded, reason: str) -> None:
        """Close it for a limit."""
        telemetry.refuse(exceeded, "http_refused", host=self.host, reason=reason)
        self.end()

    def end(self) -> None:
        """Close it."""
        self.keeper.arriving.pop(self, None)
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    async def _agree(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        seconds = self.keeper.limits.handshake_timeout_s
        try:
            await loop.connect_accepted_socket(
                self._make, accepted, ssl=self.keeper.tls, ssl_handshake_timeout=seconds
            )
        except ConnectionAbortedError:  # what the event loop calls its timeout
            self.cut(HANDSHAKE_TIMEOUT.hit(seconds), "its TLS handshake took too long")
        except OSError:  # of TLS, too
            self.end()
        finally:
            self.keeper.arriving.pop(self, None)
            self._socket = None


def _host_of(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername") or ("",)
    return str(peer[0])


def _refuse(transport: asyncio.Transport, exceeded: Exceeded, reason: str) -> None:
    telemetry.refuse(exceeded, "http_refused", host=_host_of(transport), reason=reason)
    transport.abort()


class _ToTelemetry(logging.Handler):
    """Writes what uvicorn complains of as an event."""

    def __init__(self, keeper: "HttpServer") -> None:
        super().__init__(logging.WARNING)
        self._keeper = keeper

    def emit(self, record: logging.LogRecord) -> None:
        """Write one complaint."""
        error = record.exc_info[1] if record.exc_info else None
        message = record.getMessage()
        is_limit = message == TOO_MANY_REQUESTS
        exceeded = HTTP_REQUESTS.hit(self._keeper.limits.http_requests) if is_limit else None
        emit = telemetry.emitting(exceeded)
        text = None if error is None else telemetry.error_text(error)
        emit("http_trouble", message=message, error=text)


class HttpServer:
    """An application that is served.

    Args:
        app: The application.
        sockets: Bound and listening.
        tls: What to encrypt with; None does not.
        limits: How much is taken.

    Attributes:
        arriving: Connections whose TLS handshake is not over, the oldest first.
        speaks: Makes what speaks HTTP on a connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        tls: ssl.SSLContext | None,
        limits: HttpLimits,
    ) -> None:
        logger = logging.getLogger("uvicorn")
        logger.handlers[:] = [_ToTelemetry(self)]
        logger.propagate = False
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        self.speaks = type("_Connection", (_Connection,), {"keeper": self})
        arriving = type("_Arriving", (_Arriving,), {"keeper": self})
        config = uvicorn.Config(
            app,
            http=self.speaks if tls is None else arriving,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=limits.http_requests,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_GRACE_S,
            h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
        )
        config.load()
        self.tls = tls
        self.limits = limits
        self.arriving: dict[_Arriving, None] = {}
        self._config = config
        self._server = _Server(config)
        self._sockets = sockets
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take requests from now on."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._server.serve(self._sockets))

    async def stop(self) -> None:
        """Take no new request, let those at work end for a while, cut the rest."""
        if self._task is None:
            return
        self._server.should_exit = True
        self._server.ending.set()
        for one in tuple(self.arriving):
            one.end()
        await self._task

    def add(self, one: _Arriving) -> bool:
        """Count a connection in before its handshake; tell whether there is room.

        Where there is none, the oldest whose handshake is not over makes way, of the address that
        has the most of them: so who opens connections and says nothing locks nobody out.
        """
        if self._server.should_exit:
            return False
        most = self.limits.http_connections
        if len(self._server.server_state.connections) + len(self.arriving) >= most:
            hosts = Counter(other.host for other in self.arriving)
            crowded = max(hosts, key=hosts.__getitem__, default="")
            of_host = (other for other in self.arriving if other.host == crowded)
            leaving = next(of_host, one)
            leaving.cut(HTTP_CONNECTIONS.hit(most), TOO_MANY_CONNECTIONS)
            if leaving is one:
                return False
        self.arriving[one] = None
        return True

    def take_over(self, limits: HttpLimits) -> None:
        """Let other limits count for the connections from now on."""
        self.limits = limits
        self._config.limit_concurrency = limits.http_requests

    def hurry(self) -> None:
        """Let `stop` wait for nobody."""
        self._server.force_exit = True
