"""Hooks: functions of a site that take part in answering queries.

    from mwl import hook

    @hook.query
    def upper_case(query: hook.Dataset, origin: hook.Origin) -> hook.Dataset | None:
        ...

A function of each kind may be `async`. Files with hooks are named in the option `Hooks`; packages
name theirs as entry points of the group `mwl.hooks`. See docs/howto/callbacks.md.
"""

from typing import TypeVar

from mwl.callbacks.native import AnswerHook, CandidatesHook, EventHook, QueryHook, mark
from mwl.callbacks.view import Dataset, Event, ItemEvent, Origin, QueryEvent, Refuse

__all__ = [
    "Dataset",
    "Event",
    "ItemEvent",
    "Origin",
    "QueryEvent",
    "Refuse",
    "answer",
    "candidates",
    "event",
    "query",
]

_Query = TypeVar("_Query", bound=QueryHook)
_Candidates = TypeVar("_Candidates", bound=CandidatesHook)
_Answer = TypeVar("_Answer", bound=AnswerHook)
_Event = TypeVar("_Event", bound=EventHook)


def query(function: _Query) -> _Query:
    """Let a function see each query before it is answered.

    It gets the query, which it may change, and who asks. It gives the query to be answered, None
    for the one that came, or raises `Refuse`.
    """
    return mark(function, "query")


def candidates(function: _Candidates) -> _Candidates:
    """Let a function give items from elsewhere for each query.

    It gets the query and who asks. It gives data sets or DICOM files; those that do not match are
    left out, so it may give too many.
    """
    return mark(function, "candidates")


def answer(function: _Answer) -> _Answer:
    """Let a function see each answer before it is sent.

    It gets the answer, which it may change, and who asked. It gives the answer to be sent, or None
    for the one that it got.
    """
    return mark(function, "answer")


def event(function: _Event) -> _Event:
    """Let a function hear of items that come and go, and of queries that were answered."""
    return mark(function, "event")
