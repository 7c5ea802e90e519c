"""`mwl dump` and `mwl undump`: files in, files out, one message for what cannot be used."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mwl.cli import app
from mwl.dataset import TRANSFER_SYNTAXES, read_dicom_file
from support.datasets import data_set, file_of, part_10

NAME = data_set(SpecificCharacterSet="ISO_IR 100", PatientName=b"J\xf6rg", PatientID="P1")


def mwl(*arguments: str | Path, text: bytes | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(one) for one in arguments], input=text)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def item(tmp_path: Path) -> Path:
    path = tmp_path / "item.wl"
    path.write_bytes(file_of(NAME))
    return path


def test_dump_and_undump_are_each_others_reverse(item: Path, tmp_path: Path) -> None:
    status, text, _ = mwl("dump", "--charset", "utf-8", item)
    assert status == 0
    assert "(0010,0010) PN [Jörg]" in text
    assert mwl("undump", "-", tmp_path / "again.wl", text=text.encode()) == (0, "", "")
    assert read_dicom_file((tmp_path / "again.wl").read_bytes()).elements == NAME


def test_json_is_each_others_reverse_too(item: Path, tmp_path: Path) -> None:
    status, text, _ = mwl("dump", "--json", item)
    assert status == 0
    assert json.loads(text)["00100010"]["Value"] == [{"Alphabetic": "Jörg"}]
    assert mwl("undump", "--json", "-", tmp_path / "again.wl", text=text.encode())[0] == 0
    assert read_dicom_file((tmp_path / "again.wl").read_bytes()).elements == NAME


def test_several_files_have_their_names_above_them(item: Path) -> None:
    _, text, _ = mwl("dump", item, item)
    assert f"# mwl dump (1/2): {item}\n" in text
    assert f"# mwl dump (2/2): {item}\n" in text
    _, text, _ = mwl("dump", "--json", item, item)
    assert len(json.loads(text)) == 2


def test_a_file_or_a_pipe_gets_the_bytes_of_the_file(item: Path, tmp_path: Path) -> None:
    for options in ([], ["--charset", "stored"]):
        text = CliRunner().invoke(app, ["dump", *options, str(item)]).stdout_bytes
        assert b"[J\xf6rg]" in text
        out = tmp_path / f"{len(options)}.wl"
        assert mwl("undump", "-", out, text=text) == (0, "", "")
        assert read_dicom_file(out.read_bytes()).elements == NAME


def test_a_terminal_gets_text(item: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-m", "mwl", "dump", item], stdout=theirs, check=True)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # what Linux says at the end
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert done.returncode == 0
    assert "(0010,0010) PN [Jörg]" in shown.decode()


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        *zip(("explicit", "implicit", "big-endian", "deflated"), TRANSFER_SYNTAXES, strict=True),
        *((uid, uid) for uid in TRANSFER_SYNTAXES),
    ],
)
def test_a_transfer_syntax_can_be_chosen(name: str, uid: str, item: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wl"
    _, text, _ = mwl("dump", "--charset", "utf-8", item)
    assert mwl("undump", "--transfer-syntax", name, "-", out, text=text.encode())[0] == 0
    found = read_dicom_file(out.read_bytes())
    assert (found.transfer_syntax, found.elements) == (uid, NAME)
    assert found.meta[0x00020010].value == uid.encode() + b"\0" * (len(uid) % 2)


def test_a_file_that_is_there_stays_unless_forced(item: Path) -> None:
    before = item.read_bytes()
    status, out, error = mwl("undump", "-", item, text=b"PatientID = P2")
    assert (status, out) == (2, "")
    assert error == f"error: {item}: exists already, nothing was written (use --force)\n"
    assert item.read_bytes() == before
    assert mwl("undump", "--force", "-", item, text=b"PatientID = P2")[0] == 0
    assert read_dicom_file(item.read_bytes()).elements == data_set(PatientID="P2")


def test_a_note_is_said_and_the_file_written(tmp_path: Path) -> None:
    status, _, error = mwl("undump", "-", tmp_path / "a.wl", text="PatientName = Jörg".encode())
    assert status == 0
    assert error.startswith("note: standard input: ")
    assert "ISO_IR 192" in error
    assert (tmp_path / "a.wl").exists()
    model = '{"PatientName": {"Value": ["Jörg"]}}'.encode()
    status, _, error = mwl("undump", "--json", "-", tmp_path / "b.wl", text=model)
    assert (status, error.count("ISO_IR 192")) == (0, 1)
    # What is not written needs no notes.
    status, _, error = mwl("undump", "--json", "-", tmp_path / "b.wl", text=model)
    assert (status, error.count("ISO_IR 192")) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        ((), b"\x00\xff\xfe garbage", "line.txt:1: no tag"),
        ((), part_10(b"\x08\0\0\0"), "line.txt: a DICOM file, and not the text of one"),
        ((), b"(0010,0020) LO [A]\n(0010,0020) LO [B]", "line.txt:2: (0010,0020) occurs twice"),
        ((), b"PatientNam = A", "did you mean PatientName?"),
        (
            ("--transfer-syntax", "implicit"),
            b"(0040,0100) UN 41",
            "implicit VR cannot hold a value of UN",
        ),
        ((), b"", "line.txt: the text holds no data set"),
        (("--charset", "utf-8"), b"\n(0010,0010) PN [\xff]", "line.txt:2: byte FFH"),
        (("--json",), b"{\n\n]", "line.txt:3: it is no JSON"),
        (("--json",), b'{\n"a": NaN}', "line.txt:2: it is no JSON: NaN"),
        (("--json",), b'{"00100020": {},\n "00100020": {}}', "line.txt:2: a key of this object"),
        (("--json",), b"{\n\xff", "line.txt:2: byte 1 of the line is not utf-8"),
        (("--json",), b"[" * 100_000, "line.txt:1: it is no JSON: more than 100 objects"),
        (("--json",), b"\n" + b"1" * 10_000, "line.txt:2: it is no JSON: a number is too large"),
        (("--json",), b"[{}, {}]", "an array of 2 data sets"),
        (("--json",), b"{}", "holds no data set"),
        (
            ("--json",),
            b'{"00100020": {"Value": [1]}}',
            ".txt:1: (0010,0020): a value is none of LO",
        ),
        (
            ("--json",),
            b'{"00400100": {"Value": [{},\n{\n"00080060":\n{"Value": ["12345678901234567"]}}]}}',
            "line.txt:4: (0040,0100)[1].(0008,0060): 17 characters, CS has 16 at most",
        ),
        (("--json",), b'{"PatientID": {},\n"Nonsense": {}}', "line.txt:2: a name is no tag"),
        (("--json",), b'{\n"00080005": {"Value": ["X"]}}', "line.txt:2: (0008,0005): unknown"),
        (("--json", "--charset", "latin-1"), b"{}", "JSON is always UTF-8"),
        (("--charset", "utf-16"), b"", "an encoding that contains ASCII"),
        (("--charset", "nonsense"), b"", "an encoding that contains ASCII"),
        (("--transfer-syntax", "jpeg"), b"", "one of explicit, implicit, big-endian, deflated"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(
    arguments: tuple[str, ...], text: bytes, message: str, tmp_path: Path
) -> None:
    source, out = tmp_path / "line.txt", tmp_path / "out.wl"
    source.write_bytes(text)
    status, printed, error = mwl("undump", *arguments, source, out)
    assert (status, printed) == (2, "")
    assert message in " ".join(error.replace("│", " ").split())
    assert error.count("error: ") == 1 or "Error" in error
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["line.txt"]


def test_what_cannot_be_dumped_is_said_and_the_rest_is_dumped(item: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wl"
    broken.write_bytes(b"no data set")
    missing = tmp_path / "missing.wl"
    status, text, error = mwl("dump", "--charset", "utf-8", broken, item, missing)
    assert status == 2
    assert "[Jörg]" in text
    assert f"error: {broken}: not a DICOM data set" in error
    assert f"error: {missing}: No such file" in error
    status, text, error = mwl("dump", tmp_path)
    assert (status, text) == (2, "")
    assert "Is a directory" in error


def test_text_that_json_cannot_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "item.wl"
    path.write_bytes(file_of(data_set(PatientName=b"J\xf6rg")))
    status, text, error = mwl("dump", "--json", path)
    assert (status, text) == (2, "")
    assert "cannot be said in JSON" in error
    assert mwl("dump", path)[0] == 0


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    status, _, error = mwl("undump", "-", tmp_path / "no" / "a.wl", text=b"PatientID = P1")
    assert status == 2
    assert "cannot be written" in error
    status, _, error = mwl("undump", tmp_path / "no.txt", tmp_path / "a.wl")
    assert (status, error.count("No such file")) == (2, 1)
