"""Text files as people write them: their encoding, and JSON with the line of everything.

Source: RFC 8259 (JSON).
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from mwl.errors import InputError

NESTING_LIMIT = 100
"""Objects and arrays inside each other: three for each of the sequences that a data set may have
inside each other."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encodings that they stand for."""

_SPACE = re.compile(r"[ \t\n\r]*")


def decode_text(data: bytes, file: str | None = None, charset: str | None = None) -> str:
    """Give the text of a file.

    Args:
        data: The whole file.
        file: Its path, for messages.
        charset: Encoding, by a name that Python knows. Without one it is UTF-8, or what a byte
            order mark says.

    Raises:
        InputError: There is no such encoding, or the file is in another.
    """
    name = charset or next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(name).removeprefix("\ufeff")
    except LookupError:
        raise InputError(
            "there is no such encoding", option="--charset", hint="try utf-8 or windows-1252"
        ) from None
    except UnicodeDecodeError as error:
        raise _undecodable(data, error.start, name, file) from None
    except UnicodeError:  # of codecs that do not say where
        raise InputError(f"the file is not {name}", file=file) from None


def _undecodable(data: bytes, offset: int, name: str, file: str | None) -> InputError:
    line = data.count(b"\n", 0, offset) + 1
    column = offset - data.rfind(b"\n", 0, offset)
    return InputError(f"byte {column} of the line is not {name}", file=file, line=line)


class JsonObject(dict[str, Any]):
    """An object of JSON that knows on which line each of its values begins, counted from 1."""

    def __init__(self, node: "Node") -> None:
        super().__init__({key: value.plain() for key, value in node.value.items()})
        self.lines = {key: value.line for key, value in node.value.items()}


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the line it begins on.

    Args:
        value: Objects and arrays hold nodes, the rest is what Python's reader makes of it.
        line: From 1; None for what no text was read for.
        source: A number, as it is written.
    """

    value: Any
    line: int | None
    source: str = ""

    def plain(self) -> Any:
        """Give what `json.loads` would, with a `JsonObject` for each object."""
        if isinstance(self.value, dict):
            return JsonObject(self)
        return [one.plain() for one in self.value] if isinstance(self.value, list) else self.value


def read_json(text: str, file: str | None = None) -> Node:
    """Read JSON.

    Args:
        text: The file's text.
        file: Its path, for messages.

    Raises:
        InputError: It is no JSON, or an object has a key twice.
    """
    return _Reader(text, file).document()


class _Reader:
    """Reads JSON; what is no object and no array is left to Python's own reader."""

    def __init__(self, text: str, file: str | None) -> None:
        self._text = text
        self._file = file
        self._scalars = json.JSONDecoder(parse_constant=self._refuse_constant)
        self._position = 0
        self._line = 1
        self._counted_to = 0

    def document(self) -> Node:
        """Read the whole text."""
        node = self._value(0)
        if self._next():
            self._fail("more text behind the end of the JSON value")
        return node

    def _value(self, depth: int) -> Node:
        if depth > NESTING_LIMIT:
            self._fail(f"more than {NESTING_LIMIT} objects and arrays inside each other")
        start = self._next()
        line = self._line_here()
        if start == "{":
            return Node(self._object(depth), line)
        if start == "[":
            return Node(list(self._elements("]", depth)), line)
        value, source = self._scalar()
        return Node(value, line, source)

    def _object(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key in self._elements("}", depth):
            if not isinstance(key.value, str):
                self._fail("a key has to be text in quotes")
            if key.value in found:
                raise InputError(
                    "a key of this object is given twice", file=self._file, line=key.line
                )
            if self._next() != ":":
                self._fail("expected : behind a key")
            self._position += 1
            found[key.value] = self._value(depth + 1)
        return found

    def _elements(self, end: str, depth: int) -> Iterator[Node]:
        """Give what stands between commas, up to the bracket `end`."""
        self._position += 1
        if self._next() == end:
            self._position += 1
            return
        while True:
            yield self._value(depth + 1)
            mark = self._next()
            if mark not in {",", end}:
                self._fail(f"expected , or {end}")
            self._position += 1
            if mark == end:
                return

    def _scalar(self) -> tuple[Any, str]:
        start = self._position
        try:
            value, self._position = self._scalars.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            self._position = error.pos
            self._fail(error.msg)
        except ValueError:
            self._fail("a number is too large")
        return value, self._text[start : self._position]

    def _next(self) -> str:
        """Skip white space; give the character behind it, none at the end."""
        match = _SPACE.match(self._text, self._position)
        if match is not None:
            self._position = match.end()
        return self._text[self._position : self._position + 1]

    def _line_here(self) -> int:
        # Counted on from the last time, so that a long file is read through once.
        self._line += self._text.count("\n", self._counted_to, self._position)
        self._counted_to = max(self._counted_to, self._position)
        return self._line

    def _refuse_constant(self, _: str) -> NoReturn:
        self._fail("NaN and Infinity are no JSON")

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._position) + 1
        raise InputError(f"it is no JSON: {what}", file=self._file, line=line)
