import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwl.check import PROFILES, RULES
from mwl.config import OPTIONS
from mwl.doctor import CHECKS
from mwl.limits import LIMITS
from mwl.telemetry import EVENTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ["conformance.md"]
TABLES = ("checks", "doctor", "events", "exit-statuses", "limits", "options")
PAGES += [f"reference/{name}.md" for name in TABLES]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, ROOT / "scripts" / "generate-docs", folder], check=True)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_tables_say_now(fresh: Path, page: str) -> None:
    written = (DOCS / page).read_text(encoding="utf-8")
    assert written == (fresh / page).read_text(encoding="utf-8"), "run scripts/generate-docs"


def emitted() -> Iterator[str]:
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="emit" | "enabled") | ast.Name(id="emit" | "enabled"),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    yield event
                case _:
                    pass


def test_every_event_that_the_source_names_is_in_the_table() -> None:
    assert set(emitted()) <= set(EVENTS)


def test_every_rule_and_profile_has_its_place(fresh: Path) -> None:
    checks = (fresh / "reference/checks.md").read_text(encoding="utf-8")
    assert all(f"\n### {rule.number}: " in checks for rule in RULES)
    assert all(f"\n### `--profile {profile.name}`\n" in checks for profile in PROFILES)


def test_every_check_of_the_doctor_has_its_place(fresh: Path) -> None:
    page = (fresh / "reference/doctor.md").read_text(encoding="utf-8")
    assert all(f"\n## {check.name}\n" in page for check in CHECKS)


def test_every_option_limit_and_event_has_its_place(fresh: Path) -> None:
    options = (fresh / "reference/options.md").read_text(encoding="utf-8")
    assert all(f"\n## {option.name}\n" in options for option in OPTIONS)
    limits = (fresh / "reference/limits.md").read_text(encoding="utf-8")
    assert all(f"\n## {limit.name}\n" in limits for limit in LIMITS)
    events = (fresh / "reference/events.md").read_text(encoding="utf-8")
    assert all(f"\n| `{name}` |" in events for name in EVENTS)
