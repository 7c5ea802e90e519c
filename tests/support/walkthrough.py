"""Pages of docs/ that a person types after, run as they are written.

In a block marked `console` a line that begins with `$ ` is a command, what follows is its output.
In the output `...` stands for any text of a line, and alone on a line for any lines. A command ends
with status 0 unless the next one is `echo $?`. `mwl serve` runs on, as in a second terminal, until
the page ends. It takes free ports here, which stand for the page's 4242, 8042 and 2762. A block of
any other kind right behind a file's name in backquotes is the content of that file.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.dcmtk import free_port

TIMEOUT_S = 30.0
"""Longest that a command may take."""

PAGE_PORT = "4242"
PAGE_HTTP_PORT = "8042"
PAGE_TLS_PORT = "2762"
STATUS = "echo $?"
"""Asks for the exit status of the command before."""

_LISTENING = re.compile(r" (http_)?listening .* port=(\d+)\b(?! tls=true folder)")
_BLOCK = re.compile(r"(?:`([\w.]+)`[^`]*?)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Typed:
    """A command and the lines that the page shows of its output; none where it shows none."""

    command: str
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A file that the page shows."""

    name: str
    content: str


def steps(page: str) -> Iterator[Typed | Written]:
    """Give what the reader of a page does, in order."""
    for name, kind, block in _BLOCK.findall(page):
        if kind == "console":
            yield from _typed(block)
        elif name:
            yield Written(name, block)


def _typed(block: str) -> Iterator[Typed]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.rstrip("\n").split("\n")
        command = [lines.pop(0)]
        while command[-1].endswith("\\"):
            command.append(lines.pop(0))
        yield Typed("\n".join(command), tuple(lines))


class Terminal:
    """Where the commands of one page are typed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {
            PAGE_PORT: PAGE_PORT,
            PAGE_HTTP_PORT: PAGE_HTTP_PORT,
            PAGE_TLS_PORT: str(free_port()),  # it stands in a file
        }
        self._status = 0
        self._servers: list[subprocess.Popen[str]] = []
        self._environment = os.environ | {
            "PATH": f"{_dcmtk(folder)}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "120",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
        }

    def write(self, name: str, content: str) -> None:
        """Make a file."""
        content = content.replace(PAGE_TLS_PORT, self._ports[PAGE_TLS_PORT])
        (self._folder / name).write_text(content, encoding="utf-8")

    def type(self, command: str) -> str:
        """Run a command and give what it prints."""
        if command == STATUS:
            shown, self._status = str(self._status), 0
            return shown
        for shown, port in self._ports.items():
            command = command.replace(shown, port)
        if command.startswith("mwl serve"):
            return self._serve(command)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            text=True,
            check=False,
        )
        self._status = done.returncode
        return self._as_on_the_page(done.stdout)

    @property
    def status(self) -> int:
        """Exit status of the last command."""
        return self._status

    def _as_on_the_page(self, output: str) -> str:
        for shown, port in self._ports.items():
            output = output.replace(port, shown)
        return output

    def _serve(self, command: str) -> str:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port 0 --http-port 0"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._servers.append(server)
        assert server.stderr is not None
        lines = []
        for line in server.stderr:
            lines.append(line)
            if (listening := _LISTENING.search(line)) is not None:
                self._ports[PAGE_HTTP_PORT if listening[1] else PAGE_PORT] = listening[2]
            if " folder_loaded " in line:
                return self._as_on_the_page("".join(lines))
        raise AssertionError(f"{command} ended: {''.join(lines)}")

    def close(self) -> None:
        """End the servers."""
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=TIMEOUT_S)


def _dcmtk(folder: Path) -> Path:
    """Give a folder of DCMTK's programs: pynetdicom has some of the same names beside ours."""
    programs = folder / ".dcmtk"
    programs.mkdir()
    ours = str(Path(sys.executable).parent)
    others = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != ours)
    for name in ("echoscu", "findscu"):
        if (program := shutil.which(name, path=others)) is not None:
            (programs / name).symlink_to(program)
    return programs


def is_shown(expected: tuple[str, ...], printed: str) -> bool:
    """Tell whether a command printed what the page shows."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line == "..." else f"{_line_pattern(line)}[ ]*\n" for line in expected
    )
    return re.fullmatch(pattern, f"{printed.rstrip()}\n") is not None


def _line_pattern(line: str) -> str:
    return r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("..."))
