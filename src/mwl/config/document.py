"""A `Config` as text: the commented default file, and the values in force."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from mwl.config.load import Config, Loaded
from mwl.config.option import Option
from mwl.config.options import OPTIONS

_WIDTH = 90
_HEADER = """\
// Configuration of mwl, the DICOM worklist server. Every option stands here with its default;
// what you leave out keeps it. The format is Orthanc's: JSON with comments, and ${VARIABLE} or
// ${VARIABLE:-default} for an environment variable. An Orthanc configuration can be used as it is.
"""


def _comment(option: Option) -> Iterator[str]:
    text = f"{option.help} Allowed: {option.allowed}."
    if not option.from_orthanc:
        text += " Not an option of Orthanc."
    for line in textwrap.wrap(text.replace("`", ""), _WIDTH, break_long_words=False):
        yield f"// {line}"


def _sections(options: Iterable[Option]) -> Iterator[tuple[str, list[Option]]]:
    for section, members in groupby(options, key=lambda option: option.section):
        yield section, list(members)


def default_file(values: Mapping[str, object] | None = None) -> str:
    """Give a configuration file with every option, explained.

    Args:
        values: Values to write in place of defaults, by dotted name.
    """
    given = values or {}
    blocks = []
    for section, options in _sections(OPTIONS):
        indent = "    " if section else "  "
        entries = []
        for option in options:
            value = json.dumps(given.get(option.name, option.default), ensure_ascii=False)
            lines = [*_comment(option), f'"{option.key}": {value}']
            entries.append("\n".join(indent + line for line in lines))
        body = ",\n\n".join(entries)
        blocks.append(f'  "{section}": {{\n{body}\n  }}' if section else body)
    body = ",\n\n".join(blocks)
    return f"{_HEADER}{{\n{body}\n}}\n"


def in_force(config: Config, *, secrets: bool = True) -> dict[str, Any]:
    """Give every option with its value as it would stand in a file; sections are objects.

    Args:
        config: The values.
        secrets: Whether passwords are among them.
    """
    result: dict[str, Any] = {}
    for section, options in _sections(OPTIONS):
        holder = getattr(config, section.lower()) if section else config
        values = {
            option.key: option.to_json(getattr(holder, option.field), secrets=secrets)
            for option in options
        }
        if section:
            result[section] = values
        else:
            result |= values
    return result


def origins(loaded: Loaded) -> dict[str, str]:
    """Give, for each option by dotted name, `file:line` or "default"."""
    given = {name: place.describe() for name, place in loaded.origins.items()}
    return {option.name: given.get(option.name, "default") for option in OPTIONS}
