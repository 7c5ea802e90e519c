"""The character set of a new item: what (0008,0005) is to say, and how text is written.

People and programs spell the terms in many ways that are understood here and by few others, so
what is written is the defined term.

Source: DICOM PS3.3 C.12.1.1.2.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.compose.assignments import Assignment, Document, Origin
from mwl.dataset import ENCODINGS, CharacterSet, character_set
from mwl.errors import DatasetError

ASCII = ENCODINGS["Ascii"]
UTF_8 = ENCODINGS["Utf8"]

_TWO_BYTES = frozenset({"ISO 2022 IR 58", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 159"})
"""Sets of two-byte characters, reached by an escape sequence only: PS3.3 Table C.12-4."""

_DEFAULT_REPERTOIRE = "ISO 2022 IR 6"


class Declared(NamedTuple):
    """What is written into (0008,0005).

    Args:
        value: Defined terms with backslashes between them; empty when nobody names a set.
        text: The set that they name.
        is_extended: Whether an empty first value was put before what somebody said.
    """

    value: str
    text: CharacterSet
    is_extended: bool = False


def declared(said: str, origin: Origin) -> Declared:
    r"""Give the defined terms for what somebody calls a character set.

    Args:
        said: One name, or several with backslashes between them.
        origin: Where it is written. What stands in a file is not shown, for it may be a patient's.

    Raises:
        InputError: It is no character set, or sets that do not combine.
    """
    names = tuple(said.split("\\"))
    try:
        terms = CharacterSet.of(names).terms
    except DatasetError as error:
        keyword = "SpecificCharacterSet"
        if origin.file is None:
            raise origin.refuse(f"{keyword}: {error.message}") from None
        raise origin.refuse(
            f"{keyword}: it is no character set, or one that does not combine with the others",
            "ISO_IR 192 is UTF-8",
        ) from None
    is_extended = terms[0] in _TWO_BYTES
    if is_extended:
        terms = ("", *(term for term in terms if term != _DEFAULT_REPERTOIRE))
    elif len(terms) > 1 and not names[0].strip():
        terms = ("", *terms[1:])
    return Declared("\\".join(terms), CharacterSet.of(terms), is_extended)


def choose(
    template: Sequence[Assignment], others: Sequence[Assignment], document: Document
) -> Declared:
    """Choose how text is written: as somebody says, else UTF-8 where ASCII is too small.

    Args:
        template: What the template says.
        others: What overrides the elements of the document.
        document: What is said about the item alone.

    Raises:
        InputError: What is named is no character set, or not that of the document's elements.
    """
    of_template, last = _last_of(template), _last_of(others)
    if last is None and document.character_set:
        return declared(document.character_set, document.origin)
    last = last or of_template
    if last is None:
        is_ascii = all(assignment.value.isascii() for assignment in (*template, *others))
        return Declared("", of_elements(document, ASCII if is_ascii else UTF_8))
    chosen = declared(last.value, last.origin)
    if of_elements(document, chosen.text) not in {ASCII, chosen.text}:
        raise last.refuse("the text of the item is in another character set already")
    return chosen


def _last_of(assignments: Iterable[Assignment]) -> Assignment | None:
    """Give the last that names a character set."""
    last = None
    for assignment in assignments:
        if assignment.path[-1].tag != SPECIFIC_CHARACTER_SET or not assignment.value.strip():
            continue
        if len(assignment.path) > 1:
            raise assignment.refuse("one character set holds for the whole item")
        last = assignment
    return last


def of_elements(document: Document, default: CharacterSet) -> CharacterSet:
    """Give the character set that the elements of a document are written in."""
    try:
        return character_set(document.elements, default)
    except DatasetError as error:
        raise document.origin.refuse(error.message) from None
