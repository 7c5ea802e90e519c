"""The functions that Orthanc gives to Lua scripts, but for those that only print."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mwl.callbacks.error_texts import LuaTexts, of_request
from mwl.callbacks.http_client import Http, Rest
from mwl.callbacks.journal import Journal
from mwl.callbacks.lua_prelude import encoded, shown


class Tables(Protocol):
    """What makes tables of Lua and values of JSON of each other."""

    def table(self, value: Any) -> Any:
        """Give a value of JSON as Lua has it."""

    def plain(self, value: Any) -> Any:
        """Give a value of Lua as JSON has it."""


class Helpers:
    """The functions, for one Lua.

    Args:
        tables: What converts values.
        say: Takes what a script prints: "output", and the text.
        journal: Where it is told that something was asked in vain.
        texts: Tells what of that may be there.
        configuration: What `GetOrthancConfiguration` gives.
        rest: What `RestApiGet` and the others call.
    """

    def __init__(
        self,
        tables: Tables,
        say: Callable[[str, str], None],
        journal: Journal,
        texts: LuaTexts,
        configuration: Mapping[str, Any],
        rest: Rest,
    ) -> None:
        self._tables = tables
        self._say = say
        self._journal = journal
        self._texts = texts
        self._configuration = configuration
        self._rest = rest
        self._http = Http()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Give them by name."""
        return {
            "PrintRecursive": self._print_recursive,
            "ParseJson": self._parse_json,
            "DumpJson": self._dump_json,
            "GetOrthancConfiguration": lambda: self._tables.table(self._configuration),
            "GenerateUuid": lambda: str(uuid.uuid4()),
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
        found = self._tables.plain(value)
        self._say("output", json.dumps(found, ensure_ascii=False, indent=2, sort_keys=True))

    def _parse_json(self, text: Any = None) -> Any:
        try:
            return self._tables.table(json.loads(str(text)))
        except (ValueError, RecursionError):
            return None  # as in Orthanc

    def _dump_json(self, value: Any, keep_strings: bool = False) -> str:
        found = self._tables.plain(value)
        text = json.dumps(found if keep_strings else _with_numbers(found), ensure_ascii=False)
        return shown(text)

    def _api(self, method: str, uri: str, body: Any, headers: Any) -> str | None:
        try:
            status, answer = self._rest(method, uri, _bytes(body), self._headers(headers))
        except Exception as error:  # noqa: BLE001 - as in Orthanc: the script gets nil
            self._in_vain(method, uri, error)
            return None
        if status != 200:
            self._in_vain(method, uri, f"status {status}")
            return None
        return answer.decode("utf-8", "replace")

    def _web(self, method: str, url: str, body: Any, headers: Any) -> str | None:
        try:
            return self._http(method, url, _bytes(body), self._headers(headers)).decode(
                "utf-8", "replace"
            )
        except (OSError, ValueError) as error:
            self._in_vain(method, url, error)
            return None

    def _in_vain(self, method: str, address: str, why: object) -> None:
        if self._journal.hides_values:
            address, why = self._texts.address(address), of_request(why)
        self._journal.log("error", shown(f"{method} {address}: {why}"))

    def _headers(self, headers: Any) -> dict[str, str]:
        found = {} if headers is None else self._tables.plain(headers)
        return (
            {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
        )


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else encoded(str("" if body is None else body))


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
