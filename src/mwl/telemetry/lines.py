"""How an event is written as one line, as text or JSON.

Nothing that a peer sends can forge a second line or a second field.
"""

import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, NoneType
from typing import Any, Literal, NamedTuple

from mwl.text import UNSAFE, escape

Format = Literal["text", "json"]

# A value that stands without quotes: no space, quote, equals sign or backslash, and it does not
# look like the JSON of a mapping.
_is_bare = re.compile(f'[^{UNSAFE}\\s"=\\\\{{]+').fullmatch


def _plain(value: object) -> Any:
    """Give what JSON writes for a value that it does not know."""
    match value:
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=str)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case _:
            return str(value)


_encode_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, default=_plain).encode


QUOTES_KEPT, QUOTES_KEPT_LENGTH = 1024, 256
"""Texts of which is remembered how they stand in a text line, and their longest, in characters:
peers choose some of them, and may choose a long one anew each time."""


class _Quotes(dict[str, str]):
    """Gives strings as they stand in a text line, in quotes where they need them."""

    def __missing__(self, text: str) -> str:
        quoted = text
        if not _is_bare(text):
            body = text.replace("\\", "\\\\").replace('"', '\\"')
            quoted = f'"{escape(body)}"'
        if len(text) <= QUOTES_KEPT_LENGTH:
            if len(self) >= QUOTES_KEPT:
                self.clear()
            self[text] = quoted
        return quoted


_quotes = _Quotes()
_quote = _quotes.__getitem__


def _text_of(value: object) -> str:
    """Give a value that is not plainly text or a number as it stands in a text line."""
    match value:
        case bool():
            text = "true" if value else "false"
        case Mapping():
            # JSON ends where its brace closes, so it is readable without further quotes.
            return escape(_encode_json(value))
        case list() | tuple():
            text = ",".join(map(str, value))
        case int() | float() | str():
            text = str(value)
        case _:
            text = str(_plain(value))
    return _quote(text)


class _Clock:
    """Spells a time in UTC with milliseconds; the rest of it is formatted once a second."""

    __slots__ = ("_second", "_stamp")

    def __init__(self) -> None:
        self._second = -1
        self._stamp = ""

    def __call__(self, time_ns: int) -> str:
        second, millisecond = divmod(time_ns // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._stamp + _MILLISECONDS[millisecond]


_MILLISECONDS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


# How a field of each of the usual types stands in a text line, and what spells its value first.
_FIELDS: Mapping[type, tuple[str, Callable[[Any], str] | None]] = {
    str: (" {}=%s", _quote),
    int: (" {}=%d", None),
    float: (" {}=%.3f", None),
    NoneType: ("%.0s", None),
}
_OTHER_FIELD = (" {}=%s", _text_of)


class _Layout(NamedTuple):
    """How the lines of one event are put together, for one set of fields and their types.

    Args:
        template: The line, with a place for the time and one for each value.
        spelled: Which values are spelled first, and how.
    """

    template: str
    spelled: tuple[tuple[int, Callable[[Any], str]], ...]


@functools.lru_cache(maxsize=512)
def _layout(level: str, event: str, names: tuple[str, ...], kinds: tuple[type, ...]) -> _Layout:
    template = [f"%s {level:<7} {event}"]
    spelled = []
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        form, spell = _FIELDS.get(kind, _OTHER_FIELD)
        template.append(form.format(name))
        if spell is not None:
            spelled.append((place, spell))
    return _Layout("".join((*template, "\n")), tuple(spelled))


class _TextRenderer:
    """Makes a line of an event: `TIME LEVEL event key=value ...`."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def __call__(self, time_ns: int, level: str, event: str, fields: Mapping[str, Any]) -> str:
        values = [*fields.values()]
        template, spelled = _layout(level, event, tuple(fields), tuple(map(type, values)))
        for place, spell in spelled:
            values[place] = spell(values[place])
        return template % (self._clock(time_ns), *values)


class _JsonRenderer:
    """Makes a line of an event: an object with `timestamp`, `level` and `event` first."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def __call__(self, time_ns: int, level: str, event: str, fields: Mapping[str, Any]) -> str:
        head = {"timestamp": self._clock(time_ns), "level": level.lower(), "event": event}
        line = head | {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None
        }
        return f"{escape(_encode_json(line))}\n"


Render = Callable[[int, str, str, Mapping[str, Any]], str]
"""Makes a whole line of a time in nanoseconds since 1970, a level, an event and its fields."""

RENDERERS: Mapping[str, Callable[[], Render]] = MappingProxyType(
    {"text": _TextRenderer, "json": _JsonRenderer}
)
"""What makes the renderer of each format; each has a clock of its own."""
