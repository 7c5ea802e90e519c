"""`mwl check` as a user has it: output, options, exit status."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mwl.check import PROFILES, RULES
from mwl.cli import app
from mwl.cli import check as command
from support import dcmtk
from support.breaches import BREACHES, CLEAN, Files, data_of, item, with_step

WARNING = data_of(with_step(ScheduledProcedureStepStartDate="20261122"))
ERROR = data_of(with_step(ScheduledProcedureStepID=""))


def run(*arguments: object, status: int) -> str:
    every = ["check", "--today", "20261123", *map(str, arguments)]
    result = CliRunner().invoke(app, every)
    assert result.exit_code == status, result.output
    return result.output


def fill(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_without_fault_ends_with_0(tmp_path: Path) -> None:
    fill(tmp_path, {"item.wl": data_of(CLEAN), "lockfile": b"", "README": b"text"})
    assert run(tmp_path, status=0) == "files: 1, errors: 0, warnings: 0\n"


def test_findings_stand_under_their_file_and_rules_are_explained_once(tmp_path: Path) -> None:
    fill(tmp_path, {"b.wl": WARNING, "a.WL": ERROR, "c.wl": data_of(CLEAN)})
    output = run(tmp_path, "--ignore", "MWL704", status=2)
    empty = "(0040,0100)[0].(0040,0009) ScheduledProcedureStepID: empty; it needs a value (type 1)"
    past = "(0040,0100)[0].(0040,0002) ScheduledProcedureStepStartDate: 20261122 is 1 day ago"
    assert output.splitlines()[:6] == [
        f"{tmp_path}/a.WL",
        f"  MWL202 error {empty}",
        "",
        f"{tmp_path}/b.wl",
        f"  MWL601 warning {past}",
        "",
    ]
    assert output.count("MWL601 The step was scheduled for a day that is over.") == 1
    assert "  do:  Remove the item, or schedule it again.\n" in output
    assert "c.wl" not in output
    assert output.endswith("\nfiles: 3, errors: 1, warnings: 1\n")


def test_alike_findings_of_a_file_are_one_line(tmp_path: Path) -> None:
    fill(tmp_path, {"item.wl": data_of(item(PatientState=None, Allergies=None))})
    output = run(tmp_path, status=1)
    assert "MWL203 warning (0010,2110) Allergies, (0038,0500) PatientState: missing" in output
    assert output.endswith("files: 1, errors: 0, warnings: 2\n")


def test_warnings_alone_end_with_1_and_errors_with_2(tmp_path: Path) -> None:
    file = tmp_path / "item.wl"
    file.write_bytes(WARNING)
    run(file, status=1)
    file.write_bytes(ERROR)
    run(file, status=2)


def test_quiet_prints_the_numbers_alone(tmp_path: Path) -> None:
    fill(tmp_path, {"a.wl": WARNING})
    assert run(tmp_path, "--quiet", status=1) == "files: 1, errors: 0, warnings: 1\n"


def test_json_is_an_array_of_findings_with_the_words_of_their_rule(tmp_path: Path) -> None:
    fill(tmp_path, {"a.wl": WARNING})
    (found,) = json.loads(run(tmp_path, "--json", status=1))
    (rule,) = [rule for rule in RULES if rule.number == "MWL601"]
    assert found == {
        "rule": "MWL601",
        "severity": "warning",
        "file": f"{tmp_path}/a.wl",
        "path": "(0040,0100)[0].(0040,0002)",
        "keyword": "ScheduledProcedureStepStartDate",
        "message": "20261122 is 1 day ago",
        "title": rule.title,
        "why": rule.why,
        "section": rule.section,
        "advice": rule.advice,
    }
    (tmp_path / "a.wl").write_bytes(data_of(CLEAN))
    assert json.loads(run(tmp_path, "--json", status=0)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_the_exit_status_of_each_rule_is_that_of_its_severity(rule: Any, tmp_path: Path) -> None:
    fill(tmp_path, BREACHES[rule.number]()[0])
    names = [profile.name for profile in PROFILES if rule.number in profile.rules]
    options = ["--profile", names[0]] if rule.is_optional else []
    expected = 2 if rule.severity == "error" else 1
    output = run(tmp_path, *options, status=expected)
    assert (
        f"  {rule.number} {rule.severity} " in output
        or f"  {rule.number} {rule.severity}:" in output
    )
    run(tmp_path, *options, "--ignore", rule.number.lower(), status=0)


def test_profiles_are_listed(tmp_path: Path) -> None:
    output = run("--profile", "list", status=0)
    assert all(f"{profile.name}: {profile.needs}\n" in output for profile in PROFILES)


def test_a_profile_adds_its_rules(tmp_path: Path) -> None:
    fill(tmp_path, {"item.wl": data_of(with_step(ScheduledProcedureStepStatus=None))})
    run(tmp_path, status=0)
    run(tmp_path, "--profile", "step-status", "--profile", "one-station", status=2)


def test_the_default_encoding_has_the_names_of_the_configuration(tmp_path: Path) -> None:
    name = "ЖУК^ИВАН".encode("iso8859-5")
    fill(tmp_path, {"item.wl": data_of(item(PatientName=name))})
    run(tmp_path, "--default-encoding", "Cyrillic", "--ignore", "MWL406", status=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "error: none: cannot be read: No such file or directory"),
        ([], "error: no file and no folder is given"),
        ([".", "--profile", "x"], "error: --profile: no profile is called 'x' (there are step-"),
        ([".", "--ignore", "MWL999"], "error: --ignore: no rule has the number 'MWL999'"),
        ([".", "--default-encoding", "x"], "error: --default-encoding: no encoding is called 'x'"),
        ([".", "--today", "x"], "Invalid value for '--today'"),
    ],
)
def test_what_cannot_be_used_is_one_message_and_ends_with_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in run(*arguments, status=2)


def test_a_file_is_checked_whatever_it_is_called(tmp_path: Path) -> None:
    file = tmp_path / "item.dcm"
    file.write_bytes(data_of(CLEAN))
    assert run(file, status=0) == "files: 1, errors: 0, warnings: 0\n"


def test_a_file_that_is_named_twice_is_checked_once(tmp_path: Path) -> None:
    fill(tmp_path, {"item.wl": data_of(CLEAN)})
    output = run(tmp_path, tmp_path / "item.wl", tmp_path, status=0)
    assert output == "files: 1, errors: 0, warnings: 0\n"


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_not_in_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(command, "PROGRESS_FILES", 2)
    fill(tmp_path, {"a.wl": data_of(CLEAN), "b.wl": data_of(CLEAN)})
    command.check([tmp_path], ignored=["MWL704", "MWL601"], default_encoding="Latin1")
    assert "checking" in terminal.getvalue()
    assert capsys.readouterr().out == "files: 2, errors: 0, warnings: 0\n"


def test_a_folder_without_worklist_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "CT1").mkdir()
    assert run(tmp_path, status=0).startswith("note: there is no *.wl file")


def test_what_is_no_file_or_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wl")
    (tmp_path / "folder.wl").mkdir()
    (tmp_path / "gone.wl").symlink_to("nowhere")
    (tmp_path / "pipe").symlink_to("pipe.wl")
    output = run(tmp_path, status=2)
    assert output.count("MWL101 error: not a file") == 3


def test_control_characters_of_names_and_values_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb.wl").write_bytes(data_of(with_step(Modality="\x1b[")))
    output = run(tmp_path, status=2)
    assert "\x1b" not in output
    assert "a\\u001b[2Jb.wl" in output


def test_the_day_is_today_unless_it_is_given(tmp_path: Path) -> None:
    fill(tmp_path, {"item.wl": data_of(with_step(ScheduledProcedureStepStartDate="20000101"))})
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert "20000101 is " in result.output
    assert result.exit_code == 1


@pytest.mark.interop
def test_a_file_of_dump2dcm_and_its_dump_are_judged(tmp_path: Path) -> None:
    file, copy, text = tmp_path / "item.wl", tmp_path / "copy.wl", tmp_path / "text.wl"
    file.write_bytes(WARNING)
    dump = dcmtk.dcmdump(file)
    dcmtk.dump2dcm(dump, copy)
    assert run(copy, status=1).endswith("files: 1, errors: 0, warnings: 1\n")
    text.write_text(dump, encoding="utf-8")
    assert "MWL102 error: this is the text of a dump" in run(text, status=2)
