"""Writes what happened into a file, one JSON object a line.

    "Hooks": ["event_file.py"]

The file is named by the environment variable EVENT_FILE. Nothing in it names a patient.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from mwl import hook


@hook.event
def note(event: hook.Event) -> None:
    """Append a line."""
    match event:
        case hook.ItemEvent():
            line = {"event": event.kind, "source": event.source, "items": len(event.items)}
        case hook.QueryEvent():
            line = {
                "event": "query",
                "calling_ae_title": event.origin.calling_ae_title,
                "keys": event.keys,
                "answers": event.answers,
                "status": f"{event.status:04X}",
                "milliseconds": round(event.milliseconds, 1),
            }
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **line}
    with Path(os.environ["EVENT_FILE"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
