"""Kept results: what holds whatever the order in which queries are asked, worked on and dropped."""

from collections.abc import Generator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mwl.catalog import Catalog
from mwl.item import WorklistItem
from mwl.results import KEPT_BYTES, Result, Results
from mwl.store.memory import MemoryStore
from support.items import items, query, step
from support.worklist import VARIANT

Search = tuple[str, int, Generator[None, None, Result]]
"""What is asked, the version it was asked at, and the search."""

MODALITIES = ("CT", "MR", "US")
QUERIES = {
    modality: query({**step(Modality=modality), "PatientID": ""}) for modality in MODALITIES
} | {"": query({"PatientID": ""})}


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
        for batch in self.results.batches(result, VARIANT, 0, encoded):
            assert all(batch.answers)

    @invariant()
    def memory_is_counted_to_the_byte(self) -> None:
        kept = self.results._kept.values()
        assert self.results.kept_bytes == sum(result.cost for result in kept) <= KEPT_BYTES
        for result in kept:
            framed = [len(answer) for held in result.framed.values() for answer in held.values()]
            assert result.framed_bytes == sum(framed)

    @invariant()
    def only_matches_have_kept_answers(self) -> None:
        for result in self.results._kept.values():
            for held in result.framed.values():
                assert held.keys() <= set(result.matches)

    @invariant()
    def nothing_is_worked_on_that_nobody_waits_for(self) -> None:
        assert all(evaluation.asking > 0 for evaluation in self.results._running.values())


def encoded(item: WorklistItem) -> bytes:
    return item.source.encode() * 50


TestAskedInAnyOrder = AskedInAnyOrder.TestCase
TestAskedInAnyOrder.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
