"""Rules 400 to 499: whether text is in the character set that is named for it.

A set of one byte a character decodes nearly any bytes, so what was meant is recognised by what
the bytes are in other sets too: UTF-8 is hardly ever met by chance, and the control characters of
ISO 8859 are the letters that Windows added.

Source: DICOM PS3.3 C.12.1.1.2 (defined terms), PS3.5 section 6.1.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.check.subject import Fault, Field, Finder, Level, Subject
from mwl.dataset import ENCODINGS, CharacterSet, character_set
from mwl.errors import DatasetError

_WINDOWS = {
    "ISO_IR 100": "cp1252",
    "ISO_IR 101": "cp1250",
    "ISO_IR 110": "cp1257",
    "ISO_IR 126": "cp1253",
    "ISO_IR 127": "cp1256",
    "ISO_IR 138": "cp1255",
    "ISO_IR 144": "cp1251",
    "ISO_IR 148": "cp1254",
    "ISO_IR 166": "cp874",
}
"""Terms of ISO 8859 with the code page that Windows has for the same languages."""

_SPARSE = frozenset(
    f"ISO_IR {number}" for number in (6, 100, 101, 109, 110, 126, 127, 138, 148, 203)
)
"""Terms in whose text a run of bytes is not UTF-8 by chance. In Thai and half-width katakana, in
sets of two bytes and in Cyrillic capitals, letters of common words can be."""

_CYRILLIC = "ISO_IR 144"

_OF_TWO_BYTES = frozenset((f"ISO 2022 IR {number}",) for number in (58, 87, 149, 159))
"""First terms of two bytes a character: PS3.3 Table C.12-4."""

_UTF_8 = ("ISO_IR 192",)
_UNICODE = frozenset({_UTF_8, ("GB18030",)})

# ------------------------------------------------------------------------------- terms


def unknown_terms(subject: Subject) -> Iterator[Fault]:
    """MWL401."""
    for level in _declaring(subject):
        try:
            character_set(level.elements, ENCODINGS["Ascii"])
        except DatasetError as error:
            yield Fault((*level.path, SPECIFIC_CHARACTER_SET), error.message)


def misspelt_terms(subject: Subject) -> Iterator[Fault]:
    """MWL402."""
    for level in _declaring(subject):
        written = level.texts(SPECIFIC_CHARACTER_SET)
        if level.text is None or not any(written):
            continue
        # PS3.3 C.12.1.1.2: an empty first value stands for ISO 2022 IR 6.
        meant = tuple(term or "ISO 2022 IR 6" for term in written)
        if meant != level.text.terms:
            proper = "\\".join(level.text.terms)
            shown = ascii("\\".join(written)[:40])
            yield Fault((*level.path, SPECIFIC_CHARACTER_SET), f"{shown} should be {proper!r}")


def two_bytes_first(subject: Subject) -> Iterator[Fault]:
    """MWL408."""
    for level in _declaring(subject):
        if level.text is not None and level.text.terms[:1] in _OF_TWO_BYTES:
            yield Fault((*level.path, SPECIFIC_CHARACTER_SET), f"{level.text.terms[0]} comes first")


def _declaring(subject: Subject) -> list[Level]:
    return [level for level in subject.levels if SPECIFIC_CHARACTER_SET in level.elements]


# ------------------------------------------------------------------------------- bytes


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not value.isascii()


def _is_meant_as_utf_8(value: bytes, text: CharacterSet) -> bool:
    if text.terms == _UTF_8 or not _is_utf_8(value):
        return False
    if len(text.terms) == 1 and text.terms[0] in _SPARSE:
        return True
    letters = [letter for letter in value.decode("utf-8") if not letter.isascii()]
    if text.terms == (_CYRILLIC,):
        # Capitals make UTF-8 of other scripts; to make that of Cyrillic, small and capital letters
        # have to take turns.
        return len(letters) > 1 and all("\u0400" <= letter < "\u0530" for letter in letters)
    # Letters of three bytes: two in a row are no chance.
    return len(letters) > 1 and all(letter >= "\u0800" for letter in letters)


def _is_windows(value: bytes, code_page: str) -> bool:
    if not code_page or not any(0x80 <= byte <= 0x9F for byte in value):
        return False
    try:
        value.decode(code_page)
    except UnicodeDecodeError:
        return False
    return True


def _is_twice_utf_8(text: str) -> bool:
    """Tell whether text that was read as UTF-8 is the bytes of UTF-8 once more."""
    for codec in ("cp1252", "latin-1"):
        try:
            value = text.encode(codec)
        except UnicodeEncodeError:
            continue
        if _is_utf_8(value):
            return True
    return False


def _undeclared(field: Field, _: CharacterSet) -> str:
    if field.level.is_declared or field.value.isascii():
        return ""
    return f"the bytes are {_likely(field.value)}, and no character set is named"


def _utf_8(field: Field, text: CharacterSet) -> str:
    meant = _is_meant_as_utf_8(field.value, text)
    return f"the bytes are UTF-8, {_named(text)} is named" if meant else ""


def _windows(field: Field, text: CharacterSet) -> str:
    code_page = _WINDOWS.get(_named(text), "")
    if not _is_windows(field.value, code_page):
        return ""
    return f"the bytes are Windows-{code_page[2:]}, {_named(text)} is named"


def _undecodable(field: Field, text: CharacterSet) -> str:
    try:
        text.decode(field.value, field.element.vr)
    except DatasetError as error:
        place = "" if error.offset is None else f" at byte {error.offset + 1}"
        likely = "" if field.value.isascii() else f"; the bytes are {_likely(field.value)}"
        return f"{error.message}{place}{likely}"
    return ""


def _twice_utf_8(field: Field, text: CharacterSet) -> str:
    if text.terms in _UNICODE and _is_twice_utf_8("\\".join(field.texts or ())):
        return "the text becomes plain when it is converted back from UTF-8 once more"
    return ""


_DIAGNOSES: Mapping[str, Callable[[Field, CharacterSet], str]] = {
    "MWL406": _undeclared,
    "MWL404": _utf_8,
    "MWL405": _windows,
    "MWL403": _undecodable,
    "MWL407": _twice_utf_8,
}
"""What tells whether text breaks a rule; the first that says so is right."""


def _named(text: CharacterSet) -> str:
    return "\\".join(text.terms)


def _likely(value: bytes) -> str:
    """Say in which character set a site probably wrote these bytes."""
    if _is_utf_8(value):
        return "UTF-8"
    return f"perhaps {'Windows-1252' if _is_windows(value, 'cp1252') else 'ISO 8859'}"


def _diagnosis(field: Field) -> tuple[str, str] | None:
    """Tell which rule a text breaks, and what is wrong."""
    text = field.level.text
    if text is None:
        return None
    found = ((number, diagnose(field, text)) for number, diagnose in _DIAGNOSES.items())
    return next((pair for pair in found if pair[1]), None)


def _diagnosed(subject: Subject, number: str) -> Iterator[Fault]:
    """Give the first attribute that breaks a rule, and how many do: they have one cause."""
    found = [
        Fault(field.path, diagnosis[1])
        for field in subject.foreign
        if (diagnosis := _diagnosis(field)) and diagnosis[0] == number
    ]
    if len(found) > 1:
        others = f"; so in {len(found) - 1} more attributes"
        yield Fault(found[0].path, found[0].message + others)
    else:
        yield from found


FINDERS: Mapping[str, Finder] = {
    "MWL401": unknown_terms,
    "MWL402": misspelt_terms,
    **{number: partial(_diagnosed, number=number) for number in _DIAGNOSES},
    "MWL408": two_bytes_first,
}
"""What looks for breaches of each rule."""
