"""Output that cannot be written is one message and exit status 2, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples" / "worklists"


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", ["dump", "dump --json", "check", "explain", "explain --json"])
def test_output_that_cannot_be_written_is_told(command: str, redirection: str) -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m mwl {command} {SAMPLES / 'ct-chest.wl'} {redirection}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
