r"""Query keys as `findscu` spells them, to an identifier.

    0008,0050=A1              by tag
    (0008,0050)               by tag, the shell willing
    PatientName=DOE*          by keyword
    ScheduledProcedureStepSequence[0].Modality=CT
    0040,0100[0].0008,0060

A key without `=` asks for the attribute. Text that is not ASCII goes out as UTF-8, with Specific
Character Set ISO_IR 192, unless the keys name another set.
"""

import math
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

from mwl import attributes
from mwl.dataset import (
    CHARACTER_SET_VRS,
    ENCODINGS,
    NUMBER_FORMATS,
    TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    keyword_of,
    likely_keyword,
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

_HAS_ITEMS = frozenset({"SQ", "UN"})
"""VRs of attributes that may be sequences; what the dictionary does not know may be one."""

_HINT = (
    "write 0008,0050=VALUE, PatientName=VALUE or ScheduledProcedureStepSequence[0].Modality=VALUE"
)


class PathStep(NamedTuple):
    """One part of a key's path: an attribute, and the item of it to go into."""

    tag: int
    item: int | None = None


Path = tuple[PathStep, ...]
"""From the data set down to an attribute, or to an item of a sequence; never empty."""


class _Key(NamedTuple):
    text: str
    path: Path
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
        put(elements, key.path, _element(key, _ASCII))
    text = _character_set(asked, elements)
    for key in asked:
        put(elements, key.path, _element(key, text))
    if text is _UTF_8 and attributes.SPECIFIC_CHARACTER_SET not in elements:
        declared = Element(attributes.SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
        elements[declared.tag] = declared
    return dict(sorted(elements.items()))


def parse_path(text: str) -> Path:
    """Read what stands left of the `=` of a key.

    Args:
        text: Keywords or tags with a point between them, each but the last with an item: `[0]`.

    Raises:
        InputError: It cannot be read, the dictionary lacks a keyword, or what has items is no
            sequence.
    """
    path: list[PathStep] = []
    rest = text.strip()
    while rest:
        tag, rest = _take_tag(text, rest)
        item = _ITEM.match(rest)
        if rest.startswith(("[", ".")) and vr_of(tag) not in _HAS_ITEMS:
            name = describe_path((PathStep(tag),))
            raise _unreadable(text, f"{name} is no sequence and has no items")
        if item is not None:
            rest = rest[item.end() :]
        path.append(PathStep(tag, None if item is None else int(item[1])))
        if rest and item is None:
            raise _unreadable(text, f"expected [0] before {rest!r}")
        if rest and not rest.startswith("."):
            raise _unreadable(text, f"expected a point before {rest!r}")
        if rest == ".":
            raise _unreadable(text, "no attribute behind the last point")
        rest = rest.removeprefix(".")
    if not path:
        raise _unreadable(text, "no attribute is named")
    return tuple(path)


def describe_path(path: Path) -> str:
    """Give a path as it is written, with keywords where there are some."""
    return ".".join(
        (keyword_of(tag) or f"{tag >> 16:04X},{tag & 0xFFFF:04X}")
        + ("" if item is None else f"[{item}]")
        for tag, item in path
    )


def put(elements: Elements, path: Path, element: Element) -> None:
    """Put an element where a path says; items that are missing on the way are made.

    Args:
        elements: Data set to change. Items of it that other data sets hold too stay as they are.
        path: Where to put it.
        element: What to put; not used when the path ends at an item.
    """
    step, *rest = path
    if step.item is None:
        elements[step.tag] = element
        return
    before = elements.get(step.tag)
    items = list(before.value) if before is not None and isinstance(before.value, tuple) else []
    items += ({} for _ in range(len(items), step.item + 1))
    if rest:
        item = dict(items[step.item])
        put(item, tuple(rest), element)
        items[step.item] = dict(sorted(item.items()))
    elements[step.tag] = Element(step.tag, "SQ", tuple(items))


def _parse(key: str) -> _Key:
    path, _, value = key.partition("=")
    try:
        return _Key(key, parse_path(path), value)
    except InputError as error:
        raise InputError(error.message, option="-k", hint=error.hint) from None


def _take_tag(whole: str, text: str) -> tuple[int, str]:
    """Take a tag or a keyword off the front of `text`."""
    if (match := _TAG.match(text)) is not None:
        return int(match[1] + match[2], 16), text[match.end() :]
    if (match := _KEYWORD.match(text)) is None:
        raise _unreadable(whole, f"no tag and no keyword at {text!r}")
    tag = tag_of(match[0])
    if tag is None:
        likely = likely_keyword(match[0])
        raise _unreadable(
            whole,
            f"the DICOM dictionary has no keyword {match[0]!r}",
            hint=f"did you mean {likely}?" if likely else _HINT,
        )
    return tag, text[match.end() :]


def _unreadable(key: str, why: str, hint: str = _HINT) -> InputError:
    return InputError(f"key {key!r}: {why}", hint=hint)


def _refused(key: _Key, why: str) -> InputError:
    path = key.text.partition("=")[0]
    return InputError(f"key {path!r}: {why}", option="-k", hint=_HINT)


def _character_set(keys: Sequence[_Key], base: Elements) -> CharacterSet:
    """Choose how text goes out: as a key or the query file says, UTF-8 where ASCII is too small."""
    declared = attributes.SPECIFIC_CHARACTER_SET
    asked = [key.value for key in keys if key.path == (PathStep(declared),)]
    try:
        of_base = character_set(base, _ASCII) if declared in base else None
        terms = asked[-1] if asked else ""
        of_keys = CharacterSet.of(tuple(terms.split("\\"))) if terms else None
    except DatasetError as error:
        raise InputError(str(error), option="-k") from error
    if asked and of_keys != of_base and _is_beyond_ascii(base):
        raise InputError(
            "SpecificCharacterSet: the query file has text in the character set that it names, "
            "and is not converted",
            option="-k",
            hint="change the query file",
        )
    if (declared_text := of_keys or of_base) is not None:
        return declared_text
    return _ASCII if all(key.value.isascii() for key in keys) else _UTF_8


def _is_beyond_ascii(elements: Elements) -> bool:
    """Tell whether text of a data set needs its character set to be read."""
    for _, vr, value in elements.values():
        if isinstance(value, tuple):
            if any(map(_is_beyond_ascii, value)):
                return True
        elif vr in CHARACTER_SET_VRS and (not value.isascii() or b"\x1b" in value):
            return True
    return False


def _element(key: _Key, text: CharacterSet) -> Element:
    tag = key.path[-1].tag
    vr = "SQ" if key.path[-1].item is not None else vr_of(tag)
    if vr == "SQ":
        if key.value:
            raise _refused(
                key, "a sequence has no value of its own; name an item, [0], and its attribute"
            )
        return Element(tag, vr, ())
    if key.value and vr in NUMBER_FORMATS:
        try:
            return Element(tag, vr, binary(key.value, vr))
        except ValueError as error:
            raise _refused(key, str(error)) from error
    try:
        encoding = text if vr in TEXT_VRS or vr == "UN" else _ASCII
        return Element(tag, vr, encoding.encode(key.value, vr))
    except UnicodeEncodeError as error:
        raise _refused(key, "the value has characters that its character set lacks") from error


def binary(text: str, vr: str) -> bytes:
    r"""Give the bytes of numbers written in decimal.

    Args:
        text: One number or several with backslashes between them.
        vr: One of `NUMBER_FORMATS`.

    Raises:
        ValueError: One is no number, or none of that size.
    """
    layout = NUMBER_FORMATS[vr]
    convert = float if layout in "fd" else int
    try:
        numbers = [convert(part) for part in text.split("\\")]
        if all(map(math.isfinite, numbers)):
            return b"".join(struct.pack(f"<{layout}", number) for number in numbers)
    except (ValueError, OverflowError, struct.error):
        pass  # said below
    raise ValueError("the value is not a number of the attribute's size")
