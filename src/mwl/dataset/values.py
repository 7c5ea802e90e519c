"""What the bytes of an element mean: its values as text, and the DICOM JSON Model.

Source: DICOM PS3.5 section 6.2 (value representations), section 6.4 (several values).
"""

import base64
import math
import re
import struct
from collections.abc import Iterator
from typing import Any

from mwl.dataset.charset import CharacterSet, character_set
from mwl.dataset.dictionary import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
)
from mwl.dataset.elements import Element, Elements
from mwl.errors import DatasetError

_INTEGER = re.compile(r"[+-]?[0-9]+")
_JSON_NUMBERS = frozenset(NUMBER_FORMATS) | {"DS", "IS"}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def values(element: Element, character_set: CharacterSet) -> list[str]:
    """Give the values of an element as text.

    Args:
        element: Any element but a sequence.
        character_set: Set of the data set; used for the VRs that follow (0008,0005).

    Returns:
        Text as stored with its spaces, less the NUL that pads it; numbers in decimal; attribute
        tags as eight hexadecimal digits; opaque bytes as one value with a character for each.
        Nothing for a value of zero length, and nothing for a sequence.

    Raises:
        DatasetError: Text is not in its character set, or a number has the wrong length.
    """
    _, vr, value = element
    if not value or isinstance(value, tuple):
        return []
    if vr in TEXT_VRS:
        text = _text(element, value, character_set)
        return [text] if vr in SINGLE_VALUE_TEXT_VRS else text.split("\\")
    if vr == "AT":
        return [f"{group:04X}{number:04X}" for group, number in _unpack(element, value, "HH")]
    if vr in NUMBER_FORMATS:
        return [repr(number) for (number,) in _unpack(element, value, NUMBER_FORMATS[vr])]
    return [value.decode("latin-1")]


def _text(element: Element, value: bytes, character_set: CharacterSet) -> str:
    try:
        if element.vr in CHARACTER_SET_VRS:
            text = character_set.decode(value, element.vr)
        else:
            text = value.decode("ascii")
    except UnicodeDecodeError as error:
        raise DatasetError(
            "text is not in the default repertoire", offset=error.start, tag=element.tag
        ) from None
    except DatasetError as error:
        raise DatasetError(error.message, offset=error.offset, tag=element.tag) from None
    # PS3.5 6.2: NUL pads UI. Deviation: some devices pad other text with it too.
    return text.rstrip("\0")


def _unpack(element: Element, value: bytes, form: str) -> Iterator[tuple[int | float, ...]]:
    try:
        return struct.iter_unpack(f"<{form}", value)
    except struct.error:
        raise DatasetError(
            f"{len(value)} bytes are no whole number of {element.vr}", tag=element.tag
        ) from None


def to_json(elements: Elements, character_set: CharacterSet) -> dict[str, Any]:
    """Give a data set in the DICOM JSON Model.

    Args:
        elements: The data set.
        character_set: Set of its text.

    Returns:
        What `json.dumps` takes, by tag as eight hexadecimal digits. Numbers in text that are none
        stay text, and numbers that JSON cannot say are written as text.

    Raises:
        DatasetError: As `values`.

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
        attribute["Value"] = [_json_value(one, vr) for one in values(element, text)]
    return attribute


def _json_value(text: str, vr: str) -> str | int | float | dict[str, str] | None:
    text = text.strip(" ") if vr == "AE" else text.rstrip(" ")
    if not text:
        return None
    if vr == "PN":
        groups = zip(_NAME_GROUPS, text.split("="), strict=False)
        return {name: group for name, group in groups if group}
    if vr in _JSON_NUMBERS:
        return _json_number(text.strip(" "))
    return text


def _json_number(text: str) -> str | int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
