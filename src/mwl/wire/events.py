"""What an association tells its user, and what it is told.

Frozen data and nothing else, named tuples where a query needs them: those are made in half the
time. `mwl.wire.association`, which also gives these names, says when.

Source: DICOM PS3.8 section 7 (service primitives).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from mwl.errors import RemoteProtocolError
from mwl.limits import Exceeded
from mwl.wire.dimse import Command
from mwl.wire.negotiation import NegotiatedContext
from mwl.wire.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
)


class Timer(StrEnum):
    """What ran out."""

    ARTIM = "ARTIM"
    IDLE = "idle"
    SLOW_WRITE = "slow write"
    SLOW_READ = "slow read"


class AssociationRequested(NamedTuple):
    """Acceptor: the peer asks. Answer with an `AssociateAccept` or an `AssociateReject`."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociationAccepted:
    """Requestor: the peer has accepted; see `Association.contexts` for what can be used."""

    accept: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociationRejected:
    """Requestor: the peer has rejected."""

    reject: AssociateReject


class MessageReceived(NamedTuple):
    """A whole message has arrived; `dataset` is None when its command says that there is none."""

    context: NegotiatedContext
    command: Command
    dataset: bytes | None


@dataclass(frozen=True, slots=True)
class Released:
    """The association has ended in good order; the peer's request has been answered already."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association has ended at once.

    `local` tells that this side aborted it because of `error`, which the peer caused; else the
    peer did, for the source and reason it gave (PS3.8 Table 9-26).
    """

    local: bool
    source: int
    reason: int
    error: RemoteProtocolError | None


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The transport was closed during the association."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A timer ran out: ARTIM before a request came, or another, after which the association ends.

    `exceeded` names the limit that the timer had.
    """

    which: Timer
    exceeded: Exceeded | None = field(default=None, compare=False)


Event = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | MessageReceived
    | Released
    | Aborted
    | ConnectionLost
    | TimedOut
)


class Message(NamedTuple):
    """A message to send; `dataset` is given exactly when `command.has_dataset` is true."""

    context_id: int
    command: Command
    dataset: bytes | None = None


Outgoing = AssociateRequest | AssociateAccept | AssociateReject | Message | ReleaseRequest | Abort
