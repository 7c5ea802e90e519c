from collections import Counter

import pytest

from mwl import attributes
from mwl.attributes import ATTRIBUTES, INDEXED, Attribute
from mwl.dataset import keyword_of, tag_of, vr_of

CONSTANTS = {
    name: value
    for name, value in vars(attributes).items()
    if name.isupper() and isinstance(value, int)
}


@pytest.mark.parametrize(
    "attribute", ATTRIBUTES, ids=lambda one: "-".join(map(keyword_of, one.path))
)
def test_tag_keyword_and_vr_are_those_of_the_dictionary(attribute: Attribute) -> None:
    assert tag_of(attribute.keyword) == attribute.tag
    assert vr_of(attribute.tag) == attribute.vr
    assert attribute.path[-1] == attribute.tag
    assert all(vr_of(tag) == "SQ" for tag in attribute.path[:-1])


def test_each_path_is_listed_once_after_the_sequences_it_goes_through() -> None:
    seen: set[tuple[int, ...]] = set()
    for attribute in ATTRIBUTES:
        assert attribute.path not in seen
        assert len(attribute.path) == 1 or attribute.path[:-1] in seen
        seen.add(attribute.path)


def test_key_types_are_those_of_the_standard() -> None:
    assert {attribute.matching for attribute in ATTRIBUTES} == {"R", "O", "-"}
    assert {attribute.returned for attribute in ATTRIBUTES} == {"1", "1C", "2", "2C", "3"}


def test_the_required_matching_keys_are_those_of_table_k_6_1() -> None:
    required = [attribute.keyword for attribute in ATTRIBUTES if attribute.matching == "R"]
    assert required == [
        "ScheduledProcedureStepSequence",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledPerformingPhysicianName",
        "PatientName",
        "PatientID",
    ]


def test_rows_stand_under_their_modules() -> None:
    assert Counter(attribute.module for attribute in ATTRIBUTES) == {
        "Scheduled Procedure Step": 36,
        "Requested Procedure": 11,
        "Imaging Service Request": 4,
        "Visit Identification": 2,
        "Visit Status": 1,
        "Visit Relationship": 3,
        "Patient Identification": 5,
        "Patient Demographic": 7,
        "Patient Medical": 10,
        "C-FIND Identifier": 7,
    }


@pytest.mark.parametrize(("name", "tag"), CONSTANTS.items())
def test_constants_have_the_names_of_their_keywords(name: str, tag: int) -> None:
    assert name.replace("_", "").lower() == keyword_of(tag).lower()


def test_indexed_paths_are_rows_of_the_tables() -> None:
    assert set(INDEXED) <= {attribute.path for attribute in ATTRIBUTES}
    assert len(set(INDEXED)) == len(INDEXED) == 7
