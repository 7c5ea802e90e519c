"""The caller's station, and what a query says about the items it leaves out."""

from typing import Any

import pytest

from support.items import item, items, query, step

STATION = "ScheduledStationAETitle"
STEPS = "ScheduledProcedureStepSequence"


# FilterIssuerAet


@pytest.mark.parametrize("asked", [{}, {STEPS: []}, step(**{STATION: ""}), step(**{STATION: "*"})])
def test_fill_restricts_an_open_query_to_the_callers_station(asked: dict[str, Any]) -> None:
    compiled = query(asked, station_ae_title="CT1", station_rule="fill")
    assert compiled.matches(item(step(**{STATION: "CT1\\CT2"})))
    assert not compiled.matches(item(step(**{STATION: "MR1"})))
    assert not compiled.matches(item({}))
    (leaf,) = compiled.leaves()
    assert leaf.kind == "caller's AE title"
    assert leaf.name == f"{STEPS}.{STATION}[FilterIssuerAet]"


def test_fill_does_not_override_what_was_asked() -> None:
    compiled = query(step(**{STATION: "MR1"}), station_ae_title="CT1", station_rule="fill")
    assert compiled.matches(item(step(**{STATION: "MR1"})))


def test_force_restricts_to_the_caller_on_top_of_what_was_asked() -> None:
    compiled = query(step(**{STATION: "MR*"}), station_ae_title="CT1", station_rule="force")
    assert not compiled.matches(item(step(**{STATION: "MR1"})))
    assert not compiled.matches(item(step(**{STATION: "CT1"})))
    assert compiled.matches(item(step(**{STATION: "CT1\\MR1"})))


def test_a_callers_title_has_no_wild_cards() -> None:
    compiled = query({}, station_ae_title="*", station_rule="fill")
    assert not compiled.matches(item(step(**{STATION: "CT1"})))


def test_an_unknown_station_rule_is_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="station rule"):
        query({}, station_rule="maybe")


# Explaining


def test_rejected_by_names_the_keys_that_fail() -> None:
    compiled = query({"PatientID": "1", **step(Modality="CT", **{STATION: "CT1"})})
    found = item({"PatientID": "1", **step(Modality="CT", **{STATION: "MR1"})})
    assert [failure.name for failure in compiled.rejected_by(found)] == [f"{STEPS}.{STATION}"]
    assert compiled.rejected_by(found)[0].path == (0x00400100, 0x00400001)


def test_rejected_by_names_the_sequence_when_no_item_meets_all() -> None:
    compiled = query(step(Modality="CT", **{STATION: "MR1"}))
    found = item({STEPS: [{"Modality": "CT", STATION: "CT1"}, {"Modality": "MR", STATION: "MR1"}]})
    assert [failure.name for failure in compiled.rejected_by(found)] == [STEPS]


def test_explain_counts_what_each_key_excludes() -> None:
    compiled = query({"PatientID": "P*", **step(Modality="CT")})
    explanation = compiled.explain(
        item({"PatientID": patient, **step(Modality=modality)})
        for patient, modality in [("P1", "CT"), ("P2", "MR"), ("X", "MR"), ("P3", "US")]
    )
    assert (explanation.looked_at, explanation.matched) == (4, 1)
    by_name = {criterion.name: count for criterion, count in explanation.excluded.items()}
    assert by_name == {f"{STEPS}.Modality": 3, "PatientID": 1}
    assert list(by_name) == [f"{STEPS}.Modality", "PatientID"]


def test_each_step_of_a_file_is_matched_on_its_own() -> None:
    first, second = items({STEPS: [{"Modality": "CT"}, {"Modality": "MR"}]})
    compiled = query(step(Modality="MR"))
    assert not compiled.matches(first)
    assert compiled.matches(second)
