"""Text of configuration files to values, each with the file and line that it came from.

Reads Orthanc's JSON: comments, `${VAR}` and `${VAR:-default}`, several files or folders that
together make one configuration. Which options exist is not known here: see `mwl.config.options`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import json5

from mwl.errors import ConfigError
from mwl.paths import is_folder

KeyPath = tuple[str, ...]
"""Keys from the top of a file down to a value; elements of a list count as their list."""

_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<string>  "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | (?P<mark>    [{}\[\]:,] )
    | (?P<variable>\$\{[^{}\n]*\} )
    | (?P<space>   \s+ )
    | (?P<bare>    [^\s{}\[\]:,"'/$]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
NESTING_LIMIT = 100
"""Objects and lists inside each other: a key costs its whole path, and a server that reads a
configuration anew must not end of it. Options use 4."""

_TOO_DEEP = "nested too deeply"

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands.

    Args:
        file: Path of the file, as given.
        line: Line in it, counted from 1.
    """

    file: Path
    line: int

    def describe(self) -> str:
        """Give `file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class MissingVariable:
    """An environment variable that is named without a default and is not set."""

    name: str
    place: Place
    path: KeyPath


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """A key that one object of one file holds twice.

    Args:
        path: The key.
        first: Where it stands first.
        place: Where it stands again; that value counts, as in Orthanc.
    """

    path: KeyPath
    first: Place
    place: Place


@dataclass(frozen=True, slots=True)
class Source:
    """What all files together say.

    Args:
        files: The files, in the order in which they were read.
        values: Top-level options and sections, as the files spell them.
        places: Where each key stands, by its path.
        repeated: Keys that one object holds twice.
        missing: Environment variables that are not set.
    """

    files: list[Path] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    repeated: list[RepeatedKey] = field(default_factory=list)
    missing: list[MissingVariable] = field(default_factory=list)


@dataclass(slots=True)
class _Container:
    """An object or a list whose closing bracket has not come yet."""

    is_object: bool
    path: KeyPath
    key: str | None = None
    keys: dict[str, Place] = field(default_factory=dict)

    @property
    def inner_path(self) -> KeyPath:
        return self.path if self.key is None else (*self.path, self.key)


class _Scanner:
    """One pass over the text of a file: comments out, variables in, keys located."""

    def __init__(self, file: Path, text: str, environ: Mapping[str, str], source: Source) -> None:
        self._file = file
        self._text = text
        self._environ = environ
        self._source = source
        self._stack: list[_Container] = []
        self._line = 1

    def run(self) -> str:
        """Give the text with comments blanked and variables replaced, line for line the same."""
        parts = []
        for match in _TOKEN.finditer(self._text):
            token, kind = match[0], match.lastgroup
            if kind == "comment":
                parts.append(" " + "\n" * token.count("\n"))
            elif kind == "string":
                parts.append(self._string(token))
            elif kind == "mark":
                self._mark(token)
                parts.append(token)
            elif kind == "variable":
                parts.append(self._substitute(token))
            else:
                self._bare(token)
                parts.append(token)
            self._line += token.count("\n")
        return "".join(parts)

    def _mark(self, mark: str) -> None:
        top = self._stack[-1] if self._stack else None
        if mark in "{[":
            if len(self._stack) == NESTING_LIMIT:
                raise ConfigError(_TOO_DEEP, file=str(self._file), line=self._line)
            self._stack.append(_Container(mark == "{", top.inner_path if top else ()))
        elif mark in "}]" and top:
            self._stack.pop()
        elif mark == "," and top:
            top.key = None

    def _string(self, token: str) -> str:
        if self._expects_key():
            self._key(_unquoted(token))
            return token
        return _VARIABLE.sub(lambda match: _escape(self._value(match), token[0]), token)

    def _bare(self, token: str) -> None:
        # JSON5 lets a key stand without quotes.
        if token.isidentifier() and self._expects_key():
            self._key(token)

    def _substitute(self, token: str) -> str:
        match = _VARIABLE.fullmatch(token)
        # Without its value the text would not be JSON, and that would be all that is reported.
        return (self._value(match) or "null") if match else token

    def _expects_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_object and self._stack[-1].key is None

    def _key(self, key: str) -> None:
        container, place = self._stack[-1], Place(self._file, self._line)
        container.key = key
        if (first := container.keys.setdefault(key, place)) is not place:
            self._source.repeated.append(RepeatedKey(container.inner_path, first, place))
        self._source.places[container.inner_path] = place

    def _value(self, match: re.Match[str]) -> str:
        name, default = match.groups()
        value: str | None = self._environ.get(name, default)
        if value is None:
            path = self._stack[-1].inner_path if self._stack else ()
            place = Place(self._file, self._line)
            self._source.missing.append(MissingVariable(name, place, path))
            return ""
        # Lines must stay where they are, or every message after this one names the wrong line.
        return value.replace("\n", " ")


def _unquoted(token: str) -> str:
    """Give the text of a string as the parser that reads the file will give it."""
    if "\\" not in token:
        return token[1:-1]
    for loads in (json.loads, json5.loads):
        try:
            return str(loads(token))
        except ValueError:
            continue
    return token[1:-1]


def _escape(value: str, quote: str) -> str:
    """Escape a variable's value for the inside of a string; its text stays one string."""
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    return escaped.replace("'", "\\u0027") if quote == "'" else escaped


def _decode(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(file)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Orthanc never looks at the encoding, so its old files have Latin 1 in their comments.
        return data.decode("latin-1")


def _parse_leniently(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        try:
            return json5.loads(text)
        except ValueError as error:
            line = re.match(r"<string>:(\d+) ", str(error))
            raise ConfigError(
                f"not JSON: {str(error)[line.end() :] if line else error}",
                file=str(file),
                line=int(line[1]) if line else None,
            ) from error


def _parse(file: Path, text: str) -> dict[str, Any]:
    """Parse JSON; what strict JSON does not allow (a trailing comma) gets a second, slow try."""
    try:
        value = _parse_leniently(file, text)
    except RecursionError as error:
        raise ConfigError(_TOO_DEEP, file=str(file)) from error
    if not isinstance(value, dict):
        raise ConfigError("not a JSON object: expected { at the start", file=str(file), line=1)
    return value


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not is_folder(path):
            yield path
            continue
        try:
            inside = sorted(file for file in path.iterdir() if _is_to_be_read(file))
        except OSError as error:
            message = f"the folder cannot be read: {error.strerror}"
            raise ConfigError(message, file=str(path)) from error
        if not inside:
            raise ConfigError("the folder holds no *.json file", file=str(path))
        yield from inside


def _is_to_be_read(file: Path) -> bool:
    """Tell whether a file is a part of the configuration.

    One that cannot be looked at is: reading it says so. Left out, a rule would be missing.
    """
    try:
        return file.suffix.lower() == ".json" and file.is_file()
    except PermissionError:
        return True


def _given_twice(key: str, file: Path, place: Place | None, first: Place | None) -> ConfigError:
    return ConfigError(
        f"already given in {first.describe() if first else 'another file'}",
        file=str(file),
        line=place.line if place else None,
        option=key,
        hint="one of the two must go; a section cannot be split over files",
    )


def read(paths: Sequence[Path], environ: Mapping[str, str]) -> Source:
    """Read files, and the `*.json` files of folders in the order of their names, as one.

    Args:
        paths: Files and folders.
        environ: Environment variables for `${VAR}`.

    Raises:
        ConfigError: A file cannot be read or is not JSON, or two files hold the same top-level
            key (as in Orthanc, a section cannot be split over files).
    """
    source = Source()
    for file in _files(paths):
        source.files.append(file)
        before = dict(source.places)
        text = _Scanner(file, _decode(file), environ, source).run()
        for key, value in _parse(file, text).items():
            if key in source.values:
                raise _given_twice(key, file, source.places.get((key,)), before.get((key,)))
            source.values[key] = value
    return source
