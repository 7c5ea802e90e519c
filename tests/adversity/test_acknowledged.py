"""What was acknowledged over HTTP is there, whoever else writes and however the server ends."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mwl.dataset import read_file
from support.api import tags
from support.server import RunningServer, run_mwl, running_server

TIMEOUT_S = 60.0
WRITERS = 64


@dataclass
class Client:
    """A program that keeps its connection."""

    port: int
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def ask(
        self, method: str, uri: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, str | None]:
        """Give status, JSON and entity tag."""
        data = None if body is None else json.dumps(body).encode()
        self.connection.request(method, uri, data, headers or {})
        response = self.connection.getresponse()
        said = response.read()
        return response.status, json.loads(said) if said else None, response.getheader("ETag")


@contextmanager
def serving(folder: Path) -> Iterator[tuple[RunningServer, int]]:
    with running_server(folder, "--http-port", "0") as server:
        yield server, int(server.log.wait_for("http_listening").fields["port"])


def at_once(writers: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(work, range(writers)))


def listed(port: int) -> dict[str, Any]:
    with closing(Client(port)) as client:
        status, items, _ = client.ask("GET", "/worklists")
    assert status == 200
    return {item["ID"]: item["Tags"] for item in items}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("rows", [1, 20], ids=["one at a time", "in batches"])
def test_a_kill_in_the_middle_loses_nothing_that_was_acknowledged(
    tmp_path: Path, rows: int
) -> None:
    wanted = 2000
    acknowledged: dict[str, str] = {}
    is_enough = threading.Event()

    def create(client: Client, patients: list[str]) -> list[str]:
        bodies = [{"Tags": tags(PatientID=patient, AccessionNumber="")} for patient in patients]
        if rows == 1:
            status, said, _ = client.ask("POST", "/worklists/create", bodies[0])
            assert status == 200, said
            return [said["ID"]]
        status, said, _ = client.ask("POST", "/worklists/batch", bodies)
        assert status == 200, said
        return [result["ID"] for result in said]

    with serving(tmp_path) as (server, port):

        def write(writer: int) -> None:
            # The server goes while they write.
            with closing(Client(port)) as client, suppress(OSError, http.client.HTTPException):
                for number in range(wanted):
                    patients = [f"{writer}-{number}-{row}" for row in range(rows)]
                    acknowledged.update(zip(create(client, patients), patients, strict=True))
                    if len(acknowledged) >= wanted:
                        is_enough.set()

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(16)]
        for thread in threads:
            thread.start()
        assert is_enough.wait(TIMEOUT_S * 2)
        server.process.kill()
        server.process.wait()
        for thread in threads:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()

    assert len(acknowledged) >= wanted
    for path in tmp_path.glob("*.wl"):
        read_file(path.read_bytes())  # nothing is there by half
    with serving(tmp_path) as (_, port):
        found = {identifier: item["PatientID"] for identifier, item in listed(port).items()}
    assert {key: found.get(key) for key in acknowledged} == acknowledged
    assert len(found) <= len(acknowledged) + len(threads) * rows


@pytest.mark.timeout(180)
def test_of_64_writers_none_loses_an_update_and_queries_go_on(tmp_path: Path) -> None:
    rounds = 3
    with serving(tmp_path) as (server, port):
        with closing(Client(port)) as first:
            assert first.ask("PUT", "/worklists/shared", {"Tags": tags(0)})[0] == 200

        def work(writer: int) -> None:
            with closing(Client(port)) as client:
                write(client, writer)

        def write(client: Client, writer: int) -> None:
            for number in range(rounds):
                mine = f"{writer}-{number}"
                status, said, tag = client.ask(
                    "PUT", f"/worklists/{mine}", {"Tags": tags(PatientID=mine, AccessionNumber="")}
                )
                assert status == 200, said
                status, said, now = client.ask("GET", f"/worklists/{mine}")
                assert (status, now) == (200, tag), "a write is seen by who reads next"
            increment(client)
            removed = f"{writer}-0"
            assert client.ask("DELETE", f"/worklists/{removed}")[0] == 200
            assert client.ask("GET", f"/worklists/{removed}")[0] == 404

        def increment(client: Client) -> None:
            while True:
                _, item, tag = client.ask("GET", "/worklists/shared")
                count = int(item["Tags"].get("PatientComments") or 0) + 1
                body = {"Tags": tags(0, PatientComments=str(count))}
                status, said, _ = client.ask(
                    "PUT", "/worklists/shared", body, {"If-Match": tag or ""}
                )
                if status == 200:
                    return
                assert status == 412, said

        asking = threading.Thread(target=_ask_until, args=(server.port, stop := threading.Event()))
        asking.start()
        try:
            at_once(WRITERS, work)
        finally:
            stop.set()
            asking.join(TIMEOUT_S)
        found = listed(port)
        scanned = run_mwl(
            *("find", "127.0.0.1", server.port, "--json"),
            *("-k", "PatientID"),
        )
    assert int(found["shared"]["PatientComments"]) == WRITERS
    kept = {f"{writer}-{number}" for writer in range(WRITERS) for number in range(1, rounds)}
    assert set(found) == kept | {"shared"}
    assert {item["00100020"]["Value"][0] for item in json.loads(scanned.stdout)} == kept | {"P0"}


def _ask_until(port: int, stop: threading.Event) -> None:
    while not stop.is_set():
        done = run_mwl("find", "127.0.0.1", port, "-k", "PatientID")
        assert done.returncode == 0, done.stderr
