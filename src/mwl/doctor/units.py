"""How a unit of systemd runs a server: as whom, with which capabilities, folders and limits.

Source: systemctl(1), `show`; systemd.exec(5).
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from mwl.errors import InputError

_PROPERTIES = (
    *("LoadState", "User", "AmbientCapabilities", "LimitNOFILE"),
    *("CacheDirectory", "StateDirectory", "LogsDirectory"),
)
_WITHIN_S = 10.0
"""Seconds that systemd has to answer."""

_UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, as far as it decides what its server may do.

    Args:
        name: Its name.
        user: As whom it runs.
        capabilities: What it may do that its user may not, in upper case: `CAP_LEASE`.
        environment: What systemd tells it of its folders.
        files: Most files and connections that it may have open; -1 for any number.
    """

    name: str
    user: str
    capabilities: frozenset[str]
    environment: Mapping[str, str]
    files: int


def unit_of(name: str) -> Unit:
    """Ask systemd for a unit.

    Raises:
        InputError: There is no such unit, or no systemd.
    """
    name = name if "." in name else f"{name}.service"
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", name]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the name stands behind `--`
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WITHIN_S,
            check=True,
            encoding="utf-8",
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(
            f"systemd cannot be asked for {name}: {error}",
            option="--unit",
            hint="--user NAME says as whom to look where there is no systemd",
        ) from None
    return read_unit(name, done.stdout)


def read_unit(name: str, shown: str) -> Unit:
    """Read what `systemctl show` prints.

    Raises:
        InputError: There is no such unit.
    """
    lines = (line.partition("=") for line in shown.splitlines())
    found = {key: value.strip() for key, _, value in lines}
    if found.get("LoadState") != "loaded":
        raise InputError(
            f"there is no unit {name}", option="--unit", hint="systemctl list-units lists them"
        )
    folders = {
        "CACHE_DIRECTORY": "/var/cache",
        "STATE_DIRECTORY": "/var/lib",
        "LOGS_DIRECTORY": "/var/log",
    }
    given = {
        "CACHE_DIRECTORY": found.get("CacheDirectory", ""),
        "STATE_DIRECTORY": found.get("StateDirectory", ""),
        "LOGS_DIRECTORY": found.get("LogsDirectory", ""),
    }
    files = found.get("LimitNOFILE", "")
    return Unit(
        name,
        found.get("User") or "root",
        frozenset(found.get("AmbientCapabilities", "").upper().split()),
        {
            variable: f"{folders[variable]}/{names.split()[0]}"
            for variable, names in given.items()
            if names
        },
        int(files) if files.isdecimal() else _UNLIMITED,
    )
