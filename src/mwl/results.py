"""Results of queries, kept in step with the catalog and bounded in bytes.

Modalities send the same query again and again. A `Result` holds the items that matched one
compiled query, sorted, at one version of the catalog, and the answers already encoded from them.
When the catalog changes, only the items that changed are looked at again.

Matching itself lives in `mwl.matching`, the order of steps of one query in `mwl.find`.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import accumulate, islice
from operator import attrgetter
from typing import NamedTuple

from mwl.catalog import Catalog, Difference
from mwl.item import WorklistItem
from mwl.limits import ANSWERS_BUFFERED, ANSWERS_KEPT
from mwl.matching import Query

EVALUATION_SLICE = 256
"""Work done before other associations get a turn, in criteria tried on an item, with seven more an
item for looking at it at all: 32 items for a usual query, under a millisecond. A short association
takes five rounds of the event loop, and each may wait for such a slice."""

SORTED_AT_ONCE = 1024
"""Matches sorted at a time, in items: about a millisecond."""

MERGED_AT_ONCE = 512
"""Sorted matches merged at a time, in items: about a millisecond."""

UPDATE_LIMIT = 256
"""Changes applied one by one to a kept result; more than this and the query runs afresh."""

EXPLANATION_LIMIT = 200
"""Items looked at, in items, to tell which key excluded the most, where no index can tell."""

KEPT_RESULTS = 512
"""Results kept, in queries: a hospital has a few hundred devices, each with one or two queries."""

KEPT_BYTES = ANSWERS_KEPT.default
"""Memory for results, in bytes, unless told otherwise: encoded answers, and `MATCH_BYTES` for each
match."""

PART_OF_ONE = 4
"""One result gets the fourth part of their memory: a query for an archive is not worth more."""

MATCH_BYTES = 16
"""What a match costs in the list of a result and in a batch, in bytes."""

BATCH_ANSWERS = 256
"""Answers given at a time, in answers."""

BATCH_BYTES = ANSWERS_BUFFERED.default
"""Answers given at a time, in bytes without their commands, unless told otherwise: what a slow
reader costs in memory."""

BATCH_ENCODED = 10
"""Answers encoded at a time, in answers, where they are not kept: under a millisecond, then others
get their turn."""

KEPT_VARIANTS = 4
"""Variants of one result whose answers are kept: a device always asks in the same way."""

_order = attrgetter("order")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The key that excluded the most items.

    Args:
        name: The key, such as `ScheduledProcedureStepSequence.Modality`.
        excluded: Items that this key alone excludes.
        looked_at: Items that were looked at to tell.
    """

    name: str
    excluded: int
    looked_at: int

    def __str__(self) -> str:
        """Say it as the log does."""
        return f"{self.name} ({self.excluded} of {self.looked_at})"


class Batch(NamedTuple):
    """Answers ready for the wire; none, and not the last, means "not yet, ask again".

    Args:
        answers: Framed identifiers.
        is_last: Whether no more come.
    """

    answers: Sequence[bytes]
    is_last: bool


class Variant(NamedTuple):
    """How answers are put on the wire: answers encoded for one variant fit every such association.

    Args:
        transfer_syntax: UID that the identifiers are encoded with.
        context_id: Presentation context of the answers.
        max_length: Longest PDU body the peer takes, in bytes; 0 for no limit.
    """

    transfer_syntax: str
    context_id: int
    max_length: int


@dataclass(eq=False, slots=True)
class Result:
    """What one query found at one version of the catalog."""

    query: Query
    version: int
    looked_at: int
    matches: Sequence[WorklistItem]
    framed: dict[Variant, list[bytes]] = field(default_factory=dict)
    """The encoded answer of each match, empty where it is not kept."""
    framed_bytes: int = 0
    batches: dict[Variant, tuple[Batch, ...]] = field(default_factory=dict)
    """All answers as they are given, where all are kept."""
    exclusion: tuple[int, Exclusion | None] = (-1, None)

    @property
    def cost(self) -> int:
        """Memory it takes, in bytes."""
        return self.framed_bytes + MATCH_BYTES * len(self.matches)

    def apply(self, changes: Iterable[Difference], version: int) -> None:
        """Follow the catalog to `version` by matching only the items that were added.

        The lists of matches and answers are replaced, not altered: a search that is still sending
        the old answers goes on with them.
        """
        matches = list(self.matches)
        framed = [held.copy() for held in self.framed.values()]
        for removed, added in changes:
            for item in removed:
                place = _place(matches, item)
                if place is not None:
                    del matches[place]
                    self.framed_bytes -= sum([len(held.pop(place)) for held in framed])
            for item in filter(self.query.matches, added):
                place = bisect_left(matches, item.order, key=_order)
                matches.insert(place, item)
                for held in framed:
                    held.insert(place, b"")
        self.looked_at += len(matches) - len(self.matches)
        self.matches = matches
        self.framed = dict(zip(self.framed, framed, strict=True))
        self.batches.clear()
        self.version = version

    def kept(self, variant: Variant) -> list[bytes]:
        """Give the list of a variant's answers; that of one variant too many is not kept."""
        held = self.framed.get(variant)
        if held is None:
            held = [b""] * len(self.matches)
            if len(self.framed) < KEPT_VARIANTS:
                self.framed[variant] = held
        return held

    def keep(self, variant: Variant, item: WorklistItem, answer: bytes, limit: int) -> None:
        """Remember the encoded answer of a match, while the result costs no more than `limit`."""
        held = self.framed.get(variant)
        if held is not None and self.cost + len(answer) <= limit:
            # Looked for now: items may have changed while the answers before it were sent.
            place = _place(self.matches, item)
            if place is not None:
                self.framed_bytes += len(answer) - len(held[place])
                held[place] = answer


def _place(matches: Sequence[WorklistItem], item: WorklistItem) -> int | None:
    """Find an item among matches."""
    place = bisect_left(matches, item.order, key=_order)
    return place if place < len(matches) and matches[place] is item else None


class _Evaluation:
    """One query being tried on every candidate, a slice at a time, for all who ask it."""

    def __init__(self, query: Query, catalog: Catalog) -> None:
        self.result: Result | None = None
        self.asking = 0
        """Searches that wait for it."""
        self._query = query
        self._version = catalog.version
        self._candidates = list(catalog.candidates(query))
        self._unsorted: list[WorklistItem] = []
        self._runs: list[list[WorklistItem]] = []
        self._merging: Iterator[WorklistItem] | None = None
        self._matches: list[WorklistItem] = []
        self._place = 0
        self._slice = _slice_of(query) if len(self._candidates) > 1 else 1

    def step(self) -> Result | None:
        """Try some items, sort some or merge some; give the result after the last slice."""
        if self._merging is not None:
            return self._merge(self._merging)
        end = self._place + self._slice
        found = self._candidates[self._place : end]
        self._unsorted += filter(self._query.matches, found) if self._query.criteria else found
        self._place = end
        is_last = end >= len(self._candidates)
        if is_last or len(self._unsorted) >= SORTED_AT_ONCE:
            self._unsorted.sort(key=_order)
            self._runs.append(self._unsorted)
            self._unsorted = []
        if not is_last:
            return None
        if len(self._runs) == 1:
            return self._finish(self._runs[0])
        self._merging = merge(*self._runs, key=_order)
        return None

    def _merge(self, merging: Iterator[WorklistItem]) -> Result | None:
        some = list(islice(merging, MERGED_AT_ONCE))
        self._matches += some
        return None if len(some) == MERGED_AT_ONCE else self._finish(self._matches)

    def _finish(self, matches: list[WorklistItem]) -> Result:
        self.result = Result(self._query, self._version, len(self._candidates), matches)
        return self.result


def _slice_of(query: Query) -> int:
    leaves = len(tuple(query.leaves()))
    return max(EVALUATION_SLICE // (leaves + 7), 1) if leaves else SORTED_AT_ONCE


class Results:
    """The results of the queries asked last, each brought up to date when it is asked for.

    Args:
        catalog: Where the items are.
        batch_bytes: Answers given at a time, in bytes without their commands.
        most_bytes: Memory for what is kept, in bytes.
    """

    def __init__(
        self, catalog: Catalog, batch_bytes: int = BATCH_BYTES, most_bytes: int = KEPT_BYTES
    ) -> None:
        self._catalog = catalog
        self._most_bytes = most_bytes
        self._most_bytes_of_one = most_bytes // PART_OF_ONE
        self._batch_bytes = batch_bytes
        self._kept: OrderedDict[Query, Result] = OrderedDict()
        self._running: dict[Query, _Evaluation] = {}
        self.hits = 0
        """Queries that a kept result answered."""
        self.evaluations = 0
        """Queries that every candidate was tried on for."""
        self.kept_bytes = 0
        """Memory that the kept results take, in bytes; at most `most_bytes`."""

    def kept(self, query: Query) -> Result | None:
        """Give the result of `query` as of now, if it is kept and can follow what changed.

        Cost: O(1) when nothing changed, else O(changes).
        """
        result = self._kept.get(query)
        if result is None or not self._follow(result):
            return None
        self._kept.move_to_end(query)
        self.hits += 1
        return result

    def of(self, query: Query) -> Generator[None, None, Result]:
        """Give the result of `query`, as of now or later.

        Yields between slices of work, so that others get their turn. Several who ask the same at
        once share one evaluation.

        Cost: that of `kept`, else one evaluation of every candidate the index gives.
        """
        asked_at = self._catalog.version
        while True:
            result = self.kept(query)
            if result is None:
                result = yield from self._evaluate(query)
            if result.version >= asked_at:
                return result

    def _follow(self, result: Result) -> bool:
        """Bring a kept result up to date; tell whether it is."""
        if result.version == self._catalog.version:
            return True
        changes = self._catalog.changes_since(result.version)
        if changes is None or len(changes) > UPDATE_LIMIT:
            return False
        before = result.cost
        result.apply(changes, self._catalog.version)
        self._charge(result, result.cost - before)
        return True

    def _evaluate(self, query: Query) -> Generator[None, None, Result]:
        """Take part in the evaluation of a query until it has a result."""
        evaluation = self._running.get(query)
        if evaluation is None:
            evaluation = self._running[query] = _Evaluation(query, self._catalog)
            self.evaluations += 1
        evaluation.asking += 1
        try:
            while evaluation.result is None:
                result = evaluation.step()
                if result is None:
                    yield
                else:
                    self._put(result)
            return evaluation.result
        finally:
            evaluation.asking -= 1
            if not evaluation.asking and self._running.get(query) is evaluation:
                del self._running[query]

    def batches(
        self, result: Result, variant: Variant, limit: int, frame: Callable[[WorklistItem], bytes]
    ) -> Generator[Batch, None, None]:
        """Give the encoded answers of a result's matches, encoding only those not kept.

        Args:
            result: What `of` gave.
            variant: How the answers go on the wire.
            limit: How many matches are answered at most; 0 for all.
            frame: Encodes one answer.
        """
        matches, kept = result.matches, result.kept(variant)
        end = min(limit or len(matches), len(matches))
        batches: list[Batch] = []
        are_kept = True
        place = 0
        while place < end:
            answers = _fitting(kept[place : min(place + BATCH_ANSWERS, end)], self._batch_bytes)
            # After a change few batches lack one, and `all` passes over the others in a quarter of
            # the time.
            missing = [] if all(answers) else _empty_places(answers)
            size = sum(map(len, answers)) if missing else 0
            for count, number in enumerate(missing):
                if count == BATCH_ENCODED or size > self._batch_bytes:
                    del answers[number:]
                    break
                item = matches[place + number]
                answer = answers[number] = frame(item)
                size += len(answer)
                self._keep(result, variant, item, answer)
            place += len(answers)
            batch = Batch(answers, is_last=place == end)
            are_kept = are_kept and not missing
            if are_kept:
                batches.append(batch)
            yield batch
        if not end:
            yield Batch((), is_last=True)
        elif are_kept and result.matches is matches:
            result.batches[variant] = tuple(batches)

    def _keep(self, result: Result, variant: Variant, item: WorklistItem, answer: bytes) -> None:
        before = result.cost
        result.keep(variant, item, answer, self._most_bytes_of_one)
        self._charge(result, result.cost - before)

    def _put(self, result: Result) -> None:
        """Keep a result in place of an older one of the same query."""
        self._running.pop(result.query)
        self._forget(result.query)
        if result.cost <= self._most_bytes_of_one:
            self._kept[result.query] = result
            self._charge(result, result.cost)

    def _charge(self, result: Result, cost: int) -> None:
        """Count memory of a result that is kept, and forget others when it is too much."""
        if self._kept.get(result.query) is not result:
            return
        self.kept_bytes += cost
        while self.kept_bytes > self._most_bytes or len(self._kept) > KEPT_RESULTS:
            self._forget(next(iter(self._kept)))

    def _forget(self, query: Query) -> None:
        result = self._kept.pop(query, None)
        if result is not None:
            self.kept_bytes -= result.cost

    def exclusion(self, result: Result) -> Exclusion | None:
        """Tell which key of a query excluded the most items; None when it has no such key.

        Exact where an index can count; else from the first `EXPLANATION_LIMIT` items.
        """
        version, exclusion = result.exclusion
        if version != result.version:
            exclusion = max(self._exclusions(result.query), key=_share, default=None)
            result.exclusion = (result.version, exclusion)
        return exclusion

    def _exclusions(self, query: Query) -> Iterable[Exclusion]:
        sampled = []
        for criterion in query.leaves():
            excluded = self._catalog.excluded(criterion)
            if excluded is None:
                sampled.append(criterion)
            else:
                yield Exclusion(criterion.name, excluded, len(self._catalog))
        if sampled:
            sample = list(islice(self._catalog, EXPLANATION_LIMIT))
            counts = query.explain(sample)
            for criterion in sampled:
                yield Exclusion(criterion.name, counts[criterion], len(sample))


def _empty_places(answers: Sequence[bytes]) -> list[int]:
    return [place for place, answer in enumerate(answers) if not answer]


def _fitting(answers: list[bytes], limit: int) -> list[bytes]:
    """Give the answers that go into one batch: the first in any case."""
    if sum(map(len, answers)) <= limit:
        return answers
    return answers[: max(bisect_right(list(accumulate(map(len, answers))), limit), 1)]


def _share(exclusion: Exclusion) -> float:
    return exclusion.excluded / max(exclusion.looked_at, 1)
