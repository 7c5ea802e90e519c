"""What a query may find, must find and must not find while files change around it.

Each file has versions, each with the time from which it may be found and until which it may. A
query that overlaps only one version of a file has to see that one; one that overlaps several,
because the file was being written meanwhile, may see any of them, and one only. Which versions
match, and with how many steps, is what `support.oracle` says.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from support import oracle

Values = Mapping[str, Any]

SERIAL = "AdmissionID"
"""Attribute that names the version in each answer; no query asks for a value of it."""

STEPS = "ScheduledProcedureStepSequence"

KEPT_S = 60.0
"""Seconds that a version is remembered after its end: no query takes as long."""


@dataclass(slots=True)
class Version:
    """What a file holds for a time.

    Args:
        serial: Names it; None for no item: the file is missing, or holds none.
        items: What the oracle looks at, one for each scheduled procedure step.
        begin: From when it may be found, on the clock of the loop.
        end: Until when it may.
    """

    serial: str | None
    items: Sequence[Values]
    begin: float
    end: float = math.inf
    matching: dict[int, int] = field(default_factory=dict)
    """How many of the items match a query, by its number."""

    def found_by(self, number: int, query: Values) -> int:
        """Tell how many answers a query gets of it."""
        if (found := self.matching.get(number)) is None:
            found = sum(oracle.matches(query, item) for item in self.items)
            self.matching[number] = found
        return found


class Truth:
    """All versions of all files."""

    def __init__(self) -> None:
        self._versions: defaultdict[str, list[Version]] = defaultdict(list)
        self._numbers = count(1)

    def new_serial(self) -> str:
        """Give the name of a version that is going to be written."""
        return f"V{next(self._numbers)}"

    def begins(self, source: str, now: float, values: Values | None) -> Version:
        """Note that a file may hold something from now on; `values` None is no item."""
        serial = None if values is None else values[SERIAL]
        items = [] if values is None else items_of(values)
        versions = self._versions[source]
        if not versions:
            versions.append(Version(None, [], -math.inf))
        version = Version(serial, items, now)
        versions.append(version)
        return version

    def is_there(self, source: str, now: float) -> None:
        """Note that a file holds what was written last, and nothing else any more."""
        versions = self._versions[source]
        for version in versions[:-1]:
            version.end = min(version.end, now)
        versions[:] = [version for version in versions if version.end > now - KEPT_S]
        if all(version.serial is None for version in versions):
            del self._versions[source]

    def wrong(
        self, number: int, query: Values, began: float, ended: float, serials: Iterable[str]
    ) -> list[str]:
        """Tell what is wrong with the answers to a query that was open between two times."""
        return self._wrong(began, ended, Counter(serials), lambda one: one.found_by(number, query))

    def wrong_list(self, began: float, ended: float, serials: Iterable[str]) -> list[str]:
        """Tell what is wrong with a list of all files, taken between two times."""
        return self._wrong(began, ended, Counter(serials), lambda one: 1 if one.items else 0)

    def _wrong(
        self, began: float, ended: float, found: Counter[str], answers_of: Callable[[Version], int]
    ) -> list[str]:
        wrong = []
        for source, versions in self._versions.items():
            seen = {
                version.serial: found.pop(version.serial)
                for version in versions
                if version.serial is not None and version.serial in found
            }
            possible: list[dict[str | None, int]] = []
            for version in versions:
                if version.begin <= ended and version.end >= began:
                    answers = answers_of(version)
                    possible.append({version.serial: answers} if answers else {})
            if seen not in possible:
                wrong.append(f"{source}: found {seen}, possible {possible}")
        wrong += [f"{serial}: found {times} times, of no file" for serial, times in found.items()]
        return wrong


def items_of(values: Values) -> list[Values]:
    """Give one item for each scheduled procedure step, as answers have it."""
    steps = values.get(STEPS)
    if not steps:
        return [values]
    return [{**values, STEPS: [step]} for step in steps]
