"""Makes audit messages of what happens, and gives them to the trail.

Each method notes what a message will say and returns: the message itself is made in the trail's
thread. All are called in the thread of the event loop, where that is not said otherwise.

Source: DICOM PS3.15 A.5.3; IHE ITI TF-2 3.20 (which events).
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, Protocol

from mwl.access import Caller
from mwl.audit import alerts
from mwl.audit.actor import Actor
from mwl.audit.messages import (
    APPLICATION,
    APPLICATION_START,
    APPLICATION_STOP,
    DESTINATION,
    LOGIN,
    QUERY,
    RECORDING_STARTED,
    RESTRICTED_FUNCTION,
    SEARCH_CRITERIA,
    SECURITY_CONFIGURATION,
    SOP_CLASS_UID,
    SOURCE,
    Action,
    AuditMessage,
    Kind,
    Object,
    Outcome,
    Participant,
)
from mwl.audit.records import Change, Items, Known, record, record_of_former
from mwl.audit.trail import Gap, Make
from mwl.catalog import Catalog
from mwl.errors import DatasetError, SourceChanged, WriteError
from mwl.item import WorklistItem
from mwl.store import ABSENT, Write

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
"""SOP class of a worklist query."""

Parse = Callable[[str, bytes], tuple[WorklistItem, ...]]
"""Gives the items of a file, from its name and bytes; raises DatasetError."""

_UNAUTHORIZED = 401
"""HTTP status of a request without the right name and password."""

SCRIPT = "script"
"""Stands for scripts of the site, which ask routes from within."""


class Writing(NamedTuple):
    """A change that is being written.

    Args:
        catalog: Where it will show.
        change: What it is.
        actor: Who wants it.
    """

    catalog: Catalog
    change: Change
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What messages say of the server.

    Args:
        ae_title: Its AE title.
        folder: Where its worklist files are.
        parse: Makes the items of a file.
    """

    ae_title: str
    folder: str
    parse: Parse


class Takes(Protocol):
    """What takes messages: a `mwl.audit.trail.Trail`."""

    of_gap: Callable[[Gap], AuditMessage] | None

    def put(self, make: Make, size: int = 0) -> None:
        """Take what makes a message, and holds on to some bytes."""

    def drop(self, count: int) -> None:
        """Count messages that cannot be made."""


class Auditor:
    """Notes what an audit trail is to tell.

    Args:
        server: Who it is that tells.
        trail: Takes the messages.
        now_ns: Clock, nanoseconds since 1970.

    Attributes:
        server: May be replaced.
    """

    def __init__(
        self, server: Server, trail: Takes, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.server = server
        self._put = trail.put
        self._lost = trail.drop
        trail.of_gap = self.of_gap
        self._now_ns = now_ns
        self._process = str(os.getpid())
        self._known = Known()

    # The server.

    def started(self) -> None:
        """The server listens."""
        self._note(self._activity, APPLICATION_START)

    def stopped(self) -> None:
        """The server has ended."""
        self._note(self._activity, APPLICATION_STOP)

    def heard(self, event: str, fields: Mapping[str, Any]) -> None:
        """An event of `mwl.audit.alerts.EVENTS` happened, in any thread."""
        self._note(self._alert, event, fields)

    def configured(self, actor: Actor, words: str) -> None:
        """Somebody changed over HTTP who may do what."""
        kind = SECURITY_CONFIGURATION
        self._note(self._alert_over_http, actor, kind, Outcome.SUCCESS, words)

    def used(self, actor: Actor, words: str) -> None:
        """Somebody did over HTTP what few may."""
        kind = RESTRICTED_FUNCTION
        self._note(self._alert_over_http, actor, kind, Outcome.SUCCESS, words)

    # Queries.

    def queried(
        self, caller: Caller, identifier: bytes, transfer_syntax: str, problem: str | None
    ) -> None:
        """A C-FIND ended.

        Args:
            caller: Who asked.
            identifier: What, encoded.
            transfer_syntax: How.
            problem: Why it failed; None when it did not.
        """
        time_ns = self._now_ns()
        make = partial(self._query, caller, identifier, transfer_syntax, problem, time_ns)
        self._put(make, len(identifier))

    def asked(self, actor: Actor, whom: Caller, identifier: bytes, transfer_syntax: str) -> None:
        """Somebody over HTTP has this server ask another.

        Args:
            actor: Who.
            whom: The AE titles used, and the host of the other server.
            identifier: What is asked, encoded.
            transfer_syntax: How.
        """
        time_ns = self._now_ns()
        make = partial(self._own_query, actor, whom, identifier, transfer_syntax, time_ns)
        self._put(make, len(identifier))

    def searched(self, actor: Actor, resource: str, query: str | bytes) -> None:
        """Somebody searches over HTTP.

        Args:
            actor: Who.
            resource: Path of the route.
            query: The rest of the address, or the body.
        """
        asked = query.encode() if isinstance(query, str) else query
        self._put(partial(self._search, actor, resource, asked, self._now_ns()), len(asked))

    # Items.

    def read(self, actor: Actor, source: str, items: Items) -> None:
        """Somebody was given an item over HTTP."""
        self._record(Change(source, items, items, "R"), [*self._participants(actor)])

    def writing(self, catalog: Catalog, write: Write, actor: Actor) -> Writing:
        """Somebody is about to write an item over HTTP; `written` or `abandoned` must follow.

        Cost: that of reading a file, a millisecond.
        """
        before = catalog.sources.get(write.source, ())
        after: Items = ()
        action: Action = "D"
        if write.data is not None:
            with suppress(DatasetError):  # a client may have what cannot be served written
                after = self.server.parse(write.source, write.data)
            action = "C" if write.expected == ABSENT else "U"
        # Before it is written: it may show before the writer knows that it is done.
        self._known.expect(catalog, write.source, after, monotonic())
        return Writing(catalog, Change(write.source, before, after, action), actor)

    def written(self, writing: Writing, failure: WriteError | None) -> None:
        """An item was written, or was not."""
        if failure is None:
            self._record(writing.change, [*self._participants(writing.actor)])
            return
        self.abandoned(writing)
        if not isinstance(failure, SourceChanged):  # then it is tried again, or was not to be
            participants = [*self._participants(writing.actor)]
            self._record(writing.change, participants, Outcome.MINOR_FAILURE)

    def abandoned(self, writing: Writing) -> None:
        """An item was not written."""
        self._known.forget(writing.catalog, writing.change.source, writing.change.after)

    def changed(self, catalog: Catalog, before: Items, after: Items) -> None:
        """The catalog found a file that came, changed or went."""
        source = next(item.source for item in (*after, *before))
        if self._known.knows(catalog, source, after, monotonic()):
            return
        action: Action = "U" if before and after else "C" if after else "D"
        folder = Participant(user_id=self.server.folder, is_requestor=True)
        self._record(Change(source, before, after, action), [folder], is_held=True)

    def lost(self, count: int) -> None:
        """Changes of items came so fast that nobody knows any more what they were."""
        self._lost(count)

    # HTTP.

    def refused(self, user: str, host: str, status: int, words: str) -> None:
        """A request over HTTP was refused.

        Args:
            user: Who it says that it comes from, if it does.
            host: Where it comes from.
            status: What it was answered.
            words: What it was, and why it was refused.
        """
        actor = Actor(user, host)
        if status == _UNAUTHORIZED and user:
            self._note(self._failed_login, actor, words)
        else:
            self._note(
                self._alert_over_http, actor, RESTRICTED_FUNCTION, Outcome.MINOR_FAILURE, words
            )

    # Messages.

    def of_gap(self, gap: Gap) -> AuditMessage:
        """Make the message about messages that are missing."""
        seconds = (gap.until_ns - gap.since_ns) / 1_000_000_000
        words = f"{gap.dropped} audit messages of the last {seconds:.0f} seconds were dropped"
        return AuditMessage(
            kind=RECORDING_STARTED,
            time_ns=gap.until_ns,
            outcome=Outcome.SERIOUS_FAILURE,
            participants=[self._ourselves(is_requestor=True)],
            objects=[alerts.node(self.server.ae_title, words)],
        )

    def _note(self, make: Callable[..., AuditMessage], *arguments: object) -> None:
        self._put(partial(make, *arguments, self._now_ns()), 0)

    def _record(
        self,
        change: Change,
        participants: list[Participant],
        outcome: Outcome = Outcome.SUCCESS,
        *,
        is_held: bool = False,
    ) -> None:
        time_ns = self._now_ns()
        # What the catalog holds is in memory anyway.
        items = change.before if is_held else (*change.before, *change.after)
        size = sum(len(item.data) for item in items)
        if outcome == Outcome.SUCCESS and change.action == "U":
            self._put(partial(record_of_former, change, time_ns, participants), size)
        self._put(partial(record, change, time_ns, participants, outcome), size)

    def _ourselves(
        self, ae_title: str | None = None, *, is_requestor: bool = False, **others: Any
    ) -> Participant:
        """Give this server, under the AE title that it goes by here."""
        return Participant(
            user_id=self._process,
            is_requestor=is_requestor,
            ae_titles=[self.server.ae_title if ae_title is None else ae_title],
            **others,
        )

    def _participants(self, actor: Actor) -> tuple[Participant, Participant]:
        return _person(actor, is_requestor=True), self._ourselves()

    def _activity(self, kind: Kind, time_ns: int) -> AuditMessage:
        ourselves = self._ourselves(role=APPLICATION)
        return AuditMessage(kind=kind, time_ns=time_ns, participants=[ourselves])

    def _alert(self, event: str, fields: Mapping[str, Any], time_ns: int) -> AuditMessage:
        return alerts.alert(event, fields, time_ns, self._ourselves(is_requestor=True))

    def _alert_over_http(
        self, actor: Actor, kind: Kind, outcome: Outcome, words: str, time_ns: int
    ) -> AuditMessage:
        return AuditMessage(
            kind=kind,
            time_ns=time_ns,
            outcome=outcome,
            participants=[
                self._ourselves(is_requestor=True),
                _person(actor, is_requestor=False),
            ],
            objects=[alerts.node(actor.host or SCRIPT, words)],
        )

    def _failed_login(self, actor: Actor, words: str, time_ns: int) -> AuditMessage:
        return AuditMessage(
            kind=LOGIN,
            time_ns=time_ns,
            outcome=Outcome.MINOR_FAILURE,
            description=words,
            participants=[_person(actor, is_requestor=True), self._ourselves()],
        )

    def _query(
        self,
        caller: Caller,
        identifier: bytes,
        transfer_syntax: str,
        problem: str | None,
        time_ns: int,
    ) -> AuditMessage:
        asking = _device(caller.calling_ae_title, caller.host, is_requestor=True, role=SOURCE)
        ourselves = self._ourselves(caller.called_ae_title, role=DESTINATION)
        return AuditMessage(
            kind=QUERY,
            time_ns=time_ns,
            outcome=Outcome.SUCCESS if problem is None else Outcome.MINOR_FAILURE,
            description=problem or "",
            participants=[asking, ourselves, *_users(caller)],
            objects=[_asked(identifier, transfer_syntax)],
        )

    def _own_query(
        self, actor: Actor, whom: Caller, identifier: bytes, transfer_syntax: str, time_ns: int
    ) -> AuditMessage:
        ourselves = self._ourselves(whom.calling_ae_title or None, role=SOURCE)
        answering = _device(whom.called_ae_title, whom.host, is_requestor=False, role=DESTINATION)
        return AuditMessage(
            kind=QUERY,
            time_ns=time_ns,
            participants=[ourselves, answering, _person(actor, is_requestor=True)],
            objects=[_asked(identifier, transfer_syntax)],
        )

    def _search(self, actor: Actor, resource: str, query: bytes, time_ns: int) -> AuditMessage:
        asked = Object(identifier=resource, identifier_kind=SEARCH_CRITERIA, query=query)
        return AuditMessage(
            kind=QUERY,
            time_ns=time_ns,
            participants=[
                _person(actor, is_requestor=True, role=SOURCE),
                self._ourselves(role=DESTINATION),
            ],
            objects=[asked],
        )


def _asked(identifier: bytes, transfer_syntax: str) -> Object:
    return Object(
        identifier=MODALITY_WORKLIST,
        identifier_kind=SOP_CLASS_UID,
        query=identifier,
        details=[("TransferSyntax", transfer_syntax)],
    )


def _users(caller: Caller) -> list[Participant]:
    if not caller.user:
        return []
    return [Participant(user_id=caller.user, is_requestor=True, host=caller.host)]


def _device(ae_title: str, host: str, *, is_requestor: bool, **others: Any) -> Participant:
    return Participant(
        user_id=ae_title,
        is_requestor=is_requestor,
        ae_titles=[ae_title],
        host=host,
        **others,
    )


def _person(actor: Actor, *, is_requestor: bool, **others: Any) -> Participant:
    return Participant(
        user_id=actor.user or actor.host or SCRIPT,
        is_requestor=is_requestor,
        host=actor.host,
        **others,
    )
