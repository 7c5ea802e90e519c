"""Hints: the usual reasons for which an item that somebody expects is not on the list.

Each looks at one key that left one item out and says what a technician should look at, or nothing.
They suggest; they decide nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from types import MappingProxyType

from mwl.attributes import (
    ACCESSION_NUMBER,
    PATIENT_ID,
    REQUESTED_PROCEDURE_ID,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_STATION_AE_TITLE,
)
from mwl.dataset import Element, name_of, values, vr_of
from mwl.errors import DatasetError
from mwl.explain.words import (
    EMPTY,
    MISSING,
    NO_STEP,
    UNREADABLE,
    label_of,
    shown,
    stored_texts,
)
from mwl.item import WorklistItem
from mwl.matching import Criterion
from mwl.matching.criteria import HasDateAndTime, HasValue
from mwl.matching.keys import Kind
from mwl.matching.predicates import Within
from mwl.matching.values import DAY, WILD_CARD_VRS, fold, name_group, parse_date

_CONFUSED = (PATIENT_ID, ACCESSION_NUMBER, REQUESTED_PROCEDURE_ID)
"""Numbers that people take for one another."""


@dataclass(frozen=True)
class Case:
    """A key that left an item out.

    Args:
        criterion: The key.
        asked: Its values.
        item: The item.
    """

    criterion: Criterion
    asked: tuple[str, ...]
    item: WorklistItem

    @cached_property
    def stored(self) -> tuple[str, ...]:
        """The values of the item, as they are stored."""
        return stored_texts(self.criterion, self.item)

    @cached_property
    def shown(self) -> str:
        """The values of the item, as they are shown."""
        return shown(self.criterion, self.item)

    @property
    def label(self) -> str:
        """Name of the attribute."""
        return label_of(self.criterion)

    @property
    def vr(self) -> str:
        """VR of the attribute."""
        return vr_of(self.criterion.tag)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give every value asked for with every value stored."""
        return ((asked, stored) for asked in self.asked for stored in self.stored)


LEGAL_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "DA": "Ask for one day, 20261124, or a range, 20261124-20261130, 20261124- or -20261130: "
        "dates have no wild cards (PS3.4 C.2.2.2.5).",
        "TM": "Ask for a time, 0830, or a range, 0800-1200, 0800- or -1200: times have no wild "
        "cards (PS3.4 C.2.2.2.5).",
        "DT": "Ask for a moment, 20261124083000, or a range of two: they have no wild cards "
        "(PS3.4 C.2.2.2.5).",
        "UI": "Ask for whole UIDs, digits and dots, several with a backslash between them (PS3.4 "
        "C.2.2.2.2).",
        "SQ": "Ask with one item in the sequence: Sequence[0].Key=VALUE (PS3.4 C.2.2.2.6).",
    }
)
"""For a key that was refused, by its VR: what is legal."""

Hint = Callable[[Case], str | None]


def likeness(case: Case) -> float:
    """Tell how much a value asked for and one that is stored look alike, from 0 to 1."""
    return max(
        (
            SequenceMatcher(None, fold(asked), fold(stored)).ratio()
            for asked, stored in case.pairs()
        ),
        default=0.0,
    )


def hints_for(case: Case) -> Iterator[str]:
    """Give the hints for one key and one item."""
    return (text for hint in HINTS if (text := hint(case)) is not None)


def _no_step(case: Case) -> str | None:
    if case.shown != NO_STEP:
        return None
    return (
        f"{name_of(SCHEDULED_PROCEDURE_STEP_SEQUENCE)} is missing in the item: no key of the step "
        "finds it. `mwl check` tells whether its attributes stand outside."
    )


def _asked_outside(case: Case) -> str | None:
    if not _is_in_step(case):
        return None
    return (
        f"{case.label} stands in the {name_of(SCHEDULED_PROCEDURE_STEP_SEQUENCE)} of the item, and "
        f"is asked for outside: ask with ScheduledProcedureStepSequence[0].{case.criterion.name}."
    )


def _is_in_step(case: Case) -> bool:
    """Tell whether what a key at the top asks for is in the step."""
    if len(case.criterion.path) > 1 or case.shown != MISSING:
        return False
    sequence = case.item.elements().get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    steps = sequence.value if sequence else ()
    return isinstance(steps, tuple) and any(case.criterion.tag in step for step in steps)


def _nothing_stored(case: Case) -> str | None:
    if case.shown not in (MISSING, EMPTY) or _is_in_step(case):
        return None
    return f"{case.label} has no value in the item: only an empty key finds it. Fill it in."


def _unreadable(case: Case) -> str | None:
    if UNREADABLE not in case.shown:
        return None
    return (
        f"{case.label} of the item is not in the character set that the item declares in "
        "(0008,0005): no key finds it. `mwl check` names the likely one."
    )


def _caller(case: Case) -> str | None:
    if case.criterion.kind is not Kind.CALLER:
        return None
    return (
        "Worklists.FilterIssuerAet shows a device only what is scheduled for its own AE title "
        f"“{case.asked[0]}”: write that into {name_of(SCHEDULED_STATION_AE_TITLE)} of the item."
    )


def _station(case: Case) -> str | None:
    if case.criterion.tag != SCHEDULED_STATION_AE_TITLE or case.criterion.kind is Kind.CALLER:
        return None
    if case.criterion.kind is Kind.WILD_CARD or not case.stored:
        return None
    if any(asked.casefold() == stored.casefold() for asked, stored in case.pairs()):
        return None  # told by the hint about case
    return (
        f"The device asks for {_list(case.asked)} as {case.label}, mostly its own AE title: the "
        "item has to name that title, or the device has to be set up with the one in the item."
    )


def _day_beside(case: Case) -> str | None:
    days = _days_asked(case.criterion)
    stored = [parsed for text in case.stored if (parsed := parse_date(text)) is not None]
    if days is None or not stored:
        return None
    lower, upper = days
    if any(day.lower == lower - 1 for day in stored):
        return _DAY_BESIDE.format("before")
    if any(day.lower == upper + 1 for day in stored):
        return _DAY_BESIDE.format("after")
    if case.criterion.kind is Kind.DATE_AND_TIME and any(
        lower <= day.lower <= upper for day in stored
    ):
        return (
            "The day is right and the time is not: two ranges, of date and of time, are one range "
            "from the first time of the first day to the last time of the last (PS3.4 Table K.6-1)."
        )
    return None


_DAY_BESIDE = (
    "The item is scheduled for the day {} what is asked: a device that asks for today only does "
    "not show it. Check the clock of the device, or ask for a range of days."
)


def _days_asked(criterion: Criterion) -> tuple[int, int] | None:
    match criterion.condition:
        case HasDateAndTime(lower=lower, upper=upper):
            return lower // DAY, upper // DAY
        case HasValue(vr="DA", predicate=Within(lower=lower, upper=upper)):
            return lower, upper
        case _:
            return None


def _wild_card_not_allowed(case: Case) -> str | None:
    if case.vr in WILD_CARD_VRS or not any("*" in text or "?" in text for text in case.asked):
        return None
    return f"{case.label} has VR {case.vr}, in which * and ? are no wild cards (PS3.4 C.2.2.2.4)."


def _letter_case(case: Case) -> str | None:
    if case.vr == "PN" or not any(
        asked != stored and asked.casefold() == stored.casefold() for asked, stored in case.pairs()
    ):
        return None
    return f"Only upper and lower case differ in {case.label}, where they count (PS3.4 C.2.2.2.1)."


def _zeros_or_spaces(case: Case) -> str | None:
    if case.vr == "PN" or not any(
        asked != stored and _bare(asked) == _bare(stored) for asked, stored in case.pairs()
    ):
        return None
    return f"Only spaces, hyphens or leading zeros differ in {case.label}, and they count."


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lstrip("0")


def _name_components(case: Case) -> str | None:
    if case.vr != "PN":
        return None
    for asked, stored in case.pairs():
        for group in stored.split("="):
            if (text := _name_difference(_name(asked), _name(group), case.label)) is not None:
                return text
    return None


def _name(text: str) -> str:
    return name_group(fold(text))


def _name_difference(asked: str, stored: str, label: str) -> str | None:
    if stored.startswith(f"{asked}^"):
        return (
            f"The item has more components in {label} than the key: a name without a wild card has "
            "to be whole. Ask with ^* or * behind it."
        )
    if asked.startswith(f"{stored}^"):
        return f"The key has more components in {label} than the item."
    if "," in asked or " " in asked:
        parts = sorted(filter(None, asked.replace(",", " ").replace("^", " ").split()))
        if parts == sorted(filter(None, stored.replace("^", " ").split())):
            return f"{label} is asked for as people write it; in DICOM it is Family^Given."
    if "^" in asked and sorted(asked.split("^")) == sorted(stored.split("^")):
        return f"The components of {label} are in another order: it is Family^Given^Middle."
    return None


def _name_case(case: Case) -> str | None:
    is_exact = isinstance(case.criterion.condition, HasValue) and (
        not case.criterion.condition.folds_names
    )
    if case.vr != "PN" or not is_exact:
        return None
    if any(asked != stored and fold(asked) == fold(stored) for asked, stored in case.pairs()):
        return f"Only case or accents differ in {case.label}, and CaseSensitivePN is true."
    return None


def _character_set(case: Case) -> str | None:
    if not any(_is_misreading(asked, stored) for asked, stored in case.pairs()):
        return None
    return (
        f"{case.label} looks like UTF-8 that was declared as Latin 1, in the query or in the item: "
        "check (0008,0005) of both."
    )


def _is_misreading(asked: str, stored: str) -> bool:
    """Tell whether one is the other in the wrong set: it has other letters then, or more of them.

    What stands before a wild card is all that most devices send of a name.
    """
    begin, is_wild, _ = asked.partition("*")
    asked_misread, stored_misread = _misread(begin), _misread(stored) or ""
    if not is_wild:
        return asked_misread == stored or stored_misread == asked
    is_prefix = asked_misread is not None and stored.startswith(asked_misread)
    return is_prefix or (not begin.isascii() and stored_misread.startswith(begin))


def _misread(text: str) -> str | None:
    try:
        return text.encode("utf-8").decode("latin-1") if not text.isascii() else None
    except UnicodeEncodeError:
        return None


def _other_number(case: Case) -> str | None:
    if case.criterion.tag not in _CONFUSED:
        return None
    elements = case.item.elements()
    for tag in _CONFUSED:
        element = elements.get(tag)
        if tag == case.criterion.tag or element is None:
            continue
        if not set(_values(element, case.item)).isdisjoint(case.asked):
            return f"What is asked for as {case.label} is the item's {name_of(tag)}."
    return None


def _values(element: Element, item: WorklistItem) -> list[str]:
    try:
        return [text.strip(" \0") for text in values(element, item.character_set)]
    except DatasetError:
        return []


def _list(texts: tuple[str, ...]) -> str:
    return " or ".join(f"“{text}”" for text in texts)


HINTS: tuple[Hint, ...] = (
    _no_step,
    _asked_outside,
    _nothing_stored,
    _unreadable,
    _caller,
    _station,
    _day_beside,
    _wild_card_not_allowed,
    _letter_case,
    _zeros_or_spaces,
    _name_components,
    _name_case,
    _character_set,
    _other_number,
)
"""Every hint, the most telling first."""
