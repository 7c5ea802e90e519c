"""Secondary indexes: a query to the items that may match it.

The index may give too many items and never too few; `Query.matches` decides. Values are brought
into the same normal form as in matching, by the same functions. Which attributes are indexed is
said in `mwl.attributes`, which values an item is found by in `mwl.matching.stored`; how items get
here, in `mwl.catalog`.

A value leads to one item or to a set of them: most patients, accession numbers and studies have
one item, and a hundred thousand sets of one would be 20 MB an attribute.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any

from mwl.attributes import (
    INDEXED,
    PATIENT_NAME,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
)
from mwl.item import WorklistItem
from mwl.matching import Criterion, Query
from mwl.matching.criteria import Condition, HasDateAndTime, HasValue
from mwl.matching.predicates import AnyOf, Name, NamePart, OneOf, Predicate, WildCard, Within
from mwl.matching.stored import ABSENT, INEXACT, Values
from mwl.matching.values import fold, wild_card_pattern

Posting = WorklistItem | set[WorklistItem]
"""The items that have one value."""

FEW = 32
"""Candidates, in items, that are not worth narrowing further: matching them takes a millisecond."""

_PREFIX = 3
"""Letters of a name that say in which bucket it lies: a surname's first three tell most apart."""


class _Attribute:
    """Values of one attribute, each with the items that have it."""

    def __init__(self) -> None:
        self.by_value: dict[str | int | None, Posting] = {}

    def add(self, column: Collection[Values], items: Iterable[WorklistItem]) -> None:
        """Take in items with the values that each is found by."""
        by_value = self.by_value
        for values, item in zip(column, items, strict=True):
            for value in values:
                posting = by_value.get(value)
                if posting is None:
                    by_value[value] = item
                elif isinstance(posting, set):
                    posting.add(item)
                elif posting is not item:
                    by_value[value] = {posting, item}

    def remove(self, values: Values, item: WorklistItem) -> None:
        for value in values:
            posting = self.by_value.get(value)
            if isinstance(posting, set):
                posting.discard(item)
                if len(posting) == 1:
                    (self.by_value[value],) = posting
            elif posting is item:
                del self.by_value[value]

    def of(self, values: Iterable[Any]) -> list[Posting]:
        found = map(self.by_value.get, values)
        return [posting for posting in found if posting is not None]

    def where(self, accepts: Callable[[str], object]) -> list[Posting]:
        return [
            posting
            for value, posting in self.by_value.items()
            if isinstance(value, str) and accepts(value)
        ]


class _Text(_Attribute):
    """Index of an attribute with text values or UIDs."""

    def look_up(self, condition: Condition) -> list[Posting] | None:
        """Find the values that a condition names; None when it names none."""
        match condition:
            case HasValue(predicate=OneOf(values)):
                return self.of(values)
            case _:
                return None

    def search(self, condition: Condition) -> list[Posting] | None:
        """Try a condition on the values; None when it is not of a kind that can be tried."""
        match condition:
            case HasValue(predicate=predicate):
                return self._search(predicate)
            case _:
                return None

    def _search(self, predicate: Predicate) -> list[Posting] | None:
        match predicate:
            case OneOf(values):
                return self.of(values)
            case WildCard(pattern):
                return self.where(pattern.fullmatch)
            case AnyOf(predicates):
                return _together(map(self._search, predicates))
            case _:
                return None

    def is_exact(self, condition: Condition) -> bool:
        """Tell whether what is found for a condition is what matches it, no more."""
        return isinstance(condition, HasValue)


def _together(found: Iterable[list[Posting] | None]) -> list[Posting] | None:
    postings: list[Posting] = []
    for part in found:
        if part is None:
            return None
        postings += part
    return postings


class _Dates(_Attribute):
    """Index of an attribute with dates: items by day."""

    def look_up(self, condition: Condition) -> list[Posting] | None:
        """Find the days of a condition."""
        found: list[Posting] | None = None
        if isinstance(condition, HasDateAndTime):
            found = self._between(*condition.days)
        elif isinstance(condition, HasValue):
            found = self._found(condition.predicate)
        # A month or year for a date is too rare for more than to be looked at always.
        return None if found is None else found + self.of((INEXACT,))

    def search(self, condition: Condition) -> list[Posting] | None:
        """Find the days of a condition."""
        return self.look_up(condition)

    def _found(self, predicate: Predicate) -> list[Posting] | None:
        match predicate:
            case Within(lower, upper):
                return self._between(lower, upper)
            case AnyOf(predicates):
                return _together(map(self._found, predicates))
            case _:
                return None

    def _between(self, lower: int, upper: int) -> list[Posting]:
        days = self.by_value
        if upper - lower < len(days):
            return self.of(range(lower, upper + 1))
        return [
            posting
            for day, posting in days.items()
            if isinstance(day, int) and lower <= day <= upper
        ]

    def is_exact(self, condition: Condition) -> bool:
        """Tell whether what is found for a condition is what matches it, no more."""
        return isinstance(condition, HasValue) and INEXACT not in self.by_value


class _Names(_Attribute):
    """Index of an attribute with person names: items by component group, case and accents apart.

    Groups lie in buckets by their first letters, so that a key such as `DOE*` is tried on few.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buckets: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, column: Collection[Values], items: Iterable[WorklistItem]) -> None:
        """Take in items with the names that each is found by."""
        for group in set(chain.from_iterable(column)).difference(self.by_value):
            if isinstance(group, str):
                self._buckets[group[:_PREFIX]].add(group)
        super().add(column, items)

    def remove(self, values: Values, item: WorklistItem) -> None:
        super().remove(values, item)
        for group in values:
            if isinstance(group, str) and group not in self.by_value:
                bucket = self._buckets[group[:_PREFIX]]
                bucket.discard(group)
                if not bucket:
                    del self._buckets[group[:_PREFIX]]

    def look_up(self, condition: Condition) -> list[Posting] | None:
        """Find a name without wild cards; None when the condition has some."""
        match condition:
            case HasValue(predicate=Name(parts)):
                part = _first(parts)
                if part is None or part.pattern is not None:
                    return None
                return self.of((fold(part.text),))
            case _:
                return None

    def search(self, condition: Condition) -> list[Posting] | None:
        """Try a condition on the names."""
        match condition:
            case HasValue(predicate=predicate, folds_names=folds_names):
                return self._search(predicate, folds_names=folds_names)
            case _:
                return None

    def _search(self, predicate: Predicate, *, folds_names: bool) -> list[Posting] | None:
        match predicate:
            case Name(parts):
                part = _first(parts)
                return None if part is None else self._with_part(part, folds_names=folds_names)
            case AnyOf(predicates):
                return _together(self._search(each, folds_names=folds_names) for each in predicates)
            case _:
                return None

    def _with_part(self, part: NamePart, *, folds_names: bool) -> list[Posting]:
        if part.pattern is None:
            return self.of((fold(part.text),))
        if not folds_names:
            # One letter may be two once folded, so `?` has to give way here.
            text = fold(part.text).replace("?", "*")
            part = NamePart(text, wild_card_pattern(text))
        return self.of(group for group in self._groups_like(part.text) if part.accepts(group))

    def _groups_like(self, text: str) -> Iterable[str]:
        """Give the groups that begin like a key with wild cards."""
        # A key may have more empty components than the name it finds, see `NamePart.accepts`.
        start = text.replace("?", "*").partition("*")[0].rstrip("^")
        if not start:
            return (group for bucket in self._buckets.values() for group in bucket)
        if len(start) >= _PREFIX:
            return self._buckets.get(start[:_PREFIX], ())
        return chain.from_iterable(
            bucket for prefix, bucket in self._buckets.items() if prefix.startswith(start)
        )

    def is_exact(self, condition: Condition) -> bool:
        """Tell whether what is found for a condition is what matches it, no more."""
        match condition:
            case HasValue(predicate=Name(by_group=False), folds_names=True):
                return True
            case _:
                return False


def _first(parts: tuple[NamePart | None, ...]) -> NamePart | None:
    return next((part for part in parts if part is not None), None)


_Kind = _Text | _Dates | _Names

_KINDS: dict[int, type[_Dates | _Names]] = {
    SCHEDULED_PROCEDURE_STEP_START_DATE: _Dates,
    PATIENT_NAME: _Names,
}
"""Attributes that are not just text."""


class Index:
    """Worklist items, found by what is asked of them."""

    def __init__(self) -> None:
        self._items: set[WorklistItem] = set()
        self._attributes: dict[tuple[int, ...], _Kind] = {
            path: _KINDS.get(path[-1], _Text)() for path in INDEXED
        }

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[WorklistItem]:
        return iter(self._items)

    def add(self, *items: WorklistItem) -> None:
        """Take items in.

        Cost: O(n), about 4 microseconds for one, half of that for each of many.
        """
        self._items.update(items)
        columns = zip(*[item.indexed for item in items], strict=True)
        for attribute, column in zip(self._attributes.values(), columns, strict=bool(items)):
            attribute.add(column, items)

    def remove(self, *items: WorklistItem) -> None:
        """Take items out; nothing happens for those that are not there.

        Cost: O(n), about 4 microseconds for each.
        """
        self._items.difference_update(items)
        for item in items:
            for attribute, values in zip(self._attributes.values(), item.indexed, strict=True):
                attribute.remove(values, item)

    def candidates(self, query: Query) -> Collection[WorklistItem]:
        """Give the items that may match: all that do and possibly others.

        The collection is the index's own: it holds until the next `add` or `remove`, and is not to
        be changed.

        Cost: O(k) for the k items of the most selective keys. A key with wild cards is tried on
        every distinct value of its attribute, and only when the others leave many items.
        """
        found: set[WorklistItem] | None = None
        unnamed: list[Criterion] = []
        named: list[list[Posting]] = []
        for criterion in self._indexed(query):
            postings = self._attributes[criterion.path].look_up(criterion.condition)
            if postings is None:
                unnamed.append(criterion)
            else:
                named.append(self._with_skipped(criterion, postings))
        for postings in sorted(named, key=_size):
            found = _narrowed(found, postings)
            if len(found) <= FEW:
                return found
        for criterion in unnamed:
            searched = self._attributes[criterion.path].search(criterion.condition)
            if searched is not None:
                found = _narrowed(found, self._with_skipped(criterion, searched))
        return self._items if found is None else found

    def _indexed(self, query: Query) -> Iterator[Criterion]:
        for criterion in query.criteria:
            for inner in criterion.inner or (criterion,):
                if inner.path in self._attributes:
                    yield inner

    def _with_skipped(self, criterion: Criterion, postings: list[Posting]) -> list[Posting]:
        if criterion.skipped_without_sequence:
            return postings + self._attributes[criterion.path].of(ABSENT)
        return postings

    def excluded(self, criterion: Criterion) -> int | None:
        """Count the items that a criterion leaves out on its own; None when that is not known.

        Cost: O(k) for the k items that it leaves in.
        """
        attribute = self._attributes.get(criterion.path)
        if attribute is None or not attribute.is_exact(criterion.condition):
            return None
        postings = attribute.search(criterion.condition)
        if postings is None:
            return None
        return len(self._items) - len(_united(self._with_skipped(criterion, postings)))


def _size(postings: list[Posting]) -> int:
    return sum(len(posting) if isinstance(posting, set) else 1 for posting in postings)


def _narrowed(found: set[WorklistItem] | None, postings: list[Posting]) -> set[WorklistItem]:
    if found is None:
        return _united(postings)
    kept: set[WorklistItem] = set()
    for posting in postings:
        if isinstance(posting, set):
            kept |= found & posting
        elif posting in found:
            kept.add(posting)
    return kept


def _united(postings: list[Posting]) -> set[WorklistItem]:
    """Join postings into one set; a single set is given as it is."""
    if len(postings) == 1 and isinstance(postings[0], set):
        return postings[0]
    singles = {posting for posting in postings if not isinstance(posting, set)}
    return singles.union(*(posting for posting in postings if isinstance(posting, set)))
