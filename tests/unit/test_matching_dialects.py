"""The two dialects: one test for each row of the table in docs/matching.md, run in both."""

import re
from pathlib import Path
from typing import Any

import pytest

from mwl.dataset import ENCODINGS, EXPLICIT_VR_LITTLE_ENDIAN, Elements, decode
from mwl.matching import DIALECTS, Policy
from support.items import item, items, policy, query, step

STEPS = "ScheduledProcedureStepSequence"
SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN

both = pytest.mark.parametrize("dialect", ["standard", "orthanc"])


def answer(asked: dict[str, Any], stored: dict[str, Any], chosen: Policy) -> Elements:
    found = item(stored, default=chosen.default_character_set)
    return decode(query(asked, chosen).answer(found, SYNTAX), SYNTAX)


@both
def test_a_requested_key_that_the_item_lacks(dialect: str) -> None:
    asked = {"MedicalAlerts": "", "PatientID": "", **step(Modality="", PreMedication="")}
    found = answer(asked, {"PatientID": "P1", **step(Modality="CT")}, policy(dialect))
    is_standard = dialect == "standard"
    assert (0x00102000 in found) is is_standard
    (inner,) = found[0x00400100].value
    assert isinstance(inner, dict)
    assert (0x00400012 in inner) is is_standard


@both
def test_a_requested_sequence_that_the_item_lacks(dialect: str) -> None:
    found = answer({"ReferencedStudySequence": []}, {"PatientID": "P1"}, policy(dialect))
    assert (0x00081110 in found) is (dialect == "standard")


@both
def test_a_step_key_on_an_item_without_steps(dialect: str) -> None:
    compiled = query({"PatientID": "P*", **step(Modality="CT")}, policy(dialect))
    assert compiled.matches(item({"PatientID": "P1"})) is (dialect == "orthanc")
    assert not compiled.matches(item({"PatientID": "X"}))
    assert not compiled.matches(item({"PatientID": "P1", STEPS: []}))


@both
def test_a_file_with_several_steps(dialect: str) -> None:
    steps = [{"Modality": "CT"}, {"Modality": "MR"}, {"Modality": "CT"}]
    chosen = policy(dialect)
    found = items({STEPS: steps}, split_steps=chosen.dialect.splits_steps)
    compiled = query(step(Modality="CT"), chosen)
    answers = [
        decode(compiled.answer(each, SYNTAX), SYNTAX)[0x00400100].value
        for each in found
        if compiled.matches(each)
    ]
    assert list(map(len, answers)) == ([1, 1] if dialect == "standard" else [2])


@both
def test_the_character_set_of_an_answer(dialect: str) -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller"}
    found = answer({"PatientName": ""}, stored, policy(dialect))
    terms, name = found[0x00080005].value, found[0x00100010].value
    if dialect == "standard":
        assert (terms, name) == (b"ISO_IR 192", "Müller ".encode())
    else:
        assert (terms, name) == (b"ISO_IR 100", "Müller".encode("latin-1"))


@both
def test_the_character_set_of_a_plain_answer(dialect: str) -> None:
    found = answer({"PatientName": ""}, {"PatientName": "DOE"}, policy(dialect))
    assert (0x00080005 in found) is (dialect == "orthanc")


@both
def test_characters_that_the_default_set_lacks(dialect: str) -> None:
    stored = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Łoś^Jörg",
        **step(ScheduledStationName="Ł 1"),
    }
    asked = {"PatientName": "", **step(ScheduledStationName="")}
    compiled = query(asked, policy(dialect))
    identifier, lost = compiled.answer_with_loss(item(stored), SYNTAX)
    name = decode(identifier, SYNTAX)[0x00100010].value
    if dialect == "standard":
        assert (name, lost) == ("Łoś^Jörg ".encode(), 0)
    else:
        assert (name, lost) == ("o^Jörg".encode("latin-1"), 3)


@both
def test_the_callers_station_on_an_item_without_steps(dialect: str) -> None:
    fill, force = (
        query({}, policy(dialect), station_ae_title="CT1", station_rule=rule)
        for rule in ("fill", "force")
    )
    assert fill.matches(item({})) is (dialect == "orthanc")
    assert not force.matches(item({}))


def test_a_transcoded_answer_can_need_unicode() -> None:
    chosen = policy("orthanc", default=ENCODINGS["Windows1251"])
    stored = {"PatientName": "Иванов".encode("cp1251")}
    found = answer({"PatientName": ""}, stored, chosen)
    assert (found[0x00080005].value, found[0x00100010].value) == (b"ISO_IR 192", "Иванов".encode())


def test_undecodable_text_is_lost_when_transcoded() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": b"P\xff1\xfe"}
    answered = query({"PatientID": ""}, policy("orthanc")).answer_with_loss(item(stored), SYNTAX)
    assert decode(answered.identifier, SYNTAX)[0x00100020].value == b"P1"
    assert answered.lost_characters == 2


def test_a_character_set_within_a_sequence_is_transcoded_away() -> None:
    inner = {"SpecificCharacterSet": "ISO_IR 192", "ScheduledStationName": "Röntgen"}
    found = answer(step(ScheduledStationName=""), {STEPS: [inner]}, policy("orthanc"))
    (returned,) = found[0x00400100].value
    assert isinstance(returned, dict)
    assert {tag: each.value for tag, each in returned.items()} == {
        0x00400010: "Röntgen ".encode("latin-1")
    }


def test_dialects_are_found_by_name() -> None:
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {
        "standard": "standard",
        "orthanc": "orthanc",
    }


def test_every_row_of_the_documented_table_has_its_test() -> None:
    text = (Path(__file__).parents[2] / "docs" / "matching.md").read_text(encoding="utf-8")
    rows = text.split("## The two dialects")[1].split("| --- | --- | --- | --- |\n")[1]
    for row in rows.split("\n\n")[0].splitlines():
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert all(name in globals() for name in named), row
