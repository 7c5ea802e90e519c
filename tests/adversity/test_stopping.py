"""A server that stops: answers go out, associations end in good order, nobody keeps it for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mwl.net import dicom
from mwl.net.connections import QUIET_S
from mwl.wire.association import Limits
from mwl.wire.dimse import Status
from support.items import step
from support.listener import Listening, RawPeer, listening
from support.raw_requests import (
    ABORT,
    ASSOCIATE,
    ASSOCIATE_RJ,
    RELEASE,
    RELEASE_RP,
    RELEASE_RQ,
    RELEASED,
    associated,
    echo_request,
    find_request,
    hear_status,
)
from support.telemetry import captured_log
from support.worklist import Site

MANY = 10_000
QUICK = Limits(artim_timeout_s=0.4)
"""So that the clock looks often."""
LENGTHY = Limits(artim_timeout_s=8.0)
"""So that ARTIM ends nothing in time."""


@pytest.fixture(autouse=True)
def _soon_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "QUIET_S", 0.05)


@pytest.fixture(scope="module")
def large_site() -> Site:
    site = Site()
    for number in range(MANY):
        site.put(f"{number}.wl", {"AccessionNumber": str(number), **step(Modality="CT")})
    for _ in site.worklist.see_every_change():
        pass
    return site


@asynccontextmanager
async def stopping(server: Listening, grace_s: float = 20.0) -> AsyncIterator[None]:
    """Let a listener stop while the block runs; it has stopped at its end."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.connections.close(grace_s))
        yield
    assert len(server.connections) == 0


def outcomes(log: Any) -> list[str]:
    return [event["outcome"] for event in log.events("association")]


async def test_an_association_with_nothing_to_do_is_asked_to_release() -> None:
    with captured_log() as log:
        async with listening(Site(), limits=QUICK) as server:
            peer = await associated(server)
            async with stopping(server):
                assert (await peer.hear())[0] == RELEASE_RQ
                await peer.say(RELEASED)
                assert await peer.hear_end() == b""
            await peer.close()
    assert outcomes(log) == ["released"]


async def test_nobody_is_asked_before_it_has_been_quiet_for_long_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Most release by themselves right after their answer, and two who ask at once collide.
    monkeypatch.setattr(dicom, "QUIET_S", 1000)
    async with listening(Site(), limits=QUICK) as server:
        peer = await associated(server)
        async with stopping(server, grace_s=0.5):
            assert (await peer.hear())[0] == ABORT
        await peer.close()


async def test_a_query_begins_the_wait_anew() -> None:
    async with listening(Site()) as server:
        peer = await associated(server)
        (connection,) = server.connections._open
        connection.part(0)
        await peer.say(find_request(1))
        await hear_status(peer)
        connection.part(QUIET_S)
        await peer.say(find_request(2))
        assert (await hear_status(peer))[1].status == Status.SUCCESS
        connection.part(2 * QUIET_S)
        connection.part(3 * QUIET_S)
        assert (await peer.hear())[0] == RELEASE_RQ
        await peer.close()


async def test_a_slow_reader_gets_its_whole_answer_and_is_then_asked_to_release(
    large_site: Site,
) -> None:
    with captured_log() as log:
        async with listening(large_site, limits=QUICK) as server:
            peer = await associated(server)
            await peer.say(find_request())
            await peer.hear()
            async with stopping(server):
                assert not log.events("query")  # the answers are more than the network holds
                pending, final = await hear_status(peer)
                assert (1 + pending, final.status) == (MANY, Status.SUCCESS)
                assert (await peer.hear())[0] == RELEASE_RQ
                await peer.say(RELEASED)
            await peer.close()


async def test_requests_that_wait_are_answered_too(large_site: Site) -> None:
    async with listening(large_site, limits=QUICK) as server:
        peer = await associated(server)
        await peer.say(find_request(1) + find_request(2))
        async with stopping(server):
            for _ in range(2):
                pending, final = await hear_status(peer)
                assert (pending, final.status) == (MANY, Status.SUCCESS)
            assert (await peer.hear())[0] == RELEASE_RQ
            await peer.say(RELEASED)
            await peer.close()


async def test_a_query_in_the_meantime_is_answered() -> None:
    async with listening(Site(), limits=QUICK) as server:
        peer = await associated(server)
        async with stopping(server):
            await peer.say(find_request())
            assert (await hear_status(peer))[1].status == Status.SUCCESS
            assert (await peer.hear())[0] == RELEASE_RQ
            await peer.say(RELEASED)
        await peer.close()


async def test_what_crosses_the_request_for_release_is_not_answered() -> None:
    # PS3.8 Table 9-10, Sta7: data may come, none may go.
    with captured_log() as log:
        async with listening(Site(), limits=QUICK) as server:
            peer = await associated(server)
            async with stopping(server):
                assert (await peer.hear())[0] == RELEASE_RQ
                await peer.say(find_request(1) + echo_request(2) + RELEASED)
                assert await peer.hear_end() == b""
            await peer.close()
    assert outcomes(log) == ["released"]
    assert not log.events("internal_error")
    assert [event["detail"] for event in log.events("query")] == ["not begun"]


async def test_both_may_ask_for_release_at_once() -> None:
    # PS3.8 section 7.2.2: the acceptor waits for the answer, then gives its own.
    with captured_log() as log:
        async with listening(Site(), limits=QUICK) as server:
            peer = await associated(server)
            async with stopping(server):
                assert (await peer.hear())[0] == RELEASE_RQ
                await peer.say(RELEASE)
                await peer.say(RELEASED)
                assert (await peer.hear())[0] == RELEASE_RP
                await peer.close()
    assert outcomes(log) == ["released"]


async def test_who_does_not_answer_is_aborted() -> None:
    with captured_log() as log:
        async with listening(Site(), limits=QUICK) as server:
            peer = await associated(server)
            async with stopping(server, grace_s=0.5):
                assert (await peer.hear())[0] == RELEASE_RQ
                assert (await peer.hear())[0] == ABORT
            await peer.close()
    assert outcomes(log) == ["aborted: the server stops"]


async def test_an_answer_that_takes_longer_is_aborted(large_site: Site) -> None:
    with captured_log() as log:
        async with listening(large_site, limits=QUICK) as server:
            peer = await associated(server)
            await peer.say(find_request())
            await peer.hear()
            assert not log.events("query")
            async with stopping(server, grace_s=0.1):
                pass  # it does not read
            await peer.close()
    assert outcomes(log) == ["aborted: the server stops"]


async def test_whoever_is_in_a_hurry_need_not_wait() -> None:
    async with listening(Site(), limits=QUICK) as server:
        server.connections.hurry()  # too early: nothing stops
        peer = await associated(server)
        async with stopping(server, grace_s=1000):
            assert (await peer.hear())[0] == RELEASE_RQ
            server.connections.hurry()
            assert (await peer.hear())[0] == ABORT
            await peer.close()
        server.connections.hurry()  # too late


async def test_no_association_begins_on_a_connection_that_is_open_already() -> None:
    async with listening(Site()) as server:
        keeping, late = await associated(server), await RawPeer.connect(server.port)
        await keeping.say(echo_request(1))
        await hear_status(keeping)
        async with stopping(server):
            await late.say(ASSOCIATE)
            kind, body = await late.hear()
            # PS3.8 Table 9-21: rejected-transient, provider (presentation), local limit exceeded.
            assert (kind, body[1:]) == (ASSOCIATE_RJ, bytes((2, 3, 2)))
            await late.close()
            await keeping.say(RELEASE)
            await keeping.hear()
            await keeping.close()


async def test_a_connection_without_an_association_is_closed() -> None:
    with captured_log() as log:
        async with listening(Site(), limits=QUICK) as server:
            peer = await RawPeer.connect(server.port)
            async with associated_beside(server), stopping(server):
                assert await peer.hear_end() == b""
            await peer.close()
    assert "not begun: the server stops" in outcomes(log)


@asynccontextmanager
async def associated_beside(server: Listening) -> AsyncIterator[None]:
    """Have one that releases as asked, so that the other is known to be counted."""
    peer = await associated(server)

    async def release() -> None:
        while (await peer.hear())[0] != RELEASE_RQ:
            pass
        await peer.say(RELEASED)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(release())
        yield
    await peer.close()


@pytest.mark.parametrize(
    ("last_words", "answer", "outcome"),
    [
        pytest.param(RELEASE, RELEASE_RP, "released", id="released"),
        pytest.param(
            ASSOCIATE,
            ABORT,
            "aborted: AssociateRequest in state Sta6",
            id="aborted",
        ),
    ],
)
async def test_nobody_waits_for_a_peer_that_does_not_hang_up(
    last_words: bytes, answer: int, outcome: str
) -> None:
    with captured_log() as log:
        async with listening(Site(), limits=LENGTHY) as server:
            peer = await associated(server)
            await peer.say(last_words)
            assert (await peer.hear())[0] == answer
            async with asyncio.timeout(2), stopping(server):
                assert await peer.hear_end() == b""
            await peer.close()
    assert outcomes(log) == [outcome]


async def test_how_an_association_ended_is_told_even_of_a_peer_that_does_not_hang_up() -> None:
    with captured_log() as log:
        async with listening(Site(), limits=LENGTHY) as server:
            peer = await associated(server)
            await peer.say(RELEASE)
            assert (await peer.hear())[0] == RELEASE_RP
            async with stopping(server, grace_s=0):
                assert await peer.hear_end() == b""
            await peer.close()
    assert outcomes(log) == ["released"]
