"""JSON to what it says about items."""

import json

import pytest

from mwl.compose import Document, read_documents, read_template
from mwl.dataset import read_file, to_json
from mwl.errors import InputError
from mwl.keys import describe_path
from support.new_items import ENOUGH, made, recipe, value_of


def said(document: Document | InputError) -> dict[str, str]:
    assert isinstance(document, Document), document
    return {describe_path(one.path): one.value for one in document.assignments}


def one(text: str) -> Document:
    (document,), is_array = read_documents(text, "a.json")
    assert not is_array
    assert isinstance(document, Document)
    return document


def test_an_object_by_keyword_says_what_its_keys_say() -> None:
    document = one(
        """{"PatientName": "DOE^JANE", "0010,0020": 17, "PatientWeight": 58.50, "Allergies": null,
        "ScheduledStationAETitle": ["CT1", "CT2"], "ReferencedStudySequence": [],
        "ScheduledProcedureStepSequence[0].Modality": "CT"}"""
    )
    assert said(document) == {
        "PatientName": "DOE^JANE",
        "PatientID": "17",
        "PatientWeight": "58.50",
        "Allergies": "",
        "ScheduledStationAETitle": "CT1\\CT2",
        "ReferencedStudySequence": "",
        "ScheduledProcedureStepSequence[0].Modality": "CT",
    }


def test_the_items_of_a_sequence_are_numbered() -> None:
    document = one(
        '{"ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"Modality": "MR",'
        ' "ScheduledProtocolCodeSequence": [{"CodeValue": "P1"}]}]}'
    )
    sequence = "ScheduledProcedureStepSequence"
    assert said(document) == {
        f"{sequence}[0]": "",
        f"{sequence}[0].Modality": "CT",
        f"{sequence}[1]": "",
        f"{sequence}[1].Modality": "MR",
        f"{sequence}[1].ScheduledProtocolCodeSequence[0]": "",
        f"{sequence}[1].ScheduledProtocolCodeSequence[0].CodeValue": "P1",
    }


def test_everything_knows_its_line() -> None:
    document = one('\n{\n"PatientName": "A",\n\n"PatientID":\n"1"}')
    assert document.origin.line == 2
    assert [one.origin.line for one in document.assignments] == [3, 6]


def test_an_array_gives_a_document_for_each_and_the_error_of_those_that_are_none() -> None:
    documents, is_array = read_documents('[{"PatientID": 1},\n{"PatientIDD": 2},\n3]', "a.json")
    assert is_array
    assert said(documents[0]) == {"PatientID": "1"}
    assert [str(error).partition(" key")[0] for error in documents[1:]] == [
        "a.json:2:",
        'a.json:3: expected an object that describes an item (write {"PatientName": ...})',
    ]


def test_the_dicom_json_model_is_taken_as_it_is() -> None:
    first = made(
        "PatientName=MÜLLER^A=漢字", *ENOUGH[1:], "PregnancyStatus=4", "PatientWeight=72.5"
    )
    text = json.dumps(to_json(first.elements, first.character_set))
    again = recipe().make(one(text), 1)
    assert read_file(again.encode()) == read_file(first.encode())
    assert again.filled == ()


def test_arguments_override_what_the_model_says() -> None:
    first = made(*ENOUGH)
    text = json.dumps(to_json(first.elements, first.character_set))
    again = recipe("PatientName=MÜLLER", "Modality=MR").make(one(text), 1)
    assert value_of(again, "PatientName") == "MÜLLER"
    assert value_of(again, "Modality", step=0) == "MR"
    assert value_of(again, "ScheduledStationAETitle", step=0) == "CT1"


def test_text_that_the_declared_character_set_lacks_is_refused_and_not_written_in_another() -> None:
    first = made(*ENOUGH, "SpecificCharacterSet=ISO_IR 6")
    text = json.dumps(to_json(first.elements, first.character_set))
    with pytest.raises(InputError, match="not in the character set ISO_IR 6"):
        recipe("PatientComments=ä").make(one(text), 1)
    again = recipe("PatientComments=ä", "SpecificCharacterSet=ISO_IR 192").make(one(text), 1)
    assert value_of(again, "PatientComments") == "ä"
    first = made("PatientName=MÜLLER", *ENOUGH[1:], "SpecificCharacterSet=ISO_IR 100")
    text = json.dumps(to_json(first.elements, first.character_set))
    assert value_of(recipe("PatientComments=ä").make(one(text), 1), "PatientName") == "MÜLLER"
    with pytest.raises(InputError, match="in another character set already"):
        recipe("SpecificCharacterSet=ISO_IR 192").make(one(text), 1)


@pytest.mark.parametrize(
    ("attribute", "fact"),
    [
        ({"vr": "DA", "Value": ["2026-11-24"]}, "DA takes a date"),
        ({"vr": "XX", "Value": ["1"]}, "(0010,0030)"),
        ({"vr": "DA", "Value": "20261124"}, "(0010,0030)"),
        ({"vr": "US", "Value": ["x"]}, "(0010,0030)"),
        ({"vr": "SQ", "Value": []}, "it has VR DA and not SQ"),
        ({"vr": "LO", "Value": ["ok"]}, ""),
    ],
)
def test_what_the_model_says_is_checked_too(attribute: object, fact: str) -> None:
    first = made(*ENOUGH)
    model = to_json(first.elements, first.character_set) | {"00100030": attribute}
    if not fact:
        recipe().make(one(json.dumps(model)), 1)
        return
    with pytest.raises(InputError) as caught:
        recipe().make(one(json.dumps(model)), 1)
    assert fact in str(caught.value)
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("", 1, "no JSON"),
        ('{"PatientID": 1,}', 1, "no JSON"),
        ('{"PatientID": 1\n"PatientName": 2}', 2, "expected ,"),
        ('{"PatientID"\n1}', 2, "expected :"),
        ('{"PatientID": 1}\n{}', 2, "behind the end"),
        ('{"PatientID": 1,\n"PatientID": 2}', 2, "given twice"),
        ('{"PatientID": 1,\n"0010,0020": 2}', 2, "given twice"),
        ('{"PatientID": NaN}', 1, "NaN"),
        ('{"PatientID": ' + "9" * 5000 + "}", 1, "too large"),
        ('{"PatientID": "\n"}', 1, "no JSON"),
        ("{1: 2}", 1, "a key has to be text"),
        ("[" * 100_000, 1, "inside each other"),
        ('{"PatientID":\n{"x": 1}}', 2, "PatientID: its value has to be text"),
        ('{"PatientID":\ntrue}', 2, "PatientID: its value has to be text"),
        ('{"PatientID":\n[{"PatientName": "x"}]}', 2, "PatientID: it is no sequence"),
        ('{"ScheduledProcedureStepSequence[0]": [{"Modality": "x"}]}', 1, "it is no sequence"),
        ('{"ScheduledStationAETitle": ["a\\\\b", "c"]}', 1, "backslash"),
        ('"PatientID"', 1, "expected an object"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(text: str, line: int, fact: str) -> None:
    with pytest.raises(InputError) as caught:
        read_documents(text, "a.json")
    assert fact in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("a.json", line)


def test_a_template_is_one_object_by_keyword() -> None:
    (assignment,) = read_template('{"PatientID": "{counter}"}', "t.json")
    assert assignment.value == "{counter}"
    for text in ("[]", '{"00100020": {"vr": "LO", "Value": ["1"]}}'):
        with pytest.raises(InputError):
            read_template(text, "t.json")


def test_an_item_overrides_its_template() -> None:
    template = read_template(
        '{"Modality": "US", "PatientID": "T{counter:3}", "PatientComments": "{{}}"}', "t.json"
    )
    item = recipe(*ENOUGH[3:], template=template).make(
        one('{"PatientName": "{literal}", "Modality": "MR"}'), 12
    )
    assert value_of(item, "Modality", step=0) == "MR"
    assert value_of(item, "PatientID") == "T012"
    assert value_of(item, "PatientName") == "{literal}"
    assert value_of(item, "PatientComments") == "{}"


@pytest.mark.parametrize("value", ["{tomorrow}", "{", "x" * 65])
def test_a_template_that_cannot_be_used_is_told_before_any_item_is_made(value: str) -> None:
    text = '{"PatientName": "A",\n"PatientID": ' + json.dumps(value) + "}"
    with pytest.raises(InputError) as caught:
        recipe(template=read_template(text, "t.json"))
    assert (caught.value.file, caught.value.line) == ("t.json", 2)


def test_an_argument_holds_for_every_step_of_the_model() -> None:
    first = made(*ENOUGH, "ScheduledProcedureStepSequence[1].Modality=MR")
    text = json.dumps(to_json(first.elements, first.character_set))
    again = recipe("ScheduledStationAETitle=NEW").make(one(text), 1)
    assert [value_of(again, "ScheduledStationAETitle", step=step) for step in (0, 1)] == ["NEW"] * 2
    assert [value_of(again, "Modality", step=step) for step in (0, 1)] == ["CT", "MR"]
