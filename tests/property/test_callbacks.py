"""Callbacks that change nothing change nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwl.dataset import TRANSFER_SYNTAXES, Elements, decode, encode
from mwl.find import Request
from mwl.results import Batch, Variant
from mwl.wire.dimse import whole_dataset
from support.callbacks import site_of
from support.items import Values, elements, step
from support.worklist import TIMEOUT_S, Site

NAMES = ["DOE^JANE", "MÜLLER^ANNA", "見本^太郎"]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Give a worklist without callbacks, and others with some that change nothing."""
    folder = tmp_path_factory.mktemp("callbacks")
    hooks = """
        from mwl import hook

        @hook.query
        def query(query, origin):
            return query.copy()

        @hook.candidates
        async def candidates(query, origin):
            return []

        @hook.answer
        def answer(answer, origin):
            return answer
    """
    lua = "function IncomingWorklistRequestFilter(query) return query end"
    with site_of(folder, hooks=hooks) as hooked, site_of(folder, lua=lua) as scripted:
        found = [Site(), hooked, scripted]
        for site in found:
            for number in range(40):
                site.put(f"{number}.wl", item(number))
        yield found


def item(number: int) -> Values:
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientID": f"P{number % 7}",
        "PatientName": NAMES[number % 3],
        **step(
            Modality=("CT", "MR", "US")[number % 3],
            ScheduledProcedureStepStartDate=f"202611{number % 28 + 1:02}",
        ),
    }


TEXTS = st.sampled_from(["", "*", "P1", "P?", "DOE*", "MÜLLER*", "見本*", "CT", "CT\\MR", " "])
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "PatientID": TEXTS,
        "PatientName": TEXTS,
        "PatientWeight": st.sampled_from(["", "71.5", "nonsense"]),
        "ScheduledProcedureStepSequence": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "Modality": st.sampled_from(["", "CT", "M*", "CT\\MR"]),
                    "ScheduledProcedureStepStartDate": st.sampled_from(
                        ["", "20261105", "20261103-20261110", "-20261110", "today"]
                    ),
                    "ScheduledProtocolCodeSequence": st.just([]),
                },
            ),
            max_size=2,
        ),
    },
)


def ask(site: Site, query: dict[str, Any], syntax: str) -> tuple[int, list[Elements]]:
    values = {"SpecificCharacterSet": "ISO_IR 192", **query}
    identifier = encode(elements(values).values(), syntax)
    search = site.worklist.find(Request(identifier, "CT1", Variant(syntax, 1, 0)))
    answers: list[Elements] = []
    while True:
        try:
            found = next(search)
        except StopIteration as end:
            return end.value.status, answers
        if isinstance(found, Batch):
            answers += [decode(whole_dataset(answer), syntax) for answer in found.answers]
        elif found is not None:
            found.exception(TIMEOUT_S)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES, syntax=st.sampled_from(TRANSFER_SYNTAXES))
def test_with_callbacks_that_change_nothing_the_answers_are_the_same(
    sites: list[Site], query: dict[str, Any], syntax: str
) -> None:
    plain, *others = [ask(site, query, syntax) for site in sites]
    for other in others:
        assert other == plain


@given(st.binary(max_size=200))
def test_bytes_that_are_no_query_are_refused_as_without_callbacks(
    sites: list[Site], data: bytes
) -> None:
    plain, hooked, _ = (site.ask_bytes(data) for site in sites)
    assert (hooked.outcome.status, hooked.outcome.comment) == (
        plain.outcome.status,
        plain.outcome.comment,
    )
