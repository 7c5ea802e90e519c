"""The rules as data: what each is about, why it matters, and what to do.

The functions that look for breaches are in the modules beside this one, under the same numbers.
`docs/reference/checks.md` is written from this table.

Source: named by each rule.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        number: `MWL` and three digits; the first says which group it is in, see `GROUPS`.
        severity: "error": a query misses the item, or a scanner shows or stores something wrong.
            "warning": some servers or scanners have trouble with it, or it is probably not meant.
        title: What is wrong, as a sentence.
        why: What comes of it.
        section: Where the standard has it.
        advice: What to do.
        is_optional: Applied only when a profile asks for it.
    """

    number: str
    severity: Severity
    title: str
    why: str
    section: str
    advice: str
    is_optional: bool = False


GROUPS = {
    "1": "Files and encoding",
    "2": "Structure and required attributes",
    "3": "Values",
    "4": "Text and character sets",
    "5": "Codes and identifiers",
    "6": "Time",
    "7": "Across the files",
    "8": "Needs of devices",
}
"""What the hundreds of the rule numbers stand for."""

_FILES = (
    Rule(
        "MWL101",
        "error",
        "The file cannot be read.",
        "No server can answer with it; `mwl serve` leaves it out and logs `file_skipped`.",
        "PS3.5 section 7; PS3.10 section 7",
        "Write the file again, with `mwl new` or `mwl undump`. Half a file comes from a program "
        "that writes in place: let it write under another name and rename.",
    ),
    Rule(
        "MWL102",
        "error",
        "The file is the text of a dump, not a DICOM file.",
        "A server reads binary data sets only; the item is not on the worklist.",
        "PS3.10 section 7",
        "Run `mwl undump TEXT OUT.wl`, and put only the result into the folder.",
    ),
    Rule(
        "MWL103",
        "warning",
        "The file is a bare data set without a Part 10 header.",
        "Its transfer syntax has to be guessed. `mwl serve` and DCMTK do guess; other programs "
        "refuse such a file.",
        "PS3.10 section 7.1",
        "Write it with a header: `mwl dump` it to text, then `mwl undump` the text.",
    ),
    Rule(
        "MWL104",
        "warning",
        "A file that looks like a worklist item does not end in .wl.",
        "The folder is served by file names, so this file is on no worklist.",
        "none: the rule of the folder",
        "Rename it to end in .wl, or take it out of the folder.",
    ),
    Rule(
        "MWL105",
        "error",
        "The file is longer than a worklist file may be.",
        "`mwl serve` does not read it, so that a stray image cannot fill the memory.",
        "none: a limit of mwl",
        "Remove pixel data and attached documents from the item.",
    ),
)

_STRUCTURE = (
    Rule(
        "MWL201",
        "error",
        "A type 1 attribute is missing.",
        "The attribute has to be in every answer with a value. Scanners drop answers without it, "
        "or cannot start the examination; a query by it misses the item.",
        "PS3.4 Table K.6-1; PS3.5 section 7.4.1",
        "Add the attribute with a value.",
    ),
    Rule(
        "MWL202",
        "error",
        "A type 1 attribute is empty.",
        "The attribute has to be in every answer with a value. A query by it misses the item.",
        "PS3.4 Table K.6-1; PS3.5 section 7.4.1",
        "Give it a value.",
    ),
    Rule(
        "MWL203",
        "warning",
        "A type 2 attribute is missing.",
        "An answer has to hold the attribute, empty if need be. `mwl serve` adds it where it is "
        "asked for; Orthanc's worklist plugin leaves it out, and some devices reject such answers.",
        "PS3.4 Table K.6-1; PS3.5 section 7.4.3",
        "Add the attribute; it may be empty.",
    ),
    Rule(
        "MWL204",
        "error",
        "There is no scheduled procedure step.",
        "Station, date, time and modality stand in the step. A query for any of them, as nearly "
        "every scanner sends, misses the item.",
        "PS3.4 section K.6.1.2.1 and Table K.6-1",
        "Add Scheduled Procedure Step Sequence (0040,0100) with one item.",
    ),
    Rule(
        "MWL205",
        "warning",
        "There are several scheduled procedure steps in one file.",
        "One answer is one step. `mwl serve` answers with each step apart; Orthanc's worklist "
        "plugin sends them all in one answer, which scanners do not expect.",
        "PS3.4 section K.6.1.2.1 and Table K.6-1",
        "Write one file for each step.",
    ),
    Rule(
        "MWL206",
        "error",
        "An attribute of the step stands at the top level.",
        "Scanners ask for it and read it inside the step, and find nothing there.",
        "PS3.4 Table K.6-1",
        "Move it into the item of Scheduled Procedure Step Sequence (0040,0100).",
    ),
    Rule(
        "MWL207",
        "error",
        "The step has neither a description nor a protocol code.",
        "Nothing on the scanner's screen says what is to be done.",
        "PS3.4 Table K.6-1, type 1C",
        "Fill Scheduled Procedure Step Description (0040,0007), Scheduled Protocol Code Sequence "
        "(0040,0008), or both.",
    ),
    Rule(
        "MWL208",
        "error",
        "The requested procedure has neither a description nor a code.",
        "The images are stored without the name of the procedure that was asked for.",
        "PS3.4 Table K.6-1, type 1C",
        "Fill Requested Procedure Description (0032,1060), Requested Procedure Code Sequence "
        "(0032,1064), or both.",
    ),
    Rule(
        "MWL209",
        "error",
        "Requested Procedure Code Sequence has several items.",
        "A requested procedure has one code; a scanner takes the first or rejects the answer.",
        "PS3.4 Table K.6-1",
        "Keep one item. Several procedures are several worklist items.",
    ),
    Rule(
        "MWL210",
        "warning",
        "An attribute of the step stands at the top level too.",
        "Programs that read the outer one may see another value than the scanner does.",
        "PS3.4 Table K.6-1",
        "Remove the one outside of Scheduled Procedure Step Sequence (0040,0100).",
    ),
)

_VALUES = (
    Rule(
        "MWL301",
        "error",
        "The VR is not that of the data dictionary.",
        "A scanner that knows the attribute reads its value in another way than it was meant, or "
        "not at all.",
        "PS3.6 section 6; PS3.5 section 6.2",
        "Write the attribute with the VR of the dictionary.",
    ),
    Rule(
        "MWL302",
        "error",
        "The value is longer than its VR allows.",
        "Scanners cut it, reject the answer, or lose the whole list. A cut identifier is another "
        "identifier.",
        "PS3.5 Table 6.2-1",
        "Shorten the value where it comes from.",
    ),
    Rule(
        "MWL303",
        "error",
        "The value has a character that its VR does not allow.",
        "Most attributes are matched letter by letter: a scanner that asks for `CT` misses `ct`. "
        "Some devices reject the answer.",
        "PS3.5 Table 6.2-1 and section 6.1.3",
        "Write it with the characters that the VR has.",
    ),
    Rule(
        "MWL304",
        "error",
        "The value is no date or time in the form of its VR.",
        "No query by date or time finds the item, or one for another day does.",
        "PS3.5 Table 6.2-1 (DA, TM, DT)",
        "Write a date as YYYYMMDD, a time as HHMMSS, a date with time as YYYYMMDDHHMMSS.",
    ),
    Rule(
        "MWL305",
        "error",
        "The value is no number, or no age, in the form of its VR.",
        "A scanner cannot use the value: a weight, for instance, to work out a dose.",
        "PS3.5 Table 6.2-1 (AS, DS, IS, binary numbers)",
        "Write a plain number with a decimal point and without unit; an age as 045Y.",
    ),
    Rule(
        "MWL306",
        "error",
        "The attribute has more than one value.",
        "A backslash divides values, and this attribute has one: what stands behind it is lost or "
        "spoils the answer.",
        "PS3.6 section 6; PS3.5 section 6.4",
        "Write one value. A backslash that is meant as a character has to be written otherwise.",
    ),
    Rule(
        "MWL307",
        "error",
        "The value is no UID.",
        "Images cannot be stored under it: archives reject them, or file two studies as one.",
        "PS3.5 section 9.1",
        "Use numbers without leading zeros with points between them, 64 characters at most.",
    ),
    Rule(
        "MWL308",
        "error",
        "The person name has too many parts.",
        "A name has five components (family, given, middle, prefix, suffix) in each of three "
        "groups; a scanner drops what is beyond, or the answer.",
        "PS3.5 section 6.2.1",
        "Move the additional parts into one of the five. A degree of HL7 belongs to the suffix.",
    ),
    Rule(
        "MWL309",
        "warning",
        "The patient's name has only one component.",
        "Without a caret the whole name is a family name: a query for family and given name misses "
        "it, and the scanner shows and stores it so.",
        "PS3.5 section 6.2.1",
        "Write FAMILY^GIVEN.",
    ),
    Rule(
        "MWL310",
        "warning",
        "The value is padded in another way than its VR demands.",
        "Programs that take the padding for a part of the value find it unequal to the same value "
        "elsewhere, or refuse the file.",
        "PS3.5 section 6.2 and section 7.1",
        "Pad to an even length: text with one space, a UID with one NUL.",
    ),
)

_TEXT = (
    Rule(
        "MWL401",
        "error",
        "Specific Character Set has a value that is none, or values that do not combine.",
        "No program can tell which text the bytes mean; names are shown as garbage.",
        "PS3.3 section C.12.1.1.2",
        "Name a defined term: ISO_IR 192 for UTF-8, ISO_IR 100 for Latin 1.",
    ),
    Rule(
        "MWL402",
        "warning",
        "Specific Character Set is misspelt.",
        "`mwl serve` understands it; a scanner may not, and then shows names as garbage.",
        "PS3.3 section C.12.1.1.2",
        "Write the defined term exactly as the standard has it.",
    ),
    Rule(
        "MWL403",
        "error",
        "Text has bytes that are not in its character set.",
        "The text cannot be shown, and a query by it misses the item.",
        "PS3.5 section 6.1; PS3.3 section C.12.1.1.2",
        "Name the character set that the text is written in, or write it in the one that is named.",
    ),
    Rule(
        "MWL404",
        "error",
        "Text is UTF-8, and another character set is named.",
        "Every letter beyond ASCII is shown as two or three wrong ones.",
        "PS3.3 section C.12.1.1.2",
        "Name ISO_IR 192.",
    ),
    Rule(
        "MWL405",
        "error",
        "Text is in a code page of Windows, and an ISO 8859 set is named.",
        "DICOM has no Windows code page. Letters such as Œ, Š or Ž and typographic quotes are "
        "control characters in the set that is named, and are shown as garbage.",
        "PS3.3 section C.12.1.1.2; PS3.5 section 6.1.2",
        "Convert the text to UTF-8 and name ISO_IR 192.",
    ),
    Rule(
        "MWL406",
        "error",
        "Text is not ASCII, and no character set is named.",
        "Each program takes its own guess. Scanners have shown such names as garbage.",
        "PS3.3 section C.12.1.1.2; PS3.4 section K.4.1.1.3",
        "Add Specific Character Set (0008,0005) with the set that the text is written in.",
    ),
    Rule(
        "MWL407",
        "error",
        "Text was converted to UTF-8 twice.",
        "Every letter beyond ASCII is shown as two or more wrong ones, whatever set is named.",
        "PS3.5 section 6.1",
        "Remove one of the two conversions from the program that writes the file.",
    ),
    Rule(
        "MWL408",
        "warning",
        "A character set of two bytes is the first one named.",
        "`mwl serve` reads it with and without escape sequences; other programs refuse the text, "
        "or show it as garbage.",
        "PS3.3 section C.12.1.1.2; PS3.5 section 6.1.2.5",
        r"Leave the first value empty, as in \ISO 2022 IR 149, and begin such text with its escape "
        "sequence; `mwl new` writes it so.",
    ),
)

_CODES = (
    Rule(
        "MWL501",
        "error",
        "An item of a code sequence has no code.",
        "A scanner that chooses its protocol by the code cannot choose one.",
        "PS3.4 Table 8-2b; PS3.3 section 8.8",
        "Fill Code Value (0008,0100), or Long Code Value or URN Code Value for what does not fit.",
    ),
    Rule(
        "MWL502",
        "error",
        "A code has no coding scheme designator.",
        "The same code means other things in other schemes, so it means nothing alone.",
        "PS3.4 Table 8-2b; PS3.3 section 8.8",
        "Fill Coding Scheme Designator (0008,0102); a scheme of your own begins with 99.",
    ),
    Rule(
        "MWL503",
        "warning",
        "A code has no meaning in words.",
        "Some scanners show the meaning and nothing else; the line on the screen is empty.",
        "PS3.3 section 8.8",
        "Fill Code Meaning (0008,0104).",
    ),
    Rule(
        "MWL504",
        "warning",
        "The UID cannot be a registered one.",
        "Others invent the same numbers. Two studies with one UID are filed as one, under one "
        "patient.",
        "PS3.5 section 9 and Annex B",
        "Make UIDs under a root of your own, or of the form 2.25.N as `mwl new` does.",
    ),
    Rule(
        "MWL505",
        "warning",
        "The value is none of the defined terms.",
        "A scanner that sorts or selects by it does not know the value. Terms may be added by a "
        "site, so this can be meant.",
        "PS3.3 sections C.4.10, C.4.11, C.7.1.1 and C.7.3.1.1.1",
        "Use a defined term.",
    ),
    Rule(
        "MWL506",
        "warning",
        "The AE title of a station has small letters.",
        "AE titles are compared letter by letter: `ct1` is not `CT1`. Most scanners have capitals.",
        "PS3.5 Table 6.2-1 (AE); PS3.4 Table K.6-1",
        "Write it as it is configured on the scanner.",
    ),
)

_TIME = (
    Rule(
        "MWL601",
        "warning",
        "The step was scheduled for a day that is over.",
        "Scanners ask for today, so no one sees it; those that ask for everything show old work.",
        "PS3.4 Table K.6-1",
        "Remove the item, or schedule it again.",
    ),
    Rule(
        "MWL602",
        "warning",
        "The step is scheduled more than a year ahead.",
        "It is probably a slip in the year, and nobody sees the item on the day that was meant.",
        "PS3.4 Table K.6-1",
        "Check the start date.",
    ),
    Rule(
        "MWL603",
        "error",
        "The patient's birth date is in the future.",
        "The patient has another birth date on the scanner than anywhere else.",
        "PS3.3 section C.2.3",
        "Correct the birth date; leave it empty if it is unknown.",
    ),
    Rule(
        "MWL604",
        "error",
        "Timezone Offset From UTC is no offset.",
        "Start times are read in a wrong zone, or the answer is rejected. It may be left out but "
        "not be empty.",
        "PS3.3 section C.12.1.1; PS3.4 section K.4.1.1.3",
        "Write it as +0100, from -1200 to +1400, or remove the attribute.",
    ),
)

_FOLDER = (
    Rule(
        "MWL701",
        "error",
        "Two patients have the same Study Instance UID.",
        "The images of both are stored as one study, under one of the patients.",
        "PS3.3 section C.4.11; PS3.5 section 9",
        "Find out which patient it belongs to, and give the other a UID of its own.",
    ),
    Rule(
        "MWL702",
        "error",
        "Two patients have the same accession number.",
        "A scan at the console by accession number offers both; the report goes to the wrong one.",
        "PS3.3 section C.4.12",
        "Find out which patient it belongs to, and give the other one of its own.",
    ),
    Rule(
        "MWL703",
        "error",
        "Two patients have the same step, and no accession number tells them apart.",
        "What the scanner reports of one step is booked on the other.",
        "PS3.3 sections C.4.10 and C.4.11",
        "Give each step its own Scheduled Procedure Step ID, and each order an accession number.",
    ),
    Rule(
        "MWL704",
        "warning",
        "The same step is in several files.",
        "A scanner shows the examination twice, and half of it stays open.",
        "PS3.4 section K.6.1.2.1",
        "Keep one of the files. A program that changes an item has to write the same file.",
    ),
    Rule(
        "MWL705",
        "warning",
        "One Patient ID has two names or birth dates.",
        "Two people share an identifier, or one was corrected in one file only.",
        "PS3.3 section C.2.2",
        "Find out who it is before anybody is examined.",
    ),
)

_DEVICES = (
    Rule(
        "MWL801",
        "error",
        "The step has no description.",
        "The device shows Scheduled Procedure Step Description (0040,0007) and no code and no "
        "description of the requested procedure.",
        "PS3.4 Table K.6-1",
        "Fill (0040,0007), for instance from Requested Procedure Description (0032,1060).",
        is_optional=True,
    ),
    Rule(
        "MWL802",
        "error",
        "The AE titles of the stations do not fit one AE title together.",
        "The program keeps the whole attribute in 16 characters, and loses the answer.",
        "PS3.4 Table K.6-1; PS3.5 section 6.4",
        "Write one file for each station, with one AE title.",
        is_optional=True,
    ),
    Rule(
        "MWL803",
        "error",
        "The step has no status.",
        "The program reads Scheduled Procedure Step Status (0040,0020) of every item and fails "
        "without it.",
        "PS3.4 Table K.6-1, type 3",
        "Fill (0040,0020), usually with SCHEDULED.",
        is_optional=True,
    ),
)

RULES: tuple[Rule, ...] = (
    *_FILES,
    *_STRUCTURE,
    *_VALUES,
    *_TEXT,
    *_CODES,
    *_TIME,
    *_FOLDER,
    *_DEVICES,
)
"""Every rule, by number."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a known device or program needs beyond the standard.

    Args:
        name: What `--profile` takes.
        needs: What it needs, as a sentence.
        source: How that is known.
        rules: Rules that it adds, or whose findings count as errors with it.
    """

    name: str
    needs: str
    source: str
    rules: tuple[str, ...]


PROFILES: tuple[Profile, ...] = (
    Profile(
        "step-description",
        "The step has to have a description: it is the only one that the device shows.",
        "Reported for ultrasound devices of GE in the public forum of Orthanc.",
        ("MWL801",),
    ),
    Profile(
        "every-attribute",
        "Every attribute of types 1 and 2 has to be in the answer, the latter perhaps empty.",
        "Reported in public issue threads of fo-dicom, for a Siemens device that showed no item "
        "when required attributes were missing, and of dcm4che, for devices that are not named. "
        "`mwl serve` returns what is asked for in any case; other servers leave it out.",
        ("MWL201", "MWL202", "MWL203"),
    ),
    Profile(
        "one-station",
        "The AE titles of all stations of a step have to fit 16 characters together.",
        "Stated in the documentation of an open source worklist broker that lost whole answers.",
        ("MWL802",),
    ),
    Profile(
        "step-status",
        "The step has to have a status.",
        "Reported in public issue threads of dcm4chee, whose import from another worklist failed "
        "without one.",
        ("MWL803",),
    ),
)
"""The profiles, in the order in which they are listed."""
