"""Drives the load generator: what it shall do, as arguments; what it found, as figures."""

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Self

from bench.errors import BenchError

GRACE_S = 120.0
"""How much longer than asked a run may last: the generator waits 60 s for a reply at most."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A file that each client writes and renames into the folder before each of its queries."""

    content: Path
    name: str
    staging: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients do. Patterns in identifiers and texts are explained in `worklists`."""

    identifiers: tuple[Path, ...]
    """Each query takes the next one."""
    clients: int = 8
    queries: int = 1
    """Queries on each association."""
    associations: int | None = None
    seconds: float = 60.0
    """When no further association is begun."""
    expected: int | None = None
    """Answers to each query."""
    text: str | None = None
    """What one of the answers to each query holds."""
    pause: float = 0.0
    """Seconds that a client waits between its associations."""
    first_number: int = 0
    numbers: int = 0
    """How many numbers are filled in, in turn; 0 for the number of the client."""
    bytes_per_second: float = 0.0
    """How fast a client reads; 0 for as fast as it can."""
    publication: Publication | None = None
    connect_within: float = 0.0

    def arguments(self, port: int) -> list[str]:
        """Give the arguments of the load generator."""
        options: dict[str, object] = {
            "port": port,
            "clients": self.clients,
            "queries": self.queries,
            "seconds": self.seconds,
            "associations": self.associations,
            "expect": self.expected,
            "text": self.text,
            "pause": self.pause,
            "first-number": self.first_number,
            "numbers": self.numbers,
            "bytes-per-second": self.bytes_per_second,
            "connect-within": self.connect_within,
        }
        if (file := self.publication) is not None:
            options |= {
                "publish": file.content,
                "name": file.name,
                "staging": file.staging,
                "folder": file.folder,
            }
        given = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
        given += [("--identifier", str(path)) for path in self.identifiers]
        return [word for option in given for word in option]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the load generator measured."""

    associations: int
    queries: int
    answers: int
    bytes: int
    seconds: float
    processor_seconds: float
    """Processor time of the generator itself."""
    association_ms: Mapping[str, float]
    """p50, p95, p99 and max of whole associations, from connect to the release response."""
    query_ms: Mapping[str, float]
    faults: Mapping[str, int]
    """What was wrong, and how often."""
    server_processor_seconds: float = 0.0
    """Processor time of the server meanwhile; the generator does not know it."""

    @property
    def processor_us(self) -> float:
        """The server's processor time for a query, in microseconds."""
        return self.server_processor_seconds / self.queries * 1e6

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what the load generator printed.

        Raises:
            BenchError: It is not that.
        """
        try:
            found = json.loads(text)
            printed = [field.name for field in fields(cls) if field.default is MISSING]
            return cls(**{name: found[name] for name in printed})
        except (ValueError, KeyError) as error:
            raise BenchError(f"the load generator printed {text[:200]!r}") from error

    @property
    def associations_per_second(self) -> float:
        """Give the rate of whole associations."""
        return self.associations / self.seconds

    @property
    def queries_per_second(self) -> float:
        """Give the rate of queries."""
        return self.queries / self.seconds

    @property
    def answers_per_second(self) -> float:
        """Give the rate of pending responses, each with its data set."""
        return self.answers / self.seconds


class RunningLoad:
    """A load generator at work.

    Args:
        program: The load generator.
        load: What it shall do.
        port: Of the server, on the loopback.
    """

    def __init__(self, program: Path, load: Load, port: int) -> None:
        self._limit = load.seconds + load.connect_within + GRACE_S
        self._process = subprocess.Popen(
            [str(program), *load.arguments(port)], stdout=subprocess.PIPE, text=True
        )

    def result(self) -> Outcome:
        """Wait until it is done and give what it measured, faults included."""
        try:
            printed, _ = self._process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise BenchError(
                f"the load generator was not done after {self._limit:.0f} s"
            ) from error
        return Outcome.read(printed)

    def stop(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate()
