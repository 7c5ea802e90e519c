"""Items that queries will miss are named, with the reason; others are not."""

from collections.abc import Mapping
from typing import Any

import pytest

from mwl.matching import doubts
from support.items import items, policy, query, step
from support.telemetry import captured_log
from support.worklist import Site

GOOD: Mapping[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "AccessionNumber": "1",
    "PatientName": "DOE^JANE",
    "PatientID": "P1",
    "StudyInstanceUID": "1.2.3",
    **step(
        Modality="CT",
        ScheduledStationAETitle="CT1",
        ScheduledProcedureStepStartDate="20261123",
        ScheduledProcedureStepStartTime="0800",
    ),
}


def reasons(values: Mapping[str, Any], *, needs_step: bool = True) -> list[str]:
    (item,) = items(values)
    return list(doubts(item, needs_step=needs_step))


def test_a_good_item_raises_no_doubt() -> None:
    assert reasons(GOOD) == []


def test_empty_and_missing_values_raise_no_doubt() -> None:
    assert (
        reasons({"PatientName": "", **step(Modality="", ScheduledProcedureStepStartDate="")}) == []
    )


@pytest.mark.parametrize("date", ["10/01/2025", "2025-01-10", "tomorrow"])
def test_a_date_that_is_none_is_named(date: str) -> None:
    (reason,) = reasons({**GOOD, **step(ScheduledProcedureStepStartDate=date)})
    assert reason.startswith("Scheduled Procedure Step Start Date cannot be read")


def test_a_time_that_is_none_is_named() -> None:
    (reason,) = reasons({**GOOD, **step(ScheduledProcedureStepStartTime="9 Uhr")})
    assert reason.startswith("Scheduled Procedure Step Start Time cannot be read")


def test_a_name_that_its_character_set_cannot_decode_is_named() -> None:
    (reason,) = reasons({**GOOD, "SpecificCharacterSet": "ISO_IR 192", "PatientName": b"M\xfcller"})
    assert reason.startswith("Patient's Name cannot be read")


def test_an_item_without_a_step_is_named_where_queries_need_one() -> None:
    values = {key: value for key, value in GOOD.items() if not isinstance(value, list)}
    (reason,) = reasons(values)
    assert "no scheduled procedure step" in reason
    assert reasons(values, needs_step=False) == []


@pytest.mark.parametrize("needs_step", [True, False], ids=["standard", "orthanc"])
@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        pytest.param({"ScheduledProcedureStepSequence": []}, "is empty", id="empty"),
        pytest.param({"0040,0100 UN": b""}, "is empty", id="empty and of unknown VR"),
        # An explicit item in a value of VR UN, whose content is implicit (PS3.5 section 6.2.2).
        pytest.param(
            {"0040,0100 UN": b"\xfe\xff\x00\xe0\x0a\0\0\0\x08\0\x60\0CS\x02\0CT"},
            "cannot be read",
            id="unreadable",
        ),
    ],
)
def test_an_item_whose_steps_are_empty_or_cannot_be_read_is_named(
    sequence: dict[str, Any], reason: str, needs_step: bool
) -> None:
    (told,) = reasons({"PatientID": "P1", **sequence}, needs_step=needs_step)
    assert reason in told
    (item,) = items({"PatientID": "P1", **sequence})
    dialect = policy("standard" if needs_step else "orthanc")
    assert not query(step(Modality="CT"), dialect).matches(item)


def test_a_doubtful_file_is_told_once_and_again_when_it_changed() -> None:
    site = Site(policy())
    with captured_log() as log:
        for date in ("10/01/2025", "10/02/2025"):
            site.put("a.wl", {**GOOD, **step(ScheduledProcedureStepStartDate=date)})
            site.put("b.wl", GOOD)
            assert len(site.ask({"PatientID": ""}).answers) == 2
            assert len(site.ask({"PatientID": ""}).answers) == 2
    assert [event["source"] for event in log.events("file_doubtful")] == ["a.wl", "a.wl"]
    assert "10/01" not in str(log.events("file_doubtful"))
