"""`mwl new` beside a server that is asked all the while, and DCMTK as reader of its files."""

import subprocess
import sys
from pathlib import Path

import pytest

from mwl.keys import identifier_of
from mwl.net.client import Peer, associate
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.dcmtk import dcmdump, findscu, running_wlmscpfs
from support.new_items import ENOUGH
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import P1, fill

pytestmark = pytest.mark.interop

STEP = "ScheduledProcedureStepSequence[0]"
ROWS = 150


def ask(server: RunningServer) -> list[str]:
    result = findscu(server.host, server.port, "PatientID", f"{STEP}.Modality=CT", "PatientName")
    assert result.final_status == 0x0000, result.error_comment
    for answer in result.answers:
        assert answer.PatientID in {"P1", f"N{str(answer.PatientName)[4:]}"}
    return result.patient_ids


async def count(server: RunningServer) -> int:
    """Ask with mwl's own client, which is quick: how many items are there now?"""
    peer = Peer(server.host, server.port, "ORTHANC", "MWL", 10.0)
    async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
        responses = [one async for one in association.find(identifier_of(["PatientID"]))]
    assert responses[-1].command.status == Status.SUCCESS
    return len(responses) - 1


def test_a_new_file_is_answered_by_the_next_query(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": P1})
    with running_server(folder) as server:
        assert ask(server) == ["P1"]
        done = run_mwl("new", folder / "n.wl", "PatientName=DOE^7", "PatientID=N7", *ENOUGH[2:])
        assert done.returncode == 0, done.stderr
        assert sorted(ask(server)) == ["N7", "P1"]
        assert not server.log.events("file_skipped")


async def test_a_batch_is_never_seen_half_written(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": P1})
    table = tmp_path / "list.csv"
    lines = [f"DOE^{number},N{number},A{number}" for number in range(ROWS)]
    table.write_text("\n".join(["PatientName,PatientID,AccessionNumber", *lines]), encoding="utf-8")
    arguments = ["--from-csv", str(table), "--out", str(folder), "-q", *ENOUGH[2:]]
    seen = [0]
    with running_server(folder) as server:
        for _ in range(2):  # new files, then the same again in the place of those
            command = [sys.executable, "-m", "mwl", "new", "--force", *arguments]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL) as batch:  # noqa: ASYNC220
                while batch.poll() is None:
                    seen.append(await count(server))
            assert batch.returncode == 0
        assert len(ask(server)) == ROWS + 1
        assert not server.log.events("file_skipped")
    assert len(seen) > 2
    assert seen == sorted(seen)


def test_dcmtk_reads_a_new_file_as_it_was_said(tmp_path: Path) -> None:
    path = tmp_path / "a.wl"
    done = run_mwl(
        *("new", path, "PatientName=MÜLLER^JÜRGEN", *ENOUGH[1:3]),
        *("ScheduledStationAETitle=CT1\\CT2", "ScheduledProcedureStepStartDate=2026-11-24"),
        *(
            "ScheduledProcedureStepStartTime=8:30",
            f"{STEP}.ScheduledProtocolCodeSequence[0].CodeValue=P",
        ),
    )
    assert done.returncode == 0, done.stderr
    text = dcmdump(path)
    for line in (
        "(0008,0005) CS [ISO_IR 192]",
        "(0010,0010) PN [MÜLLER^JÜRGEN]",
        "    (0040,0001) AE [CT1\\CT2]",
        "    (0040,0002) DA [20261124]",
        "    (0040,0003) TM [083000]",
        "        (0008,0100) SH [P]",
    ):
        assert line in text


def test_wlmscpfs_takes_a_new_file_for_complete(tmp_path: Path) -> None:
    folder = tmp_path / "RADIOLOGY"
    folder.mkdir()
    (folder / "lockfile").touch()
    done = run_mwl(
        *("new", folder / "a.wl", *ENOUGH, "RequestedProcedureDescription=Head"),
        *("AccessionNumber=A1",),
    )
    assert done.returncode == 0, done.stderr
    with running_wlmscpfs(tmp_path) as port:
        result = findscu("127.0.0.1", port, "PatientID", f"{STEP}.Modality=CT", called="RADIOLOGY")
        assert result.patient_ids == ["P1"], result.output
