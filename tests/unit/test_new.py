"""`mwl new` as a command: what it writes, what it says, how it ends."""

import json
import os
import signal
import stat
import uuid
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mwl.cli import app
from mwl.dataset import ENCODINGS, read_dicom_file, values
from support.new_items import ENOUGH

HEADER = "PatientName,PatientID,AccessionNumber,Modality"
DATES = ["ScheduledProcedureStepStartDate=2026-11-24", "ScheduledProcedureStepStartTime=08:30"]
SHARED = ["ScheduledStationAETitle=CT1", *DATES]


def new(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["new", *map(str, arguments)])


def name_in(path: Path) -> str:
    return values(read_dicom_file(path.read_bytes()).elements[0x00100010], ENCODINGS["Ascii"])[
        0
    ].rstrip(" ")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_file_is_written_and_what_was_filled_in_is_told(tmp_path: Path) -> None:
    done = new(tmp_path / "a.wl", *ENOUGH)
    assert done.exit_code == 0, done.output
    assert name_in(tmp_path / "a.wl") == "DOE^JANE"
    assert "a.wl: 1 file written" in done.stdout
    assert done.stderr.startswith("filled: StudyInstanceUID, ")
    assert files(tmp_path) == ["a.wl"]


def test_quiet_says_nothing(tmp_path: Path) -> None:
    done = new(tmp_path / "a.wl", *ENOUGH, "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_a_file_that_is_there_is_left_alone_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wl"
    new(path, *ENOUGH)
    done = new(path, "PatientName=ROE", *ENOUGH[1:])
    assert done.exit_code == 2
    assert "a.wl: a file of its name is there already (--force replaces it)" in done.stderr
    assert name_in(path) == "DOE^JANE"
    assert new(path, "PatientName=ROE", *ENOUGH[1:], "--force").exit_code == 0
    assert name_in(path) == "ROE"


def test_an_item_that_lacks_something_is_written_only_when_that_is_wanted(tmp_path: Path) -> None:
    done = new(tmp_path / "a.wl", *ENOUGH[1:])
    assert done.exit_code == 2
    assert "PatientName" in done.stderr
    done = new(tmp_path / "a.wl", *ENOUGH[1:], "--incomplete", "--quiet")
    assert (done.exit_code, done.output) == (0, "lacks: PatientName\n")


def test_a_name_that_no_server_reads_is_told(tmp_path: Path) -> None:
    assert "*.wl files only" in new(tmp_path / "a.dcm", *ENOUGH).stderr


def test_the_good_rows_are_written_and_the_others_told(tmp_path: Path) -> None:
    source = table(tmp_path, "DOE^JANE,P1,A1,CT", "ROE,P2,A2,ct", "", "POE,P3,A3,MR", "X,Y")
    done = new("--from-csv", source, "--out", tmp_path / "out", *SHARED)
    assert done.exit_code == 1
    assert files(tmp_path / "out") == ["A1.wl", "A3.wl"]
    assert name_in(tmp_path / "out" / "A3.wl") == "POE"
    assert "2 files written, 2 refused" in done.stdout
    refused = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    assert [line.split("list.csv:")[1].partition(":")[0] for line in refused] == ["3", "6"]
    assert "ROE" not in done.output


def test_a_batch_without_refused_rows_is_exit_status_0_and_never_overwrites(tmp_path: Path) -> None:
    source, out = table(tmp_path, "DOE^JANE,P1,A1,CT"), tmp_path / "out"
    assert new("--from-csv", source, "--out", out, *SHARED).exit_code == 0
    before = (out / "A1.wl").read_bytes()
    done = new("--from-csv", source, "--out", out, *SHARED)
    assert done.exit_code == 2
    assert "list.csv:2: a file of its name is there already" in done.stderr
    assert (out / "A1.wl").read_bytes() == before
    assert new("--from-csv", source, "--out", out, *SHARED, "--force").exit_code == 0
    assert (out / "A1.wl").read_bytes() != before


def test_the_counter_goes_on_from_where_it_is_told(tmp_path: Path) -> None:
    source = table(tmp_path, "DOE,P1,,CT", "ROE,P1,,CT")
    key = "AccessionNumber=S{today}{counter:3}"
    name = "{PatientID}-{counter}.wl"
    arguments: list[str | Path] = [
        "--from-csv",
        source,
        "--out",
        tmp_path / "out",
        *SHARED,
        key,
        "--name",
        name,
    ]
    assert new(*arguments, "--counter", "41").exit_code == 0
    assert files(tmp_path / "out") == ["P1-41.wl", "P1-42.wl"]


def test_json_gives_one_file_or_many(tmp_path: Path) -> None:
    item = {"PatientName": "DOE^JANE", "PatientID": "P1", "AccessionNumber": "A1", "Modality": "CT"}
    source = tmp_path / "items.json"
    source.write_text(json.dumps(item), encoding="utf-8")
    assert new(tmp_path / "a.wl", "--from-json", source, *SHARED).exit_code == 0
    source.write_text(json.dumps([item, {"PatientNmae": "X"}]), encoding="utf-8")
    done = new("--from-json", source, "--out", tmp_path / "out", *SHARED)
    assert done.exit_code == 1
    assert files(tmp_path / "out") == ["A1.wl"]


def test_a_template_gives_what_nothing_else_says(tmp_path: Path) -> None:
    template = tmp_path / "phantom.json"
    keys = dict(key.split("=") for key in ENOUGH)
    template.write_text(
        json.dumps(
            keys | {"ScheduledProcedureStepStartDate": "{today+1}", "PatientID": "P{counter:4}"}
        ),
        encoding="utf-8",
    )
    assert new(tmp_path / "a.wl", "--template", template, "PatientName=TEST").exit_code == 0
    elements = read_dicom_file((tmp_path / "a.wl").read_bytes()).elements
    assert elements[0x00100020].value == b"P0001 "
    assert elements[0x00100010].value == b"TEST"


NOTHING_WRITTEN = {
    "no file": [],
    "no file but a key": ["PatientName=DOE"],
    "unknown keyword": ["OUT", "PatientNmae=DOE"],
    "value too long": ["OUT", *ENOUGH, "AccessionNumber=12345678901234567"],
    "no folder": ["MISSING/a.wl", *ENOUGH],
    "csv without a folder": ["OUT", "--from-csv", "GOOD"],
    "csv that is not there": ["--out", "FOLDER", "--from-csv", "MISSING"],
    "csv that is a folder": ["--out", "FOLDER", "--from-csv", "."],
    "csv and json": ["--out", "FOLDER", "--from-csv", "GOOD", "--from-json", "GOOD"],
    "csv that is no json": ["--out", "FOLDER", "--from-json", "GOOD"],
    "unknown encoding": ["--out", "FOLDER", "--from-csv", "GOOD", "--charset", "klingon"],
    "wrong name": ["--out", "FOLDER", "--from-csv", "GOOD", "--name", "{PatientIDD}.wl"],
    "name without a folder": ["OUT", *ENOUGH, "--name", "{PatientID}.wl"],
    "wrong shared value": ["--out", "FOLDER", "--from-csv", "GOOD", *SHARED, "PatientSex=female"],
    "template that is not there": ["OUT", *ENOUGH, "--template", "MISSING"],
    "negative counter": ["OUT", *ENOUGH, "--counter", "-1"],
}


@pytest.mark.parametrize("arguments", NOTHING_WRITTEN.values(), ids=NOTHING_WRITTEN)
def test_what_cannot_be_used_is_exit_status_2_and_nothing_is_written(
    tmp_path: Path, arguments: list[str]
) -> None:
    places = {
        "OUT": tmp_path / "a.wl",
        "FOLDER": tmp_path / "out",
        "GOOD": table(tmp_path, "DOE,P1,A1,CT"),
        "MISSING": tmp_path / "missing.csv",
        "MISSING/a.wl": tmp_path / "missing" / "a.wl",
        ".": tmp_path,
    }
    done = new(*(places.get(argument, argument) for argument in arguments))
    assert done.exit_code == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 or "Invalid value" in done.stderr
    assert files(tmp_path) == ["list.csv"]


def test_a_table_without_a_row_and_an_array_without_an_object_are_told(tmp_path: Path) -> None:
    done = new("--from-csv", table(tmp_path), "--out", tmp_path / "out", *SHARED)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "list.csv: there is a header and no row below it" in done.stderr
    source = tmp_path / "items.json"
    source.write_text("[]", encoding="utf-8")
    done = new("--from-json", source, "--out", tmp_path / "out", *SHARED)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "items.json: the array has no item in it" in done.stderr
    assert files(tmp_path) == ["items.json", "list.csv"]


def test_a_file_and_a_folder_to_write_are_not_both_named(tmp_path: Path) -> None:
    for number, place in enumerate((["a.wl"], ["a.WL"]), 1):
        done = new(*place, *ENOUGH, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert "OUT.wl and --out are both given" in done.stderr, number
    done = new(*ENOUGH, "JANE", "--out", tmp_path / "out")
    assert "KEY=VALUE number 7 has no =" in done.stderr
    assert files(tmp_path) == []


@pytest.mark.parametrize("row", ["DOE,P1,A1,ct", "DOE,P1,A1,CT,X"])
def test_when_every_row_is_refused_nothing_is_made(tmp_path: Path, row: str) -> None:
    done = new("--from-csv", table(tmp_path, row, row), "--out", tmp_path / "out", *SHARED)
    assert done.exit_code == 2
    assert "0 files written, 2 refused" in done.stdout
    assert files(tmp_path) == ["list.csv"]


def test_a_disk_that_is_full_is_told_with_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, iter([0, 0])

    def fail_at_last(handle: int) -> None:
        if next(calls, None) is None and not stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", fail_at_last)
    source = table(tmp_path, *(f"DOE,P{number},A{number},CT" for number in range(4)))
    done = new("--from-csv", source, "--out", tmp_path / "out", *SHARED)
    assert done.exit_code == 2
    assert "out: cannot be written: No space left on device (2 files are written)" in done.stderr
    assert files(tmp_path / "out") == ["A0.wl", "A1.wl"]


ENDS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def raise_while_writing(patch: pytest.MonkeyPatch, number: signal.Signals, file: int) -> None:
    """Send this process a signal while the content of a file is brought to the disk."""
    fsync, contents = os.fsync, count(1)

    def send(handle: int) -> None:
        if not stat.S_ISDIR(os.fstat(handle).st_mode) and next(contents) == file:
            signal.raise_signal(number)
        fsync(handle)

    patch.setattr(os, "fsync", send)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["told", "quiet"])
@pytest.mark.parametrize("number", ENDS)
def test_a_batch_that_is_ended_brings_its_file_to_an_end_and_tells_how_many_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, quiet: list[str]
) -> None:
    before = signal.getsignal(number)
    rows = ["X,P0,A0,ct", *(f"DOE,P{row},A{row},CT" for row in range(1, 6))]
    raise_while_writing(monkeypatch, number, file=2)
    out = tmp_path / "out"
    done = new("--from-csv", table(tmp_path, *rows), "--out", out, *SHARED, *quiet)
    assert done.exit_code == ENDS[number]
    assert files(out) == ["A1.wl", "A2.wl"]
    ended = f"ended by {number.name}: 2 files are written, 1 refused, 3 not reached"
    assert done.stderr.endswith(f"out: {ended}\n")
    assert signal.getsignal(number) is before


def test_a_file_of_which_the_command_is_ended_is_written_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_while_writing(monkeypatch, signal.SIGTERM, file=1)
    done = new(tmp_path / "a.wl", *ENOUGH)
    assert done.exit_code == 143
    assert "a.wl: ended by SIGTERM: 1 file is written\n" in done.stderr
    assert files(tmp_path) == ["a.wl"]


def test_a_signal_that_is_ignored_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        raise_while_writing(monkeypatch, signal.SIGHUP, file=1)
        rows = [f"DOE,P{row},A{row},CT" for row in range(3)]
        done = new("--from-csv", table(tmp_path, *rows), "--out", tmp_path / "out", *SHARED)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.exit_code == 0
    assert len(files(tmp_path / "out")) == 3


def test_a_second_signal_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "fsync", send)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a command finds
    try:
        done = new(tmp_path / "a.wl", *ENOUGH)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.exit_code not in {0, 1, 2}
    assert files(tmp_path) == []


def test_bad_bytes_are_told_with_their_line(tmp_path: Path) -> None:
    source = table(tmp_path)
    source.write_bytes(source.read_bytes() + b"M\xdcLLER,P1,A1,CT\n")
    arguments: list[str | Path] = ["--from-csv", source, "--out", tmp_path / "out", *SHARED]
    done = new(*arguments)
    assert done.exit_code == 2
    assert "list.csv:2: byte 2 of the line is not utf-8" in done.stderr
    assert files(tmp_path) == ["list.csv"]
    assert new(*arguments, "--charset", "latin-1").exit_code == 0
    found = read_dicom_file((tmp_path / "out" / "A1.wl").read_bytes()).elements
    assert found[0x00100010].value == "MÜLLER".encode() + b" "


def test_clock_and_random_numbers_come_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=5))
    assert new(tmp_path / "a.wl", *ENOUGH).exit_code == 0
    first = (tmp_path / "a.wl").read_bytes()
    assert new(tmp_path / "b.wl", *ENOUGH).exit_code == 0
    assert first == (tmp_path / "b.wl").read_bytes()
