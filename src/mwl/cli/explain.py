"""`mwl explain`: say why a query gets the answer that it gets."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mwl import telemetry
from mwl.access import Caller
from mwl.attributes import ACCESSION_NUMBER, PATIENT_ID, PATIENT_NAME
from mwl.cli.arguments import checked_ae_title, fail
from mwl.cli.queries import query_of
from mwl.config import Config, load, of_folder, require_worklist
from mwl.dataset import CharacterSet, Elements, name_of, to_json, values
from mwl.dump import dump
from mwl.errors import ConfigError, DatasetError, InputError, StoreError
from mwl.explain import Miss, Report
from mwl.explain import explain as explain_query
from mwl.find import Worklist
from mwl.item import WorklistItem
from mwl.keys import USUAL_KEYS, identifier_of
from mwl.site import Worklists, access_policy, take_dictionary
from mwl.store.memory import MemoryStore
from mwl.text import escape

WIDTH_OF_FILE = 120
"""Columns of what goes into a file or a pipe."""

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
    report = explain_query(worklist, access_policy(config), caller, identifier)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if as_json:
        typer.echo(json.dumps(_document(report, misses), ensure_ascii=False, indent=2))
    else:
        _print(report, misses)
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


# For people.


def _print(report: Report, misses: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILE, highlight=False)
    for part in (
        *_query_parts(report),
        *_answer_parts(report),
        *_unreadable_parts(report),
        *_miss_parts(report, misses),
        *_hint_parts(report),
    ):
        console.print(part, soft_wrap=isinstance(part, Text) and "\n" in part.plain)


def _plain(text: str) -> Text:
    return Text(escape(text))


def _heading(text: str) -> Text:
    return Text(f"\n{escape(text)}", style="bold")


def _columns(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, show_header=bool(headings))
    if not headings:
        for _ in range(3):
            table.add_column(overflow="fold")
    return table


def _query_parts(report: Report) -> Iterator[Any]:
    caller = report.caller
    yield Text(
        escape(f"{caller.calling_ae_title} at {caller.host} asks {caller.called_ae_title}"),
        style="bold",
    )
    if report.refused:
        yield _plain(f"The {report.refused.stage} is refused: {report.refused.reason}.")
        yield _plain(f"To let it in: {report.refused.remedy}")
        if report.outcome:
            yield _plain("If it were let in:")
    table = _columns("Key", "asks for", "leaves out")
    for key in report.keys:
        left_out = f"{key.excluded} of {report.items}"
        table.add_row(_plain(key.label), _plain(key.words), _plain(left_out))
    if report.keys:
        yield table
    elif report.outcome and report.outcome.query:
        yield _plain("No key has a value: every item matches.")
    if report.returned:
        yield _plain(f"To be returned: {', '.join(report.returned)}")


def _answer_parts(report: Report) -> Iterator[Any]:
    outcome = report.outcome
    if outcome is None:
        return
    if outcome.query is None:
        offending = " ".join(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name_of(tag)}".rstrip()
            for tag in outcome.offending
        )
        facts = ": ".join(filter(None, (outcome.comment, offending, outcome.detail)))
        yield _heading(f"The query fails with status {outcome.status:04X}: {facts}")
        return
    yield _heading(f"{_count(len(report.matches), 'item')} of {report.items} match")
    if outcome.detail:
        yield _plain(outcome.detail)
    table = _columns()
    for item in report.matches[: outcome.answers]:
        who = _who(item.elements(), item.character_set)
        table.add_row(_plain(item.source), _plain(f"step {item.step + 1}"), _plain(who))
    if report.matches:
        yield table
        elements, characters = report.answer(report.matches[0])
        yield _heading(f"The first answer, of {report.matches[0].source}")
        yield Text(dump(elements, characters) + "\n")


def _who(elements: Elements, characters: CharacterSet) -> str:
    shown = []
    for tag in (PATIENT_NAME, PATIENT_ID, ACCESSION_NUMBER):
        if (element := elements.get(tag)) is not None:
            try:
                shown += values(element, characters)
            except DatasetError:
                shown.append("?")
    return ", ".join(text.strip() for text in shown)


def _unreadable_parts(report: Report) -> Iterator[Any]:
    if not report.unreadable:
        return
    yield _heading(f"{_count(len(report.unreadable), 'file')} not served")
    for source, reason in report.unreadable.items():
        yield _plain(f"{source}: {reason}")


def _miss_parts(report: Report, limit: int) -> Iterator[Any]:
    if not report.misses or not limit:
        return
    words = {key.criterion: key.words for key in report.keys}
    yield _heading(f"Nearest misses, {min(limit, len(report.misses))} of {len(report.misses)}")
    for miss in report.misses[:limit]:
        yield _plain(f"{miss.item.source}, step {miss.item.step + 1}")
        table = Table("  Key", "asks for", "the item has", box=None, pad_edge=False)
        keys = {key.criterion: key.label for key in report.keys}
        for criterion, stored in miss.stored():
            table.add_row(
                _plain(f"  {keys.get(criterion, criterion.name)}"),
                _plain(words.get(criterion, "")),
                _plain(stored),
            )
        yield table


def _hint_parts(report: Report) -> Iterator[Any]:
    if not report.hints:
        return
    yield _heading("Hints")
    for hint in report.hints:
        more = f" and {hint.items - 1} more" if hint.items > 1 else ""
        about = f" [{hint.source}{more}]" if hint.source else ""
        yield _plain(f"- {hint.text}{about}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# For programs.


def _document(report: Report, misses: int) -> dict[str, Any]:
    outcome = report.outcome
    return {
        "caller": dataclasses.asdict(report.caller),
        "refused": report.refused._asdict() if report.refused else None,
        "status": f"{outcome.status:04X}" if outcome else None,
        "comment": outcome.comment if outcome else "",
        "offending": [f"{tag:08X}" for tag in outcome.offending] if outcome else [],
        "detail": outcome.detail if outcome else "",
        "items": report.items,
        "matches": len(report.matches),
        "answers": [
            {
                "source": item.source,
                "step": item.step + 1,
                "identifier": to_json(*report.answer(item)),
            }
            for item in report.matches[: outcome.answers if outcome else 0]
        ],
        "keys": [
            {
                "key": key.name,
                "label": key.label,
                "asks": key.words,
                "values": key.asked,
                "excluded": key.excluded,
            }
            for key in report.keys
        ],
        "returned": list(report.returned),
        "misses": [_miss_document(miss, report) for miss in report.misses[:misses]],
        "missed": len(report.misses),
        "unreadable": dict(report.unreadable),
        "hints": [hint._asdict() for hint in report.hints],
    }


def _miss_document(miss: Miss, report: Report) -> dict[str, Any]:
    words = {key.criterion: key.words for key in report.keys}
    return {
        "source": miss.item.source,
        "step": miss.item.step + 1,
        "excluded_by": [
            {"key": criterion.name, "asks": words.get(criterion, ""), "stored": stored}
            for criterion, stored in miss.stored()
        ],
    }
