"""What the bytes of an element mean: its values as text.

Source: DICOM PS3.5 section 6.2 (value representations), section 6.4 (several values).
"""

import struct
from collections.abc import Iterator

from mwl.dataset.charset import CharacterSet
from mwl.dataset.dictionary import (
    CHARACTER_SET_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
)
from mwl.dataset.elements import Element
from mwl.errors import DatasetError

_PADDING = b" \0"
_MEANINGLESS = {
    **dict.fromkeys(TEXT_VRS - SINGLE_VALUE_TEXT_VRS, _PADDING + b"\\"),
    "PN": _PADDING + b"\\^=",
}
"""Bytes that are no value by themselves: padding, and the borders of values and of their parts."""


def is_empty(element: Element) -> bool:
    """Tell whether an element has no value, or only padding and what stands between values."""
    value = element.value
    if isinstance(value, bytes):
        value = value.strip(_MEANINGLESS.get(element.vr, _PADDING))
    return not value


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
