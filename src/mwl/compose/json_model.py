"""The DICOM JSON Model to elements: stands in for the reader of `mwl.dataset`, and is to go."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mwl.dataset import BYTE_VRS, ENCODINGS, NUMBER_FORMATS, VRS, CharacterSet, Element, Elements
from mwl.errors import DatasetError
from mwl.keys import binary

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_CHARACTER_SET = "00080005"


def from_json_model(document: Mapping[str, Any]) -> Elements:
    """Read a data set in the DICOM JSON Model.

    Raises:
        DatasetError: It is none.

    Source: PS3.18 section F.2.
    """
    terms = document.get(_CHARACTER_SET, {}).get("Value", ["ISO_IR 192"])
    return _elements(document, CharacterSet.of(tuple(map(str, terms))))


def _elements(document: Mapping[str, Any], text: CharacterSet) -> Elements:
    found = (_element(int(key, 16), value, text) for key, value in document.items())
    elements = {element.tag: element for element in found}
    return dict(sorted(elements.items()))


def _element(tag: int, attribute: Any, text: CharacterSet) -> Element:
    if not isinstance(attribute, dict) or attribute.get("vr") not in VRS:
        raise DatasetError('no known "vr"', tag=tag)
    vr, found = attribute["vr"], attribute.get("Value", [])
    if not isinstance(found, list):
        raise DatasetError('"Value" is no array', tag=tag)
    try:
        if vr == "SQ":
            return Element(tag, vr, tuple(_elements(item, text) for item in found))
        if vr in BYTE_VRS:
            inline = attribute.get("InlineBinary", "")
            return Element(tag, vr, base64.b64decode(inline, validate=True))
        joined = "\\".join(_text_of(one) for one in found)
        if vr in NUMBER_FORMATS:
            return Element(tag, vr, binary(joined, vr) if joined else b"")
        encoding = text if tag != 0x00080005 else ENCODINGS["Ascii"]
        return Element(tag, vr, encoding.encode(joined, vr))
    except (TypeError, AttributeError, ValueError, binascii.Error):
        raise DatasetError(f"the value is none of VR {vr}", tag=tag) from None


def _text_of(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(name, "") for name in _NAME_GROUPS).rstrip("=")
    return "" if value is None else str(value)
