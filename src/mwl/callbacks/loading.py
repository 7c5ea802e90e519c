"""Python files of a site, run as modules."""

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from mwl.errors import ConfigError
from mwl.paths import problem_of_file

MODULE = "orthanc"
"""What a script imports."""


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


@dataclass(frozen=True, slots=True)
class Imports:
    """The modules beside some files, which are imported anew whenever the files are loaded.

    Args:
        files: The files, and those that they take the place of.
        installed: Modules that were there before any file was loaded: they stay.
    """

    files: frozenset[Path]
    installed: frozenset[str]

    @classmethod
    def of(cls, files: Iterable[Path], before: "Imports | None") -> "Imports":
        """Give those of some files, which may take the place of others."""
        if before is None:
            return cls(frozenset(files), frozenset(sys.modules))
        return cls(frozenset(files) | before.files, before.installed)

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Let the files be loaded, and what they import, as if for the first time.

        When that fails, what was loaded before goes on with its own modules.
        """
        names = {name for file in self.files for name in modules_beside(file)} - self.installed
        before = {name: sys.modules.pop(name) for name in names}
        if MODULE in sys.modules:
            before[MODULE] = sys.modules[MODULE]
        try:
            yield
        except BaseException:
            sys.modules.update(before)
            raise


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
    problem = problem_of_file(path)
    if problem or spec is None or spec.loader is None:
        reason = problem if problem not in (None, "is no file") else "is no file with Python in it"
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
