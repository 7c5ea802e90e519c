"""Assignments: one attribute of a new item, its value as written, and where that stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mwl.dataset import Elements, likely_keyword
from mwl.errors import InputError
from mwl.keys import Path, describe_path, parse_path

FIRST_DATA_SET_GROUP = 0x0008
"""Lower groups are those of commands, file headers and directories: PS3.5 7.1, PS3.10 7.1."""

_DELIMITER_GROUP = 0xFFFE

_KEYWORD_LIMIT = 64
"""Characters up to which a key is compared with keywords; the longest has 60."""

_KEYS = "write PatientName, 0010,0010 or ScheduledProcedureStepSequence[0].Modality"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written.

    Args:
        file: Path of the file, as given.
        line: Line in it, counted from 1.
        option: Argument or option, when it was one.
    """

    file: str | None = None
    line: int | None = None
    option: str | None = None

    def refuse(self, message: str, hint: str | None = None) -> InputError:
        """Make the error that says so."""
        return InputError(message, file=self.file, line=self.line, option=self.option, hint=hint)


class Assignment(NamedTuple):
    """One attribute and its value.

    Args:
        path: The attribute.
        value: Its value as written, several values with backslashes between them.
        origin: Where it is written.
        key: What messages call it, when it is not its path.
    """

    path: Path
    value: str
    origin: Origin
    key: str = ""

    def refuse(self, message: str, hint: str | None = None) -> InputError:
        """Make the error about this attribute; `message` must not show the value."""
        return self.origin.refuse(f"{self.key or describe_path(self.path)}: {message}", hint)


@dataclass(frozen=True, slots=True)
class Document:
    """What one source says about one item, over what its template and under what arguments say.

    Args:
        origin: Where it begins.
        assignments: Attributes that were written by keyword, tag or path.
        elements: Attributes that came complete with VR; nobody writes both.
        steps: Number of scheduled procedure steps that it lists; None when it lists none, but may
            name some by their path.
        character_set: What it calls the character set of `elements`, as it is written there.
    """

    origin: Origin
    assignments: Sequence[Assignment] = ()
    elements: Elements = field(default_factory=dict)
    steps: int | None = None
    character_set: str = ""


def read_path(text: str, origin: Origin) -> Path:
    """Read the keyword, tag or path of an attribute that can be in a worklist item.

    Args:
        text: What was written.
        origin: Where it is written. What stands in a file is not shown, for where a file is not
            what it should be it may be a patient's.

    Raises:
        InputError: It cannot be read, or is no attribute of a data set.
    """
    try:
        path = parse_path(text)
    except InputError as error:
        if origin.file is None:
            raise origin.refuse(error.message, error.hint) from None
        raise origin.refuse(
            "this key is no keyword, tag or path of an attribute", suggestion(text) or _KEYS
        ) from None
    if not all(is_attribute(tag) for tag, _ in path):
        raise origin.refuse(f"key {text!r}: it is no attribute of a data set")
    return path


def suggestion(text: str) -> str | None:
    """Ask whether the keyword was meant that a key resembles; nothing when it resembles none."""
    likely = likely_keyword(text) if len(text) <= _KEYWORD_LIMIT else None
    return f"did you mean {likely}?" if likely else None


def is_attribute(tag: int) -> bool:
    """Tell whether a data set may hold it: no command, no file header, no delimiter, no length."""
    return FIRST_DATA_SET_GROUP <= tag >> 16 != _DELIMITER_GROUP and tag & 0xFFFF != 0


def read_arguments(arguments: Sequence[str]) -> list[Assignment]:
    """Read arguments of the form KEY=VALUE.

    Raises:
        InputError: An argument has no `=`, its key cannot be read, or two have the same.
    """
    found = []
    for number, argument in enumerate(arguments, 1):
        key, equals, value = argument.partition("=")
        if not equals:  # it may be the second half of a name, so it is not shown
            raise InputError(
                f"KEY=VALUE number {number} has no =", hint="a value with spaces needs quotes"
            )
        origin = Origin()
        found.append(Assignment(read_path(key, origin), value, origin))
    refuse_repeated(found)
    return found


def refuse_repeated(assignments: Sequence[Assignment]) -> None:
    """Refuse two values for one attribute: which of them is right is not to be guessed.

    Raises:
        InputError: There are two.
    """
    seen: set[Path] = set()
    for assignment in assignments:
        if assignment.path in seen:
            raise assignment.refuse("it is given twice")
        seen.add(assignment.path)
