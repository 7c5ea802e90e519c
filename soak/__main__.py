"""Run the soak: `python -m soak`, or `scripts/soak`, which prepares what it needs."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mwl.net.client import Peer
from soak import material, workers
from soak.report import Result, describe, table, write_page
from soak.sampling import SAMPLES, Samples
from soak.servers import Server, plain, with_hooks
from soak.truth import Truth
from soak.workers import TIMEOUT_S, Run

DOCS = Path(__file__).parent.parent / "docs"
SEED = 6
QUERIES, ITEMS = 300, 300
FILES = 100
"""Files of each of the two who churn."""
ORDERS = 40
"""Items of each of the two who write over HTTP."""
PROGRESS_S = 30.0


async def soak(run: Run, seconds: float) -> list[Samples]:
    """Let every worker work for a time; give what was seen of the servers."""
    first, second = run.servers
    ultrasound = material.of_ultrasound(run.asked)
    for name in ("a", "b"):
        workers.fill(run, name, FILES)
    samples = [Samples(server) for server in run.servers]
    async with asyncio.TaskGroup() as tasks:
        for work in (
            workers.ask(run, peer_of(first), run.asked, "queries", 0.01),
            workers.ask(run, peer_of(first, "CT2"), run.asked, "more queries", 0.02),
            workers.ask(run, peer_of(second), run.asked, "queries with hooks", 0.03),
            workers.ask(run, peer_of(second, tls=True), run.asked, "queries over TLS", 0.05),
            workers.ask(
                run,
                peer_of(second, material.ULTRASOUND),
                ultrasound,
                "queries that a hook rewrites",
                0.05,
            ),
            workers.ask_with_findscu(run, first, 2.0),
            workers.list_over_http(run, first, 1.0),
            workers.list_over_http(run, second, 1.0),
            workers.churn_files(run, "a", FILES, 0.05),
            workers.churn_files(run, "b", FILES, 0.1),
            workers.write_over_http(run, first, "orders-a", ORDERS, 0.1),
            workers.write_over_http(run, second, "orders-b", ORDERS, 0.1),
            workers.break_associations(run, first, "broken", 0.05),
            workers.break_associations(run, second, "also broken", 0.1),
            workers.open_and_say_nothing(run, first, 20, 1.0),
            workers.open_and_say_nothing(run, second, 10, 1.5),
        ):
            tasks.create_task(work)
        await _watch(run, samples, seconds)
        run.ended.set()
    return samples


def peer_of(server: Server, calling: str = "CT1", *, tls: bool = False) -> Peer:
    """Give the way to a server."""
    port = server.tls_port if tls and server.tls_port else server.port
    context = server.tls if tls else None
    return Peer("127.0.0.1", port, "ORTHANC", calling, TIMEOUT_S, tls=context)


async def _watch(run: Run, samples: Sequence[Samples], seconds: float) -> None:
    """Look at the servers until the time is over, and tell how it goes."""
    began, told = run.now(), 0.0
    while (passed := run.now() - began) < seconds:
        for one in samples:
            one.take(passed)
        if passed - told >= PROGRESS_S:
            told = passed
            counts = ", ".join(f"{name} {count:,}" for name, count in sorted(run.done.items()))
            print(f"  {passed:5.0f} s  wrong {len(run.wrong)}; {counts}", flush=True)
        await run.rest(seconds / SAMPLES)


async def _descriptors_left(run: Run, before: Sequence[int]) -> list[int]:
    """Wait until the servers have let go of all connections; give how many more are open."""
    left: list[int] = []
    for _ in range(100):
        after = [server.descriptors() for server in run.servers]
        left = [now - then for now, then in zip(after, before, strict=True)]
        if max(left) <= 0:
            break
        run.ended.clear()
        await run.rest(0.2)
    return left


async def _run(run: Run, seconds: float) -> tuple[list[Samples], list[int]]:
    for server in run.servers:  # HTTP begins, for it stays
        await asyncio.to_thread(workers.request, server, "GET", "/health/live")
    before = [server.descriptors() for server in run.servers]
    samples = await soak(run, seconds)
    return samples, await _descriptors_left(run, before)


def measure(seconds: float, work: Path) -> Result:
    """Run servers and workers for a time; give what came of it."""
    folder = work / "worklists"
    folder.mkdir()
    asked, items = material.queries(QUERIES, SEED), material.items(ITEMS, SEED)
    with plain(folder, work / "plain") as first, with_hooks(folder, work / "hooks") as second:
        run = Run(folder, (first, second), Truth(), asked, items, asyncio.Event())
        samples, left = asyncio.run(_run(run, seconds))
        statuses = [server.stop() for server in run.servers]
        return Result(
            seconds=seconds,
            done=run.done,
            wrong=run.wrong,
            errors=[line for server in run.servers for line in server.errors()],
            statuses=statuses,
            samples=samples,
            descriptors_left=left,
        )


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="Everything at once, checked."
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20.0)
    length.add_argument("--seconds", type=float, help="less than a minute; growth is not judged")
    parser.add_argument("--output", type=Path, help="folder for reliability.md and its plot")
    arguments = parser.parse_args()
    seconds = arguments.seconds or arguments.minutes * 60
    with tempfile.TemporaryDirectory(prefix="mwl-soak-") as work:
        result = measure(seconds, Path(work))
    print(table(result))
    for name, value in describe(result).items():
        print(f"{name}: {value}")
    for line in [*result.wrong[:20], *result.errors[:20]]:
        print(line, file=sys.stderr)
    if arguments.output is not None:
        print(f"wrote {write_page(arguments.output, result)}")
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
