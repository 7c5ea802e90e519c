"""What is measured: one row a line of the table, with its targets and the function that measures.

The functions are in `rates` (how many a second) and `behaviour` (latency, start, memory,
freshness).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import behaviour, rates
from bench.session import Session
from bench.targets import Measured, Target


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line of the table."""

    name: str
    what: str
    targets: tuple[Target, ...]
    measure: Callable[[Session], Sequence[Measured]]
    """Gives a value for each target, in their order."""


SCENARIOS = (
    Scenario(
        "narrow",
        "narrow query, 8 clients, an association each, 10 files",
        (
            Target("of Orthanc's rate", 8, "at least", reached=4),
            Target("of wlmscpfs's rate", 12, "at least"),
            Target("of the floor's rate", 0.7, "at least", reached=0.45),
        ),
        rates.narrow,
    ),
    Scenario(
        "sizes",
        "the same with more files",
        (
            Target("of the rate with 10 files, with 1,000", 0.9, "at least"),
            Target("of the rate with 10 files, with 10,000", 0.9, "at least"),
            Target("of the rate with 10 files, with 100,000", 0.9, "at least"),
        ),
        rates.sizes,
    ),
    Scenario(
        "different",
        "a different query each time (Patient ID changes), 10,000 files",
        (Target("of the repeated query's rate", 0.7, "at least"),),
        rates.different,
    ),
    Scenario(
        "association",
        "50 queries on one association, 10 files",
        (Target("of the floor's rate", 0.6, "at least", reached=0.15),),
        rates.association,
    ),
    Scenario(
        "broad",
        "broad query, 1,000 answers, warm",
        (
            Target("of Orthanc's answers a second", 100, "at least"),
            Target("of the floor's answers a second", 0.4, "at least"),
        ),
        rates.broad,
    ),
    Scenario(
        "broad-changed",
        "broad query, 1,000 answers, first time after a change of one file",
        (Target("of the warm rate", 0.5, "at least"),),
        rates.broad_after_change,
    ),
    Scenario(
        "changed",
        "one file changed between any two queries, 10,000 files",
        (Target("of the unchanged rate", 0.5, "at least"),),
        rates.changed,
    ),
    Scenario(
        "poll",
        "200 clients that poll, 10,000 files",
        (Target("p99 of latency", 60, "at most", "ms", "absolute"),),
        behaviour.polling,
    ),
    Scenario(
        "crowd",
        "beside 2,000 idle connections and 500 slow senders, 10,000 files",
        (Target("p99 of latency", 100, "at most", "ms", "absolute"),),
        behaviour.crowd,
    ),
    Scenario(
        "start",
        "start with 100,000 files until the first right answer",
        (
            Target("cold", 10, "at most", "s", "absolute"),
            Target("nothing changed since the last run", 3, "at most", "s", "absolute"),
        ),
        behaviour.start,
    ),
    Scenario(
        "memory",
        "memory with 100,000 files",
        (Target("an item, over the base", 4, "at most", "KiB"),),
        behaviour.memory,
    ),
    Scenario(
        "dropped",
        "a file dropped in, then a query at once, under load",
        (Target("missed", 0, "at most", kind="never"),),
        behaviour.dropped,
    ),
    Scenario(
        "slow-reader",
        "one caller reads 100,000 answers slowly while others query",
        (
            Target("of the others' p99 without it", 2, "at most"),
            Target("growth of the server's memory", 64, "at most", "MiB"),
        ),
        behaviour.slow_reader,
    ),
)
