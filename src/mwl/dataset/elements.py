"""Data set bytes to elements and back.

An element is its tag, its VR and its value as bytes, always little endian; a sequence holds the
elements of its items. What the bytes of a value mean is in `mwl.dataset.values`, what a file
wraps around a data set in `mwl.dataset.files`.

One loop reads all transfer syntaxes: an explicit element with a short length and an implicit one
both have their value at offset 8. These eight bytes are looked up in a table that says what they
mean, because the same ones come again and again; everything else (long lengths, sequences,
delimiters, big endian numbers) goes the slower way through `_read_special`.

Source: DICOM PS3.5 section 7 (data set), section 6.2.2 (UN), Annex A (transfer syntaxes).
"""

import struct
import zlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeVar

from mwl import limits
from mwl.dataset.dictionary import (
    LONG_LENGTH_VRS,
    TEXT_VRS,
    VRS,
    DictionaryEntry,
    extend,
    pad_of,
    vr_of,
)
from mwl.errors import DatasetError

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

TRANSFER_SYNTAXES = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
"""Transfer syntaxes that can be read and written, the preferred one first."""

NESTING_LIMIT = limits.NESTING.maximum
"""Sequences inside each other. Worklists use 4; a hostile data set could use thousands."""

INFLATED_LIMIT_BYTES = limits.INFLATED_LENGTH.maximum
"""Size of a deflated data set once inflated: a thousand times a large worklist item."""

_KEPT_HEADERS = 16_384
"""Element headers kept in each table, about 4 MiB. A full table is emptied and fills again."""

_UNDEFINED = 0xFFFFFFFF
_DELIMITER_GROUP = 0xFFFE
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_TRAILING_PADDING = 0xFFFCFFFC
_SHORT_LENGTH_LIMIT = 0xFFFF

_META_GROUP = b"\x02\x00"
_META_GROUP_LENGTH = 0x00020000
_TRANSFER_SYNTAX_UID = 0x00020010


class Element(NamedTuple):
    """One attribute of a data set.

    Args:
        tag: `(group << 16) | element`.
        vr: Two letters; "UN" when it is not known.
        value: Bytes as stored, little endian, with their padding; for a sequence its items.
    """

    tag: int
    vr: str
    value: "bytes | tuple[Elements, ...]"


Elements = dict[int, Element]
"""The elements of a data set or item by tag, ascending."""

_Key = TypeVar("_Key")
_Entry = TypeVar("_Entry")

Header = tuple[int, str, int]
"""Tag, VR and the bytes to the next element; 0 bytes when there is more to it than a value."""

_Start = tuple[int, str, int, Element | None]
"""The same, and the whole element where it has no value: most keys of a query are such."""

_tag_of_element = itemgetter(0)

_SWAP_TYPES = {"AT": "H", "OW": "H", "US": "H", "SS": "H"}
_SWAP_TYPES |= dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I")
_SWAP_TYPES |= dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q")
"""VRs of more than one byte a number, with the type of `array` that has its width."""


class Table(dict[_Key, _Entry]):
    """What `look` says, kept for the keys already seen."""

    def __init__(self, look: Callable[[_Key], _Entry]) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, key: _Key) -> _Entry:
        if len(self) >= _KEPT_HEADERS:
            self.clear()
        entry = self[key] = self._look(key)
        return entry


@dataclass(frozen=True, slots=True, eq=False)
class _Syntax:
    """How one transfer syntax lays out an element."""

    explicit: bool
    order: str  # "<" or ">", as `struct` writes it
    item: struct.Struct  # tag and length of items and delimiters
    length: struct.Struct  # of 32 bits
    headers: Table[bytes, _Start]  # by the first eight bytes
    begin: Callable[[int, str, int], bytes]  # up to the value, by tag, VR and length
    frames: "Table[tuple[int, str, int], _Frame]"  # around the value, by the same


def is_skipped(tag: int) -> bool:
    """Tell whether an element means nothing: a group length, or padding behind the data set."""
    # PS3.5 7.2 (group lengths), PS3.10 7.2 (trailing padding).
    return tag & 0xFFFF == 0 or tag == _TRAILING_PADDING


def _refuse_command_group(tag: int) -> None:
    # Group 0000 is never in a data set, but zeros are what stands where nothing was written yet.
    if tag < 0x00010000:
        raise DatasetError("group 0000 in a data set", tag=tag)


def look_explicit(start: bytes, order: str) -> Header:
    """Say what the first eight bytes of an explicit element mean; `order` is that of `struct`."""
    if len(start) < 8:
        raise DatasetError("data set ends inside an element")
    group, number, vr_bytes, length = struct.unpack(f"{order}HH2sH", start)
    tag = group << 16 | number
    if group == _DELIMITER_GROUP:  # it has no VR
        return tag, "", 0
    _refuse_command_group(tag)
    vr = vr_bytes.decode("latin-1")
    if vr not in VRS:
        raise DatasetError("no known VR where one is expected", tag=tag)
    swapped = order == ">" and vr in _SWAP_TYPES
    special = vr in LONG_LENGTH_VRS or swapped or is_skipped(tag)
    return tag, vr, 0 if special else 8 + length


def _look_implicit(start: bytes) -> Header:
    if len(start) < 8:
        raise DatasetError("data set ends inside an element")
    group, number, length = struct.unpack("<HHI", start)
    tag = group << 16 | number
    if group == _DELIMITER_GROUP:
        return tag, "", 0
    _refuse_command_group(tag)
    vr = vr_of(tag)
    special = vr == "SQ" or length == _UNDEFINED or is_skipped(tag)
    return tag, vr, 0 if special else 8 + length


def _start(start: bytes, look: Callable[[bytes], Header]) -> _Start:
    tag, vr, size = look(start)
    return tag, vr, size, Element(tag, vr, b"") if size == len(start) else None


_Frame = tuple[bytes, bytes, bool]
"""What stands before a value and what after it, and whether the value itself is written."""


def _frame(key: tuple[int, str, int], begin: Callable[[int, str, int], bytes]) -> _Frame:
    """Say how a value is written, from its tag, VR and length."""
    tag, vr, length = key
    if not tag & 0xFFFF:  # a group length
        return b"", b"", False
    if begin is _begin_implicit and vr_of(tag) == "SQ":
        # What is no sequence where the reader expects one would spoil the whole data set.
        return begin(tag, vr, 0), b"", False
    pad = pad_of(vr) if length & 1 else b""
    return begin(tag, vr, length + len(pad)), pad, True


def _begin_explicit(tag: int, vr: str, length: int, order: str) -> bytes:
    if length > _SHORT_LENGTH_LIMIT and vr not in LONG_LENGTH_VRS:
        # PS3.5 6.2.2: what a length of 16 bits cannot say is written as UN, little endian.
        vr = "UN"
    start = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr.encode("latin-1"))
    if vr in LONG_LENGTH_VRS:
        return start + struct.pack(f"{order}HI", 0, length)
    return start + struct.pack(f"{order}H", length)


def _begin_implicit(tag: int, _: str, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _explicit(order: str) -> _Syntax:
    begin = partial(_begin_explicit, order=order)
    return _Syntax(
        explicit=True,
        order=order,
        item=struct.Struct(f"{order}HHI"),
        length=struct.Struct(f"{order}I"),
        headers=Table(partial(_start, look=partial(look_explicit, order=order))),
        begin=begin,
        frames=Table(partial(_frame, begin=begin)),
    )


_IMPLICIT = _Syntax(
    explicit=False,
    order="<",
    item=struct.Struct("<HHI"),
    length=struct.Struct("<I"),
    headers=Table(partial(_start, look=_look_implicit)),
    begin=_begin_implicit,
    frames=Table(partial(_frame, begin=_begin_implicit)),
)
_EXPLICIT = _explicit("<")
_BIG_ENDIAN = _explicit(">")

_SYNTAXES = {
    IMPLICIT_VR_LITTLE_ENDIAN: _IMPLICIT,
    EXPLICIT_VR_LITTLE_ENDIAN: _EXPLICIT,
    EXPLICIT_VR_BIG_ENDIAN: _BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: _EXPLICIT,
}


def begin_of(transfer_syntax: str) -> Callable[[int, str, int], bytes]:
    """Tell how an element begins in a transfer syntax: its bytes up to the value.

    Args:
        transfer_syntax: One of `TRANSFER_SYNTAXES`.

    Returns:
        What makes these bytes of a tag, a VR and the length of a value.
    """
    return _SYNTAXES[transfer_syntax].begin


def decode(
    data: bytes,
    transfer_syntax: str,
    start: int = 0,
    *,
    nesting: int = NESTING_LIMIT,
    inflated_bytes: int = INFLATED_LIMIT_BYTES,
) -> Elements:
    """Read a whole data set.

    Args:
        data: The encoded data set; nothing may follow it.
        transfer_syntax: One of `TRANSFER_SYNTAXES`.
        start: Offset of the data set in `data`.
        nesting: Most sequences inside each other, at most `NESTING_LIMIT`.
        inflated_bytes: Longest deflated data set, once inflated.

    Returns:
        The elements, ascending by tag, without group lengths and trailing padding.

    Raises:
        DatasetError: The bytes are no data set of that transfer syntax. For a deflated one the
            offset counts in the inflated bytes.

    Cost: O(n), about half a microsecond an element.
    """
    syntax = _SYNTAXES.get(transfer_syntax)
    if syntax is None:
        raise DatasetError(f"transfer syntax {transfer_syntax} is not supported")
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        data, start = _inflate(data[start:], inflated_bytes), 0
    return _read_elements(data, syntax, start, len(data), NESTING_LIMIT - nesting)[0]


def extend_dictionary(entries: Iterable[DictionaryEntry]) -> None:
    """Add attributes to the dictionary, or replace some; meant to be called once, at start.

    Args:
        entries: Attributes, mostly private ones. What has been decoded before keeps its VR.

    Raises:
        ValueError: A VR does not exist.
    """
    extend(entries)
    _IMPLICIT.headers.clear()
    _IMPLICIT.frames.clear()


def _inflate(data: bytes, limit: int) -> bytes:
    # PS3.5 A.5: a raw deflate stream, followed by one NUL where that makes the length even.
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, limit)
    except zlib.error:
        raise DatasetError("deflated data set is damaged") from None
    if stream.unconsumed_tail:
        raise DatasetError(
            f"deflated data set is larger than {limit} bytes", limit=limits.INFLATED_LENGTH
        )
    if not stream.eof:
        raise DatasetError("deflated data set ends too early")
    if stream.unused_data.strip(b"\0") or len(stream.unused_data) > 1:
        raise DatasetError("bytes follow the deflated data set")
    return inflated


def _read_elements(
    data: bytes, syntax: _Syntax, position: int, end: int, depth: int, *, delimited: bool = False
) -> tuple[Elements, int]:
    """Read elements up to `end`, or up to the delimiter of the item when it is `delimited`.

    Returns:
        The elements and the offset behind them.
    """
    headers = syntax.headers
    new = tuple.__new__  # Element(...) costs twice as much, the better part of reading one
    elements: Elements = {}
    highest = -1
    ascending = True
    element: Element | None
    while position < end:
        start = position
        try:
            tag, vr, size, element = headers[data[position : position + 8]]
        except DatasetError as error:
            raise DatasetError(error.message, offset=position, tag=error.tag) from None
        stop = position + size
        if size and stop <= end:
            element = element or new(Element, (tag, vr, data[position + 8 : stop]))
            position = stop
        elif tag == _ITEM_END and delimited:
            return _in_order(elements, ascending=ascending), position + 8
        else:
            element, position = _read_special(data, syntax, (tag, vr), position, end, depth)
            if element is None:
                continue
        if tag > highest:
            highest = tag
        elif tag in elements:
            raise DatasetError("attribute occurs twice", offset=start, tag=tag)
        else:
            ascending = False
        elements[tag] = element
    if delimited:
        raise DatasetError("data set ends before the end of an item", offset=end)
    return _in_order(elements, ascending=ascending), end


def _in_order(elements: Elements, *, ascending: bool) -> Elements:
    # PS3.5 7.1 demands ascending tags. Deviation: some devices do not sort their private groups.
    return elements if ascending else dict(sorted(elements.items()))


def _read_special(
    data: bytes, syntax: _Syntax, header: tuple[int, str], position: int, end: int, depth: int
) -> tuple[Element | None, int]:
    """Read one element of any kind; None in its place when it is to be skipped."""
    tag, vr = header
    if tag >> 16 == _DELIMITER_GROUP:
        raise DatasetError("item or delimiter outside a sequence", offset=position, tag=tag)
    start, length = _read_length(data, syntax, vr, position)
    if length == _UNDEFINED:
        # PS3.5 6.2.2: UN of undefined length is a sequence in implicit VR little endian.
        items = syntax if vr == "SQ" else _IMPLICIT
        if syntax.explicit and vr not in {"SQ", "UN"}:
            raise DatasetError(f"undefined length with VR {vr}", offset=position, tag=tag)
        sequence, stop = _read_items(data, items, start, end, depth, delimited=True)
        return None if is_skipped(tag) else Element(tag, "SQ", sequence), stop
    stop = start + length
    if stop > end:
        raise DatasetError(
            f"value of {length} bytes where {max(end - start, 0)} are left",
            offset=position,
            tag=tag,
        )
    if is_skipped(tag):
        return None, stop
    if vr == "SQ":
        return Element(tag, vr, _read_items(data, syntax, start, stop, depth)[0]), stop
    value = data[start:stop]
    if syntax.explicit and vr == "UN":
        return _read_unknown(tag, value, depth), stop
    if syntax.order == ">":
        value = _swap(value, vr)
    return Element(tag, vr, value), stop


def _read_length(data: bytes, syntax: _Syntax, vr: str, position: int) -> tuple[int, int]:
    """Give the offset of the value of an element, and its length."""
    length: int
    if not syntax.explicit:
        start = position + 8
    elif vr in LONG_LENGTH_VRS:
        start = position + 12
    else:
        first, second = data[position + 6 : position + 8]
        return position + 8, first << 8 | second if syntax.order == ">" else second << 8 | first
    if start > len(data):
        raise DatasetError("data set ends inside an element", offset=position)
    (length,) = syntax.length.unpack_from(data, start - 4)
    return start, length


def _read_unknown(tag: int, value: bytes, depth: int) -> Element:
    """Give an explicit UN the VR of the dictionary where that is safe."""
    # PS3.5 6.2.2: a sender that did not know the attribute passes on its implicit encoding.
    vr = vr_of(tag)
    if vr in TEXT_VRS:
        return Element(tag, vr, value)
    if vr == "SQ":
        try:
            return Element(tag, vr, _read_items(value, _IMPLICIT, 0, len(value), depth)[0])
        except DatasetError:
            pass
    return Element(tag, "UN", value)


def _read_items(
    data: bytes, syntax: _Syntax, position: int, end: int, depth: int, *, delimited: bool = False
) -> tuple[tuple[Elements, ...], int]:
    """Read the items of a sequence; the counterpart of `_read_elements`."""
    if depth == NESTING_LIMIT:
        raise DatasetError(
            f"sequences nested deeper than {NESTING_LIMIT}", offset=position, limit=limits.NESTING
        )
    items: list[Elements] = []
    while position < end:
        if position + 8 > end:
            raise DatasetError("sequence ends inside an item", offset=position)
        group, number, length = syntax.item.unpack_from(data, position)
        tag = group << 16 | number
        position += 8
        if tag == _SEQUENCE_END and delimited:
            return tuple(items), position
        if tag != _ITEM:
            raise DatasetError("no item where one is expected", offset=position - 8, tag=tag)
        is_undefined = length == _UNDEFINED
        stop = end if is_undefined else position + length
        if stop > end:
            raise DatasetError(
                f"item of {length} bytes where {end - position} are left", offset=position - 8
            )
        item, position = _read_elements(
            data, syntax, position, stop, depth + 1, delimited=is_undefined
        )
        items.append(item)
    if position > end:
        raise DatasetError("sequence ends inside the delimiter of an item", offset=end)
    if delimited:
        raise DatasetError("data set ends before the end of a sequence", offset=end)
    return tuple(items), end


def read_meta(data: bytes, position: int) -> tuple[str | None, int]:
    """Read the file meta information: group 0002, always explicit VR little endian.

    Args:
        data: The whole file.
        position: Offset of the group.

    Returns:
        The transfer syntax if it is named, and the offset of the data set.

    Raises:
        DatasetError: The group is cut off or damaged.

    Source: PS3.10 section 7.1.
    """
    headers = _EXPLICIT.headers
    transfer_syntax = None
    end = -1
    while data[position : position + 2] == _META_GROUP:
        # Only a deflated data set can begin like this group, so only there its length counts: it
        # is wrong in files of some devices.
        if position == end and transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            break
        try:
            tag, vr, size, _ = headers[data[position : position + 8]]
        except DatasetError as error:
            raise DatasetError(error.message, offset=position, tag=error.tag) from None
        start = position + 8
        if not size:
            start, length = _read_length(data, _EXPLICIT, vr, position)
            size = start + length - position
        position += size
        if position > len(data):
            raise DatasetError("file ends inside its meta information", offset=start, tag=tag)
        if tag == _META_GROUP_LENGTH:
            end = position + int.from_bytes(data[start:position], "little")
        elif tag == _TRANSFER_SYNTAX_UID:
            transfer_syntax = data[start:position].rstrip(b"\0 ").decode("latin-1")
    return transfer_syntax, position


def _swap(value: bytes, vr: str) -> bytes:
    """Change the byte order of the numbers of a value; bytes that fill no number stay."""
    width = _SWAP_TYPES.get(vr)
    if width is None:
        return value
    numbers = array(width)
    whole = len(value) // numbers.itemsize * numbers.itemsize
    numbers.frombytes(value[:whole])
    numbers.byteswap()
    return numbers.tobytes() + value[whole:]


def encode(elements: Iterable[Element], transfer_syntax: str) -> bytes:
    """Write a data set with defined lengths, ascending, every value padded to an even length.

    Args:
        elements: Elements in any order, no tag twice; group lengths are left out.
        transfer_syntax: One of `TRANSFER_SYNTAXES`.

    Raises:
        DatasetError: The transfer syntax is none of them.
    """
    syntax = _SYNTAXES.get(transfer_syntax)
    if syntax is None:
        raise DatasetError(f"transfer syntax {transfer_syntax} is not supported")
    data = _write_elements(elements, syntax)
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = stream.compress(data) + stream.flush()
        data += b"\0" * (len(data) & 1)  # PS3.5 A.5
    return data


def _write_elements(elements: Iterable[Element], syntax: _Syntax) -> bytes:
    frames = syntax.frames
    is_swapped = syntax.order == ">"
    parts: list[bytes] = []
    for tag, vr, content in sorted(elements, key=_tag_of_element):
        if isinstance(content, tuple):
            if tag & 0xFFFF:  # else it stands for a group length
                value = _write_items(content, syntax)
                parts += (syntax.begin(tag, vr, len(value)), value)
            continue
        head, pad, is_written = frames[tag, vr, len(content)]
        if not is_written:
            parts.append(head)
        elif is_swapped and head[4:6] != b"UN":
            parts += (head, _swap(content + pad, vr))
        else:
            parts += (head, content, pad)
    return b"".join(parts)


def _write_items(items: tuple[Elements, ...], syntax: _Syntax) -> bytes:
    parts: list[bytes] = []
    for item in items:
        content = _write_elements(item.values(), syntax)
        parts += (syntax.item.pack(_ITEM >> 16, _ITEM & 0xFFFF, len(content)), content)
    return b"".join(parts)
