"""A log that goes into a pipe which nobody reads.

`mwl serve 2>&1 | less` is one, a collector of logs that hangs another.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from support.dcmtk import echoscu, free_port
from support.server import TIMEOUT_S, wait_until
from support.worklist_files import FIVE_ITEMS, fill

PIPE_BYTES = 4096
ECHOES = 20
"""So many fill such a pipe several times with the lines of `--trace`."""


def test_scanners_are_answered_while_nobody_reads_the_log(tmp_path: Path) -> None:
    port = free_port()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mwl", "serve", str(fill(tmp_path / "items", FIVE_ITEMS))),
            *("--host", "127.0.0.1", "--port", str(port), "--http-port", "off", "--trace"),
        ],
        stdin=subprocess.DEVNULL,
        stderr=writer,
    )
    try:
        os.close(writer)
        wait_until(lambda: echoscu("127.0.0.1", port).returncode == 0)
        for _ in range(ECHOES):
            assert echoscu("127.0.0.1", port).returncode == 0
        held = os.read(reader, PIPE_BYTES)
        process.terminate()
        with os.fdopen(reader, "rb") as pipe:
            text = (held + pipe.read()).decode()
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()
    assert "WARNING log_interrupted lines=" in text
    assert text.splitlines()[-1].endswith("stopped")
