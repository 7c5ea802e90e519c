"""How an explanation is shown to people."""

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mwl.attributes import ACCESSION_NUMBER, PATIENT_ID, PATIENT_NAME
from mwl.dataset import CharacterSet, Elements, name_of, values
from mwl.dump import dump
from mwl.errors import DatasetError
from mwl.explain import Report
from mwl.text import escape

WIDTH_OF_FILE = 120
"""Columns of what goes into a file or a pipe."""


def show(report: Report, misses: int) -> None:
    """Print a report for people, with so many of the misses."""
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
    yield from map(_plain, report.assumed)
    if report.refused:
        yield _plain(f"The {report.refused.stage} is refused: {report.refused.reason}.")
        yield _plain(f"To let it in: {report.refused.remedy}")
        if report.outcome:
            yield _plain("If it were let in:")
    if report.changes:
        changes = ", ".join(f"{key} {what}" for key, what in report.changes)
        yield _plain(f"Scripts or hooks changed the query: {changes}")
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
    if not report.items:
        yield _plain("There is no item to match: only *.wl files in the folder itself are served.")
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
