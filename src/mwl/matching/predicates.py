"""Conditions on the values of one attribute.

A predicate gets the stored values in normal form (`mwl.matching.values`) and says whether one of
them will do: with a stored value multiplicity above one, one matching value suffices (PS3.4
K.2.2.3). An attribute without values is never accepted (PS3.4 K.2.2.1.1.1).

How a key becomes a predicate is in `mwl.matching.keys`.

Source: DICOM PS3.4 C.2.2.2.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from mwl.matching.values import OPEN_LOWER, OPEN_UPPER, Interval, Moment

Stored = tuple[Any, ...]
"""Values of one attribute in the normal form of the key's VR."""


class Predicate(Protocol):
    """A condition on stored values."""

    def accepts(self, stored: Stored) -> bool:
        """Tell whether one of the values meets the condition."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Single value matching and list of UID matching: PS3.4 C.2.2.2.1, C.2.2.2.2."""

    values: frozenset[Hashable]

    def accepts(self, stored: Stored) -> bool:
        """Tell whether a stored value equals one of the key's."""
        return not self.values.isdisjoint(stored)


@dataclass(frozen=True, slots=True)
class WildCard:
    """Wild card matching: PS3.4 C.2.2.2.4."""

    pattern: re.Pattern[str]

    def accepts(self, stored: Stored) -> bool:
        """Tell whether the pattern covers a whole stored value."""
        return any(map(self.pattern.fullmatch, stored))


@dataclass(frozen=True, slots=True)
class Within:
    """A date or time, or a range of them: PS3.4 C.2.2.2.1.3, C.2.2.2.5.

    A key and a stored value match when the intervals that they name have a day, or a microsecond,
    in common. So `0856` finds 085607, and 120000 finds a stored `1200`.
    """

    lower: int
    upper: int
    is_range: bool

    def accepts(self, stored: Stored) -> bool:
        """Tell whether a stored interval overlaps the key's; none overlaps a reversed range."""
        lower, upper = self.lower, self.upper
        if lower > upper:
            return False
        return any(value[0] <= upper and value[1] >= lower for value in stored)

    @property
    def interval(self) -> Interval:
        """First and last value."""
        return Interval(self.lower, self.upper)


FIRST_MOMENT = Moment(OPEN_LOWER, OPEN_LOWER, None)
"""Begin of a range without a lower bound."""
LAST_MOMENT = Moment(OPEN_UPPER, OPEN_UPPER, None)
"""End of a range without an upper bound."""


@dataclass(frozen=True, slots=True)
class WithinMoments:
    """A moment or a range of moments, for DT: PS3.4 C.2.2.2.5.3.

    Two moments are compared in UTC when both tell their offset; else as the clocks showed them.
    """

    first: Moment = FIRST_MOMENT
    last: Moment = LAST_MOMENT

    @property
    def is_reversed(self) -> bool:
        """Whether the range ends before it begins."""
        return not _reaches(self.last, self.first)

    def accepts(self, stored: Stored) -> bool:
        """Tell whether a stored moment overlaps the key's."""
        if self.is_reversed:
            return False
        return any(_reaches(value, self.first) and _reaches(self.last, value) for value in stored)


def _reaches(later: Moment, earlier: Moment) -> bool:
    shift = 0
    if later.offset is not None and earlier.offset is not None:
        shift = later.offset - earlier.offset
    return later.upper - shift >= earlier.lower


@dataclass(frozen=True, slots=True)
class NamePart:
    """A condition on one component group of a person name."""

    text: str
    pattern: re.Pattern[str] | None

    def accepts(self, group: str) -> bool:
        """Tell whether the group is the one asked for."""
        if self.pattern is None:
            return group == self.text
        # `DOE^*` finds DOE: trailing empty components may be left out (PS3.5 6.2.1.2).
        return bool(self.pattern.fullmatch(group + "^" * (self.text.count("^") - group.count("^"))))


@dataclass(frozen=True, slots=True)
class Name:
    """Person name matching: PS3.4 C.2.2.2.1.1.

    Args:
        parts: One condition for each component group; None where the key leaves it open.
        by_group: Whether the parts stand for the groups in their order (the key has a `=`);
            else the only part may be met by any group.
    """

    parts: tuple[NamePart | None, ...]
    by_group: bool

    def accepts(self, stored: Stored) -> bool:
        """Tell whether a stored name, given as its component groups, is the one asked for."""
        if not self.by_group:
            (part,) = self.parts
            return part is None or any(
                part.accepts(group) for name in stored for group in name if group
            )
        return any(
            all(
                part is None or (bool(group) and part.accepts(group))
                for part, group in zip(self.parts, _padded(name, len(self.parts)), strict=False)
            )
            for name in stored
        )


def _padded(name: tuple[str, ...], length: int) -> tuple[str, ...]:
    return name + ("",) * (length - len(name))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several key values of which one must be met.

    The standard leaves several values in a key undefined unless they are UIDs (PS3.4 C.2.2.2.8,
    not negotiable for a worklist). Any of them is what devices mean.
    """

    predicates: tuple[Predicate, ...]

    def accepts(self, stored: Stored) -> bool:
        """Tell whether one of the conditions is met."""
        return any(predicate.accepts(stored) for predicate in self.predicates)
