"""C-FIND for the Modality Worklist: identifier bytes in, encoded answers out, lazily.

This is the whole product on one page. `Worklist.find` is a generator: it gives batches of answers
ready for the wire and returns the `Outcome`. None in place of a batch means "not yet, ask me
again": the caller looks at other associations, and for a C-CANCEL, between any two steps. A future
in place of a batch means "not before this is done": a callback of the site is at work.

What a C-FIND message looks like is in `mwl.wire.dimse`, who may ask in `mwl.access`, the socket in
`mwl.net.dicom`.

Source: DICOM PS3.4 section K.4.1.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from mwl import limits, telemetry
from mwl.callbacks import Callbacks, Candidate, Origin
from mwl.catalog import Catalog
from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Elements,
    decode,
    encode,
)
from mwl.errors import DatasetError, RequestRefused, StoreError
from mwl.item import WorklistItem
from mwl.limits import Exceeded, Limit
from mwl.matching import Policy, Query
from mwl.matching import compile as compile_query
from mwl.results import BATCH_ENCODED, Batch, Exclusion, Results, Variant
from mwl.wire.dimse import Status, frame_dataset

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor

READ_SLICE = 64
"""Changed files read at a time, in files: about 6 ms, then other associations get a turn."""

CACHED_QUERIES = 1024
"""Compiled queries kept, in queries."""

CACHED_SEARCHES = 128
"""Compiled searches of programs kept, in searches."""

CACHED_IDENTIFIER_BYTES = 16 * 1024
"""Longest identifier, in bytes, whose compiled query is kept: with `CACHED_QUERIES`, 16 MiB."""

_SHORTEST_ELEMENT_BYTES = 8
"""Bytes of an attribute without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """How much a query may ask; see `mwl.limits` for the reasons.

    Args:
        identifier_length: Longest identifier, in bytes; held by what receives it.
        inflated_length: Longest identifier that came deflated, once inflated, in bytes.
        nesting: Sequences inside each other.
        keys: Attributes, those in sequences counted.
        values: Values of all keys.
        wild_cards: Wild cards in all values.
        answers_buffered: Answers given at a time, in bytes.
        answers_kept: Memory for results and their answers, in bytes.
    """

    identifier_length: int = limits.IDENTIFIER_LENGTH.default
    inflated_length: int = limits.INFLATED_LENGTH.default
    nesting: int = limits.NESTING.default
    keys: int = limits.KEYS.default
    values: int = limits.VALUES.default
    wild_cards: int = limits.WILD_CARDS.default
    answers_buffered: int = limits.ANSWERS_BUFFERED.default
    answers_kept: int = limits.ANSWERS_KEPT.default


class Request(NamedTuple):
    """One C-FIND-RQ.

    Args:
        identifier: The request identifier, encoded.
        calling_ae_title: Who asks.
        variant: How the answers go on the wire; the identifier came in the same transfer syntax.
        called_ae_title: Whom it calls.
        host: The address that it calls from.
    """

    identifier: bytes
    calling_ae_title: str
    variant: Variant
    called_ae_title: str = ""
    host: str = ""


class Outcome(NamedTuple):
    """How a query ended: what the final response says and what the log tells.

    Args:
        status: Status (0000,0900) of the final C-FIND-RSP, PS3.4 Table K.4-1.
        comment: Error Comment (0000,0902) of a failure.
        offending: Offending Element (0000,0901) of a failure, outermost tag first.
        query: The compiled query; None when the identifier was refused or is not at hand.
        looked_at: Items that the index left to look at; None when that is not known.
        answers: Matching items sent.
        exclusion: The key that excluded the most items, for a query without an answer.
        matches: The items that match, in the order of the answers.
        detail: What the log says beyond the comment.
        identifier: The query as callbacks left it; None without callbacks.
        candidates: Items that callbacks gave or looked at, beside those of the catalog.
        exceeded: The limit that refused the query or cut its answers.
    """

    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    query: Query | None = None
    looked_at: int | None = 0
    answers: int = 0
    exclusion: Exclusion | None = None
    matches: Sequence[WorklistItem] = ()
    detail: str = ""
    identifier: Elements | None = None
    candidates: Sequence[WorklistItem] = ()
    exceeded: Exceeded | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How a site wants its worklist answered.

    Args:
        policy: Matching dialect and character set.
        station_rule: What becomes of the Scheduled Station AE Title: `off`, `fill` it with the
            caller's when the query leaves it open, or `force` it to be the caller's.
        limit_answers: Most answers to one query; 0 for no limit.
        limits: How much a query may ask.
    """

    policy: Policy
    station_rule: str = "off"
    limit_answers: int = 0
    limits: QueryLimits = QueryLimits()


Search = Generator[Batch | Future[Any] | None, None, Outcome]
"""A query being answered, as the module's head describes it."""

_order = attrgetter("order")


@dataclass(frozen=True, slots=True)
class _Found:
    """What matches a query that callbacks take part in."""

    matches: Sequence[WorklistItem]
    looked_at: int
    exclusion: Exclusion | None
    candidates: Sequence[WorklistItem]
    is_incomplete: bool = False


class Worklist:
    """A catalog of worklist items that answers queries.

    Args:
        catalog: The items.
        rules: How to match and answer.
        callbacks: What the site's own scripts and hooks do to queries, if it has any.

    Attributes:
        results: Results of the queries asked last.
        auditor: Is told of items that change; None without an audit trail.
    """

    def __init__(self, catalog: Catalog, rules: Rules, callbacks: Callbacks | None = None) -> None:
        self.catalog = catalog
        self.rules = rules
        self.callbacks = callbacks
        self.auditor: Auditor | None = None
        self._told_version: int | None = None
        """Version of the catalog that event hooks and the auditor know of; None until all is
        read."""
        self.results = _results(catalog, rules.limits)
        self._is_ready = False
        self._compile_cached = lru_cache(maxsize=CACHED_QUERIES)(self._compile)
        self._searched = lru_cache(maxsize=CACHED_SEARCHES)(self._compile_search)

    def take_over(self, rules: Rules, callbacks: Callbacks | None) -> None:
        """Let other rules and callbacks count for the queries from now on."""
        if rules != self.rules:
            # Compiled queries hold the old ones.
            self.results = _results(self.catalog, rules.limits)
            self._compile_cached.cache_clear()
            self._searched.cache_clear()
        self.rules, self.callbacks = rules, callbacks
        self._told_version = self.catalog.version if self._is_ready else None

    def find(self, request: Request) -> Search:
        """Answer one query; see the module's head for the shape.

        Never raises for what a peer sends, a folder holds or a callback does: the outcome tells.
        """
        if self.callbacks is not None:
            return (yield from self._find_with(self.callbacks, request))
        try:
            ticket = self.catalog.notice()
            if not self.catalog.is_current(ticket):
                yield from self._read_until(ticket)
            query = self._query(request, request.identifier, request.variant.transfer_syntax)
        except StoreError as error:
            return Outcome(Status.UNABLE_TO_PROCESS, error.comment, detail=str(error))
        except RequestRefused as refusal:
            return Outcome(
                refusal.status, refusal.comment, refusal.offending, exceeded=refusal.exceeded
            )
        return (yield from self._answer(query, request.variant))

    def _answer(self, query: Query, variant: Variant) -> Search:
        """Answer a compiled query from the catalog; result and answers are kept."""
        result = self.results.kept(query)
        if result is None:
            result = yield from self.results.of(query)
        matches, limit = result.matches, self.rules.limit_answers
        batches = result.batches.get(variant)
        if batches is not None:
            yield from batches
        else:
            yield from self.results.batches(result, variant, limit, partial(_frame, query, variant))
        is_cut = 0 < limit < len(matches)
        return Outcome(
            Status.CANCEL if is_cut else Status.SUCCESS,
            query=query,
            looked_at=result.looked_at,
            answers=limit if is_cut else len(matches),
            detail=f"LimitAnswers {limit} of {len(matches)} matches" if is_cut else "",
            exclusion=None if matches else self.results.exclusion(result),
            matches=matches,
            exceeded=limits.LIMIT_ANSWERS.hit(limit) if is_cut else None,
        )

    def search(self, identifier: Elements) -> Generator[None, None, Sequence[WorklistItem]]:
        """Find the items that a query matches, in the order of answers.

        For programs of the site: no rule for stations and no limit holds.

        Args:
            identifier: What to match; without any key that is every item.

        Raises:
            StoreError: The store cannot be read.
            RequestRefused: A key is not legal.
        """
        yield from self.see_every_change()
        encoded = encode(identifier.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        query = self._searched(encoded)
        result = self.results.kept(query) or (yield from self.results.of(query))
        return result.matches

    def now_matching(self, identifier: Elements) -> list[WorklistItem]:
        """Find items at once among what was read, without keeping the result.

        For keys that an index finds few items by.

        Raises:
            RequestRefused: A key is not legal.
        """
        query = compile_query(identifier, self.rules.policy)
        return [item for item in self.catalog.candidates(query) if query.matches(item)]

    def is_ready(self) -> bool:
        """Tell whether the items were read since the server started or the store was gone.

        Raises:
            StoreError: The store cannot be read now.
        """
        try:
            ticket = self.catalog.notice()
        except StoreError:
            self._is_ready = False
            raise
        self._is_ready = self._is_ready or self.catalog.is_current(ticket)
        return self._is_ready

    def _find_with(self, callbacks: Callbacks, request: Request) -> Search:
        """Answer one query as the callbacks want it."""
        origin = Origin(request.calling_ae_title, request.called_ae_title, request.host)
        elements: Elements | None = None
        try:
            elements = yield from self._rewritten(callbacks, request, origin)
            # Noticed when the callbacks are done: what they waited for may be here by now.
            yield from self.see_every_change()
            identifier = encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
            query = self._query(request, identifier, EXPLICIT_VR_LITTLE_ENDIAN)
            if callbacks.leave_answers:
                outcome = yield from self._answer(query, request.variant)
                return outcome._replace(identifier=elements)
            found = yield from self._found(callbacks, query, elements, origin)
            limit = self.rules.limit_answers or len(found.matches)
            yield from self._answered(callbacks, query, found.matches[:limit], request, origin)
        except StoreError as error:
            return Outcome(Status.UNABLE_TO_PROCESS, error.comment, detail=str(error))
        except RequestRefused as refusal:
            return Outcome(
                refusal.status,
                refusal.comment,
                refusal.offending,
                identifier=elements,
                exceeded=refusal.exceeded,
            )
        is_cut = limit < len(found.matches)
        return Outcome(
            Status.CANCEL if is_cut or found.is_incomplete else Status.SUCCESS,
            query=query,
            looked_at=found.looked_at,
            answers=min(limit, len(found.matches)),
            detail=f"LimitAnswers {limit} of {len(found.matches)} matches" if is_cut else "",
            exclusion=found.exclusion,
            matches=found.matches,
            identifier=elements,
            candidates=found.candidates,
            exceeded=limits.LIMIT_ANSWERS.hit(limit) if is_cut else None,
        )

    def _rewritten(
        self, callbacks: Callbacks, request: Request, origin: Origin
    ) -> Generator[Future[Any], None, Elements]:
        elements = _decoded(request.identifier, request.variant.transfer_syntax, self.rules.limits)
        if callbacks.rewrites:
            elements = yield from callbacks.rewritten(elements, origin)
        return elements

    def _found(
        self, callbacks: Callbacks, query: Query, elements: Elements, origin: Origin
    ) -> Generator[Future[Any] | None, None, _Found]:
        """Find what matches: in the folder and among candidates, or where a script says."""
        if callbacks.answers_alone:
            answered = yield from callbacks.answered(query, elements, origin)
            tried = answered.tried
            return _Found(answered.items, len(tried), None, tried, answered.is_incomplete)
        candidates: Sequence[Candidate] = ()
        if callbacks.has_candidates:
            candidates = yield from callbacks.candidates(query, elements, origin)
        result = self.results.kept(query)
        if result is None:
            result = yield from self.results.of(query)
        matches = result.matches
        if others := [item for item, is_match in candidates if is_match]:
            matches = sorted([*matches, *others], key=_order)
        exclusion = None if matches else self.results.exclusion(result)
        looked_at = result.looked_at + len(candidates)
        return _Found(matches, looked_at, exclusion, [item for item, _ in candidates])

    def _answered(
        self,
        callbacks: Callbacks,
        query: Query,
        matches: Sequence[WorklistItem],
        request: Request,
        origin: Origin,
    ) -> Generator[Batch | Future[Any] | None, None, None]:
        """Encode the answers, and let callbacks change them."""
        variant = request.variant
        for start in range(0, len(matches), BATCH_ENCODED):
            if start:
                yield None
            some = matches[start : start + BATCH_ENCODED]
            answers = [_encoded(query, variant, item) for item in some]
            if callbacks.edits:
                answers = yield from callbacks.edited(answers, variant.transfer_syntax, origin)
            framed = [
                frame_dataset(variant.context_id, each, variant.max_length) for each in answers
            ]
            yield Batch(framed, is_last=start + BATCH_ENCODED >= len(matches))
        if not matches:
            yield Batch((), is_last=True)

    def see_every_change(self) -> Generator[None, None, None]:
        """Read every change of the store that was complete before now, a slice at a time.

        Raises:
            StoreError: The store cannot be read.
        """
        yield from self._read_until(self.catalog.notice())

    def _read_until(self, ticket: int) -> Generator[None, None, None]:
        while not self.catalog.is_current(ticket):
            self.catalog.read(READ_SLICE)
            self._tell_changes()
            if not self.catalog.is_current(ticket):
                yield
        self._is_ready = True
        if self._told_version is None:
            self._told_version = self.catalog.version  # an empty folder is read without a step

    def _tell_changes(self) -> None:
        """Tell who listens what was read, but for what was there when the server started."""
        hooks, auditor = self.callbacks, self.auditor
        if hooks is not None and not hooks.hears_events:
            hooks = None
        if hooks is None and auditor is None:
            return
        version = self.catalog.version
        if self._told_version is not None:
            changes = self.catalog.changes_since(self._told_version)
            if changes is None and auditor is not None:
                auditor.lost(version - self._told_version)
            for removed, added in changes or ():
                if hooks is not None:
                    hooks.tell_items(removed, added)
                if auditor is not None:
                    auditor.changed(self.catalog, removed, added)
            self._told_version = version

    def _query(self, request: Request, identifier: bytes, transfer_syntax: str) -> Query:
        compile_ = (
            self._compile_cached if len(identifier) <= CACHED_IDENTIFIER_BYTES else self._compile
        )
        station_ae_title = request.calling_ae_title if self.rules.station_rule != "off" else None
        return compile_(identifier, transfer_syntax, station_ae_title)

    def _compile_search(self, identifier: bytes) -> Query:
        elements = decode(identifier, EXPLICIT_VR_LITTLE_ENDIAN)
        _require_modest(elements, self.rules.limits)
        return compile_query(elements, self.rules.policy)

    def _compile(
        self, identifier: bytes, transfer_syntax: str, station_ae_title: str | None
    ) -> Query:
        return compile_query(
            _decoded(identifier, transfer_syntax, self.rules.limits),
            self.rules.policy,
            station_ae_title=station_ae_title,
            station_rule=self.rules.station_rule,
        )


def _results(catalog: Catalog, allowed: QueryLimits) -> Results:
    return Results(catalog, allowed.answers_buffered, allowed.answers_kept)


def _decoded(identifier: bytes, transfer_syntax: str, allowed: QueryLimits) -> Elements:
    """Decode an identifier that is sound and modest; refuse others."""
    try:
        elements = decode(
            identifier,
            transfer_syntax,
            nesting=allowed.nesting,
            inflated_bytes=allowed.inflated_length,
        )
    except DatasetError as error:
        if error.limit is not None:
            raise _too_much(error.limit, getattr(allowed, error.limit.field)) from error
        # PS3.4 Table K.4-1: a data set that cannot be decoded is "unable to process".
        offending = () if error.tag is None else (error.tag,)
        raise RequestRefused(
            Status.UNABLE_TO_PROCESS, "The query cannot be decoded", offending=offending
        ) from error
    is_inflated = transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    if is_inflated or not _is_surely_modest(identifier, allowed):
        _require_modest(elements, allowed)
    return elements


def _is_surely_modest(identifier: bytes, allowed: QueryLimits) -> bool:
    """Tell of a whole encoded identifier whether it can hold no more than is allowed."""
    return (
        len(identifier) // _SHORTEST_ELEMENT_BYTES <= allowed.keys
        and identifier.count(b"\\") <= allowed.values
        and identifier.count(b"*") + identifier.count(b"?") <= allowed.wild_cards
    )


def _require_modest(elements: Elements, allowed: QueryLimits) -> None:
    """Refuse an identifier that would keep the server from others for long."""
    values = _values(elements)
    text = b"".join(values)
    for found, value, limit in (
        (len(values), allowed.keys, limits.KEYS),
        (text.count(b"\\"), allowed.values, limits.VALUES),
        (text.count(b"*") + text.count(b"?"), allowed.wild_cards, limits.WILD_CARDS),
    ):
        if found > value:
            raise _too_much(limit, value)


def _too_much(limit: Limit, value: int) -> RequestRefused:
    # PS3.4 Table K.4-1: out of resources.
    what = "sequences inside each other" if limit is limits.NESTING else limit.unit
    return RequestRefused(
        Status.OUT_OF_RESOURCES,
        f"The query has more than {value} {what}",
        exceeded=limit.hit(value),
    )


def _values(elements: Elements) -> list[bytes]:
    """Give the value of every key, those in sequences too."""
    values = []
    for _, _, value in elements.values():
        if isinstance(value, bytes):
            values.append(value)
        else:
            values.append(b"")
            for item in value:
                values += _values(item)
    return values


def _frame(query: Query, variant: Variant, item: WorklistItem) -> bytes:
    answer = _encoded(query, variant, item)
    return frame_dataset(variant.context_id, answer, variant.max_length)


def _encoded(query: Query, variant: Variant, item: WorklistItem) -> bytes:
    answer = query.answer_with_loss(item, variant.transfer_syntax)
    if answer.lost_characters:
        telemetry.emit("text_lost", source=item.source, characters=answer.lost_characters)
    return answer.identifier
