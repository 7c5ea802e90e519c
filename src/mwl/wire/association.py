"""One association, on either side of it, without I/O.

Bytes go in by `receive`, events come out of `next_event`; what the application answers goes in by
`send`, bytes come out of `data_to_send`. Time is an argument. The state machine is the table of
`mwl.wire.state`; this module does what its actions say. Nothing that a peer sends raises: bytes
that break the rules put an A-ABORT into the outbox and give an event.

What it tells and is told is in `mwl.wire.events`, and can be had from here too. What a message asks
for is not known here, and neither is who may ask.

Source: DICOM PS3.8 section 9.2; PS3.7 sections 6.3 and 9.3.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar

from mwl.errors import LocalProtocolError, RemoteProtocolError
from mwl.limits import (
    ARTIM_TIMEOUT,
    IDLE_TIMEOUT,
    SLOW_READ_TIMEOUT,
    SLOW_WRITE_TIMEOUT,
    Exceeded,
)
from mwl.wire.dimse import (
    MessageAssembler,
    frame_command,
    frame_dataset,
    frame_pending,
)
from mwl.wire.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    ConnectionLost,
    Event,
    Message,
    MessageReceived,
    Outgoing,
    Released,
    TimedOut,
    Timer,
)
from mwl.wire.limits import Limits
from mwl.wire.negotiation import NegotiatedContext, negotiated_contexts
from mwl.wire.pdu import (
    MEMO_CHUNK_BYTES,
    Abort,
    AbortReason,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    PData,
    Pdu,
    ReleaseRequest,
    ReleaseResponse,
    encode,
    pdu_at,
    pdus_in,
)
from mwl.wire.state import (
    ABORT_SOURCE,
    COLLISION_STATE_OF_ACCEPTOR,
    IGNORES,
    STEPS,
    TRANSITIONS,
    Action,
    Effect,
    Input,
    State,
)

__all__ = [
    "Aborted",
    "Association",
    "AssociationAccepted",
    "AssociationRejected",
    "AssociationRequested",
    "ConnectionLost",
    "Event",
    "Limits",
    "Message",
    "MessageReceived",
    "NegotiatedContext",
    "Outgoing",
    "Released",
    "Role",
    "TimedOut",
    "Timer",
]


class Role(Enum):
    """Which side of the association this is."""

    ACCEPTOR = "acceptor"
    REQUESTOR = "requestor"


_INPUTS: Mapping[type[Pdu], Input] = MappingProxyType(
    {
        PData: Input.DATA_RECEIVED,
        AssociateRequest: Input.ASSOCIATE_REQUEST_RECEIVED,
        AssociateAccept: Input.ASSOCIATE_ACCEPT_RECEIVED,
        AssociateReject: Input.ASSOCIATE_REJECT_RECEIVED,
        ReleaseRequest: Input.RELEASE_REQUEST_RECEIVED,
        ReleaseResponse: Input.RELEASE_RESPONSE_RECEIVED,
        Abort: Input.ABORT_RECEIVED,
    }
)

# Bound once: in Python 3.11 every look-up of a member of an enumeration is a call.
_IDLE = State.IDLE
_DATA_TRANSFER = State.DATA_TRANSFER
_DATA_REQUEST = Input.DATA_REQUEST
_RELEASE_RESPONSE = Input.RELEASE_RESPONSE
_INDICATE_RELEASE = Action.INDICATE_RELEASE

_RELEASED = Released()
_RELEASE_REQUEST_BYTES = encode(ReleaseRequest())
_RELEASE_RESPONSE_BYTES = encode(ReleaseResponse())


_NO_CONTEXTS: Mapping[int, NegotiatedContext] = MappingProxyType({})


class Association:
    """The protocol engine of one association over one transport connection.

    Call `receive` with what has arrived, then `next_event` until it gives None, acting on each
    event before the next is taken: later PDUs are read only then, so that the state is always that
    of the event in hand. Then write `data_to_send` and arm one timer for `deadline`.

    Args:
        role: Acceptor: the transport has just been accepted, and ARTIM runs. Requestor: it has
            just been opened; send an `AssociateRequest`.
        limits: How much and how long it may take.
        now: The caller's clock in seconds, as in every other method.

    Attributes:
        state: Where the state machine is.
        closed: Whether the transport may be closed once the outbox is written.
        contexts: Presentation contexts in force, by number.
        max_length_to_peer: Longest P-DATA-TF body that the peer takes, in bytes; 0 is no limit.
    """

    __slots__ = (
        "_arrival",
        "_assembler",
        "_buffer",
        "_deaf",
        "_decoded",
        "_ended",
        "_events",
        "_limits",
        "_now",
        "_offset",
        "_outbox",
        "_reading",
        "_request",
        "_role",
        "_timer",
        "_unsent",
        "_watched",
        "closed",
        "contexts",
        "max_length_to_peer",
        "state",
    )

    def __init__(self, role: Role, limits: Limits, now: float) -> None:
        self.state = State.IDLE
        self.closed = False
        self.contexts = _NO_CONTEXTS
        self.max_length_to_peer = 0
        self._role = role
        self._limits = limits
        self._now = now
        self._request: AssociateRequest | None = None
        self._assembler = MessageAssembler(limits.max_command_bytes, limits.max_message_bytes)
        self._buffer: bytes | bytearray = b""
        self._offset = 0  # what of the buffer has been read
        self._decoded: list[Pdu] = []  # PDUs of a short chunk, last first, before the buffer
        self._ended = False  # the transport was closed by the peer, which has not been told yet
        self._deaf = False  # what still comes is of no use
        self._watched = False  # the idle time runs
        self._timer: float | None = None  # when ARTIM or the idle time ends
        self._arrival: float | None = None  # when what has begun to come must be here
        self._reading: float | None = None  # when the peer must have taken some of what was sent
        self._unsent = 0  # bytes that the transport holds
        self._events: deque[Event] = deque()
        self._outbox: list[bytes] = []
        if role is Role.ACCEPTOR:
            self._apply(Input.TRANSPORT_INDICATED)

    # -- from the peer ---------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the transport; `b""` is its end. Whatever they are, nothing is raised.

        At most one unfinished PDU is held besides them, provided that the events are taken.
        """
        self.touch(now)
        if not data:
            self._ended = True
        elif self._deaf:
            return
        elif self._offset == len(self._buffer):
            self._take_in(data)
        else:
            rest = self._buffer
            if not isinstance(rest, bytearray):
                rest = bytearray(rest)
            del rest[: self._offset]
            rest += data
            self._buffer, self._offset = rest, 0

    def _take_in(self, data: bytes) -> None:
        """Take bytes that begin with a PDU: decoded where they are short and end with one."""
        if len(data) <= MEMO_CHUNK_BYTES and not self._decoded:
            pdus = pdus_in(bytes(data), self._limits.max_pdu_length)
            if pdus is not None:
                self._decoded = [*reversed(pdus)]
                return
        self._buffer, self._offset = data, 0

    def next_event(self) -> Event | None:
        """Give the next event, or None: nothing more until more bytes or time."""
        events = self._events
        while not events:
            if self.state is _IDLE:
                if not self._read_without_association():
                    return None
            elif self._decoded:
                self._take(self._decoded.pop())
            elif not self._read():
                return None
        return events.popleft()

    def _read_without_association(self) -> bool:
        """End a connection on which the peer says something before it is asked, or hangs up."""
        if self.closed or not (self._decoded or self._buffer or self._ended):
            return False
        self._close()
        self._events.append(ConnectionLost())
        return True

    def _read(self) -> bool:
        """Act on the next PDU of the buffer, or on the end of the transport, if it is there."""
        if self._offset < len(self._buffer):
            try:
                limits = self._limits
                found = pdu_at(
                    self._buffer, self._offset, limits.max_pdu_length, limits.max_associate_bytes
                )
            except RemoteProtocolError as error:
                self._fail(error)
                return True
            if found is not None:
                pdu, self._offset = found
                self._take(pdu)
                return True
            self._await_rest()
        else:
            self._buffer, self._offset = b"", 0  # what was read is not held while idle
            if self._assembler.context_id:
                self._await_rest()
        return self._ended and self._read_end()

    def _await_rest(self) -> None:
        """Let the time of an unfinished PDU or message run, from its first byte on.

        It stops with the message, or with the association, which all other PDUs end.
        """
        if self._arrival is None and self.state is _DATA_TRANSFER:
            self._arrival = self._now + self._limits.slow_write_timeout_s

    def _read_end(self) -> bool:
        self._ended = False
        if self._apply(Input.TRANSPORT_CLOSED) is Action.INDICATE_CONNECTION_LOST:
            self._events.append(ConnectionLost())
        return True

    def _take(self, pdu: Pdu) -> None:
        """Act on one PDU as the table says, and tell the application where it is to be told."""
        state = self.state
        action = self._apply(_INPUTS[type(pdu)])
        if action in ABORT_SOURCE:
            message = f"{type(pdu).__name__} in state {state.value}"
            self._abort(action, RemoteProtocolError(message, reason=AbortReason.UNEXPECTED_PDU))
        elif action not in IGNORES:
            try:
                self._DELIVER[type(pdu)](self, pdu, action)
            except RemoteProtocolError as error:
                self._fail(error)

    def _fail(self, error: RemoteProtocolError) -> None:
        """Turn a peer's mistake into the answer to it.

        A message that stood before the mistake in the same PDU can no longer be answered: it is
        dropped.
        """
        self._events.clear()
        self._abort(self._apply(Input.INVALID_PDU_RECEIVED), error)
        self._stop_listening()

    def _indicate_association(self, pdu: AssociateRequest, _: Action) -> None:
        self._request = pdu
        self.max_length_to_peer = pdu.user_information.max_length
        self._events.append(AssociationRequested(pdu))

    def _confirm_association(self, pdu: AssociateAccept, _: Action) -> None:
        self.max_length_to_peer = pdu.user_information.max_length
        self._open(pdu)
        self._events.append(AssociationAccepted(pdu))

    def _confirm_rejection(self, pdu: AssociateReject, _: Action) -> None:
        self._events.append(AssociationRejected(pdu))

    def _confirm_release(self, _: ReleaseResponse, action: Action) -> None:
        if action is Action.CONFIRM_RELEASE_IN_COLLISION:
            self._respond_to_release()
        self._events.append(_RELEASED)

    def _indicate_abort(self, pdu: Abort, _: Action) -> None:
        self._events.append(Aborted(local=False, source=pdu.source, reason=pdu.reason, error=None))

    def _assemble(self, pdu: PData, _: Action) -> None:
        for value in pdu.values:
            context = self.contexts.get(value.context_id)
            if context is None:
                raise RemoteProtocolError(
                    f"data on presentation context {value.context_id}, which is not accepted",
                    reason=AbortReason.INVALID_PARAMETER,
                )
            message = self._assembler.add(value)
            if message is not None:
                self._arrival = None  # what comes behind it has a time of its own
                self._events.append(MessageReceived(context, *message))

    def _answer_release(self, _: ReleaseRequest, action: Action) -> None:
        """Answer at once: nothing that the application could want to do first is left to it."""
        if action is _INDICATE_RELEASE:
            self._respond_to_release()
            self._events.append(_RELEASED)
        elif self._role is Role.REQUESTOR:
            self._respond_to_release()
        else:
            # AR-8, PS3.8 Table 9-8: the acceptor waits for the answer before it gives its own.
            self.state = COLLISION_STATE_OF_ACCEPTOR

    def _respond_to_release(self) -> None:
        self._apply(_RELEASE_RESPONSE)
        self._outbox.append(_RELEASE_RESPONSE_BYTES)

    # -- to the peer -----------------------------------------------------------------------------

    def send(self, outgoing: Outgoing) -> None:
        """Put what the application has to say into the outbox.

        An `Abort` without an association (before a request, after the end) closes the transport.

        Raises:
            LocalProtocolError: The state, or what was negotiated, forbids it. Nothing is changed.
        """
        match outgoing:
            case Message():
                self._send_message(outgoing)
            case AssociateAccept():
                self._check_announced(outgoing)
                self._apply(Input.ACCEPT)
                self._open(outgoing)
                self._outbox.append(encode(outgoing))
            case AssociateRequest():
                self._check_announced(outgoing)
                data = encode(outgoing)
                self._apply(Input.ASSOCIATE_REQUEST)
                self._apply(Input.TRANSPORT_CONFIRMED)
                self._request = outgoing
                self._outbox.append(data)
            case AssociateReject():
                self._apply(Input.REJECT)
                self._outbox.append(encode(outgoing))
            case ReleaseRequest():
                self._apply(Input.RELEASE_REQUEST)
                self._outbox.append(_RELEASE_REQUEST_BYTES)
            case Abort():
                self._send_abort(outgoing)

    def _check_announced(self, pdu: AssociateRequest | AssociateAccept) -> None:
        """Refuse to announce more than is taken: the peer would be aborted for believing it."""
        announced, limit = pdu.user_information.max_length, self._limits.max_pdu_length
        if not 0 < announced <= limit:
            raise LocalProtocolError(f"maximum length {announced} announced, limit is {limit}")

    def _send_message(self, message: Message) -> None:
        command, dataset, context_id = message.command, message.dataset, message.context_id
        if context_id not in self.contexts:
            raise LocalProtocolError(f"presentation context {context_id} is not accepted")
        if command.has_dataset != (dataset is not None):
            raise LocalProtocolError("a data set goes with a command that announces one")
        data = frame_command(context_id, command, self.max_length_to_peer)
        self._apply(_DATA_REQUEST)
        self._outbox.append(data)
        if dataset is not None:
            self._outbox.append(frame_dataset(context_id, dataset, self.max_length_to_peer))

    def send_answers(self, context_id: int, message_id: int, framed: Sequence[bytes]) -> None:
        """Put answers of a C-FIND into the outbox, each as a Pending response.

        Args:
            context_id: Presentation context of the request.
            message_id: Message ID of the request.
            framed: Identifiers, each framed by `mwl.wire.dimse.frame_dataset` for this context and
                `max_length_to_peer`. They can be shared by associations that agree in both.

        Cost: one join; the response command is encoded once, whatever the number of answers.

        Raises:
            LocalProtocolError: As `send`.
        """
        context = self.contexts.get(context_id)
        if context is None:
            raise LocalProtocolError(f"presentation context {context_id} is not accepted")
        self._apply(_DATA_REQUEST)
        if framed:
            pending = frame_pending(
                context_id, message_id, context.abstract_syntax, self.max_length_to_peer
            )
            # The empty part in front puts the command before the first answer as well.
            self._outbox.append(pending.join((b"", *framed)))

    def _send_abort(self, abort: Abort) -> None:
        if (self.state, Input.ABORT_REQUEST) not in TRANSITIONS:
            self._close()
            return
        self._apply(Input.ABORT_REQUEST)
        self._events.clear()  # what was received before can no longer be answered
        self._outbox.append(encode(abort))

    def data_to_send(self) -> list[bytes]:
        """Take what is to be written to the transport, in order."""
        outbox = self._outbox
        if outbox:
            self._outbox = []
        return outbox

    # -- time ------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to call `expire`, on the caller's clock; None is never."""
        running = (self._timer, self._arrival, self._reading)
        return min((at for at in running if at is not None), default=None)

    def touch(self, now: float) -> None:
        """Start the idle time anew: the application is at work for the peer."""
        self._now = now
        if self._watched:
            self._timer = now + self._limits.idle_timeout_s

    def note_unsent(self, size: int, now: float) -> None:
        """Note how many bytes the transport still holds, because the peer does not take them.

        A peer that takes some, however slowly, is neither idle nor stuck.
        """
        if size < self._unsent:
            self.touch(now)
            self._reading = None
        self._unsent = size
        if not size:
            self._reading = None
        elif self._reading is None:
            self._reading = now + self._limits.slow_read_timeout_s

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed; called too early it does nothing."""
        self._now = now
        limits = self._limits
        if self._reading is not None and now >= self._reading:
            is_open = self.state is _DATA_TRANSFER
            self._close()  # no A-ABORT would get past what the peer does not take
            if is_open:
                self._time_out(Timer.SLOW_READ, SLOW_READ_TIMEOUT.hit(limits.slow_read_timeout_s))
        elif self._arrival is not None and now >= self._arrival:
            self._send_abort(Abort())
            self._time_out(Timer.SLOW_WRITE, SLOW_WRITE_TIMEOUT.hit(limits.slow_write_timeout_s))
        elif self._timer is not None and now >= self._timer:
            self._expire_timer()

    def _expire_timer(self) -> None:
        limits = self._limits
        if self._watched:
            self._send_abort(Abort())
            self._time_out(Timer.IDLE, IDLE_TIMEOUT.hit(limits.idle_timeout_s))
            return
        before_request = self.state is State.AWAITING_ASSOCIATE_REQUEST
        self._apply(Input.ARTIM_EXPIRED)
        if before_request:
            self._time_out(Timer.ARTIM, ARTIM_TIMEOUT.hit(limits.artim_timeout_s))

    def _time_out(self, which: Timer, exceeded: Exceeded) -> None:
        self._events.append(TimedOut(which, exceeded))

    # -- the state machine -----------------------------------------------------------------------

    def _apply(self, happened: Input) -> Action:
        """Make the step that the table names, and do what its action does to timer and transport.

        What the action sends or tells is up to the caller, who has it at hand.
        """
        try:
            action, self.state, effect = STEPS[self.state, happened]
        except KeyError:
            message = f"{happened.name} in state {self.state.value}"
            raise LocalProtocolError(message) from None
        if effect is not None:
            self._FOLLOW[effect](self)
        return action

    def _start_artim(self) -> None:
        self._watched = False
        self._timer = self._now + self._limits.artim_timeout_s
        self._arrival = None

    def _start_idle_time(self) -> None:
        self._watched = self._limits.idle_timeout_s > 0
        self._timer = None
        self.touch(self._now)

    def _open(self, accept: AssociateAccept) -> None:
        """Put into force what was negotiated."""
        if self._request is not None:
            self.contexts = negotiated_contexts(self._request, accept)

    def _abort(self, action: Action, error: RemoteProtocolError) -> None:
        """Answer a mistake of the peer as the action says (PS3.8 Tables 9-9 and 9-26)."""
        source = ABORT_SOURCE[action]
        # The reason counts only from the provider: PS3.8 Table 9-26.
        reason = error.reason if source else 0
        self._outbox.append(encode(Abort(source, reason)))
        if action is Action.SEND_ABORT_AGAIN:
            # Once is enough: a peer that goes on could fill the outbox with them.
            self._stop_listening()
        else:
            self._events.append(Aborted(True, source, reason, error))

    def _stop_listening(self) -> None:
        """Drop what has been received and not read, and what will be."""
        self._deaf = True
        self._buffer, self._offset = b"", 0
        self._decoded.clear()

    def _close(self) -> None:
        """Let the transport be closed; nothing more comes."""
        self.closed = True
        self._timer = self._arrival = self._reading = None
        self.state = State.IDLE
        self._watched = False
        self._stop_listening()

    _FOLLOW: ClassVar[Mapping[Effect, Callable[["Association"], None]]] = {
        Effect.START_ARTIM: _start_artim,
        Effect.START_IDLE: _start_idle_time,
        Effect.CLOSE: _close,
    }
    _DELIVER: ClassVar[Mapping[type[Pdu], Callable[["Association", Any, Action], None]]] = {
        PData: _assemble,
        AssociateRequest: _indicate_association,
        AssociateAccept: _confirm_association,
        AssociateReject: _confirm_rejection,
        ReleaseRequest: _answer_release,
        ReleaseResponse: _confirm_release,
        Abort: _indicate_abort,
    }
