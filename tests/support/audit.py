"""What an audit message must look like, and receivers of syslog.

The rules are those of the schema (PS3.15 A.5.1) and of the messages (A.5.3), put down as tables.
"""

import base64
import re
import socket
import ssl
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mwl.audit.messages import AuditMessage, Source, encode

if TYPE_CHECKING:
    from mwl.audit.trail import Gap

TIMEOUT_S = 20.0
"""Longest wait for a message."""

BOM = b"\xef\xbb\xbf"

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_HEADER = re.compile(
    rb"<(\d{1,3})>1 (\S+) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) "
    rb"([\x21-\x7e]{1,32}) - "
)


def _is_base64(text: str) -> bool:
    return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text


def _one_of(*values: str) -> Callable[[str], bool]:
    return set(values).__contains__


def _number_to(last: int) -> Callable[[str], bool]:
    return set(map(str, range(1, last + 1))).__contains__


def _anything(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Element:
    """What an element has: attributes, needed or not, and children in this order."""

    needed: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)
    possible: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)
    children: Sequence[tuple[str, str]] = ()
    text: Callable[[str], bool] | None = None


CODED = Element(
    needed={"csd-code": bool, "codeSystemName": bool, "originalText": bool},
    possible={"displayName": bool},
)
ELEMENTS: Mapping[str, Element] = {
    "AuditMessage": Element(
        children=[
            ("EventIdentification", ""),
            ("ActiveParticipant", "+"),
            ("AuditSourceIdentification", ""),
            ("ParticipantObjectIdentification", "*"),
        ]
    ),
    "EventIdentification": Element(
        needed={
            "EventDateTime": lambda text: bool(_DATE_TIME.fullmatch(text)),
            "EventOutcomeIndicator": _one_of("0", "4", "8", "12"),
        },
        possible={"EventActionCode": _one_of(*"CRUDE")},
        children=[("EventID", ""), ("EventTypeCode", "*"), ("EventOutcomeDescription", "?")],
    ),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "EventOutcomeDescription": Element(text=_anything),
    "ActiveParticipant": Element(
        needed={"UserID": _anything, "UserIsRequestor": _one_of("true", "false")},
        possible={
            "AlternativeUserID": bool,
            "UserName": bool,
            "NetworkAccessPointID": bool,
            "NetworkAccessPointTypeCode": _number_to(5),
        },
        children=[("RoleIDCode", "*"), ("MediaIdentifier", "?")],
    ),
    "RoleIDCode": CODED,
    "AuditSourceIdentification": Element(
        needed={"AuditSourceID": bool},
        possible={"AuditEnterpriseSiteID": bool},
        children=[("AuditSourceTypeCode", "*")],
    ),
    "AuditSourceTypeCode": Element(needed={"csd-code": _number_to(9)}),
    "ParticipantObjectIdentification": Element(
        needed={"ParticipantObjectID": _anything},
        possible={
            "ParticipantObjectTypeCode": _number_to(4),
            "ParticipantObjectTypeCodeRole": _number_to(26),
            "ParticipantObjectDataLifeCycle": _number_to(15),
            "ParticipantObjectSensitivity": bool,
        },
        children=[
            ("ParticipantObjectIDTypeCode", ""),
            ("ParticipantObjectName|ParticipantObjectQuery", ""),
            ("ParticipantObjectDetail", "*"),
            ("ParticipantObjectDescription", "*"),
        ],
    ),
    "ParticipantObjectIDTypeCode": CODED,
    "ParticipantObjectName": Element(text=_anything),
    "ParticipantObjectQuery": Element(text=_is_base64),
    "ParticipantObjectDetail": Element(needed={"type": bool, "value": _is_base64}),
    "ParticipantObjectDescription": Element(
        children=[("MPPS", "*"), ("Accession", "*"), ("SOPClass", "*")]
    ),
    "Accession": Element(needed={"Number": _anything}),
}


@dataclass(frozen=True)
class Rule:
    """What a message of a kind has besides.

    Args:
        actions: Its action codes.
        types: Codes of its type; empty where it needs none.
        roles: Codes of roles that one participant each must have.
        participants: Fewest and most.
        objects: For each code of an identifier: kind, roles, fewest and most.
    """

    actions: str
    types: Sequence[str] = ()
    roles: Sequence[str] = ()
    participants: tuple[int, int] = (1, 99)
    objects: Mapping[str, tuple[str, Sequence[str], int, int]] = field(default_factory=dict)


MESSAGES: Mapping[str, Rule] = {
    # A.5.3.1 Application Activity
    "110100": Rule("E", ["110120", "110121"], roles=["110150"]),
    # A.5.3.10 Query; the codes of RFC 3881 for what is no query of DICOM
    "110112": Rule(
        "E",
        roles=["110153", "110152"],
        objects={"110181": ("2", ["3"], 0, 1), "10": ("2", ["3"], 0, 1)},
    ),
    # A.5.3.11 Security Alert
    "110113": Rule(
        "E",
        [str(code) for code in range(110126, 110143)],
        objects={"12": ("2", ["5", "13"], 0, 99), "110182": ("2", ["5", "13"], 0, 99)},
    ),
    # A.5.3.12 User Authentication: no objects
    "110114": Rule("E", ["110122", "110123"], participants=(1, 2)),
    # A.5.3.15 Procedure Record
    "110111": Rule(
        "CRUD",
        participants=(1, 2),
        objects={"110180": ("2", ["3"], 0, 99), "2": ("1", ["1"], 1, 1)},
    ),
}


class Recorded:
    """Takes audit messages as a trail does, and makes them at once."""

    def __init__(self) -> None:
        self.of_gap: Callable[[Gap], AuditMessage] | None = None
        self.dropped = 0
        self.messages: list[ET.Element] = []

    def put(self, make: Callable[[], AuditMessage | None], size: int = 0) -> None:
        """Take a message, which must be as the standard has it."""
        assert size >= 0
        if (message := make()) is not None:
            root = parsed(encode(message, Source("here")))
            assert faults(root) == []
            self.messages.append(root)

    def drop(self, count: int) -> None:
        """Count messages that are lost."""
        self.dropped += count

    def taken(self) -> list[ET.Element]:
        """Give what came since the last time."""
        taken, self.messages = self.messages, []
        return taken


def said(root: ET.Element) -> dict[str, object]:
    """Give what matters of a message: what happened, who did it, what it was about."""
    event = root[0]
    who = [
        one for one in root.findall("ActiveParticipant") if "AlternativeUserID" not in one.attrib
    ]
    objects = {
        one[0].attrib["originalText"]: one.attrib["ParticipantObjectID"]
        for one in root.findall("ParticipantObjectIdentification")
    }
    types = [code.attrib["originalText"] for code in event.findall("EventTypeCode")]
    return {
        "event": (types or [event[0].attrib["originalText"]])[0],
        "action": event.attrib["EventActionCode"],
        "outcome": int(event.attrib["EventOutcomeIndicator"]),
        "who": [one.attrib["UserID"] for one in who],
        **objects,
    }


def parsed(xml: bytes) -> ET.Element:
    """Read a message of ours."""
    return ET.fromstring(xml)  # noqa: S314 - made here


def faults(root: ET.Element) -> list[str]:
    """Give everything in which a message is not as the standard has it."""
    return [*_faults_of_element(root), *_faults_of_message(root)]


def _faults_of_element(element: ET.Element) -> list[str]:
    rule = ELEMENTS[element.tag]
    known = {**rule.needed, **rule.possible}
    found = [f"{element.tag} lacks {name}" for name in rule.needed if name not in element.attrib]
    found += [
        f"{element.tag} has {name}={value!r}"
        for name, value in element.attrib.items()
        if name not in known or not known[name](value)
    ]
    pattern = "".join(f"(?:(?:{name}) ){count}" for name, count in rule.children)
    order = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(pattern, order):
        found.append(f"{element.tag} holds {order}")
    if rule.text is None:
        found += [f"{element.tag} has text"] if element.text else []
    elif not rule.text(element.text or ""):
        found.append(f"{element.tag} has the text {element.text!r}")
    return [*found, *(fault for child in element for fault in _faults_of_element(child))]


def _codes(elements: Sequence[ET.Element]) -> list[str]:
    return [element.attrib["csd-code"] for element in elements]


def _faults_of_message(root: ET.Element) -> list[str]:
    event = root.find("EventIdentification")
    assert event is not None
    [number] = _codes(event.findall("EventID"))
    rule = MESSAGES[number]
    found = []
    if event.attrib.get("EventActionCode", "") not in tuple(rule.actions):
        found.append("action")
    types = _codes(event.findall("EventTypeCode"))
    if len(types) != bool(rule.types) or not set(types) <= set(rule.types):
        found.append(f"types {types}")
    participants = root.findall("ActiveParticipant")
    if not rule.participants[0] <= len(participants) <= rule.participants[1]:
        found.append(f"{len(participants)} participants")
    roles = _codes(root.findall("ActiveParticipant/RoleIDCode"))
    found += [f"role {role}" for role in rule.roles if roles.count(role) != 1]
    for one in participants:
        if ("NetworkAccessPointID" in one.attrib) != ("NetworkAccessPointTypeCode" in one.attrib):
            found.append("half a network access point")
    return found + _faults_of_objects(rule, root.findall("ParticipantObjectIdentification"))


def _faults_of_objects(rule: Rule, objects: list[ET.Element]) -> list[str]:
    found = []
    for code, (kind, roles, fewest, most) in rule.objects.items():
        these = [one for one in objects if _codes([one[0]]) == [code]]
        objects = [one for one in objects if one not in these]
        if not fewest <= len(these) <= most:
            found.append(f"{len(these)} objects {code}")
        for one in these:
            if one.attrib.get("ParticipantObjectTypeCode") != kind:
                found.append(f"kind of object {code}")
            if one.attrib.get("ParticipantObjectTypeCodeRole") not in roles:
                found.append(f"role of object {code}")
    return found + [f"object {_codes([one[0]])}" for one in objects]


def details(one: ET.Element) -> dict[str, str]:
    """Give the details of an object, decoded."""
    return {
        detail.attrib["type"]: base64.b64decode(detail.attrib["value"]).decode()
        for detail in one.findall("ParticipantObjectDetail")
    }


@dataclass(frozen=True)
class Syslog:
    """A syslog message taken apart."""

    priority: int
    time: str
    host: str
    application: str
    process: str
    message_id: str
    xml: bytes


def taken_apart(message: bytes) -> Syslog:
    """Take a syslog message apart."""
    match = _HEADER.match(message)
    assert match, message
    rest = message[match.end() :]
    assert rest.startswith(BOM), rest
    priority, time, host, application, process, message_id = map(bytes.decode, match.groups())
    xml = rest[len(BOM) :]
    return Syslog(int(priority), time, host, application, process, message_id, xml)


def frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Take off the messages with their lengths that bytes begin with; give them and the rest."""
    found = []
    while match := re.match(rb"(\d+) ", data):
        end = match.end() + int(match[1])
        if len(data) < end:
            break
        found.append(data[match.end() : end])
        data = data[end:]
    return found, data


class Receiver:
    """A receiver of syslog on the loopback, in threads: what it got so far, and when to stop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: list[bytes] = []

    def take(self, message: bytes) -> None:
        """Note a message."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def messages(self, count: int = 0) -> list[Syslog]:
        """Give what came, in order, waiting until it is as many as that."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._messages) >= count, TIMEOUT_S)
            assert len(self._messages) >= count, f"{len(self._messages)} messages of {count}"
            return [taken_apart(message) for message in self._messages]


@contextmanager
def udp_receiver(port: int = 0) -> Iterator[tuple[Receiver, int]]:
    """Receive syslog over UDP; give what comes, and the port."""
    receiver = Receiver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))

        def receive() -> None:
            while message := sock.recv(65_535):
                receiver.take(message)

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield receiver, sock.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", sock.getsockname())
            thread.join(TIMEOUT_S)


@contextmanager
def tls_receiver(
    context: ssl.SSLContext, port: int = 0, *, reads: bool = True
) -> Iterator[tuple[Receiver, int]]:
    """Receive syslog over TLS; give what comes, and the port.

    Args:
        context: What it encrypts with.
        port: Its port; 0 for any.
        reads: Whether it reads; one that does not accepts connections, and TLS.
    """
    receiver = Receiver()
    listening = socket.create_server(("127.0.0.1", port))
    opened: list[socket.socket] = []

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
            opened.append(secured)
            if not reads:
                ended.wait(TIMEOUT_S)
                return
            rest = b""
            while data := secured.recv(65_536):
                found, rest = frames(rest + data)
                for message in found:
                    receiver.take(message)

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=serve, args=(listening.accept()[0],))
                thread.start()
                threads.append(thread)

    ended = threading.Event()
    threads: list[threading.Thread] = []
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield receiver, listening.getsockname()[1]
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(TIMEOUT_S)
        for one in opened:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(TIMEOUT_S)
