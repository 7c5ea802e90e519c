"""What the page on running it names is there: events, metrics, options, files."""

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwl import telemetry
from mwl.cli import COMMANDS
from mwl.config import OPTIONS, of_folder
from mwl.net.journal import Journal
from mwl.server.running import ENDING_S
from mwl.site import Worklists
from mwl.telemetry import EVENTS, Level
from mwl.web import Metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
UNIT = (ROOT / "packaging" / "systemd" / "mwl.service").read_text(encoding="utf-8")
NAMES = {option.name for option in OPTIONS}


def rows(after: str) -> Iterator[list[str]]:
    """Give the cells of the table behind a line."""
    for line in PAGE.partition(after)[2].partition("\n| ")[2].partition("\n\n")[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_each_trouble_in_the_log_has_its_cause_and_its_remedy() -> None:
    table = list(rows("find the event in the log"))
    events = [row[0].split("`")[1] for row in table]
    assert len(events) == len(set(events))
    assert set(events) <= set(EVENTS)
    assert all(len(row) == 3 and all(row) for row in table)
    errors = {name for name, event in EVENTS.items() if event.level is Level.ERROR}
    assert errors - set(events) == {"script_error"}  # what a site's script says is its own


def test_the_metrics_of_the_alerts_are_there(tmp_path: Path) -> None:
    named = set(re.findall(r"\bmwl_\w+", PAGE))
    assert len(named) > 6
    worklists = Worklists(of_folder(tmp_path))
    told = Metrics(
        Journal(1),
        lambda: worklists.opened,
        lambda: 0,
        telemetry.COUNTS,
        lambda: {"A": 1.0},
        Counter({"Limits.Keys": 1}),
    )().decode()
    worklists.close()
    assert named <= set(re.findall(r"^# HELP (\w+)", told, re.MULTILINE))


def test_the_installation_takes_no_folder_for_granted(tmp_path: Path) -> None:
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)  # systemd's own
    block = PAGE.partition("```sh\n")[2].partition("```")[0]
    for line in block.splitlines():
        if line.startswith("install "):
            command = re.sub(r" -[go] mwl", "", line.partition(" && ")[0])
            command = command.replace(" /", f" {tmp_path}/")
            subprocess.run(shlex.split(command), cwd=ROOT, check=True)
    (database,) = re.findall(r"--database /(\S+)", block)
    assert (tmp_path / database).is_dir()


@pytest.mark.parametrize("page", [PAGE, SECURITY], ids=["operations", "security"])
def test_the_options_commands_and_files_that_a_page_names_are_there(page: str) -> None:
    named = set(
        re.findall(r"`((?:Worklists\.|Limits\.|Audit\.)?[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)`", page)
    )
    assert named - NAMES <= {"NeedsRestart", "ReadWritePaths", "CapabilityBoundingSet"} | {
        *("AmbientCapabilities", "LimitNOFILE", "TlsSubject"),
    }
    assert set(re.findall(r"`mwl (\w+)", page)) <= set(COMMANDS)
    here = ROOT if page == SECURITY else ROOT / "docs"
    links = re.findall(r"\]\(([^)#]+)", page)
    assert [link for link in links if not (here / link).exists()] == []


def test_the_page_says_what_the_unit_says() -> None:
    assert "\nCapabilityBoundingSet=CAP_LEASE\n" in UNIT
    assert "\nMemoryDenyWriteExecute=yes\n" in UNIT
    assert "\nExecStart=/opt/mwl/bin/mwl serve --config /etc/mwl\n" in UNIT
    (stop,) = re.findall(r"\nTimeoutStopSec=(\d+)\n", UNIT)
    default = next(option.default for option in OPTIONS if option.name == "ShutdownTimeout")
    assert f"`ShutdownTimeout` ({default} seconds)" in PAGE
    assert default < int(stop) <= default + ENDING_S
