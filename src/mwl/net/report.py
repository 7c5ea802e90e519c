"""What the SCP writes into the log: one function a kind of line.

Values of keys and of answers are written only when the site allows it (`DeidentifyLogs` false),
except those that cannot be a patient's: see `mwl.net.harmless`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from mwl import telemetry
from mwl.access import Caller, Refusal
from mwl.callbacks import Callbacks, Origin, QueryEvent
from mwl.dataset import (
    ENCODINGS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    decode,
    keyword_of,
    values,
)
from mwl.dump import dump
from mwl.errors import DatasetError
from mwl.find import Outcome, Request
from mwl.limits import ASSOCIATIONS_PER_HOST, INFLATED_LENGTH, Exceeded
from mwl.matching import Query
from mwl.net.harmless import HIDDEN, Harmless
from mwl.net.journal import Journal
from mwl.wire.association import Aborted, MessageReceived
from mwl.wire.dimse import Status
from mwl.wire.negotiation import NegotiatedContext, Result
from mwl.wire.pdu import AssociateAccept, AssociateRequest

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor

KEYS_REMEMBERED = 256
"""Queries whose keys are remembered as text, in queries: devices repeat themselves."""

REMEMBERED_LENGTH = 4096
"""Longest identifier of which that is remembered, in bytes: its compiled query, which is held with
it, is several times as long."""

KEYS_NAMED = 100
"""Keys named in the line of a query that was refused, in keys: it may have too many."""

UIDS_NAMED, UID_LENGTH = 40, 64
"""UIDs named in a `nothing_accepted` line, the rest are counted, and how much of each, in
characters: a UID has no more (PS3.5 section 9.1), and what a hostile peer sends is as long as its
request."""

SOURCES_NAMED = 20
"""Files named in a `query_matched` line; the rest are counted."""

_NO_KEYS = frozenset({"SpecificCharacterSet", "TimezoneOffsetFromUTC"})
"""What a query says about itself: never matched (PS3.4 sections C.2.2.2 and K.4.1.1.3.1)."""

_UNREAD = frozenset({Status.NOT_AUTHORIZED, Status.SOP_CLASS_NOT_SUPPORTED})
"""Status of queries that nobody has looked into: for the log they are not decoded either."""

_ANSWERED = (Status.SUCCESS, Status.CANCEL, Status.PENDING)
"""Statuses of a query that did not fail, ended early or not."""

_PDU_NAMES = {
    1: "A-ASSOCIATE-RQ",
    2: "A-ASSOCIATE-AC",
    3: "A-ASSOCIATE-RJ",
    4: "P-DATA-TF",
    5: "A-RELEASE-RQ",
    6: "A-RELEASE-RP",
    7: "A-ABORT",
}


_WRONG_SOP_CLASSES = (
    "the device must ask for Modality Worklist FIND (1.2.840.10008.5.1.4.31) "
    "or Verification (1.2.840.10008.1.1)"
)
_WRONG_TRANSFER_SYNTAXES = (
    "the SOP class is served, the transfer syntaxes are not: the device must offer "
    "Implicit VR Little Endian (1.2.840.10008.1.2)"
)


class _Stream:
    """Headers of the PDUs in one direction; bodies are passed over."""

    def __init__(self, direction: str) -> None:
        self._direction = direction
        self._header = bytearray()
        self._body_left = 0

    def follow(self, data: bytes) -> None:
        """Take the next bytes and write a line for each header that is whole."""
        start = 0
        while start < len(data):
            if self._body_left:
                passed = min(self._body_left, len(data) - start)
                self._body_left -= passed
            else:
                passed = min(6 - len(self._header), len(data) - start)
                self._header += data[start : start + passed]
                self._take_header()
            start += passed

    def _take_header(self) -> None:
        if len(self._header) == 6:
            kind = self._header[0]
            self._body_left = int.from_bytes(self._header[2:], "big")
            name = _PDU_NAMES.get(kind, f"unknown type {kind:02X}")
            telemetry.emit("pdu", direction=self._direction, type=name, length=self._body_left)
            self._header.clear()


class PduTrace:
    """Names the PDUs that pass, from their headers alone (PS3.8 section 9.3.1)."""

    def __init__(self) -> None:
        self._received = _Stream("received")
        self._sent = _Stream("sent")

    def received(self, data: bytes) -> None:
        """Take bytes that came from the peer."""
        self._received.follow(data)

    def sent(self, chunks: Iterable[bytes]) -> None:
        """Take bytes that go to the peer."""
        for chunk in chunks:
            self._sent.follow(chunk)


def abort_outcome(event: Aborted) -> str:
    """Say how an association was aborted, for its line."""
    if event.local:
        return f"aborted: {event.error}" if event.error else "aborted"
    return f"aborted by the peer (source {event.source}, reason {event.reason})"


def peer_error(event: Aborted, caller: Caller) -> None:
    """Report a peer that broke the protocol."""
    if event.error is not None:
        emit = telemetry.emitting(event.error.exceeded)
        emit(
            "peer_error",
            calling_ae_title=caller.calling_ae_title or None,
            host=caller.host,
            error=str(event.error),
            source=event.source,
            reason=event.reason,
        )


def nothing_within_tls(host: str, count: int) -> None:
    """Report a peer that sends TLS and no DICOM in it."""
    telemetry.emit("peer_error", host=host, error=f"{count} bytes of TLS without any for DICOM")


def refusal(caller: Caller, refused: Refusal, operation: str) -> None:
    """Report a caller that may not do what it asked for, and how to let it."""
    _refused(caller, operation, refused.explanation, refused.hint)


def not_now(caller: Caller, refused: Exceeded | str) -> str:
    """Report an association for which there is no room now; give the reason."""
    if isinstance(refused, str):
        _refused(caller, "association", refused, None)
        return refused
    reason = f"{refused.value} associations are open"
    if refused.limit == ASSOCIATIONS_PER_HOST.name:
        reason += " from this host"
    hint = "does a device open associations and never close them?"
    _refused(caller, "association", reason, hint, refused)
    return reason


def no_room(host: str, exceeded: Exceeded) -> None:
    """Report a connection that is cut for want of room."""
    _refused(
        Caller("", "", host),
        "connection",
        "too many connections are open",
        "does a device open connections and never close them?",
        exceeded,
    )


def user(caller: Caller) -> None:
    """Report an association of a registered user."""
    telemetry.emit(
        "user_identified",
        calling_ae_title=caller.calling_ae_title or None,
        called_ae_title=caller.called_ae_title or None,
        host=caller.host,
        user=caller.user,
    )


def no_user(caller: Caller, name: str, refused: Refusal) -> None:
    """Report an association that is rejected for its user identity."""
    telemetry.emit(
        "user_refused",
        calling_ae_title=caller.calling_ae_title or None,
        called_ae_title=caller.called_ae_title or None,
        host=caller.host,
        user=name or None,
        reason=refused.explanation,
        hint=refused.hint,
    )


def no_worklist(caller: Caller) -> None:
    """Report a called AE title that has no folder (`FolderPerCalledAet`)."""
    _refused(
        caller,
        "association",
        "no worklist folder of the called AE title",
        "make a folder of exactly that name under Worklists.Database (letters, digits, space and "
        "- : @ _ are allowed), or correct the device",
    )


def _refused(
    caller: Caller,
    operation: str,
    reason: str,
    hint: str | None,
    exceeded: Exceeded | None = None,
) -> None:
    emit = telemetry.emitting(exceeded)
    emit(
        "association_refused",
        calling_ae_title=caller.calling_ae_title or None,
        called_ae_title=caller.called_ae_title or None,
        host=caller.host,
        operation=operation,
        reason=reason,
        hint=hint,
    )


def nothing_accepted(request: AssociateRequest, accept: AssociateAccept, caller: Caller) -> None:
    """Report an association none of whose presentation contexts can be used."""
    known = Result.TRANSFER_SYNTAXES_NOT_SUPPORTED in {item.result for item in accept.contexts}
    telemetry.emit(
        "nothing_accepted",
        calling_ae_title=caller.calling_ae_title,
        host=caller.host,
        proposed=_uids(context.abstract_syntax for context in request.contexts),
        transfer_syntaxes=_uids(uid for item in request.contexts for uid in item.transfer_syntaxes),
        hint=_WRONG_TRANSFER_SYNTAXES if known else _WRONG_SOP_CLASSES,
    )


def _uids(found: Iterable[str]) -> list[str]:
    """Give the UIDs of a request as far as a line has room for them."""
    every = sorted({uid[:UID_LENGTH] for uid in found})
    more = len(every) - UIDS_NAMED
    return every if more <= 0 else [*every[:UIDS_NAMED], f"and {more} more"]


def identifier(caller: Caller, request: Request, harmless: Harmless | None) -> None:
    """Report the whole query as Orthanc prints it, for `--verbose`.

    Args:
        caller: Who asks.
        request: The query.
        harmless: Which values may be shown; None for all.
    """
    try:
        elements = _decoded(request.identifier, request.variant.transfer_syntax)
    except DatasetError:
        return  # the refusal that follows tells
    telemetry.emit(
        "query_identifier",
        calling_ae_title=caller.calling_ae_title,
        host=caller.host,
        query=_as_orthanc(elements, _text_of(elements), harmless),
    )


def query(
    caller: Caller,
    message: MessageReceived,
    outcome: Outcome,
    *,
    items: int,
    milliseconds: float,
    with_values: bool,
    journal: Journal,
) -> None:
    """Report one query and how it ended: in the log and in the journal."""
    failed = outcome.status not in _ANSWERED
    keys = _keys(message, outcome, with_values=with_values)
    journal.note(
        caller.calling_ae_title,
        caller.called_ae_title,
        caller.host,
        keys,
        outcome.status,
        outcome.comment,
        outcome.detail,
        items,
        outcome.answers,
        milliseconds,
    )
    emit = telemetry.emit if outcome.exceeded is None else telemetry.emitting(outcome.exceeded)
    emit(
        "query_refused" if failed else "query",
        calling_ae_title=caller.calling_ae_title,
        host=caller.host,
        keys=keys,
        items=items,
        looked_at=outcome.looked_at,
        answers=outcome.answers,
        status=f"{outcome.status:04X}",
        comment=outcome.comment or None,
        offending=_tags(outcome.offending) if outcome.offending else None,
        detail=outcome.detail or None,
        excluded_most=None if outcome.exclusion is None else str(outcome.exclusion),
        milliseconds=milliseconds,
    )
    if outcome.matches and telemetry.enabled("query_matched"):
        _matched(caller, outcome)


def audit(auditor: "Auditor", caller: Caller, message: MessageReceived, outcome: Outcome) -> None:
    """Note one query and how it ended for the audit trail."""
    failed = outcome.status not in _ANSWERED
    problem = outcome.comment or f"status {outcome.status:04X}" if failed else None
    syntax = message.context.transfer_syntax
    auditor.queried(caller, message.dataset or b"", syntax, problem)


def query_event(
    callbacks: Callbacks, caller: Caller, outcome: Outcome, milliseconds: float
) -> None:
    """Tell the event hooks of one query and how it ended."""
    keys = () if outcome.query is None else tuple(key.name for key in outcome.query.leaves())
    origin = Origin(caller.calling_ae_title, caller.called_ae_title, caller.host)
    callbacks.tell(QueryEvent(origin, keys, outcome.answers, outcome.status, milliseconds))


def _matched(caller: Caller, outcome: Outcome) -> None:
    telemetry.emit(
        "query_matched",
        calling_ae_title=caller.calling_ae_title,
        host=caller.host,
        sources=[item.source for item in outcome.matches[:SOURCES_NAMED]],
        more=max(len(outcome.matches) - SOURCES_NAMED, 0) or None,
    )


def _keys(message: MessageReceived, outcome: Outcome, *, with_values: bool) -> str | None:
    if outcome.query is None:
        if outcome.status in _UNREAD:
            return None
        return _asked_in_vain(message, with_values=with_values)
    data, syntax = message.dataset or b"", message.context.transfer_syntax
    if len(data) <= REMEMBERED_LENGTH:
        return _asked_remembered(data, syntax) if with_values else _names_remembered(outcome.query)
    return _asked(data, syntax) if with_values else _names(outcome.query)


def _asked_in_vain(message: MessageReceived, *, with_values: bool) -> str | None:
    """Name the keys of a query that was refused or not finished."""
    try:
        elements = _decoded(message.dataset or b"", message.context.transfer_syntax)
    except DatasetError:
        return None
    keys = (
        f"{name}={value}" if with_values else name
        for name, value in _keys_of(elements, _text_of(elements))
        if with_values or (value.strip("*") and name not in _NO_KEYS)
    )
    named = list(islice(keys, KEYS_NAMED + 1))
    if len(named) > KEYS_NAMED:
        named[-1] = "..."
    return " ".join(named) or None


def _names(asked: Query) -> str | None:
    return " ".join(criterion.name for criterion in asked.leaves()) or None


def _asked(identifier: bytes, transfer_syntax: str) -> str | None:
    elements = decode(identifier, transfer_syntax)
    keys = _keys_of(elements, _text_of(elements))
    return " ".join(f"{name}={value}" for name, value in keys) or None


_names_remembered = lru_cache(maxsize=KEYS_REMEMBERED)(_names)
_asked_remembered = lru_cache(maxsize=KEYS_REMEMBERED)(_asked)


def _keys_of(elements: Elements, text: CharacterSet) -> Iterator[tuple[str, str]]:
    """Give name and value of each key that has one, those in sequences with their path."""
    for element in elements.values():
        name = keyword_of(element.tag) or _tag(element.tag)
        if not isinstance(element.value, bytes):
            for item in element.value:
                for inner, value in _keys_of(item, text):
                    yield f"{name}.{inner}", value
        elif element.value:
            yield name, _shown(element, text)


def _decoded(identifier: bytes, transfer_syntax: str) -> Elements:
    """Read a query that nobody has found to be within the limits, for the log.

    Raises:
        DatasetError: It cannot be read, or is longer than a line of the log is worth.
    """
    return decode(identifier, transfer_syntax, inflated_bytes=INFLATED_LENGTH.default)


def _as_orthanc(
    elements: Elements, text: CharacterSet, harmless: Harmless | None
) -> dict[str, object]:
    """Give a query as Orthanc prints it: `{"0008,0050": "*", "0040,0100": [{...}]}`."""
    query: dict[str, object] = {}
    for element in elements.values():
        tag = f"{element.tag >> 16:04x},{element.tag & 0xFFFF:04x}"
        if isinstance(element.value, bytes):
            query[tag] = _shown(element, text, harmless)
        else:
            query[tag] = [_as_orthanc(item, text, harmless) for item in element.value]
    return query


def _shown(element: Element, text: CharacterSet, harmless: Harmless | None = None) -> str:
    try:
        found = values(element, text)
    except DatasetError:
        return "(text that its character set cannot decode)" if harmless is None else HIDDEN
    return "\\".join(found).strip() if harmless is None else harmless.shown(element.tag, found)


def _text_of(elements: Elements) -> CharacterSet:
    try:
        return character_set(elements, ENCODINGS["Latin1"])
    except DatasetError:
        return ENCODINGS["Latin1"]


def _tags(tags: tuple[int, ...]) -> str:
    return " ".join(map(_tag, tags))


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def answers(context: NegotiatedContext, batch: Sequence[bytes], harmless: Harmless | None) -> None:
    """Report answers as they leave, for `--trace`.

    Args:
        context: Tells how they are encoded.
        batch: The answers, framed.
        harmless: Which values may be shown; None for all.
    """
    for framed in batch:
        elements = decode(_unframed(framed), context.transfer_syntax)
        text = _text_of(elements)
        answer = dump(elements, text) if harmless is None else _as_orthanc(elements, text, harmless)
        telemetry.emit("answer", bytes=len(framed), identifier=answer)


def _unframed(framed: bytes) -> bytes:
    """Give the data set inside P-DATA-TF PDUs of one PDV each (PS3.8 section 9.3.5)."""
    fragments = []
    start = 0
    while start < len(framed):
        end = start + 6 + int.from_bytes(framed[start + 2 : start + 6], "big")
        fragments.append(framed[start + 12 : end])
        start = end
    return b"".join(fragments)
