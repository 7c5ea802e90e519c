"""JSON to what it says about items, with the line of everything.

Two forms are read: the DICOM JSON Model, by tag with VR, and a plain one by keyword, tag or path:

    {"PatientName": "DOE^JANE", "Modality": "CT", "ScheduledStationAETitle": ["CT1", "CT2"],
     "ScheduledProtocolCodeSequence": [{"CodeValue": "P1"}]}

Source: RFC 8259 (JSON), DICOM PS3.18 section F.2 (DICOM JSON Model).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from mwl.compose.assignments import Assignment, Document, Origin, read_path, refuse_repeated
from mwl.dataset import from_json, vr_of
from mwl.errors import InputError
from mwl.keys import Path, PathStep

NESTING_LIMIT = 32
"""Objects and arrays inside each other; a worklist item needs eight."""

_SPACE = re.compile(r"[ \t\n\r]*")
_TAG_OF_MODEL = re.compile(r"[0-9A-Fa-f]{8}")
_TAG_OF_PROGRAM = re.compile(r"([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True)
class _Node:
    """A value with the line it begins on.

    Args:
        value: Objects and arrays hold nodes, the rest is what Python's reader makes of it.
        line: From 1; None for what no text was read for.
        source: A number, as it is written.
    """

    value: Any
    line: int | None
    source: str = ""


class _Reader:
    """Reads JSON; what is no object and no array is left to Python's own reader."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._scalars = json.JSONDecoder(parse_constant=self._refuse_constant)
        self._position = 0
        self._line = 1
        self._counted_to = 0

    def document(self) -> _Node:
        """Read the whole text.

        Raises:
            InputError: It is no JSON, or an object has a key twice.
        """
        node = self._value(0)
        if self._next():
            self._fail("more text behind the end of the JSON value")
        return node

    def _value(self, depth: int) -> _Node:
        if depth > NESTING_LIMIT:
            self._fail(f"more than {NESTING_LIMIT} objects and arrays inside each other")
        start = self._next()
        line = self._line_here()
        if start == "{":
            return _Node(self._object(depth), line)
        if start == "[":
            return _Node(list(self._elements("]", depth)), line)
        value, source = self._scalar()
        return _Node(value, line, source)

    def _object(self, depth: int) -> dict[str, _Node]:
        found: dict[str, _Node] = {}
        for key in self._elements("}", depth):
            if not isinstance(key.value, str):
                self._fail("a key has to be text in quotes")
            if key.value in found:
                raise Origin(self._file, key.line).refuse("a key of this object is given twice")
            if self._next() != ":":
                self._fail("expected : behind a key")
            self._position += 1
            found[key.value] = self._value(depth + 1)
        return found

    def _elements(self, end: str, depth: int) -> Iterator[_Node]:
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
        raise Origin(self._file, line).refuse(f"it is no JSON: {what}")


def read_documents(text: str, file: str) -> tuple[list[Document | InputError], bool]:
    """Read a document, or an array of them.

    Args:
        text: The file's text.
        file: Its path, for messages.

    Returns:
        The documents, or the error in the place of one that cannot be used; and whether they came
        in an array.

    Raises:
        InputError: It is no JSON, or neither an object nor an array.
    """
    node = _Reader(text, file).document()
    if isinstance(node.value, list):
        return [_read(one, file) for one in node.value], True
    return [_document(node, file)], False


def document_of(tags: Mapping[str, Any]) -> Document:
    """Read what a program says of an item: the object of `read_documents`, read by `json` already.

    Besides `0010,0010`, a tag may be written `00100010` and `0010-0010`, as for Orthanc.

    Raises:
        InputError: It says something that no item can have.
    """
    return _document(_node_of(tags, 0), None)


def _node_of(value: Any, depth: int) -> _Node:
    if depth > NESTING_LIMIT:
        raise InputError(f"more than {NESTING_LIMIT} objects and arrays inside each other")
    if isinstance(value, Mapping):
        inner = [(key, _node_of(one, depth + 1)) for key, one in value.items()]
        found = {_key_of(key, node): node for key, node in inner}
        if len(found) < len(inner):
            raise InputError("a key of an object is given twice")
        return _Node(found, None)
    if isinstance(value, list):
        return _Node([_node_of(one, depth + 1) for one in value], None)
    return _Node(value, None, json.dumps(value))


def _key_of(key: str, node: _Node) -> str:
    tag = _TAG_OF_PROGRAM.fullmatch(key)
    return f"{tag[1]},{tag[2]}" if tag and not isinstance(node.value, dict) else key


def read_template(text: str, file: str) -> list[Assignment]:
    """Read a template: one object by keyword, in whose values placeholders may stand.

    Raises:
        InputError: It is no JSON or no such object.
    """
    document = _document(_Reader(text, file).document(), file)
    if document.elements:
        raise document.origin.refuse(
            "a template cannot be in the DICOM JSON Model", 'write "PatientName": "..."'
        )
    return list(document.assignments)


def _read(node: _Node, file: str) -> Document | InputError:
    try:
        return _document(node, file)
    except InputError as error:
        return error


def _document(node: _Node, file: str | None) -> Document:
    origin = Origin(file, node.line)
    if not isinstance(node.value, dict):
        raise origin.refuse(
            "expected an object that describes an item", 'write {"PatientName": ...}'
        )
    if node.value and all(map(_TAG_OF_MODEL.fullmatch, node.value)):
        try:
            return Document(origin, (), from_json(_plain(node)))
        except InputError as error:
            raise origin.refuse(error.message, error.hint) from None
    assignments = list(_assignments(node, (), file))
    refuse_repeated(assignments)
    return Document(origin, assignments)


def _plain(node: _Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(value) for key, value in node.value.items()}
    return [_plain(one) for one in node.value] if isinstance(node.value, list) else node.value


def _assignments(node: _Node, parent: Path, file: str | None) -> Iterator[Assignment]:
    for key, value in node.value.items():
        path = (*parent, *read_path(key, Origin(file, value.line)))
        yield from _assignments_of(path, value, file)


def _assignments_of(path: Path, node: _Node, file: str | None) -> Iterator[Assignment]:
    """Give the assignments of one key: one for a value, several for the items of a sequence."""
    assignment = Assignment(path, "", Origin(file, node.line))
    if not isinstance(node.value, list):
        yield assignment._replace(value=_text(node, assignment))
    elif node.value and all(isinstance(one.value, dict) for one in node.value):
        tag = path[-1].tag
        if path[-1].item is not None or vr_of(tag) not in {"SQ", "UN"}:
            raise assignment.refuse("it is no sequence and has no items")
        for number, item in enumerate(node.value):
            item_path = (*path[:-1], PathStep(tag, number))
            yield Assignment(item_path, "", Origin(file, item.line))
            yield from _assignments(item, item_path, file)
    else:
        parts = [_text(one, assignment) for one in node.value]
        if len(parts) > 1 and any("\\" in part for part in parts):
            raise assignment.refuse("a value of several has a backslash in it")
        yield assignment._replace(value="\\".join(parts))


def _text(node: _Node, assignment: Assignment) -> str:
    if node.value is None:
        return ""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, (bool, dict, list)):
        raise assignment.refuse("its value has to be text, a number, or an array of them")
    return node.source
