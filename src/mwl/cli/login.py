"""The user that `mwl echo` and `mwl find` log in as, and where the passcode comes from.

A passcode is no argument: those of a process can be read by every user of the machine, and a shell
keeps them.
"""

import os
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from mwl.cli.arguments import fail
from mwl.errors import ConfigError
from mwl.net.client import User

VARIABLE = "MWL_PASSCODE"
"""Environment variable that may hold the passcode."""

LENGTH_LIMIT = 1024
"""Bytes of a user name, and of a passcode: far from the 65535 that fit into an association request
with all else (PS3.7 Table D.3-14)."""

UserName = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help=f"User to log in as, with the passcode of --passcode-file, of {VARIABLE}, or as it is "
        "typed. Without TLS it can be read on the way.",
        show_default=False,
    ),
]
PasscodeFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File that holds the passcode; a line end after it is no part of it.",
        show_default=False,
    ),
]


def user_of(name: str | None, file: Path | None) -> User | None:
    """Give whom to log in as; None where no user is named.

    What cannot be used is told, and ends with exit status 2.
    """
    try:
        return _user(name, file)
    except ConfigError as error:
        fail(error)


def _user(name: str | None, file: Path | None) -> User | None:
    if name is None:
        if file is not None:
            raise ConfigError("a passcode is of no use without --user", option="--passcode-file")
        return None
    if not name:
        raise ConfigError("is empty", option="--user")
    user = User(_bytes(name, "--user"), _passcode(file))
    for value, option in ((user.name, "--user"), (user.passcode, "the passcode")):
        if len(value) > LENGTH_LIMIT:
            message = f"{len(value)} bytes, at most {LENGTH_LIMIT} are taken"
            raise ConfigError(message, option=option)
    return user


def _passcode(file: Path | None) -> bytes:
    """Give the passcode, in UTF-8."""
    if file is not None:
        return _in_file(file)
    if given := os.environ.get(VARIABLE):
        return _bytes(given, VARIABLE)
    if os.isatty(0):
        if typed := getpass("Passcode: "):
            return _bytes(typed, "the passcode")
        raise ConfigError("nothing was typed", option="the passcode")
    raise ConfigError("no passcode", option="--user", hint=f"--passcode-file FILE, or {VARIABLE}")


def _in_file(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(LENGTH_LIMIT + 3)  # what is longer is told of; /dev/zero ends
    except OSError as error:
        message = error.strerror or str(error)
        raise ConfigError(message, option="--passcode-file", file=str(file)) from error
    passcode = content.removesuffix(b"\n").removesuffix(b"\r")
    if not passcode:
        raise ConfigError("holds no passcode", option="--passcode-file", file=str(file))
    return passcode


def _bytes(text: str, option: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # its value is not to be shown
        raise ConfigError("is not text in the encoding of this system", option=option) from None
