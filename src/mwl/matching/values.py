"""Values brought into the form in which they are compared.

A *normal* is what two values of one VR have in common when they mean the same: text without
insignificant spaces in Unicode NFC, a number as a `Decimal`, a date as the interval of days that
it names. Matching and index use these functions and no others, on keys and on stored values.
Decoding of bytes lives in `mwl.dataset`, the comparison itself in `mwl.matching.criteria`.

Source: DICOM PS3.4 C.2.2.2, PS3.5 6.2 (Table 6.2-1).
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

OPEN_LOWER = -(1 << 62)
"""Lower bound of a range that has none."""
OPEN_UPPER = 1 << 62
"""Upper bound of a range that has none."""

SECOND = 1_000_000
"""Times are counted in microseconds: PS3.5 gives them six decimal places at most."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

WILD_CARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs in which `*` and `?` are wild cards: PS3.4 C.2.2.2.4."""
UNSTRIPPED_VRS = frozenset({"LT", "ST", "UC", "UR", "UT"})
"""VRs in which only trailing spaces are padding: PS3.5 Table 6.2-1."""
RANGE_VRS = frozenset({"DA", "TM", "DT"})
"""VRs in which `-` makes a range: PS3.4 C.2.2.2.5."""


class Interval(NamedTuple):
    """First and last day, or first and last microsecond of a day, that a value names."""

    lower: int
    upper: int


class Moment(NamedTuple):
    """First and last microsecond that a DT names, by the clock it was read from."""

    lower: int
    upper: int
    offset: int | None
    """Microseconds that this clock is ahead of UTC; None when the value does not say."""


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _trimmed(text: str) -> str | None:
    return _composed(text).strip(" \0") or None


def _right_trimmed(text: str) -> str | None:
    return _composed(text).rstrip(" \0") or None


def fold(text: str) -> str:
    """Take case and accents away: `Müller` and `MULLER` become the same.

    An accent is a combining mark of U+0300 to U+036F. The marks of Thai, Arabic or kana tell
    letters apart and stay.
    """
    if text.isascii():
        return text.lower()
    spread = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    bare = "".join(letter for letter in spread if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFC", bare)


def name_group(text: str) -> str:
    """Take what means nothing away from one component group of a person name.

    Spaces round components are insignificant (PS3.5 Table 6.2-1) and trailing empty components
    may be left out (PS3.5 6.2.1.2).
    """
    if " " in text or "\0" in text:
        text = "^".join([part.strip(" \0") for part in text.split("^")])
    return text.rstrip("^")


def exact_name(text: str) -> tuple[str, ...] | None:
    """Give the component groups of a person name, case and accents kept."""
    composed = _composed(text)
    if "=" not in composed:
        group = name_group(composed)
        return (group,) if group else None
    groups = [name_group(group) for group in composed.split("=")]
    while groups and not groups[-1]:
        groups.pop()
    return tuple(groups) or None


def folded_name(text: str) -> tuple[str, ...] | None:
    """Give the component groups of a person name without case and accents."""
    return exact_name(fold(text))


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)


def number(text: str) -> Decimal | str | None:
    """Give a number by its value, and anything else as text: `1.50` and `15E-1` are equal."""
    bare = text.strip(" \0")
    if _NUMBER.fullmatch(bare):
        return Decimal(bare)
    return bare or None


_DATE = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d))?)?|(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)


def parse_date(text: str) -> Interval | None:
    """Read `YYYYMMDD`, the old `YYYY.MM.DD`, or a date shortened from the right.

    Returns:
        The proleptic Gregorian day numbers that the text covers; None when it is no date.

    Source: PS3.5 Table 6.2-1 (DA), with the ACR-NEMA form that it mentions.
    """
    found = _DATE.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    return _days(found[1] or found[4], found[2] or found[5], found[3] or found[6])


def _days(year: str, month: str | None, day: str | None) -> Interval | None:
    first = _ordinal(int(year), int(month or 1), int(day or 1))
    if first is None:
        return None
    if day is not None:
        return Interval(first, first)
    last_month = int(month or 12)
    last_day = monthrange(int(year), last_month)[1]
    return Interval(first, date(int(year), last_month, last_day).toordinal())


def _ordinal(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return None


_CLOCK = r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?"
_TIME = re.compile(rf"{_CLOCK}|(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{{1,6}}))?)?", re.ASCII)


def parse_time(text: str) -> Interval | None:
    """Read `HHMMSS.FFFFFF`, the old `HH:MM:SS.FFFFFF`, or a time shortened from the right.

    Returns:
        The microseconds since midnight that the text covers; None when it is no time.

    Source: PS3.5 Table 6.2-1 (TM): seconds go up to 60, hours to 23.
    """
    found = _TIME.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    return _clock(*(found.group(1, 2, 3, 4) if found[1] else found.group(5, 6, 7, 8)))


def _clock(
    hours: str, minutes: str | None, seconds: str | None, fraction: str | None
) -> Interval | None:
    if int(hours) > 23 or int(minutes or 0) > 59 or int(seconds or 0) > 60:
        return None
    lower = int(hours) * HOUR + int(minutes or 0) * MINUTE + int(seconds or 0) * SECOND
    if fraction is not None:
        lower += int(fraction.ljust(6, "0"))
        return Interval(lower, lower + int(10 ** (6 - len(fraction))) - 1)
    length = HOUR if minutes is None else MINUTE if seconds is None else SECOND
    return Interval(lower, lower + length - 1)


_DATE_TIME = re.compile(
    rf"(\d{{4}})(?:(\d\d)(?:(\d\d)(?:{_CLOCK})?)?)?(?:([+-])(\d\d)([0-5]\d))?", re.ASCII
)


def parse_date_time(text: str) -> Moment | None:
    """Read `YYYYMMDDHHMMSS.FFFFFF&ZZXX`, shortened from the right, with or without offset.

    Source: PS3.5 Table 6.2-1 (DT): offsets go from -1200 to +1400.
    """
    found = _DATE_TIME.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    days = _days(found[1], found[2], found[3])
    clock = Interval(0, DAY - 1) if found[4] is None else _clock(*found.group(4, 5, 6, 7))
    if days is None or clock is None:
        return None
    offset = None
    if found[8] is not None:
        size = int(found[9]) * HOUR + int(found[10]) * MINUTE
        offset = size if found[8] == "+" else -size
        if not -12 * HOUR <= offset <= 14 * HOUR:
            return None
    return Moment(days.lower * DAY + clock.lower, days.upper * DAY + clock.upper, offset)


Normal = Callable[[str], Hashable | None]
"""Brings one decoded value into the form that is compared; None: empty or unreadable."""

NORMALS: Mapping[str, Normal] = {
    **dict.fromkeys(("AE", "AS", "AT", "CS", "LO", "SH", "UI"), _trimmed),
    **dict.fromkeys(UNSTRIPPED_VRS, _right_trimmed),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), number),
    "PN": folded_name,
    "DA": parse_date,
    "TM": parse_time,
    "DT": parse_date_time,
}
"""VR to normal form, PS3.4 C.2.2.2.1 and PS3.5 Table 6.2-1. A VR that is missing here is binary
data without values to compare."""


def normals(vr: str, texts: Iterable[str], *, folds_names: bool) -> tuple[Hashable, ...]:
    """Bring the values of one attribute into normal form; empty and unreadable ones are dropped.

    Args:
        vr: VR to compare as, a key of `NORMALS`.
        texts: Decoded values.
        folds_names: Whether person names lose case and accents.
    """
    normal = NORMALS[vr] if folds_names or vr != "PN" else exact_name
    return tuple([value for value in map(normal, texts) if value is not None])


@lru_cache(maxsize=1024)
def wild_card_pattern(text: str) -> re.Pattern[str]:
    """Give the regular expression of a key with wild cards: PS3.4 C.2.2.2.4.

    Each piece between two `*` is taken at its first place and never tried again (an atomic
    group), so a key full of `*` costs no more than its length times that of the value.
    """
    first, *rest = (
        "".join("." if letter == "?" else re.escape(letter) for letter in piece)
        for piece in text.split("*")
    )
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}" if rest else first, re.DOTALL)
