"""Targets: a value to reach or to keep below, and whether a build may fail for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Verdict(StrEnum):
    """How a measured value stands to its target."""

    MET = "met"
    NOT_MET = "not met"
    FAR_FROM_IT = "far from it"
    """Below half of the target (of what is reached of it), or above its double: fails a build."""
    NOT_JUDGED = "not judged"


Kind = Literal["ratio", "absolute", "never"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is held against.

    A ratio compares two figures of the same run, so it holds on any machine. An absolute value is
    shown, and judged only at the size that the target was set for. "Never" allows none at all.

    `reached` is what the server reaches of a target that is out of its reach; docs/performance.md
    says why it is. A build fails below half of that instead, so that it still guards what there is.
    """

    what: str
    value: float
    direction: Literal["at least", "at most"]
    unit: str = ""
    kind: Kind = "ratio"
    reached: float | None = None

    def verdict(self, measured: float | None, *, full_size: bool = True) -> Verdict:
        """Judge a measured value."""
        if measured is None or (self.kind == "absolute" and not full_size):
            return Verdict.NOT_JUDGED
        guarded = self.value if self.reached is None else self.reached
        if self.direction == "at least":
            is_met, is_far = measured >= self.value, measured < guarded / 2
        else:
            is_met, is_far = measured <= self.value, measured > guarded * 2
        if is_met:
            return Verdict.MET
        return Verdict.FAR_FROM_IT if is_far and self.kind != "absolute" else Verdict.NOT_MET

    def __str__(self) -> str:
        if self.kind == "never":
            return "never"
        return f"{self.direction} {self.value:g}{self.unit and ' ' + self.unit}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for one target."""

    value: float | None
    """None: not measured in this form of the benchmark."""
    figure: str
    """The figures behind the value, for people."""
