"""What the log may hold of an error in a script, with `DeidentifyLogs`.

An error may say anything: `KeyError: 'DOE^JANE'`. Shown is what stands between quotes in the source
of the script, which its author wrote before any query came; what Lua says of kinds and names, where
the names are in the source; and what this program says itself of kinds and counts. Of all else the
type, the line and the traceback are left, which have no values.

What a script prints or logs, and why it refuses a query, are its own words and are not looked at.
"""

import linecache
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import NamedTuple

from mwl.errors import ConfigError, DatasetError, InputError, MwlError
from mwl.telemetry import WITHOUT_TEXT

_OURS = str(Path(__file__).parent)
_QUOTES = (('"', '"'), ("'", "'"), ("[[", "]]"))


class Nonsense(InputError):
    """A script gave what was not asked for; the message names kinds and counts, never a value."""


_HARMLESS = (Nonsense, DatasetError, ConfigError)
"""Our errors that hold no values: the last are of scripts being loaded, before any query."""


def is_quoted(text: str, sources: Iterable[str]) -> bool:
    """Tell whether a text stands between quotes in a source."""
    return any(f"{begin}{text}{end}" in each for each in sources for begin, end in _QUOTES)


def of_python(error: BaseException, script: str) -> str:
    """Give an error of a Python script as the log may have it.

    Args:
        error: What it raised.
        script: Its file; what it imports from beside it is its source too.
    """
    kind = type(error).__name__
    arguments = error.args
    # A KeyError has quotes of its own round its text.
    text = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], str) else str(error)
    files = [frame.filename for frame in extract_tb(error.__traceback__)]
    if not text:
        return kind
    if _is_harmless(error, files) or is_quoted(text, _sources(files, script)):
        return f"{kind}: {text}"
    return f"{kind} ({WITHOUT_TEXT})"


def _is_harmless(error: BaseException, files: Sequence[str]) -> bool:
    if isinstance(error, _HARMLESS):
        return True
    # Ours, and Python's own of what we do with a result, name types.
    return type(error) is TypeError and bool(files) and files[-1].startswith(_OURS)


def _sources(files: Iterable[str], script: str) -> list[str]:
    folder = os.path.join(os.path.dirname(script), "")  # noqa: PTH118, PTH120 - may be no path
    return ["".join(linecache.getlines(file)) for file in set(files) if file.startswith(folder)]


def of_request(error: object) -> str:
    """Say why a script asked in vain over HTTP, without the address, which may be in the text."""
    match error:
        case str() | MwlError():
            return str(error)
        case OSError():
            reason = getattr(error, "reason", error)
            number = getattr(reason, "errno", None)
            status = getattr(error, "code", None)
            if status is not None:
                return f"status {status}"
            return type(reason).__name__ if number is None else os.strerror(number)
        case _:
            return type(error).__name__


class LuaError(NamedTuple):
    """An error of Lua.

    Args:
        place: Script and line, such as `site.lua:4: `; empty where they are not known.
        text: What it says.
        traceback: Lines of Lua's traceback.
    """

    place: str
    text: str
    traceback: str


_NAME = r"'(?P<name>\w+)'"
_TYPE = "(?:nil|boolean|number|string|table|function|userdata|thread)"
_ROLE = "(?:global|local|field|method|upvalue|constant)"
_OF_LUA = re.compile(
    rf"attempt to (?:(?:call|index|concatenate|perform [a-z]+ operation on|perform arithmetic on"
    rf"|get length of) a {_TYPE} value(?: \({_ROLE} {_NAME}\))?"
    rf"|compare (?:two {_TYPE} values|{_TYPE} with {_TYPE}))"
)
_FRAME = re.compile(r"\t(?P<where>\[C\]|[^\s:\[\]]+:\d+|\.\.\.)(?P<what>.*)")
_QUOTED = re.compile(r"'([^']*)'")


class LuaTexts:
    """Tells what the log may have of the errors of some Lua.

    Args:
        names: Names of the scripts, as Lua has them.
        sources: Their texts, and those of Lua that stands before them; more may come.
    """

    def __init__(self, names: Iterable[str], sources: list[str]) -> None:
        self._names = frozenset(names) | {"mwl", "[C]", "..."}
        self._sources = sources

    def of(self, message: str) -> LuaError:
        """Give an error as the log may have it."""
        said, mark, stack = message.rpartition("\nstack traceback:\n")
        said, stack = (said, stack) if mark else (message, "")
        place = re.match(r"([^\s:]+):\d+: ", said)
        where = place[0] if place is not None and place[1] in self._names else ""
        text = said.removeprefix(where)
        shown = text if self._is_known(text) else f"({WITHOUT_TEXT})"
        return LuaError(where, shown, self.traceback(stack))

    def traceback(self, stack: str) -> str:
        """Give a traceback of Lua with no name but those of the scripts."""
        frames = filter(None, map(_FRAME.fullmatch, stack.splitlines()))
        kept = (each for each in frames if each["where"].partition(":")[0] in self._names)
        lines = [
            "\t" + each["where"] + _QUOTED.sub(lambda name: self._name(name[1]), each["what"])
            for each in kept
        ]
        return "\n".join(["stack traceback:", *lines]) if lines else ""

    def address(self, address: str) -> str:
        """Give the address of a request as the log may have it: as far as it is in the source."""
        if is_quoted(address, self._sources):
            return address
        server = re.match(r"[a-z]+://[^/?#]+", address)
        if server is not None and any(server[0] in each for each in self._sources):
            return f"{server[0]}/..."
        return "(address hidden: DeidentifyLogs)"

    def _is_known(self, text: str) -> bool:
        found = _OF_LUA.fullmatch(text)
        if found is not None:
            return found["name"] is None or self._has_word(found["name"])
        return bool(text) and is_quoted(text, self._sources)

    def _has_word(self, word: str) -> bool:
        return any(re.search(rf"\b{re.escape(word)}\b", each) for each in self._sources)

    def _name(self, name: str) -> str:
        return f"'{name}'" if all(map(self._has_word, re.findall(r"\w+", name))) else "'?'"
