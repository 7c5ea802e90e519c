"""The protocol: PDUs, commands, and whole associations on either side."""

from collections.abc import Iterator

from fuzz.traffic import recorded
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.errors import RemoteProtocolError
from mwl.wire import negotiation
from mwl.wire.association import (
    Association,
    AssociationAccepted,
    AssociationRequested,
    Event,
    Limits,
    Message,
    MessageReceived,
    Role,
)
from mwl.wire.dimse import (
    Command,
    CommandField,
    Status,
    decode_command,
    encode_command,
    response_to,
)
from mwl.wire.pdu import (
    AbortReason,
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    UserInformation,
    encode,
    pdu_at,
    pdus_in,
)

LIMITS = Limits(max_message_bytes=64 * 1024)
HEADER_BYTES = 6
REASONS = frozenset(AbortReason)
LONGEST_PIECE = 64

POLICY = negotiation.Policy(
    abstract_syntaxes={
        negotiation.VERIFICATION: TRANSFER_SYNTAXES,
        negotiation.MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES,
    },
    max_pdu_length=LIMITS.max_pdu_length,
)
REQUEST = AssociateRequest(
    called_ae_title="MWL",
    calling_ae_title="FUZZ",
    contexts=(
        ProposedContext(1, negotiation.MODALITY_WORKLIST_FIND, TRANSFER_SYNTAXES),
        ProposedContext(3, negotiation.VERIFICATION, TRANSFER_SYNTAXES),
    ),
    user_information=UserInformation(
        max_length=LIMITS.max_pdu_length, implementation_class_uid="1.2.3"
    ),
)


def pdu(data: bytes) -> None:
    """Any bytes begin with a PDU, or with a part of one, or are refused with a reason."""
    try:
        found = pdu_at(data, 0, LIMITS.max_pdu_length)
    except RemoteProtocolError as error:
        if error.reason not in REASONS:
            raise AssertionError(f"no reason of PS3.8 Table 9-26: {error.reason}") from error
        return
    if found is None:
        return
    first, end = found
    assert HEADER_BYTES <= end <= len(data)
    written = encode(first)
    again = pdu_at(written, 0, LIMITS.max_pdu_length)
    assert again is not None, "what was read is not whole when it is written"
    assert encode(again[0]) == written, "what was read is another PDU when it is written"
    together = pdus_in(data[:end], LIMITS.max_pdu_length)
    assert together is None or together == (first,), "the two readers disagree"


def command(data: bytes) -> None:
    """Any bytes are a command set, which is the same after it was written, or refused."""
    try:
        found = decode_command(data)
    except RemoteProtocolError:
        return
    written = decode_command(encode_command(found))
    # A comment is cut to what its VR holds.
    assert written == found._replace(error_comment=written.error_comment)
    assert decode_command(encode_command(written)) == written


def association(data: bytes) -> None:
    """Whatever a peer sends, in pieces of any size: events, a reply that is legal, an end.

    The first byte says which side we are, the second how long the pieces are.
    """
    if len(data) < 2:
        return
    role = Role.REQUESTOR if data[0] & 1 else Role.ACCEPTOR
    piece = data[1] % LONGEST_PIECE + 1 if data[0] & 2 else len(data)
    ours = Association(role, LIMITS, now=0.0)
    if role is Role.REQUESTOR:
        ours.send(REQUEST)
    sent = b"".join(ours.data_to_send())
    stream = data[2:]
    for now, start in enumerate(range(0, len(stream), piece)):
        ours.receive(stream[start : start + piece], float(now))
        sent += _act(ours)
    ours.receive(b"", float(len(stream)))
    sent += _act(ours)
    assert ours.closed, "the peer has hung up, and the association goes on"
    _check_sent(sent)


def _act(ours: Association) -> bytes:
    """Answer as a server or client would; give what goes to the peer."""
    while (event := ours.next_event()) is not None:
        _answer(ours, event)
    return b"".join(ours.data_to_send())


def _answer(ours: Association, event: Event) -> None:
    match event:
        case AssociationRequested(request):
            ours.send(negotiation.negotiate(request, POLICY))
        case AssociationAccepted() if ours.contexts:
            ours.send(_query(min(ours.contexts)))
        case AssociationAccepted():
            ours.send(ReleaseRequest())
        case MessageReceived(context, received, _) if not received.is_response and (
            received.field != CommandField.C_CANCEL_RQ
        ):
            reply = response_to(received, Status.UNABLE_TO_PROCESS, error_comment="No")
            ours.send(Message(context.context_id, reply))
        case _:
            pass


def _query(context_id: int) -> Message:
    find = Command(
        field=CommandField.C_FIND_RQ,
        message_id=1,
        affected_sop_class_uid=negotiation.MODALITY_WORKLIST_FIND,
        priority=0,
        has_dataset=True,
    )
    return Message(context_id, find, b"\x10\x00\x10\x00\x00\x00\x00\x00")


def _check_sent(sent: bytes) -> None:
    """All that we send are whole PDUs that a peer can read."""
    offset = 0
    while offset < len(sent):
        found = pdu_at(sent, offset, LIMITS.max_pdu_length)
        assert found is not None, "half a PDU was sent"
        _, offset = found


def pdus_of(stream: bytes) -> Iterator[bytes]:
    """Give the PDUs of one direction of a recorded association, each as it was sent."""
    offset = 0
    while len(stream) - offset >= HEADER_BYTES:
        end = offset + HEADER_BYTES + int.from_bytes(stream[offset + 2 : offset + 6], "big")
        yield stream[offset:end]
        offset = end


def messages_of(stream: bytes) -> Iterator[MessageReceived]:
    """Give the messages of the requestor of a recorded association."""
    theirs = Association(Role.ACCEPTOR, LIMITS, now=0.0)
    theirs.receive(stream, 0.0)
    while (event := theirs.next_event()) is not None:
        if isinstance(event, AssociationRequested):
            theirs.send(negotiation.negotiate(event.request, POLICY))
        elif isinstance(event, MessageReceived):
            yield event


def pdu_seeds() -> Iterator[bytes]:
    """Give every PDU that was recorded."""
    for one in recorded():
        yield from pdus_of(one.of_requestor)
        yield from pdus_of(one.of_acceptor)


def command_seeds() -> Iterator[bytes]:
    """Give every command set that was recorded, and one of an answer."""
    for one in recorded():
        for message in messages_of(one.of_requestor):
            yield encode_command(message.command)
            yield encode_command(
                response_to(message.command, Status.UNABLE_TO_PROCESS, error_comment="No")
            )


def association_seeds() -> Iterator[bytes]:
    """Give what was recorded of either side, behind the bytes that say how to take it."""
    for one in recorded():
        yield b"\x00\x00" + one.of_requestor
        yield b"\x02\x0f" + one.of_requestor
        yield b"\x01\x00" + one.of_acceptor
