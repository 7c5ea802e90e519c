"""Data sets in Orthanc's JSON."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.dataset import ENCODINGS, Flags, Format, from_orthanc_json, to_orthanc_json
from mwl.errors import InputError
from support.items import LATIN_1, elements, step

SAMPLE = elements(
    {
        "PatientName": "MÜLLER ",
        "PatientID": "",
        "Rows": "1\\2",
        "EncapsulatedDocument": b"\x00\xffab",
        "0009,1001 LO": "secret",
        "0008,9999 LO": "unknown",
        **step(Modality="CT"),
    }
)


def test_the_three_forms() -> None:
    assert to_orthanc_json(SAMPLE, LATIN_1) == {
        "0010,0010": "MÜLLER",
        "0010,0020": "",
        "0028,0010": "1\\2",
        "0040,0100": [{"0008,0060": "CT"}],
    }
    assert to_orthanc_json(SAMPLE, LATIN_1, Format.HUMAN) == {
        "PatientName": "MÜLLER",
        "PatientID": "",
        "Rows": "1\\2",
        "ScheduledProcedureStepSequence": [{"Modality": "CT"}],
    }
    full = to_orthanc_json(SAMPLE, LATIN_1, Format.FULL)
    assert full["0040,0100"] == {
        "Name": "ScheduledProcedureStepSequence",
        "Type": "Sequence",
        "Value": [{"0008,0060": {"Name": "Modality", "Type": "String", "Value": "CT"}}],
    }


@pytest.mark.parametrize(
    ("flags", "key", "expected"),
    [
        (Flags.INCLUDE_PRIVATE_TAGS, "0009,1001", "secret"),
        (Flags.INCLUDE_UNKNOWN_TAGS, "0008,9999", "unknown"),
        (
            Flags.INCLUDE_BINARY,
            "0042,0011",
            "data:application/octet-stream;base64," + base64.b64encode(b"\x00\xffab").decode(),
        ),
        (Flags.CONVERT_BINARY_TO_NULL | Flags.INCLUDE_BINARY, "0042,0011", None),
        (Flags.CONVERT_BINARY_TO_ASCII | Flags.INCLUDE_BINARY, "0042,0011", "\x00ab"),
    ],
)
def test_the_flags_add_what_they_say(flags: Flags, key: str, expected: object) -> None:
    plain = to_orthanc_json(SAMPLE, LATIN_1)
    assert key not in plain
    assert to_orthanc_json(SAMPLE, LATIN_1, flags=flags) == plain | {key: expected}


def test_text_that_cannot_be_read_is_shown_all_the_same() -> None:
    assert to_orthanc_json(SAMPLE, ENCODINGS["Ascii"])["0010,0010"] == "MÜLLER"


def test_a_value_that_is_too_long_is_null() -> None:
    full = to_orthanc_json(SAMPLE, LATIN_1, Format.FULL, longest=5)
    assert full["0010,0010"] == {"Name": "PatientName", "Type": "TooLong", "Value": None}


def test_names_tags_numbers_and_null_are_read() -> None:
    found = from_orthanc_json(
        {
            "PatientID": "P1",
            "0010,0010": "DOE",
            "0010-0030": None,
            "00101030": 71.5,
            "Rows": 512,
            "SeriesNumber": 2.0,
            "FrameIncrementPointer": "00181063",
            "ScheduledProcedureStepSequence": [{"Modality": "CT"}, {}],
            "ReferencedStudySequence": "",
        }
    )
    assert {tag: element.value for tag, element in found.items() if tag != 0x00400100} == {
        0x00081110: (),
        0x00100010: b"DOE",
        0x00100020: b"P1",
        0x00100030: b"",
        0x00101030: b"71.5",
        0x00200011: b"2",
        0x00280009: b"\x18\x00\x63\x10",
        0x00280010: b"\x00\x02",
    }
    assert len(found[0x00400100].value) == 2


def test_text_goes_into_the_character_set_that_is_named_where_it_fits() -> None:
    named = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Ü"}
    assert from_orthanc_json(named)[0x00100010].value == b"\xdc"
    for tags in ({**named, "PatientID": "Ł"}, {"PatientName": "Ü"}, {**named, "0008,0005": "x"}):
        try:
            found = from_orthanc_json(tags)
        except InputError as error:
            assert "given twice" in str(error)  # noqa: PT017 - one of the three
            continue
        assert found[0x00080005].value == b"ISO_IR 192"
        assert found[0x00100010].value == "Ü".encode()


def test_data_uris_are_read_where_that_is_wanted() -> None:
    uri = {"EncapsulatedDocument": "data:application/octet-stream;base64,AP9hYg=="}
    assert from_orthanc_json(uri, decode_data_uri=True)[0x00420011].value == b"\x00\xffab"
    assert from_orthanc_json(uri)[0x00420011].value == uri["EncapsulatedDocument"].encode()
    with pytest.raises(InputError, match="base64"):
        from_orthanc_json({"EncapsulatedDocument": "data:,?"}, decode_data_uri=True)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([], "object of attributes"),
        ({"NoSuchName": "x"}, "neither a keyword"),
        ({5: "x"}, "neither a keyword"),
        ({"PatientID": ["x"]}, "no sequence"),
        ({"ScheduledProcedureStepSequence": "x"}, "array"),
        ({"ScheduledProcedureStepSequence": [["x"]]}, r"Sequence\[0\]"),
        ({"ScheduledProcedureStepSequence": ["x"]}, r"Sequence\[0\]"),
        ({"PatientID": {}}, "no text"),
        ({"PatientID": True}, "no text"),
        ({"Rows": "x"}, "number of US"),
        ({"Rows": 70000}, "number of US"),
        ({"Modality": "RÖ"}, "ASCII"),
    ],
)
def test_what_is_no_data_set_is_refused(tags: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_orthanc_json(tags)


def nested(depth: int) -> Any:
    tags: dict[str, Any] = {}
    for _ in range(depth):
        tags = {"ScheduledProcedureStepSequence": [tags]}
    return tags


def test_nesting_has_a_limit() -> None:
    assert from_orthanc_json(nested(32))
    with pytest.raises(InputError, match="nested deeper"):
        from_orthanc_json(nested(33))


TEXT = st.text(st.characters(exclude_characters="\\\0", codec="utf-8", exclude_categories=["C"]))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "0010,0010": TEXT.map(str.strip),
            "0010,0020": TEXT.map(str.strip),
            "0010,4000": TEXT.map(str.strip),
            "0040,0100": st.lists(
                st.fixed_dictionaries({}, optional={"0040,0007": TEXT.map(str.strip)}), max_size=2
            ),
        },
    )
)
def test_what_is_read_is_what_is_given_again(tags: dict[str, Any]) -> None:
    found = from_orthanc_json(tags)
    characters = ENCODINGS["Utf8"] if 0x00080005 in found else ENCODINGS["Ascii"]
    again = to_orthanc_json(found, characters)
    again.pop("0008,0005", None)
    assert again == tags
