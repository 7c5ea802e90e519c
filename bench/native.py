"""The two programs in C, compiled for this machine: the load generator and the floor server."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

SOURCE = Path(__file__).parent / "native"
FLAGS = ("-O2", "-std=gnu11", "-pthread", "-Wall", "-Wextra")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the compiled programs are."""

    load: Path
    floor: Path


def build(folder: Path) -> Programs:
    """Compile both programs into a folder.

    Raises:
        BenchError: There is no C compiler, or it found a mistake.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("no C compiler; install Debian's packages gcc and libc6-dev")
    for name in ("load", "floor"):
        command = [compiler, *FLAGS, "-o", str(folder / name), str(SOURCE / f"{name}.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise BenchError(f"{name}.c does not compile:\n{done.stderr}")
    return Programs(folder / "load", folder / "floor")
