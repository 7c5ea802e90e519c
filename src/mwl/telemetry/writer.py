"""Where lines go out, whole; those that could not be written are told of when one can.

How a line is made is in `mwl.telemetry.lines`, what a log file goes through in `mwl.log_sink`.
"""

import sys
from collections.abc import Callable, Mapping
from itertools import starmap
from typing import Any, TextIO

from mwl.log_sink import LogFile, Output, output_under
from mwl.telemetry.lines import Render


class Writer:
    """Makes whole lines and writes them.

    Attributes:
        later: Calls back soon; with it, the lines until then are made and written together: one
            after the other they find the interpreter's caches warm, and a query does not wait.
    """

    __slots__ = (
        *("_held", "_is_torn", "_lost", "_output", "_render", "_stream", "_time_ns"),
        *("_why_lost", "later"),
    )

    def __init__(
        self, render: Render, time_ns: Callable[[], int], target: TextIO | LogFile | None
    ) -> None:
        self.later: Callable[[Callable[[], None]], object] | None = None
        self._render = render
        self._time_ns = time_ns
        self._stream = None if isinstance(target, LogFile) else target
        self._output = target if isinstance(target, LogFile) else output_under(target)
        self._is_torn = False
        self._lost = 0
        self._why_lost = ""
        self._held: list[tuple[int, str, str, Mapping[str, Any]]] = []

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Make the line of an event and write it, now or `later`."""
        if self.later is None:
            self._write(self._render(self._time_ns(), level, event, fields))
            return
        if not self._held:
            self.later(self.flush)
        self._held.append((self._time_ns(), level, event, fields))

    def flush(self) -> None:
        """Make and write the lines that were kept."""
        held, self._held = self._held, []
        if held:
            self._write("".join(starmap(self._render, held)))

    def _write(self, lines: str) -> None:
        # A full disk, a broken pipe or a closed stream must not stop the service: lines are lost,
        # their counts are not, and the next that can be written is told how many they were.
        wanted = lines.count("\n")
        if self._lost:
            lines = self._resumed() + lines
        try:
            self._write_to_stream(lines)
        except (OSError, ValueError) as error:
            self._lost += wanted
            self._why_lost = getattr(error, "strerror", None) or str(error)
        else:
            self._lost = 0

    def _resumed(self) -> str:
        """Give the line that tells of those lost, on a line of its own."""
        fields = {"lines": self._lost, "reason": self._why_lost}
        told = self._render(self._time_ns(), "WARNING", "log_interrupted", fields)
        return f"\n{told}" if self._is_torn else told

    def _write_to_stream(self, lines: str) -> None:
        output: Output | None = self._output
        if output is None:
            stream = self._stream if self._stream is not None else sys.stderr
            stream.write(lines)
            stream.flush()
            return
        data, written = lines.encode(), 0
        try:
            while written < len(data):
                written += output.write(data[written:])
        finally:
            if written:
                self._is_torn = data[written - 1] != _LINE_END

    def close(self) -> None:
        """Write what was kept; close the file, if it is one."""
        self.flush()
        if isinstance(self._output, LogFile):
            self._output.close()


_LINE_END = ord("\n")
