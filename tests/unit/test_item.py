import sys

import pytest

from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    encode,
    read_file,
)
from mwl.errors import DatasetError
from mwl.item import WorklistItem
from support.datasets import data_set, file_of
from support.items import items_of_elements

LATIN_1 = ENCODINGS["Latin1"]
STEPS = 0x00400100


def step(date: str, time: str = "", modality: str = "CT") -> Elements:
    return data_set(
        Modality=modality,
        ScheduledProcedureStepStartDate=date,
        ScheduledProcedureStepStartTime=time,
    )


def worklist(*steps: Elements, accession_number: str = "A1") -> Elements:
    return data_set(
        AccessionNumber=accession_number,
        PatientName="VIVALDI^ANTONIO",
        ScheduledProcedureStepSequence=list(steps),
    )


def items(
    elements: Elements, *, source: str = "a.wl", split_steps: bool = True
) -> tuple[WorklistItem, ...]:
    return items_of_elements(elements, source, split_steps=split_steps)


def test_each_step_of_a_file_is_an_item_of_its_own() -> None:
    first, second = step("20260101"), step("20260102", modality="MR")
    found = items(worklist(first, second))
    assert [item.step for item in found] == [0, 1]
    assert [item.elements() for item in found] == [worklist(first), worklist(second)]


def test_a_file_is_one_item_when_steps_are_not_split() -> None:
    elements = worklist(step("20260102"), step("20260101"))
    (item,) = items(elements, split_steps=False)
    assert item.elements() == elements
    assert item.order == ("20260102", "", "A1", "a.wl", 0)


@pytest.mark.parametrize("elements", [worklist(), data_set(AccessionNumber="A1")])
@pytest.mark.parametrize("split_steps", [True, False])
def test_a_file_without_a_step_is_one_item(elements: Elements, split_steps: bool) -> None:
    (item,) = items(elements, split_steps=split_steps)
    assert item.elements() == elements
    assert item.order == ("", "", "A1", "a.wl", 0)


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_the_data_of_an_item_does_not_depend_on_the_transfer_syntax_of_its_file(
    transfer_syntax: str,
) -> None:
    elements = worklist(step("20260101"))
    (item,) = items(read_file(file_of(elements, transfer_syntax)))
    assert item.data == encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)


def test_order_is_date_time_accession_number_source_and_step() -> None:
    found = [
        *items(worklist(step("20260102", "0900"), step("20260101", "1000"))),
        *items(worklist(step("20260101", "0900"), accession_number="B1")),
        *items(worklist(step("20260101", "0900"), step("20260101", "0900")), source="b.wl"),
        *items(worklist(step("20260101", "0900")), source="a.wl"),
    ]
    assert sorted(item.order for item in found) == [
        ("20260101", "0900", "A1", "a.wl", 0),
        ("20260101", "0900", "A1", "b.wl", 0),
        ("20260101", "0900", "A1", "b.wl", 1),
        ("20260101", "0900", "B1", "a.wl", 0),
        ("20260101", "1000", "A1", "a.wl", 1),
        ("20260102", "0900", "A1", "a.wl", 0),
    ]


def test_order_takes_the_first_value_without_spaces() -> None:
    (item,) = items(worklist(step("20260101", " 0900 "), accession_number=" A1\\A2 "))
    assert item.order == ("20260101", "0900", "A1", "a.wl", 0)


def test_order_takes_a_value_that_cannot_be_read_for_an_absent_one() -> None:
    elements = worklist(step("20260101"))
    elements[0x00080005] = Element(0x00080005, "CS", b"ISO_IR 6")
    elements[0x00080050] = Element(0x00080050, "SH", b"A\xff")
    (item,) = items(elements)
    assert item.order == ("20260101", "", "", "a.wl", 0)


@pytest.mark.parametrize("tag", [0x00400002, 0x00400003])
def test_order_takes_a_sequence_where_a_date_or_time_should_be_for_an_absent_one(tag: int) -> None:
    odd = {tag: Element(tag, "SQ", (data_set(PatientID="P1"),))}
    (item,) = items(worklist(step("", "") | odd))
    assert item.order == ("", "", "A1", "a.wl", 0)


def test_an_item_has_the_character_set_of_its_file_or_the_default() -> None:
    (item,) = items(data_set(PatientID="1"))
    assert item.character_set is LATIN_1
    (item,) = items(data_set(SpecificCharacterSet="ISO_IR 192", PatientID="1"))
    assert item.character_set == CharacterSet.of(("ISO_IR 192",))
    assert 0x00080005 in item.elements()


def test_an_unknown_character_set_is_refused() -> None:
    with pytest.raises(DatasetError, match="unknown character set"):
        items(data_set(SpecificCharacterSet="ISO_IR 999"))


def test_items_are_equal_only_to_themselves() -> None:
    (one,), (other,) = items(worklist()), items(worklist())
    assert one != other
    assert len({one, other, one}) == 2


def test_the_representation_of_an_item_names_no_patient() -> None:
    (item,) = items(worklist(step("20260101")))
    assert repr(item) == f"<WorklistItem 'a.wl' step 0, {len(item.data)} bytes>"


def test_an_item_takes_little_more_memory_than_its_data() -> None:
    elements = worklist(step("20260101", "0900")) | data_set(PatientComments="x" * 1024)
    (item,) = items(elements)
    own = sys.getsizeof(item) + sys.getsizeof(item.order) + sys.getsizeof(item.order[2])
    assert sys.getsizeof(item.data) + own < len(item.data) + 300
    assert not hasattr(item, "__dict__")
