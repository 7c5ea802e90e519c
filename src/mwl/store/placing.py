"""Putting a file into a folder so that nobody ever sees half of it, and no power cut loses it."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

MODE = 0o644
"""Permissions of a new file before the umask: a server under another account has to read it."""


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
            folders[folder] = _open_folder(folder)
        mode = _mode_of(path) if replace else MODE & ~_umask()
        if not _place_unnamed(path, data, mode, replace=replace):
            _place_aside(path, data, mode, replace=replace)
        changed.add(folder)

    try:
        yield place_one
    finally:
        try:
            for folder in changed:
                _sync_folder(folder, folders[folder])
        finally:
            for handle in folders.values():
                os.close(handle)


def _open_folder(folder: Path) -> int:
    """Open a folder before anything is in it, for what cannot be opened cannot be synced."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError as error:
        reason = "its folder may not be read, so that nobody can make sure of what is put there"
        raise PermissionError(error.errno, reason, str(folder)) from None


def _sync_folder(folder: Path, handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _DOES_NOT_SYNC:
            reason = f"{error.strerror}; it is there, and a power cut may take it away"
            raise OSError(error.errno, reason, str(folder)) from None


def _place_unnamed(path: Path, data: bytes, mode: int, *, replace: bool) -> bool:
    """Write a file of which nothing is left, whatever happens before it has its name.

    Returns:
        False where the system or the folder has no such files.
    """
    handle = _written_unnamed(path.parent, data, mode)
    if handle is None:
        return False
    try:
        return _name(handle, path, replace=replace)
    finally:
        os.close(handle)


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


def _name(handle: int, path: Path, *, replace: bool) -> bool:
    """Give a file its name; False where it cannot have one."""
    try:
        _link_unnamed(handle, path)
    except FileExistsError:
        if not replace:
            raise
    except OSError:
        return False
    else:
        _end_writing(path)
        return True
    aside = _aside(path)
    try:
        _link_unnamed(handle, aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return True


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


def _place_aside(path: Path, data: bytes, mode: int, *, replace: bool) -> None:
    """Write a file under a temporary name, and move it to its place."""
    aside = _aside(path)
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            _fill(stream, data, mode)
        if replace or not _link(aside, path):
            aside.replace(path)
        else:
            _end_writing(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


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
    # The system can only be asked for it by setting another.
    found = os.umask(0o077)
    os.umask(found)
    return found
