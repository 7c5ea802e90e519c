"""The HTTP listener takes no more than it can hold, and ends when it is told to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mwl.web import serving
from mwl.web.context import HttpLimits
from mwl.web.entrance import Entrance
from mwl.web.serving import HttpServer
from support.telemetry import captured_log

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything."""
    del scope, receive
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def served(
    app: ASGIApp = hello, tls: ssl.SSLContext | None = None, **limits: Any
) -> AsyncIterator[int]:
    """Serve an application and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = HttpServer(app, [listening], tls, HttpLimits(**limits))
        server.start()
        try:
            yield listening.getsockname()[1]
        finally:
            async with asyncio.timeout(20):
                await server.stop()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Give all that comes until the end."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_a_connection_serves_many_requests() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(REQUEST)
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize("before", [b"", REQUEST])
@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHo"])
async def test_who_does_not_finish_a_request_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, before: bytes, begun: bytes
) -> None:
    monkeypatch.setattr(serving, "KEEP_ALIVE_S", 60)
    async with served(http_head_timeout_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if before:
            writer.write(before)
            async with asyncio.timeout(10):
                await reader.readuntil(b"hello")
        writer.write(begun)
        assert await heard(reader) == b""
        writer.close()


async def test_who_says_nothing_is_cut_off() -> None:
    async with served(http_head_timeout_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await heard(reader) == b""
        writer.close()


async def test_a_request_that_takes_long_is_not_cut_off() -> None:
    answer = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await answer.wait()
        await hello(scope, receive, send)

    async with served(slow, http_head_timeout_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        idle, other = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await heard(idle)  # so the time is over for the one as for the other
        answer.set()
        async with asyncio.timeout(10):
            assert await reader.readuntil(b"hello")
        writer.close()
        other.close()


async def test_there_is_an_end_to_the_connections() -> None:
    async with served(http_connections=2) as port:
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in open_ones:
            writer.write(REQUEST)
            async with asyncio.timeout(10):
                assert await reader.readuntil(b"hello")
        one_more, its_writer = await asyncio.open_connection("127.0.0.1", port)
        assert await heard(one_more) == b""
        for _, writer in [*open_ones, (one_more, its_writer)]:
            writer.close()


async def test_what_never_ends_is_ended_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STOP_GRACE_S", 0)
    ended = asyncio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with captured_log():
        async with served(stream) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            async with asyncio.timeout(10):
                await reader.readuntil(b"first")
        assert ended.is_set()
        writer.close()


async def test_what_is_no_http_is_told_so_and_logged() -> None:
    with captured_log() as log:
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\0\1\2\r\n\r\n")
            assert (await heard(reader)).startswith(b"HTTP/1.1 400 ")
            writer.close()
    assert log.events("http_trouble")


async def test_a_client_that_goes_away_in_its_request_is_no_fault_of_ours() -> None:
    async def reads_the_body(_: Scope, receive: Receive, __: Send) -> None:
        if (await receive())["type"] == "http.disconnect":
            raise ClientDisconnect

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    answered: list[Message] = []

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/worklists/create"}
    with captured_log() as log:
        await Entrance(reads_the_body, described=True)(scope, gone, send)
    assert not answered
    assert not log.events("internal_error")


@pytest.fixture(scope="module")
def both_ends() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server and a client of its encrypt with."""
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    return ours, theirs


async def asked(port: int, tls: ssl.SSLContext) -> asyncio.StreamWriter:
    """Ask over TLS, require the answer, and leave the connection open."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    return writer


async def test_who_never_ends_its_handshake_counts_and_makes_way(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    ours, theirs = both_ends
    with captured_log() as log:
        async with served(tls=ours, http_connections=3) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            for reader, _ in silent[:5]:
                assert await heard(reader) == b""
            writer = await asked(port, theirs)
            assert await heard(silent[5][0]) == b""
            assert not silent[7][0].at_eof()
            for _, other in silent:
                other.close()
            writer.close()
    refused = log.events("http_refused")
    assert len(refused) == 6
    assert {line["limit"] for line in refused} == {"Limits.HttpConnections"}


async def test_those_that_have_agreed_upon_tls_make_way_for_nobody(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    ours, theirs = both_ends
    async with served(tls=ours, http_connections=2) as port:
        open_ones = [await asked(port, theirs) for _ in range(2)]
        reader, one_more = await asyncio.open_connection("127.0.0.1", port)
        assert await heard(reader) == b""
        assert not any(writer.is_closing() for writer in open_ones)
        for writer in [*open_ones, one_more]:
            writer.close()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_takes_too_long_is_cut_off(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext], said: bytes
) -> None:
    with captured_log() as log:
        async with served(tls=both_ends[0], handshake_timeout_s=0.05) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            assert await heard(reader) == b""
            writer.close()
    (line,) = log.events("http_refused")
    assert line["limit"] == "Limits.HandshakeTimeout"


async def test_what_comes_with_the_end_of_the_handshake_is_answered(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    ours, theirs = both_ends
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = theirs.wrap_bio(received, to_send, server_hostname="127.0.0.1")
    async with served(tls=ours) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        is_agreed = False
        while not is_agreed:
            try:
                tls.do_handshake()
                is_agreed = True
            except ssl.SSLWantReadError:
                writer.write(to_send.read())
                received.write(await reader.read(65536))
        tls.write(REQUEST)
        writer.write(to_send.read())
        answer = b""
        while not answer.endswith(b"hello"):
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                received.write(await reader.read(65536))
        writer.close()


async def test_a_client_that_breaks_its_handshake_off_leaves_room(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    ours, theirs = both_ends
    async with served(tls=ours, http_connections=1) as port:
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            writer.write_eof()
            await heard(reader)
            writer.close()
        (await asked(port, theirs)).close()


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_handshake_does_not_hold_up_the_end(
    both_ends: tuple[ssl.SSLContext, ssl.SSLContext], is_begun: bool
) -> None:
    ours, theirs = both_ends
    async with served(tls=ours) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if is_begun:  # who comes later is taken later
            (await asked(port, theirs)).close()
    assert await heard(reader) == b""
    writer.close()
