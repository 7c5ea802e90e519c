"""What asyncio does not tell of a TCP connection, or does not do with it."""

import asyncio
import socket
from contextlib import suppress

_QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux's, and for once: tcp(7)."""


def address_of(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """Give host and port of a peer, as the configuration spells hosts."""
    # A peer that is gone already has no name.
    peer: tuple[str, int] = (transport.get_extra_info("peername") or ("", 0))[:2]
    host, port = peer
    # RFC 4291 section 2.5.5.2: how a socket of both families sees an IPv4 peer.
    return (host.removeprefix("::ffff:") if "." in host else host), port


def acknowledge(transport: asyncio.BaseTransport) -> None:
    """Acknowledge what came, where the kernel would wait for something to send along.

    A peer that writes a message in pieces, as DCMTK does, and leaves Nagle's algorithm on
    (RFC 9293 section 3.7.4) sends no further piece before that, and the kernel takes 40 ms.
    """
    connection = transport.get_extra_info("socket")
    if _QUICK_ACKNOWLEDGEMENT is not None and connection is not None:
        with suppress(OSError):  # it is closed already
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)
