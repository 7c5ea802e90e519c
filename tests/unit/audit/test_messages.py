"""What audit messages say, in XML."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.audit import messages
from mwl.audit.messages import (
    APPLICATION,
    APPLICATION_START,
    DESTINATION,
    MASTER_FILE,
    NODE_ID,
    PATIENT,
    PATIENT_NUMBER,
    PERSON,
    PROCEDURE_RECORD,
    QUERY,
    SOP_CLASS_UID,
    SOURCE,
    STUDY_INSTANCE_UID,
    TEXT_LIMIT,
    Action,
    AuditMessage,
    Kind,
    Object,
    Outcome,
    Participant,
    Source,
    encode,
)
from support.audit import details, faults, parsed

NOW_NS = 1_796_068_800_123_456_789
FROM = Source("ORTHANC@worklist", "North")


def message(text: str = "", outcome: Outcome = Outcome.SUCCESS) -> AuditMessage:
    """Make a message that says a text wherever it can."""
    return AuditMessage(
        kind=QUERY,
        time_ns=NOW_NS,
        participants=[
            Participant(
                user_id=text, is_requestor=True, role=SOURCE, host="192.0.2.7", user_name=text
            ),
            Participant(user_id="4711", is_requestor=False, ae_titles=["A", "B"], role=DESTINATION),
        ],
        objects=[
            Object(
                identifier="1.2.840.10008.5.1.4.31",
                identifier_kind=SOP_CLASS_UID,
                query=text.encode("utf-8", "replace"),
                details=[("TransferSyntax", "1.2.840.10008.1.2")],
            )
        ],
        description=text,
        outcome=outcome,
    )


def record(text: str, action: Action = "C") -> AuditMessage:
    """Make a message about an item of which everything says a text."""
    return AuditMessage(
        kind=PROCEDURE_RECORD,
        time_ns=NOW_NS,
        action=action,
        participants=[Participant(user_id="folder", is_requestor=True, host="ris.example")],
        objects=[
            Object(
                identifier=text,
                identifier_kind=STUDY_INSTANCE_UID,
                name=text,
                accession_numbers=[text],
                details=[("Item", text)],
            ),
            Object(
                identifier=text,
                identifier_kind=PATIENT_NUMBER,
                kind=PERSON,
                role=PATIENT,
                name=text,
            ),
        ],
    )


def test_a_message_says_what_happened() -> None:
    root = parsed(encode(message("CT1"), FROM))
    assert faults(root) == []
    event = root[0]
    assert event.attrib == {
        "EventActionCode": "E",
        "EventDateTime": "2026-11-30T20:00:00.123Z",
        "EventOutcomeIndicator": "0",
    }
    asking, answering = root.findall("ActiveParticipant")
    assert asking.attrib == {
        "UserID": "CT1",
        "UserName": "CT1",
        "UserIsRequestor": "true",
        "NetworkAccessPointID": "192.0.2.7",
        "NetworkAccessPointTypeCode": "2",
    }
    assert answering.attrib["AlternativeUserID"] == "AETITLES=A;B"
    source = root.find("AuditSourceIdentification")
    assert source is not None
    assert source.attrib == {"AuditSourceID": "ORTHANC@worklist", "AuditEnterpriseSiteID": "North"}
    assert details(root[-1]) == {"TransferSyntax": "1.2.840.10008.1.2"}


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (["A;B"], r"AETITLES=A\u003bB"),
        (["A;B", "C"], r"AETITLES=A\u003bB;C"),
        ([r"A\u003bB"], r"AETITLES=A\u005cu003bB"),
    ],
)
def test_an_ae_title_with_a_semicolon_is_one_title(titles: list[str], said: str) -> None:
    someone = Participant(user_id="x", is_requestor=False, ae_titles=titles)
    root = parsed(encode(replace(message("x"), participants=[someone]), FROM))
    assert root[1].attrib["AlternativeUserID"] == said


def test_a_host_that_is_no_address_is_a_name() -> None:
    root = parsed(encode(record("x"), FROM))
    assert root[1].attrib["NetworkAccessPointTypeCode"] == "1"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=TEXT_LIMIT))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    legal = all(
        character in "\t\n\r" or "\x20" <= character <= "\ufffd" or character >= "\U00010000"
        for character in text
    )
    encoded = encode(record(text), FROM)
    assert b"\n" not in encoded
    root = parsed(encoded)
    assert faults(root) == []
    study, patient = root.findall("ParticipantObjectIdentification")
    shown = messages._legal(text)
    assert (shown == text) == legal
    assert study.attrib["ParticipantObjectID"] == shown
    assert (study.findtext("ParticipantObjectName") or "") == shown
    assert (patient.findtext("ParticipantObjectName") or "") == shown
    assert details(study) == {"Item": shown}
    assert [one.attrib["Number"] for one in study.iter("Accession")] == [shown]


@given(st.text(max_size=40))
def test_whatever_a_peer_calls_itself_the_message_is_well_formed(text: str) -> None:
    root = parsed(encode(message(text, outcome=Outcome.MINOR_FAILURE), FROM))
    assert faults(root) == []


def test_a_character_that_xml_has_not_is_written_out() -> None:
    root = parsed(encode(record("A\x00\x1b\ud800\uffff"), FROM))
    assert root[-1].attrib["ParticipantObjectID"] == "A\\u0000\\u001b\\ud800\\uffff"


def test_a_text_without_end_is_cut() -> None:
    root = parsed(encode(record("x" * 100_000), FROM))
    assert root[-1].attrib["ParticipantObjectID"] == "x" * TEXT_LIMIT
    assert len(encode(record("\x00" * 100_000), FROM)) < 80_000


def test_a_shortened_message_tells_of_its_query() -> None:
    root = parsed(encode(message("x" * 1000).shortened(), FROM))
    assert faults(root) == []
    name = "(query of 1000 bytes, too long to be sent)"
    assert root[-1].findtext("ParticipantObjectName") == name


KINDS = [value for value in vars(messages).values() if isinstance(value, Kind)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: (kind.type or kind.event).meaning)
def test_every_kind_of_message_is_one_of_the_standard(kind: Kind) -> None:
    participants = [Participant(user_id="x", is_requestor=True, role=APPLICATION)]
    objects: list[Object] = []
    if kind is QUERY:
        participants = list(message().participants)
    elif kind is PROCEDURE_RECORD:
        objects = list(record("x").objects)
    elif kind.event.meaning == "Security Alert":
        objects = [Object(identifier="x", identifier_kind=NODE_ID, role=MASTER_FILE)]
    made = AuditMessage(
        kind=kind, time_ns=0, participants=participants, objects=objects, action="U"
    )
    assert faults(parsed(encode(made, FROM))) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('UserIsRequestor="false"', ""),
        ('csd-code="110150"', 'csd-code="110151"'),
        ('csd-code="110120"', 'csd-code="110122"'),
        ('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="1"'),
        ('EventActionCode="E"', 'EventActionCode="C"'),
        ("Z", ""),
    ],
)
def test_what_judges_messages_finds_faults(before: str, after: str) -> None:
    made = AuditMessage(
        kind=APPLICATION_START,
        time_ns=0,
        participants=[Participant(user_id="1", is_requestor=False, role=APPLICATION)],
    )
    xml = encode(made, FROM).decode()
    assert faults(parsed(xml.encode())) == []
    assert before in xml
    assert faults(parsed(xml.replace(before, after, 1).encode()))
