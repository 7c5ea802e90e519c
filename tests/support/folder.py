"""A folder under test: what is in it, and what a store says is in it."""

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from mwl.catalog import Catalog
from mwl.dataset import ENCODINGS, EXPLICIT_VR_LITTLE_ENDIAN, Element, encode
from mwl.errors import DatasetError
from mwl.item import WorklistItem
from mwl.matching.stored import indexed_values
from mwl.store import Remove, Store, Upsert
from mwl.store.folder import WatchMode
from mwl.store.known import LOCAL_GRANULARITY_NS

MODES: list[WatchMode] = [mode for mode in get_args(WatchMode) if mode != "auto"]
"""The ways of finding changes."""

Events = list[tuple[str, dict[str, object]]]
"""Log events as they were emitted: name and fields."""

_BEGIN, _END = b"<", b">"
_PATIENT_COMMENTS = 0x0010_4000
_NOBODY = 65534


def content(text: str) -> bytes:
    """Make the bytes of a file that `parse` takes."""
    return _BEGIN + text.encode() + _END


def item(source: str, data: bytes, step: int = 0) -> WorklistItem:
    """Make an item that holds any bytes as its only element."""
    element = Element(_PATIENT_COMMENTS, "LT", data + b" " * (len(data) % 2))
    encoded = encode([element], EXPLICIT_VR_LITTLE_ENDIAN)
    indexed = indexed_values({}, ENCODINGS["Ascii"])
    return WorklistItem(
        source, step, encoded, ENCODINGS["Ascii"], ("", "", "", source, step), indexed
    )


def bytes_of(item: WorklistItem) -> bytes:
    """Give back what `item` was made of."""
    value = item.elements()[_PATIENT_COMMENTS].value
    assert isinstance(value, bytes)
    return value.rstrip(b" ")


def parse(name: str, data: bytes) -> tuple[WorklistItem, ...]:
    """Take one item from a file that is whole; a part of one is an error."""
    if not data.startswith(_BEGIN):
        raise DatasetError("no begin", offset=0)
    if not data.endswith(_END):
        raise DatasetError("no end", offset=len(data))
    return (item(name, data),)


class Served:
    """What a store has told, applied."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.files: dict[str, bytes] = {}
        self.changes = 0

    def read(self, limit: int) -> None:
        for change in self.store.read(limit):
            self.changes += 1
            match change:
                case Upsert(source, items):
                    self.files[source] = b"".join(map(bytes_of, items))
                case Remove(source):
                    del self.files[source]

    def look(self, limit: int = 7) -> dict[str, bytes]:
        """Give what a query that arrives now would see."""
        ticket = self.store.notice()
        while not self.store.is_current(ticket):
            self.read(limit)
        return self.files


def settle(*folders: Path) -> None:
    """Wait until no file is so young that its time stamps might not show a change."""
    stamps = [
        max(status.st_mtime_ns, status.st_ctime_ns)
        for folder in folders
        for status in map(os.lstat, folder.iterdir())
    ]
    while stamps and time.time_ns() <= max(stamps) + LOCAL_GRANULARITY_NS:
        pass


def remember(catalog: Catalog) -> None:
    """Write the snapshot to the end."""
    deque(catalog.remember(), maxlen=0)


def named(events: Events, name: str) -> list[dict[str, object]]:
    """Give the fields of the events of one name."""
    return [fields for event, fields in events if event == name]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up the rights of root, if there are any, for as long as this lasts."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)


def open_descriptors() -> int:
    """Count the descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
