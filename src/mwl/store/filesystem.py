"""What the operating system can tell about one worklist file.

The question behind this module is "is somebody still writing it?", and only Linux leases answer
it. Which files to read, and when, is the business of `mwl.store.directory`.

Source: fcntl(2), section "Leases".
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: opening a FIFO or a terminal called x.wl must not wait for its other end."""

_SET_LEASE: int | None = getattr(fcntl, "F_SETLEASE", None)
_SET_SIGNAL: int | None = getattr(fcntl, "F_SETSIG", None)

_status_at = os.stat
"""Not `Path.stat`: paths are looked at thousands of times a second, and making a Path of a name
costs more than the system call."""

_new = tuple.__new__

Identity = tuple[int, int] | tuple[int, int, int, int]
"""Device and inode of a file or folder; behind a symbolic link, also inode and time of that."""


class Signature(NamedTuple):
    """What changes when the content of a path changes.

    Two equal signatures mean equal content only when the file had not been touched for longer
    than the granularity of its time stamps when the first was taken.
    """

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @property
    def content(self) -> tuple[int, int, int]:
        """The part that attribute changes (mode, owner, links) leave alone."""
        return self.inode, self.size, self.modified_ns

    @property
    def is_fine(self) -> bool:
        """Whether the time of the last change is no whole second, as coarse time stamps are."""
        return self.changed_ns % 1_000_000_000 != 0

    @property
    def newest_ns(self) -> int:
        """The later of the two time stamps."""
        return max(self.modified_ns, self.changed_ns)


class Reading(NamedTuple):
    """One file as it was read.

    Args:
        signature: Taken from the open file, before its bytes were read.
        data: The bytes, or a sentence that says why they were not read.
        is_proven: A lease showed that nobody had the file open for writing.
        is_linked: The file can change under another name: a symbolic link, or several names.
    """

    signature: Signature
    data: bytes | str
    is_proven: bool
    is_linked: bool


def signature_of(status: os.stat_result) -> Signature:
    """Take the signature out of a stat result."""
    # `Signature(...)` costs three times as much.
    return _new(Signature, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def identity_of(path: str) -> Identity:
    """Tell what a path leads to from all else, and from what it led to before.

    Of a symbolic link the link counts too: one that is replaced, and then replaced again by one to
    the same target, has led elsewhere in between.

    Raises:
        OSError: The path leads nowhere.
    """
    status = os.lstat(path)
    if not stat.S_ISLNK(status.st_mode):
        return status.st_dev, status.st_ino
    target = _status_at(path)
    return target.st_dev, target.st_ino, status.st_ino, status.st_ctime_ns


def look(path: str) -> tuple[Signature | None, bool]:
    """Look at a path without opening it.

    Returns:
        The signature of what the path leads to, None when it leads nowhere, and whether that can
        change under another name.
    """
    try:
        status = _status_at(path)
    except OSError:
        return None, Path(path).is_symlink()
    return signature_of(status), status.st_nlink > 1 or Path(path).is_symlink()


def signature_at(path: str) -> Signature | None:
    """Give the signature of what the path leads to, None when it leads nowhere."""
    try:
        return signature_of(_status_at(path))
    except OSError:
        return None


def sole_status_at(path: str) -> os.stat_result | None:
    """Give the status of a regular file that has no other name, None for anything else."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else None


def read_whole(path: str, limit: int, is_trusted: Callable[[int, str], bool]) -> Reading:
    """Read one file, or say that somebody is still writing it.

    Args:
        path: The file. Links are followed.
        limit: Longest content to read, in bytes.
        is_trusted: Tells of a device number, and a path on it, whether to believe its leases.

    Raises:
        BlockingIOError: The file is open for writing, or changed while it was being read.
        OSError: It cannot be opened or read.
    """
    descriptor, is_symlink = _open(path)
    try:
        try:
            is_leased = _take_lease(descriptor)
        except BlockingIOError:
            if is_trusted(os.fstat(descriptor).st_dev, path):
                raise
            is_leased = False
        return _read(descriptor, path, limit, is_trusted if is_leased else None, is_symlink)
    finally:
        os.close(descriptor)  # and the lease with it


def _open(path: str) -> tuple[int, bool]:
    """Open for reading; O_NOFOLLOW tells a symbolic link without asking for it separately."""
    try:
        return os.open(path, _OPEN_FLAGS | os.O_NOFOLLOW), False
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.EMLINK}:
            raise
    return os.open(path, _OPEN_FLAGS), True


def _take_lease(descriptor: int) -> bool:
    """Ask for a read lease: True granted, False impossible here.

    A read lease is refused with EAGAIN while any process has the file open for writing, or has
    it mapped so, and while it is held an `open` for writing waits. So bytes read under it are a
    content that nobody was in the middle of writing.

    A writer that arrives meanwhile makes the kernel send a signal. Its default, SIGIO, would end
    the process; SIGURG is ignored unless somebody asked for it.

    Raises:
        BlockingIOError: The file is open for writing.
    """
    if _SET_LEASE is None or _SET_SIGNAL is None:
        return False
    try:
        fcntl.fcntl(descriptor, _SET_SIGNAL, signal.SIGURG)
        fcntl.fcntl(descriptor, _SET_LEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise
    except OSError:
        # EACCES: not ours and no CAP_LEASE; EINVAL, ENOTSUP, EOPNOTSUPP: not on this file system.
        return False
    return True


def _read(
    descriptor: int,
    path: str,
    limit: int,
    is_trusted: Callable[[int, str], bool] | None,
    is_symlink: bool,
) -> Reading:
    status = os.fstat(descriptor)
    is_proven = is_trusted is not None and is_trusted(status.st_dev, path)
    signature = signature_of(status)
    data: bytes | str
    if not stat.S_ISREG(status.st_mode):
        data = "not a regular file"
    elif status.st_size > limit:
        data = f"file of {status.st_size} bytes, limit is {limit}"
    else:
        data = _read_bytes(descriptor, status.st_size)
        if not is_proven and signature_of(os.fstat(descriptor)) != signature:
            raise BlockingIOError(errno.EAGAIN, "changed while being read")
    return Reading(signature, data, is_proven, is_symlink or status.st_nlink > 1)


def _read_bytes(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    # Shorter: a file system that reads in pieces. Longer: it grew, and the signature tells so.
    pieces = [data]
    while (missing := size - sum(map(len, pieces))) > 0 and pieces[-1]:
        pieces.append(os.read(descriptor, missing))
    return b"".join(pieces)
