"""Rules 100 to 199: what a file is, before anything in it is looked at.

Source: DICOM PS3.10 section 7.
"""

import re
from collections.abc import Iterator, Mapping

from mwl.check.subject import Fault, Finder, Subject
from mwl.item import MAX_FILE_BYTES

HEAD_BYTES = 4096
"""As many bytes at the beginning of a file tell whether it looks like a worklist item."""

_PREFIX = slice(128, 132)
_DUMP_LINE = re.compile(rb"^[ \t]*\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?[ \t]", re.MULTILINE)


def is_dump(data: bytes) -> bool:
    """Tell whether this is text as `dcmdump` prints it; a data set has NULs among its first bytes.

    Args:
        data: The file, or the beginning of it.
    """
    head = data[:HEAD_BYTES]
    return b"\0" not in head and _DUMP_LINE.search(head) is not None


def looks_like_item(head: bytes) -> bool:
    """Tell whether a file begins as one that was meant for the worklist.

    Args:
        head: Its first `HEAD_BYTES`.
    """
    return head[_PREFIX] == b"DICM" or is_dump(head)


def unreadable(subject: Subject) -> Iterator[Fault]:
    """MWL101."""
    if subject.fault and not is_dump(subject.data) and not _is_too_long(subject):
        if not subject.data:
            yield Fault((), "file is empty")
        elif b"\0" not in subject.data[:HEAD_BYTES]:
            yield Fault((), "this is text, and no DICOM file")
        else:
            yield Fault((), str(subject.fault))


def dump_text(subject: Subject) -> Iterator[Fault]:
    """MWL102."""
    if subject.fault and is_dump(subject.data) and not _is_too_long(subject):
        yield Fault((), "this is the text of a dump: run `mwl undump`")


def bare(subject: Subject) -> Iterator[Fault]:
    """MWL103."""
    if not subject.fault and subject.data[_PREFIX] != b"DICM":
        yield Fault((), "there is no preamble with DICM behind it")


def too_long(subject: Subject) -> Iterator[Fault]:
    """MWL105."""
    if subject.fault and _is_too_long(subject):
        yield Fault((), str(subject.fault))


def _is_too_long(subject: Subject) -> bool:
    return len(subject.data) > MAX_FILE_BYTES


def stray(source: str, head: bytes) -> Iterator[Fault]:
    """MWL104: of a file in a folder that is not served for its name."""
    if looks_like_item(head):
        ending = source.rpartition("/")[2].rpartition(".")[1:]
        yield Fault((), f"its name ends in {''.join(ending)!a}, so it is not served")


FINDERS: Mapping[str, Finder] = {
    "MWL101": unreadable,
    "MWL102": dump_text,
    "MWL103": bare,
    "MWL105": too_long,
}
"""What looks for breaches of each rule."""
