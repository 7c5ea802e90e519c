"""`mwl serve`: run the server."""

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mwl import telemetry
from mwl.cli.arguments import NOT_NOW, checked_ae_title, checked_http_port, fail, of_http_port
from mwl.config import Loaded, load, of_folder, require_worklist
from mwl.errors import ConfigError, NotToBeHad

if TYPE_CHECKING:
    from mwl.server import Ending


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
    http_port: Annotated[
        str | None,
        typer.Option(
            callback=checked_http_port,
            metavar="PORT",
            help="TCP port of HTTP; 0 takes a free one, off takes none.  [default: 8042]",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log whole queries and the files that answer.")
    ] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Log PDUs and answers too.")] = False,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="How log lines are written.  [default: text]", show_default=False),
    ] = None,
    log_file: Annotated[
        Path | None,
        typer.Option(
            help="File that the log is written to; logrotate may take it away at any time.  "
            "[default: standard error]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve worklist items to modalities over DICOM C-FIND."""
    level: telemetry.Verbosity | None = "trace" if trace else "verbose" if verbose else None
    # Until the configuration is read: what is wrong with it is told here.
    telemetry.configure(level or "default", log_format or "text", sys.stderr)
    try:
        given = {
            "dicom_ae_title": ae_title,
            "dicom_port": port,
            "dicom_host": host,
            **of_http_port(http_port),
            "log_level": level,
            "log_format": log_format,
            "log_file": log_file,
        }
        overrides = {name: value for name, value in given.items() if value is not None}
        read = partial(_settings, folder, config, overrides)
        while _serve_once(read) == "reset":
            pass
    except NotToBeHad as error:
        fail(error, NOT_NOW)
    except ConfigError as error:
        fail(error)


def _serve_once(read: Callable[[], Loaded]) -> "Ending":
    loaded = read()
    # After the arguments are read: the help does not wait for the server.
    import uvloop  # noqa: PLC0415

    from mwl.server import Server, begin_log  # noqa: PLC0415

    # Until the server listens to it: a hint to reload ends nobody.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    begin_log(loaded)
    require_worklist(loaded)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Server(loaded.config, read).serve())


def _settings(
    folder: Path | None, config: list[Path] | None, overrides: Mapping[str, Any]
) -> Loaded:
    if (folder is None) == (config is None):
        raise ConfigError(
            "give either a FOLDER or --config",
            hint="try `mwl serve FOLDER`; `mwl config init` prints a configuration to start from",
        )
    loaded = load(config or [], os.environ) if folder is None else Loaded(of_folder(folder), [], {})
    return dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, **overrides))
