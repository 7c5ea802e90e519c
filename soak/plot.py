"""The plot: memory and descriptors of the servers over the run, as SVG, in light and dark."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from bench.plot import DASHES, LABEL_GAP, STYLE, spread
from soak.sampling import WARM_UP, Sample, Samples

WIDTH, PANEL_HEIGHT = 760, 210
LEFT, RIGHT, TOP, BOTTOM = 78, 150, 44, 52
BETWEEN = 24
"""Room between two panels, for the labels of the upper axis."""
TICKS = 4
MIB = 1024 * 1024
ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)
"""What an axis may end at, times a power of ten."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the drawings, below each other.

    Args:
        title: What is drawn.
        value: Takes it from a sample.
    """

    title: str
    value: Callable[[Sample], float]


PANELS = (
    Panel("Memory held, in MiB", lambda sample: sample.resident_bytes / MIB),
    Panel("Descriptors open", lambda sample: sample.descriptors),
)


def svg(servers: Sequence[Samples]) -> str:
    """Draw all panels; the end of the warm-up is marked."""
    height = (PANEL_HEIGHT + BETWEEN) * len(PANELS) - BETWEEN + BOTTOM
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Memory and descriptors of the servers over the run">'
    )
    parts = [head, f"<style>{STYLE}</style>"]
    for number, panel in enumerate(PANELS):
        parts += _panel(panel, servers, number * (PANEL_HEIGHT + BETWEEN))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 12}" text-anchor="middle">minutes</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, servers: Sequence[Samples], top: float) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, top + PANEL_HEIGHT
    seconds = max(sample.seconds for one in servers for sample in one.taken) or 1.0
    most = _round_up(max(panel.value(sample) for one in servers for sample in one.taken))

    def across(value: float) -> float:
        return LEFT + value / seconds * (right - LEFT)

    def up(value: float) -> float:
        return bottom - value / most * (PANEL_HEIGHT - TOP)

    yield f'<text class="title" x="{LEFT}" y="{top + 24:.0f}">{panel.title}</text>'
    for number in range(TICKS + 1):
        value = most * number / TICKS
        y = up(value)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{value:g}</text>'
        x = across(seconds * number / TICKS)
        label = f"{seconds * number / TICKS / 60:.2g}"
        yield f'<text x="{x:.1f}" y="{bottom + 18:.0f}" text-anchor="middle">{label}</text>'
    warm = across(seconds * WARM_UP)
    yield f'<line class="axis" x1="{warm:.1f}" y1="{top + TOP}" x2="{warm:.1f}" y2="{bottom}"/>'
    ends = spread([up(panel.value(one.taken[-1])) for one in servers], LABEL_GAP)
    for number, (one, y) in enumerate(zip(servers, ends, strict=True)):
        path = " ".join(
            f"{across(sample.seconds):.1f},{up(panel.value(sample)):.1f}" for sample in one.taken
        )
        dash = DASHES[number % len(DASHES)]
        yield f'<polyline class="line s{number}" stroke-dasharray="{dash}" points="{path}"/>'
        yield f'<text x="{right + 12}" y="{y + 5:.1f}">{escape(one.server.name)}</text>'


def _round_up(value: float) -> float:
    """Give a round number that is not less, and whose quarters are round too."""
    power = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    return next(step * power for step in ROUND if step * power >= value)
