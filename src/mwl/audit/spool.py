"""Messages on the disk until they are delivered: in order, bounded, there again after a kill.

A folder holds numbered segments, each a row of records, and the place up to which all is delivered.
A segment is removed when it is delivered; a new start begins a new one, so that what a kill left
half written is at the end of a segment, where reading goes on with the next.

What is written survives the process; nothing waits for the disk itself (fsync), so that a power cut
can take the last seconds.
"""

import errno
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mwl.errors import ConfigError

SEGMENT_BYTES = 1024 * 1024
"""Length at which a new segment is begun, in bytes; of a small spool it is less."""

SEGMENTS = 16
"""Segments that a full spool has at least: to deliver one is enough to make room."""

RECORD_LIMIT_BYTES = 1024 * 1024
"""Longest message, in bytes; more is no length but damage."""

_SUFFIX = ".spool"
_POSITION = "position"
_LOCK = "lock"
_record = struct.Struct(">II")
"""Length and CRC-32 of what follows."""
_position = struct.Struct(">QQI")
"""Segment, offset, CRC-32 of both."""


class Place(NamedTuple):
    """A place in the spool.

    Args:
        segment: Number of the segment.
        offset: Bytes from its start.
    """

    segment: int
    offset: int


class Record(NamedTuple):
    """A message that waits.

    Args:
        data: The message.
        end: Where the next one starts.
    """

    data: bytes
    end: Place


class Spool:
    """The messages that wait. May be used by several threads.

    Args:
        folder: Where they are kept; made when it is not there.
        limit_bytes: Longest that all segments may be together, in bytes.

    Attributes:
        waiting: Messages that are not delivered.
        damaged_bytes: What could not be read since the start.

    Raises:
        ConfigError: The folder cannot be used, or another server uses it.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = min(SEGMENT_BYTES, limit_bytes // SEGMENTS)
        self._mutex = threading.Lock()
        self._lock = _locked(folder)
        self._sizes = {
            int(file.stem): file.stat().st_size
            for file in sorted(folder.glob(f"*{_SUFFIX}"))
            if file.stem.isdecimal()
        }
        self._marker = os.open(folder / _POSITION, os.O_RDWR | os.O_CREAT, 0o600)
        self._read = self._first(_place_in(os.pread(self._marker, _position.size, 0)))
        self._next_segment = max([*self._sizes, self._read.segment], default=0) + 1
        self._written: Place | None = None
        """Where the next message goes; None begins a segment."""
        self._files: dict[int, int] = {}
        self.damaged_bytes = 0
        self._is_open = True
        self.waiting = sum(1 for _ in self._scan(self._read))

    def append(self, data: bytes) -> bool:
        """Keep a message; tell whether there was room.

        Raises:
            OSError: It cannot be written.
        """
        with self._mutex:
            self._require_open()
            size = _record.size + len(data)
            if sum(self._sizes.values()) + size > self._limit_bytes:
                return False
            if self._written is None or self._written.offset >= self._segment_bytes:
                self._begin()
            place = self._written or Place(0, 0)
            record = _record.pack(len(data), zlib.crc32(data)) + data
            try:
                _write_at(self._file(place.segment), record, place.offset)
            except OSError:
                self._written = None  # what follows must not stand behind half a record
                raise
            self._written = Place(place.segment, place.offset + size)
            self._sizes[place.segment] = self._written.offset
            self.waiting += 1
            return True

    def next(self, limit: int, limit_bytes: int) -> list[Record]:
        """Give the messages that wait, oldest first, as many as fit into both limits, or one.

        Raises:
            OSError: They cannot be read.
        """
        found: list[Record] = []
        with self._mutex:
            self._require_open()
            for record in self._scan(self._read):
                limit_bytes -= len(record.data)
                if found and limit_bytes < 0:
                    break
                found.append(record)
                if len(found) == limit:
                    break
            if not found:
                self.waiting = 0  # what was damaged since the start is counted no more
            return found

    def delivered(self, records: list[Record]) -> None:
        """Forget messages that `next` gave.

        Raises:
            OSError: That cannot be written.
        """
        with self._mutex:
            self._require_open()
            self._read = records[-1].end
            self.waiting -= len(records)
            self._drop_read()
            body = struct.pack(">QQ", *self._read)
            os.pwrite(self._marker, body + struct.pack(">I", zlib.crc32(body)), 0)

    def close(self) -> None:
        """Let go of the folder; what waits stays."""
        with self._mutex:
            self._is_open = False
            for file in (*self._files.values(), self._marker, self._lock):
                os.close(file)
            self._files.clear()

    def _require_open(self) -> None:
        # A thread that could not be ended may come late; its descriptors are others' by then.
        if not self._is_open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _begin(self) -> None:
        self._written = Place(self._next_segment, 0)
        self._next_segment += 1

    def _first(self, place: Place | None) -> Place:
        """Give where to begin to read."""
        if place is not None and place.segment in self._sizes:
            return place
        if place is not None and not self._sizes:
            return place  # its number must not be given again
        return Place(min(self._sizes, default=0), 0)

    def _drop_read(self) -> None:
        """Remove what is read to its end, but for the segment being written."""
        writing = -1 if self._written is None else self._written.segment
        for segment in [*self._sizes]:
            if segment < self._read.segment or (
                segment == self._read.segment != writing
                and self._read.offset >= self._sizes[segment]
            ):
                self._remove(segment)
        if self._written == self._read and self._read.offset >= self._segment_bytes:
            self._remove(self._read.segment)
            self._written = None

    def _remove(self, segment: int) -> None:
        if (file := self._files.pop(segment, None)) is not None:
            os.close(file)
        self._path(segment).unlink(missing_ok=True)
        del self._sizes[segment]

    def _scan(self, start: Place) -> Iterator[Record]:
        """Give the records from a place on; past what is damaged with the next segment."""
        for segment in sorted(self._sizes):
            if segment < start.segment:
                continue
            offset = start.offset if segment == start.segment else 0
            size = self._sizes[segment]
            while offset < size:
                data = self._record_at(segment, offset, size)
                if data is None:
                    self._skip(segment, offset)
                    break
                offset += _record.size + len(data)
                yield Record(data, Place(segment, offset))

    def _record_at(self, segment: int, offset: int, size: int) -> bytes | None:
        """Read a record; None when it is damaged."""
        file = self._file(segment)
        head = os.pread(file, _record.size, offset)
        if len(head) < _record.size:
            return None
        length, checksum = _record.unpack(head)
        if length > min(RECORD_LIMIT_BYTES, size - offset - _record.size):
            return None
        data = os.pread(file, length, offset + _record.size)
        return data if len(data) == length and zlib.crc32(data) == checksum else None

    def _skip(self, segment: int, offset: int) -> None:
        """Let a segment end where it is damaged."""
        self.damaged_bytes += self._sizes[segment] - offset
        self._sizes[segment] = offset
        os.ftruncate(self._file(segment), offset)
        if self._written is not None and self._written.segment == segment:
            self._written = None

    def _file(self, segment: int) -> int:
        if segment not in self._files:
            flags = os.O_RDWR | os.O_CREAT
            self._files[segment] = os.open(self._path(segment), flags, 0o600)
        return self._files[segment]

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:012d}{_SUFFIX}"


def _locked(folder: Path) -> int:
    """Take a folder for this server alone; give what holds it."""
    option = "Audit.SpoolFolder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", option=option) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ConfigError(
            f"{folder} is used by another server", option=option, hint="give each one of its own"
        ) from None
    return lock


def _place_in(data: bytes) -> Place | None:
    if len(data) < _position.size:
        return None
    segment, offset, checksum = _position.unpack(data)
    return Place(segment, offset) if zlib.crc32(data[:16]) == checksum else None


def _write_at(file: int, data: bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], offset + written)
