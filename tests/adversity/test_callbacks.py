"""Callbacks that hang while devices wait, cancel and leave, over real sockets of the loopback."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mwl.dataset import IMPLICIT_VR_LITTLE_ENDIAN, encode
from mwl.net.client import associate
from mwl.wire.association import Limits
from mwl.wire.dimse import Command, Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.callbacks import site_of
from support.items import elements
from support.listener import Listening, RawPeer, listening
from support.raw_requests import (
    RELEASE,
    RELEASE_RP,
    associated,
    cancel_request,
    find_request,
    hear_status,
)
from support.telemetry import captured_log
from support.worklist import Site

WAITING = """
import threading
from mwl import hook

entered = threading.Semaphore(0)
opened = threading.Event()
heard = []
told = threading.Condition()

@hook.query
def wait(query, origin):
    if query["PatientID"] == "WAIT":
        query["PatientID"] = ""
        entered.release()
        opened.wait()
    return query

@hook.event
def note(event):
    with told:
        heard.append(event)
        told.notify_all()
"""


class Waiting:
    """A worklist whose queries for the patient WAIT wait until the test lets them go on."""

    def __init__(self, site: Site, at: Listening) -> None:
        self.site = site
        self.at = at
        self._hooks = vars(sys.modules["mwl_hooks_site_hooks"])

    async def entered(self) -> None:
        """Wait until a query waits."""
        assert await asyncio.to_thread(self._hooks["entered"].acquire, timeout=20)

    def let_go_on(self) -> None:
        self._hooks["opened"].set()

    async def heard(self, count: int) -> list[Any]:
        """Give the events that the hook was told, waiting for some."""
        told, events = self._hooks["told"], self._hooks["heard"]

        def wait() -> list[Any]:
            with told:
                assert told.wait_for(lambda: len(events) >= count, 20)
            return list(events)

        return await asyncio.to_thread(wait)


@asynccontextmanager
async def waiting(folder: Path, **given: Any) -> AsyncIterator[Waiting]:
    limits = given.pop("limits", None)
    with site_of(folder, hooks=WAITING, **given) as site:
        for number in range(3):
            site.put(f"{number}.wl", {"PatientID": f"P{number}"})
        async with listening(site, limits=limits) as at:
            yielded = Waiting(site, at)
            try:
                yield yielded
            finally:
                yielded.let_go_on()


@pytest.fixture(autouse=True)
def no_thread_remains() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name in {"hooks", "event hooks"}:
            thread.join(20)


async def found(at: Listening, patient_id: str) -> tuple[int, int]:
    """Ask, and give the number of answers and the final status."""
    answers, status = 0, -1
    async with associate(at.peer(), (MODALITY_WORKLIST_FIND,)) as association:
        async for response in association.find(elements({"PatientID": patient_id})):
            status = response.command.status
            answers += response.identifier is not None
    return answers, status


async def test_others_are_answered_while_a_callback_runs(tmp_path: Path) -> None:
    async with waiting(tmp_path) as site:
        slow = asyncio.create_task(found(site.at, "WAIT"))
        await site.entered()
        assert await found(site.at, "P1") == (1, Status.SUCCESS)
        assert not slow.done()
        site.let_go_on()
        assert await slow == (3, Status.SUCCESS)


async def test_a_callback_over_its_time_fails_its_query_and_no_other(tmp_path: Path) -> None:
    async with waiting(tmp_path, timeout_s=0.3) as site:
        with captured_log() as log:
            assert await found(site.at, "WAIT") == (0, 0xC002)
            assert await found(site.at, "P1") == (1, Status.SUCCESS)
        (failed,) = log.events("callback_failed")
        assert (failed["callback"], failed["line"]) == ("wait", 16 - 1)
        (refused,) = log.events("query_refused")
        assert (refused["status"], refused["comment"]) == (
            "C002",
            "A callback took longer than 0.3 s",
        )


def find_patient(message_id: int, patient_id: str) -> bytes:
    identifier = encode(elements({"PatientID": patient_id}).values(), IMPLICIT_VR_LITTLE_ENDIAN)
    return find_request(message_id, identifier=identifier)


async def final(peer: RawPeer) -> Command:
    """Give the next final response."""
    _, command = await hear_status(peer)
    return command


async def test_a_cancel_ends_a_query_while_its_callback_runs(tmp_path: Path) -> None:
    async with waiting(tmp_path) as site:
        peer = await associated(site.at)
        await peer.say(find_patient(1, "WAIT"))
        await site.entered()
        await peer.say(cancel_request(1))
        assert (await final(peer)).status == Status.CANCEL
        # The association is free for the next query, although the callback still runs.
        await peer.say(find_patient(2, "P1"))
        assert (await final(peer)).status == Status.SUCCESS
        events = await site.heard(2)
        assert [event.status for event in events] == [Status.CANCEL, Status.SUCCESS]
        assert [event.answers for event in events] == [0, 1]
        assert events[1].keys == ("PatientID",)
        assert events[1].origin.calling_ae_title == "RAW"
        await peer.close()


async def test_requests_that_wait_behind_a_callback_are_answered_after_it(tmp_path: Path) -> None:
    async with waiting(tmp_path) as site:
        peer = await associated(site.at)
        await peer.say(find_patient(1, "WAIT"))
        await site.entered()
        await peer.say(find_patient(2, "P1"))
        assert await found(site.at, "P1") == (1, Status.SUCCESS)
        site.let_go_on()
        responses = [await final(peer), await final(peer)]
        ids = [response.message_id_being_responded_to for response in responses]
        assert ids == [1, 2]
        await peer.close()


async def test_a_device_that_leaves_while_a_callback_runs_is_forgotten(tmp_path: Path) -> None:
    async with waiting(tmp_path) as site:
        peer = await associated(site.at)
        await peer.say(find_patient(1, "WAIT"))
        await site.entered()
        await peer.close()
        async with asyncio.timeout(20):
            await site.at.connections.closed()
        site.let_go_on()
        assert await found(site.at, "P1") == (1, Status.SUCCESS)
        first, _ = await site.heard(2)
        assert first.status == Status.PENDING


async def test_a_device_that_waits_for_a_callback_is_not_idle(tmp_path: Path) -> None:
    limits = Limits(idle_timeout_s=0.2)
    async with waiting(tmp_path, limits=limits, timeout_s=1.0) as site:
        assert await found(site.at, "WAIT") == (0, 0xC002)


async def test_an_association_may_be_released_in_good_order_after_a_callback_failed(
    tmp_path: Path,
) -> None:
    async with waiting(tmp_path, timeout_s=0.3) as site:
        peer = await associated(site.at)
        await peer.say(find_patient(1, "WAIT"))
        assert (await final(peer)).status == 0xC002
        await peer.say(RELEASE)
        assert (await peer.hear())[0] == RELEASE_RP
        await peer.close()


async def test_so_many_queries_wait_for_a_callback_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lua = """
      function IncomingWorklistRequestFilter(query) return query end
    """
    async with waiting(tmp_path, lua=lua) as site:
        slow = [asyncio.create_task(found(site.at, "WAIT")) for _ in range(4)]
        for _ in slow:
            await site.entered()
        native = site.site.worklist.callbacks._native  # type: ignore[union-attr]
        monkeypatch.setattr(native._worker, "_waiting", 0)
        assert await found(site.at, "P1") == (0, Status.OUT_OF_RESOURCES)
        site.let_go_on()
        assert await asyncio.gather(*slow) == [(3, Status.SUCCESS)] * 4
