"""A query sees every change of the folder that was complete before it, and nothing half done."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dcmtk import FindResult, findscu
from support.server import RunningServer, configured_server, running_server
from support.worklist_files import GARBAGE, P1, P2, P3, fill, part10, put

pytestmark = pytest.mark.interop

FAILURES = range(0xC000, 0xD000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "items", {"p1.wl": P1})


@pytest.fixture
def server(folder: Path) -> Iterator[RunningServer]:
    with running_server(folder) as running:
        yield running


def ask(server: RunningServer) -> FindResult:
    return findscu(server.host, server.port, "PatientID", "PatientName")


def ids(server: RunningServer) -> list[str]:
    result = ask(server)
    assert result.final_status == 0x0000, result.error_comment
    return result.patient_ids


@pytest.mark.parametrize("watch", ["auto", "inotify", "scan"])
def test_file_is_answered_once_copied_in_and_no_more_once_deleted(
    folder: Path, tmp_path: Path, watch: str
) -> None:
    source = put(tmp_path, "source.wl", P2)
    with configured_server(tmp_path / "mwl.json", folder, Worklists={"Watch": watch}) as server:
        assert ids(server) == ["P1"]
        shutil.copyfile(source, folder / "p2.WL")
        assert ids(server) == ["P1", "P2"]
        (folder / "p1.wl").unlink()
        assert ids(server) == ["P2"]
        (folder / "p2.WL").rename(folder / "p2.done")
        assert ids(server) == []


def test_replaced_file_is_answered_with_its_new_content(
    server: RunningServer, folder: Path
) -> None:
    assert ids(server) == ["P1"]
    put(folder, "p1.wl", P3)
    assert ids(server) == ["P3"]


def test_half_written_file_is_not_answered_until_it_is_closed(
    server: RunningServer, folder: Path
) -> None:
    content = part10(P2)
    with (folder / "p2.wl").open("wb") as file:
        file.write(content[:400])
        file.flush()
        assert ids(server) == ["P1"]
        file.write(content[400:])
        file.flush()
        assert ids(server) == ["P1"]
    assert ids(server) == ["P1", "P2"]
    assert not server.log.events("file_skipped")


def test_file_that_is_being_rewritten_keeps_its_previous_content(
    server: RunningServer, folder: Path
) -> None:
    assert ids(server) == ["P1"]
    content = part10(P3)
    with (folder / "p1.wl").open("wb") as file:
        assert ids(server) == ["P1"]
        file.write(content[:400])
        file.flush()
        assert ids(server) == ["P1"]
        file.write(content[400:])
    assert ids(server) == ["P3"]


def test_broken_file_is_skipped_and_logged_once_until_it_changes(
    server: RunningServer, folder: Path
) -> None:
    put(folder, "broken.wl", GARBAGE)
    assert ids(server) == ids(server) == ["P1"]
    assert server.log.count("file_skipped", 1) == 1
    put(folder, "broken.wl", GARBAGE + b"more")
    assert ids(server) == ["P1"]
    assert server.log.count("file_skipped", 2) == 2
    put(folder, "broken.wl", P2)
    assert ids(server) == ["P1", "P2"]
    assert len(server.log.events("file_skipped")) == 2


def test_link_to_a_file_is_answered_and_folders_are_not_entered(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    (folder / "linked.wl").symlink_to(put(tmp_path, "elsewhere.dcm", P2))
    fill(folder / "deeper.wl", {"p3.wl": P3})
    assert ids(server) == ["P1", "P2"]


def test_folder_that_vanishes_is_a_failure_and_recovers(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    assert ids(server) == ["P1"]
    folder.rename(tmp_path / "away")
    result = ask(server)
    assert result.final_status in FAILURES
    assert result.error_comment
    assert not result.answers
    server.log.wait_for("store_unavailable")
    fill(folder, {"p2.wl": P2})
    assert ids(server) == ["P2"]
    server.log.wait_for("store_available")
    put(folder, "p3.wl", P3)
    assert ids(server) == ["P2", "P3"]


def test_folder_missing_at_the_start_is_a_failure_until_it_is_made(tmp_path: Path) -> None:
    with running_server(tmp_path / "later") as server:
        assert ask(server).final_status in FAILURES
        fill(tmp_path / "later", {"p1.wl": P1})
        assert ids(server) == ["P1"]


def test_each_called_ae_title_has_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    fill(folder / "RADIOLOGY", {"p2.wl": P2, "lockfile": b""})
    with configured_server(
        tmp_path / "mwl.json", folder, Worklists={"FolderPerCalledAet": True}
    ) as server:

        def of(called: str) -> FindResult:
            return findscu(server.host, server.port, "PatientID", called=called)

        assert of("RADIOLOGY").patient_ids == ["P2"]
        for called in ("NOWHERE", "..", "../items", "RADIOLOGY/."):
            refused = of(called)
            assert not refused.answers
            assert refused.exit_status != 0 or refused.final_status != 0x0000


def test_folders_of_called_ae_titles_that_are_not_there_now_are_a_failure(tmp_path: Path) -> None:
    with configured_server(
        tmp_path / "mwl.json", tmp_path / "unmounted", Worklists={"FolderPerCalledAet": True}
    ) as server:

        def of(called: str) -> FindResult:
            return findscu(server.host, server.port, "PatientID", called=called)

        result = of("RADIOLOGY")
        assert result.final_status in FAILURES
        assert result.error_comment
        server.log.wait_for("store_unavailable")
        fill(tmp_path / "unmounted" / "RADIOLOGY", {"p2.wl": P2})
        assert of("RADIOLOGY").patient_ids == ["P2"]
