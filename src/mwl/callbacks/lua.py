"""Lua scripts as Orthanc runs them: its callbacks that have to do with queries and with HTTP.

All scripts of a site share one Lua, as in Orthanc: what a later one defines takes the place of what
an earlier one did. The only importer of lupa.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from mwl.callbacks.error_texts import LuaTexts, Nonsense
from mwl.callbacks.http_client import Rest
from mwl.callbacks.journal import FAILURE, Journal
from mwl.callbacks.lua_helpers import Helpers
from mwl.callbacks.lua_prelude import ENCODING, LOAD, OF_LUA_5_2, PRELUDE, shown
from mwl.callbacks.runner import FAILED, Interrupted, Late, Limits, Worker
from mwl.callbacks.view import HttpRequest, Origin
from mwl.dataset import (
    CharacterSet,
    Elements,
    character_set,
    from_orthanc_json,
    to_orthanc_json,
)
from mwl.errors import ConfigError, DatasetError, InputError, RequestRefused

FILTER = "IncomingWorklistRequestFilter"
"""The function that rewrites queries."""

HTTP_FILTER = "IncomingHttpRequestFilter"
"""The function that decides who may use HTTP."""

INITIALIZE, FINALIZE = "Initialize", "Finalize"
"""The functions that are called before all others, and when the server ends."""

CALLED = (FILTER, HTTP_FILTER, INITIALIZE, FINALIZE)
"""The functions that are called here."""

EXECUTE = "execute-script"
"""What a piece of Lua is called in the log that came over HTTP."""

NEVER_CALLED = (
    *("IncomingFindRequestFilter", "OutgoingFindRequestFilter"),
    *("ReceivedCStoreInstanceFilter", "ReceivedInstanceFilter", "OnStoredInstance", "OnHeartBeat"),
    *("OnDeletedInstance", "OnDeletedPatient", "OnDeletedSeries", "OnDeletedStudy"),
    *("OnUpdatedInstance", "OnUpdatedPatient", "OnUpdatedSeries", "OnUpdatedStudy"),
    *("OnStablePatient", "OnStableSeries", "OnStableStudy"),
    *("OnJobFailure", "OnJobSubmitted", "OnJobSuccess"),
)
"""Orthanc's other callbacks: of images, jobs and time."""

EARLIER = 0.9
"""Share of the time limit after which a script is interrupted."""

NESTING_LIMIT = 64
"""Tables within each other that are read; one that holds itself has no end."""

_Result = TypeVar("_Result")

_ERROR = re.compile(r"(?s)(?P<script>[^\n:]+):(?P<line>\d+): (?P<message>[^\n]*)(?P<rest>.*)")


def lupa() -> ModuleType:
    """Give lupa's Lua 5.3, which Orthanc has, or the nearest that there is.

    Raises:
        ConfigError: lupa is not installed.
    """
    try:
        import lupa as found  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "Lua scripts need the package lupa, which is not installed",
            option="LuaScripts",
            hint="pip install mwl[lua]",
        ) from None
    with suppress(ImportError):
        from lupa import lua53 as found  # noqa: PLC0415 - an extra
    return cast("ModuleType", found)


class LuaScripts:
    """The Lua of a site.

    Args:
        paths: The scripts, in order.
        limits: Time limit.
        journal: Where failures and what scripts print go.
        configuration: What `GetOrthancConfiguration` gives.
        rest: What `RestApiGet` and the others call.

    Raises:
        ConfigError: lupa is missing, or a script cannot be read, or is no Lua, or fails.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        limits: Limits,
        journal: Journal,
        configuration: Mapping[str, Any],
        rest: Rest,
    ) -> None:
        self._paths = tuple(paths)
        self._limits = limits
        self._journal = journal
        self._configuration = configuration
        self._rest = rest
        first = self._load()
        self._defined = first.defined()
        self._worker = Worker("Lua scripts", limits, self._load_again, [first])

    @property
    def has_filter(self) -> bool:
        """Whether a script wants to change queries."""
        return FILTER in self._defined

    @property
    def has_http_filter(self) -> bool:
        """Whether a script decides who may use HTTP."""
        return HTTP_FILTER in self._defined

    @property
    def never_called(self) -> list[str]:
        """Callbacks of Orthanc that a script defines, and that never happen here."""
        return [name for name in NEVER_CALLED if name in self._defined]

    def rewrite(
        self, elements: Elements, default: CharacterSet, origin: Origin
    ) -> Future[Elements]:
        """Let the filter change a query."""
        return self._submit(FILTER, lambda state: state.rewrite(elements, default, origin))

    def admit(self, request: HttpRequest) -> Future[bool]:
        """Let the filter of HTTP decide on a request."""
        return self._submit(HTTP_FILTER, lambda state: state.admit(request))

    def execute(self, text: str) -> Future[str]:
        """Run a piece of Lua; give what it prints."""
        return self._submit(EXECUTE, lambda state: state.execute(text))

    def start(self) -> None:
        """Let the scripts begin, before anything else is asked of them."""
        if INITIALIZE in self._defined:
            self._submit(INITIALIZE, lambda state: None)

    def close(self) -> None:
        """Let the scripts end, and their thread."""
        if FINALIZE in self._defined:
            self._worker.submit(lambda state: state.finalize(), self._late_in(FINALIZE))
        self._worker.close()

    def _submit(self, callback: str, function: Callable[["_State"], _Result]) -> Future[_Result]:
        def call(state: "_State") -> _Result:
            state.initialize()
            try:
                return function(state)
            finally:
                # What was there once is asked for ever: a filter that went fails, and lets nobody
                # in. Only a piece of Lua that an operator has run can take it away.
                defined = state.defined()
                self._defined = defined if callback == EXECUTE else self._defined | defined

        return self._worker.submit(call, self._late_in(callback))

    def _late_in(self, callback: str) -> Late:
        """Tell of a script that is not in Lua now, so that Lua cannot say where it is."""
        scripts = ", ".join(map(str, self._paths))
        return lambda stack: self._journal.late(callback, stack, scripts, self._limits.seconds)

    def _load_again(self) -> "_State":
        try:
            return self._load()
        except ConfigError as error:
            raise self._journal.failed("loading again", error, error.file or "") from None

    def _load(self) -> "_State":
        return _State(self._paths, self._limits, self._journal, self._configuration, self._rest)


class _State:
    """One Lua with the scripts in it."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        limits: Limits,
        journal: Journal,
        configuration: Mapping[str, Any],
        rest: Rest,
    ) -> None:
        self._journal = journal
        self._limits = limits
        self._scripts = {path.name: str(path) for path in paths}
        self._deadline = float("inf")
        self._traceback = ""
        self._printed: list[str] | None = None
        self._is_initialized = False
        self._lupa = lupa()
        self._lua = self._lupa.LuaRuntime(
            encoding=ENCODING,
            source_encoding="utf-8",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        prelude = self._compiled(PRELUDE, "=mwl")
        self._guarded, wrapped = prelude(self._is_late, self._stop, self._say)
        # Of Lua 5.3: one that is older has all of it, but not the operators.
        with suppress(self._lupa.LuaError):
            self._compiled(OF_LUA_5_2, "=mwl")()
        self._sources = [PRELUDE]
        self._texts = LuaTexts(self._scripts, self._sources)
        helpers = Helpers(self, self._say, journal, self._texts, configuration, rest)
        for name, helper in helpers.functions().items():
            self._lua.globals()[name] = wrapped(_telling(helper))
        for path in paths:
            self._run_file(path)

    def defined(self) -> frozenset[str]:
        """Give the callbacks of Orthanc that the scripts define."""
        found = self._lua.globals()
        return frozenset(
            name
            for name in (*CALLED, *NEVER_CALLED)
            if self._lupa.lua_type(found[name]) == "function"
        )

    def initialize(self) -> None:
        """Let the scripts begin, unless they have.

        Raises:
            RequestRefused: They cannot: they try again when they are asked again.
        """
        if self._is_initialized:
            return
        if INITIALIZE in self.defined():
            self._answer_of(INITIALIZE, read=_nothing)
        self._is_initialized = True

    def finalize(self) -> None:
        """Let the scripts end, if they have begun."""
        if self._is_initialized:
            self._answer_of(FINALIZE, read=_nothing)

    def rewrite(self, elements: Elements, default: CharacterSet, origin: Origin) -> Elements:
        """Call the filter with a query and make a query of what it returns."""
        query = to_orthanc_json(elements, _characters(elements, default))
        caller = {
            "RemoteIp": origin.host,
            "RemoteAet": origin.calling_ae_title,
            "CalledAet": origin.called_ae_title,
            "Manufacturer": "Generic",
        }
        return self._answer_of(
            FILTER,
            self.table(query),
            self.table(caller),
            read=lambda found: _query_of(self.plain(found)),
        )

    def admit(self, request: HttpRequest) -> bool:
        """Call the filter of HTTP with a request."""
        headers = self.table(request.headers)
        arguments = (request.method, request.uri, request.host, request.user, headers)
        return self._answer_of(HTTP_FILTER, *arguments, read=_yes_or_no)

    def _answer_of(
        self,
        name: str,
        *arguments: Any,
        read: Callable[[Any], _Result],
    ) -> _Result:
        """Call a callback and read what it returns.

        Raises:
            RequestRefused: It failed, or returned nonsense.
        """
        try:
            return read(self._call(self._lua.globals()[name], *arguments))
        except Interrupted:
            stack = self._traceback
            if self._journal.hides_values:
                stack = self._texts.traceback(stack)
            said = f"took longer than {self._limits.seconds:g} s (CallbackTimeout)"
            self._tell(name, stack, said, stack)
            raise
        except Exception as error:  # noqa: BLE001 - the edge: whatever a script raises
            raise self.failed(name, error) from None

    def execute(self, text: str) -> str:
        """Run a piece of Lua and give what it prints."""
        self._printed = []
        try:
            self._call(self._compiled(text, "=script"))
        except Exception as error:  # noqa: BLE001 - the edge: whatever a script raises
            raise InputError(shown(str(error)).partition("\n")[0]) from None
        finally:
            printed, self._printed = self._printed, None
        return "".join(printed or ())

    def failed(self, callback: str, error: Exception) -> RequestRefused:
        """Report what a script did wrong."""
        text = shown(str(error))
        said, _, stack = text.partition("\n")
        if self._journal.hides_values and not isinstance(error, Nonsense):
            found = self._texts.of(text)
            said, stack = found.place + found.text, found.traceback
            text = found.place + found.traceback
        self._tell(callback, text, said, stack)
        return RequestRefused(FAILED, FAILURE)

    def _tell(self, callback: str, places: str, said: str, stack: str) -> None:
        self._journal.emit(
            "callback_failed",
            callback=callback,
            **self._place(places),
            error=said,
            traceback=stack or None,
        )

    def _say(self, kind: str, text: str) -> None:
        """Take what a script says: "output" of print, or a level of the log."""
        if kind == "output" and self._printed is not None:
            self._printed.append(f"{shown(text)}\n")
        else:
            self._journal.log(kind, shown(text))

    def table(self, value: Any) -> Any:
        """Give a value of JSON as Lua has it."""
        if isinstance(value, Mapping):
            return self._lua.table_from({key: self.table(each) for key, each in value.items()})
        if isinstance(value, list | tuple):
            return self._lua.table_from([self.table(each) for each in value])
        return value

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Give a value of Lua as JSON has it: a table with the keys 1 to n is an array.

        Raises:
            InputError: It is no value of JSON.
        """
        kind = self._lupa.lua_type(value)
        if kind is None and (value is None or isinstance(value, str | int | float)):
            return value
        if kind != "table":
            raise Nonsense(f"a {kind or type(value).__name__} is no value")
        if depth == NESTING_LIMIT:
            raise Nonsense(f"more than {NESTING_LIMIT} tables within each other")
        pairs = {key: self.plain(each, depth + 1) for key, each in value.items()}
        if set(pairs) == set(range(1, len(pairs) + 1)):
            return [pairs[number] for number in range(1, len(pairs) + 1)]
        return {str(key): each for key, each in pairs.items()}

    def _call(self, function: Any, *arguments: Any) -> Any:
        # Before the clock does it: here the line is known that a script is at.
        self._deadline = time.monotonic() + self._limits.seconds * EARLIER
        try:
            return self._guarded(function, *arguments)
        finally:
            self._deadline = float("inf")

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _stop(self, place: str) -> None:
        self._traceback = shown(place.strip())
        raise Interrupted

    def _compiled(self, text: str, name: str) -> Any:
        return self._lua.execute(LOAD, text, name)

    def _run_file(self, path: Path) -> None:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}", file=str(path), option="LuaScripts"
            ) from error
        try:
            self._call(self._compiled_bytes(text, f"={path.name}"))
        except Exception as error:  # noqa: BLE001 - the edge: whatever a script raises
            place = _ERROR.match(str(error))
            raise ConfigError(
                shown(place["message"] if place else str(error).partition("\n")[0]),
                file=str(path),
                line=int(place["line"]) if place else None,
                option="LuaScripts",
            ) from None
        except Interrupted:
            raise ConfigError(
                f"takes longer than {self._limits.seconds:g} s",
                file=str(path),
                option="LuaScripts",
            ) from None

    def _compiled_bytes(self, text: bytes, name: str) -> Any:
        self._sources.append(text.decode("utf-8", "replace"))
        # As the `lua` command: a mark of UTF-8 and a first line for the shell are none of Lua's.
        text = text.removeprefix(b"\xef\xbb\xbf")
        if text.startswith(b"#"):
            text = b"--" + text
        return self._lua.execute(LOAD, text, name)

    def _place(self, text: str) -> dict[str, Any]:
        """Find the innermost script and line that a message of Lua names."""
        for name, line in re.findall(r"([^\s:]+):(\d+):", text):
            if name in self._scripts:
                return {"script": self._scripts[name], "line": int(line)}
        return {"script": ", ".join(self._scripts.values()) or None, "line": None}


def _telling(helper: Callable[..., Any]) -> Callable[..., tuple[bool, Any]]:
    """Let a helper tell whether it succeeded, and its result or why not."""

    def telling(*arguments: Any) -> tuple[bool, Any]:
        try:
            return True, helper(*arguments)
        except Exception as error:  # noqa: BLE001 - the edge: a script may give it anything
            return False, str(error) or type(error).__name__

    return telling


def _no_attributes(_: object, name: str, is_setting: bool) -> str:
    raise AttributeError(f"{name} is not for scripts" + (" to set" if is_setting else ""))


def _characters(elements: Elements, default: CharacterSet) -> CharacterSet:
    try:
        return character_set(elements, default)
    except DatasetError:
        return default


def _nothing(_: object) -> None:
    """Read a value that means nothing."""


def _yes_or_no(returned: Any) -> bool:
    if not isinstance(returned, bool):
        raise Nonsense(f"{HTTP_FILTER} must return true or false")
    return returned


def _query_of(returned: Any) -> Elements:
    """Make a query of what the filter returns; text beyond ASCII is UTF-8, as Lua has it."""
    if not isinstance(returned, dict):
        raise Nonsense(f"{FILTER} must return a table of attributes")
    text = json.dumps(returned, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Nonsense(f"{FILTER} returned text that is no utf-8") from None
    if not text.isascii():
        for name in [name for name in returned if name.lower() in _CHARACTER_SET_NAMES]:
            del returned[name]
    return from_orthanc_json(returned)


_CHARACTER_SET_NAMES = frozenset({"0008,0005", "specificcharacterset"})
