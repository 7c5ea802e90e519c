"""What a key asks for and what an item has there, in words for people.

Dates and times are written 2026-11-24 08:30 on both sides, so that they can be compared by eye;
other values stand as they are. Nothing is decided here: what matches is known to `mwl.matching`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from types import MappingProxyType

from mwl.attributes import SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.dataset import CharacterSet, Element, Elements, name_of, values, vr_of
from mwl.errors import DatasetError
from mwl.item import WorklistItem
from mwl.matching import Criterion
from mwl.matching.criteria import HasDateAndTime, HasValue
from mwl.matching.keys import Kind
from mwl.matching.predicates import OneOf, Predicate, Within, WithinMoments
from mwl.matching.stored import Level
from mwl.matching.values import (
    DAY,
    HOUR,
    MINUTE,
    OPEN_LOWER,
    OPEN_UPPER,
    SECOND,
    Moment,
    parse_date,
    parse_time,
)

MISSING = "(attribute is missing)"
EMPTY = "(empty)"
NO_STEP = "(no scheduled procedure step)"
UNREADABLE = "(text that its character set cannot read)"

DATE_AND_TIME = "Scheduled Procedure Step Start Date and Time"


def label_of(criterion: Criterion) -> str:
    """Give the name of what a criterion is about, such as `Modality`."""
    if criterion.kind is Kind.DATE_AND_TIME:
        return DATE_AND_TIME
    tag = criterion.tag
    return name_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def asked_texts(
    criterion: Criterion, identifier: Elements, characters: CharacterSet
) -> tuple[str, ...]:
    """Give the values of a key as the query has them, without padding."""
    if isinstance(criterion.condition, HasValue) and criterion.kind is Kind.CALLER:
        return _titles(criterion.condition.predicate)
    level = Level(identifier, characters)
    *sequences, _ = criterion.path
    for tag in sequences:
        level = next(level.items(tag), Level({}, characters))
    found = (level.elements.get(tag) for tag in criterion.condition.tags)
    return tuple(
        text.strip(" \0")
        for element in found
        if element is not None
        for text in _texts(element, level.character_set)
    )


def _titles(predicate: Predicate) -> tuple[str, ...]:
    """Give the AE title of a criterion that the site adds: the query does not have it."""
    return tuple(map(str, predicate.values)) if isinstance(predicate, OneOf) else ()


def stored_texts(criterion: Criterion, item: WorklistItem) -> tuple[str, ...]:
    """Give the values that an item has for a key, as they are stored, without padding."""
    return tuple(
        text.strip(" \0")
        for element, characters in _stored(criterion, item)
        if element is not None
        for text in _texts(element, characters)
    )


def shown(criterion: Criterion, item: WorklistItem) -> str:
    """Say what an item has where a criterion looks."""
    if criterion.inner:
        keys = ", ".join(map(label_of, criterion.inner))
        return f"no single item of the sequence meets all of: {keys}"
    stored = list(_stored(criterion, item))
    if not stored:
        is_step = criterion.path[0] == SCHEDULED_PROCEDURE_STEP_SEQUENCE
        return NO_STEP if is_step else MISSING
    return " ".join(_shown(element, characters) for element, characters in stored)


def _stored(
    criterion: Criterion, item: WorklistItem
) -> Iterator[tuple[Element | None, CharacterSet]]:
    """Give the elements that a criterion looks at; None for one that its holder lacks."""
    levels = [Level(item.elements(), item.character_set)]
    *sequences, _ = criterion.path
    for tag in sequences:
        levels = [inner for level in levels for inner in level.items(tag)]
    for level in levels:
        for tag in criterion.condition.tags:
            yield level.elements.get(tag), level.character_set


def _texts(element: Element, characters: CharacterSet) -> list[str]:
    try:
        return values(element, characters)
    except DatasetError:
        return []


def _shown(element: Element | None, characters: CharacterSet) -> str:
    if element is None:
        return MISSING
    if not element.value:
        return EMPTY
    try:
        texts = values(element, characters)
    except DatasetError:
        return UNREADABLE
    return ", ".join(_readable(text.strip(" \0"), element.vr) for text in texts)


def _readable(text: str, vr: str) -> str:
    """Write a date or time as people do; what is none stays as it is, in quotes."""
    if vr == "DA" and (day := parse_date(text)) is not None and len(text) >= 8:
        return _day(day.lower)
    if vr == "TM" and (clock := parse_time(text)) is not None:
        return _clock(clock.lower)
    return f"“{text}”"


def words_of(criterion: Criterion, asked: tuple[str, ...]) -> str:
    """Say what a criterion asks for.

    Args:
        criterion: A key that asks for something.
        asked: Its `asked_texts`.
    """
    match criterion.condition:
        case HasDateAndTime(lower=lower, upper=upper):
            return _between(lower, upper, _instant)
        case HasValue(vr="DA", predicate=Within(lower=lower, upper=upper)):
            return _between(lower, upper, _day)
        case HasValue(vr="TM", predicate=Within(lower=lower, upper=upper)):
            return _between(lower, upper, _clock)
        case HasValue(predicate=WithinMoments(first=first, last=last)):
            return _moments(first, last)
        case HasValue(vr="PN", folds_names=True):
            return f"{_phrase(criterion.kind, asked)}; case and accents do not count"
        case _:
            return _phrase(criterion.kind, asked)


def _phrase(kind: Kind, asked: tuple[str, ...]) -> str:
    return _PHRASES[kind](", ".join(f"“{text}”" for text in asked))


_PHRASES: Mapping[Kind, Callable[[str], str]] = MappingProxyType(
    {
        Kind.SINGLE_VALUE: "is {}".format,
        Kind.SEVERAL_VALUES: "is one of {}".format,
        Kind.LIST_OF_UID: "is one of {}".format,
        Kind.WILD_CARD: "is like {}: * stands for any characters, ? for one".format,
        Kind.UNTYPED: "is {}, compared as the item's own VR has it".format,
        Kind.CALLER: "is the caller's own AE title {}: Worklists.FilterIssuerAet".format,
        Kind.SEQUENCE: "one item of the sequence meets all keys in it{}".format,
        # Several dates or times in one key: the others are intervals, told above.
        Kind.RANGE: "lies in one of {}".format,
        Kind.DATE_AND_TIME: "lies in {}".format,
    }
)


def _between(lower: int, upper: int, write: Callable[[int], str]) -> str:
    if lower > upper:
        return (
            f"from {write(lower)} to {write(upper)}: it ends before it begins, so nothing matches"
        )
    if lower == OPEN_LOWER:
        return f"up to {write(upper)}, included"
    if upper == OPEN_UPPER:
        return f"from {write(lower)} on"
    first, last = write(lower), write(upper)
    return f"is {first}" if first == last else f"from {first} to {last}, both included"


def _moments(first: Moment, last: Moment) -> str:
    words = _between(first.lower, last.upper, _instant)
    offsets = {moment.offset for moment in (first, last)} - {None}
    return words if not offsets else f"{words} (with the offset from UTC that the key names)"


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _instant(microseconds: int) -> str:
    return f"{_day(microseconds // DAY)} {_clock(microseconds % DAY)}"


def _clock(microseconds: int) -> str:
    """Write a time; the last microsecond of a minute or second is written as that one."""
    if microseconds % SECOND == SECOND - 1:
        microseconds -= SECOND - 1
        if microseconds % MINUTE == 59 * SECOND:
            microseconds -= 59 * SECOND
    hours, rest = divmod(microseconds, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{hours:02}:{minutes:02}"
    if seconds or fraction:
        text += f":{seconds:02}"
    return f"{text}.{fraction:06}" if fraction else text


def is_day(criterion: Criterion) -> bool:
    """Tell whether a criterion is about the day of an attribute."""
    return criterion.kind is Kind.DATE_AND_TIME or vr_of(criterion.tag) == "DA"
