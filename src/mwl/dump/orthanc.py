r"""Data sets in the three forms of JSON that Orthanc has for them, and queries written so.

    Simplify    "PatientName": "DOE^JANE"
    Short       "0010,0010": "DOE^JANE"
    Full        "0010,0010": {"Name": "PatientName", "Type": "String", "Value": "DOE^JANE"}

A sequence is an array of objects, several values have backslashes between them, bytes are null.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from mwl.dataset import (
    BYTE_VRS,
    SINGLE_VALUE_TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    keyword_of,
    tag_of,
    values,
)
from mwl.errors import DatasetError, InputError

Form = Literal["Simplify", "Short", "Full"]
"""How attributes are named and their values written."""

_FIRST_OF_DATA_SET = 0x00080000
"""Elements below are of the command and of the file, not of the data set."""

_TAG = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def to_orthanc(elements: Elements, text: CharacterSet, form: Form) -> dict[str, Any]:
    """Give a data set as Orthanc's JSON.

    Args:
        elements: The data set.
        text: Set of its text.
        form: One of the three.

    Returns:
        What `json.dumps` takes. Group lengths and the groups of commands and files are left out.
        Text that its character set cannot decode is read as Latin 1: shown, if wrongly.

    Raises:
        DatasetError: A number has the wrong length, or an item names an unknown character set.
    """
    return {
        _NAMES[form](tag): _WRITTEN[form](element, text, form)
        for tag, element in elements.items()
        if tag >= _FIRST_OF_DATA_SET and tag & 0xFFFF
    }


def _number(tag: int) -> str:
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def _name(tag: int) -> str:
    # Deviation: Orthanc gives one name to all unknown attributes, and the last one is left of them.
    return keyword_of(tag) or _number(tag)


_NAMES: Mapping[Form, Callable[[int], str]] = {
    "Simplify": _name,
    "Short": _number,
    "Full": _number,
}


def _value(element: Element, text: CharacterSet, form: Form) -> Any:
    _, vr, value = element
    if isinstance(value, tuple):
        # PS3.5 7.5.3: an item may have a character set of its own.
        return [to_orthanc(item, character_set(item, text), form) for item in value]
    if vr in BYTE_VRS:
        return None
    try:
        found = values(element, text)
    except DatasetError:
        found = [value.decode("latin-1")]
    if vr in SINGLE_VALUE_TEXT_VRS:
        return "".join(found).rstrip(" \0")
    return "\\".join(one.strip(" \0") for one in found)


_TYPES: Mapping[type, str] = {list: "Sequence", str: "String", type(None): "Null"}


def _described(element: Element, text: CharacterSet, form: Form) -> dict[str, Any]:
    value = _value(element, text, form)
    return {"Name": _name(element.tag), "Type": _TYPES[type(value)], "Value": value}


_WRITTEN: Mapping[Form, Callable[[Element, CharacterSet, Form], Any]] = {
    "Simplify": _value,
    "Short": _value,
    "Full": _described,
}


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
