"""The value of a matching key, made into a predicate.

The VR decides which kinds of matching a key can ask for; its text decides which one it does.
Sequences are in `mwl.matching.compiling`.

Source: DICOM PS3.4 C.2.2.2.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from mwl.dataset import CharacterSet, Element, values
from mwl.errors import DatasetError
from mwl.matching.predicates import (
    FIRST_MOMENT,
    LAST_MOMENT,
    AnyOf,
    Name,
    NamePart,
    OneOf,
    Predicate,
    WildCard,
    Within,
    WithinMoments,
)
from mwl.matching.values import (
    NORMALS,
    OPEN_LOWER,
    OPEN_UPPER,
    RANGE_VRS,
    UNSTRIPPED_VRS,
    WILD_CARD_VRS,
    Interval,
    Moment,
    exact_name,
    folded_name,
    parse_date,
    parse_date_time,
    parse_time,
    wild_card_pattern,
)

_CACHED_KEYS = 4096
"""Key values whose predicate is kept: devices repeat theirs, only the dates move on."""

_LONGEST_CACHED_VALUE = 256
"""Bytes of a key value that is worth keeping."""


class Kind(StrEnum):
    """Kinds of matching, in the words of PS3.4 C.2.2.2 where it has any."""

    SINGLE_VALUE = "single value"
    SEVERAL_VALUES = "several values"
    LIST_OF_UID = "list of UID"
    WILD_CARD = "wild card"
    RANGE = "range"
    DATE_AND_TIME = "date and time"
    SEQUENCE = "sequence"
    CALLER = "caller's AE title"
    UNTYPED = "by the VR of the item"


class Key(NamedTuple):
    """What one key asks for."""

    kind: Kind
    predicate: Predicate


class IllegalKeyError(ValueError):
    """The value of a key is not legal; the message goes behind the name of the attribute."""


_ILLEGAL: Mapping[str, str] = {
    "DA": "is not YYYYMMDD or a range of such dates",
    "TM": "is not HHMMSS or a range of such times",
    "DT": "is not YYYYMMDDHHMMSS or a range of such",
    "UI": "is not a UID or a list of UIDs",
}
_UNDECODABLE = "does not fit the query's character set"
_WRONG_LENGTH = "has a length that is wrong for its VR"


def key_of(
    element: Element, vr: str, character_set: CharacterSet, *, folds_names: bool
) -> Key | None:
    """Make a key's value into what it asks for; None when it asks for nothing (universal).

    Args:
        element: The key, not a sequence.
        vr: VR to read it as, which need not be the element's.
        character_set: Decodes the value.
        folds_names: Whether case and accents of person names do not count.

    Raises:
        IllegalKeyError: The value is not legal.
    """
    value = element.value
    if not isinstance(value, bytes):
        raise IllegalKeyError("must not be a sequence")
    if not value:
        return None
    if len(value) > _LONGEST_CACHED_VALUE:
        return _read(value, vr, character_set, folds_names=folds_names)
    return _read_cached(value, vr, character_set, folds_names=folds_names)


def _read(value: bytes, vr: str, character_set: CharacterSet, *, folds_names: bool) -> Key | None:
    is_binary = vr in _BINARY_VRS
    if b"*" in value and not value.strip(b"* " if is_binary else b"* \0"):
        # PS3.4 C.2.2.2.4 note 1, here for every VR: devices send `*` for dates as well.
        return None
    if vr not in NORMALS:
        raise IllegalKeyError(f"cannot be a matching key (VR {vr})")
    try:
        texts = values(Element(0, vr, value), character_set)
    except DatasetError:
        raise IllegalKeyError(_WRONG_LENGTH if is_binary else _UNDECODABLE) from None
    bare = _trailing_pad_removed if vr in UNSTRIPPED_VRS else _pad_removed
    parts = [part for part in map(bare, texts) if part]
    if not parts or any(not part.strip("*") for part in parts):
        return None
    return _key_of_parts(vr, parts, folds_names=folds_names)


_read_cached = lru_cache(maxsize=_CACHED_KEYS)(_read)

_BINARY_VRS = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})


def _pad_removed(text: str) -> str:
    return text.strip(" \0")


def _trailing_pad_removed(text: str) -> str:
    return text.rstrip(" \0")


def _key_of_parts(vr: str, parts: list[str], *, folds_names: bool) -> Key | None:
    keys = [_key_of_part(vr, part, folds_names=folds_names) for part in parts]
    if len(keys) == 1:
        return keys[0]
    # A value that asks for nothing, such as `^^^` for a name, makes the whole key ask for nothing.
    asked = [key for key in keys if key is not None]
    if len(asked) < len(keys):
        return None
    kind = Kind.LIST_OF_UID if vr == "UI" else Kind.SEVERAL_VALUES
    predicates = [key.predicate for key in asked]
    plain = [predicate for predicate in predicates if isinstance(predicate, OneOf)]
    if len(plain) == len(predicates):
        return Key(kind, OneOf(frozenset().union(*(predicate.values for predicate in plain))))
    return Key(kind, AnyOf(tuple(predicates)))


def _key_of_part(vr: str, part: str, *, folds_names: bool) -> Key | None:
    if vr == "PN":
        return _name(part, folds_names=folds_names)
    if vr in RANGE_VRS:
        key = _moments(part) if vr == "DT" else _interval(_PARSERS[vr], part)
        if key is None:
            raise IllegalKeyError(_ILLEGAL[vr])
        return key
    if vr == "UI" and not re.fullmatch(r"[0-9.]+", part):
        raise IllegalKeyError(_ILLEGAL[vr])
    normal = NORMALS[vr](part)
    if vr in WILD_CARD_VRS and isinstance(normal, str) and _is_wild(normal):
        return Key(Kind.WILD_CARD, WildCard(wild_card_pattern(normal)))
    return Key(Kind.SINGLE_VALUE, OneOf(frozenset((normal,))))


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


_PARSERS: Mapping[str, Callable[[str], Interval | None]] = {"DA": parse_date, "TM": parse_time}


def _interval(parse: Callable[[str], Interval | None], text: str) -> Key | None:
    """Read a date or time or a range of them; None when it is neither.

    Source: PS3.4 C.2.2.2.5. A shortened lower bound means its first instant, an upper its last.
    """
    if "-" not in text:
        single = parse(text)
        return single and Key(Kind.SINGLE_VALUE, Within(*single, is_range=False))
    start, _, end = (part.strip() for part in text.partition("-"))
    lower = parse(start) if start else Interval(OPEN_LOWER, OPEN_LOWER)
    upper = parse(end) if end else Interval(OPEN_UPPER, OPEN_UPPER)
    if lower is None or upper is None or not (start or end):
        return None
    return Key(Kind.RANGE, Within(lower.lower, upper.upper, is_range=True))


def _moments(text: str) -> Key | None:
    """Read a DT key. A `-` may begin an offset or stand between two moments.

    The first `-` with a moment, or nothing, on each side is the sign of the range. A key that
    would then be reversed, such as `20240101-0500`, is a moment with an offset if it can be.
    """
    single = parse_date_time(text)
    if single is not None and "-" not in text:
        return Key(Kind.SINGLE_VALUE, WithinMoments(single, single))
    ranges = [
        WithinMoments(*bounds)
        for place in (found.start() for found in re.finditer("-", text))
        if (bounds := _bounds(text[:place].strip(), text[place + 1 :].strip())) is not None
    ]
    forward = [found for found in ranges if not found.is_reversed]
    if forward or (ranges and single is None):
        return Key(Kind.RANGE, (forward or ranges)[0])
    return single and Key(Kind.SINGLE_VALUE, WithinMoments(single, single))


def _bounds(start: str, end: str) -> tuple[Moment, Moment] | None:
    first = parse_date_time(start) if start else FIRST_MOMENT
    last = parse_date_time(end) if end else LAST_MOMENT
    if first is None or last is None or not (start or end):
        return None
    return first, last


def _name(text: str, *, folds_names: bool) -> Key | None:
    groups = (folded_name if folds_names else exact_name)(text) or ()
    parts = tuple(_name_part(group) for group in groups)
    if not any(parts):
        return None
    wild = any(part and part.pattern for part in parts)
    kind = Kind.WILD_CARD if wild else Kind.SINGLE_VALUE
    return Key(kind, Name(parts, by_group="=" in text))


def _name_part(group: str) -> NamePart | None:
    if not group.strip("*"):
        return None
    return NamePart(group, wild_card_pattern(group) if _is_wild(group) else None)
