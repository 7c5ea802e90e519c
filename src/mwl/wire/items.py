"""Items and sub-items of the A-ASSOCIATE PDUs, and their bytes.

What the two sides tell each other when they negotiate: presentation contexts and user information.
The PDUs around them are in `mwl.wire.pdu`, which also gives these names.

Source: DICOM PS3.8 sections 9.3.2, 9.3.3 and annex D.1, PS3.7 annex D.3.3. Tables are cited where
their fields are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct

from mwl.errors import LocalProtocolError, RemoteProtocolError

DEFAULT_MAX_PDU_LENGTH = 16384
"""Bytes in the P-DATA-TF that we take unless told otherwise: what most implementations take."""

# PS3.8 section 9.3.2, PS3.7 D.3.3: items and sub-items
APPLICATION_CONTEXT_ITEM = 0x10
PROPOSED_CONTEXT_ITEM = 0x20
CONTEXT_RESULT_ITEM = 0x21
_ABSTRACT_SYNTAX_ITEM = 0x30
_TRANSFER_SYNTAX_ITEM = 0x40
USER_INFORMATION_ITEM = 0x50
_MAXIMUM_LENGTH_ITEM = 0x51
_IMPLEMENTATION_CLASS_ITEM = 0x52
_ASYNCHRONOUS_WINDOW_ITEM = 0x53
_ROLE_SELECTION_ITEM = 0x54
_IMPLEMENTATION_VERSION_ITEM = 0x55
_EXTENDED_NEGOTIATION_ITEM = 0x56
_USER_IDENTITY_ITEM = 0x58
_USER_IDENTITY_RESPONSE_ITEM = 0x59

_ITEM = Struct(">BxH")  # type, reserved, length: PS3.8 section 9.3.1
_SHORT = Struct(">H")
_LONG = Struct(">I")
_PAIR = Struct(">HH")


class AbortReason(IntEnum):
    """Reason of an A-ABORT by the service-provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context that the requestor proposes (PS3.8 Table 9-13)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The acceptor's answer to one proposed context (PS3.8 Table 9-18).

    `result` is 0 accepted, 1 user rejection, 2 no reason, 3 abstract syntax not supported,
    4 transfer syntaxes not supported. The transfer syntax counts only when it is 0.
    """

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU role selection of one SOP class, as the requestor's roles (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation (PS3.7 D.3.3.5); the service class defines `information`."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity of the requestor (PS3.7 D.3.3.7.1). The fields may be secrets: not shown."""

    identity_type: int
    positive_response_requested: bool
    primary: bytes = field(default=b"", repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item of a request or an acceptance (PS3.7 D.3.3).

    `max_length` bounds the body of the P-DATA-TF that its sender takes, in bytes; 0 is no limit,
    and also what an item without it is read as. Unknown sub-items are not kept (PS3.8 D.2).
    """

    max_length: int = DEFAULT_MAX_PDU_LENGTH
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_window: tuple[int, int] | None = None
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None


def invalid(message: str) -> RemoteProtocolError:
    """Make the error of a PDU that breaks its table."""
    return RemoteProtocolError(message, reason=AbortReason.INVALID_PARAMETER)


def to_text(data: bytes) -> str:
    """Read a UID, a title or a name: spaces around it and NULs mean nothing.

    Latin 1 maps every byte, so that what a peer sends can always be shown and compared.
    """
    return data.strip(b" \0").decode("latin-1")


def to_bytes(text: str) -> bytes:
    """Write a UID, a title or a name, unpadded (PS3.8 annex F).

    Raises:
        LocalProtocolError: A character outside Latin 1.
    """
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text cannot be sent in a PDU: {error.reason}") from error


def items_of(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give type and content of each item or sub-item (PS3.8 section 9.3.1)."""
    end = len(data)
    while offset < end:
        if end - offset < _ITEM.size:
            raise invalid(f"item header cut after {end - offset} bytes")
        item_type, length = _ITEM.unpack_from(data, offset)
        start = offset + _ITEM.size
        offset = start + length
        if offset > end:
            raise invalid(
                f"item 0x{item_type:02X} announces {length} bytes, {end - start} are left"
            )
        yield item_type, data[start:offset]


def decode_proposed_context(content: bytes) -> ProposedContext:
    """Read a presentation context item of a request (PS3.8 Table 9-13)."""
    if len(content) < _ITEM.size:
        raise invalid(f"presentation context item of {len(content)} bytes")
    abstract_syntax = ""
    transfer_syntaxes = []
    for item_type, value in items_of(content, _ITEM.size):
        if item_type == _ABSTRACT_SYNTAX_ITEM:
            abstract_syntax = to_text(value)
        elif item_type == _TRANSFER_SYNTAX_ITEM:
            transfer_syntaxes.append(to_text(value))
    return ProposedContext(content[0], abstract_syntax, tuple(transfer_syntaxes))


def decode_context_result(content: bytes) -> ContextResult:
    """Read a presentation context item of an acceptance (PS3.8 Table 9-18)."""
    if len(content) < _ITEM.size:
        raise invalid(f"presentation context item of {len(content)} bytes")
    # The transfer syntax of a context that was not accepted may be anything: PS3.8 Table 9-18.
    accepted = content[2] == 0
    items = items_of(content, _ITEM.size) if accepted else iter(())
    syntaxes = [to_text(value) for item_type, value in items if item_type == _TRANSFER_SYNTAX_ITEM]
    return ContextResult(content[0], content[2], syntaxes[0] if syntaxes else "")


def decode_user_information(content: bytes) -> UserInformation:
    """Decode the sub-items, in any order; unknown ones are skipped (PS3.8 D.2 note 2).

    Common extended negotiation (57H) is one of them: it is never answered (PS3.7 D.3.3.6).
    """
    items = list(items_of(content))
    single = dict(items)
    return UserInformation(
        max_length=_decode_long(single.get(_MAXIMUM_LENGTH_ITEM)),
        implementation_class_uid=to_text(single.get(_IMPLEMENTATION_CLASS_ITEM, b"")),
        implementation_version_name=to_text(single.get(_IMPLEMENTATION_VERSION_ITEM, b"")),
        asynchronous_window=_decode_window(single.get(_ASYNCHRONOUS_WINDOW_ITEM)),
        role_selections=tuple(
            _decode_role_selection(value) for kind, value in items if kind == _ROLE_SELECTION_ITEM
        ),
        extended_negotiations=tuple(
            _decode_extended_negotiation(value)
            for kind, value in items
            if kind == _EXTENDED_NEGOTIATION_ITEM
        ),
        user_identity=_decode_user_identity(single.get(_USER_IDENTITY_ITEM)),
        user_identity_response=_decode_identity_response(single.get(_USER_IDENTITY_RESPONSE_ITEM)),
    )


def _counted(value: bytes) -> tuple[bytes, bytes]:
    """Split off a field that is preceded by its length in two bytes."""
    length = _SHORT.unpack_from(value)[0] if len(value) >= _SHORT.size else -1
    end = _SHORT.size + length
    if not 0 <= length <= len(value) - _SHORT.size:
        raise invalid(f"field longer than its sub-item of {len(value)} bytes")
    return value[_SHORT.size : end], value[end:]


def _decode_long(value: bytes | None) -> int:
    """Read the maximum length (PS3.8 Table D.1-1); an absent one states no limit."""
    if value is None:
        return 0
    if len(value) != _LONG.size:
        raise invalid(f"maximum length sub-item of {len(value)} bytes")
    return int.from_bytes(value, "big")


def _decode_window(value: bytes | None) -> tuple[int, int] | None:
    """Read the operations invoked and performed (PS3.7 Table D.3-7)."""
    if value is None:
        return None
    if len(value) != _PAIR.size:
        raise invalid(f"asynchronous operations window sub-item of {len(value)} bytes")
    invoked, performed = _PAIR.unpack(value)
    return invoked, performed


def _decode_role_selection(value: bytes) -> RoleSelection:
    """Read a UID and two roles (PS3.7 Table D.3-9)."""
    uid, roles = _counted(value)
    if len(roles) != _SHORT.size:
        raise invalid(f"role selection with {len(roles)} bytes of roles")
    return RoleSelection(to_text(uid), roles[0] == 1, roles[1] == 1)


def _decode_extended_negotiation(value: bytes) -> ExtendedNegotiation:
    """Read a UID and what the service class defines (PS3.7 Table D.3-11)."""
    uid, information = _counted(value)
    return ExtendedNegotiation(to_text(uid), information)


def _decode_user_identity(value: bytes | None) -> UserIdentity | None:
    """Read a type, a flag and two fields (PS3.7 Table D.3-14); the second may be left out."""
    if value is None:
        return None
    if len(value) < _SHORT.size:
        raise invalid(f"user identity sub-item of {len(value)} bytes")
    primary, rest = _counted(value[2:])
    secondary = _counted(rest)[0] if rest else b""
    return UserIdentity(value[0], value[1] == 1, primary, secondary)


def _decode_identity_response(value: bytes | None) -> bytes | None:
    """Read the server's response (PS3.7 Table D.3-15)."""
    return None if value is None else _counted(value)[0]


def encode_proposed_context(context: ProposedContext) -> bytes:
    """Write a presentation context item of a request (PS3.8 Table 9-13)."""
    return encode_item(
        PROPOSED_CONTEXT_ITEM,
        bytes((context.context_id, 0, 0, 0)),
        encode_item(_ABSTRACT_SYNTAX_ITEM, to_bytes(context.abstract_syntax)),
        *(encode_item(_TRANSFER_SYNTAX_ITEM, to_bytes(uid)) for uid in context.transfer_syntaxes),
    )


def encode_context_result(context: ContextResult) -> bytes:
    """Write a presentation context item of an acceptance (PS3.8 Table 9-18)."""
    return encode_item(
        CONTEXT_RESULT_ITEM,
        bytes((context.context_id, 0, context.result, 0)),
        encode_item(_TRANSFER_SYNTAX_ITEM, to_bytes(context.transfer_syntax)),
    )


def encode_item(item_type: int, *content: bytes) -> bytes:
    """Write one item or sub-item (PS3.8 section 9.3.1).

    Raises:
        LocalProtocolError: The content is longer than two bytes can say.
    """
    body = b"".join(content)
    if len(body) > 0xFFFF:
        raise LocalProtocolError(f"item 0x{item_type:02X} of {len(body)} bytes does not fit")
    return _ITEM.pack(item_type, len(body)) + body


def _with_length(value: bytes) -> bytes:
    return _SHORT.pack(len(value)) + value


def encode_user_information(information: UserInformation) -> bytes:
    """Write the user information item with the sub-items that have a value (PS3.7 D.3.3)."""
    sub_items = [encode_item(_MAXIMUM_LENGTH_ITEM, _LONG.pack(information.max_length))]
    if information.implementation_class_uid:
        uid = to_bytes(information.implementation_class_uid)
        sub_items.append(encode_item(_IMPLEMENTATION_CLASS_ITEM, uid))
    if information.asynchronous_window is not None:
        window = _PAIR.pack(*information.asynchronous_window)
        sub_items.append(encode_item(_ASYNCHRONOUS_WINDOW_ITEM, window))
    for role in information.role_selections:
        uid = _with_length(to_bytes(role.sop_class_uid))
        sub_items.append(encode_item(_ROLE_SELECTION_ITEM, uid, bytes((role.scu, role.scp))))
    if information.implementation_version_name:
        name = to_bytes(information.implementation_version_name)
        sub_items.append(encode_item(_IMPLEMENTATION_VERSION_ITEM, name))
    for extended in information.extended_negotiations:
        uid = _with_length(to_bytes(extended.sop_class_uid))
        sub_items.append(encode_item(_EXTENDED_NEGOTIATION_ITEM, uid, extended.information))
    sub_items.extend(_encode_user_identity(information))
    return encode_item(USER_INFORMATION_ITEM, *sub_items)


def _encode_user_identity(information: UserInformation) -> Iterator[bytes]:
    identity = information.user_identity
    if identity is not None:
        yield encode_item(
            _USER_IDENTITY_ITEM,
            bytes((identity.identity_type, identity.positive_response_requested)),
            _with_length(identity.primary),
            _with_length(identity.secondary),
        )
    if information.user_identity_response is not None:
        response = _with_length(information.user_identity_response)
        yield encode_item(_USER_IDENTITY_RESPONSE_ITEM, response)
