"""Rules 700 to 799: what no file says alone.

Of each file only what tells it from others is kept, so that a folder of any size can be compared.

Source: DICOM PS3.3 C.2.2 (patient), C.4.10 to C.4.12 (step, procedure, request).
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mwl.attributes import (
    ACCESSION_NUMBER,
    PATIENT_BIRTH_DATE,
    PATIENT_ID,
    PATIENT_NAME,
    REQUESTED_PROCEDURE_ID,
    SCHEDULED_PROCEDURE_STEP_ID,
    STUDY_INSTANCE_UID,
)
from mwl.check.subject import Fault, Path, Subject
from mwl.matching.values import folded_name

ISSUER_OF_PATIENT_ID = 0x00100021


class Facts(NamedTuple):
    """What tells one file from the others.

    Args:
        source: Name of the file.
        patient: Patient ID and its issuer; None when there is no Patient ID.
        person: Name without case and accents, and birth date.
        study_instance_uid: As in the file, "" when it has none.
        accession_number: Likewise.
        steps: Path and ID of each step, with the Requested Procedure ID.
    """

    source: str
    patient: tuple[str, str] | None
    person: tuple[tuple[str, ...] | None, str]
    study_instance_uid: str
    accession_number: str
    steps: tuple[tuple[Path, str, str], ...]


def facts_of(subject: Subject) -> Facts:
    """Take what tells a file that can be read from the others."""
    root = subject.root
    patient_id = root.first(PATIENT_ID)
    procedure = root.first(REQUESTED_PROCEDURE_ID)
    steps = [
        ((*step.path, SCHEDULED_PROCEDURE_STEP_ID), procedure, identifier)
        for step in subject.steps
        if (identifier := step.first(SCHEDULED_PROCEDURE_STEP_ID))
    ]
    return Facts(
        subject.source,
        (patient_id, root.first(ISSUER_OF_PATIENT_ID)) if patient_id else None,
        (folded_name(root.first(PATIENT_NAME)), root.first(PATIENT_BIRTH_DATE)),
        root.first(STUDY_INSTANCE_UID),
        root.first(ACCESSION_NUMBER),
        tuple(steps),
    )


Key = Hashable | None
Entry = tuple[Facts, Path]


def _grouped(entries: Iterable[tuple[Key, Entry]]) -> list[list[Entry]]:
    """Put entries with one key together; None is no key."""
    groups: dict[Hashable, list[Entry]] = defaultdict(list)
    for key, entry in entries:
        if key is not None:
            groups[key].append(entry)
    return [group for group in groups.values() if len(group) > 1]


def _conflicts(
    entries: Iterable[tuple[Key, Entry]], differ: Callable[[Facts, Facts], bool], message: str
) -> Iterator[tuple[str, Fault]]:
    """Give the entries that share a key with the first of their group and differ from it."""
    for (first, _), *others in _grouped(entries):
        for other, path in others:
            if differ(first, other):
                yield other.source, Fault(path, f"{message} {first.source}")


def _are_different_patients(one: Facts, other: Facts) -> bool:
    return None not in (one.patient, other.patient) and one.patient != other.patient


def _is_same_patient(one: Facts, other: Facts) -> bool:
    return not _are_different_patients(one, other)


def shared_study(files: Sequence[Facts]) -> Iterator[tuple[str, Fault]]:
    """MWL701."""
    entries = [(one.study_instance_uid or None, (one, (STUDY_INSTANCE_UID,))) for one in files]
    return _conflicts(entries, _are_different_patients, "so has another patient in")


def shared_accession(files: Sequence[Facts]) -> Iterator[tuple[str, Fault]]:
    """MWL702."""
    entries = [(one.accession_number or None, (one, (ACCESSION_NUMBER,))) for one in files]
    return _conflicts(entries, _are_different_patients, "so has another patient in")


def shared_step(files: Sequence[Facts]) -> Iterator[tuple[str, Fault]]:
    """MWL703: a step ID is unique within its order, so orders that have a number are left alone."""
    entries = [
        ((procedure, step), (one, path))
        for one in files
        for path, procedure, step in one.steps
        if procedure and not one.accession_number
    ]
    message = "with this Requested Procedure ID, so has another patient in"
    return _conflicts(entries, _are_different_patients, message)


def repeated_step(files: Sequence[Facts]) -> Iterator[tuple[str, Fault]]:
    """MWL704: in one folder; that two stations have a folder each and share a step is meant."""
    entries = [
        ((_folder(one), one.study_instance_uid, one.accession_number, procedure, step), (one, path))
        for one in files
        for path, procedure, step in one.steps
    ]
    return _conflicts(entries, _is_same_patient, "the same step is in")


def _folder(facts: Facts) -> str:
    return facts.source.rpartition("/")[0]


def ambiguous_patient(files: Sequence[Facts]) -> Iterator[tuple[str, Fault]]:
    """MWL705."""
    entries = [(one.patient, (one, (PATIENT_ID,))) for one in files]
    return _conflicts(entries, _are_different_people, "another name or birth date than in")


def _are_different_people(one: Facts, other: Facts) -> bool:
    return any(
        mine and theirs and mine != theirs
        for mine, theirs in zip(one.person, other.person, strict=True)
    )


FINDERS: Mapping[str, Callable[[Sequence[Facts]], Iterator[tuple[str, Fault]]]] = {
    "MWL701": shared_study,
    "MWL702": shared_accession,
    "MWL703": shared_step,
    "MWL704": repeated_step,
    "MWL705": ambiguous_patient,
}
"""What looks for breaches of each rule in all files together: the file, and what is wrong."""
