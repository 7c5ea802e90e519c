"""Orthanc's tools: small helpers that scripts use."""

import datetime as dt
import uuid

from fastapi import APIRouter, Request, Response

from mwl import telemetry
from mwl.dataset import ENCODINGS
from mwl.errors import ConfigError, InputError
from mwl.web.auditing import note_configuration, note_restricted
from mwl.web.conformance import conformance_statement
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.routing import (
    EMPTY_OBJECT,
    STRING,
    STRINGS,
    TEXT,
    Endpoint,
    Route,
    Schema,
    done,
    json_answer,
    router_of,
    text_answer,
    text_of,
)

PROMETHEUS = "text/plain; version=0.0.4"
"""Media type of metrics: the text format of Prometheus."""

_LEVELS: tuple[telemetry.Verbosity, ...] = ("default", "verbose", "trace")
_LEVEL: Schema = {"type": "string", "enum": list(_LEVELS)}
_ENCODING: Schema = {"type": "string", "enum": list(ENCODINGS)}
_SCRIPT_FAILS = {
    403: "`ExecuteLuaEnabled` is false",
    500: "The script fails",
    501: "This server has no Lua",
}
_RELOADED: Schema = {
    "type": "object",
    "properties": {"Changed": STRINGS, "NeedsRestart": STRINGS},
    "required": ["Changed", "NeedsRestart"],
}
_UID_LEVELS: Schema = {"type": "string", "enum": ["patient", "study", "series", "instance"]}
_TIME = "%Y%m%dT%H%M%S"


class _Tools:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = sorted(
            {
                *("default-encoding", "dicom-conformance", "dicom-echo", "execute-script"),
                *("generate-uid", "log-level", "metrics-prometheus", "now", "now-local"),
                *("reload", "reset", "shutdown"),
            }
        )

    async def tools(self) -> Response:
        """List the tools."""
        return json_answer(self._names)

    async def default_encoding(self) -> Response:
        """Tell the character set of text that names none (`DefaultEncoding`)."""
        return text_answer(self._context.worklists.default_encoding)

    async def set_default_encoding(self, request: Request) -> Response:
        """Choose the character set of text that names none, until the server ends.

        All files are read anew.
        """
        try:
            name = self._context.worklists.set_default_encoding(await text_of(request))
        except ConfigError as error:
            raise ApiError("ParameterOutOfRange", error.message) from error
        words = f"the default encoding {name} was set"
        note_configuration(self._context, request, words)
        return text_answer(name)

    async def generate_uid(self, level: str | None = None) -> Response:
        """Make a new identifier.

        A UID for `?level=study`, `series` and `instance`, a UUID for `patient`.
        """
        new = uuid.uuid4()
        if level == "patient":
            return text_answer(str(new))
        if level not in _UID_LEVELS["enum"]:
            allowed = ", ".join(_UID_LEVELS["enum"])
            raise ApiError("InexistentItem", f"level: allowed are {allowed}")
        return text_answer(f"2.25.{new.int}")  # PS3.5 section B.2

    async def now(self) -> Response:
        """Tell the date and the time in UTC."""
        return text_answer(dt.datetime.now(dt.UTC).strftime(_TIME))

    async def now_local(self) -> Response:
        """Tell the date and the time where the server is."""
        return text_answer(dt.datetime.now(dt.UTC).astimezone().strftime(_TIME))

    async def log_level(self) -> Response:
        """Tell how much is written to the log."""
        return text_answer(telemetry.verbosity())

    async def set_log_level(self, request: Request) -> Response:
        """Choose how much is written to the log.

        `verbose` adds whole queries, `trace` the answers; values as `DeidentifyLogs` has it.
        """
        wanted = await text_of(request)
        for level in _LEVELS:
            if level == wanted:
                telemetry.set_verbosity(level)
                note_configuration(self._context, request, f"the log level {level} was set")
                return text_answer()
        raise ApiError("ParameterOutOfRange", 'Verbosity can be "default", "verbose" or "trace"')

    async def metrics(self) -> Response:
        """Give the metrics as Prometheus reads them."""
        return Response(self._context.metrics(), headers={"Content-Type": PROMETHEUS})

    async def conformance(self) -> Response:
        """Give the DICOM conformance statement."""
        return text_answer(conformance_statement(self._context.identity.ae_title))

    async def execute_script(self, request: Request) -> Response:
        """Run a piece of Lua and give what it prints (`ExecuteLuaEnabled`)."""
        if not self._context.settings.may_execute_lua:
            raise ApiError("ForbiddenAccess", "ExecuteLuaEnabled is false")
        if self._context.execute_lua is None:
            raise ApiError("NotImplemented", "this server has no Lua: pip install mwl[lua]")
        script = await text_of(request)
        note_restricted(self._context, request, "Lua was run")
        try:
            return text_answer(await self._context.execute_lua(script))
        except InputError as error:
            raise ApiError("LuaFails", str(error)) from error

    async def reset(self, request: Request) -> Response:
        """End the server and start it again, with its configuration read anew."""
        note_restricted(self._context, request, "the server was told to start again")
        self._context.reset()
        return done()

    async def reload(self, request: Request) -> Response:
        """Read the configuration anew and take it over, without dropping an association.

        When there is anything wrong with it, all of the one before stays in force.
        """
        note_restricted(self._context, request, "the server was told to reload")
        try:
            reloaded = await self._context.reload()
        except ConfigError as error:
            errors = [str(error), *getattr(error, "__notes__", ())]
            raise ApiError("BadFileFormat", str(error), extra={"Errors": errors}) from error
        return json_answer(
            {"Changed": [*reloaded.changed], "NeedsRestart": [*reloaded.needs_restart]}
        )

    async def shutdown(self, request: Request) -> Response:
        """End the server."""
        note_restricted(self._context, request, "the server was told to end")
        self._context.stop()
        return done()


def _get(path: str, endpoint: Endpoint) -> Route:
    return Route(method="GET", path=path, endpoint=endpoint, answer=STRING, answer_type=TEXT)


def _put(path: str, endpoint: Endpoint, body: Schema, answer: Schema | None) -> Route:
    return Route(
        method="PUT",
        path=path,
        endpoint=endpoint,
        body=body,
        body_type=TEXT,
        answer=answer,
        answer_type=TEXT,
        failures={400: "There is no such value"},
    )


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    tools = _Tools(context)
    return router_of(
        "Tools",
        [
            Route(method="GET", path="/tools", endpoint=tools.tools, answer=STRINGS),
            _get("/tools/default-encoding", tools.default_encoding),
            _put("/tools/default-encoding", tools.set_default_encoding, _ENCODING, _ENCODING),
            Route(
                method="GET",
                path="/tools/generate-uid",
                endpoint=tools.generate_uid,
                answer=STRING,
                answer_type=TEXT,
                failures={404: "There is no such level"},
            ),
            _get("/tools/now", tools.now),
            _get("/tools/now-local", tools.now_local),
            _get("/tools/log-level", tools.log_level),
            _put("/tools/log-level", tools.set_log_level, _LEVEL, None),
            Route(
                method="GET",
                path="/tools/metrics-prometheus",
                endpoint=tools.metrics,
                answer=STRING,
                answer_type=PROMETHEUS,
            ),
            _get("/tools/dicom-conformance", tools.conformance),
            *_actions(tools),
        ],
    )


def _actions(tools: _Tools) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/tools/execute-script",
            endpoint=tools.execute_script,
            body=STRING,
            body_type=TEXT,
            answer=STRING,
            answer_type=TEXT,
            failures=_SCRIPT_FAILS,
        ),
        Route(
            method="POST",
            path="/tools/reload",
            endpoint=tools.reload,
            answer=_RELOADED,
            failures={400: "The configuration cannot be used: `Errors` says why, with the lines"},
        ),
        *(
            Route(method="POST", path=path, endpoint=endpoint, answer=EMPTY_OBJECT)
            for path, endpoint in (
                ("/tools/reset", tools.reset),
                ("/tools/shutdown", tools.shutdown),
            )
        ),
    ]
