"""The DICOM JSON Model: data sets as what `json` reads and writes.

Source: DICOM PS3.18 section F.2.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mwl.dataset.charset import ENCODINGS, CharacterSet, character_set
from mwl.dataset.dictionary import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
    VRS,
    excess_of,
    pad_of,
    tag_of,
    vr_of,
)
from mwl.dataset.elements import NESTING_LIMIT, Element, Elements
from mwl.dataset.values import values
from mwl.errors import DatasetError, InputError
from mwl.text_files import JsonObject

_SPECIFIC_CHARACTER_SET = 0x00080005
_ASCII = ENCODINGS["Ascii"]
_UTF_8 = ENCODINGS["Utf8"]
_UTF_8_DECLARED = Element(_SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
_SHORT_LENGTH_LIMIT = 0xFFFE

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([Ee][+-]?[0-9]+)?")
_NOT_FINITE = frozenset({"nan", "inf", "-inf"})
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_JSON_NUMBERS = frozenset(NUMBER_FORMATS) | {"DS", "IS"}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DECIMAL_STRING_LIMIT = 16
"""Characters of a DS: PS3.5 Table 6.2-1."""


def to_json(elements: Elements, character_set: CharacterSet) -> dict[str, Any]:
    """Give a data set in the DICOM JSON Model.

    Args:
        elements: The data set.
        character_set: Set of its text.

    Returns:
        What `json.dumps` takes, by tag as eight hexadecimal digits. Numbers in text that are none
        stay text, and numbers that JSON cannot say are written as text.

    Raises:
        DatasetError: As `values`, or a person name has more than three component groups.

    Source: PS3.18 section F.2.
    """
    return {
        f"{tag:08X}": _json_attribute(element, character_set) for tag, element in elements.items()
    }


def _json_attribute(element: Element, text: CharacterSet) -> dict[str, Any]:
    _, vr, value = element
    attribute: dict[str, Any] = {"vr": vr}
    if not value:
        return attribute
    if isinstance(value, tuple):
        # PS3.5 7.5.3: an item may have a character set of its own.
        attribute["Value"] = [to_json(item, character_set(item, text)) for item in value]
    elif vr in BYTE_VRS:
        attribute["InlineBinary"] = base64.b64encode(value).decode("ascii")
    else:
        found = [_json_value(one, vr) for one in values(element, text)]
        if found != [None]:  # PS3.18 F.2.5: spaces, say, are no value
            attribute["Value"] = found
    return attribute


def _json_value(text: str, vr: str) -> str | int | float | dict[str, str] | None:
    text = text.strip(" ") if vr == "AE" else text.rstrip(" ")
    if not text:
        return None
    if vr == "PN":
        groups = text.split("=")
        if len(groups) > len(_NAME_GROUPS):
            raise DatasetError(f"a person name of {len(groups)} component groups")
        named = zip(_NAME_GROUPS, groups, strict=False)
        return {name: group for name, group in named if group} or None
    if vr in _JSON_NUMBERS:
        return _json_number(vr, text.strip(" "))
    return text


def _json_number(vr: str, text: str) -> str | int | float:
    if not _DECIMAL.fullmatch(text):
        return text
    number = int(text) if _INTEGER.fullmatch(text) else float(text)
    # PS3.18 F.2.3.1: a DS or IS may be text, which one has to be that would come back otherwise.
    is_kept = vr not in {"DS", "IS"} or _is_written_so(vr, number, text)
    return number if math.isfinite(number) and is_kept else text


def _is_written_so(vr: str, number: float, text: str) -> bool:
    try:
        return _number_text(vr, number) == text
    except ValueError:
        return False


def from_json(model: object) -> Elements:
    """Read a data set in the DICOM JSON Model.

    Text is encoded in the character set that (0008,0005) of the model names. Where it names none
    and text is not ASCII, ISO_IR 192 is added, which is the character set of JSON.

    Args:
        model: What `json.loads` gives, or `mwl.text_files.read_json(...).plain()`, with which
            errors name the line. Attributes may also be named by their keyword, and the VR
            may be absent where the dictionary has it.

    Raises:
        InputError: It is no data set, with the path of the attribute in the message. Values are
            not repeated.
    """
    elements, needs_utf_8 = _read_model(model, "", None, 0)
    if needs_utf_8:
        elements[_SPECIFIC_CHARACTER_SET] = _UTF_8_DECLARED
    return dict(sorted(elements.items()))


def _refused(path: str, message: str, hint: str | None = None) -> InputError:
    return InputError(f"{path}: {message}" if path else message, hint=hint)


def _read_model(
    model: object, path: str, inherited: CharacterSet | None, depth: int
) -> tuple[Elements, bool]:
    """Give the elements of a data set or item, and whether some text needs UTF-8 to be declared."""
    if not isinstance(model, dict):
        raise _refused(path, "a data set in JSON is an object")
    if depth > NESTING_LIMIT:
        raise _refused(path, f"sequences nested deeper than {NESTING_LIMIT}")
    names = _names(model, path)
    characters = inherited
    if (name := names.get(_SPECIFIC_CHARACTER_SET)) is not None:
        with _on_line_of(model, name):
            characters = _character_set(model[name], path, inherited)
    elements: Elements = {}
    needs_utf_8 = False
    for tag, name in sorted(names.items()):
        at = f"{path}{_place(tag)}"
        with _on_line_of(model, name):
            vr, found = _checked(tag, model[name], at)
            if vr == "SQ":
                items, needs = _read_sequence(found, at, characters, depth)
                elements[tag] = Element(tag, vr, items)
            else:
                value, is_beyond_ascii = _read_attribute(vr, found, at, characters)
                elements[tag] = Element(tag, vr, value + pad_of(vr) * (len(value) & 1))
                needs = is_beyond_ascii and characters is None
        needs_utf_8 |= needs
    return elements, needs_utf_8


@contextmanager
def _on_line_of(model: Mapping[str, object], name: str) -> Iterator[None]:
    """Add the line of an attribute, where it is known, to an error that has none."""
    try:
        yield
    except InputError as error:
        if error.line is None and isinstance(model, JsonObject):
            error.line = model.lines[name]
        raise


def _names(model: Mapping[str, object], path: str) -> dict[int, str]:
    """Give the name of each attribute by its tag."""
    names: dict[int, str] = {}
    for name in model:
        with _on_line_of(model, name):
            tag = _read_tag(name, path)
            if tag in names:
                raise _refused(f"{path}{_place(tag)}", "occurs twice")
        names[tag] = name
    return names


def _read_sequence(
    attribute: Mapping[str, object], at: str, characters: CharacterSet | None, depth: int
) -> tuple[tuple[Elements, ...], bool]:
    read = [
        _read_model({} if item is None else item, f"{at}[{index}].", characters, depth + 1)
        for index, item in enumerate(_values(attribute, at))
    ]
    return tuple(item for item, _ in read), any(needs for _, needs in read)


def _place(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _read_tag(name: str, path: str) -> int:
    tag = int(name, 16) if _TAG.fullmatch(name) else tag_of(name)
    if tag is None:
        raise _refused(
            path.rstrip("."),
            "a name is no tag of eight hexadecimal digits and no keyword of DICOM",
            'a data set in JSON is {"00100020": {"vr": "LO", "Value": [...]}}',
        )
    if tag >> 16 in {0x0000, 0x0002, 0xFFFE}:
        raise _refused(f"{path}{_place(tag)}", "has no place in a data set")
    return tag


def _character_set(found: object, path: str, inherited: CharacterSet | None) -> CharacterSet | None:
    at = f"{path}{_place(_SPECIFIC_CHARACTER_SET)}"
    vr, attribute = _checked(_SPECIFIC_CHARACTER_SET, found, at)
    if vr != "CS":
        raise _refused(at, "its VR is CS")
    value, _ = _read_attribute(vr, attribute, at, None)
    element = Element(_SPECIFIC_CHARACTER_SET, vr, value)
    try:
        return character_set({element.tag: element}, _ASCII) if value else inherited
    except DatasetError as error:
        raise _refused(at, error.message) from None


def _checked(tag: int, attribute: object, at: str) -> tuple[str, Mapping[str, object]]:
    """Give the VR of an attribute, and what else there is of it."""
    if not isinstance(attribute, dict):
        raise _refused(at, "an attribute in JSON is an object", '{"vr": "LO", "Value": [...]}')
    vr = attribute.get("vr", vr_of(tag))
    if not isinstance(vr, str) or vr not in VRS:
        raise _refused(at, "its vr is no VR")
    if "BulkDataURI" in attribute:
        raise _refused(at, "its value is elsewhere (BulkDataURI), and is not fetched")
    unknown = set(attribute) - {"vr", "Value", "InlineBinary"}
    if unknown or len(set(attribute) - {"vr"}) > 1:
        raise _refused(at, "an attribute has vr, and one of Value and InlineBinary")
    return vr, attribute


def _values(attribute: Mapping[str, object], at: str) -> Sequence[Any]:
    if "InlineBinary" in attribute:
        raise _refused(at, "only the VRs of bytes have InlineBinary")
    found = attribute.get("Value")
    if found is None:
        return []
    if not isinstance(found, list):
        raise _refused(at, "Value is an array")
    return found


def _read_attribute(
    vr: str, attribute: Mapping[str, object], at: str, characters: CharacterSet | None
) -> tuple[bytes, bool]:
    """Give the bytes of a value, and whether it is text beyond ASCII."""
    if vr in BYTE_VRS:
        return _read_bytes(attribute, at), False
    found = _values(attribute, at)
    try:
        if vr not in TEXT_VRS:
            return b"".join(read_binary(vr, one) for one in found), False
        texts = [_read_text(vr, one) for one in found]
    except (ValueError, OverflowError, struct.error):
        raise _refused(at, f"a value is none of {vr}") from None
    if vr in SINGLE_VALUE_TEXT_VRS and len(texts) > 1:
        raise _refused(at, f"{vr} has one value")
    text = "\\".join(texts)
    is_encoded = vr in CHARACTER_SET_VRS
    try:
        usual = _UTF_8 if is_encoded else _ASCII
        value = ((characters if is_encoded else None) or usual).encode(text, vr)
    except UnicodeEncodeError:
        raise _refused(
            at,
            "the text has characters that its character set lacks",
            '"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]} has them all',
        ) from None
    if vr not in {"UC", "UR", "UT"} and len(value) > _SHORT_LENGTH_LIMIT:
        raise _refused(at, f"the value is longer than {_SHORT_LENGTH_LIMIT} bytes")
    for one in texts:
        if (excess := excess_of(vr, one)) is not None:
            length, limit = excess
            raise _refused(at, f"{length} characters, {vr} has {limit} at most")
    return value, is_encoded and not text.isascii()


def _read_bytes(attribute: Mapping[str, object], at: str) -> bytes:
    found = attribute.get("InlineBinary", "")
    if "Value" in attribute or not isinstance(found, str):
        raise _refused(at, "its value is InlineBinary, a string of base 64")
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(at, "InlineBinary is not base 64") from None


def read_binary(vr: str, one: object) -> bytes:
    """Give the bytes of one binary number or attribute tag, written as JSON has it.

    Raises:
        ValueError: It is none; also OverflowError or `struct.error` when it is too large.
    """
    if vr == "AT":
        if not isinstance(one, str) or not _TAG.fullmatch(one):
            raise ValueError
        return struct.pack("<HH", int(one[:4], 16), int(one[4:], 16))
    letter = NUMBER_FORMATS[vr]
    number = _number(one)
    if letter not in "fd" and not isinstance(number, int):
        if not number.is_integer():
            raise ValueError
        number = int(number)
    return struct.pack(f"<{letter}", number)


def _number(one: object) -> int | float:
    if isinstance(one, str):  # what JSON cannot say, and 64 bits that some readers would round
        if _INTEGER.fullmatch(one):
            return int(one)
        if _DECIMAL.fullmatch(one) or one in _NOT_FINITE:
            return float(one)
    elif isinstance(one, int | float) and not isinstance(one, bool):
        return one
    raise ValueError


def _read_text(vr: str, one: object) -> str:
    if one is None:
        return ""
    if vr == "PN" and isinstance(one, dict):
        return _read_name(one)
    if vr in {"DS", "IS"} and isinstance(one, int | float) and not isinstance(one, bool):
        return _number_text(vr, one)
    if not isinstance(one, str) or ("\\" in one and vr not in SINGLE_VALUE_TEXT_VRS):
        raise ValueError
    return one


def _read_name(groups: Mapping[object, object]) -> str:
    """Join the component groups of a person name: PS3.5 6.2.1.1."""
    found = [groups.get(name, "") for name in _NAME_GROUPS]
    texts = [text for text in found if isinstance(text, str) and not re.search(r"[\\=]", text)]
    if set(groups) - set(_NAME_GROUPS) or len(texts) != len(found):
        raise ValueError
    return "=".join(texts).rstrip("=")


def _number_text(vr: str, number: float) -> str:
    if not math.isfinite(number):
        raise ValueError
    if float(number).is_integer() and abs(number) < 10**12:
        return str(int(number))
    if vr == "IS":
        raise ValueError
    text = repr(number)
    digits = _DECIMAL_STRING_LIMIT
    while len(text) > _DECIMAL_STRING_LIMIT:
        digits -= 1
        text = f"{number:.{digits}g}"
    return text
