"""DCMTK's findscu and echoscu against `mwl serve`: transfer syntaxes, cancel, IPv6, dumps."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from support.dcmtk import dump2dcm, echoscu, findscu, halted_findscu
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import (
    FIVE_ITEMS,
    P2,
    P4,
    fill,
    fill_with_many,
    query_file,
    step,
    worklist,
)

pytestmark = pytest.mark.interop

STEP = "ScheduledProcedureStepSequence[0]"
MANY = 2_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = fill(tmp_path_factory.mktemp("findscu") / "items", FIVE_ITEMS)
    with running_server(folder) as running:
        yield running


TRANSFER_SYNTAXES = {
    "implicit little endian": "-xi",
    "explicit little endian": "-xe",
    "explicit big endian": "-xb",
    "deflated explicit little endian": "-xd",
}


@pytest.mark.parametrize("option", TRANSFER_SYNTAXES.values(), ids=TRANSFER_SYNTAXES)
def test_query_and_answers_use_any_transfer_syntax(server: RunningServer, option: str) -> None:
    keys = ("PatientName", "PatientID=P2", "PatientWeight", STEP)
    result = findscu(server.host, server.port, *keys, options=[option])
    assert result.statuses == (0xFF00, 0x0000)
    (answer,) = result.answers
    assert answer.PatientName == P2.PatientName
    assert answer.ScheduledProcedureStepSequence == P2.ScheduledProcedureStepSequence
    assert answer["PatientWeight"].is_empty


def test_deflated_answers_are_used_when_offered(server: RunningServer) -> None:
    result = findscu(server.host, server.port, "PatientID", options=["-xd"])
    assert "Accepted Transfer Syntax: =DeflatedLittleEndianExplicit" in result.output


@pytest.mark.parametrize("option", ["-v", "--abort", "-pdu"])
def test_echo_is_answered(server: RunningServer, option: str) -> None:
    options = ["-pdu", "4096"] if option == "-pdu" else [option]
    done = echoscu(server.host, server.port, *options)
    assert done.returncode == 0, done.stdout
    assert "Received Echo Response (Success)" in done.stdout


def test_several_queries_on_one_association_are_answered(server: RunningServer) -> None:
    result = findscu(server.host, server.port, "PatientID=P1", options=["--repeat", "3"])
    assert result.statuses == (0xFF00, 0x0000) * 3


def test_query_file_is_answered(server: RunningServer, tmp_path: Path) -> None:
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 144"
    identifier.PatientName = "прим*"
    identifier.PatientID = ""
    file = query_file(tmp_path / "query.dcm", identifier)
    result = findscu(server.host, server.port, query_files=[file])
    assert result.patient_ids == ["P4"]
    # The item's own character set comes back, whichever the query was written in.
    assert result.answers[0].SpecificCharacterSet == P4.SpecificCharacterSet
    assert result.answers[0].PatientName == P4.PatientName


def test_other_query_models_are_not_accepted(server: RunningServer) -> None:
    result = findscu(server.host, server.port, "PatientID", options=["-S"])
    assert result.exit_status != 0
    assert not result.answers


REFUSED = {
    "unreadable date": (f"{STEP}.ScheduledProcedureStepStartDate=soon", 0x00400002),
    "day that is none": (f"{STEP}.ScheduledProcedureStepStartDate=20250230", 0x00400002),
    "unreadable time": (f"{STEP}.ScheduledProcedureStepStartTime=25", 0x00400003),
}


@pytest.mark.parametrize(("key", "tag"), REFUSED.values(), ids=REFUSED)
def test_illegal_key_is_refused_and_never_ignored(
    server: RunningServer, key: str, tag: int
) -> None:
    result = findscu(server.host, server.port, "PatientID", key)
    assert result.statuses == (0xA900,)
    assert tag in result.offending_elements
    assert result.error_comment


def test_two_items_in_a_key_sequence_are_refused(server: RunningServer) -> None:
    second = "ScheduledProcedureStepSequence[1].Modality=MR"
    result = findscu(server.host, server.port, f"{STEP}.Modality=CT", second)
    assert result.statuses == (0xA900,)
    assert 0x00400100 in result.offending_elements


def test_item_made_with_dump2dcm_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "items"
    folder.mkdir()
    text = """
(0008,0050) SH [X77]
(0010,0010) PN [DUMPED^DORA]
(0010,0020) LO [D1]
(0040,0100) SQ
(fffe,e000) na
(0008,0060) CS [XC]
(0040,0001) AE [XC1\\XC2]
(0040,0002) DA [20261224]
(0040,0003) TM [180000]
(fffe,e00d) na
(fffe,e0dd) na
"""
    dump2dcm(text, folder / "dumped.WL")
    with running_server(folder) as server:
        keys = ("PatientName", "PatientID", f"{STEP}.ScheduledStationAETitle=XC2")
        (answer,) = findscu(server.host, server.port, *keys).answers
        assert answer.PatientName == "DUMPED^DORA"
        stations = answer.ScheduledProcedureStepSequence[0].ScheduledStationAETitle
        assert list(stations) == ["XC1", "XC2"]


def test_each_step_of_a_file_is_an_answer_of_its_own(tmp_path: Path) -> None:
    item = worklist(
        "P9",
        "MULTI^MIA",
        step("NM", "NM1", "20250120", "0900", "FIRST"),
        step("NM", "NM2", "20250120", "1200", "SECOND"),
    )
    with running_server(fill(tmp_path / "items", {"two.wl": item})) as server:
        identifier = f"{STEP}.ScheduledProcedureStepID"

        def steps(*keys: str) -> list[list[str]]:
            answers = findscu(server.host, server.port, identifier, *keys).answers
            return [
                [part.ScheduledProcedureStepID for part in answer.ScheduledProcedureStepSequence]
                for answer in answers
            ]

        assert steps() == [["FIRST"], ["SECOND"]]
        assert steps(f"{STEP}.ScheduledStationAETitle=NM2") == [["SECOND"]]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = fill_with_many(tmp_path_factory.mktemp("crowded") / "items", MANY)
    with running_server(folder) as running:
        running.log.wait_for("folder_loaded")
        yield running


def test_cancel_ends_a_long_answer(crowded: RunningServer) -> None:
    keys = ("PatientID", "AdditionalPatientHistory", STEP)
    options = ["--cancel", "2", "-Xlo", "1"]
    result = findscu(crowded.host, crowded.port, *keys, options=options)
    assert result.final_status == 0xFE00
    assert len(result.statuses) < MANY
    line = crowded.log.wait_for("query", lambda line: line.fields.get("status") == "FE00")
    assert int(line.fields["answers"]) < MANY


def test_selective_query_among_many_items_finds_the_one(crowded: RunningServer) -> None:
    result = findscu(crowded.host, crowded.port, "PatientID=N11234", "AccessionNumber")
    assert [answer.AccessionNumber for answer in result.answers] == ["A11234"]
    assert result.final_status == 0x0000


def test_answer_longer_than_a_pdu_arrives_whole(crowded: RunningServer) -> None:
    keys = ("PatientID=N10001", "AdditionalPatientHistory")
    result = findscu(crowded.host, crowded.port, *keys, options=["-pdu", "4096"])
    assert result.answers[0].AdditionalPatientHistory.strip() == ("long " * 2000).strip()


def test_others_are_answered_while_a_device_does_not_read(crowded: RunningServer) -> None:
    with halted_findscu(crowded.host, crowded.port) as slow:
        result = findscu(crowded.host, crowded.port, "PatientID=N10005", "AccessionNumber")
        assert slow.poll() is None
    assert [answer.AccessionNumber for answer in result.answers] == ["A10005"]


def test_server_stops_while_a_device_does_not_read(tmp_path: Path) -> None:
    folder = fill_with_many(tmp_path / "items", MANY)
    with (
        running_server(folder) as server,
        halted_findscu(server.host, server.port) as slow,
    ):
        server.stop()
        assert slow.poll() is None


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
def test_server_listens_on_ipv6(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    with running_server(folder, host="::1") as server:
        done = run_mwl("echo", "::1", str(server.port))
        assert done.returncode == 0, done.stderr
