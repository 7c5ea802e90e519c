"""Every command of `mwl` as a process: what it prints and its exit status."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, configuration, fill

STEP = "ScheduledProcedureStepSequence[0]"
COMMANDS = ["serve", "echo", "find", "explain", "new", "check", "dump", "undump", "config"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = fill(tmp_path_factory.mktemp("commands") / "items", FIVE_ITEMS)
    with running_server(folder) as running:
        yield running


def find(server: RunningServer, *arguments: str) -> tuple[int, str, str]:
    done = run_mwl("find", *arguments, server.host, server.port)
    return done.returncode, done.stdout, done.stderr


def test_help_names_every_command() -> None:
    done = run_mwl("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = run_mwl(command, "--help")
    assert done.returncode == 0
    assert done.stdout


def test_unknown_command_is_exit_status_2() -> None:
    assert run_mwl("fnid").returncode == 2


def test_echo_says_who_answers(server: RunningServer) -> None:
    done = run_mwl("echo", server.host, server.port)
    assert done.returncode == 0, done.stderr
    assert str(server.port) in done.stdout + done.stderr


def test_find_prints_answers_as_dcmdump_does(server: RunningServer) -> None:
    status, output, _ = find(server, "-W", "-k", "PatientName=DOE*", "-k", f"{STEP}.Modality")
    assert status == 0
    assert "(0010,0010) PN [DOE^JANE]" in output
    assert "(0008,0060) CS [CT]" in output
    assert "ROE^RICHARD" not in output


def test_find_as_json_is_the_dicom_json_model(server: RunningServer) -> None:
    keys = ["-k", "PatientName", "-k", "PatientID", "-k", STEP, "-k", "PatientWeight"]
    status, output, errors = find(server, *keys, "--json")
    assert status == 0, errors
    answers = {answer.PatientID: answer for answer in map(Dataset.from_json, json.loads(output))}
    assert sorted(answers) == ["P1", "P2", "P3", "P4", "P5"]
    assert answers["P4"].PatientName == "Примеров^Пётр"
    steps = answers["P2"].ScheduledProcedureStepSequence
    assert list(steps[0].ScheduledStationAETitle) == ["CT1", "CT2"]


def test_find_as_json_without_answers_is_an_empty_list(server: RunningServer) -> None:
    status, output, _ = find(server, "-k", "PatientID=NOBODY", "--json")
    assert (status, json.loads(output)) == (0, [])


def test_find_asks_for_names_in_any_script(server: RunningServer) -> None:
    status, output, errors = find(server, "-k", "PatientName=ПРИМЕРОВ*", "-k", "PatientID")
    assert status == 0, errors
    assert "(0010,0020) LO [P4]" in output.replace("P4 ]", "P4]")


def test_find_without_keys_asks_for_the_usual_ones(server: RunningServer) -> None:
    status, output, errors = find(server, "--json")
    assert status == 0, errors
    answers = [Dataset.from_json(answer) for answer in json.loads(output)]
    assert len(answers) == 5
    assert all("PatientName" in answer and "AccessionNumber" in answer for answer in answers)


def test_find_as_table_has_a_row_an_answer(server: RunningServer) -> None:
    status, output, _ = find(server, "-k", "PatientName", "-k", f"{STEP}.Modality=CT", "--table")
    assert status == 0
    rows = [line for line in output.splitlines() if "^" in line]
    assert len(rows) == 3
    assert "Примеров^Пётр" in output


def test_find_reports_a_refused_key(server: RunningServer) -> None:
    status, output, errors = find(
        server, "-k", f"{STEP}.ScheduledProcedureStepStartDate=soon", "--json"
    )
    assert status == 1
    assert "A900" in errors.upper()
    assert "Traceback" not in errors + output


WRONG_ARGUMENTS = {
    "misspelt keyword": ["find", "-k", "PatientNmae=X", "127.0.0.1", "104"],
    "port out of range": ["echo", "127.0.0.1", "70000"],
    "no port": ["find", "127.0.0.1"],
    "query file that is not there": ["find", "127.0.0.1", "104", "/nonexistent/query.dcm"],
    "nothing to serve": ["serve"],
    "new item without a file": ["new", "PatientName=DOE"],
    "folder and configuration": ["serve", ".", "--config", "."],
}


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_arguments_are_exit_status_2_and_a_sentence(arguments: list[str]) -> None:
    done = run_mwl(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_taken_is_exit_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_mwl("serve", tmp_path, "--port", port)
    assert done.returncode == 1  # it may be free later: docs/reference/exit-statuses.md
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


WRONG_CONFIGURATIONS = {
    "not JSON": ('{\n  "DicomPort": 4242,\n  "Worklists": {{\n}\n', 3),
    "wrong type": ('{\n  // the port\n  "DicomPort": "abc"\n}\n', 3),
    "out of range": ('{\n  "DicomPort": 70000\n}\n', 2),
    "not one of the values": ('{\n  "Worklists": {\n    "Watch": "sometimes"\n  }\n}\n', 3),
}


@pytest.mark.parametrize("command", [["serve", "--config"], ["config", "check"]], ids=" ".join)
@pytest.mark.parametrize(("text", "line"), WRONG_CONFIGURATIONS.values(), ids=WRONG_CONFIGURATIONS)
def test_wrong_configuration_is_exit_status_2_and_names_file_and_line(
    tmp_path: Path, command: list[str], text: str, line: int
) -> None:
    file = tmp_path / "mwl.json"
    file.write_text(text, encoding="utf-8")
    done = run_mwl(*command, file)
    assert done.returncode == 2
    assert f"mwl.json:{line}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_misspelt_option_is_a_warning_with_the_likely_name(tmp_path: Path) -> None:
    file = configuration(tmp_path / "mwl.json", tmp_path, Worklists={"LimitAnswer": 5})
    with running_server("--config", file) as server:
        line = server.log.wait_for("config_warning")
        assert "LimitAnswer" in line.text
        assert "LimitAnswers" in line.text


def test_printed_default_configuration_is_one_that_starts(tmp_path: Path) -> None:
    printed = run_mwl("config", "init", "--database", tmp_path)
    assert printed.returncode == 0
    assert "//" in printed.stdout
    file = tmp_path / "mwl.json"
    file.write_text(printed.stdout, encoding="utf-8")
    check = run_mwl("config", "check", file)
    assert check.returncode == 0, check.stdout + check.stderr
    with running_server("--config", file):
        pass


def test_configuration_in_force_is_shown(tmp_path: Path) -> None:
    file = configuration(tmp_path / "mwl.json", tmp_path, DicomAet="SHOWN")
    done = run_mwl("config", "show", file)
    assert done.returncode == 0, done.stderr
    assert '"SHOWN"' in done.stdout
    assert "DicomScpTimeout" in done.stdout


@pytest.mark.parametrize("layout", ["--json", "--table"])
def test_an_answer_with_bad_text_hides_no_other(tmp_path: Path, layout: str) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    raw = (folder / "p4.wl").read_bytes()
    name = "Примеров^Пётр".encode()
    assert name in raw
    (folder / "p4.wl").write_bytes(raw.replace(name, b"M\xfcLLER^U".ljust(len(name))))
    with running_server(folder) as running:
        status, output, errors = find(running, "-k", "PatientName", "-k", "PatientID", layout)
    assert status == 0
    assert "M\N{LATIN SMALL LETTER U WITH DIAERESIS}LLER^U" in output
    assert "ROE^RICHARD" in output
    assert "shown as Latin 1" in errors


def test_find_prints_no_empty_list_when_the_server_cannot_be_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run_mwl("find", "--json", "127.0.0.1", unused.getsockname()[1])
    assert (done.returncode, done.stdout) == (1, "")
    assert "no connection" in done.stderr


@pytest.mark.parametrize("command", ["echo", "find", "serve"])
def test_an_ae_title_that_is_none_is_refused(tmp_path: Path, command: str) -> None:
    title = "SEVENTEEN-LETTERS"
    rest: list[str | int | Path] = ["-aet", title, "127.0.0.1", 9]
    if command == "serve":
        rest = ["--aet", title, tmp_path]
    done = run_mwl(command, *rest)
    assert done.returncode == 2
    assert "AE title" in done.stderr


def test_version_is_told() -> None:
    assert run_mwl("--version").stdout.startswith("mwl ")
