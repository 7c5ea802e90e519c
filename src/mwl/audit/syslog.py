"""Audit messages as syslog carries them.

Source: RFC 5424 (messages), RFC 5425 (over TLS), DICOM PS3.15 A.6 and A.7 (what the fields hold).
"""

import re
import time
from typing import NamedTuple

FACILITY = 10
"""Security and authorization: A.6."""

NOTICE, WARNING = 5, 4
"""Severities: that of most messages, and that of alerts."""

MESSAGE_ID = "DICOM+RFC3881"
"""Tells a receiver what the message is: A.6."""

LIMIT_BYTES = 32_768
"""Longest message sent, in bytes: every receiver takes as much (A.6), and may cut off the rest,
which leaves XML that nobody can read. A datagram holds it, too."""

_BOM = b"\xef\xbb\xbf"
"""Says that UTF-8 follows: RFC 5424 section 6.4."""

_NIL = "-"
_HOST_LIMIT, _NAME_LIMIT, _PROCESS_LIMIT = 255, 48, 128
_not_printable = re.compile("[^\x21-\x7e]")


class Sender(NamedTuple):
    """Who sends.

    Args:
        host: Name of this machine.
        application: Name of this program.
        process: Its process.
    """

    host: str
    application: str
    process: str


def message(sender: Sender, time_ns: int, severity: int, text: bytes) -> bytes:
    """Give a syslog message (RFC 5424 section 6).

    Args:
        sender: Who sends.
        time_ns: When it happened, in nanoseconds since 1970.
        severity: `NOTICE` or `WARNING`.
        text: What it says, in UTF-8.
    """
    second, rest = divmod(time_ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    header = (
        f"<{FACILITY * 8 + severity}>1 {stamp}.{rest // 1_000_000:03d}Z "
        f"{_field(sender.host, _HOST_LIMIT)} {_field(sender.application, _NAME_LIMIT)} "
        f"{_field(sender.process, _PROCESS_LIMIT)} {MESSAGE_ID} {_NIL} "
    )
    return header.encode("ascii") + _BOM + text


def framed(one: bytes) -> bytes:
    """Give a message with its length before it, as TLS carries it (RFC 5425 section 4.3)."""
    return b"%d %s" % (len(one), one)


def _field(text: str, limit: int) -> str:
    """Give a field of the header: printable ASCII without spaces."""
    return _not_printable.sub("", text)[:limit] or _NIL
