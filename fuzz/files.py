"""The readers of files: data sets, their texts, their JSON, and configurations."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mwl.config import check, default_file
from mwl.dataset import (
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Element,
    Elements,
    character_set,
    encode,
    encode_file,
    from_json,
    read_dicom_file,
    to_json,
)
from mwl.dump import STORED, dump_file, undump
from mwl.errors import DatasetError, InputError
from mwl.text_files import decode_text, read_json


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
    if any(element.vr == "SQ" for element in file.meta.values()):
        return  # PS3.10 Table 7.1-1 has none, and a text with one is refused
    expected = encode(file.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    for encoding in ("utf-8", STORED):
        text = dump_file(file, encoding)
        try:
            found = undump(text, STORED if encoding == STORED else None, EXPLICIT_VR_LITTLE_ENDIAN)
        except InputError as error:
            if is_too_long(error):
                return
            raise
        written = encode(found.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        assert written == expected, f"changed by its text in {encoding}"
    try:
        to_json(file.elements, character_set(file.elements, ENCODINGS["Ascii"]))
    except DatasetError:
        return


def is_too_long(error: InputError) -> bool:
    """Tell whether a text is refused for a value that a file may hold and its VR may not."""
    return "at most" in error.message


def _has_meta_information(elements: Elements) -> bool:
    return any(
        tag >> 16 == 0x0002
        or (isinstance(value, tuple) and any(_has_meta_information(item) for item in value))
        for tag, _, value in elements.values()
    )


def dicom_json(data: bytes) -> None:
    """Any bytes are a data set in DICOM JSON, which is the same after it, or refused."""
    try:
        elements = from_json(read_json(decode_text(data)).plain())
    except InputError:
        return
    encode(elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)
    try:
        model = to_json(elements, character_set(elements, ENCODINGS["Ascii"]))
    except DatasetError:
        return
    # PS3.5 6.2: spaces around a value do not count, and JSON leaves them out.
    assert says_the_same(_bare(elements), _bare(from_json(model))), "changed by its JSON"


def _bare(elements: Elements) -> Elements:
    """Give a data set without the spaces around its values."""
    return {tag: element._replace(value=_value(element)) for tag, element in elements.items()}


def _value(element: Element) -> bytes | tuple[Elements, ...]:
    if isinstance(element.value, bytes):
        return b"\\".join(part.strip(b" ") for part in element.value.split(b"\\"))
    return tuple(map(_bare, element.value))


def configuration(data: bytes) -> None:
    """Any bytes are a configuration, or refused with a place for each fault."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mwl.json"
        file.write_bytes(data)
        checked = check([file], {"A": "a", "PORT": "4242"})
    assert (checked.loaded is None) == bool(checked.errors)
    assert all(error.file for error in checked.errors)


SAMPLES = Path(__file__).parents[1] / "samples" / "worklists"


def sample_files() -> Iterator[bytes]:
    """Give the sample files."""
    for path in sorted(SAMPLES.glob("*.wl")):
        yield path.read_bytes()


def texts() -> Iterator[bytes]:
    """Give the texts of the sample files."""
    for data in sample_files():
        yield dump_file(read_dicom_file(data))


def models() -> Iterator[bytes]:
    """Give the sample files as DICOM JSON."""
    for data in sample_files():
        elements = read_dicom_file(data).elements
        with suppress(DatasetError):
            model = to_json(elements, character_set(elements, ENCODINGS["Ascii"]))
            yield json.dumps(model, ensure_ascii=False).encode()


def configurations() -> Iterator[bytes]:
    """Give configurations."""
    yield default_file().encode()
    yield b"""{ // as people write them
  "Name": "${NAME:-mwl}", "DicomPort": ${PORT}, /* taken from outside */
  "DicomModalities": {"ct": ["CT1", "127.0.0.1", 104],
    "mr": {"AET": "MR1", "Host": "a", "Port": 1}},
  "RegisteredUsers": {"alice": "a long password"}, "Worklists": {"Enable": true, "Database": "wl"}
}"""
