"""Certificates in force: read again when their files change, and looked at for their end."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from mwl import telemetry
from mwl.errors import ConfigError
from mwl.tls.contexts import PemFile
from mwl.tls.expiry import ends_in

LOOK_EVERY_S = 60.0
"""Seconds between looks at the files."""

WARN_DAYS = 30
"""Days before its end from which a certificate is warned of."""

WARN_EVERY_S = 86_400.0
"""Seconds between two warnings of one certificate."""

_DAY_S = 86_400


class Certificates:
    """A TLS context that follows the files it is made of.

    Args:
        make: Makes a context of the files as they are now; raises ConfigError.
        files: The files.

    Attributes:
        context: The one in force.
        make: Makes one.
        files: The files.
        stamps: What tells that a file changed.
        ends: Until when what is in force is valid, by file: of several certificates the one that
            ends first; a file without any has none.

    Raises:
        ConfigError: No context can be made.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Sequence[PemFile]) -> None:
        self.make = make
        self.files = files
        self.stamps = self._look()
        self.context = make()
        self.ends = dict(_ends(files))

    def refresh(self) -> bool:
        """Read the files again if they changed; tell whether others are in force now.

        Raises:
            ConfigError: They cannot be used: the old ones stay in force.
        """
        stamps = self._look()
        if stamps == self.stamps:
            return False
        self.stamps = stamps
        self.context = self.make()
        self.ends = dict(_ends(self.files))
        return True

    def take_over(self, other: "Certificates") -> bool:
        """Put other files in force, read already; tell whether anything changed."""
        has_changed = (self.files, self.stamps) != (other.files, other.stamps)
        self.make, self.files, self.stamps = other.make, other.files, other.stamps
        self.context, self.ends = other.context, other.ends
        return has_changed

    def following(self) -> ssl.SSLContext:
        """Give a context for who keeps one: each handshake takes the one that is in force."""
        outer = self.make()

        def choose(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
            connection.context = self.context

        outer.sni_callback = choose
        return outer

    def days_left(self) -> Iterator[tuple[PemFile, float]]:
        """Give the days for which each file in force is valid, less than none when it is not."""
        now = datetime.now(UTC)
        for file, end in self.ends.items():
            yield file, (end - now).total_seconds() / _DAY_S

    def _look(self) -> list[tuple[int, ...] | None]:
        return [_stamp(file) for file in self.files]


def _ends(files: Sequence[PemFile]) -> Iterator[tuple[PemFile, datetime]]:
    for file in files:
        with suppress(OSError, ValueError):
            if ends := ends_in(file.path):
                yield file, min(ends)


def _stamp(file: PemFile) -> tuple[int, ...] | None:
    try:
        status = file.path.stat()
    except OSError:
        return None
    # The time of the last change of the file's description, too: who may read it is one.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Watch:
    """Looks at certificates while the server runs.

    Args:
        loop: The loop to look on.
        every: The certificates.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, every: Sequence[Certificates]) -> None:
        self._loop = loop
        self._every = every
        self._next: asyncio.TimerHandle | None = None
        self._warned: dict[PemFile, float] = {}

    def start(self) -> None:
        """Look now, and from then on."""
        self._warn()
        self._next = self._loop.call_later(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()

    def refresh(self) -> list[ConfigError]:
        """Read what changed; give what could not be read, where the old ones stay in force."""
        errors = []
        for certificates in self._every:
            try:
                if certificates.refresh():
                    telemetry.emit("certificates_loaded", files=_paths(certificates))
                    self._warned.clear()
            except ConfigError as error:
                telemetry.emit("certificates_kept", files=_paths(certificates), error=error)
                errors.append(error)
        self._warn()
        return errors

    def days_left(self) -> Mapping[str, float]:
        """Give the days left by the option that names the file."""
        return {
            file.option: days
            for certificates in self._every
            for file, days in certificates.days_left()
        }

    def _look(self) -> None:
        self._next = self._loop.call_later(LOOK_EVERY_S, self._look)
        self.refresh()

    def _warn(self) -> None:
        now = self._loop.time()
        for certificates in self._every:
            for file, days in certificates.days_left():
                if days < WARN_DAYS and now - self._warned.get(file, -WARN_EVERY_S) >= WARN_EVERY_S:
                    self._warned[file] = now
                    telemetry.emit(
                        "certificate_expires",
                        option=file.option,
                        file=str(file.path),
                        days=round(days, 1),
                    )


def _paths(certificates: Certificates) -> list[str]:
    return [str(file.path) for file in certificates.files]
