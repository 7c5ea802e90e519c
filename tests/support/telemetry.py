"""Log events of a test, as objects."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mwl import telemetry


class Log:
    """What was written to the log so far."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Give all events, or those of one name, oldest first."""
        lines = self._stream.getvalue().splitlines()
        return [event for event in map(json.loads, lines) if name in (None, event["event"])]


@contextmanager
def captured_log(level: telemetry.Verbosity = "trace") -> Iterator[Log]:
    """Catch every event of a level while the block runs."""
    stream = io.StringIO()
    telemetry.configure(level, "json", stream)
    try:
        yield Log(stream)
    finally:
        telemetry.configure()
