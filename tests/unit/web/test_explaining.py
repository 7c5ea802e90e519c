"""`POST /worklists/explain` says what `mwl explain --json` says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mwl import telemetry
from support.api import Api, api_of
from support.server import run_mwl
from support.worklist_files import FIVE_ITEMS, GARBAGE, fill, part10


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path) as api:
        fill(tmp_path, {name: part10(item) for name, item in FIVE_ITEMS.items()})
        fill(tmp_path, {"bad.wl": GARBAGE})
        api.found("PatientID")
        yield api


async def test_it_is_what_the_command_says(api: Api) -> None:
    key = "ScheduledProcedureStepSequence[0].Modality=MR"
    body = {"Keys": [key, "PatientName"], "CallingAet": "CT1", "Misses": 3}
    said = await api.ask("POST", "/worklists/explain", body)
    done = run_mwl(
        *("explain", api.folder, "--json", "-k", key, "-k", "PatientName"),
        *("-aet", "CT1", "--misses", 3),
    )
    expected = json.loads(done.stdout)
    found = said.json()
    assert found["matches"] == 1
    for key in expected.keys() - {"caller", "refused"}:
        assert found[key] == expected[key], key


async def test_without_keys_the_usual_ones_are_asked_for(api: Api) -> None:
    bodies: list[dict[str, Any] | None] = [None, {}, {"Keys": []}]
    for body in bodies:
        found = (await api.ask("POST", "/worklists/explain", body)).json()
        assert found["matches"] == 5
        assert "Modality" in found["returned"]


async def test_a_query_may_be_dicom_json(api: Api) -> None:
    body = {"Query": {"00100020": {"vr": "LO", "Value": ["P2"]}}}
    found = (await api.ask("POST", "/worklists/explain", body)).json()
    assert [answer["source"] for answer in found["answers"]] == ["p2.wl"]


async def test_a_query_may_be_written_as_orthanc_takes_it(api: Api) -> None:
    query = {"0010,0020": "P2", "ScheduledProcedureStepSequence": [{"Modality": ""}]}
    found = (await api.ask("POST", "/worklists/explain", {"Query": query})).json()
    assert [answer["source"] for answer in found["answers"]] == ["p2.wl"]
    assert found["returned"] == ["Modality"]


@pytest.mark.parametrize(
    "body",
    [
        {"Keys": "PatientID"},
        {"Keys": [1]},
        {"Keys": ["NoKeyword=1"]},
        {"Query": {"PatientID": {"Value": "x"}}},
        {"Query": {"PatientID": 5}},
        {"Query": {"NoKeyword": ""}},
        {"Query": 3},
        {"CallingAet": ""},
        {"CallingAet": "x" * 17},
        {"CalledAet": 3},
        {"Misses": -1},
        {"Misses": "x"},
        [],
    ],
)
async def test_what_is_no_query_is_refused(api: Api, body: Any) -> None:
    assert (await api.ask("POST", "/worklists/explain", body)).status == 400


async def test_it_changes_nothing_and_writes_no_log_lines(api: Api) -> None:
    worklist = api.context.worklists.of("ORTHANC")
    assert worklist is not None
    before = (worklist.catalog.version, worklist.results.hits, telemetry.COUNTS.copy())
    await api.ask("POST", "/worklists/explain", {"Keys": ["PatientID=P1"]})
    assert (worklist.catalog.version, worklist.results.hits, telemetry.COUNTS) == before
