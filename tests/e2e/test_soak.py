"""A few seconds of the soak: everything at once, every answer checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.dcmtk import require

ROOT = Path(__file__).parents[2]


@pytest.mark.interop
@pytest.mark.timeout(180)
def test_a_few_seconds_of_everything_at_once_have_no_wrong_answer(tmp_path: Path) -> None:
    require("findscu")
    done = subprocess.run(
        [sys.executable, "-m", "soak", "--seconds", "8", "--output", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| **wrong answers** | **0** |" in done.stdout
    assert "**0**" in (tmp_path / "reliability.md").read_text(encoding="utf-8")
    assert (tmp_path / "reliability.svg").exists()
