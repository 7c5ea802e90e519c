"""`mwl explain` as a process, beside the server that it speaks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.server import run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, GARBAGE, configuration, fill, query_file, worklist

STEP = "ScheduledProcedureStepSequence[0]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("explain") / "items", FIVE_ITEMS)


def explain(*arguments: str | Path, status: int = 0) -> dict[str, Any]:
    done = run_mwl("explain", *arguments, "--json")
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "keys",
    [
        ["PatientName=DOE*"],
        [f"{STEP}.Modality=CT", "PatientID"],
        [
            f"{STEP}.ScheduledProcedureStepStartDate=20250110-20250111",
            "PatientID",
            "AccessionNumber",
        ],
        ["PatientID=nobody"],
    ],
)
def test_the_answers_are_those_of_the_server(folder: Path, keys: list[str]) -> None:
    arguments = [part for key in keys for part in ("-k", key)]
    with running_server(folder) as server:
        answered = run_mwl("find", "--json", *arguments, server.host, server.port)
    report = explain(folder, *arguments)
    assert [found["identifier"] for found in report["answers"]] == json.loads(answered.stdout)
    assert report["status"] == "0000"
    assert report["items"] == 5 == report["matches"] + report["missed"]


def test_the_report_for_people_shows_query_answer_misses_and_hints(folder: Path) -> None:
    done = run_mwl(
        *("explain", folder, "-k", f"{STEP}.Modality=ct", "-k", "PatientName", "--misses", "2")
    )
    assert done.returncode == 0
    for part in (
        "MWL at 127.0.0.1 asks ORTHANC",
        "is “ct”",
        "5 of 5",
        "To be returned: Patient's Name",
        "0 items of 5 match",
        "Nearest misses, 2 of 5",
        "“CT”",
        "Only upper and lower case differ in Modality",
    ):
        assert part in done.stdout


def test_files_can_be_asked_one_by_one(folder: Path) -> None:
    report = explain(folder / "p1.wl", "-k", "PatientID=P2")
    assert (report["items"], report["matches"]) == (1, 0)
    assert report["misses"][0]["excluded_by"] == [
        {"key": "PatientID", "asks": "is “P2”", "stored": "“P1”"}
    ]


def test_a_file_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", {"bad.wl": GARBAGE})
    assert list(explain(folder)["unreadable"]) == ["bad.wl"]
    assert list(explain(folder / "bad.wl")["unreadable"]) == [str(folder / "bad.wl")]


def test_the_query_may_come_from_a_file_and_keys_go_before_it(folder: Path, tmp_path: Path) -> None:
    query = query_file(tmp_path / "query.dcm", worklist("P1", "DOE*"))
    assert explain(folder, "--query", query, "-k", "PatientID=P3")["matches"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "(0010,0010) PN [DOE*]\n(0010,0020) LO\n",
        "# from the log\nPatientName = DOE*\nPatientID\n",
        '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE*"}]}, "00100020": {"vr": "LO"}}',
    ],
)
def test_the_query_may_be_text(folder: Path, tmp_path: Path, text: str) -> None:
    query = tmp_path / "query.txt"
    query.write_text(text)
    report = explain(folder, "--query", query)
    assert (report["matches"], report["returned"]) == (1, ["Patient ID"])


def test_the_query_may_come_from_standard_input(folder: Path) -> None:
    done = run_mwl("explain", folder, "--query", "-", "--json", stdin="PatientName = DOE*\n")
    assert json.loads(done.stdout)["matches"] == 1


def test_a_device_that_is_bound_to_a_certificate_is_taken_to_show_it(
    folder: Path, tmp_path: Path
) -> None:
    entry = {"AET": "CT1", "Host": "192.0.2.7", "Port": 104, "TlsSubject": "CN=ct1,O=Example"}
    file = configuration(tmp_path / "mwl.json", folder, DicomModalities={"ct1": entry})
    known = explain("--config", file, "--calling-aet", "CT1")
    assert known["refused"] is None
    assert "CN=ct1,O=example" in known["caller"]["certificate_names"]
    assert known["assumed"] == ["CT1 is taken to show the certificate of its TlsSubject."]


def test_a_device_that_must_log_in_is_taken_to_do_so(folder: Path, tmp_path: Path) -> None:
    def asking(mode: str) -> Path:
        return configuration(
            tmp_path / "mwl.json",
            folder,
            DicomModalities={"ct1": ["CT1", "192.0.2.7", 104]},
            DicomUserIdentity=mode,
            RegisteredUsers={"somebody": "a long passcode"},
        )

    file = asking("required")
    known = explain("--config", file, "--calling-aet", "CT1")
    assert (known["refused"], known["status"]) == (None, "0000")
    (said,) = known["assumed"]
    assert said.startswith('DicomUserIdentity is "required": CT1 is taken to log in')
    assert said in run_mwl("explain", "--config", file, "-aet", "CT1").stdout.replace("\n", " ")
    stranger = explain("--config", file, "--calling-aet", "MR7", status=1)
    assert "DicomModalities" in stranger["refused"]["reason"]
    assert explain("--config", asking("offered"), "-aet", "CT1")["assumed"] == []


def test_the_configuration_decides_access_station_and_limit(folder: Path, tmp_path: Path) -> None:
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        DicomModalities={
            "ct1": ["CT1", "192.0.2.7", 104],
            "us": {"AET": "US1", "Host": "192.0.2.8", "Port": 104, "AllowFindWorklist": False},
        },
        DicomCheckModalityHost=True,
        Worklists={"FilterIssuerAet": True, "LimitAnswers": 1},
    )
    known = explain("--config", file, "--calling-aet", "CT1")
    assert known["caller"]["host"] == "192.0.2.7"
    assert (known["matches"], len(known["answers"]), known["status"]) == (2, 1, "FE00")
    stranger = explain("--config", file, "--calling-aet", "MR7", status=1)
    assert "DicomModalities" in stranger["refused"]["reason"]
    forbidden = explain("--config", file, "--calling-aet", "US1", status=1)
    assert "AllowFindWorklist" in forbidden["refused"]["remedy"]
    elsewhere = explain(
        *("--config", file, "--calling-aet", "CT1", "--host", "192.0.2.9"), status=1
    )
    assert elsewhere["refused"]["stage"] == "query"


def test_a_called_ae_title_has_its_own_folder(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "items" / "CT9", {"p1.wl": FIVE_ITEMS["p1.wl"]})
    file = configuration(
        tmp_path / "mwl.json",
        tmp_path / "items",
        DicomAlwaysAllowFindWorklist=True,
        Worklists={"FolderPerCalledAet": True},
    )
    assert explain("--config", file, "--called-aet", "CT9")["matches"] == 1
    missing = explain("--config", file, "--called-aet", "CT8", status=1)
    assert "no folder for the called AE title CT8" in missing["refused"]["reason"]


def test_a_database_that_cannot_be_read_is_what_the_device_is_told(tmp_path: Path) -> None:
    file = configuration(tmp_path / "mwl.json", tmp_path / "missing")
    found = explain("--config", file, status=1)
    assert found["refused"]["stage"] == "query"  # who may ask is told all the same
    assert found["status"] == "C000"
    assert found["comment"] == "Worklist folder cannot be read; call the administrator"


def test_what_is_odd_in_the_configuration_is_told(folder: Path, tmp_path: Path) -> None:
    file = configuration(tmp_path / "mwl.json", folder, Worklists={"FilterIssuerAt": True})
    done = run_mwl("explain", "--config", file)
    assert "FilterIssuerAt" in done.stderr
    assert "FilterIssuerAet" in done.stderr


def test_a_query_that_the_server_does_not_take_is_told(folder: Path, tmp_path: Path) -> None:
    query = tmp_path / "long.json"
    query.write_text(json.dumps({"00420011": {"vr": "UT", "Value": ["A" * 200_000]}}))
    found = explain(folder, "--query", query, status=1)
    assert "131072 are taken" in found["refused"]["reason"]


def test_a_folder_without_worklist_files_is_told(tmp_path: Path) -> None:
    done = run_mwl("explain", tmp_path)
    assert done.returncode == 0
    assert "only *.wl files in the folder itself are served" in done.stdout


def test_a_refused_query_is_told_with_what_is_legal(folder: Path) -> None:
    done = run_mwl("explain", folder, "-k", f"{STEP}.ScheduledProcedureStepStartDate=2026-11-24")
    assert done.returncode == 1
    assert "status A900" in done.stdout
    assert "Ask for one day, 20261124" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to look at"),
        (["{missing}"], "No such file"),
        (["{folder}", "{folder}"], "one folder, or files"),
        (["{folder}", "-k", "PatientNam=X"], "PatientNam"),
        (["{folder}", "--query", "{missing}"], "No such file"),
        (["{folder}", "--config", "{missing}"], "missing"),
    ],
)
def test_arguments_that_cannot_be_used_are_exit_status_2(
    folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    names = {"folder": folder, "missing": tmp_path / "missing"}
    done = run_mwl("explain", *(argument.format(**names) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert not done.stdout


CHANGING = """
import orthanc
print("loaded")

def answer(answers, query, issuer, called):
    print("asked")

orthanc.RegisterWorklistCallback(answer)
"""


def test_what_scripts_print_is_not_in_the_report(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(CHANGING, encoding="utf-8")
    hooks = "from mwl import hook\nprint('hooks')\n@hook.event\ndef heard(event): pass\n"
    (tmp_path / "hooks.py").write_text(hooks, encoding="utf-8")
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        DicomAlwaysAllowFindWorklist=True,
        PythonScript="script.py",
        Hooks=["hooks.py"],
    )
    assert explain("--config", file)["matches"] == 0


def test_what_scripts_and_hooks_did_to_the_query_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(
        "from mwl import hook\n"
        "@hook.query\n"
        "def change(query, origin):\n"
        "    del query['AccessionNumber']\n"
        "    query['PatientID'] = 'P1'\n"
        "    query['ScheduledProcedureStepSequence[0].Modality'] = 'CT'\n"
        "    return query\n",
        encoding="utf-8",
    )
    file = configuration(
        tmp_path / "mwl.json", folder, DicomAlwaysAllowFindWorklist=True, Hooks=["hooks.py"]
    )
    keys = ["-k", "AccessionNumber=S2600001", "-k", "PatientID", "-k", "PatientName=*"]
    told = explain("--config", file, *keys)
    assert told["changes"] == [
        {"key": "AccessionNumber", "what": "removed"},
        {"key": "PatientID", "what": "changed"},
        {"key": "ScheduledProcedureStepSequence[0].Modality", "what": "added"},
    ]
    assert explain(folder, *keys)["changes"] == []
    shown = run_mwl("explain", "--config", file, *keys).stdout
    assert "changed the query: AccessionNumber removed, PatientID changed, " in shown
