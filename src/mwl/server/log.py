"""The log as a configuration wants it."""

import os
import sys
from collections.abc import Iterable
from typing import Self

from mwl import telemetry
from mwl.config import Config, Loaded, Note
from mwl.errors import ConfigError
from mwl.log_sink import LogFile


class ConfiguredLog:
    """The log of a server: its file is open, and nothing goes there before `use`.

    Args:
        config: What it is to be.

    Raises:
        ConfigError: The file cannot be written to.
    """

    def __init__(self, config: Config) -> None:
        self._level = config.log_level
        self._format = config.log_format
        self._hides_error_texts = config.deidentify_logs
        self._file: LogFile | None = None
        if config.log_file is not None:
            try:
                self._file = LogFile(config.log_file)
            except OSError as error:
                raise ConfigError(
                    f"cannot write to {config.log_file}: {os.strerror(error.errno or 0)}",
                    option="LogFile",
                    hint="its folder must be there and writable for the user of the server",
                ) from error

    def use(self, *, keeps_level: bool = False) -> Self:
        """Let the log go there from now on.

        Args:
            keeps_level: Whether as much is written as until now.
        """
        level = telemetry.verbosity() if keeps_level else self._level
        telemetry.configure(
            level,
            self._format,
            self._file or sys.stderr,
            hides_error_texts=self._hides_error_texts,
        )
        return self

    def discard(self) -> None:
        """Close what is not used."""
        if self._file is not None:
            self._file.close()


NOTE_EVENTS = {"warning": "config_warning", "ignored": "config_ignored"}
"""Log event of each kind of note."""


def report_notes(notes: Iterable[Note]) -> None:
    """Log what the operator should know about a configuration that can be used."""
    for note in notes:
        telemetry.emit(
            NOTE_EVENTS[note.kind],
            option=note.option,
            message=note.message,
            hint=note.hint,
            file=note.file,
            line=note.line,
        )


def begin_log(loaded: Loaded) -> None:
    """Let the log go where a configuration wants it, and tell in it what is odd about that one.

    Raises:
        ConfigError: Its file cannot be written to.
    """
    ConfiguredLog(loaded.config).use()
    report_notes(loaded.notes)
