"""A message as it waits: its XML, and what a destination needs beside it."""

import struct
from typing import NamedTuple, Self

from mwl.audit.messages import AuditMessage, Outcome, Source, encode
from mwl.audit.syslog import LIMIT_BYTES, NOTICE, WARNING

_HEADER_BYTES = 512
"""Bytes that syslog may put before a message, and more than it does."""

_head = struct.Struct(">BQ")


class Envelope(NamedTuple):
    """A message that is ready to go.

    Args:
        severity: As syslog has it.
        time_ns: When it happened, in nanoseconds since 1970.
        xml: The message.
    """

    severity: int
    time_ns: int
    xml: bytes

    @classmethod
    def of(cls, message: AuditMessage, source: Source) -> Self:
        """Make it of a message; of one that is too long for a receiver, without its query."""
        xml = encode(message, source)
        if len(xml) > LIMIT_BYTES - _HEADER_BYTES:
            xml = encode(message.shortened(), source)
        severity = NOTICE if message.outcome == Outcome.SUCCESS else WARNING
        return cls(severity, message.time_ns, xml)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Give what `pack` was called on."""
        severity, time_ns = _head.unpack_from(data)
        return cls(severity, time_ns, data[_head.size :])

    def pack(self) -> bytes:
        """Give it as bytes for the spool."""
        return _head.pack(self.severity, self.time_ns) + self.xml
