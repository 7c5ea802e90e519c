"""`mwl find` and `mwl echo` against DCMTK's wlmscpfs."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from pydicom import Dataset

from support.dcmtk import running_wlmscpfs
from support.server import run_mwl
from support.worklist_files import FIVE_ITEMS, fill, query_file

pytestmark = pytest.mark.interop

STEP = "ScheduledProcedureStepSequence[0]"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("wlmscpfs")
    fill(folder / "THEM", FIVE_ITEMS | {"lockfile": b""})
    with running_wlmscpfs(folder, "-csk") as listening:
        yield listening


def find(port: int, *arguments: str | Path) -> CompletedProcess[str]:
    return run_mwl("find", "-W", "-aet", "ME", "-aec", "THEM", *arguments, "127.0.0.1", port)


def answers(done: CompletedProcess[str]) -> list[Dataset]:
    assert done.returncode == 0, done.stderr
    return [Dataset.from_json(answer) for answer in json.loads(done.stdout)]


def test_echo_succeeds(port: int) -> None:
    done = run_mwl("echo", "127.0.0.1", port, "-aet", "ME", "-aec", "THEM")
    assert done.returncode == 0, done.stderr


SPELLINGS = {
    "keywords": (f"{STEP}.Modality=MR", "PatientID"),
    "tags": ("(0040,0100)[0].0008,0060=MR", "0010,0020"),
}


@pytest.mark.parametrize("keys", SPELLINGS.values(), ids=SPELLINGS)
def test_keys_are_spelt_as_for_findscu(port: int, keys: tuple[str, ...]) -> None:
    options = [part for key in keys for part in ("-k", key)]
    assert [answer.PatientID for answer in answers(find(port, *options, "--json"))] == ["P3"]


def test_answers_in_utf_8_are_shown_as_written(port: int) -> None:
    done = find(port, "-k", "PatientName", "-k", "PatientID=P4", "-k", "SpecificCharacterSet")
    assert done.returncode == 0, done.stderr
    assert "(0010,0010) PN [Примеров^Пётр" in done.stdout


def test_query_file_is_sent_with_its_keys_overridden(port: int, tmp_path: Path) -> None:
    identifier = Dataset()
    identifier.PatientID = ""
    identifier.PatientName = "NOBODY"
    file = query_file(tmp_path / "query.dcm", identifier)
    done = run_mwl(
        *("find", "-aec", "THEM", "--json", "-k", "PatientName=POE*", "127.0.0.1", port, file)
    )
    assert [answer.PatientID for answer in answers(done)] == ["P3"]


def test_failure_status_is_told_and_is_the_exit_status(port: int) -> None:
    done = find(port, "-k", f"{STEP}.ScheduledProcedureStepStartDate=nonsense")
    assert done.returncode == 1
    assert "A900" in done.stderr.upper()


def test_rejection_is_told_and_is_the_exit_status(port: int) -> None:
    done = run_mwl("find", "-aec", "NOBODY", "-k", "PatientID", "127.0.0.1", port)
    assert done.returncode == 1
    assert "called AE title" in done.stderr
