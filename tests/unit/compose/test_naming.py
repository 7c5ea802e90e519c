"""Names of files."""

import pytest

from mwl.compose import FileNames, Origin
from mwl.errors import InputError
from support.new_items import ENOUGH, made


def name(template: str | None, *arguments: str, counter: int = 1) -> str:
    item = made(*ENOUGH, *arguments, counter=counter)
    return FileNames(template).name(item, Origin("a.csv", 2))


@pytest.mark.parametrize(
    ("template", "arguments", "expected"),
    [
        (None, ["AccessionNumber=A1"], "A1.wl"),
        (None, [], "P1-1.wl"),
        ("{PatientID}-{counter:3}.wl", [], "P1-001.wl"),
        ("{Modality}_{ScheduledStationAETitle}.WL", [], "CT_CT1.WL"),
        ("{ScheduledProcedureStepSequence[0].Modality}-{0010,0020}.wl", [], "CT-P1.wl"),
        ("{today}-{now}.wl", [], "20261124-083015.wl"),
        (None, ["AccessionNumber=A/1"], "A_1-a5b3d27a.wl"),
        (None, ["AccessionNumber=../A 1/Ü"], "_A_1__-c80f7273.wl"),
        (None, ["AccessionNumber=.hidden"], "hidden-16924190.wl"),
        ("{PatientName}-{PatientID}.wl", ["PatientComments=x"], "DOE_JANE-1040688e-P1.wl"),
        (None, ["AccessionNumber=.."], "P1-1.wl"),
    ],
)
def test_a_name_is_made_of_the_item_with_safe_characters(
    template: str | None, arguments: list[str], expected: str
) -> None:
    assert name(template, *arguments) == expected


def test_two_items_never_have_one_name() -> None:
    names = FileNames(None)
    names.name(made(*ENOUGH, "AccessionNumber=a1"), Origin("a.csv", 2))
    for accession in ("a1", "A1"):
        with pytest.raises(InputError) as caught:
            names.name(made(*ENOUGH, f"AccessionNumber={accession}"), Origin("a.csv", 3))
        assert "the file name of line 2" in str(caught.value)
        assert caught.value.line == 3


def test_numbers_that_differ_only_in_characters_that_are_not_safe_have_names_that_differ() -> None:
    accessions = ["a/1", "a:1", "a_1", "病院", "検査", "__", ".a_1"]
    names = [name(None, f"AccessionNumber={accession}") for accession in accessions]
    assert len(set(names)) == len(names)
    assert names[2] == "a_1.wl"
    assert names == [name(None, f"AccessionNumber={accession}") for accession in accessions]


def test_an_item_without_the_attribute_of_its_name_is_refused() -> None:
    with pytest.raises(InputError, match="needs AccessionNumber, which is empty"):
        name("{AccessionNumber}.wl")


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="has 203 characters"):
        name("{PatientComments}.wl", f"PatientComments={'x' * 200}")


@pytest.mark.parametrize(
    ("template", "fact"),
    [
        ("{PatientID}", "has to end in .wl"),
        ("{PatientID}.dcm", "has to end in .wl"),
        ("../{PatientID}.wl", "letters, digits"),
        ("a b.wl", "letters, digits"),
        (".{PatientID}.wl", "must not begin with a point"),
        ("{PatientIDD}.wl", "did you mean PatientID?"),
        ("{.wl", "a brace stands alone"),
        ("{{}}.wl", "letters, digits"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_before_any_item(
    template: str, fact: str
) -> None:
    with pytest.raises(InputError) as caught:
        FileNames(template)
    assert fact in str(caught.value)
    assert caught.value.option == "--name"
