"""Where lines of the log go: a stream, or a file that may be rotated.

What a line says is in `mwl.telemetry`.
"""

import errno
import os
import select
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO


class Output(Protocol):
    """What takes bytes, all or an OSError."""

    def write(self, data: bytes) -> int:
        """Take some of the bytes, at least one; tell how many."""


class LogFile:
    """A log file that is written to at its end, whatever is done to it meanwhile.

    Renamed or removed, it is made anew before the next line; truncated, it goes on from its
    beginning. That is both ways of logrotate, `create` and `copytruncate`. When it cannot be made
    anew, lines go where they went until it can.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor, self._identity = _open(path)
        self._output = _output_of(self._descriptor)

    def write(self, data: bytes) -> int:
        """Write at the end of the file of this name; see `Output`."""
        if self._identity != _identity_of(self.path):
            with suppress(OSError):
                descriptor, identity = _open(self.path)
                self.close()
                self._descriptor, self._identity = descriptor, identity
                self._output = _output_of(descriptor)
        return self._output.write(data)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


_FILE_MODE = 0o640
"""The log names devices and folders: for its owner, and a group that collects logs."""


def _open(path: Path) -> tuple[int, tuple[int, int]]:
    # A pipe that somebody put in its place and nobody reads is an error, not a wait without end.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, _FILE_MODE)
    os.set_blocking(descriptor, True)
    status = os.fstat(descriptor)
    return descriptor, (status.st_dev, status.st_ino)


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Descriptor:
    """A file descriptor that takes what it is given at once."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, data: bytes) -> int:
        return os.write(self._number, data)


READER_S = 1.0
"""Seconds that whoever reads the log from a pipe or terminal is waited for, once: scanners wait
meanwhile. From then on lines are lost until it reads again."""

_PIECE_BYTES = 4096
"""What a pipe that takes anything takes without a wait: PIPE_BUF, see pipe(7)."""


class _Read(_Descriptor):
    """The descriptor of a pipe, socket or terminal, which somebody has to read."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._room = select.poll()
        self._room.register(number, select.POLLOUT)
        self._patience_ms = READER_S * 1000

    def write(self, data: bytes) -> int:
        if not self._room.poll(self._patience_ms):
            self._patience_ms = 0
            raise BlockingIOError(errno.EAGAIN, "nobody reads it")
        self._patience_ms = READER_S * 1000
        return super().write(data[:_PIECE_BYTES])


def _output_of(number: int) -> Output:
    return (_Descriptor if stat.S_ISREG(os.fstat(number).st_mode) else _Read)(number)


def output_under(stream: TextIO | None) -> Output | None:
    """Give what is under a stream, to pass it by: that is a third of the cost of a line."""
    if stream is None:
        return None
    try:
        number = stream.fileno()
        stream.flush()
        return _output_of(number)
    except (OSError, ValueError):
        return None  # a stream in memory, or a closed one
