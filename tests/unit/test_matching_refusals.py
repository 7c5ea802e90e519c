"""Which queries are refused, and with what: PS3.4 Table K.4-1."""

from typing import Any

import pytest

from mwl.dataset import Element
from mwl.errors import RequestRefused
from mwl.matching import compile as compile_query
from support.items import elements, policy, query, step

DATE = "ScheduledProcedureStepStartDate"
TIME = "ScheduledProcedureStepStartTime"
MOMENT = "ScheduledProcedureStepStartDateTime"
STEPS = "ScheduledProcedureStepSequence"


def refusal(asked: dict[str, Any]) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        query(asked)
    assert caught.value.status == 0xA900
    return caught.value


@pytest.mark.parametrize(
    ("asked", "comment", "offending"),
    [
        (
            step(**{DATE: "2025*"}),
            "Start Date is not YYYYMMDD or a range of such dates",
            (0x00400100, 0x00400002),
        ),
        (
            step(**{DATE: "20250230"}),
            "Start Date is not YYYYMMDD or a range of such dates",
            (0x00400100, 0x00400002),
        ),
        (
            step(**{TIME: "2500"}),
            "Start Time is not HHMMSS or a range of such times",
            (0x00400100, 0x00400003),
        ),
        (
            {"PatientBirthDate": "-"},
            "Patient's Birth Date is not YYYYMMDD or a range of such dates",
            (0x00100030,),
        ),
        (
            {"StudyInstanceUID": "1.2.*"},
            "Study Instance UID is not a UID or a list of UIDs",
            (0x0020000D,),
        ),
        (
            {STEPS: [{}, {}]},
            "Scheduled Procedure Step Sequence must have one item in a query",
            (0x00400100,),
        ),
        ({STEPS: b"CT"}, "Scheduled Procedure Step Sequence must be a sequence", (0x00400100,)),
        ({"0010,0020 SQ": [{}]}, "Patient ID must not be a sequence", (0x00100020,)),
        (
            {"SpecificCharacterSet": "ISO_IR 192", "PatientName": b"\xff\xff"},
            "Patient's Name does not fit the query's character set",
            (0x00100010,),
        ),
        (
            {"PregnancyStatus": b"\1\0\1"},
            "Pregnancy Status has a length that is wrong for its VR",
            (0x001021C0,),
        ),
        (
            {"0042,0011 OB": b"x1"},
            "Encapsulated Document cannot be a matching key (VR OB)",
            (0x00420011,),
        ),
        (
            {"0002,0010 UI": "1.2"},
            "Transfer Syntax UID does not belong into a query",
            (0x00020010,),
        ),
    ],
)
def test_an_illegal_key_is_refused(
    asked: dict[str, Any], comment: str, offending: tuple[int, ...]
) -> None:
    refused = refusal(asked)
    assert refused.comment == comment
    assert refused.offending == offending


@pytest.mark.parametrize(
    "key", ["2025011", "20251301", "2025-01-10", "20250110-x", "--", "20250110--", "10.01.2025"]
)
def test_what_is_no_date_is_refused(key: str) -> None:
    assert refusal({"PatientBirthDate": key}).offending == (0x00100030,)


@pytest.mark.parametrize("key", ["20250110250000", "20250110-20250111-20250112", "-", "x"])
def test_what_is_no_moment_is_refused(key: str) -> None:
    assert refusal(step(**{MOMENT: key})).offending == (0x00400100, 0x00404005)


def test_an_unknown_character_set_is_refused() -> None:
    identifier = elements({"PatientID": "1"}) | {0x00080005: Element(0x00080005, "CS", b"KLINGON ")}
    with pytest.raises(RequestRefused) as caught:
        compile_query(dict(sorted(identifier.items())), policy())
    assert caught.value.offending == (0x00080005,)
    assert caught.value.comment == "Specific Character Set is not supported"
