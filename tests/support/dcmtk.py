"""DCMTK's programs: run with a time limit, answers and statuses read from what they leave.

A program that is missing skips the test with the reason, or fails it where the environment
variable MWL_REQUIRE_PEERS is set (scripts/test, CI).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydicom import Dataset, dcmread

TIMEOUT_S = 45.0
"""Longest that a program may run; a test that hangs must name the program that did."""

STATUS = re.compile(r"^D: DIMSE Status +: 0x([0-9a-f]{4})", re.MULTILINE)
TAG = re.compile(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)")
OFFENDING_ELEMENT = re.compile(r"^D: \(0000,0901\) AT (\S+)", re.MULTILINE)
ERROR_COMMENT = re.compile(r"^D: \(0000,0902\) LO \[(.*?) ?\]", re.MULTILINE)


def require(program: str) -> str:
    """Give the path of a program, or end the test as the environment demands."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed (Debian package dcmtk)")
    return path


def missing(reason: str) -> NoReturn:
    """End a test whose peer is not there, as the environment demands."""
    if os.environ.get("MWL_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; bytes that are not UTF-8 in its output are replaced."""
    return subprocess.run(
        [require(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
        encoding="utf-8",
        errors="replace",
    )


@dataclass(frozen=True, slots=True)
class FindResult:
    """What findscu received: the answers, the status of every response, the error fields."""

    answers: tuple[Dataset, ...]
    statuses: tuple[int, ...]
    offending_elements: tuple[int, ...]
    error_comment: str
    exit_status: int
    output: str

    @property
    def final_status(self) -> int:
        """Status of the last response; the test fails when none came."""
        assert self.statuses, f"findscu received no response:\n{self.output}"
        return self.statuses[-1]

    @property
    def patient_ids(self) -> list[str]:
        """Patient ID of each answer, in the order of the answers."""
        return [str(answer.PatientID) for answer in self.answers]


def findscu(
    host: str,
    port: int,
    *keys: str,
    calling: str = "FINDSCU",
    called: str = "ORTHANC",
    options: Sequence[str] = (),
    query_files: Sequence[Path] = (),
) -> FindResult:
    """Query the worklist; `keys` are findscu's, such as `PatientName=DOE*`."""
    with tempfile.TemporaryDirectory(prefix="findscu-") as folder:
        done = run(
            "findscu",
            *("-d", "-W", "-X", "-od", folder, "-aet", calling, "-aec", called),
            *options,
            *(part for key in keys for part in ("-k", key)),
            *(host, str(port)),
            *map(str, query_files),
        )
        answers = tuple(dcmread(path) for path in sorted(Path(folder).glob("rsp*.dcm")))
    offending = OFFENDING_ELEMENT.search(done.stdout)
    comment = ERROR_COMMENT.search(done.stdout)
    return FindResult(
        answers=answers,
        statuses=tuple(int(status, 16) for status in STATUS.findall(done.stdout)),
        offending_elements=tuple(
            int(group + element, 16)
            for group, element in TAG.findall(offending[1] if offending else "")
        ),
        error_comment=comment[1] if comment else "",
        exit_status=done.returncode,
        output=done.stdout,
    )


@contextmanager
def halted_findscu(host: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a findscu that asks for everything and is halted after its first answer."""
    keys = ("-k", "PatientID", "-k", "AdditionalPatientHistory")
    process = subprocess.Popen(
        [require("findscu"), "-v", "-W", *keys, host, str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        assert any("Find Response: 1 " in line for line in process.stdout)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.communicate()


def echoscu(host: str, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Send a C-ECHO."""
    return run("echoscu", "-v", *options, host, str(port))


def dcmdump(path: Path) -> str:
    """Give a file as text."""
    return run("dcmdump", "-q", str(path)).stdout


def dump2dcm(text: str, target: Path) -> None:
    """Make a DICOM file from the text that dcmdump prints."""
    with tempfile.NamedTemporaryFile("w", suffix=".dump", encoding="latin-1") as source:
        source.write(text)
        source.flush()
        done = run("dump2dcm", "-q", source.name, str(target))
    assert done.returncode == 0, done.stdout


def free_port() -> int:
    """Give a port that nothing listens on now, for programs that cannot be told port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def accepts(process: subprocess.Popen[Any], port: int) -> bool:
    """Wait until a process accepts connections (true) or has ended (false)."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        return False
    return False


@contextmanager
def running_wlmscpfs(folder: Path, *options: str) -> Iterator[int]:
    """Run wlmscpfs over a folder that holds one folder per called AE title; give its port."""
    program = require("wlmscpfs")
    for _ in range(5):
        port = free_port()
        process = subprocess.Popen(
            [program, "-s", "-dhl", "-dfp", str(folder), *options, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Another program may have taken the port in between: then it ends, and we try again.
        if accepts(process, port):
            break
        process.kill()
        process.wait()
    else:
        pytest.fail("wlmscpfs does not accept connections")
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)
