"""Names of the files of a run: safe on every file system, and no two the same."""

import re
from collections.abc import Sequence
from hashlib import sha256

from mwl.attributes import SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.compose.assignments import Origin, read_path
from mwl.compose.layout import STEP_ATTRIBUTES, items_of
from mwl.compose.placeholders import EXAMPLE, expand
from mwl.compose.recipe import NewItem
from mwl.dataset import Elements, values
from mwl.keys import Path, PathStep

DEFAULT_NAMES: Sequence[str] = (
    "{AccessionNumber}.wl",
    "{PatientID}-{counter}.wl",
    "{counter}.wl",
)
"""Templates that are tried in this order when none is given: the first that an item has all for."""

NAME_LIMIT = 200
"""Characters; file systems allow 255 bytes, of which the temporary name needs some."""

SUFFIX = ".wl"
"""What the server asks for in a name, in lower or upper case."""

_HASH_DIGITS = 8
"""Hexadecimal digits of the hash of a value of which not every character is in the name."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_OPTION = Origin(option="--name")


class FileNames:
    """Gives each item a name of its own.

    Args:
        template: Name with placeholders, keywords and paths of attributes among them; None for
            `DEFAULT_NAMES`.

    Raises:
        InputError: The template does not end in `.wl`, or has unsafe characters or placeholders
            that there are not.
    """

    def __init__(self, template: str | None) -> None:
        self._templates = DEFAULT_NAMES if template is None else (template,)
        self._taken: dict[str, Origin] = {}
        for one in self._templates:
            _check_template(one)

    def name(self, item: NewItem, origin: Origin) -> str:
        """Give an item its name; characters of its values that are not safe become `_` and a hash.

        Args:
            item: The item.
            origin: Where it comes from, for messages, which do not show the name.

        Raises:
            InputError: An attribute is missing, or an item before has the name.
        """
        name = self._expanded(item, origin)
        if len(name) > NAME_LIMIT:
            raise origin.refuse(f"its file name has {len(name)} characters, allowed {NAME_LIMIT}")
        # Where capitals do not count, two names that differ in them are one.
        before = self._taken.setdefault(name.casefold(), origin)
        if before is not origin:
            raise origin.refuse(
                f"it has the file name of line {before.line}",
                "--name '{PatientID}-{counter}.wl' makes them different",
            )
        return name

    def _expanded(self, item: NewItem, origin: Origin) -> str:
        absent: list[str] = []

        def value(key: str) -> str:
            found = _safe(_value_at(item, read_path(key, _OPTION)))
            if not found:
                absent.append(key)
            return found

        for template in self._templates:
            absent.clear()
            name = expand(template, item.context, _OPTION.refuse, value)
            if not absent:
                return name
        raise origin.refuse(f"its file name needs {absent[0]}, which is empty")


def _safe(value: str) -> str:
    """Give a part of a name that no other value has; nothing for one without a safe character.

    Where something has to be replaced, digits of a hash keep apart what would look alike.
    """
    found = _UNSAFE.sub("_", value).lstrip(".")
    if not found or found == value:
        return found
    return f"{found}-{sha256(value.encode()).hexdigest()[:_HASH_DIGITS]}"


def _check_template(template: str) -> None:
    def any_attribute(key: str) -> str:
        read_path(key, _OPTION)
        return "x"

    literal = expand(template, EXAMPLE, _OPTION.refuse, any_attribute)
    if not template.lower().endswith(SUFFIX):
        raise _OPTION.refuse(f"a name has to end in {SUFFIX}, or no server reads the file")
    if _UNSAFE.search(literal):
        raise _OPTION.refuse("a name has letters, digits, point, hyphen and underscore")
    if literal.startswith("."):
        raise _OPTION.refuse("a name must not begin with a point")


def _value_at(item: NewItem, path: Path) -> str:
    """Give the first value of an attribute, that of the first step for one of the step."""
    if path[0].tag in STEP_ATTRIBUTES:
        path = (PathStep(SCHEDULED_PROCEDURE_STEP_SEQUENCE, 0), *path)
    holder: Elements = item.elements
    for tag, number in path[:-1]:
        items = items_of(holder, tag)
        holder = items[number or 0] if (number or 0) < len(items) else {}
    element = holder.get(path[-1].tag)
    found = values(element, item.character_set) if element is not None else []
    return found[0].strip() if found else ""
