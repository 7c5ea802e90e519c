"""Messages of DIMSE: command sets, and messages to and from presentation data values.

A command set is always Implicit VR Little Endian and holds no patient data; the data set behind it
is bytes here. What a command asks for is not known here: see `mwl.find` and `mwl.net`.

Source: DICOM PS3.7 sections 6.3, 9.3, 10.3, annexes C and E; PS3.8 annex E.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mwl.errors import ERROR_COMMENT_LIMIT, RemoteProtocolError
from mwl.limits import COMMAND_LENGTH, IDENTIFIER_LENGTH
from mwl.wire.pdu import AbortReason, PresentationDataValue

MEMO_COMMAND_BYTES = 512
"""Longest command set whose decoding is remembered; a C-FIND-RQ takes about 80 bytes."""

MEMO_COMMANDS = 1024
"""Command sets remembered, each way. They differ by message ID and SOP class only."""

SMALLEST_FRAGMENT_BYTES = 2
"""Fewest bytes of a message that we put into a PDU. A peer that takes less than 8 bytes per PDU
(6 of them around the fragment) takes nothing at all; it is sent the least that can be sent."""


class CommandField(IntEnum):
    """Command Field (0000,0100): PS3.7 Table E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF


class Status:
    """Values of Status (0000,0900): PS3.4 Table K.4-1, PS3.7 annex C."""

    SUCCESS: Final = 0x0000
    PROCESSING_FAILURE: Final = 0x0110
    NO_SUCH_SOP_CLASS: Final = 0x0118
    SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
    NOT_AUTHORIZED: Final = 0x0124
    DUPLICATE_INVOCATION: Final = 0x0210
    UNRECOGNIZED_OPERATION: Final = 0x0211
    MISTYPED_ARGUMENT: Final = 0x0212
    RESOURCE_LIMITATION: Final = 0x0213
    OUT_OF_RESOURCES: Final = 0xA700
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900
    UNABLE_TO_PROCESS: Final = 0xC000
    CANCEL: Final = 0xFE00
    PENDING: Final = 0xFF00
    PENDING_WITH_UNSUPPORTED_KEYS: Final = 0xFF01


PRIORITY_MEDIUM = 0x0000
"""Priority (0000,0700) of an ordinary request: PS3.7 section 9.1.2.1.5."""

_RESPONSE = 0x8000  # this bit of the command field tells a response: PS3.7 Table E.1-1
_NO_DATA_SET = 0x0101  # (0000,0800): PS3.7 section 9.3; any other value is "present"
_DATA_SET_PRESENT = 0x0001


class Command(NamedTuple):
    """A command set. Elements that a message does not have keep their default.

    A tuple, for the hash: commands are keys of hot caches.
    `message_id` counts in requests but C-CANCEL, `message_id_being_responded_to` in responses and
    C-CANCEL, `status` in responses. `field` is a `CommandField` where the number is known.
    """

    field: int
    message_id: int = 0
    message_id_being_responded_to: int = 0
    affected_sop_class_uid: str = ""
    requested_sop_class_uid: str = ""
    priority: int | None = None
    has_dataset: bool = False
    status: int = 0
    offending_element: tuple[int, ...] = ()
    error_comment: str = ""
    error_id: int | None = None
    affected_sop_instance_uid: str = ""
    requested_sop_instance_uid: str = ""
    event_type_id: int | None = None
    attribute_identifier_list: tuple[int, ...] = ()
    action_type_id: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether this answers a request."""
        return bool(self.field & _RESPONSE)

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that a request is about, affected or requested."""
        return self.affected_sop_class_uid or self.requested_sop_class_uid


@lru_cache(MEMO_COMMANDS)
def response_to(
    request: Command,
    status: int,
    *,
    has_dataset: bool = False,
    offending_element: tuple[int, ...] = (),
    error_comment: str = "",
) -> Command:
    """Make the response to a request: same SOP class, same message ID (PS3.7 section 9.3).

    Args:
        request: A command that is not a response and not a C-CANCEL, which has none.
        status: A `Status`.
        has_dataset: Whether a data set follows.
        offending_element: Tags for (0000,0901), as `(group << 16) | element`.
        error_comment: Text for (0000,0902).
    """
    number = request.field | _RESPONSE
    return Command(
        field=_KNOWN_FIELDS.get(number, number),
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.sop_class_uid,
        has_dataset=has_dataset,
        status=status,
        offending_element=offending_element,
        error_comment=error_comment,
        affected_sop_instance_uid=(
            request.affected_sop_instance_uid or request.requested_sop_instance_uid
        ),
        event_type_id=request.event_type_id,
        action_type_id=request.action_type_id,
    )


_KNOWN_FIELDS: Mapping[int, CommandField] = MappingProxyType(
    {int(number): number for number in CommandField}
)

_ELEMENT = Struct("<HHI")  # group, element, length: PS3.5 section 7.1.3
_US = Struct("<H")
_UL = Struct("<I")
_AT = Struct("<HH")


# -- values of one element, decoded and encoded -------------------------------------------------


def _invalid(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, reason=AbortReason.INVALID_PARAMETER)


def _decode_number(value: bytes) -> int:
    if len(value) != _US.size:
        raise _invalid(f"command element with VR US of {len(value)} bytes")
    return value[0] | value[1] << 8


def _encode_number(value: int) -> bytes:
    return _US.pack(value)


def _decode_text(value: bytes) -> str:
    return value.strip(b" \0").decode("latin-1")


def _encode_uid(value: str) -> bytes:
    # A response repeats the UID of the request, which may be any bytes: as they were decoded.
    data = value.encode("latin-1")
    return data + b"\0" if len(data) % 2 else data


def _encode_comment(value: str) -> bytes:
    """Fit a sentence into one LO value of the default repertoire (PS3.5 Table 6.2-1)."""
    data = value[:ERROR_COMMENT_LIMIT].encode("ascii", "replace").replace(b"\\", b"/")
    return data + b" " if len(data) % 2 else data


def _decode_tags(value: bytes) -> tuple[int, ...]:
    if len(value) % _AT.size:
        raise _invalid(f"command element with VR AT of {len(value)} bytes")
    return tuple(group << 16 | element for group, element in _AT.iter_unpack(value))


def _encode_tags(value: tuple[int, ...]) -> bytes:
    return b"".join(_AT.pack(tag >> 16, tag & 0xFFFF) for tag in value)


def _decode_presence(value: bytes) -> bool:
    return _decode_number(value) != _NO_DATA_SET


def _encode_presence(value: bool) -> bytes:
    return _US.pack(_DATA_SET_PRESENT if value else _NO_DATA_SET)


class _Element(NamedTuple):
    """How one element of the command group is read and written."""

    name: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


# PS3.7 Table E.1-1, in ascending order. The group is 0000, so the element number is the tag.
# Elements that are not here are read over, the group length (0000,0000) among them.
_ELEMENTS: Mapping[int, _Element] = MappingProxyType(
    {
        0x0002: _Element("affected_sop_class_uid", _decode_text, _encode_uid),
        0x0003: _Element("requested_sop_class_uid", _decode_text, _encode_uid),
        0x0100: _Element("field", _decode_number, _encode_number),
        0x0110: _Element("message_id", _decode_number, _encode_number),
        0x0120: _Element("message_id_being_responded_to", _decode_number, _encode_number),
        0x0700: _Element("priority", _decode_number, _encode_number),
        0x0800: _Element("has_dataset", _decode_presence, _encode_presence),
        0x0900: _Element("status", _decode_number, _encode_number),
        0x0901: _Element("offending_element", _decode_tags, _encode_tags),
        0x0902: _Element("error_comment", _decode_text, _encode_comment),
        0x0903: _Element("error_id", _decode_number, _encode_number),
        0x1000: _Element("affected_sop_instance_uid", _decode_text, _encode_uid),
        0x1001: _Element("requested_sop_instance_uid", _decode_text, _encode_uid),
        0x1002: _Element("event_type_id", _decode_number, _encode_number),
        0x1005: _Element("attribute_identifier_list", _decode_tags, _encode_tags),
        0x1008: _Element("action_type_id", _decode_number, _encode_number),
    }
)

# Elements that every message of a kind has, and no other kind: PS3.7 sections 9.3 and 10.3.
_OF_REQUESTS = frozenset({"message_id"})
_OF_RESPONSES = frozenset({"message_id_being_responded_to", "status"})
_OF_CANCEL = frozenset({"message_id_being_responded_to"})
_OF_SOME = _OF_REQUESTS | _OF_RESPONSES


def _required(command_field: int) -> frozenset[str]:
    if command_field == CommandField.C_CANCEL_RQ:
        return _OF_CANCEL
    return _OF_RESPONSES if command_field & _RESPONSE else _OF_REQUESTS


# -- command sets --------------------------------------------------------------------------------


def decode_command(data: bytes) -> Command:
    """Read a command set, remembering the short ones: scanners repeat themselves.

    Raises:
        RemoteProtocolError: Not Implicit VR Little Endian elements of group 0000, or an element
            that the message must have is missing.
    """
    if len(data) <= MEMO_COMMAND_BYTES:
        return _decode_command_memo(data)
    return _decode_command_afresh(data)


def _decode_command_afresh(data: bytes) -> Command:
    found: dict[str, Any] = {}
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ELEMENT.size:
            raise _invalid(f"command element cut after {end - offset} bytes")
        group, number, length = _ELEMENT.unpack_from(data, offset)
        start = offset + _ELEMENT.size
        offset = start + length
        if group or offset > end:
            raise _invalid(
                f"({group:04X},{number:04X}) of {length} bytes in a command set of {end} bytes"
            )
        element = _ELEMENTS.get(number)
        if element is not None:
            found[element.name] = element.decode(data[start:offset])
    return _command_of(found)


_decode_command_memo = lru_cache(MEMO_COMMANDS)(_decode_command_afresh)


def _command_of(found: dict[str, Any]) -> Command:
    """Check that a message has what its kind must have, and drop what belongs to another kind."""
    if "field" not in found or "has_dataset" not in found:
        raise _invalid("command set without command field or data set type")
    number = found["field"]
    required = _required(number)
    missing = required - found.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise _invalid(f"command set with field 0x{number:04X} without {names}")
    kept = {name: value for name, value in found.items() if name in required | _OF_ANY}
    kept["field"] = _KNOWN_FIELDS.get(number, number)
    return Command(**kept)


_OF_ANY = frozenset(element.name for element in _ELEMENTS.values()) - _OF_SOME


def encode_command(command: Command) -> bytes:
    """Write a command set; the group length is computed (PS3.7 section 6.3.1)."""
    required = _required(command.field)
    parts = []
    for number, element in _ELEMENTS.items():
        value = getattr(command, element.name)
        if element.name in _OF_SOME:
            written = element.name in required
        else:
            written = value not in (None, "", ())
        if written:
            data = element.encode(value)
            parts.append(_ELEMENT.pack(0, number, len(data)) + data)
    body = b"".join(parts)
    return _ELEMENT.pack(0, 0, _UL.size) + _UL.pack(len(body)) + body


# -- messages to P-DATA-TF -------------------------------------------------------------------------

_P_DATA = Struct(">BxIIBB")  # PDU header and PDV header in one: PS3.8 Tables 9-22 and 9-23
_P_DATA_TYPE = 0x04
_VALUE_HEADER_BYTES = 6
_COMMAND = 1  # message control header: PS3.8 E.2
_LAST = 2


@lru_cache(MEMO_COMMANDS)
def frame_command(context_id: int, command: Command, max_length: int) -> bytes:
    """Give the P-DATA-TF PDUs of one command set.

    Args:
        context_id: Presentation context of the message.
        command: The command.
        max_length: Longest PDU body that the peer takes, in bytes; 0 is no limit.
    """
    return _frame(context_id, _COMMAND, encode_command(command), max_length)


def frame_dataset(context_id: int, data: bytes, max_length: int) -> bytes:
    """Give the P-DATA-TF PDUs of one data set, as many as `max_length` makes necessary.

    Args:
        context_id: Presentation context of the message.
        data: The encoded data set. An empty one is sent as one fragment without bytes.
        max_length: Longest PDU body that the peer takes, in bytes; 0 is no limit.
    """
    return _frame(context_id, 0, data, max_length)


def whole_dataset(framed: bytes) -> bytes:
    """Give back the data set that `frame_dataset` put into one PDU, having no limit."""
    return framed[_P_DATA.size :]


def _frame(context_id: int, kind: int, data: bytes, max_length: int) -> bytes:
    size = len(data)
    if not max_length or size + _VALUE_HEADER_BYTES <= max_length:
        return (
            _P_DATA.pack(
                _P_DATA_TYPE, size + _VALUE_HEADER_BYTES, size + 2, context_id, kind | _LAST
            )
            + data
        )
    # Every fragment has an even number of bytes: PS3.8 E.1.
    step = max((max_length - _VALUE_HEADER_BYTES) & ~1, SMALLEST_FRAGMENT_BYTES)
    parts = []
    for start in range(0, max(size, 1), step):
        fragment = data[start : start + step]
        length = len(fragment)
        control = kind | _LAST if start + step >= size else kind
        head = (length + _VALUE_HEADER_BYTES, length + 2, context_id, control)
        parts.append(_P_DATA.pack(_P_DATA_TYPE, *head) + fragment)
    return b"".join(parts)


@lru_cache(MEMO_COMMANDS)
def frame_pending(context_id: int, message_id: int, sop_class_uid: str, max_length: int) -> bytes:
    """Give the command PDUs before each answer of a C-FIND: Pending, an identifier follows."""
    command = Command(
        field=CommandField.C_FIND_RSP,
        message_id_being_responded_to=message_id,
        affected_sop_class_uid=sop_class_uid,
        has_dataset=True,
        status=Status.PENDING,
    )
    return frame_command(context_id, command, max_length)


# -- P-DATA-TF to messages -------------------------------------------------------------------------


class MessageAssembler:
    """Joins presentation data values into messages, one message at a time.

    Args:
        max_command_bytes: Longest command set that is held.
        max_message_bytes: Longest data set that is held.

    Attributes:
        context_id: Presentation context of the message that has begun; 0 without one.
    """

    __slots__ = (
        "_command",
        "_fragments",
        "_max_command_bytes",
        "_max_message_bytes",
        "context_id",
    )

    def __init__(self, max_command_bytes: int, max_message_bytes: int) -> None:
        self._max_command_bytes = max_command_bytes
        self._max_message_bytes = max_message_bytes
        self.context_id = 0
        self._command: Command | None = None
        self._fragments: bytearray | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of the message that is not complete yet."""
        return len(self._fragments or b"")

    def add(self, value: PresentationDataValue) -> tuple[Command, bytes | None] | None:
        """Take one fragment, and give the message that it completes, if any.

        Raises:
            RemoteProtocolError: A fragment out of order (PS3.8 E.1), a message longer than the
                limits, or a command set that cannot be read.
        """
        context_id, is_command, is_last, data = value
        command = self._command
        if self.context_id not in (0, context_id) or is_command != (command is None):
            raise self._out_of_order(value)
        if self._fragments is not None or not is_last:
            self._hold(context_id, data)
            if not is_last:
                return None
            data, self._fragments = bytes(self._fragments or b""), None
        if command is not None:
            self._check_size(len(data))
            self.context_id, self._command = 0, None
            return command, data
        self._check_size(len(data))
        command = decode_command(data)
        if not command.has_dataset:
            self.context_id = 0
            return command, None
        self.context_id, self._command = context_id, command
        return None

    def _hold(self, context_id: int, data: bytes) -> None:
        """Keep a fragment. One buffer, not a list: fragments of one byte cost one byte."""
        self.context_id = context_id
        self._check_size(self.held_bytes + len(data))
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += data

    def _check_size(self, size: int) -> None:
        limit = self._max_command_bytes if self._command is None else self._max_message_bytes
        if size > limit:
            kind, row = ("command set", COMMAND_LENGTH)
            if self._command is not None:
                kind, row = ("data set", IDENTIFIER_LENGTH)
            raise RemoteProtocolError(
                f"{kind} of {size} bytes or more, limit is {limit}",
                reason=AbortReason.NOT_SPECIFIED,
                exceeded=row.hit(limit),
            )

    def _out_of_order(self, value: PresentationDataValue) -> RemoteProtocolError:
        found = "command" if value.is_command else "data set"
        expected = "command" if self._command is None else "data set"
        return RemoteProtocolError(
            f"{found} fragment on presentation context {value.context_id}, expected {expected}"
            + (f" on {self.context_id}" if self.context_id else ""),
            reason=AbortReason.UNEXPECTED_PARAMETER,
        )
