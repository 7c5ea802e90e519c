"""What a file wraps around a data set: the Part 10 header, or nothing.

Source: DICOM PS3.10 section 7.1 (file meta information), PS3.5 Annex A (transfer syntaxes).
"""

from mwl.dataset.dictionary import VRS
from mwl.dataset.elements import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Elements,
    decode,
    read_meta,
)
from mwl.errors import DatasetError

_PREFIX = b"DICM"
_PREFIX_OFFSET = 128
_META_GROUP = b"\x02\x00"


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


def data_set_of(data: bytes) -> tuple[str, int]:
    """Give the transfer syntax of the data set of a file, and where it begins.

    Raises:
        DatasetError: The file ends before it.
    """
    start = 0
    if data[_PREFIX_OFFSET : _PREFIX_OFFSET + 4] == _PREFIX:
        start = _PREFIX_OFFSET + 4
    transfer_syntax = None
    if data[start : start + 2] == _META_GROUP:
        transfer_syntax, start = read_meta(data, start)
    if start >= len(data):
        raise DatasetError("file holds no data set", offset=start)
    return transfer_syntax or _sniff(data, start), start


def _sniff(data: bytes, start: int) -> str:
    """Tell the transfer syntax of a bare data set from its first element."""
    if data[start + 4 : start + 6].decode("latin-1") not in VRS:
        return IMPLICIT_VR_LITTLE_ENDIAN
    # Two capital letters would make an implicit length of 16 kilobytes at least, and the first
    # attribute of a data set is short. Its group is low, so the order that reads it lower is right.
    group = data[start : start + 2]
    if int.from_bytes(group, "big") < int.from_bytes(group, "little"):
        return EXPLICIT_VR_BIG_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN
