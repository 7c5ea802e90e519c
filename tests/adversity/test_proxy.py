"""Networks that stall, cut, split and flood: the next honest query is answered all the same."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom import AE, evt

from mwl.attributes import PATIENT_ID
from mwl.dataset import decode, values
from mwl.errors import DatasetError, PeerRefused
from mwl.net.client import Peer, associate
from mwl.wire.association import Limits
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.dcmtk import findscu
from support.items import LATIN_1, elements, step
from support.listener import listening
from support.proxy import UNTOUCHED, Then, Treatment, proxy
from support.server import RunningServer, running_server
from support.telemetry import captured_log
from support.worklist import Site
from support.worklist_files import FIVE_ITEMS, configuration, fill

IDS = ["P1", "P2", "P3", "P4", "P5"]
CLIENT_S = 2
"""Seconds that a client waits for an answer."""

PROXY_S = 2 * CLIENT_S
"""Seconds after which the proxy hangs up."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a proxy does, and what the server's line says of the association, as a begin of it.

    Args:
        ids: What the client has to receive; None when that is up to it.
        may_be_nameless: Whether the peer may be gone before the server can ask who it is.
    """

    outcome: str
    upward: Treatment = UNTOUCHED
    downward: Treatment = UNTOUCHED
    ids: list[str] | None = None
    may_be_nameless: bool = False


# A client says three PDUs before it hears an answer: A-ASSOCIATE-RQ, command, identifier.
CASES: Mapping[str, Case] = {
    "a byte at a time": Case("released", Treatment(pieces=(1,)), Treatment(pieces=(1,)), ids=IDS),
    "odd sizes": Case(
        "released", Treatment(pieces=(7, 1, 3, 64, 2)), Treatment(pieces=(5, 11, 2)), ids=IDS
    ),
    "late": Case(
        "released",
        Treatment(pieces=(97,), delay_s=0.01),
        Treatment(pieces=(211,), delay_s=0.01),
        ids=IDS,
    ),
    "stall before a word": Case("timed out: ARTIM", Treatment(0, 0, Then.STALL)),
    "stall in the request": Case("timed out: ARTIM", Treatment(0, 40, Then.STALL)),
    "stall before the query": Case("timed out: idle", Treatment(1, 0, Then.STALL)),
    "stall in the query": Case("timed out: idle", Treatment(2, 9, Then.STALL)),
    "stall in the answers": Case("timed out: idle", UNTOUCHED, Treatment(2, 9, Then.STALL)),
    "answers that vanish": Case("timed out: idle", UNTOUCHED, Treatment(1, 0, Then.SWALLOW)),
    "cut in the request": Case("connection lost", Treatment(0, 40, Then.FINISH)),
    "cut in the query": Case("connection lost", Treatment(2, 9, Then.FINISH)),
    "cut in the answers": Case("connection lost", UNTOUCHED, Treatment(2, 9, Then.FINISH)),
    "reset before a word": Case(
        "connection lost", Treatment(0, 0, Then.RESET), may_be_nameless=True
    ),
    "reset in the request": Case(
        "connection lost", Treatment(0, 40, Then.RESET), may_be_nameless=True
    ),
    "reset in the query": Case("connection lost", Treatment(2, 9, Then.RESET)),
    "reset in the answers": Case("connection lost", UNTOUCHED, Treatment(2, 9, Then.RESET)),
    "all that was said again": Case("aborted: ", Treatment(3, 0, Then.REPEAT)),
    "garbage at once": Case("aborted: ", Treatment(0, 0, Then.GARBAGE)),
    "garbage in the query": Case("aborted: ", Treatment(2, 9, Then.GARBAGE)),
    "garbage for the client": Case("", UNTOUCHED, Treatment(2, 0, Then.GARBAGE)),
    "all answers again": Case("", UNTOUCHED, Treatment(3, 0, Then.REPEAT)),
}

Client = Callable[[int], Coroutine[Any, Any, list[str]]]
"""Asks for every item on a port; gives the Patient IDs that it has received."""


async def ask_with_findscu(port: int) -> list[str]:
    found = await asyncio.to_thread(
        findscu,
        "127.0.0.1",
        port,
        "PatientID",
        options=[word for name in ("-to", "-ts", "-ta", "-td") for word in (name, str(CLIENT_S))],
    )
    return found.patient_ids


async def ask_with_pynetdicom(port: int) -> list[str]:
    return await asyncio.to_thread(_pynetdicom, port)


def _pynetdicom(port: int) -> list[str]:
    scu = AE("PYNETDICOM")
    scu.acse_timeout = scu.dimse_timeout = scu.network_timeout = CLIENT_S
    scu.add_requested_context(MODALITY_WORKLIST_FIND)
    # It does not close a socket whose peer is gone.
    closing = ExitStack()
    note = (evt.EVT_CONN_OPEN, lambda event: closing.push(event.assoc.dul.socket.socket))
    opened = scu.associate("127.0.0.1", port, evt_handlers=[note])
    identifier = Dataset()
    identifier.PatientID = ""
    try:
        if not opened.is_established:
            return []
        found = [answer for _, answer in opened.send_c_find(identifier, MODALITY_WORKLIST_FIND)]
        return [str(answer.PatientID) for answer in found if answer is not None]
    finally:
        if opened.is_established:
            opened.release()
        closing.close()


async def ask_with_mwl(port: int, timeout_s: float = CLIENT_S) -> list[str]:
    """Ask; what is received before the connection is lost counts as nothing."""
    peer = Peer("127.0.0.1", port, "ORTHANC", "MWL", timeout_s)
    ids: list[str] = []
    try:
        async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
            async for response in association.find(elements({"PatientID": ""})):
                if response.identifier is not None:
                    found = decode(response.identifier, response.transfer_syntax)
                    ids += values(found[PATIENT_ID], LATIN_1)
    except (PeerRefused, DatasetError):
        return []
    return ids


CLIENTS: Mapping[str, Client] = {
    "findscu": ask_with_findscu,
    "pynetdicom": ask_with_pynetdicom,
    "mwl": ask_with_mwl,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("proxy")
    file = configuration(
        folder / "mwl.json",
        fill(folder / "items", FIVE_ITEMS),
        DicomAlwaysAllowFindWorklist=True,
        DicomScpTimeout=1,
        Limits={"ArtimTimeout": 1},
    )
    with running_server("--config", file) as running:
        yield running


async def run_case(server: RunningServer, client: Client, case: Case) -> str | None:
    """Put a client behind a proxy; tell what is wrong with what came of it."""
    async with (
        asyncio.TaskGroup() as tasks,
        proxy(server.port, case.upward, case.downward) as between,
    ):
        asking = tasks.create_task(client(between.port))
        # Some clients have no time limit for the rest of a PDU: hanging up frees them.
        await asyncio.wait([asking], timeout=PROXY_S)
        if case.outcome.startswith("timed out"):
            # Nobody has hung up: it is the server that ends it.
            (port,) = between.ports
            await asyncio.to_thread(outcome_of, server, [str(port)])
    ids = asking.result()
    if case.ids is not None and sorted(ids) != case.ids:
        return f"received {ids}"
    nameless = ["0"] if case.may_be_nameless else []
    outcomes = [
        await asyncio.to_thread(outcome_of, server, [str(port), *nameless])
        for port in between.ports
    ]
    if not outcomes or not all(outcome.startswith(case.outcome) for outcome in outcomes):
        return f"the server says {outcomes}"
    return None


def outcome_of(server: RunningServer, ports: list[str]) -> str:
    """Wait for the line of an association; it is written when nothing of it is left."""
    line = server.log.wait_for("association", lambda line: line.fields["port"] in ports)
    return line.fields["outcome"]


@pytest.mark.interop
@pytest.mark.parametrize("name", CLIENTS)
async def test_whatever_happens_on_the_way_the_next_query_is_answered(
    server: RunningServer, name: str
) -> None:
    client = CLIENTS[name]
    async with asyncio.TaskGroup() as tasks:
        running = {
            name: tasks.create_task(run_case(server, client, case)) for name, case in CASES.items()
        }
    wrong = {name: task.result() for name, task in running.items() if task.result() is not None}
    assert wrong == {}
    assert sorted(await client(server.port)) == IDS
    assert server.log.events("internal_error") == []


# The rest is what holds for all treatments, with short timers and a proxy that never hangs up.


def treatments() -> st.SearchStrategy[Treatment]:
    return st.builds(
        Treatment,
        pdus=st.integers(0, 4),
        octets=st.integers(0, 80),
        then=st.sampled_from(Then),
        pieces=st.lists(st.integers(1, 300), max_size=3).map(tuple),
    )


def site() -> Site:
    site = Site()
    for identifier in IDS:
        site.put(f"{identifier}.wl", {"PatientID": identifier, **step(Modality="CT")})
    return site


async def survives(upward: Treatment, downward: Treatment) -> None:
    limits = Limits(artim_timeout_s=0.1, idle_timeout_s=0.1)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(captured_log("default"))
        server = await stack.enter_async_context(listening(site(), limits=limits))
        between = await stack.enter_async_context(proxy(server.port, upward, downward))
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(ask_with_mwl(between.port, 0.2))
            assert await ask_with_mwl(server.port) == IDS, "somebody else meanwhile"
        assert asking.result() in ([], IDS)
        async with asyncio.timeout(5):
            await server.connections.closed()
        assert server.connections.associations == 0
        assert await ask_with_mwl(server.port) == IDS
        lines = [line for line in log.events("association") if line["port"] in between.ports]
        assert len(lines) == len(between.ports)
        assert all(line["outcome"] for line in lines)
        assert log.events("internal_error") == []


@settings(max_examples=30)
@given(upward=treatments(), downward=treatments())
def test_no_treatment_leaves_an_association_or_a_wrong_answer(
    upward: Treatment, downward: Treatment
) -> None:
    asyncio.run(survives(upward, downward))
