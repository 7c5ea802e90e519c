"""The folder of worklist files as a store, with exact freshness.

`notice` finds out what changed: from the kernel's notification where it can be trusted, else by
comparing the folder with what is known of it. `read` then reads those files, each only when
nobody is in the middle of writing it. What is known of the files is in `mwl.store.files`, the
folder around them in `mwl.store.folder`, who is still writing in `mwl.store.unfinished`; what one
file tells is in `mwl.store.filesystem`, the kernel's events are in `mwl.store.notify`, what spares
reading in `mwl.store.snapshot` and `mwl.store.second_reader`. docs/design/freshness.md has the
reasons.

No thread and no task.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType

from mwl import telemetry
from mwl.errors import DatasetError, StoreError, WriteError
from mwl.item import MAX_FILE_BYTES, is_worklist
from mwl.store import Change, Sources, Upsert, Write
from mwl.store.files import Files
from mwl.store.filesystem import Reading, look, read_whole, signature_of, sole_status_at
from mwl.store.folder import Folder, WatchMode
from mwl.store.known import LOCAL_GRANULARITY_NS, Known, known_at
from mwl.store.mounts import FileSystems, is_in_memory
from mwl.store.notify import WHOLE, Hint, Trust, Watch
from mwl.store.second_reader import Parse, Run, SecondReader
from mwl.store.snapshot import Remembered, Snapshot
from mwl.store.unfinished import PATIENCE_NS, Unfinished
from mwl.store.writing import FolderWriter

COMMENT = "Worklist folder cannot be read; call the administrator"

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this process or machine that say nothing about the file being opened."""


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
            systems of `mwl.store.mounts.TRUSTED_FILE_SYSTEMS`. Where inotify cannot be had, the
            folder is scanned.
        snapshot: Where to remember the files for the next start.
        second_reader: What may help with the first load.
        now_ns: Clock to compare file time stamps with, nanoseconds since 1970.
        patience_ns: See `mwl.store.unfinished.PATIENCE_NS`.
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
        self._now_ns = now_ns
        self._folder = Folder(self._path, watch)
        self._file_systems = FileSystems()
        self._reason: str | None = None
        self._files = Files(self._path, self._prefix)
        self._unfinished = Unfinished(now_ns, patience_ns)
        self._ticket = 0
        self._wanted: int | None = None
        self._scan: _Scan | None = None
        self._waiting: dict[str, _Work] = {}
        self._writer = FolderWriter(folder, self._file_systems.is_trusted, now_ns)
        self._snapshot = snapshot
        self._second_reader = second_reader
        self._second_run: Run | None = None
        self._is_news = False
        """Whether the snapshot lacks something, or has too much."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The files that are not served, each with the reason."""
        return MappingProxyType(self._files.faults)

    @property
    def is_watching(self) -> bool:
        """Whether changes are notified; otherwise the folder is scanned for every notice."""
        return self._folder.watch is not None

    @property
    def fallback(self) -> str | None:
        """Why the folder is scanned although that was not asked for; None without a reason."""
        return self._folder.fallback

    def notice(self) -> int:
        """Note every change that was complete before this call; see `mwl.store.Store`.

        Cost: with notification and no change, three system calls, plus one for each link.
        """
        try:
            if not self._folder.is_same():
                self._start_over()
            elif self._folder.watch is not None:
                self._note_events(self._folder.watch)
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
        if self._folder.identity is None:
            return False
        if self._scan is not None and self._scan.ticket <= ticket:
            return False
        if self._wanted is not None and self._wanted <= ticket:
            return False
        if self._unfinished.overwritten:
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
        young = self._files.unsettled()
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
            if is_in_memory(Path(self._path)) or len(sources) < self._snapshot.least_files:
                self._snapshot.remove()
            else:
                yield from self._snapshot.write(self._files.settled(sources))
        except OSError as error:
            reason = error.strerror or str(error)
            telemetry.emit("snapshot_failed", path=str(self._snapshot.path), reason=reason)
            self._snapshot = None
        except GeneratorExit:
            self._is_news = True
            raise

    def content(self, source: str) -> bytes | None:
        """Give what a file holds now; see `mwl.store.Store`."""
        return self._writer.content(source)

    def changed_ns(self, source: str) -> int | None:
        """Tell when a file was last written; see `mwl.store.Store`."""
        known = self._files.known.get(source)
        return known.signature.modified_ns if known and known.signature else None

    def write(self, writes: Sequence[Write]) -> list[WriteError | None]:
        """Write some files; see `mwl.store.Store`."""
        return self._writer.write(writes)

    def close(self) -> None:
        """Release the notification descriptor. A later `notice` starts over."""
        self._folder.close()
        self._unfinished.overwritten.clear()
        self._end_second_run()

    # The folder

    def _start_over(self) -> None:
        """Watch the folder that is there now and compare all of it.

        Raises:
            OSError: It is missing, unreadable, or being replaced all the time.
        """
        self.close()
        self._file_systems.forget()
        self._folder.open()
        self._compare_all(is_deep=True)
        if self._reason is not None:
            self._reason = None
            telemetry.emit("store_available", folder=self._path)

    def _is_another(self) -> bool:
        """Tell whether another folder stands in its place; then that one is being compared."""
        if self._folder.is_same():
            return False
        self._start_over()
        return True

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
        self._folder.require_access()
        return True

    # Noting

    def _note_events(self, watch: Watch) -> None:
        # The end of writing is told a moment before a lease can be had, and a writer may end
        # without an event (a mapping): so files that were being written are asked every time.
        hints = self._unfinished.take()
        trust = watch.drain(hints)
        if trust is not WHOLE:
            if trust is Trust.ENDED:
                self._start_over()
            else:
                self._compare_all(is_deep=False)
            return
        for name in self._files.links.names:
            if name not in hints and self._files.is_changed(name):
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
        self._folder.require_access()
        self._wanted = None
        # An empty folder gives no other occasion to remove what other settings remembered of it.
        self._is_news = self._is_news or not names
        unread = dict.fromkeys(names)
        is_first = is_deep and not self._files.known
        self._end_second_run()
        self._scan = _Scan(
            ticket,
            is_deep,
            is_first,
            unread,
            self._files.known.keys() - unread.keys(),
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
        if overwritten := self._unfinished.overwritten:
            self._refresh([(name, Hint.FINISHED) for name in overwritten], changes)
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
        if self._second_reader is None or self._folder.identity is None:
            return
        if not self._file_systems.is_shown(self._folder.identity[0], self._path):
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
                if is_deep or name not in self._files.known or self._files.is_changed(name)
            ],
            changes,
        )

    def _end_scan(self, scan: _Scan) -> None:
        if self._is_another():
            return
        self._scan = None
        if scan.is_deep or self._folder.watch is not None:
            known, skipped = self._files.known, len(self.unreadable)
            telemetry.emit(
                "folder_loaded",
                folder=self._path,
                files=len(known) - skipped,
                items=sum(each.count for each in known.values()),
                skipped=skipped,
            )

    def _recall(
        self, remembered: list[Remembered], unread: dict[str, None], changes: list[Change]
    ) -> None:
        """Take the items of those files that are as they were when they were remembered."""
        settled_ns = self._now_ns() - LOCAL_GRANULARITY_NS
        for name, signature, items in remembered:
            path = self._prefix + name
            status = sole_status_at(path) if name in unread else None
            if (
                status is None
                or signature_of(status) != signature
                # Time stamps younger than now are not believed: the clock may have been set back.
                or signature.modified_ns > settled_ns
                or signature.changed_ns > settled_ns
                # Where a file can change without that being seen in its signature, it is read.
                or not self._file_systems.is_shown(status.st_dev, path)
            ):
                self._is_news = True
                continue
            del unread[name]
            self._files.recall(name, signature, items, changes)

    def _refresh(self, work: list[tuple[str, Hint]], changes: list[Change]) -> None:
        """Read files, each if it is complete, and add what that changes to `changes`.

        All are read before the first is parsed: system calls and parsing in turns would take a
        fifth more time. None of the names may come twice.
        """
        self._is_news = self._is_news or bool(work)
        # Looked at before the files are: a write after this moment may not count as settled.
        now_ns, is_trusted = self._now_ns(), self._file_systems.is_trusted
        readings: list[tuple[str, Hint, Reading]] = []
        for name, hint in work:
            try:
                reading = read_whole(self._prefix + name, MAX_FILE_BYTES, is_trusted)
            except BlockingIOError:
                self._unfinished.put_off(name, hint)
            except OSError as error:
                if self._require_folder(error):
                    self._note_failure(name, error, changes)
                    if hint is Hint.FINISHED and isinstance(error, FileNotFoundError):
                        self._compare_all(is_deep=False)  # as for `Hint.LOST`
            else:
                readings.append((name, hint, reading))
        for name, hint, reading in readings:
            if self._unfinished.may_be_growing(hint, reading, self._files.known.get(name)):
                self._unfinished.add(name, hint)
            else:
                self._accept(name, hint, reading, now_ns, changes)

    def _accept(
        self, name: str, hint: Hint, reading: Reading, now_ns: int, changes: list[Change]
    ) -> None:
        """Take the bytes of a file, read after `now_ns`, as its content."""
        new = known_at(now_ns, reading.signature, is_proven=reading.is_proven)
        if isinstance(reading.data, str):
            new.fault = reading.data
        elif not self._files.is_content_known(name, new, reading.data):
            try:
                self._read_items(name, new, reading.data, changes)
            except DatasetError as error:
                if self._unfinished.may_be_cut_short(hint, reading):
                    self._unfinished.add(name, hint)
                    return
                new.fault = str(error)
        self._record(name, new, changes, is_linked=reading.is_linked)

    def _read_items(self, name: str, new: Known, data: bytes, changes: list[Change]) -> None:
        """Make the items of a file; a fault of ours in doing so costs no other file.

        Raises:
            DatasetError: The bytes are no worklist file.
        """
        try:
            items = self._parse(name, data)
            new.count = len(items)
        except (DatasetError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            telemetry.emit("internal_error", folder=self._path, source=name, error=error)
            new.fault = f"internal error ({type(error).__name__})"
        else:
            changes.append(Upsert(name, items))  # before it counts as known, whatever fails between

    def _note_failure(self, name: str, error: OSError, changes: list[Change]) -> None:
        """Take it as a fact that a file cannot be opened, or is not there."""
        now_ns = self._now_ns()
        signature, is_linked = look(self._prefix + name)
        if not isinstance(error, FileNotFoundError):
            new = known_at(now_ns, signature, is_proven=False)
            new.fault = error.strerror or str(error)
            self._record(name, new, changes, is_linked=is_linked)
            return
        self._unfinished.end(name)
        self._files.drop(name, changes, is_linked=is_linked)

    def _record(self, name: str, new: Known, changes: list[Change], *, is_linked: bool) -> None:
        """Keep what is now known of a file; a fault is told once and ends its being served."""
        self._unfinished.end(name)
        other = self._files.keep(name, new, changes, is_linked=is_linked)
        if other is not None:
            # It may have been changed under this name, of which nothing was told.
            self._refresh([(other, Hint.LISTED)], changes)


def _reason_of(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
