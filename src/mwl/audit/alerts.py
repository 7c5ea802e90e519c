"""Which events of the log are security alerts too, as one table.

What refuses a caller emits an event, and that is all it does: the alert follows from here.

Source: DICOM PS3.15 A.5.3.11.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from mwl.audit.messages import (
    LOGIN,
    MASTER_FILE,
    NODE_AUTHENTICATION,
    NODE_ID,
    RESTRICTED_FUNCTION,
    SECURITY_CONFIGURATION,
    SECURITY_RESOURCE,
    URI,
    AuditMessage,
    Kind,
    Object,
    Outcome,
    Participant,
)

Fields = Mapping[str, Any]
"""Facts of an event, by their names in the log."""

DESCRIPTION = "Alert Description"
"""Name of the detail that says in words what happened."""


class _Alert(NamedTuple):
    """One row of `_ALERTS`.

    Args:
        kind: Gives what kind of alert it is.
        outcome: How bad it is: a failure that was warded off is a minor one.
        words: Gives what happened, in words.
    """

    kind: Callable[[Fields], Kind]
    outcome: Outcome
    words: Callable[[Fields], str]


def _of_operation(fields: Fields) -> Kind:
    is_entrance = fields["operation"] in {"association", "connection"}
    return NODE_AUTHENTICATION if is_entrance else RESTRICTED_FUNCTION


def _refused(fields: Fields) -> str:
    called = fields.get("called_ae_title")
    to = f" to {called}" if called else ""
    return f"{fields['operation']}{to} refused: {fields['reason']}"


def _of_user(fields: Fields) -> Kind:
    # Who names no user has not tried to log in.
    return LOGIN if fields.get("user") else NODE_AUTHENTICATION


_ALERTS: Mapping[str, _Alert] = MappingProxyType(
    {
        "association_refused": _Alert(_of_operation, Outcome.MINOR_FAILURE, _refused),
        "user_identified": _Alert(_of_user, Outcome.SUCCESS, lambda _: ""),
        "user_refused": _Alert(
            _of_user,
            Outcome.MINOR_FAILURE,
            lambda fields: f"association refused: {fields['reason']}",
        ),
        "tls_refused": _Alert(
            lambda _: NODE_AUTHENTICATION,
            Outcome.MINOR_FAILURE,
            lambda fields: f"no TLS with the caller: {fields['reason']}",
        ),
        "certificates_loaded": _Alert(
            lambda _: SECURITY_CONFIGURATION,
            Outcome.SUCCESS,
            lambda _: "certificates were read again after their files had changed",
        ),
        "certificates_kept": _Alert(
            lambda _: SECURITY_CONFIGURATION,
            Outcome.MINOR_FAILURE,
            lambda fields: f"changed certificates cannot be used: {fields['error']}",
        ),
        "reloaded": _Alert(
            lambda _: SECURITY_CONFIGURATION,
            Outcome.SUCCESS,
            lambda fields: f"configuration taken over: {', '.join(fields.get('changed') or ())}",
        ),
        "reload_failed": _Alert(
            lambda _: SECURITY_CONFIGURATION,
            Outcome.MINOR_FAILURE,
            lambda fields: f"configuration not taken over: {fields['error']}",
        ),
    }
)

EVENTS = frozenset(_ALERTS)
"""The events."""


def alert(event: str, fields: Fields, time_ns: int, reporter: Participant) -> AuditMessage:
    """Make the alert of an event.

    Args:
        event: One of `EVENTS`.
        fields: Its facts.
        time_ns: When it happened.
        reporter: Who tells of it.
    """
    row = _ALERTS[event]
    kind, words = row.kind(fields), row.words(fields)
    if kind is LOGIN:  # PS3.15 Table A.5.3.12-1: it has no object
        return AuditMessage(
            kind=kind,
            time_ns=time_ns,
            outcome=row.outcome,
            description=words,
            participants=[*_performers(fields, is_requestor=True), reporter],
        )
    return AuditMessage(
        kind=kind,
        time_ns=time_ns,
        outcome=row.outcome,
        description=words,
        participants=[reporter, *_performers(fields)],
        objects=[*_nodes(fields, words), *_files(fields, words)],
    )


def _performers(fields: Fields, *, is_requestor: bool = False) -> list[Participant]:
    host, title = fields.get("host") or "", fields.get("calling_ae_title") or ""
    if not host and not title:
        return []
    ae_titles = [title] if title else []
    user = fields.get("user") or title or host
    return [Participant(user_id=user, is_requestor=is_requestor, ae_titles=ae_titles, host=host)]


def _nodes(fields: Fields, words: str) -> list[Object]:
    host = fields.get("host")
    return [node(host, words)] if host else []


def _files(fields: Fields, words: str) -> list[Object]:
    return [
        Object(
            identifier=file,
            identifier_kind=URI,
            role=SECURITY_RESOURCE,
            name=file,
            details=[(DESCRIPTION, words)],
        )
        for file in fields.get("files", ())
    ]


def node(host: str, words: str) -> Object:
    """Make the object of an alert that is about a machine."""
    return Object(
        identifier=host,
        identifier_kind=NODE_ID,
        role=MASTER_FILE,
        name=host,
        details=[(DESCRIPTION, words)],
    )
