"""The DICOM JSON Model to elements: stands in for `mwl.dataset.from_json`, and is to go."""

import base64
from typing import Any

from mwl.dataset import BYTE_VRS, ENCODINGS, NUMBER_FORMATS, VRS, CharacterSet, Element, Elements
from mwl.errors import DatasetError, InputError
from mwl.keys import binary

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_CHARACTER_SET = "00080005"


def from_json(model: object) -> Elements:
    """Read a data set in the DICOM JSON Model.

    Raises:
        InputError: It is none, with the attribute in the message and no file.

    Source: PS3.18 section F.2.
    """
    try:
        found = model.get(_CHARACTER_SET) if isinstance(model, dict) else None
        terms = found["Value"] if found else ["ISO_IR 192"]
        return _elements(model, CharacterSet.of(tuple(map(str, terms))))
    except DatasetError as error:
        raise InputError(str(error)) from None
    except (TypeError, KeyError, AttributeError, ValueError, IndexError, RecursionError):
        raise InputError("it is not in the DICOM JSON Model") from None


def _elements(model: Any, text: CharacterSet) -> Elements:
    found = (_element(int(key, 16), value, text) for key, value in model.items())
    elements = {element.tag: element for element in found}
    return dict(sorted(elements.items()))


def _element(tag: int, attribute: Any, text: CharacterSet) -> Element:
    if attribute.get("vr") not in VRS:
        raise DatasetError('no known "vr"', tag=tag)
    vr, found = attribute["vr"], attribute.get("Value", [])
    if not isinstance(found, list):
        raise DatasetError('"Value" is no array', tag=tag)
    if vr == "SQ":
        return Element(tag, vr, tuple(_elements(item, text) for item in found))
    try:
        return Element(tag, vr, _value(vr, attribute, found, text))
    except (TypeError, AttributeError, ValueError):
        raise DatasetError(f"the value is none of VR {vr}", tag=tag) from None


def _value(vr: str, attribute: Any, found: list[Any], text: CharacterSet) -> bytes:
    if vr in BYTE_VRS:
        return base64.b64decode(attribute.get("InlineBinary", ""), validate=True)
    joined = "\\".join(_text_of(one) for one in found)
    if vr in NUMBER_FORMATS:
        return binary(joined, vr) if joined else b""
    return (ENCODINGS["Ascii"] if vr == "CS" else text).encode(joined, vr)


def _text_of(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(name, "") for name in _NAME_GROUPS).rstrip("=")
    return "" if value is None else str(value)
