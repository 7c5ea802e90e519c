"""What a configuration changes for the devices: the dialect, who may ask, lengths of PDUs."""

from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset

from support.dcmtk import echoscu, findscu
from support.server import Configured, configured_server
from support.worklist_files import FIVE_ITEMS, fill, query_file, step, worklist

pytestmark = pytest.mark.interop

STEP = "ScheduledProcedureStepSequence[0]"
TWO_STEPS = worklist(
    "P6",
    "TWO^TOM",
    step("NM", "NM1", "20250120", "0900", "FIRST"),
    step("NM", "NM2", "20250120", "1200", "SECOND"),
)


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Give a function that runs a server over the items with some options."""
    return partial(
        configured_server,
        tmp_path / "mwl.json",
        fill(tmp_path / "items", FIVE_ITEMS | {"p6.wl": TWO_STEPS}),
    )


def test_orthanc_dialect_answers_as_orthanc_does(configured: Configured) -> None:
    with configured(Worklists={"Compatibility": "orthanc"}) as server:

        def ask(*keys: str) -> list[Dataset]:
            return list(findscu(server.host, server.port, "PatientID", *keys).answers)

        # A requested key that the item lacks is left out.
        (answer,) = ask("PatientID=P1", "MedicalAlerts", "PatientSex")
        assert "PatientSex" in answer
        assert "MedicalAlerts" not in answer
        # A step key is skipped for an item without steps.
        found = {str(answer.PatientID) for answer in ask(f"{STEP}.ScheduledStationAETitle=MR1")}
        assert found == {"P3", "P5"}
        # One answer for a file, whatever the number of its steps.
        assert len(ask("PatientID=P6", STEP)) == 1


def test_orthanc_dialect_transcodes_answers_and_logs_what_is_lost(configured: Configured) -> None:
    worklists = {"Compatibility": "orthanc"}
    with configured(Worklists=worklists, DefaultEncoding="Latin1") as server:
        (answer,) = findscu(server.host, server.port, "PatientID=P4", "PatientName").answers
        assert answer.get("SpecificCharacterSet", "ISO_IR 100") == "ISO_IR 100"
        assert "Прим" not in str(answer.PatientName)
        server.log.wait_for("text_lost")
    with configured(Worklists=worklists, DefaultEncoding="Cyrillic") as server:
        (answer,) = findscu(server.host, server.port, "PatientID=P4", "PatientName").answers
        assert answer.SpecificCharacterSet == "ISO_IR 144"
        assert answer.PatientName == "Примеров^Пётр"


def test_device_may_be_allowed_to_echo_and_not_to_query(configured: Configured) -> None:
    modalities = {
        "echo only": {"AET": "ECHOONLY", "Host": "127.0.0.1", "Port": 104}
        | {"AllowFindWorklist": False},
        "both": ["BOTH", "127.0.0.1", 104],
    }
    with configured(DicomAlwaysAllowFindWorklist=False, DicomModalities=modalities) as server:
        refused = findscu(server.host, server.port, "PatientID", calling="ECHOONLY")
        assert refused.statuses == (0x0124,)
        assert echoscu(server.host, server.port, "-aet", "ECHOONLY").returncode == 0
        assert findscu(server.host, server.port, "PatientID", calling="BOTH").answers
        # AE titles are compared without case unless StrictAetComparison says otherwise.
        assert findscu(server.host, server.port, "PatientID", calling="both").answers


def test_device_at_another_address_is_refused_when_hosts_are_checked(
    configured: Configured,
) -> None:
    modalities = {"elsewhere": ["CT1", "192.0.2.1", 104], "here": ["MR1", "127.0.0.1", 104]}
    with configured(
        DicomAlwaysAllowFindWorklist=False,
        DicomCheckModalityHost=True,
        DicomModalities=modalities,
    ) as server:
        refused = findscu(server.host, server.port, "PatientID", calling="CT1")
        assert refused.statuses == (0x0124,)
        assert findscu(server.host, server.port, "PatientID", calling="MR1").answers


def test_case_of_person_names_counts_when_asked_for(configured: Configured) -> None:
    with configured(CaseSensitivePN=True) as server:
        assert not findscu(server.host, server.port, "PatientName=doe*").answers
        assert findscu(server.host, server.port, "PatientName=DOE*").answers


def test_query_longer_than_a_pdu_is_put_together(configured: Configured, tmp_path: Path) -> None:
    identifier = Dataset()
    identifier.PatientID = ""
    identifier.StudyInstanceUID = [f"1.2.826.0.1.3680043.2.{number}" for number in range(2000)]
    identifier.StudyInstanceUID.append("1.2.3.3")
    file = query_file(tmp_path / "long.dcm", identifier)
    assert file.stat().st_size > 40_000
    with configured(MaximumPduLength=4096) as server:
        result = findscu(server.host, server.port, query_files=[file])
        assert result.patient_ids == ["P3"]
