"""What callbacks write into the log, from whichever thread they run on."""

import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any

from mwl import telemetry
from mwl.callbacks import error_texts
from mwl.callbacks.runner import FAILED, REFUSED
from mwl.callbacks.view import Refuse
from mwl.errors import RequestRefused

FAILURE = "A callback of the worklist server failed, see its log"
"""Error Comment (0000,0902) of a query whose callback raised or returned nonsense."""

_OURS = str(Path(__file__).parent)


class Journal:
    """The log, for other threads than that of the server.

    Args:
        through: See below; without one it is written at once.
        hides_values: Whether errors are told without what may be a value (`DeidentifyLogs`).

    Attributes:
        through: Runs a function where the log is written: `call_soon_threadsafe` of the server's
            loop while it runs.
    """

    def __init__(
        self,
        through: Callable[[Callable[[], None]], object] | None = None,
        *,
        hides_values: bool = True,
    ) -> None:
        self.through = through or _now
        self.hides_values = hides_values

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event; see `mwl.telemetry.emit`."""
        with suppress(RuntimeError):  # the loop ended in that moment, and the server with it
            self.through(partial(telemetry.emit, event, **fields))

    def log(self, kind: str, text: object) -> None:
        """Write what a script says.

        Args:
            kind: "output" of print, or "info", "warning", "error".
            text: What it says.
        """
        self.emit(f"script_{kind}", message=str(text))

    def failed(self, callback: str, error: BaseException, script: str) -> RequestRefused:
        """Tell what went wrong in a callback.

        Args:
            callback: Name of the function.
            error: What it raised.
            script: File that it stands in.

        Returns:
            What the query fails with.
        """
        if isinstance(error, Refuse):
            # PS3.5 Table 6.2-1, VR LO: no line ends.
            return RequestRefused(REFUSED, " ".join(str(error.why).split()))
        if isinstance(error, RequestRefused):
            return error
        stack = traceback.extract_tb(error.__traceback__)
        if self.hides_values:
            said = error_texts.of_python(error, script)
            last = [f"{said}\n"]
        else:
            said = f"{type(error).__name__}: {error}"
            last = traceback.format_exception_only(error)
        text = "".join([*traceback.format_list(_theirs(stack)), *last])
        self.emit(
            "callback_failed",
            callback=callback,
            script=script,
            line=_line(stack, script),
            error=said,
            traceback=text,
        )
        return RequestRefused(FAILED, FAILURE)

    def late(
        self, callback: str, stack: traceback.StackSummary, script: str, seconds: float
    ) -> None:
        """Tell where a callback is that takes too long."""
        self.emit(
            "callback_failed",
            callback=callback,
            script=script,
            line=_line(stack, script),
            error=f"took longer than {seconds:g} s (CallbackTimeout)",
            traceback="".join(traceback.format_list(_theirs(stack))) or None,
        )


def _now(function: Callable[[], None]) -> None:
    function()


def _theirs(stack: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Leave out what called the script, but not what the script called."""
    callers = dropwhile(_is_others, stack)
    theirs = list(dropwhile(_is_ours, callers))
    # Without columns: to mark them, Python parses the line, and 3.11 may fail at that when two
    # threads do it at once.
    return [traceback.FrameSummary(each.filename, each.lineno, each.name) for each in theirs]


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_OURS)


def _is_others(frame: traceback.FrameSummary) -> bool:
    return not _is_ours(frame)


def _line(stack: Iterable[traceback.FrameSummary], script: str) -> int | None:
    """Give the line of the script that was at work last."""
    lines = [frame.lineno for frame in stack if frame.filename == script]
    return lines[-1] if lines else None
