"""How much and how long one association may take. The reasons are in `mwl.limits`."""

from dataclasses import dataclass

from mwl.limits import (
    ARTIM_TIMEOUT,
    ASSOCIATE_LENGTH,
    COMMAND_LENGTH,
    IDLE_TIMEOUT,
    SLOW_READ_TIMEOUT,
    SLOW_WRITE_TIMEOUT,
)
from mwl.wire.pdu import DEFAULT_MAX_PDU_LENGTH


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long one association may take.

    Args:
        max_pdu_length: Longest P-DATA-TF body taken, in bytes; what is announced to the peer may
            not be more. The default is what most implementations announce.
        artim_timeout_s: Seconds for a new connection to send its A-ASSOCIATE-RQ, and for the peer
            to close the connection after the association has ended (PS3.8 section 9.1.5).
        idle_timeout_s: Seconds of an association without a byte from the peer and without
            `Association.touch`; 0 is for ever.
        max_message_bytes: Longest data set taken, in bytes. A query takes a few hundred; its
            longest legal text values stay far below this.
        max_command_bytes: Longest command set taken, in bytes. Real ones take under 200; an
            N-GET-RQ that lists 4,000 attributes fits.
        max_associate_bytes: Longest A-ASSOCIATE body taken, in bytes.
        slow_write_timeout_s: Seconds for a PDU or a message to come, from its first byte.
        slow_read_timeout_s: Seconds that the peer may take nothing of what it was sent.
    """

    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    artim_timeout_s: float = ARTIM_TIMEOUT.default
    idle_timeout_s: float = IDLE_TIMEOUT.default
    max_message_bytes: int = 1024 * 1024
    max_command_bytes: int = COMMAND_LENGTH.default
    max_associate_bytes: int = ASSOCIATE_LENGTH.default
    slow_write_timeout_s: float = SLOW_WRITE_TIMEOUT.default
    slow_read_timeout_s: float = SLOW_READ_TIMEOUT.default
