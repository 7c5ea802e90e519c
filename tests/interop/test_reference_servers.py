"""The queries with which the reference servers were compared, each with the right outcome.

Items: P1 CT on CT1, 20250110 085607; P2 CT on CT1 and CT2, 20250111 085607; P3 MR on MR1,
20250112 1200; P4 a Cyrillic name on CT9, 20250113; P5 without a scheduled procedure step; and a
file `bad.wl` that is none. Orthanc's plugin and wlmscpfs each get several of these wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dcmtk import FindResult, echoscu, findscu
from support.server import RunningServer, configured_server, running_server
from support.worklist_files import FIVE_ITEMS, GARBAGE, P2, configuration, fill

STEP = "ScheduledProcedureStepSequence[0]"
STATION = f"{STEP}.ScheduledStationAETitle"
START_DATE = f"{STEP}.ScheduledProcedureStepStartDate"
START_TIME = f"{STEP}.ScheduledProcedureStepStartTime"

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("lab") / "items", FIVE_ITEMS | {"bad.wl": GARBAGE})


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running_server(folder) as running:
        yield running


def query(server: RunningServer, *keys: str) -> FindResult:
    return findscu(server.host, server.port, "PatientID", *keys)


ALL = ["P1", "P2", "P3", "P4", "P5"]
ROWS = {
    "everything": ([], ALL),
    "station AE title CT1, one of several values": ([f"{STATION}=CT1"], ["P1", "P2"]),
    "station AE title CT2, the second value": ([f"{STATION}=CT2"], ["P2"]),
    "station AE title with a wild card": ([f"{STATION}=CT*"], ["P1", "P2", "P4"]),
    "station AE title in the wrong case": ([f"{STATION}=ct1"], []),
    "start date a lone asterisk": ([f"{START_DATE}=*"], ALL),
    "start date a range": ([f"{START_DATE}=20250110-20250111"], ["P1", "P2"]),
    "start date in the old form": ([f"{START_DATE}=2025.01.10"], ["P1"]),
    "start time to the minute": ([f"{START_TIME}=0856"], ["P1", "P2"]),
    "start time a range to the minute": ([f"{START_TIME}=0800-0856"], ["P1", "P2"]),
    "start date and time ranges are one interval": (
        [f"{START_DATE}=20250110-20250112", f"{START_TIME}=0900-0600"],
        ["P2"],
    ),
    "patient name in lower case": (["PatientName=doe*"], ["P1"]),
    "patient ID with a wild card": (["PatientID=P*"], ALL),
    "list of study instance UIDs": ([r"StudyInstanceUID=1.2.3.1\1.2.3.3"], ["P1", "P3"]),
}


@pytest.mark.parametrize(("keys", "expected"), ROWS.values(), ids=ROWS)
def test_query_finds_exactly_the_right_items(
    server: RunningServer, keys: list[str], expected: list[str]
) -> None:
    result = query(server, *keys)
    assert sorted(result.patient_ids) == expected
    assert result.final_status == 0x0000
    assert set(result.statuses[:-1]) <= {0xFF00}


def test_answers_come_by_date_and_time(server: RunningServer) -> None:
    orders = [query(server).patient_ids for _ in range(2)]
    assert [name for name in orders[0] if name != "P5"] == ["P1", "P2", "P3", "P4"]
    assert orders[0] == orders[1]


def test_garbage_in_the_folder_is_skipped_and_the_operator_told_once(
    server: RunningServer,
) -> None:
    query(server)
    query(server)
    server.log.wait_for("query")
    skipped = [line for line in server.log.events("file_skipped") if "bad.wl" in line.text]
    assert len(skipped) == 1
    assert "reason" in skipped[0].fields or "error" in skipped[0].fields


@pytest.mark.parametrize("keyword", ["MedicalAlerts", "PatientWeight", "Occupation"])
def test_requested_key_that_the_item_lacks_comes_back_with_zero_length(
    server: RunningServer, keyword: str
) -> None:
    result = query(server, keyword, "PatientID=P1")
    assert result.statuses == (0xFF00, 0x0000)
    assert keyword in result.answers[0]
    assert result.answers[0][keyword].is_empty


def test_step_sequence_key_with_an_empty_item_returns_the_stored_step(
    server: RunningServer,
) -> None:
    result = query(server, "PatientID=P2", STEP)
    assert result.answers[0].ScheduledProcedureStepSequence == P2.ScheduledProcedureStepSequence


def test_step_sequence_key_without_items_returns_the_stored_step(server: RunningServer) -> None:
    result = query(server, "PatientID=P2", "ScheduledProcedureStepSequence")
    assert result.answers[0].ScheduledProcedureStepSequence == P2.ScheduledProcedureStepSequence


def test_cyrillic_name_is_answered_whole_with_its_character_set(server: RunningServer) -> None:
    (answer,) = query(server, "PatientID=P4", "PatientName").answers
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    assert answer.PatientName == "Примеров^Пётр"


def test_lockfile_is_not_required(server: RunningServer, folder: Path) -> None:
    assert not (folder / "lockfile").exists()
    assert query(server).final_status == 0x0000


def test_wrong_called_ae_title_is_answered_unless_checked(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    assert findscu(server.host, server.port, "PatientID", called="OTHER").final_status == 0x0000
    file = configuration(
        tmp_path / "mwl.json", folder, DicomCheckCalledAet=True, DicomAlwaysAllowFindWorklist=True
    )
    with running_server("--config", file) as strict:
        refused = findscu(strict.host, strict.port, "PatientID", called="OTHER")
        assert "Called AE Title Not Recognized" in refused.output
        strict.log.wait_for("association_refused")
        assert findscu(strict.host, strict.port, "PatientID").final_status == 0x0000


def test_unknown_caller_is_told_so_and_the_log_says_what_to_add(
    folder: Path, tmp_path: Path
) -> None:
    file = configuration(
        tmp_path / "mwl.json", folder, DicomModalities={"ct1": ["CT1", "127.0.0.1", 104]}
    )
    with running_server("--config", file) as server:
        refused = findscu(server.host, server.port, "PatientID", calling="STRANGER")
        assert refused.statuses == (0x0124,)
        assert refused.error_comment
        line = server.log.wait_for("association_refused")
        assert "STRANGER" in line.text
        assert "DicomModalities" in line.text
        known = findscu(server.host, server.port, "PatientID", calling="CT1")
        assert known.final_status == 0x0000


def test_unknown_caller_is_rejected_when_nothing_is_open_to_all(
    folder: Path, tmp_path: Path
) -> None:
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        DicomAlwaysAllowEcho=False,
        DicomAlwaysAllowStore=False,
        DicomModalities={"ct1": ["CT1", "127.0.0.1", 104]},
    )
    with running_server("--config", file) as server:
        refused = echoscu(server.host, server.port, "-aet", "STRANGER")
        assert "Calling AE Title Not Recognized" in refused.stdout
        assert "DicomModalities" in server.log.wait_for("association_refused").text
        assert echoscu(server.host, server.port, "-aet", "CT1").returncode == 0


def test_limited_answers_are_exactly_as_many_and_end_with_cancel(
    folder: Path, tmp_path: Path
) -> None:
    with configured_server(tmp_path / "mwl.json", folder, Worklists={"LimitAnswers": 2}) as server:
        assert query(server).statuses == (0xFF00, 0xFF00, 0xFE00)
        assert query(server, f"{START_DATE}=20250110-20250111").statuses == (
            *(0xFF00, 0xFF00),
            0x0000,
        )


def test_caller_filter_fills_an_empty_station_and_never_overrides_one(
    folder: Path, tmp_path: Path
) -> None:
    with configured_server(
        tmp_path / "mwl.json", folder, Worklists={"FilterIssuerAet": True}
    ) as server:

        def of(*keys: str) -> list[str]:
            result = findscu(server.host, server.port, "PatientID", *keys, calling="CT1")
            return sorted(result.patient_ids)

        assert of() == ["P1", "P2"]
        assert of(f"{STATION}=*") == ["P1", "P2"]
        assert of(STATION) == ["P1", "P2"]
        assert of(f"{STATION}=MR1") == ["P3"]


def test_forced_caller_filter_always_restricts_to_the_callers_items(
    folder: Path, tmp_path: Path
) -> None:
    with configured_server(
        tmp_path / "mwl.json", folder, Worklists={"FilterIssuerAet": "force"}
    ) as server:
        result = findscu(server.host, server.port, "PatientID", f"{STATION}=MR1", calling="CT1")
        assert "P3" not in result.patient_ids
