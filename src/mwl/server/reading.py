"""Reading the folder while nobody asks: at the start, and for who hears of items from then on."""

import asyncio
import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import chain

from mwl.dataset import load_registry
from mwl.errors import StoreError
from mwl.find import Worklist
from mwl.site import Worklists

REGISTRY_LATER_S = 1.0
"""Seconds from the reading of the folder to that of the registry, which takes 0.1 s: early enough
to be there before a query asks for a rare attribute, late enough for those who wait to be answered.
"""

EVENTS_WITHIN_S = 1.0
"""Seconds after which hooks and the audit trail hear of items that changed, at the latest."""


def nothing() -> None:
    """End what has not begun."""


def preload(
    loop: asyncio.AbstractEventLoop, worklist: Worklist, loaded: Callable[[], None] = nothing
) -> Callable[[], None]:
    """Read the folder in slices between other work, so that the first query need not wait.

    Args:
        loop: The loop to do it on.
        worklist: Whose folder.
        loaded: Is called when it is read, or cannot be.

    Returns:
        What ends it before its time.
    """
    steps = _load(worklist)

    def step() -> None:
        try:
            next(steps)
        except (StopIteration, StoreError):
            # Read, or not to be read: the store has said so. Those who waited are answered first.
            loop.call_later(REGISTRY_LATER_S, load_registry)
            loaded()
        else:
            loop.call_soon(step)

    step()
    return steps.close


def _load(worklist: Worklist) -> Generator[None, None, None]:
    # Items make no cycles, but the search for some takes long among 100,000 of them, while nobody
    # is answered: none while they are read, and what is there then is left out of it.
    gc.disable()
    try:
        yield from worklist.see_every_change()
    finally:
        gc.enable()
        gc.freeze()
    yield from worklist.catalog.remember()


def watch(loop: asyncio.AbstractEventLoop, worklists: Worklists) -> Callable[[], None]:
    """Look for changes although nobody asks, so that who listens hears of items soon.

    Returns:
        What ends it.
    """
    next_look: asyncio.Handle | None = None

    def look() -> None:
        step(chain.from_iterable(map(_changes, worklists.opened.values())))

    def step(steps: Iterator[None]) -> None:
        nonlocal next_look
        try:
            next(steps)
        except StopIteration:
            next_look = loop.call_later(EVENTS_WITHIN_S, look)
        else:
            next_look = loop.call_soon(step, steps)

    def end() -> None:
        if next_look is not None:
            next_look.cancel()

    look()
    return end


def _changes(worklist: Worklist) -> Iterator[None]:
    with suppress(StoreError):  # the store has said so
        yield from worklist.see_every_change()
