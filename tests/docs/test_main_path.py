"""The page for newcomers names files and functions; each of them is there."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design" / "main-path.md"
NAMED = sorted(set(re.findall(r"`([\w/]+(?:\.py)?):([\w.]+)`", PAGE.read_text("utf-8"))))


@pytest.mark.parametrize(("place", "name"), NAMED, ids=str)
def test_what_the_page_names_is_there(place: str, name: str) -> None:
    module = importlib.import_module("mwl." + place.removesuffix(".py").replace("/", "."))
    assert reduce(getattr, name.split("."), module) is not None


def test_the_page_names_something() -> None:
    assert len(NAMED) > 15


def test_the_page_draws_the_layers_that_are_checked() -> None:
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    drawn = re.search(r"layers = \[(.*?)\]", settings, re.DOTALL)
    assert drawn is not None
    layers = re.findall(r'"([^"]+)"', drawn[1])
    assert "\n".join(layers) in PAGE.read_text("utf-8")
