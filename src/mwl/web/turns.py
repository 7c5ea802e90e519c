"""Long work in slices: between two of them everybody else on the event loop has a turn."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from heapq import merge
from time import perf_counter
from typing import Any, TypeVar

SLICE_S = 0.001
"""Longest time, in seconds, that a handler keeps the event loop, which DICOM shares."""

SORTED_AT_ONCE = 1024
"""Values sorted at a time, in values: about a millisecond."""

T = TypeVar("T")


async def turn() -> None:
    """Let the others have a turn."""
    await asyncio.sleep(0)  # noqa: TID251 - nothing is waited for


async def finished(steps: Generator[None, None, T]) -> T:
    """Run work that yields between slices; give what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        await turn()


async def in_turns(values: Iterable[T]) -> AsyncIterator[T]:
    """Give values that take their time, with turns of the others in between."""
    until = perf_counter() + SLICE_S
    for value in values:
        yield value
        if perf_counter() >= until:
            await turn()
            until = perf_counter() + SLICE_S


async def sorted_in_turns(values: list[tuple[Any, ...]], *, reverse: bool) -> list[tuple[Any, ...]]:
    """Sort, a part at a time; equals stay in their order."""
    runs = []
    for start in range(0, len(values), SORTED_AT_ONCE):
        run = values[start : start + SORTED_AT_ONCE]
        run.sort(key=_first, reverse=reverse)
        runs.append(run)
        await turn()
    return [value async for value in in_turns(merge(*runs, key=_first, reverse=reverse))]


def _first(value: tuple[Any, ...]) -> Any:
    return value[0]
