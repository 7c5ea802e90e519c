"""Data sets as hooks read and change them."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.dataset import ENCODINGS, Elements, values
from mwl.errors import DatasetError, InputError
from mwl.hook import Dataset
from support.items import LATIN_1, elements, step

STEP = "ScheduledProcedureStepSequence[0]"
LATIN = elements(
    {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "MÜLLER^ANNA",
        "PatientID": "P1",
        "0009,0010 LO": "MAKER",
        "0042,0011 OB": b"ab",
        **step(Modality="CT", ScheduledProcedureStepLocation="RÖNTGEN", ScheduledStationAETitle=""),
    }
)


def test_values_are_found_by_keyword_tag_and_path() -> None:
    view = Dataset(LATIN, LATIN_1)
    assert view["PatientName"] == "MÜLLER^ANNA"
    assert view["0010,0020"] == view["(0010,0020)"] == "P1"
    assert view[f"{STEP}.ScheduledProcedureStepLocation"] == "RÖNTGEN"
    assert view[f"{STEP}.ScheduledStationAETitle"] == ""
    assert "AccessionNumber" not in view
    assert view.get("AccessionNumber", "none") == "none"
    with pytest.raises(KeyError):
        view["AccessionNumber"]


def test_a_misspelt_keyword_is_an_error_that_helps() -> None:
    with pytest.raises(InputError, match="did you mean PatientName"):
        Dataset(LATIN)["PatientNam"]


def test_sequences_and_items_are_there_and_can_be_deleted() -> None:
    view = Dataset(LATIN, LATIN_1)
    assert STEP in view
    assert "ScheduledProcedureStepSequence" in view
    assert "ScheduledProcedureStepSequence[1]" not in view
    with pytest.raises(KeyError):
        view["ScheduledProcedureStepSequence"]
    del view[f"{STEP}.Modality"]
    assert f"{STEP}.Modality" not in view
    assert f"{STEP}.ScheduledStationAETitle" in view
    del view[STEP]
    assert view.elements[0x00400100].value == ()
    del view["ScheduledProcedureStepSequence"]
    assert "ScheduledProcedureStepSequence" not in view
    with pytest.raises(KeyError):
        del view["ScheduledProcedureStepSequence"]


def test_what_is_not_touched_stays_byte_for_byte() -> None:
    view = Dataset(LATIN, LATIN_1)
    view["PatientID"] = "P2"
    changed = {**view.elements}
    assert changed.pop(0x00100020).value == b"P2"
    assert changed == {tag: element for tag, element in LATIN.items() if tag != 0x00100020}


def test_text_that_the_character_set_lacks_makes_the_whole_utf_8() -> None:
    view = Dataset(LATIN, LATIN_1)
    view[f"{STEP}.ScheduledProcedureStepDescription"] = "Łódź"
    assert view["SpecificCharacterSet"] == "ISO_IR 192"
    assert view.elements[0x00100010].value == "MÜLLER^ANNA".encode()
    assert view["PatientName"] == "MÜLLER^ANNA"
    assert view[f"{STEP}.ScheduledProcedureStepLocation"] == "RÖNTGEN"
    assert view[f"{STEP}.ScheduledProcedureStepDescription"] == "Łódź"


def test_the_data_set_that_was_given_is_not_changed() -> None:
    before = dict(LATIN)
    view = Dataset(LATIN, LATIN_1)
    view[f"{STEP}.Modality"] = "MR"
    view["PatientName"] = "Ł"
    copied = view.copy()
    copied["PatientID"] = "P9"
    assert before == LATIN
    assert view["PatientID"] == "P1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Rows", "many"),
        ("ScheduledProcedureStepSequence", "CT"),
        (STEP, "CT"),
        ("EncapsulatedDocument", "nothing"),
        ("Modality", "RÖNTGEN"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_being_repeated(key: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        Dataset(LATIN)[key] = value
    assert value not in str(caught.value)


def test_numbers_are_text_here_and_bytes_there() -> None:
    view = Dataset.of({"Rows": "512", "PatientWeight": "71.5"})
    assert view.elements[0x00280010].value == b"\x00\x02"
    assert view["Rows"] == "512"


def test_a_data_set_is_read_back_from_its_bytes() -> None:
    made = Dataset.of({"PatientName": "Łódź", f"{STEP}.Modality": "CT"})
    again = Dataset.read(made.encode())
    assert dict(again) == dict(made)
    assert made.to_json()["00100010"]["Value"] == [{"Alphabetic": "Łódź"}]
    with pytest.raises(DatasetError):
        Dataset.read(b"")


def test_it_shows_no_values() -> None:
    assert repr(Dataset.of({"PatientName": "DOE"})) == "<Dataset of 1 attributes>"


def test_two_are_equal_when_their_data_sets_are() -> None:
    assert Dataset.of({"PatientID": "A"}) == Dataset.of({"PatientID": "A"})
    assert Dataset.of({"PatientID": "A"}) != Dataset.of({"PatientID": "B"})
    assert Dataset.of({}) != {}


KEYS = [
    "PatientID",
    "PatientName",
    "AccessionNumber",
    "PatientComments",
    f"{STEP}.Modality",
    f"{STEP}.ScheduledProcedureStepDescription",
    "ScheduledProcedureStepSequence[1].ScheduledStationAETitle",
    f"{STEP}.ScheduledProtocolCodeSequence[0].CodeMeaning",
]
ASCII_ONLY = {"Modality", "ScheduledStationAETitle"}
TEXT = st.text("ABCäŁ見^= -", max_size=12).map(str.strip)


def contents() -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(KEYS), TEXT).map(
        lambda found: {
            key: value.encode("ascii", "ignore").decode().strip()
            if key.rpartition(".")[2] in ASCII_ONLY
            else value
            for key, value in found.items()
        }
    )


@given(contents(), contents(), st.sampled_from(["Latin1", "Utf8", "Ascii", "Japanese"]))
def test_what_is_set_is_found_and_the_rest_is_as_before(
    first: Mapping[str, str], second: Mapping[str, str], encoding: str
) -> None:
    made: Elements = Dataset.of(first).elements
    view = Dataset(made, ENCODINGS[encoding])
    view.update(second)
    for key, value in {**first, **second}.items():
        assert view[key] == value
    assert all(values(element, view.characters) is not None for element in view.elements.values())
    again = Dataset(view.elements, ENCODINGS[encoding])
    assert dict(again) == dict(view)
