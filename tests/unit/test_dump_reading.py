"""Text to data set: the forms that are understood, and one message for each that is not."""

import pytest

from mwl.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Element,
    Elements,
)
from mwl.dump import STORED, undump
from mwl.errors import InputError
from support.datasets import data_set


def read(text: str | bytes, encoding: str | None = None) -> Elements:
    return undump(text.encode() if isinstance(text, str) else text, encoding).elements


def value_of(line: str | bytes) -> bytes:
    (element,) = read(line).values()
    assert isinstance(element.value, bytes)
    return element.value


def refusal(text: str | bytes, encoding: str | None = None) -> tuple[int | None, str]:
    with pytest.raises(InputError) as caught:
        read(text, encoding)
    return caught.value.line, str(caught.value)


# ------------------------------------------------------------------------------- one line


@pytest.mark.parametrize(
    "line",
    [
        "(0010,0020) LO [P1]                 #   2, 1 PatientID",
        "(0010,0020) LO [P1]",
        "(0010,0020) LO [P1]# a comment",
        "(0010,0020) LO P1",
        "(0010,0020) LO P1   # a comment",
        "(0010,0020) [P1]",
        "(0010,0020) P1",
        "(0010,0020)\tLO\t[P1]\t",
        "  ( 0010 , 0020 )  LO  P1 \r",
        "0010,0020 LO [P1]",
        "0010,0020 P1",
        "PatientID = P1",
        "PatientID=P1",
        "PatientID LO [P1]",
        "PatientID P1",
        r"(0010,0020) LO <P\u0031>",
        r"(0010,0020) LO <\x501>  # a comment",
        "\n# a comment\n\n   # another [one]\n(0010,0020) LO [P1]\n",
    ],
)
def test_a_line_has_many_forms(line: str) -> None:
    assert read(line) == data_set(PatientID="P1")


@pytest.mark.parametrize(
    "line",
    [
        "(0010,0020) LO (no value available)     #   0, 0 PatientID",
        "(0010,0020) LO ()",
        "(0010,0020) LO []",
        "(0010,0020) LO",
        "(0010,0020) LO # nothing",
        "(0010,0020)",
        "PatientID =",
        "PatientID",
    ],
)
def test_a_value_may_be_empty(line: str) -> None:
    assert read(line) == data_set(PatientID="")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("(0010,0020) LO [A]B] # 4, 1 PatientID", b"A]B "),
        ("(0010,0020) LO [A # B]", b"A # B "),
        ("(0010,0020) LO [ A ]", b" A  "),
        ("(0010,0020) LO [A<B>(C)=D]", b"A<B>(C)=D "),
        (r"(0010,0020) LO [A\B\012\x41]", rb"A\B\012\x41 "),
        ("(0010,0020) LO A B", b"A B "),
        (r"(0010,4000) LT <one\r\ntwo\t\\>", b"one\r\ntwo\t\\"),
        (r"(0010,0020) LO <A\\B>", b"A\\B "),
        (r"(0010,0020) LO <A\x00\xff\\>", b"A\0\xff\\"),
        ("(0040,A124) UI =LittleEndianExplicit", b"1.2.840.10008.1.2.1\0"),
        ("(0040,A124) UI LittleEndianExplicit", b"1.2.840.10008.1.2.1\0"),
        ("(0040,A124) UI 1.2.3", b"1.2.3\0"),
        ("(0040,A124) UI [1.2.3]", b"1.2.3\0"),
        ("(0040,A124) UI [1.2.3 ]", b"1.2.3 "),
        ("(0010,0010) PN =Yamada", b"=Yamada "),
        (r"(0028,0106) US 1\65535", b"\x01\0\xff\xff"),
        ("(0028,0106) US [1]", b"\x01\0"),
        (r"(0018,6020) SL -1\+2", b"\xff\xff\xff\xff\x02\0\0\0"),
        ("(0072,0076) FL 0.100000001", b"\xcd\xcc\xcc\x3d"),
        (
            r"(0072,0074) FD 1e3\-.5\inf",
            b"\0\0\0\0\0\x40\x8f\x40\0\0\0\0\0\0\xe0\xbf\0\0\0\0\0\0\xf0\x7f",
        ),
        (r"(0028,0009) AT (0010,0020)\(0008,000a)", b"\x10\0\x20\0\x08\0\x0a\0"),
        ("(0028,0009) AT", b""),
        (r"(0009,1001) OB 1\FF", b"\x01\xff"),
        (r"(0009,1001) OB 0", b"\0\0"),
        (r"(0009,1001) UN 41\42", b"AB"),
        (r"(0009,1001) ?? 41\42", b"AB"),
        (r"(0009,1001) OW 1\ff00", b"\x01\0\0\xff"),
        (r"(0009,1001) OV 1", b"\x01\0\0\0\0\0\0\0"),
        ("(0028,0106) xs 7", b"\x07\0"),
    ],
)
def test_a_value_is_read_as_its_vr_says(line: str, value: bytes) -> None:
    assert value_of(line) == value


def test_behind_an_equals_sign_stands_no_vr() -> None:
    for modality in ("CT", "US", "PN", "XX"):
        assert read(f"Modality = {modality}") == data_set(Modality=modality)


def test_a_value_of_several_lines_is_what_dcmdump_prints_of_text() -> None:
    text = "(0010,4000) LT [one\r\ntwo\r\n]         #  10, 1 PatientComments\n(0010,0020) LO [A]\n"
    assert read(text) == data_set(PatientID="A", PatientComments="one\r\ntwo\r\n")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("garbage", "no tag and no keyword"),
        ("\0\1\2\3", "no tag and no keyword"),
        ("PatientNam = A", "did you mean PatientName?"),
        ("(0010,002) LO [A]", "this is no tag"),
        ("(0010,00200) LO [A]", "this is no tag"),
        ("(00zz,0020) LO [A]", "this is no tag"),
        ("(0010,0020 LO [A]", "no tag and no keyword"),
        ("(0010,0020) QQ [A]", "no VR has the name"),
        ("(0008,0060) CT", "no VR has the name"),
        ("PatientID P1 = A P1\nModality CT", "no VR has the name"),
        ("(0008,0060) US", "could be a VR or the value"),
        ("(0010,0019) A", "not in the DICOM dictionary"),
        ("(0009,1001) A", "not in the DICOM dictionary"),
        ("(0010,0020) LO [A", "never closed"),
        ("(0010,0020) LO [A] Jr", "more behind the closing ]"),
        ("# Dicom-Data-Set\n# Dicom-Data-Set\n(0010,0020) LO [A]", "of a second file"),
        ("(0010,0020) LO (A", "never closed"),
        ("(0010,4000) LT [A\n(0010,0020) LO [B]", "never closed"),
        ("(0010,0020) LO [A] # see [B]", "more than one ]"),
        ("(0010,0020) LO <A", "between < and >"),
        ("(0010,0020) LO <A> B", "between < and >"),
        (r"(0010,0020) LO <\q>", "an escape between < and >"),
        (r"(0010,0020) LO <\ud800>", "stands for no character"),
        (r"(0010,0020) LO <\U00110000>", "stands for no character"),
        (r"(0010,0020) LO <\x41é>", "no characters beyond ASCII"),
        ("(0010,0020) LO [AAAAA...      # 300, 1 PatientID", "dcmdump +L"),
        (r"(0009,1001) OB 00\01\02... # 200, 1 Unknown", "dcmdump +L"),
        ("(0009,1001) OB (not loaded)", "is not in the text"),
        ("(7fe0,0010) OB (PixelSequence #=2)", "is not in the text"),
        ("(0009,1001) OB =secret.txt", "another file, which is not read"),
        ("(0009,1001) OB =/etc/passwd", "another file, which is not read"),
        (r"(0009,1001) OB 001", "2 hexadecimal digits"),
        (r"(0009,1001) OB 1\\2", "2 hexadecimal digits"),
        (r"(0009,1001) OW 12345", "4 hexadecimal digits"),
        ("(0028,0106) US one", "a whole number of 16 bits"),
        ("(0028,0106) US 65536", "a whole number of 16 bits"),
        ("(0028,0106) US -1", "a whole number of 16 bits"),
        ("(0028,0106) US 1_0", "a whole number of 16 bits"),
        ("(0072,0076) FL 1e39", "a number"),
        ("(0072,0076) FL 1,5", "a number"),
        ("(0028,0009) AT (0010,002)", "a tag"),
        ("(0040,A124) UI =NoSuchName", "no UID and no name"),
        ("(0040,A124) UI =LittleEndianExplict", "did you mean =LittleEndianExplicit?"),
        ("(0040,A124) UI 1.2.x", "no UID and no name"),
        ("(0000,0002) UI [1.2]", "no place in a data set"),
        ("(fffe,0001) LO [A]", "no place in a data set"),
        ("(fffe,e000) na (Item with undefined length #=1)", "an item outside a sequence"),
        ("(fffe,e00d)", "the end of an item, and none is open"),
        ("(fffe,e0dd)", "the end of a sequence, and none is open"),
        ("(0040,0100) SQ [A]", "a sequence has items"),
        ("(0002,0010) UI =JPEGBaseline\n(0010,0020) LO [A]", "no transfer syntax of worklist"),
        (
            "(0002,0100) SQ (Sequence with explicit length #=0)",
            "a sequence in the file meta information",
        ),
        ("(0010,0020) LO [A]\n(0010,0020) LO [B]", "occurs twice"),
        ("(0008,0018) UI [" + "1" * 65535 + "]", "longer than 65534 bytes"),
        ("(0008,0050) SH [" + "A" * 17 + "]", "17 characters, SH has 16 at most"),
        ("(0010,0010) PN [A=" + "B" * 65 + "]", "65 characters, PN has 64 at most"),
        ("(0010,9999) PN [DOE]", "(0010,9999) is not in the DICOM dictionary"),
        ("(0008,0060) CS [é]", "a value of CS is ASCII"),
        ("(0008,0005) CS [ISO_IR 999]\n(0010,0010) PN [é]", "unknown character set"),
        ("(0008,0005) CS [ISO_IR 100]\n(0010,0010) PN [山]", "ISO_IR 100 lacks"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, part: str) -> None:
    number, message = refusal("# a comment\n" + line)
    assert part in message
    assert number in {2, 3}
    assert message.startswith(f"{number}: ")


@pytest.mark.parametrize("text", ["", "\n", "# a comment", "(0002,0010) UI =LittleEndianExplicit"])
def test_a_text_without_a_data_set_is_refused(text: str) -> None:
    assert "holds no data set" in refusal(text)[1]


def test_no_message_repeats_a_value() -> None:
    for line in (
        "SECRET^NAME",
        "(0010,0010) PN [SECRET^NAME",
        "(0010,0010) PN <SECRET^NAME",
        "(0028,0106) US SECRET",
        "(0040,A124) UI SECRET",
        "(0009,1001) OB =SECRET",
        "(0008,0060) CS [SECRÉT]",
        "(0040,0100) SQ [SECRET]",
    ):
        assert "SECR" not in refusal(line)[1]


# ------------------------------------------------------------------------------- nesting

STEP = data_set(ScheduledProcedureStepSequence=[data_set(Modality="CT"), data_set(Modality="MR")])
STEP |= data_set(RequestedProcedureID="R1")


@pytest.mark.parametrize(
    "text",
    [
        """
        (0040,0100) SQ (Sequence with explicit length #=2)      #  26, 1 ScheduledProcedureStep
          (fffe,e000) na (Item with explicit length #=1)          #  10, 1 Item
            (0008,0060) CS [CT]                                     #   2, 1 Modality
          (fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem
          (fffe,e000) na (Item with explicit length #=1)          #  10, 1 Item
            (0008,0060) CS [MR]                                     #   2, 1 Modality
          (fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem
        (fffe,e0dd) na (SequenceDelimitationItem for re-encod.) #   0, 0 SequenceDelimitationItem
        (0040,1001) SH [R1]
        """,
        """
        (0040,1001) SH [R1]
        (0040,0100) SQ (Sequence with undefined length #=9)     # u/l, 1 ScheduledProcedureStep
          (fffe,e000) na (Item with undefined length #=9)       # u/l, 1 Item
            (0008,0060) CS [CT]
          (fffe,e00d)
          (fffe,e000)
            (0008,0060) CS [MR]
          (fffe,e00d)
        (fffe,e0dd)
        """,
        """
        (0040,0100) SQ (Sequence with explicit length #=2)
          (fffe,e000) na (Item with explicit length #=1)
            (0008,0060) CS [CT]
          (fffe,e000) na (Item with explicit length #=1)
            (0008,0060) CS [MR]
        (0040,1001) SH [R1]
        """,
        """
        (0040,0100) SQ (Sequence with explicit length #=2)
          (fffe,e000) na (Item with explicit length #=7)
            (0008,0060) CS [CT]
          (fffe,e00d)
          (fffe,e000) na (Item with explicit length #=7)
            (0008,0060) CS [MR]
          (fffe,e00d)
        (0040,1001) SH [R1]
        """,
        """
        ScheduledProcedureStepSequence
        (fffe,e000)
        Modality = CT
        (fffe,e00d)
        (fffe,e000)
        Modality = MR
        (fffe,e00d)
        (fffe,e0dd)
        RequestedProcedureID = R1
        """,
    ],
)
def test_sequences_may_mark_their_ends_or_count(text: str) -> None:
    assert read(text) == STEP


def test_a_sequence_may_be_empty() -> None:
    expected = data_set(ReferencedStudySequence=[], PatientID="A")
    for line in (
        "(0008,1110) SQ (Sequence with explicit length #=0)\n(fffe,e0dd)",
        "(0008,1110) SQ (Sequence with explicit length #=0)",
        "(0008,1110) SQ (no value available)",
        "(0008,1110) SQ\n(fffe,e0dd)",
    ):
        assert read(f"{line}\n(0010,0020) LO [A]") == expected
        assert read(f"(0010,0020) LO [A]\n{line}") == expected


@pytest.mark.parametrize(
    ("text", "number", "part"),
    [
        ("SEQUENCE\n(fffe,e000)\n(0008,0060) CS [CT]", 2, "item is never closed"),
        ("SEQUENCE\n(fffe,e000)\n(0008,0060) CS [CT]\n(fffe,e00d)", 1, "sequence is never closed"),
        ("SEQUENCE\n(0008,0060) CS [CT]", 2, "only items may stand"),
        ("SEQUENCE\n(fffe,e00d)", 2, "only items may stand"),
        ("SEQUENCE\n(fffe,e000)\n(fffe,e0dd)", 3, "while an item is open"),
        ("SEQUENCE\n(fffe,e000)\n(fffe,e000)", 3, "while an item is open"),
        ("SEQUENCE\n(fffe,e000)\n(fffe,e00d)\n(fffe,e00d)", 4, "only items may stand"),
        ("SEQUENCE\n(fffe,e000)\n(fffe,e00d)\n(fffe,e0dd)\n(fffe,e0dd)", 5, "none is open"),
        ("SEQUENCE\n(fffe,e000)\n(0002,0010) UI =LittleEndianExplicit", 3, "meta information"),
        (
            (
                "SEQUENCE (Sequence with explicit length #=2)\n(fffe,e000) na (Item with explicit "
                "length #=1)\n(0008,0060) CS [CT]"
            ),
            1,
            "never closed",
        ),
        ("SEQUENCE\n(fffe,e000)\n" * 33 + "SEQUENCE", 65, "nested deeper than 32"),
    ],
)
def test_what_is_not_nested_well_is_refused(text: str, number: int, part: str) -> None:
    found, message = refusal(text.replace("SEQUENCE", "(0040,0100) SQ"))
    assert part in message
    assert found == number


# ------------------------------------------------------------------------------- character sets

NAME = "(0010,0010) PN [Jörg]"


def declared(term: str, line: str = NAME) -> str:
    return f"{line}\n(0008,0005) CS [{term}]\n"


@pytest.mark.parametrize(
    ("term", "name", "value"),
    [
        ("ISO_IR 100", "Jörg", b"J\xf6rg"),
        ("ISO_IR 192", "Jörg", b"J\xc3\xb6rg "),
        ("\\ISO 2022 IR 87", "=山田^太郎", b"=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        ("GB18030", "=王^小东", "=王^小东".encode("gb18030")),
    ],
)
def test_text_is_encoded_as_the_data_set_declares(term: str, name: str, value: bytes) -> None:
    found = read(declared(term, f"(0010,0010) PN [{name}]"))
    assert found[0x00100010] == Element(0x00100010, "PN", value + b" " * (len(value) % 2))


def test_an_item_has_the_set_of_its_data_set_unless_it_names_its_own() -> None:
    text = f"""
        (0008,0005) CS [ISO_IR 100]
        (0040,0100) SQ
        (fffe,e000)
        {NAME}
        (fffe,e00d)
        (fffe,e000)
        {declared("ISO_IR 192")}
        (fffe,e00d)
        (fffe,e0dd)
    """
    items = read(text)[0x00400100].value
    assert isinstance(items, tuple)
    assert [item[0x00100010].value for item in items] == [b"J\xf6rg", b"J\xc3\xb6rg "]


def test_text_without_a_set_becomes_utf_8_and_that_is_said() -> None:
    for line in (NAME, f"(0040,0100) SQ\n(fffe,e000)\n{NAME}\n(fffe,e00d)\n(fffe,e0dd)"):
        found = undump(line.encode())
        assert found.elements[0x00080005].value == b"ISO_IR 192"
        assert next(iter(found.elements)) == 0x00080005
        assert "ISO_IR 192" in " ".join(found.notes)
    assert undump(b"(0010,0010) PN [Jorg]").notes == ()


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (declared("ISO_IR 100").encode("utf-8-sig"), None),
        (declared("ISO_IR 100").encode("utf-16"), None),
        (declared("ISO_IR 100").encode("latin-1"), None),
        (declared("ISO_IR 100").encode("latin-1"), STORED),
        (declared("ISO_IR 100").encode("latin-1"), "latin-1"),
        (declared("ISO_IR 100").encode("cp437"), "cp437"),
        (("(charset cp437: made by hand)\n" + declared("ISO_IR 100")).encode("cp437"), None),
    ],
)
def test_the_encoding_of_the_text_is_found_out_or_named(data: bytes, encoding: str | None) -> None:
    assert read(data, encoding)[0x00100010].value == b"J\xf6rg"


def test_text_that_is_neither_utf_8_nor_in_its_set_is_refused() -> None:
    number, message = refusal(declared("ISO_IR 192").encode("latin-1"))
    assert number == 1
    assert "neither UTF-8 nor" in message
    assert "--charset" in message
    kept = read(declared("ISO_IR 192").encode("latin-1"), STORED)
    assert kept[0x00100010].value == b"J\xf6rg"


def test_a_byte_that_the_named_encoding_lacks_is_named() -> None:
    assert refusal(b"# a\n" + NAME.encode("latin-1"), "utf-8") == (
        2,
        "2: byte F6H is not in utf-8 (name the encoding of the text with --charset)",
    )
    assert "no encoding of the name" in refusal(b"A", "no-such-encoding")[1]


BOTH = "the text could be UTF-8 or bytes as they are stored"


def test_text_whose_length_is_that_of_its_bytes_could_be_as_stored() -> None:
    # C3 B6 is one letter in UTF-8, two in ISO_IR 100. No length, or another, is what people write.
    data = b"(0008,0005) CS [ISO_IR 100]\n(0010,0010) PN [J\xc3\xb6]"
    for comment in (b"", b" # 2, 1 PatientName", b" # 9, 1 PatientName"):
        assert read(data + comment)[0x00100010].value == b"J\xf6"
    number, message = refusal(data + b" # 4, 1 PatientName")
    assert number == 2
    assert BOTH in message
    assert read(data, "utf-8")[0x00100010].value == b"J\xf6"
    assert read(data, STORED)[0x00100010].value == b"J\xc3\xb6 "
    # Another line can tell.
    other = b" # 4, 1 PatientName\n(0010,1000) LO [\xc3\xb6\xc3\xb6] # 2, 1 OtherPatientIDs"
    assert read(data + other)[0x00100010].value == b"J\xf6"


def test_text_that_its_set_lacks_could_be_as_stored() -> None:
    data = "(0008,0005) CS [ISO_IR 100]\n(0010,0010) PN [山] # %d, 1 PatientName"
    assert BOTH in refusal(data % 4)[1]
    assert "ISO_IR 100 lacks" in refusal(data % 2)[1]


def test_bytes_that_were_edited_in_a_text_that_is_no_utf_8_are_refused() -> None:
    data = b"(0008,0005) CS [ISO_IR 100]\n(0010,0020) LO [\xf6]\n(0010,0010) PN [J\xc3\xb6] # %d, 1"
    number, message = refusal(data % 2)
    assert number == 3
    assert BOTH in message
    assert read(data % 4)[0x00100010].value == b"J\xc3\xb6 "
    data = b"(0008,0005) CS [ISO 2022 IR 100\\ISO 2022 IR 87]\n(0010,0010) PN [J\xc3\xb6]\n"
    data += b"(0010,1001) PN [\x1b$B;3\x1b(B]"
    assert BOTH in refusal(data)[1]


def test_a_line_of_utf_8_among_stored_bytes_is_refused() -> None:
    marked = b"# charset stored: bytes\n(0008,0005) CS [ISO_IR 100]\n"
    marked += b"(0010,0020) LO [\xf6] # 2, 1 PatientID\n"
    number, message = refusal(marked + b"(0010,0010) PN [J\xc3\xb6rg]\n")
    assert number == 4
    assert "looks like UTF-8, among values in the bytes as they are stored" in message
    # What an editor for Latin 1 wrote, what a file has so, and what the caller is sure of.
    assert read(marked + b"(0010,0010) PN [J\xf6rg]\n")[0x00100010].value == b"J\xf6rg"
    kept = marked + b"(0010,0010) PN [J\xc3\xb6rg ] # 6, 1 PatientName\n"
    assert read(kept)[0x00100010].value == b"J\xc3\xb6rg "
    assert (
        read(marked + b"(0010,0010) PN [J\xc3\xb6]\n", STORED)[0x00100010].value[:3] == b"J\xc3\xb6"
    )


def test_text_with_code_extension_is_as_stored() -> None:
    data = b"(0008,0005) CS [\\ISO 2022 IR 87]\n(0010,0010) PN [=\x1b$B;3ED\x1b(B]\n"
    assert read(data)[0x00100010].value == b"=\x1b$B;3ED\x1b(B "


# ------------------------------------------------------------------------------- meta information


def test_meta_information_is_apart_and_names_the_transfer_syntax() -> None:
    found = undump(
        b"(0002,0000) UL 4\n(0002,0010) UI =LittleEndianImplicit\n"
        b"(0002,0013) SH [ME]\n(0010,0000) UL 4\n(0010,0020) LO [A]\n(fffc,fffc) OB 0\n"
    )
    assert found.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    assert list(found.meta) == [0x00020010, 0x00020013]
    assert found.elements == data_set(PatientID="A")
    assert undump(b"PatientID A").transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN


def test_the_caller_chooses_the_transfer_syntax() -> None:
    text = b"(0002,0010) UI =JPEGBaseline\n(0010,0020) LO [A]\n"
    found = undump(text, transfer_syntax=EXPLICIT_VR_BIG_ENDIAN)
    assert found.transfer_syntax == EXPLICIT_VR_BIG_ENDIAN


def test_a_tag_that_does_not_exist_is_kept_and_said_where_a_file_had_it() -> None:
    found = undump(b"(0010,0019) LO [A] # 2, 1 ??\n(0009,1001) LO [A]\n(0009,0010) LO [ACME]")
    assert found.notes == ("line 1: (0010,0019) is not in the DICOM dictionary",)
    assert len(found.elements) == 3


def test_a_value_that_is_too_long_is_kept_where_a_file_had_it() -> None:
    found = undump(b"(0008,0050) SH [12345678901234567] # 18, 1 AccessionNumber")
    assert found.elements[0x00080050].value == b"12345678901234567 "


def test_a_long_value_has_its_length_in_implicit_vr() -> None:
    text = b"(0010,4000) LT [" + b"A" * 70_000 + b"] # 70000, 1 PatientComments"
    found = undump(text, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN)
    assert len(found.elements[0x00104000].value) == 70_000
