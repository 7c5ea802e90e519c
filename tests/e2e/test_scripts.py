"""The scripts that a newcomer and CI start with."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dcmtk import require
from support.server import TIMEOUT_S, LogLine

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "scripts" / name for name in ("serve", "test", "check", "soak", "environment.sh")]
SCRIPTS.append(ROOT / ".ci" / "run")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_shell(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert script.suffix or os.access(script, os.X_OK)


def test_old_python_is_told_which_one_is_needed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    old = tmp_path / "old python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts" / "serve"],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHON": str(old)},
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or later; found: Python 3.9.2" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.fixture
def serving() -> Iterator[subprocess.Popen[str]]:
    """Start scripts/serve where it need not install anything."""
    if not (ROOT / ".venv" / "mwl-developer").exists():
        pytest.skip("scripts/test has not prepared .venv here")
    process = subprocess.Popen(
        [ROOT / "scripts" / "serve", "--port", "0", "--http-port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.terminate()
    assert process.wait(TIMEOUT_S) == 0
    assert process.stderr is not None
    process.stderr.close()


def test_commands_that_serve_prints_work(serving: subprocess.Popen[str]) -> None:
    assert serving.stderr is not None
    before: list[str] = []
    listening = None
    for text in serving.stderr:
        before.append(text)
        if (line := LogLine.of(text.rstrip())).event == "listening":
            listening = line
            break
    assert listening is not None, "".join(before)
    port = listening.fields["port"]
    commands = [line.strip() for line in before if re.match(r"  \S*(findscu|mwl) ", line)]
    assert len(commands) == 2
    require("findscu")
    for command in commands:
        words = [*shlex.split(command)[:-1], port]
        done = subprocess.run(words, check=False, capture_output=True, cwd=ROOT, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        assert b"Beispiel" in done.stdout + done.stderr
