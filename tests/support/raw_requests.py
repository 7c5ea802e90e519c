"""What a `RawPeer` says, as bytes, and how it reads what it is told."""

from typing import Protocol

from mwl.dataset import IMPLICIT_VR_LITTLE_ENDIAN, encode
from mwl.wire.dimse import (
    Command,
    CommandField,
    Status,
    decode_command,
    frame_command,
    frame_dataset,
)
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION
from mwl.wire.pdu import (
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    UserInformation,
)
from mwl.wire.pdu import encode as encode_pdu
from support.items import elements
from support.listener import RawPeer

ASSOCIATE = encode_pdu(
    AssociateRequest(
        called_ae_title="MWL",
        calling_ae_title="RAW",
        contexts=(
            ProposedContext(1, MODALITY_WORKLIST_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,)),
            ProposedContext(3, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        ),
        user_information=UserInformation(max_length=16384, implementation_class_uid="1.2.3"),
    )
)
EVERYTHING = encode(
    elements({"PatientName": "", "AccessionNumber": ""}).values(), IMPLICIT_VR_LITTLE_ENDIAN
)
EVERY_HISTORY = encode(
    elements({"PatientID": "", "AdditionalPatientHistory": ""}).values(), IMPLICIT_VR_LITTLE_ENDIAN
)
"""Asks for long answers, more than the network holds."""
RELEASE = encode_pdu(ReleaseRequest())
RELEASED = encode_pdu(ReleaseResponse())
ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = 2, 3, 4, 5, 6, 7


def find_request(
    message_id: int = 1,
    sop_class: str = MODALITY_WORKLIST_FIND,
    context_id: int = 1,
    identifier: bytes = EVERYTHING,
) -> bytes:
    command = Command(
        field=CommandField.C_FIND_RQ,
        message_id=message_id,
        affected_sop_class_uid=sop_class,
        priority=0,
        has_dataset=True,
    )
    return frame_command(context_id, command, 16384) + frame_dataset(context_id, identifier, 16384)


def cancel_request(message_id: int = 1) -> bytes:
    command = Command(field=CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)
    return frame_command(1, command, 16384)


def echo_request(message_id: int) -> bytes:
    command = Command(
        field=CommandField.C_ECHO_RQ, message_id=message_id, affected_sop_class_uid=VERIFICATION
    )
    return frame_command(3, command, 16384)


class AtPort(Protocol):
    """A server that listens on the loopback."""

    @property
    def port(self) -> int:
        """Its TCP port."""


async def associated(server: AtPort) -> RawPeer:
    """Open an association."""
    peer = await RawPeer.connect(server.port)
    await peer.say(ASSOCIATE)
    kind, _ = await peer.hear()
    assert kind == ASSOCIATE_AC
    return peer


async def hear_status(peer: RawPeer) -> tuple[int, Command]:
    """Skip Pending responses and their data sets; give their number and the final command."""
    pending = 0
    while True:
        kind, body = await peer.hear()
        assert kind == DATA
        if not body[5] & 1:
            continue
        command = decode_command(body[6:])
        if command.status != Status.PENDING:
            return pending, command
        pending += 1
