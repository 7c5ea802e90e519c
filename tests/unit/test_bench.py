"""The benchmark: what it makes, how it judges, and that its load generator sees faults."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import native, systems
from bench.errors import BenchError
from bench.load import Load, Outcome, Publication, RunningLoad
from bench.plot import Scale, spread, svg
from bench.report import Row, curve_table, table, write_page
from bench.systems import Running
from bench.targets import Measured, Target, Verdict
from bench.worklists import (
    KEYS,
    NUMBER,
    SERIAL,
    answer,
    identifier,
    item,
    part_10,
    station,
    write_files,
)
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    decode,
    encode,
    read_file,
    tag_of,
)

RATIO = Target("of the floor's rate", 0.7, "at least")
REACHED = Target("of the floor's rate", 0.6, "at least", reached=0.2)
GROWTH = Target("of the p99 without it", 2, "at most")
SECONDS = Target("cold", 10, "at most", "s", "absolute")
NEVER = Target("missed", 0, "at most", kind="never")
FOUND = Outcome(
    associations=1000,
    queries=1000,
    answers=1000,
    bytes=0,
    seconds=2.0,
    processor_seconds=0.0,
    association_ms={},
    query_ms={},
    faults={},
    server_processor_seconds=0.04,
)


@pytest.mark.parametrize(
    ("target", "measured", "verdict"),
    [
        (RATIO, 0.7, Verdict.MET),
        (RATIO, 0.69, Verdict.NOT_MET),
        (RATIO, 0.35, Verdict.NOT_MET),
        (RATIO, 0.34, Verdict.FAR_FROM_IT),
        (RATIO, None, Verdict.NOT_JUDGED),
        (REACHED, 0.6, Verdict.MET),
        (REACHED, 0.1, Verdict.NOT_MET),
        (REACHED, 0.09, Verdict.FAR_FROM_IT),
        (GROWTH, 2.0, Verdict.MET),
        (GROWTH, 4.0, Verdict.NOT_MET),
        (GROWTH, 4.1, Verdict.FAR_FROM_IT),
        (SECONDS, 100.0, Verdict.NOT_MET),
        (NEVER, 0, Verdict.MET),
        (NEVER, 1, Verdict.FAR_FROM_IT),
    ],
)
def test_only_what_is_far_from_a_ratio_or_never_may_happen_fails_a_build(
    target: Target, measured: float | None, verdict: Verdict
) -> None:
    assert target.verdict(measured) is verdict


def test_absolute_figures_are_judged_only_at_the_size_of_their_target() -> None:
    assert SECONDS.verdict(1.0, full_size=False) is Verdict.NOT_JUDGED
    assert SECONDS.verdict(1.0) is Verdict.MET


def test_the_narrow_query_has_one_answer_for_each_day_of_a_station() -> None:
    assert [number for number in range(4_000) if station(number) == station(0)][:2] == [0, 400]
    days = {
        item(number)["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepStartDate"]
        for number in range(0, 4_000, 400)
    }
    assert len(days) == 10


def test_a_worklist_file_is_read_back_as_it_was_made() -> None:
    elements = read_file(part_10(item(123)))
    assert elements[0x00100020].value == b"PID0000123"
    assert encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN) in part_10(item(123))


def test_numbers_to_fill_in_stand_in_files_and_identifiers() -> None:
    content = part_10(item(0, digits=NUMBER, accession=SERIAL))
    assert b"PID@@@@@@@" in content
    assert b"A#######" in content
    assert b"PID@@@@@@@" in identifier({"PatientID": f"PID{NUMBER}"})


def test_the_floors_answer_has_a_value_for_what_is_asked() -> None:
    elements = decode(answer(7), IMPLICIT_VR_LITTLE_ENDIAN)
    assert {tag_of(key) for key in KEYS} < set(elements)
    assert elements[0x00100020].value == b"PID0000007"


def test_the_same_files_are_written_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_files(tmp_path / name, range(3))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["lockfile", "w0000000.wl", "w0000001.wl", "w0000002.wl"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_table_lines_up_and_names_a_scenario_once() -> None:
    rows = [
        Row("narrow query", RATIO, Measured(0.5, "5/s; floor 10/s"), Verdict.NOT_MET),
        Row("narrow query", GROWTH, Measured(None, ""), Verdict.NOT_JUDGED),
    ]
    lines = table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert table(rows).count("narrow query") == 1
    assert "at least 0.7 of the floor's rate" in lines[2]


def test_a_logarithmic_scale_puts_powers_of_ten_at_equal_distances() -> None:
    scale = Scale(1, 3, 0.0, 100.0)
    assert [scale(value) for value in scale.ticks()] == pytest.approx([0, 50, 100])


def test_names_beside_the_plot_do_not_cover_each_other() -> None:
    assert spread([10.0, 12.0, 50.0], 17) == [10.0, 27.0, 50.0]
    assert spread([12.0, 10.0, 11.0], 17) == [44.0, 10.0, 27.0]


CURVE = {"mwl": {10: 6000.0, 1000: 5900.0}, "A & B": {10: 17.5}, "floor": {10: 8000.0}}


def test_the_plot_is_well_formed_and_names_each_system() -> None:
    drawing = ET.fromstring(svg(CURVE))  # noqa: S314 - our own text
    texts = {element.text for element in drawing.iter() if element.tag.endswith("text")}
    assert {"mwl", "A & B", "10", "1,000", "10,000"} <= texts
    assert "prefers-color-scheme: dark" in svg(CURVE)


def test_a_point_that_was_left_out_is_a_dash() -> None:
    assert "| A & B | 18 | - |" in curve_table(CURVE)


def test_the_page_has_nothing_left_to_fill_in(tmp_path: Path) -> None:
    rows = [
        Row("narrow query", RATIO, Measured(0.5, "5/s"), Verdict.NOT_MET),
        Row("many queries", REACHED, Measured(0.6, "6/s"), Verdict.MET),
    ]
    limits = {"an association each": {"floor": FOUND, "mwl": FOUND}}
    page = write_page(tmp_path, rows, CURVE, limits, {"memory": "1 GiB"}, svg(CURVE))
    text = page.read_text(encoding="utf-8")
    assert "{" not in text
    assert "Of 2 targets, 1 are not met" in text
    assert (
        "- many queries: at least 0.6 of the floor's rate; a build is held to half of 0.2" in text
    )
    assert "| an association each | 500; 40 µs | 500; 40 µs |" in text
    assert "- memory: 1 GiB" in text


def test_what_the_load_generator_prints_is_read_or_refused() -> None:
    with pytest.raises(BenchError, match="printed 'nonsense'"):
        Outcome.read("nonsense")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> native.Programs:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    return native.build(tmp_path_factory.mktemp("native"))


@pytest.fixture
def floor(programs: native.Programs, tmp_path: Path) -> Iterator[Running]:
    data_set = tmp_path / "answer"
    data_set.write_bytes(answer(7))
    with systems.start(systems.floor(programs.floor, 3, data_set), tmp_path, tmp_path) as server:
        yield server


@pytest.fixture
def load(tmp_path: Path) -> Load:
    file = tmp_path / "identifier"
    file.write_bytes(identifier({"PatientID": f"PID{NUMBER}"}))
    return Load((file,), clients=2, associations=20, queries=3, expected=3, connect_within=20.0)


def measured(programs: native.Programs, load: Load, floor: Running) -> Outcome:
    return RunningLoad(programs.load, load, floor.port).result()


def test_right_answers_are_counted_without_fault(
    programs: native.Programs, floor: Running, load: Load
) -> None:
    found = measured(programs, load, floor)
    assert (found.associations, found.queries, found.answers) == (20, 60, 180)
    assert not found.faults
    assert 0 < found.association_ms["p50"] <= found.association_ms["p99"]
    assert found.association_ms["p99"] <= found.association_ms["max"]


def test_a_wrong_number_of_answers_is_a_fault_of_each_query(
    programs: native.Programs, floor: Running, load: Load
) -> None:
    found = measured(programs, replace(load, expected=4), floor)
    assert found.faults == {"wrong number of answers": 60}


def test_answers_for_another_patient_are_a_fault(
    programs: native.Programs, floor: Running, load: Load
) -> None:
    asked = replace(load, text=f"PID{NUMBER}", numbers=1)
    assert not measured(programs, replace(asked, first_number=7), floor).faults
    found = measured(programs, replace(asked, first_number=8), floor)
    assert found.faults == {"answers lack the expected text": 60}


def test_a_server_that_is_not_there_is_a_fault(programs: native.Programs, load: Load) -> None:
    gone = RunningLoad(programs.load, replace(load, connect_within=0.0), systems.free_port())
    assert gone.result().faults == {"not connected": 2}


def test_a_slow_reader_reads_as_slowly_as_asked(
    programs: native.Programs, floor: Running, load: Load
) -> None:
    slow = replace(load, clients=1, associations=1, queries=50, bytes_per_second=400_000.0)
    found = measured(programs, slow, floor)
    assert found.bytes / found.seconds == pytest.approx(400_000.0, rel=0.2)


def test_each_query_publishes_its_own_file_first(
    programs: native.Programs, floor: Running, load: Load, tmp_path: Path
) -> None:
    folder, content = tmp_path / "folder", tmp_path / "content"
    folder.mkdir()
    content.write_bytes(b"number @@@@@@@ serial #######")
    publication = Publication(content, f"{NUMBER}.wl", tmp_path, folder)
    load = replace(load, clients=1, queries=1, associations=4, first_number=5, numbers=3)
    measured(programs, replace(load, publication=publication), floor)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "0000005.wl": "number 0000005 serial 0000003",
        "0000006.wl": "number 0000006 serial 0000001",
        "0000007.wl": "number 0000007 serial 0000002",
    }
