"""Crowds of connections that say nothing, or slowly: honest scanners are answered all the same."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mwl.net.client import Peer, associate
from mwl.net.connections import Capacity
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.items import elements
from support.listener import Listening, RawPeer, listening
from support.raw_requests import ASSOCIATE, ASSOCIATE_AC, associated, find_request
from support.server import RunningServer, running_server
from support.telemetry import captured_log
from support.worklist import Site
from support.worklist_files import FIVE_ITEMS, configuration, fill

IDLE, SLOW, HONEST = 2000, 500, 50
"""Connections that say nothing, scanners that send a byte at a time, and those in a hurry."""

IDLE_HOST, SLOW_HOST, HONEST_HOST = "127.0.0.1", "127.0.0.2", "127.0.0.3"
BYTE_EVERY_S = 0.05
TOGETHER = 100
"""Connections that are opened at once: as many wait to be accepted."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have a descriptor for each connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + SLOW + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this process may have {hard} files open, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def connect(port: int, host: str) -> RawPeer:
    """Open a connection from an address of the loopback."""
    return RawPeer(*await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)))


@asynccontextmanager
async def crowd(port: int, count: int, host: str) -> AsyncIterator[list[RawPeer]]:
    """Have connections open while the block runs."""
    peers: list[RawPeer] = []
    try:
        while len(peers) < count:
            few = min(TOGETHER, count - len(peers))
            peers += await asyncio.gather(*(connect(port, host) for _ in range(few)))
        yield peers
    finally:
        for peer in peers:
            peer.writer.transport.abort()


async def drip(peer: RawPeer) -> None:
    """Send a query a byte at a time, for ever."""
    await peer.say(ASSOCIATE)
    assert (await peer.hear())[0] == ASSOCIATE_AC
    nothing = asyncio.get_running_loop().create_future()
    for byte in find_request():
        await peer.say(bytes([byte]))
        await asyncio.wait([nothing], timeout=BYTE_EVERY_S)


async def ask(port: int, host: str) -> int:
    """Ask as an honest scanner does; give the number of answers."""
    peer = await connect(port, host)
    await peer.say(ASSOCIATE)
    kind, _ = await peer.hear()
    assert kind == ASSOCIATE_AC, "the scanner is let in"
    await peer.close()
    async with associate(
        Peer("127.0.0.1", port, "ORTHANC", "CT1"), [MODALITY_WORKLIST_FIND]
    ) as one:
        responses = [response async for response in one.find(elements({"PatientID": ""}))]
    assert responses[-1].command.status == Status.SUCCESS
    return len(responses) - 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    file = configuration(tmp_path / "mwl.json", folder, DicomAlwaysAllowFindWorklist=True)
    with running_server("--config", file) as running:
        yield running


@pytest.mark.usefixtures("many_files")
async def test_a_crowd_that_says_nothing_or_slowly_keeps_nobody_out(server: RunningServer) -> None:
    async with (
        crowd(server.port, SLOW, SLOW_HOST) as slow,
        crowd(server.port, IDLE, IDLE_HOST),
        asyncio.TaskGroup() as tasks,
    ):
        dripping = [tasks.create_task(drip(peer)) for peer in slow]
        for host in (HONEST_HOST, IDLE_HOST):
            for _ in range(HONEST):
                assert await ask(server.port, host) == len(FIVE_ITEMS)
        for task in dripping:
            task.cancel()
    refused = server.log.events("association_refused")
    assert {line.fields["host"] for line in refused} == {IDLE_HOST}, "nobody else makes way"
    assert {line.fields["limit"] for line in refused} == {"Limits.ConnectionsPerHost"}


async def test_scanners_that_open_and_drop_leave_nothing(server: RunningServer) -> None:
    for _ in range(20):
        async with crowd(server.port, TOGETHER, IDLE_HOST):
            pass
    assert await ask(server.port, HONEST_HOST) == len(FIVE_ITEMS)
    await asyncio.to_thread(
        server.log.wait_for, "association", lambda _: len(server.log.events("association")) > 2000
    )


# Who makes way


async def silent(server: Listening, host: str) -> RawPeer:
    """Open a connection that the server knows of."""
    known = len(server.connections)
    peer = await connect(server.port, host)
    nothing = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(5):
        while len(server.connections) == known:
            await asyncio.wait([nothing], timeout=0.001)
    return peer


async def test_the_oldest_silent_one_of_the_host_with_the_most_makes_way() -> None:
    capacity = Capacity(connections=5)
    with captured_log() as log:
        async with listening(Site(), capacity=capacity) as server:
            speaks = await associated(server)
            first = await silent(server, "127.0.0.2")
            others = [await silent(server, "127.0.0.3") for _ in range(3)]
            scanner = await connect(server.port, "127.0.0.4")
            await scanner.say(ASSOCIATE)
            assert (await scanner.hear())[0] == ASSOCIATE_AC
            assert await others[0].hear_end() == b""
            assert len(server.connections) == 5
            for peer in (speaks, first, *others, scanner):
                await peer.close()
    (told,) = log.events("association_refused")
    assert (told["host"], told["limit"]) == ("127.0.0.3", "Limits.Connections")
    assert "cut: silent, and another had no room" in {
        event["outcome"] for event in log.events("association")
    }


async def test_at_the_limit_of_its_host_a_scanner_takes_the_place_of_its_own_kind() -> None:
    capacity = Capacity(connections_per_host=2)
    async with listening(Site(), capacity=capacity) as server:
        other = await silent(server, "127.0.0.3")
        own = [await silent(server, "127.0.0.2") for _ in range(2)]
        scanner = await connect(server.port, "127.0.0.2")
        await scanner.say(ASSOCIATE)
        assert (await scanner.hear())[0] == ASSOCIATE_AC
        assert await own[0].hear_end() == b""
        assert len(server.connections) == 3
        for peer in (other, *own, scanner):
            await peer.close()
