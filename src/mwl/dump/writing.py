"""Data sets to text, in the layout of DCMTK's `dcmdump`.

For people text is decoded, so that it reads the same whatever character set it is stored in, and
nothing that a data set holds reaches a terminal as a control sequence. For `dump2dcm` values stand
in the bytes that the file has, as dcmdump prints them, which is the encoding `STORED`.

`dump2dcm` does not encode: it stores the bytes that stand between the brackets. Of a name in
ISO_IR 100 that is shown in UTF-8 it would make a wrong name without a word. So a text with such a
value begins with `GUARD`, a line that `dump2dcm` refuses and that says what to do. One with stored
bytes beyond ASCII begins with `MARK`, a comment, by which `undump` knows them.

Lengths are those that the data set has when it is written with defined lengths in its transfer
syntax; whether a sequence had a defined length is not kept by the reader.

Source: the output of dcmdump 3.6.7.
"""

from collections.abc import Iterator
from types import MappingProxyType

from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCODINGS,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    LONG_LENGTH_VRS,
    CharacterSet,
    DicomFile,
    Element,
    Elements,
    character_set,
    encode,
    keyword_of,
)
from mwl.dump.notation import STORED, write_value
from mwl.errors import DatasetError

GUARD = "(charset {encoding}: mwl undump reads this; for dump2dcm use mwl dump --charset stored)"
"""First line of a text that `dump2dcm` would take for something else."""

MARK = "# charset stored: values stand in the bytes of the file"
"""First line of a text whose bytes would be another text in UTF-8, or none."""

_VALUE_WIDTH = 40
_INDENT = "  "
_UNKNOWN_NAME = "Unknown Tag & Data"
_ITEM_END = "(fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem"
_SEQUENCE_END = (
    "(fffe,e0dd) na (SequenceDelimitationItem for re-encod.) #   0, 0 SequenceDelimitationItem"
)
_SHORT_LENGTH_LIMIT = 0xFFFF

_TRANSFER_SYNTAX_NAMES = MappingProxyType(
    {
        EXPLICIT_VR_LITTLE_ENDIAN: "Little Endian Explicit",
        IMPLICIT_VR_LITTLE_ENDIAN: "Little Endian Implicit",
        EXPLICIT_VR_BIG_ENDIAN: "Big Endian Explicit",
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: "Deflated Explicit VR Little Endian",
    }
)


def dump(elements: Elements, character_set: CharacterSet) -> str:
    """Give the lines that dcmdump prints for a data set, without its headings.

    Args:
        elements: The data set.
        character_set: Set of its text.

    Returns:
        One line an element, item or delimiter, without an end of line after the last. What a
        value cannot show as it is stands in `<...>`: see `mwl.dump.notation`.
    """
    return "\n".join(_Writer("utf-8", EXPLICIT_VR_LITTLE_ENDIAN).lines(elements, character_set))


def dump_file(file: DicomFile, encoding: str = "utf-8") -> bytes:
    """Give what dcmdump prints for a file, with its headings.

    Args:
        file: The file, as `read_dicom_file` gives it.
        encoding: Encoding of the text, of which ASCII has to be a part, or `STORED`: the bytes of
            the values as the file has them.

    Returns:
        Lines, the last of them ended. `undump` makes the same file of them.

    Cost: O(n), about 10 microseconds an element.
    """
    writer = _Writer(encoding, file.transfer_syntax)
    name = _TRANSFER_SYNTAX_NAMES[file.transfer_syntax]
    lines = ["", "# Dicom-File-Format", "", "# Dicom-Meta-Information-Header"]
    if file.meta:
        meta = encode(file.meta.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        lines.append(f"# Used TransferSyntax: {_TRANSFER_SYNTAX_NAMES[EXPLICIT_VR_LITTLE_ENDIAN]}")
        length = Element(0x00020000, "UL", len(meta).to_bytes(4, "little"))
        lines += writer.lines({length.tag: length} | file.meta, ENCODINGS["Ascii"])
    else:
        lines.append("# Used TransferSyntax: Unknown Transfer Syntax")
    lines += ["", "# Dicom-Data-Set", f"# Used TransferSyntax: {name}"]
    lines += writer.lines(file.elements, _character_set_of(file.elements, ENCODINGS["Ascii"]))
    if writer.depends:
        lines.insert(0, MARK if encoding == STORED else GUARD.format(encoding=encoding))
    text = "\n".join(lines) + "\n"
    return text.encode("latin-1" if encoding == STORED else encoding)


class _Writer:
    """Writes the elements of one text.

    Args:
        encoding: Encoding of the text, or `STORED`.
        transfer_syntax: UID of the transfer syntax whose lengths are shown.
    """

    def __init__(self, encoding: str, transfer_syntax: str) -> None:
        self._encoding = encoding
        self._is_explicit = transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN
        self.depends = False
        """Whether the encoding has to be known to read some value back."""

    def lines(self, elements: Elements, text: CharacterSet) -> Iterator[str]:
        """Give the lines of a data set or item."""
        for element in map(self._as_encoded, elements.values()):
            if isinstance(element.value, tuple):
                yield from self._sequence_lines(element, element.value, text)
                continue
            written = write_value(element, text, self._encoding)
            self.depends |= written.depends
            line = _line(element, written.text, len(element.value), written.multiplicity)
            yield f"{line}, reads {written.reads}" if written.reads else line

    def _as_encoded(self, element: Element) -> Element:
        # PS3.5 6.2.2: what a length of 16 bits cannot say is written as UN.
        tag, vr, value = element
        is_short = vr in LONG_LENGTH_VRS or len(value) <= _SHORT_LENGTH_LIMIT
        return element if is_short or not self._is_explicit else Element(tag, "UN", value)

    def _sequence_lines(
        self, element: Element, items: tuple[Elements, ...], text: CharacterSet
    ) -> Iterator[str]:
        lengths = [self._length(item) for item in items]
        shown = f"(Sequence with explicit length #={len(items)})"
        yield _line(element, shown, sum(lengths) + 8 * len(items), 1)  # PS3.5 Table 7.5-1
        for item, length in zip(items, lengths, strict=True):
            shown = f"(Item with explicit length #={len(item)})"
            yield f"{_INDENT}(fffe,e000) na {shown:<{_VALUE_WIDTH}} # {length:3}, 1 Item"
            for line in self.lines(item, _character_set_of(item, text)):
                yield _INDENT * 2 + line
            yield _INDENT + _ITEM_END
        yield _SEQUENCE_END

    def _length(self, item: Elements) -> int:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if self._is_explicit else IMPLICIT_VR_LITTLE_ENDIAN
        return len(encode(item.values(), syntax))


def _character_set_of(elements: Elements, inherited: CharacterSet) -> CharacterSet:
    # PS3.5 7.5.3: an item may have a character set of its own.
    try:
        return character_set(elements, inherited)
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
