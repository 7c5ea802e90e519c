import json
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import _dicom_dict, datadict, dcmread

from mwl.attributes import ATTRIBUTES
from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCODINGS,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INFLATED_LIMIT_BYTES,
    NESTING_LIMIT,
    TRANSFER_SYNTAXES,
    CharacterSet,
    DictionaryEntry,
    Element,
    Elements,
    Selection,
    character_set,
    decode,
    dictionary,
    encode,
    encode_file,
    extend_dictionary,
    keyword_of,
    name_of,
    read_dicom_file,
    read_file,
    read_selected,
    select,
    tag_of,
    to_json,
    values,
    vr_of,
)
from mwl.errors import DatasetError
from support.datasets import data_set, explicit, file_of, implicit, part_10

ASCII = ENCODINGS["Ascii"]
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

STEP = data_set(
    Modality="CT", ScheduledStationAETitle="CT1", ScheduledProcedureStepStartDate="20261101"
)
WORKLIST = data_set(
    SpecificCharacterSet="ISO_IR 100",
    AccessionNumber="00000",
    PatientName="VIVALDI^ANTONIO",
    PatientID="AV35674",
    PregnancyStatus=struct.pack("<H", 4),
    StudyInstanceUID="1.2.276.0.7230010.3.2.101",
    ReferencedStudySequence=[],
    ScheduledProcedureStepSequence=[STEP],
)


# ------------------------------------------------------------------------------- decode


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_a_data_set_is_the_same_after_encoding_and_decoding(transfer_syntax: str) -> None:
    assert decode(encode(WORKLIST.values(), transfer_syntax), transfer_syntax) == WORKLIST


def test_numbers_are_little_endian_whatever_the_transfer_syntax() -> None:
    data = explicit(0x001021C0, "US", b"\x00\x04", order=">")
    assert decode(data, EXPLICIT_VR_BIG_ENDIAN)[0x001021C0].value == b"\x04\x00"


@pytest.mark.parametrize(
    ("vr", "big", "little"),
    [
        ("AT", "00100020", "10002000"),
        ("OW", "01020304", "02010403"),
        ("SS", "FFFE", "FEFF"),
        ("UL", "01020304", "04030201"),
        ("SL", "01020304", "04030201"),
        ("FL", "01020304", "04030201"),
        ("OF", "01020304", "04030201"),
        ("OL", "01020304", "04030201"),
        ("FD", "0102030405060708", "0807060504030201"),
        ("OD", "0102030405060708", "0807060504030201"),
        ("OV", "0102030405060708", "0807060504030201"),
        ("SV", "0102030405060708", "0807060504030201"),
        ("UV", "0102030405060708", "0807060504030201"),
        ("OB", "01020304", "01020304"),
        ("UN", "01020304", "01020304"),
        ("LO", "41424344", "41424344"),
    ],
)
def test_big_endian_values_are_swapped_by_vr(vr: str, big: str, little: str) -> None:
    data = explicit(0x00091001, vr, bytes.fromhex(big), order=">")
    elements = decode(data, EXPLICIT_VR_BIG_ENDIAN)
    assert elements[0x00091001] == Element(0x00091001, vr, bytes.fromhex(little))
    assert encode(elements.values(), EXPLICIT_VR_BIG_ENDIAN) == data


@pytest.mark.parametrize("is_item_defined", [True, False])
@pytest.mark.parametrize("is_sequence_defined", [True, False])
@pytest.mark.parametrize("is_explicit", [True, False])
def test_sequences_and_items_may_have_undefined_length(
    is_explicit: bool, is_sequence_defined: bool, is_item_defined: bool
) -> None:
    content = explicit(0x00080060, "CS", b"CT") if is_explicit else implicit(0x00080060, b"CT")
    if is_item_defined:
        item = implicit(ITEM, content)
    else:
        item = implicit(ITEM, content, length=UNDEFINED) + implicit(ITEM_END, b"")
    items = item * 2 if is_sequence_defined else item * 2 + implicit(SEQUENCE_END, b"")
    length = -1 if is_sequence_defined else UNDEFINED
    if is_explicit:
        data = explicit(0x00400100, "SQ", items, length=length)
        data += explicit(0x00401001, "SH", b"RP")
    else:
        data = implicit(0x00400100, items, length=length) + implicit(0x00401001, b"RP")
    transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN if is_explicit else IMPLICIT_VR_LITTLE_ENDIAN
    step = data_set(Modality="CT")
    assert decode(data, transfer_syntax) == data_set(
        ScheduledProcedureStepSequence=[step, step], RequestedProcedureID="RP"
    )


def test_group_lengths_are_skipped_at_every_level() -> None:
    step = explicit(0x00080000, "UL", b"\x0a\0\0\0") + explicit(0x00080060, "CS", b"CT")
    data = explicit(0x00100000, "UL", b"\x0a\0\0\0") + explicit(0x00100020, "LO", b"P1")
    data += explicit(0x00400000, "UL", b"\0\0\0\0")
    data += explicit(0x00400100, "SQ", implicit(ITEM, step))
    expected = data_set(PatientID="P1", ScheduledProcedureStepSequence=[data_set(Modality="CT")])
    assert decode(data, EXPLICIT_VR_LITTLE_ENDIAN) == expected


@pytest.mark.parametrize("length", [-1, UNDEFINED])
def test_a_group_length_that_is_a_sequence_is_skipped_with_all_that_it_holds(length: int) -> None:
    items = implicit(ITEM, explicit(0x00080060, "CS", b"CT"))
    if length == UNDEFINED:
        items += implicit(SEQUENCE_END, b"")
    data = explicit(0x00400000, "SQ", items, length=length) + explicit(0x00401001, "SH", b"RP")
    expected = data_set(RequestedProcedureID="RP")
    assert decode(data, EXPLICIT_VR_LITTLE_ENDIAN) == expected


def test_trailing_padding_is_skipped() -> None:
    data = explicit(0x00100020, "LO", b"P1") + explicit(0xFFFCFFFC, "OB", b"\0" * 20)
    assert decode(data, EXPLICIT_VR_LITTLE_ENDIAN) == data_set(PatientID="P1")


def test_private_elements_are_kept_with_the_vr_that_they_have() -> None:
    data = explicit(0x00090010, "LO", b"ACME") + explicit(0x00091001, "DA", b"20260101")
    elements = decode(data, EXPLICIT_VR_LITTLE_ENDIAN)
    assert list(elements.values()) == [
        Element(0x00090010, "LO", b"ACME"),
        Element(0x00091001, "DA", b"20260101"),
    ]


def test_private_elements_without_a_vr_are_unknown_and_their_creators_text() -> None:
    data = implicit(0x00090010, b"ACME") + implicit(0x00091001, b"20260101")
    elements = decode(data, IMPLICIT_VR_LITTLE_ENDIAN)
    assert [element.vr for element in elements.values()] == ["LO", "UN"]


def test_unknown_vr_of_undefined_length_is_an_implicit_sequence() -> None:
    items = implicit(ITEM, implicit(0x00080060, b"CT"), length=UNDEFINED)
    items += implicit(ITEM_END, b"") + implicit(SEQUENCE_END, b"")
    expected = Element(0x00091001, "SQ", (data_set(Modality="CT"),))
    for transfer_syntax, order in ((EXPLICIT_VR_LITTLE_ENDIAN, "<"), (EXPLICIT_VR_BIG_ENDIAN, ">")):
        data = explicit(0x00091001, "UN", items, length=UNDEFINED, order=order)
        assert decode(data, transfer_syntax) == {0x00091001: expected}


def test_unknown_vr_of_a_known_sequence_is_read_where_it_is_one() -> None:
    items = implicit(ITEM, implicit(0x00080060, b"CT"))
    elements = decode(explicit(0x00400100, "UN", items), EXPLICIT_VR_LITTLE_ENDIAN)
    assert elements == data_set(ScheduledProcedureStepSequence=[data_set(Modality="CT")])
    elements = decode(explicit(0x00400100, "UN", b"junk"), EXPLICIT_VR_LITTLE_ENDIAN)
    assert elements[0x00400100] == Element(0x00400100, "UN", b"junk")


def test_unknown_vr_of_a_known_text_has_the_vr_of_the_dictionary() -> None:
    elements = decode(explicit(0x00100020, "UN", b"P1"), EXPLICIT_VR_LITTLE_ENDIAN)
    assert elements == data_set(PatientID="P1")


def test_tags_out_of_order_come_out_ascending() -> None:
    data = explicit(0x00100020, "LO", b"P1") + explicit(0x00080060, "CS", b"CT")
    data += explicit(0x00091001, "LO", b"AB")
    assert list(decode(data, EXPLICIT_VR_LITTLE_ENDIAN)) == [0x00080060, 0x00091001, 0x00100020]


def test_no_bytes_are_an_empty_data_set() -> None:
    assert decode(b"", IMPLICIT_VR_LITTLE_ENDIAN) == {}


P1 = explicit(0x00100020, "LO", b"P1")
OPEN_SEQUENCE = explicit(0x00400100, "SQ", b"", length=UNDEFINED)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (P1 + P1, "occurs twice in (0010,0020) at offset 10"),
        (P1[:5], "ends inside an element at offset 0"),
        (P1 + P1[:7], "ends inside an element at offset 10"),
        (P1[:-1], "value of 2 bytes where 1 are left in (0010,0020) at offset 0"),
        (explicit(0x00091001, "OB", b"")[:11], "ends inside an element"),
        (P1 + b"\0", "ends inside an element at offset 10"),
        (explicit(0x00100020, "LO", b"").replace(b"LO", b"L0"), "no known VR"),
        (explicit(0x00091001, "OB", b"", length=UNDEFINED), "undefined length with VR OB"),
        (implicit(ITEM, b""), "outside a sequence"),
        (implicit(ITEM_END, b""), "outside a sequence"),
        (implicit(SEQUENCE_END, b""), "outside a sequence"),
        (explicit(0x00400100, "SQ", P1), "no item where one is expected in (0010,0020)"),
        (explicit(0x00400100, "SQ", b"junk"), "sequence ends inside an item"),
        (explicit(0x00400100, "SQ", implicit(ITEM, P1, length=11)), "item of 11 bytes where 10"),
        (explicit(0x00400100, "SQ", implicit(SEQUENCE_END, b"")), "no item where one is expected"),
        (OPEN_SEQUENCE, "before the end of a sequence"),
        (OPEN_SEQUENCE + implicit(ITEM, P1), "before the end of a sequence"),
        (OPEN_SEQUENCE + implicit(ITEM, P1, length=UNDEFINED), "before the end of an item"),
        (
            explicit(
                0x00400100,
                "SQ",
                implicit(ITEM, b"", length=UNDEFINED) + implicit(ITEM_END, b"")[:6],
            )
            + b"\0\0",
            "delimiter of an item",
        ),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        decode(data, EXPLICIT_VR_LITTLE_ENDIAN)
    assert message in str(caught.value)


def test_a_cut_implicit_data_set_is_refused() -> None:
    with pytest.raises(DatasetError, match="value of 2 bytes where 1 are left"):
        decode(implicit(0x00100020, b"P1")[:-1], IMPLICIT_VR_LITTLE_ENDIAN)
    with pytest.raises(DatasetError, match="ends inside an element"):
        decode(implicit(0x00100020, b"P1")[:7], IMPLICIT_VR_LITTLE_ENDIAN)


def test_messages_hold_no_value() -> None:
    data = explicit(0x00100010, "PN", b"VIVALDI^ANTONIO ")
    for cut in range(1, len(data)):
        with pytest.raises(DatasetError) as caught:
            decode(data[:cut], EXPLICIT_VR_LITTLE_ENDIAN)
        assert "VIVALDI" not in str(caught.value)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = implicit(0x00400100, implicit(ITEM, data))
    return data


def test_nesting_has_a_limit() -> None:
    elements = decode(nested(NESTING_LIMIT), IMPLICIT_VR_LITTLE_ENDIAN)
    assert list(elements) == [0x00400100]
    with pytest.raises(DatasetError, match="nested deeper than"):
        decode(nested(NESTING_LIMIT + 1), IMPLICIT_VR_LITTLE_ENDIAN)


def test_deep_nesting_of_undefined_length_is_refused_without_recursion_to_the_end() -> None:
    start = implicit(0x00400100, implicit(ITEM, b"", length=UNDEFINED), length=UNDEFINED)
    with pytest.raises(DatasetError, match="nested deeper than"):
        decode(start * 50_000, IMPLICIT_VR_LITTLE_ENDIAN)


def test_nesting_counts_across_unknown_vrs() -> None:
    items = implicit(ITEM, nested(NESTING_LIMIT - 10)) + implicit(SEQUENCE_END, b"")
    data = explicit(0x00091001, "UN", items, length=UNDEFINED)
    for _ in range(9):
        data = explicit(0x00091001, "SQ", implicit(ITEM, data))
    assert list(decode(data, EXPLICIT_VR_LITTLE_ENDIAN)) == [0x00091001]
    with pytest.raises(DatasetError, match="nested deeper than"):
        decode(explicit(0x00091001, "SQ", implicit(ITEM, data)), EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES[:3])
def test_zeros_that_nobody_has_written_over_yet_are_refused(transfer_syntax: str) -> None:
    data = encode(WORKLIST.values(), transfer_syntax)
    for zeros in range(1, 40):
        with pytest.raises(DatasetError):
            decode(data + b"\0" * zeros, transfer_syntax)
        with pytest.raises(DatasetError):
            read_file(b"\0" * zeros)


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def test_a_deflate_bomb_is_refused() -> None:
    with pytest.raises(DatasetError, match=f"larger than {INFLATED_LIMIT_BYTES} bytes"):
        decode(deflated(b"\0" * INFLATED_LIMIT_BYTES * 4), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (deflated(P1)[:-1], "ends too early"),
        (b"", "ends too early"),
        (b"\xff\xff\xff\xff", "damaged"),
        (deflated(P1) + b"\0\0", "follow"),
        (deflated(P1) + b"x", "follow"),
    ],
)
def test_a_damaged_deflated_data_set_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        decode(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_deflated_data_set_has_even_length_and_may_be_padded() -> None:
    for number in range(20):
        elements = data_set(PatientID=f"P{number * 7919}")
        data = encode(elements.values(), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        assert len(data) % 2 == 0
        assert decode(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) == elements


def test_other_transfer_syntaxes_are_refused_by_name() -> None:
    with pytest.raises(DatasetError, match=r"1\.2\.840\.10008\.1\.2\.4\.50 is not supported"):
        decode(b"", "1.2.840.10008.1.2.4.50")
    with pytest.raises(DatasetError, match=r"1\.2\.840\.10008\.1\.2\.4\.50 is not supported"):
        encode((), "1.2.840.10008.1.2.4.50")


# ------------------------------------------------------------------------------- encode


def test_values_are_padded_by_vr() -> None:
    elements = [
        Element(0x00080018, "UI", b"1.2"),
        Element(0x00091001, "OB", b"x"),
        Element(0x00091002, "UN", b"x"),
        Element(0x00100010, "PN", b"A^B"),
    ]
    decoded = decode(encode(elements, EXPLICIT_VR_LITTLE_ENDIAN), EXPLICIT_VR_LITTLE_ENDIAN)
    assert [element.value for element in decoded.values()] == [b"1.2\0", b"x\0", b"x\0", b"A^B "]


def test_elements_are_written_ascending_and_group_lengths_not_at_all() -> None:
    elements = [Element(0x00100000, "UL", b"\0\0\0\0"), *reversed(WORKLIST.values())]
    assert (
        decode(encode(elements, EXPLICIT_VR_LITTLE_ENDIAN), EXPLICIT_VR_LITTLE_ENDIAN) == WORKLIST
    )
    assert encode(elements, EXPLICIT_VR_LITTLE_ENDIAN)[:4] == b"\x08\0\5\0"


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
def test_a_value_too_long_for_its_vr_is_written_as_unknown(transfer_syntax: str) -> None:
    elements = data_set(PatientComments="x" * 65_536)
    data = encode(elements.values(), transfer_syntax)
    assert data[4:6] == b"UN"
    assert decode(data, transfer_syntax) == elements


def test_junk_in_place_of_a_sequence_does_not_spoil_an_implicit_data_set() -> None:
    elements = [Element(0x00081110, "UN", b"junk"), *data_set(PatientID="P1").values()]
    data = encode(elements, IMPLICIT_VR_LITTLE_ENDIAN)
    expected = data_set(ReferencedStudySequence=[], PatientID="P1")
    assert decode(data, IMPLICIT_VR_LITTLE_ENDIAN) == expected


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_pydicom_reads_what_is_written(transfer_syntax: str) -> None:
    data_file = BytesIO(file_of(WORKLIST, transfer_syntax))
    read = pydicom.dcmread(data_file)
    assert read.PatientName == "VIVALDI^ANTONIO"
    assert read.PregnancyStatus == 4
    assert read.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"


# ------------------------------------------------------------------------------- files


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_a_part_10_file_is_read_in_its_transfer_syntax(transfer_syntax: str) -> None:
    assert read_file(file_of(WORKLIST, transfer_syntax)) == WORKLIST


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize("wrapping", [b"", b"\0" * 128 + b"DICM"])
def test_a_bare_data_set_tells_its_transfer_syntax(transfer_syntax: str, wrapping: bytes) -> None:
    assert read_file(wrapping + encode(WORKLIST.values(), transfer_syntax)) == WORKLIST


def test_meta_information_without_a_preamble_is_read() -> None:
    assert read_file(file_of(WORKLIST, EXPLICIT_VR_BIG_ENDIAN)[132:]) == WORKLIST


@pytest.mark.parametrize("length", [0, 14, 15, 0xFFFF])
def test_meta_information_with_a_wrong_group_length_is_read(length: int) -> None:
    data = bytearray(file_of(WORKLIST))
    assert data[132:140] == b"\x02\0\0\0UL\4\0"
    data[140:144] = struct.pack("<I", length)
    assert read_file(bytes(data)) == WORKLIST


def test_damaged_meta_information_is_named_with_its_place() -> None:
    data = file_of(WORKLIST)
    with pytest.raises(DatasetError, match=r"no known VR .* in \(0002,0010\) at offset 158"):
        read_file(data.replace(b"\x10\0UI", b"\x10\0U1"))
    with pytest.raises(DatasetError, match="inside its meta information"):
        read_file(data[:170])


def test_meta_information_without_a_transfer_syntax_leaves_it_to_the_data_set() -> None:
    meta = explicit(0x00020001, "OB", b"\0\1")
    data = b"\0" * 128 + b"DICM" + meta + encode(WORKLIST.values(), IMPLICIT_VR_LITTLE_ENDIAN)
    assert read_file(data) == WORKLIST


def test_a_deflated_file_may_begin_like_meta_information() -> None:
    content = encode(WORKLIST.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    # RFC 1951: an empty fixed block and the header of a stored one are 02 00, group 0002.
    stored = struct.pack("<HH", len(content), len(content) ^ 0xFFFF) + content
    compressed = b"\x02\x00" + stored + b"\x03\x00"
    data = part_10(compressed, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert read_file(data) == WORKLIST


def test_the_worklist_tables_and_the_registry_agree() -> None:
    for tag in {attribute.tag for attribute in ATTRIBUTES}:
        vr, _, name, _, keyword = datadict.get_entry(tag)
        assert (vr_of(tag), name_of(tag), keyword_of(tag)) == (vr, name, keyword)


def test_the_attributes_of_codes_are_those_of_the_registry() -> None:
    for tag in (0x00080100, 0x00080102, 0x00080103, 0x00080104):
        vr, _, name, _, keyword = datadict.get_entry(tag)
        assert (vr_of(tag), name_of(tag), keyword_of(tag)) == (vr, name, keyword)


def test_the_registry_is_not_loaded_with_the_command_line() -> None:
    script = "import sys, mwl.cli; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


NAME = explicit(0x00100010, "PN", b"BACH")
SEX = explicit(0x00100040, "CS", b"M ")
CODE = explicit(0x00080100, "SH", b"C1")
CODES = 0x00321064


def sequence(*items: bytes, tag: int = CODES) -> bytes:
    wrapped = b"".join(implicit(ITEM, item) for item in items)
    return explicit(tag, "SQ", wrapped)


@pytest.mark.parametrize(
    "data",
    [
        NAME + SEX + sequence(CODE, CODE),
        SEX + NAME,
        explicit(0x00100000, "UL", b"\x0c\0\0\0") + NAME,
        NAME + explicit(0xFFFCFFFC, "OB", b"\0\0"),
        explicit(0x00100010, "PN", b"ODD") + SEX,
        explicit(0x00104000, "UT", b"odd"),
        explicit(0x00100010, "UN", b"BACH"),
        explicit(0x00091010, "UN", b"1234"),
        explicit(CODES, "UN", implicit(ITEM, implicit(0x00080100, b"C1"))),
        sequence(CODE).replace(b"SQ\0\0", b"SQ\1\0"),
        explicit(CODES, "SQ", implicit(ITEM, CODE, length=UNDEFINED) + implicit(ITEM_END, b"")),
        explicit(CODES, "SQ", implicit(ITEM, CODE) + implicit(SEQUENCE_END, b""), length=UNDEFINED),
        sequence(sequence(SEX + NAME)),
        sequence(),
        sequence(b""),
        sequence(CODE) + sequence(CODE + explicit(0x00080104, "LO", b"x" * 300), tag=CODES + 4),
    ],
)
@pytest.mark.parametrize("wanted", [(), (CODES,), (CODES, 0x00080100), (0x00100010,)])
def test_a_file_is_kept_as_its_elements_are_encoded(data: bytes, wanted: tuple[int, ...]) -> None:
    elements = read_file(part_10(data))
    selection = Selection.of([wanted] if wanted else [])
    encoded, selected = read_selected(part_10(data), selection)
    assert encoded == encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    assert selected == select(encoded, selection)


@pytest.mark.parametrize(
    "data",
    [
        NAME + NAME,
        NAME[:-1],
        NAME + sequence(CODE)[:-1],
        NAME + sequence(CODE)[:10],
        NAME + sequence(CODE[:-2]),
        sequence(CODE + CODE),
        sequence(CODE, CODE[:6]),
        explicit(CODES, "SQ", b"1234567890"),
    ],
)
def test_a_damaged_file_is_refused_whatever_is_wanted_of_it(data: bytes) -> None:
    for wanted in ((0x00100010,), (CODES,), (CODES, 0x00080100)):
        with pytest.raises(DatasetError):
            read_selected(part_10(data), Selection.of([wanted]))


def test_sequences_may_not_be_nested_without_end() -> None:
    data = NAME
    for _ in range(NESTING_LIMIT):
        data = sequence(data)
    encoded, _ = read_selected(part_10(data), Selection.of([(CODES,)]))
    assert encoded == data
    with pytest.raises(DatasetError, match="nested deeper"):
        read_selected(part_10(sequence(data)), Selection.of([]))


def test_an_unsupported_transfer_syntax_of_a_file_is_named() -> None:
    with pytest.raises(DatasetError, match=r"1\.2\.840\.10008\.1\.2\.4\.50 is not supported"):
        read_file(part_10(P1, "1.2.840.10008.1.2.4.50"))


@pytest.mark.parametrize("data", [b"", b"\0" * 128 + b"DICM", part_10(b"")])
def test_a_file_without_a_data_set_is_refused(data: bytes) -> None:
    with pytest.raises(DatasetError, match="no data set"):
        read_file(data)


def test_a_file_cut_anywhere_inside_an_element_is_refused() -> None:
    data = file_of(WORKLIST)
    accepted = []
    for cut in range(len(data)):
        try:
            accepted.append(list(read_file(data[:cut]).values()))
        except DatasetError:
            continue
    # What is accepted ends with a whole element; nobody can tell that more was to come.
    whole = list(WORKLIST.values())
    assert accepted == [whole[:count] for count in range(1, len(whole))]


def test_the_offset_of_damage_counts_in_the_file() -> None:
    data = file_of(WORKLIST)
    with pytest.raises(DatasetError) as caught:
        read_file(data[:-1])
    assert caught.value.tag == 0x00400100
    assert caught.value.offset == data.rindex(b"\x40\x00\x00\x01SQ")


# ------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("LO", b"", []),
        ("SQ", (), []),
        ("LO", b"A\\B ", ["A", "B "]),
        ("LO", b"\\ ", ["", " "]),
        ("LT", b"A\\B ", ["A\\B "]),
        ("UT", b"A\\B ", ["A\\B "]),
        ("ST", b" A", [" A"]),
        ("UR", b"http://a\\b", ["http://a\\b"]),
        ("UI", b"1.2\0", ["1.2"]),
        ("UI", b"1.2\\1.3\0", ["1.2", "1.3"]),
        ("DA", b"20260101", ["20260101"]),
        ("US", b"\x01\0\xff\xff", ["1", "65535"]),
        ("SS", b"\xff\xff", ["-1"]),
        ("UL", b"\xff\xff\xff\xff", ["4294967295"]),
        ("SL", b"\xff\xff\xff\xff", ["-1"]),
        ("SV", b"\xff" * 8, ["-1"]),
        ("UV", b"\xff" * 8, ["18446744073709551615"]),
        ("FD", struct.pack("<d", 0.1), ["0.1"]),
        ("FL", struct.pack("<f", 0.5), ["0.5"]),
        ("AT", bytes.fromhex("1000200008000500"), ["00100020", "00080005"]),
        ("OB", b"\x00\xff", ["\x00\xff"]),
        ("UN", b"P1", ["P1"]),
    ],
)
def test_values_follow_the_vr(
    vr: str, value: bytes | tuple[Elements, ...], expected: list[str]
) -> None:
    assert values(Element(0x00091001, vr, value), ASCII) == expected


def test_text_outside_its_repertoire_is_refused_without_telling_it() -> None:
    for vr in ("AE", "LO"):
        with pytest.raises(DatasetError) as caught:
            values(Element(0x00091001, vr, b"VIVALDI\xe9"), ASCII)
        assert (caught.value.tag, caught.value.offset) == (0x00091001, 7)
        assert "VIVALDI" not in str(caught.value)


@pytest.mark.parametrize("vr", ["US", "UL", "FD", "AT"])
def test_numbers_of_a_wrong_length_are_refused(vr: str) -> None:
    with pytest.raises(DatasetError, match=r"3 bytes are no whole number of .. in \(0009,1001\)"):
        values(Element(0x00091001, vr, b"abc"), ASCII)


# ------------------------------------------------------------------------------- dictionary


def test_the_dictionary_knows_tags_keywords_names_and_vrs() -> None:
    assert vr_of(0x00400100) == "SQ"
    assert tag_of("PatientName") == 0x00100010
    assert keyword_of(0x00100010) == "PatientName"
    assert name_of(0x00100010) == "Patient's Name"
    assert vr_of(0x60003000) == "OW"  # a repeating group with a choice of VRs
    assert vr_of(0x00280106) == "US"


def test_what_the_dictionary_lacks_has_neutral_answers() -> None:
    assert (vr_of(0x00091001), keyword_of(0x00091001), name_of(0x00091001)) == ("UN", "", "")
    assert (vr_of(0x00080007), vr_of(0xFFFEE000)) == ("UN", "UN")
    assert tag_of("NoSuchKeyword") is None
    assert (vr_of(0x00090010), vr_of(0x00100000)) == ("LO", "UL")


def test_the_registry_is_that_of_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    repeated = (int(mask.replace("x", "0"), 16) for mask in _dicom_dict.RepeatersDictionary)
    tags = [*_dicom_dict.DicomDictionary, *repeated, 0x60FE3000, 0x002031FF, 0x00080007]
    found = dictionary._Registry()
    for tag in tags:
        known = datadict.get_entry(tag) if datadict.dictionary_has_tag(tag) else None
        known = known or (datadict.get_entry(tag) if datadict.repeater_has_tag(tag) else None)
        if known is None:
            with pytest.raises(KeyError):
                found.row(tag)
        else:
            assert found.row(tag) == known
    assert found.tags == datadict.keyword_dict
    # pydicom does not promise where its table is.
    monkeypatch.setattr(dictionary, "_TABLE_FILE", "no_such_file.py")
    assert dictionary._Registry().rows == found.rows


def test_the_dictionary_can_be_extended() -> None:
    tag = 0x4DEF1001
    assert decode(implicit(tag, b"AB"), IMPLICIT_VR_LITTLE_ENDIAN)[tag].vr == "UN"
    extend_dictionary([DictionaryEntry(tag, "SH", "Site Code", "SiteCodeOfThisTest")])
    assert decode(implicit(tag, b"AB"), IMPLICIT_VR_LITTLE_ENDIAN)[tag].vr == "SH"
    assert tag_of("SiteCodeOfThisTest") == tag
    assert name_of(tag) == "Site Code"
    with pytest.raises(ValueError, match="'XX' is not a value representation"):
        extend_dictionary([DictionaryEntry(tag, "XX", "Site Code")])


# ------------------------------------------------------------------------------- JSON


def test_json_is_that_of_pydicom() -> None:
    elements = WORKLIST | data_set(
        PatientWeight="70.5",
        NumberOfFrames="12",
        PatientName=b"M\xfcller^J\xf6rg=\xc4=\xd6",
        OtherPatientNames="A^B\\C",
        MedicalAlerts="one\\\\three",
        FrameIncrementPointer=bytes.fromhex("10002000"),
        EncapsulatedDocument=b"\x00\x01",
        SelectorFDValue=struct.pack("<2d", 1.5, -2),
        PatientComments="a\\b ",
        Allergies="",
    )
    elements = dict(sorted(elements.items()))
    expected = pydicom.dcmread(BytesIO(file_of(elements))).to_json_dict()
    # PS3.18 F.2.2 and F.2.5: no "Value" where there is none, and null for an empty one of several.
    del expected["00081110"]["Value"]
    expected["00102000"]["Value"][1] = None
    found = to_json(elements, character_set(elements, ASCII))
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected))


def test_json_keeps_numbers_in_text_that_are_none() -> None:
    elements = data_set(PatientWeight="heavy", SelectorFDValue=struct.pack("<d", float("inf")))
    found = to_json(elements, ASCII)
    assert found["00101030"]["Value"] == ["heavy"]
    assert found["00720074"]["Value"] == ["inf"]


def test_json_reads_an_item_in_the_character_set_that_it_names() -> None:
    step = data_set(
        SpecificCharacterSet="ISO_IR 192", ScheduledProcedureStepDescription="é".encode()
    )
    found = to_json(
        data_set(ScheduledProcedureStepSequence=[step]), CharacterSet.of(("ISO_IR 100",))
    )
    assert found["00400100"]["Value"][0]["00400007"]["Value"] == ["é"]


# ------------------------------------------------------------------------------- real writers


@pytest.mark.interop
@pytest.mark.parametrize(
    "options",
    [
        [f"--write-xfer{syntax} {length} {groups} {wrapping}"]
        for syntax in ("-little", "-implicit", "-big", "-deflated")
        for length in ("+e", "-e")
        for groups in ("+g", "-g")
        for wrapping in ("+F", "-F")
        if not (syntax == "-deflated" and wrapping == "-F")
    ],
    ids=lambda options: options[0],
)
def test_what_dcmconv_writes_is_read(options: list[str], tmp_path: Path) -> None:
    written, converted = tmp_path / "written.wl", tmp_path / "converted.wl"
    written.write_bytes(file_of(WORKLIST))
    subprocess.run(["dcmconv", *options[0].split(), written, converted], check=True)
    assert read_file(converted.read_bytes()) == WORKLIST


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_a_file_that_was_made_is_read_with_its_meta_information(transfer_syntax: str) -> None:
    elements = {0x00100010: Element(0x00100010, "PN", b"DOE^JANE")}
    file = read_dicom_file(encode_file(elements, transfer_syntax))
    assert file.transfer_syntax == transfer_syntax
    assert file.elements == elements
    assert file.meta[0x00020010].value == transfer_syntax.encode().ljust(
        (len(transfer_syntax) + 1) // 2 * 2, b"\0"
    )


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_pydicom_reads_the_file_that_was_made(transfer_syntax: str) -> None:
    elements = {0x00100010: Element(0x00100010, "PN", b"DOE^JANE")}
    read = dcmread(BytesIO(encode_file(elements, transfer_syntax)))
    assert read.PatientName == "DOE^JANE"
    assert read.file_meta.TransferSyntaxUID == transfer_syntax
    assert read.file_meta.FileMetaInformationVersion == b"\0\1"
    assert read.file_meta.MediaStorageSOPInstanceUID.startswith("2.25.")


def test_meta_information_that_is_given_is_kept() -> None:
    elements = {0x00100010: Element(0x00100010, "PN", b"DOE^JANE")}
    instance = Element(0x00020003, "UI", b"1.2.3\0")
    data = encode_file(elements, EXPLICIT_VR_LITTLE_ENDIAN, {instance.tag: instance})
    assert read_dicom_file(data).meta[0x00020003] == instance


def test_a_bare_data_set_has_no_meta_information() -> None:
    elements = {0x00100010: Element(0x00100010, "PN", b"DOE^JANE")}
    file = read_dicom_file(encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN))
    assert file == (EXPLICIT_VR_LITTLE_ENDIAN, {}, elements)


@pytest.mark.parametrize(
    "text",
    [
        "# Dicom-File-Format\n\n# Dicom-Meta-Information-Header\n",
        "(0008,0005) CS [ISO_IR 100]   # 10, 1 SpecificCharacterSet\n",
        "\ufeff\n(0010,0010) PN DOE^JANE\n",
        '{"00100010": {"vr": "PN"}}',
        '[\n {"PatientName": "DOE^JANE"}]',
    ],
)
def test_text_in_place_of_a_file_is_told_with_what_to_do(text: str) -> None:
    with pytest.raises(DatasetError, match="mwl undump"):
        read_file(text.encode())
