"""Why a query finds what it finds, in words and hints."""

from typing import Any

import pytest

from mwl.access import AccessPolicy, Caller, KnownCaller
from mwl.catalog import Catalog
from mwl.explain import Report, explain
from mwl.explain.words import EMPTY, MISSING, NO_STEP, UNREADABLE
from mwl.find import Rules, Worklist
from mwl.store.memory import MemoryStore
from support.items import Values, elements, items, policy, step

OPEN = AccessPolicy(always_allow_find_worklist=True)
CALLER = Caller("CT1", "ORTHANC", "127.0.0.1")

ITEM: Values = {
    "AccessionNumber": "A0001",
    "PatientName": "DOE^JANE^M",
    "PatientID": "P1",
    **step(
        Modality="CT",
        ScheduledStationAETitle="CT1",
        ScheduledProcedureStepStartDate="20261124",
        ScheduledProcedureStepStartTime="083000",
    ),
}


def report_of(
    query: Values,
    *stored: Values,
    access: AccessPolicy = OPEN,
    caller: Caller = CALLER,
    dialect: str = "standard",
    case_sensitive: bool = False,
    **rules: Any,
) -> Report:
    store = MemoryStore()
    for number, values in enumerate(stored or (ITEM,)):
        store.put(f"{number}.wl", items(values, f"{number}.wl", split_steps=dialect == "standard"))
    chosen = policy(dialect, case_sensitive=case_sensitive)
    worklist = Worklist(Catalog(store), Rules(chosen, **rules))
    return explain(worklist, access, caller, elements(query))


def date_query(date: str, time: str = "") -> Values:
    return step(ScheduledProcedureStepStartDate=date, ScheduledProcedureStepStartTime=time)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (step(Modality="CT"), "is “CT”"),
        (step(Modality="CT\\MR"), "is one of “CT”, “MR”"),
        ({"PatientID": "P*"}, "is like “P*”: * stands for any characters, ? for one"),
        ({"PatientName": "DOE^JANE"}, "is “DOE^JANE”; case and accents do not count"),
        ({"StudyInstanceUID": "1.2\\1.3"}, "is one of “1.2”, “1.3”"),
        (date_query("20261124"), "is 2026-11-24"),
        (date_query("202611"), "from 2026-11-01 to 2026-11-30, both included"),
        (date_query("20261123-20261124"), "from 2026-11-23 to 2026-11-24, both included"),
        (date_query("20261123-"), "from 2026-11-23 on"),
        (date_query("-20261123"), "up to 2026-11-23, included"),
        (
            date_query("20261124-20261123"),
            "from 2026-11-24 to 2026-11-23: it ends before it begins, so nothing matches",
        ),
        (
            date_query("20261123-20261124", "0800-1800"),
            "from 2026-11-23 08:00 to 2026-11-24 18:00, both included",
        ),
        (date_query("", "0830"), "is 08:30"),
        (date_query("", "083015.5-09"), "from 08:30:15.500000 to 09:59, both included"),
        ({"0040,A13A DT": "2026112408-20261125"}, "from 2026-11-24 08:00 to 2026-11-25 23:59"),
        ({"0009,1001 UN": b"X ", "0009,0010 LO": "MAKER"}, "compared as the item's own VR has it"),
    ],
)
def test_what_a_key_asks_for_is_said_in_words(query: Values, words: str) -> None:
    assert any(words in key.words for key in report_of(query).keys)


def test_a_key_without_a_value_is_only_returned() -> None:
    report = report_of(
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "", **step(Modality="")}
    )
    assert report.keys == []
    assert report.returned == ["Patient's Name", "Modality"]
    assert len(report.matches) == 1


def test_the_two_parts_of_one_interval_are_not_said_to_be_returned_only() -> None:
    report = report_of(date_query("20261123-20261124", "0800-1800"))
    assert report.returned == []


def test_each_miss_names_every_key_that_left_it_out_with_both_values() -> None:
    report = report_of({"PatientID": "P2", "AccessionNumber": "A0001", **step(Modality="MR")})
    (miss,) = report.misses
    assert [(criterion.name, stored) for criterion, stored in miss.stored()] == [
        ("PatientID", "“P1”"),
        ("ScheduledProcedureStepSequence.Modality", "“CT”"),
    ]
    assert [(key.name, key.excluded) for key in report.keys] == [
        ("AccessionNumber", 0),
        ("PatientID", 1),
        ("ScheduledProcedureStepSequence.Modality", 1),
    ]


def test_the_nearest_miss_comes_first() -> None:
    far = {**ITEM, "PatientID": "Q7", **step(Modality="MR")}
    near = {**ITEM, "PatientID": "Q7"}
    alike = {**ITEM, "PatientID": "P22"}
    report = report_of({"PatientID": "P2", **step(Modality="CT")}, far, near, alike)
    assert [miss.item.source for miss in report.misses] == ["2.wl", "1.wl", "0.wl"]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({**ITEM, **step(Modality="")}, EMPTY),
        ({**ITEM, **step(ScheduledStationAETitle="X")}, MISSING),
        ({"PatientID": "P1"}, NO_STEP),
        ({**ITEM, **step(Modality="MR")}, "“MR”"),
    ],
)
def test_what_an_item_has_is_said(stored: Values, shown: str) -> None:
    (miss,) = report_of(step(Modality="CT"), stored).misses
    assert [text for _, text in miss.stored()] == [shown]


def test_text_that_cannot_be_read_is_said_to_be_so() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": b"M\xfcller^J"}
    (miss,) = report_of({"PatientName": "Miller"}, stored).misses
    assert [text for _, text in miss.stored()] == [UNREADABLE]


def test_dates_are_written_alike_on_both_sides() -> None:
    (miss,) = report_of(date_query("20261125-20261126", "0800-1800")).misses
    assert [text for _, text in miss.stored()] == ["2026-11-24 08:30"]


def test_steps_that_meet_all_keys_only_together_are_told() -> None:
    stored = {
        "ScheduledProcedureStepSequence": [
            {"Modality": "CT", "ScheduledStationAETitle": "A"},
            {"Modality": "MR", "ScheduledStationAETitle": "B"},
        ]
    }
    query = step(Modality="CT", ScheduledStationAETitle="B")
    (miss,) = report_of(query, stored, dialect="orthanc").misses
    ((_, text),) = miss.stored()
    assert text == (
        "no single item of the sequence meets all of: Modality, Scheduled Station AE Title"
    )


@pytest.mark.parametrize(
    ("query", "stored", "hint"),
    [
        (step(Modality="CT"), {"PatientID": "P1"}, "Sequence is missing in the item"),
        ({"AccessionNumber": "X"}, {"AccessionNumber": ""}, "has no value in the item"),
        (
            {"PatientName": "X"},
            {"SpecificCharacterSet": "ISO_IR 192", "PatientName": b"\xfc"},
            "is not in the character set that the item declares",
        ),
        (step(ScheduledStationAETitle="CT2"), ITEM, "The device asks for “CT2”"),
        (date_query("20261125"), ITEM, "for the day before what is asked"),
        (date_query("20261120-20261123", "08-09"), ITEM, "for the day after what is asked"),
        (date_query("20261123-20261124", "0800-0810"), ITEM, "The day is right"),
        ({"PatientSize": "1*"}, {"PatientSize": "1.5"}, "in which * and ? are no wild cards"),
        (step(Modality="ct"), ITEM, "Only upper and lower case differ in Modality"),
        ({"PatientID": "00-12"}, {"PatientID": "12"}, "Only spaces, hyphens or leading zeros"),
        ({"PatientName": "DOE^JANE"}, ITEM, "more components in Patient's Name than the key"),
        ({"PatientName": "DOE^JANE^M^DR"}, ITEM, "The key has more components"),
        ({"PatientName": "DOE, JANE M"}, ITEM, "as people write it"),
        ({"PatientName": "JANE^DOE^M"}, ITEM, "in another order"),
        (
            {"PatientName": "Muller"},
            {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller"},
            "CaseSensitivePN is true",
        ),
        (
            {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "Ä1"},
            {"SpecificCharacterSet": "ISO_IR 100", "PatientID": "Ä1".encode()},
            "looks like UTF-8 that was declared as Latin 1",
        ),
        (
            {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Äb*"},
            {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Äbc^D".encode()},
            "looks like UTF-8 that was declared as Latin 1",
        ),
        (
            {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Äb*".encode()},
            {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Äbc^D"},
            "looks like UTF-8 that was declared as Latin 1",
        ),
        ({"Modality": "CT"}, ITEM, "ask with ScheduledProcedureStepSequence[0].Modality"),
        ({"AccessionNumber": "P1"}, ITEM, "is the item's Patient ID"),
    ],
)
def test_a_usual_trap_gets_a_hint(query: Values, stored: Values, hint: str) -> None:
    is_exact = "CaseSensitivePN" in hint
    report = report_of(query, stored, case_sensitive=is_exact)
    assert any(hint in found.text for found in report.hints), report.hints
    assert all(found.source == "0.wl" and found.items == 1 for found in report.hints)


@pytest.mark.parametrize(
    "query",
    [
        step(Modality="MR"),
        {"PatientID": "XYZ"},
        date_query("20250101"),
        {"PatientName": "ROE"},
        step(ScheduledStationAETitle="MR*"),
    ],
)
def test_what_is_simply_another_gets_no_hint(query: Values) -> None:
    assert report_of(query).hints == []


def test_hints_are_about_the_nearest_misses_and_counted() -> None:
    far = {**ITEM, "PatientID": "", **step(Modality="MR")}
    report = report_of({"PatientID": "P1", **step(Modality="ct")}, ITEM, ITEM, far)
    (hint,) = report.hints
    assert (hint.source, hint.items) == ("0.wl", 2)


def test_the_station_rule_is_a_key_of_its_own() -> None:
    report = report_of({}, caller=CALLER_MR, station_rule="fill")
    (key,) = report.keys
    assert "is the caller's own AE title “MR9”" in key.words
    assert "FilterIssuerAet" in report.hints[0].text


CALLER_MR = Caller("MR9", "ORTHANC", "127.0.0.1")


def test_the_limit_cuts_the_answers_and_not_the_matches() -> None:
    report = report_of({}, ITEM, ITEM, ITEM, limit_answers=2)
    assert report.outcome is not None
    assert (report.outcome.status, report.outcome.answers, len(report.matches)) == (0xFE00, 2, 3)


def test_the_answer_is_what_the_server_would_send() -> None:
    report = report_of({"PatientName": "", "PatientSize": ""})
    answer, _ = report.answer(report.matches[0])
    assert {tag: element.value for tag, element in answer.items()} == {
        0x00100010: b"DOE^JANE^M",
        0x00101020: b"",
    }


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        (date_query("2026*"), "dates have no wild cards"),
        (date_query("", "8 o'clock"), "times have no wild cards"),
        ({"StudyInstanceUID": "1.2.*"}, "whole UIDs"),
        ({"ScheduledProcedureStepSequence": [{}, {}]}, "one item in the sequence"),
    ],
)
def test_a_refused_key_is_told_with_what_is_legal(query: Values, hint: str) -> None:
    report = report_of(query)
    assert report.outcome is not None
    assert report.outcome.status == 0xA900
    assert report.items == 1
    assert [hint in found.text for found in report.hints] == [True]


@pytest.mark.parametrize(
    ("access", "stage"),
    [
        (AccessPolicy(always_allow_echo=False, always_allow_other=False), "association"),
        (AccessPolicy(), "query"),
        (AccessPolicy(modalities=(KnownCaller("ct", "CT1", "127.0.0.1", True, False),)), "query"),
    ],
)
def test_a_caller_that_is_refused_is_told_why_and_what_it_would_get(
    access: AccessPolicy, stage: str
) -> None:
    report = report_of({}, access=access)
    assert report.refused is not None
    assert report.refused.stage == stage
    assert report.refused.reason
    assert report.refused.remedy
    assert len(report.matches) == 1


def test_a_called_ae_title_without_a_worklist_is_told() -> None:
    report = explain(None, OPEN, CALLER, {})
    assert report.refused is not None
    assert "no folder for the called AE title ORTHANC" in report.refused.reason
    assert report.outcome is None


def test_files_that_cannot_be_served_are_told() -> None:
    store = MemoryStore()
    store.refuse("bad.wl", "no data set")
    worklist = Worklist(Catalog(store), Rules(policy()))
    assert explain(worklist, OPEN, CALLER, {}).unreadable == {"bad.wl": "no data set"}
