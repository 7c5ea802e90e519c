"""The table of commands, and that a command is imported when it is used and not before."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mwl.cli import COMMANDS, app

ROOT = Path(__file__).parents[2]


def test_every_command_is_where_the_table_says_with_the_help_it_says() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = typer.Context(group)
    for name, place in COMMANDS.items():
        command = group.get_command(context, name)
        assert command is not None
        shown = command.get_short_help_str(limit=200)
        assert shown.removesuffix(".") == place.help.removesuffix(".")


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for name, place in COMMANDS.items():
        assert name in shown
        assert place.help.split()[0] in shown


def test_a_misspelt_command_is_answered_with_the_likely_one() -> None:
    result = CliRunner().invoke(app, ["fnd"])
    assert result.exit_code == 2
    assert "Did you mean 'find'" in result.output


NEW = "new /dev/null/a.wl PatientID=1 Modality=CT ScheduledStationAETitle=A --incomplete"
"""Makes an item and cannot write it."""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        ("--version", "asyncio"),
        ("--help", "asyncio"),
        ("config --help", "asyncio"),
        ("explain --help", "asyncio"),
        ("doctor --help", "asyncio"),
        ("doctor --help", "mwl.config"),
        ("explain --help", "rich.console"),
        *(
            (command, unwanted)
            for command in (NEW, "check samples/worklists")
            for unwanted in ("asyncio", "rich.progress", "mwl.server")
        ),
        *(
            (command, unwanted)
            for command in ("dump samples/worklists/ct-chest.wl", "undump no.txt no.wl")
            for unwanted in ("asyncio", "pydicom", "rich", "mwl.telemetry")
        ),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: str, unwanted: str) -> None:
    code = (
        "import sys; from mwl.cli import app\n"
        f"try: app({arguments.split()!r})\n"
        "except SystemExit: pass\n"
        f"sys.exit({unwanted!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(("typed", "completed"), [("do", "doctor"), ("doctor --no", "--no-echo")])
def test_the_shell_completes_commands_and_options(
    typed: str, completed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_MWL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"mwl {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    result = CliRunner().invoke(app, [], prog_name="mwl")
    assert result.output.split() == [completed]
