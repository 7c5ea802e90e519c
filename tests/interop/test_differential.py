"""The same queries through wlmscpfs and `mwl serve`; every difference is listed and explained.

docs/design/differences-from-wlmscpfs.md is this test's list: it holds one row for each query of
QUERIES that the two answer differently, made from what they answered and from REASONS. After a
change that is meant, write it anew with

    MWL_UPDATE_DOCS=1 .venv/bin/pytest tests/interop/test_differential.py
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset

from support.dcmtk import FindResult, findscu, run, running_wlmscpfs
from support.server import RunningServer, running_server
from support.worklist_files import P1, P2, P3, P4, code, fill, step, worklist

pytestmark = pytest.mark.interop

DOCUMENT = Path(__file__).parents[2] / "docs" / "design" / "differences-from-wlmscpfs.md"
STEP = "ScheduledProcedureStepSequence[0]"
AE = f"{STEP}.ScheduledStationAETitle"
DATE = f"{STEP}.ScheduledProcedureStepStartDate"
TIME = f"{STEP}.ScheduledProcedureStepStartTime"
MODALITY = f"{STEP}.Modality"


def _items() -> dict[str, Dataset | bytes]:
    """Make eight items, each complete enough for wlmscpfs."""
    p6 = worklist("P6", "doe^john", step("US", "US1", "20250114", "230000", "S6"))
    p6.MedicalAlerts = "PACEMAKER"
    p6.PregnancyStatus = 4
    p7 = worklist(
        "P7",
        "Müller^Jürgen",
        step("MR", ["MR1", "MR2"], "20250112", "133000", "S7"),
        character_set="ISO_IR 100",
    )
    p7.PatientWeight = "70"
    p8 = worklist("P8", "MOE^MARY^ANN", step("CT", "CT1", "20250110", "150000", "S8"))
    p8.RequestedProcedurePriority = "STAT"
    p8.RequestedProcedureCodeSequence = [code("RPC8", "A procedure")]
    p8.ScheduledProcedureStepSequence[0].ScheduledPerformingPhysicianName = "WRITER^WILL"
    p8.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus = "ARRIVED"
    items = {"p1": P1, "p2": P2, "p3": P3, "p4": P4, "p6": p6, "p7": p7, "p8": p8}
    return {f"{name}.wl": item for name, item in items.items()} | {"lockfile": b""}


QUERIES: dict[str, Sequence[str]] = {
    "all": (),
    "patient-name-exact": ("PatientName=DOE^JANE",),
    "patient-name-prefix": ("PatientName=DOE*",),
    "patient-name-other-case": ("PatientName=roe*",),
    "patient-name-question-mark": ("PatientName=?OE^PAULA",),
    "patient-name-trailing-components": ("PatientName=POE^PAULA^^^",),
    "patient-name-universal": ("PatientName=*",),
    "patient-name-without-accent": ("PatientName=MULLER*",),
    "patient-name-no-match": ("PatientName=NOBODY",),
    "patient-id": ("PatientID=P3",),
    "patient-id-wild-card": ("PatientID=P*",),
    "patient-id-other-case": ("PatientID=p3",),
    "patient-id-spaces": ("PatientID= P3 ",),
    "patient-birth-date": ("PatientBirthDate=19700101",),
    "patient-birth-date-other": ("PatientBirthDate=19700102",),
    "patient-sex": ("PatientSex=O",),
    "patient-sex-other": ("PatientSex=M",),
    "patient-weight-absent": ("PatientWeight",),
    "medical-alerts-absent": ("MedicalAlerts",),
    "medical-alerts-key": ("MedicalAlerts=PACEMAKER",),
    "occupation": ("Occupation",),
    "admission-id": ("AdmissionID",),
    "accession-number": ("AccessionNumber=A8",),
    "accession-number-wild-card": ("AccessionNumber=A?",),
    "study-instance-uid": ("StudyInstanceUID=1.2.3.3",),
    "study-instance-uid-list": (r"StudyInstanceUID=1.2.3.1\1.2.3.3",),
    "requested-procedure-id": ("RequestedProcedureID=RP2",),
    "requested-procedure-description": ("RequestedProcedureDescription=PROCEDURE 2",),
    "requested-procedure-priority": ("RequestedProcedurePriority=STAT",),
    "requested-procedure-code": ("RequestedProcedureCodeSequence[0].CodeValue=RPC8",),
    "requested-procedure-code-empty": ("RequestedProcedureCodeSequence",),
    "referring-physician": ("ReferringPhysicianName=SENDER*",),
    "requesting-physician-other": ("RequestingPhysician=NOBODY",),
    "modality": (f"{MODALITY}=CT",),
    "modality-wild-card": (f"{MODALITY}=C*",),
    "modality-two-values": (rf"{MODALITY}=CT\MR",),
    "modality-other-case": (f"{MODALITY}=ct",),
    "station-first-value": (f"{AE}=CT1",),
    "station-second-value": (f"{AE}=MR2",),
    "station-wild-card": (f"{AE}=CT*",),
    "station-and-modality": (f"{AE}=CT1", f"{MODALITY}=CT"),
    "station-and-date": (f"{AE}=CT1", f"{DATE}=20250110"),
    "date": (f"{DATE}=20250110",),
    "date-range": (f"{DATE}=20250110-20250111",),
    "date-from": (f"{DATE}=20250112-",),
    "date-until": (f"{DATE}=-20250111",),
    "date-asterisk": (f"{DATE}=*",),
    "date-old-form": (f"{DATE}=2025.01.10",),
    "date-unreadable": (f"{DATE}=tomorrow",),
    "time": (f"{TIME}=085607",),
    "time-minutes": (f"{TIME}=0856",),
    "time-stored-in-minutes": (f"{TIME}=120000",),
    "time-range": (f"{TIME}=080000-100000",),
    "time-range-minutes": (f"{TIME}=0800-0856",),
    "time-from": (f"{TIME}=1330-",),
    "date-time-range": (f"{DATE}=20250110-20250112", f"{TIME}=0900-0600"),
    "date-range-with-time": (f"{DATE}=20250110-20250112", f"{TIME}=085607"),
    "date-with-time-range": (f"{DATE}=20250110", f"{TIME}=1200-1800"),
    "physician": (f"{STEP}.ScheduledPerformingPhysicianName=WRITER*",),
    "step-id": (f"{STEP}.ScheduledProcedureStepID=S7",),
    "step-status": (f"{STEP}.ScheduledProcedureStepStatus=ARRIVED",),
    "station-name": (f"{STEP}.ScheduledStationName=ROOM 1",),
    "protocol-code": (f"{STEP}.ScheduledProtocolCodeSequence[0].CodeValue=PROT9",),
    "step-empty-item": (STEP,),
    "step-two-items": (f"{MODALITY}=CT", "ScheduledProcedureStepSequence[1].Modality=MR"),
}

IDENTIFYING = ("AccessionNumber", f"{STEP}.ScheduledProcedureStepID")

NOT_A_KEY = (
    "wlmscpfs matches on a fixed list of attributes and answers as if this key were empty; here "
    "any attribute is a matching key (PS3.4 K.2.2.1.1.2)"
)
WILD_CARD = (
    "wlmscpfs compares `*` literally in AE titles, modalities and Patient IDs; PS3.4 C.2.2.2.4 "
    "gives AE, CS and LO wild cards"
)
PERSON_NAME = (
    "wlmscpfs compares names byte by byte; here case and accents do not count (PS3.4 C.2.2.2.1 "
    "leaves it to the server), unless `CaseSensitivePN` is true"
)
PRECISION = (
    "a time key means the whole interval that it names: `0856` is 08:56:00 to 08:56:59.999999 "
    "(PS3.4 C.2.2.2.1.3)"
)
REASONS: dict[str, str] = {
    "patient-name-prefix": PERSON_NAME,
    "patient-name-other-case": PERSON_NAME,
    "patient-name-without-accent": PERSON_NAME,
    "patient-name-trailing-components": "trailing empty components may be left out of a name "
    "(PS3.5 6.2.1.2), so `POE^PAULA^^^` is `POE^PAULA`",
    "patient-id-wild-card": WILD_CARD,
    "modality-wild-card": WILD_CARD,
    "station-wild-card": WILD_CARD,
    "medical-alerts-key": NOT_A_KEY,
    "study-instance-uid": NOT_A_KEY,
    "study-instance-uid-list": f"{NOT_A_KEY}; a list of UIDs matches any of them (C.2.2.2.2)",
    "requested-procedure-description": NOT_A_KEY,
    "requested-procedure-code": NOT_A_KEY,
    "step-id": NOT_A_KEY,
    "step-status": NOT_A_KEY,
    "protocol-code": NOT_A_KEY,
    "occupation": "wlmscpfs does not know the attribute, leaves it out and says so with FF01; here "
    "every attribute that is asked for comes back, with zero length where the item lacks it",
    "modality-two-values": "several values in one key are not defined for the worklist; here any "
    "of them matches, which is what devices that send them mean",
    "modality-other-case": "lower case cannot be in a CS value: here such a key matches nothing, "
    "wlmscpfs refuses the query",
    "date-asterisk": "a lone `*` is universal in any VR here, for devices that send it in dates",
    "date-old-form": "the old form of a date, with dots, is understood",
    "requested-procedure-code-empty": "for an empty sequence key wlmscpfs answers the attributes "
    "that it knows of, empty where the item lacks them; here the stored sequence comes back as it "
    "is (PS3.4 C.2.2.2.6)",
    "time-minutes": PRECISION,
    "time-range-minutes": PRECISION,
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a server answered, as far as the two are to agree."""

    final_status: int
    pending: frozenset[int]
    answers: tuple[tuple[str, ...], ...]
    keys: frozenset[str]

    @classmethod
    def of(cls, result: FindResult) -> "Summary":
        return cls(
            result.final_status,
            frozenset(result.statuses[:-1]),
            tuple(sorted(_identity(answer) for answer in result.answers)),
            frozenset(path for answer in result.answers for path in _paths(answer))
            # It has a row of its own: see test_character_set_is_sent_where_a_value_needs_it.
            - {"SpecificCharacterSet"},
        )

    def against(self, other: "Summary") -> str:
        """Say in words how this differs from the other."""
        told = []
        if self.final_status != other.final_status:
            told.append(f"status {self.final_status:04X}")
        if self.answers != other.answers:
            told.append("answers " + (", ".join(answer[0] for answer in self.answers) or "nothing"))
        elif self.pending != other.pending:
            told.append("Pending " + ", ".join(f"{status:04X}" for status in sorted(self.pending)))
        if self.answers and other.answers and (more := self.keys - other.keys):
            told.append(f"returns {', '.join(sorted(more))}")
        return "; ".join(told) or "without"


def _identity(answer: Dataset) -> tuple[str, ...]:
    """Give the accession number of an answer and the identifiers of its steps."""
    steps = answer.get("ScheduledProcedureStepSequence", [])
    return (
        str(answer.AccessionNumber),
        *(str(part.ScheduledProcedureStepID) for part in steps),
    )


def _paths(dataset: Dataset) -> Iterator[str]:
    """Give the path of every attribute that an answer holds."""
    for element in dataset:
        yield element.keyword
        if element.VR == "SQ":
            for item in element.value:
                yield from (f"{element.keyword}.{path}" for path in _paths(item))


@dataclass(frozen=True, slots=True)
class Difference:
    """One query that the two servers answer differently."""

    keys: Sequence[str]
    wlmscpfs: str
    mwl: str


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, over the same folder."""

    wlmscpfs_port: int
    mwl: RunningServer

    def ask(self, *keys: str) -> tuple[FindResult, FindResult]:
        """Give what wlmscpfs answers to a query, and what mwl answers."""
        return (
            findscu("127.0.0.1", self.wlmscpfs_port, *keys),
            findscu(self.mwl.host, self.mwl.port, *keys),
        )


@contextmanager
def both(base: Path, items: Mapping[str, Dataset | bytes]) -> Iterator[Servers]:
    """Run both servers over a folder of items."""
    folder = fill(base / "ORTHANC", items)
    with running_wlmscpfs(base, "-csk") as port, running_server(folder) as mwl:
        yield Servers(port, mwl)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with both(tmp_path_factory.mktemp("differential"), _items()) as running:
        yield running


VERSION = "3.6.7"
"""The release of DCMTK in Debian 12 and Ubuntu 24.04; another one may differ elsewhere."""


@pytest.fixture(scope="module")
def differences(servers: Servers) -> dict[str, Difference]:
    if f"wlmscpfs v{VERSION} " not in run("wlmscpfs", "--version").stdout:
        pytest.skip(f"the list of differences is from wlmscpfs {VERSION}, this is another one")
    found = {}
    for name, keys in QUERIES.items():
        asked = [*keys, *(key for key in IDENTIFYING if f"{key}=" not in " ".join(keys))]
        theirs, ours = map(Summary.of, servers.ask(*asked))
        if theirs != ours:
            found[name] = Difference(keys, theirs.against(ours), ours.against(theirs))
    return found


HEAD = """\
# Differences from wlmscpfs

The same queries were sent to DCMTK's `wlmscpfs` {version} (with `-csk`, so that it returns
character sets) and to `mwl serve`, over the same folder of items that `wlmscpfs` takes for
complete. The two agree on {agreeing} of {all} queries. `tests/interop/test_differential.py` checks
this page and holds the items and the queries: a difference that is not listed fails it, and so
does a row that no longer differs.

On every query:

- `wlmscpfs` sends (0008,0005) with each answer; `mwl` where a value needs it, as PS3.4 K.4.1.1.3.2
  has it.
- `wlmscpfs` answers in the order in which the file system lists the files, `mwl` by date, time and
  accession number.
- `wlmscpfs` ignores a file that lacks an attribute of type 1 or has several scheduled procedure
  steps; `mwl` answers it, one answer for each step (PS3.4 K.6.1.2.1).
- `wlmscpfs` needs a file `lockfile` in the folder, and fails every query without it.

| query | keys | wlmscpfs | mwl | why |
|---|---|---|---|---|
"""


def _document(differences: dict[str, Difference]) -> str:
    rows = [
        f"| {name} | {_cell('`' + ' '.join(row.keys) + '`')} | {_cell(row.wlmscpfs)} "
        f"| {_cell(row.mwl)} | {REASONS.get(name, 'not explained')} |\n"
        for name, row in differences.items()
    ]
    head = HEAD.format(version=VERSION, agreeing=len(QUERIES) - len(differences), all=len(QUERIES))
    return head + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("ScheduledProcedureStepSequence", "SPS")


@pytest.mark.parametrize(("patient_id", "needed"), [("P1", False), ("P7", True)])
def test_character_set_is_sent_where_a_value_needs_it(
    servers: Servers, patient_id: str, needed: bool
) -> None:
    theirs, ours = servers.ask(f"PatientID={patient_id}", "PatientName")
    assert ("SpecificCharacterSet" in ours.answers[0]) is needed
    assert "SpecificCharacterSet" in theirs.answers[0] or not needed


def test_incomplete_files_and_files_of_several_steps_are_answered_here_alone(
    tmp_path: Path,
) -> None:
    incomplete = worklist("P5", "NOSTEP^NORA")
    two = worklist(
        "P9",
        "TWO^TOM",
        step("NM", "NM1", "20250120", "0900", "FIRST"),
        step("NM", "NM1", "20250120", "1200", "SECOND"),
    )
    with both(tmp_path, {"p5.wl": incomplete, "p9.wl": two, "lockfile": b""}) as servers:
        theirs, ours = servers.ask("PatientID")
    assert theirs.patient_ids == []
    assert sorted(ours.patient_ids) == ["P5", "P9", "P9"]


def test_lockfile_is_needed_there_alone(tmp_path: Path) -> None:
    with both(tmp_path, {"p1.wl": P1}) as servers:
        theirs, ours = servers.ask("PatientID")
    assert (theirs.final_status, ours.final_status) == (0xA700, 0x0000)


def test_every_difference_is_explained(differences: dict[str, Difference]) -> None:
    assert set(differences) == set(REASONS)


def test_document_lists_the_differences_that_there_are(
    differences: dict[str, Difference],
) -> None:
    text = _document(differences)
    if os.environ.get("MWL_UPDATE_DOCS"):
        DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
        DOCUMENT.write_text(text, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == text


def test_corpus_is_large_enough() -> None:
    assert len(QUERIES) >= 40
