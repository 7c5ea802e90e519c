"""Threads for callbacks: one call at a time each, within a time limit, never on the server's loop.

A call over its time fails at once for the one who waits, and is interrupted. Its thread is replaced
when it ends, or after `GRACE_S` when it does not: then it is left behind, and what it worked with
is made anew for the next one.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from traceback import StackSummary, extract_stack
from typing import Any, Generic, TypeVar

from mwl.errors import RequestRefused
from mwl.limits import CALLBACK_TIMEOUT

FAILED = 0xC000
"""Status of a query whose callback raised or returned nonsense: PS3.4 Table K.4-1, as Orthanc."""
REFUSED = 0xC001
"""Status of a query that a callback refused."""
TOO_LATE = 0xC002
"""Status of a query whose callback took too long."""
NO_THREAD = 0xC003
"""Status of a query when too many callbacks hang."""
OUT_OF_RESOURCES = 0xA700
"""Status of a query when too many wait for a callback."""

GRACE_S = 1.0
"""Seconds that an interrupted call has to end; a call that sleeps or waits does not notice."""

LEFT_BEHIND_LIMIT = 4
"""Threads left behind at most: each holds memory, and a processor if it runs in circles."""

WAITING_LIMIT = 256
"""Calls that wait for a thread at most: as many as a hospital has devices. With a script that takes
10 ms the last one waits for three seconds."""

CLOSING_S = 1.0
"""Seconds that the threads have to end when the server stops."""

State = TypeVar("State")
Result = TypeVar("Result")


def stack_of(thread: threading.Thread) -> StackSummary:
    """Tell where a thread is."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    return StackSummary() if frame is None else extract_stack(frame)


class Interrupted(BaseException):
    """Is raised within a call that is over its time; no `Exception`, for scripts catch those."""


def too_many_hang() -> RequestRefused:
    """Give what a call fails with that finds no thread."""
    return RequestRefused(NO_THREAD, "Too many callbacks hang; restart the worklist server")


class Clock:
    """Calls back when a time has come, from a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None

    def set(self, key: object, seconds: float, ring: Callable[[], None]) -> None:
        """Ring in some seconds; what was set for this key is off."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="callback clock", daemon=True
                )
                self._thread.start()
            self._alarms[key] = (time.monotonic() + seconds, ring)
            self._changed.notify()

    def off(self, key: object) -> None:
        """Do not ring."""
        with self._changed:
            self._alarms.pop(key, None)

    def _run(self) -> None:
        while True:
            self._next()()

    def _next(self) -> Callable[[], None]:
        with self._changed:
            while True:
                if not self._alarms:
                    self._changed.wait()
                    continue
                key = min(self._alarms, key=lambda each: self._alarms[each][0])
                when, ring = self._alarms[key]
                left = when - time.monotonic()
                if left <= 0:
                    del self._alarms[key]
                    return ring
                self._changed.wait(left)


class Limits:
    """What all workers of a site share.

    Args:
        seconds: Longest time that a call may take.
        report: Is told of a thread that is left behind: its name, and how many there are now.

    Attributes:
        clock: Watches the calls.
        left_behind: Threads that run on although their call is over.
    """

    def __init__(self, seconds: float, report: Callable[[str, int], None]) -> None:
        self.seconds = seconds
        self.report = report
        self.clock = Clock()
        self.lock = threading.Lock()
        self.left_behind = 0

    @property
    def are_exceeded(self) -> bool:
        """Whether so many threads hang that no other is started."""
        return self.left_behind >= LEFT_BEHIND_LIMIT

    def too_late(self) -> RequestRefused:
        """Give what a call over its time fails with."""
        return RequestRefused(
            TOO_LATE,
            f"A callback took longer than {self.seconds:g} s",
            exceeded=CALLBACK_TIMEOUT.hit(self.seconds),
        )


Late = Callable[[StackSummary], None]
"""Is told where a call is that takes too long."""


@dataclass(eq=False, slots=True)
class _Call(Generic[State]):
    function: Callable[[State], Any]
    future: Future[Any]
    late: Late | None


class _Thread(Generic[State]):
    """One thread of a worker, from its start to its end."""

    def __init__(self, worker: "Worker[State]", made: list[State]) -> None:
        self.made = made
        """What it works with; none until it is made."""
        self.call: _Call[State] | None = None
        self.is_late = False
        self.is_left_behind = False
        self.thread = threading.Thread(
            target=worker.work, args=(self,), name=worker.name, daemon=True
        )

    def interrupt(self) -> None:
        """Raise `Interrupted` in it, as soon as it runs Python again."""
        import ctypes  # noqa: PLC0415 - rarely needed

        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.thread.ident or 0), ctypes.py_object(Interrupted)
        )


class Worker(Generic[State]):
    """Threads that do calls in order, each with something of its own that it works with.

    Args:
        name: Name of the threads.
        limits: Time limit, and how many may hang.
        make: Makes what a call works with, such as a script that was read: once a thread, and
            again for one that takes the place of a thread left behind.
        first: What the first thread works with, if that was made already.
        threads: How many calls may go on at once.
        waiting: How many may wait.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        make: Callable[[], State],
        first: list[State] | None = None,
        *,
        threads: int = 1,
        waiting: int = WAITING_LIMIT,
    ) -> None:
        self.name = name
        self._waiting = waiting
        self._limits = limits
        self._make = make
        self._calls: SimpleQueue[_Call[State] | None] = SimpleQueue()
        self._threads: set[_Thread[State]] = set()
        self._wanted = threads
        self._first = first or []

    def submit(
        self, function: Callable[[State], Result], late: Late | None = None
    ) -> Future[Result]:
        """Let a function be called with what a thread works with.

        Args:
            function: What to call.
            late: Is told when it takes too long.

        Returns:
            Its result, or what it raised; `RequestRefused` when it took too long, too many wait,
            or too many hang.
        """
        future: Future[Result] = Future()
        with self._limits.lock:
            self._start_threads()
            has_thread = bool(self._threads)
        if not has_thread:
            future.set_exception(too_many_hang())
        elif self._calls.qsize() >= self._waiting:
            future.set_exception(
                RequestRefused(OUT_OF_RESOURCES, "Too many queries wait for a callback")
            )
        else:
            self._calls.put(_Call(function, future, late))
        return future

    def close(self) -> None:
        """Let the threads end after what they do now."""
        with self._limits.lock:
            self._wanted = 0
            threads = tuple(self._threads)
        for _ in threads:
            self._calls.put(None)
        deadline = time.monotonic() + CLOSING_S
        for each in threads:
            each.thread.join(max(deadline - time.monotonic(), 0))

    def _start_threads(self) -> None:
        while len(self._threads) < self._wanted and not self._limits.are_exceeded:
            started = _Thread(self, self._first)
            self._first = []
            self._threads.add(started)
            started.thread.start()

    # The threads run this.

    def work(self, thread: _Thread[State]) -> None:
        """Do calls until there are no more, or one took too long."""
        while True:
            try:
                self._serve(thread)
                self._end(thread)
            except Interrupted:
                continue  # the call ended in that very moment; a thread is interrupted only once
            return

    def _serve(self, thread: _Thread[State]) -> None:
        while not thread.is_late and (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                self._do(thread, call)

    def _do(self, thread: _Thread[State], call: _Call[State]) -> None:
        thread.call = call
        self._limits.clock.set(call, self._limits.seconds, lambda: self._expire(thread, call))
        result, error = None, None
        try:
            if not thread.made:
                thread.made.append(self._make())
            result = call.function(thread.made[0])
        except BaseException as raised:  # noqa: BLE001 - the edge: whatever a script raises
            error = raised
        if not self._finish(thread):
            return
        self._limits.clock.off(call)
        if isinstance(error, Interrupted):
            error = self._limits.too_late()  # it looked at the time itself
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)

    def _finish(self, thread: _Thread[State]) -> bool:
        """Tell whether the call ended in time; from here on it is not interrupted."""
        with self._limits.lock:
            thread.call = None
            return not thread.is_late

    def _end(self, thread: _Thread[State]) -> None:
        with self._limits.lock:
            if thread.is_left_behind:
                thread.is_left_behind = False
                self._limits.left_behind -= 1
            elif thread in self._threads:
                self._threads.remove(thread)
                if thread.is_late:
                    # The next one goes on with the same script.
                    self._first = thread.made
                    self._start_threads()

    # The clock runs this.

    def _expire(self, thread: _Thread[State], call: _Call[State]) -> None:
        with self._limits.lock:
            if thread.call is not call:
                return
            thread.is_late = True
            stack = stack_of(thread.thread)
            thread.interrupt()
        if call.late is not None:
            call.late(stack)
        call.future.set_exception(self._limits.too_late())
        self._limits.clock.set(call, GRACE_S, lambda: self._leave_behind(thread))

    def _leave_behind(self, thread: _Thread[State]) -> None:
        with self._limits.lock:
            if thread not in self._threads:
                return
            self._threads.remove(thread)
            thread.is_left_behind = True
            self._limits.left_behind += 1
            self._start_threads()
            is_stuck, count = not self._threads, self._limits.left_behind
        self._limits.report(self.name, count)
        if is_stuck:
            self._give_up()

    def _give_up(self) -> None:
        """Fail the calls that wait when no thread is left to do them."""
        while not self._calls.empty():
            call = self._calls.get()
            if call is not None and call.future.set_running_or_notify_cancel():
                call.future.set_exception(too_many_hang())
