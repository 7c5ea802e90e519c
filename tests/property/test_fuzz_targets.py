"""The fuzzing harnesses run, find nothing in their seeds and what is near them, and find faults."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from fuzz.mutation import CHANGES, FoundError, inputs_of, run
from fuzz.targets import TARGETS, Target
from fuzz.traffic import recorded
from fuzz.wire import messages_of
from mwl.dataset import read_dicom_file
from mwl.dump import STORED, dump_file
from mwl.wire.dimse import CommandField
from support.dcmtk import require

SECONDS = 2.0
"""Time of each harness; `scripts/fuzz` takes more."""

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "worklists").glob("*.wl"))


@pytest.fixture(autouse=True)
def peers() -> None:
    require("findscu")
    require("echoscu")


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_near_the_seeds(name: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    try:
        done = run(TARGETS[name], seed, seconds=SECONDS)
    except FoundError as found:
        pytest.fail(f"{found}; seed {seed}, input {found.data!r}")
    assert done.inputs > len([*TARGETS[name].seeds()])


def test_what_programs_say_is_recorded() -> None:
    fields = {
        message.command.field for one in recorded() for message in messages_of(one.of_requestor)
    }
    assert fields >= {CommandField.C_ECHO_RQ, CommandField.C_FIND_RQ, CommandField.C_CANCEL_RQ}
    assert all(one.of_acceptor for one in recorded())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_texts_of_the_samples_are_read_in_every_encoding(path: Path) -> None:
    for encoding in ("utf-8", STORED):
        TARGETS["text_reader"].run(dump_file(read_dicom_file(path.read_bytes()), encoding))


def test_spaces_that_do_not_count_may_go_on_the_way_through_json() -> None:
    # Found by the harness, which took the difference for a fault.
    TARGETS["dicom_json"].run(b'{"00380010": {"vr": "LO", "Value": ["ADM000 "]}}')


def harness(data: bytes) -> None:
    assert b"\xff\xff" not in data, "two bytes of ones"


def seeds() -> Sequence[bytes]:
    return [b"\0" * 8, b"12345678"]


def test_a_fault_is_found_with_its_input() -> None:
    target = Target(harness, lambda: iter(seeds()))
    with pytest.raises(FoundError, match="AssertionError: two bytes") as found:
        run(target, 1, inputs=10_000, seconds=60)
    assert b"\xff\xff" in found.value.data


def test_an_input_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.mutation.HANG_S", 0.05)

    def hang(_: bytes) -> None:
        while True:
            pass

    with pytest.raises(FoundError, match="took more than"):
        run(Target(hang, lambda: iter(seeds())), 1, inputs=1, seconds=60)


def test_a_seed_gives_the_same_inputs_again() -> None:
    def some(seed: int) -> list[bytes]:
        return [*itertools.islice(inputs_of(seeds(), random.Random(seed), 100), 200)]  # noqa: S311

    assert some(1) == some(1) != some(2)
    assert len(set(some(1))) > 100
    assert max(map(len, some(1))) <= 100
    assert len(set(CHANGES)) == len(CHANGES) - 1
