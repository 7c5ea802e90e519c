"""Attributes of an encoded item, written as they are to go out, without being decoded.

An answer is mostly values as they are stored, between headers as the peer's transfer syntax has
them. So `transcribe` steps from header to header, as `mwl.dataset.selection` does, and puts what
it finds in its place among what stands for the attributes that an item lacks.

Source: DICOM PS3.5 section 7.1.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from mwl.dataset.dictionary import CHARACTER_SET_VRS
from mwl.dataset.elements import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Element,
    Elements,
    Table,
    begin_of,
    decode,
    encode,
    look_explicit,
)

TRANSCRIBED_SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
"""Transfer syntaxes in which a value has the bytes that are stored."""

_SEQUENCE = b"SQ"
_ITEM = b"\xfe\xff\x00\xe0"

_Step = tuple[int, int, bytes, bool]
"""Tag, bytes to the next element, what its value is written behind, and whether it is text in a
character set; 0 bytes when the length is long."""


def _step(start: bytes, begin: Callable[[int, str, int], bytes]) -> _Step:
    tag, vr, size = look_explicit(start, "<")
    head = begin(tag, vr, size - 8) if size else b""
    return tag, size, head, vr in CHARACTER_SET_VRS


_STEPS = {syntax: Table(partial(_step, begin=begin_of(syntax))) for syntax in TRANSCRIBED_SYNTAXES}


class Layout(NamedTuple):
    """How attributes of an item are written; `Layout.of` makes it.

    Args:
        blank: What is written for an item that has none of them, by tag, ascending.
        values: Those whose value is written as it is stored.
        opened: Sequences whose items the caller writes.
        last: The highest tag.
        transfer_syntax: One of `TRANSCRIBED_SYNTAXES`.
    """

    blank: dict[int, bytes]
    values: frozenset[int]
    opened: frozenset[int]
    last: int
    transfer_syntax: str

    @classmethod
    def of(
        cls,
        wanted: Mapping[int, Element],
        opened: frozenset[int],
        transfer_syntax: str,
        *,
        left_out: frozenset[int],
    ) -> "Layout":
        """Lay out attributes.

        Args:
            wanted: What stands for each in an item that lacks it, by tag.
            opened: Those that are sequences whose items the caller writes.
            transfer_syntax: One of `TRANSCRIBED_SYNTAXES`.
            left_out: Those for which nothing stands in an item that lacks them.
        """
        blank = {
            tag: b"" if tag in left_out else encode([wanted[tag]], transfer_syntax)
            for tag in sorted(wanted)
        }
        values = frozenset(wanted)
        if transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN:
            # What is no sequence where the reader expects one would spoil the whole data set.
            values -= {tag for tag, empty in wanted.items() if empty.vr == "SQ"}
        return cls(blank, values, opened, max(blank), transfer_syntax)


Span = tuple[int, int, int]
"""A sequence to be opened: its tag, where its items begin and where they end."""


def transcribe(
    data: bytes, start: int, end: int, layout: Layout
) -> tuple[dict[int, bytes], list[bytes], list[Span]]:
    """Write attributes of an item.

    Args:
        data: What holds the item, in the form that `encode` gives in explicit VR little endian.
        start: Where it begins.
        end: Where it ends.
        layout: What is written of it, and how.

    Returns:
        What is written for each attribute, to be joined; the values of text among it; and the
        sequences whose place the caller fills.

    Cost: about 0.1 microseconds for each element up to the last that is wanted, 0.2 more for each
    of those.
    """
    blank, values, opened, last, transfer_syntax = layout
    steps = _STEPS[transfer_syntax]
    written = blank.copy()
    texts: list[bytes] = []
    spans: list[Span] = []
    position = start
    while position < end:
        tag, size, head, is_text = steps[data[position : position + 8]]
        if tag > last:
            break
        if size:
            value = position + 8
            position += size
            if tag in values:
                text = data[value:position]
                written[tag] = head + text
                if is_text:
                    texts.append(text)
            continue
        value = position + 12
        stop = value + int.from_bytes(data[position + 8 : value], "little")
        if tag in opened and data[position + 4 : position + 6] == _SEQUENCE:
            spans.append((tag, value, stop))
        elif tag in blank:
            elements = decode(data[position:stop], EXPLICIT_VR_LITTLE_ENDIAN)
            written[tag] = encode(elements.values(), transfer_syntax)
            texts += texts_in(elements)
        position = stop
    return written, texts, spans


def texts_in(elements: Elements) -> Iterator[bytes]:
    """Give the values of text in a character set, those in sequences too."""
    for _, vr, value in elements.values():
        if isinstance(value, tuple):
            for item in value:
                yield from texts_in(item)
        elif vr in CHARACTER_SET_VRS:
            yield value


def items_in(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give where each item of a sequence of `transcribe` begins and ends."""
    while start < end:
        first = start + 8
        start = first + int.from_bytes(data[first - 4 : first], "little")
        yield first, start


def sequence_of(tag: int, items: Iterable[bytes], transfer_syntax: str) -> bytes:
    """Write a sequence.

    Args:
        tag: Which.
        items: The elements of each item, written.
        transfer_syntax: One of `TRANSCRIBED_SYNTAXES`.
    """
    value = b"".join([_ITEM + len(item).to_bytes(4, "little") + item for item in items])
    return begin_of(transfer_syntax)(tag, "SQ", len(value)) + value
