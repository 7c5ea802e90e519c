"""A naive matcher, written from the text of PS3.4 C.2.2.2 and the decisions of docs/matching.md.

It shares no code with `mwl.matching`: items and queries are plain mappings of keywords to text
(see `support.items`), so nothing is encoded, decoded, indexed or cached here. Times are compared
as digits, wild cards are tried by recursion, and every rule is one function.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydicom.datadict import dictionary_VR

Values = Mapping[str, Any]

CONTEXT = ("SpecificCharacterSet", "TimezoneOffsetFromUTC", "QueryRetrieveLevel")
START = ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime")


def matches(query: Values, item: Values, *, case_sensitive: bool = False) -> bool:
    """K.4.1.3.1: an item matches when all keys match."""
    keys = {key: value for key, value in query.items() if key not in CONTEXT}
    if all(is_single_range(keys.get(key, "")) for key in START):
        date, time = (keys.pop(key) for key in START)
        if not matches_date_and_time(date, time, item):
            return False
    return all(matches_key(key, value, item, case_sensitive) for key, value in keys.items())


def answered(query: Values, item: Values) -> dict[str, Any]:
    """K.4.1.1.3.2: every key as the item has it, or empty; C.2.2.2.6: of sequences what matches."""
    found: dict[str, Any] = {}
    for key, asked in query.items():
        if key in CONTEXT:
            continue
        stored = item.get(key, "" if isinstance(asked, str) else [])
        if not isinstance(asked, str) and asked and asked[0]:
            stored = [answered(asked[0], inner) for inner in stored if matches(asked[0], inner)]
        found[key] = stored
    return found


def is_universal(key: str, value: Any) -> bool:
    """C.2.2.2.3, and C.2.2.2.4 note 1 for every VR."""
    if isinstance(value, str):
        vr = dictionary_VR(key)
        parts = values(vr, value)
        if vr == "PN":
            return not parts or any(is_open_name(part) for part in parts)
        return not parts or any(stars(part) for part in parts)
    return not value or all(
        inner in CONTEXT or is_universal(inner, asked) for inner, asked in value[0].items()
    )


def is_open_name(name: str) -> bool:
    return all(not group or stars(group) for group in bare_groups(name))


def stars(text: str) -> bool:
    return bool(text) and not text.strip("*")


def bare_groups(name: str) -> list[str]:
    """6.2.1.2: spaces round components and trailing empty components do not count."""
    groups = []
    for group in unicodedata.normalize("NFC", name).split("="):
        components = [component.strip(" ") for component in group.split("^")]
        while components and not components[-1]:
            components.pop()
        groups.append("^".join(components))
    return groups


def values(vr: str, text: str) -> list[str]:
    """Table B.5: which spaces count; empty values are no values."""
    text = unicodedata.normalize("NFC", text)
    parts = [text] if vr in ("LT", "ST", "UT", "UR") else text.split("\\")
    if vr in ("LT", "ST", "UT", "UR", "UC"):
        parts = [part.rstrip(" ") for part in parts]
    else:
        parts = [part.strip(" ") for part in parts]
    return [part for part in parts if part]


def matches_key(key: str, asked: Any, item: Values, case_sensitive: bool) -> bool:
    if is_universal(key, asked):
        return True
    stored = item.get(key)
    if not stored:
        return False  # K.2.2.1.1.1: unknown values fail to match
    if not isinstance(asked, str):
        # C.2.2.2.6: one item of the sequence meets all keys of the query's item.
        return any(matches(asked[0], inner, case_sensitive=case_sensitive) for inner in stored)
    vr = dictionary_VR(key)
    return any(
        matches_value(vr, wanted, value, case_sensitive)
        for wanted in values(vr, asked)
        for value in values(vr, stored)
    )


def matches_value(vr: str, wanted: str, value: str, case_sensitive: bool) -> bool:
    match vr:
        case "PN":
            found = matches_name(wanted, value, case_sensitive)
        case "DA" | "TM":
            found = matches_interval(vr, wanted, value)
        case "DT":
            found = matches_moment(wanted, value)
        case "IS" | "DS" | "US" | "FD":
            found = number(wanted) == number(value)
        case "UI" | "AS":
            found = wanted == value
        case _:
            found = glob(wanted, value)
    return found


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def glob(pattern: str, text: str) -> bool:
    """C.2.2.2.4."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return glob(pattern[1:], text) or (bool(text) and glob(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def same_case(text: str) -> str:
    """Case and accents apart; the sound marks of kana are letters."""
    letters = unicodedata.normalize("NFD", text).casefold()
    letters = unicodedata.normalize("NFD", letters)
    kept = (
        letter
        for letter in letters
        if not unicodedata.name(letter, "").startswith("COMBINING ")
        or "KATAKANA" in unicodedata.name(letter)
    )
    return unicodedata.normalize("NFC", "".join(kept))


def matches_name(wanted: str, value: str, case_sensitive: bool) -> bool:
    if not case_sensitive:
        wanted, value = same_case(wanted), same_case(value)
    groups, stored = bare_groups(wanted), bare_groups(value)
    if len(groups) == 1:
        return any(matches_group(groups[0], group) for group in stored)
    stored += [""] * len(groups)
    return all(
        not group or stars(group) or matches_group(group, found)
        for group, found in zip(groups, stored, strict=False)
    )


def matches_group(wanted: str, group: str) -> bool:
    if not group:
        return False
    if "*" not in wanted and "?" not in wanted:
        return wanted == group
    # 6.2.1.2: components at the end may be left out, so DOE is DOE^.
    while group.count("^") < wanted.count("^"):
        group += "^"
    return glob(wanted, group)


def first(vr: str, text: str) -> str:
    """The first instant that a shortened date or time names, as digits."""
    digits = text.replace(":", "").replace(".", "")
    return digits + {"DA": "00000101", "TM": "000000000000"}[vr][len(digits) :]


def last(vr: str, text: str) -> str:
    digits = text.replace(":", "").replace(".", "")
    return digits + {"DA": "99991231", "TM": "235959999999"}[vr][len(digits) :]


def is_single_range(value: Any) -> bool:
    return isinstance(value, str) and "-" in value and "\\" not in value


def bounds(vr: str, wanted: str) -> tuple[str, str]:
    start, dash, end = (part.strip() for part in wanted.partition("-"))
    if not dash:
        return first(vr, start), last(vr, start)
    return first(vr, start) if start else "", last(vr, end) if end else "~"


def matches_interval(vr: str, wanted: str, value: str) -> bool:
    """C.2.2.2.5 and C.2.2.2.1.3: they have an instant in common."""
    lower, upper = bounds(vr, wanted)
    return lower <= upper and first(vr, value) <= upper and last(vr, value) >= lower


def matches_date_and_time(date: str, time: str, item: Values) -> bool:
    """Table K.6-1: both ranges make one interval."""
    (day, last_day), (clock, last_clock) = bounds("DA", date), bounds("TM", time)
    lower = day and day + (clock or "000000000000")
    upper = last_day + ("235959999999" if last_clock == "~" else last_clock)
    stored_dates, stored_times = (values("DA", item.get(key, "")) for key in START)
    return lower <= upper and any(
        first("DA", stored_date) + first("TM", stored_time) <= upper
        and last("DA", stored_date) + last("TM", stored_time) >= lower
        for stored_date in stored_dates
        for stored_time in stored_times
    )


def moment(text: str) -> tuple[datetime, timedelta | None]:
    """A whole DT, `YYYYMMDDHHMMSS` with or without offset."""
    digits, offset = text[:14], text[14:]
    when = datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - offsets are added here
    if not offset:
        return when, None
    sign = -1 if offset[0] == "-" else 1
    return when, sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))


def not_after(one: str, other: str) -> bool:
    (first_time, first_offset), (second_time, second_offset) = moment(one), moment(other)
    if first_offset is not None and second_offset is not None:
        return first_time - first_offset <= second_time - second_offset
    return first_time <= second_time


def matches_moment(wanted: str, value: str) -> bool:
    """C.2.2.2.5.3, for whole seconds. The sign of a range has a moment or nothing on each side."""
    places = [place for place, letter in enumerate(wanted) if letter == "-"]
    for place in places:
        start, end = wanted[:place], wanted[place + 1 :]
        if all(not part or is_moment(part) for part in (start, end)):
            if start and end and not not_after(start, end):
                return False
            return (not start or not_after(start, value)) and (not end or not_after(value, end))
    return not_after(wanted, value) and not_after(value, wanted)


def is_moment(text: str) -> bool:
    digits, offset = text[:14], text[14:]
    return len(digits) == 14 and digits.isdigit() and len(offset) in (0, 5)
