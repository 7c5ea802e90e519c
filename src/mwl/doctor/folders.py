"""The folders of a server: worklist files, and what is kept of them.

What a file is and how changes are found is asked of the server's own code: `mwl.store.directory`,
`mwl.store.filesystem`, `mwl.catalog`. Names of files are not shown: they may be those of patients.
"""

import os
import shlex
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mwl.catalog import Catalog
from mwl.doctor.findings import Finding, fail, ok, warn
from mwl.errors import StoreError
from mwl.item import MAX_FILE_BYTES, is_worklist
from mwl.matching import doubts
from mwl.paths import exists, is_file, is_folder
from mwl.store.directory import DirectoryStore
from mwl.store.filesystem import read_whole
from mwl.store.folder import WatchMode
from mwl.store.mounts import TRUSTED_FILE_SYSTEMS, file_system_type
from mwl.store.second_reader import Parse

READ_SLICE = 64
"""Files read between two words about how far it is."""

_PERMISSION_DENIED = os.strerror(13)
_READ_AND_SEARCH = os.R_OK | os.X_OK


def may(path: Path, mode: int) -> bool:
    """Tell whether the effective user may do something with a path."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


# ------------------------------------------------------------------------------- the folder


def folder(path: Path, user: str) -> Finding:
    """Judge a worklist folder.

    Args:
        path: Where it is.
        user: Name of the user that looks.
    """
    shown, quoted = str(path), shlex.quote(str(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        mend = f"sudo install -d -o {user} -m 750 {quoted}, or correct Worklists.Database"
        return fail("folder", shown, "does not exist: every query fails", mend)
    except OSError as error:
        found = f"cannot be looked at: {error.strerror}"
        return fail("folder", shown, found, _let_in(barred(path) or path, user))
    if not stat.S_ISDIR(status.st_mode):
        return fail("folder", shown, "is no folder", "correct Worklists.Database")
    if not may(path, _READ_AND_SEARCH):
        found = f"may not be listed by {user}: every query fails"
        return fail("folder", shown, found, _let_in(path, user))
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        found = f"anybody on this machine may put patients on the list (mode {mode:04o})"
        return warn("folder", shown, found, f"sudo chmod o-w {quoted}")
    return ok("folder", shown, f"can be listed by {user} (mode {mode:04o})")


def barred(path: Path) -> Path | None:
    """Give the outermost folder on the way to a path that may not be entered."""
    absolute = path.absolute()
    for parent in reversed(absolute.parents):
        if not may(parent, os.X_OK):
            return parent
    return None


def let_read(path: Path, user: str) -> str:
    """Say what lets a user read a file or a folder; "" where nothing keeps it from that."""
    if closed := barred(path):
        return _let_in(closed, user)
    if not may(path, os.F_OK) or may(path, _READ_AND_SEARCH if is_folder(path) else os.R_OK):
        return ""
    return f"sudo setfacl -m u:{user}:{'rx' if is_folder(path) else 'r'} {shlex.quote(str(path))}"


def _let_in(path: Path, user: str) -> str:
    return f"sudo setfacl -m u:{user}:rx {shlex.quote(str(path))}"


# ------------------------------------------------------------------------------- the files


@dataclass(frozen=True, slots=True)
class Contents:
    """What a worklist folder holds, as the server reads it.

    Args:
        others: Names that do not end in `.wl`.
        dangling: Names of links that lead nowhere.
        files: Files that are served.
        items: Worklist items in them.
        faults: Why others are not served: a reason for each.
        doubtful: Items that some queries will miss.
        is_watching: Whether the kernel tells of changes.
        fallback: Why it does not, where it was asked to.
        failure: Why the folder cannot be read at all; empty where it can.
    """

    others: int = 0
    dangling: int = 0
    files: int = 0
    items: int = 0
    faults: tuple[str, ...] = ()
    doubtful: int = 0
    is_watching: bool = False
    fallback: str | None = None
    failure: str = ""


def contents(
    path: Path,
    parse: Parse,
    watch: WatchMode,
    *,
    needs_step: bool,
    tell: Callable[[int], None],
) -> Contents:
    """Read a worklist folder as the server does; nothing of it is kept.

    Args:
        path: A folder that can be listed.
        parse: Gives the items of a file.
        watch: As `Worklists.Watch`.
        needs_step: Whether an item without a step is doubtful.
        tell: Is told how many files were read so far.
    """
    store = DirectoryStore(path, parse, watch=watch)
    catalog = Catalog(store, tells_doubts=False)
    try:
        names = os.listdir(path)  # noqa: PTH208 - names are all that is needed of 100,000 files
        ticket = catalog.notice()
        while not catalog.is_current(ticket):
            catalog.read(READ_SLICE)
            tell(len(catalog.sources))
        return Contents(
            others=sum(not is_worklist(name) and not name.startswith(".") for name in names),
            dangling=sum(_leads_nowhere(path / name) for name in names if is_worklist(name)),
            files=len(catalog.sources),
            items=len(catalog),
            faults=tuple(catalog.unreadable.values()),
            doubtful=sum(bool(doubts(item, needs_step=needs_step)) for item in catalog),
            is_watching=store.is_watching,
            fallback=store.fallback,
        )
    except (StoreError, OSError) as error:
        return Contents(failure=str(error))
    finally:
        catalog.close()


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def files(path: Path, found: Contents, user: str) -> Iterator[Finding]:
    """Judge the files of a worklist folder."""
    shown, quoted = str(path), shlex.quote(str(path))
    check = f"mwl check {quoted} names them and says why"
    if found.failure:
        yield fail(
            "files", shown, found.failure, f"sudo -u {user} ls -l {quoted} shows what is wrong"
        )
        return
    denied = sum(_PERMISSION_DENIED in reason for reason in found.faults)
    broken = len(found.faults) - denied
    if denied:
        mend = f"sudo setfacl -m u:{user}:r {quoted}/*.wl; sudo setfacl -d -m u:{user}:r {quoted}"
        yield fail("files", shown, f"not served, because {user} may not read them: {denied}", mend)
    if broken:
        yield warn(
            "files", shown, f"not served, because they are no worklist files: {broken}", check
        )
    if found.dangling:
        mend = f"find {quoted} -maxdepth 1 -xtype l names them"
        yield warn("files", shown, f"links that lead nowhere: {found.dangling}", mend)
    if found.doubtful:
        yield warn("files", shown, f"items that some queries miss: {found.doubtful}", check)
    if not found.files and found.others and not found.faults:
        told = f"no name ends in .wl, {found.others} end otherwise: every list is empty"
        yield warn("files", shown, told, f"ls -l {quoted}; is this the folder that is meant?")
    else:
        yield ok("files", shown, f"files served: {found.files}, items: {found.items}")


# ------------------------------------------------------------------------------- changes


def watch(path: Path, mode: WatchMode, kind: str, found: Contents) -> Finding:
    """Judge how the server will learn of changes.

    Args:
        path: The folder.
        mode: As `Worklists.Watch`.
        kind: Type of its file system.
        found: What the server's own code chose.
    """
    shown = f"{path} on {kind or 'an unknown file system'}"
    if mode == "scan":
        return ok("watch", shown, "is compared before each answer, as Worklists.Watch says")
    trusted = kind in TRUSTED_FILE_SYSTEMS
    if found.is_watching:
        if not trusted:
            told = "changes by other machines are not told, and inotify is asked for"
            return warn("watch", shown, told, 'inside Worklists write "Watch": "auto"')
        return ok("watch", shown, "the kernel tells of each change (inotify)")
    if mode == "auto" and not trusted:
        told = "is compared before each answer: other machines may change it unseen"
        return ok("watch", shown, told)
    told = f"is compared before each answer, because the kernel refuses to tell: {found.fallback}"
    mend = "sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=65536"
    return warn("watch", shown, told, mend)


def file_system(path: Path) -> str:
    """Name the type of the file system that a folder is on; "" if unknown."""
    return file_system_type(path)


@dataclass(frozen=True, slots=True)
class Leases:
    """Whether files can be asked if somebody writes them.

    Args:
        granted: Files of owners for whom a lease was given.
        refused: Files of owners for whom none was, by the number of the owner.
    """

    granted: int
    refused: Mapping[int, int]


def leases(path: Path) -> Leases:
    """Try a lease on one file of each owner, as the server does when it reads a file."""
    owners: Counter[int] = Counter()
    first: dict[int, Path] = {}
    for entry in _regular(path):
        owner = entry.stat().st_uid
        owners[owner] += 1
        first.setdefault(owner, Path(entry.path))
    granted = {owner for owner, file in first.items() if _grants_lease(file)}
    refused = {owner: count for owner, count in owners.items() if owner not in granted}
    return Leases(sum(owners[owner] for owner in granted), refused)


def _regular(path: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        for entry in entries:
            if is_worklist(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry


def _grants_lease(file: Path) -> bool:
    try:
        return read_whole(str(file), MAX_FILE_BYTES, lambda *_: True).is_proven
    except BlockingIOError:
        return True  # it is being written, and the kernel said so
    except OSError:
        return False


def lease(
    path: Path, kind: str, found: Leases, names: Mapping[int, str], *, may_lease: bool = False
) -> Finding:
    """Judge whether half a file can be told from a whole one.

    Args:
        path: The folder.
        kind: Type of its file system.
        found: What was tried.
        names: Names of owners, by their numbers.
        may_lease: Whether the server has CAP_LEASE although the user that looks has not.
    """
    shown = str(path)
    if kind not in TRUSTED_FILE_SYSTEMS:
        told = f"{kind or 'this file system'} cannot tell whether somebody writes a file"
        mend = "let writers rename finished files into the folder"
        return warn("lease", shown, told, mend)
    if found.refused and may_lease:
        return ok("lease", shown, "the kernel says it to the service, which has CAP_LEASE")
    if found.refused:
        owners = ", ".join(f"{count} of {names[owner]}" for owner, count in found.refused.items())
        told = f"whether these are being written cannot be asked: {owners}"
        return warn("lease", shown, told, _LEASE_MEND)
    if not found.granted:
        return ok("lease", shown, "no file to try it with")
    return ok("lease", shown, "the kernel says whether a file is being written")


_LEASE_MEND = (
    "run the server as their owner, or AmbientCapabilities=CAP_LEASE in the unit of systemd, or "
    "let writers rename finished files into the folder"
)


# ------------------------------------------------------------------------------- the cache


def cache(path: Path | None, setting: str, user: str) -> Finding:
    """Judge where the snapshot is kept.

    Args:
        path: The folder; None for none.
        setting: `Worklists.Snapshot`.
        user: Name of the user that looks.
    """
    if setting == "off":
        return ok("cache", "Worklists.Snapshot", "off: each start reads every file")
    if path is None:
        mend = "CacheDirectory=mwl in the unit of systemd, or name a folder in Worklists.Snapshot"
        return warn("cache", "Worklists.Snapshot", "auto, and this user has no cache folder", mend)
    return _cache_there(path, user) if exists(path) else _cache_to_make(path, user)


def _cache_there(path: Path, user: str) -> Finding:
    shown, quoted = str(path), shlex.quote(str(path))
    if not path.is_dir():
        return warn("cache", shown, "is no folder", "correct Worklists.Snapshot")
    if not may(path, os.W_OK | os.X_OK):
        told = f"cannot be written by {user}: each start reads every file"
        return warn("cache", shown, told, f"sudo chown {user} {quoted}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        told = f"holds patient data, and others may enter it (mode {mode:04o})"
        return warn("cache", shown, told, f"sudo chmod 700 {quoted}")
    return ok("cache", shown, f"can be written, by this user alone (mode {mode:04o})")


def _cache_to_make(path: Path, user: str) -> Finding:
    above = next(parent for parent in path.absolute().parents if exists(parent))
    if may(above, os.W_OK | os.X_OK):
        return ok("cache", str(path), "will be made")
    mend = f"sudo install -d -m 700 -o {user} {shlex.quote(str(path))}"
    return warn("cache", str(path), f"cannot be made: {above} cannot be written", mend)


# ------------------------------------------------------------------------------- the log


def log(path: Path | None, user: str, made: Path | None = None) -> Finding:
    """Judge where the log is written.

    Args:
        path: The file; None for standard error.
        user: Name of the user that looks.
        made: Folder that systemd makes before the server starts.
    """
    if path is None:
        return ok("log", "LogFile", "none: it goes to standard error")
    shown, above = str(path), path.absolute().parent
    if exists(path):
        return _log_there(path, user)
    if may(above, os.W_OK | os.X_OK):
        return ok("log", shown, "will be made")
    if above == made and not exists(above):
        return ok("log", shown, "will be made, its folder by systemd")
    mend = f"sudo install -d -o {user} -m 750 {shlex.quote(str(above))}"
    mend = f"LogsDirectory=mwl in the unit of systemd for a file in /var/log/mwl, or {mend}"
    return fail("log", shown, f"cannot be made by {user}{_NO_START}", mend)


def _log_there(path: Path, user: str) -> Finding:
    shown = str(path)
    if not is_file(path):
        return fail("log", shown, f"is no file{_NO_START}", "correct LogFile")
    if not may(path, os.W_OK):
        told = f"cannot be written by {user}{_NO_START}"
        return fail("log", shown, told, f"sudo chown {user} {shlex.quote(shown)}")
    return ok("log", shown, f"can be written by {user}")


_NO_START = ": the server does not start"


def folders_of_titles(root: Path, subfolder: Callable[[Path, str], Path | None]) -> Sequence[Path]:
    """Give the folders of called AE titles.

    Args:
        root: The folder that they are in.
        subfolder: `mwl.store.folder.subfolder`.
    """
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    return [root / name for name in names if subfolder(root, name) == root / name]
