"""`mwl doctor`: say what keeps a server from doing its work, and how to mend it."""

import json
import os
import pwd
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from mwl import telemetry
from mwl.cli.arguments import checked_http_port, fail, of_http_port
from mwl.errors import ConfigError, InputError
from mwl.text import escape

if TYPE_CHECKING:
    from mwl.doctor import Finding

EXIT_STATUSES = MappingProxyType({"ok": 0, "warn": 1, "FAIL": 2})
"""Exit status for the worst that was found."""

_COLOURS = MappingProxyType({"ok": "green", "warn": "yellow", "FAIL": "red"})


def doctor(  # noqa: PLR0913, PLR0917 - one argument an option
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of *.wl files, as for `mwl serve FOLDER`.", show_default=False),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE_OR_FOLDER",
            help="Configuration of the server, as for `mwl serve`.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="TCP port of DICOM, as for `mwl serve`.", min=0, max=65535),
    ] = None,
    http_port: Annotated[
        str | None,
        typer.Option(
            callback=checked_http_port,
            metavar="PORT",
            help="TCP port of HTTP, or off, as for `mwl serve`.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Look as this user, as whom the server runs; only root can.",
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Unit of systemd that runs the server, such as mwl: look as its user, with its "
            "capabilities, folders and limits; only root can.",
            show_default=False,
        ),
    ] = None,
    no_echo: Annotated[
        bool, typer.Option("--no-echo", help="Do not ask the modalities (C-ECHO).")
    ] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds that each modality has to answer.", min=0.1)
    ] = 5.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only what is not ok.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what keeps the server from its work, and what to mend.

    It looks at configuration, folder, ports, certificates, clock and modalities, and changes
    nothing. Each line says what was looked at and what was found, and below it stands what to type
    or to write. Checks are explained in docs/reference/doctor.md.

    Exit status: 0 all is well; 1 something is probably not meant; 2 something does not work, or the
    arguments cannot be used.
    """
    # After the arguments are read: the help does not wait for the server's parts.
    from mwl.cli.examination import Wanted, examine  # noqa: PLC0415
    from mwl.doctor.units import unit_of  # noqa: PLC0415

    telemetry.configure("none")
    try:
        if (folder is None) == (config is None):
            raise ConfigError(
                "give either a FOLDER or --config", hint="try `mwl doctor --config /etc/mwl/`"
            )
        if user is not None and unit is not None:
            raise ConfigError("give either --user or --unit: a unit has its user")
        found = None if unit is None else unit_of(unit)
        if (name := found.user if found else user) is not None:
            _become(name)
    except InputError as error:
        fail(error)
    given = {"dicom_port": port, **of_http_port(http_port)}
    wanted = Wanted(
        folder=folder,
        configuration=config or [],
        overrides={name: value for name, value in given.items() if value is not None},
        is_user_stated=name is not None,
        unit=found,
        asks=not no_echo,
        timeout_s=timeout,
    )
    progress = _Progress()
    findings = []
    for finding in examine(wanted, progress):
        findings.append(finding)
        progress.clear()
        if not as_json and not (quiet and finding.level == "ok"):
            _print(finding)
    progress.clear()
    _end(findings, as_json=as_json)


def _become(name: str) -> None:
    """Go on as another user, for good.

    Raises:
        InputError: There is none of that name, or this user may not.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise InputError(f"there is no user {name!r}", option="--user") from None
    if entry.pw_uid == os.geteuid():
        return
    try:
        os.initgroups(name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except PermissionError:
        raise InputError(
            f"only root can look as {name}", option="--user", hint="sudo mwl doctor ..."
        ) from None
    os.environ["HOME"] = entry.pw_dir


# ------------------------------------------------------------------------------- output


def _print(finding: "Finding") -> None:
    for line in _lines(finding):
        typer.echo(line)


def _lines(finding: "Finding") -> Iterator[str]:
    level = typer.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
    yield f"{level} {finding.check:<13} {escape(finding.subject)}: {escape(finding.found)}"
    if finding.mend:
        yield f"     {'':<13} mend: {escape(finding.mend)}"


def _end(findings: list["Finding"], *, as_json: bool) -> None:
    from mwl.doctor import LEVELS, worst  # noqa: PLC0415 - see `doctor`

    level = worst(findings)
    if as_json:
        document = {
            "status": level.lower(),
            "findings": [finding.document() for finding in findings],
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        counts = Counter(finding.level for finding in findings)
        typer.echo(", ".join(f"{counts[one]} {one}" for one in LEVELS))
    if status := EXIT_STATUSES[level]:
        raise typer.Exit(status)


class _Progress:
    """A line on a terminal that says what is being done; gone before anything else is printed."""

    def __init__(self) -> None:
        self._is_seen = sys.stderr.isatty()
        self._is_there = False

    def __call__(self, what: str) -> None:
        """Say what is being done."""
        if self._is_seen:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"{_CLEAR}{escape(what)[:width]}")
            self._is_there = True

    def clear(self) -> None:
        """Take the line away."""
        if self._is_there:
            self._write(_CLEAR)
            self._is_there = False

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


_CLEAR = "\r\x1b[K"
"""To the begin of the line, and what stands in it away (ECMA-48, CR and EL)."""
