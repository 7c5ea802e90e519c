"""The audit trail of a server that runs."""

import base64
import json
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from mwl.dataset import decode
from mwl.keys import identifier_of
from mwl.net.client import Peer, associate
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.api import tags
from support.audit import (
    TIMEOUT_S,
    Receiver,
    details,
    faults,
    parsed,
    said,
    tls_receiver,
    udp_receiver,
)
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, fill

WORDS = "correct horse battery staple"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "worklists"
    folder.mkdir()
    fill(folder, FIVE_ITEMS)
    return folder


def configured(tmp_path: Path, folder: Path, destination: str, **others: Any) -> Path:
    """Write a configuration."""
    audit = {"Destination": destination, "SpoolFolder": "spool", "SourceId": "worklist"}
    content = {
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "Database": str(folder)},
        "Audit": audit | others.pop("Audit", {}),
        **others,
    }
    file = tmp_path / "mwl.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def find(server: RunningServer, *keys: str) -> None:
    """Ask for the worklist."""
    wanted = [part for key in keys for part in ("-k", key)]
    done = run_mwl("find", server.host, server.port, *wanted)
    assert done.returncode == 0, done.stderr


def ask(server: RunningServer, method: str, path: str, body: Any = None, user: str = "") -> Any:
    """Ask over HTTP; give the status and the body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}{path}",
        None if body is None else json.dumps(body).encode(),
        method=method,
    )
    if user:
        given = base64.b64encode(f"{user}:{WORDS}".encode()).decode()
        request.add_header("Authorization", f"Basic {given}")
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - of the loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def in_file(path: Path) -> list[dict[str, object]]:
    """Give what the messages of a file say; each must be as the standard has it."""
    roots = [parsed(line) for line in path.read_bytes().splitlines()]
    assert [fault for root in roots for fault in faults(root)] == []
    return [said(root) for root in roots]


def test_all_that_happens_is_in_the_trail_and_patients_are_not_in_the_log(
    tmp_path: Path, folder: Path
) -> None:
    config = configured(
        tmp_path,
        folder,
        "file:audit.xml",
        AuthenticationEnabled=True,
        RegisteredUsers={"nurse": WORDS},
        DicomAlwaysAllowEcho=False,
    )
    with running_server("-c", config, "--http-port", "0") as server:
        find(server, "PatientID=SECRET-1")
        assert run_mwl("echo", server.host, server.port).returncode != 0
        status, answer = ask(server, "POST", "/worklists/create", {"Tags": tags()}, "nurse")
        assert status == 200, answer
        path = json.loads(answer)["Path"]
        assert ask(server, "GET", path, user="nurse")[0] == 200
        assert ask(server, "GET", "/worklists?match=PatientName=DOE*", user="nurse")[0] == 200
        assert ask(server, "DELETE", path, user="nurse")[0] == 200
        modality = ["CT9", "192.0.2.1", 104]
        assert ask(server, "PUT", "/modalities/ct9", modality, "nurse")[0] == 200
        assert ask(server, "GET", "/worklists", user="doctor")[0] == 401
        assert ask(server, "GET", "/worklists")[0] == 401
        log = server.stop()
    told = in_file(tmp_path / "audit.xml")
    assert [(one["event"], one["action"], one["outcome"]) for one in told] == [
        ("Application Start", "E", 0),
        ("Query", "E", 0),
        ("Use of Restricted Function", "E", 4),
        ("Procedure Record", "C", 0),
        ("Procedure Record", "R", 0),
        ("Query", "E", 0),
        ("Procedure Record", "D", 0),
        ("Security Configuration", "E", 0),
        ("Login", "E", 4),
        ("Use of Restricted Function", "E", 4),
        ("Application Stop", "E", 0),
    ]
    assert [one["who"] for one in told if one["event"] == "Procedure Record"] == [["nurse"]] * 3
    assert {one["Patient Number"] for one in told if "Patient Number" in one} == {"P1"}
    for text in ("SECRET", "P1", "DOE"):
        assert text not in log


def test_a_query_can_be_read_from_the_trail(tmp_path: Path, folder: Path) -> None:
    with running_server("-c", configured(tmp_path, folder, "file:audit.xml")) as server:
        find(server, "PatientID=P1", "PatientName")
    [root] = [
        root
        for root in map(parsed, (tmp_path / "audit.xml").read_bytes().splitlines())
        if said(root)["event"] == "Query"
    ]
    query = root.findtext(".//ParticipantObjectQuery")
    assert query is not None
    syntax = details(root[-1])["TransferSyntax"]
    elements = decode(base64.b64decode(query), syntax)
    assert {tag: one.value for tag, one in elements.items()} == {0x100010: b"", 0x100020: b"P1"}


def test_a_folder_tells_of_what_changes_in_it_and_not_of_what_is_there(
    tmp_path: Path, folder: Path
) -> None:
    with running_server("-c", configured(tmp_path, folder, "file:audit.xml")) as server:
        server.log.wait_for("folder_loaded")
        find(server)
        (folder / "new.wl").write_bytes((folder / "p1.wl").read_bytes())
        find(server)
        (folder / "new.wl").unlink()
        find(server)
    told = in_file(tmp_path / "audit.xml")
    assert [one["action"] for one in told if one["event"] == "Procedure Record"] == ["C", "D"]
    changes = [one for one in told if one["event"] == "Procedure Record"]
    assert [one["who"] for one in changes] == [[str(folder)]] * 2


def told_of(receiver: Receiver, count: int) -> list[dict[str, object]]:
    """Give what messages say that came to a receiver."""
    roots = [parsed(message.xml) for message in receiver.messages(count)]
    assert [fault for root in roots for fault in faults(root)] == []
    return [said(root) for root in roots]


def test_a_kill_loses_nothing_that_was_spooled(tmp_path: Path, folder: Path) -> None:
    with udp_receiver() as (_, port):
        pass
    config = configured(tmp_path, folder, f"udp://127.0.0.1:{port}")
    with running_server("-c", config) as server:
        for _ in range(3):
            find(server)
        assert "refused" in server.log.wait_for("audit_undelivered").fields["reason"]
        find(server)
        server.log.wait_for("association", lambda _: len(server.log.events("association")) == 4)
        wait_for_spool(tmp_path / "spool", b"Query", 4)
        server.process.kill()
        assert server.process.wait() == -signal.SIGKILL
    with (
        udp_receiver(port) as (receiver, _),
        running_server("-c", config) as server,
    ):
        find(server)
        told = told_of(receiver, 7)
    events = [one["event"] for one in told[:7]]
    assert events == [*("Application Start", *["Query"] * 4), "Application Start", "Query"]


def wait_for_spool(spool: Path, text: bytes, count: int) -> None:
    """Wait until a text is so often in a spool, which another process writes."""
    pattern, ends = b'originalText="%s"' % text, monotonic() + TIMEOUT_S
    again = threading.Event()
    while sum(file.read_bytes().count(pattern) for file in spool.glob("*.spool")) < count:
        assert monotonic() < ends
        again.wait(0.01)


def certificates(tmp_path: Path) -> tuple[ssl.SSLContext, dict[str, object]]:
    """Give what a receiver encrypts with, and the options of a server that believes it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context, {"TrustedCertificates": "ca.pem"}


def test_messages_go_over_tls(tmp_path: Path, folder: Path) -> None:
    context, options = certificates(tmp_path)
    with tls_receiver(context) as (receiver, port):
        config = configured(tmp_path, folder, f"tls://localhost:{port}", Audit=options)
        with running_server("-c", config) as server:
            find(server)
        told = told_of(receiver, 3)
        first = receiver.messages(1)[0]
    assert [one["event"] for one in told] == ["Application Start", "Query", "Application Stop"]
    assert (first.priority, first.application) == (85, "mwl")
    assert first.process == parsed(first.xml)[1].attrib["UserID"]


async def test_a_receiver_that_reads_nothing_does_not_delay_an_answer(
    tmp_path: Path, folder: Path
) -> None:
    context, options = certificates(tmp_path)
    studies = "\\".join(f"1.2.{number:060d}" for number in range(300))
    identifier = identifier_of([f"StudyInstanceUID={studies}", "PatientID"])
    with tls_receiver(context, reads=False) as (_, port):
        config = configured(tmp_path, folder, f"tls://localhost:{port}", Audit=options)
        with running_server("-c", config, "--http-port", "0") as server:
            peer = Peer(server.host, server.port, "ORTHANC", "CT1")
            async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
                for _ in range(500):
                    responses = [one async for one in association.find(identifier)]
                    assert responses[-1].command.status == 0
            metrics = ask(server, "GET", "/metrics")[1].decode()
            lines = dict(line.split(" ") for line in metrics.splitlines() if line[0] != "#")
            queries = server.log.events("query")
    # The sockets hold some of them.
    assert float(lines["mwl_audit_waiting"]) > 100
    assert lines["mwl_audit_dropped_total"] == "0.0"
    assert sorted(float(line.fields["milliseconds"]) for line in queries)[-5] < 100


def test_a_server_without_an_audit_trail_has_nothing_of_it_in_memory(
    tmp_path: Path, folder: Path
) -> None:
    script = tmp_path / "serve.py"
    script.write_text(_WITHOUT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, folder], capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


_WITHOUT = """
import asyncio, dataclasses, pathlib, sys
from mwl.config import of_folder
from mwl.server import Server

async def main():
    config = of_folder(pathlib.Path(sys.argv[1]))
    server = Server(dataclasses.replace(config, dicom_port=0, http_server_enabled=False))
    await server.start()
    await server.stop()

asyncio.run(main())
print([name for name in sys.modules if name.startswith("mwl.audit")])
"""


def test_a_spool_that_another_server_uses_ends_the_start(tmp_path: Path, folder: Path) -> None:
    config = configured(tmp_path, folder, "file:audit.xml")
    with running_server("-c", config):
        done = run_mwl("serve", "-c", config, "--port", "0", "--http-port", "off")
    assert done.returncode == 2
    assert "Audit.SpoolFolder" in done.stderr
    assert "is used by another server" in done.stderr


def test_a_restart_in_place_goes_on_with_the_spool(tmp_path: Path, folder: Path) -> None:
    config = configured(tmp_path, folder, "file:audit.xml")
    with running_server("-c", config, "--http-port", "0") as server:
        assert ask(server, "POST", "/tools/reset", {})[0] == 200
        server.log.wait_for("listening", lambda _: len(server.log.events("listening")) == 2)
    events = [one["event"] for one in in_file(tmp_path / "audit.xml")]
    run = ["Application Start", "Application Stop"]
    assert [event for event in events if event != "Use of Restricted Function"] == run * 2
    assert events.count("Use of Restricted Function") == 1, "the reset"


def test_a_reload_is_told_of_and_keeps_the_trail(tmp_path: Path, folder: Path) -> None:
    config = configured(tmp_path, folder, "file:audit.xml")
    with running_server("-c", config) as server:
        configured(tmp_path, folder, "file:other.xml", DicomAlwaysAllowEcho=False)
        server.process.send_signal(signal.SIGHUP)
        server.log.wait_for("reloaded")
        assert server.log.wait_for("restart_needed").fields["options"] == "Audit.Destination"
        (folder / "new.wl").write_bytes((folder / "p1.wl").read_bytes())
        find(server)
    events = [one["event"] for one in in_file(tmp_path / "audit.xml")]
    assert sorted(map(str, events[1:-1])) == ["Procedure Record", "Query", "Security Configuration"]
    assert not (tmp_path / "other.xml").exists()
