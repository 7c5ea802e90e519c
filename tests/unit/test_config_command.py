import json
import sys
from pathlib import Path

import pytest
import trustme
import typer
from typer.testing import CliRunner

from mwl.cli.arguments import fail
from mwl.cli.config import config as app
from mwl.config import Note, default_file
from mwl.errors import ConfigError
from mwl.server.log import report_notes
from support.certificates import Authority
from support.telemetry import captured_log

BAD = '{\n"DicomPort": "x",\n"DicomAEt": "MWL",\n"HttpPort": 8042}'


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def test_init_prints_the_default_file() -> None:
    assert run("init") == default_file()


def test_init_writes_a_file_and_never_over_one(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    run("init", file)
    assert file.read_text(encoding="utf-8") == default_file()
    file.write_text("mine", encoding="utf-8")
    assert "exists already" in run("init", file, status=2)
    assert file.read_text(encoding="utf-8") == "mine"


def test_init_tells_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    assert "cannot be written" in run("init", tmp_path / "none" / "mwl.json", status=2)


def test_init_can_name_the_folder_to_serve(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    run("init", file, "--database", "/srv/wl")
    shown = json.loads(run("show", file))
    assert shown["Worklists"]["Enable"] is True
    assert shown["Worklists"]["Database"] == "/srv/wl"


def test_the_folder_given_to_init_is_one_of_the_working_directory_and_the_file_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wl").mkdir()
    Path("etc").mkdir()
    run("init", "etc/mwl.json", "--database", "wl")
    assert json.loads(run("show", "etc/mwl.json"))["Worklists"]["Database"] == f"{tmp_path}/wl"
    assert run("check", "etc/mwl.json") == (
        "can be used; warnings: 0, options without meaning here: 0\n"
    )


def test_check_tells_that_a_file_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    text = '{"HttpTimeout": 60, "Worklist": {}, "Worklists": {"Enable": true, "Database": "."}}'
    file.write_text(text, encoding="utf-8")
    assert run("check", file) == (
        f"warning: {file}:1: Worklist: is not an option (did you mean Worklists?)\n"
        "can be used; warnings: 1, options without meaning here: 1\n"
    )
    assert "ignored: " in run("check", "--verbose", file)


def test_check_reports_errors_and_warnings_with_file_and_line_and_ends_with_2(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mwl.json"
    file.write_text(BAD, encoding="utf-8")
    output = run("check", tmp_path, status=2)
    assert output.splitlines() == [
        f'error: {file}:2: DicomPort: found "x", allowed is a whole number from 0 to 65535',
        f"warning: {file}:3: DicomAEt: is not an option (did you mean DicomAet?)",
    ]


def test_check_refuses_what_serve_refuses_and_warns_of_what_is_missing_here(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mwl.json"
    text = '{"DicomServerEnabled": false,\n"Worklists": {"Enable": false}}'
    file.write_text(text, encoding="utf-8")
    off = "is false, so there is nothing to serve"
    missing = f"{tmp_path / 'worklists'} does not exist (every query fails until it does)"
    assert run("check", file, status=2).splitlines() == [
        f'error: {file}:1: DicomServerEnabled: {off} (write "DicomServerEnabled": true)',
        f'error: {file}:2: Worklists.Enable: {off} (write "Enable": true)',
        f"warning: Worklists.Database: {missing}",
    ]


def test_check_of_an_untouched_default_file_says_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    run("init", file)
    (tmp_path / "worklists").mkdir()
    (line,) = run("check", file, status=2).splitlines()
    assert line.startswith(f"error: {file}:")
    assert line.endswith(
        'Worklists.Enable: is false, so there is nothing to serve (write "Enable": true)'
    )


def test_show_prints_defaults_too_and_where_values_come_from(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_text('{"DicomAet": "MWL"}', encoding="utf-8")
    shown = json.loads(run("show", file))
    assert shown["DicomAet"] == "MWL"
    assert shown["DicomPort"] == 4242
    assert json.loads(run("show", "--origins", file))["DicomAet"] == f"{file}:1"


def test_show_of_a_file_with_an_error_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_text(BAD, encoding="utf-8")
    assert f"{file}:2: DicomPort" in run("show", file, status=2)


def test_fail_tells_every_error_on_standard_error_and_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = ConfigError("is\nwrong", option="Name", hint="write it right")
    error.add_note("Other: is wrong too")
    with pytest.raises(typer.Exit) as caught:
        fail(error)
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == (
        "error: Name: is\\nwrong (write it right)\nerror: Other: is wrong too\n"
    )


def test_notes_go_to_the_log_with_file_and_line() -> None:
    notes = [
        Note(kind="warning", message="is not an option", file="a", line=1, option="X", hint="h"),
        Note(kind="ignored", message="has no meaning here", option="HttpPort"),
    ]
    with captured_log() as log:
        report_notes(notes)
    (warning,) = log.events("config_warning")
    assert (warning["option"], warning["file"], warning["line"], warning["hint"]) == (
        "X",
        "a",
        1,
        "h",
    )
    (ignored,) = log.events("config_ignored")
    assert ignored["option"] == "HttpPort"


def checked(folder: Path, files: dict[str, str], **options: object) -> str:
    """Write files and a configuration that names them, and give what the check finds wrong."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    worklists = {"Enable": True, "Database": "."}
    file = folder / "mwl.json"
    file.write_text(json.dumps({"Worklists": worklists, **options}), encoding="utf-8")
    return run("check", file, status=2)


def test_check_loads_scripts_and_hooks_as_serve_does(tmp_path: Path) -> None:
    pytest.importorskip("lupa")
    files = {
        "a.lua": "x = 1\nx = = 1",
        "b.py": "import orthanc\northanc.RegisterRestCallback('/x', None)",
        "c.py": "def hook(:",
    }
    options = {"LuaScripts": ["a.lua"], "PythonScript": "b.py", "Hooks": ["c.py"]}
    lines = checked(tmp_path, files, **options).splitlines()
    assert lines[0].startswith(f"error: {tmp_path / 'a.lua'}:2: LuaScripts: unexpected symbol")
    assert lines[1].startswith(f"error: {tmp_path / 'b.py'}:2: PythonScript: ")
    assert "has no 'RegisterRestCallback' here" in lines[1]
    assert lines[2].startswith(f"error: {tmp_path / 'c.py'}:1: Hooks: is no Python")


def test_check_tells_of_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lupa", None)
    output = checked(tmp_path, {"a.lua": ""}, LuaScripts=["a.lua"], Hooks=["nobody"])
    assert "error: LuaScripts: Lua scripts need the package lupa" in output
    assert "error: Hooks: no installed package has the entry point 'nobody'" in output


def test_check_tells_of_a_certificate_without_its_key(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "only.pem")
    output = checked(tmp_path, {}, SslEnabled=True, SslCertificate="only.pem")
    assert "error: SslCertificate: " in output
    assert "its private key" in output


def test_check_warns_of_callbacks_that_are_never_called(tmp_path: Path) -> None:
    pytest.importorskip("lupa")
    lua = "function OnStoredInstance() end function Initialize() error('called') end"
    (tmp_path / "a.lua").write_text(lua, encoding="utf-8")
    file = tmp_path / "mwl.json"
    text = '{"Worklists": {"Enable": true, "Database": "."}, "LuaScripts": ["a.lua"]}'
    file.write_text(text, encoding="utf-8")
    assert run("check", file) == (
        "warning: LuaScripts: OnStoredInstance is defined in a script, "
        "and such a callback is never called here\n"
        "can be used; warnings: 1, options without meaning here: 0\n"
    )


def test_check_calls_no_script(tmp_path: Path) -> None:
    script = """
import orthanc
print("loaded")
orthanc.RegisterOnChangeCallback(lambda *_: open("called", "w"))
"""
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    file = tmp_path / "mwl.json"
    text = '{"Worklists": {"Enable": true, "Database": "."}, "PythonScript": "script.py"}'
    file.write_text(text, encoding="utf-8")
    with captured_log() as log:
        assert run("check", file) == "can be used; warnings: 0, options without meaning here: 0\n"
    assert [event["message"] for event in log.events("script_output")] == ["loaded"]
    assert log.events("callback_failed") == []
    assert not Path("called").exists()


def test_check_reads_the_certificates_of_dicom_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    authority.write(tmp_path)
    authority.issue("server").write(tmp_path, "server")
    authority.issue("other").write(tmp_path, "other")
    output = checked(
        tmp_path,
        {},
        DicomTlsPort=2762,
        DicomTlsCertificate="server.pem",
        DicomTlsPrivateKey="other.key",
        DicomTlsTrustedCertificates="ca.pem",
    )
    assert output == (
        f"error: DicomTlsPrivateKey: {tmp_path / 'other.key'}: "
        f"the key is not that of {tmp_path / 'server.pem'}\n"
    )
