"""Any bytes, any data set, any text: what holds for all of them."""

from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    Selection,
    character_set,
    decode,
    encode,
    read_file,
    read_selected,
    select,
    to_json,
    values,
)
from mwl.dump import dump
from mwl.errors import DatasetError
from support.datasets import CHARACTER_SET_TEXT_VRS, data_sets, file_of

transfer_syntaxes = st.sampled_from(TRANSFER_SYNTAXES)
explicit_transfer_syntaxes = st.sampled_from(
    [syntax for syntax in TRANSFER_SYNTAXES if syntax != IMPLICIT_VR_LITTLE_ENDIAN]
)


@given(data_sets(), explicit_transfer_syntaxes)
def test_an_explicit_data_set_is_the_same_after_encoding_and_decoding(
    elements: Elements, transfer_syntax: str
) -> None:
    decoded = decode(encode(elements.values(), transfer_syntax), transfer_syntax)
    assert decoded == elements
    assert list(decoded) == sorted(decoded)


@given(data_sets())
def test_a_deflated_data_set_is_known_without_a_header(elements: Elements) -> None:
    assume(elements)
    assert read_file(encode(elements.values(), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)) == elements


@given(data_sets(private=False))
def test_an_implicit_data_set_is_the_same_after_encoding_and_decoding(elements: Elements) -> None:
    data = encode(elements.values(), IMPLICIT_VR_LITTLE_ENDIAN)
    assert decode(data, IMPLICIT_VR_LITTLE_ENDIAN) == elements


@given(st.binary(max_size=200), transfer_syntaxes)
@example(b"\xfe\xff\x00\xe0\xff\xff\xff\xff", IMPLICIT_VR_LITTLE_ENDIAN)
def test_any_bytes_are_a_data_set_or_an_error(data: bytes, transfer_syntax: str) -> None:
    try:
        elements = decode(data, transfer_syntax)
    except DatasetError:
        return
    assert list(elements) == sorted(elements)
    encode(elements.values(), transfer_syntax)


@given(data_sets(), transfer_syntaxes, st.data())
def test_a_damaged_file_is_a_data_set_or_an_error(
    elements: Elements, transfer_syntax: str, draw: st.DataObject
) -> None:
    data = bytearray(file_of(elements, transfer_syntax))
    for _ in range(draw.draw(st.integers(min_value=1, max_value=3))):
        position = draw.draw(st.integers(min_value=0, max_value=len(data) - 1))
        data[position] = draw.draw(st.integers(min_value=0, max_value=255))
    cut = draw.draw(st.integers(min_value=0, max_value=len(data)))
    for damaged in (bytes(data), bytes(data[:cut])):
        try:
            found = read_file(damaged)
        except DatasetError:
            continue
        assert found
        # What was read can be shown and sent, whatever it is.
        dump(found, ENCODINGS["Ascii"])
        encode(found.values(), EXPLICIT_VR_LITTLE_ENDIAN)


@given(data_sets(), explicit_transfer_syntaxes)
def test_a_cut_data_set_never_holds_a_changed_value(
    elements: Elements, transfer_syntax: str
) -> None:
    data = encode(elements.values(), transfer_syntax)
    for cut in range(len(data)):
        try:
            found = decode(data[:cut], transfer_syntax)
        except DatasetError:
            continue
        assert list(found.values()) == list(elements.values())[: len(found)]


@given(
    st.binary(max_size=40),
    st.sampled_from([*CHARACTER_SET_TEXT_VRS, "AE", "UI", "IS", "US", "AT", "FD", "OB", "UN"]),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_any_value_is_text_or_an_error(value: bytes, vr: str, encoding: str) -> None:
    element = Element(0x00091001, vr, value)
    try:
        found = values(element, ENCODINGS[encoding])
        to_json({element.tag: element}, ENCODINGS[encoding])
    except DatasetError:
        return
    assert all(isinstance(one, str) for one in found)


TERMS = [
    "ISO 2022 IR 6",
    "ISO 2022 IR 13",
    "ISO 2022 IR 58",
    "ISO 2022 IR 87",
    "ISO 2022 IR 100",
    "ISO 2022 IR 101",
    "ISO 2022 IR 109",
    "ISO 2022 IR 110",
    "ISO 2022 IR 126",
    "ISO 2022 IR 127",
    "ISO 2022 IR 138",
    "ISO 2022 IR 144",
    "ISO 2022 IR 148",
    "ISO 2022 IR 149",
    "ISO 2022 IR 159",
    "ISO 2022 IR 166",
    "ISO 2022 IR 203",
]
character_sets = st.one_of(
    st.lists(st.sampled_from(TERMS), min_size=1, max_size=4).map(
        lambda terms: CharacterSet.of(tuple(terms))
    ),
    st.sampled_from(sorted(ENCODINGS.values(), key=lambda one: one.terms)),
)
text = st.text(
    st.one_of(
        st.sampled_from("AB ^=\\\r\n\t日本亜丂ﾔ金希중文Яüéกﺏλ㐀王"),
        st.characters(exclude_characters="\x1b", exclude_categories=["Cs"]),
    ),
    max_size=30,
)


@given(character_sets, text, st.sampled_from(CHARACTER_SET_TEXT_VRS))
def test_text_that_a_set_can_write_is_read_back_the_same(
    characters: CharacterSet, written: str, vr: str
) -> None:
    try:
        encoded = characters.encode(written, vr)
    except UnicodeEncodeError:
        return
    assert characters.decode(encoded, vr) == written


@given(character_sets, st.binary(max_size=40), st.sampled_from(CHARACTER_SET_TEXT_VRS))
def test_any_bytes_are_text_or_an_error(characters: CharacterSet, value: bytes, vr: str) -> None:
    with suppress(DatasetError):
        characters.decode(value, vr)


@given(st.binary(max_size=40))
def test_any_character_set_element_is_a_set_or_an_error(value: bytes) -> None:
    with suppress(DatasetError):
        character_set({0x00080005: Element(0x00080005, "CS", value)}, ENCODINGS["Latin1"])


def paths_of(elements: Elements) -> list[tuple[int, ...]]:
    """Give the paths of all attributes, those in sequences too."""
    paths: list[tuple[int, ...]] = []
    for tag, _, value in elements.values():
        paths.append((tag,))
        for item in value if isinstance(value, tuple) else ():
            paths += [(tag, *path) for path in paths_of(item)]
    return paths


def chosen(elements: Elements, paths: set[tuple[int, ...]]) -> Elements:
    """Take out of a decoded data set what a selection of some paths takes."""
    found = {}
    for tag, element in elements.items():
        inner = {path[1:] for path in paths if path[0] == tag}
        if not inner and tag != 0x00080005:
            continue
        value = element.value
        if inner and () not in inner and isinstance(value, tuple):
            value = tuple(chosen(item, inner) for item in value)
        found[tag] = element._replace(value=value)
    return found


@given(data_sets(), st.data())
def test_a_selection_is_what_decoding_gives(elements: Elements, draw: st.DataObject) -> None:
    data = encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    paths = paths_of(elements)
    wanted = draw.draw(st.sets(st.sampled_from(paths)) if paths else st.just(set()))
    wanted |= draw.draw(st.sets(st.just((0x00404321, 0x00080060))))
    expected = chosen(decode(data, EXPLICIT_VR_LITTLE_ENDIAN), wanted)
    assert select(data, Selection.of(wanted)) == expected


@given(data_sets(), transfer_syntaxes, st.data())
def test_a_file_read_for_a_selection_is_the_file_read_as_a_whole(
    elements: Elements, transfer_syntax: str, draw: st.DataObject
) -> None:
    data = bytearray(file_of(elements, transfer_syntax))
    for _ in range(draw.draw(st.integers(min_value=0, max_value=2))):
        position = draw.draw(st.integers(min_value=0, max_value=len(data) - 1))
        data[position] = draw.draw(st.integers(min_value=0, max_value=255))
    wanted = Selection.of(paths_of(elements)[:3])
    try:
        expected = encode(read_file(bytes(data)).values(), EXPLICIT_VR_LITTLE_ENDIAN)
    except DatasetError:
        with pytest.raises(DatasetError):
            read_selected(bytes(data), wanted)
        return
    encoded, selected = read_selected(bytes(data), wanted)
    assert encoded == expected
    assert selected == select(encoded, wanted)
