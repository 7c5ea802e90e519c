"""Data sets as JSON in the forms that Orthanc's scripts and clients know.

    short   {"0010,0010": "DOE^JANE", "0040,0100": [{"0008,0060": "CT"}]}
    full    {"0010,0010": {"Name": "PatientName", "Type": "String", "Value": "DOE^JANE"}}
    human   {"PatientName": "DOE^JANE", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}

Several values stand in one text with backslashes between them; a value of zero length is "".
"""

import base64
import binascii
import re
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Any

from mwl.dataset.charset import ENCODINGS, CharacterSet, character_set
from mwl.dataset.dictionary import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    keyword_of,
    tag_of,
    vr_of,
)
from mwl.dataset.elements import NESTING_LIMIT, Element, Elements
from mwl.dataset.json_model import read_binary
from mwl.dataset.values import values
from mwl.errors import DatasetError, InputError

_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_DATA = 0x7FE00010
_FIRST_OF_DATA_SET = 0x00080000
"""Elements below are of the command and of the file, not of the data set."""
_UTF_8 = ENCODINGS["Utf8"]
_UTF_8_DECLARED = Element(_SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
_TAG = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})")
_DATA_URI = "data:application/octet-stream;base64,"
_ODD_GROUP = 0x00010000


class Format(IntEnum):
    """Form of the JSON; numbers as in Orthanc's plugin SDK."""

    FULL = 1
    SHORT = 2
    HUMAN = 3


class Flags(IntFlag):
    """What the JSON holds beyond plain text; numbers as in Orthanc's plugin SDK."""

    NONE = 0
    INCLUDE_BINARY = 1
    INCLUDE_PRIVATE_TAGS = 2
    INCLUDE_UNKNOWN_TAGS = 4
    INCLUDE_PIXEL_DATA = 8
    CONVERT_BINARY_TO_ASCII = 16
    CONVERT_BINARY_TO_NULL = 32
    STOP_AFTER_PIXEL_DATA = 64
    SKIP_GROUP_LENGTHS = 128


FORMS: Mapping[str, Format] = MappingProxyType(
    {"Simplify": Format.HUMAN, "Short": Format.SHORT, "Full": Format.FULL}
)
"""The forms, by their names in requests over HTTP."""

EVERYTHING = (
    Flags.INCLUDE_PRIVATE_TAGS
    | Flags.INCLUDE_UNKNOWN_TAGS
    | Flags.INCLUDE_PIXEL_DATA
    | Flags.CONVERT_BINARY_TO_NULL
)
"""Every attribute, with null for bytes: what Orthanc gives over HTTP."""


def to_orthanc_json(
    elements: Elements,
    character_set: CharacterSet,
    form: Format = Format.SHORT,
    flags: Flags = Flags.NONE,
    longest: int = 0,
) -> dict[str, Any]:
    """Give a data set as Orthanc's JSON.

    Args:
        elements: The data set.
        character_set: Set of its text. Text that is not in it is read as Latin 1: shown, if
            wrongly.
        form: Which form.
        flags: Which attributes beside those of text and numbers that the dictionary has.
        longest: Characters of a value, above which null stands for it; 0 for no limit.
    """
    found: dict[str, Any] = {}
    for tag, element in elements.items():
        if tag < _FIRST_OF_DATA_SET or not tag & 0xFFFF:
            continue
        if tag == _PIXEL_DATA and not flags & Flags.INCLUDE_PIXEL_DATA:
            continue
        if tag & _ODD_GROUP and not flags & Flags.INCLUDE_PRIVATE_TAGS:
            continue
        if not keyword_of(tag) and not tag & _ODD_GROUP and not flags & Flags.INCLUDE_UNKNOWN_TAGS:
            continue
        kind, value = _value(element, character_set, form, flags, longest)
        if kind == "":
            continue
        name = keyword_of(tag)
        key = f"{tag >> 16:04x},{tag & 0xFFFF:04x}"
        if form is Format.FULL:
            found[key] = {"Name": name or "Unknown Tag & Data", "Type": kind, "Value": value}
        elif form is Format.HUMAN:
            found[name or key] = value
        else:
            found[key] = value
    return found


def _value(
    element: Element, text: CharacterSet, form: Format, flags: Flags, longest: int
) -> tuple[str, Any]:
    """Give the type and the value of an attribute; no type where it is left out."""
    _, vr, value = element
    if isinstance(value, tuple):
        items = [
            to_orthanc_json(item, _characters(item, text), form, flags, longest) for item in value
        ]
        return "Sequence", items
    if vr in BYTE_VRS:
        return _binary(value, flags)
    found = _text(element, text)
    if 0 < longest < len(found):
        return "TooLong", None
    return "String", found


def _binary(value: bytes, flags: Flags) -> tuple[str, Any]:
    if flags & Flags.CONVERT_BINARY_TO_NULL:
        return "Null", None
    if flags & Flags.CONVERT_BINARY_TO_ASCII:
        return "String", value.decode("ascii", "ignore").rstrip("\0")
    if flags & Flags.INCLUDE_BINARY:
        return "Binary", _DATA_URI + base64.b64encode(value).decode("ascii")
    return "", None


def _characters(item: Elements, outer: CharacterSet) -> CharacterSet:
    try:
        return character_set(item, outer)
    except DatasetError:
        return outer


def _text(element: Element, text: CharacterSet) -> str:
    try:
        found = values(element, text)
    except DatasetError:
        value = element.value if isinstance(element.value, bytes) else b""
        found = [value.decode("latin-1")]
    if element.vr in SINGLE_VALUE_TEXT_VRS:
        return "".join(found).rstrip(" \0")
    return "\\".join(one.strip(" \0") for one in found)


def from_orthanc_json(tags: object, *, decode_data_uri: bool = False) -> Elements:
    """Read a data set in the short or the human form.

    Text goes into the character set that the attribute (0008,0005) names where it fits; else it is
    ISO_IR 192, and is declared so.

    Args:
        tags: Keyword or tag to text, number, null (zero length), or an array of such objects.
        decode_data_uri: Read `data:...;base64,` as the bytes that it stands for.

    Raises:
        InputError: It is no such object, a name is neither keyword nor tag, or a value does not
            fit its attribute. Values are not repeated.
    """
    reader = _Reader(_declared(tags), decode_data_uri=decode_data_uri)
    try:
        return reader.read(tags, "", 0)
    except UnicodeEncodeError:
        reader = _Reader(_UTF_8, decode_data_uri=decode_data_uri)
        elements = reader.read(tags, "", 0)
        elements[_SPECIFIC_CHARACTER_SET] = _UTF_8_DECLARED
        return dict(sorted(elements.items()))


def _declared(tags: object) -> CharacterSet:
    """Give the character set that a data set names; ASCII when it names none that is known."""
    for name, value in tags.items() if isinstance(tags, Mapping) else ():
        if _tag_of(name) == _SPECIFIC_CHARACTER_SET and isinstance(value, str) and value:
            try:
                return CharacterSet.of(tuple(value.split("\\")))
            except DatasetError:
                break
    return ENCODINGS["Ascii"]


def _tag_of(name: object) -> int | None:
    if not isinstance(name, str):
        return None
    match = _TAG.fullmatch(name)
    return int(match[1] + match[2], 16) if match else tag_of(name)


class _Reader:
    """One reading in one character set."""

    def __init__(self, characters: CharacterSet, *, decode_data_uri: bool) -> None:
        self._characters = characters
        self._decode_data_uri = decode_data_uri

    def read(self, tags: object, path: str, depth: int) -> Elements:
        if not isinstance(tags, Mapping):
            raise InputError(f"{path}a data set is an object of attributes")
        if depth > NESTING_LIMIT:
            raise InputError(f"sequences nested deeper than {NESTING_LIMIT}")
        elements: Elements = {}
        for name, value in tags.items():
            tag = _tag_of(name)
            if tag is None:
                raise InputError(
                    f"{path}a name is neither a keyword of DICOM nor a tag",
                    hint='write "PatientID" or "0010,0020"',
                )
            if tag >> 16 in {0x0000, 0x0002, 0xFFFE}:
                continue  # it has no place in a data set
            at = f"{path}{keyword_of(tag) or name}"
            if tag in elements:
                raise InputError(f"{at}: given twice")
            elements[tag] = self._element(tag, value, at, depth)
        return dict(sorted(elements.items()))

    def _element(self, tag: int, value: object, at: str, depth: int) -> Element:
        vr = vr_of(tag)
        if isinstance(value, Sequence) and not isinstance(value, str):
            if vr not in {"SQ", "UN"}:
                raise InputError(f"{at}: it is no sequence, so its value is no array")
            items = (
                # In Lua an object without anything in it is an array as well.
                self.read({} if item == [] else item, f"{at}[{number}].", depth + 1)
                for number, item in enumerate(value)
            )
            return Element(tag, "SQ", tuple(items))
        if vr == "SQ":
            if value in ("", None):
                return Element(tag, vr, ())
            raise InputError(f"{at}: it is a sequence, so its value is an array")
        return Element(tag, vr, self._bytes(vr, _text_of(value, at), at))

    def _bytes(self, vr: str, text: str, at: str) -> bytes:
        if vr in BYTE_VRS:
            return self._binary(text, at)
        if vr == "AT" or vr in NUMBER_FORMATS:
            try:
                return b"".join(read_binary(vr, part) for part in text.split("\\") if part)
            except (ValueError, OverflowError, struct.error):
                raise InputError(f"{at}: a value is no number of {vr}") from None
        if vr not in CHARACTER_SET_VRS:
            if not text.isascii():
                raise InputError(f"{at}: {vr} takes no more than ASCII")
            return text.encode("ascii")
        return self._characters.encode(text, vr)

    def _binary(self, text: str, at: str) -> bytes:
        if not self._decode_data_uri or not text.startswith("data:"):
            return text.encode()
        try:
            return base64.b64decode(text.partition(",")[2], validate=True)
        except binascii.Error:
            raise InputError(f"{at}: its data URI is no base64") from None


def _text_of(value: object, at: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{at}: its value is no text, no number, and no array of objects")
