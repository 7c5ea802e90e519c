"""A peer that sends TLS without anything in it is ended before others have to wait for it."""

import asyncio
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection
from mwl.net.over_tls import UNHEARD_BYTES, TlsConnection
from support.listener import service_of
from support.raw_requests import ASSOCIATE
from support.telemetry import captured_log
from support.worklist import Site


class Wire(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_cut = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_cut

    def close(self) -> None:
        self.is_cut = True

    def abort(self) -> None:
        self.is_cut = True


def expanded(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446 7.1, without a context."""
    name = b"tls13 " + label.encode()
    info = struct.pack("!HB", length, len(name)) + name + b"\0"
    hashed = SHA256() if len(secret) == 32 else SHA384()
    return HKDFExpand(hashed, length, info).derive(secret)


def key_updates(secret: bytes, sent: int) -> Iterator[bytes]:
    """Give records that announce one new key after another (RFC 8446 4.6.3)."""
    while True:
        key_length = 16 if len(secret) == 32 else 32
        key, start = expanded(secret, "key", key_length), expanded(secret, "iv", 12)
        nonce = (int.from_bytes(start, "big") ^ sent).to_bytes(12, "big")
        inner = bytes([24, 0, 0, 1, 0, 22])  # key_update, not requested; a handshake record
        header = struct.pack("!BHH", 23, 0x0303, len(inner) + 16)
        yield header + AESGCM(key).encrypt(nonce, inner, header)
        secret, sent = expanded(secret, "traffic upd", len(secret)), 0


class Agreed:
    """A connection on which TLS is agreed upon, with its client."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(ours)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.minimum_version = ssl.TLSVersion.TLSv1_3
        authority.configure_trust(theirs)
        theirs.keylog_filename = str(folder / "keys")
        received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = theirs.wrap_bio(received, self._to_send, server_hostname="127.0.0.1")
        service, loop = service_of(Site()), asyncio.get_running_loop()
        connections = Connections(loop, service.limits)
        self.wire = Wire()
        self.connection = TlsConnection(
            ours, lambda: DicomConnection(service, connections, loop), connections, loop
        )
        self.connection.connection_made(self.wire)
        for _ in range(2):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.connection.data_received(self._to_send.read())
                received.write(self.wire.written)
        self.connection.data_received(self._to_send.read())
        lines = (folder / "keys").read_text(encoding="ascii").split("\n")
        (secret,) = (line.split()[2] for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_"))
        self.secret = bytes.fromhex(secret)

    def says(self, data: bytes) -> bytes:
        """Give a record that holds data."""
        self.client.write(data)
        return self._to_send.read()


async def test_new_keys_without_end_end_the_connection(tmp_path: Path) -> None:
    agreed = Agreed(tmp_path)
    sent = 0
    with captured_log() as log:
        for record in key_updates(agreed.secret, 0):
            agreed.connection.data_received(record)
            sent += len(record)
            if agreed.wire.is_cut:
                break
            assert sent <= UNHEARD_BYTES
    assert sent > UNHEARD_BYTES
    (line,) = log.events("peer_error")
    assert "TLS" in line["error"]
    agreed.connection.connection_lost(None)


async def test_what_comes_at_once_is_looked_at_in_pieces(tmp_path: Path) -> None:
    agreed = Agreed(tmp_path)
    updates = key_updates(agreed.secret, 0)
    flood = b"".join(next(updates) for _ in range(4 * UNHEARD_BYTES // 27))
    with captured_log() as log:
        agreed.connection.data_received(flood)
    assert agreed.wire.is_cut
    (line,) = log.events("peer_error")
    assert int(line["error"].split()[0]) <= 2 * UNHEARD_BYTES
    agreed.connection.connection_lost(None)


async def test_a_few_new_keys_between_data_do_no_harm(tmp_path: Path) -> None:
    agreed = Agreed(tmp_path)
    whole = agreed.says(ASSOCIATE)
    updates = key_updates(agreed.secret, 1)
    before = len(agreed.wire.written)
    agreed.connection.data_received(whole)
    for _ in range(UNHEARD_BYTES // 27):
        agreed.connection.data_received(next(updates))
    assert len(agreed.wire.written) > before
    assert not agreed.wire.is_cut
    agreed.connection.connection_lost(None)
