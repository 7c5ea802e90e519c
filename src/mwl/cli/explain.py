"""`mwl explain`: say why a query gets the answer that it gets."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from mwl import telemetry
from mwl.cli.arguments import checked_ae_title, fail
from mwl.errors import InputError


def explain(  # noqa: PLR0913, PLR0917 - one argument an option
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER_OR_FILE]...",
            help="A folder of *.wl files, or files; without any, the Database of the "
            "configuration.",
            show_default=False,
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="KEY[=VALUE]",
            help="Key, as for `mwl find`. Without -k and --query, the usual ones are asked for.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File that holds the query: DICOM, the text of `mwl dump`, or DICOM JSON; - for "
            "standard input. -k overrides its keys.",
            show_default=False,
        ),
    ] = None,
    configuration: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            metavar="FILE_OR_FOLDER",
            help="Configuration of the server: access, FilterIssuerAet, dialect, limit.",
            show_default=False,
        ),
    ] = None,
    calling: Annotated[
        str,
        typer.Option(
            "--calling-aet",
            "-aet",
            metavar="A",
            callback=checked_ae_title,
            help="AE title of the device that asks; it shows the certificate that it is bound to, "
            "and logs in where it must.",
        ),
    ] = "MWL",
    called: Annotated[
        str | None,
        typer.Option(
            "--called-aet",
            "-aec",
            metavar="B",
            callback=checked_ae_title,
            help="AE title that it calls; without it, that of the configuration.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address that it calls from; without it, what the configuration says of the "
            "device, or this machine.",
            show_default=False,
        ),
    ] = None,
    misses: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many items that do not match to show.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Say why a query finds what it finds, item by item.

    The query takes the way it would take in the server. Nothing is sent.

    Exit status: 0 the query would be answered, also with an empty list; 1 it would be refused;
    2 the arguments cannot be used.
    """
    # After the arguments are read: the help does not wait for the matcher.
    from mwl.cli.inquiry import Inquiry  # noqa: PLC0415

    telemetry.configure("none")
    inquiry = Inquiry(places or [], keys or [], query, configuration or [], calling, called, host)
    try:
        with redirect_stdout(sys.stderr):  # what scripts and hooks print is no explanation
            report = inquiry.report()
    except InputError as error:
        fail(error)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if as_json:
        from mwl.explain.document import document  # noqa: PLC0415

        typer.echo(json.dumps(document(report, misses), ensure_ascii=False, indent=2))
    else:
        from mwl.cli import explanation  # noqa: PLC0415 - rich is not needed for JSON

        explanation.show(report, misses)
    if report.refused or report.outcome is None or report.outcome.query is None:
        raise typer.Exit(1)
