"""The soak: what it takes for wrong, how it judges, what it draws."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest

from soak import material
from soak.plot import svg
from soak.report import Result, table
from soak.sampling import Sample, Samples
from soak.truth import KEPT_S, SERIAL, STEPS, Truth
from support.items import step

EVERYTHING: dict[str, Any] = {}
CT = step(Modality="CT")
MIB = 1024 * 1024


def wrong(truth: Truth, began: float, ended: float, *serials: str, number: int = 0) -> int:
    """Ask for everything (0) or for CT (1); give how much is wrong with the answer."""
    query = CT if number else EVERYTHING
    return len(truth.wrong(number, query, began, ended, serials))


def truth_with(*changes: tuple[float, float, dict[str, Any] | None]) -> Truth:
    """Give the truth on one file: when each change began, when it was done, what it wrote."""
    truth = Truth()
    for began, done, values in changes:
        truth.begins("a.wl", began, values)
        truth.is_there("a.wl", done)
    return truth


FIRST, SECOND = {SERIAL: "V1"} | step(Modality="CT"), {SERIAL: "V2"} | step(Modality="MR")
CHANGED = ((10.0, 11.0, FIRST), (20.0, 21.0, SECOND))


def test_what_did_not_change_must_be_found_once_and_nothing_else() -> None:
    truth = truth_with(*CHANGED)
    assert wrong(truth, 12, 13, "V1") == 0
    assert wrong(truth, 12, 13) == 1
    assert wrong(truth, 12, 13, "V1", "V1") == 1
    assert wrong(truth, 12, 13, "V2") == 1
    assert wrong(truth, 12, 13, "V1", "V9") == 1
    assert wrong(truth, 22, 23, "V1") == 1, "it is over"
    assert wrong(truth, 22, 23, "V2") == 0


def test_what_changed_meanwhile_may_be_found_either_way_but_not_both() -> None:
    truth = truth_with(*CHANGED)
    for serials in ((), ("V1",)):
        assert wrong(truth, 9, 10.5, *serials) == 0, "the first write is under way"
    assert wrong(truth, 20.5, 20.6, "V1") == wrong(truth, 19, 22, "V2") == 0
    assert wrong(truth, 19, 22, "V1", "V2") == 1
    assert wrong(truth, 19, 22) == 1, "the file was there all the time"


def test_what_does_not_match_must_not_be_found() -> None:
    truth = truth_with(*CHANGED)
    assert wrong(truth, 12, 13, "V1", number=1) == 0
    assert wrong(truth, 22, 23, number=1) == 0
    assert wrong(truth, 22, 23, "V2", number=1) == 1
    assert wrong(truth, 19, 22, number=1) == 0, "the second version does not match"


def test_a_removed_file_must_not_be_found() -> None:
    truth = truth_with((10, 11, FIRST), (20, 21, None))
    assert wrong(truth, 22, 23) == 0
    assert wrong(truth, 22, 23, "V1") == 1


def test_every_step_that_matches_is_an_answer() -> None:
    steps = [*CT[STEPS], *step(Modality="MR")[STEPS], *CT[STEPS]]
    truth = truth_with((10, 11, {SERIAL: "V1", STEPS: steps}))
    assert wrong(truth, 12, 13, *["V1"] * 3) == 0
    assert wrong(truth, 12, 13, *["V1"] * 2) == 1
    assert wrong(truth, 12, 13, *["V1"] * 2, number=1) == 0
    assert truth.wrong_list(12, 13, ["V1"]) == [], "a file is one item over HTTP"


def test_what_is_long_over_is_forgotten() -> None:
    truth = truth_with(*CHANGED, (100 + KEPT_S, 101 + KEPT_S, None), (300, 301, None))
    assert truth._versions == {}


def test_the_queries_are_of_all_kinds_and_the_same_ones_each_time() -> None:
    asked = material.queries(50, 1)
    assert asked == material.queries(50, 1)
    assert asked[0].means == {}
    assert all(one.identifier[SERIAL] == "" for one in asked)
    assert any(STEPS in one.means for one in asked)


def result(*memories: int, **others: Any) -> Result:
    server = cast("Any", type("Named", (), {"name": "a server"}))
    taken = [Sample(float(second), memory, 20) for second, memory in enumerate(memories)]
    return replace(
        Result(
            seconds=1200,
            done={"queries": 1234},
            wrong=[],
            errors=[],
            statuses=[0],
            samples=[Samples(server, taken)],
            descriptors_left=[0],
        ),
        **others,
    )


def test_growth_counts_from_the_end_of_the_warm_up() -> None:
    flat = result(*range(10 * MIB, 35 * MIB, MIB), *[35 * MIB] * 75)
    assert flat.samples[0].growth == 0
    assert flat.is_good
    growing = result(*range(100 * MIB, 200 * MIB, MIB))
    assert growing.samples[0].growth > 0.3
    assert not growing.is_good
    assert replace(growing, seconds=15.0).is_good, "too short to tell"


@pytest.mark.parametrize(
    "fault",
    [{"wrong": ["x"]}, {"errors": ["x"]}, {"statuses": [1]}, {"descriptors_left": [1]}],
    ids=lambda fault: next(iter(fault)),
)
def test_each_fault_fails_the_run(fault: dict[str, Any]) -> None:
    assert result(*[MIB] * 100).is_good
    assert not result(*[MIB] * 100, **fault).is_good


def test_the_table_and_the_plot_show_what_was_seen() -> None:
    shown = result(*[50 * MIB] * 100)
    assert "| queries | 1,234 |" in table(shown)
    assert "+0.0%, to 50 MiB" in table(shown)
    drawing = svg(shown.samples)
    ET.fromstring(drawing)  # noqa: S314 - it is our own
    assert "prefers-color-scheme: dark" in drawing
    assert drawing.count("<polyline") == 2


def test_the_page_has_the_text_of_its_template() -> None:
    root = Path(__file__).parents[2]
    template = (root / "soak" / "page.md").read_text(encoding="utf-8")
    page = (root / "docs" / "reliability.md").read_text(encoding="utf-8")
    for line in template.splitlines():
        if "{" not in line:
            assert line in page
