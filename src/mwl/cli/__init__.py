"""The command line: one module a group of commands; arguments in, calls out.

A module is imported when its command is used, so that a short command does not wait for the
imports of the server.

Exit statuses are a table: `mwl.cli.exit_statuses`.
"""

import errno
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from mwl import __version__
from mwl.cli.arguments import EXIT_STATUS
from mwl.cli.exit_statuses import IN_SHORT


class _Place(NamedTuple):
    """Where a command is, and its line in the list of commands."""

    module: str
    help: str


COMMANDS: Mapping[str, _Place] = MappingProxyType(
    {
        "serve": _Place("serve", "Serve worklist items to modalities over DICOM C-FIND."),
        "echo": _Place("scu", "Verify that a DICOM server answers (C-ECHO)."),
        "find": _Place("scu", "Query a Modality Worklist (C-FIND)."),
        "explain": _Place("explain", "Say why a query finds what it finds, item by item."),
        "new": _Place("new", "Make worklist files from keys, JSON or CSV."),
        "check": _Place("check", "Report what is wrong with worklist files."),
        "doctor": _Place("doctor", "Say what keeps the server from its work, and what to mend."),
        "dump": _Place("text", "Print worklist files as text, as dcmdump does."),
        "undump": _Place("text", "Make a worklist file from text, as dump2dcm does."),
        "config": _Place("config", "Write, check and show configuration files."),
    }
)
"""The commands: each is the function, or the group of commands, of its name in its module."""


_FAULTS_OF_OUTPUT = frozenset({errno.EBADF, errno.EIO, errno.ENOSPC})
"""Errors of an output that is closed, broken or full; those of a file name it."""


class _Commands(TyperGroup):
    """Commands that are imported when they are used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # By these names a misspelt command is answered with a likely one.
        self.commands = dict.fromkeys(COMMANDS, TyperGroup())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        found = getattr(import_module(f"mwl.cli.{place.module}"), cmd_name)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a full disk behind its output is told like any other fault."""
        if sys.stdout is None:
            _end("standard output is closed")
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise  # the reader has seen enough: typer ends quietly
        except OSError as error:
            if error.errno not in _FAULTS_OF_OUTPUT or error.filename is not None:
                raise
            _end(f"standard output cannot be written: {error.strerror or error}")
        return done

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])


def _end(message: str) -> NoReturn:
    with suppress(OSError):
        typer.echo(f"error: {message}", err=True)
    # What is still held for the output would be tried again, and told with a traceback.
    os._exit(EXIT_STATUS)


app = typer.Typer(
    name="mwl",
    cls=_Commands,
    help="A DICOM Modality Worklist server, and the tools to ask one.",
    epilog=IN_SHORT,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mwl {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


__all__ = ["COMMANDS", "app"]
