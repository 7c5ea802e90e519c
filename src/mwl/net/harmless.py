"""Values that the log may show with `DeidentifyLogs`: none of them can be a patient's.

That an attribute is harmless does not make its value so: a device that is set up wrongly sends a
name as the modality, and a birth date or a number as the date of the step. So each attribute has a
closed list, and what is not in it is hidden, whatever it looks like:

- a modality is a defined term, a character set likewise;
- a station is the caller, whom it calls, or a modality that the site knows: their AE titles are in
  the log anyway, or in the configuration;
- a date is one of the days around today. Beyond them it may be when somebody was born, and an
  8-digit number is a date more often than not: 19310509. Within them it tells of nobody more than
  that it is this month's, unless a child is weeks old or a number happens to be that day's;
- a time begins or ends an hour, as ranges do: any other is a number of 4 or 6 digits as well.

No other date or time attribute is in the table: they belong to patients and visits.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mwl.access import AccessPolicy, Caller
from mwl.attributes import (
    MODALITY,
    MODALITY_TERMS,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
    SCHEDULED_STATION_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
)
from mwl.dataset import CODE_EXTENSIONS, SINGLE_TERMS
from mwl.matching.values import parse_date

DAYS_BACK, DAYS_AHEAD = 31, 366
"""Dates that are shown, in days before and after today: nobody was born in the future."""

HIDDEN = "(hidden: DeidentifyLogs)"
"""Stands for a value that the log may not hold."""

OTHER_DAY = f"(hidden: DeidentifyLogs; a date, not from {DAYS_BACK} days ago to {DAYS_AHEAD} ahead)"
"""Stands for one of a date: a device whose clock is wrong asks for such."""

_CHARACTER_SETS = frozenset(SINGLE_TERMS) | frozenset(CODE_EXTENSIONS)
_DATE = re.compile("[0-9]{8}")
_HOUR = re.compile(r"([01][0-9]|2[0-3])(00(00(\.0{1,6})?)?|59(00|59(\.9{1,6})?)?)")


@dataclass(frozen=True, slots=True)
class Harmless:
    """What may be shown of one caller's queries and of the answers to them.

    Args:
        titles: AE titles that are no secret.
        today: Day number of today, as `datetime.date.toordinal` has it.
    """

    titles: frozenset[str]
    today: int

    @classmethod
    def of(cls, access: AccessPolicy, caller: Caller) -> "Harmless":
        """Give what may be shown to whom the configuration knows.

        Args:
            access: The AE titles of the site.
            caller: Who asks, and whom: they are in the line of the association.
        """
        known = (modality.ae_title.strip(" ") for modality in access.modalities)
        mine = (access.ae_title, caller.calling_ae_title, caller.called_ae_title)
        return cls(frozenset((*known, *mine)), datetime.now().astimezone().toordinal())

    def shown(self, tag: int, texts: Iterable[str]) -> str:
        r"""Give the values of an attribute as the log may have them, `\` between them.

        Args:
            tag: The attribute, whatever sequences it is in.
            texts: Its values, decoded.
        """
        values = [text.strip(" \0") for text in texts]
        allows = _ROWS.get(tag)
        if all(value in _ANY or (allows is not None and allows(self, value)) for value in values):
            return "\\".join(values)
        if tag == SCHEDULED_PROCEDURE_STEP_START_DATE and all(map(_are_dates, values)):
            return OTHER_DAY
        return HIDDEN


_ANY = ("", "*")
"""What asks for nothing, and what an attribute without a value has."""


def _is_modality(_: Harmless, text: str) -> bool:
    return text.isascii() and text.upper() in MODALITY_TERMS


def _is_character_set(_: Harmless, text: str) -> bool:
    return text in _CHARACTER_SETS


def _is_title(harmless: Harmless, text: str) -> bool:
    return text in harmless.titles


def _are_near(harmless: Harmless, text: str) -> bool:
    first, last = harmless.today - DAYS_BACK, harmless.today + DAYS_AHEAD
    return all(day is not None and first <= day <= last for day in map(_day, _ends(text)))


def _are_dates(text: str) -> bool:
    """Tell whether a value is a date or a range of dates, those of the calendar alone."""
    return all(_day(end) is not None for end in _ends(text))


def _day(text: str) -> int | None:
    day = parse_date(text) if _DATE.fullmatch(text) else None
    return None if day is None else day.lower


def _are_hours(_: Harmless, text: str) -> bool:
    return all(map(_HOUR.fullmatch, _ends(text)))


def _ends(text: str) -> list[str]:
    """Give what a range begins and ends with, as far as it has them; else the value itself."""
    begin, _, end = text.partition("-")
    return [each.strip(" ") for each in (begin, end) if each.strip(" ")] or [text]


_ROWS: Mapping[int, Callable[[Harmless, str], bool]] = {
    SPECIFIC_CHARACTER_SET: _is_character_set,
    MODALITY: _is_modality,
    SCHEDULED_STATION_AE_TITLE: _is_title,
    SCHEDULED_PROCEDURE_STEP_START_DATE: _are_near,
    SCHEDULED_PROCEDURE_STEP_START_TIME: _are_hours,
}
"""The attributes that have harmless values, each with what tells of one."""
