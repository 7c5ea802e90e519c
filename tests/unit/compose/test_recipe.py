"""One item: where attributes go, what is filled in, what is refused."""

import pytest

from mwl.attributes import ATTRIBUTES
from mwl.compose import FILLS, Document, Origin, read_arguments
from mwl.dataset import read_dicom_file, tag_of, vr_of
from mwl.errors import InputError
from support.new_items import ENOUGH, SEQUENCE, made, recipe, steps_of, value_of

STEP = "ScheduledProcedureStepSequence"


def refusal(*arguments: str) -> str:
    with pytest.raises(InputError) as caught:
        made(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    "key", ["Modality", "0008,0060", f"{STEP}[0].Modality", "(0040,0100)[0].0008,0060"]
)
def test_an_attribute_of_the_step_goes_into_it_however_it_is_named(key: str) -> None:
    item = made(*(one for one in ENOUGH if not one.startswith("Modality")), f"{key}=MR")
    assert value_of(item, "Modality", step=0) == "MR"
    assert value_of(item, "Modality") is None


@pytest.mark.parametrize(
    "keyword",
    [
        *(
            row.keyword
            for row in ATTRIBUTES
            if len(row.path) == 2 and row.path[0] == SEQUENCE and row.vr == "LO"
        ),
        "ScheduledProcedureStepEndDate",
        "CommentsOnTheScheduledProcedureStep",
    ],
)
def test_every_attribute_of_the_module_belongs_into_the_step(keyword: str) -> None:
    value = "20261124" if vr_of(tag_of(keyword) or 0) == "DA" else "X"
    item = made(*ENOUGH, f"{keyword}={value}")
    assert value_of(item, keyword, step=0) == value
    assert value_of(item, keyword) is None


@pytest.mark.parametrize("keyword", ["AccessionNumber", "PatientComments", "RequestedProcedureID"])
def test_every_other_attribute_stays_at_the_top(keyword: str) -> None:
    item = made(*ENOUGH, f"{keyword}=X")
    assert value_of(item, keyword) == "X"
    assert value_of(item, keyword, step=0) is None


def test_a_sequence_of_the_step_goes_into_it_with_its_items() -> None:
    item = made(*ENOUGH, "ScheduledProtocolCodeSequence[0].CodeValue=P1")
    (code,) = steps_of(item)[0][0x00400008].value
    assert isinstance(code, dict)
    assert code[0x00080100].value == b"P1"


def test_what_is_said_for_all_steps_holds_for_those_that_do_not_say_it() -> None:
    item = made(*ENOUGH, f"{STEP}[0]=", f"{STEP}[1].Modality=MR")
    assert [value_of(item, "Modality", step=step) for step in (0, 1)] == ["CT", "MR"]
    assert [value_of(item, "ScheduledStationAETitle", step=step) for step in (0, 1)] == [
        "CT1",
        "CT1",
    ]
    assert len({value_of(item, "ScheduledProcedureStepID", step=step) for step in (0, 1)}) == 2


def test_a_later_source_overrides_an_earlier_one_even_when_it_names_no_step() -> None:
    document = Document(
        Origin(), read_arguments([f"{STEP}[0].Modality=MR", *ENOUGH[:2], *ENOUGH[3:]])
    )
    item = recipe("Modality=US").make(document, 1)
    assert value_of(item, "Modality", step=0) == "US"


def test_two_steps_of_one_name_are_refused() -> None:
    assert "the same ScheduledProcedureStepID" in refusal(
        *ENOUGH, "ScheduledProcedureStepID=S1", f"{STEP}[0]=", f"{STEP}[1].Modality=MR"
    )


def test_an_item_that_was_left_out_is_refused() -> None:
    assert "item [0]: nothing is in it" in refusal(
        *ENOUGH, "OtherPatientIDsSequence[1].PatientID=X"
    )


@pytest.mark.parametrize(
    ("numbers", "fact"),
    [
        ([1], "Sequence[1].Modality: step 1 is missing"),
        ([2], "Sequence[2].Modality: step 1 and 2 are missing (number steps from [0] on"),
        ([3, 0], "Sequence[3].Modality: step 2 and 3 are missing"),
        ([4], "step 1, 2, 3 and 4 are missing"),
    ],
)
def test_a_gap_in_the_numbers_of_steps_is_refused(numbers: list[int], fact: str) -> None:
    keys = [f"{STEP}[{number}].Modality=CT" for number in numbers]
    assert fact in refusal(*ENOUGH, *keys)
    with pytest.raises(InputError) as caught:
        made(*keys, may_be_incomplete=True)
    assert fact in str(caught.value)


def test_a_step_may_be_named_without_a_value_and_by_several_sources() -> None:
    item = made(*ENOUGH, f"{STEP}[0]=", f"{STEP}[1].Modality=MR")
    assert [value_of(item, "Modality", step=step) for step in (0, 1)] == ["CT", "MR"]
    document = Document(Origin(), read_arguments([f"{STEP}[0].Modality=MR"]))
    item = recipe(*ENOUGH[:2], *ENOUGH[3:], f"{STEP}[1].Modality=US").make(document, 1)
    assert [value_of(item, "Modality", step=step) for step in (0, 1)] == ["MR", "US"]


def test_what_is_missing_is_filled_in_and_told() -> None:
    item = made(*ENOUGH, "RequestedProcedureDescription=Head", "AccessionNumber=A1")
    assert value_of(item, "StudyInstanceUID") == "2.25.1"
    assert value_of(item, "RequestedProcedureID") == "RP00000002"
    assert value_of(item, "ScheduledProcedureStepID", step=0) == "SPS00000003"
    assert value_of(item, "ScheduledProcedureStepStatus", step=0) == "SCHEDULED"
    assert value_of(item, "ScheduledProcedureStepDescription", step=0) == "Head"
    assert [row.keyword for row in item.filled] == [
        "StudyInstanceUID",
        "RequestedProcedureID",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStatus",
    ]


def test_the_description_of_the_procedure_comes_from_a_step_when_only_that_has_one() -> None:
    item = made(*ENOUGH, "ScheduledProcedureStepDescription=Knee")
    assert value_of(item, "RequestedProcedureDescription") == "Knee"


def test_what_is_there_is_not_filled_in() -> None:
    said = {
        "StudyInstanceUID": "1.2.3",
        "RequestedProcedureID": "R1",
        "RequestedProcedureDescription": "Head",
        "ScheduledProcedureStepDescription": "Head without",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStatus": "ARRIVED",
    }
    item = made(*ENOUGH, *(f"{keyword}={value}" for keyword, value in said.items()))
    assert item.filled == ()
    for keyword, value in said.items():
        assert value in {value_of(item, keyword), value_of(item, keyword, step=0)}


def test_an_empty_value_counts_as_missing() -> None:
    assert value_of(made(*ENOUGH, "StudyInstanceUID="), "StudyInstanceUID") == "2.25.1"
    assert "PatientID" in refusal(*ENOUGH[:1], "PatientID=", *ENOUGH[2:])
    assert "PatientID" in refusal(*ENOUGH[:1], "PatientID=  ", *ENOUGH[2:])


def test_every_attribute_of_type_2_is_there_and_may_be_empty() -> None:
    item = made(*ENOUGH)
    for row in ATTRIBUTES:
        if row.returned == "2" and row.path[:-1] in {(), (SEQUENCE,)}:
            holder = steps_of(item)[0] if row.path[:-1] else item.elements
            assert not holder[row.tag].value


def test_every_attribute_of_type_1_has_a_value() -> None:
    item = made(*ENOUGH)
    for row in ATTRIBUTES:
        if row.returned == "1" and row.path[:-1] in {(), (SEQUENCE,)}:
            holder = steps_of(item)[0] if row.path[:-1] else item.elements
            assert holder[row.tag].value


def test_what_nobody_can_invent_is_asked_for_all_at_once() -> None:
    message = refusal(
        "PatientName=DOE^JANE", "ScheduledStationName=X", f"{STEP}[0]=", f"{STEP}[1].Modality=CT"
    )
    for keyword in (
        "PatientID",
        f"{STEP}[0].Modality",
        f"{STEP}[0].ScheduledStationAETitle",
        f"{STEP}[1].ScheduledProcedureStepStartDate",
        f"{STEP}[1].ScheduledProcedureStepStartTime",
    ):
        assert keyword in message
    assert f"{STEP}[1].Modality" not in message


def test_an_incomplete_item_is_made_when_that_is_wanted_and_says_so() -> None:
    item = made("PatientName=DOE^JANE", may_be_incomplete=True)
    assert item.lacks[0] == "PatientID"
    assert value_of(item, "PatientID") is None
    assert value_of(item, "ScheduledProcedureStepStatus", step=0) == "SCHEDULED"


def test_text_that_is_not_ascii_is_written_as_utf_8_and_declared() -> None:
    item = made("PatientName=MÜLLER^JÜRGEN", *ENOUGH[1:])
    assert value_of(item, "SpecificCharacterSet") == "ISO_IR 192"
    assert item.elements[0x00100010].value == "MÜLLER^JÜRGEN".encode()
    assert value_of(made(*ENOUGH), "SpecificCharacterSet") is None


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 100", "MÜLLER"),
        ("ISO_IR 144", "Пример"),
        ("\\ISO 2022 IR 87", "Yamada=山田=やまだ"),
    ],
)
def test_a_character_set_that_is_named_is_used(terms: str, name: str) -> None:
    item = made(f"PatientName={name}", *ENOUGH[1:], f"SpecificCharacterSet={terms}")
    assert value_of(item, "SpecificCharacterSet") == terms
    assert value_of(item, "PatientName") == name
    assert value_of(item, "PatientName") is not None
    assert "SpecificCharacterSet" not in [row.keyword for row in item.filled]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("UTF8", "ISO_IR 192"),
        ("UTF-8", "ISO_IR 192"),
        ("iso_ir 192", "ISO_IR 192"),
        ("ISO IR 100", "ISO_IR 100"),
        ("ISO2022IR100", "ISO 2022 IR 100"),
        ("ISO_IR 100\\ISO_IR 144", "ISO 2022 IR 100\\ISO 2022 IR 144"),
        ("\\ISO_IR 87", "\\ISO 2022 IR 87"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", "ISO 2022 IR 6\\ISO 2022 IR 87"),
        ("ISO_IR 13\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 87"),
        ("GBK\\ISO 2022 IR 6", "GBK"),
        ("\\ISO_IR 6", "ISO 2022 IR 6"),
    ],
)
def test_what_is_written_of_a_character_set_is_its_defined_term(said: str, written: str) -> None:
    item = made(*ENOUGH, f"SpecificCharacterSet={said}")
    assert value_of(item, "SpecificCharacterSet") == written
    assert "SpecificCharacterSet" not in [row.keyword for row in item.filled]


@pytest.mark.parametrize(
    ("said", "written", "name"),
    [
        ("ISO 2022 IR 149", "\\ISO 2022 IR 149", "김^희중"),
        ("ISO_IR 149", "\\ISO 2022 IR 149", "김^희중"),
        ("ISO 2022 IR 58", "\\ISO 2022 IR 58", "王^小东"),
        ("ISO 2022 IR 149\\ISO 2022 IR 6", "\\ISO 2022 IR 149", "김^희중"),
        ("ISO 2022 IR 58\\ISO_IR 149", "\\ISO 2022 IR 58\\ISO 2022 IR 149", "王^희중"),
        ("ISO 2022 IR 87\\ISO 2022 IR 13", "\\ISO 2022 IR 87\\ISO 2022 IR 13", "山田"),
    ],
)
def test_a_set_of_two_bytes_gets_an_empty_value_before_it_and_its_escape_sequence(
    said: str, written: str, name: str
) -> None:
    item = made(f"PatientName={name}", *ENOUGH[1:], f"SpecificCharacterSet={said}")
    assert value_of(item, "SpecificCharacterSet") == written
    value = item.elements[0x00100010].value
    assert isinstance(value, bytes)
    assert value.startswith(b"\x1b$")
    assert value_of(item, "PatientName") == name
    assert item.filled[0].keyword == "SpecificCharacterSet"


def test_one_character_set_holds_for_the_whole_item_whoever_names_one_of_a_part() -> None:
    template = read_arguments([f"{STEP}[0].SpecificCharacterSet=ISO_IR 100"])
    with pytest.raises(InputError, match="one character set holds"):
        recipe(*ENOUGH, "SpecificCharacterSet=ISO_IR 192", template=template).make(
            Document(Origin()), 1
        )


@pytest.mark.parametrize(
    ("key", "fact"),
    [
        ("SpecificCharacterSet=ISO_IR 101\\GBK", "does not combine"),
        ("SpecificCharacterSet=LATIN1", "unknown character set"),
        (f"{STEP}[0].SpecificCharacterSet=ISO_IR 100", "one character set holds"),
        (f"{STEP}=CT", "no value of its own"),
        (f"{STEP}[0]=CT", "no value of its own"),
        ("StationName=\udcfc", "not in the character set"),
        ("PixelData=00", "cannot be written as text"),
        ("0009,1001=X", "cannot be written as text"),
        ("0002,0010=1.2", "no attribute of a data set"),
        ("0010,0000=1", "no attribute of a data set"),
        ("PatientName=A", "it is given twice"),
        ("0010,0010=A", "it is given twice"),
        ("PatientNmae=A", "did you mean PatientName?"),
        ("PatientName.Modality=CT", "PatientName is no sequence and has no items"),
        (f"{STEP}.Modality=CT", "expected [0] before '.Modality'"),
        ("JANE", "has no ="),
        (".".join(["OtherPatientIDsSequence[0]"] * 40 + ["PatientID=1"]), "more than 32 sequences"),
    ],
)
def test_what_cannot_be_used_is_refused(key: str, fact: str) -> None:
    assert fact in refusal(*ENOUGH, key)


def test_a_message_never_shows_a_value() -> None:
    for key in ("PatientBirthDate=SECRET", "PatientSex=secret", "Allergies=SECRET" * 10, "SECRET"):
        assert "SECRET" not in refusal(*ENOUGH, key).upper().replace("PATIENTSEX", "")


def test_placeholders_are_replaced_in_arguments() -> None:
    item = made(
        *ENOUGH[:4],
        "ScheduledProcedureStepStartDate={today+1}",
        "ScheduledProcedureStepStartTime={now}",
        "AccessionNumber=A{counter:4}",
        "PatientComments={{{counter}}}",
        counter=7,
    )
    assert value_of(item, "ScheduledProcedureStepStartDate", step=0) == "20261125"
    assert value_of(item, "ScheduledProcedureStepStartTime", step=0) == "083015"
    assert value_of(item, "AccessionNumber") == "A0007"
    assert value_of(item, "PatientComments") == "{7}"


def test_the_file_holds_the_item_and_a_uid_of_its_own() -> None:
    item = made(*ENOUGH)
    file = read_dicom_file(item.encode())
    assert list(file.elements) == list(item.elements)
    assert file.meta[0x00020003].value == b"2.25.4"


def test_the_table_of_fills_names_each_attribute_once_with_its_reason() -> None:
    assert len({row.tag for row in FILLS}) == len(FILLS)
    assert all(row.reason.startswith(("type 1", "some scanners")) for row in FILLS)
