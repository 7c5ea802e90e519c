"""Audit messages: what they say, and their XML.

Everything here is a value or a pure function. When there is a message, and what it says, is in
`mwl.audit.auditor`.

Source: DICOM PS3.15 A.5.1 (schema), A.5.2 (what the fields hold), A.5.3 (messages); PS3.16 CID 400
to 404 (codes).
"""

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import ip_address
from typing import Literal, NamedTuple

TEXT_LIMIT = 1024
"""Characters of a text in a message; the rest is left out. Names have 64 to a part, titles 16."""

Action = Literal["C", "R", "U", "D", "E"]
"""Create, read, update, delete, execute."""


class Outcome(IntEnum):
    """How an event ended: PS3.15 A.5.1, EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


class Code(NamedTuple):
    """A coded value.

    Args:
        value: The code.
        meaning: What it means.
        system: Where it comes from.
    """

    value: str
    meaning: str
    system: str = "DCM"


class Kind(NamedTuple):
    """A kind of messages.

    Args:
        event: What happened, of CID 400.
        type: What exactly, of CID 401 to 403; None where there is only one.
        action: What was done; None where each message says so.
    """

    event: Code
    type: Code | None = None
    action: Action | None = "E"


_ACTIVITY = Code("110100", "Application Activity")
_ALERT = Code("110113", "Security Alert")

APPLICATION_START = Kind(_ACTIVITY, Code("110120", "Application Start"))
APPLICATION_STOP = Kind(_ACTIVITY, Code("110121", "Application Stop"))
QUERY = Kind(Code("110112", "Query"))
PROCEDURE_RECORD = Kind(Code("110111", "Procedure Record"), action=None)
LOGIN = Kind(Code("110114", "User Authentication"), Code("110122", "Login"))
NODE_AUTHENTICATION = Kind(_ALERT, Code("110126", "Node Authentication"))
SECURITY_CONFIGURATION = Kind(_ALERT, Code("110129", "Security Configuration"))
RESTRICTED_FUNCTION = Kind(_ALERT, Code("110132", "Use of Restricted Function"))
RECORDING_STARTED = Kind(_ALERT, Code("110134", "Audit Recording Started"))

# Roles of participants: CID 402.
APPLICATION = Code("110150", "Application")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")

# What the identifier of an object is.
STUDY_INSTANCE_UID = Code("110180", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
NODE_ID = Code("110182", "Node ID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
SEARCH_CRITERIA = Code("10", "Search Criteria", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")

# Kinds of objects and what they are in the event: A.5.1.2.2.
PERSON, SYSTEM_OBJECT = 1, 2
PATIENT, REPORT, MASTER_FILE, SECURITY_RESOURCE = 1, 3, 5, 13

_MACHINE_NAME, _IP_ADDRESS = 1, 2
"""Kinds of network access points."""

_APPLICATION_SERVER = 4
"""What kind of source this is: A.5.1.2.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who took part.

    Args:
        user_id: Who it is: a process, an AE title, a user.
        is_requestor: Whether it is the one that wanted it.
        ae_titles: Its AE titles.
        user_name: Name of a person.
        role: What it did.
        host: Address that it used.
    """

    user_id: str
    is_requestor: bool
    ae_titles: Sequence[str] = ()
    user_name: str = ""
    role: Code | None = None
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What it was about.

    Args:
        identifier: Its identifier.
        identifier_kind: What kind of identifier that is.
        kind: `PERSON` or `SYSTEM_OBJECT`.
        role: `PATIENT`, `REPORT` and so on.
        name: A name; not used with a query.
        query: The query, of an object that is one.
        details: Further facts, by name.
        accession_numbers: Of the order.
    """

    identifier: str
    identifier_kind: Code
    kind: int = SYSTEM_OBJECT
    role: int | None = REPORT
    name: str = ""
    query: bytes | None = None
    details: Sequence[tuple[str, str]] = ()
    accession_numbers: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMessage:
    """One message.

    Args:
        kind: What happened.
        time_ns: When, in nanoseconds since 1970.
        participants: Who took part; one at least.
        objects: What it was about.
        action: What was done, where the kind leaves that open.
        outcome: How it ended.
        description: Why it ended so.
    """

    kind: Kind
    time_ns: int
    participants: Sequence[Participant]
    objects: Sequence[Object] = ()
    action: Action = "E"
    outcome: Outcome = Outcome.SUCCESS
    description: str = ""

    def shortened(self) -> "AuditMessage":
        """Give it with words in place of its queries, for where the whole does not get through."""
        return replace(self, objects=[_without_query(one) for one in self.objects])


class Source(NamedTuple):
    """Who tells.

    Args:
        identifier: Of this server.
        site: Of the enterprise's site that it serves; empty for none.
    """

    identifier: str
    site: str = ""


def encode(message: AuditMessage, source: Source) -> bytes:
    """Give the XML of a message: one line, in UTF-8, without a line feed at its end."""
    parts = ('<?xml version="1.0" encoding="UTF-8"?>', *_message(message, source))
    return "".join(parts).encode()


def _message(message: AuditMessage, source: Source) -> Iterator[str]:
    yield "<AuditMessage>"
    yield from _event(message)
    for participant in message.participants:
        yield from _participant(participant)
    site = _attribute("AuditEnterpriseSiteID", source.site)
    yield f"<AuditSourceIdentification{site} AuditSourceID={_quoted(source.identifier)}>"
    yield f'<AuditSourceTypeCode csd-code="{_APPLICATION_SERVER}"/></AuditSourceIdentification>'
    for one in message.objects:
        yield from _object(one)
    yield "</AuditMessage>"


def _event(message: AuditMessage) -> Iterator[str]:
    kind = message.kind
    yield (
        f'<EventIdentification EventActionCode="{kind.action or message.action}" '
        f'EventDateTime="{_moment(message.time_ns)}" EventOutcomeIndicator="{message.outcome:d}">'
    )
    yield _coded("EventID", kind.event)
    if kind.type is not None:
        yield _coded("EventTypeCode", kind.type)
    if message.description:
        text = _escaped(message.description)
        yield f"<EventOutcomeDescription>{text}</EventOutcomeDescription>"
    yield "</EventIdentification>"


def _participant(participant: Participant) -> Iterator[str]:
    yield f"<ActiveParticipant UserID={_quoted(participant.user_id)}"
    if participant.ae_titles:
        # A.5.2.2
        titles = ";".join(map(_one_title, participant.ae_titles))
        yield _attribute("AlternativeUserID", f"AETITLES={titles}")
    yield _attribute("UserName", participant.user_name)
    yield f' UserIsRequestor="{str(participant.is_requestor).lower()}"'
    if participant.host:
        yield _attribute("NetworkAccessPointID", participant.host)
        yield f' NetworkAccessPointTypeCode="{_access_point_kind(participant.host)}"'
    if participant.role is None:
        yield "/>"
    else:
        yield f">{_coded('RoleIDCode', participant.role)}</ActiveParticipant>"


def _object(one: Object) -> Iterator[str]:
    yield (
        f"<ParticipantObjectIdentification ParticipantObjectID={_quoted(one.identifier)} "
        f'ParticipantObjectTypeCode="{one.kind}"'
    )
    if one.role is not None:
        yield f' ParticipantObjectTypeCodeRole="{one.role}"'
    yield f">{_coded('ParticipantObjectIDTypeCode', one.identifier_kind)}"
    # The schema asks for one of the two.
    if one.query is None:
        yield f"<ParticipantObjectName>{_escaped(one.name)}</ParticipantObjectName>"
    else:
        query = b64encode(one.query).decode("ascii")
        yield f"<ParticipantObjectQuery>{query}</ParticipantObjectQuery>"
    for name, value in one.details:
        encoded = b64encode(_legal(value[:TEXT_LIMIT]).encode()).decode("ascii")
        yield f'<ParticipantObjectDetail type={_quoted(name)} value="{encoded}"/>'
    if one.accession_numbers:
        numbers = "".join(
            f"<Accession Number={_quoted(number)}/>" for number in one.accession_numbers
        )
        yield f"<ParticipantObjectDescription>{numbers}</ParticipantObjectDescription>"
    yield "</ParticipantObjectIdentification>"


def _without_query(one: Object) -> Object:
    if one.query is None:
        return one
    return replace(one, query=None, name=f"(query of {len(one.query)} bytes, too long to be sent)")


def _coded(element: str, code: Code) -> str:
    return (
        f'<{element} csd-code="{code.value}" codeSystemName="{code.system}" '
        f'originalText="{code.meaning}"/>'
    )


def _attribute(name: str, value: str) -> str:
    return f" {name}={_quoted(value)}" if value else ""


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Give a text as it stands in XML 1.0, on one line."""
    legal = _legal(text[:TEXT_LIMIT])
    return _special.sub(_reference, legal)


def _legal(text: str) -> str:
    r"""Give a text with what XML 1.0 section 2.2 has no character for written as `\u0001`."""
    return _illegal.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _one_title(title: str) -> str:
    r"""Give an AE title that may stand in a list, where `;` separates: with `\u003b` in its place.

    The standard has no spelling for it, and no title that is one has a backslash (PS3.5 6.2).
    """
    return _separating.sub(lambda match: f"\\u{ord(match[0]):04x}", title)


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


_illegal = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_separating = re.compile(r"[;\\]")
# What XML or syslog would take for something else.
_special = re.compile("[\t\n\r\x7f-\x9f\u2028\u2029&<>\"']")


def _access_point_kind(host: str) -> int:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return _MACHINE_NAME
    return _IP_ADDRESS


def _moment(time_ns: int) -> str:
    """Give a time of day in UTC with milliseconds (A.5.2.5)."""
    second, rest = divmod(time_ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{stamp}.{rest // 1_000_000:03d}Z"
