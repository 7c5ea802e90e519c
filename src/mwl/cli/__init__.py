"""The command line: one module a group of commands; arguments in, calls out.

Exit status: 0 all well, 1 the peer or the service said no, 2 the command line or the
configuration cannot be used.
"""

import typer

from mwl.cli import config, scu, serve

app = typer.Typer(
    name="mwl",
    help="A DICOM Modality Worklist server, and the tools to ask one.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(config.app, name="config")
app.command("serve")(serve.serve)
app.command("echo")(scu.echo)
app.command("find")(scu.find)

__all__ = ["app"]
