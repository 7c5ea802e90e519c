"""Worklist files for tests: the five items that the peers were compared with, and many items.

The people are invented.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, ExplicitVRLittleEndian

MODALITY_WORKLIST_FIND = UID("1.2.840.10008.5.1.4.31")


def code(value: str, meaning: str) -> Dataset:
    """Make the item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "99TEST"
    item.CodeMeaning = meaning
    return item


def step(modality: str, station: str | list[str], date: str, time: str, identifier: str) -> Dataset:
    """Make a scheduled procedure step that wlmscpfs takes for complete."""
    item = Dataset()
    item.Modality = modality
    item.ScheduledStationAETitle = station
    item.ScheduledProcedureStepStartDate = date
    item.ScheduledProcedureStepStartTime = time
    item.ScheduledPerformingPhysicianName = "READER^RITA"
    item.ScheduledProcedureStepDescription = f"STEP {identifier}"
    item.ScheduledProtocolCodeSequence = [code("PROT1", "A protocol")]
    item.ScheduledProcedureStepID = identifier
    item.ScheduledStationName = "ROOM 1"
    item.ScheduledProcedureStepLocation = "FLOOR 2"
    return item


def worklist(
    patient_id: str, patient_name: str, *steps: Dataset, character_set: str | None = None
) -> Dataset:
    """Make a worklist item; numbers are derived from the Patient ID, `P1` and the like."""
    number = patient_id[1:]
    item = Dataset()
    if character_set:
        item.SpecificCharacterSet = character_set
    item.AccessionNumber = f"A{number}"
    item.ReferringPhysicianName = "SENDER^SAM"
    item.ReferencedStudySequence = []
    item.ReferencedPatientSequence = []
    item.PatientName = patient_name
    item.PatientID = patient_id
    item.PatientBirthDate = "19700101"
    item.PatientSex = "O"
    item.StudyInstanceUID = f"1.2.3.{number}"
    item.RequestingPhysician = "ASKER^ANN"
    item.RequestedProcedureDescription = f"PROCEDURE {number}"
    if steps:
        item.ScheduledProcedureStepSequence = list(steps)
    item.RequestedProcedureID = f"RP{number}"
    item.RequestedProcedurePriority = "ROUTINE"
    return item


P1 = worklist("P1", "DOE^JANE", step("CT", "CT1", "20250110", "085607", "S1"))
P2 = worklist("P2", "ROE^RICHARD", step("CT", ["CT1", "CT2"], "20250111", "085607", "S2"))
P3 = worklist("P3", "POE^PAULA", step("MR", "MR1", "20250112", "1200", "S3"))
P4 = worklist(
    "P4", "Примеров^Пётр", step("CT", "CT9", "20250113", "090000", "S4"), character_set="ISO_IR 192"
)
P5 = worklist("P5", "NOSTEP^NORA")
FIVE_ITEMS = {"p1.wl": P1, "p2.wl": P2, "p3.wl": P3, "p4.wl": P4, "p5.wl": P5}
GARBAGE = b"This is no worklist file. " * 20


def part10(item: Dataset) -> bytes:
    """Encode an item as a DICOM file."""
    file = Dataset()
    file.update(item)
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = MODALITY_WORKLIST_FIND
    file.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4.5")
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def put(folder: Path, name: str, content: Dataset | bytes) -> Path:
    """Put a file into a folder as a careful program does: written aside, then renamed."""
    path = folder / name
    aside = folder / f"{name}.part"
    aside.write_bytes(content if isinstance(content, bytes) else part10(content))
    aside.replace(path)
    return path


def fill(folder: Path, items: Mapping[str, Dataset | bytes]) -> Path:
    """Put several files into a folder, making it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, item in items.items():
        put(folder, name, item)
    return folder


def fill_with_many(folder: Path, count: int) -> Path:
    """Put items into a folder that differ in their numbers: Patient ID N10000, N10001 and so on.

    Each has 10,000 characters of history, so that 2,000 answers with it exceed what the sockets'
    buffers on both sides can hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    item = worklist("N99999", "MANY^MAX", step("CT", "CT1", "20250110", "0800", "S1"))
    item.AdditionalPatientHistory = "long " * 2000
    template = part10(item)
    for number in range(10000, 10000 + count):
        (folder / f"{number}.wl").write_bytes(template.replace(b"99999", b"%d" % number))
    return folder


def query_file(path: Path, identifier: Dataset) -> Path:
    """Write an identifier as a file for findscu and mwl find."""
    path.write_bytes(part10(identifier))
    return path


def configuration(path: Path, database: Path, **options: Any) -> Path:
    """Write a configuration in Orthanc's form; `Worklists` gains Enable and Database."""
    worklists = {"Enable": True, "Database": os.fspath(database)} | options.pop("Worklists", {})
    path.write_text(json.dumps(options | {"Worklists": worklists}, indent=2), encoding="utf-8")
    return path
