"""What hooks see: data sets by keyword, who asks, what happened.

    query["PatientName"]                                             "DOE*"
    query["ScheduledProcedureStepSequence[0].Modality"] = "CT"
    del query["0009,1001"]

Keys are spelled as `mwl.keys` has them; values are text, several with backslashes between them.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from mwl.attributes import SPECIFIC_CHARACTER_SET
from mwl.dataset import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    ENCODINGS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    NUMBER_FORMATS,
    TEXT_VRS,
    CharacterSet,
    Element,
    Elements,
    character_set,
    encode,
    read_file,
    to_json,
    values,
    vr_of,
)
from mwl.errors import DatasetError, InputError
from mwl.item import WorklistItem
from mwl.keys import Path, PathStep, binary, describe_path, parse_path, put
from mwl.matching.answers import recoded
from mwl.matching.stored import Level

_UTF_8 = ENCODINGS["Utf8"]
_UTF_8_DECLARED = Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks.

    Args:
        calling_ae_title: AE title of the device.
        called_ae_title: AE title that it calls.
        host: Address that it calls from.
    """

    calling_ae_title: str
    called_ae_title: str
    host: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request over HTTP, as a filter of a script gets it.

    Args:
        method: Its method.
        uri: Its path, decoded, without what follows a question mark.
        host: Address that it comes from.
        user: Name that it gives, empty without one.
        headers: Its headers, by name in lower case.
    """

    method: str
    uri: str
    host: str
    user: str
    headers: Mapping[str, str] = field(repr=False)


class Refuse(Exception):
    """Raised by a hook: the query is refused, and the device is told why.

    Args:
        why: A sentence that a technician understands, without patient data, 64 characters at most.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Dataset(MutableMapping[str, str]):
    """A data set that a hook reads and changes: a query, an item, an answer.

    Iterating gives the paths of all attributes, those in sequences too, and of sequences and items
    with nothing in them. A sequence is there by its own path and by those of its items
    (`...Sequence[0]`), which can be deleted. What is set may go into a sequence that is not there
    yet.

    Args:
        elements: The data set; it is not changed.
        characters: Set of its text where it names none.
    """

    def __init__(self, elements: Elements, characters: CharacterSet = _UTF_8) -> None:
        self._elements = dict(elements)
        self._characters = _characters(elements, characters)

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Self:
        """Make a data set: `Dataset.of({"PatientName": "DOE^JANE", "PatientID": "P1"})`.

        Raises:
            InputError: A key cannot be read, or a value does not fit its attribute.
        """
        made = cls({}, ENCODINGS["Ascii"])
        made.update(attributes)
        return made

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read a DICOM file or a bare data set.

        Raises:
            DatasetError: It is none.
        """
        return cls(read_file(data), ENCODINGS["Latin1"])

    @property
    def elements(self) -> Elements:
        """The data set, encoded attribute by attribute."""
        return dict(sorted(self._elements.items()))

    @property
    def characters(self) -> CharacterSet:
        """The character set of its text."""
        return self._characters

    def copy(self) -> "Dataset":
        """Give one that can be changed on its own."""
        return Dataset(self._elements, self._characters)

    def encode(self) -> bytes:
        """Give the bytes of the data set, explicit VR little endian."""
        return encode(self.elements.values(), EXPLICIT_VR_LITTLE_ENDIAN)

    def to_json(self) -> dict[str, Any]:
        """Give the data set in the DICOM JSON Model (PS3.18 section F.2)."""
        return to_json(self.elements, self._characters)

    def __getitem__(self, key: str) -> str:
        """Give the value of an attribute without the spaces around it.

        It is "" for zero length, and for a sequence or an item with nothing in it.
        """
        found, characters = self._find(parse_path(key))
        if found == {} or (isinstance(found, Element) and found.value == ()):
            return ""
        if not isinstance(found, Element) or isinstance(found.value, tuple):
            raise KeyError(key)
        try:
            return "\\".join(text.strip() for text in values(found, characters))
        except DatasetError:
            raise KeyError(f"{key}: its text is not in its character set") from None

    def __setitem__(self, key: str, value: str) -> None:
        path = parse_path(key)
        if not isinstance(value, str):
            raise InputError(f"{key}: found {type(value).__name__}, expected is text")
        if not value.isascii() and self._characters is not _UTF_8:
            self._to_utf_8()
        put(self._elements, path, self._element(key, path, value))

    def __delitem__(self, key: str) -> None:
        path = parse_path(key)
        if self._find(path)[0] is None:
            raise KeyError(key)
        self._elements = _without(self._elements, path)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(parse_path(key))[0] is not None

    def __iter__(self) -> Iterator[str]:
        return (describe_path(path) for path in _leaves(self.elements, ()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self.elements == other.elements

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"<Dataset of {len(self)} attributes>"  # a value may be a patient's

    def _find(self, path: Path) -> tuple[Element | Elements | None, CharacterSet]:
        """Find an attribute, or an item, and the character set of its text."""
        elements, characters = self._elements, self._characters
        for number, (tag, item) in enumerate(path, 1):
            element = elements.get(tag)
            if element is None or item is None:
                return element, characters
            items = element.value if isinstance(element.value, tuple) else ()
            if item >= len(items):
                return None, characters
            elements = items[item]
            characters = _characters(elements, characters)
            if number == len(path):
                return elements, characters
        return None, characters

    def _to_utf_8(self) -> None:
        level = Level(self._elements, self._characters)
        self._elements = {
            SPECIFIC_CHARACTER_SET: _UTF_8_DECLARED,
            **recoded(level, _UTF_8).elements,
        }
        self._characters = _UTF_8

    def _element(self, key: str, path: Path, value: str) -> Element:
        tag = path[-1].tag
        vr = "SQ" if path[-1].item is not None else vr_of(tag)
        try:
            if vr == "SQ":
                if value:
                    raise InputError(f"{key}: a sequence has no value of its own; name an item")
                return Element(tag, vr, ())
            if vr in NUMBER_FORMATS:
                return Element(tag, vr, binary(value, vr) if value else b"")
            if vr in BYTE_VRS - {"UN"} or vr not in TEXT_VRS | {"UN"}:
                raise InputError(f"{key}: {vr} is no text")
            characters = self._characters if vr == "UN" else _set_of(vr, self._characters)
            return Element(tag, vr, characters.encode(value, vr))
        except (ValueError, UnicodeEncodeError):
            raise InputError(f"{key}: the value does not fit its VR, {vr}") from None


_DEFAULT_REPERTOIRE = ENCODINGS["Ascii"]


def _set_of(vr: str, characters: CharacterSet) -> CharacterSet:
    return characters if vr in CHARACTER_SET_VRS else _DEFAULT_REPERTOIRE


def _characters(elements: Elements, outer: CharacterSet) -> CharacterSet:
    try:
        return character_set(elements, outer)
    except DatasetError:
        return outer


def _without(elements: Elements, path: Path) -> Elements:
    """Leave out what a path names, which is there."""
    (tag, item), *rest = path
    if item is None:
        return {key: element for key, element in elements.items() if key != tag}
    items = elements[tag].value
    assert isinstance(items, tuple)  # noqa: S101 - it was found
    inner = (_without(items[item], tuple(rest)),) if rest else ()
    kept = (*items[:item], *inner, *items[item + 1 :])
    return {**elements, tag: Element(tag, "SQ", kept)}


def _leaves(elements: Elements, path: Path) -> Iterator[Path]:
    for tag, element in elements.items():
        if not isinstance(element.value, tuple):
            yield (*path, PathStep(tag))
            continue
        if not element.value:
            yield (*path, PathStep(tag))
        for number, item in enumerate(element.value):
            here = (*path, PathStep(tag, number))
            if not item:
                yield here
            yield from _leaves(item, here)


@dataclass(frozen=True, slots=True)
class ItemEvent:
    """A worklist file came, changed or went.

    Args:
        kind: "put" or "removed".
        source: Name of the file.
        stored: What it holds now, encoded; nothing when it was removed.
    """

    kind: Literal["put", "removed"]
    source: str
    stored: tuple[WorklistItem, ...]

    @property
    def items(self) -> tuple[Dataset, ...]:
        """What the file holds now; nothing when it was removed."""
        return tuple(Dataset(item.elements(), item.character_set) for item in self.stored)


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """A query ended.

    Args:
        origin: Who asked.
        keys: The keys that had a value, such as `ScheduledProcedureStepSequence.Modality`.
        answers: Answers sent.
        status: Status (0000,0900) of the final response; FF00 when the device did not wait for it.
        milliseconds: From the query to its last response.
    """

    origin: Origin
    keys: tuple[str, ...]
    answers: int
    status: int
    milliseconds: float


Event = ItemEvent | QueryEvent
