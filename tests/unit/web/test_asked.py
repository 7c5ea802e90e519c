"""Data sets as Orthanc's JSON, and its queries as keys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.dataset import (
    ENCODINGS,
    EVERYTHING,
    FORMS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    to_orthanc_json,
)
from mwl.errors import InputError
from mwl.keys import identifier_of
from mwl.web.asked import keys_of, unknown_names

UTF_8 = ENCODINGS["Utf8"]
STEP = {
    0x00400001: Element(0x00400001, "AE", b"CT1\\CT2 "),
    0x00080060: Element(0x00080060, "CS", b"CT"),
}
ELEMENTS: Elements = {
    element.tag: element
    for element in (
        Element(0x00080005, "CS", b"ISO_IR 192"),
        Element(0x00100000, "UL", b"\0\0\0\0"),
        Element(0x00100010, "PN", "Beispiel^Jürgen ".encode()),
        Element(0x00100020, "LO", b""),
        Element(0x00101030, "DS", b" 70.5 "),
        Element(0x001021C0, "US", b"\x01\0\x04\0"),
        Element(0x00104000, "LT", b" two\\one value\r\nlines "),
        Element(0x00091001, "UN", b"\1\2"),
        Element(0x00091002, "LO", b"private"),
        Element(0x00400100, "SQ", (STEP, {})),
    )
}


def to_orthanc(elements: Elements, text: CharacterSet, form: str) -> dict[str, Any]:
    return to_orthanc_json(elements, text, FORMS[form], EVERYTHING)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "Simplify",
            {
                "SpecificCharacterSet": "ISO_IR 192",
                "PatientName": "Beispiel^Jürgen",
                "PatientID": "",
                "PatientWeight": "70.5",
                "PregnancyStatus": "1\\4",
                "PatientComments": " two\\one value\r\nlines",
                "0009,1001": None,
                "0009,1002": "private",
                "ScheduledProcedureStepSequence": [
                    {"ScheduledStationAETitle": "CT1\\CT2", "Modality": "CT"},
                    {},
                ],
            },
        ),
        (
            "Short",
            {
                "0008,0005": "ISO_IR 192",
                "0010,0010": "Beispiel^Jürgen",
                "0010,0020": "",
                "0010,1030": "70.5",
                "0010,21c0": "1\\4",
                "0010,4000": " two\\one value\r\nlines",
                "0009,1001": None,
                "0009,1002": "private",
                "0040,0100": [{"0040,0001": "CT1\\CT2", "0008,0060": "CT"}, {}],
            },
        ),
    ],
)
def test_each_form_names_and_writes_attributes_as_orthanc(form: str, expected: Any) -> None:
    assert to_orthanc(ELEMENTS, UTF_8, form) == expected


def test_the_full_form_has_name_type_and_value() -> None:
    full = to_orthanc(ELEMENTS, UTF_8, "Full")
    assert full["0010,0010"] == {
        "Name": "PatientName",
        "Type": "String",
        "Value": "Beispiel^Jürgen",
    }
    assert full["0009,1001"] == {"Name": "Unknown Tag & Data", "Type": "Null", "Value": None}
    step = full["0040,0100"]
    assert (step["Type"], step["Name"]) == ("Sequence", "ScheduledProcedureStepSequence")
    assert step["Value"][0]["0008,0060"]["Value"] == "CT"


def test_text_that_its_character_set_cannot_decode_is_shown_all_the_same() -> None:
    elements = {0x00100010: Element(0x00100010, "PN", b"J\xfcrgen")}
    assert to_orthanc(elements, UTF_8, "Simplify") == {"PatientName": "Jürgen"}


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    item = {
        0x00080005: Element(0x00080005, "CS", b"ISO_IR 100"),
        0x00400007: Element(0x00400007, "LO", b"Sch\xe4del"),
    }
    elements = {0x00400100: Element(0x00400100, "SQ", (item,))}
    (step,) = to_orthanc(elements, UTF_8, "Simplify")["ScheduledProcedureStepSequence"]
    assert step["ScheduledProcedureStepDescription"] == "Schädel"


def test_a_query_becomes_the_keys_of_an_identifier() -> None:
    query = {
        "PatientName": "Jür*",
        "0008-0050": "A=B",
        "00100020": None,
        "RequestedProcedureCodeSequence": [],
        "0040,0100": [{"Modality": "CT", "ScheduledProtocolCodeSequence": [{}]}],
    }
    elements = identifier_of(list(keys_of(query)))
    text = character_set(elements, UTF_8)
    assert to_orthanc(elements, text, "Simplify") == {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Jür*",
        "AccessionNumber": "A=B",
        "PatientID": "",
        "RequestedProcedureCodeSequence": [],
        "ScheduledProcedureStepSequence": [
            {"Modality": "CT", "ScheduledProtocolCodeSequence": [{}]}
        ],
    }


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *(("PatientName", True), ("0010,0010", True), ("0010-0010", True), ("00100010", True)),
        *(("0009,1001", True), ("Patientname", False), ("PatientName=x", False), ("", False)),
        *(("PatientName.x", False), ("0010,00100", False), ("Patient Name", False)),
    ],
)
def test_what_is_no_attribute_is_found_at_any_depth(name: str, known: bool) -> None:
    expected = [] if known else [name]
    assert unknown_names({name: ""}) == expected
    assert unknown_names({"ScheduledProcedureStepSequence": [{name: ""}]}) == expected


@pytest.mark.parametrize("value", [5, 1.5, True, {}, ["x"], [[]], [None]])
def test_values_of_other_types_are_refused_with_the_path(value: object) -> None:
    with pytest.raises(InputError) as caught:
        list(keys_of({"ScheduledProcedureStepSequence": [{"Modality": value}]}))
    assert (caught.value.option or "").startswith("ScheduledProcedureStepSequence[0].Modality")


JSON = st.recursive(
    st.none() | st.text(max_size=6) | st.integers(),
    lambda inner: st.lists(
        st.dictionaries(st.sampled_from(["Modality", "0040,0100", "X"]), inner, max_size=2),
        max_size=3,
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["PatientName", "0040,0100", "0010-0020"]), JSON))
def test_any_query_is_read_or_refused_with_the_documented_error(query: dict[str, Any]) -> None:
    try:
        elements = identifier_of(list(keys_of(query)))
    except InputError:
        return
    assert json.dumps(to_orthanc(elements, character_set(elements, UTF_8), "Full"))
