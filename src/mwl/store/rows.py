"""Items as plain values that `marshal` writes: for the snapshot, and from one process to another.

Only what this very program has written may be read so: `program` names it.
"""

import sys
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import mwl
from mwl.dataset import CharacterSet, dictionary_version
from mwl.item import Indexed, Order, WorklistItem

_KEPT_SETS = 256
"""Character sets kept by their terms; a hospital has a few."""

Row = tuple[int, bytes, tuple[str, ...], Order, Indexed]
"""An item: step, data, terms of its character set, order, indexed."""


def rows_of(items: Iterable[WorklistItem]) -> tuple[Row, ...]:
    """Give the rows of the items of one file."""
    return tuple(
        [
            (item.step, item.data, item.character_set.terms, item.order, item.indexed)
            for item in items
        ]
    )


def items_of_rows(
    source: str, rows: Iterable[Row], default: CharacterSet
) -> tuple[WorklistItem, ...]:
    """Make the items of one file again.

    Args:
        source: Name of the file.
        rows: What `rows_of` gave.
        default: Character set of files that name none.

    Cost: about a microsecond an item, a hundredth of reading it from its file.
    """
    return tuple(
        [
            WorklistItem(source, step, data, _set_of(terms, default), order, indexed)
            for step, data, terms, order, indexed in rows
        ]
    )


@lru_cache(maxsize=_KEPT_SETS)
def _set_of(terms: tuple[str, ...], default: CharacterSet) -> CharacterSet:
    # The only set without terms is one that DICOM does not have, and that can be a default.
    return CharacterSet.of(terms) if terms else default


def program() -> list[str]:
    """Name everything besides files and settings that decides which items a file gives."""
    versions = [mwl.__version__, dictionary_version(), sys.version, unicodedata.unidata_version]
    # Code that was changed in place has no new version number.
    for path in sorted(Path(mwl.__file__).parent.rglob("*.py")):
        with suppress(FileNotFoundError):  # a link to nothing, with which Emacs marks open files
            status = path.stat()
            versions.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return versions
