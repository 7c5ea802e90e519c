"""Rules 600 to 699: dates that cannot be meant.

Source: DICOM PS3.4 Table K.6-1, PS3.3 C.12.1.1 (timezone offset).
"""

import re
from collections.abc import Iterator, Mapping

from mwl.attributes import (
    PATIENT_BIRTH_DATE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    TIMEZONE_OFFSET_FROM_UTC,
)
from mwl.check.subject import Fault, Finder, Subject
from mwl.matching.values import parse_date

_YEAR = 366
"""Days from which on a step is scheduled suspiciously far ahead."""

_OFFSET = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")


def _days_ahead(subject: Subject) -> Iterator[tuple[Fault, int]]:
    """Give each start date that is one, with the days from today to it."""
    today = subject.conditions.today.toordinal()
    for step in subject.steps:
        for text in step.texts(SCHEDULED_PROCEDURE_STEP_START_DATE):
            days = parse_date(text)
            if days is not None:
                path = (*step.path, SCHEDULED_PROCEDURE_STEP_START_DATE)
                yield Fault(path, text), days.upper - today


def past_step(subject: Subject) -> Iterator[Fault]:
    """MWL601."""
    for (path, text), days in _days_ahead(subject):
        if days < 0:
            yield Fault(path, f"{text} is {_in_words(-days)} ago")


def distant_step(subject: Subject) -> Iterator[Fault]:
    """MWL602."""
    for (path, text), days in _days_ahead(subject):
        if days > _YEAR:
            yield Fault(path, f"{text} is {_in_words(days)} ahead")


def _in_words(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def unborn_patient(subject: Subject) -> Iterator[Fault]:
    """MWL603."""
    for text in subject.root.texts(PATIENT_BIRTH_DATE):
        days = parse_date(text)
        if days is not None and days.lower > subject.conditions.today.toordinal():
            yield Fault((PATIENT_BIRTH_DATE,), f"after {subject.conditions.today:%Y-%m-%d}")


def no_offset(subject: Subject) -> Iterator[Fault]:
    """MWL604."""
    for level in subject.levels:
        if TIMEZONE_OFFSET_FROM_UTC in level.elements:
            path = (*level.path, TIMEZONE_OFFSET_FROM_UTC)
            if not level.has_value(TIMEZONE_OFFSET_FROM_UTC):
                yield Fault(path, "empty")
            for text in level.texts(TIMEZONE_OFFSET_FROM_UTC):
                if not _is_offset(text):
                    yield Fault(path, f"{text[:16]!a} is not of the form +0100")


def _is_offset(text: str) -> bool:
    # PS3.5 Table 6.2-1, DT: -1200 to +1400; -0000 is not used.
    found = _OFFSET.fullmatch(text)
    if found is None or text == "-0000":
        return False
    return int(found[2] + found[3]) <= (1400 if found[1] == "+" else 1200)


FINDERS: Mapping[str, Finder] = {
    "MWL601": past_step,
    "MWL602": distant_step,
    "MWL603": unborn_patient,
    "MWL604": no_offset,
}
"""What looks for breaches of each rule."""
