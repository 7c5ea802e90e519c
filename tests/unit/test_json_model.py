"""The DICOM JSON Model, read: what it may hold, and one message for what it may not."""

import json
import struct

import pytest

from mwl.dataset import ENCODINGS, Element, character_set, from_json, to_json
from mwl.errors import DatasetError, InputError
from support.datasets import data_set

ASCII = ENCODINGS["Ascii"]


def test_every_kind_of_value_is_read() -> None:
    elements = data_set(
        SpecificCharacterSet="ISO_IR 100",
        PatientName=b"M\xfcller^J\xf6rg=\xc4",
        OtherPatientNames="A^B\\=C",
        MedicalAlerts="one\\\\three",
        PatientWeight="70.5\\80",
        NumberOfFrames="12",
        PatientComments="a\\b",
        FrameIncrementPointer=bytes.fromhex("10002000"),
        SmallestImagePixelValue=b"\1\0\xff\xff",
        SelectorFDValue=struct.pack("<3d", 1.5, float("inf"), -2),
        EncapsulatedDocument=b"\0\1",
        StudyInstanceUID=b"1.2.3\0",
        Allergies="",
        ReferencedStudySequence=[],
        ScheduledProcedureStepSequence=[data_set(Modality="CT"), {}],
    )
    model = json.loads(json.dumps(to_json(elements, character_set(elements, ASCII))))
    assert from_json(model) == elements


def test_hand_written_json_may_name_keywords_and_leave_out_the_vr() -> None:
    model = {
        "ScheduledProcedureStepSequence": {"Value": [{"Modality": {"Value": ["CT"]}}]},
        "PatientName": {"Value": ["Doe^John"]},
        "PatientWeight": {"vr": "DS", "Value": ["70.50"]},
        "Allergies": {"Value": None},
        "ReferencedStudySequence": {},
    }
    assert from_json(model) == data_set(
        ReferencedStudySequence=[],
        PatientName="Doe^John",
        PatientWeight="70.50",
        Allergies="",
        ScheduledProcedureStepSequence=[data_set(Modality="CT")],
    )


def test_text_beyond_ascii_is_declared_as_utf_8_where_nothing_is() -> None:
    found = from_json({"PatientName": {"Value": [{"Ideographic": "山田"}]}})
    assert found == data_set(SpecificCharacterSet="ISO_IR 192", PatientName="=山田".encode())


def test_numbers_fit_their_strings() -> None:
    model = {
        "PatientWeight": {"Value": [0.1 + 0.2, 1e20, -1.0, 12]},
        "NumberOfFrames": {"Value": [3.0]},
    }
    found = from_json(model)
    assert found[0x00101030].value == b"0.3\\1e+20\\-1\\12" + b" "
    assert found[0x00280008].value == b"3 "


@pytest.mark.parametrize(
    "text", [".208", "02", "+1", "1.50", "-.12345678901234", "1E2", "1e400", "12", "-0.5"]
)
def test_a_number_in_text_comes_back_as_it_was(text: str) -> None:
    elements = data_set(PatientWeight=text)
    model = json.loads(json.dumps(to_json(elements, ENCODINGS["Ascii"])))
    assert from_json(model) == elements


def test_a_name_of_four_groups_cannot_be_said() -> None:
    elements = data_set(PatientName="A=B=C=D")
    with pytest.raises(DatasetError, match="4 component groups"):
        to_json(elements, ENCODINGS["Ascii"])


def test_text_that_python_takes_for_a_number_and_dicom_does_not_stays_text() -> None:
    found = to_json(data_set(PatientWeight="1_0", NumberOfFrames="1_0"), ASCII)
    assert found["00101030"]["Value"] == ["1_0"]
    assert found["00280008"]["Value"] == ["1_0"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ([], "a data set in JSON is an object"),
        ({"PatientNam": {}}, "no keyword of DICOM"),
        ({"0010001": {}}, "no keyword of DICOM"),
        ({"00020010": {}}, "(0002,0010): has no place in a data set"),
        ({"00100020": []}, "(0010,0020): an attribute in JSON is an object"),
        ({"00100020": {"vr": "QQ"}}, "(0010,0020): its vr is no VR"),
        ({"00100020": {"vr": []}}, "(0010,0020): its vr is no VR"),
        ({"00100020": {}, "PatientID": {}}, "(0010,0020): occurs twice"),
        ({"00100020": {"Value": "A"}}, "(0010,0020): Value is an array"),
        ({"00100020": {"Value": [1]}}, "(0010,0020): a value is none of LO"),
        ({"00100020": {"Value": ["A\\B"]}}, "(0010,0020): a value is none of LO"),
        ({"00100020": {"Value": [], "x": 1}}, "one of Value and InlineBinary"),
        ({"00100020": {"InlineBinary": "AAA="}}, "only the VRs of bytes have InlineBinary"),
        ({"00100010": {"Value": [{"Alphabetical": "A"}]}}, "a value is none of PN"),
        ({"00100010": {"Value": [{"Alphabetic": "A=B"}]}}, "a value is none of PN"),
        ({"00104000": {"Value": ["A", "B"]}}, "LT has one value"),
        ({"00280106": {"Value": [65536]}}, "a value is none of US"),
        ({"00280106": {"Value": [True]}}, "a value is none of US"),
        ({"00280106": {"Value": [1.5]}}, "a value is none of US"),
        ({"00280106": {"Value": ["0x1"]}}, "a value is none of US"),
        ({"00280009": {"Value": ["10"]}}, "a value is none of AT"),
        ({"00280008": {"Value": [1.5]}}, "a value is none of IS"),
        ({"00420011": {"Value": [0]}}, "its value is InlineBinary"),
        ({"00420011": {"InlineBinary": "A*"}}, "InlineBinary is not base 64"),
        ({"00420011": {"BulkDataURI": "file:///etc/passwd"}}, "is not fetched"),
        ({"00080005": {"Value": ["ISO_IR 999"]}}, "(0008,0005): unknown character set"),
        ({"00080005": {"vr": "SQ"}}, "(0008,0005): its VR is CS"),
        ({"00080060": {"Value": ["é"]}}, "(0008,0060): the text has characters"),
        (
            {"00080005": {"Value": ["ISO_IR 100"]}, "00100010": {"Value": ["山"]}},
            "(0010,0010): the text has characters",
        ),
        ({"00400100": {"Value": ["A"]}}, "(0040,0100)[0].: a data set in JSON is an object"),
        (
            {"00400100": {"Value": [{}, {"00080060": {"Value": [1]}}]}},
            "(0040,0100)[1].(0008,0060): a value is none of CS",
        ),
        ({"00100020": {"Value": ["A" * 65]}}, "(0010,0020): 65 characters, LO has 64 at most"),
        ({"00100010": {"Value": ["A=" + "B" * 65]}}, "65 characters, PN has 64 at most"),
        ({"00080090": {"vr": "SH", "Value": ["A"] * 65535}}, "longer than 65534 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(model: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_json(model)
    assert message in str(caught.value)


def test_nesting_has_a_limit() -> None:
    model: dict[str, object] = {}
    for _ in range(33):
        model = {"00400100": {"Value": [model]}}
    with pytest.raises(InputError, match="nested deeper than 32"):
        from_json(model)


def test_a_null_item_is_an_empty_one() -> None:
    found = from_json({"00400100": {"Value": [None]}})
    assert found == {0x00400100: Element(0x00400100, "SQ", ({},))}
