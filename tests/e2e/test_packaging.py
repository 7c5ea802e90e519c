"""What the project ships for a service manager and for containers, as far as it can be tried here.

That the image builds and serves was tried by hand, see docs/operations.md.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mwl.config import OPTIONS
from support.dcmtk import findscu, free_port
from support.http import HttpClient
from support.server import TIMEOUT_S, run_mwl, running_server, wait_until
from support.worklist_files import FIVE_ITEMS, configuration, fill

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
UNIT = PACKAGING / "systemd" / "mwl.service"
CONTAINERFILE = (PACKAGING / "container" / "Containerfile").read_text(encoding="utf-8")
NEW_ITEM = {
    "Tags": {
        "PatientID": "P9",
        "PatientName": "NEW^ITEM",
        "ScheduledProcedureStepSequence": [
            {
                "Modality": "CT",
                "ScheduledStationAETitle": "CT1",
                "ScheduledProcedureStepStartDate": "20260101",
            }
        ],
    },
    "Force": True,
}
DEFAULTS = {option.name: option.default for option in OPTIONS}


def program(name: str) -> str:
    """Give the path of a program that not every machine has."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def ran(*command: str | Path, stdin: str = "") -> str:
    done = subprocess.run(
        [*command],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, for the program of this environment."""
    mwl = Path(sys.executable).with_name("mwl")
    text = UNIT.read_text(encoding="utf-8").replace("/opt/mwl/bin/mwl", str(mwl))
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    return tmp_path / UNIT.name


def test_systemd_takes_the_unit(unit: Path) -> None:
    assert ran(program("systemd-analyze"), "verify", "--man=no", unit) == ""


def test_the_unit_is_confined(unit: Path) -> None:
    # The rest is the network, the users it shares files with, and CAP_LEASE: see the unit.
    options = ("--offline=true", "--no-pager", "--threshold=20")
    told = ran(program("systemd-analyze"), "security", *options, unit)
    assert "Overall exposure level for mwl.service: 1.6 OK" in told


def test_the_user_of_the_unit_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    text = (PACKAGING / "systemd" / "mwl.sysusers").read_text(encoding="utf-8")
    ran(program("systemd-sysusers"), f"--root={tmp_path}", "-", stdin=text)
    assert (tmp_path / "etc" / "passwd").read_text().startswith("mwl:")
    assert "\nUser=mwl\n" in UNIT.read_text(encoding="utf-8")


def test_nobody_else_writes_where_the_trail_of_audit_messages_lies() -> None:
    """Who may write the folder that it is in can put another in its place."""
    given = r"install -d -o mwl -g mwl -m (\d+) (?:/\S+ )*/var/lib/mwl(?= |$)"
    modes = re.findall(r"^StateDirectoryMode=(\d+)$", UNIT.read_text(), re.MULTILINE)
    modes += re.findall(given, CONTAINERFILE, re.MULTILINE)
    modes += re.findall(given, (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert modes == ["0751", "0751", "751"]


def allowed_calls() -> set[str]:
    """Give the system calls that the unit lets through."""

    def calls(name: str) -> Iterator[str]:
        for line in ran("systemd-analyze", "syscall-filter", name).splitlines()[1:]:
            word = line.strip()
            if word.startswith("@"):
                yield from calls(word)
            elif word and not word.startswith("#"):
                yield word

    assert "\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged\n" in UNIT.read_text()
    return set(calls("@system-service")) - set(calls("@privileged"))


def test_a_server_needs_no_system_call_that_the_unit_forbids(tmp_path: Path) -> None:
    strace, _ = program("strace"), program("systemd-analyze")
    port, calls, log = free_port(), tmp_path / "calls", tmp_path / "log"
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    server = (sys.executable, "-m", "mwl", "serve", folder, "--port", str(port), "--http-port", "0")
    process = subprocess.Popen(
        [strace, "-f", "-qq", "-e", "signal=none", "-o", calls, *server, "--log-file", log],
        start_new_session=True,
    )
    try:
        wait_until(lambda: log.exists() and "folder_loaded" in log.read_text("utf-8"))
        assert len(findscu("127.0.0.1", port, "PatientID").answers) == 5
        shutil.copy(folder / "p1.wl", folder / "new.wl")
        assert len(findscu("127.0.0.1", port, "PatientID").answers) == 6
        (told,) = re.findall(r"http_listening host=\S+ port=(\d+)", log.read_text("utf-8"))
        client = HttpClient(int(told))
        assert client.ask("POST", "/worklists/create", NEW_ITEM).status == 200
        assert client.ask("POST", "/tools/reload").status == 200
        client.ask("POST", "/tools/shutdown")
        assert process.wait(TIMEOUT_S) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    used = set(re.findall(r"^\d+ +(\w+)\(", calls.read_text("utf-8", "replace"), re.MULTILINE))
    assert {"epoll_wait", "inotify_add_watch", "fcntl", "sendto"} & used
    assert used - allowed_calls() == set()


class Manager:
    """A service manager: a socket, and what a server said to it."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))
        self._socket.settimeout(TIMEOUT_S)

    def hears(self, word: str) -> dict[str, str]:
        """Give the next message that is no sign of life; it has a word."""
        while True:
            lines = self._socket.recv(4096).decode().splitlines()
            message = dict(line.split("=", 1) for line in lines)
            if "WATCHDOG" not in message:
                assert word in message, message
                return message

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def hears_life(self) -> None:
        """Wait for a sign of life."""
        while b"WATCHDOG=1" not in self._socket.recv(4096):
            pass


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.address))
    monkeypatch.setenv("WATCHDOG_USEC", "500000")
    yield manager
    manager.close()


def test_a_service_manager_is_told_of_start_reload_and_stop(
    tmp_path: Path, manager: Manager
) -> None:
    file = tmp_path / "mwl.json"
    configuration(file, fill(tmp_path / "items", FIVE_ITEMS), ShutdownTimeout=7)
    with running_server("--config", file, "--http-port", "0") as server:
        assert f"port {server.port}" in manager.hears("READY")["STATUS"]
        for _ in range(3):
            manager.hears_life()
        server.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC" in manager.hears("RELOADING")
        assert "port" in manager.hears("READY")["STATUS"]
        file.write_text("{", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        manager.hears("RELOADING")
        assert "mwl.json:1" in manager.hears("READY")["STATUS"]
        server.stop()
        assert int(manager.hears("STOPPING")["EXTEND_TIMEOUT_USEC"]) > 7_000_000


def test_a_reset_is_no_stop_for_a_service_manager(tmp_path: Path, manager: Manager) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    with running_server(folder, "--http-port", "0") as server:
        manager.hears("READY")
        assert HttpClient(server.http_port).ask("POST", "/tools/reset").status == 200
        manager.hears("RELOADING")
        manager.hears("READY")
        server.stop()
        manager.hears("STOPPING")


def instructions() -> list[tuple[str, str]]:
    """Give the lines of the Containerfile, joined where they go on."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", " ", text)
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
        for line in joined.split("\n")
        if line
    ]


def instruction(name: str) -> str:
    """Give what the last instruction of a name says."""
    return [rest for found, rest in instructions() if found == name][-1]


def test_the_container_file_copies_what_is_there() -> None:
    copied = [
        word
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for word in [part for part in rest.split() if not part.startswith("--")][:-1]
    ]
    assert len(copied) == 5
    assert all((ROOT / word).exists() for word in copied)


def test_the_container_runs_as_nobody_in_particular_and_stops_as_the_server_does() -> None:
    user, group = map(int, instruction("USER").split(":"))
    assert user == group == 10104
    assert f"--uid {user} " in CONTAINERFILE
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert json.loads(instruction("ENTRYPOINT")) == ["mwl", "serve"]
    assert json.loads(instruction("CMD")) == ["--config", "/etc/mwl"]


def test_the_container_exposes_the_ports_that_the_server_has() -> None:
    ports = [int(port) for port in instruction("EXPOSE").split()]
    assert ports == [DEFAULTS["DicomPort"], DEFAULTS["HttpPort"], 2762]


def test_the_health_check_of_the_container_asks_the_server(tmp_path: Path) -> None:
    command = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "mwl"
    assert command[-1] == str(DEFAULTS["DicomPort"])
    with running_server(fill(tmp_path / "items", FIVE_ITEMS)) as server:
        assert run_mwl(*command[1:-1], server.port).returncode == 0
        server.stop()
        assert run_mwl(*command[1:-1], server.port).returncode != 0


def test_a_server_that_wants_a_user_needs_the_health_check_of_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"`--health-cmd 'mwl (.*?) --tls 127\.0\.0\.1 4242'`", page)
    passcode = tmp_path / "passcode"
    passcode.write_text("Tulpe", encoding="utf-8")
    there = {"NAME": "ct1", "FILE": str(passcode)}
    asked = [there.get(word, word) for word in words.split()]
    unasked = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])[1:-2]
    file = configuration(
        tmp_path / "mwl.json",
        fill(tmp_path / "items", FIVE_ITEMS),
        DicomUserIdentity="required",
        RegisteredUsers={"ct1": "Tulpe"},
    )
    with running_server("--config", file) as server:
        assert run_mwl(*unasked, server.host, server.port).returncode == 1
        assert run_mwl(*asked, server.host, server.port).returncode == 0


def test_the_configuration_of_the_container_lets_nobody_in_yet(tmp_path: Path) -> None:
    text = (PACKAGING / "container" / "mwl.json").read_text(encoding="utf-8")
    inside = "/var/lib/mwl/worklists"
    assert inside in json.loads(instruction("VOLUME"))
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    file = tmp_path / "mwl.json"
    file.write_text(text.replace(inside, str(folder)), encoding="utf-8")
    assert run_mwl("config", "check", file).returncode == 0
    with running_server("--config", file) as server:
        assert findscu(server.host, server.port, "PatientID").final_status == 0x0124
