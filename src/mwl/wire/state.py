"""The state machine of the upper layer, as data.

`TRANSITIONS` is PS3.8 Table 9-10 and nothing more: no code, no bytes, no clock. What an action
does with bytes, events and the timer is in `mwl.wire.association`, which is driven by this table.
Members are named in words and valued by the code that the standard gives them, so that the table
can be read with the standard beside it.

Source: DICOM PS3.8 section 9.2, Tables 9-1 to 9-10.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class State(StrEnum):
    """State of one association on one side (PS3.8 Tables 9-1 to 9-5)."""

    IDLE = "Sta1"
    AWAITING_ASSOCIATE_REQUEST = "Sta2"
    AWAITING_LOCAL_ASSOCIATE_RESPONSE = "Sta3"
    AWAITING_TRANSPORT = "Sta4"
    AWAITING_ASSOCIATE_RESPONSE = "Sta5"
    DATA_TRANSFER = "Sta6"
    AWAITING_RELEASE_RESPONSE = "Sta7"
    AWAITING_LOCAL_RELEASE_RESPONSE = "Sta8"
    COLLISION_REQUESTOR_AWAITING_LOCAL_RESPONSE = "Sta9"
    COLLISION_ACCEPTOR_AWAITING_RELEASE_RESPONSE = "Sta10"
    COLLISION_REQUESTOR_AWAITING_RELEASE_RESPONSE = "Sta11"
    COLLISION_ACCEPTOR_AWAITING_LOCAL_RESPONSE = "Sta12"
    AWAITING_TRANSPORT_CLOSE = "Sta13"


class Input(StrEnum):
    """What can happen to an association (PS3.8 Table 9-10, first column)."""

    ASSOCIATE_REQUEST = "Evt1"
    TRANSPORT_CONFIRMED = "Evt2"
    ASSOCIATE_ACCEPT_RECEIVED = "Evt3"
    ASSOCIATE_REJECT_RECEIVED = "Evt4"
    TRANSPORT_INDICATED = "Evt5"
    ASSOCIATE_REQUEST_RECEIVED = "Evt6"
    ACCEPT = "Evt7"
    REJECT = "Evt8"
    DATA_REQUEST = "Evt9"
    DATA_RECEIVED = "Evt10"
    RELEASE_REQUEST = "Evt11"
    RELEASE_REQUEST_RECEIVED = "Evt12"
    RELEASE_RESPONSE_RECEIVED = "Evt13"
    RELEASE_RESPONSE = "Evt14"
    ABORT_REQUEST = "Evt15"
    ABORT_RECEIVED = "Evt16"
    TRANSPORT_CLOSED = "Evt17"
    ARTIM_EXPIRED = "Evt18"
    INVALID_PDU_RECEIVED = "Evt19"


class Action(StrEnum):
    """What is done on a transition (PS3.8 Tables 9-6 to 9-9)."""

    CONNECT_TRANSPORT = "AE-1"
    SEND_ASSOCIATE_REQUEST = "AE-2"
    CONFIRM_ACCEPTED = "AE-3"
    CONFIRM_REJECTED_AND_CLOSE = "AE-4"
    ACCEPT_TRANSPORT = "AE-5"
    INDICATE_ASSOCIATE = "AE-6"
    SEND_ACCEPT = "AE-7"
    SEND_REJECT = "AE-8"
    SEND_DATA = "DT-1"
    INDICATE_DATA = "DT-2"
    SEND_RELEASE_REQUEST = "AR-1"
    INDICATE_RELEASE = "AR-2"
    CONFIRM_RELEASE_AND_CLOSE = "AR-3"
    SEND_RELEASE_RESPONSE = "AR-4"
    STOP_TIMER_AFTER_CLOSE = "AR-5"
    INDICATE_DATA_WHILE_RELEASING = "AR-6"
    SEND_DATA_WHILE_RELEASING = "AR-7"
    INDICATE_RELEASE_COLLISION = "AR-8"
    SEND_RELEASE_RESPONSE_IN_COLLISION = "AR-9"
    CONFIRM_RELEASE_IN_COLLISION = "AR-10"
    SEND_USER_ABORT = "AA-1"
    CLOSE_TRANSPORT = "AA-2"
    INDICATE_ABORT_AND_CLOSE = "AA-3"
    INDICATE_CONNECTION_LOST = "AA-4"
    STOP_TIMER_UNUSED = "AA-5"
    IGNORE = "AA-6"
    SEND_ABORT_AGAIN = "AA-7"
    SEND_PROVIDER_ABORT = "AA-8"


ABORT_SOURCE: Mapping[Action, int] = MappingProxyType(
    {Action.SEND_USER_ABORT: 0, Action.SEND_ABORT_AGAIN: 2, Action.SEND_PROVIDER_ABORT: 2}
)
"""Actions that send an A-ABORT, and its source (PS3.8 Tables 9-9 and 9-26)."""

STARTS_ARTIM = frozenset(
    {
        Action.ACCEPT_TRANSPORT,
        Action.SEND_REJECT,
        Action.SEND_RELEASE_RESPONSE,
        Action.SEND_USER_ABORT,
        Action.SEND_PROVIDER_ABORT,
    }
)
"""Actions that start the ARTIM timer, or start it again (PS3.8 section 9.1.5)."""

IGNORES = frozenset({Action.IGNORE, Action.CLOSE_TRANSPORT})
"""Actions on a PDU of the peer that tell the local user nothing: there is no association."""

NEXT_STATE: Mapping[Action, State] = MappingProxyType(
    {
        Action.CONNECT_TRANSPORT: State.AWAITING_TRANSPORT,
        Action.SEND_ASSOCIATE_REQUEST: State.AWAITING_ASSOCIATE_RESPONSE,
        Action.CONFIRM_ACCEPTED: State.DATA_TRANSFER,
        Action.CONFIRM_REJECTED_AND_CLOSE: State.IDLE,
        Action.ACCEPT_TRANSPORT: State.AWAITING_ASSOCIATE_REQUEST,
        # AE-6 leads to Sta13 when the provider itself refuses. Here every refusal comes from one
        # place, `mwl.wire.negotiation`, as the local answer of Sta3, so that each is reported.
        Action.INDICATE_ASSOCIATE: State.AWAITING_LOCAL_ASSOCIATE_RESPONSE,
        Action.SEND_ACCEPT: State.DATA_TRANSFER,
        Action.SEND_REJECT: State.AWAITING_TRANSPORT_CLOSE,
        Action.SEND_DATA: State.DATA_TRANSFER,
        Action.INDICATE_DATA: State.DATA_TRANSFER,
        Action.SEND_RELEASE_REQUEST: State.AWAITING_RELEASE_RESPONSE,
        Action.INDICATE_RELEASE: State.AWAITING_LOCAL_RELEASE_RESPONSE,
        Action.CONFIRM_RELEASE_AND_CLOSE: State.IDLE,
        Action.SEND_RELEASE_RESPONSE: State.AWAITING_TRANSPORT_CLOSE,
        Action.STOP_TIMER_AFTER_CLOSE: State.IDLE,
        Action.INDICATE_DATA_WHILE_RELEASING: State.AWAITING_RELEASE_RESPONSE,
        Action.SEND_DATA_WHILE_RELEASING: State.AWAITING_LOCAL_RELEASE_RESPONSE,
        # For the requestor; for the acceptor see COLLISION_STATE_OF_ACCEPTOR.
        Action.INDICATE_RELEASE_COLLISION: State.COLLISION_REQUESTOR_AWAITING_LOCAL_RESPONSE,
        Action.SEND_RELEASE_RESPONSE_IN_COLLISION: (
            State.COLLISION_REQUESTOR_AWAITING_RELEASE_RESPONSE
        ),
        Action.CONFIRM_RELEASE_IN_COLLISION: State.COLLISION_ACCEPTOR_AWAITING_LOCAL_RESPONSE,
        Action.SEND_USER_ABORT: State.AWAITING_TRANSPORT_CLOSE,
        Action.CLOSE_TRANSPORT: State.IDLE,
        Action.INDICATE_ABORT_AND_CLOSE: State.IDLE,
        Action.INDICATE_CONNECTION_LOST: State.IDLE,
        Action.STOP_TIMER_UNUSED: State.IDLE,
        Action.IGNORE: State.AWAITING_TRANSPORT_CLOSE,
        Action.SEND_ABORT_AGAIN: State.AWAITING_TRANSPORT_CLOSE,
        Action.SEND_PROVIDER_ABORT: State.AWAITING_TRANSPORT_CLOSE,
    }
)
"""Where each action leads (PS3.8 Tables 9-6 to 9-9, "Next state")."""

COLLISION_STATE_OF_ACCEPTOR = State.COLLISION_ACCEPTOR_AWAITING_RELEASE_RESPONSE
"""Where AR-8 leads on the side that accepted the association (PS3.8 Table 9-8)."""

# PS3.8 Table 9-10, laid out as printed there. A dot is a blank cell: it cannot happen.
_TABLE_9_10 = """
       Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
Evt1   AE-1 .    .    .    .    .    .    .    .    .     .     .     .
Evt2   .    .    .    AE-2 .    .    .    .    .    .     .     .     .
Evt3   .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt4   .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt5   AE-5 .    .    .    .    .    .    .    .    .     .     .     .
Evt6   .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
Evt7   .    .    AE-7 .    .    .    .    .    .    .     .     .     .
Evt8   .    .    AE-8 .    .    .    .    .    .    .     .     .     .
Evt9   .    .    .    .    .    DT-1 .    AR-7 .    .     .     .     .
Evt10  .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt11  .    .    .    .    .    AR-1 .    .    .    .     .     .     .
Evt12  .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt13  .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3  AA-8  AA-6
Evt14  .    .    .    .    .    .    .    AR-4 AR-9 .     .     AR-4  .
Evt15  .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1  AA-1  .
Evt16  .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3  AA-3  AA-2
Evt17  .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4  AA-4  AR-5
Evt18  .    AA-2 .    .    .    .    .    .    .    .     .     .     AA-2
Evt19  .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
"""


def _transitions(table: str) -> dict[tuple[State, Input], tuple[Action, State]]:
    """Read the printed table into a mapping; a misspelt code is a ValueError at import."""
    header, *rows = (line.split() for line in table.strip().splitlines())
    states = [State(code) for code in header]
    return {
        (state, Input(event)): (Action(code), NEXT_STATE[Action(code)])
        for event, *codes in rows
        for state, code in zip(states, codes, strict=True)
        if code != "."
    }


TRANSITIONS: Mapping[tuple[State, Input], tuple[Action, State]] = MappingProxyType(
    _transitions(_TABLE_9_10)
)
"""What is done, and the state after it. A pair that is absent cannot happen, or is a bug here."""


class Effect(IntEnum):
    """What a step does to the timers and the transport, besides its action."""

    START_ARTIM = 1
    START_IDLE = 2
    CLOSE = 3


def _effect(before: State, action: Action, after: State) -> Effect | None:
    if action in STARTS_ARTIM:
        return Effect.START_ARTIM
    if after is State.IDLE:
        return Effect.CLOSE
    # The idle time begins with the association: AE-1 for the requestor, AE-6 for the acceptor,
    # which also stops ARTIM.
    begins = before in (State.IDLE, State.AWAITING_ASSOCIATE_REQUEST)
    return Effect.START_IDLE if begins else None


STEPS: Mapping[tuple[State, Input], tuple[Action, State, Effect | None]] = {
    (before, happened): (action, after, _effect(before, action, after))
    for (before, happened), (action, after) in TRANSITIONS.items()
}
"""The table, with what follows from its rows worked out once."""
