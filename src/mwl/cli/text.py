"""`mwl dump` and `mwl undump`: worklist files as text, as `dcmdump` and `dump2dcm` have them."""

import codecs
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.cli.arguments import STANDARD_INPUT, fail
from mwl.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCODINGS,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    DicomFile,
    Elements,
    character_set,
    encode_file,
    from_json,
    read_dicom_file,
    to_json,
    vr_of,
)
from mwl.dump import STORED, UTF_8_ADDED, Undumped, dump_file
from mwl.dump import undump as undump_text
from mwl.errors import DatasetError, InputError
from mwl.store.placing import place
from mwl.text import escape
from mwl.text_files import decode_text, read_json

TRANSFER_SYNTAX_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
        "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
        "big-endian": EXPLICIT_VR_BIG_ENDIAN,
        "deflated": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)
"""Names of transfer syntaxes on the command line."""


def _transfer_syntax(value: str | None) -> str | None:
    if value is None or value in TRANSFER_SYNTAXES:
        return value
    if value not in TRANSFER_SYNTAX_NAMES:
        raise typer.BadParameter(f"one of {', '.join(TRANSFER_SYNTAX_NAMES)}, or a UID")
    return TRANSFER_SYNTAX_NAMES[value]


def _encoding(value: str | None) -> str | None:
    if value is None or value == STORED:
        return value
    try:
        name = codecs.lookup(value).name
        keeps_ascii = "[\\]".encode(name) == b"[\\]"
    except (LookupError, UnicodeError, ValueError):
        keeps_ascii = False
    if not keeps_ascii:
        raise typer.BadParameter(f"an encoding that contains ASCII, such as utf-8, or {STORED}")
    return value.lower()


Charset = Annotated[
    str | None,
    typer.Option(
        "--charset",
        callback=_encoding,
        metavar="NAME",
        help=f"Encoding of the text, or `{STORED}`: values in the bytes that the file has, as "
        "dcmdump prints and dump2dcm reads them.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The text is DICOM JSON.")]


def dump(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="DICOM files.", show_default=False),
    ],
    charset: Charset = None,
    as_json: AsJson = False,
) -> None:
    """Print worklist files as text, as dcmdump does.

    On a terminal the text is decoded, whatever character set the values are stored in. Into a file
    or a pipe values go in the bytes that the file has, so that dump2dcm can read them; to edit text
    beyond ASCII, use --charset utf-8. No value is shortened.
    """
    _refuse_charset_of_json(charset, as_json=as_json)
    errors: list[InputError] = []
    models: list[dict[str, Any]] = []
    for number, path in enumerate(files, start=1):
        try:
            file = _read(path)
            if as_json:
                models.append(_model(file, path))
                continue
            if len(files) > 1:
                heading = f"# mwl dump ({number}/{len(files)}): {escape(str(path))}"
                typer.echo(heading.encode("utf-8"))
            typer.echo(dump_file(file, charset or _encoding_of_output()), nl=False)
        except InputError as error:
            errors.append(error)
    if as_json and models:
        shown = models if len(files) > 1 else models[0]
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False).encode("utf-8"))
    for earlier in errors[:-1]:
        typer.echo(f"error: {escape(str(earlier))}", err=True)
    if errors:
        fail(errors[-1])


def _encoding_of_output() -> str:
    return "utf-8" if sys.stdout.isatty() else STORED


def _refuse_charset_of_json(charset: str | None, *, as_json: bool) -> None:
    if as_json and charset is not None:
        fail(InputError("JSON is always UTF-8", option="--charset"))


def _read(path: Path) -> DicomFile:
    try:
        return read_dicom_file(path.read_bytes())
    except OSError as error:
        raise InputError(error.strerror or str(error), file=str(path)) from error
    except DatasetError as error:
        raise InputError(f"not a DICOM data set: {error}", file=str(path)) from error


def _model(file: DicomFile, path: Path) -> dict[str, Any]:
    try:
        return to_json(file.elements, character_set(file.elements, ENCODINGS["Ascii"]))
    except DatasetError as error:
        raise InputError(
            f"cannot be said in JSON: {error}", file=str(path), hint="mwl dump shows every byte"
        ) from error


def undump(
    text: Annotated[
        Path,
        typer.Argument(metavar="TEXT", help="The text; - for standard input.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT.wl", help="File to write.", show_default=False)
    ],
    transfer_syntax: Annotated[
        str | None,
        typer.Option(
            "--transfer-syntax",
            callback=_transfer_syntax,
            metavar="NAME",
            help="explicit, implicit, big-endian, deflated or a UID; else what the text says, or "
            "explicit.",
            show_default=False,
        ),
    ] = None,
    charset: Charset = None,
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Make a worklist file from text, as dump2dcm does.

    TEXT is what mwl dump or dcmdump prints, or written by hand: a line is (0010,0020) LO [value].
    """
    _refuse_charset_of_json(charset, as_json=as_json)
    name = "standard input" if text == STANDARD_INPUT else str(text)
    try:
        data = sys.stdin.buffer.read() if text == STANDARD_INPUT else text.read_bytes()
        found = _undump_json(data) if as_json else undump_text(data, charset, transfer_syntax)
        syntax = transfer_syntax or found.transfer_syntax
        if syntax == IMPLICIT_VR_LITTLE_ENDIAN:
            _refuse_what_implicit_vr_loses(found.elements)
        encoded = encode_file(found.elements, syntax, found.meta)
        read_dicom_file(encoded)
    except InputError as error:
        error.file = name
        fail(error)
    except OSError as error:
        fail(InputError(error.strerror or str(error), file=name))
    except DatasetError as error:
        fail(InputError(f"the file could not be read again: {error}", file=name))
    try:
        place(out, encoded, replace=force)
    except FileExistsError:
        fail(InputError("exists already, nothing was written", file=str(out), hint="use --force"))
    except OSError as error:
        fail(InputError(f"cannot be written: {error.strerror}", file=str(out)))
    for note in found.notes:
        typer.echo(f"note: {escape(name)}: {note}", err=True)


def _refuse_what_implicit_vr_loses(elements: Elements) -> None:
    """Refuse bytes in the place of a sequence, which cannot be told from one without a VR."""
    for tag, vr, value in elements.values():
        if isinstance(value, tuple):
            for item in value:
                _refuse_what_implicit_vr_loses(item)
        elif value and vr_of(tag) == "SQ":
            place_of_it = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            raise InputError(
                f"{place_of_it}: implicit VR cannot hold a value of {vr} in the place of a sequence"
            )


def _undump_json(data: bytes) -> Undumped:
    model = read_json(decode_text(data)).plain()
    if isinstance(model, list):
        if len(model) != 1:
            raise InputError(f"an array of {len(model)} data sets, and a file holds one")
        model = model[0]
    elements = from_json(model)
    if not elements:
        raise InputError("the text holds no data set")
    named = {"00080005", "SpecificCharacterSet"} & set(model)
    notes = () if named or SPECIFIC_CHARACTER_SET not in elements else (UTF_8_ADDED,)
    return Undumped(EXPLICIT_VR_LITTLE_ENDIAN, {}, elements, notes)
