"""Async hooks: coroutines on a loop of their own, all at once, each within the time limit.

Apart from `mwl.callbacks.runner`, for asyncio is dear to import and few sites need it here.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from traceback import extract_tb
from typing import Any, TypeVar

from mwl.callbacks.runner import CLOSING_S, GRACE_S, Late, Limits, stack_of, too_many_hang

Result = TypeVar("Result")


class LoopWorker:
    """Runs coroutines on a loop of its own, all at once, each within the time limit.

    Args:
        limits: Time limit, and how many may hang.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._settling = threading.Lock()
        """Held while it is decided whose result a future gets."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.current_thread()

    def submit(
        self, start: Callable[[], Coroutine[Any, Any, Result]], late: Late | None = None
    ) -> Future[Result]:
        """Let a coroutine run; as `Worker.submit`."""
        loop = self._running()
        outer: Future[Result] = Future()
        if loop is None:
            outer.set_exception(too_many_hang())
            return outer
        inner = asyncio.run_coroutine_threadsafe(self._within_limit(start, late), loop)
        self._limits.clock.set(outer, self._limits.seconds, lambda: self._doubt(loop, outer, late))
        inner.add_done_callback(lambda done: self._pass_on(done, outer))
        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        return outer

    def close(self) -> None:
        """Stop the loop; what runs on it is given up."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSING_S)

    async def _within_limit(
        self, start: Callable[[], Coroutine[Any, Any, Result]], late: Late | None
    ) -> Result:
        limit = asyncio.timeout(self._limits.seconds)
        try:
            async with limit:
                return await start()
        except TimeoutError as error:
            if not limit.expired():
                raise
            if late is not None:
                # Python 3.11 names no cause before 3.11.3; the context is the same.
                waited = error.__context__ or error
                late(extract_tb(waited.__traceback__))
            raise self._limits.too_late() from None

    def _running(self) -> asyncio.AbstractEventLoop | None:
        with self._limits.lock:
            if self._loop is None and not self._limits.are_exceeded:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop,), name="async callbacks", daemon=True
                )
                self._thread.start()
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        # Its end cancels what is still waiting.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.get_loop().run_forever()

    def _pass_on(self, inner: Future[Result], outer: Future[Result]) -> None:
        self._limits.clock.off(outer)
        if not self._may_settle(outer):
            return
        if inner.cancelled():  # with the loop, that another one held
            outer.set_exception(self._limits.too_late())
        elif (error := inner.exception()) is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def _may_settle(self, outer: Future[Result]) -> bool:
        with self._settling:
            is_settled = outer.running() or outer.done()
            return not is_settled and outer.set_running_or_notify_cancel()

    def _doubt(
        self, loop: asyncio.AbstractEventLoop, outer: Future[Result], late: Late | None
    ) -> None:
        """Let a loop show that nothing holds it.

        Its time begins now: after the whole machine stood still, it is no later than this clock.
        """
        self._limits.clock.set(outer, GRACE_S, lambda: self._leave_behind(loop, outer, late))
        if outer.done():
            self._limits.clock.off(outer)

    def _leave_behind(
        self, loop: asyncio.AbstractEventLoop, outer: Future[Result], late: Late | None
    ) -> None:
        """Leave a loop behind that a coroutine holds, and fail the one that waits for it."""
        with self._limits.lock:
            is_first = self._loop is loop
            if is_first:
                self._loop = None
                self._limits.left_behind += 1
            count = self._limits.left_behind
            stack = stack_of(self._thread)
        if is_first:
            if late is not None:
                late(stack)
            self._limits.report("async hooks", count)
            loop.call_soon_threadsafe(self._come_back, loop)
        if self._may_settle(outer):
            outer.set_exception(self._limits.too_late())

    def _come_back(self, loop: asyncio.AbstractEventLoop) -> None:
        """End a loop that was left behind and is free after all."""
        with self._limits.lock:
            self._limits.left_behind -= 1
        loop.stop()
