"""Python files of a site, run as modules."""

import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from mwl.errors import ConfigError


def let_import_from(folder: Path) -> None:
    """Let files import the modules in a folder; last, so that none takes the place of Python's."""
    name = str(folder.absolute())
    if name not in sys.path:
        sys.path.append(name)


def modules_beside(path: Path) -> set[str]:
    """Give the names of the modules that lie in the folder of a file, and are no installed ones."""
    folder = path.parent.absolute()
    return {
        name
        for name, module in list(sys.modules.items())
        if Path(str(getattr(module, "__file__", None))).parent == folder
    }


def run_file(path: Path, option: str, **names: Any) -> ModuleType:
    """Run a Python file and give the module that it makes.

    Args:
        path: The file.
        option: The option that names it.
        **names: What it finds besides, or in place of what Python has.

    Raises:
        ConfigError: It cannot be read, is no Python, or fails; with the line.
    """
    spec = spec_from_file_location(f"mwl_{option.lower()}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        reason = "is no file with Python in it" if path.exists() else "does not exist"
        raise ConfigError(reason, file=str(path), option=option)
    module = sys.modules[spec.name] = module_from_spec(spec)
    vars(module).update(names)
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        if error.filename != str(path.absolute()):
            raise _failed(path, option, error) from error
        message = f"cannot be read: {error.strerror}"
        raise ConfigError(message, file=str(path), option=option) from error
    except SyntaxError as error:
        file = str(path) if error.filename == str(path.absolute()) else error.filename
        line = error.lineno
        raise ConfigError(
            f"is no Python: {error.msg}", file=file, line=line, option=option
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(path, option, error) from error
    return module


def _failed(path: Path, option: str, error: BaseException) -> ConfigError:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path.absolute())
    ]
    return ConfigError(
        f"{type(error).__name__}: {error}",
        file=str(path),
        line=lines[-1] if lines else None,
        option=option,
    )
