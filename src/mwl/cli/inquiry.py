"""What a command line of `mwl explain` is about: configuration, query, caller, worklist."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from mwl.access import AccessPolicy, Caller
from mwl.config import Config, load, of_folder, require_worklist
from mwl.dataset import Elements
from mwl.errors import ConfigError, DatasetError, InputError, StoreError
from mwl.explain import Report, explain
from mwl.find import Worklist
from mwl.item import WorklistItem
from mwl.keys import USUAL_KEYS, identifier_of
from mwl.paths import is_folder
from mwl.site import Worklists, access_policy, take_dictionary
from mwl.store.memory import MemoryStore
from mwl.text import escape

LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True, slots=True)
class Inquiry:
    """What is to be explained, as the user named it.

    Args:
        places: One folder of worklist files, or files; without any, that of the configuration.
        keys: Keys, as for `mwl find`.
        query: File that holds the query; the keys override its own.
        configuration: Files or folders of the configuration.
        calling: AE title of the device that asks.
        called: AE title that it calls; None for that of the configuration.
        host: Address that it calls from; None for what the configuration says of the device.
    """

    places: Sequence[Path]
    keys: Sequence[str]
    query: Path | None
    configuration: Sequence[Path]
    calling: str
    called: str | None
    host: str | None

    def report(self) -> Report:
        """Read what is named, and explain.

        Raises:
            InputError: Something that is named cannot be used.
        """
        config = _config(self.configuration, self.places)
        identifier = _identifier(self.query, self.keys)
        access = access_policy(config)
        caller = Caller(
            self.calling,
            self.called or config.dicom_ae_title,
            self.host or _host_of(access, self.calling),
            access.names_expected(self.calling),
        )
        worklist = _worklist(config, self.places, caller.called_ae_title)
        return explain(worklist, access, caller, identifier)


def _config(configuration: Sequence[Path], places: Sequence[Path]) -> Config:
    if not configuration and not places:
        raise ConfigError(
            "nothing to look at", hint="name a folder, files, or --config with a Database"
        )
    if not configuration:
        config = of_folder(places[0])
    else:
        loaded = load(configuration, os.environ)
        config = loaded.config
        for note in loaded.notes:
            if note.kind == "warning":
                typer.echo(f"warning: {escape(note.describe())}", err=True)
        if not places:
            require_worklist(loaded)
    take_dictionary(config)
    return config


def _identifier(file: Path | None, keys: Sequence[str]) -> Elements:
    if file is None:
        return identifier_of(keys, also=() if keys else USUAL_KEYS)
    from mwl.cli.queries import query_of  # noqa: PLC0415 - most queries are keys, in no file

    return identifier_of(keys, base=query_of(file))


def _host_of(access: AccessPolicy, calling: str) -> str:
    entries = access.entries(calling)
    return entries[0].host if entries else LOOPBACK


def _worklist(config: Config, places: Sequence[Path], called: str) -> Worklist | None:
    """Give what the called AE title serves."""
    worklist = _opened(config, places, called)
    if worklist is None or not places:
        return worklist  # a Database that cannot be read is what the device would be told
    try:
        for _ in worklist.see_every_change():
            pass
    except StoreError as error:
        raise InputError(str(error)) from error
    return worklist


def _opened(config: Config, places: Sequence[Path], called: str) -> Worklist | None:
    folders = [place for place in places if is_folder(place)]
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
