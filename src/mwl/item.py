"""A worklist item: one scheduled procedure step with its patient and procedure.

An item keeps its data set encoded, because that is how it is sent and because a hundred thousand
of them have to fit in memory. How items match a query is in `mwl.matching`.

Source: DICOM PS3.4 section K.6.1.2.1 (one item is one scheduled procedure step).
"""

import sys
from collections.abc import Callable
from functools import lru_cache

from mwl.attributes import (
    ACCESSION_NUMBER,
    INDEXED,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
)
from mwl.dataset import (
    DEFAULT_REPERTOIRE_VRS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Element,
    Elements,
    Selection,
    character_set,
    decode,
    encode,
    read_selected,
    values,
)
from mwl.errors import DatasetError

SUFFIX = ".wl"
"""Worklist files end so, in any letter case. `.wl` and `.x.wl` count too: Orthanc serves them."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Longest worklist file, in bytes. Real ones have 1 to 10 KiB; a stray image is not read."""

Order = tuple[str, str, str, str, int]
"""Start date, start time, accession number, source, step."""

Indexed = tuple[tuple[str | int | None, ...], ...]
"""For each path of `mwl.attributes.INDEXED`, the values that the index finds an item by."""

IndexedOf = Callable[[Elements, CharacterSet], Indexed]
"""Gives these values from the elements of an item and the character set of their text."""

_SELECTED = Selection.of(
    [
        *INDEXED,
        (ACCESSION_NUMBER,),
        (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_PROCEDURE_STEP_START_DATE),
        (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_PROCEDURE_STEP_START_TIME),
    ]
)
"""What the order and the indexed values are made of."""

_KEPT_STARTS = 8192
"""Start dates and times kept as text: days and minutes are few."""

_ASCII = CharacterSet.of(("ISO_IR 6",))


def is_worklist(name: str) -> bool:
    """Tell whether a file of this name is a worklist file."""
    return name[-len(SUFFIX) :].lower() == SUFFIX


class WorklistItem:
    """One worklist item, never changed once made; equal only to itself.

    Args:
        source: Name of the file it came from.
        step: Position of the scheduled procedure step in its file, from 0.
        data: Explicit VR little endian encoding of the whole item.
        character_set: Set of its text.
        order: What answers are sorted by.
        indexed: What the index finds it by.
    """

    __slots__ = ("character_set", "data", "indexed", "order", "source", "step")

    def __init__(
        self,
        source: str,
        step: int,
        data: bytes,
        character_set: CharacterSet,
        order: Order,
        indexed: Indexed,
    ) -> None:
        self.source = source
        self.step = step
        self.data = data
        self.character_set = character_set
        self.order = order
        self.indexed = indexed

    def __repr__(self) -> str:
        return f"<WorklistItem {self.source!r} step {self.step}, {len(self.data)} bytes>"

    def elements(self) -> Elements:
        """Decode the item; the caller keeps the result if it needs it again."""
        return decode(self.data, EXPLICIT_VR_LITTLE_ENDIAN)


def items_of(
    source: str, data: bytes, *, split_steps: bool, default: CharacterSet, indexed_of: IndexedOf
) -> tuple[WorklistItem, ...]:
    """Make the items of one file.

    Args:
        source: Name of the file.
        data: The whole file.
        split_steps: Make an item of each scheduled procedure step, as the standard has it, and
            not one of the whole file.
        default: Character set of a file that names none.
        indexed_of: `mwl.matching.stored.indexed_values`.

    Returns:
        The items in the order of their steps; always one at least.

    Raises:
        DatasetError: It is no data set, or its character set is unknown.
    """
    encoded, elements = read_selected(data, _SELECTED)
    text = character_set(elements, default)
    sequence = elements.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    steps = sequence.value if sequence and isinstance(sequence.value, tuple) else ()
    if not split_steps or len(steps) < 2:
        order = _order(source, 0, elements, steps[0] if steps else {}, text)
        return (WorklistItem(source, 0, encoded, text, order, indexed_of(elements, text)),)
    items: list[WorklistItem] = []
    for number, (step, part) in enumerate(zip(steps, _split(encoded), strict=True)):
        selected = _with_step(elements, step)
        order = _order(source, number, selected, step, text)
        indexed = indexed_of(selected, text)
        items.append(WorklistItem(source, number, part, text, order, indexed))
    return tuple(items)


def _split(data: bytes) -> list[bytes]:
    """Make a data set of each scheduled procedure step."""
    elements = decode(data, EXPLICIT_VR_LITTLE_ENDIAN)
    steps = elements[SCHEDULED_PROCEDURE_STEP_SEQUENCE].value
    return [
        encode(_with_step(elements, step).values(), EXPLICIT_VR_LITTLE_ENDIAN)
        for step in steps
        if isinstance(step, dict)
    ]


def _with_step(elements: Elements, step: Elements) -> Elements:
    single = Element(SCHEDULED_PROCEDURE_STEP_SEQUENCE, "SQ", (step,))
    return elements | {SCHEDULED_PROCEDURE_STEP_SEQUENCE: single}


def _order(source: str, number: int, root: Elements, step: Elements, text: CharacterSet) -> Order:
    return (
        # The old forms 2026.11.23 and 08:30 sort with the others: PS3.5 Table 6.2-1, notes.
        _start(step.get(SCHEDULED_PROCEDURE_STEP_START_DATE), text).replace(".", ""),
        _start(step.get(SCHEDULED_PROCEDURE_STEP_START_TIME), text).replace(":", ""),
        _first(root.get(ACCESSION_NUMBER), text),
        source,
        number,
    )


def _start(element: Element | None, text: CharacterSet) -> str:
    if element is None:
        return ""
    # The others are so rare that to look up their character set would cost more than it saves.
    return _start_kept(element) if element.vr in DEFAULT_REPERTOIRE_VRS else _first(element, text)


@lru_cache(maxsize=_KEPT_STARTS)
def _start_kept(element: Element) -> str:
    return sys.intern(_first(element, _ASCII))


def _first(element: Element | None, text: CharacterSet) -> str:
    """Give the first value without spaces; text that cannot be read sorts as if it were absent."""
    if element is None or not element.value:
        return ""
    try:
        found = values(element, text)
    except DatasetError:
        return ""
    return found[0].strip() if found else ""
