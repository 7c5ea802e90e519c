"""JSON to what it says about items."""

import json

import pytest

from mwl.compose import Document, NewItem, read_documents, read_template
from mwl.dataset import keyword_of, read_file, to_json
from mwl.errors import InputError
from mwl.keys import describe_path
from support.new_items import ENOUGH, made, recipe, steps_of, value_of


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
        f"{sequence}[1].ScheduledProtocolCodeSequence": "",
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
    assert [str(error) for error in documents[1:]] == [
        "a.json:2: this key is no keyword, tag or path of an attribute (did you mean PatientID?)",
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
        ({"vr": "LO", "Value": ["31 Jan 1970"]}, "it has VR DA and not LO"),
        ({"vr": "LT", "Value": ["tomorrow"]}, "it has VR DA and not LT"),
        ({"vr": "UN", "InlineBinary": "AAAA"}, "it has VR DA and not UN"),
        ({"vr": "US"}, "it has VR DA and not US"),
        ({"vr": "DA"}, ""),
        ({"vr": "DA", "Value": ["20261124"]}, ""),
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
    ("tag", "attribute"),
    [
        ("00280106", {"vr": "SS", "Value": [1]}),  # US or SS in the dictionary
        ("54000110", {"vr": "OB", "InlineBinary": "AAA="}),  # OB or OW
        ("00090010", {"vr": "LO", "Value": ["MAKER"]}),
        ("00091001", {"vr": "US", "Value": [1]}),
        ("00091002", {"vr": "SQ", "Value": []}),
        ("00109999", {"vr": "LO", "Value": ["of an edition to come"]}),
    ],
)
def test_a_choice_of_the_dictionary_and_what_it_does_not_know_have_the_vr_of_the_model(
    tag: str, attribute: object
) -> None:
    model = json.loads(model_of(*ENOUGH)) | {tag: attribute}
    item = recipe().make(one(json.dumps(model)), 1)
    assert item.elements[int(tag, 16)].vr == attribute["vr"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (["UTF8"], "ISO_IR 192"),
        (["ISO IR 100"], "ISO_IR 100"),
        ([None, "ISO_IR 87"], "\\ISO 2022 IR 87"),
    ],
)
def test_a_character_set_that_the_model_misspells_is_written_as_it_should_be(
    said: list[str | None], written: str
) -> None:
    model = json.loads(model_of(*ENOUGH)) | {"00080005": {"vr": "CS", "Value": said}}
    item = recipe().make(one(json.dumps(model)), 1)
    assert value_of(item, "SpecificCharacterSet") == written
    assert item.filled == ()


def test_a_set_of_two_bytes_that_the_model_names_first_is_reached_by_its_escape_sequence() -> None:
    model = json.loads(model_of("PatientName=김^희중", *ENOUGH[1:]))
    model["00080005"]["Value"] = ["ISO 2022 IR 149"]
    item = recipe().make(one(json.dumps(model)), 1)
    assert value_of(item, "SpecificCharacterSet") == "\\ISO 2022 IR 149"
    value = item.elements[0x00100010].value
    assert isinstance(value, bytes)
    assert value.startswith(b"\x1b$)C\xb1\xe8^\x1b$)C")
    assert value_of(item, "PatientName") == "김^희중"
    assert [row.keyword for row in item.filled] == ["SpecificCharacterSet"]


def test_what_a_file_has_in_the_place_of_a_key_or_a_character_set_is_not_shown() -> None:
    model = json.loads(model_of(*ENOUGH)) | {"00080005": {"vr": "CS", "Value": ["SECRET^JANE"]}}
    for text in (
        '{"PatientID": 1,\n"SECRET^JANE 1970": "x"}',
        '{"PatientID": 1,\n"SECRET": "x"}',
        '{"PatientID": 1,\n"PatientName[0].SECRET": "x"}',
        '{"PatientID": 1,\n"SpecificCharacterSet": "SECRET^JANE"}',
        '{"PatientID": 1,\n"SpecificCharacterSet": "ISO_IR 100\\\\SECRET"}',
        json.dumps(model),
    ):
        with pytest.raises(InputError) as caught:
            recipe(*ENOUGH).make(one(text), 1)
        assert "SECRET" not in str(caught.value)
        assert (caught.value.file, caught.value.line) == ("a.json", 2 if "\n" in text else 1)
    with pytest.raises(InputError, match=r"did you mean PatientName\?"):
        read_documents('{"PatientNmae": "x"}', "a.json")


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
    first = made(*ENOUGH, f"{STEP}[0]=", f"{STEP}[1].Modality=MR")
    text = json.dumps(to_json(first.elements, first.character_set))
    again = recipe("ScheduledStationAETitle=NEW").make(one(text), 1)
    assert [value_of(again, "ScheduledStationAETitle", step=step) for step in (0, 1)] == ["NEW"] * 2
    assert [value_of(again, "Modality", step=step) for step in (0, 1)] == ["CT", "MR"]


def model_of(*arguments: str) -> str:
    """Give an item in the DICOM JSON Model."""
    item = made(*arguments)
    return json.dumps(to_json(item.elements, item.character_set))


OWN = {
    "PatientName": "DOE^JANE",
    "PatientID": "4711",
    "Modality": "MR",
    "ScheduledStationAETitle": "MR1",
    "ScheduledProcedureStepStartDate": "20261124",
    "ScheduledProcedureStepStartTime": "0830",
    "RequestedProcedureDescription": "Head",
}
OF_THE_STEP = {"Modality", "ScheduledStationAETitle"} | {
    f"ScheduledProcedureStepStart{one}" for one in ("Date", "Time")
}
AT_THE_TOP = {key: value for key, value in OWN.items() if key not in OF_THE_STEP}
IN_THE_STEP = {key: value for key, value in OWN.items() if key in OF_THE_STEP}
STEP = "ScheduledProcedureStepSequence"
FORMS = {
    "by keyword": json.dumps(OWN),
    "by tag": json.dumps(AT_THE_TOP | {"0008,0060": "MR"} | IN_THE_STEP).replace(
        '"Modality": "MR", ', ""
    ),
    "with the step listed": json.dumps(AT_THE_TOP | {STEP: [IN_THE_STEP]}),
    "with paths": json.dumps(
        AT_THE_TOP | {f"{STEP}[0].{key}": value for key, value in IN_THE_STEP.items()}
    ),
    "in the DICOM JSON Model": model_of(*(f"{key}={value}" for key, value in OWN.items())),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "template",
    [
        dict.fromkeys(OWN, "T")
        | {"ScheduledProcedureStepStartDate": "20000101", "ScheduledProcedureStepStartTime": "00"}
        | {"Modality": "CT", "PatientComments": "from the template"},
        {STEP: [{"Modality": "CT", "ScheduledStationAETitle": "T"}]},
        {f"{STEP}[0].Modality": "CT", "PatientID": "T"},
    ],
)
def test_in_every_form_the_file_overrides_the_template_and_arguments_override_both(
    text: str, template: dict[str, object]
) -> None:
    layers = read_template(json.dumps(template), "t.json")
    item = recipe(template=layers).make(one(text), 1)
    for keyword, value in OWN.items():
        step = 0 if keyword in OF_THE_STEP else None
        assert value_of(item, keyword, step=step) == value
    if "PatientComments" in template:
        assert value_of(item, "PatientComments") == "from the template"
    item = recipe("Modality=US", "PatientID=A", template=layers).make(one(text), 1)
    assert (value_of(item, "Modality", step=0), value_of(item, "PatientID")) == ("US", "A")


def test_the_template_gives_what_the_model_and_its_steps_lack() -> None:
    template = read_template(
        json.dumps(
            {
                "ScheduledStationName": "ROOM",
                STEP: [{"CommentsOnTheScheduledProcedureStep": "c"}],
            }
        ),
        "t.json",
    )
    text = model_of(*ENOUGH, f"{STEP}[0].Modality=CT", f"{STEP}[1].Modality=MR")
    model = json.loads(text)
    for step in model["00400100"]["Value"]:
        step.pop("00400010", None)
    item = recipe(template=template).make(one(json.dumps(model)), 1)
    assert [value_of(item, "ScheduledStationName", step=step) for step in (0, 1)] == ["ROOM"] * 2
    assert value_of(item, "CommentsOnTheScheduledProcedureStep", step=0) == "c"
    assert value_of(item, "CommentsOnTheScheduledProcedureStep", step=1) is None
    assert [value_of(item, "Modality", step=step) for step in (0, 1)] == ["CT", "MR"]


def test_the_character_set_of_the_model_holds_for_what_the_template_says() -> None:
    template = read_template(
        '{"SpecificCharacterSet": "ISO_IR 192", "PatientComments": "\u00e4"}', "t.json"
    )
    text = model_of("PatientName=M\u00dcLLER", *ENOUGH[1:], "SpecificCharacterSet=ISO_IR 100")
    item = recipe(template=template).make(one(text), 1)
    assert value_of(item, "SpecificCharacterSet") == "ISO_IR 100"
    assert value_of(item, "PatientName") == "M\u00dcLLER"
    assert item.elements[0x00104000].value == b"\xe4"


CODES = "ScheduledProtocolCodeSequence"


def codes_of(item: NewItem, step: int = 0) -> list[dict[str, str]]:
    """Give the protocol codes of a step."""
    sequence = steps_of(item)[step][0x00400008].value
    assert isinstance(sequence, tuple)
    return [
        {keyword_of(tag): str(one.value, "ascii").strip() for tag, one in code.items()}  # type: ignore[arg-type]
        for code in sequence
    ]


TWO_CODES = [
    {"CodeValue": "A", "CodingSchemeDesignator": "99", "CodeMeaning": "Alpha"},
    {"CodeValue": "B", "CodingSchemeDesignator": "99", "CodeMeaning": "Beta"},
]
OWN_CODE = {"CodeValue": "C", "CodingSchemeDesignator": "99"}


@pytest.mark.parametrize(
    "template", [{CODES: TWO_CODES}, {STEP: [{CODES: TWO_CODES}]}], ids=["top", "step"]
)
@pytest.mark.parametrize(
    "file", [{CODES: [OWN_CODE]}, {STEP: [{CODES: [OWN_CODE]}]}], ids=["top", "step"]
)
def test_a_sequence_that_the_file_lists_replaces_that_of_the_template(
    template: dict[str, object], file: dict[str, object]
) -> None:
    layers = read_template(json.dumps(template), "t.json")
    item = recipe(*ENOUGH, template=layers).make(one(json.dumps(file)), 1)
    assert codes_of(item) == [OWN_CODE]
    assert codes_of(recipe(*ENOUGH, template=layers).make(one("{}"), 1)) == TWO_CODES


def test_a_path_into_a_sequence_merges_with_it_wherever_it_stands() -> None:
    layers = read_template(json.dumps({CODES: TWO_CODES}), "t.json")
    item = recipe(*ENOUGH, f"{CODES}[1].CodeMeaning=Gamma", template=layers).make(one("{}"), 1)
    assert [code["CodeMeaning"] for code in codes_of(item)] == ["Alpha", "Gamma"]
    path = {f"{CODES}[0].CodeMeaning": "Own"}
    for file in ({CODES: [OWN_CODE]} | path, path | {CODES: [OWN_CODE]}):
        item = recipe(*ENOUGH, template=layers).make(one(json.dumps(file)), 1)
        assert codes_of(item) == [OWN_CODE | {"CodeMeaning": "Own"}]


def test_there_are_as_many_steps_as_the_file_lists_and_the_template_gives_what_they_lack() -> None:
    start = "ScheduledProcedureStepStartTime"
    layers = read_template(
        json.dumps({STEP: [{start: "0800", "Modality": "CT"}, {start: "0900", "Modality": "MR"}]}),
        "t.json",
    )
    rest = [key for key in ENOUGH if not key.startswith(("Modality", start))]
    plain = json.dumps({STEP: [{start: "1000"}]})
    model = json.dumps(
        {"00400100": {"vr": "SQ", "Value": [{"00400003": {"vr": "TM", "Value": ["1000"]}}]}}
    )
    for text in (plain, model):
        item = recipe(*rest, template=layers).make(one(text), 1)
        assert len(steps_of(item)) == 1
        assert value_of(item, start, step=0) == "1000"
        assert value_of(item, "Modality", step=0) == "CT"
    item = recipe(*rest, template=layers).make(one("{}"), 1)
    assert [value_of(item, start, step=step) for step in (0, 1)] == ["0800", "0900"]
    item = recipe(*rest, f"{STEP}[1].{start}=1100", "Modality=US", template=layers).make(
        one(plain), 1
    )
    assert [value_of(item, start, step=step) for step in (0, 1)] == ["1000", "1100"]


@pytest.mark.parametrize("vr", ["ST", "LT", "UT"])
def test_an_array_for_text_that_has_one_value_is_refused(vr: str) -> None:
    keyword = {
        "ST": "InstitutionAddress",
        "LT": "PatientComments",
        "UT": "TextValue",
    }[vr]
    text = json.dumps({keyword: ["first", "second"]})
    with pytest.raises(InputError, match=f"{keyword}: {vr} has one value"):
        read_documents(text, "a.json")
    with pytest.raises(InputError, match=f"{vr} has one value"):
        read_template(text, "t.json")
    assert said(one(json.dumps({keyword: ["first"]}))) == {keyword: "first"}
