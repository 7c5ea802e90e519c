"""The sample worklists: built anew they are the same, and they are served as their sources say."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from support.server import RunningServer, run_mwl, running_server

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
SOURCES = sorted((SAMPLES / "source").glob("*.json"))


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(SAMPLES / "worklists") as running:
        yield running


@pytest.fixture(scope="module")
def answers(server: RunningServer) -> dict[str, list[Dataset]]:
    """Everything, by Patient ID."""
    keys = ["SpecificCharacterSet", "PatientName", "PatientID", "ScheduledProcedureStepSequence"]
    options = [part for key in keys for part in ("-k", key)]
    done = run_mwl("find", *options, "--json", server.host, server.port)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Dataset]] = {}
    for answer in map(Dataset.from_json, json.loads(done.stdout)):
        found.setdefault(answer.PatientID, []).append(answer)
    return found


def source(path: Path) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["item"]
    return item


def comparable(path: Path) -> object:
    """Give a file's bytes; of a deflated one what it holds, for zlib's versions differ."""
    file = dcmread(path, force=True)
    if file.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return file
    return path.read_bytes()


def test_built_anew_the_samples_are_the_same(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "build-samples"
    subprocess.run([sys.executable, script, "--output", tmp_path], check=True, timeout=30)
    committed = {path.name: comparable(path) for path in (SAMPLES / "worklists").iterdir()}
    assert {path.name: comparable(path) for path in tmp_path.iterdir()} == committed


def test_there_are_samples_of_many_kinds() -> None:
    items = [source(path) for path in SOURCES]
    steps = [step for item in items for step in item["ScheduledProcedureStepSequence"]]
    assert len(items) >= 14
    assert len({step["Modality"] for step in steps}) >= 8
    assert len({str(item.get("SpecificCharacterSet")) for item in items}) >= 8
    assert any(len(item["ScheduledProcedureStepSequence"]) > 1 for item in items)
    assert any(isinstance(step["ScheduledStationAETitle"], list) for step in steps)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sample_is_served_as_its_source_says(answers: dict[str, list[Dataset]], path: Path) -> None:
    item = source(path)
    served = answers[item["PatientID"]]
    assert {str(answer.PatientName) for answer in served} == {item["PatientName"]}
    steps = [answer.ScheduledProcedureStepSequence[0] for answer in served]
    asked = item["ScheduledProcedureStepSequence"]
    assert [step.ScheduledProcedureStepDescription for step in steps] == [
        step["ScheduledProcedureStepDescription"] for step in asked
    ]
    assert [step["ScheduledStationAETitle"].value for step in steps] == [
        step["ScheduledStationAETitle"] for step in asked
    ]


def test_every_sample_is_served_and_none_is_skipped(
    server: RunningServer, answers: dict[str, list[Dataset]]
) -> None:
    assert len(answers) == len(SOURCES)
    assert not server.log.events("file_skipped")
