"""Text to data set: what dcmdump prints and dump2dcm reads, and what people write by hand.

A text is read in two passes. The first takes lines apart and nests them. The second encodes text,
for which the whole of a data set or item has to be known: its character set may stand anywhere.

The encoding of the text is what the caller says, what a byte order mark or the first line of
`mwl dump` says, or UTF-8. A text that is no UTF-8 is held to be what dcmdump prints: each value in
the bytes that the file has for it, which have to be text in its character set. A text that could be
both is refused, unless the lengths in its comments say that it is UTF-8. That goes for a text that
is marked as stored bytes too, when it is UTF-8 now and a length is not that of the bytes: an editor
may have saved it in another encoding than it was.

Where the end of a sequence or item is not marked, it is taken to be where its line says, if that
gave the number of its items or elements.

A name behind `=`, which dump2dcm takes for a file to read, is refused: a text must not reach out
for other files.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from mwl.dataset import (
    CHARACTER_SET_VRS,
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    LONG_LENGTH_VRS,
    NESTING_LIMIT,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
    TRANSFER_SYNTAX_UID,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    character_set,
    excess_of,
    name_of,
    pad_of,
)
from mwl.dump.lines import ITEM, ITEM_END, SEQUENCE_END, Form, Line, continues, read_line, refused
from mwl.dump.notation import STORED, decode_text, encode_text, read_escaped, read_value
from mwl.dump.uid_names import UIDS
from mwl.errors import DatasetError, InputError

SHORT_LENGTH_LIMIT_BYTES = 0xFFFE
"""Longest value that a length of 16 bits can say: it has to be even."""

UTF_8_ADDED = "the text names no character set; ISO_IR 192 (UTF-8) was added as (0008,0005)"
"""Note on a text beyond ASCII."""

LONG_LENGTH_LIMIT_BYTES = 0xFFFFFFFE
"""Longest value of a length of 32 bits: even, and FFFFFFFFH is none."""

_SPECIFIC_CHARACTER_SET = 0x00080005
_UTF_8_DECLARED = Element(_SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
_META_GROUP = 0x0002
_DELIMITER_GROUP = 0xFFFE
_TRAILING_PADDING = 0xFFFCFFFC
_ASCII = ENCODINGS["Ascii"]
_UTF_8 = ENCODINGS["Utf8"]
_HEADING = "# Dicom-Data-Set"
_MULTI_LINE_VRS = re.compile(r"[ \t]*\([^)]*\)[ \t]*(LT|ST|UT)[ \t]*\[")
_TAG_AT_START = re.compile(r"[ \t]*\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)")
_GUARD = re.compile(rb"(?:\xef\xbb\xbf)?\s*\(charset ([A-Za-z0-9_-]{1,40}):")
_MARK = b"# charset stored:"
_UID = re.compile(r"[0-9.]*")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNKNOWN_SET_HINT = "name a character set that DICOM has in (0008,0005), such as ISO_IR 192"
_PREFIX, _PREFIX_OFFSET = b"DICM", 128  # PS3.10 7.1
_DELIMITERS = frozenset({ITEM, ITEM_END, SEQUENCE_END})
_CHARSET_HINT = "name the encoding of the text with --charset, or keep the bytes: --charset stored"


class Undumped(NamedTuple):
    """What a text says.

    Args:
        transfer_syntax: UID of the one to write with: the caller's, the text's, or explicit VR
            little endian.
        meta: The file meta information, as far as the text has it.
        elements: The data set.
        notes: What the writer of the text should know, such as a character set that was added.
    """

    transfer_syntax: str
    meta: Elements
    elements: Elements
    notes: tuple[str, ...] = ()


class _Text(NamedTuple):
    """Text that waits for its character set."""

    line: Line
    text: str


class _Sequence(NamedTuple):
    line: Line
    items: "list[_Level]"


@dataclass(slots=True)
class _Level:
    """A data set or an item.

    Args:
        line: The line of the item; none for a data set.
        entries: What is in it, by tag.
    """

    line: Line | None = None
    entries: "dict[int, Element | _Text | _Sequence]" = field(default_factory=dict)


_Open = _Level | _Sequence


def undump(
    data: bytes, encoding: str | None = None, transfer_syntax: str | None = None
) -> Undumped:
    """Read the text of a data set.

    Args:
        data: The text.
        encoding: Python's name of its encoding, or `STORED`; found out if it is not given.
        transfer_syntax: UID of the one to write with, in place of the text's.

    Raises:
        InputError: It is no such text; with the number of the line, without the file.

    Cost: O(n), about 20 microseconds a line.
    """
    if data[_PREFIX_OFFSET : _PREFIX_OFFSET + len(_PREFIX)] == _PREFIX:
        raise InputError("a DICOM file, and not the text of one", hint="mwl dump makes text of it")
    chosen = encoding or _marked_encoding(data)
    if chosen is not None:
        return _Reader(_decoded(data, chosen), chosen).read(transfer_syntax)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if data.startswith(_MARK):
        # Lines that were written since the mark was set may be in another encoding.
        reader = _Reader(data.decode("latin-1"), STORED, is_sure=False, is_marked=True)
        return reader.read(transfer_syntax)
    # Code extension is in the bytes that are stored: PS3.5 6.1.2.5.
    if text and "\x1b" not in text:
        return _Reader(text, "utf-8", is_sure=text.isascii()).read(transfer_syntax)
    return _Reader(data.decode("latin-1"), STORED, is_sure=False).read(transfer_syntax)


def _marked_encoding(data: bytes) -> str | None:
    if guard := _GUARD.match(data):
        return guard[1].decode("ascii")
    return next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode("latin-1" if encoding == STORED else encoding)
    except LookupError:
        raise InputError(
            "there is no encoding of the name given", option="--charset", hint="such as latin-1"
        ) from None
    except UnicodeError as error:
        position = getattr(error, "start", 0)
        raise InputError(
            f"byte {data[position : position + 1].hex().upper()}H is not in {encoding}",
            line=data.count(b"\n", 0, position) + 1,
            hint="name the encoding of the text with --charset",
        ) from None
    return text.removeprefix("\ufeff")


class _Reader:
    """Reads one text.

    Args:
        text: The text.
        encoding: What it was decoded with, or `STORED`, in which a character is a byte.
        is_sure: Whether the encoding was named, rather than found out.
        is_marked: Whether bytes stood as they are stored when the text was made.
    """

    def __init__(
        self, text: str, encoding: str, *, is_sure: bool = True, is_marked: bool = False
    ) -> None:
        self._lines = list(_read_lines(text))
        self._is_stored = encoding == STORED
        self._is_sure = is_sure
        self._is_marked = is_marked
        tags = {line.tag for line in self._lines}
        self._marks_items = ITEM_END in tags
        self._marks_sequences = SEQUENCE_END in tags
        self._meta = _Level()
        self._data_set = _Level()
        self._open: list[_Open] = [self._data_set]
        self._needs_utf_8 = False
        self._is_decided = False
        self._undecided: Line | None = None
        self._longest = SHORT_LENGTH_LIMIT_BYTES

    def read(self, transfer_syntax: str | None) -> Undumped:
        """Give what the text says."""
        for line in self._lines:
            self._take(line)
        self._end()
        meta = self._finish(self._meta, _ASCII)
        if not self._data_set.entries:
            raise InputError("the text holds no data set", hint="a line is (0010,0020) LO [value]")
        syntax = transfer_syntax or self._transfer_syntax(meta)
        is_implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
        self._longest = LONG_LENGTH_LIMIT_BYTES if is_implicit else SHORT_LENGTH_LIMIT_BYTES
        elements = self._finish(self._data_set, None)
        self._decide()
        notes = list(self._notes())
        if self._needs_utf_8:
            elements[_SPECIFIC_CHARACTER_SET] = _UTF_8_DECLARED
            elements = dict(sorted(elements.items()))
        return Undumped(syntax, meta, elements, tuple(notes))

    def _transfer_syntax(self, meta: Elements) -> str:
        element = meta.get(TRANSFER_SYNTAX_UID)
        if element is None or not isinstance(element.value, bytes):
            return EXPLICIT_VR_LITTLE_ENDIAN
        uid = element.value.decode("latin-1").rstrip(" \0")
        if uid in TRANSFER_SYNTAXES:
            return uid
        number = next(line.number for line in self._lines if line.tag == TRANSFER_SYNTAX_UID)
        raise refused(
            number, "no transfer syntax of worklist files", "choose one: --transfer-syntax"
        )

    def _notes(self) -> Iterator[str]:
        for line in self._lines:
            if not _is_known(line.tag):
                yield f"line {line.number}: {line.place} is not in the DICOM dictionary"
        if self._needs_utf_8:
            yield UTF_8_ADDED

    # ------------------------------------------------------------------- nesting

    def _take(self, line: Line) -> None:
        """Put one line where it belongs."""
        self._make_room(line)
        top = self._open[-1]
        if line.tag == ITEM:
            if not isinstance(top, _Sequence):
                raise refused(line.number, "an item outside a sequence")
            top.items.append(_Level(line))
            self._open.append(top.items[-1])
        elif line.tag == SEQUENCE_END:
            if not isinstance(top, _Sequence):
                raise refused(line.number, "the end of a sequence, and none is open")
            self._open.pop()
        elif line.tag == ITEM_END:
            if isinstance(top, _Sequence) or top.line is None:
                raise refused(line.number, "the end of an item, and none is open")
            self._open.pop()
        else:
            self._take_attribute(line)

    def _make_room(self, line: Line) -> None:
        """End what is complete by the number that its own line gives, if it has no other end."""
        while len(self._open) > 1:
            top = self._open[-1]
            if isinstance(top, _Sequence):
                goes_in = line.tag == SEQUENCE_END or (
                    line.tag == ITEM and (self._marks_sequences or not _is_complete(top))
                )
                fault = "an attribute or the end of an item where only items may stand"
                hint = "a sequence ends with (fffe,e0dd)"
            else:
                goes_in = line.tag == ITEM_END or (
                    line.tag not in _DELIMITERS and (self._marks_items or not _is_complete(top))
                )
                fault = "an item, or the end of a sequence, while an item is open"
                hint = "an item ends with (fffe,e00d)"
            if goes_in:
                return
            if not _is_complete(top):
                raise refused(line.number, fault, hint)
            self._open.pop()

    def _end(self) -> None:
        """End what is open at the end of the text, if it is complete."""
        while len(self._open) > 1:
            top = self._open.pop()
            if not _is_complete(top):
                kind = "sequence" if isinstance(top, _Sequence) else "item"
                number = top.line.number if top.line else None
                raise refused(number, f"the {kind} is never closed; was the text cut off?")

    def _take_attribute(self, line: Line) -> None:
        group = line.tag >> 16
        level = self._open[-1]
        if group in {0, _DELIMITER_GROUP} or isinstance(level, _Sequence):
            raise refused(line.number, f"{line.place} has no place in a data set")
        if group == _META_GROUP:
            level = self._meta_of(line, level)
        if line.tag in level.entries:
            raise refused(line.number, f"{line.place} occurs twice")
        if line.length is None and not _is_known(line.tag):
            raise refused(
                line.number,
                f"{line.place} is not in the DICOM dictionary",
                "private attributes have an odd group",
            )
        if self._is_stored and line.form is Form.ESCAPED and not line.value.isascii():
            raise refused(line.number, f"{line.place}: the text is no UTF-8", _CHARSET_HINT)
        entry = _read_entry(line)
        if line.tag & 0xFFFF == 0 or line.tag == _TRAILING_PADDING:
            return  # PS3.5 7.2, PS3.10 7.2: both are about the encoding, and the writer's business
        level.entries[line.tag] = entry
        # A sequence with no value available has no lines of its own.
        if isinstance(entry, _Sequence) and (line.form is Form.DESCRIBED or not line.value):
            if len(self._open) > 2 * NESTING_LIMIT:
                raise refused(line.number, f"sequences nested deeper than {NESTING_LIMIT}")
            self._open.append(entry)

    def _meta_of(self, line: Line, level: _Level) -> _Level:
        """Give where an attribute of the file meta information goes."""
        if level is not self._data_set:
            raise refused(line.number, "file meta information inside a sequence")
        if line.vr == "SQ":  # PS3.10 Table 7.1-1 has none
            raise refused(line.number, "a sequence in the file meta information")
        return self._meta

    # ------------------------------------------------------------------- text

    def _finish(self, level: _Level, inherited: CharacterSet | str | None) -> Elements:
        """Make elements of a level whose lines are all known."""
        characters = _declared(level, inherited)
        elements: Elements = {}
        for tag in sorted(level.entries):
            entry = level.entries[tag]
            if isinstance(entry, _Sequence):
                items = tuple(self._finish(item, characters) for item in entry.items)
                entry = Element(tag, "SQ", items)
            elif isinstance(entry, _Text):
                entry = Element(tag, entry.line.vr, self._encoded(entry, characters))
            value = entry.value
            if isinstance(value, bytes):
                value += pad_of(entry.vr) * (len(value) & 1)
                if len(value) > self._longest and entry.vr not in LONG_LENGTH_VRS:
                    raise self._too_long(tag, entry.vr)
            elements[tag] = entry._replace(value=value)
        return elements

    def _too_long(self, tag: int, vr: str) -> InputError:
        lines = (line for line in self._lines if line.tag == tag)
        line = max(lines, key=lambda line: len(line.value))
        return refused(
            line.number,
            f"{line.place}: the value is longer than {SHORT_LENGTH_LIMIT_BYTES} bytes, which {vr} "
            "cannot hold",
        )

    def _encoded(self, entry: _Text, characters: CharacterSet | str | None) -> bytes:
        line, text = entry
        if self._is_stored and line.form is not Form.ESCAPED:
            stored = text.encode("latin-1")
            if text.isascii():  # else a character may be several bytes
                _require_fitting(line, text, stored)
            return self._stored(line, stored, characters)
        if line.vr in CHARACTER_SET_VRS and not text.isascii():
            if isinstance(characters, str):
                raise refused(line.number, f"{line.place}: {characters}", _UNKNOWN_SET_HINT)
            self._needs_utf_8 |= characters is None
        known = characters if isinstance(characters, CharacterSet) else None
        content = encode_text(line.vr, text, known or (_UTF_8 if characters is None else _ASCII))
        self._weigh(line, text, content)
        if content is None:
            self._decide()
            what = " ".join(known.terms) if known and line.vr in CHARACTER_SET_VRS else "ASCII"
            hint = (
                "declare (0008,0005) CS [ISO_IR 192], which has them all"
                if line.vr in CHARACTER_SET_VRS
                else f"a value of {line.vr} is ASCII"
            )
            raise refused(
                line.number, f"{line.place}: the text has characters that {what} lacks", hint
            )
        _require_fitting(line, text, content)
        return content

    def _stored(self, line: Line, content: bytes, characters: CharacterSet | str | None) -> bytes:
        """Take bytes as they are, if they can be meant."""
        # Bytes that were not edited have the length that their comment says.
        is_as_it_was = line.length == _padded_length(content)
        if (
            self._is_sure
            or (self._is_marked and is_as_it_was)
            or (content.isascii() and b"\x1b" not in content)
        ):
            return content
        known = characters if isinstance(characters, CharacterSet) else _ASCII
        text = decode_text(line.vr, content, known)
        if text is None:
            raise refused(
                line.number,
                f"{line.place}: the text is neither UTF-8 nor in the character set of (0008,0005)",
                _CHARSET_HINT,
            )
        is_utf_8 = not content.isascii() and decode_text("UT", content, _UTF_8) not in {None, text}
        if is_utf_8 and not is_as_it_was:
            raise _is_mixed(line) if self._is_marked else _could_be_both(line)
        return content

    # ------------------------------------------------------------------- stored or decoded

    def _weigh(self, line: Line, text: str, content: bytes | None) -> None:
        """Note what the length in a comment says: that of the text encoded, or as it stands.

        Either may be by chance, the second also after the value was edited, so that it never
        decides: a wrong guess is a wrong name.
        """
        as_it_stands = text.encode("utf-8")
        if self._is_sure or line.length is None or content == as_it_stands:
            return
        if line.length == _padded_length(as_it_stands):
            self._undecided = line
        elif content is not None and line.length == _padded_length(content):
            self._is_decided = True

    def _decide(self) -> None:
        """Refuse a text that could be bytes as they are stored, and UTF-8 by chance."""
        if self._undecided is not None and not self._is_decided:
            raise _could_be_both(self._undecided)


def _is_known(tag: int) -> bool:
    """Tell whether a tag is in the dictionary, private, or about the encoding."""
    is_special = tag >> 16 & 1 or not tag & 0xFFFF or tag >> 16 == _DELIMITER_GROUP
    return bool(is_special or name_of(tag))


def _parts(vr: str, text: str) -> list[str]:
    if vr in SINGLE_VALUE_TEXT_VRS:
        return [text]
    return (text.replace("=", "\\") if vr == "PN" else text).split("\\")


def _require_fitting(line: Line, text: str, content: bytes) -> None:
    """Refuse a value that is too long for its VR, unless a file has it so: PS3.5 Table 6.2-1."""
    if line.length == _padded_length(content):
        return
    for value in _parts(line.vr, text):
        if (excess := excess_of(line.vr, value)) is not None:
            length, limit = excess
            raise refused(
                line.number, f"{line.place}: {length} characters, {line.vr} has {limit} at most"
            )


def _padded_length(value: bytes) -> int:
    return len(value) + len(value) % 2


def _could_be_both(line: Line) -> InputError:
    return refused(
        line.number,
        f"{line.place}: the text could be UTF-8 or bytes as they are stored",
        "say which: --charset utf-8 or --charset stored",
    )


def _is_mixed(line: Line) -> InputError:
    return refused(
        line.number,
        f"{line.place}: this looks like UTF-8, among values in the bytes as they are stored",
        "edit the text that mwl dump --charset utf-8 prints; --charset stored takes it as it is",
    )


def _is_complete(opened: _Open) -> bool:
    if isinstance(opened, _Sequence):
        return opened.line.declared == len(opened.items)
    return opened.line is not None and opened.line.declared == len(opened.entries)


def _declared(level: _Level, inherited: CharacterSet | str | None) -> CharacterSet | str | None:
    """Give the character set of a level, or what is wrong with it; None where none is named."""
    entry = level.entries.get(_SPECIFIC_CHARACTER_SET)
    if isinstance(entry, _Text):
        entry = Element(_SPECIFIC_CHARACTER_SET, "CS", entry.text.encode("ascii", "replace"))
    if not isinstance(entry, Element) or not entry.value:
        return inherited
    try:
        return character_set({_SPECIFIC_CHARACTER_SET: entry}, _ASCII)
    except DatasetError as error:
        return error.message


def _read_lines(text: str) -> Iterator[Line]:
    """Give the lines that are no comments, values of several lines put together."""
    lines = enumerate(text.split("\n"), start=1)
    has_heading = False
    for number, first in lines:
        if first.startswith(_HEADING):
            if has_heading:
                raise refused(number, "the data set of a second file, and a text is one file")
            has_heading = True
        whole = first
        if _MULTI_LINE_VRS.match(first) and continues(first):
            for _, following in lines:
                if _TAG_AT_START.match(following):
                    raise refused(number, "the bracket [ is never closed")
                whole += "\n" + following
                if "]" in following:
                    break
        if number > 1 or not whole.startswith("(charset "):
            line = read_line(number, whole)
            if line is not None:
                yield line


def _read_entry(line: Line) -> "Element | _Text | _Sequence":
    """Read the value of an attribute."""
    tag, vr, form, text = line.tag, line.vr, line.form, line.value
    if vr == "SQ":
        if form not in {Form.ABSENT, Form.DESCRIBED}:
            raise refused(
                line.number, f"{line.place}: a sequence has items and no value of its own"
            )
        return _Sequence(line, [])
    if form is Form.DESCRIBED:
        raise refused(
            line.number,
            f"{line.place}: the value is not in the text",
            "pixel data has no place in a worklist; text stands in [...]",
        )
    if form is Form.ABSENT or not text:
        return Element(tag, vr, b"")
    try:
        found = read_escaped(text) if form is Form.ESCAPED else text
        if isinstance(found, bytes):
            return Element(tag, vr, found)
        if vr == "UI" and form is Form.BARE:
            return Element(tag, vr, _read_uid(found))
        return _Text(line, found) if vr in TEXT_VRS else Element(tag, vr, _read_words(vr, found))
    except ValueError as error:
        raise refused(line.number, f"{line.place}: the value {error}") from None


def _read_words(vr: str, text: str) -> bytes:
    if text.startswith("="):
        raise ValueError("would come from another file, which is not read")
    return read_value(vr, text)


def _read_uid(text: str) -> bytes:
    if _UID.fullmatch(text.replace("\\", "")):
        return text.encode("ascii")
    name = text.removeprefix("=")
    uid = UIDS.get(name)
    if uid is None:
        close = get_close_matches(name, UIDS, n=1)
        likely = f"; did you mean ={close[0]}?" if close else ""
        raise ValueError(f"is no UID and no name of one{likely}")
    return uid.encode("ascii")
