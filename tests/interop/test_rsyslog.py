"""rsyslog as the receiver of audit messages."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from support import dcmtk
from support.audit import TIMEOUT_S, Syslog, faults, parsed, said, taken_apart
from support.server import run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, fill

pytestmark = pytest.mark.interop

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k" {more})
template(name="raw" type="string" string="%rawmsg%\\n")
{load}
input({input})
action(type="omfile" file="{folder}/received" template="raw")
"""


@contextmanager
def running(folder: Path, text: str) -> Iterator[None]:
    """Run rsyslogd without root and without its service."""
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
    if program is None:
        dcmtk.missing("rsyslogd is not installed (Debian package rsyslog-gnutls)")
    folder.mkdir()
    file = folder / "rsyslog.conf"
    file.write_text(text)
    checked = subprocess.run([program, "-N1", "-f", file], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(
        [program, "-n", "-f", file, "-i", folder / "pid"], stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@contextmanager
def rsyslog(folder: Path, load: str, receive: str, more: str = "") -> Iterator[None]:
    """Run rsyslogd with one input."""
    text = CONFIGURATION.format(folder=folder, load=load, input=receive, more=more)
    with running(folder, text):
        yield


def received(folder: Path, count: int) -> list[Syslog]:
    """Give what rsyslog wrote, when it is as many as that."""
    file, ends, again = folder / "received", monotonic() + TIMEOUT_S, threading.Event()
    while not file.exists() or len(file.read_bytes().splitlines()) < count:
        assert monotonic() < ends, "rsyslog wrote nothing"
        again.wait(0.02)
    return [taken_apart(line) for line in file.read_bytes().splitlines()]


def served(tmp_path: Path, audit: dict[str, Any]) -> list[Syslog]:
    """Serve one query with an audit trail; give what rsyslog received."""
    folder = tmp_path / "worklists"
    folder.mkdir()
    fill(folder, FIVE_ITEMS)
    content = {
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "Database": str(folder)},
        "Audit": {"SpoolFolder": "spool", **audit},
    }
    file = tmp_path / "mwl.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with running_server("-c", file) as server:
        keys = ["-k", "PatientName=MÜLLER*", "-k", "PatientID"]
        done = run_mwl("find", server.host, server.port, *keys)
        assert done.returncode == 0, done.stderr
        received(tmp_path / "rsyslog", 2)  # it may have begun later than the server
    return received(tmp_path / "rsyslog", 3)


def assert_is_whole(messages: list[Syslog]) -> None:
    roots = [parsed(message.xml) for message in messages]
    assert [fault for root in roots for fault in faults(root)] == []
    assert [said(root)["event"] for root in roots] == [
        *("Application Start", "Query", "Application Stop")
    ]
    assert {(message.priority, message.application) for message in messages} == {(85, "mwl")}


def test_rsyslog_takes_messages_over_udp(tmp_path: Path) -> None:
    port = dcmtk.free_port()
    with rsyslog(
        tmp_path / "rsyslog",
        'module(load="imudp")',
        f'type="imudp" address="127.0.0.1" port="{port}"',
    ):
        assert_is_whole(served(tmp_path, {"Destination": f"udp://127.0.0.1:{port}"}))


def certificates(folder: Path) -> None:
    """Make those of the receiver and of the server, and what vouches for both."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    receiver, ours = authority.issue_cert("localhost"), authority.issue_cert("worklist")
    receiver.cert_chain_pems[0].write_to_path(folder / "receiver.pem")
    receiver.private_key_pem.write_to_path(folder / "receiver.key")
    ours.private_key_and_cert_chain_pem.write_to_path(folder / "ours.pem")


def test_rsyslog_takes_messages_over_tls(tmp_path: Path) -> None:
    port = dcmtk.free_port()
    certificates(tmp_path)
    with rsyslog(
        tmp_path / "rsyslog",
        'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" '
        'streamDriver.authMode="x509/certvalid")',
        f'type="imtcp" address="127.0.0.1" port="{port}"',
        f'defaultNetstreamDriverCAFile="{tmp_path}/ca.pem" '
        f'defaultNetstreamDriverCertFile="{tmp_path}/receiver.pem" '
        f'defaultNetstreamDriverKeyFile="{tmp_path}/receiver.key"',
    ):
        audit = {
            "Destination": f"tls://localhost:{port}",
            "TrustedCertificates": "ca.pem",
            "Certificate": "ours.pem",
        }
        assert_is_whole(served(tmp_path, audit))


def test_the_configuration_of_the_page_receives(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "audit.md").read_text(encoding="utf-8")
    text = page.partition("```text\nglobal(")[2].partition("```")[0]
    port, folder = dcmtk.free_port(), tmp_path / "rsyslog"
    for shown, here in (
        ("/etc/ssl/audit", str(tmp_path)),
        ("/var/log/audit-messages", f"{folder}/received"),
        ("6514", str(port)),
    ):
        assert shown in text
        text = text.replace(shown, here)
    certificates(tmp_path)
    with running(folder, f'global(workDirectory="{folder}" {text}'):
        audit = {
            "Destination": f"tls://localhost:{port}",
            "TrustedCertificates": "ca.pem",
            "Certificate": "ours.pem",
        }
        assert_is_whole(served(tmp_path, audit))
