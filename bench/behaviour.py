"""What is not a rate: latency, start, memory, freshness, and a caller that reads slowly."""

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import systems
from bench.errors import BenchError
from bench.load import Load
from bench.session import Session, checked
from bench.systems import AE_TITLE, MWL, ROOMY, Running
from bench.targets import Measured
from bench.worklists import NUMBER, write_files

LARGE = 10_000
KIB, MIB = 1024, 1024 * 1024

POLLING_CLIENTS = 200
POLL_PAUSE_S = 0.1

DROPPING_CLIENTS = 2
DROPPED_FIRST = 9_000_000
"""Numbers of dropped items; no other item has them."""

OTHERS = 8
OTHERS_PAUSE_S = 0.01
SAMPLE_S = 0.02

IDLE, SLOW = 2000, 500
"""Connections that say nothing, and scanners that send a byte at a time."""
CROWD_LEAVES_S = 20.0


def polling(session: Session) -> list[Measured]:
    """Measure the latency that 200 clients see who poll ten times a second each."""
    load = replace(
        session.narrow,
        clients=POLLING_CLIENTS,
        pause=POLL_PAUSE_S,
        seconds=session.plan.seconds * 2,
    )
    found = session.run(session.server(MWL, LARGE), load)
    latency = found.association_ms
    figure = (
        f"p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, p99 {latency['p99']:.1f} ms "
        f"at {found.associations_per_second:,.0f} polls/s; no error"
    )
    return [Measured(latency["p99"], figure)]


def start(session: Session) -> list[Measured]:
    """Measure how long a start takes until the first right answer, then how long another takes."""
    files = session.plan.sizes[-1]
    private = session.private_folder()
    folder = private / AE_TITLE
    write_files(folder, range(files))
    return [
        Measured(seconds, f"{seconds:.2f} s with {files:,} files")
        for seconds in (_timed_start(session, folder, private) for _ in ("cold", "warm"))
    ]


def _timed_start(session: Session, folder: Path, private: Path) -> float:
    began = time.perf_counter()
    with systems.start(MWL, folder, private) as server:
        session.first_answer(server)
        return time.perf_counter() - began


def memory(session: Session) -> list[Measured]:
    """Measure the memory that an item takes, from servers with few and many files."""
    few, many = session.plan.sizes[0], session.plan.sizes[-1]
    held = {}
    for files in (few, many):
        with session.fresh_server(MWL, files) as server:
            session.run(server, session.narrow)
            held[files] = server.resident_bytes()
    each = (held[many] - held[few]) / (many - few) / KIB
    figure = (
        f"{each:.2f} KiB an item: {held[many] / MIB:.0f} MiB with {many:,} files, "
        f"{held[few] / MIB:.0f} MiB with {few}"
    )
    return [Measured(each, figure)]


def dropped(session: Session) -> list[Measured]:
    """Drop files in under load, each followed at once by a query for it; count what is missed."""
    server = session.server(MWL, LARGE)
    folder = session.folder(LARGE)
    drops = session.plan.drops
    load = replace(
        session.narrow,
        identifiers=(session.identifiers.patient,),
        clients=DROPPING_CLIENTS,
        associations=drops,
        seconds=300.0,
        text=f"PID{NUMBER}",
        first_number=DROPPED_FIRST,
        numbers=drops,
        publication=session.publication(folder, f"dropped{NUMBER}.wl"),
    )
    others = replace(load, clients=OTHERS, associations=None, publication=None)
    others = replace(others, first_number=0, numbers=LARGE)
    noise = session.begin(server, others)
    try:
        found = session.begin(server, load).result()
    finally:
        noise.stop()
        for path in folder.glob("dropped*.wl"):
            path.unlink()
    missed = sum(found.faults.values()) + drops - found.queries
    figure = f"{missed} of {drops:,} missed, {found.queries_per_second:,.0f} drops/s"
    return [Measured(missed, figure)]


def slow_reader(session: Session) -> list[Measured]:
    """Measure what a caller who reads slowly does to the others and to the server's memory."""
    files = session.plan.sizes[-1]
    rate = session.plan.slow_bytes_per_second
    slow = Load(
        (session.identifiers.broad,),
        clients=1,
        associations=1,
        expected=files,
        bytes_per_second=rate,
    )
    # Without the responses' commands: the reader is at work a little longer than the others.
    reading_s = files * len(session.answer.read_bytes()) / rate
    others = replace(session.narrow, clients=OTHERS, pause=OTHERS_PAUSE_S, seconds=reading_s)
    with session.fresh_server(MWL, files) as server:
        alone = session.run(server, replace(others, seconds=session.plan.seconds * 2))
        before = server.resident_bytes()
        with _peak_memory(server) as peak:
            reader = session.begin(server, slow)
            beside = session.run(server, others)
            read = checked(server, reader.result())
    ratio = beside.association_ms["p99"] / alone.association_ms["p99"]
    growth = (peak[0] - before) / MIB
    return [
        Measured(
            ratio,
            f"p99 {beside.association_ms['p99']:.1f} ms; "
            f"without it {alone.association_ms['p99']:.1f} ms",
        ),
        Measured(growth, f"{growth:.1f} MiB for {read.answers:,} answers in {read.seconds:.0f} s"),
    ]


def crowd(session: Session) -> list[Measured]:
    """Measure the latency of queries beside connections that say nothing, and slow senders."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < 2 * (IDLE + SLOW):
        return [Measured(None, f"a process may have {files} descriptors here, too few for it")]
    load = replace(
        session.narrow, clients=OTHERS, pause=OTHERS_PAUSE_S, seconds=session.plan.seconds * 2
    )
    with session.fresh_server(ROOMY, LARGE) as server:
        alone = session.run(server, load)
        with _crowd_at(server) as crowd:
            beside = session.run(server, load)
        idle, slow = map(int, crowd[0].split())
    if (idle, slow) != (IDLE, SLOW):
        raise BenchError(f"of {IDLE} and {SLOW} connections the server has kept {idle} and {slow}")
    p99 = beside.association_ms["p99"]
    figure = f"p99 {p99:.1f} ms; without them {alone.association_ms['p99']:.1f} ms; no error"
    return [Measured(p99, figure)]


@contextmanager
def _crowd_at(server: Running) -> Iterator[list[str]]:
    """Have a crowd of connections; the list holds at last what the crowd has said."""
    program = Path(__file__).with_name("crowd.py")
    process = subprocess.Popen(
        [sys.executable, str(program), *map(str, (server.port, IDLE, SLOW))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise BenchError("the crowd could not connect")
        yield said
        said.append(process.communicate("", timeout=CROWD_LEAVES_S)[0])
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _peak_memory(server: Running) -> Iterator[list[int]]:
    """Look at a server's memory all the time; the list holds the highest value."""
    peak = [server.resident_bytes()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            peak[0] = max(peak[0], server.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
