"""A proxy of the loopback that does to connections what networks and broken programs do to them.

What it does to either direction is data: a `Treatment`.
"""

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, repeat
from socket import SO_LINGER, SOL_SOCKET

GARBAGE_BYTES = 256 * 1024
"""How much a flood of garbage is, in bytes."""

REPEATS = 200
"""How often a flood repeats what has passed."""

READ_BYTES = 65536


class Then(Enum):
    """What happens when a direction has let pass what it should."""

    GO_ON = "all else passes too"
    STALL = "nothing is read or sent any more, and nobody is told"
    SWALLOW = "all is read and nothing is sent on"
    FINISH = "both connections are closed"
    RESET = "both connections are reset"
    REPEAT = "what has passed is sent again and again"
    GARBAGE = "bytes that mean nothing are sent"


_ENDS = frozenset({Then.FINISH, Then.RESET})


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of the bytes of one direction.

    Args:
        pdus: Whole PDUs that pass before anything happens.
        octets: Bytes that pass after those.
        then: What happens then.
        pieces: Sizes in which bytes are sent on, in turn; as they come when empty.
        delay_s: Seconds that each of these waits.
    """

    pdus: int = 0
    octets: int = 0
    then: Then = Then.GO_ON
    pieces: tuple[int, ...] = ()
    delay_s: float = 0.0


UNTOUCHED = Treatment()


async def _rest(seconds: float) -> None:
    """Let others go on for a time, which is all that a delay is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


@dataclass(slots=True)
class _Direction:
    """One direction of one connection."""

    treatment: Treatment
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    passed: bytearray = field(default_factory=bytearray)

    async def run(self) -> Then:
        """Pass bytes on until the treatment or the sender ends it; tell how it ended."""
        try:
            await self._pass_begin()
            await self._do(self.treatment.then)
        except asyncio.IncompleteReadError as cut_short:
            await self._send(cut_short.partial)
        except ConnectionError:
            return Then.RESET
        if self.treatment.then not in _ENDS:
            with suppress(OSError):
                self.writer.write_eof()
            return Then.GO_ON
        return self.treatment.then

    async def _pass_begin(self) -> None:
        for _ in range(self.treatment.pdus):
            header = await self.reader.readexactly(6)
            await self._send(header)
            await self._send(await self.reader.readexactly(int.from_bytes(header[2:], "big")))
        await self._send(await self.reader.readexactly(self.treatment.octets))

    async def _do(self, then: Then) -> None:
        match then:
            case Then.GO_ON:
                while data := await self.reader.read(READ_BYTES):
                    await self._send(data)
            case Then.STALL:
                await asyncio.Event().wait()
            case Then.SWALLOW:
                while await self.reader.read(READ_BYTES):
                    pass
            case Then.REPEAT:
                for _ in range(REPEATS):
                    await self._send(bytes(self.passed), is_repeated=True)
            case Then.GARBAGE:
                await self._send(random.Random(1).randbytes(GARBAGE_BYTES))  # noqa: S311 - repeatable
            case Then.FINISH | Then.RESET:
                pass

    async def _send(self, data: bytes, *, is_repeated: bool = False) -> None:
        if self.treatment.then is Then.REPEAT and not is_repeated:
            self.passed += data
        for piece in _cut(data, self.treatment.pieces):
            if self.treatment.delay_s:
                await _rest(self.treatment.delay_s)
            self.writer.write(piece)
            await self.writer.drain()


def _cut(data: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    start = 0
    for size in chain.from_iterable(repeat(sizes or (len(data) or 1,))):
        if start >= len(data):
            return
        yield data[start : start + size]
        start += size


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass(slots=True)
class Proxy:
    """A proxy that takes connections.

    Attributes:
        port: Where it listens.
        ports: Its own ports of the connections that it has made, by which the server knows them.
    """

    to_port: int
    upward: Treatment
    downward: Treatment
    port: int = 0
    ports: list[int] = field(default_factory=list)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stand between one client and the server."""
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self.ports.append(onward_writer.get_extra_info("sockname")[1])
        self._open.add(onward_writer)
        try:
            await self._between(
                _Direction(self.upward, reader, onward_writer),
                _Direction(self.downward, onward_reader, writer),
            )
        finally:
            for one in (writer, onward_writer):
                one.close()

    async def _between(self, *directions: _Direction) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = {tasks.create_task(direction.run()) for direction in directions}
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                endings = {task.result() for task in done} & _ENDS
                if Then.RESET in endings:
                    for direction in directions:
                        _reset(direction.writer)
                if endings:
                    for task in running:
                        task.cancel()
                    return

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self._open.add(writer)
        serving = asyncio.get_running_loop().create_task(self.serve(reader, writer))
        self._serving.add(serving)

    async def close(self) -> None:
        """Let go of all connections."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for writer in self._open:
            writer.transport.abort()


@asynccontextmanager
async def proxy(
    port: int, upward: Treatment = UNTOUCHED, downward: Treatment = UNTOUCHED
) -> AsyncIterator[Proxy]:
    """Stand before a server; `upward` is what becomes of what clients send."""
    between = Proxy(port, upward, downward)
    server = await asyncio.start_server(between.accept, "127.0.0.1", 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        await between.close()
