"""The examples do what they say."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset

from support.dcmtk import findscu
from support.server import Configured, configured_server
from support.worklist_files import fill, step, worklist

EXAMPLES = Path(__file__).parents[2] / "examples"
STEP = "ScheduledProcedureStepSequence[0]"
ITEMS = {
    "a.wl": worklist("P1", "SINGLE^SAM", step("CT", "CT_OLD", "20261124", "0800", "CHEST")),
    "b.wl": worklist("P2", "SONO^SUE", step("US", "US-ROOM-2", "20261124", "0830", "LIVER")),
}


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Give a function that runs a server over two items with an example."""
    return partial(configured_server, tmp_path / "mwl.json", fill(tmp_path / "items", ITEMS))


def test_orders_of_a_ris_are_answered_beside_the_folder(
    tmp_path: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "orders.sqlite"
    script = EXAMPLES / "ris_candidates.py"
    subprocess.run([sys.executable, script, database], check=True)
    monkeypatch.setenv("RIS_DATABASE", str(database))
    with configured(Hooks=[str(script)]) as server:

        def ask(*keys: str) -> list[Dataset]:
            found = findscu(server.host, server.port, "PatientID", "PatientName", *keys)
            assert found.final_status == 0x0000
            return list(found.answers)

        assert [answer.PatientID for answer in ask()] == ["P1", "P2", "P-7001"]
        (answer,) = ask(f"{STEP}.Modality=MR")
        assert answer.PatientName == "Beispiel^Jörg"
        assert ask("PatientID=P-7002") == []
        assert ask("PatientID=P*", f"{STEP}.Modality=CT")[0].PatientID == "P1"


def test_the_old_ultrasound_finds_its_patients(configured: Configured) -> None:
    keys = ("PatientID", f"{STEP}.ScheduledProcedureStepStartDate=19000101-")
    station = f"{STEP}.ScheduledStationAETitle=us-room-2"
    with configured(Hooks=[str(EXAMPLES / "old_ultrasound.py")]) as server:
        found = findscu(server.host, server.port, *keys, station, calling="us-room-2")
        assert found.patient_ids == ["P2"]
        assert findscu(server.host, server.port, *keys, station, calling="CT1").answers == ()


def test_the_old_scanner_gets_plain_names(tmp_path: Path, configured: Configured) -> None:
    item = worklist("P3", "Müller^Jérôme", step("CT", "CT_OLD", "20261124", "0900", "HEAD"))
    item.SpecificCharacterSet = "ISO_IR 192"
    fill(tmp_path / "more", {"c.wl": item})
    (tmp_path / "more" / "c.wl").rename(tmp_path / "items" / "c.wl")
    keys = ("PatientID=P3", "PatientName")
    with configured(Hooks=[str(EXAMPLES / "plain_names.py")]) as server:
        (plain,) = findscu(server.host, server.port, *keys, calling="CT_OLD").answers
        assert plain.PatientName == "Mueller^Jerome"
        (other,) = findscu(server.host, server.port, *keys, calling="CT1").answers
        assert other.PatientName == "Müller^Jérôme"


def test_events_are_written_into_a_file(
    tmp_path: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv("EVENT_FILE", str(events))
    with configured(Hooks=[str(EXAMPLES / "event_file.py")]) as server:
        findscu(server.host, server.port, "PatientID=P1")
        (tmp_path / "items" / "a.wl").unlink()
        assert findscu(server.host, server.port, "PatientID=P1").answers == ()
        server.stop()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    seen = [(line["event"], line.get("answers"), line.get("source")) for line in lines]
    assert seen == [("query", 1, None), ("removed", None, "a.wl"), ("query", 0, None)]
    assert lines[0]["keys"] == ["PatientID"]


def test_the_lua_script_restricts_each_query_to_the_station_that_asks(
    configured: Configured,
) -> None:
    with configured(LuaScripts=[str(EXAMPLES / "own_station.lua")]) as server:
        for keys in (("PatientID",), ("PatientID", f"{STEP}.ScheduledStationAETitle=CT_OLD")):
            found = findscu(server.host, server.port, *keys, calling="US-ROOM-2")
            assert found.patient_ids == ["P2"]


def test_the_python_script_answers_from_its_own_folder(
    tmp_path: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = worklist("P9", "OWN^FOLDER", step("CT", "CT1", "20261124", "0900", "HEAD"))
    monkeypatch.setenv("WORKLISTS", str(fill(tmp_path / "own", {"own.wl": item})))
    with configured(PythonScript=str(EXAMPLES / "folder_of_worklists.py")) as server:
        assert findscu(server.host, server.port, "PatientID", "PatientName").patient_ids == ["P9"]


def test_every_example_is_listed_and_tried_here() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    here = Path(__file__).read_text("utf-8")
    for file in EXAMPLES.iterdir():
        if file.suffix in {".py", ".lua"}:
            assert f"`{file.name}`" in listed
            assert f'"{file.name}"' in here
