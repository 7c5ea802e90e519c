"""What the rules look at: one file, read once, with every attribute in it and where it stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from mwl.attributes import SCHEDULED_PROCEDURE_STEP_SEQUENCE, SPECIFIC_CHARACTER_SET
from mwl.dataset import (
    CHARACTER_SET_VRS,
    DEFAULT_REPERTOIRE_VRS,
    ENCODINGS,
    SINGLE_VALUE_TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    is_empty,
    keyword_of,
    read_file,
    values,
)
from mwl.errors import DatasetError
from mwl.item import MAX_FILE_BYTES

Path = tuple[int, ...]
"""Where an attribute is: tags and positions of items in turn, such as (00400100H, 0, 00400002H)."""

STEP = (SCHEDULED_PROCEDURE_STEP_SEQUENCE,)
"""The sequences that a scheduled procedure step is in."""


def path_text(path: Path) -> str:
    """Write a path as `(0040,0100)[0].(0040,0002)`."""
    parts = [
        f"[{number}]" if place % 2 else f".({number >> 16:04X},{number & 0xFFFF:04X})"
        for place, number in enumerate(path)
    ]
    return "".join(parts).removeprefix(".")


def tag_text(tag: int) -> str:
    """Write a tag with its keyword, as `(0010,0020) PatientID`."""
    return f"{path_text((tag,))} {keyword_of(tag)}".rstrip()


class Fault(NamedTuple):
    """A breach of a rule: where it is, and what is wrong, without values of patients."""

    path: Path
    message: str


Finder = Callable[["Subject"], Iterable[Fault]]
"""Finds the breaches of one rule in a file."""


class Conditions(NamedTuple):
    """What the files are judged by, besides the standard.

    Args:
        today: The day on which steps are in the past.
        default: Character set of a file that names none.
    """

    today: date
    default: CharacterSet = ENCODINGS["Latin1"]


class Level(NamedTuple):
    """The data set, or an item in it.

    Args:
        path: Where the item is; empty for the data set.
        elements: Its elements.
        text: Character set of its text; None when what it names is not understood.
        is_declared: Whether a character set is named for it.
    """

    path: Path
    elements: Elements
    text: CharacterSet | None
    is_declared: bool

    def has_value(self, tag: int) -> bool:
        """Tell whether an attribute is there and not empty."""
        element = self.elements.get(tag)
        return element is not None and not is_empty(element)

    def texts(self, tag: int) -> tuple[str, ...]:
        """Give the values of an attribute without the spaces round them; none if it has none."""
        element = self.elements.get(tag)
        found = None if element is None else _texts(element, self.text)
        return tuple(text.strip(" \0") for text in found or ())

    def first(self, tag: int) -> str:
        """Give the first value of an attribute without the spaces round it; "" if there is none."""
        found = self.texts(tag)
        return found[0] if found else ""


class Field(NamedTuple):
    """One attribute that is no sequence.

    Args:
        path: Where it is.
        element: As it was read.
        level: What it is in.
        texts: Its values, padding of the last removed; None if they are no text, or cannot be
            decoded.
    """

    path: Path
    element: Element
    level: Level
    texts: tuple[str, ...] | None

    @property
    def value(self) -> bytes:
        """The bytes of the value."""
        return self.element.value if isinstance(self.element.value, bytes) else b""


@dataclass(frozen=True, slots=True)
class Subject:
    """One file.

    Args:
        source: Name of the file.
        data: Its bytes, or as many as are needed to refuse it.
        conditions: What it is judged by.
        fault: Why it cannot be read; None when it can.
        levels: The data set and all items in it, outer before inner.
        within: The same by the sequences that they are in, outermost first.
        fields: All attributes that are no sequences.
        foreign: Those of them whose text is not plain ASCII, or cannot be decoded.
    """

    source: str
    data: bytes
    conditions: Conditions
    fault: DatasetError | None = None
    levels: tuple[Level, ...] = ()
    within: Mapping[tuple[int, ...], list[Level]] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    foreign: tuple[Field, ...] = ()

    @property
    def root(self) -> Level:
        """The data set, of a file that can be read."""
        return self.levels[0]

    @property
    def steps(self) -> list[Level]:
        """The scheduled procedure steps."""
        return self.within.get(STEP, [])


def read_subject(source: str, data: bytes, conditions: Conditions) -> Subject:
    """Read a file for the rules; what cannot be read is a subject too."""
    try:
        elements = _read(data)
    except DatasetError as fault:
        return Subject(source, data, conditions, fault)
    is_declared = _has_character_set(elements)
    root = Level((), elements, _character_set(elements, conditions.default), is_declared)
    levels = tuple(_levels(root))
    within: dict[tuple[int, ...], list[Level]] = {}
    for level in levels:
        within.setdefault(level.path[::2], []).append(level)
    fields = tuple(found for level in levels for found in _fields(level))
    foreign = tuple(filter(_is_foreign, fields))
    return Subject(source, data, conditions, None, levels, within, fields, foreign)


def _read(data: bytes) -> Elements:
    if len(data) > MAX_FILE_BYTES:
        raise DatasetError(f"more than {MAX_FILE_BYTES} bytes")
    return read_file(data)


def _levels(outer: Level) -> Iterator[Level]:
    yield outer
    for tag, element in outer.elements.items():
        if isinstance(element.value, tuple):
            for number, item in enumerate(element.value):
                text = outer.text
                # PS3.5 7.5.3: an item may have a character set of its own.
                is_own = _has_character_set(item)
                if is_own:
                    text = _character_set(item, outer.text)
                path = (*outer.path, tag, number)
                yield from _levels(Level(path, item, text, outer.is_declared or is_own))


def _has_character_set(elements: Elements) -> bool:
    element = elements.get(SPECIFIC_CHARACTER_SET)
    return element is not None and not is_empty(element)


def _character_set(elements: Elements, default: CharacterSet | None) -> CharacterSet | None:
    try:
        return character_set(elements, default or ENCODINGS["Ascii"])
    except DatasetError:
        return None


def _fields(level: Level) -> Iterator[Field]:
    for tag, element in level.elements.items():
        if not isinstance(element.value, tuple):
            yield Field((*level.path, tag), element, level, _texts(element, level.text))


def _is_foreign(field: Field) -> bool:
    if field.element.vr not in CHARACTER_SET_VRS:
        return False
    return field.texts is None or not field.value.isascii()


def _texts(element: Element, text: CharacterSet | None) -> tuple[str, ...] | None:
    """Give the values of an element; bytes that do not belong into its VR as Latin 1."""
    _, vr, value = element
    if isinstance(value, tuple):
        return None
    if vr in DEFAULT_REPERTOIRE_VRS:
        bare = value.decode("latin-1").rstrip(" \0")
        return () if not bare else (bare,) if vr in SINGLE_VALUE_TEXT_VRS else _split(bare)
    if vr not in CHARACTER_SET_VRS or text is None:
        return None
    try:
        found = values(element, text)
    except DatasetError:
        return None
    if found:
        found[-1] = found[-1].rstrip(" \0")
    return tuple(found) if any(found) else ()


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("\\"))
