"""The page on `mwl new`: its commands do what it says, its tables are those of the source."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mwl.compose import FILLS, PLACEHOLDERS

PAGE = (Path(__file__).parents[2] / "docs" / "new.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"(?:`([\w.]+)`[^`]*?)?```(\w+)\n(.*?)```", re.DOTALL)
LONGEST_RUN_S = 30


def run(block: str, folder: Path) -> str:
    """Run the commands of a block in one shell and give what they print."""
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", "\n".join(commands)],
        cwd=folder / "work",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LONGEST_RUN_S,
        check=False,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
    )
    return done.stdout


def printed(block: str) -> str:
    """Give what the page says that the commands of a block print."""
    return re.sub(r"^\$ (?:.*\\\n)*.*\n", "", block, flags=re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = tmp_path / "mwl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mwl "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    return tmp_path


def test_the_commands_print_what_the_page_says(folder: Path) -> None:
    blocks = BLOCKS.findall(PAGE)
    assert [kind for _, kind, _ in blocks].count("console") == 5
    for name, kind, block in blocks:
        if kind == "console":
            assert run(block, folder) == printed(block)
        else:
            (folder / "work" / name).write_text(block, encoding="utf-8")
    assert {path.name for path in (folder / "work").glob("**/*.wl")} >= {
        *("jane.wl", "two.wl", "phantom.wl", "A1.wl", "A3.wl")
    }


def test_the_page_has_every_fill_with_its_reason() -> None:
    rows = [f"| `{row.keyword}` | {row.words} | {row.reason} |" for row in FILLS]
    assert "\n".join(rows) in PAGE


def test_the_page_has_every_placeholder() -> None:
    rows = [f"| `{written}` | {row.help} |" for written, row in PLACEHOLDERS.items()]
    assert "\n".join(rows) in PAGE
