"""Where audit messages go: a file, or a receiver of syslog over UDP or TLS.

Each takes some messages and returns when they have arrived, as far as that can be known: a file has
them, a receiver's machine has confirmed them (TLS), or has not refused them (UDP). They are called
from a thread of their own and may block, for a while.

Source: RFC 5425 (TLS), RFC 5426 (UDP).
"""

import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Protocol

from mwl.audit.envelope import Envelope
from mwl.audit.syslog import Sender, framed
from mwl.audit.syslog import message as syslog_message
from mwl.errors import ConfigError
from mwl.tls.problems import problem_of

CONNECT_S = 5.0
"""Seconds for a connection and its handshake."""

STALLED_S = 30.0
"""Seconds in which a receiver has to take something; then the connection is given up."""

LOOK_S = 0.2
"""Seconds between looks at whether to stop, while a receiver takes nothing."""

CONFIRMED_EVERY_S = 0.002
"""Seconds between looks at whether the receiver's machine has confirmed what was sent."""

CHUNK_BYTES = 16 * 1024
"""Bytes given to TLS at a time: one record."""

_ESTABLISHED, _CLOSE_WAIT = 1, 8
"""States of a TCP connection in which what was confirmed has arrived, the first byte of tcp_info
(linux/tcp.h). A peer that closes what it has not read to its end resets the connection instead."""


class DestinationError(Exception):
    """Messages cannot be brought there now; says why, of the receiver as "it"."""


class Destination(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    def send(self, messages: Sequence[Envelope]) -> None:
        """Bring some messages there, in order.

        Raises:
            DestinationError: Not all arrived.
        """

    def close(self) -> None:
        """Let go of it."""


class FileDestination:
    """A file with a message on each line, made anew when somebody has moved it away.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return str(self._path)

    def send(self, messages: Sequence[Envelope]) -> None:
        """Append messages."""
        try:
            file = self._open()
            before = os.fstat(file).st_size
            try:
                _write_all(file, b"".join(b"%s\n" % one.xml for one in messages))
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, before)  # half a line would spoil the next
                raise
        except OSError as error:
            raise DestinationError(error.strerror or str(error)) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is not None and not self._is_there(self._file):
            self.close()
        if self._file is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.open(self._path, flags, 0o600)
        return self._file

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


class UdpDestination:
    """A receiver of syslog over UDP: what it misses is lost, unless its machine says so at once.

    Args:
        host: Its name or address.
        port: Its port.
        sender: Who sends.
    """

    def __init__(self, host: str, port: int, sender: Sender) -> None:
        self._address = (host, port)
        self._sender = sender
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"udp://{_written(*self._address)}"

    def send(self, messages: Sequence[Envelope]) -> None:
        """Send each as a datagram."""
        try:
            if self._socket is None:
                self._socket = _connected(self._address)
            for one in messages:
                self._socket.send(_syslog(self._sender, one))
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, os.strerror(number))  # noqa: TRY301 - as send tells it
        except OSError as error:
            self.close()
            raise DestinationError(error.strerror or str(error)) from error

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class TlsDestination:
    """A receiver of syslog over TLS.

    Args:
        host: Its name or address.
        port: Its port.
        sender: Who sends.
        context: Makes what to encrypt with, for each connection; raises ConfigError.
        stopping: Set when nobody will wait any longer.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sender: Sender,
        context: Callable[[], ssl.SSLContext],
        stopping: threading.Event,
    ) -> None:
        self._address = (host, port)
        self._sender = sender
        self._context = context
        self._stopping = stopping
        self._socket: ssl.SSLSocket | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"tls://{_written(*self._address)}"

    def send(self, messages: Sequence[Envelope]) -> None:
        """Send each with its length, and wait until the receiver's machine has them."""
        try:
            if self._socket is not None and _is_closed(self._socket):
                self.close()
            if self._socket is None:
                self._socket = self._connected()
            self._send(
                self._socket, b"".join(framed(_syslog(self._sender, one)) for one in messages)
            )
            self._wait_until_confirmed(self._socket)
        except (OSError, ConfigError) as error:  # an SSLError is an OSError
            self.close()
            raise DestinationError(_reason(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> ssl.SSLSocket:
        plain = socket.create_connection(self._address, CONNECT_S)
        try:
            secured = self._context().wrap_socket(plain, server_hostname=self._address[0])
        except BaseException:
            plain.close()
            raise
        secured.settimeout(LOOK_S)
        return secured

    def _send(self, secured: ssl.SSLSocket, data: bytes) -> None:
        view, deadline = memoryview(data), monotonic() + STALLED_S
        while view:
            try:
                view = view[secured.send(view[:CHUNK_BYTES]) :]
            except TimeoutError:
                self._look_at_clock(deadline)
            else:
                deadline = monotonic() + STALLED_S

    def _wait_until_confirmed(self, secured: ssl.SSLSocket) -> None:
        """Wait until all is confirmed by TCP: syslog itself confirms nothing (RFC 5425)."""
        deadline = monotonic() + STALLED_S
        while _unconfirmed(secured):
            self._look_at_clock(deadline)
            self._stopping.wait(CONFIRMED_EVERY_S)
        state = secured.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state not in (_ESTABLISHED, _CLOSE_WAIT):
            raise ConnectionResetError("it broke the connection off")

    def _look_at_clock(self, deadline: float) -> None:
        if self._stopping.is_set():
            raise TimeoutError("the server stops")
        if monotonic() >= deadline:
            raise TimeoutError("it takes no more")


def _syslog(sender: Sender, one: Envelope) -> bytes:
    return syslog_message(sender, one.time_ns, one.severity, one.xml)


def _connected(address: tuple[str, int]) -> socket.socket:
    [(family, kind, protocol, _, found), *_] = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
    sock = socket.socket(family, kind, protocol)
    try:
        sock.connect(found)
    except OSError:
        sock.close()
        raise
    return sock


def _is_closed(secured: ssl.SSLSocket) -> bool:
    """Tell whether a receiver has ended the connection; it has nothing else to say."""
    if not select.select([secured], [], [], 0)[0]:
        return False
    secured.settimeout(0)
    try:
        return secured.recv(CHUNK_BYTES) == b""
    except ssl.SSLWantReadError:
        return False  # it was about sessions and keys
    finally:
        secured.settimeout(LOOK_S)


def _unconfirmed(sock: socket.socket) -> int:
    """Give the bytes that TCP has to send or to have confirmed (SIOCOUTQ, tcp(7))."""
    [count] = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))
    return int(count)


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return problem_of(error).reason
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _write_all(file: int, data: bytes) -> None:
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, data[written:])
