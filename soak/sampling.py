"""Memory and descriptors of the servers, looked at all the time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from soak.servers import Server

WARM_UP = 0.25
"""Share of the run after which growth counts: caches fill until then."""

WINDOW = 0.1
"""Share of the run whose median is taken at either end."""

SAMPLES = 240
"""Looks at each server in a run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a server.

    Args:
        seconds: Since the run began.
        resident_bytes: Memory that it holds.
        descriptors: Files and sockets that it has open.
    """

    seconds: float
    resident_bytes: int
    descriptors: int


@dataclass(slots=True)
class Samples:
    """All looks at one server."""

    server: Server
    taken: list[Sample] = field(default_factory=list)

    def take(self, seconds: float) -> None:
        """Look at it."""
        server = self.server
        self.taken.append(Sample(seconds, server.resident_bytes(), server.descriptors()))

    @property
    def growth(self) -> float:
        """How much more memory it holds at the end than after the warm-up, as a share."""
        return _growth([sample.resident_bytes for sample in self.taken])


def _growth(values: Sequence[float]) -> float:
    window = max(1, int(len(values) * WINDOW))
    start = int(len(values) * WARM_UP)
    return median(values[-window:]) / median(values[start : start + window]) - 1
