"""A process that may open no more files: refused or failed with a reason, and all right after."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mwl.net.client import ClientAssociation, Peer, associate
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.items import elements
from support.server import RunningServer, running_server
from support.worklist_files import P1, P2, fill, put

UNAVAILABLE = 0xC001


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
