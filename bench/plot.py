"""The plot: rate against number of files, both logarithmic, as SVG written by hand.

Text and axes take a colour that suits the reader's light or dark background; each line is named
at its end and drawn in its own dash, so colour is not needed to tell them apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import log10

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 78, 130, 44, 56
LABEL_GAP = 17
"""Least distance of two names at the right, in pixels."""

HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
    'aria-label="Associations a second against number of files, by system">'
)
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .axis { stroke: #57606a; } .grid { stroke: #d0d7de; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .s0 { stroke: #0550ae; } .s1 { stroke: #bc4c00; } .s2 { stroke: #1a7f37; }
  .s3 { stroke: #8250df; } .s4 { stroke: #57606a; }
  circle { fill: #fff; stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .axis { stroke: #8b949e; } .grid { stroke: #30363d; }
    .s0 { stroke: #79c0ff; } .s1 { stroke: #ffa657; } .s2 { stroke: #56d364; }
    .s3 { stroke: #d2a8ff; } .s4 { stroke: #8b949e; }
    circle { fill: #0d1117; }
  }
"""
DASHES = ("none", "8 4", "2 4", "10 3 2 3", "4 4")


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic axis: values between two powers of ten onto pixels."""

    low: int
    high: int
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Give the pixel of a value."""
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterable[int]:
        """Give the powers of ten that the axis shows."""
        return (10**power for power in range(self.low, self.high + 1))


def spread(positions: list[float], gap: float) -> list[float]:
    """Move positions apart so that none is closer to the one above it than the gap."""
    result = list(positions)
    order = sorted(range(len(positions)), key=positions.__getitem__)
    for above, below in pairwise(order):
        result[below] = max(result[below], result[above] + gap)
    return result


def svg(rates: Mapping[str, Mapping[int, float]]) -> str:
    """Draw associations a second by system and number of files."""
    lines = {name: dict(points) for name, points in rates.items() if points}
    across, up = _scales(lines)
    ends = spread([up(list(points.values())[-1]) for points in lines.values()], LABEL_GAP)
    parts = [
        HEAD,
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">Associations a second, narrow query</text>',
        *_axes(across, up),
    ]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(number, name, [(across(x), up(y)) for x, y in points.items()], ends[number])
    return "\n".join([*parts, "</svg>", ""])


def _scales(lines: Mapping[str, Mapping[int, float]]) -> tuple[Scale, Scale]:
    files = [count for points in lines.values() for count in points]
    rates = [rate for points in lines.values() for rate in points.values()]
    across = Scale(*_powers(files), LEFT, WIDTH - RIGHT)
    return across, Scale(*_powers(rates), HEIGHT - BOTTOM, TOP)


def _powers(values: Iterable[float]) -> tuple[int, int]:
    """Give the powers of ten around the values, at least one apart."""
    logarithms = [log10(value) for value in values]
    low, high = int(min(logarithms) // 1), int(-(-max(logarithms) // 1))
    return low, max(high, low + 1)


def _axes(across: Scale, up: Scale) -> Iterable[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in up.ticks():
        y = up(value)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{_number(value)}</text>'
    for value in across.ticks():
        x = across(value)
        yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 22}" text-anchor="middle">{_number(value)}</text>'
    yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'
    middle = (LEFT + right) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">files in the folder</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _line(number: int, name: str, at: list[tuple[float, float]], label_y: float) -> Iterable[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    color = f"s{number % len(DASHES)}"
    dash = DASHES[number % len(DASHES)]
    yield f'<polyline class="line {color}" stroke-dasharray="{dash}" points="{path}"/>'
    for x, y in at:
        yield f'<circle class="{color}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    yield f'<text x="{at[-1][0] + 12:.1f}" y="{label_y + 5:.1f}">{escape(name)}</text>'
