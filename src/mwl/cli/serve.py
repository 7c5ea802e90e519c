"""`mwl serve`: run the server."""

import asyncio
import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from mwl import telemetry
from mwl.cli.arguments import checked_ae_title, fail
from mwl.cli.config import report_notes
from mwl.config import Config, load, of_folder, require_worklist
from mwl.errors import ConfigError


def serve(  # noqa: PLR0913, PLR0917 - one argument an option
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of *.wl files, served without a configuration file to any caller on "
            "the loopback.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            "-c",
            help="Orthanc configuration: a JSON file, several, or a folder of them.",
            show_default=False,
        ),
    ] = None,
    ae_title: Annotated[
        str | None,
        typer.Option(
            "--aet",
            callback=checked_ae_title,
            help="AE title of the server.  [default: ORTHANC]",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="TCP port; 0 takes a free one.  [default: 4242]", min=0, max=65535),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on.  [default: 127.0.0.1; with --config: DicomHost]"),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log whole queries and the files that answer.")
    ] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Log PDUs and answers too.")] = False,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="How log lines are written.")
    ] = "text",
) -> None:
    """Serve worklist items to modalities over DICOM C-FIND."""
    # After the arguments are read: the help does not wait for the server.
    import uvloop  # noqa: PLC0415

    from mwl.server import Server  # noqa: PLC0415

    level: telemetry.Verbosity = "trace" if trace else "verbose" if verbose else "default"
    telemetry.configure(level, log_format, sys.stderr)
    try:
        settings = _settings(folder, config)
        settings = dataclasses.replace(
            settings,
            dicom_ae_title=settings.dicom_ae_title if ae_title is None else ae_title,
            dicom_port=settings.dicom_port if port is None else port,
            dicom_host=settings.dicom_host if host is None else host,
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Server(settings).serve())
    except ConfigError as error:
        fail(error)


def _settings(folder: Path | None, config: list[Path] | None) -> Config:
    if (folder is None) == (config is None):
        raise ConfigError(
            "give either a FOLDER or --config",
            hint="try `mwl serve FOLDER`; `mwl config init` prints a configuration to start from",
        )
    if folder is not None:
        return of_folder(folder)
    loaded = load(config or [], os.environ)
    report_notes(loaded.notes)
    require_worklist(loaded)
    return loaded.config
