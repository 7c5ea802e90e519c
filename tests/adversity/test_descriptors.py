"""A process that may open no more files: refused or failed with a reason, and all right after."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mwl.net.client import ClientAssociation, Peer, associate
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.items import elements
from support.server import RunningServer, running_server
from support.worklist_files import P1, P2, fill, put

UNAVAILABLE = 0xC001
FEW = 64
"""Descriptors of a server that gets few."""


def descriptors(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@contextmanager
def no_more_files(server: RunningServer) -> Iterator[None]:
    """Let a server open no file and take no connection while the block runs."""
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(server), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def peer(server: RunningServer) -> Peer:
    return Peer("127.0.0.1", server.port, "ORTHANC", "MWL")


async def query(association: ClientAssociation) -> tuple[int, int]:
    """Give the number of answers and the final status."""
    responses = [one async for one in association.find(elements({"PatientID": ""}))]
    return len(responses) - 1, responses[-1].command.status or 0


async def test_a_file_that_cannot_be_opened_is_a_failure_and_not_a_missing_patient(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": P1})
    with running_server(folder) as server:
        async with associate(peer(server), [MODALITY_WORKLIST_FIND]) as association:
            assert await query(association) == (1, 0)
            with no_more_files(server):
                put(folder, "p2.wl", P2)
                for _ in range(2):
                    answers, status = await query(association)
                    assert answers == 0
                    assert status >= 0xA700
                line = await asyncio.to_thread(server.log.wait_for, "store_unavailable")
                assert line.fields["reason"] == "Too many open files"
            assert await query(association) == (2, 0)


@pytest.mark.parametrize("http_first", [True, False])
async def test_the_limit_of_files_is_reached_and_left_again(
    tmp_path: Path, http_first: bool
) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": P1})
    few = ["prlimit", f"--nofile={FEW}"]
    with running_server(folder, "--http-port", "0", under=few) as server:
        if http_first:
            await asyncio.to_thread(ask_http, server)
        async with associate(peer(server), [MODALITY_WORKLIST_FIND]) as before:
            assert await query(before) == (1, 0)
            with idle_connections(server, 2 * FEW):
                put(folder, "p2.wl", P2)
                assert await query(before) == (2, 0), "who is there already is served"
        # What was open is closed: everybody is served.
        async with associate(peer(server), [MODALITY_WORKLIST_FIND]) as after:
            assert await query(after) == (2, 0)
        await asyncio.to_thread(ask_http, server)
        assert server.log.events("internal_error") == []
        told = server.log.wait_for("few_descriptors")
        assert (told.fields["descriptors"], told.fields["connections"]) == ("64", "32")
        refused = server.log.events("association_refused")
        assert {line.fields["limit"] for line in refused} == {"Limits.Connections"}


@contextmanager
def idle_connections(server: RunningServer, count: int) -> Iterator[None]:
    """Open connections and say nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((server.host, server.port)))
        yield


def ask_http(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=30) as asking:
        asking.sendall(b"GET /system HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert asking.recv(1000).startswith(b"HTTP/1.1 200")
