"""The table of results, for the terminal and for docs/performance.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import Outcome
from bench.targets import Measured, Target, Verdict

HEAD = ("what", "figure", "value", "target", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One target of a scenario and what was measured for it."""

    what: str
    target: Target
    measured: Measured
    verdict: Verdict

    def cells(self) -> tuple[str, str, str, str, str]:
        """Give the row as text, in the columns of the table."""
        if self.measured.value is None:
            value = "-"
        else:
            value = f"{_short(self.measured.value)}{self.target.unit and ' ' + self.target.unit}"
        target = f"{self.target} {self.target.what}" if self.target.kind != "never" else "none"
        return self.what, self.measured.figure, value, target, self.verdict.value


def _short(value: float) -> str:
    """Write a value with three digits or so, and no more decimals than it needs."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Give the rows as a Markdown table whose columns line up in a terminal too."""
    lines = [HEAD, *(row.cells() for row in _without_repeats(rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = tuple("-" * max(width, 3) for width in widths)
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def _without_repeats(rows: Iterable[Row]) -> Iterable[Row]:
    """Name each scenario in its first row only."""
    before = None
    for row in rows:
        what = "" if row.what == before else row.what
        before = row.what
        yield Row(what, row.target, row.measured, row.verdict)


def curve_table(rates: Mapping[str, Mapping[int, float]]) -> str:
    """Give the points of the plot as a Markdown table."""
    sizes = sorted({files for points in rates.values() for files in points})
    head = "| associations a second | " + " | ".join(f"{files:,} files" for files in sizes) + " |"
    lines = [head, "|---" * (len(sizes) + 1) + "|"]
    for name, points in rates.items():
        cells = (_rate(points[files]) if files in points else "-" for files in sizes)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def limits_table(limits: Mapping[str, Mapping[str, Outcome]]) -> str:
    """Give rate and processor time of each server for each kind of load as a Markdown table."""
    names = list(next(iter(limits.values())))
    head = f"| queries a second; processor time of one | {' | '.join(names)} |"
    lines = [head, "|---" * (len(names) + 1) + "|"]
    for what, found in limits.items():
        cells = (
            f"{outcome.queries_per_second:,.0f}; {outcome.processor_us:.0f} µs"
            for outcome in found.values()
        )
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def write_page(
    folder: Path,
    rows: Sequence[Row],
    rates: Mapping[str, Mapping[int, float]],
    limits: Mapping[str, Mapping[str, Outcome]],
    machine: Mapping[str, str],
    drawing: str,
) -> Path:
    """Write performance.md and performance.svg into a folder and give the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance.svg").write_text(drawing, encoding="utf-8")
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    parts = {
        "{results}": table(rows),
        "{curve}": curve_table(rates),
        "{machine}": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "{not_met}": _not_met(rows),
        "{reached}": _reached(rows),
        "{limits}": limits_table(limits),
        "{ceiling}": _ceiling(rates),
    }
    for name, content in parts.items():
        text = text.replace(name, content)
    page = folder / "performance.md"
    page.write_text(text, encoding="utf-8")
    return page


def _not_met(rows: Sequence[Row]) -> str:
    missed = [row for row in rows if row.verdict in (Verdict.NOT_MET, Verdict.FAR_FROM_IT)]
    if not missed:
        return "Every target is met."
    return f"Of {len(rows)} targets, {len(missed)} are not met in this run."


def _reached(rows: Sequence[Row]) -> str:
    """Say which targets a build is not held to, and what it is held to instead."""
    lines = [
        f"- {row.what}: {row.target} {row.target.what}; "
        f"a build is held to half of {row.target.reached:g}"
        for row in rows
        if row.target.reached is not None
    ]
    return "\n".join(lines) or "Nothing."


def _ceiling(rates: Mapping[str, Mapping[int, float]]) -> str:
    floor = max(rates["floor"].values())
    return f"{floor:,.0f} associations a second"
