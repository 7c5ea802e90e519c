"""Attributes of the Modality Worklist information model.

What PS3.4 lists of them, as data, and names for the tags that the code needs. Their VRs, names
and keywords in general are in `mwl.dataset`; the rows "all other attributes" of the tables have
no place here.

Source: DICOM PS3.4 Table K.6-1 and, for the attributes outside the information model, Table
K.6-1a; edition 2020c.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SPECIFIC_CHARACTER_SET = 0x00080005
STUDY_DATE = 0x00080020
STUDY_TIME = 0x00080030
ACCESSION_NUMBER = 0x00080050
MODALITY = 0x00080060
REFERRING_PHYSICIAN_NAME = 0x00080090
TIMEZONE_OFFSET_FROM_UTC = 0x00080201
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
PATIENT_BIRTH_DATE = 0x00100030
PATIENT_SEX = 0x00100040
STUDY_INSTANCE_UID = 0x0020000D
REQUESTED_PROCEDURE_DESCRIPTION = 0x00321060
ADMISSION_ID = 0x00380010
SCHEDULED_STATION_AE_TITLE = 0x00400001
SCHEDULED_PROCEDURE_STEP_START_DATE = 0x00400002
SCHEDULED_PROCEDURE_STEP_START_TIME = 0x00400003
SCHEDULED_PERFORMING_PHYSICIAN_NAME = 0x00400006
SCHEDULED_PROCEDURE_STEP_DESCRIPTION = 0x00400007
SCHEDULED_PROCEDURE_STEP_ID = 0x00400009
SCHEDULED_STATION_NAME = 0x00400010
SCHEDULED_PROCEDURE_STEP_LOCATION = 0x00400011
SCHEDULED_PROCEDURE_STEP_STATUS = 0x00400020
SCHEDULED_PROCEDURE_STEP_SEQUENCE = 0x00400100
REQUESTED_PROCEDURE_ID = 0x00401001
HL7_STRUCTURED_DOCUMENT_REFERENCE_SEQUENCE = 0x0040A390

INDEXED: tuple[tuple[int, ...], ...] = (
    (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_STATION_AE_TITLE),
    (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_PROCEDURE_STEP_START_DATE),
    (SCHEDULED_PROCEDURE_STEP_SEQUENCE, MODALITY),
    (PATIENT_ID,),
    (ACCESSION_NUMBER,),
    (STUDY_INSTANCE_UID,),
    (PATIENT_NAME,),
)
"""Paths of the attributes that modalities select by, each of which gets an index of its own."""

_MODALITY_TERMS = """
    AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD
    IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA
    PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN
    RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
"""

MODALITY_TERMS = frozenset(_MODALITY_TERMS.split())
"""What a modality may be: the defined terms of PS3.3 C.7.3.1.1.1, without those retired."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of the tables.

    Args:
        module: Module or group of attributes that it stands under.
        name: Name of the attribute.
        keyword: Its keyword in PS3.6.
        tag: Its tag.
        path: Tags from the outermost sequence to the attribute itself.
        vr: Its VR.
        matching: Matching key type: "R" required, "O" optional, "-" none.
        returned: Return key type: "1", "1C", "2", "2C" or "3".
    """

    module: str
    name: str
    keyword: str
    tag: int
    path: tuple[int, ...]
    vr: str
    matching: str
    returned: str


# One `>` for each sequence that an attribute is in; then tag, VR, matching and return key type.
_TABLE = """
# Scheduled Procedure Step
    0040,0100 SQ R 1  Scheduled Procedure Step Sequence
>   0040,0001 AE R 1  Scheduled Station AE Title
>   0040,0002 DA R 1  Scheduled Procedure Step Start Date
>   0040,0003 TM R 1  Scheduled Procedure Step Start Time
>   0008,0060 CS R 1  Modality
>   0040,0006 PN R 2  Scheduled Performing Physician's Name
>   0040,0007 LO O 1C Scheduled Procedure Step Description
>   0040,0010 SH O 2  Scheduled Station Name
>   0040,0011 SH O 2  Scheduled Procedure Step Location
>   0018,990C SQ O 3  Referenced Defined Protocol Sequence
>>  0008,1150 UI O 1  Referenced SOP Class UID
>>  0008,1155 UI O 1  Referenced SOP Instance UID
>   0018,990D SQ O 3  Referenced Performed Protocol Sequence
>>  0008,1150 UI O 1  Referenced SOP Class UID
>>  0008,1155 UI O 1  Referenced SOP Instance UID
>   0040,0008 SQ O 1C Scheduled Protocol Code Sequence
>>  0040,0440 SQ - 3  Protocol Context Sequence
>>> 0040,A040 CS - 1  Value Type
>>> 0040,A043 SQ - 1  Concept Name Code Sequence
>>> 0040,A120 DT - 1C DateTime
>>> 0040,A123 PN - 1C Person Name
>>> 0040,A160 UT - 1C Text Value
>>> 0040,A168 SQ - 1C Concept Code Sequence
>>> 0040,A30A DS - 1C Numeric Value
>>> 0040,08EA SQ - 1C Measurement Units Code Sequence
>   0040,0012 LO O 2C Pre-Medication
>   0040,0009 SH O 1  Scheduled Procedure Step ID
>   0032,1070 LO O 2C Requested Contrast Agent
>   0040,0020 CS O 3  Scheduled Procedure Step Status
    0040,0500 SQ O 3  Scheduled Specimen Sequence
>   0040,0512 LO O 1  Container Identifier
>   0040,0518 SQ - 2  Container Type Code Sequence
>   0040,0560 SQ O 1  Specimen Description Sequence
>>  0040,0551 LO O 1  Specimen Identifier
>>  0040,0554 UI O 1  Specimen UID
    2200,0005 LT O 3  Barcode Value
# Requested Procedure
    0040,1001 SH O 1  Requested Procedure ID
    0032,1060 LO O 1C Requested Procedure Description
    0032,1064 SQ O 1C Requested Procedure Code Sequence
    0020,000D UI O 1  Study Instance UID
    0008,0020 DA O 3  Study Date
    0008,0030 TM O 3  Study Time
    0008,1110 SQ O 2  Referenced Study Sequence
>   0008,1150 UI O 1  Referenced SOP Class UID
>   0008,1155 UI O 1  Referenced SOP Instance UID
    0040,1003 SH O 2  Requested Procedure Priority
    0040,1004 LO O 2  Patient Transport Arrangements
# Imaging Service Request
    0008,0050 SH O 2  Accession Number
    0008,0051 SQ O 3  Issuer of Accession Number Sequence
    0032,1032 PN O 2  Requesting Physician
    0008,0090 PN O 2  Referring Physician's Name
# Visit Identification
    0038,0010 LO O 2  Admission ID
    0038,0014 SQ O 3  Issuer of Admission ID Sequence
# Visit Status
    0038,0300 LO O 2  Current Patient Location
# Visit Relationship
    0008,1120 SQ O 2  Referenced Patient Sequence
>   0008,1150 UI O 1  Referenced SOP Class UID
>   0008,1155 UI O 1  Referenced SOP Instance UID
# Patient Identification
    0010,0010 PN R 1  Patient's Name
    0010,0020 LO R 1  Patient ID
    0010,0021 LO O 3  Issuer of Patient ID
    0010,0024 SQ O 3  Issuer of Patient ID Qualifiers Sequence
    0010,1002 SQ O 3  Other Patient IDs Sequence
# Patient Demographic
    0010,0030 DA O 2  Patient's Birth Date
    0010,0040 CS O 2  Patient's Sex
    0010,0101 SQ O 3  Patient's Primary Language Code Sequence
>   0010,0102 SQ O 3  Patient's Primary Language Modifier Code Sequence
    0010,1030 DS O 2  Patient's Weight
    0010,1020 DS O 3  Patient's Size
    0040,3001 LO O 2  Confidentiality Constraint on Patient Data Description
# Patient Medical
    0038,0500 LO O 2  Patient State
    0010,21C0 US O 2  Pregnancy Status
    0010,2000 LO O 2  Medical Alerts
    0010,2110 LO O 2  Allergies
    0038,0050 LO O 2  Special Needs
    0038,0100 SQ O 3  Pertinent Documents Sequence
>   0008,1150 UI - 1  Referenced SOP Class UID
>   0008,1155 UI - 1  Referenced SOP Instance UID
>   0040,A170 SQ - 2  Purpose of Reference Code Sequence
>   0042,0010 ST - 2  Document Title
# C-FIND Identifier
    0008,0005 CS - 1C Specific Character Set
    0008,0201 SH - 1C Timezone Offset From UTC
    0040,A390 SQ - 1C HL7 Structured Document Reference Sequence
>   0008,1150 UI - 1  Referenced SOP Class UID
>   0008,1155 UI - 1  Referenced SOP Instance UID
>   0040,E001 ST - 1  HL7 Instance Identifier
>   0040,E010 UR - 3  Retrieve URI
"""


def _read_table(table: str) -> Iterator[Attribute]:
    module = ""
    path: tuple[int, ...] = ()
    for line in table.strip().splitlines():
        if line.startswith("# "):
            module = line[2:]
            continue
        depth = line.count(">")
        tag_text, vr, matching, returned, name = line.lstrip("> ").split(maxsplit=4)
        tag = int(tag_text.replace(",", ""), 16)
        path = (*path[:depth], tag)
        yield Attribute(module, name, _keyword(name), tag, path, vr, matching, returned)


def _keyword(name: str) -> str:
    # PS3.6 section 5 makes keywords from names in this way.
    words = name.replace("'s", "").replace("-", "").split()
    return "".join(word[0].upper() + word[1:] for word in words)


ATTRIBUTES: tuple[Attribute, ...] = tuple(_read_table(_TABLE))
"""The rows of Tables K.6-1 and K.6-1a in their order."""
