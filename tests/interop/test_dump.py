"""mwl's text beside that of DCMTK: each reads what the other prints, and writes the same."""

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    CharacterSet,
    Element,
    Elements,
    encode,
    encode_file,
    read_dicom_file,
    read_file,
)
from mwl.dump import STORED, dump_file, undump
from mwl.dump.uid_names import UID_NAMES
from support.datasets import TEXT_SAMPLES, data_set, file_of, in_order
from support.dcmtk import TIMEOUT_S, require

pytestmark = pytest.mark.interop

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "worklists").glob("*.wl"))


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [require(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def explicit_bytes(elements: Elements) -> bytes:
    return encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)


def dcmdump(data: bytes, folder: Path) -> bytes:
    path = folder / "dumped.wl"
    path.write_bytes(data)
    return run("dcmdump", "-q", "+L", path).stdout


def dump2dcm(text: bytes, folder: Path) -> bytes | None:
    """Give the file that dump2dcm makes; None when it refuses, which its exit status hides."""
    source, target = folder / "text.dump", folder / "made.wl"
    target.unlink(missing_ok=True)
    source.write_bytes(text)
    done = run("dump2dcm", "+l", "1000000", source, target)
    assert target.exists() or b"Errors found" in done.stderr
    return target.read_bytes() if target.exists() else None


# What dump2dcm can take: no ends of lines, no spaces at the end, which it removes, no empty AT,
# which it refuses as dcmdump prints it, and no number that is too small to be a normal one.
_words = st.text(st.sampled_from("ABCxyz019 ^=.,:;-_#[]()<>'\""), max_size=20).map(str.strip)
_texts = st.lists(_words, min_size=1, max_size=3).map("\\".join)


@st.composite
def data_sets(draw: st.DrawFn) -> Elements:
    """Give data sets as worklists have them: text in their character set, all sorts of VRs."""
    term = draw(st.sampled_from(sorted(TEXT_SAMPLES)))
    characters = CharacterSet.of((term,))
    elements = [Element(0x00080005, "CS", padded(term.encode("ascii")))]
    for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO"), (0x00104000, "LT")):
        text = draw(st.one_of(_texts, st.just(TEXT_SAMPLES[term])))
        elements.append(Element(tag, vr, padded(characters.encode(text, vr))))
    numbers = draw(st.lists(st.integers(min_value=0, max_value=65535), max_size=4))
    value = b"".join(number.to_bytes(2, "little") for number in numbers)
    doubles = [number / 16 for number in numbers]
    tags = draw(st.lists(st.sampled_from([0x00080050, 0x0040A043]), min_size=1, max_size=3))
    uid = draw(st.sampled_from(["1.2.3.4", *UID_NAMES]))
    item = in_order(draw(st.lists(st.sampled_from(elements[1:]), max_size=2)))
    elements += [
        Element(0x0008001A, "UI", uid.encode("ascii") + b"\0" * (len(uid) % 2)),
        Element(0x00280106, "US", value),
        Element(0x00280009, "AT", b"".join(tag_bytes(tag) for tag in tags)),
        Element(0x00420011, "OB", padded(draw(st.binary(max_size=9)), b"\0")),
        Element(0x00720074, "FD", struct.pack(f"<{len(doubles)}d", *doubles)),
        Element(0x00081110, "SQ", tuple({} for _ in range(draw(st.integers(0, 2))))),
        Element(0x00400100, "SQ", (item | {0x00400008: Element(0x00400008, "SQ", (item,))},)),
    ]
    return in_order(elements)


def padded(value: bytes, pad: bytes = b" ") -> bytes:
    return value + pad * (len(value) % 2)


def tag_bytes(tag: int) -> bytes:
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")


with_processes = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def assert_all_agree(data: bytes, folder: Path) -> None:
    file = read_dicom_file(data)
    expected = explicit_bytes(file.elements)
    for encoding in ("utf-8", STORED):
        assert explicit_bytes(undump(dump_file(file, encoding)).elements) == expected
    theirs = dcmdump(data, folder)
    assert explicit_bytes(undump(theirs, STORED).elements) == expected
    made = dump2dcm(dump_file(file, STORED), folder)
    assert made is not None
    assert explicit_bytes(read_file(made)) == expected
    # In UTF-8 either dump2dcm makes the same, or it refuses and makes nothing.
    made = dump2dcm(dump_file(file), folder)
    assert made is None or explicit_bytes(read_file(made)) == expected


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_survives_every_way(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    assert_all_agree(data, tmp_path)
    # Without being told, too, what dcmdump prints is taken for what it is.
    expected = explicit_bytes(read_file(data))
    assert explicit_bytes(undump(dcmdump(data, tmp_path)).elements) == expected


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
@with_processes
@given(elements=data_sets())
def test_every_file_survives_every_way(
    transfer_syntax: str, tmp_path: Path, elements: Elements
) -> None:
    assert_all_agree(file_of(elements, transfer_syntax), tmp_path)


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_a_text_says_what_dcmdump_says_byte_for_byte(transfer_syntax: str, tmp_path: Path) -> None:
    step = data_set(Modality="CT", ScheduledProcedureStepDescription=b"Sch\xe4del")
    elements = data_set(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID="1.2.840.10008.5.1.4.31",
        AccessionNumber="",
        ReferencedStudySequence=[],
        PatientName=b"J\xf6rg",
        OtherPatientNames="A^B\\C",
        ImageComments="x" * 101,
        FrameIncrementPointer=b"\x10\0\x20\0",
        EncapsulatedDocument=b"\x00\x01",
        SelectorFDValue=b"\0\0\0\0\0\0\xf8\x3f",
        ScheduledProcedureStepSequence=[step, {}],
    )
    data = encode_file(elements, transfer_syntax)
    mark, _, text = dump_file(read_dicom_file(data), STORED).partition(b"\n")
    assert mark.startswith(b"# charset stored:")
    assert text == dcmdump(data, tmp_path)


def test_dump2dcm_refuses_what_it_would_misread(tmp_path: Path) -> None:
    latin = data_set(SpecificCharacterSet="ISO_IR 100", PatientName=b"J\xf6rg")
    broken = data_set(PatientName=b"J\xf6rg")
    lines = data_set(PatientComments="one\r\ntwo")
    for elements in (latin, broken, lines):
        text = dump_file(read_dicom_file(encode_file(elements, EXPLICIT_VR_LITTLE_ENDIAN)))
        assert dump2dcm(text, tmp_path) is None
        assert undump(text).elements == elements


def test_text_of_several_lines_is_read_from_dcmdump(tmp_path: Path) -> None:
    elements = data_set(PatientComments="one\r\ntwo\nthree]\t", PatientID="A")
    for transfer_syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        theirs = dcmdump(file_of(elements, transfer_syntax), tmp_path)
        assert undump(theirs).elements == elements


def test_uids_have_the_names_that_dcmdump_gives_them(tmp_path: Path) -> None:
    private = [
        Element(0x00091000 + number, "UI", padded(uid.encode("ascii"), b"\0"))
        for number, uid in enumerate(UID_NAMES)
    ]
    data = file_of(in_order(private))
    assert dump_file(read_dicom_file(data), STORED) == dcmdump(data, tmp_path)
