"""Disks that are full, read-only, gone and back, under a real server: never a wrong list."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.api import tags
from support.dcmtk import accepts, findscu, free_port
from support.mounts import Mounted, mounting
from support.server import Log, RunningServer, running_server, wait_until
from support.worklist_files import P1, P2, P3, fill, fill_with_many, put

pytestmark = pytest.mark.interop

FAILURES = range(0xA700, 0xD000)
SNAPSHOT_FROM = 1000
"""Files from which there is a snapshot."""


def ids(server: RunningServer) -> list[str]:
    result = findscu(server.host, server.port, "PatientID")
    assert result.final_status == 0x0000, result.error_comment
    return sorted(result.patient_ids)


def status(server: RunningServer) -> int:
    """Give the final status of a query that has no answers."""
    result = findscu(server.host, server.port, "PatientID")
    assert result.patient_ids == []
    return result.final_status


def ask(server: RunningServer, method: str, uri: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}{uri}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - as above
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@contextmanager
def mounted_server(folder: Path, *arguments: str) -> Iterator[tuple[RunningServer, Mounted]]:
    """Run a server whose folder is a file system of its own."""
    folder.mkdir()
    with running_server(folder, *arguments, under=mounting(folder)) as server:
        yield server, Mounted(server, folder)


def test_a_full_disk_refuses_what_is_written_over_http_and_queries_go_on(tmp_path: Path) -> None:
    with mounted_server(tmp_path / "items", "--http-port", "0") as (server, disk):
        put(disk.inside, "p1.wl", P1)
        filling = disk.fill()
        before = sorted(path.name for path in disk.inside.iterdir())
        code, said = ask(server, "PUT", "/worklists/new", {"Tags": tags(7)})
        assert (code, said["OrthancError"]) == (507, "The file storage is full")
        assert "No space left on device" in json.dumps(said)
        assert sorted(path.name for path in disk.inside.iterdir()) == before
        assert ids(server) == ["P1"]
        filling.unlink()
        assert ask(server, "PUT", "/worklists/new", {"Tags": tags(7)})[0] == 200
        assert ids(server) == ["P1", "P7"]


def test_a_read_only_disk_refuses_what_is_written_over_http_and_queries_go_on(
    tmp_path: Path,
) -> None:
    with mounted_server(tmp_path / "items", "--http-port", "0") as (server, disk):
        put(disk.inside, "p1.wl", P1)
        assert ids(server) == ["P1"]
        disk.remount("ro")
        for method, uri, body in (
            ("PUT", "/worklists/new", {"Tags": tags(7)}),
            ("PUT", "/worklists/p1", {"Tags": tags(7)}),
            ("DELETE", "/worklists/p1", None),
        ):
            code, said = ask(server, method, uri, body)
            assert code == 500, said
            assert "Read-only file system" in json.dumps(said)
        assert ids(server) == ["P1"]
        disk.remount("rw")
        assert ask(server, "DELETE", "/worklists/p1")[0] == 200
        assert ids(server) == []


def test_an_unmounted_folder_is_a_failure_and_never_an_empty_list(tmp_path: Path) -> None:
    with mounted_server(tmp_path / "items") as (server, disk):
        put(disk.inside, "p1.wl", P1)
        assert ids(server) == ["P1"]
        disk.unmount()
        assert status(server) in FAILURES
        line = server.log.wait_for("store_unavailable")
        assert line.fields["reason"] == "nothing is mounted there any more"
        disk.mount()
        put(disk.inside, "p2.wl", P2)
        assert ids(server) == ["P2"]
        server.log.wait_for("store_available")


def test_a_folder_that_is_mounted_late_is_read(tmp_path: Path) -> None:
    with mounted_server(tmp_path / "items") as (server, disk):
        disk.mount("size=2m")
        put(disk.inside, "p3.wl", P3)
        assert ids(server) == ["P3"]


def test_a_removed_folder_is_a_failure_until_it_is_put_back(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": P1})
    with running_server(folder) as server:
        assert ids(server) == ["P1"]
        shutil.rmtree(folder)
        assert status(server) in FAILURES
        assert server.log.wait_for("store_unavailable").level == "ERROR"
        fill(folder, {"p2.wl": P2})
        assert ids(server) == ["P2"]
        server.log.wait_for("store_available")


def test_a_full_disk_for_the_snapshot_costs_the_snapshot_alone(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    folder = fill_with_many(tmp_path / "items", SNAPSHOT_FROM)
    with running_server(
        folder,
        under=mounting(cache, "size=16k"),
        environment={"XDG_CACHE_HOME": str(cache)},
    ) as server:
        line = server.log.wait_for("snapshot_failed")
        assert line.fields["reason"] == "No space left on device"
        assert len(ids(server)) == SNAPSHOT_FROM
        inside = Mounted(server, cache).inside
        assert [path for path in inside.rglob("*") if path.is_file() and path.stat().st_size] == []


# The log


@contextmanager
def server_that_logs_to(log: Path, folder: Path, under: list[str]) -> Iterator[RunningServer]:
    """Run a server whose standard error is a file; what it says is not followed."""
    port = free_port()
    script = 'log=$1; shift; exec "$@" 2>>"$log"'
    process = subprocess.Popen(
        [
            *(*under, "sh", "-c", script, "sh", str(log), sys.executable, "-m", "mwl", "serve"),
            *(str(folder), "--port", str(port), "--http-port", "off", "--log-format", "json"),
        ],
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert accepts(process, port)
        yield RunningServer("127.0.0.1", port, Log(), process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_full_disk_for_the_log_costs_lines_alone_and_the_log_says_so(tmp_path: Path) -> None:
    folder, logs = fill(tmp_path / "items", {"p1.wl": P1}), tmp_path / "logs"
    logs.mkdir()
    with server_that_logs_to(logs / "log", folder, mounting(logs, "size=256k")) as server:
        disk = Mounted(server, logs)
        filling = disk.fill()
        for _ in range(100):
            socket.create_connection((server.host, server.port)).close()
        assert ids(server) == ["P1"]
        filling.unlink()
        assert ids(server) == ["P1"]
        log = disk.inside / "log"
        # Lines wait a moment for others.
        wait_until(lambda: "association" in log.read_text("utf-8").partition("log_interrupted")[2])
        text = log.read_text(encoding="utf-8")
    events: list[dict[str, Any]] = []
    torn = 0
    for line in text.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            torn += 1
    assert torn <= 1, "only the line on which the disk was full"
    (told,) = [event for event in events if event["event"] == "log_interrupted"]
    assert told["reason"] == "No space left on device"
    assert told["lines"] > 50
    assert [event["event"] for event in events][-2:] == ["query", "association"]
