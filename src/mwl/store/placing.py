"""Putting a file into a folder so that nobody ever sees half of it, and no power cut loses it."""

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

MODE = 0o644
"""Permissions of a new file before the umask: a server under another account has to read it."""


_STATUS = Path("/proc/thread-self/status")
_UMASK = re.compile(r"^Umask:\s*([0-7]+)$", re.MULTILINE)


class Place(Protocol):
    """Writes one file, as `place` does."""

    def __call__(self, path: Path, data: bytes, *, replace: bool = False) -> None:
        """Put a file where it belongs."""


def place(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a whole file: beside its place under a temporary name, then moved there.

    The temporary name begins with a dot and does not end in `.wl`, so that no server takes it for
    a worklist file. When this returns, file and name are on the disk.

    Args:
        path: Where to put it.
        data: The whole content.
        replace: Whether a file that is there already makes way.

    Raises:
        FileExistsError: A file is there already, and `replace` is not set. It is left as it was.
        OSError: The folder cannot be written, or what is there is no regular file and no link to
            one: a device or a pipe does not make way.
    """
    sync_folder(_place(path, data, replace=replace))


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
    folders: set[Path] = set()

    def place_one(path: Path, data: bytes, *, replace: bool = False) -> None:
        folders.add(_place(path, data, replace=replace))

    try:
        yield place_one
    finally:
        for folder in folders:
            sync_folder(folder)


def _place(path: Path, data: bytes, *, replace: bool) -> Path:
    """Write a whole file, and give the folder, in which its name is not yet made sure of."""
    if replace:
        path = path.resolve()  # what a link leads to is replaced, and not the link
        _require_regular(path)
    name_it(stage(path, data, replace=replace), path, replace=replace)
    return path.parent


def stage(path: Path, data: bytes, *, replace: bool) -> Path:
    """Write a file beside its place, under a name that no server takes for a worklist file.

    Args:
        path: Where it is to be put.
        data: The whole content, which is on the disk when this returns.
        replace: Whether it gets the permissions of the file that is there already.

    Returns:
        Where it is until `name_it` moves it.

    Raises:
        OSError: The folder cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, _mode_of(path) if replace else MODE & ~_umask())
            stream.write(data)
            stream.flush()
            os.fsync(handle)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def name_it(aside: Path, path: Path, *, replace: bool) -> None:
    """Move what `stage` wrote to its place, or remove it where that cannot be.

    Raises:
        FileExistsError: A file is there already, and `replace` is not set.
        OSError: The folder cannot be written.
    """
    try:
        if replace or not _link(aside, path):
            aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


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


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: The disk fails, or there is no such folder.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
