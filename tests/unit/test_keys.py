"""Keys as findscu spells them."""

import pytest

from mwl.dataset import ENCODINGS, Element, character_set, values
from mwl.errors import InputError
from mwl.keys import USUAL_KEYS, describe_path, identifier_of, parse_path

SEQUENCE = 0x00400100
MODALITY = 0x00080060
ASCII = ENCODINGS["Ascii"]


@pytest.mark.parametrize("key", ["0008,0050=A1", "(0008,0050)=A1", "AccessionNumber=A1"])
def test_a_tag_in_parentheses_a_tag_and_a_keyword_name_the_same_attribute(key: str) -> None:
    assert values(identifier_of([key])[0x00080050], ASCII) == ["A1"]


@pytest.mark.parametrize(
    "key",
    [
        "ScheduledProcedureStepSequence[0].Modality=CT",
        "0040,0100[0].0008,0060=CT",
        "(0040,0100)[0].Modality=CT",
    ],
)
def test_a_path_goes_into_the_item_of_a_sequence(key: str) -> None:
    assert identifier_of([key])[SEQUENCE].value == ({MODALITY: Element(MODALITY, "CS", b"CT")},)


def test_keys_of_one_item_come_together_in_ascending_order() -> None:
    identifier = identifier_of(
        [
            "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=CT1",
            "ScheduledProcedureStepSequence[0].Modality=CT",
            "AccessionNumber",
        ]
    )
    assert list(identifier) == [0x00080050, SEQUENCE]
    (item,) = identifier[SEQUENCE].value
    assert isinstance(item, dict)
    assert list(item) == [MODALITY, 0x00400001]


def test_a_key_without_a_value_asks_for_the_attribute() -> None:
    assert identifier_of(["PatientName"])[0x00100010].value == b""


def test_a_sequence_without_an_item_is_empty_and_with_one_has_an_empty_item() -> None:
    assert identifier_of(["ScheduledProcedureStepSequence"])[SEQUENCE].value == ()
    assert identifier_of(["ScheduledProcedureStepSequence[0]"])[SEQUENCE].value == ({},)


def test_a_later_key_overrides_the_query_file() -> None:
    base = identifier_of(["PatientID=1", "PatientName=A"])
    identifier = identifier_of(["PatientID=2"], base=base)
    assert values(identifier[0x00100020], ASCII) == ["2"]
    assert values(identifier[0x00100010], ASCII) == ["A"]


def test_text_that_is_not_ascii_goes_out_as_utf_8() -> None:
    identifier = identifier_of(["PatientName=Müller*"])
    text = character_set(identifier, ASCII)
    assert text.terms == ("ISO_IR 192",)
    assert values(identifier[0x00100010], text) == ["Müller*"]


def test_a_character_set_among_the_keys_is_used() -> None:
    identifier = identifier_of(["0008,0005=ISO_IR 100", "PatientName=Müller"])
    assert identifier[0x00100010].value.rstrip() == "Müller".encode("latin-1")  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["SpecificCharacterSet=ISO_IR 100", "SpecificCharacterSet"])
def test_the_text_of_a_query_file_keeps_its_character_set(key: str) -> None:
    base = identifier_of(["PatientName=Müller*"])
    with pytest.raises(InputError, match="SpecificCharacterSet"):
        identifier_of([key], base=base)
    again = identifier_of(["SpecificCharacterSet=ISO_IR 192", "PatientID=1"], base=base)
    assert again[0x00100010] == base[0x00100010]
    assert 0x00080005 in identifier_of([key], base=identifier_of(["PatientName=M*"]))


def test_the_usual_keys_ask_and_do_not_match() -> None:
    identifier = identifier_of([], also=USUAL_KEYS)
    (item,) = identifier[SEQUENCE].value
    assert isinstance(item, dict)
    asked = [element for element in (*identifier.values(), *item.values()) if element.vr != "SQ"]
    assert len(asked) == len(USUAL_KEYS)
    assert all(element.value == b"" for element in asked)


@pytest.mark.parametrize(
    ("key", "fact"),
    [
        ("PatientNmae=X", "no keyword 'PatientNmae'"),
        ("", "no attribute is named"),
        ("0008;0050", "no tag and no keyword"),
        ("PatientNmae=X", "did you mean PatientName?"),
        ("patientid", "did you mean PatientID?"),
        ("ImageComment", "did you mean ImageComments?"),
        ("PatientName.Modality=CT", "PatientName is no sequence and has no items"),
        ("ScheduledProcedureStepSequence.Modality=CT", "expected [0]"),
        ("PatientName[0].Modality=CT", "PatientName is no sequence"),
        ("ScheduledProcedureStepSequence[0]Modality=CT", "expected a point"),
        ("ScheduledProcedureStepSequence[0].=CT", "no attribute behind"),
        ("ScheduledProcedureStepSequence[0]=CT", "no value of its own"),
        ("PregnancyStatus=maybe", "not a number"),
        ("PregnancyStatus=70000", "not a number"),
        ("ExaminedBodyThickness=1e999", "not a number"),
        ("ScheduledProcedureStepSequence=CT", "name an item"),
    ],
)
def test_a_key_that_cannot_be_read_says_why(key: str, fact: str) -> None:
    with pytest.raises(InputError) as caught:
        identifier_of([key])
    assert fact in str(caught.value)


def test_a_keyword_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(InputError) as caught:
        identifier_of(["Xyzzy=1"])
    assert "did you mean" not in str(caught.value)


def test_a_path_is_described_as_it_is_written() -> None:
    for text in ("PatientName", "ScheduledProcedureStepSequence[1].Modality", "0009,1001"):
        assert describe_path(parse_path(text)) == text
