"""Builders of data sets and bytes, and Hypothesis strategies for both."""

import struct
from collections.abc import Iterable

from hypothesis import strategies as st

from mwl.dataset import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    LONG_LENGTH_VRS,
    NUMBER_FORMATS,
    TEXT_VRS,
    Element,
    Elements,
    encode,
    pad_of,
    tag_of,
    vr_of,
)


def data_set(**attributes: str | bytes | list[Elements]) -> Elements:
    """Build a data set: keyword to text in Latin 1, raw bytes, or the items of a sequence."""
    elements: list[Element] = []
    for keyword, content in attributes.items():
        tag = tag_of(keyword)
        assert tag is not None, keyword
        vr = vr_of(tag)
        if isinstance(content, list):
            elements.append(Element(tag, vr, tuple(content)))
            continue
        value = content.encode("latin-1") if isinstance(content, str) else content
        elements.append(Element(tag, vr, value + pad_of(vr) * (len(value) & 1)))
    return {element.tag: element for element in sorted(elements, key=lambda one: one.tag)}


def explicit(tag: int, vr: str, value: bytes, *, order: str = "<", length: int = -1) -> bytes:
    """Write one explicit element by hand, with any length."""
    if length < 0:
        length = len(value)
    start = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    if vr in LONG_LENGTH_VRS:
        return start + struct.pack(f"{order}HI", 0, length) + value
    return start + struct.pack(f"{order}H", length) + value


def implicit(tag: int, value: bytes, *, length: int = -1) -> bytes:
    """Write one implicit element by hand; items and delimiters look the same in explicit."""
    length = len(value) if length < 0 else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length) + value


def part_10(data: bytes, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Wrap an encoded data set as a file."""
    uid = transfer_syntax.encode("ascii")
    meta = explicit(0x00020001, "OB", b"\0\1")
    meta += explicit(0x00020010, "UI", uid + b"\0" * (len(uid) & 1))
    group_length = explicit(0x00020000, "UL", struct.pack("<I", len(meta)))
    return b"\0" * 128 + b"DICM" + group_length + meta + data


def file_of(elements: Elements, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Encode a data set and wrap it as a file."""
    return part_10(encode(elements.values(), transfer_syntax), transfer_syntax)


def in_order(elements: Iterable[Element]) -> Elements:
    """Put elements into a data set, ascending; the last of several with one tag is kept."""
    by_tag = {element.tag: element for element in elements}
    return {tag: by_tag[tag] for tag in sorted(by_tag)}


_WIDTHS = {vr: struct.calcsize(form) for vr, form in NUMBER_FORMATS.items()}
_WIDTHS |= {"AT": 4, "OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}

# Odd groups above the smallest one, and elements that name no creator: VRs are free there.
_private_tags = st.builds(
    lambda group, number: (group * 2 + 1) << 16 | number,
    st.integers(min_value=0x0009 // 2, max_value=0x7000 // 2),
    st.integers(min_value=0x1000, max_value=0xFFFF),
)
_standard_tags = st.sampled_from(
    [
        0x00080005,
        0x00080008,
        0x00080050,
        0x00080060,
        0x00081110,
        0x00081120,
        0x00100010,
        0x00100020,
        0x00101030,
        0x001021C0,
        0x00104000,
        0x0020000D,
        0x00321064,
        0x00380100,
        0x00400002,
        0x00400003,
        0x00400100,
        0x0040A160,
        0x0040E010,
    ]
)


def _padded(vr: str, value: bytes) -> bytes:
    if vr in _WIDTHS:
        value = value[: len(value) // _WIDTHS[vr] * _WIDTHS[vr]]
    return value + pad_of(vr) * (len(value) & 1)


_free_vrs = st.sampled_from(sorted(TEXT_VRS | set(NUMBER_FORMATS) | BYTE_VRS | {"AT"}))
_private_elements = st.tuples(_private_tags, _free_vrs, st.binary(max_size=20)).map(
    lambda parts: Element(parts[0], parts[1], _padded(parts[1], parts[2]))
)


def _level(
    items: st.SearchStrategy[list[Elements]], *, private: bool
) -> st.SearchStrategy[Elements]:
    @st.composite
    def standard(draw: st.DrawFn) -> Element:
        tag = draw(_standard_tags)
        vr = vr_of(tag)
        if vr == "SQ":
            return Element(tag, vr, tuple(draw(items)))
        return Element(tag, vr, _padded(vr, draw(st.binary(max_size=20))))

    one = st.one_of(standard(), _private_elements) if private else standard()
    return st.lists(one, max_size=5).map(in_order)


def data_sets(*, private: bool = True) -> st.SearchStrategy[Elements]:
    """Give well-formed data sets with sequences up to three deep.

    Args:
        private: Also private elements of any VR, which only explicit transfer syntaxes keep.
    """
    level = _level(st.just([]), private=private)
    for _ in range(2):
        level = _level(st.lists(level, max_size=2), private=private)
    return level


# Characters that a value may hold besides letters: PS3.5 6.1.3 and the borders of values.
TEXT_SAMPLES = {
    "ISO_IR 100": "Müller^Jörg ÿ",
    "ISO_IR 101": "Dvořák^Antonín",
    "ISO_IR 109": "Ġorġ^Ħ",
    "ISO_IR 110": "Jānis^Ķ",
    "ISO_IR 144": "Люксембург^Иван",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 148": "Çavuşoğlu",
    "ISO_IR 166": "นามสกุล^ชื่อ",
    "ISO_IR 203": "Œuvre €",
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO_IR 192": "Wang^XiaoDong=王^小东 🙂",
    "GB18030": "Wang^XiaoDong=王^小东㐀",
    "GBK": "Wang^XiaoDong=王^小东",
}
"""Names that only their character set, among those of one byte, can write."""

CHARACTER_SET_TEXT_VRS = sorted(CHARACTER_SET_VRS)
