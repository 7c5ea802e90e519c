"""What holds for every index: it gives too many items at times, and never too few."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mwl.index import Index
from support.items import item, items, policy, query
from support.queries import identifiers, worklists

Values = Mapping[str, Any]

POLICIES = st.builds(policy, st.sampled_from(["standard", "orthanc"]), case_sensitive=st.booleans())


@given(identifiers(), st.lists(worklists(), max_size=8), POLICIES, st.data())
def test_candidates_hold_every_match_after_any_changes(
    asked: Values, stored: list[Values], chosen: Any, data: st.DataObject
) -> None:
    index = Index()
    kept = [
        found
        for number, values in enumerate(stored)
        for found in items(values, f"{number}.wl", split_steps=chosen.dialect.splits_steps)
    ]
    together = data.draw(st.integers(0, len(kept)))
    index.add(*kept[:together])
    for found in kept[together:]:
        index.add(found)
    for _ in range(data.draw(st.integers(0, len(kept)))):
        index.remove(kept.pop(data.draw(st.integers(0, len(kept) - 1))))
    compiled = query(asked, chosen)
    assert set(filter(compiled.matches, kept)) <= set(index.candidates(compiled))
    assert set(index) == set(kept)
    assert len(index) == len(kept)


@given(
    identifiers(),
    st.lists(worklists(), max_size=8),
    POLICIES,
    st.sampled_from(["off", "fill", "force"]),
)
def test_what_the_index_counts_is_what_explaining_counts(
    asked: Values, stored: list[Values], chosen: Any, rule: str
) -> None:
    index = Index()
    for values in stored:
        index.add(item(values))
    compiled = query(asked, chosen, station_ae_title="CT", station_rule=rule)
    assert set(filter(compiled.matches, index)) <= set(index.candidates(compiled))
    explanation = compiled.explain(index)
    for criterion in compiled.leaves():
        counted = index.excluded(criterion)
        if counted is None:
            continue
        alone = sum(criterion in compiled.rejected_by(found) for found in index)
        assert counted == explanation[criterion] == alone


@given(identifiers(), st.lists(worklists(), max_size=8))
def test_an_index_is_empty_again_once_all_is_removed(asked: Values, stored: list[Values]) -> None:
    index = Index()
    kept = [item(values) for values in stored]
    for found in kept:
        index.add(found)
    for found in kept:
        index.remove(found)
    assert len(index) == 0
    assert not list(index)
    assert not index.candidates(query(asked))
