"""From the event loop to the destination: two threads and a spool between them.

`Trail.put` only queues. One thread makes messages and writes them to the spool, the other takes
them from there to the destination and tries again until they arrive. So the loop never waits for a
disk or a receiver, and what was said outlives the process.

While the spool is full, messages wait in the queue; when that is full too, new ones are dropped,
not old ones: what has been recorded stays recorded, whatever a flood brings after it. Each one
dropped is counted, the log tells, and so does the first message after the gap.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from mwl.audit.destinations import Destination, DestinationError
from mwl.audit.envelope import Envelope
from mwl.audit.messages import AuditMessage, Source
from mwl.audit.spool import Spool

QUEUE_LIMIT = 100_000
"""Messages that may wait in memory: a folder that is filled at once is read faster than told of."""

QUEUE_LIMIT_BYTES = 64 * 1024 * 1024
"""Bytes of queries and items that may wait in memory beside that: a query is 128 KiB at most, and
a few hundred bytes; an item has one or two thousand."""

BATCH, BATCH_BYTES = 256, 256 * 1024
"""Messages and bytes that are sent, and confirmed, together."""

RETRY_S, RETRY_LIMIT_S = 0.5, 30.0
"""Seconds until the first and until any later attempt to reach the destination again."""

ROOM_S = 1.0
"""Seconds between looks at whether the spool takes messages again."""

TELL_EVERY_S = 60.0
"""Seconds between two lines of the log about dropped messages."""

GRACE_S = 2.0
"""Seconds in which what waits is sent when the server stops; the rest goes at the next start."""

ENDING_S = 1.0
"""Seconds that the threads have to end after that."""

Make = Callable[[], AuditMessage | None]
"""Makes a message, or finds that there is nothing to say; called in a thread."""


class Report(Protocol):
    """Writes an event to the log; called from any thread."""

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Write it."""


class Gap(NamedTuple):
    """What is missing in the trail.

    Args:
        dropped: How many messages.
        since_ns: When the first of them was dropped, in nanoseconds since 1970.
        until_ns: When messages were taken again.
    """

    dropped: int
    since_ns: int
    until_ns: int


class _Waiting(NamedTuple):
    make: Make
    size: int


class Trail:
    """Takes messages to a destination.

    Args:
        spool: Keeps them until they have arrived; closed with this.
        destination: Where they go; closed with this.
        source: Who tells.
        report: Writes to the log.
        stopping: Set when nobody will wait any longer.

    Attributes:
        of_gap: Makes the message about messages that were dropped; None says nothing of them.
        sent: Messages that have arrived since the start.
        dropped: Messages that were lost since the start.
    """

    def __init__(
        self,
        spool: Spool,
        destination: Destination,
        source: Source,
        report: Report,
        stopping: threading.Event,
    ) -> None:
        self.of_gap: Callable[[Gap], AuditMessage] | None = None
        self.sent = 0
        self.dropped = 0
        self._spool = spool
        self._destination = destination
        self._source = source
        self._report = report
        self._stopping = stopping
        self._change = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._is_closing = False
        self._is_failing = False
        self._gap: Gap | None = None
        self._untold = 0
        self._told_at = -TELL_EVERY_S
        self._damaged_bytes = 0
        self._threads = [
            threading.Thread(target=self._write, name="audit-spool", daemon=True),
            threading.Thread(target=self._send, name="audit-send", daemon=True),
        ]

    def start(self) -> None:
        """Send what waits from before, and what comes."""
        self._tell_of_damage()
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Messages that have not arrived."""
        return len(self._queue) + self._spool.waiting

    def put(self, make: Make, size: int = 0) -> None:
        """Take a message, if there is room.

        Args:
            make: Makes it, soon and in another thread: what it holds on to must not change.
            size: Bytes that it holds on to, beyond a few hundred.

        Cost: two microseconds; the message takes twenty, later.
        """
        with self._change:
            if self._takes(size):
                if self._gap is not None:
                    self._end_gap(self._gap)
                self._queue.append(_Waiting(make, size))
                self._queued_bytes += size
                self._change.notify_all()
            else:
                self.drop(1)

    def drop(self, count: int) -> None:
        """Count messages that are lost."""
        with self._change:
            now_ns = time.time_ns()
            before = self._gap or Gap(0, now_ns, now_ns)
            self._gap = before._replace(dropped=before.dropped + count)
            self.dropped += count
            self._untold += count
            if time.monotonic() - self._told_at >= TELL_EVERY_S:
                self._tell_of_dropped()

    def close(self, grace_s: float = GRACE_S) -> None:
        """Take no more messages, and send what waits as long as the grace lasts; blocks."""
        until = time.monotonic() + grace_s
        with self._change:
            self._is_closing = True
            self._change.notify_all()
            self._change.wait_for(self._is_done, max(until - time.monotonic(), 0))
            self._stopping.set()
            self._change.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(ENDING_S)
        with self._change:
            if self._queue:
                self.drop(len(self._queue))
            if self._untold:
                self._tell_of_dropped()
        self._spool.close()
        if not any(thread.is_alive() for thread in self._threads):
            self._destination.close()

    def _takes(self, size: int) -> bool:
        if self._is_closing:
            return False
        # In a gap not before half of it is free: one gap, not one for every other message.
        share = 1 if self._gap is None else 2
        return (
            len(self._queue) < QUEUE_LIMIT // share
            and self._queued_bytes + size <= QUEUE_LIMIT_BYTES // share
        )

    def _end_gap(self, gap: Gap) -> None:
        if self.of_gap is not None:
            whole = gap._replace(until_ns=time.time_ns())
            self._queue.append(_Waiting(partial(self.of_gap, whole), 0))
        self._gap = None
        if self._untold:
            self._tell_of_dropped()

    def _tell_of_dropped(self) -> None:
        self._report("audit_dropped", dropped=self._untold, waiting=self.waiting)
        self._untold = 0
        self._told_at = time.monotonic()

    def _is_done(self) -> bool:
        return not self._queue and (self._spool.waiting == 0 or self._is_failing)

    # From the queue to the spool.

    def _write(self) -> None:
        while (waiting := self._first()) is not None:
            data = self._made(waiting.make)
            if data is not None and not self._keep(data):
                return  # `close` counts what is left
            with self._change:
                self._queue.popleft()
                self._queued_bytes -= waiting.size
                self._change.notify_all()

    def _first(self) -> _Waiting | None:
        """Wait for a message; None when there will be no more."""
        with self._change:
            self._change.wait_for(lambda: self._queue or self._is_closing)
            return self._queue[0] if self._queue else None

    def _made(self, make: Make) -> bytes | None:
        try:
            message = make()
            return None if message is None else Envelope.of(message, self._source).pack()
        except Exception as error:  # noqa: BLE001 - the edge: one message's fault stays its own
            self._report("internal_error", error=error)
            self.drop(1)
            return None

    def _keep(self, data: bytes) -> bool:
        """Write a message to the spool, when there is room; tell whether it was done."""
        has_told = False
        while True:
            try:
                is_kept, problem = self._spool.append(data), "it is full"
            except OSError as error:
                is_kept, problem = False, error.strerror or str(error)
            if is_kept:
                return True
            if not has_told:
                self._report("audit_spool_unavailable", reason=problem, waiting=self.waiting)
                has_told = True
            if self._stopping.wait(ROOM_S):
                return False

    # From the spool to the destination.

    def _send(self) -> None:
        delay_s = RETRY_S
        while self._has_work():
            problem = self._send_some()
            self._tell_of_damage()
            if problem is None:
                delay_s = RETRY_S
                if self._is_failing:
                    self._set_failing(False)
                    self._report(
                        "audit_delivered", destination=self._destination.name, waiting=self.waiting
                    )
                continue
            if not self._is_failing:
                self._report(
                    "audit_undelivered",
                    destination=self._destination.name,
                    reason=problem,
                    waiting=self.waiting,
                )
            self._set_failing(True)
            if self._stopping.wait(delay_s):
                return
            delay_s = min(2 * delay_s, RETRY_LIMIT_S)

    def _has_work(self) -> bool:
        """Wait for a message in the spool; tell whether there is one and time to send it."""
        with self._change:
            self._change.wait_for(lambda: self._spool.waiting or self._stopping.is_set())
        return not self._stopping.is_set()

    def _send_some(self) -> str | None:
        """Send some messages; give why they did not arrive."""
        try:
            records = self._spool.next(BATCH, BATCH_BYTES)
            if records:
                self._destination.send([Envelope.unpack(record.data) for record in records])
                self._spool.delivered(records)
                with self._change:
                    self.sent += len(records)
                    self._change.notify_all()
        except DestinationError as error:
            return str(error)
        except OSError as error:
            return f"the spool: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 - the edge: the thread goes on
            self._report("internal_error", error=error)
            return "a fault of this program"
        return None

    def _set_failing(self, is_failing: bool) -> None:
        with self._change:
            self._is_failing = is_failing
            self._change.notify_all()

    def _tell_of_damage(self) -> None:
        damaged = self._spool.damaged_bytes
        if damaged > self._damaged_bytes:
            self._report("audit_damaged", bytes=damaged - self._damaged_bytes)
            self._damaged_bytes = damaged
