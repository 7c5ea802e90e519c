"""What a folder held, kept in a file, so that the next start need not read the folder again.

Nothing here is believed for its own sake. An entry says which signature a file had when it was
read, and `mwl.store.directory` takes its items only when the file has that signature now. Whatever
is wrong with the snapshot itself (cut off, damaged, of another version, folder or settings, not
ours) ends the reading of it, and the files are read as if there were none.

The file is a sequence of blocks: length, digest, and the entries as `marshal` writes them. The
digest is keyed with all that the entries depend on besides the files, so that a block of another
version or other settings is no different from a damaged one, and `marshal` is given nothing but
what the same version of this module, under the same Python, has written.

The file holds patient data: only its owner can read it.
"""

import errno
import fcntl
import hashlib
import marshal
import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from mwl.dataset import CharacterSet
from mwl.item import WorklistItem
from mwl.store.filesystem import Signature
from mwl.store.rows import items_of_rows, program, rows_of

LEAST_FILES = 1000
"""Fewest files worth remembering: to read fewer takes a tenth of a second, and patient data should
lie in no more places than it must."""

FILES_IN_BLOCK = 256
"""Files written at a time: about 3 ms, then other associations get a turn."""

_HEAD = struct.Struct("<I32s")
"""Length of a block, and its digest."""


class Remembered(NamedTuple):
    """A file as it was read.

    Args:
        source: Name of the file.
        signature: What it looked like.
        items: What it held.
    """

    source: str
    signature: Signature
    items: tuple[WorklistItem, ...]


class Snapshot:
    """The snapshot of one folder.

    Args:
        cache: Folder where snapshots lie; made when it is missing.
        folder: Path of the worklist folder.
        settings: All settings that the items of a file depend on.
        default: Character set of files that name none.
        least_files: Fewest files worth remembering.
    """

    def __init__(
        self,
        cache: Path,
        folder: str,
        settings: Sequence[str],
        default: CharacterSet,
        *,
        least_files: int = LEAST_FILES,
    ) -> None:
        # One for each folder, whatever the settings: an old one with patient data does not stay.
        self.path = cache / f"{_digest([folder]).hex()}.snapshot"
        self.least_files = least_files
        self._new_path = self.path.with_suffix(".new")
        # Where the processor knows SHA-256, which servers do, three times as fast as BLAKE2.
        self._keyed = hashlib.sha256(_digest([folder, *settings, *program()]))
        self._default = default

    def read(self) -> Iterator[Remembered]:
        """Give what was remembered, as far as it is sound; nothing when there is no snapshot."""
        default = self._default
        new = tuple.__new__  # as in `mwl.dataset.elements`
        with suppress(OSError), _open_own(self.path, os.O_RDONLY) as file:
            while (block := self._read_block(file)) is not None:
                for source, signature, rows in marshal.loads(block):  # noqa: S302 - ours: its digest
                    items = items_of_rows(source, rows, default)
                    yield new(Remembered, (source, new(Signature, signature), items))

    def _read_block(self, file: IO[bytes]) -> bytes | None:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        size, digest = _HEAD.unpack(head)
        if size > os.fstat(file.fileno()).st_size:
            return None
        block = file.read(size)
        return block if self._digest_of(block) == digest else None

    def write(self, entries: Iterable[Remembered]) -> Iterator[None]:
        """Replace the snapshot, a block at each step.

        Nothing happens while another server is writing the same.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        entries = iter(entries)
        with _open_own(self._new_path, os.O_WRONLY | os.O_CREAT) as file:
            if not self._is_sole_writer(file):
                return
            try:
                file.truncate()
                while block := list(islice(entries, FILES_IN_BLOCK)):
                    self._write_block(file, block)
                    yield
                file.flush()
                self._new_path.replace(self.path)
            except BaseException:
                self._new_path.unlink(missing_ok=True)
                raise

    def remove(self) -> None:
        """Remove what was remembered, if there is any and it can be reached.

        What a server left behind that was killed while it wrote goes too.
        """
        for path in (self.path, self._new_path):
            with suppress(OSError):
                path.unlink()

    def _is_sole_writer(self, file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, another writer may have made it the snapshot.
            return os.path.samestat(os.fstat(file.fileno()), self._new_path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _write_block(self, file: IO[bytes], entries: Iterable[Remembered]) -> None:
        block = marshal.dumps(
            [(source, tuple(signature), rows_of(items)) for source, signature, items in entries]
        )
        file.write(_HEAD.pack(len(block), self._digest_of(block)) + block)

    def _digest_of(self, block: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(block)
        return digest.digest()


def _digest(parts: Iterable[str]) -> bytes:
    return hashlib.blake2b(
        repr(list(parts)).encode("ascii", "backslashreplace"), digest_size=32
    ).digest()


def _open_own(path: Path, flags: int) -> IO[bytes]:
    """Open a file that nobody but its owner, who we are, can have written.

    Raises:
        OSError: It is not there, or not such a file.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
    status = os.fstat(descriptor)
    is_own = status.st_uid == os.geteuid() and status.st_nlink == 1
    if is_own and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077:
        return file
    file.close()
    raise PermissionError(errno.EPERM, "not a file of this user alone", str(path))
