"""What scripts and hooks did to a query before it was answered."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from mwl.attributes import SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC
from mwl.dataset import CharacterSet, Element, Elements, values
from mwl.errors import DatasetError
from mwl.keys import Path, PathStep, describe_path

CONTEXT = frozenset({SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC})
"""How to read the others; no keys."""


class Change(NamedTuple):
    """One key that is not as the device asked it.

    Args:
        key: Its path in keywords, such as `ScheduledProcedureStepSequence[0].Modality`.
        what: What became of it.
    """

    key: str
    what: Literal["removed", "added", "changed"]


def changes_of(
    before: Elements, after: Elements, characters: CharacterSet, characters_after: CharacterSet
) -> list[Change]:
    """Compare a query with what became of it, in the order of the keys.

    Text is compared, not its encoding, and padding does not count.

    Args:
        before: The query of the device.
        after: The query that was answered.
        characters: Character set of the former.
        characters_after: Character set of the latter.
    """
    first = dict(_keys(before, characters))
    then = dict(_keys(after, characters_after))
    return [
        Change(describe_path(path), _what(first.get(path), then.get(path)))
        for path in sorted({**first, **then}, key=_order)
        if first.get(path) != then.get(path)
    ]


def _order(path: Path) -> list[tuple[int, int]]:
    return [(tag, -1 if item is None else item) for tag, item in path]


_Values = tuple[str, ...]


def _what(first: _Values | None, then: _Values | None) -> Literal["removed", "added", "changed"]:
    if then is None:
        return "removed"
    return "added" if first is None else "changed"


def _keys(
    elements: Elements, characters: CharacterSet, path: Path = ()
) -> Iterator[tuple[Path, _Values]]:
    for tag, element in elements.items():
        if isinstance(element.value, tuple) and any(element.value):
            for number, item in enumerate(element.value):
                yield from _keys(item, characters, (*path, PathStep(tag, number)))
        elif tag not in CONTEXT:
            yield (*path, PathStep(tag)), _texts(element, characters)


def _texts(element: Element, characters: CharacterSet) -> _Values:
    try:
        return tuple(text.strip(" \0") for text in values(element, characters))
    except DatasetError:
        return (repr(element.value),)
