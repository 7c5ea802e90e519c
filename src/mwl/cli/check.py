"""`mwl check`: what is wrong with worklist files."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple

import typer

from mwl.check import (
    HEAD_BYTES,
    PROFILES,
    RULES,
    Checker,
    Conditions,
    Finding,
    Profile,
    Rule,
    Severity,
)
from mwl.cli.arguments import EXIT_STATUS, fail
from mwl.dataset import ENCODINGS, CharacterSet
from mwl.errors import InputError
from mwl.item import MAX_FILE_BYTES, is_worklist
from mwl.text import escape

WARNINGS_STATUS = 1
"""Exit status when there are warnings and no errors."""

PROGRESS_FILES = 500
"""From so many files on a terminal shows how far the work is."""

_COLOURS: Mapping[Severity, str] = MappingProxyType({"error": "red", "warning": "yellow"})

_LIST = "list"
_DAY_FORMATS = ["%Y%m%d", "%Y-%m-%d"]


class _Source(NamedTuple):
    """One file to look at, and whether its name keeps it from being served."""

    path: Path
    is_stray: bool


def check(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE_OR_FOLDER...",
            help="Worklist files, and folders of *.wl files.",
            show_default=False,
        ),
    ] = None,
    *,
    profiles: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Check what a known device needs too; `list` says which there are.",
        ),
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="MWLnnn", help="Leave a rule out."),
    ] = None,
    default_encoding: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Character set of a file that names none, as DefaultEncoding has it.",
        ),
    ] = "Latin1",
    today: Annotated[
        datetime | None,
        typer.Option(formats=_DAY_FORMATS, metavar="YYYYMMDD", help="Day to take for today."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the line of numbers alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of findings.")] = False,
) -> None:
    """Report what is wrong with worklist files.

    The exit status is 0 when there is nothing, 1 with warnings only, 2 with errors. Rules are
    explained after the findings, and in docs/reference/checks.md.
    """
    if profiles and _LIST in profiles:
        _print_profiles()
        return
    try:
        day = (today or datetime.now(UTC).astimezone()).date()
        checker = Checker(
            Conditions(day, _encoding(default_encoding)),
            profiles=_chosen(profiles or []),
            ignored=_numbers(ignored or []),
        )
        files = _expanded(sources or [])
    except InputError as error:
        fail(error)
    if all(source.is_stray for source in files):
        typer.echo("note: there is no *.wl file; folders in a folder are not looked into", err=True)
    findings = [*_checked(files, checker), *checker.together()]
    if as_json:
        typer.echo(json.dumps([finding.document() for finding in findings], indent=2))
    else:
        _print(findings, files, is_quiet=quiet)
    severities = {finding.severity for finding in findings}
    if severities:
        raise typer.Exit(EXIT_STATUS if "error" in severities else WARNINGS_STATUS)


# ------------------------------------------------------------------------------- arguments


def _chosen(names: Iterable[str]) -> list[Profile]:
    known = {profile.name: profile for profile in PROFILES}
    for name in names:
        if name not in known:
            raise InputError(
                f"no profile is called {name!r}",
                option="--profile",
                hint=f"there are {', '.join(known)}",
            )
    return [known[name] for name in names]


def _numbers(numbers: Iterable[str]) -> set[str]:
    known = {rule.number for rule in RULES}
    for number in numbers:
        if number.upper() not in known:
            raise InputError(
                f"no rule has the number {number!r}",
                option="--ignore",
                hint=f"they go from {RULES[0].number} to {RULES[-1].number}",
            )
    return {number.upper() for number in numbers}


def _encoding(name: str) -> CharacterSet:
    if name not in ENCODINGS:
        raise InputError(
            f"no encoding is called {name!r}",
            option="--default-encoding",
            hint=f"there are {', '.join(ENCODINGS)}",
        )
    return ENCODINGS[name]


def _expanded(paths: Sequence[Path]) -> list[_Source]:
    """Give the files that are named, and those in the folders that are."""
    if not paths:
        raise InputError("no file and no folder is given", hint="try `mwl check FOLDER`")
    found: dict[Path, _Source] = {}  # a file that is named twice is not there twice
    for path in paths:
        try:
            path.stat()
            sources = _in_folder(path) if path.is_dir() else [_Source(path, is_stray=False)]
            found |= {source.path: source for source in sources}
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=str(path)) from error
    return list(found.values())


def _in_folder(folder: Path) -> list[_Source]:
    """Give the files of a folder by name, as the server takes them: not of folders in it."""
    return [
        _Source(path, is_stray=not is_worklist(path.name))
        for path in sorted(folder.iterdir())
        if is_worklist(path.name) or not path.name.startswith(".")
    ]


# ------------------------------------------------------------------------------- files


def _checked(files: Sequence[_Source], checker: Checker) -> Iterator[Finding]:
    for source in _with_progress(files):
        yield from _check_one(source, checker)


def _check_one(source: _Source, checker: Checker) -> list[Finding]:
    path, is_stray = source
    # To open a pipe would wait for its other end.
    if not path.is_file():
        return [] if is_stray else checker.unreadable(str(path), "not a file")
    try:
        with path.open("rb") as stream:
            data = stream.read(HEAD_BYTES if is_stray else MAX_FILE_BYTES + 1)
    except OSError as error:
        return [] if is_stray else checker.unreadable(str(path), str(error.strerror))
    return checker.stray(str(path), data) if is_stray else checker.file(str(path), data)


def _with_progress(files: Sequence[_Source]) -> Iterable[_Source]:
    if len(files) < PROGRESS_FILES or not sys.stderr.isatty():
        return files
    from rich.console import Console  # noqa: PLC0415 - most runs need no progress bar
    from rich.progress import track  # noqa: PLC0415

    return track(files, "checking", console=Console(stderr=True), transient=True)


# ------------------------------------------------------------------------------- output


def _print(findings: Sequence[Finding], files: Sequence[_Source], *, is_quiet: bool) -> None:
    if not is_quiet:
        ordered = sorted(findings, key=lambda finding: finding.source)
        for source, of_file in groupby(ordered, key=lambda finding: finding.source):
            typer.secho(escape(source), bold=True)
            for line in _lines(of_file):
                typer.echo(f"  {line}")
            typer.echo()
        _explain({finding.rule.number: finding.rule for finding in findings}.values())
    typer.echo(_summary(findings, sum(not source.is_stray for source in files)))


def _lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Give a line for each rule and message, with all the places that it is about."""
    alike: dict[tuple[str, Severity, str], list[str]] = {}
    for one in sorted(findings, key=lambda finding: (finding.rule.number, finding.path)):
        alike.setdefault((one.rule.number, one.severity, one.message), []).append(_place(one))
    for (number, severity, message), places in alike.items():
        begin = typer.style(f"{number} {severity}", fg=_COLOURS[severity])
        yield " ".join(filter(None, (begin, ", ".join(places)))) + f": {escape(message)}"


def _place(finding: Finding) -> str:
    return f"{finding.path_text} {finding.keyword}".strip()


def _explain(rules: Iterable[Rule]) -> None:
    for rule in sorted(rules, key=lambda rule: rule.number):
        typer.secho(f"{rule.number} {rule.title}", bold=True)
        typer.echo(f"  why: {rule.why}")
        typer.echo(f"  do:  {rule.advice}")
        typer.echo(f"  see: {rule.section}")
        typer.echo()


def _summary(findings: Iterable[Finding], files: int) -> str:
    counts = Counter(finding.severity for finding in findings)
    return f"files: {files}, errors: {counts['error']}, warnings: {counts['warning']}"


def _print_profiles() -> None:
    for profile in PROFILES:
        typer.echo(f"{profile.name}: {profile.needs}")
        typer.echo(f"  {profile.source}")
        typer.echo(f"  rules: {', '.join(profile.rules)}")
