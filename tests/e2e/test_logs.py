"""What the log tells, and that it tells nothing about patients unless it is asked to."""

import copy
import json
from pathlib import Path

import pytest
from pydicom import Dataset

from support.dcmtk import findscu
from support.server import running_server
from support.worklist_files import FIVE_ITEMS, GARBAGE, configuration, fill

STEP = "ScheduledProcedureStepSequence[0]"
PATIENT_DATA = [
    str(value)
    for item in FIVE_ITEMS.values()
    for name in (item.PatientName, "Jane", "NOSTEP")
    for value in (name, str(name).split("^")[0])
]
"""Names as stored, and their family names; numbers like `P1` are too short to search for."""


def odd_patient() -> Dataset:
    item = copy.deepcopy(FIVE_ITEMS["p1.wl"])
    item.PatientID = "PATIENT-ID-QXJK"
    item.PatientBirthDate = "19310509"
    return item


def queries(port: int) -> None:
    """Ask for all that could reach the log: names, numbers, what matches and what does not."""
    for key in (
        "PatientName=DOE*",
        "PatientName=ROE^RICHARD",
        "PatientName=Примеров*",
        "PatientID=PATIENT-ID-QXJK",
        "PatientBirthDate=19310509",
        "PatientName=POE^PAULA^NOWHERE",
        "PatientBirthDate=PATIENT-ID-QXJK",
        f"{STEP}.ScheduledProcedureStepStartDate=DOE^JANE",
    ):
        findscu("127.0.0.1", port, key, "PatientID")


@pytest.mark.parametrize("level", [[], ["--verbose"]], ids=["default", "verbose"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_patient_data_is_logged(tmp_path: Path, level: list[str], log_format: str) -> None:
    broken = GARBAGE + b"DOE^JANE PATIENT-ID-QXJK"
    folder = fill(tmp_path / "items", FIVE_ITEMS | {"odd.wl": odd_patient(), "bad.wl": broken})
    with running_server(folder, *level, "--log-format", log_format) as server:
        queries(server.port)
        log = server.stop()
    assert len(server.log.events("query")) == 6
    assert len(server.log.events("query_refused")) == 2
    found = [value for value in [*PATIENT_DATA, "QXJK", "19310509"] if value in log]
    assert found == []


def test_values_are_logged_when_the_site_asks_for_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    file = configuration(
        tmp_path / "mwl.json", folder, DicomAlwaysAllowFindWorklist=True, DeidentifyLogs=False
    )
    with running_server("--config", file, "--verbose") as server:
        findscu(server.host, server.port, "PatientName=DOE*")
        line = server.log.wait_for("query_identifier")
        assert "0010,0010" in line.text
        assert "DOE*" in line.text
        assert "p1.wl" in server.log.wait_for("query_matched").text


def test_one_line_tells_of_a_query_and_one_of_its_association(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    with running_server(folder) as server:
        findscu(server.host, server.port, f"{STEP}.Modality=CT", calling="CT1")
        query = server.log.wait_for("query")
        association = server.log.wait_for("association")
    assert query.fields["calling_ae_title"] == association.fields["calling_ae_title"] == "CT1"
    assert query.fields["answers"] == "3"
    assert query.fields["status"] == "0000"
    assert float(query.fields["milliseconds"]) >= 0
    assert "Modality" in query.fields["keys"]
    assert len(server.log.events("query")) == len(server.log.events("association")) == 1


def test_query_without_an_answer_says_which_key_excluded_the_most_items(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    with running_server(folder) as server:
        findscu(server.host, server.port, f"{STEP}.ScheduledStationAETitle=CT7", "PatientSex=O")
        query = server.log.wait_for("query")
    assert query.fields["answers"] == "0"
    assert "ScheduledStationAETitle" in query.fields["excluded_most"]


@pytest.mark.parametrize("hides", [True, False])
def test_a_query_that_is_refused_names_its_keys_too(tmp_path: Path, hides: bool) -> None:
    file = configuration(
        tmp_path / "mwl.json",
        fill(tmp_path / "items", FIVE_ITEMS),
        DicomAlwaysAllowFindWorklist=True,
        DeidentifyLogs=hides,
    )
    with running_server("--config", file) as server:
        findscu(
            *(server.host, server.port, "SpecificCharacterSet=ISO_IR 192", "PatientName=DOE*"),
            *("PatientID", "AccessionNumber=*", f"{STEP}.ScheduledProcedureStepStartDate=2025*"),
        )
        refused = server.log.wait_for("query_refused")
    step = "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate"
    assert refused.fields["keys"] == (
        f"PatientName {step}"
        if hides
        else "SpecificCharacterSet=ISO_IR 192 AccessionNumber=* PatientName=DOE* " + step + "=2025*"
    )


def test_what_a_stranger_asks_for_is_not_read(tmp_path: Path) -> None:
    file = configuration(tmp_path / "mwl.json", fill(tmp_path / "items", FIVE_ITEMS))
    with running_server("--config", file) as server:
        findscu(server.host, server.port, "PatientName=DOE*")
        refused = server.log.wait_for("query_refused")
    assert refused.fields["status"] == "0124"
    assert "keys" not in refused.fields


def test_every_line_of_the_json_log_is_an_event(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS | {"bad.wl": GARBAGE})
    with running_server(folder, "--log-format", "json", "--trace") as server:
        findscu(server.host, server.port, "PatientName")
        log = server.stop()
    events = [json.loads(line) for line in log.splitlines()]
    assert {"listening", "query", "association", "pdu", "answer", "stopped"} <= {
        event["event"] for event in events
    }
    assert all({"timestamp", "level", "event"} <= event.keys() for event in events)
