"""The folder itself: whether it is still the one that was opened, and who tells of its changes.

What is in it is the business of `mwl.store.directory`.
"""

import errno
import os
import re
from pathlib import Path
from typing import Literal

from mwl import telemetry
from mwl.store.filesystem import Identity, identity_of
from mwl.store.mounts import why_unwatched
from mwl.store.notify import Watch

WatchMode = Literal["auto", "inotify", "scan"]

_ATTEMPTS = 3
"""How often to look for a moment in which the folder is not being replaced."""

_AE_TITLE_FOLDER = re.compile(r"[A-Za-z0-9 \-:@_]{1,16}")


def subfolder(root: Path, called_ae_title: str) -> Path | None:
    """Give the folder of a called AE title, None for a title that could lead elsewhere.

    Args:
        root: The folder that holds one folder for each called AE title.
        called_ae_title: As it came from the peer. Leading and trailing spaces are not
            significant (PS3.5 Table 6.2-1).
    """
    if not _AE_TITLE_FOLDER.fullmatch(called_ae_title) or called_ae_title.isspace():
        return None
    return root / called_ae_title.strip(" ")


class Folder:
    """What a path leads to, as long as that is what it led to when it was opened.

    Args:
        path: May lead nowhere, now or later.
        mode: As for `mwl.store.directory.DirectoryStore`.

    Attributes:
        identity: What was opened; None while it is closed.
        watch: Its notification; None while it is closed, or where it is to be scanned.
        fallback: Why it is scanned although that was not asked for; None without a reason.
    """

    def __init__(self, path: str, mode: WatchMode) -> None:
        self.identity: Identity | None = None
        self.watch: Watch | None = None
        self.fallback: str | None = None
        self._path = path
        self._mode = mode
        self._was_mount_point = False

    def open(self) -> None:
        """Take what is there now, and watch it.

        Raises:
            OSError: It is missing, unreadable, or being replaced all the time.
        """
        self.close()
        for _ in range(_ATTEMPTS):
            identity = identity_of(self._path)
            self.watch = self._open_watch()
            if identity == identity_of(self._path):
                break
            self.close()
        else:
            raise OSError(errno.ESTALE, "folder is being replaced")
        self._require_mount()
        self.identity = identity

    def is_same(self) -> bool:
        """Tell whether the path leads to what was opened.

        Raises:
            OSError: It leads nowhere.
        """
        return identity_of(self._path) == self.identity

    def require_access(self) -> None:
        """Refuse a folder that this process may not list or look into.

        Raises:
            PermissionError: It may not.
        """
        effective = os.access in os.supports_effective_ids
        if not os.access(self._path, os.R_OK | os.X_OK, effective_ids=effective):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def close(self) -> None:
        """Release the notification descriptor."""
        self.identity = None
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    def _open_watch(self) -> Watch | None:
        """Choose how changes are found; None stands for scanning."""
        if self._mode == "scan":
            return None
        reason = why_unwatched(Path(self._path)) if self._mode == "auto" else None
        if reason is None:
            try:
                return Watch(self._path)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                raise
            except OSError as error:
                reason = error.strerror or str(error)
        if reason != self.fallback:
            self.fallback = reason
            telemetry.emit("watch_fallback", folder=self._path, reason=reason)
        return None

    def _require_mount(self) -> None:
        """Refuse the folder that a file system was mounted on and is not any more.

        It is most often empty, and an empty list would say that nobody is scheduled.
        """
        is_mount_point = os.path.ismount(os.path.realpath(self._path))
        if self._was_mount_point and not is_mount_point:
            self.close()
            raise OSError(errno.ENODEV, "nothing is mounted there any more")
        self._was_mount_point = is_mount_point
