"""The DICOM Conformance Statement: a text, and the tables that the code knows.

`conformance.md` beside this module is the text; `{{name}}` in it stands for a table here. Tests
compare what is said with what the code does: `tests/docs/test_conformance.py`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, __version__
from mwl.attributes import ATTRIBUTES, Attribute
from mwl.audit import messages
from mwl.audit.syslog import LIMIT_BYTES as SYSLOG_LIMIT_BYTES
from mwl.audit.syslog import MESSAGE_ID
from mwl.config import OPTIONS, SYSLOG_PORTS, Option
from mwl.dataset import (
    CODE_EXTENSIONS,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCODINGS,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    SINGLE_TERMS,
    SINGLE_VALUE_TEXT_VRS,
    TRANSFER_SYNTAXES,
    VRS,
)
from mwl.doctor.modalities import AT_ONCE
from mwl.item import MAX_FILE_BYTES
from mwl.keys import USUAL_KEYS
from mwl.limits import (
    ASSOCIATIONS,
    ASSOCIATIONS_PER_HOST,
    KEYS,
    LIMITS,
    VALUES,
    WAITING_REQUESTS,
    WILD_CARDS,
)
from mwl.matching.values import NORMALS, RANGE_VRS, WILD_CARD_VRS
from mwl.net.client import Peer
from mwl.tls import ciphers
from mwl.wire.negotiation import EXTENDED_ANSWER, MODALITY_WORKLIST_FIND, VERIFICATION
from mwl.wire.pdu import APPLICATION_CONTEXT, MAX_PRESENTATION_CONTEXTS

SOURCE = Path(__file__).resolve().parent.parent / "src" / "mwl"
TEXT = Path(__file__).resolve().with_name("conformance.md")

SOP_CLASSES = {
    VERIFICATION: "Verification",
    MODALITY_WORKLIST_FIND: "Modality Worklist Information Model - FIND",
}

UID_NAMES = {
    EXPLICIT_VR_LITTLE_ENDIAN: "Explicit VR Little Endian",
    IMPLICIT_VR_LITTLE_ENDIAN: "Implicit VR Little Endian",
    EXPLICIT_VR_BIG_ENDIAN: "Explicit VR Big Endian (retired)",
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: "Deflated Explicit VR Little Endian",
}

_COMMENT, _BOTH = "(0000,0902)", "(0000,0901), (0000,0902)"

FIND_STATUSES = (
    ("0000", "Success", "every match was sent, or there was none", "none"),
    ("FF00", "Pending", "a match, with its identifier", "none"),
    (
        "FE00",
        "Cancel",
        (
            "stopped by C-CANCEL; or `LimitAnswers` was reached; or a script said that there are "
            "more answers than it gave"
        ),
        "none",
    ),
    (
        "A700",
        "Failure",
        (
            f"more than {KEYS.default} attributes, {VALUES.default} values or "
            f"{WILD_CARDS.default} wild cards in the identifier, or another limit of 3.6; too many "
            "queries wait for a script"
        ),
        _COMMENT,
    ),
    (
        "A900",
        "Failure",
        "there is no identifier; a key is not legal; its character set is not supported",
        _BOTH,
    ),
    (
        "C000",
        "Failure",
        (
            "the identifier cannot be decoded; the worklist folder cannot be read; a script "
            "failed; an internal error"
        ),
        _BOTH,
    ),
    ("C001", "Failure", "a script or hook of the site refused the query", _COMMENT),
    ("C002", "Failure", "a script or hook took longer than `CallbackTimeout`", _COMMENT),
    ("C003", "Failure", "scripts or hooks hang, and no thread is left for this query", _COMMENT),
    ("0122", "Failure", "the SOP class of the request is not that of its context", _COMMENT),
    ("0124", "Failure", "the caller may not query the worklist", _COMMENT),
    ("0211", "Failure", "another operation than C-FIND, C-CANCEL and C-ECHO", _COMMENT),
)
"""Every status that the server sends: code, class, when, fields."""

_REJECTIONS = (
    ("1, 1, 2", "the application context name is another"),
    ("1, 2, 2", "bit 0 of the protocol version is not set"),
    (
        "1, 1, 3",
        "the calling AE title is not known, or not from this address, or not with this certificate",
    ),
    (
        "1, 1, 7",
        (
            "the called AE title is not `DicomAet` (`DicomCheckCalledAet`), or has no folder "
            "(`FolderPerCalledAet`)"
        ),
    ),
    ("1, 2, 1", "the user identity is not accepted (`DicomUserIdentity`): see 3.2.3"),
    ("2, 3, 2", "there are too many associations, in all or from this host: see 3.6"),
)

_ABORTIONS = (
    (
        "0, service-user",
        "0",
        (
            "the association was idle too long; a PDU or a message took too long to come; the "
            "server stopped and its `ShutdownTimeout` is over; more than "
            f"{WAITING_REQUESTS.default} requests were sent ahead; "
            "a mistake in or before the A-ASSOCIATE-RQ"
        ),
    ),
    ("2, service-provider", "0", "a message is longer than its limit in 3.6"),
    ("2, service-provider", "1", "a PDU of unknown type"),
    ("2, service-provider", "2", "a PDU that does not belong here"),
    ("2, service-provider", "5", "a fragment that does not belong to the message before it"),
    ("2, service-provider", "6", "a PDU or command set that is not legal or longer than announced"),
)

_USERS = {
    VERIFICATION: "`mwl echo`, `mwl doctor`, `POST /modalities/{modality}/echo`, "
    "`POST /tools/dicom-echo`",
    MODALITY_WORKLIST_FIND: "`mwl find`, `POST /modalities/{modality}/find-worklist`",
}


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _rows(rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(_row(*row) for row in rows)


def _services() -> str:
    return _rows((name, f"`{uid}`", "yes", "yes") for uid, name in SOP_CLASSES.items())


def _option(name: str) -> Option:
    return next(option for option in OPTIONS if option.name == name)


def _default(name: str) -> str:
    """Give the default of an option with its unit and its name."""
    option = _option(name)
    return f"{option.default} {option.unit or ''}".strip() + f" (`{name}`)"


def _association() -> str:
    return _rows(
        (
            ("Maximum PDU length that is received", _default("MaximumPduLength")),
            (
                "Maximum PDU length that is sent",
                "what the requestor announces; it may announce that there is no limit",
            ),
            (
                "Associations at once",
                f"{ASSOCIATIONS.default} in all, {ASSOCIATIONS_PER_HOST.default} from one host",
            ),
            (
                "ARTIM: wait for the A-ASSOCIATE-RQ, and for the end of the connection",
                _default("Limits.ArtimTimeout"),
            ),
            ("Idle association until it is aborted", _default("DicomScpTimeout")),
            ("TLS handshake", _default("Limits.HandshakeTimeout")),
            (
                "From the end of the server to the abort of what is left",
                _default("ShutdownTimeout"),
            ),
        )
    )


def matching_of(vr: str) -> str:
    """Say how keys of a VR can be matched, in the words of PS3.2 N.5.2."""
    if vr == "SQ":
        return "SEQUENCE, UNIVERSAL"
    if vr not in NORMALS:
        return "UNIVERSAL; a value is refused with A900"
    kinds = ["SINGLE_VALUE"]
    if vr in WILD_CARD_VRS:
        kinds.append("WILDCARD")
    if vr in RANGE_VRS:
        kinds.append("RANGE")
    if vr == "UI":
        kinds.append("UID")
    elif vr not in SINGLE_VALUE_TEXT_VRS:
        kinds.append("SEVERAL_VALUES")
    return ", ".join([*kinds, "UNIVERSAL"])


NO_KEYS = {
    0x00080005: "none: says how to read the others",
    0x00080201: "none: has no effect",
}


def _key(row: Attribute) -> tuple[str, ...]:
    depth = len(row.path) - 1
    tag = f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})"
    matching = NO_KEYS.get(row.tag) or matching_of(row.vr)
    return ("> " * depth + row.name, tag, row.vr, row.matching, row.returned, matching)


def _keys() -> str:
    lines, module = [], ""
    for row in ATTRIBUTES:
        if row.module != module:
            module = row.module
            lines.append(_row(f"**{module}**", "", "", "", "", ""))
        lines.append(_row(*_key(row)))
    return "\n".join(lines)


def _matching_by_vr() -> str:
    of_kind: dict[str, list[str]] = {}
    for vr in sorted(VRS):
        of_kind.setdefault(matching_of(vr), []).append(vr)
    return _rows((" ".join(vrs), kind) for kind, vrs in of_kind.items())


_DEVIATION = re.compile(r"^ *# Deviation: (.+(?:\n *# .+)*)", re.MULTILINE)


def _deviations() -> str:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        for comment in _DEVIATION.findall(file.read_text("utf-8")):
            text = re.sub(r"\n *# ", " ", comment)
            found.append(f"- {text[0].upper()}{text[1:]} (`{file.relative_to(SOURCE)}`)")
    return "\n".join(found)


def _scu_association() -> str:
    defaults = Peer("", 0, "", "")
    return _rows(
        (
            ("Maximum PDU length that is received", f"{defaults.max_pdu_length} bytes"),
            (
                "AE title of its own",
                "`MWL`, or `-aet`; over HTTP `LocalAet` of the modality, else `DicomAet`",
            ),
            ("Wait for the connection, and for each answer", _waits(defaults.timeout_s)),
            (
                "Associations at once",
                f"one a command or request; `mwl doctor` asks {AT_ONCE} devices at once",
            ),
            ("Priority (0000,0700)", "MEDIUM"),
        )
    )


def _waits(timeout_s: float) -> str:
    over_http = _default("DicomScuTimeout")
    return f"{timeout_s:g} s, or `--timeout`; over HTTP `Timeout` of the modality, else {over_http}"


def _options() -> str:
    shown = [option for option in OPTIONS if not option.name.startswith(("Http", "Ssl"))]
    return _rows(
        (f"`{option.name}`", f"`{_json(option.default)}`", option.allowed) for option in shown
    )


def _json(value: object) -> str:
    return json.dumps(value)


def _limits() -> str:
    others = (
        (
            "Presentation contexts of an association",
            MAX_PRESENTATION_CONTEXTS,
            "A-ABORT, source service-user: there is no association.",
        ),
        ("Worklist file", f"{MAX_FILE_BYTES} bytes", "It is not served, and named in the log."),
    )
    rows = ((limit.bounds, _default(limit.name), limit.refusal) for limit in LIMITS)
    return _rows((*rows, *others))


def _tls() -> str:
    return _rows(
        (
            ("Versions", "TLS 1.2 and 1.3, unless `DicomTlsMinimumProtocolVersion` says otherwise"),
            (
                "Cipher suites of TLS 1.2",
                f"{', '.join(ciphers.PROFILE)}, unless `DicomTlsCiphersAccepted` says otherwise",
            ),
            ("Cipher suites of TLS 1.3", "all that OpenSSL has"),
            (
                "Certificate of a caller",
                (
                    "required, unless `DicomTlsRemoteCertificateRequired` is false; one that is "
                    "shown is checked against `DicomTlsTrustedCertificates`"
                ),
            ),
            (
                "Names in certificates",
                "not compared with addresses (IHE ITI-19); `TlsSubject` binds an AE title to one",
            ),
            (
                "Session resumption",
                "none by ticket; in TLS 1.2 by session ID, until certificates are read again",
            ),
        )
    )


def _text(value: str) -> Callable[[], str]:
    return lambda: value


AUDIT_TRIGGERS = (
    (messages.APPLICATION_START, "the server listens"),
    (messages.APPLICATION_STOP, "the server has ended in good order"),
    (
        messages.QUERY,
        "a C-FIND was answered or refused; a search over HTTP; a query that the SCU sends",
    ),
    (
        messages.PROCEDURE_RECORD,
        "an item was created, changed or deleted, over HTTP or in the folder; read over HTTP",
    ),
    (
        messages.LOGIN,
        "a device's user was accepted or not (`DicomUserIdentity`), or one of HTTP was not",
    ),
    (messages.NODE_AUTHENTICATION, "an association was rejected, or TLS came to nothing"),
    (
        messages.RESTRICTED_FUNCTION,
        (
            "a C-FIND, C-ECHO or HTTP request was refused; over HTTP Lua was run, or a reload, "
            "restart or end was asked for"
        ),
    ),
    (
        messages.SECURITY_CONFIGURATION,
        (
            "certificates or the configuration were read again, or could not be; over HTTP a known "
            "modality, the log level or the default encoding was changed"
        ),
    ),
    (messages.RECORDING_STARTED, "messages before this one were dropped: how many, and since when"),
)
"""What makes the server send each kind of message."""

TABLES: Mapping[str, Callable[[], str]] = {
    "version": _text(__version__),
    "implementation_class_uid": _text(IMPLEMENTATION_CLASS_UID),
    "implementation_version_name": _text(IMPLEMENTATION_VERSION_NAME),
    "application_context": _text(APPLICATION_CONTEXT),
    "waiting_requests": _text(str(WAITING_REQUESTS.default)),
    "services": _services,
    "scp_sop_classes": lambda: _rows((n, f"`{uid}`", "SCP") for uid, n in SOP_CLASSES.items()),
    "scu_sop_classes": lambda: _rows(
        (name, f"`{uid}`", _USERS[uid]) for uid, name in SOP_CLASSES.items()
    ),
    "transfer_syntaxes": lambda: _rows((UID_NAMES[uid], f"`{uid}`") for uid in TRANSFER_SYNTAXES),
    "transfer_syntax_names": lambda: ", ".join(UID_NAMES[uid] for uid in TRANSFER_SYNTAXES),
    "association": _association,
    "extended_answer": lambda: EXTENDED_ANSWER.hex(" "),
    "user_identity": lambda: _rows(
        (
            (
                "User Identity of type 1 (user name)",
                (
                    'accepted without a check; with `DicomUserIdentity` "offered" if it is of '
                    '`RegisteredUsers`, else rejected; with "required" rejected; confirmed when it '
                    "is accepted and a positive response is asked for"
                ),
            ),
            (
                "User Identity of type 2 (user name and passcode)",
                (
                    'accepted without a check; with `DicomUserIdentity` "offered" or "required" if '
                    "both are of `RegisteredUsers`, else rejected; confirmed when it is accepted "
                    "and a positive response is asked for"
                ),
            ),
            (
                "User Identity of type 3, 4 or 5 (Kerberos, SAML, JWT)",
                (
                    "accepted without a check, and not confirmed; with `DicomUserIdentity` "
                    '"required" rejected'
                ),
            ),
            (
                "No User Identity",
                'accepted; with `DicomUserIdentity` "required" rejected',
            ),
        )
    ),
    "user_identity_text": _text(
        'The Basic User Identity Association Profile (B.4) with `DicomUserIdentity` "offered", and '
        'the User Identity Plus Passcode Association Profile (B.5) with "required", see 3.2.3. By '
        "default an identity is accepted and not looked at. The SCU sends none."
    ),
    "scu_identity": _text(", no user identity"),
    "audit": lambda: _rows(
        (kind.event.meaning, "" if kind.type is None else kind.type.meaning, kind.event.value, why)
        for kind, why in AUDIT_TRIGGERS
    ),
    "audit_port_udp": _text(str(SYSLOG_PORTS["udp"])),
    "audit_port_tls": _text(str(SYSLOG_PORTS["tls"])),
    "audit_limit": _text(f"{SYSLOG_LIMIT_BYTES:,}"),
    "audit_message_id": _text(f"`{MESSAGE_ID}`"),
    "rejections": lambda: _rows(_REJECTIONS),
    "abortions": lambda: _rows(_ABORTIONS),
    "echo_statuses": _text("0000 (Success), or 0124 when the caller may not use it"),
    "statuses": lambda: _rows(FIND_STATUSES),
    "keys": _keys,
    "matching_by_vr": _matching_by_vr,
    "deviations": _deviations,
    "scu_association": _scu_association,
    "scu_keys": lambda: "\n".join(f"- {key}" for key in USUAL_KEYS),
    "options": _options,
    "limits": _limits,
    "character_sets": lambda: ", ".join(SINGLE_TERMS),
    "character_sets_extended": lambda: ", ".join(CODE_EXTENSIONS),
    "encodings": lambda: ", ".join(f"`{name}`" for name in ENCODINGS),
    "tls": _tls,
}
"""What each name in the text stands for."""


def conformance_page() -> str:
    """Give the statement."""
    text = TEXT.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: TABLES[found[1]](), text)
