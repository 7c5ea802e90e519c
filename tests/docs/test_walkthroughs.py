"""The pages that a person types after do what they show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mwl.compose import FILLS, PLACEHOLDERS
from support.walkthrough import STATUS, Terminal, Typed, Written, is_shown, steps

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["first-item.md", "new.md", "nothing-on-the-scanner.md", "howto/http.md"]
PAGES += ["operations.md"]
PAGES += [
    "howto/worklists-over-http.md",
    "howto/callbacks.md",
    "howto/tls.md",
    "howto/user-identity.md",
]
PAGES += ["howto/audit.md"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_as_it_happens(name: str, terminal: Terminal) -> None:
    page = list(steps((DOCS / name).read_text("utf-8")))
    assert any(isinstance(step, Typed) for step in page)
    for step, following in zip(page, [*page[1:], None], strict=True):
        if isinstance(step, Written):
            terminal.write(step.name, step.content)
            continue
        printed = terminal.type(step.command)
        if step.output:
            assert is_shown(step.output, printed), f"$ {step.command}\n{printed}"
        if not (isinstance(following, Typed) and following.command == STATUS):
            assert terminal.status == 0, f"$ {step.command}\n{printed}"


def test_the_page_on_new_has_every_fill_with_its_reason() -> None:
    rows = [f"| `{row.keyword}` | {row.words} | {row.reason} |" for row in FILLS]
    assert "\n".join(rows) in (DOCS / "new.md").read_text("utf-8")


def test_the_page_on_new_has_every_placeholder() -> None:
    rows = [f"| `{written}` | {row.help} |" for written, row in PLACEHOLDERS.items()]
    assert "\n".join(rows) in (DOCS / "new.md").read_text("utf-8")
