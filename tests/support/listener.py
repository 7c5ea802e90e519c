"""A listener in this process, on a free port of the loopback, over a worklist in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mwl.access import AccessPolicy
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.net.client import Peer
from mwl.net.connections import Capacity, Connections
from mwl.net.dicom import DicomConnection
from mwl.net.service import Service
from mwl.wire.association import Limits
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION, Policy
from support.worklist import Site

OPEN = AccessPolicy(always_allow_echo=True, always_allow_find_worklist=True)


@dataclass
class Listening:
    """Where the listener is, and what it holds."""

    port: int
    connections: Connections

    def peer(self, calling: str = "CT1", timeout_s: float = 10.0) -> Peer:
        """Give the way to it for the client."""
        return Peer("127.0.0.1", self.port, "MWL", calling, timeout_s)


def service_of(site: Site, *, access: AccessPolicy = OPEN, limits: Limits | None = None) -> Service:
    """Give what the associations of a worklist share."""
    return Service(
        access=access,
        worklist=lambda _: site.worklist,
        negotiation=Policy(
            {VERIFICATION: TRANSFER_SYNTAXES, MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES}
        ),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def listening(
    site: Site,
    *,
    access: AccessPolicy = OPEN,
    limits: Limits | None = None,
    capacity: Capacity | None = None,
) -> AsyncIterator[Listening]:
    """Serve a worklist while the block runs."""
    async with serving(service_of(site, access=access, limits=limits), capacity) as server:
        yield server


@asynccontextmanager
async def serving(service: Service, capacity: Capacity | None = None) -> AsyncIterator[Listening]:
    """Serve what a test has in its hands while the block runs."""
    loop = asyncio.get_running_loop()
    connections = Connections(loop, service.limits, capacity)
    server = await loop.create_server(
        lambda: DicomConnection(service, connections, loop), "127.0.0.1", 0
    )
    try:
        yield Listening(server.sockets[0].getsockname()[1], connections)
    finally:
        server.close()
        await connections.close(grace_s=0)
        async with asyncio.timeout(5):
            await connections.closed()


class RawPeer:
    """A peer that says what a test wants, legal or not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "RawPeer":
        """Open a connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self) -> tuple[int, bytes]:
        """Give type and body of the next PDU."""
        async with asyncio.timeout(10):
            header = await self.reader.readexactly(6)
            body = await self.reader.readexactly(int.from_bytes(header[2:], "big"))
        return header[0], body

    async def hear_end(self) -> bytes:
        """Give all that comes until the connection is closed."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return
