"""A worklist item: one scheduled procedure step with its patient and procedure.

An item keeps its data set encoded, because that is how it is sent and because a hundred thousand
of them have to fit in memory. How items match a query is in `mwl.matching`.

Source: DICOM PS3.4 section K.6.1.2.1 (one item is one scheduled procedure step).
"""

import sys

from mwl.attributes import (
    ACCESSION_NUMBER,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
)
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Element,
    Elements,
    character_set,
    decode,
    encode,
    values,
)
from mwl.errors import DatasetError

Order = tuple[str, str, str, str, int]
"""Start date, start time, accession number, source, step."""


class WorklistItem:
    """One worklist item, never changed once made; equal only to itself.

    Args:
        source: Name of the file it came from.
        step: Position of the scheduled procedure step in its file, from 0.
        data: Explicit VR little endian encoding of the whole item.
        character_set: Set of its text.
        order: What answers are sorted by.
    """

    __slots__ = ("character_set", "data", "order", "source", "step")

    def __init__(
        self, source: str, step: int, data: bytes, character_set: CharacterSet, order: Order
    ) -> None:
        self.source = source
        self.step = step
        self.data = data
        self.character_set = character_set
        self.order = order

    def __repr__(self) -> str:
        return f"<WorklistItem {self.source!r} step {self.step}, {len(self.data)} bytes>"

    def elements(self) -> Elements:
        """Decode the item; the caller keeps the result if it needs it again."""
        return decode(self.data, EXPLICIT_VR_LITTLE_ENDIAN)


def items_of(
    source: str, elements: Elements, *, split_steps: bool, default: CharacterSet
) -> tuple[WorklistItem, ...]:
    """Make the items of one file.

    Args:
        source: Name of the file.
        elements: Its data set.
        split_steps: Make an item of each scheduled procedure step, as the standard has it, and
            not one of the whole file.
        default: Character set of a file that names none.

    Returns:
        The items in the order of their steps; always one at least.

    Raises:
        DatasetError: The character set of the file is unknown.
    """
    text = character_set(elements, default)
    sequence = elements.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    steps = sequence.value if sequence and isinstance(sequence.value, tuple) else ()
    if not split_steps or len(steps) <= 1:
        data = encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        order = _order(source, 0, elements, steps[0] if steps else {}, text)
        return (WorklistItem(source, 0, data, text, order),)
    items: list[WorklistItem] = []
    for number, step in enumerate(steps):
        single = Element(SCHEDULED_PROCEDURE_STEP_SEQUENCE, "SQ", (step,))
        parts = elements | {SCHEDULED_PROCEDURE_STEP_SEQUENCE: single}
        data = encode(parts.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        order = _order(source, number, elements, step, text)
        items.append(WorklistItem(source, number, data, text, order))
    return tuple(items)


def _order(source: str, number: int, root: Elements, step: Elements, text: CharacterSet) -> Order:
    return (
        sys.intern(_first(step.get(SCHEDULED_PROCEDURE_STEP_START_DATE), text)),
        sys.intern(_first(step.get(SCHEDULED_PROCEDURE_STEP_START_TIME), text)),
        _first(root.get(ACCESSION_NUMBER), text),
        source,
        number,
    )


def _first(element: Element | None, text: CharacterSet) -> str:
    """Give the first value without spaces; text that cannot be read sorts as if it were absent."""
    if element is None or not element.value:
        return ""
    try:
        found = values(element, text)
    except DatasetError:
        return ""
    return found[0].strip() if found else ""
