"""What a value may be: its length, its characters and its form, by VR.

Dates and times may come as people write them, `2026-11-24` and `08:30`, and are brought into
DICOM's form first. Messages name the rule and never the value.

Source: DICOM PS3.5 Table 6.2-1, section 6.1.3 (control characters).
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mwl.dataset import (
    DEFAULT_REPERTOIRE_VRS,
    LONG_LENGTH_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    CharacterSet,
    excess_of,
    multiplicity_of,
)
from mwl.keys import binary

SHORT_VALUE_LIMIT_BYTES = 0xFFFE
"""Length of a value whose VR has 16 bits for it: PS3.5 7.1.2. All values of the attribute."""

_UID_LIMIT = 64
"""Characters of a UID: PS3.5 9.1."""

_CONTROLS = "\x00-\x1f\x7f-\x9f"
_LINE = re.compile(f"[^{_CONTROLS}]*")
_LINES = re.compile(r"[^\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]*")
_ASCII_LINE = re.compile(r"[\x20-\x7e]*")
_INTEGER = r" *[+-]?[0-9]+ *"
_DECIMAL = r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)? *"


class _Rule(NamedTuple):
    """What one value of a VR may be, beside its length.

    Args:
        form: What it matches as a whole.
        words: That in words.
    """

    form: re.Pattern[str]
    words: str


_ONE_LINE = "text without control characters"
_SOME_LINES = "text without control characters other than line ends and tabs"

RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "AE": _Rule(_ASCII_LINE, "letters, digits and punctuation of ASCII"),
        "AS": _Rule(re.compile(r"[0-9]{3}[DWMY]"), "three digits and D, W, M or Y, as 018M"),
        "CS": _Rule(re.compile(r"[A-Z0-9_ ]*"), "capital letters, digits, spaces and underscores"),
        "DA": _Rule(re.compile(r"[0-9]{8}"), "a date, as 20261124 or 2026-11-24"),
        "DS": _Rule(re.compile(_DECIMAL), "a decimal number, as 72.5"),
        "DT": _Rule(
            re.compile(
                r"[0-9]{4}(?:[0-9]{2}){0,5}(?:(?<=[0-9]{14})\.[0-9]{1,6})?(?:[+-][0-9]{4})?"
            ),
            "a date and time, as 20261124083000 or 2026-11-24T08:30:00",
        ),
        "IS": _Rule(re.compile(_INTEGER), "a whole number"),
        "LO": _Rule(_LINE, _ONE_LINE),
        "LT": _Rule(_LINES, _SOME_LINES),
        "PN": _Rule(_LINE, _ONE_LINE),
        "SH": _Rule(_LINE, _ONE_LINE),
        "ST": _Rule(_LINES, _SOME_LINES),
        "TM": _Rule(
            re.compile(
                r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
            ),
            "a time, as 083000 or 08:30",
        ),
        "UC": _Rule(_LINE, _ONE_LINE),
        "UI": _Rule(
            re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*"),
            "numbers without leading zeros and points between them",
        ),
        "UR": _Rule(re.compile(r"[\x21-\x5b\x5d-\x7e]*"), "an address without spaces"),
        "UT": _Rule(_LINES, _SOME_LINES),
    }
    | {
        vr: _Rule(re.compile(_DECIMAL if form in "fd" else _INTEGER), "a number")
        for vr, form in NUMBER_FORMATS.items()
    }
)
"""What one value of each VR may be; a VR that is missing cannot be written as text."""


def _is_date(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007 - a date of a calendar, of no time zone
    except ValueError:
        return False
    return True


def _is_date_and_time(value: str) -> bool:
    moment, sign, zone = (*re.split(r"([+-])", value), "", "")[:3]
    if sign and not _is_offset(sign, int(zone[:2]), int(zone[2:])):
        return False
    digits = moment.partition(".")[0]
    # What is left out is the first of its kind: PS3.5 Table 6.2-1. Second 60 is a leap second.
    whole = digits + "00000101000000"[len(digits) :]
    return _is_date(whole[:8]) and bool(RULES["TM"].form.fullmatch(whole[8:]))


def _is_offset(sign: str, hours: int, minutes: int) -> bool:
    """Tell whether it is an offset from UTC: -1200 to +1400, and not -0000 (PS3.5 Table 6.2-1)."""
    size = 60 * hours + minutes
    return minutes < 60 and (0 < size <= 12 * 60 if sign == "-" else size <= 14 * 60)


def _is_integer_string(value: str) -> bool:
    return -(2**31) <= int(value) < 2**31


def _is_name(value: str) -> bool:
    groups = value.split("=")
    return len(groups) <= 3 and all(group.count("^") <= 4 for group in groups)


class _Check(NamedTuple):
    is_met: Callable[[str], bool]
    words: str


_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "AE": _Check(lambda value: bool(value.strip()), "a title that is not only spaces"),
        "DA": _Check(_is_date, "a day of the calendar"),
        "DS": _Check(lambda value: math.isfinite(float(value)), "a finite number"),
        "DT": _Check(
            _is_date_and_time, "a day of the calendar and a time of day; a zone from -1200 to +1400"
        ),
        "IS": _Check(_is_integer_string, "numbers from -2147483648 to 2147483647"),
        "PN": _Check(
            _is_name, "at most three groups with = between them, each of at most five parts"
        ),
        "UI": _Check(lambda value: len(value) <= _UID_LIMIT, f"at most {_UID_LIMIT} characters"),
    }
)
"""What a pattern cannot tell, for values that match theirs."""


def _plain_date(match: re.Match[str]) -> str:
    return "".join(match.groups())


def _plain_time(match: re.Match[str]) -> str:
    hour, minute, second, fraction = match.groups()
    return f"{hour:0>2}{minute}{second or '00'}{fraction or ''}"


def _plain_date_and_time(match: re.Match[str]) -> str:
    year, month, day, *time, zone = match.groups()
    hour, minute, second, fraction = time
    offset = "+0000" if zone == "Z" else (zone or "").replace(":", "")
    return f"{year}{month}{day}{hour}{minute}{second or '00'}{fraction or ''}{offset}"


_DATE = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = r":([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)?"

_FRIENDLY: Mapping[str, tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = MappingProxyType(
    {
        "DA": (re.compile(_DATE), _plain_date),
        "TM": (re.compile(f"([0-9]{{1,2}}){_TIME}"), _plain_time),
        "DT": (
            re.compile(f"{_DATE}[T ]([0-9]{{2}}){_TIME}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"),
            _plain_date_and_time,
        ),
    }
)
"""Forms that people write (ISO 8601), and what makes DICOM's of them."""


def in_dicom_form(text: str, vr: str) -> str:
    """Bring dates and times that are written for people into DICOM's form; the rest stays."""
    if vr not in _FRIENDLY:
        return text
    form, plain = _FRIENDLY[vr]
    found = [(value, form.fullmatch(value.strip())) for value in text.split("\\")]
    return "\\".join(value if match is None else plain(match) for value, match in found)


def fault(tag: int, vr: str, text: str) -> str | None:
    r"""Say what is wrong with the value of an attribute; None when nothing is.

    Args:
        tag: The attribute.
        vr: Its VR.
        text: Its value, several with backslashes between them; empty is always right.
    """
    if not text:
        return None
    if vr not in RULES:
        return f"it has VR {vr}, which cannot be written as text"
    values = [text] if vr in SINGLE_VALUE_TEXT_VRS else text.split("\\")
    if len(values) > 1 and not _allows(multiplicity_of(tag), len(values)):
        return f"it has {len(values)} values where {multiplicity_of(tag)} is allowed"
    faults = (_fault_of_one(value, vr) for value in values if value)
    return next(filter(None, faults), None)


def _allows(multiplicity: str, count: int) -> bool:
    most = multiplicity.rpartition("-")[2]
    return not most.isdigit() or count <= int(most)


def _fault_of_one(value: str, vr: str) -> str | None:
    rule, check = RULES[vr], _CHECKS.get(vr)
    if rule.form.fullmatch(value) is None:
        return f"{vr} takes {rule.words}"
    if (excess := excess_of(vr, value)) is not None:
        return f"it has {excess[0]} characters, {vr} allows {excess[1]}"
    if check is not None and not check.is_met(value):
        return f"{vr} takes {check.words}"
    return None


def encoded(text: str, vr: str, character_set: CharacterSet) -> bytes:
    """Give the bytes of a value in which `fault` finds nothing.

    Raises:
        ValueError: A character is not in the character set, a number or all of it is too large.
    """
    if vr in NUMBER_FORMATS:
        return binary(text, vr) if text else b""
    try:
        data = (
            text.encode("ascii") if vr in DEFAULT_REPERTOIRE_VRS else character_set.encode(text, vr)
        )
    except UnicodeEncodeError:
        name = "\\".join(character_set.terms)
        raise ValueError(f"it has characters that are not in the character set {name}") from None
    if vr not in LONG_LENGTH_VRS and len(data) > SHORT_VALUE_LIMIT_BYTES:
        raise ValueError(f"it has {len(data)} bytes, {SHORT_VALUE_LIMIT_BYTES} can be written")
    return data
