"""What holds for the explanation of any query over any worklist."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mwl.access import AccessPolicy, Caller
from mwl.catalog import Catalog
from mwl.explain import explain
from mwl.find import Rules, Worklist
from mwl.store.memory import MemoryStore
from support.items import elements, items, policy
from support.queries import identifiers, worklists

Values = Mapping[str, Any]

CALLER = Caller("CT1", "ORTHANC", "127.0.0.1")


@given(
    identifiers(),
    st.lists(worklists(), max_size=4),
    st.sampled_from(["standard", "orthanc"]),
    st.sampled_from(["off", "fill", "force"]),
)
def test_every_item_matches_or_is_a_miss_with_a_reason(
    query: Values, stored: list[Values], dialect: str, station_rule: str
) -> None:
    store = MemoryStore()
    for number, values in enumerate(stored):
        name = f"{number}.wl"
        store.put(name, items(values, name, split_steps=dialect == "standard"))
    worklist = Worklist(Catalog(store), Rules(policy(dialect), station_rule))
    report = explain(worklist, AccessPolicy(), CALLER, elements(query))
    assert report.outcome is not None
    if report.outcome.query is None:
        assert report.outcome.status == 0xA900
        return
    missed = [miss.item for miss in report.misses]
    assert {*report.matches, *missed} == set(worklist.catalog)
    assert len(report.matches) + len(missed) == len(worklist.catalog) == report.items
    for miss in report.misses:
        assert miss.criteria
        assert all(text for _, text in miss.stored())
    assert all(key.words for key in report.keys)
    assert all(hint.text and hint.items for hint in report.hints)
