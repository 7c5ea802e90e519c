import struct
import subprocess
from pathlib import Path

import pytest

from mwl.dataset import ENCODINGS, CharacterSet, Element, Elements, character_set
from mwl.dump import dump
from support.datasets import data_set, file_of, in_order

ASCII = ENCODINGS["Ascii"]

EVERYTHING = in_order(
    [
        *data_set(
            SpecificCharacterSet="ISO_IR 192",
            SOPClassUID="1.2.840.10008.5.1.4.31",
            AccessionNumber="",
            ReferencedStudySequence=[],
            ReferencedPatientSequence=[{}, data_set(ImageType="A\\B")],
            PatientName="Müller^Jörg=山田^太郎".encode(),
            PatientWeight=" 70.5 ",
            PatientComments="one\\two  ",
            ImageComments="x" * 101,
            MedicalAlerts="latex\\\\iodine",
            SmallestImagePixelValue=struct.pack("<H", 65535),
            FrameIncrementPointer=bytes.fromhex("1000200054001200"),
            ScheduledProcedureStepSequence=[
                data_set(
                    Modality="CT",
                    ScheduledProtocolCodeSequence=[
                        data_set(CodeValue="C1"),
                        data_set(CodeValue="C2"),
                    ],
                )
            ],
        ).values(),
        Element(0x00090010, "LO", b"ACME"),
        Element(0x00091001, "UN", b"\x01\x02AB"),
        Element(0x00091002, "FD", struct.pack("<3d", 1.5, 1e-7, 1e22)),
        Element(0x00091003, "FL", struct.pack("<2f", 0.1, 3)),
        Element(0x00091004, "OB", b"\x01\xff"),
        Element(0x00091005, "OW", b"\x01\xff\x02\x03"),
        Element(0x00091006, "UL", struct.pack("<2I", 1, 4_000_000_000)),
        Element(0x00091007, "SL", struct.pack("<i", -4)),
        Element(0x00091008, "OF", struct.pack("<2f", 0.1, 2)),
        Element(0x00091009, "UC", b"abc\\def "),
        Element(0x0009100A, "SV", struct.pack("<q", -5)),
        Element(0x0009100B, "UV", struct.pack("<Q", 5)),
        Element(0x0009100C, "OD", struct.pack("<d", 5.5)),
        Element(0x0009100D, "OL", struct.pack("<I", 5)),
        Element(0x0009100E, "OV", struct.pack("<Q", 5)),
        Element(0x0009100F, "UR", b"http://127.0.0.1/a"),
        Element(0x00091010, "SQ", (data_set(PatientID="P1"),)),
        Element(0x00091011, "OB", b"\x01\xff" * 60),
        Element(0x00091012, "UN", b""),
        Element(0x00091013, "SS", struct.pack("<h", -2)),
        Element(0x00091014, "LT", b""),
        Element(0x00091015, "OW", b""),
        Element(0x00091016, "US", b""),
        Element(0x00091017, "UT", b""),
        Element(0x00091018, "ST", b"a\\b "),
        Element(0x00091019, "FD", b""),
        Element(0x0009101A, "AT", b""),
        Element(0x0009101B, "OF", b""),
        Element(0x0009101C, "UC", b""),
        Element(0x0009101D, "UR", b""),
        Element(0x0009101E, "UI", b"1.2.3\\1.2.4\0"),
    ]
)


def lines_of(elements: Elements, characters: CharacterSet = ASCII) -> list[str]:
    return dump(elements, characters).split("\n")


@pytest.mark.interop
def test_every_line_is_as_dcmdump_prints_it(tmp_path: Path) -> None:
    path = tmp_path / "everything.wl"
    path.write_bytes(file_of(EVERYTHING))
    printed = subprocess.run(["dcmdump", "--print-all", path], capture_output=True, check=True)
    expected = printed.stdout.decode("utf-8").rstrip("\n").split("\n")
    first = next(index for index, line in enumerate(expected) if line.startswith("(0008,0005)"))
    found = lines_of(EVERYTHING, character_set(EVERYTHING, ASCII))
    # dcmdump shows no trailing spaces, so that its text would not give the same value again.
    spaced = [index for index, line in enumerate(found) if " ]" in line]
    assert [found[index].split()[0] for index in spaced] == ["(0010,4000)"]
    for index in spaced:
        assert found[index].startswith("(0010,4000) LT [one\\two  ] ")
        found[index] = found[index].replace("  ]", "]").replace("#", "  #", 1)
    # dcmdump aligns by bytes, so what follows text beyond ASCII stands further left.
    assert [squeezed(line) for line in found] == [squeezed(line) for line in expected[first:]]
    for ours, theirs in zip(found, expected[first:], strict=True):
        assert ours == theirs or not ours.isascii()


def squeezed(line: str) -> list[str]:
    return line.split()


def test_a_line_has_tag_vr_value_length_multiplicity_and_keyword() -> None:
    assert lines_of(data_set(PatientName="VIVALDI^ANTONIO")) == [
        "(0010,0010) PN [VIVALDI^ANTONIO]                        #  16, 1 PatientName"
    ]


def test_text_is_decoded_whatever_its_character_set() -> None:
    elements = data_set(PatientName="Jörg")
    for term in ("ISO_IR 100", "ISO_IR 192"):
        characters = CharacterSet.of((term,))
        value = characters.encode("Jörg", "PN")
        elements[0x00100010] = Element(0x00100010, "PN", value + b" " * (len(value) % 2))
        assert "[Jörg]" in dump(elements, characters)


def test_an_item_is_decoded_in_the_character_set_that_it_names() -> None:
    item = data_set(
        SpecificCharacterSet="ISO_IR 192", ScheduledProcedureStepDescription="é".encode()
    )
    assert "[é]" in dump(data_set(ScheduledProcedureStepSequence=[item]), ASCII)
    item = data_set(SpecificCharacterSet="ISO_IR 999", ScheduledProcedureStepDescription="e")
    assert "[e]" in dump(data_set(ScheduledProcedureStepSequence=[item]), ASCII)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "<a\\u001b[31mb>"),
        ("a\r\nb\tc", "<a\\r\\nb\\tc>"),
        ("a\x7fb", "<a\\u007fb>"),
        ("a\x9b31mb", "<a\\u009b31mb>"),
        ("a\u202eb", "<a\\u202eb>"),
        ("a\U000e0001b", "<a\\U000e0001b>"),
        ("a\n<\\>", "<a\\n\\u003c\\\\\\u003e>"),
        ("山\u3000田", "[山\u3000田]"),
        ("a\\b", "[a\\b]"),
    ],
)
def test_nothing_that_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    elements = data_set(PatientComments=text.encode("utf-8"))
    assert shown in dump(elements, CharacterSet.of(("ISO_IR 192",)))


def test_text_that_does_not_decode_is_shown_by_its_bytes() -> None:
    assert "<J\\xf6rg>" in dump(data_set(PatientName=b"J\xf6rg"), ASCII)


def test_numbers_that_are_cut_are_shown_by_their_bytes() -> None:
    elements = {0x00091001: Element(0x00091001, "US", b"\x01\x00A")}
    assert "US <\\x01\\x00A>" in dump(elements, ASCII)
    elements = {0x00091001: Element(0x00091001, "OW", b"\x01\x00A")}
    assert "OW <\\x01\\x00A>" in dump(elements, ASCII)


def test_an_empty_data_set_is_an_empty_text() -> None:
    assert dump({}, ASCII) == ""


def test_text_that_would_be_encoded_otherwise_is_shown_by_its_bytes_and_read() -> None:
    characters = CharacterSet.of(("", "ISO 2022 IR 87"))
    elements = {0x00400011: Element(0x00400011, "SH", b"\x1b(B1\x1b$B3,\x1b(B")}
    assert dump(elements, characters) == (
        r"(0040,0011) SH <\x1b(B1\x1b$B3,\x1b(B>                  "
        "#  12, 1 ScheduledProcedureStepLocation, reads 1階"
    )


def test_bytes_are_told_from_text_where_no_byte_needs_it() -> None:
    elements = {0x00091001: Element(0x00091001, "US", b"A\\B")}
    assert r"US <\x41\\B>" in dump(elements, ASCII)
