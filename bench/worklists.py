"""Worklist files and identifiers with invented people, the same bytes every time.

The hospital has 400 stations (40 of each of ten modalities), and item number n is on station
n modulo 400, on day n // 400. So a query for one station on one day has one answer, however many
files there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Element,
    encode,
    tag_of,
    vr_of,
)

MODALITIES = ("CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "RF")
STATIONS = 400
FIRST_DAY = date(2026, 11, 1)
SURNAMES = (
    *("VIVALDI", "BACH", "PURCELL", "MOZART", "HAYDN", "VERDI", "PUCCINI", "ROSSINI", "RAVEL"),
    *("BIZET", "SATIE", "FAURE", "BRAHMS", "LISZT", "WAGNER", "CHOPIN", "DVORAK", "ELGAR"),
)
GIVEN_NAMES = (
    *("ANNA", "BRUNO", "CARLA", "DAVID", "ELENA", "FRANZ", "GRETA", "HANS", "IRENE", "JOHANN"),
    *("KLARA", "LEON", "MARIA", "NINA", "OTTO", "PAULA"),
)

NUMBER = "@@@@@@@"
"""Seven characters in a pattern that the load generator replaces by the number of the query."""

SERIAL = "#######"
"""Likewise by a serial number that never comes twice."""

_META = 2 << 16
_STORAGE = "1.2.840.10008.5.1.4.31"
_UID_ROOT = "2.999"  # the arc for examples

Values = Mapping[str, Any]

STEP_KEYS = (
    *("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"),
    *("ScheduledProcedureStepStartTime", "ScheduledPerformingPhysicianName"),
    *("ScheduledProcedureStepDescription", "ScheduledProcedureStepID", "ScheduledStationName"),
    "ScheduledProcedureStepLocation",
)
KEYS = (
    *("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID"),
    *("PatientBirthDate", "PatientSex", "PatientWeight", "MedicalAlerts", "Allergies"),
    *("StudyInstanceUID", "RequestingPhysician", "RequestedProcedureDescription"),
    *("RequestedProcedureID", "RequestedProcedurePriority"),
)
"""What a scanner asks for: 14 attributes of the item, nine of its scheduled procedure step."""


def data_set(values: Values) -> list[Element]:
    """Make the elements of a data set from values by keyword; a sequence is a list of mappings."""
    return [_element(keyword, value) for keyword, value in values.items()]


def _element(keyword: str, value: Any) -> Element:
    tag = tag_of(keyword)
    if tag is None:
        raise KeyError(keyword)
    if isinstance(value, str):
        return Element(tag, vr_of(tag), value.encode("latin-1"))
    items = (sorted(data_set(item)) for item in value)
    return Element(tag, "SQ", tuple({element.tag: element for element in item} for item in items))


def _pick(names: Sequence[str], number: int) -> str:
    """Choose a name by a number, without the pattern that neighbours would show."""
    return names[(number * 2_654_435_761 >> 7) % len(names)]


def item(number: int, *, digits: str | None = None, accession: str | None = None) -> Values:
    """Make the values of one worklist item.

    Args:
        number: Which item: decides station, day, names.
        digits: Seven characters that stand in identifiers instead of the number.
        accession: Seven characters that stand in the accession number instead of those.
    """
    modality = MODALITIES[number % len(MODALITIES)]
    digits = digits or f"{number:07d}"
    day = FIRST_DAY + timedelta(days=number // STATIONS)
    birth = date(1930, 1, 1) + timedelta(days=number * 7919 % 30_000)
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "AccessionNumber": f"A{accession or digits}",
        "ReferringPhysicianName": f"REFERRER^{_pick(SURNAMES, number + 11)}",
        "PatientName": f"{_pick(SURNAMES, number)}^{_pick(GIVEN_NAMES, number + 5)}",
        "PatientID": f"PID{digits}",
        "PatientBirthDate": f"{birth:%Y%m%d}",
        "PatientSex": "MF"[number % 2],
        "PatientWeight": str(40 + number * 13 % 70),
        "MedicalAlerts": "",
        "Allergies": "",
        "StudyInstanceUID": f"{_UID_ROOT}.1.1{digits}",
        "RequestingPhysician": f"ASKER^{_pick(SURNAMES, number + 3)}",
        "RequestedProcedureDescription": f"{modality} EXAMINATION {number % 17}",
        "RequestedProcedureCodeSequence": [_code(f"C{number % 50:03d}", "Procedure")],
        "AdmissionID": f"ADM{digits}",
        "ScheduledProcedureStepSequence": [
            {
                "Modality": modality,
                "ScheduledStationAETitle": station(number),
                "ScheduledProcedureStepStartDate": f"{day:%Y%m%d}",
                "ScheduledProcedureStepStartTime": f"{7 + number % 11:02d}{number * 7 % 60:02d}00",
                "ScheduledPerformingPhysicianName": f"READER^{_pick(SURNAMES, number + 7)}",
                "ScheduledProcedureStepDescription": f"{modality} STEP {number % 13}",
                "ScheduledProtocolCodeSequence": [_code(f"P{number % 30:03d}", "Protocol")],
                "ScheduledProcedureStepID": f"STEP{digits}",
                "ScheduledStationName": f"ROOM {number % 90}",
                "ScheduledProcedureStepLocation": f"FLOOR {number % 5}",
                "ScheduledProcedureStepStatus": "SCHEDULED",
            }
        ],
        "RequestedProcedureID": f"RP{digits}",
        "RequestedProcedurePriority": "MEDIUM",
        "PatientTransportArrangements": "",
    }


def _code(value: str, meaning: str) -> Values:
    return {
        "CodeValue": value,
        "CodingSchemeDesignator": "99BENCH",
        "CodeMeaning": f"{meaning} {value}",
    }


def station(number: int) -> str:
    """Give the AE title of the station that an item is on."""
    position = number % STATIONS
    return f"{MODALITIES[position % 10]}{position // 10 + 1:02d}"


def part_10(values: Values) -> bytes:
    """Make a worklist file: preamble, file meta information, data set in Explicit VR LE."""
    meta = [
        Element(_META | 0x0001, "OB", b"\0\1"),
        Element(_META | 0x0002, "UI", _STORAGE.encode()),
        Element(_META | 0x0003, "UI", f"{_UID_ROOT}.2.{values['PatientID'][3:]}".encode()),
        Element(_META | 0x0010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode()),
        Element(_META | 0x0012, "UI", f"{_UID_ROOT}.3".encode()),
    ]
    header = encode(meta, EXPLICIT_VR_LITTLE_ENDIAN)
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(header).to_bytes(4, "little")
    body = encode(data_set(values), EXPLICIT_VR_LITTLE_ENDIAN)
    return bytes(128) + b"DICM" + length + header + body


def identifier(values: Values | None = None, step: Values | None = None) -> bytes:
    """Make an identifier in Implicit VR LE that asks for all keys, some with values."""
    asked = dict.fromkeys(KEYS, "") | dict(values or {})
    steps = dict.fromkeys(STEP_KEYS, "") | dict(step or {})
    return encode(
        data_set(asked | {"ScheduledProcedureStepSequence": [steps]}), IMPLICIT_VR_LITTLE_ENDIAN
    )


def answer(number: int) -> bytes:
    """Make what a server answers for an item: its values for the keys, in Implicit VR LE."""
    values = item(number)
    (step,) = values["ScheduledProcedureStepSequence"]
    return identifier({key: values[key] for key in KEYS}, {key: step[key] for key in STEP_KEYS})


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Files with the identifiers of the queries that are measured."""

    narrow: Path
    """One station, one day, one modality: one answer."""
    broad: Path
    """Everything."""
    patient: Path
    """One Patient ID, another for each query: one answer."""


def write_identifiers(folder: Path) -> Identifiers:
    """Write the identifiers of the queries that are measured."""
    step = {
        "Modality": "CT",
        "ScheduledStationAETitle": station(0),
        "ScheduledProcedureStepStartDate": f"{FIRST_DAY:%Y%m%d}",
    }
    contents = {
        "narrow": identifier(step=step),
        "broad": identifier(),
        "patient": identifier({"PatientID": f"PID{NUMBER}"}),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return Identifiers(*(folder / name for name in contents))


def write_files(folder: Path, numbers: Iterator[int] | range) -> None:
    """Write a worklist file for each number, and the lock file that wlmscpfs asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lockfile").touch()
    for number in numbers:
        (folder / file_name(number)).write_bytes(part_10(item(number)))


def file_name(number: int) -> str:
    """Give the name of the file of an item."""
    return f"w{number:07d}.wl"
