"""What several commands do alike with their arguments: check them, refuse them."""

import string
from pathlib import Path
from typing import Any, NoReturn

import typer

from mwl.errors import InputError
from mwl.text import escape

EXIT_STATUS = 2
"""Exit status when what the user gave cannot be used."""

NOT_NOW = 1
"""Exit status when it cannot be had now, and may be later."""

STANDARD_INPUT = Path("-")
"""The name that stands for standard input."""

AE_TITLE_LIMIT = 16
"""Characters in an AE title: PS3.5 Table 6.2-1."""

_LEGAL = frozenset(string.printable) - frozenset(string.whitespace) - {"\\"} | {" "}


def checked_ae_title(value: str | None) -> str | None:
    """Check an AE title: 1 to 16 characters of the default repertoire, not only spaces.

    Raises:
        typer.BadParameter: It is something else; ends with exit status 2.
    """
    if value is None:
        return None
    if not value.strip() or len(value) > AE_TITLE_LIMIT or not _LEGAL.issuperset(value):
        raise typer.BadParameter(
            f"an AE title has 1 to {AE_TITLE_LIMIT} characters of ASCII and no backslash"
        )
    return value.strip()


HIGHEST_PORT = 65535

HTTP_OFF = "off"
"""What stands for no HTTP in place of its port."""


def checked_http_port(value: str | None) -> str | None:
    """Give a port of HTTP, or `HTTP_OFF`.

    Raises:
        typer.BadParameter: It is something else; ends with exit status 2.
    """
    if value in {None, HTTP_OFF} or (value.isdecimal() and int(value) <= HIGHEST_PORT):
        return value
    raise typer.BadParameter(f"found {value!r}, allowed is a port from 0 to {HIGHEST_PORT} or off")


def of_http_port(value: str | None) -> dict[str, Any]:
    """Give the fields of `Config` that a port of HTTP sets; None for those that it does not."""
    return {
        "http_server_enabled": None if value is None else value != HTTP_OFF,
        "http_port": None if value in {None, HTTP_OFF} else int(value),
    }


def fail(error: InputError, status: int = EXIT_STATUS) -> NoReturn:
    """Tell what cannot be used, on standard error, and end with an exit status."""
    for text in (str(error), *getattr(error, "__notes__", ())):
        typer.echo(f"error: {escape(text)}", err=True)
    raise typer.Exit(status)
