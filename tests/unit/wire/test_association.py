"""The protocol engine: two of them in memory, or one and bytes restated from PS3.8."""

from collections.abc import Callable

import pytest

from mwl.errors import LocalProtocolError, RemoteProtocolError
from mwl.limits import SLOW_READ_TIMEOUT, SLOW_WRITE_TIMEOUT
from mwl.wire.association import (
    Aborted,
    Association,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    ConnectionLost,
    Event,
    Limits,
    Message,
    MessageReceived,
    NegotiatedContext,
    Outgoing,
    Released,
    Role,
    TimedOut,
    Timer,
)
from mwl.wire.dimse import (
    Command,
    CommandField,
    Status,
    encode_command,
    frame_command,
    frame_dataset,
    response_to,
)
from mwl.wire.negotiation import (
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    MODALITY_WORKLIST_FIND,
    VERIFICATION,
    negotiate,
)
from mwl.wire.pdu import (
    Abort,
    AssociateAccept,
    PData,
    Pdu,
    PresentationDataValue,
    ReleaseRequest,
    ReleaseResponse,
    UserInformation,
    encode,
    read_pdu,
)
from mwl.wire.state import State
from support.pair import (
    EXPLICIT,
    IMPLICIT,
    POLICY,
    VERIFICATION_CONTEXT,
    WORKLIST_CONTEXT,
    Pair,
    association_request,
)

ECHO = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)
FIND = Command(
    CommandField.C_FIND_RQ,
    message_id=2,
    affected_sop_class_uid=MODALITY_WORKLIST_FIND,
    priority=0,
    has_dataset=True,
)
WORKLIST = NegotiatedContext(WORKLIST_CONTEXT, MODALITY_WORKLIST_FIND, EXPLICIT)
ECHO_CONTEXT = NegotiatedContext(VERIFICATION_CONTEXT, VERIFICATION, IMPLICIT)
REQUEST_BYTES = encode(association_request())
RELEASE_BYTES = encode(ReleaseRequest())


def accept() -> AssociateAccept:
    answer = negotiate(association_request(), POLICY)
    assert isinstance(answer, AssociateAccept)
    return answer


def acceptor(limits: Limits | None = None) -> Association:
    return Association(Role.ACCEPTOR, limits or Limits(), now=100.0)


def established(limits: Limits | None = None) -> Association:
    association = acceptor(limits)
    association.receive(REQUEST_BYTES, 100.0)
    assert association.next_event() == AssociationRequested(association_request())
    association.send(accept())
    association.data_to_send()
    return association


def events_of(association: Association) -> list[Event]:
    events = []
    while (event := association.next_event()) is not None:
        events.append(event)
    return events


def after(association: Association, data: bytes, now: float = 101.0) -> list[Event]:
    association.receive(data, now)
    return events_of(association)


def sent(association: Association) -> list[Pdu]:
    buffer = bytearray(b"".join(association.data_to_send()))
    pdus = []
    while buffer:
        pdu = read_pdu(buffer, limit=1 << 20)
        assert pdu is not None
        pdus.append(pdu)
    return pdus


def is_closed(association: Association) -> bool:
    """Look anew: a type checker takes an attribute to be what it was before a call."""
    return association.closed


def state_of(association: Association) -> State:
    """Look anew, likewise."""
    return association.state


def only_abort(association: Association, source: int, reason: int) -> None:
    assert sent(association) == [Abort(source, reason)]
    assert association.state is State.AWAITING_TRANSPORT_CLOSE
    assert not association.closed
    assert association.deadline is not None


# -- a good association --------------------------------------------------------------------------


def test_two_sides_agree_exchange_messages_and_part() -> None:
    pair = Pair()
    pair.send(Role.REQUESTOR, association_request())
    assert pair.take(Role.ACCEPTOR) == [AssociationRequested(association_request())]
    pair.send(Role.ACCEPTOR, accept())
    assert pair.take(Role.REQUESTOR) == [AssociationAccepted(accept())]
    assert pair.requestor.contexts == pair.acceptor.contexts == {1: WORKLIST, 3: ECHO_CONTEXT}
    pair.send(Role.REQUESTOR, Message(VERIFICATION_CONTEXT, ECHO))
    assert pair.take(Role.ACCEPTOR) == [MessageReceived(ECHO_CONTEXT, ECHO, None)]
    answer = response_to(ECHO, Status.SUCCESS)
    pair.send(Role.ACCEPTOR, Message(VERIFICATION_CONTEXT, answer))
    assert pair.take(Role.REQUESTOR) == [MessageReceived(ECHO_CONTEXT, answer, None)]
    pair.send(Role.REQUESTOR, ReleaseRequest())
    assert pair.take(Role.ACCEPTOR) == [Released()]
    assert pair.take(Role.REQUESTOR) == [Released()]
    assert pair.requestor.closed
    assert not is_closed(pair.acceptor)  # the requestor closes the transport: PS3.8 AR-3
    pair.give(Role.ACCEPTOR, b"")
    assert pair.acceptor.closed
    assert pair.take(Role.ACCEPTOR) == []


@pytest.mark.parametrize("chunk_bytes", [None, 1, 7])
@pytest.mark.parametrize("max_length", [8, 50, 16384, 0x10000])
def test_query_and_answers_in_any_fragments_and_chunks(
    max_length: int, chunk_bytes: int | None
) -> None:
    pair = Pair.established(max_length=max_length, chunk_bytes=chunk_bytes)
    query = bytes(range(256)) * 3
    pair.send(Role.REQUESTOR, Message(WORKLIST_CONTEXT, FIND, query))
    assert pair.take(Role.ACCEPTOR) == [MessageReceived(WORKLIST, FIND, query)]
    answers = [bytes([number]) * 40 for number in range(5)]
    to_peer = pair.acceptor.max_length_to_peer
    assert to_peer == max_length
    framed = [frame_dataset(WORKLIST_CONTEXT, answer, to_peer) for answer in answers]
    pair.acceptor.send_answers(WORKLIST_CONTEXT, FIND.message_id, framed)
    pair.settle()
    pending = response_to(FIND, Status.PENDING, has_dataset=True)
    assert pair.take(Role.REQUESTOR) == [
        MessageReceived(WORKLIST, pending, answer) for answer in answers
    ]
    assert pair.requestor.state is State.DATA_TRANSFER


def test_no_answers_are_no_bytes() -> None:
    association = established()
    association.send_answers(WORKLIST_CONTEXT, 2, [])
    assert association.data_to_send() == []


def test_answers_are_a_command_pdu_and_a_data_pdu_each() -> None:
    association = established()
    framed = [frame_dataset(1, b"ab", 16384), frame_dataset(1, b"cd", 16384)]
    association.send_answers(WORKLIST_CONTEXT, 2, framed)
    pdus = sent(association)
    command = encode_command(response_to(FIND, Status.PENDING, has_dataset=True))
    assert pdus == [
        PData((PresentationDataValue(1, True, True, command),)),
        PData((PresentationDataValue(1, False, True, b"ab"),)),
        PData((PresentationDataValue(1, True, True, command),)),
        PData((PresentationDataValue(1, False, True, b"cd"),)),
    ]


def test_rejection_closes_the_requestor_and_lets_the_acceptor_wait() -> None:
    pair = Pair()
    pair.send(Role.REQUESTOR, association_request())
    pair.send(Role.ACCEPTOR, CALLING_AE_TITLE_NOT_RECOGNIZED)
    assert pair.take(Role.REQUESTOR) == [AssociationRejected(CALLING_AE_TITLE_NOT_RECOGNIZED)]
    assert pair.requestor.closed
    assert pair.acceptor.state is State.AWAITING_TRANSPORT_CLOSE
    assert pair.acceptor.deadline == 30.0
    pair.give(Role.ACCEPTOR, b"")
    assert pair.acceptor.closed


def test_cancel_arrives_as_a_message() -> None:
    pair = Pair.established()
    cancel = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=2)
    pair.send(Role.REQUESTOR, Message(WORKLIST_CONTEXT, cancel))
    assert pair.take(Role.ACCEPTOR) == [MessageReceived(WORKLIST, cancel, None)]


def test_command_and_data_set_may_share_a_pdu_with_the_next_message() -> None:
    values = (
        PresentationDataValue(1, True, False, encode_command(FIND)[:9]),
        PresentationDataValue(1, True, False, b""),
        PresentationDataValue(1, True, True, encode_command(FIND)[9:]),
        PresentationDataValue(1, False, False, b"a"),
        PresentationDataValue(1, False, True, b"b"),
        PresentationDataValue(3, True, True, encode_command(ECHO)),
    )
    assert after(established(), encode(PData(values))) == [
        MessageReceived(WORKLIST, FIND, b"ab"),
        MessageReceived(ECHO_CONTEXT, ECHO, None),
    ]


def test_later_pdus_are_read_only_after_the_event_before_them_was_taken() -> None:
    association = acceptor()
    association.receive(REQUEST_BYTES + encode(Abort(0, 0)), 101.0)
    assert isinstance(association.next_event(), AssociationRequested)
    association.send(accept())  # possible, although the abort is here already
    assert association.next_event() == Aborted(False, 0, 0, None)
    assert association.closed


# -- release -------------------------------------------------------------------------------------


def test_release_is_answered_by_itself() -> None:
    association = established()
    assert after(association, RELEASE_BYTES) == [Released()]
    assert sent(association) == [ReleaseResponse()]
    assert association.state is State.AWAITING_TRANSPORT_CLOSE
    assert association.deadline == 131.0


def test_release_collision_ends_well_on_both_sides() -> None:
    pair = Pair.established()
    pair.requestor.send(ReleaseRequest())
    pair.acceptor.send(ReleaseRequest())
    from_requestor = b"".join(pair.requestor.data_to_send())
    from_acceptor = b"".join(pair.acceptor.data_to_send())
    pair.give(Role.ACCEPTOR, from_requestor)
    assert state_of(pair.acceptor) is State.COLLISION_ACCEPTOR_AWAITING_RELEASE_RESPONSE
    assert pair.acceptor.data_to_send() == []
    pair.give(Role.REQUESTOR, from_acceptor)
    assert pair.requestor.state is State.COLLISION_REQUESTOR_AWAITING_RELEASE_RESPONSE
    pair.settle()
    assert pair.take(Role.REQUESTOR) == [Released()]
    assert pair.take(Role.ACCEPTOR) == [Released()]
    assert pair.requestor.closed
    assert pair.acceptor.state is State.AWAITING_TRANSPORT_CLOSE


def test_messages_still_arrive_while_a_release_is_awaited() -> None:
    association = established()
    association.send(ReleaseRequest())
    assert after(association, frame_command(3, ECHO, 0)) == [
        MessageReceived(ECHO_CONTEXT, ECHO, None)
    ]
    assert association.state is State.AWAITING_RELEASE_RESPONSE
    with pytest.raises(LocalProtocolError):
        association.send(Message(VERIFICATION_CONTEXT, response_to(ECHO, Status.SUCCESS)))


# -- abort and loss ------------------------------------------------------------------------------


def test_abort_of_the_peer_closes_at_once() -> None:
    association = established()
    assert after(association, encode(Abort(2, 6)) + RELEASE_BYTES) == [Aborted(False, 2, 6, None)]
    assert association.closed
    assert association.deadline is None
    assert association.data_to_send() == []


def test_our_abort_is_sent_and_tells_nothing() -> None:
    pair = Pair.established()
    pair.send(Role.ACCEPTOR, Abort(0, 0))
    assert pair.take(Role.ACCEPTOR) == []
    assert pair.take(Role.REQUESTOR) == [Aborted(False, 0, 0, None)]
    assert pair.requestor.closed
    assert pair.acceptor.state is State.AWAITING_TRANSPORT_CLOSE


@pytest.mark.parametrize("role", list(Role))
def test_abort_without_an_association_closes(role: Role) -> None:
    association = Association(role, Limits(), now=0.0)
    association.send(Abort())
    assert association.closed
    assert association.deadline is None
    assert association.data_to_send() == []


def test_loss_of_the_connection_is_told_during_an_association() -> None:
    association = established()
    assert after(association, b"") == [ConnectionLost()]
    assert association.closed
    assert after(association, b"") == []


def test_connection_without_a_request_ends_without_a_word() -> None:
    association = acceptor()
    assert after(association, b"") == []
    assert association.closed


def test_abort_before_a_request_ends_without_a_word() -> None:
    association = acceptor()
    assert after(association, encode(Abort(0, 0))) == []
    assert association.closed


def test_unfinished_pdu_at_the_end_is_dropped() -> None:
    association = established()
    association.receive(RELEASE_BYTES[:7], 101.0)
    assert after(association, b"") == [ConnectionLost()]


@pytest.mark.parametrize("data", [b"", RELEASE_BYTES, b"\xff" * 10])
def test_requestor_that_hears_before_it_asks_has_lost_the_connection(data: bytes) -> None:
    association = Association(Role.REQUESTOR, Limits(), now=0.0)
    assert after(association, data) == [ConnectionLost()]
    assert association.closed
    assert after(association, data) == []


# -- what the peer does wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\x04\0\x7f\xff\xff\xff", 6),
        (b"\x05\0\0\0\0\x05", 6),
        (REQUEST_BYTES, 2),
        (encode(accept()), 2),
        (encode(CALLING_AE_TITLE_NOT_RECOGNIZED), 2),
        (encode(ReleaseResponse()), 2),
        (encode(PData((PresentationDataValue(5, True, True, b""),))), 6),
        (encode(PData((PresentationDataValue(1, False, True, b"ab"),))), 5),
        (encode(PData((PresentationDataValue(1, True, True, b"ab"),))), 6),
    ],
)
def test_mistakes_during_an_association_are_answered_with_their_reason(
    data: bytes, reason: int
) -> None:
    association = established()
    [event] = after(association, data)
    assert isinstance(event, Aborted)
    assert (event.local, event.source, event.reason) == (True, 2, reason)
    assert isinstance(event.error, RemoteProtocolError)
    only_abort(association, 2, reason)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", RELEASE_BYTES, encode(accept())])
def test_mistakes_before_an_association_are_answered_as_its_user(data: bytes) -> None:
    association = acceptor()
    [event] = after(association, data)
    assert isinstance(event, Aborted)
    assert (event.local, event.source, event.reason) == (True, 0, 0)
    assert event.error is not None
    only_abort(association, 0, 0)


def test_state_and_kind_of_an_unexpected_pdu_are_named() -> None:
    [event] = after(established(), REQUEST_BYTES)
    assert isinstance(event, Aborted)
    assert str(event.error) == "AssociateRequest in state Sta6"


def test_message_before_a_mistake_in_the_same_pdu_is_dropped() -> None:
    values = (
        PresentationDataValue(3, True, True, encode_command(ECHO)),
        PresentationDataValue(3, False, True, b"ab"),
    )
    [event] = after(established(), encode(PData(values)))
    assert isinstance(event, Aborted)


def test_limits_are_of_this_association() -> None:
    limits = Limits(max_pdu_length=1000, max_message_bytes=100, max_command_bytes=200)
    association = acceptor(limits)
    after(association, REQUEST_BYTES)
    with pytest.raises(LocalProtocolError, match="16384 announced, limit is 1000"):
        association.send(accept())
    association.send(AssociateAccept(accept().contexts, UserInformation(max_length=1000)))
    association.data_to_send()
    data = frame_command(1, FIND, 0) + frame_dataset(1, bytes(102), 50)
    [event] = after(association, data)
    assert isinstance(event, Aborted)
    assert "limit is 100" in str(event.error)
    only_abort(association, 2, 0)


def test_what_follows_a_mistake_is_not_read() -> None:
    association = established()
    after(association, b"\xff" * 20 + RELEASE_BYTES)
    association.data_to_send()
    for _ in range(5):
        assert after(association, b"\xff" * 1000) == []
    assert association.data_to_send() == []
    assert after(association, b"") == []
    assert association.closed


def test_after_the_end_what_is_known_is_ignored() -> None:
    association = established()
    after(association, RELEASE_BYTES)
    association.data_to_send()
    deadline = association.deadline
    assert after(association, frame_command(3, ECHO, 0) + RELEASE_BYTES, now=105.0) == []
    assert association.data_to_send() == []
    assert association.deadline == deadline


@pytest.mark.parametrize("data", [REQUEST_BYTES, b"\xff" * 10])
def test_after_the_end_a_mistake_is_answered_once(data: bytes) -> None:
    association = established()
    after(association, RELEASE_BYTES)
    association.data_to_send()
    assert after(association, data * 3) == []
    assert [type(pdu) for pdu in sent(association)] == [Abort]
    assert after(association, data) == []
    assert association.data_to_send() == []
    assert association.state is State.AWAITING_TRANSPORT_CLOSE


def test_after_the_end_an_abort_closes() -> None:
    association = established()
    after(association, RELEASE_BYTES)
    assert after(association, encode(Abort(0, 0))) == []
    assert association.closed


# -- time ----------------------------------------------------------------------------------------


def test_connection_has_artim_to_send_its_request() -> None:
    association = acceptor(Limits(artim_timeout_s=5.0))
    assert association.deadline == 105.0
    association.receive(REQUEST_BYTES[:50], 104.0)
    association.touch(104.0)
    assert association.deadline == 105.0
    association.expire(104.9)
    assert not is_closed(association)
    association.expire(105.0)
    assert association.closed
    assert events_of(association) == [TimedOut(Timer.ARTIM)]
    assert association.data_to_send() == []


def test_idle_association_is_aborted_as_its_user() -> None:
    association = established(Limits(idle_timeout_s=10.0, artim_timeout_s=5.0))
    assert association.deadline == 110.0
    association.receive(b"\4", 103.0)
    assert association.deadline == 113.0
    association.touch(108.0)
    assert association.deadline == 118.0
    association.expire(118.0)
    assert events_of(association) == [TimedOut(Timer.IDLE)]
    only_abort(association, 0, 0)
    assert association.deadline == 123.0
    association.expire(123.0)
    assert association.closed
    assert events_of(association) == []
    association.expire(200.0)


def test_idle_time_of_zero_is_for_ever() -> None:
    association = established(Limits(idle_timeout_s=0.0))
    assert association.deadline is None
    association.receive(b"\4", 103.0)
    association.touch(104.0)
    assert association.deadline is None
    association.expire(1e9)
    assert association.state is State.DATA_TRANSFER


def test_requestor_waits_for_an_answer_as_long_as_it_may_be_idle() -> None:
    association = Association(Role.REQUESTOR, Limits(idle_timeout_s=7.0), now=50.0)
    assert association.deadline is None
    association.send(association_request())
    assert association.deadline == 57.0


def test_peer_has_artim_to_close_after_the_end() -> None:
    association = established(Limits(artim_timeout_s=5.0))
    after(association, RELEASE_BYTES, now=150.0)
    assert association.deadline == 155.0
    association.touch(152.0)
    assert association.deadline == 155.0
    association.expire(155.0)
    assert association.closed
    assert events_of(association) == []


def dribble(association: Association, data: bytes, start: float, step: float) -> float:
    """Let bytes arrive one by one, with looks at the clock between them; give the time then."""
    now = start
    for byte in data:
        association.expire(now)
        if association.next_event() is not None:
            break
        association.receive(bytes((byte,)), now)
        assert association.next_event() is None
        now += step
    return now


def timed_out(association: Association, limits: Limits, which: Timer) -> None:
    (event,) = events_of(association)
    assert event == TimedOut(which)
    assert isinstance(event, TimedOut)
    row, value = {
        Timer.SLOW_WRITE: (SLOW_WRITE_TIMEOUT, limits.slow_write_timeout_s),
        Timer.SLOW_READ: (SLOW_READ_TIMEOUT, limits.slow_read_timeout_s),
    }[which]
    assert event.exceeded == row.hit(value)


def find_in_pdus() -> tuple[bytes, bytes]:
    return frame_command(WORKLIST_CONTEXT, FIND, 0), frame_dataset(WORKLIST_CONTEXT, b"abcd", 0)


def test_a_pdu_has_its_time_from_its_first_byte_however_busy_its_sender() -> None:
    limits = Limits(slow_write_timeout_s=8.0, idle_timeout_s=10.0)
    association = established(limits)
    command, _ = find_in_pdus()
    assert after(association, command[:1], 105.0) == []
    assert association.deadline == 113.0
    for place, now in enumerate((107.0, 109.0, 111.0, 112.9), start=1):
        assert after(association, command[place : place + 1], now) == []
        association.expire(now)
        assert association.deadline == 113.0
    association.expire(113.0)
    timed_out(association, limits, Timer.SLOW_WRITE)
    only_abort(association, 0, 0)


def test_a_message_has_one_time_for_all_its_pdus() -> None:
    limits = Limits(slow_write_timeout_s=8.0)
    association = established(limits)
    command, dataset = find_in_pdus()
    assert after(association, command, 105.0) == []
    assert after(association, dataset[:-1], 112.0) == []
    assert association.deadline == 113.0
    assert [type(event) for event in after(association, dataset[-1:], 112.9)] == [MessageReceived]
    assert association.deadline == 142.9
    association.expire(113.0)
    assert association.state is State.DATA_TRANSFER


def test_the_next_message_has_a_time_of_its_own() -> None:
    association = established(Limits(slow_write_timeout_s=8.0))
    command, dataset = find_in_pdus()
    after(association, command + dataset[:3], 105.0)
    assert len(after(association, dataset[3:] + command[:5], 112.0)) == 1
    assert association.deadline == 120.0


def test_whole_messages_may_come_as_slowly_as_they_like() -> None:
    association = established(Limits(slow_write_timeout_s=1.0, idle_timeout_s=20.0))
    for now in (110.0, 120.0, 130.0):
        association.expire(now)
        assert len(after(association, b"".join(find_in_pdus()), now)) == 1
    assert association.deadline == 150.0


@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_a_dribbled_message_is_cut_at_its_time_and_at_no_other(step: float) -> None:
    limits = Limits(slow_write_timeout_s=8.0, idle_timeout_s=30.0)
    association = established(limits)
    message = b"".join(find_in_pdus())
    assert step * (len(message) - 1) > 8.0  # else it would be whole in time
    end = dribble(association, message, 100.0, step)
    assert end == pytest.approx(108.0, abs=step)
    only_abort(association, 0, 0)


def test_a_request_for_an_association_that_is_dribbled_has_artim_alone() -> None:
    limits = Limits(slow_write_timeout_s=2.0, artim_timeout_s=5.0)
    association = acceptor(limits)
    assert after(association, REQUEST_BYTES[:9], 101.0) == []
    assert association.deadline == 105.0


def test_a_peer_that_takes_nothing_is_cut_without_an_abort() -> None:
    limits = Limits(slow_read_timeout_s=8.0, idle_timeout_s=0.0)
    association = established(limits)
    association.note_unsent(500, 103.0)
    assert association.deadline == 111.0
    association.note_unsent(500, 110.0)
    association.note_unsent(900, 110.5)  # more to take is no progress
    assert association.deadline == 111.0
    association.expire(110.9)
    assert not is_closed(association)
    association.expire(111.0)
    timed_out(association, limits, Timer.SLOW_READ)
    assert is_closed(association)
    assert association.data_to_send() == []
    assert association.deadline is None


def test_a_peer_that_takes_some_is_neither_stuck_nor_idle() -> None:
    association = established(Limits(slow_read_timeout_s=8.0, idle_timeout_s=10.0))
    association.note_unsent(500, 103.0)
    association.note_unsent(499, 109.0)
    assert association.deadline == 117.0
    association.note_unsent(0, 116.0)
    assert association.deadline == 126.0


def test_a_peer_that_sends_and_takes_nothing_is_stuck_all_the_same() -> None:
    limits = Limits(slow_read_timeout_s=8.0, idle_timeout_s=10.0)
    association = established(limits)
    association.note_unsent(500, 100.0)
    for now in (102.0, 104.0, 106.0):
        assert len(after(association, b"".join(find_in_pdus()), now)) == 1
    association.expire(108.0)
    timed_out(association, limits, Timer.SLOW_READ)


def test_what_is_left_unread_after_the_end_ends_in_silence() -> None:
    association = established(Limits(slow_read_timeout_s=2.0, artim_timeout_s=5.0))
    association.note_unsent(500, 100.0)
    after(association, RELEASE_BYTES, now=101.0)
    association.expire(102.0)
    assert association.closed
    assert events_of(association) == []


# -- what we may not do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "outgoing"),
    [
        (acceptor, accept()),
        (acceptor, association_request()),
        (acceptor, ReleaseRequest()),
        (acceptor, CALLING_AE_TITLE_NOT_RECOGNIZED),
        (established, accept()),
        (established, Message(5, ECHO)),
        (established, Message(1, FIND)),
        (established, Message(3, ECHO, b"")),
    ],
)
def test_sending_what_is_not_possible_is_a_mistake_of_ours_and_changes_nothing(
    make: Callable[[], Association], outgoing: Outgoing
) -> None:
    association = make()
    state, deadline = association.state, association.deadline
    with pytest.raises(LocalProtocolError):
        association.send(outgoing)
    assert (association.state, association.deadline) == (state, deadline)
    assert association.data_to_send() == []


def test_answers_need_an_accepted_context_and_an_association() -> None:
    association = established()
    with pytest.raises(LocalProtocolError):
        association.send_answers(5, 1, [])
    after(association, RELEASE_BYTES)
    with pytest.raises(LocalProtocolError):
        association.send_answers(WORKLIST_CONTEXT, 1, [])


def test_announcing_no_limit_is_a_mistake_of_ours() -> None:
    association = Association(Role.REQUESTOR, Limits(), now=0.0)
    with pytest.raises(LocalProtocolError):
        association.send(association_request(max_length=0))
