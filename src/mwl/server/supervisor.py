"""What systemd is told: that the server is ready, reloads, stops, and is alive.

A datagram to the socket that it names, as sd_notify(3) says. Without one nothing is told.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from mwl.text import escape

PINGS_OF_A_TIMEOUT = 2
"""Signs of life within the time that systemd waits for one: sd_watchdog_enabled(3) advises two."""


class Supervisor:
    """Who started this server and watches it, if anybody does.

    Args:
        environment: The environment variables that it sets.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an at sign: unix(7).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._ping_every_s: float | None = None
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with suppress(KeyError, ValueError):
                seconds = int(environment["WATCHDOG_USEC"]) / 1_000_000
                self._ping_every_s = seconds / PINGS_OF_A_TIMEOUT
        self._next_ping: asyncio.TimerHandle | None = None

    def ready(self, status: str) -> None:
        """Tell that the server serves."""
        self._tell(READY=1, STATUS=status)

    def status(self, status: str) -> None:
        """Tell a person who looks at the service how it is."""
        self._tell(STATUS=status)

    def reloading(self) -> None:
        """Tell that the configuration is read anew, until `ready`."""
        self._tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self, longest_s: float) -> None:
        """Tell that the server ends, and how long that takes at most."""
        self._tell(STOPPING=1, EXTEND_TIMEOUT_USEC=int(longest_s * 1_000_000))

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give signs of life from an event loop, where they are waited for."""
        if self._address and self._ping_every_s:
            self._tell(WATCHDOG=1)
            self._next_ping = loop.call_later(self._ping_every_s, self.watch, loop)

    def end_watch(self) -> None:
        """Give none any more."""
        if self._next_ping is not None:
            self._next_ping.cancel()

    def _tell(self, **facts: str | int) -> None:
        if not self._address:
            return
        # Each fact is a line: what a status quotes from a file must not become one.
        message = "".join(f"{name}={escape(str(value))}\n" for name, value in facts.items())
        # Who does not listen does not keep the server from serving.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)
            told.connect(self._address)
            told.send(message.encode())
