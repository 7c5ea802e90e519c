"""What is filled in where nobody said it, and what nobody can know but its author.

Source: DICOM PS3.4 Table K.6-1: type 1 has a value, type 2 may be empty, type 1C depends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mwl.attributes import (
    ATTRIBUTES,
    REQUESTED_PROCEDURE_DESCRIPTION,
    REQUESTED_PROCEDURE_ID,
    SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
    SCHEDULED_PROCEDURE_STEP_ID,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_STATUS,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from mwl.compose.layout import items_of
from mwl.compose.placeholders import Context
from mwl.dataset import ENCODINGS, CharacterSet, Element, Elements, keyword_of, vr_of

_SHORT_NUMBER = 0xFFFFFFFF
"""Bits of an identifier that people may have to type: 32, eight hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An item that is being filled, and what new identifiers are made of."""

    elements: Elements
    steps: list[Elements]
    text: CharacterSet
    context: Context

    def short_identifier(self, prefix: str) -> bytes:
        """Make an identifier that nobody else has, short enough for SH."""
        return f"{prefix}{self.context.new_number() & _SHORT_NUMBER:08X}".encode("ascii")


@dataclass(frozen=True, slots=True)
class Fill:
    """One attribute that is filled in where it is absent or empty.

    Args:
        tag: The attribute.
        in_step: Whether it stands in each step, and not at the top of the item.
        value: Gives its value; nothing when there is none to give.
        words: The value in words.
        reason: Why it is needed.
    """

    tag: int
    in_step: bool
    value: Callable[[_Item], bytes]
    words: str
    reason: str

    @property
    def keyword(self) -> str:
        """Keyword of the attribute."""
        return keyword_of(self.tag)


def _value_of(elements: Elements, tag: int) -> bytes:
    element = elements.get(tag)
    if element is None or not isinstance(element.value, bytes):
        return b""
    return element.value.strip(b" \0")


def _first_step_description(item: _Item) -> bytes:
    found = (_value_of(step, SCHEDULED_PROCEDURE_STEP_DESCRIPTION) for step in item.steps)
    return next(filter(None, found), b"")


def _term_of_utf_8(item: _Item) -> bytes:
    return b"ISO_IR 192" if item.text == ENCODINGS["Utf8"] else b""


FILL_OF_CHARACTER_SET = Fill(
    SPECIFIC_CHARACTER_SET,
    False,
    _term_of_utf_8,
    "`ISO_IR 192` (UTF-8), when some text is not ASCII; the empty first value that a set of two "
    "bytes needs before it",
    "type 1C: says how the text is written",
)

FILLS: tuple[Fill, ...] = (
    FILL_OF_CHARACTER_SET,
    Fill(
        STUDY_INSTANCE_UID,
        False,
        lambda item: item.context.new_uid().encode("ascii"),
        "a new UID, `2.25.` and the number of a random UUID",
        "type 1: the scanner puts its images into this study",
    ),
    Fill(
        REQUESTED_PROCEDURE_ID,
        False,
        lambda item: item.short_identifier("RP"),
        "`RP` and eight random digits",
        "type 1: names the procedure within its order",
    ),
    Fill(
        REQUESTED_PROCEDURE_DESCRIPTION,
        False,
        _first_step_description,
        "the description of the first step that has one",
        "type 1C: scanners make the study description of it",
    ),
    Fill(
        SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
        True,
        lambda item: _value_of(item.elements, REQUESTED_PROCEDURE_DESCRIPTION),
        "the description of the requested procedure",
        "type 1C: some scanners show this one only",
    ),
    Fill(
        SCHEDULED_PROCEDURE_STEP_ID,
        True,
        lambda item: item.short_identifier("SPS"),
        "`SPS` and eight random digits",
        "type 1: names the step, also when it is reported as done",
    ),
    Fill(
        SCHEDULED_PROCEDURE_STEP_STATUS,
        True,
        lambda _: b"SCHEDULED",
        "`SCHEDULED`",
        "some scanners ask for steps of this status, and no step without it is found",
    ),
)
"""What is filled in, in this order: a later one may use what an earlier one filled."""

_PARENTS: tuple[tuple[int, ...], ...] = ((), (SCHEDULED_PROCEDURE_STEP_SEQUENCE,))


def _rows_of_type(returned: str, parent: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        row.tag for row in ATTRIBUTES if row.returned == returned and row.path[:-1] == parent
    )


_EMPTY_AT_TOP, _EMPTY_IN_STEP = (_rows_of_type("2", parent) for parent in _PARENTS)

_FILLED = {row.tag for row in FILLS} | {SCHEDULED_PROCEDURE_STEP_SEQUENCE}
_NEEDED_AT_TOP, _NEEDED_IN_STEP = (
    tuple(tag for tag in _rows_of_type("1", parent) if tag not in _FILLED) for parent in _PARENTS
)


def fill(
    elements: Elements,
    text: CharacterSet,
    context: Context,
    rows: Sequence[Fill] = FILLS,
    *,
    is_as_said: bool = False,
) -> tuple[Elements, tuple[Fill, ...]]:
    """Fill in what is missing.

    Args:
        elements: The item as it was said; not changed.
        text: Character set that its text is written in.
        context: What new identifiers are made of.
        rows: What is filled in.
        is_as_said: Whether the item stays as it is beyond these: no step is made, and nothing in
            a step; no attribute of type 2.

    Returns:
        The item, with one step at least, and what was filled in; a row once for each step.
        Attributes of type 2 that were made empty are not told.
    """
    steps = [dict(step) for step in items_of(elements, SCHEDULED_PROCEDURE_STEP_SEQUENCE)] or [{}]
    item = _Item(dict(elements), steps, text, context)
    filled = tuple(
        row
        for row in rows
        if not (is_as_said and row.in_step)
        for holder in _holders(item, row)
        if _fill(row, holder, item)
    )
    if is_as_said:
        return _sorted(item.elements), filled
    for step in steps:
        _add_empty(step, _EMPTY_IN_STEP)
    sequence = tuple(_sorted(step) for step in steps)
    item.elements[SCHEDULED_PROCEDURE_STEP_SEQUENCE] = Element(
        SCHEDULED_PROCEDURE_STEP_SEQUENCE, "SQ", sequence
    )
    _add_empty(item.elements, _EMPTY_AT_TOP)
    return _sorted(item.elements), filled


def _holders(item: _Item, row: Fill) -> list[Elements]:
    return item.steps if row.in_step else [item.elements]


def _fill(row: Fill, holder: Elements, item: _Item) -> bool:
    value = b"" if _value_of(holder, row.tag) else row.value(item)
    if value:
        holder[row.tag] = Element(row.tag, vr_of(row.tag), value)
    return bool(value)


def _add_empty(elements: Elements, tags: tuple[int, ...]) -> None:
    for tag in tags:
        vr = vr_of(tag)
        elements.setdefault(tag, Element(tag, vr, () if vr == "SQ" else b""))


def _sorted(elements: Elements) -> Elements:
    return dict(sorted(elements.items()))


def missing(elements: Elements) -> Iterator[str]:
    """Name what the item lacks and nobody but its author can know, as it is to be written.

    Args:
        elements: The item, filled.
    """
    for tag in _NEEDED_AT_TOP:
        if not _value_of(elements, tag):
            yield keyword_of(tag)
    steps = items_of(elements, SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    for number, step in enumerate(steps):
        path = f"ScheduledProcedureStepSequence[{number}]." if len(steps) > 1 else ""
        for tag in _NEEDED_IN_STEP:
            if not _value_of(step, tag):
                yield path + keyword_of(tag)
