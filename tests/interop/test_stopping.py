"""A server that is told to stop, and what real programs make of it."""

import fcntl
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from pydicom.uid import UID
from pynetdicom import AE, evt

from support.dcmtk import halted_findscu, require
from support.server import TIMEOUT_S, running_server
from support.worklist_files import FIVE_ITEMS, configuration, fill, fill_with_many

pytestmark = pytest.mark.interop

FIND = UID("1.2.840.10008.5.1.4.31")
MANY = 10_000
SOME = 200
"""Items whose answers the network holds, and a small pipe holds not as findscu prints them."""
PIPE_BYTES = 4096


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_with_many(tmp_path_factory.mktemp("stopping") / "items", MANY)


def patient(tmp_path: Path, folder: Path) -> Path:
    """Give the configuration of a server that waits for long."""
    return configuration(
        tmp_path / "mwl.json",
        folder,
        DicomAlwaysAllowFindWorklist=True,
        ShutdownTimeout=1000,
    )


def test_findscu_gets_all_answers_of_a_server_that_stops_meanwhile(
    tmp_path: Path, many: Path
) -> None:
    with (
        running_server("--config", patient(tmp_path, many)) as server,
        halted_findscu(server.host, server.port) as findscu,
    ):
        server.process.terminate()
        server.log.wait_for("stopping")
        findscu.send_signal(signal.SIGCONT)
        output, _ = findscu.communicate(timeout=TIMEOUT_S)
        assert f"Find Response: {MANY} (Pending)" in output
        assert "Received Final Find Response (Success)" in output
        assert findscu.returncode == 0
        assert server.process.wait(TIMEOUT_S) == 0
        association = server.log.wait_for("association")
    assert association.fields["outcome"] == "released"


def test_another_server_may_have_the_port_while_it_stops(tmp_path: Path, many: Path) -> None:
    with (
        running_server("--config", patient(tmp_path, many)) as server,
        halted_findscu(server.host, server.port),
    ):
        server.process.terminate()
        server.log.wait_for("stopping")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), TIMEOUT_S)
        with socket.create_server((server.host, server.port)):
            assert server.process.poll() is None
        server.process.terminate()
        assert server.process.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, many: Path, again: signal.Signals) -> None:
    with (
        running_server("--config", patient(tmp_path, many)) as server,
        halted_findscu(server.host, server.port),
    ):
        server.process.terminate()
        server.log.wait_for("stopping")
        server.process.send_signal(again)
        assert server.process.wait(TIMEOUT_S) == 0
        association = server.log.wait_for("association")
    assert association.fields["outcome"] == "aborted: the server stops"


@pytest.mark.parametrize(
    ("options", "status", "said", "outcome"),
    [
        # It is about to release too, and hangs up instead.
        ([], 2, "Association Release Failed: 0006:0319 DUL Peer Requested Release", "lost"),
        # It asks again, and gets a request for release in place of an answer.
        (["--repeat", "2"], 0, "Protocol Error: Peer requested release (Aborting)", "aborted"),
        (["--abort"], 0, "Aborting Association", "aborted"),
    ],
    ids=["releases", "asks again", "aborts"],
)
def test_findscu_that_is_asked_to_release_has_its_answers_and_ends(
    tmp_path: Path, options: list[str], status: int, said: str, outcome: str
) -> None:
    # DCMTK leaves the association idle while it waits for whoever reads what it prints.
    file = patient(tmp_path, fill_with_many(tmp_path / "items", SOME))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with running_server("--config", file, "--trace") as server:
        findscu = subprocess.Popen(
            [
                *(require("findscu"), "-v", "-W", "-k", "PatientID", *options),
                *(server.host, str(server.port)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
        )
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            assert server.log.wait_for("query").fields["answers"] == str(SOME)
            server.process.terminate()
            server.log.wait_for("pdu", lambda line: "type=A-RELEASE-RQ" in line.text)
            output = pipe.readall().decode()
        assert findscu.wait(TIMEOUT_S) == status
        assert server.process.wait(TIMEOUT_S) == 0
        association = server.log.wait_for("association")
    assert f"Find Response: {SOME} (Pending)" in output
    assert "Received Final Find Response (Success)" in output
    assert said in output
    assert outcome in association.fields["outcome"]


def test_pynetdicom_releases_an_idle_association_when_it_is_asked_to(tmp_path: Path) -> None:
    released = threading.Event()
    scu = AE("PYNETDICOM")
    scu.add_requested_context(FIND)
    file = patient(tmp_path, fill(tmp_path / "items", FIVE_ITEMS))
    with running_server("--config", file) as server:
        opened = scu.associate(
            server.host,
            server.port,
            ae_title="ORTHANC",
            evt_handlers=[(evt.EVT_RELEASED, lambda _: released.set())],
        )
        assert opened.is_established
        server.process.terminate()
        assert released.wait(TIMEOUT_S)
        assert server.process.wait(TIMEOUT_S) == 0
        association = server.log.wait_for("association")
    scu.shutdown()
    assert association.fields["outcome"] == "released"
