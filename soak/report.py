"""What came of a run: a table, a judgement, the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.systems import MWL
from soak.plot import MIB, svg
from soak.sampling import Samples

MOST_GROWTH = 0.05
"""Share by which a server may grow after its warm-up."""

JUDGED_FROM_S = 300.0
"""Length of a run from which growth is judged: before, caches are still filling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a run.

    Args:
        seconds: How long it took.
        done: How often each thing was done.
        wrong: What was wrong.
        errors: Lines of the logs that tell of an error.
        statuses: Exit status of each server.
        samples: What was seen of each server.
        descriptors_left: How many more descriptors each server had open when all had gone.
    """

    seconds: float
    done: Mapping[str, int]
    wrong: Sequence[str]
    errors: Sequence[str]
    statuses: Sequence[int]
    samples: Sequence[Samples]
    descriptors_left: Sequence[int]

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong and nothing grew."""
        is_judged = self.seconds >= JUDGED_FROM_S
        return not (
            self.wrong
            or self.errors
            or any(self.statuses)
            or max(self.descriptors_left) > 0
            or (is_judged and max(one.growth for one in self.samples) >= MOST_GROWTH)
        )


def table(result: Result) -> str:
    """Give the figures as a table in Markdown."""
    rows = [(name, f"{count:,}") for name, count in sorted(result.done.items())]
    rows += [
        ("**wrong answers**", f"**{len(result.wrong)}**"),
        ("errors in the logs", str(len(result.errors))),
    ]
    for one, left in zip(result.samples, result.descriptors_left, strict=True):
        last = one.taken[-1].resident_bytes / MIB
        growth = f"{one.growth:+.1%}, to {last:.0f} MiB"
        rows.append((f"growth after warm-up, server {one.server.name}", growth))
        most = max(sample.descriptors for sample in one.taken)
        what = f"descriptors, server {one.server.name}"
        rows.append((what, f"at most {most}, {left} more at the end than at the beginning"))
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def describe(result: Result) -> dict[str, str]:
    """Give machine and versions of a run."""
    facts = machine.describe(f"{result.seconds / 60:g} minutes", [MWL])
    facts.pop("changed files", None)  # of the benchmark
    return facts


def write_page(folder: Path, result: Result) -> Path:
    """Write reliability.md and reliability.svg into a folder and give the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.svg").write_text(svg(result.samples), encoding="utf-8")
    facts = describe(result)
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    text = text.replace("{most_growth}", f"{MOST_GROWTH:.0%}")
    text = text.replace("{minutes}", f"{result.seconds / 60:g}")
    text = text.replace("{results}", table(result))
    text = text.replace("{machine}", "\n".join(f"- {name}: {facts[name]}" for name in facts))
    page = folder / "reliability.md"
    page.write_text(text, encoding="utf-8")
    return page
