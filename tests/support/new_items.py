"""What a new worklist item needs, and ways to look at one."""

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from mwl.compose import Document, NewItem, Origin, Recipe, read_arguments
from mwl.dataset import Elements, tag_of, values

if TYPE_CHECKING:
    from collections.abc import Iterator

SEQUENCE = 0x00400100
NOW = datetime(2026, 11, 24, 8, 30, 15, tzinfo=UTC)

ENOUGH = (
    "PatientName=DOE^JANE",
    "PatientID=P1",
    "Modality=CT",
    "ScheduledStationAETitle=CT1",
    "ScheduledProcedureStepStartDate=20261124",
    "ScheduledProcedureStepStartTime=083000",
)
"""Keys of an item that a scanner can use."""


def recipe(*arguments: str, **settings: object) -> Recipe:
    """Make a recipe whose clock stands still and whose random numbers count: 1, 2, 3."""
    numbers: Iterator[int] = count(1)
    return Recipe(NOW, lambda: next(numbers), arguments=read_arguments(arguments), **settings)  # type: ignore[arg-type]


def made(*arguments: str, counter: int = 1, **settings: object) -> NewItem:
    """Make an item of arguments alone."""
    return recipe(*arguments, **settings).make(Document(Origin()), counter)


def steps_of(item: NewItem) -> tuple[Elements, ...]:
    """Give the scheduled procedure steps of an item."""
    value = item.elements[SEQUENCE].value
    assert isinstance(value, tuple)
    return value


def value_of(item: NewItem, keyword: str, *, step: int | None = None) -> str | None:
    """Give the value of an attribute without its padding, None when it is absent."""
    tag = tag_of(keyword)
    assert tag is not None
    holder = item.elements if step is None else steps_of(item)[step]
    if tag not in holder:
        return None
    return "\\".join(values(holder[tag], item.character_set)).rstrip(" ")
