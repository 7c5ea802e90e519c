"""What is accepted of programs is sound, and to say it again changes nothing."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwl.attributes import PATIENT_ID
from mwl.config import of_folder
from mwl.dataset import (
    ENCODINGS,
    EVERYTHING,
    Format,
    character_set,
    read_file,
    to_orthanc_json,
)
from mwl.errors import InputError
from mwl.find import Worklist
from mwl.intake import Draft, Force, Intake
from mwl.item import MAX_FILE_BYTES, items_of
from mwl.matching.stored import indexed_values
from mwl.site import Worklists
from support.api import STEP, tags

FORMS = (Format.HUMAN, Format.SHORT)
SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "worklists").glob("*.wl"))

texts = st.text(max_size=20)
values = st.one_of(
    texts,
    st.none(),
    st.integers(-(10**6), 10**6),
    st.sampled_from(["20991124", "0830", "CT", "1.2.3", "DOE^JANE", "M", "72.5"]),
)
keywords = st.sampled_from(
    [
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight"),
        *("AccessionNumber", "StudyInstanceUID", "RequestedProcedureDescription", "Modality"),
        *("ScheduledStationAETitle", "0010,2180", "00102180", "PregnancyStatus", "NoKeyword"),
        *("SpecificCharacterSet", "OtherPatientIDs", "ReferencedStudySequence"),
    ]
)
items = st.dictionaries(keywords, values, max_size=6)
steps = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(STEP, values)), max_size=3)
said = st.one_of(
    st.builds(lambda some, more: tags() | some | more, items, items),
    st.builds(lambda some, more: some | {"ScheduledProcedureStepSequence": more}, items, steps),
    st.dictionaries(keywords, st.recursive(values, lambda one: st.lists(one) | items), max_size=4),
)
forces: st.SearchStrategy[Force] = st.sampled_from(["yes", "no", "leave"])


Drafting = Callable[..., Draft]


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drafting]:
    """Give what drafts an item for a site without any."""
    worklists = Worklists(of_folder(tmp_path_factory.mktemp("worklists")))
    worklist = worklists.of("ORTHANC")
    assert worklist is not None
    for _ in worklist.see_every_change():
        pass
    yield partial(_finished, worklists.intake, worklist)
    worklists.close()


def _finished(
    intake: Intake,
    worklist: Worklist,
    tags: dict[str, Any],
    force: Force,
    previous: bytes | None = None,
) -> Draft:
    drafting = intake.draft(worklist, "a.wl", tags, force=force, previous=previous)
    while True:
        try:
            next(drafting)
        except StopIteration as end:
            draft: Draft = end.value
            return draft


@settings(deadline=None, max_examples=100)
@given(said, forces)
def test_what_can_be_an_item_is_one_and_stays_as_it_is(
    draft: Drafting, said: dict[str, Any], force: Force
) -> None:
    before = copy.deepcopy(said)
    try:
        first = draft(said, force)
    except InputError:
        return
    finally:
        assert said == before
    assert len(first.data) <= MAX_FILE_BYTES
    assert items_of(
        "a.wl",
        first.data,
        split_steps=True,
        default=ENCODINGS["Latin1"],
        indexed_of=indexed_values,
    )
    errors = {finding.rule.number for finding in first.findings if finding.severity == "error"}
    if force == "no" and not first.is_refused:
        assert errors <= {"MWL201"}
    patient = read_file(first.data).get(PATIENT_ID)
    if patient is not None and patient.value:
        assert draft(said, force, first.data).data is first.data


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_what_is_read_can_be_written_back(draft: Drafting, path: Path) -> None:
    """As programs do that let people edit an item."""
    data = path.read_bytes()
    for form in FORMS:
        assert _shown(draft(_shown(data, form), "yes", data).data) == _shown(data)


def test_an_identifier_that_was_forced_is_not_kept(draft: Drafting) -> None:
    wrong = draft(tags(StudyInstanceUID="no UID"), "yes").data
    assert not draft(tags(), "no", wrong).is_refused


def _shown(data: bytes, form: Format = Format.HUMAN) -> dict[str, Any]:
    """Give what can be said of an item: not what a site's dictionary alone could have the VR of."""
    elements = {tag: one for tag, one in read_file(data).items() if not tag >> 16 & 1}
    shown = to_orthanc_json(
        elements, character_set(elements, ENCODINGS["Latin1"]), form, EVERYTHING
    )
    if form is Format.HUMAN:
        shown.setdefault("SpecificCharacterSet", "ISO_IR 192")  # that of JSON is added
    return shown
