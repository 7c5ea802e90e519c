"""The log in a file: rotated by the real logrotate while it is written, and on a full disk."""

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mwl import telemetry
from mwl.log_sink import LogFile
from support.dcmtk import echoscu, free_port, missing
from support.server import TIMEOUT_S, LogLine, run_mwl, wait_until
from support.worklist_files import FIVE_ITEMS, configuration, fill

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "packaging" / "logrotate" / "mwl"
TURNS = 10

AS_IT_IS = EXAMPLE.read_text(encoding="utf-8")
RULES = {
    # Names with seconds in them are for one turn a second.
    "the example": "".join(
        line for line in AS_IT_IS.splitlines(keepends=True) if " date" not in line
    ),
    "create": "/var/log/mwl/*.log {\n rotate 99\n create\n}\n",
    "copytruncate": "/var/log/mwl/*.log {\n rotate 99\n copytruncate\n}\n",
}


def rules_for(folder: Path, rules: str) -> Path:
    """Write rules for a folder in place of that of a system."""
    file = folder / "rules"
    file.write_text(rules.replace("/var/log/mwl", str(folder / "log")), encoding="utf-8")
    return file


def rotate(folder: Path, rules: Path) -> None:
    """Rotate what was written since the last turn, and see that the writer goes on after it."""
    log = folder / "log" / "mwl.log"
    # An empty file is not rotated, nor one that the writer did not come to make anew yet.
    wait_until(lambda: log.exists() and log.stat().st_size > 0)
    done = subprocess.run(
        [logrotate(), "--force", "--state", folder / "state", rules],
        capture_output=True,
        timeout=20,
        check=False,
        encoding="utf-8",
    )
    # Where logrotate makes the file (create), the server may have been first: its file is moved.
    is_moved = "already exists, renaming to" in done.stderr and "nocreate" not in rules.read_text()
    assert done.returncode == 0
    assert done.stderr == "" or is_moved
    wait_until(log.exists)


def logrotate() -> str:
    """Give the path of the program, which Debian keeps from the path of users."""
    return shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin") or missing(
        "logrotate is not installed (Debian package logrotate)"
    )


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Write numbered lines, as fast as they come, while the block runs."""
    telemetry.configure("default", "json", LogFile(file))
    ends = threading.Event()

    def write() -> None:
        for number in itertools.count():
            telemetry.emit("echo", number=number)
            if ends.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ends.set()
        writer.join()
        telemetry.configure()


def numbers(folder: Path, *, ends_torn: bool = False) -> list[int]:
    """Give the numbers in all files, rotated or not; a line that is torn fails the test.

    Args:
        folder: Where they are.
        ends_torn: Whether a file may end within a line, which is left out then.
    """
    texts = [
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for file in (folder / "log").iterdir()
    ]
    if ends_torn:
        texts = [text[: text.rfind(b"\n") + 1] for text in texts]
    assert all(text.endswith(b"\n") for text in texts if text)
    return sorted(json.loads(line)["number"] for text in texts for line in text.splitlines())


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_logrotate_takes_the_file_away_while_it_is_written(tmp_path: Path, rules: str) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    file = rules_for(tmp_path, rules)
    with writing(tmp_path / "log" / "mwl.log"):
        for _ in range(TURNS):
            rotate(tmp_path, file)
    assert len(list((tmp_path / "log").iterdir())) > TURNS
    # A copy may end within a line, and loses what comes between it and the truncation.
    is_copied = "copytruncate" in rules
    found = numbers(tmp_path, ends_torn=is_copied)
    assert len(found) == len(set(found))
    if not is_copied:
        assert found == list(range(len(found)))


def test_the_example_names_rotated_files_by_their_time(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    with writing(tmp_path / "log" / "mwl.log"):
        rotate(tmp_path, rules_for(tmp_path, AS_IT_IS))
    names = sorted(file.name for file in (tmp_path / "log").iterdir())
    assert len(names) == 2
    assert re.fullmatch(r"mwl\.log-\d{8}-\d+", names[1])
    assert numbers(tmp_path)[0] == 0


@contextmanager
def serving(port: int, *arguments: str | Path) -> Iterator[None]:
    """Run a server whose log goes elsewhere; it ends well at the end of the block."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mwl", "serve", *map(str, arguments)),
            *("--host", "127.0.0.1", "--port", str(port), "--http-port", "off"),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: echoscu("127.0.0.1", port).returncode == 0)
        yield
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_a_server_writes_its_log_to_the_file_that_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    log, port = tmp_path / "mwl.log", free_port()
    file = configuration(
        tmp_path / "mwl.json", folder, LogFile="mwl.log", LogFormat="json", LogLevel="verbose"
    )
    with serving(port, "--config", file):
        log.rename(tmp_path / "mwl.log.1")
        assert echoscu("127.0.0.1", port).returncode == 0
    before, after = (
        [LogLine.of(line).event for line in one.read_text("utf-8").splitlines()]
        for one in (tmp_path / "mwl.log.1", log)
    )
    assert before[0] == "listening"
    assert "echo" in after
    assert after[-1] == "stopped"


def test_a_full_disk_does_not_stop_the_service(tmp_path: Path) -> None:
    port = free_port()
    with serving(port, fill(tmp_path / "items", FIVE_ITEMS), "--log-file", "/dev/full"):
        for _ in range(3):
            assert echoscu("127.0.0.1", port).returncode == 0


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    done = run_mwl("serve", tmp_path, "--log-file", tmp_path / "nowhere" / "mwl.log")
    assert done.returncode == 2
    assert "LogFile: cannot write to" in done.stderr
    assert "No such file or directory" in done.stderr
