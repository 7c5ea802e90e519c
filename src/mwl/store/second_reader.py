"""A second process that reads files of a large folder while the server reads the others.

To make an item of a file takes ten times as long as to take it over ready-made, and Python code
runs on one core. So the first load of a large folder gives files from the end of the list to a
process of their own, which reads them as the server does and sends back what it would remember of
them: `mwl.store.directory` takes that under the rules for what was remembered.

The process is never needed. What it cannot vouch for (a file that is being written, has a second
name, cannot be read or parsed, is too young) it leaves out, and the server reads that file itself;
likewise everything that was given to it when it dies, does not start or does not answer. Nobody
ever waits for it.
"""

import gc
import marshal
import os
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from mwl.dataset import ENCODINGS, CharacterSet, DictionaryEntry, extend_dictionary
from mwl.item import MAX_FILE_BYTES, WorklistItem, items_of
from mwl.matching.stored import indexed_values
from mwl.store.filesystem import Reading, Signature, read_whole
from mwl.store.known import known_at
from mwl.store.rows import Row, items_of_rows, program, rows_of
from mwl.store.snapshot import Remembered

LEAST_FILES = 5000
"""Fewest files for which a second process is started: it begins to read after 0.3 s, in which the
server reads half of them."""

FILES_AT_A_TIME = 64
"""Files given and answered together: 7 ms of reading, and a millisecond of taking over."""

SLICES_AHEAD = 3
"""Slices given and not yet answered, so that there is always one to read: 20 ms."""

_RECEIVED_BYTES = 256 * 1024
"""Bytes taken from the connection at a time: more than the kernel holds."""

_HEAD = struct.Struct("<I")
"""Length of an answer."""

_ENDED = "it ended"

_Answer = list[tuple[str, tuple[int, ...], tuple[Row, ...]]]
"""Of each file that it vouches for: name, signature, items."""

Parse = Callable[[str, bytes], tuple[WorklistItem, ...]]
"""Gives the items of a file, from its name and bytes; raises DatasetError."""


class Making(NamedTuple):
    """How a site has the items of a file made, in plain values that another process can be told.

    Args:
        split_steps: As for `items_of`.
        default_encoding: Name in `ENCODINGS` of the character set of files that name none.
        dictionary: The site's own attributes, which `extend_dictionary` has taken.
    """

    split_steps: bool
    default_encoding: str
    dictionary: tuple[DictionaryEntry, ...] = ()

    @property
    def default(self) -> CharacterSet:
        """The character set of files that name none."""
        return ENCODINGS[self.default_encoding]

    def parser(self) -> Parse:
        """Give what makes the items of a file."""
        return partial(
            items_of,
            split_steps=self.split_steps,
            default=self.default,
            indexed_of=indexed_values,
        )


class Slice(NamedTuple):
    """What came of some files that were given.

    Args:
        names: The files.
        remembered: Those that were read, as the snapshot would remember them.
    """

    names: list[str]
    remembered: list[Remembered]


class SecondReader:
    """Starts the process where it can help, one at a time however many folders there are.

    Args:
        making: How items are made.
        least_files: Fewest files worth it.
    """

    def __init__(self, making: Making, *, least_files: int = LEAST_FILES) -> None:
        self._making = making
        self._least_files = least_files
        self._program = program()
        self._run: Run | None = None

    def start(self, prefix: str, files: int) -> "Run | None":
        """Start the process when it would help.

        Args:
            prefix: What goes before the name of a file.
            files: How many there are to read.

        Returns:
            None when it would not: few files, one core, or another folder has it.

        Raises:
            OSError: It cannot be started.
        """
        if files < self._least_files or _cores() < 2 or (self._run and not self._run.is_ended):
            return None
        self._run = Run(self._program, self._making, prefix)
        return self._run


class Run:
    """The process, while it reads for one load.

    Args:
        program: What `program` gave when this server began.
        making: How items are made.
        prefix: What goes before the name of a file.

    Attributes:
        fault: Why nothing more will come; None while it works.
        is_ended: Whether `end` was called.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, program: list[str], making: Making, prefix: str) -> None:
        self.fault: str | None = None
        self.is_ended = False
        self._default = making.default
        self._given: deque[list[str]] = deque()
        self._received = bytearray()
        self._connection, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    # Not what lies in the current folder: -P.
                    [sys.executable, "-P", "-m", "mwl.store.second_reader"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except BaseException:
                self._connection.close()
                raise
        self._connection.setblocking(False)
        # Named tuples are nothing that `marshal` writes.
        entries = tuple(map(tuple, making.dictionary))
        self._send((program, (*making[:-1], entries), prefix))

    def give(self, names: deque[str]) -> None:
        """Give files from the end of a list, unless it has some, or the server runs out of them.

        Args:
            names: What is still to be read; the given ones are taken out.
        """
        while (
            self.fault is None
            and len(self._given) < SLICES_AHEAD
            and len(names) > FILES_AT_A_TIME * (len(self._given) + 1)
        ):
            given = [names.pop() for _ in range(FILES_AT_A_TIME)]
            self._given.append(given)
            self._send(given)

    def take(self) -> Slice | None:
        """Give what came of the slice that was given first; None when that is not there yet."""
        answer = self._answer()
        if answer is None and self.fault is None:
            self._receive()
            answer = self._answer()
        if answer is None:
            return None
        return Slice(
            self._given.popleft(),
            [
                Remembered(
                    source, Signature(*signature), items_of_rows(source, rows, self._default)
                )
                for source, signature, rows in answer
            ],
        )

    def end(self) -> list[str]:
        """End the process; give the files of which nothing came."""
        self.is_ended = True
        self._connection.close()
        self._process.kill()
        self._process.wait()
        return list(chain.from_iterable(self._given))

    def _send(self, message: Any) -> None:
        data = marshal.dumps(message)
        try:
            if self._connection.send(data) < len(data):
                self.fault = "it takes no more"
        except OSError as error:
            self.fault = _fault(error)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_RECEIVED_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fault = _fault(error)
            return
        if not data:
            self.fault = _ENDED
        self._received += data

    def _answer(self) -> _Answer | None:
        if len(self._received) < _HEAD.size:
            return None
        (size,) = _HEAD.unpack_from(self._received)
        end = _HEAD.size + size
        if len(self._received) < end:
            return None
        answer: _Answer = marshal.loads(self._received[_HEAD.size : end])  # noqa: S302 - our own
        del self._received[:end]
        return answer


def _fault(error: OSError) -> str:
    return _ENDED if isinstance(error, ConnectionError) else error.strerror or str(error)


def _cores() -> int:
    """Give how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(prefix: str, names: list[str], parse: Parse) -> _Answer:
    """Read files; those that the server has to look at itself are left out."""
    now_ns = time.time_ns()
    readings: list[tuple[str, Reading]] = []
    for name in names:
        with suppress(OSError):
            # Whether leases are to be believed there, the server asks itself.
            readings.append((name, read_whole(prefix + name, MAX_FILE_BYTES, _is_trusted)))
    answer: _Answer = []
    for name, reading in readings:
        if isinstance(reading.data, bytes) and _is_final(reading, now_ns):
            # It is parsed again by the server, who says what is wrong.
            with suppress(Exception):
                rows = rows_of(parse(name, reading.data))
                answer.append((name, tuple(reading.signature), rows))
    return answer


def _is_trusted(_device: int, _path: str) -> bool:
    return True


def _is_final(reading: Reading, now_ns: int) -> bool:
    """Tell whether any later change of a file will show in its signature."""
    known = known_at(now_ns, reading.signature, is_proven=reading.is_proven)
    is_sole = not reading.is_linked
    return known.is_proven and known.is_settled and is_sole and reading.signature.is_fine


def _serve(connection: socket.socket) -> None:
    """Read files for the server until it closes the connection."""
    with connection.makefile("rb") as incoming, suppress(EOFError, ConnectionError):
        expected, making, prefix = marshal.load(incoming)  # noqa: S302 - our own
        if expected != program():
            return  # this program was replaced since the server began
        parse, entries = Making(*making).parser(), making[-1]
        extend_dictionary(DictionaryEntry(*entry) for entry in entries)
        while True:
            answer = marshal.dumps(_read(prefix, marshal.load(incoming), parse))  # noqa: S302
            connection.sendall(_HEAD.pack(len(answer)) + answer)


if __name__ == "__main__":
    gc.disable()  # items make no cycles
    _serve(socket.socket(fileno=sys.stdin.fileno()))
