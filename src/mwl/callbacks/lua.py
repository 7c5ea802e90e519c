"""Lua scripts as Orthanc runs them: `IncomingWorklistRequestFilter`, and the helpers they use.

All scripts of a site share one Lua, as in Orthanc: what a later one defines takes the place of what
an earlier one did. The only importer of lupa.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from traceback import StackSummary
from types import ModuleType
from typing import Any, cast

from mwl.callbacks.http_client import Http, Rest
from mwl.callbacks.journal import FAILURE, Journal
from mwl.callbacks.runner import FAILED, Interrupted, Limits, Worker
from mwl.callbacks.view import Origin
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

INSTRUCTIONS_BETWEEN_LOOKS = 10_000
"""Instructions of Lua from one look at the clock to the next, about 0.1 ms."""

EARLIER = 0.95
"""Share of the time limit after which a script is interrupted."""

NESTING_LIMIT = 64
"""Tables within each other that are read; one that holds itself has no end."""

_ERROR = re.compile(r"(?s)(?P<script>[^\n:]+):(?P<line>\d+): (?P<message>[^\n]*)(?P<rest>.*)")

# A hook belongs to one coroutine, so every new one gets it too. Once the time is over the hook is
# called at each instruction: what a script catches inside is thrown again outside.
_PRELUDE = """
local is_late, stop = ...
local sethook, create, resume = debug.sethook, coroutine.create, coroutine.resume
local function guard()
  if is_late() then
    sethook(guard, '', 1)
    stop(debug.traceback('', 2))
  end
end
local function watched(f)
  return function(...)
    sethook(guard, '', COUNT)
    return f(...)
  end
end
local function looked_at(...)
  guard()
  return ...
end
coroutine.resume = function(co, ...) return looked_at(resume(co, ...)) end
coroutine.create = function(f) return create(watched(f)) end
coroutine.wrap = function(f)
  local co = create(watched(f))
  local function results(ok, ...)
    if not ok then error((...), 0) end
    return ...
  end
  return function(...) return results(resume(co, ...)) end
end
python = nil
return function(f, ...) return watched(f)(...) end
"""

_LOAD = "local text, name = ...; local f, e = load(text, name); if f then return f end error(e, 0)"


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
        self.has_filter = first.has(FILTER)
        self._worker = Worker("Lua scripts", limits, self._load_again, [first])

    def rewrite(
        self, elements: Elements, default: CharacterSet, origin: Origin
    ) -> Future[Elements]:
        """Let the filter change a query."""
        return self._worker.submit(
            lambda state: state.rewrite(elements, default, origin), self._late
        )

    def execute(self, text: str) -> Future[str]:
        """Run a piece of Lua; give what it prints."""
        return self._worker.submit(lambda state: state.execute(text))

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    def _late(self, stack: StackSummary) -> None:
        """Tell of a script that is not in Lua now, so that Lua cannot say where it is."""
        scripts = ", ".join(map(str, self._paths))
        self._journal.late(FILTER, stack, scripts, self._limits.seconds)

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
        self._lupa = lupa()
        self._lua = self._lupa.LuaRuntime(
            encoding="utf-8",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        prelude = _PRELUDE.replace("COUNT", str(INSTRUCTIONS_BETWEEN_LOOKS))
        self._guarded = self._compiled(prelude, "=mwl")(self._is_late, self._stop)
        helpers = _Helpers(self, journal, configuration, rest)
        for name, helper in helpers.functions().items():
            self._lua.globals()[name] = helper
        for path in paths:
            self._run_file(path)

    def has(self, name: str) -> bool:
        return bool(self._lupa.lua_type(self._lua.globals()[name]) == "function")

    def rewrite(self, elements: Elements, default: CharacterSet, origin: Origin) -> Elements:
        """Call the filter with a query and make a query of what it returns."""
        query = to_orthanc_json(elements, _characters(elements, default))
        caller = {
            "RemoteIp": origin.host,
            "RemoteAet": origin.calling_ae_title,
            "CalledAet": origin.called_ae_title,
            "Manufacturer": "Generic",
        }
        with_filter = self._lua.globals()[FILTER]
        try:
            found = self._call(with_filter, self.table(query), self.table(caller))
            return _query_of(self.plain(found))
        except Interrupted:
            self._journal.emit(
                "callback_failed",
                callback=FILTER,
                **self._place(self._traceback),
                error=f"took longer than {self._limits.seconds:g} s (CallbackTimeout)",
                traceback=self._traceback or None,
            )
            raise
        except Exception as error:  # noqa: BLE001 - the edge: whatever a script raises
            raise self.failed(FILTER, error) from None

    def execute(self, text: str) -> str:
        """Run a piece of Lua and give what it prints."""
        self._printed = []
        try:
            self._call(self._compiled(text, "=script"))
        except self._lupa.LuaError as error:
            raise InputError(str(error).partition("\n")[0]) from None
        finally:
            printed, self._printed = self._printed, None
        return "".join(printed or ())

    def failed(self, callback: str, error: Exception) -> RequestRefused:
        """Report what a script did wrong."""
        text = str(error)
        self._journal.emit(
            "callback_failed",
            callback=callback,
            **self._place(text),
            error=text.partition("\n")[0],
            traceback=text.partition("\n")[2] or None,
        )
        return RequestRefused(FAILED, FAILURE)

    def take_output(self, text: str) -> None:
        """Take a line that a script prints."""
        if self._printed is not None:
            self._printed.append(f"{text}\n")
        else:
            self._journal.log("output", text)

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
            raise InputError(f"a {kind or type(value).__name__} is no value")
        if depth == NESTING_LIMIT:
            raise InputError(f"more than {NESTING_LIMIT} tables within each other")
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
        self._traceback = place.strip()
        raise Interrupted

    def _compiled(self, text: str, name: str) -> Any:
        return self._lua.execute(_LOAD, text, name)

    def _run_file(self, path: Path) -> None:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}", file=str(path), option="LuaScripts"
            ) from error
        try:
            self._call(self._compiled_bytes(text, f"={path.name}"))
        except self._lupa.LuaError as error:
            place = _ERROR.match(str(error))
            raise ConfigError(
                place["message"] if place else str(error).partition("\n")[0],
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
        # As the `lua` command: a mark of UTF-8 and a first line for the shell are none of Lua's.
        text = text.removeprefix(b"\xef\xbb\xbf")
        if text.startswith(b"#"):
            text = b"--" + text
        return self._lua.execute(_LOAD, text, name)

    def _place(self, text: str) -> dict[str, Any]:
        """Find the innermost script and line that a message of Lua names."""
        for name, line in re.findall(r"([^\s:]+):(\d+):", text):
            if name in self._scripts:
                return {"script": self._scripts[name], "line": int(line)}
        return {"script": ", ".join(self._scripts.values()) or None, "line": None}


class _Helpers:
    """The functions that Orthanc gives to Lua scripts."""

    def __init__(
        self, state: _State, journal: Journal, configuration: Mapping[str, Any], rest: Rest
    ) -> None:
        self._state = state
        self._journal = journal
        self._configuration = configuration
        self._rest = rest
        self._http = Http()

    def functions(self) -> dict[str, Callable[..., Any]]:
        state = self._state
        return {
            "print": lambda *values: state.take_output("\t".join(map(_shown, values))),
            "PrintRecursive": self._print_recursive,
            "ParseJson": self._parse_json,
            "DumpJson": self._dump_json,
            "GetOrthancConfiguration": lambda: state.table(self._configuration),
            "GenerateUuid": lambda: str(uuid.uuid4()),
            "LogInfo": lambda text: self._log("info", text),
            "LogWarning": lambda text: self._log("warning", text),
            "LogError": lambda text: self._log("error", text),
            "RestApiGet": lambda uri, _=None, headers=None: self._api("GET", uri, "", headers),
            "RestApiPost": lambda uri, body="", _=None, headers=None: self._api(
                "POST", uri, body, headers
            ),
            "RestApiPut": lambda uri, body="", _=None, headers=None: self._api(
                "PUT", uri, body, headers
            ),
            "RestApiDelete": lambda uri, _=None, headers=None: self._api(
                "DELETE", uri, "", headers
            ),
            "HttpGet": lambda url, headers=None: self._web("GET", url, "", headers),
            "HttpPost": lambda url, body="", headers=None: self._web("POST", url, body, headers),
            "HttpPut": lambda url, body="", headers=None: self._web("PUT", url, body, headers),
            "HttpDelete": lambda url, headers=None: self._web("DELETE", url, "", headers),
            "SetHttpTimeout": self._http.set_timeout,
            "SetHttpCredentials": self._http.set_credentials,
        }

    def _print_recursive(self, value: Any) -> None:
        found = self._state.plain(value)
        self._state.take_output(json.dumps(found, ensure_ascii=False, indent=2, sort_keys=True))

    def _parse_json(self, text: str) -> Any:
        return self._state.table(json.loads(text))

    def _dump_json(self, value: Any, keep_strings: bool = False) -> str:
        found = self._state.plain(value)
        return json.dumps(found if keep_strings else _with_numbers(found), ensure_ascii=False)

    def _log(self, level: str, text: Any) -> None:
        self._journal.log(level, _shown(text))

    def _api(self, method: str, uri: str, body: Any, headers: Any) -> str | None:
        try:
            status, answer = self._rest(method, uri, _bytes(body), self._headers(headers))
        except Exception as error:  # noqa: BLE001 - as in Orthanc: the script gets nil
            self._journal.log("error", f"{method} {uri}: {error}")
            return None
        if status != 200:
            self._journal.log("error", f"{method} {uri}: status {status}")
            return None
        return answer.decode("utf-8", "replace")

    def _web(self, method: str, url: str, body: Any, headers: Any) -> str | None:
        try:
            return self._http(method, url, _bytes(body), self._headers(headers)).decode(
                "utf-8", "replace"
            )
        except (OSError, ValueError) as error:
            self._journal.log("error", f"{method} {url}: {error}")
            return None

    def _headers(self, headers: Any) -> dict[str, str]:
        found = {} if headers is None else self._state.plain(headers)
        return (
            {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
        )


def _no_attributes(_: object, name: str, is_setting: bool) -> str:
    raise AttributeError(f"{name} is not for scripts" + (" to set" if is_setting else ""))


def _shown(value: object) -> str:
    """Give a value as Lua's `tostring` does."""
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str("" if body is None else body).encode()


def _with_numbers(value: Any) -> Any:
    """Make numbers of texts that look like some, as Orthanc does unless it is told otherwise."""
    match value:
        case dict():
            return {key: _with_numbers(each) for key, each in value.items()}
        case list():
            return [_with_numbers(each) for each in value]
        case str() if re.fullmatch(r"-?\d{1,9}", value):
            return int(value)
        case str() if re.fullmatch(r"-?\d+\.\d+", value):
            return float(value)
        case _:
            return value


def _characters(elements: Elements, default: CharacterSet) -> CharacterSet:
    try:
        return character_set(elements, default)
    except DatasetError:
        return default


def _query_of(returned: Any) -> Elements:
    """Make a query of what the filter returns; text beyond ASCII is UTF-8, as Lua has it."""
    if not isinstance(returned, dict):
        raise InputError(f"{FILTER} must return a table of attributes")
    if not json.dumps(returned, ensure_ascii=False).isascii():
        for name in [name for name in returned if name.lower() in _CHARACTER_SET_NAMES]:
            del returned[name]
    return from_orthanc_json(returned)


_CHARACTER_SET_NAMES = frozenset({"0008,0005", "specificcharacterset"})
