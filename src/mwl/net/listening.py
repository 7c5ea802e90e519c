"""Sockets that listen: bound before anything is served, and those that wait for a first caller."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from mwl.errors import ConfigError, NotToBeHad

BACKLOG = 512
"""Connections that may wait to be accepted: every device of a hospital after a power cut."""

AGAIN_S = 5.0
"""Seconds until what could not be served for want of descriptors or memory is tried again."""

_PORT_REASONS: Mapping[int | None, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "another program has this port; choose another with {flag}",
        errno.EACCES: "ports below 1024 need a privilege; choose a higher one with {flag}",
    }
)
"""What to do about a port that cannot be had."""


@dataclass(frozen=True, slots=True)
class Named:
    """How the operator names an address and a port.

    Args:
        host: Option of the address.
        port: Option of the port.
        flag: Argument of the command line for the port.
    """

    host: str
    port: str
    flag: str


def listen(host: str, port: int, named: Named) -> socket.socket:
    """Give a listening socket: of one address, or of all of them, IPv4 and IPv6, without a host.

    Raises:
        NotToBeHad: Not now.
        ConfigError: Not without a privilege.
    """
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        family, *_ = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104 - the operator asked for all addresses
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        in_port = number in _PORT_REASONS
        reason = os.strerror(number) if number and in_port else str(error)
        # A privilege does not come by itself; a port is given up, a network comes up.
        kind = ConfigError if number == errno.EACCES else NotToBeHad
        raise kind(
            f"cannot listen on {host or 'all addresses'}, port {port}: {reason}",
            option=named.port if in_port else named.host,
            hint=_PORT_REASONS[number].format(flag=named.flag) if number and in_port else None,
        ) from error


def listen_on_loopback(port: int, named: Named) -> list[socket.socket]:
    """Give the listening sockets of the loopback, IPv4 and, where there is any, IPv6.

    Raises:
        ConfigError: The port cannot be had.
    """
    first = listen("127.0.0.1", port, named)
    try:
        return [first, listen("::1", first.getsockname()[1], named)]
    except ConfigError as error:
        # Without IPv6 nobody can ask there; but who asks for localhost may get it first, and must
        # not reach another program.
        if error.option == named.port and port:
            first.close()
            raise
        return [first]


class Running(Protocol):
    """What serves sockets."""

    def start(self) -> None:
        """Take connections from now on."""

    async def stop(self) -> None:
        """Take no more, and end those that are open."""

    def hurry(self) -> None:
        """Let `stop` wait for nobody."""


class OnDemand:
    """Sockets that are served from the first connection on, or when there is time for it.

    What serves them is made in a thread: to import it may take long. Connections wait until then,
    and when descriptors or memory run out meanwhile, until it is tried again.

    Args:
        loop: The loop that serves them.
        sockets: Bound and listening.
        make: Makes what serves them.
        failed: Is told why it cannot be made.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        make: Callable[[], Running],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._sockets = sockets
        self._make = make
        self._failed = failed
        self._starting: asyncio.Task[Running | None] | None = None
        self._running: Running | None = None
        self._again: asyncio.TimerHandle | None = None
        for sock in sockets:
            loop.add_reader(sock, self.begin)

    def begin(self) -> None:
        """Serve them, if that has not begun."""
        if self._starting is None:
            for sock in self._sockets:
                self._loop.remove_reader(sock)
            self._starting = self._loop.create_task(self._start())

    async def settled(self) -> None:
        """Wait until they are served, or cannot be, if that has begun."""
        if self._starting is not None:
            await self._starting

    async def ready(self) -> None:
        """Begin, and wait until they are served."""
        self.begin()
        await self.settled()

    async def _start(self) -> Running | None:
        try:
            running = await asyncio.to_thread(self._make)
            running.start()
        except (OSError, MemoryError) as error:
            self._failed(error)
            self._starting = None
            self._again = self._loop.call_later(AGAIN_S, self.begin)
            return None
        except Exception as error:  # noqa: BLE001 - DICOM goes on without it
            self._failed(error)
            for sock in self._sockets:
                sock.close()  # nobody is to wait for what does not come
            return None
        self._running = running
        return running

    def hurry(self) -> None:
        """Let `stop` wait for nobody."""
        if self._running is not None:
            self._running.hurry()

    async def stop(self) -> None:
        """Take no more connections, and end those that are open."""
        if self._starting is None:
            for sock in self._sockets:
                self._loop.remove_reader(sock)
        elif (running := await self._starting) is not None:
            await running.stop()
        if self._again is not None:
            self._again.cancel()
        for sock in self._sockets:
            sock.close()
