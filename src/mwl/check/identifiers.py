"""Rules 500 to 599: codes, UIDs, defined terms and AE titles.

Source: DICOM PS3.4 Table 8-2b, PS3.3 section 8.8 (codes); PS3.5 section 9 and Annex B (UIDs);
PS3.3 C.4.10, C.4.11, C.7.1.1, C.7.3.1.1.1 (defined terms).
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from mwl.attributes import (
    MODALITY,
    MODALITY_TERMS,
    PATIENT_SEX,
    SCHEDULED_STATION_AE_TITLE,
    STUDY_INSTANCE_UID,
)
from mwl.check.subject import Fault, Finder, Level, Subject
from mwl.dataset import keyword_of

CODE_VALUE = 0x00080100
CODING_SCHEME_DESIGNATOR = 0x00080102
CODE_MEANING = 0x00080104
LONG_CODE_VALUE = 0x00080119
URN_CODE_VALUE = 0x00080120
REQUESTED_PROCEDURE_PRIORITY = 0x00401003
SCHEDULED_PROCEDURE_STEP_STATUS = 0x00400020

# ------------------------------------------------------------------------------- codes


def _code_items(subject: Subject) -> Iterator[Level]:
    for sequences, levels in subject.within.items():
        if sequences and keyword_of(sequences[-1]).endswith("CodeSequence"):
            yield from levels


def no_code(subject: Subject) -> Iterator[Fault]:
    """MWL501."""
    for item in _code_items(subject):
        if not any(map(item.has_value, (CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE))):
            yield Fault((*item.path, CODE_VALUE), "no code")


def no_scheme(subject: Subject) -> Iterator[Fault]:
    """MWL502: a URN names its scheme itself."""
    for item in _code_items(subject):
        has_code = item.has_value(CODE_VALUE) or item.has_value(LONG_CODE_VALUE)
        if has_code and not item.has_value(CODING_SCHEME_DESIGNATOR):
            yield Fault((*item.path, CODING_SCHEME_DESIGNATOR), "no value beside a code")


def no_meaning(subject: Subject) -> Iterator[Fault]:
    """MWL503."""
    for item in _code_items(subject):
        if not item.has_value(CODE_MEANING):
            yield Fault((*item.path, CODE_MEANING), "no value")


# ------------------------------------------------------------------------------- UIDs

_UUID_ROOT = "2.25."
_UUID_DIGITS = 39
_EXAMPLE_ROOT = "1.2.3."
_ARCS = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


def unregistered_uid(subject: Subject) -> Iterator[Fault]:
    """MWL504."""
    for uid in subject.root.texts(STUDY_INSTANCE_UID):
        if message := _root_fault(uid):
            yield Fault((STUDY_INSTANCE_UID,), message)


def _root_fault(uid: str) -> str:
    # ISO/IEC 8824: three arcs below the root, and 40 below each of the first two of them.
    arcs = _ARCS.fullmatch(uid)
    if arcs is None:  # another rule tells why
        return "it has one component" if uid.isdecimal() else ""
    if arcs[1] not in {"0", "1", "2"}:
        return f"it begins with {arcs[1][:4]}, and no root has more than 2 there"
    if arcs[1] != "2" and (len(arcs[2]) > 2 or int(arcs[2]) > 39):
        return f"no root begins with {arcs[1]}.{arcs[2][:4]}"
    if uid.startswith(_EXAMPLE_ROOT):
        return f"it is under {_EXAMPLE_ROOT[:-1]}, which stands in examples and belongs to nobody"
    if uid.startswith(_UUID_ROOT) and not _is_uuid(uid[len(_UUID_ROOT) :]):
        return "2.25 is followed by one number of 128 bits at most"
    return ""


def _is_uuid(text: str) -> bool:
    return "." not in text and len(text) <= _UUID_DIGITS and int(text) < 2**128


# ------------------------------------------------------------------------------- terms

_CODE_LENGTH = 16
"""Characters of a code string: PS3.5 Table 6.2-1."""

_MEANT = {"MRI": "MR", "XR": "DX or CR", "DR": "DX", "USG": "US", "PET": "PT", "MAMMO": "MG"}
"""What is written for a modality outside DICOM, and the term for it."""

_TERMS: Mapping[int, frozenset[str]] = {
    MODALITY: MODALITY_TERMS,
    PATIENT_SEX: frozenset({"M", "F", "O"}),
    REQUESTED_PROCEDURE_PRIORITY: frozenset({"STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW"}),
    SCHEDULED_PROCEDURE_STEP_STATUS: frozenset(
        {"SCHEDULED", "ARRIVED", "READY", "STARTED", "DEPARTED"}
    ),
}
"""Attributes with the values that the standard has for them."""


def undefined_term(subject: Subject) -> Iterator[Fault]:
    """MWL505."""
    for field in subject.fields:
        terms = _TERMS.get(field.path[-1])
        for text in field.texts or () if terms else ():
            term = text.strip(" ")
            # Letters that a code string does not have are the business of another rule.
            if terms and term and term.upper() not in terms:
                yield Fault(field.path, _advice(field.path[-1], term, terms))


def _advice(tag: int, term: str, terms: frozenset[str]) -> str:
    if tag != MODALITY:
        return f"the terms are {', '.join(sorted(terms))}"
    meant = _MEANT.get(term.upper()) or "".join(get_close_matches(term.upper(), terms, n=1))
    # What is not even near a term may stand in the wrong column, where a name was meant.
    if not meant:
        return f"a value of {len(term)} characters is no modality"
    return f"{term[:_CODE_LENGTH]!a} is no modality; did you mean {meant}?"


# ------------------------------------------------------------------------------- AE titles


def small_letters(subject: Subject) -> Iterator[Fault]:
    """MWL506."""
    for field in subject.fields:
        if field.path[-1] == SCHEDULED_STATION_AE_TITLE:
            for number, title in enumerate(field.texts or (), start=1):
                if title != title.upper():
                    which = f"value {number}" if len(field.texts or ()) > 1 else "it"
                    yield Fault(field.path, f"{which} has small letters")


FINDERS: Mapping[str, Finder] = {
    "MWL501": no_code,
    "MWL502": no_scheme,
    "MWL503": no_meaning,
    "MWL504": unregistered_uid,
    "MWL505": undefined_term,
    "MWL506": small_letters,
}
"""What looks for breaches of each rule."""
