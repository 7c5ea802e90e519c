"""Worklist items and identifiers from plain Python values.

An attribute is named by its keyword, or by `0009,1001 LO` when it has none; its value is text
with backslashes between values, bytes, or for a sequence a list of mappings. Text is encoded in
the set that `SpecificCharacterSet` names, Latin 1 when there is none.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    NUMBER_FORMATS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    encode,
    tag_of,
    vr_of,
)
from mwl.item import WorklistItem, items_of
from mwl.matching import DIALECTS, Policy, Query
from mwl.matching import compile as compile_query
from mwl.matching.stored import indexed_values

LATIN_1 = ENCODINGS["Latin1"]

Values = Mapping[str, Any]

_UNASKED = {0x00080001: Element(0x00080001, "UL", b"\0\0\0\0")}


def policy(
    dialect: str = "standard",
    *,
    case_sensitive: bool = False,
    default: CharacterSet = LATIN_1,
) -> Policy:
    return Policy(DIALECTS[dialect], case_sensitive, default)


def elements(values: Values, outer: CharacterSet = LATIN_1) -> Elements:
    """Make a data set; ascending, as `mwl.dataset.decode` gives it."""
    characters = outer
    if values.get("SpecificCharacterSet"):
        terms = Element(0x00080005, "CS", values["SpecificCharacterSet"].encode())
        characters = character_set({terms.tag: terms}, outer)
    found = [_element(key, value, characters) for key, value in values.items()]
    return {element.tag: element for element in sorted(found)}


def _element(key: str, value: Any, characters: CharacterSet) -> Element:
    name, _, vr = key.partition(" ")
    tag = int(name.replace(",", ""), 16) if "," in name else tag_of(name)
    assert tag is not None, f"no attribute is called {name}"
    vr = vr or vr_of(tag)
    if isinstance(value, bytes):
        return Element(tag, vr, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Element(tag, "SQ", tuple(elements(item, characters) for item in value))
    if value and vr in NUMBER_FORMATS:
        numbers = [float(part) if vr[0] == "F" else int(part) for part in value.split("\\")]
        return Element(tag, vr, struct.pack(f"<{len(numbers)}{NUMBER_FORMATS[vr]}", *numbers))
    return Element(tag, vr, characters.encode(value, vr))


def items(
    values: Values,
    source: str = "item.wl",
    *,
    split_steps: bool = True,
    default: CharacterSet = LATIN_1,
) -> tuple[WorklistItem, ...]:
    """Make the worklist items of one file."""
    return items_of_elements(
        elements(values, default), source, split_steps=split_steps, default=default
    )


def items_of_elements(
    found: Elements,
    source: str = "item.wl",
    *,
    split_steps: bool = True,
    default: CharacterSet = LATIN_1,
) -> tuple[WorklistItem, ...]:
    """Make the worklist items of one file; a data set without elements gets one nobody asks for."""
    data = encode((found or _UNASKED).values(), EXPLICIT_VR_LITTLE_ENDIAN)
    return items_of(
        source, data, split_steps=split_steps, default=default, indexed_of=indexed_values
    )


def item(
    values: Values, source: str = "item.wl", *, default: CharacterSet = LATIN_1
) -> WorklistItem:
    """Make one worklist item, however many steps it has."""
    (found,) = items(values, source, split_steps=False, default=default)
    return found


def query(values: Values, chosen: Policy | None = None, **station: str) -> Query:
    """Compile an identifier; `station_ae_title` and `station_rule` as for `compile`."""
    chosen = chosen or policy()
    return compile_query(elements(values, chosen.default_character_set), chosen, **station)


def step(**values: Any) -> dict[str, Any]:
    """Give a query or an item with one scheduled procedure step."""
    return {"ScheduledProcedureStepSequence": [values]}
