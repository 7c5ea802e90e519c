"""Where attributes belong: those of the Scheduled Procedure Step go into it.

People write `Modality=CT` and mean the step, for there is no other modality in a worklist item. An
attribute that is named without the sequence goes

- into every step, when Table K.6-1 or the Scheduled Procedure Step Module has it there and the
  table does not have it at the top as well;
- else to the top of the item, those among them that no table knows.

One that is named with its path stays where it was put, and overrides for its step what was said
for every step. A sequence that is listed replaces what a template has in it; of the steps a
template gives what those that are listed lack, and no further ones.

Source: DICOM PS3.4 Table K.6-1, PS3.3 Table C.4-10 (Scheduled Procedure Step Module).
"""

from collections.abc import Iterator, Sequence

from mwl.attributes import ATTRIBUTES, SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.compose.assignments import Assignment, Document
from mwl.dataset import Elements, vr_of
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


def within(template: Sequence[Assignment], document: Document) -> list[Assignment]:
    """Leave out what a template says of steps beyond those that a document lists."""
    steps = document.steps
    return [one for one in template if steps is None or (_step_of(one) or 0) < max(1, steps)]


def count_steps(layers: Sequence[Sequence[Assignment]], document: Document) -> int:
    """Give the number of scheduled procedure steps that an item is to have: one at least.

    Args:
        layers: Assignments of one source each.
        document: What is said about the item alone, its assignments among the layers.

    Raises:
        InputError: A step is named and one before it is not, which would be made of nothing but
            what is said for all of them.
    """
    named = set(range(document.steps or 0))
    last = None
    for assignment in (one for layer in layers for one in layer):
        number = _step_of(assignment)
        if number is None:
            continue
        if number >= max(named, default=0):
            last = assignment
        named.add(number)
    steps = max(named, default=0) + 1
    missing = [str(number + 1) for number in range(steps) if number not in named]
    if last is not None and missing:
        first, end = ", ".join(missing[:-1]), missing[-1]
        raise last.refuse(
            f"step {first} and {end} are missing" if first else f"step {end} is missing",
            "number steps from [0] on; ScheduledProcedureStepSequence[0]= makes one of what is "
            "said for all",
        )
    return steps


def _step_of(assignment: Assignment) -> int | None:
    """Give the number of the step that an assignment names with its path."""
    step = assignment.path[0]
    return step.item if step.tag == SCHEDULED_PROCEDURE_STEP_SEQUENCE else None


def laid_out(assignments: Sequence[Assignment], steps: int) -> Iterator[Assignment]:
    """Give every assignment with the whole path to its place, in the order they are to be made.

    Args:
        assignments: Those of one source.
        steps: Number of scheduled procedure steps.
    """
    explicit = []
    for assignment in sorted(assignments, key=_fills):
        if assignment.path[0].tag not in STEP_ATTRIBUTES:
            explicit.append(assignment)
            continue
        key = describe_path(assignment.path)
        for number in range(steps):
            step = PathStep(SCHEDULED_PROCEDURE_STEP_SEQUENCE, number)
            yield assignment._replace(path=(step, *assignment.path), key=key)
    yield from explicit


def _fills(assignment: Assignment) -> bool:
    """Tell whether it puts something there, and does not empty a sequence, which comes first."""
    tag, item = assignment.path[-1]
    return bool(assignment.value) or item is not None or vr_of(tag) != "SQ"
