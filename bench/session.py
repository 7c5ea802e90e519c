"""One run of the benchmark: its folders, its servers, and how rates are measured in it.

Rates that are compared are measured in turn, round after round, so that whatever else the machine
does falls on all of them; the median round counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import native, systems
from bench.errors import BenchError
from bench.load import Load, Outcome, Publication, RunningLoad
from bench.systems import AE_TITLE, Running, System
from bench.worklists import (
    NUMBER,
    SERIAL,
    answer,
    file_name,
    item,
    part_10,
    write_files,
    write_identifiers,
)

WARM_UP_S = 0.3
START_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float
    """Length of one measurement."""
    rounds: int
    sizes: tuple[int, ...]
    """Numbers of files; the last is the size for start, memory and the slow reader."""
    drops: int
    """Files dropped in with a query at once."""
    distinct: int
    """Queries of a round that all differ."""
    slow_bytes_per_second: float
    is_full: bool


FULL = Plan(
    seconds=3.0,
    rounds=3,
    sizes=(10, 1_000, 10_000, 100_000),
    drops=10_000,
    distinct=3_000,
    slow_bytes_per_second=4e6,
    is_full=True,
)
QUICK = Plan(
    seconds=1.0,
    rounds=1,
    sizes=(10, 1_000, 10_000),
    drops=300,
    distinct=2_000,
    slow_bytes_per_second=2e6,
    is_full=False,
)


class Session:
    """A run of the benchmark.

    Args:
        work: Folder for everything that is written.
        plan: How much is measured.
        changing: Folder for worklist files that are changed all the time; it best lies in memory,
            where a rename over a file does not wait for a disk.
    """

    def __init__(self, work: Path, plan: Plan, changing: Path) -> None:
        self.plan = plan
        self.work = work
        self._changing = changing
        self.programs = native.build(work)
        self.identifiers = write_identifiers(work)
        self._servers = ExitStack()
        self._shared: dict[str, Running] = {}
        self._starts = 0
        self.answer = work / "answer"
        self.answer.write_bytes(answer(0))
        self.narrow = Load((self.identifiers.narrow,), expected=1, seconds=plan.seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_servers()

    def stop_servers(self) -> None:
        """End all servers; those asked for later start anew."""
        self._shared.clear()
        self._servers.close()

    def folder(self, files: int) -> Path:
        """Give a folder with so many worklist files, made when it is first asked for."""
        return _filled(self.work, files)

    def changing_folder(self, files: int) -> Path:
        """Give a folder with so many worklist files for what changes them."""
        return _filled(self._changing, files)

    def private_folder(self) -> Path:
        """Give a new folder for what a server writes."""
        self._starts += 1
        return self.work / f"server-{self._starts}"

    def server(self, system: System, files: int) -> Running:
        """Give a server that has answered once; scenarios that follow get the same one."""
        name = f"{system.name}, {files} files"
        return self._share(name, system, self.folder(files), expected=1)

    def changing_server(self, system: System, files: int) -> Running:
        """Give a server of the folder that is changed all the time."""
        name = f"{system.name}, {files} files that change"
        return self._share(name, system, self.changing_folder(files), expected=1)

    def floor(self, answers: int) -> Running:
        """Give the floor server that answers with so many data sets."""
        system = systems.floor(self.programs.floor, answers, self.answer)
        return self._share(f"floor, {answers} answers", system, self.work, expected=answers)

    def canned(self) -> Running:
        """Give the server in Python that answers with one data set that lies ready."""
        return self._share("canned", systems.canned(self.answer), self.work, expected=1)

    def _share(self, name: str, system: System, folder: Path, *, expected: int) -> Running:
        if name not in self._shared:
            starting = systems.start(system, folder, self.private_folder())
            server = self._shared[name] = self._servers.enter_context(starting)
            self.first_answer(server, expected=expected)
        return self._shared[name]

    @contextmanager
    def fresh_server(self, system: System, files: int) -> Iterator[Running]:
        """Start a server that nobody else asks; it has answered once."""
        with systems.start(system, self.folder(files), self.private_folder()) as server:
            self.first_answer(server)
            yield server

    def first_answer(self, server: Running, *, expected: int = 1) -> None:
        """Wait until a server gives the right answer to the narrow query."""
        load = replace(
            self.narrow,
            clients=1,
            associations=1,
            connect_within=START_LIMIT_S,
            seconds=START_LIMIT_S,
            expected=expected,
        )
        self.run(server, load)

    def begin(self, server: Running, load: Load) -> RunningLoad:
        """Start a load on a server."""
        return RunningLoad(self.programs.load, load, server.port)

    def run(self, server: Running, load: Load) -> Outcome:
        """Put a load on a server and give what was measured.

        Raises:
            BenchError: An answer was missing, too many or wrong: the figures would mean nothing.
        """
        before = server.processor_seconds()
        running = self.begin(server, load)
        try:
            outcome = checked(server, running.result())
            used = server.processor_seconds() - before
            return replace(outcome, server_processor_seconds=used)
        finally:
            running.stop()

    def compare(self, loads: Mapping[str, tuple[Running, Load]]) -> dict[str, Outcome]:
        """Measure several loads in turn and give the median round of each."""
        for server, load in loads.values():
            self.run(server, replace(load, seconds=min(WARM_UP_S, load.seconds)))
        rounds: dict[str, list[Outcome]] = {name: [] for name in loads}
        for _ in range(self.plan.rounds):
            for name, (server, load) in loads.items():
                rounds[name].append(self.run(server, load))
        return {name: median(each) for name, each in rounds.items()}

    def publication(self, folder: Path, name: str) -> Publication:
        """Prepare a file on the narrow query's station and day, another at each publication."""
        staging = folder.with_name("staging")  # a rename needs the same file system
        staging.mkdir(exist_ok=True)
        content = staging / f"pattern-{name}"
        content.write_bytes(part_10(item(0, digits=NUMBER, accession=SERIAL)))
        return Publication(content, name, staging, folder)

    def restore(self, folder: Path, files: int) -> None:
        """Write the files again that publications have replaced."""
        for number in range(files):
            (folder / file_name(number)).write_bytes(part_10(item(number)))


def _filled(parent: Path, files: int) -> Path:
    folder = parent / f"{files}-files" / AE_TITLE
    if not folder.exists():
        write_files(folder, range(files))
    return folder


def median(rounds: Sequence[Outcome]) -> Outcome:
    """Give the round with the median rate."""
    return sorted(rounds, key=attrgetter("queries_per_second"))[len(rounds) // 2]


def checked(server: Running, outcome: Outcome) -> Outcome:
    """Give the outcome if every answer was right.

    Raises:
        BenchError: One was not.
    """
    if outcome.faults or not outcome.queries:
        faults = ", ".join(f"{count} times {what}" for what, count in outcome.faults.items())
        raise BenchError(f"{server.name}: {faults or 'no query was answered'}")
    return outcome
