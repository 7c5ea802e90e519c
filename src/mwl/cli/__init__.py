"""The command line: one module a group of commands; arguments in, calls out.

Exit status: 0 all well, 1 the peer or the service said no, 2 the command line or the
configuration cannot be used.
"""

from typing import Annotated

import typer

from mwl import __version__
from mwl.cli import config, scu, serve

app = typer.Typer(
    name="mwl",
    help="A DICOM Modality Worklist server, and the tools to ask one.",
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


app.add_typer(config.app, name="config")
app.command("serve")(serve.serve)
app.command("echo")(scu.echo)
app.command("find")(scu.find)

__all__ = ["app"]
