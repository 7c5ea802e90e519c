"""Rules 300 to 399: whether each value is one of its VR.

Nothing that may be a patient's is shown. Dates, times and numbers of Table K.6-1 are, unless the
attribute describes the patient (group 0010); of all else the length and the place of a character.

Source: DICOM PS3.5 Table 6.2-1, sections 6.2.1 (PN), 6.4 (several values) and 9.1 (UID).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from mwl.attributes import ATTRIBUTES, PATIENT_NAME, SPECIFIC_CHARACTER_SET
from mwl.check.subject import Fault, Field, Finder, Subject
from mwl.dataset import (
    NUMBER_FORMATS,
    TEXT_VRS,
    excess_of,
    values,
    vr_of,
)
from mwl.errors import DatasetError
from mwl.matching.values import parse_date, parse_date_time, parse_time

_PATIENT_GROUP = 0x0010

_NUMBER_OR_DATE = re.compile(r"[0-9 .:+/-]*")

_SHOWN = frozenset(row.tag for row in ATTRIBUTES if row.tag >> 16 != _PATIENT_GROUP)
"""Attributes whose dates, times and numbers say nothing of a patient."""

# ------------------------------------------------------------------------------- VR

# Where the dictionary leaves a choice, pixel data decide, and a worklist item has none.
_CHOICES = ({"US", "SS"}, {"OB", "OW"})


def other_vr(subject: Subject) -> Iterator[Fault]:
    """MWL301."""
    for level in subject.levels:
        for tag, element in level.elements.items():
            expected = vr_of(tag)
            pair = {element.vr, expected}
            if len(pair) > 1 and expected != "UN" and pair not in _CHOICES:
                yield Fault((*level.path, tag), f"VR {element.vr}, the dictionary has {expected}")


# ------------------------------------------------------------------------------- length


def too_long(subject: Subject) -> Iterator[Fault]:
    """MWL302."""
    for field in subject.fields:
        for text in field.texts or ():
            if (excess := excess_of(field.element.vr, text)) is not None:
                yield Fault(field.path, "{} characters, {} are allowed".format(*excess))


# ------------------------------------------------------------------------------- characters

# C0 and DEL. What C1 means depends on the character set: those rules look at it.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_CONTROLS_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")

_ILLEGAL: Mapping[str, tuple[re.Pattern[str], str]] = {
    "AE": (re.compile(r"[^ -\[\]-~]"), "ASCII without control characters"),
    "CS": (re.compile(r"[^A-Z0-9 _]"), "A-Z, 0-9, space and _"),
    "UR": (re.compile(r"[^!-~]"), "ASCII without spaces"),
    **dict.fromkeys(("LO", "PN", "SH", "UC"), (_CONTROLS, "no control characters")),
    **dict.fromkeys(("LT", "ST", "UT"), (_CONTROLS_BUT_LINES, "controls only for lines")),
}
"""Characters that a VR does not have, and what it has in words."""


def illegal_character(subject: Subject) -> Iterator[Fault]:
    """MWL303."""
    for field in subject.fields:
        # What is written there is the business of the rules for character sets.
        if field.element.vr in _ILLEGAL and field.path[-1] != SPECIFIC_CHARACTER_SET:
            illegal, allowed = _ILLEGAL[field.element.vr]
            for found in filter(None, map(illegal.search, field.texts or ())):
                shown = f"{found[0]!a}" if found[0].isprintable() else f"U+{ord(found[0]):04X}"
                place = f"at position {found.start() + 1}"
                yield Fault(field.path, f"{shown} {place}; {field.element.vr} has {allowed}")


# ------------------------------------------------------------------------------- forms

_AGE = re.compile(r"[0-9]{3}[DWMY]")
_DECIMAL = re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_INTEGER = re.compile(r" *[+-]?[0-9]+ *")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)? *")


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text)) and parse_date(text) is not None


def _is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text)) and parse_time(text) is not None


def _is_integer(text: str) -> bool:
    # So long a number is refused for its length, and is slow to read.
    return bool(_INTEGER.fullmatch(text)) and (
        excess_of("IS", text) is not None or -(2**31) <= int(text) < 2**31
    )


_DATES_AND_TIMES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "DA": (_is_date, "a day as YYYYMMDD"),
    "TM": (_is_time, "a time as HHMMSS"),
    "DT": (lambda text: parse_date_time(text) is not None, "a day and time as YYYYMMDDHHMMSS"),
}
_NUMBERS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "AS": (lambda text: bool(_AGE.fullmatch(text)), "an age as 045Y"),
    "DS": (lambda text: bool(_DECIMAL.fullmatch(text)), "a decimal number"),
    "IS": (_is_integer, "a whole number of 32 bits"),
}
"""What tells whether a text is a value of its VR, and what such a value is in words."""


def no_date_or_time(subject: Subject) -> Iterator[Fault]:
    """MWL304."""
    return _malformed(subject, _DATES_AND_TIMES)


def no_number(subject: Subject) -> Iterator[Fault]:
    """MWL305."""
    yield from _malformed(subject, _NUMBERS)
    for field in subject.fields:
        if field.element.vr in NUMBER_FORMATS:
            try:
                values(field.element, subject.conditions.default)
            except DatasetError as error:
                yield Fault(field.path, error.message)


def _malformed(
    subject: Subject, forms: Mapping[str, tuple[Callable[[str], bool], str]]
) -> Iterator[Fault]:
    for field in subject.fields:
        form = forms.get(field.element.vr)
        for text in field.texts or () if form else ():
            if form and text.strip(" ") and not form[0](text):
                yield Fault(field.path, f"{_shown(field, text)} is not {form[1]}")


def _shown(field: Field, text: str) -> str:
    """Show a date, a time or a number that says nothing of a patient."""
    # What has letters may stand in the wrong column, where a name was meant.
    is_shown = field.path[-1] in _SHOWN and _NUMBER_OR_DATE.fullmatch(text)
    return ascii(text[:40]) if is_shown else f"a value of {len(text)} characters"


# ------------------------------------------------------------------------------- multiplicity

_SEVERAL = frozenset({0x00080005, 0x00102000, 0x00102110, 0x00400001, 0x00400010, 0x0040A30A})
"""Rows of Table K.6-1 that may have several values: PS3.6."""

_SINGLE = frozenset(row.tag for row in ATTRIBUTES) - _SEVERAL


def several_values(subject: Subject) -> Iterator[Fault]:
    """MWL306."""
    for field in subject.fields:
        if field.path[-1] in _SINGLE and field.texts and len(field.texts) > 1:
            yield Fault(field.path, f"{len(field.texts)} values, 1 is allowed")


# ------------------------------------------------------------------------------- UIDs

_UID_LENGTH = 64


def no_uid(subject: Subject) -> Iterator[Fault]:
    """MWL307."""
    for field in subject.fields:
        if field.element.vr == "UI":
            for text in field.texts or ():
                if message := _uid_fault(text):
                    yield Fault(field.path, message)


def _uid_fault(uid: str) -> str:
    if found := re.search(r"[^0-9.]", uid):
        return f"{found[0]!a} at position {found.start() + 1}; a UID has digits and points"
    if len(uid) > _UID_LENGTH:
        return f"{len(uid)} characters, {_UID_LENGTH} are allowed"
    for place, component in enumerate(uid.split("."), start=1):
        if not component:
            return f"component {place} is empty"
        if len(component) > 1 and component[0] == "0":
            return f"component {place} begins with 0"
    return ""


# ------------------------------------------------------------------------------- names

_COMPONENTS = 5
_GROUPS = 3


def crowded_name(subject: Subject) -> Iterator[Fault]:
    """MWL308."""
    for field in subject.fields:
        for name in field.texts or () if field.element.vr == "PN" else ():
            groups = name.split("=")
            most = max(group.count("^") for group in groups) + 1
            if len(groups) > _GROUPS:
                yield Fault(field.path, f"{len(groups)} groups, {_GROUPS} are allowed")
            elif most > _COMPONENTS:
                yield Fault(field.path, f"{most} components in a group, {_COMPONENTS} are allowed")


def undivided_name(subject: Subject) -> Iterator[Fault]:
    """MWL309."""
    for field in subject.fields:
        if field.path == (PATIENT_NAME,):
            for name in field.texts or ():
                if name and "^" not in name:
                    seen = "a comma but no ^" if "," in name else "no ^ in it"
                    yield Fault(field.path, seen)


# ------------------------------------------------------------------------------- padding


def wrong_padding(subject: Subject) -> Iterator[Fault]:
    """MWL310."""
    for field in subject.fields:
        value, vr = field.value, field.element.vr
        if len(value) % 2:
            yield Fault(field.path, f"{len(value)} bytes, an even number is needed")
        elif vr == "UI" and value.endswith(b" "):
            yield Fault(field.path, "ends in a space, a UID is padded with NUL")
        elif vr in TEXT_VRS and vr != "UI" and value.endswith(b"\0"):
            yield Fault(field.path, "ends in NUL, text is padded with a space")


FINDERS: Mapping[str, Finder] = {
    "MWL301": other_vr,
    "MWL302": too_long,
    "MWL303": illegal_character,
    "MWL304": no_date_or_time,
    "MWL305": no_number,
    "MWL306": several_values,
    "MWL307": no_uid,
    "MWL308": crowded_name,
    "MWL309": undivided_name,
    "MWL310": wrong_padding,
}
"""What looks for breaches of each rule."""
