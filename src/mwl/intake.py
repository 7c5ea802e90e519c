"""What programs bring as worklist items: composed, checked, and ready to be written.

`Intake.draft` makes the file of an item out of what is said about it, with what `mwl.compose`
fills in, and finds in it what `mwl.check` finds in any file, and in what else is served that is
about the same study or order. Whether it may be written is said there too. Writing it is the
business of `mwl.catalog`.
"""

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Literal, NamedTuple

from mwl.attributes import (
    ACCESSION_NUMBER,
    MODALITY,
    PATIENT_ID,
    REQUESTED_PROCEDURE_ID,
    SCHEDULED_PROCEDURE_STEP_ID,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
    SCHEDULED_STATION_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from mwl.check import Checker, Conditions, Finding
from mwl.compose import FILLS, Assignment, Document, NewItem, Origin, Recipe, document_of
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Element,
    Elements,
    character_set,
    encode,
    read_file,
    values,
    vr_of,
)
from mwl.errors import DatasetError, InputError, RequestRefused
from mwl.find import Worklist
from mwl.item import WorklistItem
from mwl.keys import PathStep

Force = Literal["yes", "no", "leave"]
"""What becomes of faults: "yes" writes the item as it is said, "no" refuses it, "leave" fills in
what is missing and writes it whatever else is wrong."""

_MISSING = "MWL201"
_EMPTY = "MWL202"

_LEFT_OUT = frozenset({SCHEDULED_STATION_AE_TITLE, SCHEDULED_PROCEDURE_STEP_START_TIME})
"""Attributes of the step that may be missing although they are type 1. The example in Orthanc's
documentation has neither, and the scripts that follow it have to go on working."""

_ASKED_BY_ORTHANC = frozenset({MODALITY, SCHEDULED_PROCEDURE_STEP_START_DATE})
"""All that Orthanc refuses an item for lacking, besides the step itself."""

_FILLED_BY_ORTHANC = frozenset({SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID})

RELATED_LIMIT = 20
"""Items of one study or order that a new one is compared with, in items: each takes 0.6 ms."""

_WILD = frozenset("*?\\")

_DECLARED = Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
_UTF_8 = Assignment((PathStep(SPECIFIC_CHARACTER_SET),), "ISO_IR 192", Origin())


class Draft(NamedTuple):
    """An item that could be written.

    Args:
        data: Its file.
        findings: What is wrong with it.
        is_refused: Whether it should not be written.
        is_unchanged: Whether it says what the file says that it would replace.
    """

    data: bytes
    findings: tuple[Finding, ...]
    is_refused: bool
    is_unchanged: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How a site takes items.

    Args:
        now: Clock, in local time.
        new_number: Gives 128 random bits.
        default: Character set of files that name none.
        sets_study_instance_uid: Whether an item without a Study Instance UID gets one
            (`Worklists.SetStudyInstanceUidIfMissing`).
        checks_as_orthanc: Whether only those items are refused that Orthanc refuses
            (`Worklists.Compatibility`).
    """

    now: Callable[[], datetime]
    new_number: Callable[[], int]
    default: CharacterSet
    sets_study_instance_uid: bool = True
    checks_as_orthanc: bool = False

    def draft(
        self,
        worklist: Worklist,
        source: str,
        tags: Mapping[str, Any],
        *,
        force: Force,
        previous: bytes | None = None,
        accession_number: str | None = None,
    ) -> Generator[None, None, Draft]:
        """Make an item of what is said about it, in steps of a millisecond at most.

        Identifiers that were made up for the item before stay, as long as it is about the same
        order of the same patient: who sends an item again does not make another study of it.

        Args:
            worklist: Where it is to be, every change of it seen.
            source: Its file name.
            tags: By keyword or tag, as `mwl.compose.document_of` takes them.
            force: What becomes of faults.
            previous: The file that it replaces.
            accession_number: Its accession number, when it may be left out of the tags.

        Raises:
            InputError: It can be no item: a key that there is not, a value that is none of its VR.

        Cost: two milliseconds for an item of 30 attributes.
        """
        document = document_of(tags)
        if accession_number is not None:
            document = _with_accession_number(document, accession_number)
        before = _read(previous)
        yield
        item = self._composed(document, force, before)
        data = item.encode()
        if before is not None and previous is not None and _is_same(item.elements, before):
            data = previous
        yield
        findings = yield from self._findings(worklist, source, data, item)
        return Draft(
            data,
            tuple(findings),
            is_refused=force == "no" and any(map(self._counts, findings)),
            is_unchanged=data is previous,
        )

    def _composed(self, document: Document, force: Force, before: Elements | None) -> NewItem:
        recipe = Recipe(
            now=self.now(),
            new_number=self.new_number,
            template=[] if SPECIFIC_CHARACTER_SET in document.elements else [_UTF_8],
            may_be_incomplete=True,
            fills=tuple(
                row
                for row in FILLS
                if (self.sets_study_instance_uid or row.tag != STUDY_INSTANCE_UID)
                and (force != "yes" or row.tag in _FILLED_BY_ORTHANC)
            ),
            is_as_said=force == "yes",
        )
        item = recipe.make(document, 1)
        kept = tuple(self._kept(item, before)) if before is not None else ()
        if not kept:
            return item
        # As arguments: they count where the tags have the attribute without a value, too.
        try:
            return dataclasses.replace(recipe, arguments=kept).make(document, 1)
        except InputError:
            return item  # what was there before was forced

    def _kept(self, item: NewItem, before: Elements) -> Iterator[Assignment]:
        """Give the identifiers of the item before that would be made up anew."""
        try:
            text = character_set(before, self.default)
        except DatasetError:
            return
        for tag in (PATIENT_ID, ACCESSION_NUMBER):
            if _first(item.elements, tag, item.character_set) != _first(before, tag, text):
                return
        if not _first(before, PATIENT_ID, text):
            return
        made_up = {row.tag for row in item.filled}
        for tag in made_up & {STUDY_INSTANCE_UID, REQUESTED_PROCEDURE_ID}:
            yield from _assigned((PathStep(tag),), before, text)
        steps, steps_before = _steps(item.elements), _steps(before)
        if SCHEDULED_PROCEDURE_STEP_ID in made_up and len(steps) == len(steps_before):
            for number, step in enumerate(steps_before):
                place = PathStep(SCHEDULED_PROCEDURE_STEP_SEQUENCE, number)
                path = (place, PathStep(SCHEDULED_PROCEDURE_STEP_ID))
                yield from _assigned(path, step, text)

    def _findings(
        self, worklist: Worklist, source: str, data: bytes, item: NewItem
    ) -> Generator[None, None, list[Finding]]:
        checker = Checker(Conditions(self.now().date(), self.default))
        for other in [*self._related(worklist, source, item)]:
            checker.file(other.source, other.data)
            yield
        found = checker.file(source, data)
        return [*found, *(one for one in checker.together() if one.source == source)]

    def _related(self, worklist: Worklist, source: str, item: NewItem) -> Iterator[WorklistItem]:
        """Give what is served that is about the same study or the same order."""
        for tag in (STUDY_INSTANCE_UID, ACCESSION_NUMBER):
            value = _first(item.elements, tag, item.character_set)
            others = (one for one in having(worklist, tag, value) if one.source != source)
            yield from islice(others, RELATED_LIMIT)

    def _counts(self, finding: Finding) -> bool:
        """Tell whether an item is refused for a finding."""
        if finding.severity != "error":
            return False
        number, tag = finding.rule.number, finding.path[-1] if finding.path else None
        if self.checks_as_orthanc:
            return number in {_MISSING, _EMPTY} and tag in _ASKED_BY_ORTHANC
        if number != _MISSING:
            return True
        is_left_out = tag == STUDY_INSTANCE_UID and not self.sets_study_instance_uid
        return tag not in _LEFT_OUT and not is_left_out


def having(worklist: Worklist, tag: int, value: str) -> list[WorklistItem]:
    """Give the items that have a value in an attribute of the top level.

    Args:
        worklist: Where to look, as far as it was read.
        tag: The attribute; of `mwl.attributes.INDEXED` for a quick answer.
        value: The value; nothing has an empty one, or one that a query could not ask for.
    """
    if not value or not value.isprintable() or _WILD & set(value):
        return []
    key = Element(tag, vr_of(tag), value.encode())
    try:
        return worklist.now_matching({SPECIFIC_CHARACTER_SET: _DECLARED, tag: key})
    except RequestRefused:
        return []


def _with_accession_number(document: Document, value: str) -> Document:
    path = (PathStep(ACCESSION_NUMBER),)
    said = [one.value for one in document.assignments if one.path == path]
    if ACCESSION_NUMBER in document.elements:
        said.append(_first(document.elements, ACCESSION_NUMBER, _any_set(document.elements)))
    if any(one.strip() != value for one in said):
        raise InputError("AccessionNumber: Tags name another one than the address does")
    given = Assignment(path, value, Origin())
    others = [one for one in document.assignments if one.path != path]
    return dataclasses.replace(document, assignments=(*others, given))


def _any_set(elements: Elements) -> CharacterSet:
    return character_set(elements, CharacterSet.of(("ISO_IR 192",)))


def _read(data: bytes | None) -> Elements | None:
    try:
        return None if data is None else read_file(data)
    except DatasetError:
        return None


def _is_same(one: Elements, other: Elements) -> bool:
    return _encoded(one) == _encoded(other)


def _encoded(elements: Elements) -> bytes:
    return encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)


def _first(elements: Elements, tag: int, text: CharacterSet) -> str:
    element = elements.get(tag)
    try:
        found = values(element, text) if element is not None else []
    except DatasetError:
        return ""
    return found[0].strip(" \0") if found else ""


def _assigned(
    path: tuple[PathStep, ...], holder: Elements, text: CharacterSet
) -> Iterator[Assignment]:
    value = _first(holder, path[-1].tag, text)
    if value:
        # In an argument, braces are those of placeholders.
        yield Assignment(path, value.replace("{", "{{").replace("}", "}}"), Origin())


def _steps(elements: Elements) -> tuple[Elements, ...]:
    sequence = elements.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    return sequence.value if sequence and isinstance(sequence.value, tuple) else ()
