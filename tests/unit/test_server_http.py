"""What the server does about HTTP; that it listens and ends as a process is in tests/e2e."""

import asyncio
import dataclasses
import errno
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mwl import telemetry
from mwl.config import Config, of_folder
from mwl.errors import ConfigError
from mwl.net.listening import Named, OnDemand, listen, listen_on_loopback
from mwl.server import Server
from support.http import HttpClient
from support.telemetry import captured_log

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NAMED = Named("Host", "Port", "--the-port")


def configuration(folder: Path, **changes: Any) -> Config:
    given = {"dicom_port": 0, "http_port": 0} | changes
    return dataclasses.replace(of_folder(folder), **given)


async def test_a_script_asks_the_routes_from_another_thread(tmp_path: Path) -> None:
    server = await Server(configuration(tmp_path)).start()
    try:
        async with asyncio.timeout(20):
            status, body = await asyncio.to_thread(server.rest, "GET", "/system")
            assert (status, json.loads(body)["HttpPort"]) == (200, server.http_port)
            new = (b'["CT9","192.0.2.1",104]', {"Origin": "http://evil.example"})
            assert await asyncio.to_thread(server.rest, "PUT", "/modalities/x", *new) == (200, b"")
            assert (await asyncio.to_thread(server.rest, "GET", "/nope"))[0] == 404
    finally:
        await server.stop()


async def test_without_http_a_script_is_told_so(tmp_path: Path) -> None:
    server = await Server(configuration(tmp_path, http_server_enabled=False)).start()
    try:
        with pytest.raises(ConfigError, match="HTTP is not served"):
            await asyncio.to_thread(server.rest, "GET", "/system")
    finally:
        await server.stop()


async def test_the_first_who_asks_is_answered_while_the_folder_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwl.server.running.preload", lambda *_: lambda: None)  # it never ends
    server = await Server(configuration(tmp_path)).start()
    try:
        client = HttpClient(server.http_port)
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                *(asyncio.to_thread(client.get, "/system") for _ in range(5))
            )
        assert {answer.status for answer in answers} == {200}
    finally:
        await server.stop()


async def test_a_server_stops_before_anybody_asked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwl.server.running.preload", lambda *_: lambda: None)
    server = await Server(configuration(tmp_path)).start()
    port = server.http_port
    await server.stop()
    for one in listen_on_loopback(port, NAMED):
        one.close()


async def test_the_queries_of_a_scanner_go_on_when_http_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no framework")

    monkeypatch.setattr("mwl.web.create_app", broken)
    with captured_log() as log:
        server = await Server(configuration(tmp_path)).start()
        try:
            async with asyncio.timeout(20):
                with pytest.raises(ConfigError, match="could not be started"):
                    await asyncio.to_thread(server.rest, "GET", "/system")
        finally:
            await server.stop()
    assert "no framework" in log.events("internal_error")[0]["error"]


async def test_a_port_that_cannot_be_had_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, captured_log() as log:
        port = taken.getsockname()[1]
        config = configuration(tmp_path, http_port=port, http_may_fail=False)
        with pytest.raises(ConfigError) as caught:
            await Server(config).start()
        telemetry.emit("stopped")  # written at once: its loop is not the log's any more
        assert log.events("stopped")
    assert (caught.value.option, port) == ("HttpPort", port)
    assert "--http-port" in str(caught.value)


def test_the_loopback_is_both_families_where_there_are_two() -> None:
    sockets = listen_on_loopback(0, NAMED)
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert sockets[0].getsockname()[0] == "127.0.0.1"
        assert [one.getsockname()[0] for one in sockets[1:]] in ([], ["::1"])
    finally:
        for one in sockets:
            one.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_port_that_another_has_on_ipv6_alone_is_taken() -> None:
    # Whoever asks for localhost could reach the other.
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match="::1"):
            listen_on_loopback(port, NAMED)
        listen("127.0.0.1", port, NAMED).close()  # nothing was left open


def test_an_address_that_is_none_of_this_machine_is_told_by_its_option() -> None:
    with pytest.raises(ConfigError) as caught:
        listen("192.0.2.1", 0, NAMED)
    assert caught.value.option == "Host"


async def test_what_is_served_on_demand_is_made_once() -> None:
    made: list[object] = []

    class Running:
        def start(self) -> None:
            made.append("started")

        async def stop(self) -> None:
            made.append("stopped")

        def hurry(self) -> None:
            made.append("hurried")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        on_demand = OnDemand(asyncio.get_running_loop(), [listening], Running, made.append)
        for _ in range(3):
            on_demand.begin()
        await on_demand.ready()
        assert made == ["started"]
        on_demand.hurry()
        await on_demand.stop()
        assert made == ["started", "hurried", "stopped"]


async def test_what_cannot_be_served_for_want_of_descriptors_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mwl.net.listening.AGAIN_S", 0.01)
    failures: list[Exception] = []
    started = asyncio.Event()

    class Running:
        def start(self) -> None:
            started.set()

        async def stop(self) -> None: ...

        def hurry(self) -> None: ...

    def make() -> Running:
        if len(failures) < 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return Running()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        on_demand = OnDemand(asyncio.get_running_loop(), [listening], make, failures.append)
        with socket.create_connection(listening.getsockname()):
            async with asyncio.timeout(10):
                await started.wait()
        assert len(failures) == 2
        assert listening.fileno() >= 0
        await on_demand.stop()


async def test_what_is_to_be_tried_again_ends_with_the_server() -> None:
    failures: list[Exception] = []

    def make() -> NoReturn:
        raise MemoryError

    with socket.create_server(("127.0.0.1", 0)) as listening:
        on_demand = OnDemand(asyncio.get_running_loop(), [listening], make, failures.append)
        await on_demand.ready()
        await on_demand.stop()
        assert listening.fileno() == -1
    assert len(failures) == 1


async def test_a_signal_while_the_server_starts_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(configuration(tmp_path, http_server_enabled=False))
    start = server.start
    handlers: list[object] = []

    async def starting() -> Server:
        handlers.extend(map(signal.getsignal, SIGNALS))
        server.end("stop")
        return await start()

    monkeypatch.setattr(server, "start", starting)
    try:
        async with asyncio.timeout(20):
            assert await server.serve() == "stop"
    finally:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
    assert signal.SIG_DFL not in handlers
    assert len(handlers) == 3
