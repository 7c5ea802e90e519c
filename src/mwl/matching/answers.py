"""The response identifier: what a query asks for, taken from an item.

Source: DICOM PS3.4 K.4.1.1.3.2, C.2.2.2.6.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mwl.attributes import SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC
from mwl.dataset import (
    CHARACTER_SET_VRS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Element,
    Elements,
    Layout,
    Selection,
    Span,
    decode,
    encode,
    items_in,
    select,
    sequence_of,
    texts_in,
    transcribe,
)
from mwl.errors import DatasetError
from mwl.matching.criteria import Criterion, HasItem
from mwl.matching.stored import Level, inner_level

_ESCAPE = b"\x1b"

_ASCII_TERMS = ("ISO_IR 6",)

# JIS X 0201 has a yen sign and an overline where ASCII has backslash and tilde: PS3.5 6.1.2.
_JAPANESE_ROMAN = frozenset({("ISO_IR 13",), ("ISO 2022 IR 13",)})

_HEADER_BYTES = 8
"""Length of an element with a short length and no value."""


class Form:
    """The attributes that a query asks for, of an item or of the items of a sequence.

    Queries that ask for the same have the same one; equal only to itself.

    Args:
        empties: Each as it is returned for an item that lacks it.
        inner: Sequences of whose items only some attributes are asked for, by tag.

    Attributes:
        size: Attributes, those in sequences too.
    """

    __slots__ = ("_empties", "_layouts", "inner", "size")

    def __init__(self, empties: Iterable[Element], inner: "Mapping[int, Form]") -> None:
        self.inner = inner
        self._empties = {empty.tag: empty for empty in empties}
        self._layouts: dict[tuple[str, bool, bool], Layout] = {}
        self.size: int = len(self._empties) + sum([form.size for form in inner.values()])

    def layout(self, transfer_syntax: str, *, missing_empty: bool, is_outermost: bool) -> Layout:
        """Tell how the attributes are written, with those that tell how to read them."""
        key = (transfer_syntax, missing_empty, is_outermost)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = self._laid_out(*key)
        return layout

    def _laid_out(self, transfer_syntax: str, missing_empty: bool, is_outermost: bool) -> Layout:
        context = (_CHARACTER_SET, _TIMEZONE) if is_outermost else (_CHARACTER_SET,)
        wanted = self._empties | {empty.tag: empty for empty in context}
        return Layout.of(
            wanted,
            frozenset(tag for tag, empty in self._empties.items() if empty.vr == "SQ"),
            transfer_syntax,
            left_out=frozenset(wanted if not missing_empty else [empty.tag for empty in context]),
        )


_CHARACTER_SET = Element(SPECIFIC_CHARACTER_SET, "CS", b"")
_TIMEZONE = Element(TIMEZONE_OFFSET_FROM_UTC, "SH", b"")


def sequences_of(criteria: Iterable[Criterion]) -> Mapping[int, HasItem]:
    """Give the conditions on sequences among criteria by their tags."""
    return {
        criterion.tag: criterion.condition
        for criterion in criteria
        if isinstance(criterion.condition, HasItem)
    }


class Restriction(NamedTuple):
    """Which items of sequences a query wants.

    Args:
        conditions: What it asks of the items of a sequence, by tag.
        looked_at: The attributes that these conditions look at; None for all.
    """

    conditions: Mapping[int, HasItem]
    looked_at: Selection | None

    def accepts(self, tag: int, item: bytes, outer: CharacterSet) -> bool:
        """Tell whether an item of a sequence is wanted: PS3.4 C.2.2.2.6."""
        condition = self.conditions.get(tag)
        if condition is None:
            return True
        looked_at = self._inside(tag)
        if looked_at is None:
            elements = decode(item, EXPLICIT_VR_LITTLE_ENDIAN)
        else:
            elements = select(item, looked_at)
        return condition.accepts_item(inner_level(elements, outer))

    def of_items(self, tag: int) -> "Restriction":
        """Give what holds for sequences in the items of a sequence."""
        condition = self.conditions.get(tag)
        if condition is None:
            return _NO_RESTRICTION
        return Restriction(sequences_of(condition.criteria), self._inside(tag))

    def _inside(self, tag: int) -> Selection | None:
        return self.looked_at and self.looked_at.wanted[tag]


_NO_RESTRICTION = Restriction({}, None)

_NAMED_CHARACTER_SET = Selection.of(())


class Written(NamedTuple):
    """What an answer holds, or an item in it.

    Args:
        elements: Each attribute, encoded; joined they are the data set.
        texts: The values of text among them, those in sequences too.
        character_set: Set of these texts.
    """

    elements: dict[int, bytes]
    texts: list[bytes]
    character_set: CharacterSet

    def data_set(self) -> bytes:
        """Join the elements."""
        return b"".join(self.elements.values())

    def character_set_named(self, transfer_syntax: str) -> bytes | None:
        """Give what (0008,0005) is to be, encoded; empty where no text needs it.

        Returns:
            None when the set of the text has no defined term, so that a device could not be told
            how to read it.
        """
        if not self.has_special_text():
            return b""
        stored = self.elements[SPECIFIC_CHARACTER_SET]
        terms = self.character_set.terms
        if len(stored) > _HEADER_BYTES:
            return stored
        if terms == _ASCII_TERMS:
            return b""  # nobody knows the set of text that is more than this
        return encode([character_set_element(terms)], transfer_syntax) if terms else None

    def has_special_text(self) -> bool:
        """Tell whether text is more than ASCII, so that its set must be named."""
        text = b"".join(self.texts)
        if not text.isascii() or _ESCAPE in text:
            return True
        return bool(text) and self.character_set.terms[:1] in _JAPANESE_ROMAN


class Writer(NamedTuple):
    """Writes what is asked for of an item, values as they are stored.

    Args:
        data: The item, encoded as `WorklistItem` has it.
        transfer_syntax: One of `mwl.dataset.TRANSCRIBED_SYNTAXES`.
        missing_empty: Whether an attribute that is not there comes back with zero length.
    """

    data: bytes
    transfer_syntax: str
    missing_empty: bool

    def answer(self, form: Form, restriction: Restriction, characters: CharacterSet) -> Written:
        """Write what a form asks for, and of sequences the items that are wanted.

        (0008,0005) is there as it is stored; so is (0008,0201) if it has a value.

        Args:
            form: What is asked for.
            restriction: Which items of sequences.
            characters: Character set of the item.
        """
        layout = form.layout(
            self.transfer_syntax, missing_empty=self.missing_empty, is_outermost=True
        )
        elements, texts, spans = transcribe(self.data, 0, len(self.data), layout)
        if len(elements[TIMEZONE_OFFSET_FROM_UTC]) == _HEADER_BYTES:
            elements[TIMEZONE_OFFSET_FROM_UTC] = b""
        written = Written(elements, texts, characters)
        self._fill(written, spans, form, restriction)
        return written

    def _fill(
        self, written: Written, spans: Iterable[Span], form: Form, restriction: Restriction
    ) -> None:
        """Write the sequences."""
        outer = written.character_set
        for tag, start, end in spans:
            inner, inside = form.inner.get(tag), restriction.of_items(tag)
            places = [*items_in(self.data, start, end)]
            if len(places) > 1:  # the only item of a sequence is the one that matches
                places = [
                    (first, last)
                    for first, last in places
                    if restriction.accepts(tag, self.data[first:last], outer)
                ]
            items: list[bytes] = []
            for first, last in places:
                if inner is None:
                    data_set, texts = self._whole_item(first, last)
                else:
                    data_set, texts = self._item(first, last, inner, inside, outer)
                items.append(data_set)
                written.texts.extend(texts)
            written.elements[tag] = sequence_of(tag, items, self.transfer_syntax)

    def _whole_item(self, start: int, end: int) -> tuple[bytes, Iterable[bytes]]:
        """Give an item of a sequence, and its text."""
        elements = decode(self.data[start:end], EXPLICIT_VR_LITTLE_ENDIAN)
        return encode(elements.values(), self.transfer_syntax), texts_in(elements)

    def _item(
        self, start: int, end: int, form: Form, restriction: Restriction, outer: CharacterSet
    ) -> tuple[bytes, Iterable[bytes]]:
        """Give what is asked for of an item of a sequence, and its text."""
        layout = form.layout(
            self.transfer_syntax, missing_empty=self.missing_empty, is_outermost=False
        )
        elements, texts, spans = transcribe(self.data, start, end, layout)
        characters = outer
        if elements[SPECIFIC_CHARACTER_SET]:
            characters = self._character_set_of(start, end, outer)
        written = Written(elements, texts, characters)
        self._fill(written, spans, form, restriction)
        if not written.has_special_text():
            elements[SPECIFIC_CHARACTER_SET] = b""
        return written.data_set(), texts

    def _character_set_of(self, start: int, end: int, outer: CharacterSet) -> CharacterSet:
        return inner_level(select(self.data[start:end], _NAMED_CHARACTER_SET), outer).character_set


class Recoded(NamedTuple):
    """A data set in another character set."""

    elements: Elements
    lost_characters: int


def recoded(level: Level, target: CharacterSet) -> Recoded:
    """Write the text of a data set in another character set, without the characters it lacks."""
    found: Elements = {}
    lost = 0
    for tag, element in level.elements.items():
        value: bytes | tuple[Elements, ...] = element.value
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        if isinstance(value, tuple):
            items = [recoded(item, target) for item in level.items(tag)]
            value = tuple(item.elements for item in items)
            lost += sum(item.lost_characters for item in items)
        elif element.vr in CHARACTER_SET_VRS:
            value, dropped = _recoded_text(value, element.vr, level.character_set, target)
            lost += dropped
        found[tag] = Element(tag, element.vr, value)
    return Recoded(found, lost)


def _recoded_text(
    value: bytes, vr: str, source: CharacterSet, target: CharacterSet
) -> tuple[bytes, int]:
    text, lost = _decoded(value, vr, source)
    try:
        return target.encode(text, vr), lost
    except UnicodeEncodeError:
        known = "".join(letter for letter in text if _has(target, letter, vr))
        return target.encode(known, vr), lost + len(text) - len(known)


def _decoded(value: bytes, vr: str, source: CharacterSet) -> tuple[str, int]:
    try:
        return source.decode(value, vr).rstrip(" \0"), 0
    except DatasetError:
        text = value.decode("ascii", "ignore").replace("\x1b", "")
        return text, len(value) - len(text)


def _has(target: CharacterSet, letter: str, vr: str) -> bool:
    try:
        target.encode(letter, vr)
    except UnicodeEncodeError:
        return False
    return True


def character_set_element(terms: Iterable[str]) -> Element:
    """Give Specific Character Set (0008,0005) with these terms."""
    return Element(SPECIFIC_CHARACTER_SET, "CS", "\\".join(terms).encode("ascii"))
