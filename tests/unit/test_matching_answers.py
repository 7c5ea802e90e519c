"""What an answer holds: PS3.4 K.4.1.1.3.2, C.2.2.2.6."""

from typing import Any

import pytest

from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    Elements,
    decode,
)
from mwl.item import WorklistItem
from mwl.matching import Policy
from support.items import item, policy, query, step

STEPS = "ScheduledProcedureStepSequence"
SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN


def answer(
    asked: dict[str, Any], found: WorklistItem | dict[str, Any], chosen: Policy | None = None
) -> Elements:
    found = found if isinstance(found, WorklistItem) else item(found)
    return decode(query(asked, chosen).answer(found, SYNTAX), SYNTAX)


def expected(values: dict[str, Any]) -> Elements:
    """Give a data set as it is once it was encoded: values padded."""
    return item(values).elements()


CODES = [{"CodeValue": "A", "CodeMeaning": "First"}, {"CodeValue": "B", "CodeMeaning": "Second"}]
STORED = {
    "PatientName": "DOE^JANE",
    "PatientID": "P1",
    STEPS: [{"Modality": "CT", "ScheduledProtocolCodeSequence": CODES}],
}


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_an_answer_holds_the_requested_keys_and_nothing_else(transfer_syntax: str) -> None:
    encoded = query({"PatientID": "", **step(Modality="CT")}).answer(item(STORED), transfer_syntax)
    assert decode(encoded, transfer_syntax) == expected({"PatientID": "P1", **step(Modality="CT")})


def test_a_requested_key_that_the_item_lacks_comes_back_empty() -> None:
    asked = {"MedicalAlerts": "", "PatientWeight": "", **step(PreMedication="")}
    found = answer(asked, STORED)
    assert found == expected({"MedicalAlerts": "", "PatientWeight": "", **step(PreMedication="")})
    assert [element.vr for element in found.values()] == ["DS", "LO", "SQ"]


def test_an_unknown_requested_key_comes_back_empty_with_the_vr_of_the_request() -> None:
    found = answer({"0009,1001 SH": "", "0009,1002 UN": b""}, STORED)
    assert [(element.vr, element.value) for element in found.values()] == [("SH", b""), ("UN", b"")]


def test_a_requested_sequence_that_the_item_lacks_comes_back_without_items() -> None:
    asked = {STEPS: [{"Modality": ""}], "RequestedProcedureCodeSequence": []}
    found = answer(asked, {"PatientID": "P1"})
    assert [element.value for element in found.values()] == [(), ()]


def test_a_stored_sequence_without_items_comes_back_so() -> None:
    assert answer(step(Modality=""), {STEPS: []}) == expected({STEPS: []})


@pytest.mark.parametrize("asked", [{STEPS: []}, {STEPS: [{}]}, {STEPS: b""}])
def test_an_empty_sequence_or_item_returns_the_stored_sequence_whole(asked: dict[str, Any]) -> None:
    assert answer(asked, STORED) == expected({STEPS: STORED[STEPS]})


def test_a_sequence_key_returns_the_matching_items_only() -> None:
    asked = step(ScheduledProtocolCodeSequence=[{"CodeValue": "B"}])
    assert answer(asked, STORED) == expected(
        step(ScheduledProtocolCodeSequence=[{"CodeValue": "B"}])
    )


def test_a_universal_sequence_key_returns_all_items_with_what_was_asked() -> None:
    asked = step(ScheduledProtocolCodeSequence=[{"CodeMeaning": ""}])
    codes = [{"CodeMeaning": "First"}, {"CodeMeaning": "Second"}]
    assert answer(asked, STORED) == expected(step(ScheduledProtocolCodeSequence=codes))


def test_several_stored_values_are_returned_whole() -> None:
    stored = step(ScheduledStationAETitle="CT1\\CT2")
    assert answer(step(ScheduledStationAETitle="CT2"), stored) == expected(stored)


def test_group_lengths_and_the_query_level_are_not_matched() -> None:
    asked = {"0010,0000 UL": "4", "QueryRetrieveLevel": "WORKLIST", "PatientID": ""}
    assert answer(asked, STORED) == expected({"QueryRetrieveLevel": "", "PatientID": "P1"})


def test_private_attributes_are_returned() -> None:
    stored = {"0009,0010 LO": "MWL TEST", "0009,1001 SH": "WARD 7", "PatientID": "1"}
    asked = {"0009,0010 LO": "MWL TEST", "0009,1001 UN": b""}
    returned = {"0009,0010 LO": "MWL TEST", "0009,1001 SH": "WARD 7"}
    assert answer(asked, stored) == expected(returned)


# Specific Character Set (0008,0005) and Timezone Offset From UTC (0008,0201)


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "山田^太郎"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),
        ("GB18030", "王^小东"),
    ],
)
def test_text_is_answered_byte_for_byte_with_its_character_set(terms: str, name: str) -> None:
    found = item({"SpecificCharacterSet": terms, "PatientName": name})
    asked = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": ""}
    assert answer(asked, found) == found.elements()


def test_plain_text_needs_no_character_set() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "DOE", "PatientID": "Ä"}
    assert answer({"SpecificCharacterSet": "", "PatientName": ""}, stored) == expected(
        {"PatientName": "DOE"}
    )


def test_text_within_sequences_needs_its_character_set() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", **step(ScheduledStationName="Röntgen 1")}
    assert answer(step(ScheduledStationName=""), stored) == expected(stored)
    assert answer({STEPS: []}, stored) == expected(stored)


def test_a_roman_japanese_set_is_always_named() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 13", "PatientID": b"P1"}
    assert answer({"PatientID": ""}, stored) == expected(stored)


def test_a_character_set_of_an_item_of_a_sequence_goes_with_it() -> None:
    inner = {"SpecificCharacterSet": "ISO_IR 192", "ScheduledStationName": "Röntgen 1"}
    stored = {"SpecificCharacterSet": "ISO_IR 100", STEPS: [inner]}
    found = query(step(ScheduledStationName="röntgen*"))
    assert not found.matches(item(stored))
    found = query(step(ScheduledStationName="Röntgen*"))
    assert found.matches(item(stored))
    returned = answer(step(ScheduledStationName=""), stored)
    assert returned[0x00400100] == item(stored).elements()[0x00400100]


def test_a_roman_japanese_set_of_an_item_of_a_sequence_goes_with_it() -> None:
    inner = {"SpecificCharacterSet": "ISO_IR 13", "ScheduledStationName": b"CT~1"}
    stored = {"SpecificCharacterSet": "ISO_IR 100", STEPS: [inner]}
    returned = answer(step(ScheduledStationName=""), stored)
    assert returned[0x00400100] == item(stored).elements()[0x00400100]


def test_items_of_a_sequence_are_chosen_in_their_own_character_set() -> None:
    one = {"SpecificCharacterSet": "ISO_IR 192", "ScheduledStationName": "Röntgen 1"}
    other = {"ScheduledStationName": "Röntgen 2"}
    stored = {"SpecificCharacterSet": "ISO_IR 100", STEPS: [one, other]}
    returned = answer(step(ScheduledStationName="Röntgen 1"), stored)
    assert returned[0x00400100].value == item(stored).elements()[0x00400100].value[:1]


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_long_text_and_whole_sequences_need_their_character_set(transfer_syntax: str) -> None:
    for values in (
        {"TextValue": "Schädel"},
        {"RequestedProcedureCodeSequence": [{"CodeMeaning": "Schädel"}]},
    ):
        stored = {"SpecificCharacterSet": "ISO_IR 100", "PatientID": "1", **values}
        asked = {key: "" if isinstance(value, str) else [] for key, value in values.items()}
        encoded = query(asked).answer(item(stored), transfer_syntax)
        assert decode(encoded, transfer_syntax) == expected(
            {"SpecificCharacterSet": "ISO_IR 100", **values}
        )


def test_the_only_item_of_a_sequence_is_answered_without_being_matched_again() -> None:
    """A script of the site may answer with an item that does not match."""
    found = item({"PatientID": "P1", **step(Modality="CT")})
    assert answer({"PatientID": "", **step(Modality="MR")}, found) == found.elements()


@pytest.mark.parametrize(
    ("transfer_syntax", "is_kept"),
    [(EXPLICIT_VR_LITTLE_ENDIAN, True), (IMPLICIT_VR_LITTLE_ENDIAN, False)],
)
@pytest.mark.parametrize("vr", ["LO", "OB"])
def test_what_is_no_sequence_does_not_go_where_one_is_expected(
    transfer_syntax: str, is_kept: bool, vr: str
) -> None:
    stored = item({f"0040,0100 {vr}": b"CT", "PatientID": "1"})
    encoded = query({STEPS: [], "PatientID": ""}).answer(stored, transfer_syntax)
    found = decode(encoded, transfer_syntax)
    assert found[0x00100020].value == b"1 "
    assert found[0x00400100].value == (b"CT" if is_kept else ())


def test_an_item_without_a_character_set_is_answered_with_the_default_one() -> None:
    default = ENCODINGS["Latin2"]
    found = item({"PatientName": "Łoś"}, default=default)
    returned = answer({"PatientName": ""}, found, policy(default=default))
    assert returned == expected(
        {"SpecificCharacterSet": "ISO_IR 101", "PatientName": "Łoś".encode("iso8859-2")}
    )


def test_text_in_a_set_without_a_term_is_answered_in_unicode() -> None:
    default = ENCODINGS["Windows1251"]
    found = item({"PatientName": "Иванов".encode("cp1251")}, default=default)
    assert answer({"PatientName": ""}, found, policy(default=default)) == expected(
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Иванов"}
    )


def test_text_that_its_set_cannot_decode_is_answered_as_it_is() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": b"\xff\xff"}
    assert answer({"PatientID": ""}, stored) == expected(stored)


def test_text_of_which_nobody_knows_the_set_is_answered_as_it_is() -> None:
    default = ENCODINGS["Ascii"]
    found = item({"PatientID": b"\xe4\xf6"}, default=default)
    assert answer({"PatientID": ""}, found, policy(default=default)) == found.elements()


def test_the_time_zone_of_an_item_is_answered_unasked() -> None:
    stored = {"TimezoneOffsetFromUTC": "+0100", "PatientID": "1"}
    assert answer({"PatientID": ""}, stored) == expected(stored)


def test_an_empty_time_zone_is_not_answered() -> None:
    assert answer({"PatientID": ""}, {"TimezoneOffsetFromUTC": "", "PatientID": "1"}) == expected(
        {"PatientID": "1"}
    )


def test_a_time_zone_that_the_item_lacks_is_not_answered() -> None:
    assert answer({"TimezoneOffsetFromUTC": "+0100", "PatientID": ""}, STORED) == expected(
        {"PatientID": "P1"}
    )


# FilterIssuerAet


def test_the_callers_station_is_no_return_key() -> None:
    compiled = query({"PatientID": ""}, station_ae_title="CT1", station_rule="fill")
    found = item({"PatientID": "P1", **step(ScheduledStationAETitle="CT1")})
    assert decode(compiled.answer(found, SYNTAX), SYNTAX) == expected({"PatientID": "P1"})


def test_only_steps_of_the_callers_station_are_returned() -> None:
    compiled = query({STEPS: []}, station_ae_title="CT1", station_rule="fill")
    one, other = ({"ScheduledStationAETitle": station} for station in ("CT1", "MR1"))
    returned = decode(compiled.answer(item({STEPS: [one, other]}), SYNTAX), SYNTAX)
    assert returned == expected({STEPS: [one]})
