"""What holds for an association whatever the peer sends, however it is cut, in every state."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwl.wire.association import (
    Aborted,
    Association,
    AssociationRequested,
    Event,
    Limits,
    MessageReceived,
    Role,
)
from mwl.wire.dimse import Command, CommandField, frame_command, frame_dataset
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION, negotiate
from mwl.wire.pdu import (
    MAX_ASSOCIATE_BYTES,
    Abort,
    AssociateAccept,
    AssociateReject,
    PData,
    Pdu,
    PresentationDataValue,
    ReleaseRequest,
    ReleaseResponse,
    encode,
)
from mwl.wire.state import ABORT_SOURCE, TRANSITIONS, Input, State
from support.pair import POLICY, Pair, association_request
from support.wire_strategies import cuts, pdus

LIMITS = Limits(max_pdu_length=16384, max_message_bytes=500, max_command_bytes=300)


def awaiting_request() -> Association:
    return Association(Role.ACCEPTOR, LIMITS, now=0.0)


def awaiting_our_answer() -> Association:
    association = awaiting_request()
    association.receive(encode(association_request()), 0.0)
    assert isinstance(association.next_event(), AssociationRequested)
    return association


def awaiting_their_answer() -> Association:
    association = Association(Role.REQUESTOR, LIMITS, now=0.0)
    association.send(association_request())
    return association


def established() -> Association:
    return Pair.established(LIMITS).acceptor


def releasing() -> Association:
    association = established()
    association.send(ReleaseRequest())
    return association


def in_collision_as_acceptor() -> Association:
    association = releasing()
    association.receive(encode(ReleaseRequest()), 0.0)
    assert association.next_event() is None
    return association


def in_collision_as_requestor() -> Association:
    association = Pair.established(LIMITS).requestor
    association.send(ReleaseRequest())
    association.receive(encode(ReleaseRequest()), 0.0)
    assert association.next_event() is None
    return association


def ended() -> Association:
    association = established()
    association.send(Abort())
    return association


def not_begun() -> Association:
    return Association(Role.REQUESTOR, LIMITS, now=0.0)


# Every state in which something of the peer can arrive. Sta8, Sta9 and Sta12 are left at once, for
# a release is answered by itself.
STATES: dict[State, Callable[[], Association]] = {
    State.IDLE: not_begun,
    State.AWAITING_ASSOCIATE_REQUEST: awaiting_request,
    State.AWAITING_LOCAL_ASSOCIATE_RESPONSE: awaiting_our_answer,
    State.AWAITING_ASSOCIATE_RESPONSE: awaiting_their_answer,
    State.DATA_TRANSFER: established,
    State.AWAITING_RELEASE_RESPONSE: releasing,
    State.COLLISION_ACCEPTOR_AWAITING_RELEASE_RESPONSE: in_collision_as_acceptor,
    State.COLLISION_REQUESTOR_AWAITING_RELEASE_RESPONSE: in_collision_as_requestor,
    State.AWAITING_TRANSPORT_CLOSE: ended,
}
BEYOND = {
    State.AWAITING_LOCAL_RELEASE_RESPONSE: State.AWAITING_TRANSPORT_CLOSE,
    State.COLLISION_ACCEPTOR_AWAITING_LOCAL_RESPONSE: State.AWAITING_TRANSPORT_CLOSE,
}

ECHO = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)
FIND = Command(
    CommandField.C_FIND_RQ,
    message_id=2,
    affected_sop_class_uid=MODALITY_WORKLIST_FIND,
    has_dataset=True,
)
ACCEPT = negotiate(association_request(), POLICY)
ARRIVALS: dict[Input, bytes] = {
    Input.ASSOCIATE_REQUEST_RECEIVED: encode(association_request()),
    Input.ASSOCIATE_ACCEPT_RECEIVED: encode(ACCEPT),
    Input.ASSOCIATE_REJECT_RECEIVED: encode(AssociateReject(1, 1, 1)),
    Input.DATA_RECEIVED: frame_command(3, ECHO, 0),
    Input.RELEASE_REQUEST_RECEIVED: encode(ReleaseRequest()),
    Input.RELEASE_RESPONSE_RECEIVED: encode(ReleaseResponse()),
    Input.ABORT_RECEIVED: encode(Abort()),
    Input.INVALID_PDU_RECEIVED: b"\xff" * 6,
    Input.TRANSPORT_CLOSED: b"",
}


def events_of(association: Association) -> list[Event]:
    events = []
    while (event := association.next_event()) is not None:
        events.append(event)
    return events


def comparable(event: Event) -> tuple[object, ...]:
    """Compare an error by what it says: exceptions are equal only to themselves."""
    if isinstance(event, Aborted):
        return (event.local, event.source, event.reason, str(event.error))
    return (event,)


def test_every_state_is_the_one_it_is_called() -> None:
    assert {state: make().state for state, make in STATES.items()} == {s: s for s in STATES}


@pytest.mark.parametrize("state", [state for state in STATES if state is not State.IDLE])
@pytest.mark.parametrize("happened", list(ARRIVALS))
def test_every_arrival_in_every_state_does_what_the_table_says(
    state: State, happened: Input
) -> None:
    association = STATES[state]()
    association.data_to_send()
    association.receive(ARRIVALS[happened], 1.0)
    events_of(association)
    action, then = TRANSITIONS[state, happened]
    if (state, happened) == (State.AWAITING_RELEASE_RESPONSE, Input.RELEASE_REQUEST_RECEIVED):
        then = State.COLLISION_ACCEPTOR_AWAITING_RELEASE_RESPONSE
    assert association.state is BEYOND.get(then, then)
    assert association.closed is (then is State.IDLE)
    aborted = [data for data in association.data_to_send() if data[0] == 7]
    assert [data[8] for data in aborted] == [ABORT_SOURCE[a] for a in [action] if a in ABORT_SOURCE]


@given(st.sampled_from(list(STATES)), st.lists(st.binary(max_size=300), max_size=4))
def test_any_bytes_in_any_state_give_events_and_never_raise(
    state: State, chunks: list[bytes]
) -> None:
    association = STATES[state]()
    for chunk in chunks:
        association.receive(chunk, 1.0)
        events_of(association)
    assert association.state in State
    assert association.closed is (association.state is State.IDLE) or not chunks


streams = st.lists(
    st.one_of(
        st.sampled_from(list(ARRIVALS.values())),
        st.just(frame_command(1, FIND, 40) + frame_dataset(1, b"identifier", 8)),
        pdus.map(encode),
        st.binary(max_size=20),
    ),
    max_size=5,
).map(b"".join)


def outcome(make: Callable[[], Association], chunks: list[bytes]) -> tuple[object, ...]:
    association = make()
    association.data_to_send()
    events: list[tuple[object, ...]] = []
    sent = b""
    for chunk in chunks:
        association.receive(chunk, 1.0)
        events += map(comparable, events_of(association))
        sent += b"".join(association.data_to_send())
    return events, sent, association.state, association.closed, association.deadline


@given(st.sampled_from(list(STATES)), streams, st.data())
def test_how_the_bytes_are_cut_does_not_matter(
    state: State, stream: bytes, data: st.DataObject
) -> None:
    make = STATES[state]
    cut = data.draw(cuts(stream))
    whole = outcome(make, [stream, b""])
    assert outcome(make, [*cut, b""]) == whole
    assert outcome(make, [bytes([byte]) for byte in stream] + [b""]) == whole


@given(st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF), st.integers(1, 5000))
@example(1, MAX_ASSOCIATE_BYTES, 5000)
@example(4, LIMITS.max_pdu_length, 5000)
def test_what_is_held_stays_under_its_limit(pdu_type: int, length: int, step: int) -> None:
    association = established()
    association.receive(bytes((pdu_type, 0)) + length.to_bytes(4, "big"), 1.0)
    held = 0
    for _ in range(2 * MAX_ASSOCIATE_BYTES // step + 1 if step > 1000 else 50):
        association.receive(bytes(step), 1.0)
        events_of(association)
        held = max(held, len(association._buffer))
    assert held <= MAX_ASSOCIATE_BYTES + 6 + step


@given(st.lists(st.integers(0, 200), max_size=40), st.booleans())
def test_message_that_never_ends_is_cut_off_at_its_limit(
    sizes: list[int], is_command: bool
) -> None:
    association = established()
    if not is_command:
        association.receive(frame_command(1, FIND, 0), 1.0)
    for size in sizes:
        value = PresentationDataValue(1, is_command, False, bytes(size))
        association.receive(encode(PData((value,))), 1.0)
        assert not [e for e in events_of(association) if isinstance(e, MessageReceived)]
        assert association._assembler.held_bytes <= LIMITS.max_message_bytes
    limit = LIMITS.max_command_bytes if is_command else LIMITS.max_message_bytes
    assert (association.state is State.AWAITING_TRANSPORT_CLOSE) == (sum(sizes) > limit)


@given(pdus)
def test_any_request_that_can_be_read_is_answered(pdu: Pdu) -> None:
    association = awaiting_request()
    association.receive(encode(pdu), 1.0)
    for event in events_of(association):
        if isinstance(event, AssociationRequested):
            answer = negotiate(event.request, POLICY)
            association.send(answer)
            if isinstance(answer, AssociateAccept):
                assert len(answer.contexts) == len(event.request.contexts)
                assert set(association.contexts) <= {c.context_id for c in answer.contexts}
