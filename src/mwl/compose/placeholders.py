"""Placeholders in values and file names: `{today+1}`, `{counter:4}`.

Dates and times are those of the machine's time zone, as dates on a scanner are.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Context:
    """What placeholders stand for, while one item is made.

    Args:
        now: When the command was started, in local time; the same for every item of a run.
        counter: Number of the item in the run.
        new_number: Gives 128 random bits.
    """

    now: datetime
    counter: int
    new_number: Callable[[], int]

    def new_uid(self) -> str:
        """Make a UID: PS3.5 B.2, which makes one of the number of a random UUID."""
        return f"2.25.{self.new_number()}"


class _Placeholder(NamedTuple):
    form: re.Pattern[str]
    value: Callable[[Context, re.Match[str]], str]
    help: str


def _today(context: Context, match: re.Match[str]) -> str:
    return f"{context.now + timedelta(days=int(match[1] or 0)):%Y%m%d}"


def _counter(context: Context, match: re.Match[str]) -> str:
    return f"{context.counter:0{int(match[1] or 1)}d}"


PLACEHOLDERS: Mapping[str, _Placeholder] = MappingProxyType(
    {
        "{today}": _Placeholder(
            re.compile(r"today([+-][0-9]{1,4})?"),
            _today,
            "the date, `20261124`; `{today+1}` is tomorrow, `{today-1}` yesterday",
        ),
        "{now}": _Placeholder(
            re.compile("now"),
            lambda context, _: f"{context.now:%H%M%S}",
            "the time, `083000`",
        ),
        "{uid}": _Placeholder(
            re.compile("uid"),
            lambda context, _: context.new_uid(),
            "a new UID wherever it stands",
        ),
        "{counter}": _Placeholder(
            re.compile(r"counter(?::([1-9]))?"),
            _counter,
            "the number of the item in this run, from `--counter` on; `{counter:4}` has four "
            "digits at least",
        ),
    }
)
"""The placeholders that there are, as they are written."""


EXAMPLE = Context(datetime(2026, 11, 24, 8, 30), 1, lambda: 1)  # noqa: DTZ001 - of no place
"""What placeholders stand for while a text is only checked."""


def expand(
    text: str,
    context: Context,
    refuse: Callable[[str, str], Exception],
    field: Callable[[str], str | None] = lambda _: None,
) -> str:
    """Replace every placeholder of a text; `{{` and `}}` stand for single braces.

    Args:
        text: Any text.
        context: What they stand for.
        refuse: Makes the error, from a message and a hint.
        field: Gives the text of further placeholders, None for those that it does not know.

    Raises:
        Exception: As `refuse` makes it: a brace alone, or a placeholder that there is not.
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] in {"{{", "}}"}:
            return match[0][0]
        if match[1] is None:
            raise refuse("a brace stands alone", "write {{ or }} for the character itself")
        for row in PLACEHOLDERS.values():
            if (found := row.form.fullmatch(match[1])) is not None:
                return row.value(context, found)
        known = field(match[1])
        if known is None:
            names = ", ".join(PLACEHOLDERS)
            raise refuse(
                "there is no such placeholder", f"there are {names}; write {{{{ for a brace"
            )
        return known

    return _BRACES.sub(replacement, text) if "{" in text or "}" in text else text
