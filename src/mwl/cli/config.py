"""`mwl config`: write, check and show configuration files."""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from mwl.cli.arguments import EXIT_STATUS, fail
from mwl.config import (
    Config,
    Note,
    check,
    default_file,
    in_force,
    load,
    missing_here,
    origins,
    refusals,
)
from mwl.errors import ConfigError
from mwl.paths import is_file
from mwl.text import escape

config = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Write, check and show configuration files.",
    no_args_is_help=True,
)

Files = Annotated[
    list[Path], typer.Argument(help="JSON files, or folders of them.", show_default=False)
]


@config.command("init")
def init(
    file: Annotated[
        Path | None,
        typer.Argument(help="File to write; without one, print.", show_default=False),
    ] = None,
    database: Annotated[
        Path | None,
        typer.Option(help="Folder of *.wl files to serve.", show_default=False),
    ] = None,
) -> None:
    """Print or write a configuration file with every option, explained."""
    values: dict[str, object] = {}
    if database is not None:
        # In the file a relative path would start at the folder of the file.
        values = {"Worklists.Enable": True, "Worklists.Database": str(database.absolute())}
    text = default_file(values)
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        fail(ConfigError("exists already, nothing was written", file=str(file)))
    except OSError as error:
        fail(ConfigError(f"cannot be written: {error.strerror}", file=str(file)))


@config.command("check")
def check_files(
    files: Files,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List ignored options too.")
    ] = False,
) -> None:
    """Report what `mwl serve` would refuse and what is probably a mistake.

    Scripts and hooks are loaded as `mwl serve` loads them, and not called.

    The exit status is 2 when `mwl serve` would refuse it. A folder, a file or a host that is
    missing on this machine is a warning.
    """
    checked = check(files, os.environ)
    errors, notes = checked.errors, checked.notes
    if checked.loaded is not None:
        errors = [*refusals(checked.loaded), *_refusals_of_tls(checked.loaded.config)]
        notes = [*notes, *missing_here(checked.loaded)]
        for only in scripts_one_by_one(checked.loaded.config):
            try:
                notes += notes_of_scripts(only)
            except ConfigError as refused:
                errors.append(refused)
    for error in errors:
        typer.echo(f"error: {escape(str(error))}")
    for note in notes:
        if verbose or note.kind == "warning":
            typer.echo(f"{note.kind}: {escape(note.describe())}")
    if errors:
        raise typer.Exit(EXIT_STATUS)
    warnings = sum(note.kind == "warning" for note in notes)
    ignored = len(notes) - warnings
    typer.echo(f"can be used; warnings: {warnings}, options without meaning here: {ignored}")


def scripts_one_by_one(config: Config) -> Iterator[Config]:
    """Give the configuration with one kind of scripts at a time, where all its files are there."""
    without = dataclasses.replace(config, lua_scripts=(), python_script=None, hooks=())
    for option, names in (
        ("lua_scripts", config.lua_scripts),
        ("python_script", (config.python_script,)),
        ("hooks", config.hooks),
    ):
        # Of a file that is missing a warning tells.
        if all(is_file(name) for name in names if isinstance(name, Path)):
            yield dataclasses.replace(without, **{option: getattr(config, option)})


def notes_of_scripts(config: Config) -> list[Note]:
    """Load scripts as `mwl serve` does.

    Raises:
        ConfigError: One cannot be loaded.
    """
    from mwl.site import Worklists  # noqa: PLC0415 - the help does not wait for it

    with redirect_stdout(sys.stderr):  # what they print is no finding
        worklists = Worklists(config)
        try:
            never_called = worklists.callbacks.never_called if worklists.callbacks else []
        finally:
            worklists.close()
    message = "is defined in a script, and such a callback is never called here"
    return [
        Note(kind="warning", message=f"{name} {message}", option="LuaScripts")
        for name in never_called
    ]


def _refusals_of_tls(config: Config) -> list[ConfigError]:
    from mwl.site import credentials_in_use  # noqa: PLC0415 - the help does not wait for it
    from mwl.tls.contexts import server_context  # noqa: PLC0415 - see above

    errors = []
    for credentials in credentials_in_use(config):
        if not all(is_file(file.path) for file in credentials.files):
            continue  # a warning tells of it
        try:
            server_context(credentials)
        except ConfigError as error:
            errors.append(error)
    return errors


@config.command("show")
def show(
    files: Files,
    with_origins: Annotated[
        bool,
        typer.Option("--origins", help="Print where each value was given instead of the values."),
    ] = False,
) -> None:
    """Print the configuration in force as JSON, defaults included."""
    try:
        loaded = load(files, os.environ)
    except ConfigError as error:
        fail(error)
    shown = origins(loaded) if with_origins else in_force(loaded.config, secrets=False)
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
