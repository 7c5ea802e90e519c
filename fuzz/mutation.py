"""Inputs made by changing seeds, for Pythons without atheris and for a count of inputs.

Nothing here knows what an input means or what code it reached: that is what atheris is for.
"""

import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from fuzz.targets import Target

HANG_S = 10
"""Seconds that one input may take."""

MOST_CHANGES = 6

NUMBERS = tuple(
    number.to_bytes(size, order)
    for number, size in [(0, 2), (0, 4), (1, 2), (0xFFFF, 2), (0xFFFFFFFF, 4), (0x7FFFFFFF, 4)]
    for order in ("little", "big")
)


class FoundError(Exception):
    """A harness failed, or took too long.

    Args:
        data: The input.
    """

    def __init__(self, data: bytes, message: str) -> None:
        super().__init__(message)
        self.data = data


class Outcome(NamedTuple):
    """What a run came to.

    Args:
        inputs: Inputs tried.
        seconds: Time it took.
        growth_kib: Growth of the memory of the process from a tenth of the run to its end.
    """

    inputs: int
    seconds: float
    growth_kib: int


def inputs_of(seeds: Sequence[bytes], chance: random.Random, longest: int) -> Iterator[bytes]:
    """Give the seeds, then changed ones without end."""
    yield from seeds
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, MOST_CHANGES)):
            chance.choice(CHANGES)(data, chance, seeds)
        yield bytes(data[:longest])


def _place(data: bytearray, chance: random.Random) -> slice:
    start = chance.randint(0, len(data))
    return slice(start, min(len(data), start + chance.choice([1, 2, 4, 8, 32])))


def _flip(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _remove(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[_place(data, chance)]


def _repeat(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    place = _place(data, chance)
    data[place.start : place.start] = data[place] * chance.choice([1, 1, 2, 16])


def _number(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    number = chance.choice(NUMBERS)
    start = chance.randint(0, len(data))
    data[start : start + len(number)] = number


def _noise(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    data[_place(data, chance)] = chance.randbytes(chance.randint(1, 8))


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    start = chance.randint(0, len(other))
    data[_place(data, chance)] = other[start : start + chance.choice([4, 16, 64, 1024])]


def _cut(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


_Change = Callable[[bytearray, random.Random, Sequence[bytes]], None]

CHANGES: Sequence[_Change] = (_flip, _flip, _remove, _repeat, _number, _noise, _splice, _cut)
"""What is done to a seed, the likelier twice."""


def run(target: Target, seed: int, *, inputs: int | None = None, seconds: float) -> Outcome:
    """Run a harness until so many inputs were tried or the time is up.

    Args:
        target: The harness.
        seed: Number that decides which inputs are made.
        inputs: Most inputs; None is any number.
        seconds: Longest time.

    Raises:
        FoundError: An input is a fault.
    """
    seeds = [*target.seeds()]
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    begun = time.monotonic()
    tried, settled_kib = 0, 0
    with _alarm():
        for data in inputs_of(seeds, chance, target.longest):
            passed = time.monotonic() - begun
            if passed >= seconds or tried == inputs:
                break
            _try(target, data)
            tried += 1
            is_warm = passed * 10 >= seconds or (inputs is not None and tried * 10 >= inputs)
            if not settled_kib and is_warm:
                settled_kib = _peak_kib()
    return Outcome(tried, time.monotonic() - begun, _peak_kib() - (settled_kib or _peak_kib()))


def _try(target: Target, data: bytes) -> None:
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        target.run(data)
    except Exception as error:
        raise FoundError(data, f"{type(error).__name__}: {error}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"an input took more than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def report(name: str, found: FoundError, folder: Path) -> None:
    """Keep the input of a fault, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{abs(hash(found.data)):016x}"
    file.write_bytes(found.data)
    sys.stderr.write(f"{name}: {found}\n  the input is in {file}: python -m fuzz {name} {file}\n")
