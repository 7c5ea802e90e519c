"""Each limit broken once, and nothing else: what the peer gets, what the log and the metric say."""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from mwl import telemetry
from mwl.access import Caller
from mwl.attributes import ACCESSION_NUMBER
from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Elements,
    encode,
)
from mwl.dataset import elements as dataset_elements
from mwl.find import Outcome, QueryLimits, Request, Search
from mwl.limits import INFLATED_LENGTH, LIMITS
from mwl.net import report
from mwl.net.connections import Capacity
from mwl.net.dicom import DicomConnection
from mwl.net.harmless import Harmless
from mwl.net.journal import Journal
from mwl.net.over_tls import TlsConnection
from mwl.results import Variant
from mwl.web import HttpLimits, HttpServer, Metrics, Settings
from mwl.wire.association import Limits, MessageReceived, NegotiatedContext
from mwl.wire.dimse import Command, CommandField, frame_command, frame_dataset
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from mwl.wire.pdu import Abort, AssociateReject, AssociateRequest, ProposedContext, UserInformation
from mwl.wire.pdu import encode as encode_pdu
from support.callbacks import site_of
from support.items import elements, step
from support.listener import OPEN, Listening, RawPeer, listening
from support.raw_requests import (
    ASSOCIATE,
    associated,
    echo_request,
    find_request,
    hear_status,
)
from support.telemetry import captured_log
from support.web import web
from support.worklist import Site

REJECTED_FOR_NOW = encode_pdu(AssociateReject(result=2, source=3, reason=2))
ABORTED_AS_USER = encode_pdu(Abort(0, 0))
ABORTED_FOR_LENGTH = encode_pdu(Abort(2, 6))
ABORTED_FOR_MESSAGE = encode_pdu(Abort(2, 0))
SOON_S = 0.1
SOON_CLOSED: dict[str, Any] = {"artim_timeout_s": SOON_S}
"""The peer of these tests does not close the connection, so the server does it soon."""

Case = Callable[[Path], Awaitable[str]]
"""Goes beyond one limit and looks at the wire; gives the event of the log that tells of it."""

CASES: dict[str, tuple[float, Case]] = {}
"""By the name of the option: what it is set to, and the case."""


def case(limit: str, value: float) -> Callable[[Case], Case]:
    """Note a case."""

    def noted(function: Case) -> Case:
        CASES[limit] = (value, function)
        return function

    return noted


def site_with(count: int, **rules: Any) -> Site:
    site = Site(**rules)
    for number in range(count):
        values = {"AccessionNumber": str(number), "PatientName": "NOBODY^" + "X" * 48}
        site.put(f"{number}.wl", {**values, **step(Modality="CT")})
    return site


@asynccontextmanager
async def serving(
    count: int = 1,
    capacity: Capacity | None = None,
    query: QueryLimits | None = None,
    limit_answers: int = 0,
    **limits: Any,
) -> AsyncIterator[Listening]:
    """Serve with some limits, and wait until all connections are closed."""
    site = site_with(count, limits=query or QueryLimits(), limit_answers=limit_answers)
    async with listening(site, limits=Limits(**limits), capacity=capacity) as server:
        yield server
        async with asyncio.timeout(20):
            await server.connections.closed()


async def until(fact: Callable[[], bool]) -> None:
    """Let others go on until something is so."""
    nothing = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(20):
        while not fact():
            await asyncio.wait([nothing], timeout=0.001)


def read_nothing(peer: RawPeer) -> None:
    """Let a peer take nothing off the network, which a stream would do ahead."""
    cast("asyncio.Transport", peer.writer.transport).pause_reading()


async def hears(server: Listening, said: bytes, expected: bytes, *, begun: bool = False) -> None:
    """Let a peer say something, and hear this and then the end."""
    peer = await (associated(server) if begun else RawPeer.connect(server.port))
    await peer.say(said)
    heard = await peer.hear_end()
    assert heard == expected
    await peer.close()


def find_with(
    identifier: Elements | bytes, transfer_syntax: str = IMPLICIT_VR_LITTLE_ENDIAN
) -> bytes:
    command = Command(
        field=CommandField.C_FIND_RQ,
        message_id=1,
        affected_sop_class_uid=MODALITY_WORKLIST_FIND,
        priority=0,
        has_dataset=True,
    )
    if not isinstance(identifier, bytes):
        identifier = encode(identifier.values(), IMPLICIT_VR_LITTLE_ENDIAN)
    return frame_command(1, command, 16384) + frame_dataset(1, identifier, 16384)


async def is_refused(query: QueryLimits, identifier: Elements, comment: str) -> str:
    """Ask a query that goes beyond a limit; the association goes on."""
    async with serving(query=query) as server:
        peer = await associated(server)
        await peer.say(find_with(identifier))
        pending, final = await hear_status(peer)
        assert (pending, final.status, final.error_comment) == (0, 0xA700, comment)
        await peer.say(echo_request(2))
        assert (await hear_status(peer))[1].status == 0
        await peer.close()
    return "query_refused"


@case("Limits.Associations", 2)
async def associations(_: Path) -> str:
    async with serving(capacity=Capacity(associations=2), **SOON_CLOSED) as server:
        open_ones = [await associated(server), await associated(server)]
        await hears(server, ASSOCIATE, REJECTED_FOR_NOW)
        await open_ones[0].close()
        await until(lambda: server.connections.associations == 1)
        open_ones.append(await associated(server))
        for peer in open_ones:
            await peer.close()
    return "association_refused"


@case("Limits.AssociationsPerHost", 2)
async def associations_per_host(_: Path) -> str:
    async with serving(capacity=Capacity(associations_per_host=2), **SOON_CLOSED) as server:
        open_ones = [await associated(server), await associated(server)]
        await hears(server, ASSOCIATE, REJECTED_FOR_NOW)
        for peer in open_ones:
            await peer.close()
    return "association_refused"


async def connections_beyond(capacity: Capacity) -> str:
    async with serving(capacity=capacity) as server:
        open_ones = [await associated(server) for _ in range(2)]
        peer = await RawPeer.connect(server.port)
        with suppress(ConnectionError):
            assert await peer.hear_end() == b""
        for each in (peer, *open_ones):
            await each.close()
    return "association_refused"


@case("Limits.Connections", 2)
async def connections(_: Path) -> str:
    return await connections_beyond(Capacity(connections=2))


@case("Limits.ConnectionsPerHost", 2)
async def connections_per_host(_: Path) -> str:
    return await connections_beyond(Capacity(connections_per_host=2))


@case("Limits.WaitingRequests", 3)
async def waiting_requests(_: Path) -> str:
    async with serving(600, capacity=Capacity(waiting_requests=3), **SOON_CLOSED) as server:
        peer = await associated(server)
        await peer.say(b"".join(find_request(number) for number in range(1, 40)))
        assert (await peer.hear_end()).endswith(ABORTED_AS_USER)
        await peer.close()
    return "association"


@case("MaximumPduLength", 16_384)
async def pdu_length(_: Path) -> str:
    async with serving(max_pdu_length=16_384, **SOON_CLOSED) as server:
        header = b"\4\0" + (16_385).to_bytes(4, "big")
        await hears(server, header, ABORTED_FOR_LENGTH, begun=True)
    return "peer_error"


@case("Limits.AssociateLength", 20_000)
async def associate_length(_: Path) -> str:
    async with serving(max_associate_bytes=20_000, **SOON_CLOSED) as server:
        header = b"\1\0" + (20_001).to_bytes(4, "big")
        await hears(server, header, ABORTED_AS_USER)
    return "peer_error"


@case("Limits.CommandLength", 1024)
async def command_length(_: Path) -> str:
    async with serving(max_command_bytes=1024, **SOON_CLOSED) as server:
        value = bytes((0, 0, 4, 3, 1, 1)) + bytes(1025)
        pdu = b"\4\0" + len(value).to_bytes(4, "big") + value
        await hears(server, pdu, ABORTED_FOR_MESSAGE, begun=True)
    return "peer_error"


@case("Limits.IdentifierLength", 5000)
async def identifier_length(_: Path) -> str:
    async with serving(max_message_bytes=5000, **SOON_CLOSED) as server:
        await hears(server, find_with(bytes(5002)), ABORTED_FOR_MESSAGE, begun=True)
    return "peer_error"


@case("Limits.InflatedLength", 5000)
async def inflated_length(_: Path) -> str:
    request = AssociateRequest(
        called_ae_title="MWL",
        calling_ae_title="RAW",
        contexts=(
            ProposedContext(1, MODALITY_WORKLIST_FIND, (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,)),
        ),
        user_information=UserInformation(max_length=16384, implementation_class_uid="1.2.3"),
    )
    plain = encode(elements({"PatientComments": "X" * 5000}).values(), EXPLICIT_VR_LITTLE_ENDIAN)
    deflated = zlib.compress(plain, wbits=-zlib.MAX_WBITS)
    async with serving(query=QueryLimits(inflated_length=5000)) as server:
        peer = await RawPeer.connect(server.port)
        await peer.say(encode_pdu(request))
        await peer.hear()
        await peer.say(find_with(deflated + b"\0" * (len(deflated) % 2)))
        pending, final = await hear_status(peer)
        comment = "The query has more than 5000 bytes"
        assert (pending, final.status, final.error_comment) == (0, 0xA700, comment)
        await peer.close()
    return "query_refused"


@case("Limits.Nesting", 4)
async def nesting(_: Path) -> str:
    values: Mapping[str, Any] = {"PatientID": ""}
    for _level in range(5):
        values = {"ScheduledProtocolCodeSequence": [values]}
    comment = "The query has more than 4 sequences inside each other"
    return await is_refused(QueryLimits(nesting=4), elements(values), comment)


@case("Limits.Keys", 100)
async def keys(_: Path) -> str:
    many = {f"0011,{number:04X} LO": "" for number in range(0x1000, 0x1000 + 101)}
    return await is_refused(
        QueryLimits(keys=100), elements(many), "The query has more than 100 keys"
    )


@case("Limits.Values", 100)
async def values(_: Path) -> str:
    many = elements({"StudyInstanceUID": "\\".join(["1.2"] * 102)})
    return await is_refused(QueryLimits(values=100), many, "The query has more than 100 values")


@case("Limits.WildCards", 10)
async def wild_cards(_: Path) -> str:
    many = elements({"PatientName": "A*" * 11})
    comment = "The query has more than 10 wild cards"
    return await is_refused(QueryLimits(wild_cards=10), many, comment)


@case("Limits.HandshakeTimeout", SOON_S)
async def handshake_timeout(_: Path) -> str:
    async with serving(capacity=Capacity(handshake_timeout_s=SOON_S)) as server:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def dicom() -> DicomConnection:
            raise AssertionError("no association begins before the handshake has ended")

        listener = await loop.create_server(
            lambda: TlsConnection(context, dicom, server.connections, loop), "127.0.0.1", 0
        )
        peer = await RawPeer.connect(listener.sockets[0].getsockname()[1])
        await peer.say(b"\x16")  # a byte, so that it is not merely silent
        assert await peer.hear_end() == b""
        await peer.close()
        listener.close()
    return "tls_refused"


@case("Limits.ArtimTimeout", SOON_S)
async def artim_timeout(_: Path) -> str:
    async with serving(artim_timeout_s=SOON_S) as server:
        await hears(server, ASSOCIATE[:-1], b"")
    return "association"


@case("DicomScpTimeout", SOON_S)
async def idle_timeout(_: Path) -> str:
    async with serving(idle_timeout_s=SOON_S, **SOON_CLOSED) as server:
        await hears(server, b"", ABORTED_AS_USER, begun=True)
    return "association"


@case("Limits.SlowWriteTimeout", SOON_S)
async def slow_write_timeout(_: Path) -> str:
    async with serving(slow_write_timeout_s=SOON_S, idle_timeout_s=10) as server:
        peer = await associated(server)
        request = iter(find_request())
        ending = asyncio.create_task(peer.hear())
        while not ending.done():  # a byte a time, never idle, and never through
            peer.writer.write(bytes((next(request),)))
            await asyncio.wait([ending], timeout=SOON_S / 10)
        kind, body = await ending
        assert bytes((kind, 0)) + len(body).to_bytes(4, "big") + body == ABORTED_AS_USER
        await peer.close()
    return "association"


@case("Limits.SlowReadTimeout", SOON_S)
async def slow_read_timeout(_: Path) -> str:
    async with serving(6000, slow_read_timeout_s=SOON_S, idle_timeout_s=0) as server:
        peer = await associated(server)
        read_nothing(peer)
        await peer.say(b"".join(find_request(number) for number in range(1, 10)))
        async with asyncio.timeout(20):
            await server.connections.closed()
        await peer.close()
    return "association"


@case("CallbackTimeout", SOON_S)
async def callback_timeout(folder: Path) -> str:
    hooks = """
    import threading
    from mwl import hook

    @hook.query
    def wait(query, origin):
        threading.Event().wait(1)
        return query
    """
    with site_of(folder, hooks=hooks, timeout_s=SOON_S) as site:
        async with listening(site) as server:
            peer = await associated(server)
            await peer.say(find_request())
            assert (await hear_status(peer))[1].status == 0xC002
            await peer.close()
            await server.connections.closed()
    return "query_refused"


@case("Worklists.LimitAnswers", 2)
async def limit_answers(_: Path) -> str:
    async with serving(3, limit_answers=2) as server:
        peer = await associated(server)
        await peer.say(find_request())
        pending, final = await hear_status(peer)
        assert (pending, final.status) == (2, 0xFE00)
        await peer.close()
    return "query"


@asynccontextmanager
async def http(folder: Path, **limits: Any) -> AsyncIterator[int]:
    """Serve over HTTP with some limits, and give the port."""
    allowed = HttpLimits(**limits)
    site = web(folder, settings=Settings(limits=allowed))
    with socket.create_server(("127.0.0.1", 0)) as listening_socket:
        server = HttpServer(site.app, [listening_socket], None, allowed)
        server.start()
        try:
            yield listening_socket.getsockname()[1]
        finally:
            async with asyncio.timeout(20):
                await server.stop()


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


async def http_status(port: int, said: bytes) -> int:
    """Say something over HTTP, and give the status of the answer; 0 without one."""
    peer = await RawPeer.connect(port)
    await peer.say(said)
    try:
        heard = await peer.hear_end()
    except ConnectionError:
        heard = b""
    await peer.close()
    return int(heard[9:12]) if heard else 0


@case("Limits.HttpConnections", 2)
async def http_connections(folder: Path) -> str:
    async with http(folder, http_connections=2) as port:
        open_ones = [await RawPeer.connect(port) for _ in range(2)]
        assert await http_status(port, b"") == 0
        await open_ones[0].say(request("GET", "/system"))
        assert (await open_ones[0].hear_end()).startswith(b"HTTP/1.1 200 ")
        for peer in open_ones:
            await peer.close()
    return "http_refused"


@case("Limits.HttpRequests", 1)
async def http_requests(folder: Path) -> str:
    async with http(folder, http_requests=1) as port:
        assert await http_status(port, request("GET", "/system")) == 503
    return "http_trouble"


@case("Limits.HttpHeadTimeout", SOON_S)
async def http_head_timeout(folder: Path) -> str:
    async with http(folder, http_head_timeout_s=SOON_S) as port:
        assert await http_status(port, b"GET / HTTP/1.1\r\n") == 0
    return "http_refused"


@case("Limits.HttpBody", 1024)
async def http_body(folder: Path) -> str:
    async with http(folder, http_body=1024) as port:
        assert await http_status(port, request("PUT", "/tools/log-level", b"x" * 1025)) == 413
        batch = b"[" + b" " * 1025 + b"]"
        assert await http_status(port, request("POST", "/worklists/batch", batch)) == 200
    return "http_refused"


@case("Limits.HttpBatch", 2048)
async def http_batch(folder: Path) -> str:
    async with http(folder, http_batch=2048, http_body=1024) as port:
        batch = b"[" + b" " * 2048 + b"]"
        assert await http_status(port, request("POST", "/worklists/batch", batch)) == 413
    return "http_refused"


@case("Limits.HttpRows", 2)
async def http_rows(folder: Path) -> str:
    async with http(folder, http_rows=2) as port:
        assert await http_status(port, request("POST", "/worklists/batch", b"[1,2]")) == 200
        assert await http_status(port, request("POST", "/worklists/batch", b"[1,2,3]")) == 413
    return "http_refused"


@case("Limits.HttpEventReaders", 1)
async def http_event_readers(folder: Path) -> str:
    async with http(folder, http_event_readers=1) as port:
        reader = await RawPeer.connect(port)
        await reader.say(request("GET", "/events"))
        async with asyncio.timeout(20):
            await reader.reader.readuntil(b": mwl")
        assert await http_status(port, request("GET", "/events")) == 503
        await reader.close()
    return "http_refused"


def counts() -> dict[str, float]:
    """Read the metric as Prometheus does."""
    metrics = Metrics(Journal(0), dict, lambda: 0, telemetry.COUNTS, dict, telemetry.LIMIT_REFUSALS)
    start = 'mwl_limit_refusals_total{limit="'
    found = {}
    for line in metrics().decode().splitlines():
        if line.startswith(start):
            limit, _, count = line.removeprefix(start).partition('"} ')
            found[limit] = float(count)
    return found


NEVER_REFUSES = {"Limits.AnswersBuffered", "Limits.AnswersKept"}
"""Limits that make a query wait, or be evaluated anew: they have tests of their own below."""


@pytest.mark.parametrize(
    "limit", [limit.name for limit in LIMITS if limit.name not in NEVER_REFUSES]
)
async def test_a_limit_that_is_broken_is_named_in_the_log_and_counted(
    limit: str, tmp_path: Path
) -> None:
    value, breaks_it = CASES[limit]
    before = counts()
    with captured_log() as log:
        event = await breaks_it(tmp_path)
    after = counts()
    (line,) = (line for line in log.events() if "limit" in line)
    assert (line["event"], line["limit"], line["limit_value"]) == (event, limit, value)
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        limit: 1
    }


def test_every_limit_has_its_case() -> None:
    names = {limit.name for limit in LIMITS}
    assert CASES.keys() | NEVER_REFUSES == names == counts().keys()


@pytest.mark.parametrize("buffered", [16_384, 262_144])
async def test_what_is_buffered_for_a_peer_that_does_not_read(buffered: int) -> None:
    high_water_bytes = 64 * 1024
    before = counts()
    async with serving(6000, query=QueryLimits(answers_buffered=buffered)) as server:
        peer = await associated(server)
        read_nothing(peer)
        await peer.say(b"".join(find_request(number) for number in range(1, 10)))
        (connection,) = server.connections._open
        assert isinstance(connection, DicomConnection)
        await until(lambda: connection._paused)
        held = connection._transport.get_write_buffer_size()
        # Beside the answers, their commands: under 100 bytes each, of answers over 100 bytes.
        assert held <= high_water_bytes + 2 * buffered
        connection.cut()
        await peer.close()
    assert counts() == before


@pytest.mark.parametrize("kept", [0, 40_000, 33_554_432])
def test_what_is_kept_of_answers_is_bounded_and_changes_no_answer(kept: int) -> None:
    site = site_with(50, limits=QueryLimits(answers_kept=kept))
    before = counts()
    for _ in range(2):
        for number in range(50):
            found = site.ask({"AccessionNumber": str(number), "PatientName": ""})
            (answer,) = found.answers
            assert answer[ACCESSION_NUMBER].value in (f"{number}".encode(), f"{number} ".encode())
        assert len(site.ask({"AccessionNumber": "", "PatientName": ""}).answers) == 50
        assert site.worklist.results.kept_bytes <= kept
    assert counts() == before


async def test_limits_that_are_replaced_hold_for_those_who_come_then() -> None:
    async with serving(capacity=Capacity(associations=1), **SOON_CLOSED) as server:
        first = await associated(server)
        await hears(server, ASSOCIATE, REJECTED_FOR_NOW)
        server.connections.capacity = Capacity(associations=2)
        second = await associated(server)
        server.connections.capacity = Capacity(associations=1)
        await second.say(echo_request(1))
        assert (await hear_status(second))[1].status == 0
        for peer in (first, second):
            await peer.close()


async def test_long_requests_that_wait_may_be_as_long_as_one_alone() -> None:
    long = {"PatientName": "X" * 2000}
    one = encode(elements(long).values(), IMPLICIT_VR_LITTLE_ENDIAN)
    with captured_log() as log:
        async with serving(600, max_message_bytes=2 * len(one), **SOON_CLOSED) as server:
            peer = await associated(server)
            read_nothing(peer)
            await peer.say(find_request(9) + find_with(elements(long)) * 3)
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert (await peer.hear_end()).endswith(ABORTED_AS_USER)
            await peer.close()
    (line,) = log.events("association")
    assert (line["limit"], line["limit_value"]) == ("Limits.IdentifierLength", 2 * len(one))


@pytest.mark.parametrize("hides", [True, False])
@pytest.mark.parametrize("length", [100, report.REMEMBERED_LENGTH, 30_000])
def test_what_is_logged_of_a_long_query_is_not_remembered(hides: bool, length: int) -> None:
    memos = (report._names_remembered, report._asked_remembered)
    for memo in memos:
        memo.cache_clear()
    asked = encode(
        elements({"PatientName": "X" * (length - 8)}).values(), IMPLICIT_VR_LITTLE_ENDIAN
    )
    assert len(asked) == length
    context = NegotiatedContext(1, MODALITY_WORKLIST_FIND, IMPLICIT_VR_LITTLE_ENDIAN)
    command = Command(field=CommandField.C_FIND_RQ, message_id=1, has_dataset=True)
    request = Request(asked, "RAW", Variant(context.transfer_syntax, 1, 16384))
    outcome = finished(Site().worklist.find(request))
    message = MessageReceived(context, command, asked)
    for _ in range(2):
        keys = report._keys(message, outcome, with_values=not hides)
        assert keys == ("PatientName" if hides else "PatientName=" + "X" * (length - 8))
    held = sum(memo.cache_info().currsize for memo in memos)
    assert held == (1 if length <= report.REMEMBERED_LENGTH else 0)


@pytest.mark.parametrize("hides", [True, False])
async def test_few_bytes_that_inflate_to_many_hold_up_nobody(hides: bool) -> None:
    """Whoever refuses them reads no more than is allowed, and the log no more than that."""
    items = ITEM * (INFLATED_LENGTH.maximum // len(ITEM) - 100)
    deflated = zlib.compress(
        bytes.fromhex("4000 0001 5351 0000") + len(items).to_bytes(4, "little") + items,
        wbits=-zlib.MAX_WBITS,
    )
    deflated += b"\0" * (len(deflated) % 2)
    assert len(deflated) < 10_000
    context = NegotiatedContext(1, MODALITY_WORKLIST_FIND, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    command = Command(field=CommandField.C_FIND_RQ, message_id=1, has_dataset=True)
    message = MessageReceived(context, command, deflated)
    caller = Caller("RAW", "MWL", "127.0.0.1")
    request = Request(deflated, "RAW", Variant(context.transfer_syntax, 1, 16384))
    with captured_log("verbose") as log, counting_decoded() as decoded:
        outcome = finished(Site().worklist.find(request))
        report.identifier(caller, request, Harmless.of(OPEN, caller) if hides else None)
        report.query(
            caller,
            message,
            outcome,
            items=0,
            milliseconds=0.0,
            with_values=not hides,
            journal=Journal(0),
        )
    (line,) = log.events()
    assert (line["event"], line["limit"]) == ("query_refused", "Limits.InflatedLength")
    assert sum(decoded) == 0


ITEM = bytes.fromhex("feff 00e0 0000 0000")


def finished(search: Search) -> Outcome:
    """Take a query to its end."""
    while True:
        try:
            next(search)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome


@contextmanager
def counting_decoded() -> Iterator[list[int]]:
    """Note the length of each data set that is read."""
    lengths: list[int] = []
    read = dataset_elements._read_elements

    def noting(data: bytes, *arguments: Any) -> Any:
        lengths.append(len(data))
        return read(data, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_elements, "_read_elements", noting)
        yield lengths
