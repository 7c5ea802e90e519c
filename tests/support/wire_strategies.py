"""Hypothesis strategies for PDUs, commands and packings of messages."""

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from mwl.wire.dimse import Command, CommandField
from mwl.wire.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    PData,
    PresentationDataValue,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    RoleSelection,
    UserIdentity,
    UserInformation,
    encode,
)

bytes_of_one = st.integers(0, 0xFF)
shorts = st.integers(0, 0xFFFF)
uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
ae_titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ -", max_size=16).map(str.strip)
context_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)

user_identities = st.builds(
    UserIdentity,
    identity_type=bytes_of_one,
    positive_response_requested=st.booleans(),
    primary=st.binary(max_size=20),
    secondary=st.binary(max_size=20),
)

user_informations = st.builds(
    UserInformation,
    max_length=st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=st.just("") | uids,
    implementation_version_name=st.just("") | st.sampled_from(["MWL_0_1", "OFFIS_DCMTK_368"]),
    asynchronous_window=st.none() | st.tuples(shorts, shorts),
    role_selections=st.lists(
        st.builds(RoleSelection, sop_class_uid=uids, scu=st.booleans(), scp=st.booleans()),
        max_size=3,
    ).map(tuple),
    extended_negotiations=st.lists(
        st.builds(ExtendedNegotiation, sop_class_uid=uids, information=st.binary(max_size=8)),
        max_size=3,
    ).map(tuple),
    user_identity=st.none() | user_identities,
    user_identity_response=st.none() | st.binary(max_size=8),
)

associate_requests = st.builds(
    AssociateRequest,
    called_ae_title=ae_titles,
    calling_ae_title=ae_titles,
    contexts=st.lists(
        st.builds(
            ProposedContext,
            context_id=context_ids,
            abstract_syntax=uids,
            transfer_syntaxes=st.lists(uids, max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda context: context.context_id,
    ).map(tuple),
    user_information=user_informations,
    application_context=uids,
    protocol_version=shorts,
)


def _context_result(context_id: int, result: int, transfer_syntax: str) -> ContextResult:
    return ContextResult(context_id, result, "" if result else transfer_syntax)


associate_accepts = st.builds(
    AssociateAccept,
    contexts=st.lists(
        st.builds(_context_result, context_ids, st.integers(0, 4), uids), max_size=5
    ).map(tuple),
    user_information=user_informations,
    application_context=uids,
    protocol_version=shorts,
    header=st.binary(min_size=66, max_size=66),
)

data_values = st.builds(
    PresentationDataValue,
    context_id=bytes_of_one,
    is_command=st.booleans(),
    is_last=st.booleans(),
    data=st.binary(max_size=30),
)

pdus = st.one_of(
    associate_requests,
    associate_accepts,
    st.builds(AssociateReject, bytes_of_one, bytes_of_one, bytes_of_one),
    st.lists(data_values, min_size=1, max_size=4).map(lambda values: PData(tuple(values))),
    st.just(ReleaseRequest()),
    st.just(ReleaseResponse()),
    st.builds(Abort, bytes_of_one, bytes_of_one),
)

_tags = st.lists(st.integers(0, 0xFFFFFFFF), max_size=3).map(tuple)
_comments = st.text("abcdefghijklmnop (),", max_size=64).map(str.strip)
_details = {
    "affected_sop_class_uid": st.just("") | uids,
    "requested_sop_class_uid": st.just("") | uids,
    "has_dataset": st.booleans(),
    "priority": st.none() | shorts,
    "offending_element": _tags,
    "error_comment": _comments,
    "error_id": st.none() | shorts,
    "affected_sop_instance_uid": st.just("") | uids,
    "requested_sop_instance_uid": st.just("") | uids,
    "event_type_id": st.none() | shorts,
    "attribute_identifier_list": _tags,
    "action_type_id": st.none() | shorts,
}
_requests = [field for field in CommandField if not field & 0x8000 and field != 0x0FFF]
_responses = [field for field in CommandField if field & 0x8000]


def _command(**fields: Any) -> Command:
    """Make a command whose other elements keep their default, which `builds` would not let them."""
    return Command(**fields)


commands = st.one_of(
    st.builds(_command, field=st.sampled_from(_requests), message_id=shorts, **_details),
    st.builds(
        _command,
        field=st.sampled_from(_responses),
        message_id_being_responded_to=shorts,
        status=shorts,
        **_details,
    ),
    st.builds(
        _command,
        field=st.just(CommandField.C_CANCEL_RQ),
        message_id_being_responded_to=shorts,
        **_details,
    ),
)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into pieces, none of them empty."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=12))
    edges = sorted({0, len(data), *places})
    return [data[start:end] for start, end in pairwise(edges)]


@st.composite
def packings(draw: st.DrawFn, context_id: int, command: bytes, dataset: bytes) -> bytes:
    """Pack one message into P-DATA-TF in any of the ways that PS3.8 annex E lets pass."""
    values = [
        PresentationDataValue(context_id, is_command, False, piece)
        for is_command, part in ((True, command), (False, dataset))
        for piece in [*draw(cuts(part)), *draw(st.lists(st.just(b""), max_size=1))] or [b""]
    ]
    lasts = {
        kind: max(at for at, value in enumerate(values) if value.is_command is kind)
        for kind in (True, False)
    }
    values = [
        value._replace(is_last=at == lasts[value.is_command]) for at, value in enumerate(values)
    ]
    edges = sorted({0, len(values), *draw(st.lists(st.integers(0, len(values)), max_size=6))})
    return b"".join(encode(PData(tuple(values[start:end]))) for start, end in pairwise(edges))
