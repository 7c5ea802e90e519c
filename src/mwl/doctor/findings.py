"""What a check found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["ok", "warn", "FAIL"]
"""`warn`: it works, and something is probably not meant. `FAIL`: something does not work."""

LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do.

    Args:
        check: Name of the check.
        level: How bad it is.
        subject: What was looked at.
        found: What it is like, without values of patients.
        mend: What to type or to write; empty where all is well.
    """

    check: str
    level: Level
    subject: str
    found: str
    mend: str = ""

    def document(self) -> dict[str, str]:
        """Give it for programs: what `json.dumps` takes."""
        return {
            "check": self.check,
            "level": self.level.lower(),
            "subject": self.subject,
            "found": self.found,
            "mend": self.mend,
        }


def ok(check: str, subject: str, found: str) -> Finding:
    """Say that all is well."""
    return Finding(check, "ok", subject, found)


def warn(check: str, subject: str, found: str, mend: str) -> Finding:
    """Say that something works and is probably not meant."""
    return Finding(check, "warn", subject, found, mend)


def fail(check: str, subject: str, found: str, mend: str) -> Finding:
    """Say that something does not work."""
    return Finding(check, "FAIL", subject, found, mend)


def worst(findings: Iterable[Finding]) -> Level:
    """Give the worst level of some findings; `ok` of none."""
    return LEVELS[max((LEVELS.index(finding.level) for finding in findings), default=0)]
