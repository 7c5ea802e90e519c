"""The tree of conditions that a query makes, and what they look at.

A criterion is one key that asks for something; it knows where it stands and can be asked why an
item was left out. A sequence criterion holds those of its item. Keys that ask for nothing
(universal matching) have no criterion.

Source: DICOM PS3.4 C.2.2.2, K.2.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.dataset import (
    DEFAULT_REPERTOIRE_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    values,
)
from mwl.errors import DatasetError
from mwl.item import WorklistItem
from mwl.matching.keys import IllegalKeyError, Kind, key_of
from mwl.matching.predicates import Predicate, Stored
from mwl.matching.values import DAY, NORMALS, OPEN_LOWER, OPEN_UPPER, Interval, normals

_CACHED_LEVELS = 512
"""Items kept in decoded form, about 10 KiB each: an item that matched is answered next."""

_CACHED_VALUES = 8192
"""Stored values kept in normal form: stations, modalities and days are few."""

_LONGEST_CACHED_VALUE = 64
"""Bytes of a stored value that is worth keeping: the longest of the usual VRs."""

_ASCII = CharacterSet.of(("ISO_IR 6",))


class Level(NamedTuple):
    """An item of the worklist, or one item of a sequence in it: what criteria look at."""

    elements: Elements
    character_set: CharacterSet

    def items(self, tag: int) -> "Iterator[Level]":
        """Give the items of a sequence; none when it is absent or no sequence."""
        element = self.elements.get(tag)
        if element is not None and isinstance(element.value, tuple):
            for elements in element.value:
                yield inner_level(elements, self.character_set)


def inner_level(elements: Elements, outer: CharacterSet) -> Level:
    """Give an item of a sequence with its own character set or that of what is round it.

    Source: PS3.5 7.5.3.
    """
    if SPECIFIC_CHARACTER_SET not in elements:
        return Level(elements, outer)
    try:
        return Level(elements, character_set(elements, outer))
    except DatasetError:
        return Level(elements, outer)


@lru_cache(maxsize=_CACHED_LEVELS)
def level_of(item: WorklistItem) -> Level:
    """Give a whole worklist item as what criteria look at."""
    return Level(item.elements(), item.character_set)


def stored_values(
    element: Element, vr: str, characters: CharacterSet, *, folds_names: bool
) -> Stored:
    """Give the values of a stored attribute in the normal form of `vr`.

    Text that its character set cannot decode has no values: nothing can be said about it, so only
    a universal key finds it.
    """
    _, stored_vr, value = element
    if not isinstance(value, bytes):
        return ()
    if stored_vr == "UN":
        stored_vr = vr
    if stored_vr in DEFAULT_REPERTOIRE_VRS and len(value) <= _LONGEST_CACHED_VALUE:
        return _normals_cached(value, stored_vr, vr)
    return _normals(value, stored_vr, vr, characters, folds_names)


def _normals(
    value: bytes,
    stored_vr: str,
    vr: str,
    characters: CharacterSet = _ASCII,
    folds_names: bool = True,
) -> Stored:
    if stored_vr not in NORMALS:
        return ()
    try:
        texts = values(Element(0, stored_vr, value), characters)
    except DatasetError:
        return ()
    return normals(vr, texts, folds_names=folds_names)


_normals_cached = lru_cache(maxsize=_CACHED_VALUES)(_normals)


class Condition(Protocol):
    """What a criterion asks of a data set."""

    def accepts(self, level: Level) -> bool:
        """Tell whether the data set meets the condition."""


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """A key that asks for something.

    Args:
        path: Tags from the outermost sequence to the attribute.
        kind: Kind of matching, in words.
        name: Keywords of the path, such as `ScheduledProcedureStepSequence.Modality`.
        skipped_without_sequence: Whether it is no condition for an item that lacks the sequence
            it is, or stands in (`Dialect.skips_missing_sequences`).
        condition: What it asks of a data set.
        inner: The criteria of the item of a sequence.
    """

    path: tuple[int, ...]
    kind: Kind
    name: str
    skipped_without_sequence: bool
    condition: Condition
    inner: "tuple[Criterion, ...]" = ()

    @property
    def tag(self) -> int:
        """The attribute itself."""
        return self.path[-1]

    def leaves(self) -> "Iterator[Criterion]":
        """Give the criteria on single attributes in it, or itself."""
        if not self.inner:
            yield self
        for criterion in self.inner:
            yield from criterion.leaves()

    def failures(self, levels: Sequence[Level]) -> "Iterator[Criterion]":
        """Give what none of some data sets meets on its own.

        For a sequence these are criteria of its item. When each of them is met, but not all by
        one item, it is the sequence itself.
        """
        if any(map(self.condition.accepts, levels)):
            return
        items = [item for level in levels for item in level.items(self.tag)]
        failed = [failure for criterion in self.inner for failure in criterion.failures(items)]
        yield from failed or (self,)


@dataclass(frozen=True, slots=True, eq=False)
class HasValue:
    """A condition on the values of one attribute."""

    tag: int
    vr: str
    predicate: Predicate
    folds_names: bool

    def accepts(self, level: Level) -> bool:
        """Tell whether one of the stored values will do."""
        element = level.elements.get(self.tag)
        if element is None or not element.value:
            return False
        return self.predicate.accepts(
            stored_values(element, self.vr, level.character_set, folds_names=self.folds_names)
        )


@dataclass(frozen=True, slots=True, eq=False)
class HasUntypedValue:
    """A condition on an attribute whose VR only the item can tell, else it is text (LO).

    A private key in implicit VR is the usual case. A value that is not legal for the VR of the
    item matches nothing: the query was accepted before the item was seen.
    """

    key: Element
    character_set: CharacterSet
    folds_names: bool

    def accepts(self, level: Level) -> bool:
        """Tell whether one of the stored values will do."""
        element = level.elements.get(self.key.tag)
        if element is None or not element.value:
            return False
        vr = "LO" if element.vr == "UN" else element.vr
        try:
            asked = key_of(self.key, vr, self.character_set, folds_names=self.folds_names)
        except IllegalKeyError:
            return False
        return asked is None or asked.predicate.accepts(
            stored_values(element, vr, level.character_set, folds_names=self.folds_names)
        )


@dataclass(frozen=True, slots=True, eq=False)
class HasDateAndTime:
    """Start date and start time joined into one interval: PS3.4 Table K.6-1, remarks.

    Args:
        date_tag: The attribute with the date.
        time_tag: The attribute with the time.
        lower: First microsecond, counted from day 0 of `mwl.matching.values.parse_date`.
        upper: Last microsecond.
    """

    date_tag: int
    time_tag: int
    lower: int
    upper: int

    def accepts(self, level: Level) -> bool:
        """Tell whether date and time have an instant in common with the interval."""
        date = level.elements.get(self.date_tag)
        time = level.elements.get(self.time_tag)
        if date is None or time is None or self.lower > self.upper:
            return False
        days = stored_values(date, "DA", level.character_set, folds_names=True)
        times = stored_values(time, "TM", level.character_set, folds_names=True)
        return any(
            day.lower * DAY + clock.lower <= self.upper
            and day.upper * DAY + clock.upper >= self.lower
            for day in days
            for clock in times
        )

    @property
    def days(self) -> Interval:
        """First and last day of the interval."""
        lower = self.lower if self.lower == OPEN_LOWER else self.lower // DAY
        upper = self.upper if self.upper == OPEN_UPPER else self.upper // DAY
        return Interval(lower, upper)


@dataclass(frozen=True, slots=True, eq=False)
class HasItem:
    """A condition on the items of a sequence: one of them meets all that is asked.

    Source: PS3.4 C.2.2.2.6.
    """

    tag: int
    criteria: tuple[Criterion, ...]
    skipped_without_sequence: bool

    def accepts(self, level: Level) -> bool:
        """Tell whether one item of the sequence meets all conditions."""
        if self.tag not in level.elements:
            return self.skipped_without_sequence
        return any(map(self.accepts_item, level.items(self.tag)))

    def accepts_item(self, item: Level) -> bool:
        """Tell whether this item of the sequence meets all conditions."""
        return all(criterion.condition.accepts(item) for criterion in self.criteria)
