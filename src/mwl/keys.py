r"""Query keys as `findscu` spells them, to an identifier.

    0008,0050=A1              by tag
    (0008,0050)               by tag, the shell willing
    PatientName=DOE*          by keyword
    ScheduledProcedureStepSequence[0].Modality=CT
    0040,0100[0].0008,0060

A key without `=` asks for the attribute. Text that is not ASCII goes out as UTF-8, with Specific
Character Set ISO_IR 192, unless the keys name another set.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mwl import attributes
from mwl.dataset import (
    ENCODINGS,
    TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    tag_of,
    vr_of,
)
from mwl.errors import DatasetError, InputError

_ASCII = ENCODINGS["Ascii"]
_UTF_8 = ENCODINGS["Utf8"]

USUAL_KEYS: Sequence[str] = (
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepSequence[0].Modality",
    "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepID",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "StudyInstanceUID",
)
"""What a scanner mostly asks for: the keys of a query that names none."""

TABLE_KEYS: Sequence[str] = (
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
    "ScheduledProcedureStepSequence[0].Modality",
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "RequestedProcedureDescription",
)
"""What fits a terminal: the columns of a table that names none."""

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ITEM = re.compile(r"\[(\d{1,2})\]")

_BINARY_FORMATS: Mapping[str, str] = MappingProxyType(
    {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d"}
)


@dataclass(frozen=True, slots=True)
class _Step:
    """One part of a key's path: an attribute, and the item of it to go into."""

    tag: int
    item: int | None


@dataclass(frozen=True, slots=True)
class _Key:
    text: str
    path: tuple[_Step, ...]
    value: str


def identifier_of(
    keys: Sequence[str], *, base: Elements | None = None, also: Sequence[str] = ()
) -> Elements:
    """Build a query identifier.

    Args:
        keys: Keys as the module's head shows them; a later one overrides an earlier one.
        base: Query to start from.
        also: Keys to ask for besides, such as `USUAL_KEYS`.

    Raises:
        InputError: A key that cannot be read, a keyword that the dictionary lacks.
    """
    asked = [_parse(key) for key in keys]
    elements = dict(base or {})
    for key in map(_parse, also):
        _put(elements, key, key.path, _ASCII)
    text = _character_set(asked, elements)
    for key in asked:
        _put(elements, key, key.path, text)
    if text is _UTF_8 and attributes.SPECIFIC_CHARACTER_SET not in elements:
        declared = Element(attributes.SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
        elements[declared.tag] = declared
    return dict(sorted(elements.items()))


def _parse(key: str) -> _Key:
    path_text, _, value = key.partition("=")
    path: list[_Step] = []
    rest = path_text.strip()
    while rest:
        tag, rest = _take_tag(key, rest)
        item = _ITEM.match(rest)
        if item is not None:
            rest = rest[item.end() :]
        path.append(_Step(tag, None if item is None else int(item[1])))
        if rest and item is None:
            raise _unreadable(key, f"expected [0] before {rest!r}")
        rest = rest.removeprefix(".")
    if not path:
        raise _unreadable(key, "no attribute is named")
    return _Key(key, tuple(path), value)


def _take_tag(key: str, text: str) -> tuple[int, str]:
    """Take a tag or a keyword off the front of `text`."""
    if (match := _TAG.match(text)) is not None:
        return int(match[1] + match[2], 16), text[match.end() :]
    if (match := _KEYWORD.match(text)) is None:
        raise _unreadable(key, f"no tag and no keyword at {text!r}")
    tag = tag_of(match[0])
    if tag is None:
        raise _unreadable(key, f"the DICOM dictionary has no keyword {match[0]!r}")
    return tag, text[match.end() :]


def _unreadable(key: str, why: str) -> InputError:
    return InputError(
        f"key {key.partition('=')[0]!r}: {why}",
        option="-k",
        hint="write 0008,0050=VALUE, PatientName=VALUE or "
        "ScheduledProcedureStepSequence[0].Modality=VALUE",
    )


def _character_set(keys: Sequence[_Key], base: Elements) -> CharacterSet:
    """Choose how text goes out: as a key or the query file says, UTF-8 where ASCII is too small."""
    declared = attributes.SPECIFIC_CHARACTER_SET
    terms = [key.value for key in keys if key.path == (_Step(declared, None),) and key.value]
    try:
        if terms:
            return CharacterSet.of(tuple(terms[-1].split("\\")))
        if declared in base:
            return character_set(base, _ASCII)
    except DatasetError as error:
        raise InputError(str(error), option="-k") from error
    return _ASCII if all(key.value.isascii() for key in keys) else _UTF_8


def _put(elements: Elements, key: _Key, path: tuple[_Step, ...], text: CharacterSet) -> None:
    step = path[0]
    if step.item is None:
        elements[step.tag] = _element(key, step.tag, text)
        return
    before = elements.get(step.tag)
    items = list(before.value) if before is not None and isinstance(before.value, tuple) else []
    items += ({} for _ in range(len(items), step.item + 1))
    if len(path) > 1:
        item = dict(items[step.item])
        _put(item, key, path[1:], text)
        items[step.item] = dict(sorted(item.items()))
    elements[step.tag] = Element(step.tag, "SQ", tuple(items))


def _element(key: _Key, tag: int, text: CharacterSet) -> Element:
    vr = vr_of(tag)
    if vr == "SQ":
        if key.value:
            raise _unreadable(key.text, "a sequence has no value of its own; name an item, [0]")
        return Element(tag, vr, ())
    if key.value and vr in _BINARY_FORMATS:
        return Element(tag, vr, _binary(key, _BINARY_FORMATS[vr]))
    try:
        encoding = text if vr in TEXT_VRS or vr == "UN" else _ASCII
        return Element(tag, vr, encoding.encode(key.value, vr))
    except UnicodeEncodeError as error:
        raise _unreadable(
            key.text, "the value has characters that its character set lacks"
        ) from error


def _binary(key: _Key, layout: str) -> bytes:
    convert = float if layout[-1] in "fd" else int
    try:
        return b"".join(struct.pack(layout, convert(part)) for part in key.value.split("\\"))
    except (ValueError, struct.error) as error:
        raise _unreadable(key.text, "the value is not a number of the attribute's size") from error
