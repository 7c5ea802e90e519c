"""Files replaced by thousands or while they are read, and clocks that lie: never a wrong list."""

import asyncio
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset

from mwl.attributes import PATIENT_ID
from mwl.dataset import Elements, decode, values
from mwl.net.client import Peer, associate
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.dcmtk import missing
from support.items import LATIN_1, elements
from support.server import RunningServer, configured_server, running_server
from support.worklist_files import configuration, fill, part10, step, worklist

MANY = 1500
PAUSE_S = 0.03
"""Between two swaps of a folder whose reading takes longer."""

HISTORY = 0x0010_21B0
AT_FDCWD, RENAME_EXCHANGE = -100, 2


async def asked(server: RunningServer, *keys: str) -> list[Elements]:
    """Ask for everything; the query must succeed."""
    peer = Peer("127.0.0.1", server.port, "ORTHANC", "MWL")
    found = []
    async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
        identifier = elements(dict.fromkeys(("PatientID", *keys), ""))
        async for response in association.find(identifier):
            if response.identifier is not None:
                found.append(decode(response.identifier, response.transfer_syntax))
    assert response.command.status == Status.SUCCESS, response.command.error_comment
    return found


def values_of(answers: list[Elements], tag: int) -> list[str]:
    return sorted(value for one in answers for value in values(one[tag], LATIN_1))


def ids(server: RunningServer) -> list[str]:
    return [value.strip() for value in values_of(asyncio.run(asked(server)), PATIENT_ID)]


def patient(identifier: str) -> Dataset:
    return worklist(identifier, "DOE^JANE", step("CT", "CT1", "20250110", "085607", "S1"))


@contextmanager
def busy(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a writer beside the block."""
    done = threading.Event()
    writer = threading.Thread(target=work, args=(done,))
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


# Thousands at once


def generation(folder: Path, letter: str) -> Path:
    """Make a folder of many items, whose Patient IDs begin with a letter."""
    template = part10(patient("X99999"))
    folder.mkdir()
    for number in range(10_000, 10_000 + MANY):
        data = template.replace(b"X99999", f"{letter}{number}".encode())
        (folder / f"{number}.wl").write_bytes(data)
    return folder


def of_generation(letter: str) -> list[str]:
    return [f"{letter}{number}" for number in range(10_000, 10_000 + MANY)]


def test_thousands_of_files_replaced_at_once_are_old_or_new_each_and_all_new_at_last(
    tmp_path: Path,
) -> None:
    folder, aside = generation(tmp_path / "items", "A"), generation(tmp_path / "aside", "B")

    def replace(_: threading.Event) -> None:
        for path in sorted(aside.iterdir()):
            path.replace(folder / path.name)

    with running_server(folder) as server:
        assert ids(server) == of_generation("A")
        with busy(replace):
            for _ in range(5):
                found = ids(server)
                assert sorted(identifier[1:] for identifier in found) == [
                    identifier[1:] for identifier in of_generation("A")
                ], "each file is there once, whichever it is"
        assert ids(server) == of_generation("B")


def exchange(one: Path, other: Path) -> None:
    """Let two folders take each other's place, in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), "folders cannot be exchanged")


@pytest.mark.parametrize("how", ["exchanged", "behind a link"])
def test_a_folder_that_another_takes_the_place_of_is_one_or_the_other(
    tmp_path: Path, how: str
) -> None:
    generation(tmp_path / "A", "A")
    generation(tmp_path / "B", "B")
    served = tmp_path / "A"
    if how == "behind a link":
        served = tmp_path / "current"
        served.symlink_to("A")

    def swap() -> None:
        if how == "exchanged":
            exchange(tmp_path / "A", tmp_path / "B")
            return
        link = tmp_path / "link"
        link.symlink_to("B" if served.resolve().name == "A" else "A")
        link.replace(served)

    def swap_twice(done: threading.Event) -> None:
        """Swap and swap back, while a query waits for the first folder to be read."""
        for _ in range(2):
            swap()
            done.wait(PAUSE_S)

    with running_server(served) as server:
        for _ in range(3):
            swap()  # so that there is something to read
            with busy(swap_twice):
                assert ids(server) in (of_generation("A"), of_generation("B"))
            assert ids(server) == values_in(served)


def values_in(folder: Path) -> list[str]:
    letter = "A" if b"A10000" in (folder / "10000.wl").read_bytes() else "B"
    return of_generation(letter)


# While it is read


@pytest.mark.parametrize("how", ["renamed", "in place"])
@pytest.mark.parametrize("watch", ["inotify", "scan"])
def test_a_file_that_is_replaced_while_it_is_read_is_one_version_or_another(
    tmp_path: Path, how: str, watch: str
) -> None:
    versions = []
    for letter in "AB":
        item = patient("P1")
        item.AdditionalPatientHistory = letter * 10_000
        item.PatientComments = letter * 10_000
        versions.append(part10(item))
    folder = fill(tmp_path / "items", {"p1.wl": versions[0]})
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        DicomAlwaysAllowFindWorklist=True,
        Worklists={"Watch": watch},
    )

    def replace(done: threading.Event) -> None:
        number = 0
        while not done.is_set():
            number += 1
            if how == "in place":
                (folder / "p1.wl").write_bytes(versions[number % 2])
            else:
                (folder / "aside").write_bytes(versions[number % 2])
                (folder / "aside").replace(folder / "p1.wl")

    with running_server("--config", file) as server:
        seen = set()
        with busy(replace):
            for _ in range(40):
                (answer,) = asyncio.run(asked(server, "AdditionalPatientHistory"))
                (text,) = values(answer[HISTORY], LATIN_1)
                seen.add(text)
        assert seen <= {"A" * 10_000, "B" * 10_000}
        assert server.log.events("file_skipped") == []


# Clocks


DAY_S = 86_400


@pytest.mark.parametrize("watch", ["inotify", "scan"])
@pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
def test_the_time_of_a_file_does_not_matter(tmp_path: Path, watch: str, days: int) -> None:
    folder = fill(tmp_path / "items", {"p1.wl": patient("P1")})
    with configured_server(tmp_path / "mwl.json", folder, Worklists={"Watch": watch}) as server:
        assert ids(server) == ["P1"]
        when = (folder / "p1.wl").stat().st_mtime + days * DAY_S
        for number in range(2, 6):  # as long each time, and of the same time
            (folder / "aside").write_bytes(part10(patient(f"P{number}")))
            os.utime(folder / "aside", (when, when))
            (folder / "aside").replace(folder / "p1.wl")
            assert ids(server) == [f"P{number}"]
            with (folder / "p1.wl").open("r+b") as written:
                written.write(part10(patient(f"Q{number}")))
            os.utime(folder / "p1.wl", (when, when))
            assert ids(server) == [f"Q{number}"]


def faketime(file: Path) -> list[str]:
    """Give the command that runs another whose clock a file sets; its stopwatch stays right."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        missing("libfaketime is not installed (Debian package faketime)")
    return [
        *("env", f"LD_PRELOAD={libraries[0]}", f"FAKETIME_TIMESTAMP_FILE={file}"),
        *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"),
    ]


@pytest.mark.interop
def test_a_clock_that_is_set_back_or_forward_changes_nothing(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n", encoding="ascii")
    folder = fill(tmp_path / "items", {"p1.wl": patient("P1")})
    with running_server(folder, under=faketime(clock)) as server:
        assert ids(server) == ["P1"]
        number = 1
        for set_to in ("-2h", "-400d", "+400d", "+0"):
            clock.write_text(f"{set_to}\n", encoding="ascii")
            for _ in range(3):
                number += 1
                (folder / "p1.wl").write_bytes(part10(patient(f"P{number}")))
                assert ids(server) == [f"P{number}"]
        years = {line.text[:4] for line in server.log.events("query")}
        assert len(years) >= 3, "the clock was set"
        outcomes = {line.fields["outcome"] for line in server.log.events("association")}
        assert outcomes == {"released"}
