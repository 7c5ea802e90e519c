"""The pages that a person types after do what they show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.walkthrough import Terminal, is_shown, typed

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["first-item.md", "nothing-on-the-scanner.md"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_as_it_happens(name: str, terminal: Terminal) -> None:
    steps = list(typed((DOCS / name).read_text("utf-8")))
    assert steps
    followed_by = [step.command for step in steps[1:]] + [""]
    for step, next_command in zip(steps, followed_by, strict=True):
        printed = terminal.type(step.command)
        if step.output:
            assert is_shown(step.output, printed), f"$ {step.command}\n{printed}"
        if next_command != "echo $?":
            assert terminal.status == 0, f"$ {step.command}\n{printed}"
