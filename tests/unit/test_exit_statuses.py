"""Every command ends with the status that the table says."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mwl.cli import COMMANDS, app
from mwl.cli.exit_statuses import IN_SHORT, STATUSES
from support.dcmtk import free_port
from support.server import running_server
from support.worklist_files import FIVE_ITEMS, GARBAGE, configuration, fill

Ends = Callable[[Path], Result]


def mwl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def items(folder: Path) -> Path:
    return fill(folder / "items", FIVE_ITEMS)


def asked(folder: Path, command: str, *keys: str) -> Result:
    with running_server(items(folder)) as server:
        return mwl(command, "127.0.0.1", server.port, *keys)


def explained(folder: Path, *keys: str, **options: object) -> Result:
    file = configuration(folder / "mwl.json", items(folder), **options)
    return mwl("explain", "--config", file, "-k", "PatientID", *keys)


def table_of(folder: Path, *dates: str) -> Result:
    step = ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate")
    lines = [("PatientID", "PatientName", *step)]
    lines += [(f"P{number}", "N^N", "CT", "CT1", date) for number, date in enumerate(dates)]
    text = "".join(f"{','.join(line)}\n" for line in lines)
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return mwl("new", "--from-csv", folder / "table.csv", "--out", folder / "made", "--incomplete")


def checked(folder: Path, **options: object) -> Result:
    return mwl("config", "check", configuration(folder / "mwl.json", items(folder), **options))


def port_taken(folder: Path) -> Result:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        return mwl("serve", items(folder), "--port", port, "--http-port", "off")


ENDINGS: dict[str, tuple[Ends, int]] = {
    "any: done": (lambda _: mwl("--version"), 0),
    "any: wrong argument": (lambda _: mwl("find", "--nonsense"), 2),
    "any: no file": (lambda folder: mwl("dump", folder / "none.wl"), 2),
    "serve: no configuration": (lambda folder: mwl("serve", "--config", folder / "none"), 2),
    "serve: port taken": (port_taken, 1),
    "serve: address not there": (
        lambda folder: mwl("serve", items(folder), "--port", 0, "--host", "192.0.2.1"),
        1,
    ),
    "echo: answers": (lambda folder: asked(folder, "echo"), 0),
    "echo: nobody there": (lambda _: mwl("echo", "127.0.0.1", free_port()), 1),
    "find: answers": (lambda folder: asked(folder, "find", "-k", "PatientID=P1"), 0),
    "find: none": (lambda folder: asked(folder, "find", "-k", "PatientID=NOBODY"), 0),
    "find: refused": (
        lambda folder: asked(folder, "find", "-k", "PatientID", "-k", "PatientBirthDate=soon"),
        1,
    ),
    "find: nobody there": (lambda _: mwl("find", "127.0.0.1", free_port(), "-k", "PatientID"), 1),
    "explain: explained": (
        lambda folder: explained(folder, DicomAlwaysAllowFindWorklist=True),
        0,
    ),
    "explain: refused": (lambda folder: explained(folder, "-aet", "NOBODY"), 1),
    "new: all": (lambda folder: table_of(folder, "20260101", "20260102"), 0),
    "new: some": (lambda folder: table_of(folder, "20260101", "soon"), 1),
    "new: none": (lambda folder: table_of(folder, "soon"), 2),
    "check: errors": (
        lambda folder: mwl("check", fill(folder / "items", {"bad.wl": GARBAGE})),
        2,
    ),
    "config check: can be used": (checked, 0),
    "config check: refused": (lambda folder: checked(folder, DicomPort=-1), 2),
}


@pytest.mark.parametrize(("ends", "status"), ENDINGS.values(), ids=ENDINGS)
def test_a_command_ends_with_its_status(
    ends: Ends, status: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    result = ends(tmp_path)
    assert result.exit_code == status, result.output
    command = request.node.callspec.id.partition(":")[0]
    assert (command, status) in {(row.command, row.status) for row in STATUSES}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with running_server(items(tmp_path)) as server:
        server.process.send_signal(number)
        assert server.process.wait(20) == 0


def test_the_table_names_commands_that_there_are() -> None:
    named = {row.command.split()[0] for row in STATUSES}
    assert named <= {"any", *COMMANDS}
    assert len({(row.command, row.status) for row in STATUSES}) == len(STATUSES)


def test_the_help_says_it_in_short() -> None:
    assert " ".join(mwl("--help").output.split()).endswith(IN_SHORT)


def test_a_service_manager_starts_again_what_may_start_later_and_nothing_else() -> None:
    unit = Path(__file__).parents[2] / "packaging" / "systemd" / "mwl.service"
    text = unit.read_text(encoding="utf-8")
    not_now, never = sorted(row.status for row in STATUSES if row.command == "serve" and row.status)
    assert f"\nRestartPreventExitStatus={never}\n" in text
    assert "\nRestart=on-failure\n" in text
    assert not_now != never
    assert "\nStartLimitIntervalSec=0\n" in text  # however long it takes
