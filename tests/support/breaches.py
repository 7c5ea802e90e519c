"""A worklist item without fault, and for each rule of `mwl check` files that break it alone."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from mwl.attributes import ATTRIBUTES
from mwl.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode
from mwl.item import MAX_FILE_BYTES
from support import items
from support.datasets import file_of

TODAY = date(2026, 11, 23)

Files = Mapping[str, bytes]

CODE = {"CodeValue": "C1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "A code"}

_EMPTY = {
    row.keyword: [] if row.vr == "SQ" else ""
    for row in ATTRIBUTES
    if row.returned == "2" and len(row.path) == 1
}

CLEAN: items.Values = {
    **_EMPTY,
    "AccessionNumber": "A1",
    "PatientName": "DOE^JANE",
    "PatientID": "P1",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "StudyInstanceUID": "2.25.1",
    "RequestedProcedureID": "RP1",
    "RequestedProcedureDescription": "A procedure",
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepStartDate": "20261123",
            "ScheduledProcedureStepStartTime": "083000",
            "ScheduledPerformingPhysicianName": "READER^RITA",
            "ScheduledProcedureStepDescription": "A step",
            "ScheduledProcedureStepID": "S1",
            "ScheduledStationName": "Room 1",
            "ScheduledProcedureStepLocation": "Floor 2",
            "ScheduledProcedureStepStatus": "SCHEDULED",
        }
    ],
}


def item(**changes: Any) -> dict[str, Any]:
    """Give the item without fault, with other values, or without those that are None."""
    return {key: value for key, value in {**CLEAN, **changes}.items() if value is not None}


def with_step(**changes: Any) -> dict[str, Any]:
    """Give the item with other values in its step."""
    step = {**CLEAN["ScheduledProcedureStepSequence"][0], **changes}
    kept = {key: value for key, value in step.items() if value is not None}
    return item(ScheduledProcedureStepSequence=[kept])


def data_of(values: items.Values) -> bytes:
    """Make a file of an item."""
    return file_of(items.elements(values))


def _one(values: items.Values) -> Files:
    return {"item.wl": data_of(values)}


def _root(**changes: Any) -> Files:
    return _one(item(**changes))


def _step(**changes: Any) -> Files:
    return _one(with_step(**changes))


def _second(**changes: Any) -> Files:
    """Make a file without fault and another one of another patient, procedure and step."""
    other = {
        "AccessionNumber": "A2",
        "PatientName": "ROE^RICHARD",
        "PatientID": "P2",
        "StudyInstanceUID": "2.25.2",
        "RequestedProcedureID": "RP2",
        **changes,
    }
    return {"a.wl": data_of(item()), "b.wl": data_of(item(**other))}


def _without_numbers(patient: str) -> bytes:
    study = f"2.25.{patient[1:]}"
    return data_of(
        item(PatientID=patient, AccessionNumber="", StudyInstanceUID=study, PatientName="DOE^J")
    )


def _flat() -> items.Values:
    step = dict(CLEAN["ScheduledProcedureStepSequence"][0])
    return {**item(ScheduledProcedureStepSequence=None), **step}


def _text(character_set: str | None, name: bytes, **changes: Any) -> Files:
    return _root(SpecificCharacterSet=character_set, PatientName=name, **changes)


UMLAUT_UTF_8 = "MÜLLER^JÖRG".encode()

BREACHES: Mapping[str, Callable[[], list[Files]]] = {
    "MWL101": lambda: [
        {"item.wl": data_of(item())[:-3]},
        {"item.wl": b""},
        {"item.wl": b"This is no worklist file. " * 20},
    ],
    "MWL102": lambda: [
        {"item.wl": b"# Dicom-Data-Set\n(0010,0010) PN [DOE^JANE]    #   8, 1 PatientName\n"},
        {"item.wl": b"0010,0010  DOE^JANE\r\n"},
    ],
    "MWL103": lambda: [
        {"item.wl": encode(items.elements(item()).values(), EXPLICIT_VR_LITTLE_ENDIAN)}
    ],
    "MWL104": lambda: [
        {"item.wl": data_of(item()), "other.dcm": data_of(item())},
        {"item.wl": data_of(item()), "item.dump": b"(0010,0010) PN [DOE^JANE]\n"},
    ],
    "MWL105": lambda: [{"item.wl": data_of(item()) + bytes(MAX_FILE_BYTES)}],
    "MWL201": lambda: [
        _root(PatientID=None),
        _root(StudyInstanceUID=None),
        _step(ScheduledStationAETitle=None),
        _root(ReferencedStudySequence=[{"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1"}]),
    ],
    "MWL202": lambda: [
        _root(PatientID=""),
        _root(PatientName="  "),
        _root(PatientName="^^^^"),
        _step(ScheduledProcedureStepStartDate=""),
        _step(Modality=""),
    ],
    "MWL203": lambda: [
        _root(ReferringPhysicianName=None),
        _root(PregnancyStatus=None),
        _step(ScheduledStationName=None),
    ],
    "MWL204": lambda: [
        _root(ScheduledProcedureStepSequence=None),
        _root(ScheduledProcedureStepSequence=[]),
    ],
    "MWL205": lambda: [
        _root(
            ScheduledProcedureStepSequence=[
                CLEAN["ScheduledProcedureStepSequence"][0],
                {
                    **CLEAN["ScheduledProcedureStepSequence"][0],
                    "ScheduledProcedureStepID": "S2",
                },
            ]
        )
    ],
    "MWL206": lambda: [
        _one(_flat()),
        _one({**with_step(Modality=None), "Modality": "CT"}),
    ],
    "MWL207": lambda: [
        _step(ScheduledProcedureStepDescription=None),
        _step(ScheduledProcedureStepDescription="", ScheduledProtocolCodeSequence=[]),
    ],
    "MWL208": lambda: [
        _root(RequestedProcedureDescription=None),
        _root(RequestedProcedureDescription=" ", RequestedProcedureCodeSequence=[]),
    ],
    "MWL209": lambda: [_root(RequestedProcedureCodeSequence=[CODE, CODE])],
    "MWL210": lambda: [_root(Modality="CT"), _root(ScheduledStationAETitle="OTHER")],
    "MWL301": lambda: [
        _one({**item(AccessionNumber=None), "0008,0050 LO": "A1"}),
        _one({**item(PatientWeight=None), "0010,1030 FD": b"\0" * 8}),
    ],
    "MWL302": lambda: [
        _root(AccessionNumber="A" * 17),
        _root(PatientName=f"{'N' * 40}^{'N' * 24}"),
        _root(SpecificCharacterSet="ISO_IR 192", MedicalAlerts="Ä" * 65),
        _step(ScheduledStationAETitle="STATION_NUMBER_ONE"),
        _root(PatientWeight="70.00000000000001"),
    ],
    "MWL303": lambda: [
        _step(Modality="ct"),
        _root(PatientSex="f"),
        _root(MedicalAlerts="one\ntwo"),
        _step(ScheduledStationAETitle="CT\u00c4".encode("latin-1")),
        _root(PatientComments="line\r\nbell\a"),
    ],
    "MWL304": lambda: [
        _step(ScheduledProcedureStepStartDate="2026-11-23"),
        _step(ScheduledProcedureStepStartDate="2026.11.23"),
        _step(ScheduledProcedureStepStartDate="20261131"),
        _step(ScheduledProcedureStepStartTime="08:30"),
        _step(ScheduledProcedureStepStartTime="2400"),
        _root(PatientBirthDate="1970"),
    ],
    "MWL305": lambda: [
        _root(PatientWeight="70 kg"),
        _root(PatientWeight="70,5"),
        _root(PatientAge="45"),
        _one({**item(), "0018,9328 FD": b"\0\0"}),
        _root(StageNumber="3000000000"),
    ],
    "MWL306": lambda: [
        _root(PatientName="DOE^JANE\\ROE^RITA"),
        _step(ScheduledProcedureStepDescription="CT head\\neck"),
    ],
    "MWL307": lambda: [
        _root(StudyInstanceUID="2.25.X"),
        _root(StudyInstanceUID="2.25..1"),
        _root(StudyInstanceUID="2.25.01"),
        _root(StudyInstanceUID="2.16." + "1" * 61),
    ],
    "MWL308": lambda: [
        _root(PatientName="A^B^C^D^E^F"),
        _root(PatientName="A^B=C^D=E^F=G^H"),
    ],
    "MWL309": lambda: [_root(PatientName="JANE DOE"), _root(PatientName="DOE, JANE")],
    "MWL310": lambda: [
        _root(AccessionNumber=b"A1\0\0"),
        _root(StudyInstanceUID=b"2.25.11 "),
    ],
    "MWL401": lambda: [
        _named(b"ISO_IR 999"),
        _named(b"ISO_IR 192\\ISO_IR 100"),
    ],
    "MWL402": lambda: [
        _named(b"ISO-IR 100"),
        _named(b"ISO 2022 IR 6\\ISO_IR 100 "),
        _named(b"UTF-8 "),
    ],
    "MWL403": lambda: [
        _text("ISO_IR 192", b"M\xdcLLER^J\xd6RG"),
        _text("ISO_IR 126", b"A^\xff"),
    ],
    "MWL404": lambda: [
        _text("ISO_IR 100", UMLAUT_UTF_8),
        _text("ISO_IR 166", "ยา^ดี".encode()),
        _text("ISO_IR 144", "Петрова^Яна".encode()),
        _text("GB18030", "王小^东".encode()),
    ],
    "MWL405": lambda: [
        _text("ISO_IR 100", "ŠKODA^ŽOFIE".encode("cp1252")),
        _text("ISO_IR 144", "Ђ^Њ".encode("cp1251")),
    ],
    "MWL406": lambda: [
        _text(None, UMLAUT_UTF_8),
        _text(None, "MÜLLER^JÖRG".encode("latin-1")),
        _text(None, "ŠKODA^ŽOFIE".encode("cp1252")),
    ],
    "MWL407": lambda: [
        _text("ISO_IR 192", UMLAUT_UTF_8.decode("cp1252").encode()),
        _text("ISO_IR 192", UMLAUT_UTF_8.decode("latin-1").encode()),
    ],
    "MWL408": lambda: [
        _text("ISO 2022 IR 149", b"\x1b$)C\xb1\xe8^\x1b$)C\xc8\xf1\xc1\xdf"),
        _text("ISO 2022 IR 87", b"A^B=\x1b$B;3\x1b(B^\x1b$B;3\x1b(B"),
    ],
    "MWL501": lambda: [
        _root(RequestedProcedureCodeSequence=[{**CODE, "CodeValue": ""}]),
        _step(ScheduledProtocolCodeSequence=[{"CodeMeaning": "A code"}]),
    ],
    "MWL502": lambda: [
        _root(RequestedProcedureCodeSequence=[{**CODE, "CodingSchemeDesignator": ""}]),
        _root(
            RequestedProcedureCodeSequence=[{"LongCodeValue": "L" * 20, "CodeMeaning": "A code"}]
        ),
    ],
    "MWL503": lambda: [
        _step(
            ScheduledProtocolCodeSequence=[{"CodeValue": "C1", "CodingSchemeDesignator": "99TEST"}]
        )
    ],
    "MWL504": lambda: [
        _root(StudyInstanceUID="1.2.3.4"),
        _root(StudyInstanceUID="3.1.4"),
        _root(StudyInstanceUID="1.99.4"),
        _root(StudyInstanceUID="12345"),
        _root(StudyInstanceUID=f"2.25.{2**128}"),
        _root(StudyInstanceUID="2.25.1.1"),
    ],
    "MWL505": lambda: [
        _step(Modality="MRI"),
        _root(PatientSex="W"),
        _root(RequestedProcedurePriority="URGENT"),
        _step(ScheduledProcedureStepStatus="COMPLETED"),
    ],
    "MWL506": lambda: [_step(ScheduledStationAETitle="ct1")],
    "MWL601": lambda: [_step(ScheduledProcedureStepStartDate="20261122")],
    "MWL602": lambda: [_step(ScheduledProcedureStepStartDate="20271125")],
    "MWL603": lambda: [_root(PatientBirthDate="20261124")],
    "MWL604": lambda: [
        _root(TimezoneOffsetFromUTC="1:00"),
        _root(TimezoneOffsetFromUTC="+1500"),
        _root(TimezoneOffsetFromUTC=""),
    ],
    "MWL701": lambda: [_second(StudyInstanceUID="2.25.1")],
    "MWL702": lambda: [_second(AccessionNumber="A1")],
    "MWL703": lambda: [{"a.wl": _without_numbers("P1"), "b.wl": _without_numbers("P2")}],
    "MWL704": lambda: [{"a.wl": data_of(item()), "b.wl": data_of(item())}],
    "MWL705": lambda: [
        _second(PatientID="P1"),
        _second(PatientID="P1", PatientName="Doe^Jane", PatientBirthDate="19700102"),
    ],
    "MWL801": lambda: [
        _step(ScheduledProcedureStepDescription="", ScheduledProtocolCodeSequence=[CODE])
    ],
    "MWL802": lambda: [_step(ScheduledStationAETitle="STATION_1\\STATION_2")],
    "MWL803": lambda: [_step(ScheduledProcedureStepStatus=None)],
}
"""For each rule, folders in which it is broken and no other rule is."""


def _named(terms: bytes) -> Files:
    """Name a character set that no program can write text in."""
    padded = terms + b" " * (len(terms) % 2)
    return {"item.wl": file_of(items.elements({"0008,0005 CS": padded, **item()}))}
