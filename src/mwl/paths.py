"""What is at a path, also below a folder that may not be entered.

`Path.is_file` and its like raise there. Whoever asks what to say to a user wants to hear "no", and
the reason where it matters.
"""

import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Tell whether a file can be seen there."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Tell whether a folder can be seen there."""
    try:
        return path.is_dir()
    except OSError:
        return False


def exists(path: Path) -> bool:
    """Tell whether anything can be seen there."""
    try:
        return path.exists()
    except OSError:
        return False


def problem_of_file(path: Path) -> str | None:
    """Say why there is no file that can be seen; None where there is one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if stat.S_ISREG(mode) else "is no file"
