r"""One value as text, and back.

Four forms, of which `dump2dcm` knows all but the third:

    [DOE^JOHN]          characters as they are stored; backslashes border values
    00\01, 512, (0010,0020)   words and numbers of the VRs that are binary
    <one\r\ntwo>        text that needs escapes, see below; `dump2dcm` refuses the line
    =CTImageStorage     a UID by its name

In `[...]` there are no escapes, since `[A\012]` is what `dcmdump` prints for the two values `A` and
`012`. In `<...>` there are: `\\` is a backslash, `\n`, `\r`, `\t`, `\u001b` and `\U0001f600` are
characters. With `\x1b`, a byte, the value is bytes: each character stands for its own, and no
character set is applied. So are written values that are not in their character set, and those
whose bytes its encoder would not choose.

The padding to an even length is not written when the writer of the file would add the same again.
All other padding is, unlike in `dcmdump`.

Source: the output of dcmdump 3.6.7; DICOM PS3.5 section 6.2 for the values.
"""

import re
import struct
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from mwl.dataset import (
    CHARACTER_SET_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
    CharacterSet,
    Element,
    pad_of,
    values,
)
from mwl.dump.uid_names import UID_NAMES
from mwl.errors import DatasetError

STORED = "stored"
"""In the place of an encoding: every value in the bytes that the file has for it."""

NO_VALUE = "(no value available)"

# VRs of opaque words: the format letter of `struct` for one word, and how one is printed.
_WORDS = {
    "OB": ("B", "{:02x}"),
    "UN": ("B", "{:02x}"),
    "OW": ("H", "{:04x}"),
    "OL": ("I", "{}"),
    "OV": ("Q", "{}"),
    "OF": ("f", "{:.9g}"),
    "OD": ("d", "{}"),
}
_FLOATS = frozenset({"FL", "FD", "OF", "OD"})
_HEXADECIMAL_VRS = frozenset({"OB", "OW", "UN"})
_FORMATS = {vr: letter for vr, (letter, _) in _WORDS.items()} | NUMBER_FORMATS

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([Ee][+-]?[0-9]+)?|[+-]?(nan|inf)")
_TAG = re.compile(r"\( *([0-9A-Fa-f]{4}) *, *([0-9A-Fa-f]{4}) *\)")
_ESCAPE = re.compile(r"\\(?:([\\nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))?|[^\\]+")
_SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SHORT_ESCAPED = {escape[1]: character for character, escape in _SHORT_ESCAPES.items()}


class Written(NamedTuple):
    """A value as text.

    Args:
        text: What stands in the line.
        multiplicity: Number of values, as dcmdump counts.
        reads: Text of a value that is written by its bytes, when it can be decoded.
        depends: Whether the encoding of the text has to be known to read it back: there are
            characters in it that are not the bytes of the value, or bytes that are not ASCII.
    """

    text: str
    multiplicity: int
    reads: str = ""
    depends: bool = False


def write_value(element: Element, characters: CharacterSet, encoding: str) -> Written:
    """Write the value of an element, which is no sequence.

    Args:
        element: The element.
        characters: Set of its text.
        encoding: Python's name of the encoding of the text, or `STORED`.
    """
    _, vr, value = element
    if isinstance(value, tuple) or not value:
        return Written(NO_VALUE, 1 if vr in _WORDS else 0)
    if vr in TEXT_VRS:
        return _write_text(vr, value, characters, encoding)
    try:
        written = _write_words(vr, value) if vr in _WORDS else _write_numbers(element, characters)
        if vr not in _FLOATS or read_value(vr, written.text) == value:
            return written
    except (DatasetError, struct.error, ValueError):
        pass
    return Written(_write_bytes(value), 1)


def _write_words(vr: str, value: bytes) -> Written:
    letter, form = _WORDS[vr]
    words = [form.format(word) for (word,) in struct.iter_unpack(f"<{letter}", value)]
    return Written("\\".join(word.removesuffix(".0") for word in words), 1)


def _write_numbers(element: Element, characters: CharacterSet) -> Written:
    found = values(element, characters)
    if element.vr == "FL":  # more digits than it has would be printed otherwise
        found = [f"{float(one):.9g}" for one in found]
    if element.vr == "AT":
        found = [f"({one[:4]},{one[4:]})".lower() for one in found]
    return Written("\\".join(one.removesuffix(".0") for one in found), len(found))


def _write_text(vr: str, value: bytes, characters: CharacterSet, encoding: str) -> Written:
    content = _without_padding(vr, value)
    if vr == "UI" and (name := UID_NAMES.get(content.decode("latin-1"))):
        return Written(f"={name}", 1)
    text = decode_text(vr, content, characters)
    count = _count(vr, text if text is not None else content.decode("latin-1"))
    if encoding == STORED:
        stored = content.decode("latin-1")
        # These end a line, or a string of the language that dump2dcm is written in.
        can_stand = not re.search("[\n\r\0]", stored)
        if not can_stand:
            return Written(_write_bytes(content), count)
        return Written(f"[{stored}]", count, depends=not stored.isascii() or "\x1b" in stored)
    if text is None or encode_text(vr, text, characters) != content:
        return Written(
            _write_bytes(content), count, "" if text is None else _escaped(text, encoding)
        )
    if all(_is_harmless(character) for character in text):
        encoded = text.encode(encoding, "replace")
        if encoded.decode(encoding) == text:
            return Written(f"[{text}]", count, depends=encoded != content)
    shown = f"<{_escaped(text, encoding)}>"
    return Written(shown, count, depends=not shown.isascii())


def _without_padding(vr: str, value: bytes) -> bytes:
    is_padded = len(value) % 2 == 0 and value.endswith(pad_of(vr))
    return value[:-1] if is_padded else value


def _count(vr: str, text: str) -> int:
    return 1 if vr in SINGLE_VALUE_TEXT_VRS else text.count("\\") + 1


def decode_text(vr: str, content: bytes, characters: CharacterSet) -> str | None:
    """Give the text of a value; None when it is not in its character set."""
    try:
        if vr in CHARACTER_SET_VRS:
            return characters.decode(content, vr)
        return content.decode("ascii")
    except (DatasetError, UnicodeDecodeError):
        return None


def encode_text(vr: str, text: str, characters: CharacterSet) -> bytes | None:
    """Give the bytes of a text; None when a character is not in the character set."""
    try:
        if vr in CHARACTER_SET_VRS:
            return characters.encode(text, vr)
        return text.encode("ascii")
    except UnicodeEncodeError:
        return None


def _write_bytes(value: bytes) -> str:
    parts = [_byte(code) for code in value]
    if not any(part.startswith("\\x") for part in parts):  # what tells that these are bytes
        parts[0] = f"\\x{value[0]:02x}"
    return f"<{''.join(parts)}>"


def _byte(code: int) -> str:
    if code == 0x5C:
        return "\\\\"
    return chr(code) if 0x20 <= code < 0x7F and code not in b"<>" else f"\\x{code:02x}"


def _escaped(text: str, encoding: str) -> str:
    return "".join(_escape(character, encoding) for character in text)


def _escape(character: str, encoding: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if _is_harmless(character) and character not in "<>":
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            pass
        else:
            return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_harmless(character: str) -> bool:
    # Spaces of other scripts, such as the ideographic one in Japanese names, are text.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def read_escaped(text: str) -> str | bytes:
    r"""Read what stands between `<` and `>`.

    Returns:
        Text, or the bytes of the value.

    Raises:
        ValueError: What is wrong with it.
    """
    parts: list[str] = []
    has_bytes = has_characters = False
    for match in _ESCAPE.finditer(text):
        short, byte, *codes = match.groups()
        code = next(filter(None, codes), None)
        if match[0] == "\\":
            raise ValueError(r"an escape between < and > is \\, \n, \r, \t, \x1b or \u001b")
        if byte:
            has_bytes = True
            parts.append(chr(int(byte, 16)))
            continue
        part = _SHORT_ESCAPED[short] if short else _character(code) if code else match[0]
        has_characters |= not part.isascii()
        parts.append(part)
    if has_bytes and has_characters:
        raise ValueError(r"a value with \x1b, a byte, has no characters beyond ASCII")
    return "".join(parts).encode("latin-1") if has_bytes else "".join(parts)


def _character(digits: str) -> str:
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("an escape stands for no character")
    return chr(code)


def read_value(vr: str, text: str) -> bytes:
    """Read a value of a VR that is not text.

    Args:
        vr: Any VR but those of text and SQ.
        text: The value as `write_value` and dcmdump print it, not in brackets.

    Raises:
        ValueError: What is allowed.
    """
    words = text.split("\\")
    if vr == "AT":
        return b"".join(_read(_TAG, word, _tag_bytes, "a tag, (0010,0020)") for word in words)
    letter = _FORMATS[vr]
    width = struct.calcsize(letter)
    number: Callable[[str], float]
    if vr in _FLOATS:
        pattern, number, what = _FLOAT, float, "a number"
    elif vr in _HEXADECIMAL_VRS:
        pattern, number = re.compile(f"[0-9A-Fa-f]{{1,{2 * width}}}"), partial(int, base=16)
        what = f"{2 * width} hexadecimal digits, with backslashes between them"
    else:
        pattern, number, what = _INTEGER, int, f"a whole number of {8 * width} bits"
    pack = struct.Struct(f"<{letter}").pack
    return b"".join(
        _read(pattern, word, lambda match: pack(number(match[0])), what) for word in words
    )


def _read(
    pattern: re.Pattern[str], word: str, convert: Callable[[re.Match[str]], bytes], what: str
) -> bytes:
    match = pattern.fullmatch(word.strip())
    if match is not None:
        try:
            return convert(match)
        except (OverflowError, struct.error):
            pass
    raise ValueError(f"is not {what}")


def _tag_bytes(match: re.Match[str]) -> bytes:
    return struct.pack("<HH", int(match[1], 16), int(match[2], 16))
