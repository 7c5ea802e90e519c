"""What an option is: name, type, default, unit, what is allowed, help; and the types there are.

Which options there are is in `mwl.config.options`.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mwl.config.values import (
    AuditDestination,
    DictionaryEntry,
    Modality,
    audit_destination,
    dictionary_entries,
    dictionary_to_json,
    modalities_to_json,
    modality_list,
    one_modality,
)
from mwl.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of `mwl.config.options.OPTIONS`.

    Args:
        name: Name in the file; `Section.Name` in a section.
        field: Name of the field of `Config`, or of its section.
        kind: Type of the value; a key of `KINDS`.
        default: Value in the file that stands for "not given".
        help: What it does; sentences.
        unit: Unit of a number.
        minimum: Least number allowed.
        maximum: Greatest number allowed.
        choices: Allowed values as they stand in the file, each with the value it stands for.
        aliases: Other names accepted in its place.
        from_orthanc: Whether Orthanc has this option, with this default and meaning.
        needs_restart: Whether a running server keeps the value that it was started with.
    """

    name: str
    field: str
    kind: str
    default: Any
    help: str
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[tuple[object, str], ...] = ()
    aliases: tuple[str, ...] = ()
    from_orthanc: bool = True
    needs_restart: bool = False

    @property
    def section(self) -> str:
        """Name of the section that holds it; empty at the top level."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Name within its section."""
        return self.name.rpartition(".")[2]

    @property
    def allowed(self) -> str:
        """What its value may be, as a phrase."""
        if self.choices:
            return " or ".join(json.dumps(value) for value, _ in self.choices)
        if self.kind == "integer":
            unit = f" {self.unit}" if self.unit else ""
            return f"a whole number from {self.minimum} to {self.maximum}{unit}"
        return KINDS[self.kind].allowed

    def parse(self, value: object, folder: Path) -> Any:
        """Give the value of the field for a value in a file.

        Args:
            value: Value as read from JSON.
            folder: Where relative paths start.

        Raises:
            ConfigError: The value is of the wrong type or out of range.
            ExceptionGroup: Several of its entries are, a ConfigError for each.
        """
        return KINDS[self.kind].parse(value, self, folder)

    def to_json(self, value: object, *, secrets: bool = True) -> object:
        """Give the value in a file for a value of the field, with or without passwords."""
        if self.choices:
            return next(written for written, meaning in self.choices if meaning == value)
        kind = KINDS[self.kind]
        return kind.to_json(value) if secrets or kind.hide is None else kind.hide(value)


def _boolean(value: object, option: Option, folder: Path) -> bool:
    del folder
    if not isinstance(value, bool):
        raise refused(value, option)
    return value


def _switch(value: object, option: Option, folder: Path) -> bool | None:
    return None if value is None else _boolean(value, option, folder)


def _integer(value: object, option: Option, folder: Path) -> int:
    del folder
    # true is 1 to Python, and 30.0 is 30 to Orthanc.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise refused(value, option)
    if not (option.minimum or 0) <= value <= (option.maximum or value):
        raise refused(value, option)
    return int(value)


def _text(value: object, option: Option, folder: Path) -> str:
    del folder
    if not isinstance(value, str):
        raise refused(value, option)
    return value


# PS3.5 Table 6.2-1, VR AE: the default repertoire without backslash and control characters;
# leading and trailing spaces do not count, spaces alone are no title.
_is_ae_title = re.compile(r"(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}").fullmatch


def ae_title(value: object) -> str | None:
    """Give an AE title without the spaces around it; None when it is not one."""
    if isinstance(value, str) and _is_ae_title(text := value.strip(" ")):
        return text
    return None


def _ae_title(value: object, option: Option, folder: Path) -> str:
    del folder
    if (title := ae_title(value)) is None:
        raise refused(value, option)
    return title


def _choice(value: object, option: Option, folder: Path) -> str:
    del folder
    for allowed, meaning in option.choices:
        if type(value) is type(allowed) and value == allowed:
            return meaning
    raise refused(value, option)


def _path(value: object, option: Option, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise refused(value, option)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise refused(value, option) from None
    return folder / value


def _paths(value: object, option: Option, folder: Path) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise refused(value, option)
    return tuple(_path(path, option, folder) for path in value)


def _optional_path(value: object, option: Option, folder: Path) -> Path | None:
    return None if value == "" else _path(value, option, folder)


def _paths_or_names(value: object, option: Option, folder: Path) -> tuple[Path | str, ...]:
    if not isinstance(value, list):
        raise refused(value, option)
    # An entry point has no folder and no file name extension.
    return tuple(
        name if isinstance(name, str) and _is_entry_point(name) else _path(name, option, folder)
        for name in value
    )


_is_entry_point = re.compile(r"[A-Za-z_][\w-]*").fullmatch


def _cache(value: object, option: Option, folder: Path) -> str:
    return str(value) if value in ("auto", "off") else str(_path(value, option, folder))


def _state(value: object, option: Option, folder: Path) -> Path | None:
    return None if value == "auto" else _path(value, option, folder)


def _audit_destination(value: object, option: Option, folder: Path) -> AuditDestination | None:
    if value == "":
        return None
    found = audit_destination(value, folder) if isinstance(value, str) else None
    if found is None:
        raise refused(value, option)
    return found


def _users(value: object, option: Option, folder: Path) -> Mapping[str, str]:
    del folder
    # The message of `refused` would show the passwords.
    if not isinstance(value, dict):
        raise ConfigError(f"allowed is {option.allowed}", option=option.name)
    for name, password in value.items():
        if wrong := _wrong_with_user(name, password):
            raise ConfigError(f"{wrong}, allowed is {option.allowed}", option=option.name)
    return MappingProxyType(dict(value))


def _wrong_with_user(name: str, password: object) -> str:
    """Say what is wrong with a user, without the password; "" if nothing is."""
    if not name:
        return "a user has no name"
    if ":" in name:  # RFC 7617 section 2: it ends the name
        return "the name of a user has a colon"
    if not isinstance(password, str):
        return f"the password of {name!r} is no text"
    return "" if password else f"the password of {name!r} is empty"


def _hidden_passwords(users: Mapping[str, str]) -> object:
    return dict.fromkeys(users, "(hidden)")


def _texts(value: object, option: Option, folder: Path) -> tuple[str, ...]:
    del folder
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise refused(value, option)
    return tuple(value)


def _modalities(value: object, option: Option, folder: Path) -> tuple[Modality, ...]:
    del folder
    if not isinstance(value, dict):
        raise refused(value, option)
    return modality_list(value, ae_title)


def modality_of(name: str, value: object) -> Modality:
    """Read one entry of `DicomModalities`.

    Raises:
        ConfigError: It cannot be used.
    """
    return one_modality(name, value, ae_title)


def _dictionary(value: object, option: Option, folder: Path) -> tuple[DictionaryEntry, ...]:
    del folder
    if not isinstance(value, dict):
        raise refused(value, option)
    return dictionary_entries(value)


def refused(value: object, option: Option) -> ConfigError:
    """Make the error for a value of the wrong type or out of range."""
    found = json.dumps(value, ensure_ascii=False, default=str)
    if len(found) > _LONGEST_SHOWN:
        found = f"{found[:_LONGEST_SHOWN]}..."
    return ConfigError(f"found {found}, allowed is {option.allowed}", option=option.name)


_LONGEST_SHOWN = 60
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values.

    Args:
        allowed: What a value may be, as a phrase.
        parse: Value in the file, option and folder of the file to value of the field; raises
            what `Option.parse` does.
        to_json: Value of the field to value in the file.
        hide: Value of the field to what may be shown of it, where that is less.
    """

    allowed: str
    parse: Callable[[object, Option, Path], Any]
    to_json: Callable[[Any], object] = lambda value: value
    hide: Callable[[Any], object] | None = None


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "boolean": Kind("true or false", _boolean),
        "switch": Kind("true, false or null", _switch),
        "integer": Kind("a whole number", _integer),
        "text": Kind("text", _text),
        "AE title": Kind("1 to 16 ASCII characters, no backslash, not only spaces", _ae_title),
        "choice": Kind("one of a few values", _choice),
        "path": Kind("the path of a folder", _path, str),
        "file": Kind("the path of a file", _path, str),
        "users": Kind('an object: {"name": "password"}', _users, dict, hide=_hidden_passwords),
        "texts": Kind('a list of texts: ["one", "another"]', _texts, list),
        "paths": Kind(
            'a list of paths of files: ["one.lua", "another.lua"]',
            _paths,
            lambda paths: [str(path) for path in paths],
        ),
        "optional file": Kind("the path of a file", _optional_path, lambda path: str(path or "")),
        "hooks": Kind(
            'a list of paths of files and names of entry points: ["hooks.py", "our_ris"]',
            _paths_or_names,
            lambda paths: [str(path) for path in paths],
        ),
        "cache": Kind('the path of a folder, "auto" or "off"', _cache),
        "state folder": Kind(
            'the path of a folder or "auto"', _state, lambda path: str(path or "auto")
        ),
        "audit destination": Kind(
            "file:/path/of/a/file, udp://host:port, tls://host:port, or nothing",
            _audit_destination,
            lambda destination: "" if destination is None else str(destination),
        ),
        "modalities": Kind(
            'an object: {"name": ["AE TITLE", "host", 104]} or '
            '{"name": {"AET": "AE TITLE", "Host": "host", "Port": 104}}',
            _modalities,
            modalities_to_json,
        ),
        "dictionary": Kind(
            'an object: {"0009,1001": ["DS", "Name", 1, 1, "Private creator"]}',
            _dictionary,
            dictionary_to_json,
        ),
    }
)
"""Types of options, by the name that the reference page shows."""


def same(*values: str) -> tuple[tuple[object, str], ...]:
    """Give the `choices` of an option whose values stand for themselves."""
    return tuple((value, value) for value in values)
