"""The servers that are compared: how each is started as its makers ship it, and ended.

Each gets the same folder of files, a free port and a private folder for what it writes, and its
output goes to a file. Nobody's service is touched: each server is a process of ours, ended by its
own process ID.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.errors import BenchError

AE_TITLE = "ORTHANC"
STOP_TIMEOUT_S = 20.0
ORTHANC_PROGRAMS = ("Orthanc", "/usr/sbin/Orthanc")
WORKLISTS_PLUGIN = "libModalityWorklists.so"
PLUGIN_FOLDERS = (
    "/usr/share/orthanc/plugins",
    "/usr/lib/orthanc",
    "/usr/local/share/orthanc/plugins",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a server is started with."""

    folder: Path
    """The files; the folder's name is the AE title, as wlmscpfs wants it."""
    port: int
    private: Path
    """For configuration, log and whatever else the server writes."""


@dataclass(frozen=True, slots=True)
class System:
    """A kind of server."""

    name: str
    command: Callable[[Setting], list[str]]
    version: Callable[[], str]
    most_files: int = sys.maxsize
    """With more, a start or a single query takes minutes."""


class Running:
    """A server that runs.

    Args:
        name: For people.
        process: The server.
        port: Where it listens.
        log: What it printed.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self._process = process
        self._log = log

    def resident_bytes(self) -> int:
        """Give how much memory the process holds now, by the kernel's count."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        if found is None:
            raise BenchError(f"{self.name} is gone: {self.last_words()}")
        return int(found[1]) * 1024

    def processor_seconds(self) -> float:
        """Give the processor time that the process has used, in user space and in the kernel."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        # proc(5): fields 14 and 15; the name, field 2, may hold spaces and ends with a bracket.
        user, kernel = status.rpartition(")")[2].split()[11:13]
        return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")

    def last_words(self) -> str:
        """Give the end of what the server printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-600:]

    def stop(self) -> None:
        """Ask the server to end, and see to it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def start(system: System, folder: Path, private: Path) -> Iterator[Running]:
    """Start a server and end it; that it listens is for the first client to see."""
    private.mkdir(parents=True, exist_ok=True)
    log = private / "log"
    setting = Setting(folder, free_port(), private)
    with log.open("ab") as output:
        process = subprocess.Popen(
            system.command(setting),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=private,
            env=os.environ | {"HOME": str(private)} | _private_folders(private),
        )
    running = Running(system.name, process, setting.port, log)
    try:
        yield running
    finally:
        running.stop()


def _private_folders(private: Path) -> dict[str, str]:
    """Keep what a server remembers from one run to the next within this one."""
    names = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
    return {name: str(private / name.lower()) for name in names}


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- mwl ----


def _mwl_command(setting: Setting) -> list[str]:
    program = Path(sys.executable).with_name("mwl")
    return [
        *(str(program), "serve", str(setting.folder)),
        *("--port", str(setting.port), "--http-port", "0"),
    ]


def _roomy_command(setting: Setting) -> list[str]:
    """Serve with room for a crowd, all of whom stay."""
    configuration = {
        "DicomHost": "127.0.0.1",
        "DicomAlwaysAllowFindWorklist": True,
        "HttpServerEnabled": False,
        "Worklists": {"Enable": True, "Database": str(setting.folder)},
        "Limits": {"Connections": 4000, "ConnectionsPerHost": 2000},
    }
    file = setting.private / "mwl.json"
    file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    program = Path(sys.executable).with_name("mwl")
    return [str(program), "serve", "--config", str(file), "--port", str(setting.port)]


def _mwl_version() -> str:
    return f"{version('mwl')} on Python {sys.version.split()[0]}, uvloop {version('uvloop')}"


# ---- Orthanc, with the worklists plugin that Debian ships with it ----


def _orthanc() -> str:
    for name in ORTHANC_PROGRAMS:
        if (found := shutil.which(name)) is not None:
            return found
    raise BenchError("Orthanc is missing; install Debian's package orthanc")


def _worklists_plugin() -> str:
    for folder in PLUGIN_FOLDERS:
        if (plugin := Path(folder) / WORKLISTS_PLUGIN).exists():
            return str(plugin)
    raise BenchError(f"Orthanc's {WORKLISTS_PLUGIN} is in none of {', '.join(PLUGIN_FOLDERS)}")


def _orthanc_command(setting: Setting) -> list[str]:
    configuration = {
        "Name": "bench",
        "StorageDirectory": str(setting.private / "storage"),
        "IndexDirectory": str(setting.private / "storage"),
        "HttpServerEnabled": False,
        "DicomAet": AE_TITLE,
        "DicomPort": setting.port,
        "DicomAlwaysAllowFindWorklist": True,
        "DicomAlwaysAllowFind": True,
        "Plugins": [_worklists_plugin()],
        "Worklists": {"Enable": True, "Database": str(setting.folder)},
    }
    file = setting.private / "orthanc.json"
    file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    return [_orthanc(), str(file)]


# ---- wlmscpfs of DCMTK ----


def _wlmscpfs() -> str:
    if (found := shutil.which("wlmscpfs")) is None:
        raise BenchError("wlmscpfs is missing; install Debian's package dcmtk")
    return found


def _wlmscpfs_command(setting: Setting) -> list[str]:
    return [_wlmscpfs(), "--data-files-path", str(setting.folder.parent), str(setting.port)]


# ---- a server on pynetdicom ----


def _pynetdicom_command(setting: Setting) -> list[str]:
    program = Path(__file__).with_name("pynetdicom_server.py")
    return [sys.executable, str(program), str(setting.folder), str(setting.port)]


def _first_line(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    found = re.search(pattern, done.stdout)
    return found[1] if found else "unknown version"


MWL = System("mwl", _mwl_command, _mwl_version)
ROOMY = System("mwl with room for a crowd", _roomy_command, _mwl_version)
ORTHANC = System(
    "Orthanc", _orthanc_command, lambda: _first_line([_orthanc(), "--version"], r"Orthanc (\S+)")
)
WLMSCPFS = System(
    "wlmscpfs", _wlmscpfs_command, lambda: _first_line([_wlmscpfs(), "--version"], r"v(\d\S+)")
)
PYNETDICOM = System(
    "pynetdicom", _pynetdicom_command, lambda: version("pynetdicom"), most_files=10_000
)


def canned(data_set: Path) -> System:
    """Give the server in Python that answers each query with the same data set."""

    def command(setting: Setting) -> list[str]:
        program = Path(__file__).with_name("canned_server.py")
        return [sys.executable, str(program), str(data_set), str(setting.port)]

    return System("canned", command, lambda: "bench/canned_server.py")


def floor(program: Path, answers: int, data_set: Path) -> System:
    """Give the floor server that answers each query with so many copies of a data set."""

    def command(setting: Setting) -> list[str]:
        return [str(program), str(setting.port), str(answers), str(data_set)]

    return System("floor", command, lambda: "bench/native/floor.c")
