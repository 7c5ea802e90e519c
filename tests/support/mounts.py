"""File systems of a server's own, in memory, that nobody else sees: full, unmounted, read-only.

They need root and a kernel that lets a process have mounts of its own: elsewhere tests skip.
"""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from support.server import RunningServer


@cache
def _refusal() -> str:
    """Tell why there can be no mounts of a server's own; "" when there can."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "probe", "/mnt"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare is not installed"
    return done.stderr.strip() if done.returncode else ""


def mounting(folder: Path, options: str = "size=1m") -> list[str]:
    """Give the command that runs another with an empty file system on a folder.

    The test is skipped where that cannot be.
    """
    if reason := _refusal():
        pytest.skip(f"no file systems can be mounted here: {reason}")
    script = 'mount -t tmpfs -o "$0" mwl "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, options, str(folder)]


@dataclass(frozen=True, slots=True)
class Mounted:
    """The file system of a running server, from outside."""

    server: RunningServer
    folder: Path

    @property
    def inside(self) -> Path:
        """The folder as the server sees it."""
        return Path(f"/proc/{self.server.process.pid}/root{self.folder}")

    def mount(self, options: str = "size=1m") -> None:
        """Mount a new file system on the folder."""
        self._run("mount", "-t", "tmpfs", "-o", options, "mwl")

    def unmount(self) -> None:
        """Take it away, whoever has files of it open."""
        self._run("umount", "--lazy")

    def remount(self, options: str) -> None:
        """Change its options, such as `ro`."""
        self._run("mount", "-o", f"remount,{options}")

    def _run(self, *command: str) -> None:
        process = str(self.server.process.pid)
        subprocess.run(
            ["nsenter", "--target", process, "--mount", *command, str(self.folder)], check=True
        )

    def fill(self) -> Path:
        """Leave no room; removing the file that is given makes room again."""
        filling = self.inside / "filling"
        with filling.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return filling
