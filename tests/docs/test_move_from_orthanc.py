"""The steps of docs/howto/move-from-orthanc.md, on the configuration that Orthanc comes with."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mwl.config import OPTIONS, check
from support.dcmtk import missing
from support.http import HttpClient
from support.orthanc_http import DEFAULTS, SAMPLES
from support.server import run_mwl, running_server

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "move-from-orthanc.md").read_text("utf-8")
INSTALLED = Path("/etc/orthanc")
WORKLISTS = {"Enable": True, "Database": str(SAMPLES)}


@pytest.fixture(params=["as it prints it", "as Debian installs it"])
def configuration(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Orthanc's full default configuration with the worklist enabled: a file, or a folder."""
    if request.param == "as it prints it":
        content = json.loads(DEFAULTS.read_text(encoding="utf-8"))
        file = tmp_path / "orthanc.json"
        file.write_text(json.dumps({**content, "Worklists": WORKLISTS}), encoding="utf-8")
        return file
    if not (INSTALLED / "orthanc.json").exists():
        missing("Orthanc is not installed (Debian package orthanc)")
    folder = tmp_path / "orthanc"
    shutil.copytree(INSTALLED, folder)
    (folder / "worklists.json").write_text(json.dumps({"Worklists": WORKLISTS}), encoding="utf-8")
    return folder


def test_the_configuration_is_checked_without_a_warning_and_shown(configuration: Path) -> None:
    done = run_mwl("config", "check", configuration)
    assert done.returncode == 0, done.stderr
    assert "warnings: 0" in done.stdout + done.stderr
    shown = json.loads(run_mwl("config", "show", configuration).stdout)
    assert shown["Worklists"]["Database"] == str(SAMPLES)
    assert (shown["DicomPort"], shown["HttpPort"]) == (4242, 8042)


def test_it_is_served_over_dicom_and_http(configuration: Path) -> None:
    with running_server("--config", configuration, "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        assert client.get("/system").json()["DicomAet"] == "ORTHANC"
        # By default nobody may query; the log says what to add, and HTTP adds it at once.
        query = ("find", "-aet", "CT1", "-k", "PatientID", "127.0.0.1", server.port)
        assert run_mwl(*query).returncode == 1
        assert "DicomModalities" in server.log.wait_for("association_refused").fields["hint"]
        assert client.ask("PUT", "/modalities/ct1", ["CT1", "127.0.0.1", 104]).status == 200
        assert run_mwl(*query).returncode == 0


def test_the_other_steps_work_on_it(configuration: Path) -> None:
    query = ("-k", "PatientID=EX-0001", "--calling-aet", "CT1")
    done = run_mwl("explain", SAMPLES, "--config", configuration, *query)
    assert "DicomModalities" in done.stdout
    assert run_mwl("check", SAMPLES).returncode in {0, 1}
    doctor = ("doctor", "--config", configuration, "--port", "0", "--http-port", "0", "--json")
    assert json.loads(run_mwl(*doctor).stdout)["status"] in {"ok", "warn"}


def test_options_that_the_page_says_work_do() -> None:
    names = {option.key for option in OPTIONS} | {
        alias for option in OPTIONS for alias in option.aliases
    }
    table = PAGE.partition("## What works unchanged")[2].partition("## What differs")[0]
    rows = [row for row in table.splitlines() if row.startswith(("| access", "| the plugin"))]
    assert len(rows) == 3
    for row in rows:
        for name in re.findall(r"`(\w+)`", row):
            assert name in names, name


def test_orthancs_defaults_are_ours_where_an_option_is_from_orthanc(tmp_path: Path) -> None:
    theirs = json.loads(DEFAULTS.read_text(encoding="utf-8"))
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps(theirs), encoding="utf-8")
    checked = check([file], {})
    assert checked.errors == []
    for option in OPTIONS:
        if option.from_orthanc and option.name in theirs:
            assert option.default == theirs[option.name], option.name
