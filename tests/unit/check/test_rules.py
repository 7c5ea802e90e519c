"""Every rule finds what it is for, and nothing else does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from mwl.attributes import ATTRIBUTES
from mwl.check import FOUND, GROUPS, PROFILES, RULES, Checker, Conditions, Finding, Rule
from mwl.dataset import ENCODINGS, TRANSFER_SYNTAXES
from mwl.item import is_worklist
from support import items
from support.breaches import BREACHES, CLEAN, TODAY, data_of, item, with_step
from support.datasets import file_of

SAMPLES = Path(__file__).parents[3] / "samples" / "worklists"


def findings_in(files: Mapping[str, bytes], checker: Checker | None = None) -> list[Finding]:
    checker = checker or Checker(Conditions(TODAY))
    found: list[Finding] = []
    for name, data in files.items():
        found += checker.file(name, data) if is_worklist(name) else checker.stray(name, data)
    return [*found, *checker.together()]


def findings(values: items.Values) -> list[Finding]:
    return findings_in({"item.wl": data_of(values)})


def messages(values: items.Values) -> list[str]:
    return [f"{one.path_text} {one.keyword}: {one.message}" for one in findings(values)]


def numbers(values: items.Values) -> list[str]:
    return [one.rule.number for one in findings(values)]


def test_an_item_without_fault_has_no_finding() -> None:
    assert findings(CLEAN) == []
    every = Checker(Conditions(TODAY), profiles=PROFILES)
    assert findings_in({"item.wl": data_of(CLEAN)}, every) == []


def test_every_rule_has_a_function_and_files_that_break_it() -> None:
    every = {rule.number for rule in RULES}
    assert len(every) == len(RULES)
    assert every == FOUND
    assert every == set(BREACHES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_files_that_break_a_rule_break_it_alone(rule: Rule) -> None:
    profiles = [
        profile for profile in PROFILES if rule.is_optional and rule.number in profile.rules
    ]
    for files in BREACHES[rule.number]():
        found = findings_in(files, Checker(Conditions(TODAY), profiles=profiles))
        assert {one.rule.number for one in found} == {rule.number}
        assert {one.severity for one in found} == {rule.severity}
        ignoring = Checker(Conditions(TODAY), profiles=profiles, ignored={rule.number})
        assert findings_in(files, ignoring) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_a_rule_is_described_in_sentences(rule: Rule) -> None:
    assert re.fullmatch(r"MWL[1-8][0-9]{2}", rule.number)
    assert rule.number[3] in GROUPS
    for text in (rule.title, rule.why, rule.advice):
        assert text.endswith(".")
        assert "  " not in text
    assert rule.section


def test_rules_are_in_the_order_of_their_numbers() -> None:
    listed = [rule.number for rule in RULES]
    assert listed == sorted(listed)


def test_optional_rules_belong_to_a_profile_and_profiles_to_rules() -> None:
    demanded = {number for profile in PROFILES for number in profile.rules}
    assert {rule.number for rule in RULES if rule.is_optional} <= demanded
    assert demanded <= {rule.number for rule in RULES}
    assert all(profile.needs.endswith(".") and profile.source for profile in PROFILES)


def test_a_profile_makes_its_rules_errors() -> None:
    (profile,) = [one for one in PROFILES if "MWL203" in one.rules]
    files = {"item.wl": data_of(item(PregnancyStatus=None))}
    (finding,) = findings_in(files, Checker(Conditions(TODAY), profiles=[profile]))
    assert (finding.rule.severity, finding.severity) == ("warning", "error")


def test_a_rule_of_a_profile_is_silent_without_it() -> None:
    for rule in RULES:
        if rule.is_optional:
            assert all(findings_in(files) == [] for files in BREACHES[rule.number]())


# ------------------------------------------------------------------------------- places, messages


def test_a_finding_says_where_it_is() -> None:
    (message,) = messages(with_step(ScheduledProcedureStepStartDate=None))
    place, what = message.split(": ")
    assert place == "(0040,0100)[0].(0040,0002) ScheduledProcedureStepStartDate"
    assert what == "missing; it needs a value (type 1)"


def test_the_steps_of_the_table_drive_what_is_required() -> None:
    required = [row for row in ATTRIBUTES if row.returned == "1" and row.path[:-1] == (0x00400100,)]
    assert len(required) == 5
    for row in required:
        assert numbers(with_step(**{row.keyword: None})) == ["MWL201"]
        assert numbers(with_step(**{row.keyword: ""})) == ["MWL202"]


NAME = "Beispielmann^Kunigunde"
SECRETS = ("Beispielmann", "Kunigunde", "GEHEIM", "1931", "31.05.07", "2.25.7777")
PATIENT = {
    "PatientName": NAME,
    "PatientID": "GEHEIM",
    "PatientBirthDate": "19310507",
    "StudyInstanceUID": "2.25.7777",
    "AccessionNumber": "GEHEIMNUMMER",
}


@pytest.mark.parametrize(
    "broken",
    [
        {"PatientName": f"{NAME}^^^^^^"},
        {"PatientName": "Beispielmann Kunigunde"},
        {"PatientName": NAME * 4},
        {"PatientName": f"{NAME}\\{NAME}"},
        {"PatientName": f"{NAME}\a"},
        {"PatientName": f"{NAME}ü".encode("latin-1")},
        {"PatientID": "GEHEIM" * 20},
        {"PatientBirthDate": "1931.05.07"},
        {"PatientBirthDate": "19310507X"},
        {"StudyInstanceUID": "2.25.7777."},
        {"StudyInstanceUID": "1.2.3.2.25.7777"},
        {"AccessionNumber": "GEHEIM" * 4},
        {"PatientSex": "GEHEIM"},
        {"0009,0010 LO": "MAKER", "0009,1001 DA": "31.05.07"},
        # Of columns that are shifted, say.
        {"0008,0005 CS": b"GEHEIM"},
        with_step(ScheduledProcedureStepStartDate="GEHEIM"),
        with_step(Modality="GEHEIM"),
        with_step(ScheduledStationAETitle="Kunigunde"),
    ],
)
def test_a_message_tells_nothing_of_the_patient(broken: items.Values) -> None:
    found = messages({**item(**PATIENT), **broken})
    assert found
    for message in found:
        assert not any(secret in message for secret in SECRETS)


def test_the_files_of_two_patients_are_told_apart_by_name_of_file_only() -> None:
    files = {
        "a.wl": data_of(item(**PATIENT)),
        "b.wl": data_of(item(**{**PATIENT, "PatientID": "GEHEIM2", "PatientName": "X^Y"})),
    }
    found = findings_in(files)
    assert [(one.rule.number, one.source) for one in found] == [
        ("MWL701", "b.wl"),
        ("MWL702", "b.wl"),
    ]
    assert all(one.message == "so has another patient in a.wl" for one in found)


def test_the_offset_of_damage_is_told() -> None:
    (finding,) = findings_in({"item.wl": data_of(item())[:-3]})
    assert re.search(r"at offset \d+$", finding.message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "file is empty"),
        (b'{"00100010": {"vr": "PN"}}', "this is text, and no DICOM file"),
        (
            b"\x08\0\x50\0SH\xff\0A1",
            "value of 255 bytes where 2 are left in (0008,0050) at offset 0",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_apart_from_text(data: bytes, message: str) -> None:
    (finding,) = findings_in({"item.wl": data})
    assert (finding.rule.number, finding.message) == ("MWL101", message)


def test_one_cause_in_many_attributes_is_one_finding() -> None:
    text = "MÜLLER^JÖRG".encode()
    broken = item(SpecificCharacterSet="ISO_IR 100", PatientName=text, RequestingPhysician=text)
    assert messages(broken) == [
        "(0010,0010) PatientName: the bytes are UTF-8, ISO_IR 100 is named; so in 1 more attributes"
    ]


# ------------------------------------------------------------------------------- what is right


@pytest.mark.parametrize(
    "values",
    [
        with_step(ScheduledStationAETitle="CT1\\CT2"),
        with_step(ScheduledProcedureStepStartTime="0830"),
        with_step(ScheduledProcedureStepStartTime="083000.123456"),
        with_step(ScheduledStationAETitle="A" * 16),
        with_step(ScheduledProcedureStepStartDate="20261123"),
        with_step(ScheduledProcedureStepStartDate="20271124"),
        with_step(
            ScheduledProcedureStepDescription="",
            ScheduledProtocolCodeSequence=[
                {"URNCodeValue": "urn:oid:2.25.1", "CodeMeaning": "A code"}
            ],
        ),
        item(PatientName="^JANE"),
        item(PatientName="DOE^JANE^^^=山田^花子=やまだ^はなこ", SpecificCharacterSet="ISO_IR 192"),
        item(PatientName="山" * 63 + "^", SpecificCharacterSet="ISO_IR 192"),
        item(PatientName="Ã^Â", SpecificCharacterSet="ISO_IR 192"),
        item(PatientName="รถ^ยก", SpecificCharacterSet="ISO_IR 166"),
        *(
            item(PatientName=name, SpecificCharacterSet="ISO_IR 144")
            for name in ("ЧЕ^ЯН", "ФЕ^ЯН", "ШИ^ЧЕ", "ПЕТРОВА^ЯНА", "Петрова^Яна")
        ),
        item(PatientName="ÄÖ^ß", SpecificCharacterSet="ISO_IR 100"),
        item(PatientName="ÃŸ^Ä".encode("latin-1", "replace"), SpecificCharacterSet="ISO_IR 100"),
        item(PatientComments="line\r\nline\tline \\ line"),
        item(StudyInstanceUID="2.16.840.1.113883.1"),
        item(StudyInstanceUID=f"2.25.{2**128 - 1}"),
        item(TimezoneOffsetFromUTC="-0500"),
        item(PatientWeight=" 7.05E1 "),
        item(PatientBirthDate="20261123"),
        {**item(), "0009,0010 LO": "MAKER", "0009,1001 UN": b"\1\2\3\4"},
    ],
)
def test_what_the_standard_allows_has_no_finding(values: items.Values) -> None:
    assert messages(values) == []


def test_the_default_encoding_is_that_of_a_file_that_names_none() -> None:
    thirty_five = ("Ж" * 35).encode()  # 70 characters in Latin 1
    files = {"item.wl": data_of(item(MedicalAlerts=thirty_five))}
    assert {one.rule.number for one in findings_in(files)} == {"MWL302", "MWL406"}
    utf_8 = Checker(Conditions(TODAY, ENCODINGS["Utf8"]))
    assert [one.rule.number for one in findings_in(files, utf_8)] == ["MWL406"]


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    step = {"SpecificCharacterSet": "ISO_IR 192", "ScheduledStationName": "Räume"}
    assert messages(with_step(**step)) == []


def test_files_of_two_folders_may_hold_the_same_step() -> None:
    data = data_of(item())
    assert findings_in({"CT1/item.wl": data, "CT2/item.wl": data}) == []
    found = findings_in({"CT1/a.wl": data, "CT1/b.wl": data})
    assert [(one.rule.number, one.source) for one in found] == [("MWL704", "CT1/b.wl")]


def test_orders_number_their_steps_alike() -> None:
    other = item(
        PatientID="P2", PatientName="ROE^R", AccessionNumber="A2", StudyInstanceUID="2.25.2"
    )
    assert findings_in({"a.wl": data_of(item()), "b.wl": data_of(other)}) == []


def test_names_that_differ_in_case_and_accents_are_one() -> None:
    other = item(
        PatientName="doe^jané",
        SpecificCharacterSet="ISO_IR 100",
        AccessionNumber="A2",
        StudyInstanceUID="2.25.2",
    )
    assert findings_in({"a.wl": data_of(item()), "b.wl": data_of(other)}) == []


def test_patients_of_two_issuers_are_two() -> None:
    one, other = (item(IssuerOfPatientID=issuer) for issuer in ("A", "B"))
    found = findings_in({"a.wl": data_of(one), "b.wl": data_of(other)})
    assert [finding.rule.number for finding in found] == ["MWL701", "MWL702"]


# ------------------------------------------------------------------------------- samples


def test_the_samples_have_the_findings_that_are_known() -> None:
    found = findings_in({path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())})
    assert all(one.severity == "warning" for one in found)
    assert {(one.rule.number, one.source) for one in found} == {
        ("MWL103", "mr-knee.wl"),  # stored bare, to show that it is served
        ("MWL205", "nm-bone-scan.wl"),  # two steps in one file, likewise
        ("MWL203", "vivaldi.wl"),  # kept as DCMTK has it
        ("MWL601", "vivaldi.wl"),  # of 1995
    }


def test_a_file_of_each_transfer_syntax_is_judged_alike() -> None:
    elements = items.elements(item(PatientWeight="70 kg"))
    for syntax in TRANSFER_SYNTAXES:
        (finding,) = findings_in({"item.wl": file_of(elements, syntax)})
        assert finding.rule.number == "MWL305"
