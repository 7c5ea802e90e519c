"""Rules 200 to 299: what has to be in a worklist item, and where.

The rows of Table K.6-1 say what; their types say how much it matters.

Source: DICOM PS3.4 Table K.6-1 (edition 2020c), PS3.5 section 7.4 (types).
"""

from collections.abc import Iterator, Mapping

from mwl.attributes import (
    ATTRIBUTES,
    REQUESTED_PROCEDURE_DESCRIPTION,
    SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    Attribute,
)
from mwl.check.subject import STEP, Fault, Finder, Level, Subject, tag_text

SCHEDULED_PROTOCOL_CODE_SEQUENCE = 0x00400008
REQUESTED_PROCEDURE_CODE_SEQUENCE = 0x00321064

# The step itself has a rule of its own.
_TYPE_1 = tuple(row for row in ATTRIBUTES if row.returned == "1" and row.path != STEP)
_TYPE_2 = tuple(row for row in ATTRIBUTES if row.returned == "2")
_OF_STEP = tuple(row.tag for row in ATTRIBUTES if row.path == (*STEP, row.tag))


def _misplaced(subject: Subject) -> list[int]:
    """Give the attributes of the step that only the top level has."""
    present = subject.root.elements.keys()
    return [
        tag
        for tag in _OF_STEP
        if tag in present and not any(tag in step.elements for step in subject.steps)
    ]


def _holders(subject: Subject, rows: tuple[Attribute, ...]) -> Iterator[tuple[Attribute, Level]]:
    """Give each row with each data set or item that it applies to."""
    misplaced = _misplaced(subject)
    for row in rows:
        if row.path[:-1] != STEP or row.tag not in misplaced:
            for level in subject.within.get(row.path[:-1], ()):
                yield row, level


def missing_type_1(subject: Subject) -> Iterator[Fault]:
    """MWL201."""
    for row, level in _holders(subject, _TYPE_1):
        if row.tag not in level.elements:
            yield Fault((*level.path, row.tag), "missing; it needs a value (type 1)")


def empty_type_1(subject: Subject) -> Iterator[Fault]:
    """MWL202."""
    for row, level in _holders(subject, _TYPE_1):
        if row.tag in level.elements and not level.has_value(row.tag):
            yield Fault((*level.path, row.tag), "empty; it needs a value (type 1)")


def missing_type_2(subject: Subject) -> Iterator[Fault]:
    """MWL203."""
    for row, level in _holders(subject, _TYPE_2):
        if row.tag not in level.elements:
            yield Fault((*level.path, row.tag), "missing; it may be empty (type 2)")


def no_step(subject: Subject) -> Iterator[Fault]:
    """MWL204."""
    if not subject.steps and not _misplaced(subject):
        is_there = SCHEDULED_PROCEDURE_STEP_SEQUENCE in subject.root.elements
        yield Fault(STEP, "has no item" if is_there else "missing")


def several_steps(subject: Subject) -> Iterator[Fault]:
    """MWL205."""
    if len(subject.steps) > 1:
        yield Fault(STEP, f"has {len(subject.steps)} items")


def misplaced(subject: Subject) -> Iterator[Fault]:
    """MWL206."""
    for tag in _misplaced(subject):
        yield Fault(
            (tag,), f"belongs into an item of {tag_text(SCHEDULED_PROCEDURE_STEP_SEQUENCE)}"
        )


def doubled(subject: Subject) -> Iterator[Fault]:
    """MWL210."""
    misplaced_alone = _misplaced(subject)
    for tag in _OF_STEP:
        if tag in subject.root.elements and tag not in misplaced_alone:
            yield Fault((tag,), f"stands in {tag_text(SCHEDULED_PROCEDURE_STEP_SEQUENCE)} too")


def undescribed_step(subject: Subject) -> Iterator[Fault]:
    """MWL207."""
    pair = (SCHEDULED_PROCEDURE_STEP_DESCRIPTION, SCHEDULED_PROTOCOL_CODE_SEQUENCE)
    if not any(tag in pair for tag in _misplaced(subject)):
        for step in subject.steps:
            yield from _neither(step, pair)


def undescribed_procedure(subject: Subject) -> Iterator[Fault]:
    """MWL208."""
    pair = (REQUESTED_PROCEDURE_DESCRIPTION, REQUESTED_PROCEDURE_CODE_SEQUENCE)
    return _neither(subject.root, pair)


def _neither(level: Level, pair: tuple[int, int]) -> Iterator[Fault]:
    description, code = pair
    if not level.has_value(description) and not level.has_value(code):
        yield Fault((*level.path, description), f"no value, and none in {tag_text(code)}")


def several_procedure_codes(subject: Subject) -> Iterator[Fault]:
    """MWL209."""
    items = subject.within.get((REQUESTED_PROCEDURE_CODE_SEQUENCE,), ())
    if len(items) > 1:
        yield Fault((REQUESTED_PROCEDURE_CODE_SEQUENCE,), f"has {len(items)} items, 1 is allowed")


FINDERS: Mapping[str, Finder] = {
    "MWL201": missing_type_1,
    "MWL202": empty_type_1,
    "MWL203": missing_type_2,
    "MWL204": no_step,
    "MWL205": several_steps,
    "MWL206": misplaced,
    "MWL207": undescribed_step,
    "MWL208": undescribed_procedure,
    "MWL209": several_procedure_codes,
    "MWL210": doubled,
}
"""What looks for breaches of each rule."""
