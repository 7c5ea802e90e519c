"""Composition root: a `Config` becomes a running server. The only place where the parts meet.

What an option means is in `mwl.config`; what the parts do is in their own modules.
"""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Self

from mwl import telemetry
from mwl.config import Config
from mwl.dataset import (
    TRANSFER_SYNTAXES,
    load_registry,
)
from mwl.errors import ConfigError, StoreError
from mwl.find import IDENTIFIER_LIMIT_BYTES, Worklist
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection, Service
from mwl.site import Worklists, access_policy, take_dictionary
from mwl.wire import negotiation
from mwl.wire.association import Limits

_PORT_HINTS: Mapping[int | None, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "another program has this port; choose another with --port",
        errno.EACCES: "ports below 1024 need a privilege; choose a higher one with --port",
    }
)
"""What to do about a port that cannot be had."""

FILES_WANTED = 4096
"""Descriptors to have room for: connections up to their limit, folders and files."""

LINES_TOGETHER_S = 0.005
"""Seconds that a line of the log may wait for others: all that a kill without warning can lose."""

REGISTRY_LATER_S = 1.0
"""Seconds from the reading of the folder to that of the registry, which takes 0.1 s: early enough
to be there before a query asks for a rare attribute, late enough for those who wait to be answered.
"""

EVENTS_WITHIN_S = 1.0
"""Seconds after which event hooks hear of items that changed, at the latest."""

BACKLOG = 512
"""Connections that may wait to be accepted: every device of a hospital after a power cut."""


class Server:
    """A DICOM Modality Worklist server.

    Args:
        config: What to serve, where and to whom.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._worklists = Worklists(config)
        self._connections: Connections | None = None
        self._listener: asyncio.Server | None = None
        self._preloading: Callable[[], None] = _nothing
        self._watching: Callable[[], None] = _nothing
        self.host = ""
        self.port = 0

    async def start(self) -> Self:
        """Listen, and begin to read the folder; queries wait until it is read.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        config = self._config
        take_dictionary(config)
        loop = asyncio.get_running_loop()
        service = self._service()
        connections = self._connections = Connections(loop, service.limits)
        _raise_file_limit()
        telemetry.write_together(partial(loop.call_later, LINES_TOGETHER_S))
        listening = _listen(config.dicom_host, config.dicom_port)
        # Accepted sockets inherit it: a scanner that crashed leaves no association for ever.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listener = await loop.create_server(
            lambda: DicomConnection(service, connections, loop),
            sock=listening,
            backlog=BACKLOG,
        )
        self.host, self.port = listening.getsockname()[:2]
        telemetry.emit(
            "listening",
            ae_title=config.dicom_ae_title,
            host=self.host,
            port=self.port,
            folder=str(config.worklists.database.absolute()),
        )
        if (worklist := self._worklists.of_everyone()) is not None:
            self._preloading = _preload(loop, worklist)
        if (callbacks := self._worklists.callbacks) is not None:
            callbacks.started(loop.call_soon_threadsafe)
            if callbacks.hears_events:
                self._watching = _watch(loop, self._worklists)
        return self

    async def stop(self) -> None:
        """Take no new association, let the open ones finish for a while, abort the rest."""
        if self._listener is None or self._connections is None:
            return
        telemetry.emit("stopping", associations=len(self._connections))
        self._listener.close()
        self._preloading()
        self._watching()
        await self._connections.close()
        self._worklists.close()
        telemetry.emit("stopped")
        telemetry.write_together(None)

    async def serve(self) -> None:
        """Start, run until SIGTERM, SIGINT or SIGHUP, stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await self.start()
        await stop.wait()
        await self.stop()

    def _service(self) -> Service:
        config = self._config
        return Service(
            access=access_policy(config),
            worklist=self._worklists.of,
            negotiation=negotiation.Policy(
                abstract_syntaxes={
                    negotiation.VERIFICATION: TRANSFER_SYNTAXES,
                    negotiation.MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES,
                },
                max_pdu_length=config.maximum_pdu_length,
            ),
            limits=Limits(
                max_pdu_length=config.maximum_pdu_length,
                idle_timeout_s=config.dicom_scp_timeout_s,
                max_message_bytes=IDENTIFIER_LIMIT_BYTES,
            ),
            values_in_log=not config.deidentify_logs,
        )


def _raise_file_limit() -> None:
    """Ask for as many descriptors as the limits of connections may need, where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    """Give a listening socket: of one address, or of all of them, IPv4 and IPv6, without a host."""
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        family, *_ = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104 - the operator asked for all addresses
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        in_port = number in _PORT_HINTS
        reason = os.strerror(number) if number and in_port else str(error)
        raise ConfigError(
            f"cannot listen on {host or 'all addresses'}, port {port}: {reason}",
            option="DicomPort" if in_port else "DicomHost",
            hint=_PORT_HINTS[number] if number and in_port else None,
        ) from error


def _preload(loop: asyncio.AbstractEventLoop, worklist: Worklist) -> Callable[[], None]:
    """Read the folder in slices between other work, so that the first query need not wait.

    Returns:
        What ends it before its time.
    """
    steps = _load(worklist)

    def step() -> None:
        try:
            next(steps)
        except (StopIteration, StoreError):
            # Read, or not to be read: the store has said so. Those who waited are answered first.
            loop.call_later(REGISTRY_LATER_S, load_registry)
        else:
            loop.call_soon(step)

    step()
    return steps.close


def _load(worklist: Worklist) -> Generator[None, None, None]:
    # Items make no cycles, but the search for some takes long among 100,000 of them, while nobody
    # is answered: none while they are read, and what is there then is left out of it.
    gc.disable()
    try:
        yield from worklist.see_every_change()
    finally:
        gc.enable()
        gc.freeze()
    yield from worklist.catalog.remember()


def _watch(loop: asyncio.AbstractEventLoop, worklists: Worklists) -> Callable[[], None]:
    """Look for changes although nobody asks, so that event hooks hear of items soon.

    Returns:
        What ends it.
    """
    next_look: asyncio.Handle | None = None

    def look() -> None:
        step(chain.from_iterable(map(_changes, worklists.opened)))

    def step(steps: Iterator[None]) -> None:
        nonlocal next_look
        try:
            next(steps)
        except StopIteration:
            next_look = loop.call_later(EVENTS_WITHIN_S, look)
        else:
            next_look = loop.call_soon(step, steps)

    def end() -> None:
        if next_look is not None:
            next_look.cancel()

    look()
    return end


def _changes(worklist: Worklist) -> Iterator[None]:
    with suppress(StoreError):  # the store has said so
        yield from worklist.see_every_change()


def _nothing() -> None:
    pass
