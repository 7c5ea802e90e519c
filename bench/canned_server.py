"""The least that a server in Python can do: canned answers on the event loop that mwl runs on.

Usage: canned_server.py DATA_SET_FILE PORT

It is to Python what the floor is to C: it looks at the kind of each PDU and for the message ID, and
answers each query with the same data set. Nothing is checked, parsed, matched, counted or logged.
What a load generator measures here is what the interpreter and the loop leave for all of that.
"""

import asyncio
import struct
import sys
from functools import lru_cache
from pathlib import Path
from typing import cast

import uvloop

from mwl.wire.dimse import Command, CommandField, Status, frame_command, frame_dataset
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from mwl.wire.pdu import (
    AssociateAccept,
    ContextResult,
    ReleaseResponse,
    UserInformation,
    encode,
)

CONTEXT_ID = 1
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
ASSOCIATE_RQ, P_DATA, RELEASE_RQ = 1, 4, 5
HEADER_BYTES = 6
CONTROL_AT, MESSAGE_ID_AT = 11, 72
"""Where a PDU with one fragment has its control byte, and the command of a worklist query its
message ID: behind group length, the SOP class and the command field (PS3.7 section 9.3.2.1)."""

ACCEPT = encode(
    AssociateAccept(
        (ContextResult(CONTEXT_ID, 0, IMPLICIT_VR_LITTLE_ENDIAN),),
        UserInformation(max_length=1 << 16, implementation_class_uid="2.25.1"),
    )
)
RELEASE = encode(ReleaseResponse())


class Canned(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: "Answer") -> None:
        self._answer = answer
        self._message_id = 0
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every PDU that is there as a whole."""
        data = self._held + data if self._held else data
        at = 0
        while len(data) - at >= HEADER_BYTES:
            end = at + HEADER_BYTES + struct.unpack_from(">I", data, at + 2)[0]
            if end > len(data):
                break
            self._take(data, at)
            at = end
        self._held = data[at:]

    def _take(self, data: bytes, at: int) -> None:
        kind = data[at]
        if kind == P_DATA and data[at + CONTROL_AT] & 1:
            self._message_id = struct.unpack_from("<H", data, at + MESSAGE_ID_AT)[0]
        elif kind == P_DATA:
            self._transport.write(self._answer(self._message_id))
        elif kind == ASSOCIATE_RQ:
            self._transport.write(ACCEPT)
        elif kind == RELEASE_RQ:
            self._transport.write(RELEASE)


class Answer:
    """The responses to a query, by its message ID."""

    def __init__(self, data_set: bytes) -> None:
        self._data_set = frame_dataset(CONTEXT_ID, data_set, 0)
        self._cached = lru_cache(maxsize=1024)(self._responses)

    def __call__(self, message_id: int) -> bytes:
        """Give the bytes of an answer and of the success behind it."""
        return self._cached(message_id)

    def _responses(self, message_id: int) -> bytes:
        pending, success = (
            frame_command(
                CONTEXT_ID,
                Command(
                    CommandField.C_FIND_RSP,
                    message_id_being_responded_to=message_id,
                    affected_sop_class_uid=MODALITY_WORKLIST_FIND,
                    has_dataset=status == Status.PENDING,
                    status=status,
                ),
                0,
            )
            for status in (Status.PENDING, Status.SUCCESS)
        )
        return pending + self._data_set + success


async def serve(answer: Answer, port: int) -> None:
    """Answer queries until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(answer), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Answer(Path(sys.argv[1]).read_bytes()), int(sys.argv[2])))
