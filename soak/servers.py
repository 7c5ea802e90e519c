"""The servers that are soaked: one as it comes, one with hooks and TLS, over the same folder."""

import json
import os
import re
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.dcmtk import free_port

EXAMPLES = Path(__file__).parents[1] / "examples"
HOOKS = ("event_file.py", "old_ultrasound.py", "plain_names.py")
START_S = 30.0
STOP_S = 30.0
IDLE_S = 10
"""`DicomScpTimeout`: peers that stall are let go while the run lasts."""


@dataclass(slots=True)
class Server:
    """One of them.

    Args:
        name: For people.
        process: The process.
        log: Its log, an object a line.
        port: Of DICOM.
        http_port: Of HTTP.
        tls_port: Of DICOM over TLS, None without.
        tls: What a client encrypts with, None without.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0
    http_port: int = 0
    tls_port: int | None = None
    tls: ssl.SSLContext | None = None

    def resident_bytes(self) -> int:
        """Give how much memory the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        if found is None:
            raise ProcessLookupError(f"the server {self.name} has ended: see {self.log}")
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        """Count the files and sockets that the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - names alone

    def events(self) -> Iterator[dict[str, Any]]:
        """Give all events of the log."""
        with self.log.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # the last one may be being written
                    yield json.loads(line)

    def counts(self) -> Counter[str]:
        """Count the events of the log by name."""
        return Counter(event["event"] for event in self.events())

    def errors(self) -> list[str]:
        """Give the lines of the log that tell of an error."""
        return [json.dumps(event) for event in self.events() if event["level"] == "error"]

    def find_ports(self) -> bool:
        """Read from the log where it listens; tell whether it does."""
        for event in self.events():
            if event["event"] == "http_listening":
                self.http_port = event["port"]
            elif event["event"] == "listening":
                if event.get("tls"):
                    self.tls_port = event["port"]
                else:
                    self.port = event["port"]
        return bool(self.port and self.http_port and (self.tls is None or self.tls_port))

    def stop(self) -> int:
        """End it as an operator does; give its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_S)


@contextmanager
def plain(folder: Path, private: Path) -> Iterator[Server]:
    """Run a server as it comes."""
    with _running("as it comes", folder, private, {}) as server:
        yield server


@contextmanager
def with_hooks(folder: Path, private: Path) -> Iterator[Server]:
    """Run a server with hooks and TLS."""
    private.mkdir(parents=True)
    authority = Authority()
    certificate, key = authority.issue("localhost").write(private, "server")
    options = {
        "Hooks": [str(EXAMPLES / name) for name in HOOKS],
        "DicomTlsPort": free_port(),
        "DicomTlsCertificate": str(certificate),
        "DicomTlsPrivateKey": str(key),
        "DicomTlsRemoteCertificateRequired": False,
    }
    tls = ssl.create_default_context(cafile=str(authority.write(private)))
    tls.check_hostname = False
    with _running("with hooks and TLS", folder, private, options, tls) as server:
        yield server


@contextmanager
def _running(
    name: str,
    folder: Path,
    private: Path,
    options: dict[str, Any],
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    private.mkdir(parents=True, exist_ok=True)
    file, log = private / "mwl.json", private / "log"
    configuration = {
        "DicomHost": "127.0.0.1",
        "DicomAlwaysAllowFindWorklist": True,
        "DicomScpTimeout": IDLE_S,
        "Worklists": {"Enable": True, "Database": str(folder), "Snapshot": str(private)},
        **options,
    }
    file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    environment = {"EVENT_FILE": str(private / "events")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mwl", "serve", "--config", str(file), "--port", "0"),
                *("--http-port", "0", "--log-format", "json"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
        )
    server = Server(name, process, log, tls=tls)
    try:
        _wait_until_it_listens(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_it_listens(server: Server) -> None:
    for _ in range(int(START_S / 0.05)):
        try:
            server.process.wait(0.05)
        except subprocess.TimeoutExpired:
            if server.find_ports():
                return
        else:
            break
    raise RuntimeError(f"the server {server.name} does not listen: {server.log.read_text()}")
