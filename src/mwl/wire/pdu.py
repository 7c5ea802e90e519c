"""Protocol data units and their bytes.

A PDU is a frozen dataclass; `read_pdu` takes one off the front of a buffer, `encode` gives its
bytes. The items that the A-ASSOCIATE PDUs are made of are in `mwl.wire.items`; those that a user of
a PDU needs can be had from here too. Nothing here knows the state of an association
(`mwl.wire.association`), what is accepted (`mwl.wire.negotiation`) or what the data values hold
(`mwl.wire.dimse`).

Source: DICOM PS3.8 section 9.3. Tables are cited where their fields are read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import NamedTuple, assert_never

from mwl.errors import LocalProtocolError, RemoteProtocolError
from mwl.limits import ASSOCIATE_LENGTH, PDU_LENGTH, Limit
from mwl.wire.items import (
    APPLICATION_CONTEXT_ITEM,
    CONTEXT_RESULT_ITEM,
    DEFAULT_MAX_PDU_LENGTH,
    PROPOSED_CONTEXT_ITEM,
    USER_INFORMATION_ITEM,
    AbortReason,
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
    decode_context_result,
    decode_proposed_context,
    decode_user_information,
    encode_context_result,
    encode_item,
    encode_proposed_context,
    encode_user_information,
    invalid,
    items_of,
    to_bytes,
    to_text,
)

__all__ = [
    "APPLICATION_CONTEXT",
    "DEFAULT_MAX_PDU_LENGTH",
    "MAX_ASSOCIATE_BYTES",
    "MAX_PRESENTATION_CONTEXTS",
    "MEMO_CHUNK_BYTES",
    "MEMO_ENTRIES",
    "Abort",
    "AbortReason",
    "AssociateAccept",
    "AssociateReject",
    "AssociateRequest",
    "ContextResult",
    "ExtendedNegotiation",
    "PData",
    "Pdu",
    "PresentationDataValue",
    "ProposedContext",
    "ReleaseRequest",
    "ReleaseResponse",
    "RoleSelection",
    "UserIdentity",
    "UserInformation",
    "encode",
    "pdu_at",
    "pdus_in",
    "read_pdu",
]

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The one application context of DICOM (PS3.7 A.2.1)."""

MAX_ASSOCIATE_BYTES = ASSOCIATE_LENGTH.default
"""Bytes in the body of an A-ASSOCIATE PDU, unless told otherwise."""

MAX_PRESENTATION_CONTEXTS = 128
"""Presentation contexts in one request: the odd numbers of one byte (PS3.8 Table 9-13)."""

MEMO_CHUNK_BYTES = 4096
"""Longest chunk, in bytes, whose decoding is remembered: a request for an association or a query of
a scanner takes a few hundred."""

MEMO_ENTRIES = 512
"""Chunks remembered. A hospital has a few hundred scanners, and each always sends the same bytes;
with `MEMO_CHUNK_BYTES` (and `is_long`) this bounds the memory to a few megabytes."""

# PS3.8 Table 9-11 and following: PDU types
_ASSOCIATE_RQ = 0x01
_ASSOCIATE_AC = 0x02
_ASSOCIATE_RJ = 0x03
_P_DATA = 0x04
_RELEASE_RQ = 0x05
_RELEASE_RP = 0x06
_ABORT = 0x07

# What other protocols begin with: RFC 8446 section 5.1 (a handshake, an alert)
_FOREIGN: Mapping[int, str] = {0x16: ", as of TLS", 0x15: ", as of TLS"}

_FIXED_BODY = 4  # body of RJ, RELEASE and ABORT: PS3.8 Tables 9-21, 9-24 to 9-26
_FIXED_BODIES = frozenset({_ASSOCIATE_RJ, _RELEASE_RQ, _RELEASE_RP, _ABORT})
_LIMITS: Mapping[int, Limit] = {
    _P_DATA: PDU_LENGTH,
    _ASSOCIATE_RQ: ASSOCIATE_LENGTH,
    _ASSOCIATE_AC: ASSOCIATE_LENGTH,
}

_HEADER = Struct(">BxI")  # type, reserved, length of the body
_VALUE = Struct(">IBB")  # PS3.8 Table 9-23: length, context, message control header
_SHORT = Struct(">H")

_HEADER_BYTES = 6
_ASSOCIATE_FIXED_BYTES = 68  # protocol version to the last reserved byte: Table 9-11, bytes 7-74
_TITLE_BYTES = 16
_VALUE_LENGTH_BYTES = 4  # the length field of a data value, which does not count itself


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 Table 9-11).

    Titles are without the spaces around them, which mean nothing. `header` is bytes 9 to 74 as on
    the wire, which an acceptance repeats: titles with their spaces and the reserved bytes around
    them. It is made from the titles where it does not agree with them. What `is_long` is longer
    than `MEMO_CHUNK_BYTES`, and nothing that is made of it is remembered.
    """

    called_ae_title: str = field(hash=False)
    calling_ae_title: str = field(hash=False)
    contexts: tuple[ProposedContext, ...] = field(hash=False)
    user_information: UserInformation = field(default=UserInformation(), hash=False)
    application_context: str = field(default=APPLICATION_CONTEXT, hash=False)
    protocol_version: int = field(default=1, hash=False)
    header: bytes = field(default=b"", repr=False, hash=False)
    is_long: bool = field(default=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False, hash=True)

    def __post_init__(self) -> None:
        """Complete the header, and compute the hash once: a request is a key of hot caches."""
        header, titles = self.header, (self.called_ae_title, self.calling_ae_title)
        if not header or _titles(header) != titles:
            header = _associate_header(*titles)
            object.__setattr__(self, "header", header)
        key = (header, self.contexts, self.user_information, self.application_context)
        object.__setattr__(self, "_hash", hash(key))


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 Table 9-17). `header` and `is_long` repeat those of the request."""

    contexts: tuple[ContextResult, ...] = field(hash=False)
    user_information: UserInformation = field(default=UserInformation(), hash=False)
    application_context: str = field(default=APPLICATION_CONTEXT, hash=False)
    protocol_version: int = field(default=1, hash=False)
    header: bytes = field(default=bytes(_ASSOCIATE_FIXED_BYTES - 2), repr=False, hash=False)
    is_long: bool = field(default=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False, hash=True)

    def __post_init__(self) -> None:
        """Compute the hash once: an acceptance is a key of hot caches."""
        key = (self.header, self.contexts, self.user_information, self.application_context)
        object.__setattr__(self, "_hash", hash(key))


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 Table 9-21).

    `result`: 1 permanent, 2 transient. `source`: 1 service-user, 2 provider (ACSE), 3 provider
    (presentation). What `reason` means depends on the source.
    """

    result: int
    source: int
    reason: int


class PresentationDataValue(NamedTuple):
    """One fragment of a message (PS3.8 Table 9-23 and annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class PData:
    """P-DATA-TF (PS3.8 Table 9-22)."""

    values: tuple[PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 Table 9-24): no content."""


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 Table 9-25): no content."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT: either side ends the association at once (PS3.8 Table 9-26).

    `source`: 0 service-user, 2 service-provider. `reason`: an `AbortReason`, which counts only
    from the provider.
    """

    source: int = 0
    reason: int = 0


Pdu = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | PData
    | ReleaseRequest
    | ReleaseResponse
    | Abort
)


def read_pdu(buffer: bytearray, *, limit: int) -> Pdu | None:
    """Take one PDU off the front of `buffer`, or leave it untouched and wait for more.

    Args:
        buffer: Bytes received and not yet read. Consumed only when a whole PDU is there.
        limit: Longest body of a P-DATA-TF accepted, in bytes; `MAX_ASSOCIATE_BYTES` holds for the
            A-ASSOCIATE PDUs. Checked on the header alone, so that a hostile length never makes us
            wait for, or hold, more than this.

    Returns:
        The PDU, or None when the buffer holds less than one.

    Raises:
        RemoteProtocolError: Unknown type, body longer than its limit, or a body that breaks its
            table. The buffer is then of no use: abort.
    """
    found = pdu_at(buffer, 0, limit)
    if found is None:
        return None
    pdu, end = found
    del buffer[:end]
    return pdu


def pdu_at(
    buffer: bytes | bytearray,
    offset: int,
    limit: int,
    associate_limit: int = MAX_ASSOCIATE_BYTES,
) -> tuple[Pdu, int] | None:
    """Decode the PDU that begins at `offset`, and tell where it ends; None when there is less.

    Limit and errors are those of `read_pdu`, which also consumes; `associate_limit` is that of the
    A-ASSOCIATE PDUs.

    Source: PS3.8 section 9.3.1 (header).
    """
    if len(buffer) - offset < _HEADER_BYTES:
        return None
    pdu_type, length = _HEADER.unpack_from(buffer, offset)
    longest = limit if pdu_type == _P_DATA else _longest_body(pdu_type, associate_limit)
    if length > longest:
        row = _LIMITS.get(pdu_type)
        raise RemoteProtocolError(
            f"PDU type 0x{pdu_type:02X} announces {length} bytes, limit is {longest}",
            reason=AbortReason.INVALID_PARAMETER,
            exceeded=None if row is None else row.hit(longest),
        )
    start = offset + _HEADER_BYTES
    end: int = start + length
    if end > len(buffer):
        return None
    return _DECODERS[pdu_type](bytes(buffer[start:end])), end


def _longest_body(pdu_type: int, associate_limit: int) -> int:
    if pdu_type in _FIXED_BODIES:
        return _FIXED_BODY
    if pdu_type in _LIMITS:
        return associate_limit
    raise RemoteProtocolError(
        f"unrecognised PDU type 0x{pdu_type:02X}{_FOREIGN.get(pdu_type, '')}",
        reason=AbortReason.UNRECOGNIZED_PDU,
    )


@lru_cache(MEMO_ENTRIES)
def pdus_in(chunk: bytes, limit: int) -> tuple[Pdu, ...] | None:
    """Decode a chunk that holds whole PDUs; None when it holds a part of one, or a mistake.

    Scanners repeat themselves byte for byte, so what a chunk held is remembered. Meant for chunks
    up to `MEMO_CHUNK_BYTES`, which no limit of the A-ASSOCIATE PDUs is below; limit and errors as
    for `pdu_at`, which says what the mistake is.
    """
    pdus = []
    offset = 0
    try:
        while offset < len(chunk):
            found = pdu_at(chunk, offset, limit)
            if found is None:
                return None
            pdu, offset = found
            pdus.append(pdu)
    except RemoteProtocolError:
        return None
    return tuple(pdus)


def encode(pdu: Pdu) -> bytes:
    """Give the bytes of a PDU.

    Raises:
        LocalProtocolError: An AE title or a UID that cannot be written.
    """
    match pdu:
        case PData():
            data = _encode_data(pdu)
        case AssociateAccept():
            data = _encode_accept(pdu)
        case ReleaseRequest():
            data = _fixed(_RELEASE_RQ, 0, 0, 0, 0)
        case ReleaseResponse():
            data = _fixed(_RELEASE_RP, 0, 0, 0, 0)
        case AssociateRequest():
            data = _encode_request(pdu)
        case AssociateReject():
            data = _fixed(_ASSOCIATE_RJ, 0, pdu.result, pdu.source, pdu.reason)
        case Abort():
            data = _fixed(_ABORT, 0, 0, pdu.source, pdu.reason)
        case _:
            assert_never(pdu)
    return data


def _fixed(pdu_type: int, *body: int) -> bytes:
    return _HEADER.pack(pdu_type, _FIXED_BODY) + bytes(body)


def _associate_header(called: str, calling: str) -> bytes:
    """Lay out bytes 9 to 74 of an A-ASSOCIATE-RQ: reserved, called, calling, reserved."""
    titles = [to_bytes(title).ljust(_TITLE_BYTES) for title in (called, calling)]
    if any(len(title) > _TITLE_BYTES for title in titles):
        raise LocalProtocolError(f"AE title longer than {_TITLE_BYTES} characters")
    return b"".join((bytes(2), *titles, bytes(32)))


def _titles(header: bytes) -> tuple[str, str]:
    """Read called and calling AE title out of bytes 9 to 74."""
    return to_text(header[2:18]), to_text(header[18:34])


# -- decoding ----------------------------------------------------------------------------------


def _decode_request(body: bytes) -> AssociateRequest:
    _check_fixed_part(body)
    application_context = ""
    contexts: list[ProposedContext] = []
    user_information = UserInformation(max_length=0)
    for item_type, content in items_of(body, _ASSOCIATE_FIXED_BYTES):
        if item_type == PROPOSED_CONTEXT_ITEM:
            contexts.append(decode_proposed_context(content))
        elif item_type == APPLICATION_CONTEXT_ITEM:
            application_context = to_text(content)
        elif item_type == USER_INFORMATION_ITEM:
            user_information = decode_user_information(content)
    _check_contexts([context.context_id for context in contexts])
    header = body[2:_ASSOCIATE_FIXED_BYTES]
    called_ae_title, calling_ae_title = _titles(header)
    return AssociateRequest(
        called_ae_title=called_ae_title,
        calling_ae_title=calling_ae_title,
        contexts=tuple(contexts),
        user_information=user_information,
        application_context=application_context,
        protocol_version=_SHORT.unpack_from(body)[0],
        header=header,
        is_long=len(body) > MEMO_CHUNK_BYTES,
    )


def _check_fixed_part(body: bytes) -> None:
    if len(body) < _ASSOCIATE_FIXED_BYTES:
        raise invalid(f"A-ASSOCIATE body of {len(body)} bytes, at least {_ASSOCIATE_FIXED_BYTES}")


def _check_contexts(context_ids: list[int]) -> None:
    """Refuse contexts that cannot be told apart (PS3.8 Table 9-11 and 9-13)."""
    if not context_ids:
        raise invalid("A-ASSOCIATE-RQ without a presentation context")
    if len(context_ids) > MAX_PRESENTATION_CONTEXTS:
        raise invalid(
            f"{len(context_ids)} presentation contexts, limit is {MAX_PRESENTATION_CONTEXTS}"
        )
    for context_id in context_ids:
        if context_id % 2 == 0:
            raise invalid(f"presentation context {context_id}: not an odd number")
    if len(set(context_ids)) < len(context_ids):
        raise invalid("two presentation contexts with one number")


def _decode_accept(body: bytes) -> AssociateAccept:
    _check_fixed_part(body)
    application_context = ""
    contexts: list[ContextResult] = []
    user_information = UserInformation(max_length=0)
    for item_type, content in items_of(body, _ASSOCIATE_FIXED_BYTES):
        if item_type == CONTEXT_RESULT_ITEM:
            contexts.append(decode_context_result(content))
        elif item_type == APPLICATION_CONTEXT_ITEM:
            application_context = to_text(content)
        elif item_type == USER_INFORMATION_ITEM:
            user_information = decode_user_information(content)
    return AssociateAccept(
        contexts=tuple(contexts),
        user_information=user_information,
        application_context=application_context,
        protocol_version=_SHORT.unpack_from(body)[0],
        header=body[2:_ASSOCIATE_FIXED_BYTES],
    )


def _decode_data(body: bytes) -> PData:
    """Decode a P-DATA-TF (PS3.8 Tables 9-22 and 9-23). A value without data is tolerated."""
    values = []
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _VALUE.size:
            raise invalid(f"presentation data value cut after {end - offset} bytes")
        length, context_id, control = _VALUE.unpack_from(body, offset)
        start = offset + _VALUE.size
        offset += _VALUE_LENGTH_BYTES + length
        if length < 2 or offset > end:
            raise invalid(f"presentation data value of {length} bytes in a PDU of {end}")
        # Bits 2 to 7 are not tested: PS3.8 E.2.
        values.append(
            PresentationDataValue(
                context_id, control & 1 == 1, control & 2 == 2, body[start:offset]
            )
        )
    if not values:
        raise invalid("P-DATA-TF without a presentation data value")
    return PData(tuple(values))


def _four_bytes(body: bytes) -> bytes:
    if len(body) != _FIXED_BODY:
        raise invalid(f"PDU body of {len(body)} bytes, {_FIXED_BODY} expected")
    return body


def _decode_reject(body: bytes) -> AssociateReject:
    _, result, source, reason = _four_bytes(body)
    return AssociateReject(result, source, reason)


def _decode_abort(body: bytes) -> Abort:
    _, _, source, reason = _four_bytes(body)
    return Abort(source, reason)


def _decode_release_request(body: bytes) -> ReleaseRequest:
    _four_bytes(body)
    return _RELEASE_REQUEST


def _decode_release_response(body: bytes) -> ReleaseResponse:
    _four_bytes(body)
    return _RELEASE_RESPONSE


_RELEASE_REQUEST = ReleaseRequest()
_RELEASE_RESPONSE = ReleaseResponse()

_DECODERS: Mapping[int, Callable[[bytes], Pdu]] = {
    _ASSOCIATE_RQ: _decode_request,
    _ASSOCIATE_AC: _decode_accept,
    _ASSOCIATE_RJ: _decode_reject,
    _P_DATA: _decode_data,
    _RELEASE_RQ: _decode_release_request,
    _RELEASE_RP: _decode_release_response,
    _ABORT: _decode_abort,
}


# -- encoding ----------------------------------------------------------------------------------


def _encode_request(request: AssociateRequest) -> bytes:
    contexts = map(encode_proposed_context, request.contexts)
    return _encode_associate(_ASSOCIATE_RQ, request, contexts)


def _encode_accept(accept: AssociateAccept) -> bytes:
    return (_lay_out_accept if accept.is_long else _accept_remembered)(accept)


def _lay_out_accept(accept: AssociateAccept) -> bytes:
    contexts = map(encode_context_result, accept.contexts)
    return _encode_associate(_ASSOCIATE_AC, accept, contexts)


_accept_remembered = lru_cache(MEMO_ENTRIES)(_lay_out_accept)


def _encode_associate(
    pdu_type: int, pdu: AssociateRequest | AssociateAccept, contexts: Iterator[bytes]
) -> bytes:
    """Lay out what both have in common (PS3.8 Tables 9-11 and 9-17), items in order of type."""
    body = b"".join(
        (
            _SHORT.pack(pdu.protocol_version),
            pdu.header,
            encode_item(APPLICATION_CONTEXT_ITEM, to_bytes(pdu.application_context)),
            *contexts,
            encode_user_information(pdu.user_information),
        )
    )
    return _HEADER.pack(pdu_type, len(body)) + body


def _encode_data(pdu: PData) -> bytes:
    values = [
        _VALUE.pack(2 + len(value.data), value.context_id, value.is_command | value.is_last << 1)
        + value.data
        for value in pdu.values
    ]
    body = b"".join(values)
    return _HEADER.pack(_P_DATA, len(body)) + body
