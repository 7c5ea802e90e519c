"""The response identifier: what a query asks for, taken from an item.

Source: DICOM PS3.4 K.4.1.1.3.2, C.2.2.2.6.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.dataset import CHARACTER_SET_VRS, CharacterSet, Element, Elements
from mwl.errors import DatasetError
from mwl.matching.criteria import Criterion, HasItem
from mwl.matching.stored import Level

_ESCAPE = b"\x1b"


class Return(NamedTuple):
    """One attribute to be returned.

    Args:
        tag: The attribute.
        empty: What is returned for an item that lacks it.
        inner: What is returned of the items of a sequence; empty: all; None: it is no sequence.
    """

    tag: int
    empty: Element
    inner: "tuple[Return, ...] | None"


def paths_of(returns: Iterable[Return]) -> Iterator[tuple[int, ...]]:
    """Give the paths of what is to be returned, from the level that it is returned of."""
    for tag, _, inner in returns:
        if not inner:
            yield (tag,)
        for path in paths_of(inner or ()):
            yield (tag, *path)


def sequences_of(criteria: Iterable[Criterion]) -> Mapping[int, HasItem]:
    """Give the conditions on sequences among criteria by their tags."""
    return {
        criterion.tag: criterion.condition
        for criterion in criteria
        if isinstance(criterion.condition, HasItem)
    }


def returned(
    level: Level,
    returns: tuple[Return, ...],
    sequences: Mapping[int, HasItem],
    *,
    missing_empty: bool,
) -> Elements:
    """Take what is asked for from a data set, values as they are stored."""
    stored = level.elements
    found: Elements = {}
    for tag, empty, inner in returns:
        element = stored.get(tag)
        if element is None:
            if missing_empty:
                found[tag] = empty
            continue
        if inner is not None and (inner or tag in sequences) and type(element.value) is tuple:
            element = _matching_items(
                level, element, inner, sequences.get(tag), missing_empty=missing_empty
            )
        found[tag] = element
    return found


def _matching_items(
    level: Level,
    element: Element,
    returns: tuple[Return, ...],
    condition: HasItem | None,
    *,
    missing_empty: bool,
) -> Element:
    """Keep the items that match, and of them what is asked for: PS3.4 C.2.2.2.6."""
    sequences = sequences_of(condition.criteria) if condition else {}
    items = []
    for item in level.items(element.tag):
        if condition is not None and not condition.accepts_item(item):
            continue
        if not returns:
            items.append(item.elements)
            continue
        found = returned(item, returns, sequences, missing_empty=missing_empty)
        own = item.elements.get(SPECIFIC_CHARACTER_SET)
        if own is not None and has_special_text(found, item.character_set):
            found[SPECIFIC_CHARACTER_SET] = own
        items.append(found)
    return Element(element.tag, "SQ", tuple(items))


def has_special_text(elements: Elements, characters: CharacterSet) -> bool:
    """Tell whether text in a data set is more than ASCII, so that its set must be named."""
    texts: list[bytes] = []
    inner: list[Elements] = []
    for _, vr, value in elements.values():
        if isinstance(value, tuple):
            inner += value
        elif vr in CHARACTER_SET_VRS:
            texts.append(value)
    text = b"".join(texts)
    if not text.isascii() or _ESCAPE in text or (text and characters.terms[:1] in _JAPANESE_ROMAN):
        return True
    return any(has_special_text(item, characters) for item in inner)


# JIS X 0201 has a yen sign and an overline where ASCII has backslash and tilde: PS3.5 6.1.2.
_JAPANESE_ROMAN = frozenset({("ISO_IR 13",), ("ISO 2022 IR 13",)})


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
