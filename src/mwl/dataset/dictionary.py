"""The data dictionary: tags, keywords, names and value representations.

This is the only module that uses pydicom, whose generated copy of the standard's registry
saves writing out five thousand rows. How values are laid out in bytes is in `mwl.dataset.elements`.

Source: DICOM PS3.6 section 6 (registry), PS3.5 Table 6.2-1 (value representations).
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from mwl.attributes import ATTRIBUTES

CHARACTER_SET_VRS = frozenset({"SH", "LO", "ST", "LT", "PN", "UC", "UT"})
"""VRs whose text is written in the sets of (0008,0005): PS3.5 6.1.2.3."""

DEFAULT_REPERTOIRE_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"},
)
"""VRs whose text is always in the default repertoire."""

TEXT_VRS = CHARACTER_SET_VRS | DEFAULT_REPERTOIRE_VRS

SINGLE_VALUE_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})
"""Text in which a backslash is a character and not the border of two values: PS3.5 6.4."""

NUMBER_FORMATS = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "FL": "f",
    "FD": "d",
    "SV": "q",
    "UV": "Q",
}
"""VRs of binary numbers, with the format letter of `struct` for one number."""

BYTE_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs that are opaque bytes here."""

LONG_LENGTH_VRS = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"},
)
"""VRs with a length of 32 bits in the explicit transfer syntaxes: PS3.5 Table 7.1-1."""

VRS = TEXT_VRS | set(NUMBER_FORMATS) | BYTE_VRS | {"AT", "SQ"}


LONGEST_VALUES = {
    "AE": 16,
    "CS": 16,
    "DS": 16,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "SH": 16,
    "ST": 1024,
}
"""Characters, not bytes, of one value: PS3.5 Table 6.2-1. The forms of dates, times, ages and UIDs
have their lengths in them."""

LONGEST_NAME_GROUP = 64
"""Characters of one component group of a person name: PS3.5 6.2.1."""


def excess_of(vr: str, value: str) -> tuple[int, int] | None:
    """Tell whether one value is too long for its VR: PS3.5 Table 6.2-1.

    Returns:
        The characters that it has (a person name: its longest group), and those that it may have;
        None when it fits.
    """
    if vr == "PN":
        length, limit = max(map(len, value.split("="))), LONGEST_NAME_GROUP
    else:
        length, limit = len(value), LONGEST_VALUES.get(vr, len(value))
    return (length, limit) if length > limit else None


def pad_of(vr: str) -> bytes:
    """Give the byte that makes the length of a value even: PS3.5 6.2."""
    return b" " if vr in TEXT_VRS and vr != "UI" else b"\0"


_LIKENESS = 0.75
"""How alike a keyword has to be to be suggested, from 0 to 1."""

_CACHED_TAGS = 8192
"""Tags whose dictionary entry is kept at hand; more than the standard's modules for a worklist."""

# PS3.6: attributes with a choice of VR. The pixel description that would decide is not part of a
# worklist item; words are the form that implicit VR prescribes (PS3.5 A.1).
_CHOICES = {
    "US or SS": "US",
    "US or OW": "OW",
    "US or SS or OW": "OW",
    "OB or OW": "OW",
}


def dictionary_version() -> str:
    """Say which registry it is: what was decoded by another may have other VRs."""
    from importlib.metadata import version  # noqa: PLC0415 - only the server asks, and it is slow

    return version("pydicom")


class DictionaryEntry(NamedTuple):
    """One attribute that the standard's dictionary lacks, or that a site names otherwise."""

    tag: int
    vr: str
    name: str
    keyword: str = ""


_CODES = (
    DictionaryEntry(0x00080100, "SH", "Code Value", "CodeValue"),
    DictionaryEntry(0x00080102, "SH", "Coding Scheme Designator", "CodingSchemeDesignator"),
    DictionaryEntry(0x00080103, "SH", "Coding Scheme Version", "CodingSchemeVersion"),
    DictionaryEntry(0x00080104, "LO", "Code Meaning", "CodeMeaning"),
)
"""What the items of code sequences hold: PS3.4 Table 8-2b."""

_WORKLIST = {
    attribute.tag: DictionaryEntry(attribute.tag, attribute.vr, attribute.name, attribute.keyword)
    for attribute in ATTRIBUTES
} | {entry.tag: entry for entry in _CODES}
"""What queries and the index ask for: they need not wait for the registry to be loaded."""

_WORKLIST_TAGS = {entry.keyword: tag for tag, entry in _WORKLIST.items()}

_META_GROUP_LENGTH = 0x00020000
"""The only group length that is still in use, and the only one that the registry names."""

_extensions: dict[int, DictionaryEntry] = {}


_Row = tuple[str, str, str, str, str]
"""VR, multiplicity, name, whether it is retired, keyword."""


_TABLE_FILE = "_dicom_dict.py"


def _table() -> ModuleType:
    """Load the table of pydicom without the package around it.

    To import the package takes 0.1 s, the table 10 ms, and every command would wait for it.
    """
    package = find_spec("pydicom")
    folders = package.submodule_search_locations if package else None
    spec = spec_from_file_location("mwl_registry", Path((folders or [""])[0]) / _TABLE_FILE)
    try:
        if spec is None or spec.loader is None:
            raise FileNotFoundError
        table = module_from_spec(spec)
        spec.loader.exec_module(table)
    except OSError:  # the module has no public name, and could get another
        from pydicom import datadict  # noqa: PLC0415 - see above

        return datadict
    return table


class _Registry:
    """The rows of PS3.6, from pydicom's table."""

    def __init__(self) -> None:
        table = _table()
        self.rows: Mapping[int, _Row] = table.DicomDictionary
        self._repeaters: Mapping[str, _Row] = table.RepeatersDictionary
        self.tags = {row[4]: tag for tag, row in self.rows.items()}

    def row(self, tag: int) -> _Row:
        """Give the row of an attribute.

        Raises:
            KeyError: There is none.
        """
        return self.rows.get(tag) or self._repeaters[self._mask(f"{tag:08X}")]

    def _mask(self, digits: str) -> str:
        # PS3.6 7: groups 50xx and 60xx, and some elements, stand for many.
        for mask in self._repeaters:
            if all(one in {"X", other} for one, other in zip(mask.upper(), digits, strict=True)):
                return mask
        return ""


@lru_cache(maxsize=1)
def _registry() -> _Registry:
    return _Registry()


def load_registry() -> None:
    """Load the registry before an attribute is asked for that no worklist table has.

    Cost: 10 ms the first time, which is why it is not part of importing this module.
    """
    _registry()


def extend(entries: Iterable[DictionaryEntry]) -> None:
    """Add attributes to the dictionary; `mwl.dataset.extend_dictionary` is the door."""
    for entry in entries:
        if entry.vr not in VRS:
            raise ValueError(f"{entry.vr!r} is not a value representation")
        _extensions[entry.tag] = entry
    _entry.cache_clear()
    vr_of.cache_clear()


@lru_cache(maxsize=_CACHED_TAGS)
def _entry(tag: int) -> DictionaryEntry:
    if known := _extensions.get(tag) or _WORKLIST.get(tag):
        return known
    element = tag & 0xFFFF
    if element == 0 and tag != _META_GROUP_LENGTH:  # PS3.5 7.2
        return DictionaryEntry(tag, "UL", "Group Length", "GroupLength")
    if tag >> 16 & 1:
        # PS3.5 7.8.1: an odd group is private, and its elements 10 to FF name the creators.
        if 0x10 <= element <= 0xFF:
            return DictionaryEntry(tag, "LO", "Private Creator")
        return DictionaryEntry(tag, "UN", "")
    try:
        vr, _, name, _, keyword = _registry().row(tag)
    except KeyError:
        return DictionaryEntry(tag, "UN", "")
    vr = _CHOICES.get(vr, vr)
    # Items and delimiters are in the registry with "NONE" for a VR.
    return DictionaryEntry(tag, vr if vr in VRS else "UN", name, keyword)


@lru_cache(maxsize=_CACHED_TAGS)
def vr_of(tag: int) -> str:
    """Give the VR of an attribute; "UN" when the dictionary does not know it."""
    return _entry(tag).vr


def name_of(tag: int) -> str:
    """Give the name of an attribute, such as `Patient's Name`; "" when it is unknown."""
    return _entry(tag).name


def keyword_of(tag: int) -> str:
    """Give the keyword of an attribute, such as `PatientName`; "" when it has none."""
    return _entry(tag).keyword


def tag_of(keyword: str) -> int | None:
    """Give the tag of a keyword; None when the dictionary does not know it."""
    for entry in _extensions.values():
        if entry.keyword == keyword and keyword:
            return entry.tag
    if keyword in _WORKLIST_TAGS:
        return _WORKLIST_TAGS[keyword]
    return _registry().tags.get(keyword)


def keywords(*, of_worklist: bool = False) -> list[str]:
    """Give every keyword of the dictionary, or those of the worklist's tables alone."""
    if of_worklist:
        return list(_WORKLIST_TAGS)
    extended = [entry.keyword for entry in _extensions.values() if entry.keyword]
    return extended + [keyword for keyword in _registry().tags if keyword]


def likely_keyword(word: str) -> str | None:
    """Give the keyword that a misspelt one was probably meant to be.

    Those of the worklist's tables come before the others of the dictionary, and letters are
    compared without regard to case.

    Cost: 50 ms, for it compares with five thousand.
    """
    for candidates in (keywords(of_worklist=True), keywords()):
        by_lower_case = {keyword.lower(): keyword for keyword in candidates}
        close = get_close_matches(word.lower(), by_lower_case, n=1, cutoff=_LIKENESS)
        if close:
            return by_lower_case[close[0]]
    return None


def multiplicity_of(tag: int) -> str:
    """Give the number of values that an attribute may have, such as `1`, `1-n` or `2-2n`.

    Returns:
        As PS3.6 writes it; `1-n` for what the registry does not know.
    """
    try:
        return _registry().row(tag)[1]
    except KeyError:
        return "1-n"
