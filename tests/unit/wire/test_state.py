"""The table of the state machine against two independent statements of PS3.8 Table 9-10."""

import pytest
from pynetdicom import fsm

from mwl.wire.state import (
    ABORT_SOURCE,
    NEXT_STATE,
    STARTS_ARTIM,
    TRANSITIONS,
    Action,
    Input,
    State,
)

ESTABLISHED = (3, 5, 6, 7, 8, 9, 10, 11, 12)  # states with an association, or one being made

# Row by row as read from the standard: in which states an event leads to which action.
ROWS: dict[str, dict[str, tuple[int, ...]]] = {
    "Evt1": {"AE-1": (1,)},
    "Evt2": {"AE-2": (4,)},
    "Evt3": {"AE-3": (5,), "AA-1": (2,), "AA-6": (13,), "AA-8": (3, 6, 7, 8, 9, 10, 11, 12)},
    "Evt4": {"AE-4": (5,), "AA-1": (2,), "AA-6": (13,), "AA-8": (3, 6, 7, 8, 9, 10, 11, 12)},
    "Evt5": {"AE-5": (1,)},
    "Evt6": {"AE-6": (2,), "AA-7": (13,), "AA-8": ESTABLISHED},
    "Evt7": {"AE-7": (3,)},
    "Evt8": {"AE-8": (3,)},
    "Evt9": {"DT-1": (6,), "AR-7": (8,)},
    "Evt10": {
        "DT-2": (6,),
        "AR-6": (7,),
        "AA-1": (2,),
        "AA-6": (13,),
        "AA-8": (3, 5, 8, 9, 10, 11, 12),
    },
    "Evt11": {"AR-1": (6,)},
    "Evt12": {
        "AR-2": (6,),
        "AR-8": (7,),
        "AA-1": (2,),
        "AA-6": (13,),
        "AA-8": (3, 5, 8, 9, 10, 11, 12),
    },
    "Evt13": {
        "AR-3": (7, 11),
        "AR-10": (10,),
        "AA-1": (2,),
        "AA-6": (13,),
        "AA-8": (3, 5, 6, 8, 9, 12),
    },
    "Evt14": {"AR-4": (8, 12), "AR-9": (9,)},
    "Evt15": {"AA-1": ESTABLISHED, "AA-2": (4,)},
    "Evt16": {"AA-2": (2, 13), "AA-3": ESTABLISHED},
    "Evt17": {"AA-5": (2,), "AA-4": (4, *ESTABLISHED), "AR-5": (13,)},
    "Evt18": {"AA-2": (2, 13)},
    "Evt19": {"AA-1": (2,), "AA-7": (13,), "AA-8": ESTABLISHED},
}

LEADS_TO = {
    1: ("AE-4", "AR-3", "AR-5", "AA-2", "AA-3", "AA-4", "AA-5"),
    2: ("AE-5",),
    3: ("AE-6",),
    4: ("AE-1",),
    5: ("AE-2",),
    6: ("AE-3", "AE-7", "DT-1", "DT-2"),
    7: ("AR-1", "AR-6"),
    8: ("AR-2", "AR-7"),
    9: ("AR-8",),
    11: ("AR-9",),
    12: ("AR-10",),
    13: ("AE-8", "AR-4", "AA-1", "AA-6", "AA-7", "AA-8"),
}


def test_table_equals_an_independent_restatement() -> None:
    after = {action: f"Sta{state}" for state, actions in LEADS_TO.items() for action in actions}
    restated = {
        (f"Sta{state}", event): (action, after[action])
        for event, actions in ROWS.items()
        for action, states in actions.items()
        for state in states
    }
    ours = {
        (state.value, happened.value): (action.value, then.value)
        for (state, happened), (action, then) in TRANSITIONS.items()
    }
    assert ours == restated


def test_table_equals_that_of_pynetdicom() -> None:
    ours = {
        (happened.value, state.value): action.value
        for (state, happened), (action, _) in TRANSITIONS.items()
    }
    assert ours == fsm.TRANSITION_TABLE


def test_every_member_has_its_code_and_every_action_a_next_state() -> None:
    assert [state.value for state in State] == [f"Sta{number}" for number in range(1, 14)]
    assert [event.value for event in Input] == [f"Evt{number}" for number in range(1, 20)]
    assert set(NEXT_STATE) == set(Action)


@pytest.mark.parametrize("state", set(State) - {State.IDLE, State.AWAITING_TRANSPORT})
@pytest.mark.parametrize(
    "happened",
    [
        Input.ASSOCIATE_REQUEST_RECEIVED,
        Input.ASSOCIATE_ACCEPT_RECEIVED,
        Input.ASSOCIATE_REJECT_RECEIVED,
        Input.DATA_RECEIVED,
        Input.RELEASE_REQUEST_RECEIVED,
        Input.RELEASE_RESPONSE_RECEIVED,
        Input.ABORT_RECEIVED,
        Input.INVALID_PDU_RECEIVED,
        Input.TRANSPORT_CLOSED,
    ],
)
def test_whatever_the_peer_does_has_a_row_while_the_transport_is_open(
    state: State, happened: Input
) -> None:
    assert (state, happened) in TRANSITIONS


def test_what_ends_an_association_by_us_starts_the_timer() -> None:
    assert {action.value for action in STARTS_ARTIM} == {"AE-5", "AE-8", "AR-4", "AA-1", "AA-8"}
    assert {action.value: source for action, source in ABORT_SOURCE.items()} == {
        "AA-1": 0,
        "AA-7": 2,
        "AA-8": 2,
    }
