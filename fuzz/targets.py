"""What is fuzzed: one function a harness, which takes any bytes and returns, or has found a fault.

The functions hold what the tests in `tests/property` hold. They import nothing but mwl, so that a
test can run them over a corpus without atheris.
"""

from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Elements,
    character_set,
    encode,
    encode_file,
    read_dicom_file,
    to_json,
)
from mwl.dump import STORED, dump_file, undump
from mwl.errors import DatasetError, InputError


def text_reader(data: bytes) -> None:
    """Any bytes are the text of a data set, which a file can hold, or refused with a message."""
    try:
        found = undump(data)
    except InputError:
        return
    encoded = encode_file(found.elements, found.transfer_syntax, found.meta)
    again = read_dicom_file(encoded).elements
    assert says_the_same(found.elements, again), "the file that was written says something else"


def says_the_same(written: Elements, read: Elements) -> bool:
    """Tell whether a data set was read back as it was written.

    An element may come back as UN, or have been one: the reader gives it the VR of the dictionary
    where that is safe (PS3.5 6.2.2), and implicit VR names none.
    """
    if list(written) != list(read):
        return False
    for one, other in zip(written.values(), read.values(), strict=True):
        if isinstance(one.value, tuple) and isinstance(other.value, tuple):
            if len(one.value) != len(other.value):
                return False
            if not all(map(says_the_same, one.value, other.value)):
                return False
        elif one.value != other.value and "UN" not in {one.vr, other.vr}:
            return False
    return True


def data_set_reader(data: bytes) -> None:
    """Any bytes are a file, which has a text and is the same after it, or refused."""
    try:
        file = read_dicom_file(data)
    except DatasetError:
        return
    if _has_meta_information(file.elements):
        return  # PS3.10 7.1 has it before the data set, and in a text that is where it goes
    expected = encode(file.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    for encoding in ("utf-8", STORED):
        text = dump_file(file, encoding)
        found = undump(text, STORED if encoding == STORED else None, EXPLICIT_VR_LITTLE_ENDIAN)
        written = encode(found.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        assert written == expected, f"changed by its text in {encoding}"
    try:
        to_json(file.elements, character_set(file.elements, ENCODINGS["Ascii"]))
    except DatasetError:
        return


def _has_meta_information(elements: Elements) -> bool:
    return any(
        tag >> 16 == 0x0002
        or (isinstance(value, tuple) and any(_has_meta_information(item) for item in value))
        for tag, _, value in elements.values()
    )


TARGETS = {"text_reader": text_reader, "data_set_reader": data_set_reader}
