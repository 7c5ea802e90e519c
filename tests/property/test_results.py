"""Kept results: what holds whatever the order in which queries are asked, worked on and dropped."""

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mwl.catalog import Catalog
from mwl.item import WorklistItem
from mwl.results import KEPT_BYTES, Batch, Result, Results
from mwl.store.memory import MemoryStore
from support.items import items, query, step
from support.worklist import VARIANT

Search = tuple[str, int, Generator[None, None, Result]]
"""What is asked, the version it was asked at, and the search."""

Sending = tuple[list[bytes], list[bytes], Iterator[Batch]]
"""The answers that are to come, those that came, and what gives them."""

MODALITIES = ("CT", "MR", "US")
QUERIES = {
    modality: query({**step(Modality=modality), "PatientID": ""}) for modality in MODALITIES
} | {"": query({"PatientID": ""})}


def check_kept(results: Results) -> None:
    """Memory is counted to the byte, and a kept answer is that of its match."""
    kept = results._kept.values()
    assert results.kept_bytes == sum(result.cost for result in kept) <= KEPT_BYTES
    for result in kept:
        framed = [len(answer) for held in result.framed.values() for answer in held]
        assert result.framed_bytes == sum(framed)
        for held in result.framed.values():
            for item, answer in zip(result.matches, held, strict=True):
                assert answer in (b"", encoded(item))
        for batches in result.batches.values():
            sent = [answer for batch in batches for answer in batch.answers]
            assert sent == list(map(encoded, result.matches))


class AskedInAnyOrder(RuleBasedStateMachine):
    """Several searches of few queries, while the catalog changes."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.catalog = Catalog(self.store)
        self.results = Results(self.catalog)
        self.searches: list[Search] = []
        self.sources: dict[str, str] = {}

    @rule(
        first=st.integers(0, 300), count=st.integers(1, 400), modality=st.sampled_from(MODALITIES)
    )
    def change_items(self, first: int, count: int, modality: str) -> None:
        for number in range(first, first + count):
            values = {"PatientID": f"{number}", **step(Modality=modality)}
            self.store.put(f"{number}.wl", items(values, f"{number}.wl"))
            self.sources[f"{number}.wl"] = modality
        self.read()

    @rule(number=st.integers(0, 300))
    def remove_item(self, number: int) -> None:
        self.store.remove(f"{number}.wl")
        self.sources.pop(f"{number}.wl", None)
        self.read()

    def read(self) -> None:
        ticket = self.catalog.notice()
        while not self.catalog.is_current(ticket):
            self.catalog.read(1000)

    @rule(name=st.sampled_from(sorted(QUERIES)))
    def ask(self, name: str) -> None:
        search = self.results.of(QUERIES[name])
        self.searches.append((name, self.catalog.version, search))

    @precondition(lambda self: self.searches)
    @rule(data=st.data())
    def work(self, data: Any) -> None:
        place = data.draw(st.integers(0, len(self.searches) - 1))
        name, asked_at, search = self.searches[place]
        try:
            next(search)
        except StopIteration as done:
            del self.searches[place]
            self.check(name, asked_at, done.value)

    @precondition(lambda self: self.searches)
    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        place = data.draw(st.integers(0, len(self.searches) - 1))
        self.searches.pop(place)[2].close()

    def check(self, name: str, asked_at: int, result: Result) -> None:
        assert result.version >= asked_at
        orders = [item.order for item in result.matches]
        assert orders == sorted(set(orders))
        if result.version == self.catalog.version:
            expected = {source for source, held in self.sources.items() if name in ("", held)}
            assert {item.source for item in result.matches} == expected
        sent = [a for b in self.results.batches(result, VARIANT, 0, encoded) for a in b.answers]
        assert sent == list(map(encoded, result.matches))

    @invariant()
    def what_is_kept_is_right(self) -> None:
        check_kept(self.results)

    @invariant()
    def nothing_is_worked_on_that_nobody_waits_for(self) -> None:
        assert all(evaluation.asking > 0 for evaluation in self.results._running.values())


def finished(search: Generator[None, None, Result]) -> Result:
    while True:
        try:
            next(search)
        except StopIteration as done:
            result: Result = done.value
            return result


def encoded(item: WorklistItem) -> bytes:
    return item.data * 6


TestAskedInAnyOrder = AskedInAnyOrder.TestCase
TestAskedInAnyOrder.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


class ChangedWhileAnswersAreSent(RuleBasedStateMachine):
    """Several peers who take the answers to one query, each at its pace, while items change."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.catalog = Catalog(self.store)
        self.results = Results(self.catalog)
        self.sendings: list[Sending] = []
        self.small_batches = patch("mwl.results.BATCH_ANSWERS", 8)
        self.small_batches.start()
        for number in range(0, 60, 2):
            self.put(number, "CT")

    def teardown(self) -> None:
        self.small_batches.stop()

    @rule(number=st.integers(0, 60), modality=st.sampled_from(MODALITIES))
    def put(self, number: int, modality: str) -> None:
        values = {"PatientID": f"{number}", **step(Modality=modality)}
        self.store.put(f"{number}.wl", items(values, f"{number}.wl"))

    @rule(number=st.integers(0, 60))
    def remove(self, number: int) -> None:
        self.store.remove(f"{number}.wl")

    @rule()
    def ask(self) -> None:
        self.catalog.notice()
        self.catalog.read(1000)
        result = finished(self.results.of(QUERIES["CT"]))
        expected = [encoded(item) for item in result.matches]
        kept = result.batches.get(VARIANT)
        batches = iter(kept) if kept else self.results.batches(result, VARIANT, 0, encoded)
        self.sendings.append((expected, [], batches))
        self.take(len(self.sendings) - 1, 1)  # `Worklist.find` begins at once, too

    @precondition(lambda self: self.sendings)
    @rule(data=st.data(), count=st.integers(1, 4))
    def send(self, data: Any, count: int) -> None:
        self.take(data.draw(st.integers(0, len(self.sendings) - 1)), count)

    def take(self, place: int, count: int) -> None:
        expected, sent, batches = self.sendings[place]
        for batch in islice(batches, count):
            sent += batch.answers
            assert sent == expected[: len(sent)]
            assert batch.is_last == (len(sent) == len(expected))
            if batch.is_last:
                assert next(batches, None) is None
                del self.sendings[place]

    @invariant()
    def what_is_kept_is_right(self) -> None:
        check_kept(self.results)


TestChangedWhileAnswersAreSent = ChangedWhileAnswersAreSent.TestCase
TestChangedWhileAnswersAreSent.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
