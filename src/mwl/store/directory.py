"""The folder of worklist files as a store, with exact freshness.

`notice` finds out what changed: from the kernel's notification where it can be trusted, else by
comparing the folder with what is known of it. `read` then reads those files, each only when
nobody is in the middle of writing it. What one file tells is in `mwl.store.filesystem`, the
kernel's events are in `mwl.store.notify`, what spares reading in `mwl.store.snapshot` and
`mwl.store.second_reader`, and docs/design/freshness.md has the reasons.

No thread and no task; the clocks are the one that file time stamps are compared with and, for the
wait for a writer, the monotonic one.
"""

import errno
import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mwl import telemetry
from mwl.errors import DatasetError, StoreError, WriteError
from mwl.item import MAX_FILE_BYTES, WorklistItem, is_worklist
from mwl.store import Change, Remove, Sources, Upsert, Write
from mwl.store.filesystem import (
    Identity,
    Reading,
    Signature,
    file_system_type,
    identity_of,
    look,
    read_whole,
    signature_at,
    signature_of,
    sole_status_at,
)
from mwl.store.known import LOCAL_GRANULARITY_NS, Known, Links, known_at
from mwl.store.notify import WHOLE, Hint, Trust, Watch
from mwl.store.second_reader import Parse, Run, SecondReader
from mwl.store.snapshot import Remembered, Snapshot
from mwl.store.writing import FolderWriter

WatchMode = Literal["auto", "inotify", "scan"]

TRUSTED_FILE_SYSTEMS = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs"}
    | {"tmpfs", "xfs", "zfs"}
)
"""Where every change is made by this kernel, so that inotify sees it."""

MEMORY_FILE_SYSTEMS = frozenset({"ramfs", "tmpfs"})
"""Where a write through a mapping can leave all time stamps as they were, so that no signature says
what a file holds after a time in which nobody watched."""

_END_WILL_BE_TOLD = frozenset({Hint.APPEARED, Hint.TOUCHED})

SETTLE_NS = 2_000_000_000
"""Where no lease can tell, a file that does not parse, or whose end of writing was not told,
counts as being written until it is this old."""

PATIENCE_NS = 250_000_000
"""How long queries wait for a writer who destroys a content that was whole before them: longer than
a file takes to be written, and too short for anybody at a scanner to notice. Once for each."""

COMMENT = "Worklist folder cannot be read; call the administrator"

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this process or machine that say nothing about the file being opened."""

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


@dataclass(slots=True)
class _Scan:
    """A comparison of the whole folder, under way.

    Attributes:
        ticket: The highest ticket that it satisfies once it is done.
        is_deep: Signatures are of another folder, so every file is read.
        is_first: Nothing is known yet.
        unread: The listed names that were not recalled.
        gone: Those known before that are not listed.
        remembered: What may spare reading some of `unread`; it goes before the rest.
        names: What is still to be looked at, once all was recalled.
    """

    ticket: int
    is_deep: bool
    is_first: bool
    unread: dict[str, None]
    gone: set[str]
    remembered: Iterator[Remembered]
    names: deque[str] | None = None


@dataclass(slots=True)
class _Work:
    ticket: int
    hint: Hint


class DirectoryStore:
    """Serves the worklist files of one folder, not of the folders below it.

    Args:
        folder: May be missing, now or later: then `notice` fails until it is there.
        parse: Gives the items of a file.
        watch: "inotify" and "scan" say how changes are found; "auto" takes inotify on the file
            systems of `TRUSTED_FILE_SYSTEMS`. Where inotify cannot be had, the folder is scanned.
        snapshot: Where to remember the files for the next start.
        second_reader: What may help with the first load.
        now_ns: Clock to compare file time stamps with, nanoseconds since 1970.
        patience_ns: See `PATIENCE_NS`.
    """

    def __init__(
        self,
        folder: Path,
        parse: Parse,
        *,
        watch: WatchMode = "auto",
        snapshot: Snapshot | None = None,
        second_reader: SecondReader | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        patience_ns: int = PATIENCE_NS,
    ) -> None:
        self._path = str(folder)
        self._prefix = f"{self._path}{os.sep}"
        self._parse = parse
        self._mode = watch
        self._now_ns = now_ns
        self._watch: Watch | None = None
        self._identity: Identity | None = None
        self._was_mount_point = False
        self._reason: str | None = None
        self._fallback: str | None = None
        self._known: dict[str, Known] = {}
        self._links = Links()
        self._unfinished: dict[str, Hint] = {}
        self._patience_ns = patience_ns
        self._overwritten: dict[str, int] = {}
        """Files that were whole and are being written again before they were read, each with the
        time until which the writer is waited for."""
        self._ticket = 0
        self._wanted: int | None = None
        self._scan: _Scan | None = None
        self._waiting: dict[str, _Work] = {}
        self._kinds: dict[int, str] = {}
        self._writer = FolderWriter(folder, self._is_trusted, now_ns)
        self._faults: dict[str, str] = {}
        self._snapshot = snapshot
        self._second_reader = second_reader
        self._second_run: Run | None = None
        self._is_news = False
        """Whether the snapshot lacks something, or has too much."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The files that are not served, each with the reason."""
        return MappingProxyType(self._faults)

    @property
    def is_watching(self) -> bool:
        """Whether changes are notified; otherwise the folder is scanned for every notice."""
        return self._watch is not None

    @property
    def fallback(self) -> str | None:
        """Why the folder is scanned although that was not asked for; None without a reason."""
        return self._fallback

    def notice(self) -> int:
        """Note every change that was complete before this call; see `mwl.store.Store`.

        Cost: with notification and no change, three system calls, plus one for each link.
        """
        try:
            if identity_of(self._path) != self._identity:
                self._start_over()
            elif self._watch is not None:
                self._note_events(self._watch)
            else:
                self._want_scan()
        except OSError as error:
            raise self._lose(_reason_of(error)) from error
        return self._ticket

    def read(self, limit: int) -> list[Change]:
        """Handle at most `limit` files; see `mwl.store.Store`."""
        if self._reason is not None:
            raise self._failure(self._reason)
        changes: list[Change] = []
        try:
            while limit > 0 and (handled := self._step(limit, changes)):
                limit -= handled
        except (OSError, MemoryError) as error:
            # Without memory no file is at fault: all are read again.
            is_short = isinstance(error, MemoryError)
            failure = self._lose("out of memory" if is_short else _reason_of(error))
            if not changes:
                raise failure from error
            # What was found before counts as told, so it must be: the next call fails.
        return changes

    def is_current(self, ticket: int) -> bool:
        """Tell whether all work noted up to this ticket has been read."""
        if self._identity is None:
            return False
        if self._scan is not None and self._scan.ticket <= ticket:
            return False
        if self._wanted is not None and self._wanted <= ticket:
            return False
        if self._overwritten:
            return False
        # Tickets rise along `_waiting`, so its first entry has the lowest.
        return not self._waiting or next(iter(self._waiting.values())).ticket > ticket

    def recheck(self) -> int | None:
        """Note what was read too early to be remembered; see `mwl.store.Store`."""
        if self._snapshot is None or not self._is_news:
            return None
        self.notice()
        if self._scan is not None:
            return None if self._scan.is_deep else self._ticket
        young = [
            name
            for name, known in self._known.items()
            if known.is_proven and not known.is_settled and name not in self._links.names
        ]
        self._ticket += bool(young)
        for name in young:
            self._waiting.setdefault(name, _Work(self._ticket, Hint.TOUCHED))
        return self._ticket

    def remember(self, sources: Sources) -> Iterator[None]:
        """Write the snapshot when it would say something new; see `mwl.store.Store`."""
        if self._snapshot is None or (self._scan is not None and self._scan.is_deep):
            return
        self._is_news = False
        try:
            is_in_memory = file_system_type(Path(self._path)) in MEMORY_FILE_SYSTEMS
            if is_in_memory or len(sources) < self._snapshot.least_files:
                self._snapshot.remove()
            else:
                yield from self._snapshot.write(self._settled(sources))
        except OSError as error:
            reason = error.strerror or str(error)
            telemetry.emit("snapshot_failed", path=str(self._snapshot.path), reason=reason)
            self._snapshot = None
        except GeneratorExit:
            self._is_news = True
            raise

    def _settled(self, sources: Sources) -> Iterator[Remembered]:
        """Give the files of which any later change will show in their signature."""
        for name in list(sources):
            known = self._known.get(name)
            if known is None or known.signature is None or name not in sources:
                continue
            is_sole = name not in self._links.names
            if known.is_proven and known.is_settled and is_sole and known.signature.is_fine:
                yield Remembered(name, known.signature, sources[name])

    def content(self, source: str) -> bytes | None:
        """Give what a file holds now; see `mwl.store.Store`."""
        return self._writer.content(source)

    def changed_ns(self, source: str) -> int | None:
        """Tell when a file was last written; see `mwl.store.Store`."""
        known = self._known.get(source)
        return known.signature.modified_ns if known and known.signature else None

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Write some files; see `mwl.store.Store`."""
        return self._writer.write(writes)

    def close(self) -> None:
        """Release the notification descriptor. A later `notice` starts over."""
        self._identity = None
        self._overwritten.clear()
        self._end_second_run()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # The folder

    def _start_over(self) -> None:
        """Watch the folder that is there now and compare all of it.

        Raises:
            OSError: It is missing, unreadable, or being replaced all the time.
        """
        self.close()
        self._kinds.clear()
        for _ in range(_ATTEMPTS):
            identity = identity_of(self._path)
            self._watch = self._open_watch()
            if identity == identity_of(self._path):
                break
            self.close()
        else:
            raise OSError(errno.ESTALE, "folder is being replaced")
        self._require_mount()
        self._identity = identity
        self._compare_all(is_deep=True)
        if self._reason is not None:
            self._reason = None
            telemetry.emit("store_available", folder=self._path)

    def _require_mount(self) -> None:
        """Refuse the folder that a file system was mounted on and is not any more.

        It is most often empty, and an empty list would say that nobody is scheduled.
        """
        is_mount_point = os.path.ismount(os.path.realpath(self._path))
        if self._was_mount_point and not is_mount_point:
            self.close()
            raise OSError(errno.ENODEV, "nothing is mounted there any more")
        self._was_mount_point = is_mount_point

    def _is_another(self) -> bool:
        """Tell whether another folder stands in its place; then that one is being compared."""
        if identity_of(self._path) == self._identity:
            return False
        self._start_over()
        return True

    def _open_watch(self) -> Watch | None:
        """Choose how changes are found; None stands for scanning."""
        kind = file_system_type(Path(self._path))
        if self._mode == "scan":
            return None
        if self._mode == "auto" and kind not in TRUSTED_FILE_SYSTEMS:
            reason = f"file system {kind or 'unknown'}"
        else:
            try:
                return Watch(self._path)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                raise
            except OSError as error:
                reason = error.strerror or str(error)
        if reason != self._fallback:
            self._fallback = reason
            telemetry.emit("watch_fallback", folder=self._path, reason=reason)
        return None

    def _is_trusted(self, device: int, path: str) -> bool:
        """Tell whether leases mean what they say on the device that a path leads to.

        NFS refuses a lease with EAGAIN when nobody is writing, and knows of no other writers.
        """
        return self._kind_of(device, path) in TRUSTED_FILE_SYSTEMS

    def _kind_of(self, device: int, path: str) -> str:
        if (kind := self._kinds.get(device)) is None:
            kind = self._kinds[device] = file_system_type(Path(path))
        return kind

    def _lose(self, reason: str) -> StoreError:
        """Close the folder and give the error for everybody who asks until it is back."""
        self.close()
        self._scan = self._wanted = None
        self._waiting.clear()
        if self._reason is None:
            telemetry.emit("store_unavailable", folder=self._path, reason=reason)
        self._reason = reason
        return self._failure(reason)

    def _failure(self, reason: str) -> StoreError:
        return StoreError(f"worklist folder {self._path} cannot be read: {reason}", comment=COMMENT)

    def _require_folder(self, error: OSError) -> bool:
        """Find out whether a file could not be opened because of the folder around it.

        Returns:
            True when the folder is as it was, False when another one stands in its place, which
            is then being compared.

        Raises:
            OSError: The folder, or the process, is at fault.
        """
        if error.errno in _SHORTAGES:
            raise error
        if self._is_another():
            return False
        self._require_access()
        return True

    def _require_access(self) -> None:
        effective = os.access in os.supports_effective_ids
        if not os.access(self._path, os.R_OK | os.X_OK, effective_ids=effective):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Noting

    def _note_events(self, watch: Watch) -> None:
        # The end of writing is told a moment before a lease can be had, and a writer may end
        # without an event (a mapping): so files that were being written are asked every time.
        hints, self._unfinished = self._unfinished, {}
        trust = watch.drain(hints)
        if trust is not WHOLE:
            if trust is Trust.ENDED:
                self._start_over()
            else:
                self._compare_all(is_deep=False)
            return
        for name in self._links.names:
            if name not in hints and self._is_changed(name):
                hints[name] = Hint.LISTED
        if not hints:
            return
        self._ticket += 1
        for name, hint in hints.items():
            if not is_worklist(name):
                continue
            work = self._waiting.setdefault(name, _Work(self._ticket, hint))
            if hint is Hint.LOST or (hint is Hint.APPEARED and work.hint is Hint.FINISHED):
                self._compare_all(is_deep=False)
                return
            if hint is not Hint.TOUCHED:
                work.hint = hint

    def _is_changed(self, name: str) -> bool:
        known = self._known.get(name)
        signature = signature_at(self._prefix + name)
        if known is None:
            return signature is not None
        return not known.is_settled or known.signature != signature

    def _want_scan(self) -> None:
        """Ask for a comparison that begins after this call."""
        if self._wanted is None:
            self._ticket += 1
            self._wanted = self._ticket
        if self._scan is None:
            self._begin_scan(self._wanted, is_deep=False)

    def _compare_all(self, *, is_deep: bool) -> None:
        """Compare the folder from the start; no ticket is current before that is done."""
        is_deep = is_deep or (self._scan is not None and self._scan.is_deep)
        self._waiting.clear()
        self._begin_scan(0, is_deep=is_deep)

    def _begin_scan(self, ticket: int, *, is_deep: bool) -> None:
        """List the folder.

        The list is taken in one go: in pieces, a file renamed between two of them could show
        under neither name.
        """
        with os.scandir(self._path) as entries:
            names = list(filter(is_worklist, [entry.name for entry in entries]))
        self._require_access()
        self._wanted = None
        # An empty folder gives no other occasion to remove what other settings remembered of it.
        self._is_news = self._is_news or not names
        unread = dict.fromkeys(names)
        is_first = is_deep and not self._known
        self._end_second_run()
        self._scan = _Scan(
            ticket,
            is_deep,
            is_first,
            unread,
            self._known.keys() - unread.keys(),
            self._snapshot.read() if self._snapshot and is_first else iter(()),
        )

    # Reading

    def _step(self, limit: int, changes: list[Change]) -> int:
        """Handle some files, or one end or begin of a scan; give how many, 0 when all is done."""
        if self._scan is not None:
            return self._step_of_scan(self._scan, limit, changes)
        if self._waiting:
            names = list(islice(self._waiting, limit))
            self._refresh([(name, self._waiting.pop(name).hint) for name in names], changes)
            return len(names)
        if self._wanted is not None:
            self._begin_scan(self._wanted, is_deep=False)
            return 1
        if self._overwritten:
            self._refresh([(name, Hint.FINISHED) for name in self._overwritten], changes)
        return 0  # whoever still waits lets others have their turn first

    def _step_of_scan(self, scan: _Scan, limit: int, changes: list[Change]) -> int:
        if self._is_another():
            return 1
        if scan.names is None:
            if remembered := list(islice(scan.remembered, limit)):
                self._recall(remembered, scan.unread, changes)
                return len(remembered)
            scan.names = deque(chain(scan.unread, scan.gone))
            if scan.is_first:
                self._start_second_reader(len(scan.names))
        if self._second_run is not None and (
            handled := self._take_over(self._second_run, scan.names, changes)
        ):
            return handled
        if names := [scan.names.popleft() for _ in range(min(limit, len(scan.names)))]:
            self._compare(names, changes, is_deep=scan.is_deep)
            return len(names)
        self._end_scan(scan)
        return 1

    def _start_second_reader(self, files: int) -> None:
        if self._second_reader is None or self._identity is None:
            return
        if not self._is_shown(self._identity[0], self._path):
            return  # nothing of what it would read could be taken over
        try:
            self._second_run = self._second_reader.start(self._prefix, files)
        except OSError as error:
            self._tell_of_second_reader(_reason_of(error))

    def _take_over(self, run: Run, names: deque[str], changes: list[Change]) -> int:
        """Take what the second reader has read; give how many files that were.

        Between its look and this one nothing may have changed, as between two starts.
        """
        run.give(names)
        if (taken := run.take()) is not None:
            unread = dict.fromkeys(taken.names)
            self._recall(taken.remembered, unread, changes)
            # Not put back among `names`: the second reader would be given them again and again.
            self._compare(list(unread), changes, is_deep=True)
            return len(taken.names)
        if run.fault is not None or not names:
            names.extendleft(self._end_second_run())
            if run.fault is not None:
                self._tell_of_second_reader(run.fault)
        return 0

    def _end_second_run(self) -> list[str]:
        run, self._second_run = self._second_run, None
        return run.end() if run is not None else []

    def _tell_of_second_reader(self, reason: str) -> None:
        telemetry.emit("second_reader_failed", folder=self._path, reason=reason)

    def _compare(self, names: list[str], changes: list[Change], *, is_deep: bool) -> None:
        """Read those files that are not as they are known."""
        self._refresh(
            [
                (name, Hint.LISTED)
                for name in names
                if is_deep or name not in self._known or self._is_changed(name)
            ],
            changes,
        )

    def _end_scan(self, scan: _Scan) -> None:
        if self._is_another():
            return
        self._scan = None
        if scan.is_deep or self._watch is not None:
            skipped = len(self.unreadable)
            telemetry.emit(
                "folder_loaded",
                folder=self._path,
                files=len(self._known) - skipped,
                items=sum(known.count for known in self._known.values()),
                skipped=skipped,
            )

    def _recall(
        self, remembered: list[Remembered], unread: dict[str, None], changes: list[Change]
    ) -> None:
        """Take the items of those files that are as they were when they were remembered."""
        known, links, prefix = self._known, self._links, self._prefix
        settled_ns = self._now_ns() - LOCAL_GRANULARITY_NS
        for name, signature, items in remembered:
            path = prefix + name
            status = sole_status_at(path) if name in unread else None
            if (
                status is None
                or signature_of(status) != signature
                # Time stamps younger than now are not believed: the clock may have been set back.
                or signature.modified_ns > settled_ns
                or signature.changed_ns > settled_ns
                # Where a file can change without that being seen in its signature, it is read.
                or not self._is_shown(status.st_dev, path)
            ):
                self._is_news = True
                continue
            del unread[name]
            # None of them was known before, so this is all that `_record` would do.
            known[name] = Known(signature, True, True, None, None, len(items))
            links.note(name, signature, is_linked=False)
            changes.append(Upsert(name, items))

    def _is_shown(self, device: int, path: str) -> bool:
        """Tell whether every change of a file will show in its signature there."""
        kind = self._kind_of(device, path)
        return kind in TRUSTED_FILE_SYSTEMS and kind not in MEMORY_FILE_SYSTEMS

    def _refresh(self, work: list[tuple[str, Hint]], changes: list[Change]) -> None:
        """Read files, each if it is complete, and add what that changes to `changes`.

        All are read before the first is parsed: system calls and parsing in turns would take a
        fifth more time. None of the names may come twice.
        """
        self._is_news = self._is_news or bool(work)
        # Looked at before the files are: a write after this moment may not count as settled.
        now_ns = self._now_ns()
        readings: list[tuple[str, Hint, Reading]] = []
        for name, hint in work:
            try:
                reading = read_whole(self._prefix + name, MAX_FILE_BYTES, self._is_trusted)
            except BlockingIOError:
                self._put_off(name, hint)
            except OSError as error:
                if self._require_folder(error):
                    self._note_failure(name, error, changes)
                    if hint is Hint.FINISHED and isinstance(error, FileNotFoundError):
                        self._compare_all(is_deep=False)  # as for `Hint.LOST`
            else:
                readings.append((name, hint, reading))
        for name, hint, reading in readings:
            if self._may_be_growing(name, hint, reading):
                self._unfinished[name] = hint
            else:
                self._accept(name, hint, reading, now_ns, changes)

    def _put_off(self, name: str, hint: Hint) -> None:
        """Look again at a file that somebody is writing: soon where its last content was whole."""
        if hint is Hint.FINISHED:
            now_ns = time.monotonic_ns()
            if now_ns < self._overwritten.setdefault(name, now_ns + self._patience_ns):
                return
            del self._overwritten[name]
            hint = Hint.TOUCHED
        self._unfinished[name] = hint

    def _may_be_growing(self, name: str, hint: Hint, reading: Reading) -> bool:
        """Tell whether the end of writing a file will be told, and must be waited for."""
        if reading.is_proven or reading.is_linked or hint not in _END_WILL_BE_TOLD:
            return False
        if not self._is_young(reading.signature):
            return False
        known = self._known.get(name)
        # Only its attributes changed: what was complete is complete.
        return (
            known is None
            or known.signature is None
            or known.signature.content != reading.signature.content
        )

    def _is_young(self, signature: Signature) -> bool:
        return 0 <= self._now_ns() - signature.newest_ns < SETTLE_NS

    def _accept(
        self, name: str, hint: Hint, reading: Reading, now_ns: int, changes: list[Change]
    ) -> None:
        """Take the bytes of a file, read after `now_ns`, as its content."""
        known = self._known.get(name)
        new = known_at(now_ns, reading.signature, is_proven=reading.is_proven)
        items: tuple[WorklistItem, ...] | None = None
        if isinstance(reading.data, str):
            new.fault = reading.data
        else:
            new.digest = hashlib.blake2b(reading.data, digest_size=16).digest()
            if known is not None and known.digest == new.digest:
                new.fault, new.count = known.fault, known.count
            else:
                try:
                    items = self._parse(name, reading.data)
                    new.count = len(items)
                except DatasetError as error:
                    if self._may_be_cut_short(hint, reading):
                        self._unfinished[name] = hint
                        return
                    new.fault = str(error)
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001 - a fault of ours costs no other file
                    telemetry.emit("internal_error", folder=self._path, source=name, error=error)
                    new.fault = f"internal error ({type(error).__name__})"
        if items is not None:
            changes.append(Upsert(name, items))  # before it counts as known, whatever fails between
        self._record(name, new, changes, is_linked=reading.is_linked)

    def _may_be_cut_short(self, hint: Hint, reading: Reading) -> bool:
        return not reading.is_proven and hint is Hint.LISTED and self._is_young(reading.signature)

    def _note_failure(self, name: str, error: OSError, changes: list[Change]) -> None:
        """Take it as a fact that a file cannot be opened, or is not there."""
        now_ns = self._now_ns()
        signature, is_linked = look(self._prefix + name)
        if not isinstance(error, FileNotFoundError):
            new = known_at(now_ns, signature, is_proven=False)
            new.fault = error.strerror or str(error)
            self._record(name, new, changes, is_linked=is_linked)
            return
        known = self._known.pop(name, None)
        self._faults.pop(name, None)
        self._unfinished.pop(name, None)
        self._overwritten.pop(name, None)
        self._links.forget(name, known)
        if is_linked:
            self._links.names.add(name)  # a symbolic link to what is not there yet
        if known is not None and known.fault is None:
            changes.append(Remove(name))

    def _record(self, name: str, new: Known, changes: list[Change], *, is_linked: bool) -> None:
        """Keep what is now known of a file; a fault is told once and ends its being served."""
        old = self._known.get(name)
        self._known[name] = new
        self._unfinished.pop(name, None)
        self._overwritten.pop(name, None)
        self._links.forget(name, old)
        other = self._links.note(name, new.signature, is_linked=is_linked)
        self._faults.pop(name, None)
        if new.fault is not None:
            self._faults[name] = new.fault
            self._report_fault(name, old, new)
            if old is not None and old.fault is None:
                changes.append(Remove(name))
        if other is not None:
            # It may have been changed under this name, of which nothing was told.
            self._refresh([(other, Hint.LISTED)], changes)

    def _report_fault(self, name: str, old: Known | None, new: Known) -> None:
        if old is None or (old.fault, old.digest) != (new.fault, new.digest):
            telemetry.emit("file_skipped", folder=self._path, source=name, reason=new.fault)


def _reason_of(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
