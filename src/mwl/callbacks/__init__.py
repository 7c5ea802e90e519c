"""Callbacks: what a site's own scripts and hooks do to a query.

`mwl.find` asks here, in this order: the query hooks, each with what the one before gave (Lua first,
then native); the Python script, whose callback gives all the answers; or candidates beside those of
the folder; then the answer hooks. Each step yields futures: "wait for this".

    view     what hooks see             journal      what callbacks write into the log
    lua      Lua scripts                runner       threads and their time limit
    python   the module `orthanc`       loading      Python files
    native   functions of `mwl.hook`    coroutines   those that are async
                                        http_client  what scripts ask over HTTP
"""

import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mwl.callbacks.http_client import Rest, no_rest
from mwl.callbacks.journal import Journal
from mwl.callbacks.loading import Imports
from mwl.callbacks.native import Candidate, NativeHooks, Parse, load
from mwl.callbacks.python import Answered, Asked, ChangeType, PythonScript
from mwl.callbacks.runner import Limits
from mwl.callbacks.view import Dataset, Event, HttpRequest, ItemEvent, Origin, QueryEvent
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Elements,
    decode,
    encode,
    encode_file,
)
from mwl.item import WorklistItem
from mwl.matching import Query

if TYPE_CHECKING:
    from mwl.callbacks.lua import LuaScripts

__all__ = [
    "Answered",
    "Callbacks",
    "Candidate",
    "Dataset",
    "Event",
    "HttpRequest",
    "ItemEvent",
    "Origin",
    "QueryEvent",
    "Settings",
]

SWITCH_INTERVAL_S = 0.0002
"""Seconds that a busy thread keeps Python from the others. While a hook ran in circles, a query
beside it took 66 ms with Python's 5 ms, and 1.4 ms with this; without a hook it took 1.3 ms."""

_Result = TypeVar("_Result")

Waiting = Generator[Future[Any], None, _Result]
"""Yields what is to be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which callbacks a site has.

    Args:
        lua_scripts: Lua files, in order.
        python_script: Python file for the module `orthanc`.
        hooks: Files of hooks, and names of entry points.
        timeout_s: Longest time that one call may take, in seconds.
        parse: Makes the items of a worklist file.
        default_character_set: Set of data sets that name none.
        configuration: The configuration as the files have it, for scripts.
        hides_values: Whether the log has errors without what may be a value (`DeidentifyLogs`).
    """

    lua_scripts: tuple[Path, ...] = ()
    python_script: Path | None = None
    hooks: tuple[Path | str, ...] = ()
    timeout_s: float = 5.0
    parse: Parse
    default_character_set: CharacterSet
    configuration: Mapping[str, Any]
    hides_values: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether the site has none."""
        return not (self.lua_scripts or self.python_script or self.hooks)

    @property
    def python_files(self) -> tuple[Path, ...]:
        """The files that are Python."""
        files = (self.python_script, *self.hooks)
        return tuple(file for file in files if isinstance(file, Path))


class Callbacks:
    """The callbacks of a site.

    Args:
        settings: Which they are.
        before: Those that these will take the place of: what they imported is imported anew.
        through: Runs a function where the log is written, when this is another thread.

    Raises:
        ConfigError: A script cannot be loaded.

    Attributes:
        rest: What scripts ask this server's HTTP API with; set when there is one.
        imports: What the scripts import from beside them.
    """

    def __init__(
        self,
        settings: Settings,
        before: "Callbacks | None" = None,
        through: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.rest: Rest = no_rest
        self._switch_interval_s: float | None = None
        """What it was before `started`."""
        self._has_started = False
        self._default = settings.default_character_set
        self._journal = Journal(through, hides_values=settings.hides_values)
        given = None if before is None else before.imports
        self.imports: Imports = Imports.of(settings.python_files, given)
        with self.imports.anew():
            self._load(settings)

    def _load(self, settings: Settings) -> None:
        self._limits = limits = Limits(settings.timeout_s, self._report_left_behind)
        self._lua = self._load_lua(settings)
        self._python: PythonScript | None = None
        if settings.python_script is not None:
            self._python = PythonScript(
                settings.python_script,
                limits,
                self._journal,
                settings.configuration,
                self._ask_rest,
                settings.parse,
                self._default,
            )
        hooks = load(settings.hooks)
        self._native = NativeHooks(hooks, limits, self._journal, settings.parse, self._default)
        self._has_query_hooks = bool(hooks["query"])
        self.answers_alone = self._python is not None and self._python.answers
        """Whether a script gives all the answers."""
        self.has_candidates = bool(hooks["candidates"]) and not self.answers_alone
        """Whether hooks give items beside those of the folder."""
        self.edits = bool(hooks["answer"])
        """Whether answers may be changed."""
        self.leave_answers = not (self.answers_alone or self.has_candidates or self.edits)
        """Whether a query, once rewritten, is answered as ever."""
        self.hears_events = bool(hooks["event"])
        """Whether somebody hears of events."""

    @property
    def rewrites(self) -> bool:
        """Whether queries may be changed."""
        return self._has_query_hooks or bool(self._lua and self._lua.has_filter)

    @property
    def filters_http(self) -> bool:
        """Whether a script decides who may use HTTP."""
        return bool(self._lua and self._lua.has_http_filter)

    @property
    def never_called(self) -> list[str]:
        """Callbacks of Orthanc that a script defines, and that never happen here."""
        return [] if self._lua is None else self._lua.never_called

    def started(
        self,
        through: Callable[[Callable[[], None]], object],
        before: "Callbacks | None" = None,
    ) -> None:
        """Let the log be written where the server runs, and tell scripts that it does.

        Args:
            through: Runs a function there: `call_soon_threadsafe` of its loop.
            before: Those that these take the place of.
        """
        if self._has_started:
            return
        self._has_started = True
        self._journal.through = through
        given = None if before is None else before.give_up_switch_interval()
        self._switch_interval_s = sys.getswitchinterval() if given is None else given
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        if self.never_called:
            self._journal.emit("callback_never_called", functions=self.never_called)
        if self._lua is not None:
            self._lua.start()
        if self._python is not None and self._python.hears_changes:
            self._python.tell(ChangeType.ORTHANC_STARTED)

    def give_up_switch_interval(self) -> float | None:
        """Leave it to others to put back the interval that there was; give it."""
        given, self._switch_interval_s = self._switch_interval_s, None
        return given

    def close(self, *, server_runs: bool = False) -> None:
        """End the threads, as far as they end.

        Args:
            server_runs: Whether the log is still written where the server runs.
        """
        if not server_runs:
            self._journal.through = Journal().through
        if self._switch_interval_s is not None:
            sys.setswitchinterval(self._switch_interval_s)
        if self._python is not None:
            if self._has_started and self._python.hears_changes:
                self._python.tell(ChangeType.ORTHANC_STOPPED)
            self._python.close()
        if self._lua is not None:
            self._lua.close()
        self._native.close()

    # What `mwl.find` asks.

    def rewritten(self, elements: Elements, origin: Origin) -> Waiting[Elements]:
        """Let the query hooks change a query.

        Raises:
            RequestRefused: One refused it, failed, or took too long.
        """
        if self._lua is not None and self._lua.has_filter:
            elements = yield from _wait(self._lua.rewrite(elements, self._default, origin))
        for hook in self._native.of("query"):
            elements = yield from _wait(self._native.rewrite(hook, elements, origin))
        return elements

    def answered(self, query: Query, elements: Elements, origin: Origin) -> Waiting[Answered]:
        """Let the Python script answer a query.

        Raises:
            RequestRefused: It failed, or took too long.
        """
        if self._python is None:
            raise ValueError("there is no script that answers")
        identifier = encode_file(elements, EXPLICIT_VR_LITTLE_ENDIAN)
        return (yield from _wait(self._python.find(Asked(query, identifier, origin))))

    def candidates(
        self, query: Query, elements: Elements, origin: Origin
    ) -> Waiting[list[Candidate]]:
        """Let the hooks give items for a query, all at once.

        Raises:
            RequestRefused: One refused the query, failed, or took too long.
        """
        futures = [
            self._native.candidates(hook, query, elements, origin)
            for hook in self._native.of("candidates")
        ]
        found = yield from _wait_for_all(futures)
        return [item for items in found for item in items]

    def edited(
        self, answers: Iterable[bytes], transfer_syntax: str, origin: Origin
    ) -> Waiting[list[bytes]]:
        """Let the answer hooks change some answers, encoded; several at once.

        Raises:
            RequestRefused: One failed, or took too long.
        """
        found: Sequence[Elements] = [decode(answer, transfer_syntax) for answer in answers]
        for hook in self._native.of("answer"):
            futures = [self._native.edit(hook, each, origin) for each in found]
            found = yield from _wait_for_all(futures)
        return [encode(each.values(), transfer_syntax) for each in found]

    # What others ask.

    def admit(self, request: HttpRequest) -> Future[bool]:
        """Ask the script whether a request over HTTP may pass, where `filters_http` says so.

        The future fails with `RequestRefused` when the script failed or took too long.
        """
        if self._lua is None:
            raise ValueError("there is no script that decides")
        return self._lua.admit(request)

    def tell(self, event: Event) -> None:
        """Tell the event hooks; nobody waits for them."""
        self._native.tell(event)

    def tell_items(self, removed: Sequence[WorklistItem], added: Sequence[WorklistItem]) -> None:
        """Tell the event hooks of a file that came, changed or went."""
        sources = [*removed, *added]
        if sources:
            self.tell(ItemEvent("put" if added else "removed", sources[-1].source, tuple(added)))

    def execute_lua(self, text: str) -> Future[str]:
        """Run a piece of Lua where the site's scripts are; give what it prints.

        Raises:
            ConfigError: lupa is not installed.
        """
        if self._lua is None:
            self._lua = self._lua_of((), {})
        return self._lua.execute(text)

    def _load_lua(self, settings: Settings) -> "LuaScripts | None":
        if not settings.lua_scripts:
            return None
        return self._lua_of(settings.lua_scripts, settings.configuration)

    def _lua_of(self, paths: tuple[Path, ...], configuration: Mapping[str, Any]) -> "LuaScripts":
        from mwl.callbacks.lua import LuaScripts  # noqa: PLC0415 - lupa is an extra

        return LuaScripts(paths, self._limits, self._journal, configuration, self._ask_rest)

    def _ask_rest(
        self, method: str, uri: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        return self.rest(method, uri, body, headers)

    def _report_left_behind(self, name: str, count: int) -> None:
        self._journal.emit("callback_left_behind", thread=name, left_behind=count)


def _wait(future: Future[_Result]) -> Waiting[_Result]:
    """Wait for a future; whoever closes the generator gives it up."""
    try:
        while not future.done():
            yield future
        return future.result()
    finally:
        future.cancel()


def _wait_for_all(futures: Sequence[Future[_Result]]) -> Waiting[list[_Result]]:
    try:
        for future in futures:
            yield from _wait(future)
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
