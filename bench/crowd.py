"""Connections that say nothing, and scanners that send a byte at a time: `crowd.py PORT IDLE SLOW`.

Says `ready` when all are open, and when its standard input ends how many of each still are.
"""

import asyncio
import resource
import sys

from mwl.dataset import IMPLICIT_VR_LITTLE_ENDIAN
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from mwl.wire.pdu import AssociateRequest, ProposedContext, UserInformation, encode

HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""Addresses of the loopback: two that say nothing, one of slow scanners."""

TOGETHER = 100
BYTE_EVERY_S = 0.1
ASSOCIATE = encode(
    AssociateRequest(
        called_ae_title="ORTHANC",
        calling_ae_title="SLOW",
        contexts=(ProposedContext(1, MODALITY_WORKLIST_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,)),),
        user_information=UserInformation(max_length=16384, implementation_class_uid="1.2.3"),
    )
)
DATA = b"\x04\x00\x00\x00\x40\x00"
"""Head of a P-DATA-TF of 16 KiB, whose bytes come slowly."""

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def opened(port: int, hosts: list[str]) -> list[Peer]:
    """Open a connection from each address, some at once."""
    peers: list[Peer] = []
    for start in range(0, len(hosts), TOGETHER):
        some = hosts[start : start + TOGETHER]
        peers += await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)) for host in some)
        )
    return peers


async def drip(peer: Peer) -> None:
    """Associate, then send a byte now and again."""
    reader, writer = peer
    writer.write(ASSOCIATE)
    await reader.readexactly(6)
    writer.write(DATA)
    nothing = asyncio.get_running_loop().create_future()
    while not reader.at_eof():
        writer.write(b"\0")
        await asyncio.wait([nothing], timeout=BYTE_EVERY_S)


async def main(port: int, idle_count: int, slow_count: int) -> None:
    """Be there until the standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = await opened(port, [HOSTS[number % 2] for number in range(idle_count)])
    slow = await opened(port, [HOSTS[2]] * slow_count)
    async with asyncio.TaskGroup() as tasks:
        dripping = [tasks.create_task(drip(peer)) for peer in slow]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        open_ones = [sum(not reader.at_eof() for reader, _ in peers) for peers in (idle, slow)]
        print(*open_ones, flush=True)
        for task in dripping:
            task.cancel()
    for _, writer in (*idle, *slow):
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
