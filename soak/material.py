"""Queries and items, from the strategies that the property tests take theirs from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mwl.errors import RequestRefused
from soak.truth import SERIAL, STEPS, Values
from support.items import query as compile_query
from support.queries import identifiers, worklists

T = TypeVar("T")

ULTRASOUND = "us-room-2"
"""Calling AE title whose queries `examples/old_ultrasound.py` corrects."""

STATION = "ScheduledStationAETitle"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query.

    Args:
        number: Of the query, for what is remembered of it.
        identifier: What is sent.
        means: What it asks for, after hooks have changed it.
    """

    number: int
    identifier: Values
    means: Values


def drawn(strategy: st.SearchStrategy[T], count: int, number: int) -> list[T]:
    """Give some examples of a strategy; the same ones for the same number."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(example: T) -> None:
        found.append(example)

    take()
    return found


def queries(count: int, number: int) -> list[Asked]:
    """Give queries of all kinds that are understood; the first asks for everything."""
    found: list[Values] = [{}, *drawn(identifiers(), count, number)]
    return [
        Asked(place, {**one, SERIAL: ""}, one)
        for place, one in enumerate(found)
        if _is_understood(one)
    ]


def of_ultrasound(asked: Sequence[Asked]) -> list[Asked]:
    """Give queries as the ultrasound sends them, and what the hook makes of them."""
    return [Asked(-1 - one.number, one.identifier, _with_station(one.means)) for one in asked[:100]]


def _with_station(identifier: Values) -> Values:
    steps = identifier.get(STEPS) or [{}]
    return {**identifier, STEPS: [{**steps[0], STATION: ULTRASOUND.upper()}]}


def _is_understood(identifier: Values) -> bool:
    try:
        compile_query(identifier)
    except RequestRefused:
        return False
    return True


def items(count: int, number: int) -> list[dict[str, Any]]:
    """Give what files are to hold."""
    return [dict(one) for one in drawn(worklists(), count, number)]


def order(number: int, serial: str) -> dict[str, Any]:
    """Give an item as a program sends it over HTTP."""
    step = {
        "Modality": ("CT", "MR", "US")[number % 3],
        STATION: ("CT", "MR", ULTRASOUND.upper())[number % 3],
        "ScheduledProcedureStepStartDate": ("20250110", "20250111", "20250112")[number % 3],
        "ScheduledProcedureStepStartTime": "085607",
        "ScheduledProcedureStepDescription": "Head",
    }
    return {
        SERIAL: serial,
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientID": ("A1", "A10", "B2")[number % 3],
        "PatientName": ("DOE^JANE", "ROE^RICHARD", "Müller^Jörg")[number % 3],
        "PatientBirthDate": "20250110",
        "PatientSex": "O",
        "AccessionNumber": f"A{number}",
        "StudyInstanceUID": f"1.2.3.{number}",
        STEPS: [step],
    }
