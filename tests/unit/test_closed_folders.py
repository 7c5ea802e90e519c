"""What is said of paths below a folder that may not be entered: the reason, never a traceback.

The configuration of a service is often in one (`/etc/mwl`, `/etc/ssl/private`), and who looks at it
is often somebody else.
"""

import json
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mwl import paths
from mwl.callbacks.loading import run_file
from mwl.cli import app
from mwl.cli.config import config as config_command
from mwl.config import check, load, missing_here
from mwl.doctor import audit, folders, machine, ok
from mwl.errors import ConfigError
from support.users import NOBODY, as_root, nobody

pytestmark = as_root

DENIED = "Permission denied"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, with one that only root may."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "closed").mkdir(mode=0o700)
        (path / "closed" / "in.json").write_text('{"DicomCheckCalledAet": true}')
        yield path


def test_nothing_can_be_seen_there(folder: Path) -> None:
    inside = folder / "closed" / "in.json"
    assert paths.is_file(inside)
    assert paths.exists(inside)
    assert paths.problem_of_file(inside) is None
    assert paths.problem_of_file(folder) == "is no file"
    assert paths.problem_of_file(folder / "gone") == "does not exist"
    with nobody():
        assert not any(see(inside) for see in (paths.is_file, paths.is_folder, paths.exists))
        assert paths.problem_of_file(inside) == f"cannot be read: {DENIED}"


@pytest.mark.parametrize("name", ["closed", "closed/in.json", "link"])
def test_a_configuration_there_is_refused_and_no_part_is_left_out(folder: Path, name: str) -> None:
    file = folder / name
    if name == "link":  # one file of a folder that is read otherwise
        file.mkdir()
        (file / "part.json").write_text("{}")
        (file / "secret.json").symlink_to(folder / "closed" / "in.json")
    check([file], {})  # what it imports, nobody perhaps may not
    with nobody():
        (error,) = check([file], {}).errors
    assert DENIED in str(error)


@pytest.mark.parametrize(
    ("option", "more"),
    [
        ("DicomTlsCertificate", {"DicomTlsPort": 2762, "DicomTlsRemoteCertificateRequired": False}),
        ("LuaScripts", {}),
        ("PythonScript", {}),
        ("Hooks", {}),
        ("SslCertificate", {"SslEnabled": True}),
    ],
)
def test_what_a_configuration_names_there_is_a_warning_with_the_reason(
    folder: Path, option: str, more: dict[str, object]
) -> None:
    inside = str(folder / "closed" / "in.json")
    value = [inside] if option in {"LuaScripts", "Hooks"} else inside
    file = folder / "mwl.json"
    worklists = {"Enable": True, "Database": str(folder)}
    file.write_text(json.dumps({option: value, "Worklists": worklists, **more}))
    found = load([file], {})
    CliRunner().invoke(config_command, ["check", str(file)])  # see above
    with nobody():
        notes = [note for note in missing_here(found) if note.option == option]
        result = CliRunner().invoke(config_command, ["check", str(file)])
    assert [note.message for note in notes] == [f"{inside} cannot be read: {DENIED}"]
    assert result.exit_code == 0, result.output


def test_a_script_there_is_an_error_of_the_configuration(folder: Path) -> None:
    with nobody(), pytest.raises(ConfigError, match=f"cannot be read: {DENIED}"):
        run_file(folder / "closed" / "script.py", "PythonScript")


def test_worklist_files_there_cannot_be_explained(folder: Path) -> None:
    asked = ["explain", str(folder / "closed" / "a.wl"), "-k", "PatientID"]
    CliRunner().invoke(app, asked)  # see above
    with nobody():
        result = CliRunner().invoke(app, asked)
    assert result.exit_code == 2
    assert DENIED in result.output


@pytest.mark.parametrize(
    ("name", "mend"),
    [("closed/in.json", "rx {}/closed"), ("closed", "rx {}/closed"), ("own.json", "r {}/own.json")],
)
def test_the_doctor_says_what_lets_the_user_read_the_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, mend: str
) -> None:
    def findings() -> str:
        return CliRunner().invoke(app, ["doctor", "-q", "--config", str(folder / name)]).output

    (folder / "own.json").touch(0o600)
    looks = ok("user", "nobody", "looks, whether it may read this program or not")
    monkeypatch.setattr(machine, "user", lambda *_, **__: looks)
    findings()  # see above
    with nobody():
        said = findings()
    name = pwd.getpwuid(NOBODY).pw_name
    assert f"mend: sudo setfacl -m u:{name}:{mend.format(folder)}\n" in said


def test_the_doctor_suggests_nothing_about_what_can_be_read(folder: Path) -> None:
    assert folders.let_read(folder / "closed" / "in.json", "me") == ""
    assert folders.let_read(folder / "gone.json", "me") == ""


def test_the_doctor_says_of_each_that_it_cannot_be_used(folder: Path) -> None:
    inside = folder / "closed" / "x"
    with nobody():
        assert folders.cache(inside, "auto", "nobody").level == "warn"
        assert audit.file(inside, "nobody").level == "FAIL"
        (found,) = audit.spool(inside / "spool", 1, "nobody")
    assert found.level == "FAIL"
