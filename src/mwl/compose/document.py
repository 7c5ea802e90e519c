"""JSON to what it says about items.

Two forms are read: the DICOM JSON Model, by tag with VR, and a plain one by keyword, tag or path:

    {"PatientName": "DOE^JANE", "Modality": "CT", "ScheduledStationAETitle": ["CT1", "CT2"],
     "ScheduledProtocolCodeSequence": [{"CodeValue": "P1"}]}

Source: RFC 8259 (JSON), DICOM PS3.18 section F.2 (DICOM JSON Model).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mwl.attributes import SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.compose.assignments import Assignment, Document, Origin, read_path, refuse_repeated
from mwl.compose.character_sets import declared
from mwl.compose.layout import items_of
from mwl.dataset import SINGLE_VALUE_TEXT_VRS, from_json, vr_of
from mwl.errors import InputError
from mwl.keys import Path, PathStep
from mwl.text_files import NESTING_LIMIT, Node, read_json

_TAG_OF_MODEL = re.compile(r"[0-9A-Fa-f]{8}")
_TAG_OF_PROGRAM = re.compile(r"([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})")
_CHARACTER_SET_OF_MODEL = "00080005"
_STEPS = (PathStep(SCHEDULED_PROCEDURE_STEP_SEQUENCE),)


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
    node = read_json(text, file)
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


def _node_of(value: Any, depth: int) -> Node:
    if depth > NESTING_LIMIT:
        raise InputError(f"more than {NESTING_LIMIT} objects and arrays inside each other")
    if isinstance(value, Mapping):
        inner = [(key, _node_of(one, depth + 1)) for key, one in value.items()]
        found = {_key_of(key, node): node for key, node in inner}
        if len(found) < len(inner):
            raise InputError("a key of an object is given twice")
        return Node(found, None)
    if isinstance(value, list):
        return Node([_node_of(one, depth + 1) for one in value], None)
    return Node(value, None, json.dumps(value))


def _key_of(key: str, node: Node) -> str:
    tag = _TAG_OF_PROGRAM.fullmatch(key)
    return f"{tag[1]},{tag[2]}" if tag and not isinstance(node.value, dict) else key


def read_template(text: str, file: str) -> list[Assignment]:
    """Read a template: one object by keyword, in whose values placeholders may stand.

    Raises:
        InputError: It is no JSON or no such object.
    """
    document = _document(read_json(text, file), file)
    if document.elements:
        raise document.origin.refuse(
            "a template cannot be in the DICOM JSON Model", 'write "PatientName": "..."'
        )
    return list(document.assignments)


def _read(node: Node, file: str) -> Document | InputError:
    try:
        return _document(node, file)
    except InputError as error:
        return error


def _document(node: Node, file: str | None) -> Document:
    origin = Origin(file, node.line)
    if not isinstance(node.value, dict):
        raise origin.refuse(
            "expected an object that describes an item", 'write {"PatientName": ...}'
        )
    if node.value and all(map(_TAG_OF_MODEL.fullmatch, node.value)):
        return _document_of_model(node.plain(), origin)
    assignments = list(_assignments(node, (), file))
    refuse_repeated(assignments)
    return Document(origin, assignments, steps=_listed_steps(node, file))


def _document_of_model(model: dict[str, Any], origin: Origin) -> Document:
    said = _take_character_set(model, origin)
    try:
        elements = from_json(model)
    except InputError as error:
        error.file = origin.file
        error.line = error.line or origin.line
        raise
    steps = None
    if SCHEDULED_PROCEDURE_STEP_SEQUENCE in elements:
        steps = len(items_of(elements, SCHEDULED_PROCEDURE_STEP_SEQUENCE))
    return Document(origin, (), elements, steps, said)


def _take_character_set(model: dict[str, Any], origin: Origin) -> str:
    """Give what a model calls its character set, and leave the defined terms there."""
    attribute = model.get(_CHARACTER_SET_OF_MODEL)
    if not isinstance(attribute, dict):
        return ""  # what is wrong with it is told where all of the model is read
    names = attribute.get("Value")
    if not isinstance(names, list) or not all(isinstance(one, str | None) for one in names):
        return ""
    said = "\\".join(one or "" for one in names)
    if said.strip(" "):
        terms = declared(said, origin).value.split("\\")
        attribute["Value"] = [one or None for one in terms]
    return said.strip(" ")


def _listed_steps(node: Node, file: str | None) -> int | None:
    """Give the number of steps that an object lists; None when it does not list them."""
    for key, value in node.value.items():
        listed = isinstance(value.value, list)
        if listed and read_path(key, Origin(file, value.line)) == _STEPS:
            return len(value.value)
    return None


def _assignments(node: Node, parent: Path, file: str | None) -> Iterator[Assignment]:
    for key, value in node.value.items():
        path = (*parent, *read_path(key, Origin(file, value.line)))
        yield from _assignments_of(path, value, file)


def _assignments_of(path: Path, node: Node, file: str | None) -> Iterator[Assignment]:
    """Give the assignments of one key: one for a value, several for the items of a sequence.

    The items of a sequence come behind one that empties it, for a list is all that is in it. Steps
    are not emptied: of those, `mwl.compose.layout.within` takes what they have in the template.
    """
    assignment = Assignment(path, "", Origin(file, node.line))
    if not isinstance(node.value, list):
        yield assignment._replace(value=_text(node, assignment))
    elif node.value and all(isinstance(one.value, dict) for one in node.value):
        tag = path[-1].tag
        if path[-1].item is not None or vr_of(tag) not in {"SQ", "UN"}:
            raise assignment.refuse("it is no sequence and has no items")
        if path != _STEPS:
            yield assignment
        for number, item in enumerate(node.value):
            item_path = (*path[:-1], PathStep(tag, number))
            yield Assignment(item_path, "", Origin(file, item.line))
            yield from _assignments(item, item_path, file)
    else:
        parts = [_text(one, assignment) for one in node.value]
        if len(parts) > 1 and (vr := vr_of(path[-1].tag)) in SINGLE_VALUE_TEXT_VRS:
            raise assignment.refuse(f"{vr} has one value")
        if len(parts) > 1 and any("\\" in part for part in parts):
            raise assignment.refuse("a value of several has a backslash in it")
        yield assignment._replace(value="\\".join(parts))


def _text(node: Node, assignment: Assignment) -> str:
    if node.value is None:
        return ""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, (bool, dict, list)):
        raise assignment.refuse("its value has to be text, a number, or an array of them")
    return node.source
