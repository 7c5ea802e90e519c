"""Associations of real programs, recorded on the loopback as seeds."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

SAMPLES = Path(__file__).parents[1] / "samples" / "worklists"
TIMEOUT_S = 20.0
STEP = "ScheduledProcedureStepSequence[0]"

SESSIONS: Sequence[Sequence[str]] = (
    ("echoscu",),
    ("echoscu", "-aet", "CT1", "-aec", "ORTHANC", "--propose-pc", "20"),
    ("findscu", "-W", "-k", "PatientName", "-k", f"{STEP}.Modality=CT"),
    ("findscu", "-W", "-xi", "-k", "0010,0010=*A*", "-k", "AccessionNumber"),
    ("findscu", "-W", "-xe", "-k", f"{STEP}.ScheduledProcedureStepStartDate=20260101-20270101"),
    ("findscu", "-W", "-xb", "-k", r"StudyInstanceUID=1.2.3\1.2.4", "-k", "PatientID"),
    ("findscu", "-W", "-xd", "-k", "SpecificCharacterSet=ISO_IR 192", "-k", "PatientName=Ü*"),
    ("findscu", "-W", "-pdu", "4096", "--cancel", "2", "-k", "PatientName", "-k", "PatientID"),
    ("findscu", "-P", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID"),
)
"""What is recorded: programs of DCMTK with their arguments, host and port left out."""


class Recording(NamedTuple):
    """What went over one connection.

    Args:
        of_requestor: What the program sent.
        of_acceptor: What the server sent.
    """

    of_requestor: bytes
    of_acceptor: bytes


@lru_cache(maxsize=1)
def recorded() -> Sequence[Recording]:
    """Let programs talk to a server, and give what they said.

    Raises:
        FileNotFoundError: DCMTK is not installed.
    """
    for program in ("echoscu", "findscu"):
        if shutil.which(program) is None:
            raise FileNotFoundError(f"{program} is not installed (Debian package dcmtk)")
    with _serving() as port:
        return [_record(port, session) for session in SESSIONS]


@contextmanager
def _serving() -> Iterator[int]:
    """Run a server over the samples; give its port."""
    server = subprocess.Popen(
        [sys.executable, "-m", "mwl", "serve", SAMPLES, "--port", "0", "--http-port", "off"],
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert server.stderr is not None
    try:
        listening = next(line for line in server.stderr if " listening " in line)
        yield int(listening.partition(" port=")[2].split()[0])
    finally:
        server.terminate()
        server.communicate(timeout=TIMEOUT_S)


def _record(port: int, session: Sequence[str]) -> Recording:
    """Stand between a program and the server, and note what passes."""
    program, *arguments = session
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(TIMEOUT_S)
        running = subprocess.Popen(
            [program, *arguments, "127.0.0.1", str(door.getsockname()[1])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ours, _ = door.accept()
            with ours, socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as theirs:
                ours.settimeout(TIMEOUT_S)
                return _pass_on(ours, theirs)
        finally:
            running.wait(TIMEOUT_S)


def _pass_on(ours: socket.socket, theirs: socket.socket) -> Recording:
    answers = bytearray()
    back = threading.Thread(target=_copy, args=(theirs, ours, answers))
    back.start()
    asked = bytearray()
    _copy(ours, theirs, asked)
    back.join(TIMEOUT_S)
    return Recording(bytes(asked), bytes(answers))


def _copy(source: socket.socket, target: socket.socket, heard: bytearray) -> None:
    """Pass on until the source ends, and end the target with it."""
    while piece := source.recv(65536):
        heard += piece
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)
