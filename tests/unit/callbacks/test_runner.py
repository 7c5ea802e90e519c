"""Calls on threads of their own, and what becomes of those that take too long."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from traceback import StackSummary
from typing import Any

import pytest

from mwl.callbacks import runner
from mwl.callbacks.coroutines import LoopWorker
from mwl.callbacks.runner import LEFT_BEHIND_LIMIT, NO_THREAD, TOO_LATE, Clock, Limits, Worker
from mwl.errors import RequestRefused

SHORT_S = 0.05
LONG_S = 20.0


class Gate:
    """A wait that only ends when the test does."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def wait(self, _: object = None) -> None:
        self.entered.release()
        self.opened.wait()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


class Reports:
    """What was told of threads left behind."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.changed = threading.Condition()

    def __call__(self, _: str, count: int) -> None:
        with self.changed:
            self.counts.append(count)
            self.changed.notify_all()

    def wait_for(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.counts) >= number, LONG_S)


@contextmanager
def working(
    seconds: float, make: Callable[[], Any] = object, report: Any = None, **given: Any
) -> Iterator[Worker[Any]]:
    worker = Worker("test", Limits(seconds, report or (lambda *_: None)), make, **given)
    yield worker
    worker.close()


def in_circles(_: object) -> None:
    while True:
        pass


def status_of(future: Future[Any]) -> int:
    error = future.exception(LONG_S)
    assert isinstance(error, RequestRefused)
    return error.status


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE_S", SHORT_S)


def test_calls_are_done_in_order_with_one_state() -> None:
    with working(LONG_S, lambda: iter(range(10))) as worker:
        futures = [worker.submit(next) for _ in range(3)]
        assert [future.result(LONG_S) for future in futures] == [0, 1, 2]


def test_what_a_call_raises_is_what_its_future_raises() -> None:
    with working(LONG_S) as worker:
        error = worker.submit(lambda _: int("x")).exception(LONG_S)
        assert isinstance(error, ValueError)
        assert worker.submit(lambda _: 1).result(LONG_S) == 1


def test_a_script_that_ends_the_program_only_fails() -> None:
    def leave(_: object) -> None:
        raise SystemExit(1)

    with working(LONG_S) as worker:
        assert isinstance(worker.submit(leave).exception(LONG_S), SystemExit)
        assert worker.submit(lambda _: 1).result(LONG_S) == 1


def test_a_call_in_a_circle_is_interrupted_and_the_next_one_goes_on_with_the_same_state() -> None:
    reports = Reports()
    with working(SHORT_S, list, reports) as worker:
        state = worker.submit(lambda seen: seen).result(LONG_S)
        assert status_of(worker.submit(in_circles)) == TOO_LATE
        assert worker.submit(lambda seen: seen).result(LONG_S) is state
        assert reports.counts == []


def test_a_call_that_catches_its_interruption_is_left_behind(gate: Gate) -> None:
    def stubborn(_: object) -> None:
        while not gate.opened.is_set():
            try:
                in_circles(_)
            except BaseException:  # noqa: BLE001, S112 - as scripts do it
                continue

    reports = Reports()
    with working(SHORT_S, list, reports) as worker:
        state = worker.submit(lambda seen: seen).result(LONG_S)
        assert status_of(worker.submit(stubborn)) == TOO_LATE
        assert worker.submit(lambda seen: seen).result(LONG_S) is not state
        reports.wait_for(1)
        assert reports.counts == [1]
        gate.opened.set()


def test_a_call_that_waits_fails_in_time_and_leaves_the_worker_to_others(gate: Gate) -> None:
    reports = Reports()
    with working(SHORT_S, list, reports) as worker:
        blocked = worker.submit(gate.wait)
        waiting = worker.submit(lambda seen: seen)
        assert status_of(blocked) == TOO_LATE
        assert waiting.result(LONG_S) == []
        reports.wait_for(1)
        assert reports.counts == [1]


def test_after_the_limit_of_threads_left_behind_calls_fail_at_once(gate: Gate) -> None:
    reports = Reports()
    with working(SHORT_S, list, reports) as worker:
        for number in range(1, LEFT_BEHIND_LIMIT + 1):
            assert status_of(worker.submit(gate.wait)) == TOO_LATE
            reports.wait_for(number)
        refused = worker.submit(lambda seen: seen)
        assert refused.done()
        assert status_of(refused) == NO_THREAD
        assert reports.counts == [1, 2, 3, 4]


def test_calls_that_wait_fail_when_no_thread_is_left(gate: Gate) -> None:
    reports = Reports()
    with working(SHORT_S, list, reports) as worker:
        futures = [worker.submit(gate.wait) for _ in range(LEFT_BEHIND_LIMIT + 2)]
        assert [status_of(future) for future in futures] == [TOO_LATE] * 4 + [NO_THREAD] * 2


def test_a_thread_that_comes_back_makes_room_for_another(gate: Gate) -> None:
    reports = Reports()
    limits = Limits(SHORT_S, reports)
    worker = Worker[list[int]]("comes back", limits, list)
    for _ in range(LEFT_BEHIND_LIMIT):
        worker.submit(gate.wait)
    reports.wait_for(LEFT_BEHIND_LIMIT)
    behind = [thread for thread in threading.enumerate() if thread.name == "comes back"]
    assert len(behind) == LEFT_BEHIND_LIMIT
    gate.opened.set()
    for thread in behind:
        thread.join(LONG_S)
    assert limits.left_behind == 0
    assert worker.submit(lambda seen: seen).result(LONG_S) == []
    worker.close()


def test_too_many_waiting_calls_are_refused(gate: Gate) -> None:
    with working(LONG_S, waiting=3) as worker:
        worker.submit(gate.wait)
        assert gate.entered.acquire(timeout=LONG_S)
        waiting = [worker.submit(lambda _: 1) for _ in range(3)]
        assert status_of(worker.submit(lambda _: 1)) == 0xA700
        gate.opened.set()
        assert [future.result(LONG_S) for future in waiting] == [1, 1, 1]


def test_a_call_given_up_before_its_turn_is_never_made(gate: Gate) -> None:
    made: list[int] = []
    with working(LONG_S) as worker:
        worker.submit(gate.wait)
        assert gate.entered.acquire(timeout=LONG_S)
        given_up = worker.submit(lambda _: made.append(1))
        last = worker.submit(lambda _: made.append(2))
        assert given_up.cancel()
        gate.opened.set()
        last.result(LONG_S)
    assert made == [2]


def test_several_threads_work_at_once(gate: Gate) -> None:
    with working(LONG_S, threads=3) as worker:
        futures = [worker.submit(gate.wait) for _ in range(3)]
        for _ in futures:
            assert gate.entered.acquire(timeout=LONG_S)
        gate.opened.set()
        for future in futures:
            future.result(LONG_S)


def test_where_a_late_call_is_can_be_told() -> None:
    frames: list[str] = []

    def late(stack: StackSummary) -> None:
        frames.append(stack[-1].name)

    with working(SHORT_S) as worker:
        status_of(worker.submit(in_circles, late))
    assert frames == ["in_circles"]


@contextmanager
def looping(seconds: float, report: Any = None) -> Iterator[LoopWorker]:
    worker = LoopWorker(Limits(seconds, report or (lambda *_: None)))
    yield worker
    worker.close()


def test_a_coroutine_that_waits_too_long_is_cancelled_and_others_go_on() -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def give() -> int:
        return 1

    with looping(SHORT_S) as worker:
        slow = worker.submit(wait)
        assert worker.submit(give).result(LONG_S) == 1
        assert status_of(slow) == TOO_LATE
        assert cancelled.wait(LONG_S)


def test_a_timeout_of_the_coroutines_own_is_not_taken_for_ours() -> None:
    async def fail() -> None:
        raise TimeoutError

    with looping(LONG_S) as worker:
        assert isinstance(worker.submit(fail).exception(LONG_S), TimeoutError)


def test_a_coroutine_that_holds_the_loop_is_left_behind_with_it(gate: Gate) -> None:
    async def hold() -> None:
        gate.wait()

    async def give() -> int:
        return 1

    reports = Reports()
    with looping(SHORT_S, reports) as worker:
        held = worker.submit(hold)
        assert gate.entered.acquire(timeout=LONG_S)
        behind = worker.submit(give)
        assert status_of(held) == TOO_LATE
        assert status_of(behind) == TOO_LATE
        assert worker.submit(give).result(LONG_S) == 1
        reports.wait_for(1)
        assert reports.counts == [1]


class StoppedClock(Clock):
    """Rings when it is told to, as after a time in which the whole machine stood still."""

    def __init__(self) -> None:
        super().__init__()
        self.ring: Callable[[], None] | None = None

    def set(self, key: object, seconds: float, ring: Callable[[], None]) -> None:
        self.ring = ring


def test_a_loop_is_not_left_behind_because_the_machine_stood_still() -> None:
    started = threading.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    async def give() -> int:
        return 1

    reports = Reports()
    limits = Limits(SHORT_S, reports)
    limits.clock = clock = StoppedClock()
    worker = LoopWorker(limits)
    try:
        slow = worker.submit(wait)
        assert started.wait(LONG_S)
        assert clock.ring is not None
        clock.ring()
        assert status_of(slow) == TOO_LATE
        assert worker.submit(give).result(LONG_S) == 1
        assert reports.counts == []
    finally:
        worker.close()


def test_a_coroutine_that_is_not_to_be_cancelled_takes_others_with_it_and_none_hangs() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def wait() -> None:
        await asyncio.Event().wait()

    async def give() -> int:
        return 1

    with looping(0.3) as worker:
        held, waiting = worker.submit(stubborn), worker.submit(wait)
        assert status_of(held) == TOO_LATE
        assert status_of(waiting) == TOO_LATE
        assert worker.submit(give).result(LONG_S) == 1


def test_a_coroutine_given_up_is_cancelled() -> None:
    started, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with looping(LONG_S) as worker:
        future = worker.submit(wait)
        assert started.wait(LONG_S)
        assert future.cancel()
        assert ended.wait(LONG_S)
