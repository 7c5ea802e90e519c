"""What is stored in a worklist item, in the form in which it is compared.

Matching asks for one attribute at a time. The index wants those that it finds items by, once,
when an item is made; so both compare the same values.

Source: DICOM PS3.4 C.2.2.2, PS3.5 7.5.3.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from mwl.attributes import (
    INDEXED,
    PATIENT_NAME,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SPECIFIC_CHARACTER_SET,
)
from mwl.dataset import (
    DEFAULT_REPERTOIRE_VRS,
    CharacterSet,
    Element,
    Elements,
    Selection,
    character_set,
    select,
    values,
    vr_of,
)
from mwl.errors import DatasetError
from mwl.item import Indexed, WorklistItem
from mwl.matching.predicates import Stored
from mwl.matching.values import NORMALS, Interval, normals

_CACHED_VALUES = 8192
"""Stored values kept in normal form: stations, modalities and days are few."""

_REPEATED_VRS = DEFAULT_REPERTOIRE_VRS - {"UI"}
"""VRs whose values are worth keeping; UIDs are unique."""

_LONGEST_CACHED_VALUE = 64
"""Bytes of a stored value that is worth keeping: the longest of the usual VRs."""

_TRIMMED_VRS = frozenset({"LO", "SH", "UI"})
"""Other VRs of which a value in normal form is the text without spaces and NUL around it."""

_PLAIN = re.compile(rb"([0-9A-Za-z._-]+)[ \0]*")
"""A single value of characters that stand for themselves in all character sets, which is what
nearly all identifiers are. Without its padding it is its own normal form."""

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


def level_of(item: WorklistItem, selection: Selection) -> Level:
    """Give what is selected of a worklist item as what criteria look at."""
    return Level(select(item.data, selection), item.character_set)


def stored_values(
    element: Element, vr: str, characters: CharacterSet, *, folds_names: bool
) -> Stored:
    """Give the values of a stored attribute in the normal form of `vr`.

    Text that its character set cannot decode has no values: nothing can be said about it, so only
    a universal key finds it.
    """
    _, stored_vr, value = element
    if stored_vr == "UN":
        stored_vr = vr
        element = Element(element.tag, vr, value)
    if stored_vr not in NORMALS or isinstance(value, tuple):
        return ()
    if stored_vr in _REPEATED_VRS and len(value) <= _LONGEST_CACHED_VALUE:
        return _normals_cached(element, vr)
    if stored_vr in _TRIMMED_VRS and vr in _TRIMMED_VRS and (plain := _PLAIN.fullmatch(value)):
        return (plain[1].decode("ascii"),)
    return _normals(element, vr, characters, folds_names)


def _normals(
    element: Element,
    vr: str,
    characters: CharacterSet = _ASCII,
    folds_names: bool = True,
) -> Stored:
    try:
        texts = values(element, characters)
    except DatasetError:
        return ()
    return normals(vr, texts, folds_names=folds_names)


_normals_cached = lru_cache(maxsize=_CACHED_VALUES)(_normals)


Values = tuple[str | int | None, ...]
"""What the index finds an item by in one attribute."""

ABSENT: Values = (None,)
"""Of an attribute in a sequence that the item does not have."""

INEXACT = -1
"""Stands for a date that is only a month or year; days are counted from 1."""

_KEPT_DAYS = 4096
"""Dates kept as days: ten years."""


def indexed_values(elements: Elements, text: CharacterSet) -> Indexed:
    """Give the values of an item in the attributes that are indexed.

    Args:
        elements: The item, or what `mwl.attributes.INDEXED` selects of it.
        text: Its character set.
    """
    level = Level(elements, text)
    steps = list(level.items(SCHEDULED_PROCEDURE_STEP_SEQUENCE))
    if len(steps) == 1:
        holders = (level, steps[0])
        return tuple([values_in(tag, holders[in_step]) for in_step, tag, values_in in _GETTERS])
    found: list[Values] = []
    for in_step, tag, values_in in _GETTERS:
        if not in_step:
            found.append(values_in(tag, level))
        elif SCHEDULED_PROCEDURE_STEP_SEQUENCE in elements:
            in_steps = chain.from_iterable(values_in(tag, step) for step in steps)
            found.append(tuple(dict.fromkeys(in_steps)))
        else:
            found.append(ABSENT)
    return tuple(found)


def _texts(tag: int, level: Level) -> Stored:
    element = level.elements.get(tag)
    if element is None:
        return ()
    return stored_values(element, vr_of(tag), level.character_set, folds_names=True)


def _days(tag: int, level: Level) -> Values:
    element = level.elements.get(tag)
    if element is None:
        return ()
    return _exact_days(stored_values(element, "DA", level.character_set, folds_names=True))


@lru_cache(maxsize=_KEPT_DAYS)
def _exact_days(days: tuple[Interval, ...]) -> Values:
    return tuple([day.lower if day.lower == day.upper else INEXACT for day in days])


def _name_groups(tag: int, level: Level) -> Values:
    names = _texts(tag, level)
    if len(names) == 1 and len(names[0]) == 1:
        only: Values = names[0]
        return only
    return tuple(dict.fromkeys(filter(None, chain.from_iterable(names))))


_VALUES_IN: Mapping[int, Callable[[int, Level], Values]] = {
    SCHEDULED_PROCEDURE_STEP_START_DATE: _days,
    PATIENT_NAME: _name_groups,
}
"""Attributes that are not just text: items are found by day, and by component group of a name,
case and accents apart."""

_GETTERS = [(len(path) > 1, path[-1], _VALUES_IN.get(path[-1], _texts)) for path in INDEXED]
"""For each indexed attribute: whether the step holds it, its tag, and what gives its values."""
