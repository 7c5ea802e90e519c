"""What holds for every query and every item.

`compile(q).matches(item)` is what a naive reading of the standard says (`support.oracle`), and an
answer holds what was asked for and nothing else, in every transfer syntax.
"""

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from mwl.dataset import (
    CHARACTER_SET_VRS,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    decode,
    encode,
    values,
    vr_of,
)
from mwl.errors import DatasetError, RequestRefused
from mwl.matching import Policy, Query
from mwl.matching import compile as compile_query
from mwl.matching.stored import stored_values
from mwl.matching.values import normals
from support import oracle
from support.items import elements, item, items_of_elements, policy, query, step
from support.queries import DATE_KEYS, DATES, TIME_KEYS, TIMES, identifiers, worklists

Values = Mapping[str, Any]


PADDED = st.builds(
    lambda text, padding: text + padding,
    st.text(alphabet="aZ0._-\\~^ \x1b(J\xfc", max_size=6).map(lambda text: text.encode("latin-1")),
    st.sampled_from([b"", b" ", b"\0", b"  \0"]),
)
SETS = st.sampled_from([("ISO_IR 100",), ("ISO_IR 13",), ("ISO 2022 IR 6", "ISO 2022 IR 87")])


@given(
    PADDED,
    SETS,
    st.sampled_from(["LO", "SH", "UI", "UN", "PN", "LT", "CS"]),
    st.sampled_from(["LO", "SH", "UI", "PN", "LT", "CS"]),
)
@example(b"A~1", ("ISO_IR 13",), "LO", "LO")
def test_a_stored_value_is_its_text_in_normal_form(
    value: bytes, terms: tuple[str, ...], stored_vr: str, vr: str
) -> None:
    characters = CharacterSet.of(terms)
    element = Element(0x00100020, vr if stored_vr == "UN" else stored_vr, value)
    try:
        expected = normals(vr, values(element, characters), folds_names=True)
    except DatasetError:
        expected = ()
    stored = element._replace(vr=stored_vr)
    assert stored_values(stored, vr, characters, folds_names=True) == expected


def understood_or_refused(keys: Elements, chosen: Policy) -> Query | RequestRefused:
    try:
        return compile_query(keys, chosen)
    except RequestRefused as refusal:
        return refusal


@given(identifiers(), worklists())
@example({"PatientName": "DOE^*"}, {"PatientName": "DOE"})
@example({"PatientName": "=*"}, {})
@example({"PatientID": "\\"}, {})
def test_a_query_matches_what_the_oracle_says(asked: Values, stored: Values) -> None:
    assert query(asked).matches(item(stored)) == oracle.matches(asked, stored)


@given(
    st.sampled_from(DATE_KEYS),
    st.sampled_from(TIME_KEYS),
    st.lists(st.tuples(st.sampled_from(DATES), st.sampled_from(TIMES)), max_size=2),
)
@example("20250110-20250112", "0900-0600", [("20250112", "055959")])
def test_start_date_and_start_time_match_what_the_oracle_says(
    date: str, time: str, steps: list[tuple[str, str]]
) -> None:
    asked, *stored = (
        {
            "ScheduledProcedureStepStartDate": one,
            "ScheduledProcedureStepStartTime": other,
        }
        for one, other in [(date, time), *steps]
    )
    values = {"ScheduledProcedureStepSequence": stored}
    assert query(step(**asked)).matches(item(values)) == oracle.matches(step(**asked), values)


@given(identifiers(), worklists())
def test_case_and_accents_count_when_told_so(asked: Values, stored: Values) -> None:
    found = query(asked, policy(case_sensitive=True)).matches(item(stored))
    assert found == oracle.matches(asked, stored, case_sensitive=True)


@given(
    st.dictionaries(
        st.sampled_from([0x00080005, 0x00080050, 0x00100010, 0x00100020, 0x00100030, 0x0020000D])
        | st.sampled_from([0x00101030, 0x001021C0, 0x001021B0, 0x00404005, 0x00091001, 0x00420011]),
        st.binary(max_size=20) | st.text("0123456789-+.*?^=\\ ", max_size=20).map(str.encode),
    ),
    st.dictionaries(st.sampled_from([0x00080050, 0x00100010, 0x00100030]), st.binary(max_size=20)),
    st.sampled_from(["standard", "orthanc"]),
)
def test_any_value_is_understood_or_refused(
    asked: dict[int, bytes], stored: dict[int, bytes], dialect: str
) -> None:
    keys, values = (
        {tag: Element(tag, vr_of(tag), value) for tag, value in sorted(found.items())}
        for found in (asked, stored)
    )
    compiled = understood_or_refused(keys, policy(dialect))
    if isinstance(compiled, RequestRefused):
        assert compiled.status == 0xA900
        assert compiled.offending[0] in asked
        assert compiled.comment.isascii()
        return
    (found,) = items_of_elements(values)
    assert bool(compiled.rejected_by(found)) != compiled.matches(found)
    compiled.answer(found, TRANSFER_SYNTAXES[0])


@given(identifiers(), worklists())
def test_an_item_is_rejected_by_something_exactly_when_it_does_not_match(
    asked: Values, stored: Values
) -> None:
    compiled, found = query(asked), item(stored)
    assert bool(compiled.rejected_by(found)) != compiled.matches(found)


@given(identifiers(), worklists(), st.sampled_from(TRANSFER_SYNTAXES))
def test_an_answer_holds_every_requested_key_and_nothing_else(
    asked: Values, stored: Values, transfer_syntax: str
) -> None:
    compiled, found = query(asked), item(stored)
    answer = decode(compiled.answer(found, transfer_syntax), transfer_syntax)
    context = {0x00080005, 0x00080201}
    assert answer.keys() - context == elements(asked).keys() - context
    for tag, element in answer.items():
        if isinstance(element.value, bytes) and tag in found.elements():
            assert element.value == found.elements()[tag].value


def is_more_than_ascii(data_set: Elements) -> bool:
    return any(
        any(map(is_more_than_ascii, value))
        if isinstance(value, tuple)
        else vr in CHARACTER_SET_VRS and (not value.isascii() or b"\x1b" in value)
        for _, vr, value in data_set.values()
    )


@given(identifiers(), worklists(), st.sampled_from(TRANSFER_SYNTAXES))
@example(
    step(Modality="CT", ScheduledProtocolCodeSequence=[{"CodeValue": "A", "CodeMeaning": ""}]),
    {
        "SpecificCharacterSet": "ISO_IR 100",
        "ScheduledProcedureStepSequence": [
            {"Modality": "MR"},
            {
                "Modality": "CT",
                "ScheduledProtocolCodeSequence": [
                    {"CodeValue": "B", "CodeMeaning": "Knie"},
                    {"CodeValue": "A", "CodeMeaning": "Schädel"},
                ],
            },
        ],
    },
    TRANSFER_SYNTAXES[0],
)
def test_an_answer_holds_what_the_oracle_takes_from_the_item(
    asked: Values, stored: Values, transfer_syntax: str
) -> None:
    assume(oracle.matches(asked, stored))
    found = item(stored)
    expected = encode(
        elements(oracle.answered(asked, stored), found.character_set).values(), transfer_syntax
    )
    answer = decode(query(asked).answer(found, transfer_syntax), transfer_syntax)
    named = answer.pop(0x00080005, None)
    assert answer == decode(expected, transfer_syntax)
    # Sets of the strategy begin with ASCII, so what is more has other bytes or escapes.
    assert (named is not None) == is_more_than_ascii(answer)
    assert named is None or named == found.elements()[0x00080005]


@given(identifiers(), worklists())
def test_every_transfer_syntax_says_the_same(asked: Values, stored: Values) -> None:
    compiled, found = query(asked), item(stored)
    answers = [
        decode(compiled.answer(found, transfer_syntax), transfer_syntax)
        for transfer_syntax in TRANSFER_SYNTAXES
    ]
    assert all(answer == answers[0] for answer in answers)


@given(identifiers(), st.lists(worklists(), max_size=5))
def test_an_explanation_counts_what_matches(asked: Values, stored: list[Values]) -> None:
    compiled = query(asked)
    found = [item(values) for values in stored]
    explanation = compiled.explain(found)
    assert explanation.looked_at == len(found)
    assert explanation.matched == sum(map(compiled.matches, found))
