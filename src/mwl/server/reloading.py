"""A configuration read anew: all that may fail happens before any of it is in force.

`prepare` runs in a thread of its own, for scripts may take their time to be loaded. Taking it over
is the server's (`mwl.server.running`), in one turn of the event loop.
"""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from mwl.callbacks import Callbacks
from mwl.config import OPTIONS, Config, Loaded, Note, Option, require_worklist
from mwl.errors import ConfigError
from mwl.net.certificates import Certificates
from mwl.net.connections import Connections
from mwl.server.log import ConfiguredLog
from mwl.server.serving import dicom_certificates, https_certificates
from mwl.site import Worklists

PREPARING_S = 60.0
"""Seconds for a configuration to be read and its scripts to be loaded; then it counts as wrong."""

LOOK_AGAIN_S = 1.0
"""Seconds between looks whether queries still use scripts that others took the place of."""

Read = Callable[[], Loaded]
"""Reads the configuration; raises a ConfigError."""

Through = Callable[[Callable[[], None]], object]
"""Runs a function in the thread of the server."""

_Result = TypeVar("_Result")


class Changes(NamedTuple):
    """What a configuration changes for a server that runs.

    Args:
        config: What will be in force: the new one, but for the options that need a restart.
        changed: Options that change, by name.
        needs_restart: Options that would change, and need a restart.
    """

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def changes(running: Config, new: Config) -> Changes:
    """Tell what a configuration changes for a server that runs with another."""
    differing = [option for option in OPTIONS if _value(running, option) != _value(new, option)]
    kept = [option for option in differing if option.needs_restart]
    values: dict[str, Any] = {
        option.field: _value(running, option) for option in kept if not option.section
    }
    for section in {option.section.lower() for option in kept if option.section}:
        fields = {
            option.field: _value(running, option)
            for option in kept
            if option.section.lower() == section
        }
        values[section] = dataclasses.replace(getattr(new, section), **fields)
    config = dataclasses.replace(
        new,
        **values,
        loopback_may_query=running.loopback_may_query,
        http_may_fail=running.http_may_fail,
    )
    return Changes(
        config,
        tuple(option.name for option in differing if not option.needs_restart),
        tuple(option.name for option in kept),
    )


def _value(config: Config, option: Option) -> object:
    holder = getattr(config, option.section.lower()) if option.section else config
    return getattr(holder, option.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A configuration that can be taken over; nothing of it is in force.

    Args:
        changes: What it changes.
        notes: What to tell the operator about it.
        log: Its log, open.
        tls: Its certificates of DICOM over TLS, read.
        https: Its certificates of HTTPS, read.
        callbacks: Its scripts and hooks, loaded.
    """

    changes: Changes
    notes: list[Note]
    log: ConfiguredLog
    tls: Certificates | None
    https: Certificates | None
    callbacks: Callbacks | None

    def discard(self) -> None:
        """Give it up."""
        self.log.discard()
        if self.callbacks is not None:
            self.callbacks.close(server_runs=True)


def prepare(read: Read, running: Config, worklists: Worklists, through: Through) -> Prepared:
    """Read the configuration and make ready all that it needs.

    Args:
        read: Reads it.
        running: The one in force.
        worklists: The worklists that are served.
        through: Runs a function where the log is written.

    Raises:
        ConfigError: There is something wrong with it.
    """
    loaded = read()
    require_worklist(loaded)
    try:
        return _prepare(loaded, running, worklists, through)
    except ConfigError as error:
        place = loaded.origins.get(error.option or "")
        if place is not None and error.file is None:
            error.file, error.line = str(place.file), place.line
        raise


def _prepare(loaded: Loaded, running: Config, worklists: Worklists, through: Through) -> Prepared:
    found = changes(running, loaded.config)
    config = found.config
    if "Worklists.Database" in found.changed and not worklists.can_be_listed(config):
        raise ConfigError(
            f"{config.worklists.database} cannot be read as a folder", option="Worklists.Database"
        )
    tls, https = dicom_certificates(loaded.config), https_certificates(loaded.config)
    log = ConfiguredLog(config)
    try:
        callbacks = worklists.load_callbacks(config, through)
    except BaseException:
        log.discard()
        raise
    return Prepared(
        changes=found, notes=loaded.notes, log=log, tls=tls, https=https, callbacks=callbacks
    )


async def in_own_thread(
    function: Callable[[], _Result], late: Callable[[_Result], None]
) -> _Result:
    """Wait for a function that runs in a thread of its own, which keeps nobody from ending.

    Args:
        function: What is to run.
        late: Is given its result when nobody waits for it any more.

    Raises:
        ConfigError: It takes longer than `PREPARING_S`.
    """
    done: Future[_Result] = Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            if done.set_running_or_notify_cancel():
                done.set_exception(error)
        else:
            if done.set_running_or_notify_cancel():
                done.set_result(result)
            else:
                late(result)

    threading.Thread(target=run, name="reload", daemon=True).start()
    try:
        async with asyncio.timeout(PREPARING_S):
            return await asyncio.wrap_future(done)
    except TimeoutError:
        raise ConfigError(
            f"it took longer than {PREPARING_S:g} s to read the configuration and load its scripts"
        ) from None


class Retired:
    """Callbacks that others took the place of: closed when no query needs them any more.

    Args:
        loop: Where to look.
        callbacks: Which.
        connections: Those whose queries may need them.
        after_s: Seconds until the first look, for what is no query.

    Attributes:
        is_closed: Whether they are.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        callbacks: Callbacks,
        connections: Connections,
        after_s: float,
    ) -> None:
        self._loop = loop
        self._callbacks = callbacks
        self._connections = connections
        self._at_work = connections.at_work()
        self._next_look = loop.call_later(after_s, self._look)
        self.is_closed = False

    def _look(self) -> None:
        if self._at_work & self._connections.at_work():
            self._next_look = self._loop.call_later(LOOK_AGAIN_S, self._look)
            return
        self.is_closed = True
        # Its threads may take a moment to end.
        close = partial(self._callbacks.close, server_runs=True)
        threading.Thread(target=close, name="retired callbacks", daemon=True).start()

    def close(self) -> None:
        """Close them now."""
        if not self.is_closed:
            self.is_closed = True
            self._next_look.cancel()
            self._callbacks.close()
