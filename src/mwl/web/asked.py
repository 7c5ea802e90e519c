"""Queries as Orthanc's clients write them, as the keys of `mwl.keys`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mwl.dataset import tag_of
from mwl.errors import InputError

_TAG = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def unknown_names(query: Mapping[str, Any]) -> list[str]:
    """Give the names in a query that are neither tags nor keywords of the dictionary."""
    return [name for name in _names_in(query) if not _is_known(name)]


def _names_in(query: Mapping[str, Any]) -> Iterator[str]:
    for name, value in query.items():
        yield name
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict):
                yield from _names_in(item)


def _is_known(name: str) -> bool:
    if _TAG.fullmatch(name):
        return True
    return _KEYWORD.fullmatch(name) is not None and tag_of(name) is not None


def keys_of(query: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Give the keys of a query that is written as Orthanc takes it, as `mwl.keys` spells them.

    Args:
        query: Keyword, or tag as "0010,0010", "0010-0010" or "00100010", to text, null, or an
            array of objects.
        within: What stands before each key.

    Raises:
        InputError: A value is of another type.
    """
    for name, value in query.items():
        tag = _TAG.fullmatch(name)
        path = within + (f"{tag[1]},{tag[2]}" if tag else name)
        match value:
            case str():
                yield f"{path}={value}"
            case None:
                yield path
            case list():
                yield path
                yield from _keys_of_items(value, path)
            case _:
                raise _wrong_type(path)


def _keys_of_items(items: list[Any], path: str) -> Iterator[str]:
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong_type(f"{path}[{place}]")
        yield f"{path}[{place}]"
        yield from keys_of(item, f"{path}[{place}].")


def _wrong_type(path: str) -> InputError:
    return InputError("allowed is text, null, or an array of objects", option=path)
