"""Which machine and which versions a run was made with."""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.systems import MWL, ORTHANC, PYNETDICOM, WLMSCPFS, System

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's own
"""A file system in memory."""

MEMORY_BYTES = 2**28
"""Room to ask for there: 11,000 files take a fifth of it."""


def memory() -> Path | None:
    """Give a folder that lies in memory, None where there is none with enough room."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        return None
    return MEMORY


def describe(
    form: str, compared: Sequence[System] = (MWL, ORTHANC, WLMSCPFS, PYNETDICOM)
) -> dict[str, str]:
    """Give what a reader needs to compare the figures of a form of the run with others."""
    systems = {system.name: system.version() for system in compared}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "form": form,
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores used",
        "memory": _memory(),
        "system": f"{_distribution()}, Linux {platform.release()}",
        "changed files": "in memory" if memory() else "on the disk",
        **systems,
    }


def _found(path: str, pattern: str) -> str | None:
    file = Path(path)
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else None


def _processor() -> str:
    return _found("/proc/cpuinfo", r"^model name\s*:(.*)$") or platform.machine()


def _memory() -> str:
    kibibytes = _found("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    return f"{int(kibibytes) / 2**20:.0f} GiB" if kibibytes else "unknown"


def _distribution() -> str:
    return _found("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)') or platform.system()
