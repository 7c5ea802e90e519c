"""Putting a file into a folder so that nobody ever sees half of it, and no power cut loses it."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

MODE = 0o644
"""Permissions of a new file before the umask: a server under another account has to read it."""

_STATUS = Path("/proc/thread-self/status")
_UMASK = re.compile(r"^Umask:\s*([0-7]+)$", re.MULTILINE)

_DOES_NOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What file systems say that bring names to the disk by themselves, or cannot be asked to."""


class Place(Protocol):
    """Writes one file, as `place` does."""

    def __call__(self, path: Path, data: bytes, *, replace: bool = False) -> None:
        """Put a file where it belongs."""


def place(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a whole file: without a name, which it gets when it is complete.

    Where the system knows no files without a name, and for the moment in which a file replaces
    another, it has a temporary one. That begins with a dot and does not end in `.wl`, so that no
    server takes it for a worklist file. When this returns, file and name are on the disk.

    Args:
        path: Where to put it.
        data: The whole content.
        replace: Whether a file that is there already makes way.

    Raises:
        FileExistsError: A file is there already, and `replace` is not set. It is left as it was.
        OSError: The folder cannot be written, or not read, or what is there is no regular file and
            no link to one: a device or a pipe does not make way. Nothing is written then, but when
            the message says that the file is there.
    """
    with placing() as place_one:
        place_one(path, data, replace=replace)


@contextmanager
def placing() -> Iterator[Place]:
    """Write many files: as `place` does, and their names are made sure of together at the end.

    Each file is whole wherever it is seen, and its content is on the disk before it has its name.
    A power cut before the end may take names away again, never contents.

    Yields:
        What to call for each file, with the arguments and errors of `place`.

    Raises:
        OSError: On leaving, a folder cannot be brought to the disk.
    """
    folders: dict[Path, int] = {}
    changed: set[Path] = set()

    def place_one(path: Path, data: bytes, *, replace: bool = False) -> None:
        if replace:
            # What a link leads to is replaced, and not the link.
            path = Path(os.path.realpath(path))
            _require_regular(path)
        folder = path.parent
        if folder not in folders:
            folders[folder] = open_folder(folder)
        stage(path, data, replace=replace).name_it(path, replace=replace)
        changed.add(folder)

    try:
        yield place_one
    finally:
        try:
            for folder in changed:
                sync_folder(folder, folders[folder])
        finally:
            for handle in folders.values():
                os.close(handle)


def open_folder(folder: Path) -> int:
    """Open a folder before anything is in it, for what cannot be opened cannot be synced.

    Returns:
        What `sync_folder` takes; to be closed.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError as error:
        reason = "its folder may not be read, so that nobody can make sure of what is put there"
        raise PermissionError(error.errno, reason, str(folder)) from None


def sync_folder(folder: Path, handle: int) -> None:
    """Bring the names in a folder to the disk.

    Args:
        folder: Its path, for messages.
        handle: What `open_folder` gave.

    Raises:
        OSError: The disk fails.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _DOES_NOT_SYNC:
            reason = f"{error.strerror}; it is there, and a power cut may take it away"
            raise OSError(error.errno, reason, str(folder)) from None


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete file, on the disk, that has not its name yet.

    Of one without any name nothing is left, whatever happens before it has one.

    Args:
        handle: What it is read with; None where the system or the folder has no such files.
        aside: The temporary name that it has then.
    """

    handle: int | None
    aside: Path | None

    def name_it(self, path: Path, *, replace: bool) -> None:
        """Give it its name. It is gone, or in its place, when this returns or raises.

        Raises:
            FileExistsError: A file is there already, and `replace` is not set.
            OSError: The folder cannot be written.
        """
        try:
            if self.handle is not None:
                _name_unnamed(self.handle, path, replace=replace)
            elif self.aside is not None:
                _name_aside(self.aside, path, replace=replace)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove it, where it has not got its name."""
        if self.handle is not None:
            os.close(self.handle)
        if self.aside is not None:
            self.aside.unlink(missing_ok=True)


def stage(path: Path, data: bytes, *, replace: bool, may_stay_open: bool = True) -> Staged:
    """Write a file that no server takes for a worklist file yet.

    Args:
        path: Where it is to be put.
        data: The whole content, which is on the disk when this returns.
        replace: Whether it gets the permissions of the file that is there already.
        may_stay_open: Whether a descriptor may be held until it has its name, which a file without
            one needs.

    Raises:
        OSError: The folder cannot be written.
    """
    mode = _mode_of(path) if replace else MODE & ~_umask()
    handle = _written_unnamed(path.parent, data, mode) if may_stay_open else None
    return Staged(handle, None if handle is not None else _written_aside(path, data, mode))


def _written_unnamed(folder: Path, data: bytes, mode: int) -> int | None:
    """Give a handle to read a complete file with that has no name, where there are such files."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return None  # what is wrong with the folder, if that is it, is told of the other way
    with os.fdopen(handle, "wb") as stream:
        _fill(stream, data, mode)
        # A server takes a file that is open for writing for one that is not complete.
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    return None


def _written_aside(path: Path, data: bytes, mode: int) -> Path:
    """Write a file under a temporary name."""
    aside = _aside(path)
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            _fill(stream, data, mode)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _name_unnamed(handle: int, path: Path, *, replace: bool) -> None:
    try:
        _link_unnamed(handle, path)
    except FileExistsError:
        if not replace:
            raise
        aside = _aside(path)
        _link_unnamed(handle, aside)
    except OSError:
        aside = _written_again(handle, path)  # it gives such a file no name
    else:
        _end_writing(path)
        return
    try:
        _name_aside(aside, path, replace=replace)
    finally:
        aside.unlink(missing_ok=True)


def _written_again(handle: int, path: Path) -> Path:
    """Write a file that has no name under a temporary one."""
    found = os.fstat(handle)
    return _written_aside(path, os.pread(handle, found.st_size, 0), stat.S_IMODE(found.st_mode))


def _name_aside(aside: Path, path: Path, *, replace: bool) -> None:
    if replace or not _link(aside, path):
        aside.replace(path)
    else:
        _end_writing(path)


def _end_writing(path: Path) -> None:
    """Tell a server under another account that the file is complete.

    It cannot ask who is writing (fcntl(2), F_SETLEASE), and so waits for the end of it to be told,
    as it is of a rename. Of a second name nothing is told.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _link_unnamed(handle: int, path: Path) -> None:
    # Python follows the link of /proc, which leads to the file, only beside the handle of a folder,
    # and of that an absolute path makes no use.
    os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)


def _aside(path: Path) -> Path:
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.part"


def _fill(stream: BinaryIO, data: bytes, mode: int) -> None:
    """Bring the content to the disk, and the permissions."""
    os.fchmod(stream.fileno(), mode)
    stream.write(data)
    stream.flush()
    os.fsync(stream.fileno())


def _require_regular(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))


def _link(aside: Path, path: Path) -> bool:
    """Give a file its name unless another has it, which a rename would take from that other.

    Returns:
        False where the folder knows no second names: FAT and some network folders. There, two
        programs that write the same name in the same moment are not told apart.
    """
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        return False
    aside.unlink()
    return True


def _mode_of(path: Path) -> int:
    """Give the permissions of the file that is replaced, or those of a new one."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return MODE & ~_umask()


def _umask() -> int:
    # Linux tells it. Elsewhere it can only be asked for by setting another, for all threads.
    with suppress(OSError):
        if found := _UMASK.search(_STATUS.read_text(encoding="ascii", errors="replace")):
            return int(found[1], 8)
    before = os.umask(0o077)
    os.umask(before)
    return before
