"""The tree of conditions that a query makes, and what they look at.

A criterion is one key that asks for something; it knows where it stands and can be asked why an
item was left out. A sequence criterion holds those of its item. Keys that ask for nothing
(universal matching) have no criterion.

Nothing here is changed once made. It is not frozen because making it would take four times as
long, and a query that was never asked before makes a dozen.

Source: DICOM PS3.4 C.2.2.2, K.2.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mwl.dataset import CharacterSet, Element
from mwl.matching.keys import IllegalKeyError, Kind, key_of
from mwl.matching.predicates import Predicate
from mwl.matching.stored import Level, stored_values
from mwl.matching.values import DAY, OPEN_LOWER, OPEN_UPPER, Interval


class Condition(Protocol):
    """What a criterion asks of a data set."""

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes that it looks at."""

    def accepts(self, level: Level) -> bool:
        """Tell whether the data set meets the condition."""


@dataclass(slots=True, eq=False)
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

    def paths(self) -> "Iterator[tuple[int, ...]]":
        """Give the paths of the attributes that it looks at."""
        for tag in self.condition.tags if not self.inner else ():
            yield (*self.path[:-1], tag)
        for criterion in self.inner:
            yield from criterion.paths()

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


@dataclass(slots=True, eq=False)
class HasValue:
    """A condition on the values of one attribute."""

    tag: int
    vr: str
    predicate: Predicate
    folds_names: bool

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes that it looks at."""
        return (self.tag,)

    def accepts(self, level: Level) -> bool:
        """Tell whether one of the stored values will do."""
        element = level.elements.get(self.tag)
        if element is None or not element.value:
            return False
        return self.predicate.accepts(
            stored_values(element, self.vr, level.character_set, folds_names=self.folds_names)
        )


@dataclass(slots=True, eq=False)
class HasUntypedValue:
    """A condition on an attribute whose VR only the item can tell, else it is text (LO).

    A private key in implicit VR is the usual case. A value that is not legal for the VR of the
    item matches nothing: the query was accepted before the item was seen.
    """

    key: Element
    character_set: CharacterSet
    folds_names: bool

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes that it looks at."""
        return (self.key.tag,)

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


@dataclass(slots=True, eq=False)
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

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes that it looks at."""
        return (self.date_tag, self.time_tag)

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


@dataclass(slots=True, eq=False)
class HasItem:
    """A condition on the items of a sequence: one of them meets all that is asked.

    Source: PS3.4 C.2.2.2.6.
    """

    tag: int
    criteria: tuple[Criterion, ...]
    skipped_without_sequence: bool

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes that it looks at."""
        return (self.tag,)

    def accepts(self, level: Level) -> bool:
        """Tell whether one item of the sequence meets all conditions."""
        if self.tag not in level.elements:
            return self.skipped_without_sequence
        return any(map(self.accepts_item, level.items(self.tag)))

    def accepts_item(self, item: Level) -> bool:
        """Tell whether this item of the sequence meets all conditions."""
        return all(criterion.condition.accepts(item) for criterion in self.criteria)
