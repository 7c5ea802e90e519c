"""The check of worklist files: any bytes, any values."""

from hypothesis import example, given
from hypothesis import strategies as st

from mwl.check import PROFILES, Checker, Conditions, Finding
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.errors import DatasetError
from mwl.item import items_of
from mwl.matching import doubts
from mwl.matching.stored import indexed_values
from support import items
from support.breaches import CLEAN, TODAY, data_of, item, with_step
from support.datasets import data_sets, file_of

CLEAN_FILE = data_of(CLEAN)

STEP_VALUES = (
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledStationAETitle",
    "Modality",
)


def check(*files: bytes) -> list[Finding]:
    checker = Checker(Conditions(TODAY), profiles=PROFILES)
    found = [one for number, data in enumerate(files) for one in checker.file(f"{number}.wl", data)]
    return [*found, *checker.together()]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Change some bytes of a good file."""
    data = bytearray(CLEAN_FILE)
    for _ in range(draw(st.integers(1, 5))):
        data[draw(st.integers(132, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(st.one_of(st.binary(max_size=400), damaged()))
@example(b"")
@example(CLEAN_FILE)
@example(b"\x08\x00\x05\x00CS\x00\x00")
def test_any_bytes_are_checked_without_an_exception(data: bytes) -> None:
    found = check(data)
    assert found == check(data)
    assert all(one.message and one.path_text == one.path_text.strip() for one in found)


@given(data_sets(), st.sampled_from(TRANSFER_SYNTAXES))
def test_any_data_set_is_checked_without_an_exception(elements: dict, syntax: str) -> None:  # type: ignore[type-arg]
    found = check(file_of(elements, syntax), CLEAN_FILE, file_of(elements, syntax))
    assert found
    assert all(one.keyword.isidentifier() or one.keyword == "" for one in found)


@given(
    st.sampled_from(STEP_VALUES),
    st.binary(max_size=12).map(lambda value: value + b" " * (len(value) % 2)),
)
@example("ScheduledProcedureStepStartTime", b"24")
@example("ScheduledProcedureStepStartDate", b"tomorrow")
@example("ScheduledStationAETitle", b"\\\\")
def test_what_the_server_doubts_has_a_finding(keyword: str, value: bytes) -> None:
    data = data_of(with_step(**{keyword: value}))
    found = items_of(
        "item.wl", data, split_steps=True, default=items.LATIN_1, indexed_of=indexed_values
    )
    if any(doubts(one, needs_step=True) for one in found):
        assert check(data)


@given(st.binary(max_size=30).map(lambda value: value + b" " * (len(value) % 2)))
@example(b"\xff\xfe")
@example(b"^^")
@example(b"=^")
def test_a_name_that_the_server_cannot_read_has_a_finding(name: bytes) -> None:
    data = data_of(item(PatientName=name, SpecificCharacterSet="ISO_IR 192"))
    try:
        found = items_of(
            "item.wl", data, split_steps=True, default=items.LATIN_1, indexed_of=indexed_values
        )
    except DatasetError:
        assert check(data)
        return
    if any(doubts(one, needs_step=True) for one in found):
        assert check(data)


MARK = "Qzxv"


@given(
    st.sampled_from(["PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID"]),
    st.text(st.characters(min_codepoint=1, max_codepoint=0x17F), max_size=40),
    st.sampled_from(["ISO_IR 192", "ISO_IR 100", ""]),
)
@example("PatientID", "\\", "ISO_IR 192")
@example("PatientName", "=" * 3, "ISO_IR 192")
def test_no_message_holds_a_name_or_an_identifier(keyword: str, text: str, terms: str) -> None:
    value = f"{MARK}{text}{MARK}".encode()
    data = data_of(item(**{keyword: value}, SpecificCharacterSet=terms))
    assert not any(MARK in one.message for one in check(data, data))
