"""Log events: one line each, as text or JSON, and a count of every one.

`events` is the table of all events, `log` emits them, `listeners` hear of them too, `lines` makes
a line of one, `writer` brings lines out, `faults` tells exceptions with or without their texts.
"""

from mwl.telemetry.events import EVENTS, Level
from mwl.telemetry.faults import WITHOUT_TEXT, error_text
from mwl.telemetry.lines import Format
from mwl.telemetry.listeners import hear
from mwl.telemetry.log import (
    COUNTS,
    LIMIT_REFUSALS,
    Verbosity,
    configure,
    emit,
    emitting,
    enabled,
    refuse,
    set_verbosity,
    verbosity,
    write_together,
)

__all__ = [
    "COUNTS",
    "EVENTS",
    "LIMIT_REFUSALS",
    "WITHOUT_TEXT",
    "Format",
    "Level",
    "Verbosity",
    "configure",
    "emit",
    "emitting",
    "enabled",
    "error_text",
    "hear",
    "refuse",
    "set_verbosity",
    "verbosity",
    "write_together",
]
