"""Any data set as text and back, and any text: what holds for all of them."""

import json
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.files import text_reader
from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    character_set,
    encode,
    from_json,
    read_dicom_file,
    to_json,
)
from mwl.dump import STORED, dump_file, undump
from mwl.errors import DatasetError, InputError
from support.datasets import CHARACTER_SET_TEXT_VRS, TEXT_SAMPLES, data_sets, file_of, in_order

transfer_syntaxes = st.sampled_from(TRANSFER_SYNTAXES)
encodings = st.sampled_from(["utf-8", STORED, "latin-1", "cp1252", "gb18030"])
extended_terms = st.sampled_from(["\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 87"])
terms = st.one_of(st.sampled_from(sorted(TEXT_SAMPLES)), extended_terms)
names = st.text(st.sampled_from("AB ^=\\\r\n\t[]<>#()'\"山田Яüé\u3000\u202e~"), max_size=12)


# Code extension as other writers have it: superfluous, missing at the end, in another order.
japanese = st.lists(
    st.sampled_from(
        [b"\x1b(B", b"\x1b(J", b"\x1b$B", b";3", b"ED", b"\xd4\xcf", b"^", b"=", b"\r\n"]
    ),
    max_size=8,
).map(b"".join)


@st.composite
def texts(draw: st.DrawFn) -> Elements:
    """Give data sets whose text is in the character set that they declare."""
    term = draw(terms)
    characters = CharacterSet.of(tuple(term.split("\\")))
    elements = [Element(0x00080005, "CS", term.encode("ascii"))]
    for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO"), (0x00104000, "LT")):
        text = draw(st.one_of(names, st.sampled_from(sorted(TEXT_SAMPLES.values()))))
        with suppress(UnicodeEncodeError):
            elements.append(Element(tag, vr, characters.encode(text, vr)))
    if "2022" in term:
        elements.append(Element(0x00400011, "SH", draw(japanese)))
    item = in_order(elements[1:])
    elements.append(Element(0x00400100, "SQ", (item,)))
    return in_order(elements)


@given(st.one_of(data_sets(), texts()), transfer_syntaxes, encodings)
@example({0x00104000: Element(0x00104000, "LT", b"  ")}, TRANSFER_SYNTAXES[0], "utf-8")
@example({0x00104000: Element(0x00104000, "LT", b"\\x41")}, TRANSFER_SYNTAXES[0], "utf-8")
@example({0x00100020: Element(0x00100020, "LO", b"(AB]")}, TRANSFER_SYNTAXES[0], "utf-8")
def test_a_file_is_the_same_after_dump_and_undump(
    elements: Elements, transfer_syntax: str, encoding: str
) -> None:
    if not elements:
        return
    file = read_dicom_file(file_of(elements, transfer_syntax))
    found = undump(dump_file(file, encoding))
    assert encode(found.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN) == encode(
        file.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN
    )
    assert found.transfer_syntax == transfer_syntax
    assert found.meta == file.meta


@given(st.one_of(data_sets(), texts()), encodings)
def test_nothing_in_a_text_but_ends_of_lines_steers_a_terminal(
    elements: Elements, encoding: str
) -> None:
    if not elements or encoding == STORED:
        return
    text = dump_file(read_dicom_file(file_of(elements)), encoding)
    lines = text.decode(encoding).split("\n")
    assert all(one.isprintable() or one == "\u3000" for line in lines for one in line)
    assert all(not line or line[0] == "#" or "(" in line for line in lines)


@given(st.binary(max_size=200))
@example(b"(0010,2110) UN (no value available)")
@example(b"(0040,0100) UN fe\\ff\\00\\e0\\00\\00\\00\\00")
def test_any_bytes_are_a_data_set_or_refused(data: bytes) -> None:
    text_reader(data)


parts = st.sampled_from(
    [
        *("(0010,0010)", "(0008,0005)", "(0040,0100)", "(fffe,e000)", "(fffe,e00d)"),
        *("(fffe,e0dd)", "(0002,0010)", "(0009,1001)", "(7fe0,0010)", "(0028,0106)"),
        *("PatientID", "Modality", "=", "PN", "CS", "SQ", "OB", "US", "UI", "AT", "na", "??"),
        *("[", "]", "<", ">", "(", ")", "#", "\\", "\n", " ", "\t", "#=1", "explicit length #=1"),
        *("A", "1", "ff", "é", "山", "\\x41", "\\u00e9", "# 2, 1 Name", "ISO_IR 100", "GB18030"),
        *("(no value available)", "LittleEndianImplicit", "...", "\x1b", "\0", "(charset utf-8:"),
    ]
)


@given(st.lists(parts, max_size=40).map("".join), st.sampled_from(["utf-8", "latin-1", "gb18030"]))
def test_any_text_is_a_data_set_or_refused(text: str, encoding: str) -> None:
    text_reader(text.encode(encoding, "replace"))


@given(st.one_of(data_sets(), texts()), transfer_syntaxes, encodings, st.data())
def test_a_damaged_text_is_a_data_set_or_refused(
    elements: Elements, transfer_syntax: str, encoding: str, draw: st.DataObject
) -> None:
    if not elements:
        return
    file = read_dicom_file(file_of(elements, transfer_syntax))
    text = bytearray(dump_file(file, encoding))
    for _ in range(draw.draw(st.integers(min_value=0, max_value=3))):
        position = draw.draw(st.integers(min_value=0, max_value=len(text) - 1))
        text[position] = draw.draw(st.integers(min_value=0, max_value=255))
    cut = draw.draw(st.integers(min_value=0, max_value=len(text)))
    text_reader(bytes(text))
    text_reader(bytes(text[:cut]))


@given(texts(), st.data())
def test_a_text_that_is_cut_between_lines_of_a_sequence_is_refused(
    elements: Elements, draw: st.DataObject
) -> None:
    text = dump_file(read_dicom_file(file_of(elements)))
    lines = text.split(b"\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(b"(0040,0100)"))
    cut = draw.draw(st.integers(min_value=start + 1, max_value=len(lines) - 3))
    try:
        found = undump(b"\n".join(lines[:cut]))
    except InputError:
        return
    # What says how much it holds, and holds it, is whole without the marks of its end.
    assert found.elements == undump(text).elements


# ------------------------------------------------------------------------------- JSON


@given(st.one_of(data_sets(), texts()))
@example(
    {
        0x00080005: Element(0x00080005, "CS", b"\\ISO 2022 IR 87"),
        0x00100020: Element(0x00100020, "LO", b"\x1b(B "),
    }
)
def test_json_says_the_same_after_it_was_read(elements: Elements) -> None:
    ascii_set = ENCODINGS["Ascii"]
    try:
        model = to_json(elements, character_set(elements, ascii_set))
    except DatasetError:
        return
    try:
        found = from_json(json.loads(json.dumps(model)))
    except InputError:
        # A set reads characters that it cannot write, and a name may have too many groups.
        return
    assert to_json(found, character_set(found, ascii_set)) == model


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["vr", "LO", "SQ", "PN", "US", "DS", "00100010", "00080005", "GB18030"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["00080005", "00100010", "00400100", "PatientID", "x", "Alphabetic"]),
            inner,
            max_size=3,
        ),
        st.fixed_dictionaries(
            {"vr": st.sampled_from(["LO", "SQ", "PN", "US", "AT", "FD", "IS", "DS", "OB", "CS"])},
            optional={"Value": st.lists(inner, max_size=3), "InlineBinary": st.just("AAE=")},
        ),
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from(CHARACTER_SET_TEXT_VRS))
@example({"00080005": {"vr": "SQ", "Value": [{}]}}, "LO")
@example({"00400100": {"vr": "SQ", "Value": [0]}}, "LO")
@example({"00100010": {"vr": "LO", "Value": ["\ud800"]}}, "LO")
def test_any_json_is_a_data_set_or_refused(model: object, vr: str) -> None:
    for one in (model, {"00104000": {"vr": vr, "Value": [model]}}):
        try:
            found = from_json(one)
        except InputError:
            continue
        assert list(found) == sorted(found)
        encode(found.values(), EXPLICIT_VR_LITTLE_ENDIAN)
