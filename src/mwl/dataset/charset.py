"""Character sets: the text of an attribute from and to its bytes.

A set is made from the terms of Specific Character Set (0008,0005). One term without code
extension is one codec. Terms of ISO 2022 are a small machine: two code areas, G0 for bytes below
80H and G1 for the others, escape sequences that put a repertoire into one of them, and
delimiters at which both fall back to what the first term says.

Two-byte characters may hold 5CH, so text is decoded first and split into values afterwards: see
`mwl.dataset.values`.

Source: DICOM PS3.5 section 6.1.2, PS3.3 C.12.1.1.2 (defined terms), PS3.5 Annexes H to K
(examples of Japanese, Korean and Chinese).
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mwl.dataset.dictionary import SINGLE_VALUE_TEXT_VRS
from mwl.dataset.elements import Elements
from mwl.errors import DatasetError

_SPECIFIC_CHARACTER_SET = 0x00080005

_KEPT_SETS = 256
"""Values of (0008,0005) whose meaning is kept; a site uses a handful."""

# ------------------------------------------------------------------------------- repertoires


@dataclass(frozen=True, slots=True)
class _Repertoire:
    """Characters that an escape sequence puts into one code area.

    Args:
        codec: Bytes of the area to text and back.
        escape: Escape sequence that selects it.
        area: 0 for G0 (bytes below 80H), 1 for G1.
        width: Bytes a character.
    """

    codec: codecs.CodecInfo
    escape: bytes
    area: int
    width: int = 1

    def encode(self, character: str) -> bytes:
        """Give the bytes of one character; none when it is not in the repertoire."""
        try:
            data = self.codec.encode(character, "strict")[0]
        except UnicodeEncodeError:
            return b""
        # A codec for G1 knows ASCII too, and that for JIS X 0208 other sets as well.
        in_area = all(byte >= 0x80 for byte in data) if self.area else data.isascii()
        # That for KS X 1001 writes a syllable that the set lacks as four letters.
        return data if in_area and len(data) == self.width else b""


_Areas = tuple[_Repertoire, _Repertoire | None]
"""What is in G0 and G1."""


def _jis_x_0201() -> codecs.CodecInfo:
    # ASCII with an overline for the tilde, and half-width katakana. 5CH shows as a yen sign but
    # is the border of two values all the same (PS3.5 6.1.2.3), so it stays a backslash.
    table = [chr(byte) if byte < 0x80 else "\ufffe" for byte in range(256)]
    table[0x7E] = "\u203e"
    table[0xA1:0xE0] = [chr(0xFF61 + index) for index in range(0x3F)]
    decoding = "".join(table)
    encoding = codecs.charmap_build(decoding)
    return codecs.CodecInfo(
        name="jis_x_0201",
        encode=lambda text, errors="strict": codecs.charmap_encode(text, errors, encoding),
        decode=lambda data, errors="strict": codecs.charmap_decode(bytes(data), errors, decoding),
    )


def _euc_jp_in_g0(name: str, lead: bytes) -> codecs.CodecInfo:
    """Make the codec of a set of EUC-JP that has its high bits off, as in G0.

    Args:
        name: Name of the set.
        lead: Byte that EUC-JP puts before each character of the set.
    """

    def decode(data: bytes, errors: str) -> tuple[str, int]:
        high = bytes(byte | 0x80 for byte in data)
        pairs = [lead + high[index : index + 2] for index in range(0, len(high), 2)]
        return codecs.decode(b"".join(pairs), "euc_jp", errors), len(high)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        data = codecs.encode(text, "euc_jp", errors)
        found = data[: len(data) - 2]
        if found != lead or data[-2:].isascii() or data[0] == _HALF_WIDTH_KATAKANA:
            raise UnicodeEncodeError(name, text, 0, len(text), "not in this set")
        return bytes(byte & 0x7F for byte in data[-2:]), len(text)

    return codecs.CodecInfo(
        name=name,
        encode=encode,
        decode=lambda data, errors="strict": decode(bytes(data), errors),
    )


_HALF_WIDTH_KATAKANA = 0x8E  # EUC-JP's lead byte for JIS X 0201
_JIS_X_0212 = b"\x8f"  # and that for JIS X 0212

_JIS_X_0201 = _jis_x_0201()
_ASCII = _Repertoire(codecs.lookup("ascii"), b"\x1b(B", area=0)
_ROMAJI = _Repertoire(_JIS_X_0201, b"\x1b(J", area=0)


def _single_byte(codec: str, escape: bytes) -> tuple[_Repertoire, ...]:
    return _ASCII, _Repertoire(codecs.lookup(codec), escape, area=1)


# PS3.3 Tables C.12-3 and C.12-4: ISO-IR number to what it puts into G0 and G1.
_REPERTOIRES: Mapping[int, tuple[_Repertoire, ...]] = {
    6: (_ASCII,),
    100: _single_byte("iso8859-1", b"\x1b-A"),
    101: _single_byte("iso8859-2", b"\x1b-B"),
    109: _single_byte("iso8859-3", b"\x1b-C"),
    110: _single_byte("iso8859-4", b"\x1b-D"),
    126: _single_byte("iso8859-7", b"\x1b-F"),
    127: _single_byte("iso8859-6", b"\x1b-G"),
    138: _single_byte("iso8859-8", b"\x1b-H"),
    144: _single_byte("iso8859-5", b"\x1b-L"),
    148: _single_byte("iso8859-9", b"\x1b-M"),
    166: _single_byte("iso8859-11", b"\x1b-T"),
    203: _single_byte("iso8859-15", b"\x1b-b"),
    13: (_ROMAJI, _Repertoire(_JIS_X_0201, b"\x1b)I", area=1)),
    58: (_Repertoire(codecs.lookup("gb2312"), b"\x1b$)A", area=1, width=2),),
    149: (_Repertoire(codecs.lookup("euc-kr"), b"\x1b$)C", area=1, width=2),),
    87: (_Repertoire(_euc_jp_in_g0("jis_x_0208", b""), b"\x1b$B", area=0, width=2),),
    159: (_Repertoire(_euc_jp_in_g0("jis_x_0212", _JIS_X_0212), b"\x1b$(D", area=0, width=2),),
}

_ESCAPES = {row.escape: row for rows in _REPERTOIRES.values() for row in rows}

_STAND_ALONE = {
    "ISO_IR 192": codecs.lookup("utf-8"),
    "GB18030": codecs.lookup("gb18030"),
    "GBK": codecs.lookup("gbk"),
}
"""Terms that do not combine with others, with their codecs."""

_CODECS: Mapping[str, codecs.CodecInfo] = {
    f"ISO_IR {number}": rows[-1].codec
    for number, rows in _REPERTOIRES.items()
    if rows[-1].width == 1
} | _STAND_ALONE
"""Terms without code extension, with their codecs."""

SINGLE_TERMS = tuple(_CODECS)
"""Terms that are understood as the only value of (0008,0005)."""

CODE_EXTENSIONS = tuple(f"ISO 2022 IR {number}" for number in _REPERTOIRES)
"""Terms that are understood among several values of it."""

# ------------------------------------------------------------------------------- terms

_ISO_TERM = re.compile(r"ISO[ _-]?(2022)?[ _-]?IR[ _-]?([0-9]{1,3})", re.IGNORECASE)
"""The terms of ISO sets as they should be written and as devices write them."""

_LIKE_A_TERM = re.compile(
    r"(ISO|IR|IBM|GB|UTF|LATIN|ASCII|US-ASCII|WINDOWS|CP|BIG|EUC|S-?JIS|SHIFT|KOI|KS|UNICODE)"
    r"([ _-]?2022)?([ _-]?(IR|JIS|[XC]))?([ _-]?[0-9]{1,4}){1,2}",
    re.IGNORECASE,
)

_OTHER_TERMS = {"GB18030": "GB18030", "GBK": "GBK", "UTF-8": "ISO_IR 192", "UTF8": "ISO_IR 192"}


def _canonical(term: str) -> str:
    """Give the defined term for what a device wrote."""
    match = _ISO_TERM.fullmatch(term)
    if match:
        extension, digits = match.groups()
        number = int(digits)
        # Deviation: the character sets of two bytes have no term without code extension, yet
        # devices write one.
        if number in _REPERTOIRES and (extension or f"ISO_IR {number}" not in _CODECS):
            return f"ISO 2022 IR {number}"
        if f"ISO_IR {number}" in _CODECS:
            return f"ISO_IR {number}"
    elif term.upper() in _OTHER_TERMS:
        return _OTHER_TERMS[term.upper()]
    # What is not like the name of a set may be a patient's that stands in the wrong place.
    shown = f" {term!a}" if _LIKE_A_TERM.fullmatch(term) else ""
    raise DatasetError(f"unknown character set{shown}", tag=_SPECIFIC_CHARACTER_SET)


def _canonical_terms(terms: tuple[str, ...]) -> tuple[str, ...]:
    """Give the defined terms, each once and in their form for code extension if several."""
    # PS3.3 C.12.1.1.2: an empty first value of several stands for ISO 2022 IR 6.
    found = [_canonical(term.strip(" \0") or "ISO 2022 IR 6") for term in terms]
    if len(found) == 1:
        return tuple(found)
    alone = [term for term in found if term in _STAND_ALONE]
    if alone:
        # Deviation: ISO_IR 192, GB18030 and GBK must be the only value of (0008,0005), but beside
        # ASCII they are not ambiguous.
        if set(found) - {"ISO 2022 IR 6", "ISO_IR 6"} == {alone[0]}:
            return (alone[0],)
        raise DatasetError(
            f"character set {alone[0]} does not combine with others", tag=_SPECIFIC_CHARACTER_SET
        )
    extended = [term.replace("ISO_IR", "ISO 2022 IR") for term in found]
    return tuple(dict.fromkeys(extended))


# ------------------------------------------------------------------------------- sets

_ESC = 0x1B
_TOKEN = re.compile(
    rb"(?P<escape>\x1b(?:\$[()].|\$.|[()-].))|(?P<g1>[\x80-\xff]+)|(?P<g0>[^\x1b\x80-\xff]+)|\x1b",
    re.DOTALL,
)

# PS3.5 6.1.2.5.3: where the initial set is active again. Backslash borders values, except in
# text that has only one; `^` and `=` border the parts of a person name.
_LINE_DELIMITERS = re.compile(r"[\t\n\f\r]")
_VALUE_DELIMITERS = re.compile(r"[\t\n\f\r\\]")
_NAME_DELIMITERS = re.compile(r"[\t\n\f\r\\^=]")
_DELIMITERS = dict.fromkeys(SINGLE_VALUE_TEXT_VRS, _LINE_DELIMITERS) | {"PN": _NAME_DELIMITERS}


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """What (0008,0005) says about the text of a data set; made by `CharacterSet.of`.

    Args:
        terms: Defined terms, in their proper spelling; none for a set that DICOM does not have.
    """

    terms: tuple[str, ...]
    _codec: codecs.CodecInfo | None = field(compare=False, repr=False)
    _repertoires: tuple[_Repertoire, ...] = field(compare=False, repr=False)
    _initial: _Areas = field(compare=False, repr=False)
    _keeps_ascii: bool = field(compare=False, repr=False)

    @staticmethod
    def of(terms: tuple[str, ...]) -> "CharacterSet":
        """Give the character set of the values of (0008,0005).

        Args:
            terms: The values; common misspellings are understood.

        Raises:
            DatasetError: A term is unknown, or does not combine with the others.
        """
        return _make(_canonical_terms(terms))

    def decode(self, value: bytes, vr: str) -> str:
        """Give the text of a value, backslashes and padding included.

        Args:
            value: Bytes of the whole value field.
            vr: Its VR, which decides where code extensions end.

        Raises:
            DatasetError: Bytes are not in the set. The offset counts in the value.
        """
        if value.isascii() and self._keeps_ascii and (self._codec or _ESC not in value):
            return value.decode("ascii")
        try:
            if self._codec:
                return self._codec.decode(value, "strict")[0]
            return self._decode_extended(value, _DELIMITERS.get(vr, _VALUE_DELIMITERS))
        except UnicodeDecodeError as error:
            raise self._undecodable(error.start) from None

    def encode(self, text: str, vr: str) -> bytes:
        """Give the bytes of a text, with the escape sequences that the set needs.

        Args:
            text: One value, or several with backslashes between them; not padded.
            vr: VR of the attribute, which decides where code extensions end.

        Raises:
            UnicodeEncodeError: A character is not in the set.
        """
        if self._codec:
            return self._codec.encode(text, "strict")[0]
        if text.isascii() and self._keeps_ascii and "\x1b" not in text:
            return text.encode("ascii")
        return self._encode_extended(text, _DELIMITERS.get(vr, _VALUE_DELIMITERS))

    def _undecodable(self, offset: int) -> DatasetError:
        name = "\\".join(self.terms) or "its character set"
        return DatasetError(f"text is not in {name}", offset=offset)

    def _decode_extended(self, value: bytes, delimiters: re.Pattern[str]) -> str:
        parts: list[str] = []
        g0, g1 = self._initial
        for token in _TOKEN.finditer(value):
            data = token[0]
            try:
                match token.lastgroup:
                    case "escape":
                        # Every escape of the standard is understood, declared or not: many
                        # devices return to romaji without naming ISO 2022 IR 13.
                        chosen = _ESCAPES[data]
                        g0, g1 = (g0, chosen) if chosen.area else (chosen, g1)
                    case "g1" if g1:
                        parts.append(g1.codec.decode(data, "strict")[0])
                    case "g0":
                        text, is_reset = self._decode_g0(data, g0, delimiters)
                        parts.append(text)
                        g0, g1 = self._initial if is_reset else (g0, g1)
                    case _:
                        raise self._undecodable(token.start())
            except (UnicodeDecodeError, KeyError):
                raise self._undecodable(token.start()) from None
        return "".join(parts)

    def _decode_g0(
        self, data: bytes, g0: _Repertoire, delimiters: re.Pattern[str]
    ) -> tuple[str, bool]:
        """Give the text of bytes below 80H, and whether a delimiter was among them."""
        # In a two-byte set the bytes of `\`, `^` and `=` belong to characters.
        ends = (delimiters if g0.width == 1 else _LINE_DELIMITERS).search(data.decode("ascii"))
        border = ends.start() if ends else len(data)
        # Deviation: a space, as in padding, stands for itself even in a two-byte set.
        words = [g0.codec.decode(word, "strict")[0] for word in data[:border].split(b" ")]
        rest = self._initial[0].codec.decode(data[border:], "strict")[0]
        return " ".join(words) + rest, ends is not None

    def _encode_extended(self, text: str, delimiters: re.Pattern[str]) -> bytes:
        parts: list[bytes] = []
        # A two-byte set cannot be the first value (PS3.3 C.12.1.1.2). Where it is, readers differ
        # on whether it needs its escape sequence; with it, all of them understand.
        g0, g1 = self._initial
        initial = active = (g0, g1 if g1 and g1.width == 1 else None)
        for index, character in enumerate(text):
            if delimiters.match(character):
                parts += (_return(active, initial), character.encode("ascii"))
                active = initial
                continue
            repertoire = self._find(character, active)
            if repertoire is None:
                name = "\\".join(self.terms)
                raise UnicodeEncodeError(name, text, index, index + 1, "not in the character set")
            if repertoire not in active:
                parts.append(repertoire.escape)
                g0, g1 = active
                active = (g0, repertoire) if repertoire.area else (repertoire, g1)
            parts.append(repertoire.encode(character))
        parts.append(_return(active, initial))
        return b"".join(parts)

    def _find(self, character: str, active: _Areas) -> _Repertoire | None:
        """Give the first repertoire that has a character, those already active first."""
        if ord(character) == _ESC:  # PS3.5 6.1.3: for nothing but code extension
            return None
        for repertoire in (*active, *self._repertoires):
            if repertoire and repertoire.encode(character):
                return repertoire
        return None


def _return(active: _Areas, initial: _Areas) -> bytes:
    """Give the escape sequences that make the initial set active again."""
    return b"".join(
        first.escape
        for first, current in zip(initial, active, strict=True)
        if first and current is not first
    )


@lru_cache(maxsize=_KEPT_SETS)
def _make(terms: tuple[str, ...]) -> CharacterSet:
    if len(terms) == 1 and terms[0] in _CODECS:
        codec = _CODECS[terms[0]]
        return CharacterSet(terms, codec, (), (_ASCII, None), codec is not _JIS_X_0201)
    rows = [_REPERTOIRES[int(term.rpartition(" ")[2])] for term in terms]
    # The two-byte sets of Japan extend a first value and cannot be one; ASCII then comes first.
    initial_g0 = next((row for row in rows[0] if row.area == 0 and row.width == 1), _ASCII)
    initial_g1 = next((row for row in rows[0] if row.area == 1), None)
    repertoires = tuple(dict.fromkeys(repertoire for row in rows for repertoire in row))
    return CharacterSet(
        terms, None, repertoires, (initial_g0, initial_g1), initial_g0 is not _ROMAJI
    )


# DICOM has no term for it, so that what would have to be named is not written.
_WINDOWS_1251 = CharacterSet(
    terms=(),
    _codec=codecs.CodecInfo(
        name="cp1251 to be read",
        encode=codecs.lookup("ascii").encode,
        decode=codecs.lookup("cp1251").decode,
    ),
    _repertoires=(),
    _initial=(_ASCII, None),
    _keeps_ascii=True,
)

ENCODINGS: Mapping[str, CharacterSet] = {
    name: CharacterSet.of((term,))
    for name, term in (
        ("Ascii", "ISO_IR 6"),
        ("Utf8", "ISO_IR 192"),
        ("Latin1", "ISO_IR 100"),
        ("Latin2", "ISO_IR 101"),
        ("Latin3", "ISO_IR 109"),
        ("Latin4", "ISO_IR 110"),
        ("Latin5", "ISO_IR 148"),
        ("Cyrillic", "ISO_IR 144"),
        ("Arabic", "ISO_IR 127"),
        ("Greek", "ISO_IR 126"),
        ("Hebrew", "ISO_IR 138"),
        ("Thai", "ISO_IR 166"),
        ("Japanese", "ISO_IR 13"),
        ("Chinese", "GB18030"),
        ("JapaneseKanji", "ISO 2022 IR 87"),
        ("Korean", "ISO 2022 IR 149"),
        ("SimplifiedChinese", "ISO 2022 IR 58"),
    )
} | {"Windows1251": _WINDOWS_1251}
"""Character sets by the names that Orthanc's `DefaultEncoding` has for them."""


def character_set(elements: Elements, default: CharacterSet) -> CharacterSet:
    """Give the character set that (0008,0005) of a data set names.

    Args:
        elements: The data set.
        default: What holds when the attribute is absent or empty.

    Raises:
        DatasetError: A term is unknown, or the terms do not combine.
    """
    element = elements.get(_SPECIFIC_CHARACTER_SET)
    if element is None:
        return default
    if isinstance(element.value, tuple):
        raise DatasetError("character set is a sequence", tag=_SPECIFIC_CHARACTER_SET)
    return _of_value(element.value) or default


@lru_cache(maxsize=_KEPT_SETS)
def _of_value(value: bytes) -> CharacterSet | None:
    text = value.decode("latin-1").strip(" \0")
    return CharacterSet.of(tuple(text.split("\\"))) if text else None
