"""Any keys, any rows, any text: what is accepted reads back, the rest is an InputError."""

import csv
import io
import json
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from mwl.attributes import ATTRIBUTES
from mwl.compose import Document, FileNames, read_documents, read_table, read_template
from mwl.compose.values import RULES
from mwl.dataset import (
    ENCODINGS,
    SINGLE_VALUE_TEXT_VRS,
    Elements,
    character_set,
    keywords,
    read_file,
    tag_of,
    values,
    vr_of,
)
from mwl.errors import InputError
from mwl.keys import describe_path
from mwl.text_files import decode_text
from support.new_items import ENOUGH, SEQUENCE, made, recipe, value_of

TEXT_ROWS = [
    row
    for row in ATTRIBUTES
    if row.vr in RULES and len(row.path) <= 2 and row.path[0] in {row.tag, SEQUENCE}
]
SAMPLES = [
    "20261124",
    "083000",
    "CT",
    "DOE^JANE",
    "1.2.3",
    "072.5",
    "12",
    "",
    "2026-11-24",
    "08:30",
]
texts = st.one_of(
    st.text(max_size=80), st.sampled_from(SAMPLES), st.text("A1^=\\ äß山", max_size=20)
)


def holder_of(elements: Elements, tag: int) -> Elements:
    (step,) = elements[SEQUENCE].value
    assert isinstance(step, dict)
    return step if tag in step and tag not in elements else elements


@given(st.sampled_from(TEXT_ROWS), texts)
@example(TEXT_ROWS[0], "{{}}")
def test_a_key_that_is_accepted_reads_back_as_it_was_written(row: object, text: str) -> None:
    keyword, vr, tag = row.keyword, row.vr, row.tag  # type: ignore[attr-defined]
    shared = [key for key in ENOUGH if not key.startswith(f"{keyword}=")]
    try:
        item = made(
            *shared,
            f"{keyword}={text.replace('{', '{{').replace('}', '}}')}",
            may_be_incomplete=True,
        )
    except InputError:
        return
    elements = read_file(item.encode())
    assert elements.keys() == item.elements.keys()
    if not text.strip(" \0") or text.strip() in {"2026-11-24", "08:30"}:
        return  # filled in, or brought into DICOM's form
    if keyword == "SpecificCharacterSet":
        return
    found = holder_of(elements, tag)[tag]
    read = values(found, character_set(elements, ENCODINGS["Ascii"]))
    written = [text] if vr in SINGLE_VALUE_TEXT_VRS else text.split("\\")
    if vr == "US":
        assert [int(one) for one in read] == [int(one) for one in written]
    else:
        assert "\\".join(read).rstrip(" ") == "\\".join(written).rstrip(" ")


@given(st.lists(st.text(max_size=60), max_size=4))
@example(["ScheduledProcedureStepSequence[0].Modality=CT", "Modality=MR"])
@example(["ScheduledProcedureStepSequence[99].Modality=CT"])
@example(["0040,0100[0].0040,0100[0].0008,0060=CT"])
def test_any_arguments_are_an_item_or_an_input_error(arguments: list[str]) -> None:
    try:
        item = made(*ENOUGH, *arguments)
    except InputError:
        return
    assert read_file(item.encode())


@given(st.sampled_from(sorted(keywords())), texts)
def test_any_attribute_of_the_dictionary_is_written_or_refused(keyword: str, text: str) -> None:
    try:
        item = made(*ENOUGH, f"{keyword}={text}")
    except InputError:
        return
    assert read_file(item.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "PatientName",
                    "Modality",
                    "ScheduledProcedureStepSequence",
                    "vr",
                    "Value",
                    "00100010",
                    "00400100",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values.map(json.dumps) | st.text(max_size=60))
@example('{"00080005": {"vr": "CS", "Value": [null]}}')
@example('{"00080005": 1}')
@example('{"00080005": {"Value": 1}}')
@example('{"00400100": {"vr": "SQ", "Value": [1]}}')
@example('{"FFFEE000": {"vr": "LO"}}')
@example('{"00020010": {"vr": "UI", "Value": ["1.2"]}}')
@example('{"00080005": {"vr": "SQ", "Value": []}}')
@example('{"00100010": {"vr": "PN", "Value": [{"Alphabetic": 1}]}}')
@example('{"00100010": {"vr": "PN", "Value": ["\\ud800"]}}')
def test_any_json_is_items_or_an_input_error(text: str) -> None:
    try:
        documents, _ = read_documents(text, "a.json")
    except InputError:
        return
    for document in documents:
        if isinstance(document, Document):
            try:
                item = recipe(may_be_incomplete=True).make(document, 1)
            except InputError:
                continue
            assert read_file(item.encode())


@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "latin-1", "utf-16"]))
def test_any_bytes_are_rows_or_an_input_error(data: bytes, charset: str | None) -> None:
    for start in (b"", b"PatientName,PatientID\n"):
        try:
            for row in read_table(decode_text(start + data, "a.csv", charset), "a.csv"):
                assert isinstance(row, Document) or row.line
        except InputError:
            continue


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(
    st.lists(
        st.sampled_from(sorted({row.keyword for row in TEXT_ROWS})),
        min_size=2,
        max_size=5,
        unique=True,
    ),
    st.data(),
    st.sampled_from([",", ";", "\t"]),
)
def test_rows_that_are_written_read_back(
    header: list[str], draw: st.DataObject, delimiter: str
) -> None:
    rows = draw.draw(
        st.lists(st.lists(cells, min_size=len(header), max_size=len(header)), max_size=4)
    )
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    found = read_table(stream.getvalue(), "a.csv")
    read = []
    for row in found:
        assert isinstance(row, Document)
        read.append({describe_path(one.path): one.value for one in row.assignments})
    expected = [
        {key: cell.strip() for key, cell in zip(header, row, strict=True) if cell.strip()}
        for row in rows
    ]
    assert read == [row for row in expected if row]


@given(
    st.lists(
        st.sampled_from(["a", "A", "a/b", "a_b", "..", "", "ä"]) | st.text(max_size=12), max_size=6
    )
)
def test_names_are_safe_and_differ(accessions: list[str]) -> None:
    names, given_names = FileNames(None), []
    for number, accession in enumerate(accessions, 1):
        origin_document = Document(read_documents("{}", "a.json")[0][0].origin)  # type: ignore[union-attr]
        try:
            item = made(*ENOUGH, f"AccessionNumber={accession}", counter=number)
            given_names.append(names.name(item, origin_document.origin))
        except InputError:
            continue
    assert len({name.casefold() for name in given_names}) == len(given_names)
    for name in given_names:
        assert name.endswith(".wl")
        assert not name.startswith(".")
        assert name.isascii()
        assert "/" not in name


AT_THE_TOP = ("PatientName", "PatientID", "PatientComments")
IN_THE_STEP = ("Modality", "ScheduledStationAETitle", "ScheduledStationName")
STEP = "ScheduledProcedureStepSequence"
Said = dict[str, str]
said = st.dictionaries(
    st.sampled_from([*AT_THE_TOP, *IN_THE_STEP]), st.sampled_from(["A", "B", "C"])
)


def parts_of(item: Said) -> tuple[Said, Said]:
    """Give what stands at the top, and what in the step."""
    top = {key: value for key, value in item.items() if key in AT_THE_TOP}
    return top, {key: value for key, value in item.items() if key in IN_THE_STEP}


def by_keyword(item: Said) -> object:
    return item


def with_paths(item: Said) -> object:
    top, step = parts_of(item)
    return top | {f"{STEP}[0].{key}": value for key, value in step.items()}


def with_the_step_listed(item: Said) -> object:
    top, step = parts_of(item)
    return top | {STEP: [step]}


def in_the_model(item: Said) -> object:
    def model(part: Said) -> dict[str, object]:
        rows = [(tag_of(key) or 0, value) for key, value in part.items()]
        return {f"{tag:08X}": {"vr": vr_of(tag), "Value": [value]} for tag, value in rows}

    top, step = parts_of(item)
    return model(top) | {f"{SEQUENCE:08X}": {"vr": "SQ", "Value": [model(step)]}}


FORMS = [by_keyword, with_paths, with_the_step_listed]


@given(said, said, said, st.sampled_from(FORMS), st.sampled_from([*FORMS, in_the_model]))
def test_arguments_override_the_file_and_the_file_the_template_in_every_form(
    template: Said,
    own: Said,
    arguments: Said,
    form_of_template: Callable[[Said], object],
    form: Callable[[Said], object],
) -> None:
    (document,), _ = read_documents(json.dumps(form(own)), "a.json")
    assert isinstance(document, Document)
    item = recipe(
        "PatientSex=F",
        *(f"{key}={value}" for key, value in arguments.items()),
        template=read_template(json.dumps(form_of_template(template)), "t.json"),
        may_be_incomplete=True,
    )
    try:
        made_item = item.make(document, 1)
    except InputError as error:
        assert "nothing is in it" in str(error)  # noqa: PT017 - a step may be listed and empty
        assert not any(parts_of(one)[1] for one in (template, own, arguments))
        return
    for key, value in (template | own | arguments).items():
        assert value_of(made_item, key, step=0 if key in IN_THE_STEP else None) == value
    for key in {*AT_THE_TOP, *IN_THE_STEP} - {*template, *own, *arguments}:
        assert not value_of(made_item, key, step=0 if key in IN_THE_STEP else None)


def test_the_strategies_reach_every_kind_of_value() -> None:
    assert {row.vr for row in TEXT_ROWS} >= {"AE", "CS", "DA", "LO", "PN", "SH", "TM", "UI", "US"}
    assert vr_of(tag_of("PatientName") or 0) == "PN"
