"""The SCP side: one `asyncio.Protocol` around one `wire.Association`.

Every turn has one shape: bytes in, events out of the association, act on each, write what the
association has to say. A C-FIND is a generator pulled from here: it stops while the peer does not
read, and other associations and a C-CANCEL are looked at between its steps.

The rules of the protocol are in `mwl.wire`, of a query in `mwl.find`, of access in `mwl.access`.
"""

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast

from mwl import telemetry
from mwl.access import (
    Caller,
    Operation,
    Refusal,
    admit,
    allow,
    allow_user,
    identify,
    user_of,
)
from mwl.find import Outcome, Request, Search
from mwl.limits import IDENTIFIER_LENGTH, WAITING_REQUESTS, Exceeded
from mwl.net import report
from mwl.net.connections import QUIET_S, Connections
from mwl.net.harmless import Harmless
from mwl.net.service import Service
from mwl.net.transports import acknowledge, address_of
from mwl.results import Batch, Variant
from mwl.tls.names import names_in
from mwl.wire.association import (
    Aborted,
    Association,
    AssociationRequested,
    ConnectionLost,
    Event,
    Message,
    MessageReceived,
    Released,
    Role,
    TimedOut,
)
from mwl.wire.dimse import CommandField, Status, response_to
from mwl.wire.negotiation import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    MODALITY_WORKLIST_FIND,
    negotiate,
)
from mwl.wire.pdu import Abort, AssociateReject, ReleaseRequest, UserIdentity
from mwl.wire.state import State

# Bound once: in Python 3.11 every look-up of a member of an enumeration is a call.
_C_FIND_RQ = CommandField.C_FIND_RQ
_C_CANCEL_RQ = CommandField.C_CANCEL_RQ
_AWAITING_RELEASE_RESPONSE = State.AWAITING_RELEASE_RESPONSE

NO_NAMES: frozenset[str] = frozenset()
"""Names in the certificate of a caller that shows none."""


@dataclass(slots=True)
class _Search:
    """A query being answered."""

    message: MessageReceived
    answers: Search
    started: float
    sent: int = 0


class DicomConnection(asyncio.Protocol):
    """One TCP connection, so one association (PS3.8 section 9.1).

    Args:
        service: What all associations share.
        connections: Where this one is counted.
        loop: The loop that calls it.
    """

    __slots__ = (
        "_association",
        "_awaited",
        "_caller",
        "_connections",
        "_exceeded",
        "_has_turn",
        "_loop",
        "_names",
        "_opened",
        "_outcome",
        "_paused",
        "_port",
        "_queries",
        "_quiet",
        "_search",
        "_service",
        "_trace",
        "_transport",
        "_waiting",
        "_worklist",
        "host",
    )

    def __init__(
        self, service: Service, connections: Connections, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._service = service
        self._connections = connections
        self._loop = loop
        self._search: _Search | None = None
        self._awaited: Future[Any] | None = None
        """What the query at work waits for: a callback."""
        self._waiting: list[MessageReceived] = []
        self._paused = False
        self._has_turn = False
        self._outcome = "connection lost"
        self._exceeded: Exceeded | None = None
        """The limit that ended it, where its line is the first to tell."""
        self._queries = 0
        self._quiet: tuple[int, float] | None = None
        """Queries until then, and since when there was nothing to do, while the server stops."""
        self._trace = report.PduTrace() if telemetry.enabled("pdu") else None

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the association; ARTIM runs until its request is here (PS3.8 AE-5)."""
        self._transport = cast("asyncio.Transport", transport)
        self.host, self._port = address_of(transport)
        certificate = transport.get_extra_info("peercert")
        self._names = names_in(certificate) if certificate else NO_NAMES
        self._caller = Caller("", "", self.host)  # until it says who it is
        self._opened = perf_counter()
        self._association = Association(Role.ACCEPTOR, self._service.limits, self._loop.time())
        if (exceeded := self._connections.add(self)) is not None:
            self._outcome = "refused: too many connections"
            report.no_room(self.host, exceeded)
            self.cut()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer through one turn."""
        if self._trace is not None:
            self._trace.received(data)
        self._association.receive(data, self._loop.time())
        if not self._turn():
            acknowledge(self._transport)

    def eof_received(self) -> bool:
        """The peer will send no more: the association ends."""
        self._association.receive(b"", self._loop.time())
        self._turn()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything and write the association's line."""
        self._drop_requests()
        self._connections.remove(self)
        self._report_association()

    def pause_writing(self) -> None:
        """The peer reads too slowly: send no further answers."""
        self._paused = True
        self._note_unsent(self._loop.time())

    def resume_writing(self) -> None:
        """The peer reads again: go on with the answers."""
        self._paused = self._association.state is _AWAITING_RELEASE_RESPONSE
        now = self._loop.time()
        self._note_unsent(now)
        self._association.touch(now)
        self._ask_for_turn()

    # The other connections' keeper calls these: see `mwl.net.connections`.

    def abort(self) -> None:
        """End the association at once: A-ABORT, source service-user (PS3.8 section 9.3.8)."""
        if self._association.state is not State.AWAITING_TRANSPORT_CLOSE:
            self._end("aborted: the server stops")
            self._association.send(Abort(source=0, reason=0))
            self._flush()
        self._transport.close()

    @property
    def work(self) -> object | None:
        """What is being answered; None for nothing."""
        return None if self._search is None else self._search.answers

    def renew(self) -> None:
        """Let the next query go to the worklist that the called AE title has now, if it has one."""
        worklist = self._service.worklist(self._caller.called_ae_title)
        if worklist is not None:
            self._worklist = worklist

    def part(self, now: float) -> None:
        """Ask for the release of an association that has had nothing to do for `QUIET_S`."""
        if self._search is not None or self._waiting or self._paused:
            self._quiet = None
        elif self._quiet is None or self._quiet[0] != self._queries:
            self._quiet = self._queries, now
        elif now - self._quiet[1] >= QUIET_S:
            self._leave()

    def _leave(self) -> None:
        """Ask for release: PS3.8 section 7.2.1 lets either side do that, at any time."""
        match self._association.state:
            case State.DATA_TRANSFER:
                self._association.send(ReleaseRequest())
                # AR-6: what the peer still sends is taken, and may no longer be answered.
                self._paused = True
                self._flush()
            case State.AWAITING_ASSOCIATE_REQUEST:
                self._end("not begun: the server stops")
                self.cut()
            case State.AWAITING_TRANSPORT_CLOSE:
                self._transport.close()  # it has ended, and its peer has not hung up
            case _:
                pass  # it ends already

    def cut(self) -> None:
        """Close the connection without a word, and without what was not read."""
        self._transport.abort()

    def make_way(self, exceeded: Exceeded) -> None:
        """Be cut for another, which may have more to say."""
        self._outcome = "cut: silent, and another had no room"
        report.no_room(self.host, exceeded)
        self.cut()

    def look_at_clock(self, now: float) -> None:
        """Act on a timer of the association, if one of them has run out."""
        self._note_unsent(now)
        if self._awaited is not None and not self._paused:
            self._association.touch(now)  # it waits for us
        deadline = self._association.deadline
        if deadline is not None and now >= deadline:
            self._association.expire(now)
            self._turn()

    def _note_unsent(self, now: float) -> None:
        self._association.note_unsent(self._transport.get_write_buffer_size(), now)

    def take_turn(self) -> None:
        """Go on with the query at work."""
        self._has_turn = False
        if not self._transport.is_closing():
            self._association.touch(self._loop.time())
            self._turn()

    # One turn.

    def _turn(self) -> bool:
        """Act on what came; tell whether something was said to it."""
        try:
            while (event := self._association.next_event()) is not None:
                self._handle(event)
            if self._search is not None or self._waiting:
                self._go_on()
            return self._flush()
        except Exception as error:  # noqa: BLE001 - the edge: one association's fault stays its own
            telemetry.emit("internal_error", host=self.host, error=error)
            self._end("aborted: internal error")
            self.cut()
            return True

    def _go_on(self) -> None:
        if not self._has_turn and self._awaited is None:
            self._work()

    def _flush(self) -> bool:
        """Write what the association has to say; tell whether that was something."""
        if output := self._association.data_to_send():
            if self._trace is not None:
                self._trace.sent(output)
            self._transport.write(b"".join(output))
        if self._association.closed:
            # The peer is gone or past its time: what it has not read is of no use any more.
            self._transport.abort()
        return bool(output)

    # What events mean.

    def _handle(self, event: Event) -> None:
        match event:
            case MessageReceived():
                self._receive_message(event)
            case AssociationRequested():
                self._answer_association(event)
            case Released():
                self._end("released")
            case Aborted():
                self._end(report.abort_outcome(event))
                report.peer_error(event, self._caller)
            case TimedOut():
                self._end(f"timed out: {event.which}", event.exceeded)
            case ConnectionLost():
                self._end("connection lost")
            case _:
                raise AssertionError(f"an acceptor gets no {type(event).__name__}")

    def _end(self, outcome: str, exceeded: Exceeded | None = None) -> None:
        self._outcome = outcome
        self._exceeded = exceeded
        self._drop_requests()

    def _drop_requests(self) -> None:
        """Forget what was asked and will not be answered; each query still gets its line."""
        search, self._search = self._search, None
        self._awaited = None
        if search is not None:
            search.answers.close()
            outcome = _unfinished(Status.PENDING, "not finished", search.sent)
            self._report_query(search.message, outcome, search.started)
        for message in self._waiting:
            if message.command.field == _C_FIND_RQ:
                outcome = _unfinished(Status.PENDING, "not begun")
                self._report_query(message, outcome, perf_counter())
        self._waiting.clear()

    def _answer_association(self, event: AssociationRequested) -> None:
        request = event.request
        self._caller = Caller(
            request.calling_ae_title, request.called_ae_title, self.host, self._names
        )
        reject = self._rejection(self._caller)
        if reject is None and self._service.access.user_identity != "ignored":
            reject = self._identify(request.user_information.user_identity)
        if reject is not None:
            self._association.send(reject)
            return
        answer = negotiate(request, self._service.negotiation)
        self._association.send(answer)
        if isinstance(answer, AssociateReject):
            self._outcome = "rejected: application context or protocol version"
        elif not self._association.contexts:
            report.nothing_accepted(request, answer, self._caller)

    def _rejection(self, caller: Caller) -> AssociateReject | None:
        """Tell why a caller may not associate, in the codes of PS3.8 Table 9-21."""
        if (refused := self._connections.associate(self)) is not None:
            self._outcome = f"rejected: {report.not_now(caller, refused)}"
            return LOCAL_LIMIT_EXCEEDED
        if (refusal := admit(self._service.access, caller)) is not None:
            self._outcome = f"rejected: {refusal.explanation}"
            report.refusal(caller, refusal, "association")
            return AssociateReject(refusal.result, refusal.source, refusal.reason)
        worklist = self._service.worklist(caller.called_ae_title)
        if worklist is None:
            self._outcome = "rejected: no worklist of this called AE title"
            report.no_worklist(caller)
            return CALLED_AE_TITLE_NOT_RECOGNIZED
        self._worklist = worklist
        return None

    def _identify(self, identity: UserIdentity | None) -> AssociateReject | None:
        """Find out the user who asks; tell why not (PS3.7 D.3.3.7.3)."""
        found = identify(self._service.access, identity)
        if isinstance(found, Refusal):
            self._outcome = f"rejected: {found.explanation}"
            report.no_user(self._caller, user_of(identity), found)
            return AssociateReject(found.result, found.source, found.reason)
        if found:
            self._caller = replace(self._caller, user=found)
            report.user(self._caller)
        return None

    def _receive_message(self, message: MessageReceived) -> None:
        if message.command.field == _C_CANCEL_RQ:
            self._cancel(message)
        elif message.command.is_response:
            return  # nothing was asked, so nothing is answered
        elif self._search is None and not self._waiting and not self._paused:
            self._perform(message)
        elif len(self._waiting) >= (most := self._connections.capacity.waiting_requests):
            self._refuse_more(f"more than {most} requests at once", WAITING_REQUESTS.hit(most))
        elif self._bytes_waiting() + len(message.dataset or b"") > (
            longest := self._service.limits.max_message_bytes
        ):
            which = IDENTIFIER_LENGTH.hit(longest)
            self._refuse_more(f"requests of more than {longest} bytes wait", which)
        else:
            self._waiting.append(message)

    def _bytes_waiting(self) -> int:
        return sum(len(waiting.dataset or b"") for waiting in self._waiting)

    def _refuse_more(self, why: str, exceeded: Exceeded) -> None:
        """Abort the association of a peer that asks too much ahead."""
        self._end(f"aborted: {why}", exceeded)
        self._association.send(Abort(source=0, reason=0))

    def _perform(self, message: MessageReceived) -> None:
        if message.command.field == _C_FIND_RQ:
            self._find(message)
        elif message.command.field == CommandField.C_ECHO_RQ:
            self._echo(message)
        else:
            # PS3.7 C.5.13: the operation is not one of the SOP class.
            self._respond(message, Status.UNRECOGNIZED_OPERATION, "Operation not supported")

    def _echo(self, message: MessageReceived) -> None:
        caller = self._caller
        status, comment = Status.SUCCESS, ""
        if (refusal := self._refusal("echo")) is not None:
            report.refusal(caller, refusal, "C-ECHO")
            status, comment = Status.NOT_AUTHORIZED, refusal.comment
        telemetry.emit(
            "echo",
            calling_ae_title=caller.calling_ae_title,
            host=caller.host,
            status=f"{status:04X}",
        )
        self._respond(message, status, comment)

    def _find(self, message: MessageReceived) -> None:
        started = perf_counter()
        self._queries += 1
        if (refused := self._refused(message)) is not None:
            self._end_find(message, refused, started)
            return
        caller, context = self._caller, message.context
        variant = Variant(
            context.transfer_syntax, context.context_id, self._association.max_length_to_peer
        )
        request = Request(
            message.dataset or b"",
            caller.calling_ae_title,
            variant,
            caller.called_ae_title,
            caller.host,
        )
        if telemetry.enabled("query_identifier"):
            report.identifier(caller, request, self._harmless())
        self._search = _Search(message, self._worklist.find(request), started)

    def _refused(self, message: MessageReceived) -> Outcome | None:
        """Tell why a C-FIND is not even looked at."""
        command, context = message.command, message.context
        if not command.affected_sop_class_uid == context.abstract_syntax == MODALITY_WORKLIST_FIND:
            # PS3.7 9.1.2.1.6
            return Outcome(Status.SOP_CLASS_NOT_SUPPORTED, "Not the Modality Worklist SOP class")
        if not message.dataset:
            return Outcome(
                Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, "The query has no identifier"
            )
        if (refusal := self._refusal("find worklist")) is not None:
            report.refusal(self._caller, refusal, "C-FIND")
            return Outcome(Status.NOT_AUTHORIZED, refusal.comment)
        return None

    def _refusal(self, operation: Operation) -> Refusal | None:
        access = self._service.access
        decide = allow if access.user_identity == "ignored" else allow_user
        return decide(access, self._caller, operation)

    def _cancel(self, message: MessageReceived) -> None:
        """Obey a C-CANCEL; one that comes too late has no effect (PS3.7 9.3.2.3)."""
        cancelled = message.command.message_id_being_responded_to
        search = self._search
        if search is not None and search.message.command.message_id == cancelled:
            self._search = self._awaited = None
            search.answers.close()
            outcome = _unfinished(Status.CANCEL, "cancelled by the peer", search.sent)
            self._end_find(search.message, outcome, search.started)
            return
        for waiting in tuple(self._waiting):
            command = waiting.command
            if command.message_id == cancelled and command.field == _C_FIND_RQ:
                self._waiting.remove(waiting)
                outcome = _unfinished(Status.CANCEL, "cancelled by the peer before it was begun")
                self._end_find(waiting, outcome, perf_counter())

    # Answers on their way.

    def _work(self) -> None:
        """Answer until all is answered, the peer stops reading or others are due a turn."""
        while not self._paused:
            if self._search is not None:
                if not self._step(self._search):
                    if self._awaited is None:
                        self._ask_for_turn()
                    return
            elif self._waiting:
                self._perform(self._waiting.pop(0))
            else:
                return

    def _step(self, search: _Search) -> bool:
        """Take one step of a query; tell whether to go on at once."""
        try:
            batch = next(search.answers)
        except StopIteration as done:
            outcome = done.value
        except Exception as error:  # noqa: BLE001 - the edge: the peer is told, the log tells why
            telemetry.emit("internal_error", host=self.host, error=error)
            outcome = Outcome(Status.UNABLE_TO_PROCESS, "Internal error of the worklist server")
        else:
            if isinstance(batch, Batch):
                return self._send_answers(search, batch)
            if batch is not None:
                self._wait_for(batch)
            return False
        self._search = None
        self._end_find(search.message, outcome, search.started)
        return True

    def _wait_for(self, future: Future[Any]) -> None:
        """Let the query rest until a callback is done, which it is on another thread."""

        def go_on() -> None:
            if self._awaited is future:
                self._awaited = None
                self._ask_for_turn()

        def done(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop has ended, and the association with it
                self._loop.call_soon_threadsafe(go_on)

        self._awaited = future
        future.add_done_callback(done)

    def _send_answers(self, search: _Search, batch: Batch) -> bool:
        """Send a batch; tell whether it was the last."""
        context, command = search.message.context, search.message.command
        self._association.send_answers(context.context_id, command.message_id, batch.answers)
        search.sent += len(batch.answers)
        if telemetry.enabled("answer"):
            report.answers(context, batch.answers, self._harmless())
        return batch.is_last

    def _harmless(self) -> Harmless | None:
        """Tell which values the log may show; None for all."""
        service = self._service
        return None if service.values_in_log else Harmless.of(service.access, self._caller)

    def _ask_for_turn(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self._connections.give_turn(self)

    def _end_find(self, message: MessageReceived, outcome: Outcome, started: float) -> None:
        self._respond(message, outcome.status, outcome.comment, outcome.offending)
        self._report_query(message, outcome, started)

    def _report_query(self, message: MessageReceived, outcome: Outcome, started: float) -> None:
        milliseconds = (perf_counter() - started) * 1000
        report.query(
            self._caller,
            message,
            outcome,
            items=len(self._worklist.catalog),
            milliseconds=milliseconds,
            with_values=self._service.values_in_log,
            journal=self._service.journal,
        )
        if self._service.auditor is not None:
            report.audit(self._service.auditor, self._caller, message, outcome)
        callbacks = self._worklist.callbacks
        if callbacks is not None and callbacks.hears_events:
            report.query_event(callbacks, self._caller, outcome, milliseconds)

    def _respond(
        self,
        message: MessageReceived,
        status: int,
        comment: str = "",
        offending: tuple[int, ...] = (),
    ) -> None:
        response = response_to(
            message.command, status, offending_element=offending, error_comment=comment
        )
        self._association.send(Message(message.context.context_id, response))

    def _report_association(self) -> None:
        emit = telemetry.emit if self._exceeded is None else telemetry.emitting(self._exceeded)
        emit(
            "association",
            calling_ae_title=self._caller.calling_ae_title or None,
            called_ae_title=self._caller.called_ae_title or None,
            host=self.host,
            port=self._port,
            outcome=self._outcome,
            queries=self._queries,
            milliseconds=(perf_counter() - self._opened) * 1000,
        )


def _unfinished(status: int, detail: str, sent: int = 0) -> Outcome:
    """Tell of a query that was not answered to its end."""
    return Outcome(status, looked_at=None, answers=sent, detail=detail)
