"""Where attributes belong: those of the Scheduled Procedure Step go into it.

People write `Modality=CT` and mean the step, for there is no other modality in a worklist item. An
attribute that is named without the sequence goes

- into every step, when Table K.6-1 or the Scheduled Procedure Step Module has it there and the
  table does not have it at the top as well;
- else to the top of the item, those among them that no table knows.

One that is named with its path stays where it was put, and overrides for its step what was said
for every step.

Source: DICOM PS3.4 Table K.6-1, PS3.3 Table C.4-10 (Scheduled Procedure Step Module).
"""

from collections.abc import Iterator, Sequence

from mwl.attributes import ATTRIBUTES, SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.compose.assignments import Assignment
from mwl.dataset import Elements
from mwl.keys import PathStep, describe_path

_OTHER_STEP_ATTRIBUTES = frozenset(
    {
        0x00400004,  # Scheduled Procedure Step End Date
        0x00400005,  # Scheduled Procedure Step End Time
        0x0040000B,  # Scheduled Performing Physician Identification Sequence
        0x00400400,  # Comments on the Scheduled Procedure Step
    }
)
"""In the module and not in a row of the table, which says "all other attributes"."""

_AT_THE_TOP = frozenset(row.tag for row in ATTRIBUTES if len(row.path) == 1)

STEP_ATTRIBUTES = (
    frozenset(
        row.tag
        for row in ATTRIBUTES
        if len(row.path) == 2 and row.path[0] == SCHEDULED_PROCEDURE_STEP_SEQUENCE
    )
    | _OTHER_STEP_ATTRIBUTES
) - _AT_THE_TOP
"""Attributes that belong into the step when nothing else is said."""


def items_of(elements: Elements, tag: int) -> tuple[Elements, ...]:
    """Give the items of a sequence; none when it is not there."""
    element = elements.get(tag)
    return element.value if element is not None and isinstance(element.value, tuple) else ()


def count_steps(layers: Sequence[Sequence[Assignment]], elements: Elements) -> int:
    """Give the number of scheduled procedure steps that an item is to have: one at least."""
    named = (
        step.item + 1
        for layer in layers
        for (step, *_), *_ in layer
        if step.tag == SCHEDULED_PROCEDURE_STEP_SEQUENCE and step.item is not None
    )
    return max((1, len(items_of(elements, SCHEDULED_PROCEDURE_STEP_SEQUENCE)), *named))


def laid_out(layers: Sequence[Sequence[Assignment]], steps: int) -> Iterator[Assignment]:
    """Give every assignment with the whole path to its place, in the order they are to be made.

    Args:
        layers: Assignments of one source each; those of a later one override an earlier one's.
        steps: Number of scheduled procedure steps.
    """
    for layer in layers:
        explicit = []
        for assignment in layer:
            if assignment.path[0].tag not in STEP_ATTRIBUTES:
                explicit.append(assignment)
                continue
            key = describe_path(assignment.path)
            for number in range(steps):
                step = PathStep(SCHEDULED_PROCEDURE_STEP_SEQUENCE, number)
                yield assignment._replace(path=(step, *assignment.path), key=key)
        yield from explicit
