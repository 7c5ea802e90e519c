"""Which kind of file system a path is on, and what may be believed of that kind.

Source: proc_pid_mountinfo(5).
"""

import re
from pathlib import Path

TRUSTED_FILE_SYSTEMS = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs"}
    | {"tmpfs", "xfs", "zfs"}
)
"""Where every change is made by this kernel, so that inotify sees it."""

MEMORY_FILE_SYSTEMS = frozenset({"ramfs", "tmpfs"})
"""Where a write through a mapping can leave all time stamps as they were, so that no signature says
what a file holds after a time in which nobody watched."""

MOUNTS = Path("/proc/self/mountinfo")


class FileSystems:
    """The file systems that a folder and the links in it lead to, each looked up once."""

    def __init__(self) -> None:
        self._kinds: dict[int, str] = {}

    def is_trusted(self, device: int, path: str) -> bool:
        """Tell whether leases mean what they say on the device that a path leads to.

        NFS refuses a lease with EAGAIN when nobody is writing, and knows of no other writers.
        """
        return self._kind_of(device, path) in TRUSTED_FILE_SYSTEMS

    def is_shown(self, device: int, path: str) -> bool:
        """Tell whether every change of a file will show in its signature there."""
        kind = self._kind_of(device, path)
        return kind in TRUSTED_FILE_SYSTEMS and kind not in MEMORY_FILE_SYSTEMS

    def _kind_of(self, device: int, path: str) -> str:
        if (kind := self._kinds.get(device)) is None:
            kind = self._kinds[device] = file_system_type(Path(path))
        return kind

    def forget(self) -> None:
        """Look all of them up anew: a device number may be given again."""
        self._kinds.clear()


def why_unwatched(folder: Path) -> str | None:
    """Tell why not every change of a folder is notified; None where each is."""
    kind = file_system_type(folder)
    return None if kind in TRUSTED_FILE_SYSTEMS else f"file system {kind or 'unknown'}"


def is_in_memory(folder: Path) -> bool:
    """Tell whether a folder is on one of `MEMORY_FILE_SYSTEMS`."""
    return file_system_type(folder) in MEMORY_FILE_SYSTEMS


def file_system_type(folder: Path, mounts: Path = MOUNTS) -> str:
    """Name the type of the file system that a folder is on, such as `ext4`; "" if unknown.

    The device number would be the shorter way, but btrfs reports another one than it mounts.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        place = folder.resolve()
    except OSError:
        return ""
    best, best_length = "", -1
    for line in lines:
        fields, _, rest = line.partition(" - ")
        columns = fields.split(" ")
        if len(columns) < 5:
            continue
        mount_point = Path(_unescape(columns[4]))
        length = len(mount_point.parts)
        # Equal length: mounted over the earlier one.
        if length >= best_length and place.is_relative_to(mount_point):
            best, best_length = rest.split(" ", 1)[0], length
    return best


def _unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo: space, tab, newline, backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
