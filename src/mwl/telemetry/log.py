"""Events are emitted here: counted, told to listeners, and written when their level is on.

What the fields of an event are is decided where it is emitted; whether they may hold patient data
is decided there too (`DeidentifyLogs`).
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TextIO

from mwl.limits import LIMITS, Exceeded
from mwl.log_sink import LogFile
from mwl.telemetry.events import EVENTS, TRACEBACK_EVENTS, Level
from mwl.telemetry.faults import error_text, hide_texts, traceback_of
from mwl.telemetry.lines import RENDERERS, Format
from mwl.telemetry.listeners import LISTENERS
from mwl.telemetry.writer import Writer

Verbosity = Literal["none", "default", "verbose", "trace"]

VERBOSITY: Mapping[str, Level] = MappingProxyType(
    {"none": Level.NONE, "default": Level.INFO, "verbose": Level.DEBUG, "trace": Level.TRACE}
)
"""The least level that is written: that of a server with and without `--verbose` or `--trace`, and
that of a command that reports in its own way."""

COUNTS: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
"""How often each event happened since the start, written or not."""

LIMIT_REFUSALS: Counter[str] = Counter({limit.name: 0 for limit in LIMITS})
"""How often each limit was gone beyond since the start, by the name of its option."""

_LEVELS: dict[str, str | None] = {}
"""For each event, the name of its level when that is written, else None."""
_WRITERS: list[Writer] = []
"""The one in use."""
_VERBOSITY: list[Verbosity] = []
"""What was chosen."""


def configure(
    level: Verbosity = "default",
    format: Format = "text",  # noqa: A002 - the name of the command-line option
    stream: TextIO | LogFile | None = None,
    *,
    hides_error_texts: bool = False,
    time_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Choose what is written and where. Until it is called: default level, text, standard error.

    Args:
        level: "default" writes INFO and above, "verbose" DEBUG too, "trace" everything, "none"
            nothing.
        format: "text" for `key=value` lines, "json" for one object a line.
        stream: Where lines go; None is the standard error stream. A file that lines went to is
            closed.
        hides_error_texts: Whether faults of this program are told without the texts of their
            exceptions, which may hold any value (`DeidentifyLogs`).
        time_ns: Clock, nanoseconds since 1970 in UTC.
    """
    for before in _WRITERS:
        before.close()
    _WRITERS[:] = [Writer(RENDERERS[format](), time_ns, stream)]
    hide_texts(hides=hides_error_texts)
    set_verbosity(level)


def verbosity() -> Verbosity:
    """Tell which events are written."""
    return _VERBOSITY[0]


def set_verbosity(level: Verbosity) -> None:
    """Choose which events are written from now on."""
    least = VERBOSITY[level]
    _VERBOSITY[:] = [level]
    _LEVELS.update(
        {name: row.level.name if row.level >= least else None for name, row in EVENTS.items()}
    )


def write_together(later: Callable[[Callable[[], None]], object] | None) -> None:
    """Write lines that come close together in one go, as a busy server wants it.

    Args:
        later: Calls back soon, as `call_soon` of an event loop; what was emitted until then is
            written at once. None writes each line when it is emitted, and what was held now.
    """
    writer = _WRITERS[0]
    writer.later = later
    if later is None:
        writer.flush()


configure()


def enabled(event: str) -> bool:
    """Tell whether `event` would be written, for callers whose fields are dear to compute."""
    return _LEVELS[event] is not None


def emit(event: str, /, **fields: Any) -> None:
    """Count an event and write its line when its level is on.

    Args:
        event: A name in `EVENTS`.
        **fields: Facts, in the order in which they are to be read. A field that is None is left
            out; a float is written with three decimals; a list or tuple is joined by commas (a
            JSON array in JSON); a mapping is written as JSON; an exception as `Type: message`.
            The names `timestamp`, `level` and `event` are taken. A line may be made a little
            later (`write_together`), so a value must not change any more.

    Raises:
        KeyError: The event is not in `EVENTS`.

    Cost: below the level, the call and two dictionary look-ups; the fields themselves are the
    caller's, so ask `enabled` first where they are dear.
    """
    level = _LEVELS[event]
    COUNTS[event] += 1
    if LISTENERS and event in LISTENERS:
        for listener in LISTENERS[event]:
            listener(event, fields)
    if level is None:
        return
    if event in TRACEBACK_EVENTS and isinstance(error := fields.get("error"), BaseException):
        fields = fields | {"error": error_text(error), "traceback": traceback_of(error)}
    _WRITERS[0].write(level, event, fields)


def refuse(exceeded: Exceeded, event: str, /, **fields: Any) -> None:
    """Count a limit that somebody went beyond, and emit the event that tells of it.

    Args:
        exceeded: The limit; its name and value become the fields `limit` and `limit_value`.
        event: As for `emit`.
        **fields: As for `emit`.
    """
    LIMIT_REFUSALS[exceeded.limit] += 1
    emit(event, **fields, limit=exceeded.limit, limit_value=exceeded.value)


def emitting(exceeded: Exceeded | None) -> Callable[..., None]:
    """Give `emit`, or where a limit was gone beyond a `refuse` that tells of it."""
    return emit if exceeded is None else functools.partial(refuse, exceeded)
