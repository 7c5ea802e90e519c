"""Data sets as text, in the layout of DCMTK's `dcmdump`.

Text is decoded, so that it reads the same whatever character set it is stored in, and nothing
that a data set holds reaches a terminal as a control sequence. The other direction, text to data
set, is not here.

Source: the output of dcmdump 3.6.7; DICOM PS3.5 section 6.2 for the values.
"""

import struct
import unicodedata

from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    encode,
    keyword_of,
    values,
)
from mwl.errors import DatasetError

_VALUE_WIDTH = 40
_INDENT = "  "
_UNKNOWN_NAME = "Unknown Tag & Data"
_NO_VALUE = "(no value available)"
_ITEM_END = "(fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem"
_SEQUENCE_END = (
    "(fffe,e0dd) na (SequenceDelimitationItem for re-encod.) #   0, 0 SequenceDelimitationItem"
)

# VRs of opaque words: how they are printed, by the format letter of `struct` for one word.
_WORDS = {
    "OB": ("B", "{:02x}"),
    "UN": ("B", "{:02x}"),
    "OW": ("H", "{:04x}"),
    "OL": ("I", "{}"),
    "OV": ("Q", "{}"),
    "OF": ("f", "{:.9g}"),
    "OD": ("d", "{}"),
}


def dump(elements: Elements, character_set: CharacterSet) -> str:
    """Give the lines that dcmdump prints for a data set, without its headings.

    Args:
        elements: The data set.
        character_set: Set of its text. Text that is not in it is shown with its bytes above 7EH
            as three octal digits.

    Returns:
        One line an element, item or delimiter, without an end of line after the last. Control
        characters are shown as three octal digits after a backslash.
    """
    return "\n".join(_lines(elements, character_set))


def _lines(elements: Elements, text: CharacterSet) -> list[str]:
    lines: list[str] = []
    for element in elements.values():
        if isinstance(element.value, tuple):
            lines += _sequence_lines(element, element.value, text)
        else:
            shown, count = _value(element, element.value, text)
            lines.append(_line(element, shown, len(element.value), count))
    return lines


def _sequence_lines(element: Element, items: tuple[Elements, ...], text: CharacterSet) -> list[str]:
    # An explicit sequence header has 12 bytes, that of an item 8: PS3.5 Table 7.5-1.
    length = len(encode((element,), EXPLICIT_VR_LITTLE_ENDIAN)) - 12
    lines = [_line(element, f"(Sequence with explicit length #={len(items)})", length, 1)]
    for item in items:
        length = len(encode(item.values(), EXPLICIT_VR_LITTLE_ENDIAN))
        shown = f"(Item with explicit length #={len(item)})"
        lines.append(f"{_INDENT}(fffe,e000) na {shown:<{_VALUE_WIDTH}} # {length:3}, 1 Item")
        lines += [_INDENT * 2 + line for line in _lines(item, _character_set_of(item, text))]
        lines.append(_INDENT + _ITEM_END)
    lines.append(_SEQUENCE_END)
    return lines


def _character_set_of(item: Elements, inherited: CharacterSet) -> CharacterSet:
    # PS3.5 7.5.3: an item may have a character set of its own.
    try:
        return character_set(item, inherited)
    except DatasetError:
        return inherited


def _line(element: Element, shown: str, length: int, count: int) -> str:
    tag, vr, _ = element
    name = keyword_of(tag) or _name(tag)
    place = f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
    return f"{place} {vr} {shown:<{_VALUE_WIDTH}} # {length:3},{count:2} {name}"


def _name(tag: int) -> str:
    is_creator = tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF
    return "PrivateCreator" if is_creator else _UNKNOWN_NAME


def _value(element: Element, value: bytes, text: CharacterSet) -> tuple[str, int]:
    """Give a value as dcmdump prints it, and its multiplicity."""
    vr = element.vr
    if not value:
        return _NO_VALUE, 1 if vr in _WORDS else 0
    if vr in _WORDS and len(value) % struct.calcsize(_WORDS[vr][0]) == 0:
        letter, form = _WORDS[vr]
        words = [form.format(word) for (word,) in struct.iter_unpack(f"<{letter}", value)]
        return "\\".join(word.removesuffix(".0") for word in words), 1
    try:
        found = values(element, text)
    except DatasetError:
        raw = value.decode("latin-1").rstrip(" \0")
        return f"[{_escaped(raw, ascii_only=True)}]", 1
    if vr in TEXT_VRS:
        shown = "\\".join(found).rstrip(" ")
        return f"[{_escaped(shown)}]", len(found)
    if vr == "FL":  # more digits than it has would be printed otherwise
        found = [f"{float(one):.9g}" for one in found]
    if vr == "AT":
        found = [f"({one[:4]},{one[4:]})".lower() for one in found]
    return "\\".join(one.removesuffix(".0") for one in found), len(found)


def _escaped(text: str, *, ascii_only: bool = False) -> str:
    return "".join(
        character
        if _is_harmless(character) and (not ascii_only or character.isascii())
        else _escape(ord(character))
        for character in text
    )


def _escape(code: int) -> str:
    # Controls of a terminal are one byte; those of text direction and the like are far above.
    return f"\\{code:03o}" if code < 0x100 else f"\\u{code:04x}"


def _is_harmless(character: str) -> bool:
    # Spaces of other scripts, such as the ideographic one in Japanese names, are text.
    return character.isprintable() or unicodedata.category(character) == "Zs"
