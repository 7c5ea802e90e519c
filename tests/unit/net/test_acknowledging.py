"""A peer that sends in pieces does not wait for an acknowledgement that the kernel holds back."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection
from mwl.net.over_tls import TlsConnection
from support.listener import service_of
from support.raw_requests import ASSOCIATE, RELEASE, echo_request, find_request
from support.worklist import Site


class Socket:
    """Counts how often what came is acknowledged at once."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def setsockopt(self, *option: int) -> None:
        assert option == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.acknowledged += 1


class Wire(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = Socket()
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": self.socket, "peername": ("127.0.0.1", 50_000)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Stay open: nobody asks."""

    def abort(self) -> None:
        """Stay open: nobody asks."""

    def hears(self, data: bytes, take: Callable[[bytes], None]) -> bool:
        """Tell whether something was said to some bytes, and require what follows from it."""
        written, acknowledged = len(self.written), self.socket.acknowledged
        take(data)
        is_answered = len(self.written) > written
        # What is said carries the acknowledgement along.
        assert self.socket.acknowledged - acknowledged == (not is_answered)
        return is_answered


def dicom() -> tuple[Connections, Callable[[], DicomConnection]]:
    service = service_of(Site())
    loop = asyncio.get_running_loop()
    connections = Connections(loop, service.limits)
    return connections, lambda: DicomConnection(service, connections, loop)


@pytest.mark.parametrize("request_", [find_request(), echo_request(1)], ids=["find", "echo"])
async def test_a_piece_that_cannot_be_answered_yet_is_acknowledged_at_once(request_: bytes) -> None:
    for cut in range(1, len(request_)):
        _, make = dicom()
        wire, connection = Wire(), make()
        connection.connection_made(wire)
        assert wire.hears(ASSOCIATE, connection.data_received)
        assert not wire.hears(request_[:cut], connection.data_received)
        assert wire.hears(request_[cut:], connection.data_received)
        assert wire.hears(RELEASE, connection.data_received)
        connection.connection_lost(None)


async def test_a_piece_of_a_tls_record_is_acknowledged_at_once() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(received, to_send, server_hostname="127.0.0.1")

    connections, make = dicom()
    wire = Wire()
    connection = TlsConnection(context, make, connections, asyncio.get_running_loop())
    connection.connection_made(wire)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = to_send.read()
    assert not wire.hears(hello[:9], connection.data_received)
    assert wire.hears(hello[9:], connection.data_received)
    received.write(wire.written)
    client.do_handshake()
    connection.data_received(to_send.read())
    client.write(ASSOCIATE)
    record = to_send.read()
    assert not wire.hears(record[:-1], connection.data_received)
    assert wire.hears(record[-1:], connection.data_received)
    client.write(RELEASE[:3])
    assert not wire.hears(to_send.read(), connection.data_received)
    connection.connection_lost(None)
