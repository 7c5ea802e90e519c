"""What audit messages say of worklist items, and which changes of the folder are known already.

An item that is written over HTTP is told of when it is written, with who did it. It shows in the
folder, too, and what the catalog finds there is not to be told again; what others put there is. So
what was written is remembered for a while: a change after which a file holds just that is known.

Source: DICOM PS3.15 A.5.3.15.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mwl.attributes import (
    ACCESSION_NUMBER,
    PATIENT_ID,
    PATIENT_NAME,
    REQUESTED_PROCEDURE_DESCRIPTION,
    STUDY_INSTANCE_UID,
)
from mwl.audit import messages
from mwl.audit.messages import (
    PATIENT,
    PATIENT_NUMBER,
    PERSON,
    PROCEDURE_RECORD,
    Action,
    AuditMessage,
    Object,
    Outcome,
    Participant,
)
from mwl.dataset import CharacterSet, Elements, values
from mwl.errors import DatasetError
from mwl.item import WorklistItem

Items = Sequence[WorklistItem]
"""The items of one file."""

KNOWN_S = 60.0
"""Seconds for which a change is awaited that was told of already: it is seen within one."""

KNOWN_LIMIT = 10_000
"""Changes remembered, after which those that are awaited no longer are swept out; then after twice
as many as are left."""

FILE = "Worklist File"
"""Name of the detail that says which file an item is in."""


class Change(NamedTuple):
    """What happened to a file.

    Args:
        source: Its name.
        before: Its items before; none when it was not there or could not be read.
        after: Its items now.
        action: What was done.
    """

    source: str
    before: Items
    after: Items
    action: Action


class _Facts(NamedTuple):
    patient_id: str = ""
    patient_name: str = ""
    studies: dict[str, tuple[str, dict[str, None]]] = {}  # noqa: RUF012 - never changed
    """For each study its description and the accession numbers."""


def record(
    change: Change,
    time_ns: int,
    participants: Sequence[Participant],
    outcome: Outcome = Outcome.SUCCESS,
) -> AuditMessage:
    """Make the message about a change: of the patient whom the item is about now."""
    items = change.before if change.action == "D" else change.after or change.before
    action = change.action
    if action == "U" and _other_patient(change):
        action = "C"
    return _record(change.source, _facts(items), action, time_ns, participants, outcome)


def record_of_former(
    change: Change, time_ns: int, participants: Sequence[Participant]
) -> AuditMessage | None:
    """Make the message about the patient whom an item was about before; None when it is the same.

    A message is about one patient: an item that another patient gets is taken from the first.
    """
    if change.action != "U" or not _other_patient(change):
        return None
    facts = _facts(change.before)
    return _record(change.source, facts, "D", time_ns, participants, Outcome.SUCCESS)


def _other_patient(change: Change) -> bool:
    if not change.before or not change.after:
        return False
    return _facts(change.before).patient_id != _facts(change.after).patient_id


def _record(
    source: str,
    facts: _Facts,
    action: Action,
    time_ns: int,
    participants: Sequence[Participant],
    outcome: Outcome,
) -> AuditMessage:
    patient = Object(
        identifier=facts.patient_id,
        identifier_kind=PATIENT_NUMBER,
        kind=PERSON,
        role=PATIENT,
        name=facts.patient_name,
        details=[(FILE, source)],
    )
    studies = [
        Object(
            identifier=uid,
            identifier_kind=messages.STUDY_INSTANCE_UID,
            name=description,
            accession_numbers=[*accession_numbers],
        )
        for uid, (description, accession_numbers) in facts.studies.items()
    ]
    return AuditMessage(
        kind=PROCEDURE_RECORD,
        time_ns=time_ns,
        action=action,
        outcome=outcome,
        participants=participants,
        objects=[*studies, patient],
    )


def _facts(items: Items) -> _Facts:
    if not items:
        return _Facts()
    studies: dict[str, tuple[str, dict[str, None]]] = {}
    for item in items:
        elements, text = item.elements(), item.character_set
        if uid := _first(elements, STUDY_INSTANCE_UID, text):
            description = _first(elements, REQUESTED_PROCEDURE_DESCRIPTION, text)
            _, numbers = studies.setdefault(uid, (description, {}))
            if number := _first(elements, ACCESSION_NUMBER, text):
                numbers[number] = None
    elements, text = items[0].elements(), items[0].character_set
    patient_id = _first(elements, PATIENT_ID, text)
    return _Facts(patient_id, _first(elements, PATIENT_NAME, text), studies)


def _first(elements: Elements, tag: int, text: CharacterSet) -> str:
    element = elements.get(tag)
    if element is None or not isinstance(element.value, bytes):
        return ""
    try:
        found = values(element, text)
    except DatasetError:
        # Its bytes are all there is to say; ASCII is as it was written.
        return element.value.decode("ascii", "backslashreplace").strip(" \0")
    return found[0].strip(" \0") if found else ""


_Contents = tuple[tuple[int, bytes], ...]


class Known:
    """Changes that were told of and that the catalog has not shown yet."""

    def __init__(self) -> None:
        self._of_file: dict[tuple[int, str], list[tuple[float, _Contents]]] = {}
        self._count = 0
        self._sweep_at = KNOWN_LIMIT

    def expect(self, catalog: object, source: str, items: Items, now: float) -> None:
        """Remember that a file is being made to hold some items."""
        awaited = self._of_file.setdefault((id(catalog), source), [])
        awaited.append((now + KNOWN_S, _contents(items)))
        self._count += 1
        if self._count >= self._sweep_at:
            self._sweep(now)

    def forget(self, catalog: object, source: str, items: Items) -> None:
        """Forget what was expected in vain."""
        key, contents = (id(catalog), source), _contents(items)
        awaited = self._of_file.get(key, [])
        self._of_file[key] = [one for one in awaited if one[1] != contents]
        if not self._of_file[key]:
            del self._of_file[key]

    def knows(self, catalog: object, source: str, items: Items, now: float) -> bool:
        """Tell whether it is known that a file holds these items; what came before is past."""
        key, contents = (id(catalog), source), _contents(items)
        awaited = [one for one in self._of_file.pop(key, ()) if one[0] >= now]
        places = [place for place, one in enumerate(awaited) if one[1] == contents]
        if places:
            del awaited[: places[0] + 1]
        if awaited:
            self._of_file[key] = awaited
        return bool(places)

    def _sweep(self, now: float) -> None:
        self._of_file = {
            key: fresh
            for key, awaited in self._of_file.items()
            if (fresh := [one for one in awaited if one[0] >= now])
        }
        self._count = sum(map(len, self._of_file.values()))
        self._sweep_at = max(KNOWN_LIMIT, 2 * self._count)


def _contents(items: Items) -> _Contents:
    return tuple((item.step, item.data) for item in items)
