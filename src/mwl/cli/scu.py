"""`mwl echo` and `mwl find`: ask a worklist server, as `echoscu` and `findscu` do."""

import asyncio
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.cli.arguments import checked_ae_title, fail
from mwl.cli.login import PasscodeFile, UserName, user_of
from mwl.cli.queries import query_of
from mwl.dataset import (
    ENCODINGS,
    CharacterSet,
    Elements,
    character_set,
    decode,
    name_of,
    to_json,
    values,
)
from mwl.dump import dump
from mwl.errors import ConfigError, DatasetError, InputError, PeerRefused
from mwl.keys import TABLE_KEYS, USUAL_KEYS, identifier_of
from mwl.net.client import PENDING, ClientAssociation, Peer, Response, associate
from mwl.text import escape
from mwl.tls.contexts import Credentials, PemFile, client_context
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION

STATUS_NAMES: Mapping[int, str] = MappingProxyType(
    {
        # PS3.4 Table K.4-1 and PS3.7 annex C
        Status.PROCESSING_FAILURE: "processing failure",
        Status.SOP_CLASS_NOT_SUPPORTED: "SOP class not supported",
        Status.NOT_AUTHORIZED: "not authorized",
        Status.DUPLICATE_INVOCATION: "duplicate invocation",
        Status.UNRECOGNIZED_OPERATION: "unrecognized operation",
        Status.MISTYPED_ARGUMENT: "mistyped argument",
        Status.RESOURCE_LIMITATION: "resource limitation",
        Status.OUT_OF_RESOURCES: "refused: out of resources",
        Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "the query does not fit the SOP class",
        Status.UNABLE_TO_PROCESS: "unable to process",
        Status.CANCEL: "cancelled: not every match was sent",
    }
)
"""Words for the final status of an operation."""

WIDTH_OF_FILE = 200
"""Columns of a table that goes into a file or a pipe."""

HEADINGS: Mapping[int, str] = MappingProxyType(
    {
        0x00400002: "Date",
        0x00400003: "Time",
        0x00400001: "Station",
        0x00080060: "Modality",
        0x00100010: "Patient",
        0x00100020: "Patient ID",
        0x00080050: "Accession",
        0x00321060: "Procedure",
        0x00400007: "Step",
    }
)
"""Short headings of the attributes that a table mostly shows, in the order of its columns."""

_PLACES = {heading: place for place, heading in enumerate(HEADINGS.values())}

Host = Annotated[str, typer.Argument(help="Name or address of the server.", show_default=False)]
Port = Annotated[int, typer.Argument(help="Its TCP port.", min=1, max=65535, show_default=False)]
Calling = Annotated[
    str,
    typer.Option(
        "-aet",
        "--aetitle",
        callback=checked_ae_title,
        help="AE title of this program.",
        metavar="ME",
    ),
]
Called = Annotated[
    str,
    typer.Option(
        "-aec",
        "--call",
        callback=checked_ae_title,
        help="AE title of the server.",
        metavar="THEM",
    ),
]
Tls = Annotated[bool, typer.Option("--tls", help="Speak TLS; --tls-... options imply it.")]
TlsTrusted = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="Certificates as PEM that vouch for the server's; without them any is believed.",
        show_default=False,
    ),
]
TlsCertificate = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert", metavar="FILE", help="Certificate to show, as PEM.", show_default=False
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        help="Its private key as PEM, when it is not in the same file.",
        show_default=False,
    ),
]
TlsName = Annotated[
    str,
    typer.Option(
        "--tls-name",
        metavar="NAME",
        help="Name that the server's certificate must be for. [default: any]",
        show_default=False,
    ),
]
Timeout = Annotated[
    float, typer.Option("-to", "--timeout", help="Seconds to wait for each answer.", min=0.1)
]


def echo(  # noqa: PLR0913, PLR0917 - one argument an option
    host: Host,
    port: Port,
    calling: Calling = "MWL",
    called: Called = "ORTHANC",
    timeout: Timeout = 30.0,
    tls: Tls = False,
    tls_ca: TlsTrusted = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = "",
    user: UserName = None,
    passcode_file: PasscodeFile = None,
) -> None:
    """Verify that a DICOM server answers (C-ECHO)."""
    context = _tls_context(tls, tls_ca, tls_cert, tls_key, tls_name)
    login = user_of(user, passcode_file)
    peer = Peer(host, port, called, calling, timeout, tls=context, tls_name=tls_name, user=login)
    _exit(asyncio.run(_echo(peer)))


def _tls_context(
    wanted: bool,
    trusted: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    name: str,
) -> ssl.SSLContext | None:
    """Give what to encrypt with; None where nothing says so."""
    if not (wanted or trusted or certificate or private_key or name):
        return None
    if name and trusted is None:
        fail(ConfigError("a name is only checked with --tls-ca", option="--tls-name"))
    if private_key is not None and certificate is None:
        fail(ConfigError("a key is of no use without --tls-cert", option="--tls-key"))
    credentials = Credentials(
        certificate=None if certificate is None else PemFile(certificate, "--tls-cert"),
        private_key=None if private_key is None else PemFile(private_key, "--tls-key"),
        trusted=None if trusted is None else PemFile(trusted, "--tls-ca"),
    )
    try:
        return client_context(credentials, check_name=bool(name))
    except ConfigError as error:
        fail(error)


async def _echo(peer: Peer) -> int:
    try:
        async with associate(peer, [VERIFICATION]) as association:
            _say_unconfirmed(peer, association)
            response = await association.echo()
    except PeerRefused as error:
        return _say_refused(error)
    status = _say_status(response)
    if not status:
        typer.echo(f"{peer.called_ae_title} at {peer.host}:{peer.port} answers")
    return status


def find(  # noqa: PLR0913, PLR0917 - one argument an option
    host: Host,
    port: Port,
    query_files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[QUERYFILE]...",
            help="Files that hold queries: DICOM, the text of `mwl dump`, or DICOM JSON; - for "
            "standard input. -k overrides their keys.",
            show_default=False,
        ),
    ] = None,
    _worklist: Annotated[
        bool,
        typer.Option("-W", "--worklist", help="Modality Worklist; the only model, as in findscu."),
    ] = True,
    calling: Calling = "MWL",
    called: Called = "ORTHANC",
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="KEY[=VALUE]",
            help="Key: 0008,0050, PatientName or ScheduledProcedureStepSequence[0].Modality. "
            "Without any key, the usual ones are asked for.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answers as DICOM JSON.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="Answers as a table.")] = False,
    timeout: Timeout = 30.0,
    tls: Tls = False,
    tls_ca: TlsTrusted = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = "",
    user: UserName = None,
    passcode_file: PasscodeFile = None,
) -> None:
    """Query a Modality Worklist (C-FIND)."""
    context = _tls_context(tls, tls_ca, tls_cert, tls_key, tls_name)
    try:
        queries = list(_queries(query_files or [], keys or [], as_table=as_table))
    except InputError as error:
        typer.echo(f"mwl find: {error}", err=True)
        raise typer.Exit(2) from error
    login = user_of(user, passcode_file)
    peer = Peer(host, port, called, calling, timeout, tls=context, tls_name=tls_name, user=login)
    printer = _JsonPrinter() if as_json else _TablePrinter() if as_table else _DumpPrinter()
    # A name that the terminal cannot show must not hide the answers behind it.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    _exit(asyncio.run(_find(peer, queries, printer)))


def _queries(files: list[Path], keys: list[str], *, as_table: bool) -> Iterator[Elements]:
    """Give one identifier a query file, or one in all when there is no file.

    Where the user only says what to match, a table shows its usual columns.
    """
    if not files:
        only_matches = all(key.partition("=")[2] for key in keys)
        usual = TABLE_KEYS if as_table and only_matches else () if keys else USUAL_KEYS
        yield identifier_of(keys, also=usual)
    for file in files:
        yield identifier_of(keys, base=query_of(file))


class _Printer:
    """Prints answers as they come."""

    count = 0
    """Answers so far."""

    def answer(self, elements: Elements, text: CharacterSet) -> None:
        """Take one answer."""
        raise NotImplementedError

    def end(self) -> None:
        """Print what had to wait for the last answer."""


class _DumpPrinter(_Printer):
    def answer(self, elements: Elements, text: CharacterSet) -> None:
        typer.echo(f"# Answer {self.count}\n{dump(elements, text)}")


class _JsonPrinter(_Printer):
    def __init__(self) -> None:
        self._answers: list[object] = []

    def answer(self, elements: Elements, text: CharacterSet) -> None:
        self._answers.append(to_json(elements, text))

    def end(self) -> None:
        typer.echo(json.dumps(self._answers, ensure_ascii=False, indent=2))


class _TablePrinter(_Printer):
    """A row an answer, a column an attribute that some answer has."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str]] = []

    def answer(self, elements: Elements, text: CharacterSet) -> None:
        self._rows.append(dict(_cells(elements, text)))

    def end(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only a table needs it
        from rich.markup import escape as literal  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        found = dict.fromkeys(name for row in self._rows for name in row)
        columns = sorted(found, key=lambda name: _PLACES.get(name, len(_PLACES)))
        answers = "1 answer" if self.count == 1 else f"{self.count} answers"
        table = Table(*columns, caption=answers, caption_justify="left")
        for row in self._rows:
            table.add_row(*(literal(row.get(name, "")) for name in columns))
        width = None if sys.stdout.isatty() else WIDTH_OF_FILE
        Console(width=width).print(table)


def _cells(elements: Elements, text: CharacterSet) -> Iterator[tuple[str, str]]:
    """Give heading and text of every attribute, those of sequence items among them."""
    for element in elements.values():
        if isinstance(element.value, tuple):
            for item in element.value:
                yield from _cells(item, character_set(item, text))
        elif element.tag != SPECIFIC_CHARACTER_SET:
            yield (
                HEADINGS.get(element.tag) or name_of(element.tag),
                escape(", ".join(map(str.strip, values(element, text)))),
            )


async def _find(peer: Peer, queries: list[Elements], printer: _Printer) -> int:
    status = 0
    try:
        async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
            _say_unconfirmed(peer, association)
            for query in queries:
                status |= await _ask(association, query, printer)
    except PeerRefused as error:
        status = _say_refused(error)
        if not printer.count:
            return status  # nothing was learnt: an empty list would say that nobody is scheduled
    printer.end()
    return status


async def _ask(association: ClientAssociation, query: Elements, printer: _Printer) -> int:
    """Send one query and print its answers; give the exit status."""
    before = printer.count
    status = 1
    async for response in association.find(query):
        if response.command.status in PENDING:
            _print(response, printer)
            continue
        status = _say_status(response)
        if not status and printer.count == before:
            typer.echo("mwl: no match", err=True)
    return status


def _print(response: Response, printer: _Printer) -> None:
    try:
        elements = decode(response.identifier or b"", response.transfer_syntax)
    except DatasetError as error:
        raise PeerRefused(f"an answer of the peer cannot be read: {error}") from error
    printer.count += 1
    try:
        printer.answer(elements, character_set(elements, ENCODINGS["Utf8"]))
    except DatasetError as error:
        # Just such an answer is what somebody looks for who asks by hand: every byte is shown.
        typer.echo(f"mwl: answer {printer.count}: {error}; shown as Latin 1", err=True)
        elements.pop(SPECIFIC_CHARACTER_SET, None)
        printer.answer(elements, ENCODINGS["Latin1"])


def _say_refused(error: PeerRefused) -> int:
    typer.echo(f"mwl: {error}", err=True)
    return 1


def _say_unconfirmed(peer: Peer, association: ClientAssociation) -> None:
    """Say that a login proved nothing: not every server looks at it, and not every one says so."""
    if peer.user is not None and not association.is_confirmed:
        typer.echo(
            f"mwl: the server does not confirm user {peer.user.shown}: "
            "it may not look at user identities",
            err=True,
        )


def _say_status(response: Response) -> int:
    """Say what went wrong, if anything did; give the exit status."""
    command = response.command
    if command.status == Status.SUCCESS:
        return 0
    offending = " ".join(
        f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name_of(tag)}".rstrip()
        for tag in command.offending_element
    )
    name = STATUS_NAMES.get(command.status, "")
    facts = [name, escape(command.error_comment), offending]
    typer.echo(f"mwl: status {command.status:04X}: {': '.join(filter(None, facts))}", err=True)
    return 1


def _exit(status: int) -> None:
    if status:
        raise typer.Exit(status)
