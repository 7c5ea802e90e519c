"""Results of queries, kept in step with the catalog and bounded in bytes.

Modalities send the same query again and again. A `Result` holds the items that matched one
compiled query, sorted, at one version of the catalog, and the answers already encoded from them.
When the catalog changes, only the items that changed are looked at again.

Matching itself lives in `mwl.matching`, the order of steps of one query in `mwl.find`.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from mwl.catalog import Catalog
from mwl.item import WorklistItem
from mwl.matching import Query

EVALUATION_SLICE = 128
"""Items matched before other associations get a turn: about 3 ms of work."""

UPDATE_LIMIT = 256
"""Changes applied one by one to a kept result; more than this and the query runs afresh."""

EXPLANATION_LIMIT = 200
"""Items looked at, in items, to tell which key excluded the most, where no index can tell."""

KEPT_RESULTS = 512
"""Results kept, in queries: a hospital has a few hundred devices, each with one or two queries."""

KEPT_BYTES = 32 * 1024 * 1024
"""Encoded answers kept, in bytes, over all results."""

KEPT_BYTES_OF_ONE = 8 * 1024 * 1024
"""Encoded answers kept for one result, in bytes: a query for a whole archive is not worth more."""

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
    framed: dict[Variant, dict[WorklistItem, bytes]] = field(default_factory=dict)
    framed_bytes: int = 0
    exclusion: tuple[int, Exclusion | None] = (-1, None)

    def apply(
        self,
        changes: Iterable[tuple[Sequence[WorklistItem], Sequence[WorklistItem]]],
        version: int,
    ) -> None:
        """Follow the catalog to `version` by matching only the items that were added.

        The list of matches is replaced, not altered: a search that is still sending the old
        answers goes on with them.
        """
        matches = list(self.matches)
        for removed, added in changes:
            for item in removed:
                self._remove(matches, item)
            for item in filter(self.query.matches, added):
                matches.insert(bisect_left(matches, item.order, key=_order), item)
        self.matches = matches
        self.version = version

    def _remove(self, matches: list[WorklistItem], item: WorklistItem) -> None:
        place = bisect_left(matches, item.order, key=_order)
        if place < len(matches) and matches[place] is item:
            del matches[place]
        for framed in self.framed.values():
            self.framed_bytes -= len(framed.pop(item, b""))


class Results:
    """The results of the queries asked last, each brought up to date when it is asked for.

    Args:
        catalog: Where the items are.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: OrderedDict[Query, Result] = OrderedDict()
        self._kept_bytes = 0

    def of(self, query: Query) -> Generator[tuple[()], None, Result]:
        """Give the result of `query` at the catalog's present version.

        Yields `()` between slices of `EVALUATION_SLICE` items, so that others get their turn.

        Cost: O(1) when nothing changed, O(changes) after few changes, else one evaluation of
        every candidate the index gives.
        """
        result = self._kept.get(query)
        if result is None or not self._follow(result):
            if result is not None:
                self._forget(query)
            result = yield from self._evaluate(query)
            self._kept[query] = result
        self._kept.move_to_end(query)
        while len(self._kept) > KEPT_RESULTS:
            self._forget(next(iter(self._kept)))
        return result

    def _follow(self, result: Result) -> bool:
        if result.version == self._catalog.version:
            return True
        changes = self._catalog.changes_since(result.version)
        if changes is None or len(changes) > UPDATE_LIMIT:
            return False
        before = result.framed_bytes
        result.apply(changes, self._catalog.version)
        self._kept_bytes += result.framed_bytes - before
        return True

    def _evaluate(self, query: Query) -> Generator[tuple[()], None, Result]:
        version = self._catalog.version
        candidates = list(self._catalog.candidates(query))
        if not query.criteria:
            return Result(query, version, len(candidates), sorted(candidates, key=_order))
        matches: list[WorklistItem] = []
        for start in range(0, len(candidates), EVALUATION_SLICE):
            if start:
                yield ()
            matches += filter(query.matches, candidates[start : start + EVALUATION_SLICE])
        matches.sort(key=_order)
        return Result(query, version, len(candidates), matches)

    def framed(
        self,
        result: Result,
        variant: Variant,
        items: Sequence[WorklistItem],
        frame: Callable[[WorklistItem], bytes],
    ) -> list[bytes]:
        """Give the encoded answers of `items`, encoding with `frame` only those not kept yet."""
        kept = result.framed.setdefault(variant, {})
        try:
            return [kept[item] for item in items]
        except KeyError:
            answers = [kept.get(item) or frame(item) for item in items]
        if result.framed_bytes < KEPT_BYTES_OF_ONE and result.query in self._kept:
            self._keep(result, kept, items, answers)
        return answers

    def _keep(
        self,
        result: Result,
        kept: dict[WorklistItem, bytes],
        items: Sequence[WorklistItem],
        answers: Sequence[bytes],
    ) -> None:
        for item, answer in zip(items, answers, strict=True):
            if item not in kept:
                kept[item] = answer
                result.framed_bytes += len(answer)
                self._kept_bytes += len(answer)
        while self._kept_bytes > KEPT_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, query: Query) -> None:
        result = self._kept.pop(query)
        self._kept_bytes -= result.framed_bytes

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


def _share(exclusion: Exclusion) -> float:
    return exclusion.excluded / max(exclusion.looked_at, 1)
