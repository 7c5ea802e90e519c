"""Writing into the folder of worklist files: on a condition, one after the other, for good.

A file is written beside its place and brought to the disk first, by many writers at once. Then
they take turns: what is there is compared with what the writer expects, and the name is given to
the new file or taken away. At last the names are brought to the disk, those of all who wait at
once, and only then is a write done.

The turns are kept between processes too (flock(2)), as far as the file system knows them. A
program that writes into the folder without them is told apart where a new name is given; between
the comparison and the replacement of a file it is not.
"""

import errno
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mwl.errors import InputError, SourceChanged, StoreError, WriteError
from mwl.item import MAX_FILE_BYTES, SUFFIX, is_worklist
from mwl.store import ANYTHING, Write, entity_tag
from mwl.store.filesystem import read_whole
from mwl.store.placing import Staged, open_folder, stage, sync_folder

NAME_LIMIT_BYTES = 200
"""Longest name of a file, in bytes: file systems allow 255, of which the name that it has while it
is being written takes some."""

MOST_OPEN = 64
"""Files of one call that may be open together; the sockets have to share the descriptors."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")
"""Separators of paths, control characters, and what is no text."""

LEFTOVER_AGE_NS = 3_600_000_000_000
"""Age from which a file that was never given its name is one of a writer that was killed, and time
between two looks for such files, in nanoseconds. They are hidden and never served, and hold a
patient's data."""

_LEFTOVER = re.compile(r"\..+\.wl\.[0-9a-f]{16}\.part", re.IGNORECASE)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_COMMENT = "Worklist item cannot be read; call the administrator"

IsTrusted = Callable[[int, str], bool]
"""Tells of a device number, and a path on it, whether to believe its leases."""


def require_safe(source: str) -> None:
    """Refuse a name that no file of a worklist folder should get, or that leads out of the folder.

    Raises:
        InputError: It is such a name.
    """
    if not source[: -len(SUFFIX)].strip() or _UNSAFE.search(source):
        reason = "it is empty, or has a slash, a backslash or a control character"
    elif source.startswith("."):
        reason = "it begins with a point"
    elif len(source.encode()) > NAME_LIMIT_BYTES:
        reason = f"it has more than {NAME_LIMIT_BYTES} bytes"
    elif not is_worklist(source):
        reason = "it does not end in .wl"
    else:
        return
    raise InputError(f"the name of a worklist item cannot be used: {reason}")


class FolderWriter:
    """Writes the files of one folder; every method may be called from any thread.

    Args:
        folder: The folder.
        is_trusted: As for `mwl.store.filesystem.read_whole`.
        now_ns: Clock to compare file time stamps with, nanoseconds since 1970.
    """

    def __init__(
        self, folder: Path, is_trusted: IsTrusted, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._now_ns = now_ns
        self._folder = folder
        self._is_trusted = is_trusted
        self._turn = threading.Lock()
        self._names = _SharedSync(folder)
        self._next_cleaning_ns = 0

    def content(self, source: str) -> bytes | None:
        """Give what a file holds now, None when there is none; see `mwl.store.Store`."""
        try:
            reading = read_whole(str(self._folder / source), MAX_FILE_BYTES, self._is_trusted)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, BlockingIOError):
                reason = "somebody is writing it"
            message = f"a worklist file cannot be read: {reason}"
            raise StoreError(message, comment=_COMMENT) from error
        if isinstance(reading.data, str):
            raise StoreError(f"a worklist file cannot be read: {reading.data}", comment=_COMMENT)
        return reading.data

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Write some files; see `mwl.store.Store`."""
        for write in writes:
            require_safe(write.source)
        results: list[WriteError | None] = [None] * len(writes)
        staged: dict[int, Staged] = {}
        for number, write in enumerate(writes):
            if write.data is not None:
                with _failing(results, number):
                    staged[number] = self._stage(write, write.data, len(writes))
        is_changed = False
        with self._turns():
            if (now_ns := self._now_ns()) >= self._next_cleaning_ns:
                self._next_cleaning_ns = now_ns + LEFTOVER_AGE_NS
                _remove_leftovers(self._folder, now_ns)
            for number, write in enumerate(writes):
                if results[number] is None:
                    with _failing(results, number):
                        self._do(write, staged.get(number))
                        is_changed = True
        if is_changed:
            self._make_sure(results)
        return results

    def _make_sure(self, results: list[WriteError | None]) -> None:
        try:
            self._names.sync()
        except OSError as error:
            failure = _failure(error)
            results[:] = [failure if result is None else result for result in results]

    def _stage(self, write: Write, data: bytes, together: int) -> Staged:
        return stage(
            self._folder / write.source,
            data,
            replace=write.expected.may_be_present,
            may_stay_open=together <= MOST_OPEN,
        )

    def _do(self, write: Write, staged: Staged | None) -> None:
        """Give a staged file its name, or take a name away, if all is as expected."""
        path = self._folder / write.source
        try:
            self._compare(write)
        except BaseException:
            if staged is not None:
                staged.discard()
            raise
        if staged is None:
            path.unlink(missing_ok=write.expected.may_be_absent)
        else:
            staged.name_it(path, replace=write.expected.may_be_present)

    def _compare(self, write: Write) -> None:
        expected = write.expected
        if expected == ANYTHING:
            return
        data = self.content(write.source)
        tag = None if data is None else entity_tag(data)
        if not expected.admits(tag):
            found = "there is none" if tag is None else "it is another, or was changed"
            raise SourceChanged(f"not the worklist item that was expected: {found}", entity_tag=tag)

    @contextmanager
    def _turns(self) -> Iterator[None]:
        with self._turn:
            handle = _open(self._folder)
            try:
                if handle is not None:
                    with suppress(OSError):  # not every file system knows it
                        fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                if handle is not None:
                    os.close(handle)  # and the lock with it


class _SharedSync:
    """Brings the names in a folder to the disk, once for all who ask while it is being done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._is_running = False

    def sync(self) -> None:
        """Return when every name that was changed before this call is on the disk.

        Raises:
            OSError: The disk fails.
        """
        with self._changed:
            self._asked += 1
            mine = self._asked
            # One that is under way may have begun before our change: it is waited for, and if it
            # did, one of those who wait does the next.
            while self._is_running and self._done < mine:
                self._changed.wait()
            if self._done >= mine:
                return
            self._is_running = True
            covered = self._asked
        try:
            handle = open_folder(self._folder)
            try:
                sync_folder(self._folder, handle)
            finally:
                os.close(handle)
        except BaseException:
            covered = 0
            raise
        finally:
            with self._changed:
                self._is_running = False
                self._done = max(self._done, covered)
                self._changed.notify_all()


@contextmanager
def _failing(results: list[WriteError | None], number: int) -> Iterator[None]:
    """Keep why a write fails as its result."""
    try:
        yield
    except WriteError as error:
        results[number] = error
    except FileExistsError:
        results[number] = SourceChanged("there is such a worklist item already")
    except OSError as error:
        results[number] = _failure(error)
    except StoreError as error:
        results[number] = WriteError(str(error))


def _remove_leftovers(folder: Path, now_ns: int) -> None:
    """Remove what writers left that were killed between writing a file and giving it its name."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _LEFTOVER.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if now_ns - entry.stat().st_mtime_ns > LEFTOVER_AGE_NS:
                        Path(entry).unlink()


def _failure(error: OSError) -> WriteError:
    reason = error.strerror or type(error).__name__
    return WriteError(
        f"the worklist folder cannot be written: {reason}", is_full=error.errno in _FULL
    )


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # what follows fails for the same reason, and says so
