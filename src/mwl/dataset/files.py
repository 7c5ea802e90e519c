"""What a file wraps around a data set: the Part 10 header, or nothing.

Source: DICOM PS3.10 section 7.1 (file meta information), PS3.5 Annex A (transfer syntaxes).
"""

import re
import uuid
import zlib
from typing import NamedTuple

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from mwl.dataset.dictionary import VRS
from mwl.dataset.elements import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Element,
    Elements,
    decode,
    encode,
    read_meta,
)
from mwl.errors import DatasetError

MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
"""What a worklist file is said to hold. A stored worklist has no SOP class; this one names it."""

TRANSFER_SYNTAX_UID = 0x00020010

_PREFIX = b"DICM"
_PREFIX_OFFSET = 128
_META_GROUP = b"\x02\x00"

_TEXT = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#[\s!-~]|\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)|[\[{]\s*[\"{])"
)
"""How the text of a dump and a JSON document begin. Read as a tag, these letters are groups from
0A09 up; a worklist item begins far below."""


def read_file(data: bytes) -> Elements:
    """Read the data set of a file: Part 10, or a bare data set of any transfer syntax.

    Args:
        data: The whole file.

    Returns:
        The elements of the data set, without the file meta information.

    Raises:
        DatasetError: The file is empty, cut off, or no data set.
    """
    transfer_syntax, start = data_set_of(data)
    elements = decode(data, transfer_syntax, start)
    if elements:
        return elements
    raise DatasetError("file holds no data set", offset=start)


class DicomFile(NamedTuple):
    """A file and what it says of itself.

    Args:
        transfer_syntax: UID that the data set is encoded with.
        meta: The file meta information; empty when the file is a bare data set.
        elements: The data set.
    """

    transfer_syntax: str
    meta: Elements
    elements: Elements


def read_dicom_file(data: bytes) -> DicomFile:
    """Read a file with its meta information: Part 10, or a bare data set of any transfer syntax.

    Args:
        data: The whole file.

    Raises:
        DatasetError: As `read_file`.
    """
    transfer_syntax, end = data_set_of(data)
    start = _meta_start(data)
    has_meta = data[start : start + 2] == _META_GROUP
    meta = decode(data[start:end], EXPLICIT_VR_LITTLE_ENDIAN) if has_meta else {}
    return DicomFile(transfer_syntax, meta, read_file(data))


def encode_file(elements: Elements, transfer_syntax: str, meta: Elements | None = None) -> bytes:
    """Make a Part 10 file.

    Args:
        elements: The data set.
        transfer_syntax: One of `TRANSFER_SYNTAXES`.
        meta: File meta information to keep. What it lacks is filled in; transfer syntax and group
            length are always written as they are.

    Raises:
        DatasetError: The transfer syntax is not known.

    Source: PS3.10 section 7.1.
    """
    filled = new_meta(transfer_syntax) | (meta or {})
    filled[TRANSFER_SYNTAX_UID] = _meta_uid(TRANSFER_SYNTAX_UID, transfer_syntax)
    group = encode(filled.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    # The writer leaves group lengths out, and this one is obligatory.
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(group).to_bytes(4, "little")
    data_set = encode(elements.values(), transfer_syntax)
    return b"".join((bytes(_PREFIX_OFFSET), _PREFIX, length, group, data_set))


def new_meta(transfer_syntax: str) -> Elements:
    """Make the file meta information of a new worklist file, without the group length."""
    instance = f"2.25.{uuid.uuid4().int}"  # PS3.5 B.2
    meta = (
        Element(0x00020001, "OB", b"\0\1"),
        _meta_uid(0x00020002, MODALITY_WORKLIST_FIND),
        _meta_uid(0x00020003, instance),
        _meta_uid(TRANSFER_SYNTAX_UID, transfer_syntax),
        _meta_uid(0x00020012, IMPLEMENTATION_CLASS_UID),
        Element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    )
    return {element.tag: element for element in meta}


def _meta_uid(tag: int, uid: str) -> Element:
    return Element(tag, "UI", uid.encode("ascii"))


def _meta_start(data: bytes) -> int:
    is_part10 = data[_PREFIX_OFFSET : _PREFIX_OFFSET + 4] == _PREFIX
    return _PREFIX_OFFSET + 4 if is_part10 else 0


def data_set_of(data: bytes) -> tuple[str, int]:
    """Give the transfer syntax of the data set of a file, and where it begins.

    Raises:
        DatasetError: The file ends before it.
    """
    start = _meta_start(data)
    transfer_syntax = None
    if data[start : start + 2] == _META_GROUP:
        transfer_syntax, start = read_meta(data, start)
    if start >= len(data):
        raise DatasetError("file holds no data set", offset=start)
    if start == 0 and _TEXT.match(data):
        raise DatasetError("file is text, of which `mwl undump` makes a worklist file", offset=0)
    return transfer_syntax or _sniff(data, start), start


_BLOCK_BITS = 0b111
_FIRST_ELEMENT_BYTES = 8


def _is_deflated(data: bytes, start: int) -> bool:
    """Tell whether a deflate stream begins here that holds a data set."""
    # RFC 1951 section 3.2.3: these bits of a compressed block are not all 0. Those of the groups
    # that worklist items begin with are, in either byte order.
    if not data[start] & _BLOCK_BITS:
        return False
    try:
        head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], _FIRST_ELEMENT_BYTES)
    except zlib.error:
        return False
    return head[4:6].decode("latin-1") in VRS


def _sniff(data: bytes, start: int) -> str:
    """Tell the transfer syntax of a bare data set from its first element."""
    if _is_deflated(data, start):
        return DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    if data[start + 4 : start + 6].decode("latin-1") not in VRS:
        return IMPLICIT_VR_LITTLE_ENDIAN
    # Two capital letters would make an implicit length of 16 kilobytes at least, and the first
    # attribute of a data set is short. Its group is low, so the order that reads it lower is right.
    group = data[start : start + 2]
    if int.from_bytes(group, "big") < int.from_bytes(group, "little"):
        return EXPLICIT_VR_BIG_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN
