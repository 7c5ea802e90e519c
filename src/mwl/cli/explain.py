"""`mwl explain`: say why a query gets the answer that it gets."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from mwl import telemetry
from mwl.access import Caller
from mwl.cli.arguments import checked_ae_title, fail
from mwl.cli.queries import query_of
from mwl.config import Config, load, of_folder, require_worklist
from mwl.dataset import Elements
from mwl.errors import ConfigError, DatasetError, InputError, StoreError
from mwl.explain import explain as explain_query
from mwl.explain.document import document
from mwl.find import Worklist
from mwl.item import WorklistItem
from mwl.keys import USUAL_KEYS, identifier_of
from mwl.site import Worklists, access_policy, take_dictionary
from mwl.store.memory import MemoryStore

LOOPBACK = "127.0.0.1"


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
            help="File that holds the query: DICOM, the text of `mwl dump`, or DICOM JSON; -k "
            "overrides its keys.",
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
            help="AE title of the device that asks.",
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
    telemetry.configure("none")
    try:
        config = _config(configuration or [], places or [])
        identifier = _identifier(query, keys or [])
        caller = Caller(calling, called or config.dicom_ae_title, host or _host_of(config, calling))
        worklist = _worklist(config, places or [], caller.called_ae_title)
    except InputError as error:
        fail(error)
    from mwl.cli import explanation  # noqa: PLC0415 - rich is not needed for --help

    report = explain_query(worklist, access_policy(config), caller, identifier)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if as_json:
        typer.echo(json.dumps(document(report, misses), ensure_ascii=False, indent=2))
    else:
        explanation.show(report, misses)
    if report.refused or report.outcome is None or report.outcome.query is None:
        raise typer.Exit(1)


def _config(configuration: list[Path], places: list[Path]) -> Config:
    if not configuration and not places:
        raise ConfigError(
            "nothing to look at", hint="name a folder, files, or --config with a Database"
        )
    if not configuration:
        config = of_folder(places[0])
    else:
        loaded = load(configuration, os.environ)
        config = loaded.config
        if not places:
            require_worklist(loaded)
    take_dictionary(config)
    return config


def _identifier(file: Path | None, keys: list[str]) -> Elements:
    if file is None:
        return identifier_of(keys, also=() if keys else USUAL_KEYS)
    return identifier_of(keys, base=query_of(file))


def _host_of(config: Config, calling: str) -> str:
    entries = access_policy(config).entries(calling)
    return entries[0].host if entries else LOOPBACK


def _worklist(config: Config, places: list[Path], called: str) -> Worklist | None:
    """Give what the called AE title serves, read to the end."""
    worklist = _opened(config, places, called)
    if worklist is None:
        return None
    try:
        for _ in worklist.see_every_change():
            pass
    except StoreError as error:
        raise InputError(str(error)) from error
    return worklist


def _opened(config: Config, places: list[Path], called: str) -> Worklist | None:
    folders = [place for place in places if place.is_dir()]
    if folders and len(places) > 1:
        raise InputError("name one folder, or files", file=str(folders[0]))
    database = folders[0] if folders else config.worklists.database
    here = dataclasses.replace(config.worklists, database=database, watch="scan", snapshot="off")
    site = Worklists(dataclasses.replace(config, worklists=here))
    if places and not folders:
        return site.of_store(_store_of(places, site.parser()))
    return site.of(called)


def _store_of(
    files: Sequence[Path], parse: Callable[[str, bytes], tuple[WorklistItem, ...]]
) -> MemoryStore:
    store = MemoryStore()
    for file in files:
        try:
            store.put(str(file), parse(str(file), file.read_bytes()))
        except OSError as error:
            raise InputError(error.strerror or str(error), file=str(file)) from error
        except DatasetError as error:
            store.refuse(str(file), str(error))
    return store
