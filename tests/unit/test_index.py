"""Which items the index gives for a query, and how many a key excludes."""

from typing import Any

import pytest

from mwl.index import Index
from mwl.item import WorklistItem
from mwl.matching import Policy, Query
from support.items import item, policy, query, step

STATIONS = ("CT1", "CT2", "MR1")


def example(number: int) -> WorklistItem:
    return item(
        {
            "AccessionNumber": f"A{number}",
            "PatientName": f"NAME{number % 10}^ÄNNE{number}",
            "PatientID": f"P{number}",
            "StudyInstanceUID": f"1.2.{number}",
            **step(
                Modality=STATIONS[number % 3][:2],
                ScheduledStationAETitle=STATIONS[number % 3],
                ScheduledProcedureStepStartDate=f"202501{1 + number % 30:02d}",
                ScheduledProcedureStepStartTime="1200",
            ),
        },
        f"{number}.wl",
    )


ITEMS = [example(number) for number in range(300)]


@pytest.fixture
def index() -> Index:
    found = Index()
    for each in ITEMS:
        found.add(each)
    return found


def excluded(index: Index, compiled: Query) -> list[int | None]:
    return [index.excluded(criterion) for criterion in compiled.leaves()]


SELECTIVE: list[dict[str, Any]] = [
    {"PatientID": "P17"},
    {"PatientID": "P1?7"},
    {"PatientID": "P17\\P18"},
    {"AccessionNumber": "*99"},
    {"StudyInstanceUID": "1.2.7\\1.2.8"},
    {"PatientName": "name7^anne17"},
    {"PatientName": "name7*"},
    {"PatientName": "n*7*"},
    {"PatientName": "*^änne29?"},
    step(Modality="MR"),
    step(ScheduledStationAETitle="CT2"),
    step(ScheduledStationAETitle="CT*"),
    step(ScheduledProcedureStepStartDate="20250110"),
    step(ScheduledProcedureStepStartDate="20250110-20250112"),
    step(ScheduledProcedureStepStartDate="-20250105"),
    step(ScheduledProcedureStepStartDate="20250101\\20250103-20250104"),
]


@pytest.mark.parametrize("asked", SELECTIVE)
def test_candidates_are_the_matches_for_one_indexed_key(
    index: Index, asked: dict[str, Any]
) -> None:
    compiled = query(asked)
    matching = set(filter(compiled.matches, ITEMS))
    assert 0 < len(matching) < len(ITEMS)
    assert set(index.candidates(compiled)) == matching
    assert excluded(index, compiled) == [len(ITEMS) - len(matching)]


def test_several_names_are_candidates_and_not_counted(index: Index) -> None:
    compiled = query({"PatientName": "NAME1^*\\name2^anne2"})
    assert set(index.candidates(compiled)) == set(filter(compiled.matches, ITEMS))
    assert excluded(index, compiled) == [None]


def test_several_keys_narrow_the_candidates(index: Index) -> None:
    compiled = query(
        {
            "PatientName": "NAME*",
            **step(
                Modality="MR",
                ScheduledProcedureStepStartDate="20250101-20250110",
                ScheduledProcedureStepStartTime="0800-1800",
            ),
        }
    )
    candidates = set(index.candidates(compiled))
    assert candidates == set(filter(compiled.matches, ITEMS))


def test_a_query_without_indexed_keys_has_all_items_for_candidates(index: Index) -> None:
    assert set(index.candidates(query({"PatientSex": "F"}))) == set(ITEMS)
    assert set(index.candidates(query({}))) == set(ITEMS)


def test_what_the_index_cannot_count_is_none(index: Index) -> None:
    compiled = query(
        {"PatientSex": "F", **step(ScheduledProcedureStepStartTime="1200", PreMedication="x")}
    )
    assert excluded(index, compiled) == [None, None, None]
    joined = step(
        ScheduledProcedureStepStartDate="20250101-20250102",
        ScheduledProcedureStepStartTime="1000-1100",
    )
    assert excluded(index, query(joined)) == [None]


def test_case_sensitive_names_are_candidates_and_not_counted(index: Index) -> None:
    for key in ("NAME7^?NNE17", "NAME7^ÄNNE17", "name7*"):
        compiled = query({"PatientName": key}, policy(case_sensitive=True))
        assert set(filter(compiled.matches, ITEMS)) <= set(index.candidates(compiled))
        assert excluded(index, compiled) == [None]


def test_a_date_without_a_day_is_always_a_candidate(index: Index) -> None:
    month = item(step(ScheduledProcedureStepStartDate="202503"))
    index.add(month)
    compiled = query(step(ScheduledProcedureStepStartDate="20250310"))
    assert set(index.candidates(compiled)) == {month}
    assert excluded(index, compiled) == [None]
    index.remove(month)
    assert excluded(index, compiled) == [len(ITEMS)]


@pytest.mark.parametrize(
    ("chosen", "expected"), [(policy("standard"), False), (policy("orthanc"), True)]
)
def test_an_item_without_steps_is_a_candidate_where_step_keys_are_skipped(
    index: Index, chosen: Policy, expected: bool
) -> None:
    stepless = item({"PatientID": "P17"})
    index.add(stepless)
    compiled = query(step(Modality="MR"), chosen)
    assert (stepless in set(index.candidates(compiled))) is expected
    assert excluded(index, compiled) == [200 if expected else 201]


def test_an_item_that_is_removed_is_found_no_more(index: Index) -> None:
    for each in ITEMS[1:]:
        index.remove(each)
    index.remove(ITEMS[1])
    assert list(index) == ITEMS[:1]
    assert len(index) == 1
    assert set(index.candidates(query({"PatientName": "n*"}))) == set(ITEMS[:1])
    assert not set(index.candidates(query({"PatientID": "P1"})))


def test_items_with_the_same_values_are_told_apart(index: Index) -> None:
    twin = example(17)
    index.add(twin)
    compiled = query({"PatientID": "P17"})
    assert set(index.candidates(compiled)) == {ITEMS[17], twin}
    index.remove(ITEMS[17])
    assert set(index.candidates(compiled)) == {twin}


def test_several_steps_with_the_same_value_are_one_item() -> None:
    index = Index()
    found = item({"ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"Modality": "CT"}]})
    index.add(found)
    assert list(index.candidates(query(step(Modality="CT")))) == [found]
    index.remove(found)
    assert not index.candidates(query(step(Modality="CT")))
