"""Scripts and hooks of a test, and the worklist that they take part in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

from mwl.callbacks import Callbacks, Settings
from mwl.item import items_of
from mwl.matching.stored import indexed_values
from support.items import LATIN_1, policy
from support.worklist import Site

TIME_LIMIT_S = 0.5
"""Time limit of callbacks in tests where one is broken."""


def written(folder: Path, name: str, text: str) -> Path:
    """Write a script."""
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


@contextmanager
def callbacks_of(
    folder: Path,
    *,
    lua: str | None = None,
    python: str | None = None,
    hooks: str | None = None,
    split_steps: bool = True,
    **settings: Any,
) -> Iterator[Callbacks]:
    """Load scripts, and end their threads."""
    parse = partial(items_of, split_steps=split_steps, default=LATIN_1, indexed_of=indexed_values)
    if lua is not None:
        settings["lua_scripts"] = (written(folder, "site.lua", lua),)
    if python is not None:
        settings["python_script"] = written(folder, "site_script.py", python)
    if hooks is not None:
        settings["hooks"] = (written(folder, "site_hooks.py", hooks),)
    others: dict[str, Any] = {
        "configuration": {},
        "timeout_s": 20.0,
        "hides_values": False,
    } | settings
    loaded = Callbacks(
        Settings(
            parse=parse,
            default_character_set=LATIN_1,
            **others,
        )
    )
    try:
        yield loaded
    finally:
        loaded.close()


@contextmanager
def site_of(
    folder: Path, *, dialect: str = "standard", rules: dict[str, Any] | None = None, **given: Any
) -> Iterator[Site]:
    """Make a worklist whose queries go through scripts."""
    with callbacks_of(folder, split_steps=dialect == "standard", **given) as loaded:
        yield Site(policy(dialect), loaded, **(rules or {}))
