"""Which items a query finds: PS3.4 C.2.2.2, row by row of docs/matching.md."""

from typing import Any

import pytest

from mwl.dataset import ENCODINGS
from mwl.matching import compile as compile_query
from support.items import elements, item, policy, query, step

DATE = "ScheduledProcedureStepStartDate"
TIME = "ScheduledProcedureStepStartTime"
MOMENT = "ScheduledProcedureStepStartDateTime"
STATION = "ScheduledStationAETitle"
STEPS = "ScheduledProcedureStepSequence"


def finds(asked: dict[str, Any], stored: dict[str, Any], **choices: Any) -> bool:
    return query(asked, policy(**choices)).matches(item(stored))


def step_finds(asked: dict[str, Any], stored: dict[str, Any]) -> bool:
    return finds({STEPS: [asked]}, {STEPS: [stored]})


# Universal matching: C.2.2.2.3


@pytest.mark.parametrize("key", ["", "*", "**", " * "])
@pytest.mark.parametrize(
    "keyword",
    ["PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "PatientWeight"],
)
def test_a_key_without_value_or_with_an_asterisk_alone_finds_everything(
    keyword: str, key: str
) -> None:
    assert finds({keyword: key}, {})
    assert not query({keyword: key}).criteria


@pytest.mark.parametrize("key", ["", "*"])
@pytest.mark.parametrize("keyword", [DATE, TIME, MOMENT, STATION, "Modality"])
def test_a_universal_step_key_finds_an_item_without_steps(keyword: str, key: str) -> None:
    assert finds(step(**{keyword: key}), {})


def test_an_asterisk_alone_is_universal_for_binary_numbers_too() -> None:
    assert not query({"PregnancyStatus": b"* "}).criteria


@pytest.mark.parametrize("asked", [{STEPS: []}, {STEPS: [{}]}, {STEPS: b""}])
def test_an_empty_sequence_or_item_is_universal(asked: dict[str, Any]) -> None:
    assert finds(asked, {})
    assert finds(asked, {STEPS: []})


@pytest.mark.parametrize("key", ["A*", "?", "A"])
def test_an_empty_or_absent_value_is_found_by_universal_keys_only(key: str) -> None:
    assert not finds({"PatientID": key}, {"PatientID": ""})
    assert not finds({"PatientID": key}, {"PatientID": "  "})
    assert not finds({"PatientID": key}, {})


def test_a_query_of_universal_keys_finds_every_item() -> None:
    assert finds({}, {"PatientID": "1"})
    assert finds({"PatientID": "", **step(Modality="")}, {})


# Single values and spaces: C.2.2.2.1, PS3.5 Table 6.2-1


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber"])
def test_spaces_round_short_and_long_strings_do_not_count(keyword: str) -> None:
    assert finds({keyword: " A 1"}, {keyword: "A 1  "})
    assert not finds({keyword: "A1"}, {keyword: "A 1"})
    assert not finds({keyword: "a1"}, {keyword: "A1"})


def test_spaces_round_titles_and_codes_do_not_count() -> None:
    assert step_finds({STATION: "CT1", "Modality": " CT"}, {STATION: " CT1 ", "Modality": "CT "})


def test_leading_spaces_of_text_count_and_trailing_ones_do_not() -> None:
    keyword = "AdditionalPatientHistory"  # LT
    assert finds({keyword: " note"}, {keyword: " note  "})
    assert not finds({keyword: "note"}, {keyword: " note"})


def test_leading_spaces_of_unlimited_characters_count() -> None:
    keyword = "LongCodeValue"  # UC
    assert finds({keyword: " a"}, {keyword: " a "})
    assert not finds({keyword: "a"}, {keyword: " a"})


def test_a_nul_that_pads_a_uid_does_not_count() -> None:
    assert finds({"StudyInstanceUID": b"1.2.3\0"}, {"StudyInstanceUID": "1.2.3"})


def test_decimal_and_integer_strings_are_compared_by_value() -> None:
    assert finds({"PatientWeight": "7.0E1"}, {"PatientWeight": " 70"})
    assert finds({"SeriesNumber": "+07"}, {"SeriesNumber": "7"})
    assert finds({"PatientWeight": "heavy"}, {"PatientWeight": "heavy"})
    assert not finds({"PatientWeight": "7*"}, {"PatientWeight": "70"})


def test_binary_numbers_are_compared_by_value() -> None:
    assert finds({"PregnancyStatus": "4"}, {"PregnancyStatus": "1\\4"})
    assert not finds({"PregnancyStatus": "4"}, {"PregnancyStatus": "3"})


def test_text_is_compared_after_decoding_and_composing() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "A\u0308pfel"}
    assert finds({"SpecificCharacterSet": "ISO_IR 100", "PatientID": "Äpfel"}, stored)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("ISO_IR 144", "ISO_IR 192", "Иванов^Пётр"),
        ("\\ISO 2022 IR 87", "ISO_IR 192", "Yamada^Tarou=山田^太郎"),
        ("\\ISO 2022 IR 149", "ISO_IR 192", "Hong^Gildong=洪^吉洞"),
        ("GB18030", "GBK", "王^小东"),
        ("\\ISO 2022 IR 58", "GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_character_sets_of_query_and_item_may_differ(one: str, other: str, name: str) -> None:
    asked = {"SpecificCharacterSet": one, "PatientName": name}
    stored = {"SpecificCharacterSet": other, "PatientName": name}
    assert finds(asked, stored)
    assert finds({**stored}, {**asked})


def test_text_without_a_character_set_is_read_with_the_default_one() -> None:
    default = ENCODINGS["Windows1251"]
    found = item({"PatientName": "Иванов".encode("cp1251")}, default=default)
    asked = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "иванов"}
    assert query(asked, policy(default=default)).matches(found)


def test_text_that_its_set_cannot_decode_is_found_by_universal_keys_only() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": b"\xff\xff"}
    assert finds({"PatientID": ""}, stored)
    assert not finds({"PatientID": "?*"}, stored)


# Several values: K.2.2.3, C.2.2.2.2


def test_one_matching_value_of_several_stored_ones_suffices() -> None:
    assert step_finds({STATION: "CT2"}, {STATION: "CT1\\CT2"})
    assert step_finds({STATION: "?T2"}, {STATION: "CT1\\CT2"})
    assert not step_finds({STATION: "CT1\\CT2X"}, {STATION: "CT3\\CT2"})


def test_several_key_values_match_any_of_them() -> None:
    assert step_finds({"Modality": "MR\\CT"}, {"Modality": "CT"})
    assert step_finds({"Modality": "MR\\C*"}, {"Modality": "CT"})
    assert step_finds({"Modality": "MR\\"}, {"Modality": "MR"})
    assert not step_finds({"Modality": "MR\\"}, {"Modality": ""})


def test_a_list_of_uids_matches_any_of_them() -> None:
    asked = {"StudyInstanceUID": "1.2.3\\1.2.5"}
    assert query(asked).criteria[0].kind == "list of UID"
    assert finds(asked, {"StudyInstanceUID": "1.2.5"})
    assert not finds(asked, {"StudyInstanceUID": "1.2.4"})


def test_an_asterisk_among_several_values_makes_the_key_universal() -> None:
    assert not query({"PatientID": "A\\*"}).criteria


# Wild cards: C.2.2.2.4


@pytest.mark.parametrize(
    ("keyword", "key", "value"),
    [
        ("PatientID", "P*", "P1"),
        ("PatientID", "*", "P1"),
        ("PatientID", "P?1", "P.1"),
        ("AccessionNumber", "*9*", "1992"),
        ("PatientID", "Ä?", "ÄÖ"),
        ("AdditionalPatientHistory", "a*z", "a\r\n\\z"),
        ("PatientID", "a[b]*", "a[b]c"),
    ],
)
def test_wild_cards_stand_for_characters(keyword: str, key: str, value: str) -> None:
    assert finds({keyword: key}, {keyword: value})


def test_a_question_mark_is_one_character_whatever_its_bytes() -> None:
    stored = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "山"}
    assert finds({"PatientID": "?"}, stored)
    assert not finds({"PatientID": "??"}, stored)
    assert not finds({"PatientID": "?1"}, {"PatientID": "1"})


@pytest.mark.parametrize("keyword", [STATION, "Modality"])
def test_titles_and_codes_have_wild_cards(keyword: str) -> None:
    assert step_finds({keyword: "CT*"}, {keyword: "CT1"})
    assert not step_finds({keyword: "ct*"}, {keyword: "CT1"})


def test_many_asterisks_take_no_longer_than_few() -> None:
    assert not finds({"PatientID": "a*" * 30 + "b"}, {"PatientID": "a" * 64})


def test_ages_have_no_wild_cards() -> None:
    assert finds({"PatientAge": "030Y"}, {"PatientAge": "030Y"})
    assert not finds({"PatientAge": "03?Y"}, {"PatientAge": "030Y"})


# Person names: C.2.2.2.1.1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("doe^jane", "DOE^JANE"),
        ("MULLER^JORG", "Müller^Jörg"),
        ("GROSS", "Groß"),
        ("DOE^JANE^^^", "DOE^JANE"),
        ("DOE", "DOE^^^^=="),
        (" DOE ^ JANE", "DOE^JANE "),
        ("doe*", "DOE^JANE"),
        ("DOE^*", "DOE"),
        ("*^J?NE", "DOE^JANE"),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("yamada*", "Yamada^Tarou=山田^太郎"),
        ("=山田*", "Yamada^Tarou=山田^太郎"),
        ("YAMADA*=*=や*", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("=山田^太郎", "=山田^太郎"),
    ],
)
def test_a_name_is_found(key: str, name: str) -> None:
    unicode = {"SpecificCharacterSet": "ISO_IR 192"}
    assert finds({**unicode, "PatientName": key}, {**unicode, "PatientName": name})


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("DOE", "DOE^JANE"),
        ("DOE?", "DOE"),
        ("^JANE", "DOE^JANE"),
        ("山田*=", "Yamada^Tarou=山田^太郎"),
        ("Yamada*=鈴木*", "Yamada^Tarou=山田^太郎"),
        ("=山田*", "Yamada^Tarou"),
        ("やまた^たろう", "=山田^太郎=やまだ^たろう"),
    ],
)
def test_a_name_is_not_found(key: str, name: str) -> None:
    unicode = {"SpecificCharacterSet": "ISO_IR 192"}
    assert not finds({**unicode, "PatientName": key}, {**unicode, "PatientName": name})


def test_case_and_accents_of_names_count_when_told_so() -> None:
    stored = {"PatientName": "Müller^Jörg"}
    assert finds({"PatientName": "Müller ^ J*"}, stored, case_sensitive=True)
    assert not finds({"PatientName": "müller^jörg"}, stored, case_sensitive=True)
    assert not finds({"PatientName": "Muller*"}, stored, case_sensitive=True)


# Dates and times: C.2.2.2.1.3, C.2.2.2.5


@pytest.mark.parametrize(
    ("key", "date"),
    [
        ("20250110", "20250110"),
        ("2025.01.10", "20250110"),
        ("20250110", "2025.01.10"),
        ("20250110-20250112", "20250110"),
        ("20250108-20250110", "20250110"),
        ("20250110-", "20250110"),
        ("-20250110", "20250110"),
        ("2025.01.09-2025.01.11", "20250110"),
        ("202501-202502", "20250228"),
        ("20250110 - 20250111", "20250111"),
        ("20250109\\20250110-20250111", "20250111"),
        ("20240229", "20240229"),
    ],
)
def test_a_date_is_found(key: str, date: str) -> None:
    assert step_finds({DATE: key}, {DATE: date})


@pytest.mark.parametrize(
    ("key", "date"),
    [
        ("20250109", "20250110"),
        ("20250111-", "20250110"),
        ("-20250109", "20250110"),
        ("20250112-20250110", "20250111"),
        ("20250112-20250110", "202501"),
        ("20250101-20251231", "not a date"),
        ("20250101-20251231", ""),
    ],
)
def test_a_date_is_not_found(key: str, date: str) -> None:
    assert not step_finds({DATE: key}, {DATE: date})


@pytest.mark.parametrize(
    ("key", "time"),
    [
        ("0856", "085607"),
        ("08", "085607.123456"),
        ("120000", "1200"),
        ("10:30", "103000"),
        ("1030", "10:30:00.5"),
        ("0800-0856", "085659.999999"),
        ("08-08", "0859"),
        ("-08", "085959"),
        ("235960", "235960"),
        ("103000.50", "103000.5"),
        ("103000", "103000.123456"),
    ],
)
def test_a_time_is_found(key: str, time: str) -> None:
    assert step_finds({TIME: key}, {TIME: time})


@pytest.mark.parametrize(
    ("key", "time"),
    [
        ("0857", "085607"),
        ("0800-0855", "085607"),
        ("2200-0600", "2300"),
        ("2200-0600", "0500"),
        ("1200-", "2400"),
        ("0856", ""),
    ],
)
def test_a_time_is_not_found(key: str, time: str) -> None:
    assert not step_finds({TIME: key}, {TIME: time})


@pytest.mark.parametrize(
    ("key", "moment"),
    [
        ("20250110", "20250110085607"),
        ("2025011008-2025011009", "20250110095959.9"),
        ("20250110085607+0000", "20250110095607+0100"),
        ("20250110085607+0100", "20250110085607"),
        ("20250110085607", "20250110085607-0500"),
        ("20250110-0500-20250110-0500", "20250111045959+0000"),
        ("20250110-0500-", "20250110050000+0000"),
        ("-20250110-0500", "20250111045959+0000"),
        ("20250110-20250111-0500", "20250112045959+0000"),
        ("20250110-0500", "20250110050000+0000"),
        ("20250110\\20250112", "20250112"),
    ],
)
def test_a_moment_is_found(key: str, moment: str) -> None:
    assert step_finds({MOMENT: key}, {MOMENT: moment})


@pytest.mark.parametrize(
    ("key", "moment"),
    [
        ("20250110085607+0000", "20250110085607+0100"),
        ("20250110-0500-20250110-0500", "20250111050000+0000"),
        ("20250110-0500-", "20250110045959+0000"),
        ("20250112-20250110", "20250111"),
        ("20250112-20250110", "2025"),
    ],
)
def test_a_moment_is_not_found(key: str, moment: str) -> None:
    assert not step_finds({MOMENT: key}, {MOMENT: moment})


@pytest.mark.parametrize(
    ("dates", "times", "date", "time", "found"),
    [
        ("20250705-20250707", "1000-1800", "20250706", "0300", True),
        ("20250705-20250707", "1000-1800", "20250705", "0959", False),
        ("20250705-20250707", "1000-1800", "20250705", "1000", True),
        ("20250705-20250707", "1000-1800", "20250707", "180059", True),
        ("20250705-20250707", "1000-1800", "20250707", "1801", False),
        ("20250110-20250112", "0900-0600", "20250111", "085607", True),
        ("20250110-20250110", "0900-0600", "20250110", "0700", False),
        ("20250705-", "1000-1800", "20250706", "2300", True),
        ("20250705-", "1000-1800", "20250705", "0900", False),
        ("-20250707", "1000-", "20250101", "0100", True),
        ("-20250707", "-1800", "20250707", "1801", False),
        ("20250705-20250707", "1000-", "20250707", "2359", True),
        ("20250705-20250707", "-1800", "20250705", "0000", True),
        ("20250705-20250707", "1000-1800", "20250706", "", False),
        ("20250707-20250705", "1000-1800", "20250706", "1200", False),
    ],
)
def test_two_ranges_make_one_interval(
    dates: str, times: str, date: str, time: str, found: bool
) -> None:
    asked = {DATE: dates, TIME: times}
    assert step_finds(asked, {DATE: date, TIME: time}) is found
    (leaf,) = query({STEPS: [asked]}).leaves()
    assert leaf.kind == "date and time"
    assert leaf.name == f"{STEPS}.{DATE}+{TIME}"


@pytest.mark.parametrize(
    ("date", "time", "found"),
    [("20250705", "1000-1800", False), ("20250705-20250707", "1000", False), ("", "09-10", True)],
)
def test_one_range_is_matched_apart_from_the_other_key(date: str, time: str, found: bool) -> None:
    assert step_finds({DATE: date, TIME: time}, {DATE: "20250706", TIME: "0930"}) is found


# Sequences: C.2.2.2.6


def test_one_step_has_to_meet_all_step_keys() -> None:
    stored = {STEPS: [{"Modality": "CT", STATION: "CT1"}, {"Modality": "MR", STATION: "MR1"}]}
    assert finds(step(Modality="MR", **{STATION: "MR1"}), stored)
    assert not finds(step(Modality="CT", **{STATION: "MR1"}), stored)


def test_sequences_match_at_any_depth() -> None:
    stored = step(ScheduledProtocolCodeSequence=[{"CodeValue": "A"}, {"CodeValue": "B"}])
    assert finds(step(ScheduledProtocolCodeSequence=[{"CodeValue": "B"}]), stored)
    assert not finds(step(ScheduledProtocolCodeSequence=[{"CodeValue": "C"}]), stored)


def test_an_item_without_steps_matches_no_step_key_with_a_value() -> None:
    assert not finds(step(Modality="CT"), {"PatientID": "1"})
    assert not finds(step(Modality="*T"), {STEPS: []})


def test_a_sequence_stored_as_something_else_matches_nothing() -> None:
    assert not finds(step(Modality="CT"), {"0040,0100 LO": "CT"})
    assert not finds({"PatientID": "1"}, {"0010,0020 SQ": [{}]})


# What is never matched


def test_context_attributes_and_group_lengths_are_not_keys() -> None:
    asked = elements(
        {"SpecificCharacterSet": "ISO_IR 192", "TimezoneOffsetFromUTC": "+0100"}
        | {"0008,0000 UL": "4", "QueryRetrieveLevel": "WORKLIST"}
    )
    compiled = compile_query(asked, policy())
    assert not compiled.criteria
    assert compiled.matches(item({"TimezoneOffsetFromUTC": "-0500"}))


# Private attributes and unknown VRs


def test_private_attributes_can_be_keys() -> None:
    stored = {"0009,0010 LO": "MWL TEST", "0009,1001 SH": "WARD 7", "0009,1002 DA": "20250110"}
    assert finds({"0009,0010 LO": "MWL TEST", "0009,1001 SH": "WARD*"}, stored)
    assert not finds({"0009,0010 LO": "OTHER", "0009,1001 SH": "WARD*"}, stored)
    assert finds({"0009,1002 DA": "20250101-20250131"}, stored)


def test_a_private_key_of_unknown_vr_takes_the_vr_of_the_item() -> None:
    stored = {"0009,1001 SH": "WARD 7", "0009,1002 DA": "20250110"}
    assert finds({"0009,1001 UN": b"WARD*"}, stored)
    assert finds({"0009,1002 UN": b"20250101-20250131 "}, stored)
    assert not finds({"0009,1002 UN": b"WARD"}, stored)
    assert finds({"0009,1001 UN": b"WARD 7"}, {"0009,1001 UN": b"WARD 7"})


def test_asking_for_a_private_attribute_to_be_returned_hides_nothing() -> None:
    assert finds({"0009,0010 LO": "MWL TEST", "0009,1001 SH": ""}, {"PatientID": "1"})


def test_a_value_stored_with_an_unknown_vr_is_read_with_that_of_the_key() -> None:
    assert finds({"PatientID": "P1"}, {"0010,0020 UN": b"P1"})
