"""`mwl new`: make worklist files from keys, JSON or CSV."""

import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from mwl.cli.arguments import EXIT_STATUS, fail
from mwl.compose import (
    SUFFIX,
    Document,
    FileNames,
    NewItem,
    Origin,
    Recipe,
    read_arguments,
    read_documents,
    read_table,
    read_template,
)
from mwl.errors import InputError
from mwl.store.placing import Place, place, placing
from mwl.text import escape
from mwl.text_files import decode_text

INPUT_LIMIT_BYTES = 64 * 1024 * 1024
"""Size of a file that is read; 100,000 rows have a third of it. All of it is held in memory."""

SOME_REFUSED = 1
"""Exit status when a batch has items that were not written."""

ENDED = 128
"""Exit status when a signal ended the command, to which its number is added, as shells have it."""

_Handler = Callable[[int, FrameType | None], object] | int

_ENDS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

BAR_FROM = 200
"""Items from which on a bar shows how far they are: they take a quarter of a second or more."""

_EXISTS = "a file of its name is there already"
_FORCE = "--force replaces it"
_NO_ROW = "there is a header and no row below it"
_OTHER_ENCODING = "name the encoding with --charset; windows-1252 is that of many spreadsheets"


def new(  # noqa: PLR0913, PLR0917 - one argument an option
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OUT.wl] KEY=VALUE",
            help="File to write, unless --out is given; then attributes.",
            show_default=False,
        ),
    ] = None,
    from_csv: Annotated[
        Path | None,
        typer.Option(help="CSV with a header of keys and an item a row; needs --out."),
    ] = None,
    from_json: Annotated[
        Path | None,
        typer.Option(help="JSON object by keyword or in the DICOM JSON Model, or an array."),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(help="JSON object by keyword: what every item has, with placeholders."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write into; it is made if it is missing.", readable=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="File names in the folder, such as {AccessionNumber}-{counter}.wl.  "
            "[default: {AccessionNumber}.wl, without one {PatientID}-{counter}.wl]"
        ),
    ] = None,
    counter: Annotated[int, typer.Option(help="First number for {counter}.", min=0)] = 1,
    charset: Annotated[
        str | None,
        typer.Option(help="Encoding of the files that are read.  [default: utf-8]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files.")] = False,
    incomplete: Annotated[
        bool,
        typer.Option("--incomplete", help="Write items that lack what a scanner needs."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not say what was filled in.")
    ] = False,
) -> None:
    """Make worklist files from keys, JSON or CSV.

    Keys are keywords, tags or paths. Attributes of the scheduled procedure step go into it,
    several values have a backslash between them, dates and times may be written 2026-11-24 and
    08:30. What can be filled in is, such as the Study Instance UID.

    With --from-csv and --from-json, KEY=VALUE and --template give what all items share. The file
    overrides the template, and KEY=VALUE both. In template and KEY=VALUE stand {today},
    {today+1}, {now}, {uid} and {counter} for what they say.

    Exit status: 0 all is written, 1 some rows were refused and the others are written, 2 nothing
    is written, 129, 130 or 143 a signal ended it between two files.

    \b
    mwl new jane.wl PatientName=DOE^JANE PatientID=4711 Modality=CT \\
        ScheduledStationAETitle=CT1 ScheduledProcedureStepStartDate={today} \\
        ScheduledProcedureStepStartTime=08:30 RequestedProcedureDescription=Head
    mwl new --from-csv list.csv --out worklists ScheduledStationAETitle=CT1
    mwl new phantom.wl --template phantom.json
    """  # noqa: D301 - the help needs the character itself
    try:
        words = list(arguments or [])
        if out is None:
            target = _take_target(words, name)
        else:
            target = None
            _refuse_target(words)
        recipe = Recipe(
            now=datetime.now().astimezone(),
            new_number=lambda: uuid.uuid4().int,
            template=[] if template is None else read_template(*_text_of(template, charset)),
            arguments=read_arguments(words),
            may_be_incomplete=incomplete,
        )
        writer = _Writer(recipe, force=force, quiet=quiet)
        documents = _documents(from_csv, from_json, charset, is_batch=out is not None)
        if target is not None:
            writer.write_one(documents[0], target, counter)
        elif out is not None:
            writer.write_all(documents, out, FileNames(name), counter)
    except InputError as error:
        fail(error)


def _take_target(words: list[str], name: str | None) -> Path:
    """Take the file to write off the arguments."""
    if name is not None:
        raise InputError("it names files of a folder", option="--name", hint="give --out too")
    if not words or ("=" in words[0] and not words[0].lower().endswith(SUFFIX)):
        raise InputError(
            "no file to write is named",
            hint="write `mwl new OUT.wl KEY=VALUE ...`, or name a folder with --out",
        )
    return Path(words.pop(0))


def _refuse_target(words: list[str]) -> None:
    """Refuse a file to write beside a folder to write into."""
    if words and "=" not in words[0] and words[0].lower().endswith(SUFFIX):
        raise InputError(
            "OUT.wl and --out are both given",
            hint="name a file to write, or a folder; --name gives files of a folder their names",
        )


def _documents(
    from_csv: Path | None, from_json: Path | None, charset: str | None, *, is_batch: bool
) -> list[Document | InputError]:
    """Read what the items are made of; one that says nothing when all is in the arguments."""
    if from_csv is not None and from_json is not None:
        raise InputError("give either --from-csv or --from-json")
    if from_csv is not None:
        found, is_list = read_table(*_text_of(from_csv, charset)), True
    elif from_json is not None:
        found, is_list = read_documents(*_text_of(from_json, charset))
    else:
        return [Document(Origin())]
    if is_list and not is_batch:
        raise InputError(
            "it may hold several items",
            file=str(from_csv or from_json),
            hint="name the folder for them with --out",
        )
    if not found:
        empty = "the array has no item in it" if from_csv is None else _NO_ROW
        raise InputError(empty, file=str(from_csv or from_json))
    return found


def _text_of(path: Path, charset: str | None) -> tuple[str, str]:
    """Give the text of a file, and its path."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(INPUT_LIMIT_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    if len(data) > INPUT_LIMIT_BYTES:
        raise InputError(f"has more than {INPUT_LIMIT_BYTES} bytes", file=file)
    try:
        return decode_text(data, file, charset), file
    except InputError as error:
        error.hint = error.hint or _OTHER_ENCODING
        raise


@dataclass(slots=True)
class _Writer:
    """Makes items, writes their files, and tells what became of them."""

    recipe: Recipe
    force: bool
    quiet: bool
    written: int = 0
    refused: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    lacks: Counter[str] = field(default_factory=Counter)

    def write_one(self, document: Document | InputError, path: Path, counter: int) -> None:
        """Write a file, or end with exit status 2."""
        if isinstance(document, InputError):
            raise document
        item = self.recipe.make(document, counter)
        with _taking_note_of_signals() as received:
            try:
                place(path, item.encode(), replace=self.force)
            except FileExistsError:
                raise InputError(_EXISTS, file=str(path), hint=_FORCE) from None
            except OSError as error:
                raise _unwritable(path, error) from None
        self._count(item)
        if not path.name.lower().endswith(SUFFIX):
            self._note(f"the server reads *{SUFFIX} files only")
        self._tell(str(path))
        self._end(received, str(path), 1)

    def write_all(
        self,
        documents: Sequence[Document | InputError],
        folder: Path,
        names: FileNames,
        first: int,
    ) -> None:
        """Write a file for each document that can be used; exit status 1 or 2 if some cannot."""
        with _taking_note_of_signals() as received:
            try:
                with placing() as place_one:
                    for counter, document in enumerate(self._shown(documents), first):
                        if received:
                            break
                        try:
                            self._write(document, folder, names, counter, place_one)
                        except InputError as error:
                            self._refuse(error)
            except OSError as error:
                raise _unwritable(folder, error, _are_written(self.written)) from None
        self._tell(str(folder))
        self._end(received, str(folder), len(documents))
        if self.refused:
            raise typer.Exit(SOME_REFUSED if self.written else EXIT_STATUS)

    def _write(
        self,
        document: Document | InputError,
        folder: Path,
        names: FileNames,
        counter: int,
        place_one: Place,
    ) -> None:
        if isinstance(document, InputError):
            raise document
        item = self.recipe.make(document, counter)
        name = names.name(item, document.origin)
        if not self.written:  # a folder is not made for nothing
            folder.mkdir(exist_ok=True)
        try:
            place_one(folder / name, item.encode(), replace=self.force)
        except FileExistsError:
            raise document.origin.refuse(_EXISTS, _FORCE) from None
        self._count(item)

    def _shown(self, documents: Sequence[Document | InputError]) -> Iterable[Document | InputError]:
        """Give the documents, with a bar on the terminal that shows how far they are."""
        if self.quiet or not sys.stderr.isatty() or len(documents) < BAR_FROM:
            return documents
        from rich.console import Console  # noqa: PLC0415 - a short command does not wait for it
        from rich.progress import track  # noqa: PLC0415

        return track(documents, "Writing", console=Console(stderr=True), transient=True)

    def _refuse(self, error: InputError) -> None:
        self.refused += 1
        typer.echo(f"refused: {escape(str(error))}", err=True)

    def _count(self, item: NewItem) -> None:
        self.written += 1
        self.filled.update(list(dict.fromkeys(row.keyword for row in item.filled)))
        self.lacks.update(item.lacks)

    def _tell(self, place: str) -> None:
        refused = f", {self.refused} refused" if self.refused else ""
        if not self.quiet:
            typer.echo(f"{escape(place)}: {_files(self.written)} written{refused}")
            self._note(f"filled: {_listed(self.filled, self.written)}" if self.filled else "")
        self._note(f"lacks: {_listed(self.lacks, self.written)}" if self.lacks else "")

    def _end(self, received: Sequence[signal.Signals], place: str, items: int) -> None:
        """End as the first of some signals asks for, if there was one."""
        if not received:
            return
        left = items - self.written - self.refused
        refused = f", {self.refused} refused" if self.refused else ""
        not_reached = f", {left} not reached" if left else ""
        name, written = received[0].name, _are_written(self.written)
        self._note(f"error: {escape(place)}: ended by {name}: {written}{refused}{not_reached}")
        raise typer.Exit(ENDED + received[0])

    def _note(self, text: str) -> None:
        if text:
            typer.echo(text, err=True)


def _listed(counts: Counter[str], of: int) -> str:
    """List keywords, each with its number of files where not every file has it."""
    return ", ".join(
        keyword if count == of else f"{keyword} ({count} of {of})"
        for keyword, count in counts.items()
    )


def _are_written(count: int) -> str:
    return f"{_files(count)} {'is' if count == 1 else 'are'} written"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _unwritable(path: Path, error: OSError, hint: str | None = None) -> InputError:
    return InputError(f"cannot be written: {error.strerror or error}", file=str(path), hint=hint)


@contextmanager
def _taking_note_of_signals() -> Iterator[Sequence[signal.Signals]]:
    """Let a signal that ends the command wait until the file that is being written is complete.

    Those that the caller ignores are ignored, as under nohup. A second one ends at once.

    Yields:
        The signals that came.
    """
    received: list[signal.Signals] = []
    # None is a handler that is not Python's, and could not be set again.
    before = {one: handler for one in _ENDS if (handler := signal.getsignal(one)) is not None}

    def take_note(number: int, _: object) -> None:
        received.append(signal.Signals(number))
        set_handlers(before)

    def set_handlers(handlers: Mapping[signal.Signals, _Handler]) -> None:
        for one, handler in handlers.items():
            signal.signal(one, handler)

    set_handlers({one: take_note for one in before if before[one] is not signal.SIG_IGN})
    try:
        yield received
    finally:
        set_handlers(before)
