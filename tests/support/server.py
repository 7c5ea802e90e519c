"""`mwl serve` as a process: started on a free port, its log followed, stopped with SIGTERM."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.worklist_files import configuration

TIMEOUT_S = 20.0
"""Longest wait for a line of the log or for the end of the process."""

LOOK_S = 0.05
"""Between looks at what nobody tells of."""

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of the log, whichever its format."""

    text: str
    level: str
    event: str
    fields: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> "LogLine":
        """Read a line; one that is not an event (a traceback) has the event `""`."""
        if text.startswith("{"):
            fields = {name: str(value) for name, value in json.loads(text).items()}
            return cls(text, fields.get("level", "").upper(), fields.get("event", ""), fields)
        words = text.split(maxsplit=3)
        if len(words) < 3 or not words[0].endswith("Z"):
            return cls(text, "", "", {})
        rest = words[3] if len(words) > 3 else ""
        return cls(
            text,
            words[1],
            words[2],
            {name: value.strip('"') for name, value in FIELD.findall(rest)},
        )


@dataclass(slots=True)
class Log:
    """Lines of a process's standard error, readable while it runs."""

    lines: list[LogLine] = field(default_factory=list)
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self, process: subprocess.Popen[str]) -> None:
        """Take lines until the process closes its standard error."""
        assert process.stderr is not None
        for text in process.stderr:
            with self.changed:
                self.lines.append(LogLine.of(text.rstrip("\n")))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, event: str, where: Callable[[LogLine], bool] = lambda _: True) -> LogLine:
        """Give the first line of an event, waiting for it where it is not there yet."""

        def found() -> list[LogLine]:
            return [line for line in self.lines if line.event == event and where(line)]

        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, TIMEOUT_S)
            lines = found()
        assert lines, f"no event {event!r} in the log:\n{self.text()}"
        return lines[0]

    def count(self, event: str, at_least: int) -> int:
        """Give how many lines of an event there are, waiting for so many: a line may come late."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.events(event)) >= at_least, TIMEOUT_S)
        return len(self.events(event))

    def events(self, name: str) -> list[LogLine]:
        """Give the lines of one event that are there now."""
        with self.changed:
            return [line for line in self.lines if line.event == name]

    def text(self) -> str:
        """Give all lines that are there now."""
        with self.changed:
            return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that listens."""

    host: str
    port: int
    log: Log
    process: subprocess.Popen[str]

    @property
    def http_port(self) -> int:
        """Port of HTTP, for a server that was started with `--http-port`."""
        return int(self.log.wait_for("http_listening").fields["port"])

    @property
    def tls_port(self) -> int:
        """Port of DICOM over TLS, for a server that has one."""
        speaks_tls = lambda line: line.fields.get("tls") == "true"  # noqa: E731 - one use
        return int(self.log.wait_for("listening", speaks_tls).fields["port"])

    def stop(self) -> str:
        """End the server as an operator does, and give the whole log."""
        self.process.terminate()
        assert self.process.wait(TIMEOUT_S) == 0, self.log.text()
        with self.log.changed:
            self.log.changed.wait_for(lambda: self.log.ended, TIMEOUT_S)
        return self.log.text()


def _command(arguments: tuple[str | Path, ...], host: str) -> list[str]:
    return [
        *(sys.executable, "-m", "mwl", "serve", *map(str, arguments)),
        *("--host", host, "--port", "0"),
        *(() if "--http-port" in arguments else ("--http-port", "off")),
    ]


@contextmanager
def running_server(
    *arguments: str | Path,
    host: str = "127.0.0.1",
    under: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningServer]:
    """Run `mwl serve ARGUMENTS`; on leaving, stop it and check that it ended well.

    Args:
        *arguments: Of the command.
        host: Where it listens.
        under: A command that becomes the one that follows it, such as `prlimit --nofile=64`.
        environment: Variables to set besides those of this process.
    """
    process = subprocess.Popen(
        [*under, *_command(arguments, host)],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    log = Log()
    reader = threading.Thread(target=log.follow, args=(process,), daemon=True)
    reader.start()
    try:
        listening = log.wait_for("listening")
        server = RunningServer(host, int(listening.fields["port"]), log, process)
        yield server
        if process.poll() is None:
            server.stop()
    except BaseException as error:
        error.add_note(f"Log of the server:\n{log.text()}")
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(TIMEOUT_S)
        assert process.stderr is not None
        process.stderr.close()


Configured = Callable[..., AbstractContextManager[RunningServer]]
"""Runs a server with some options, over a folder that is settled."""


@contextmanager
def configured_server(file: Path, folder: Path, **options: Any) -> Iterator[RunningServer]:
    """Run a server over a folder that everybody may ask, unless the options say otherwise.

    Args:
        file: Where its configuration is written.
        folder: The worklist files.
        **options: Of the configuration.
    """
    configuration(file, folder, **{"DicomAlwaysAllowFindWorklist": True} | options)
    with running_server("--config", file) as server:
        yield server


def run_mwl(*arguments: str | int | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `mwl` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mwl", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        encoding="utf-8",
        # Wide and plain, so that tables are not cut and words are not coloured.
        env={**os.environ, "COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"},
    )


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again: of a file nobody tells."""
    never = threading.Event()
    for _ in range(int(TIMEOUT_S / LOOK_S)):
        if holds():
            return
        never.wait(LOOK_S)
    raise AssertionError("it did not come")
