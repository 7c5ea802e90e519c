"""Why a query finds what it finds: `mwl explain --json`, of what is served now."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

from fastapi import APIRouter, Request, Response

from mwl.access import Caller
from mwl.dataset import Elements, from_json
from mwl.errors import InputError
from mwl.explain import explain
from mwl.explain.document import document
from mwl.keys import USUAL_KEYS, identifier_of
from mwl.web.asked import keys_of
from mwl.web.auditing import note_search
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.routing import ANY_OBJECT, JSON, STRING, STRINGS, Route, object_of, router_of

MISSES = 5
"""How many items that do not match are shown when nobody says, in items."""

MISSES_LIMIT = 1000
"""Most items that do not match that are shown, in items."""

SWITCH_S = 0.0005
"""Longest time, in seconds, that the explaining thread keeps the interpreter while others wait."""

LOOPBACK = "127.0.0.1"

AE_TITLE_LIMIT = 16
"""Characters in an AE title: PS3.5 Table 6.2-1."""


class _Explaining:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()

    async def explain(self, request: Request) -> Response:
        """Say why a query finds what it finds, item by item.

        The query takes the way it would take over DICOM, and nothing is sent. Several who ask
        wait for each other.
        """
        body = await object_of(request, empty={})
        note_search(self._context, request, body)
        caller = self._caller(body)
        misses = _misses(body)
        identifier = await asyncio.to_thread(_identifier, body)
        worklist = self._context.worklists.of(caller.called_ae_title)
        access = self._context.access()
        make = None if worklist is None else self._context.worklists.copy_of(worklist)

        def explained() -> str:
            report = explain(make() if make is not None else None, access, caller, identifier)
            return json.dumps(document(report, misses))

        async with self._turn:  # each takes memory for a second index of all items
            with _switching_often():
                text = await asyncio.to_thread(explained)
        return Response(text, media_type=f"{JSON}; charset=utf-8")

    def _caller(self, body: dict[str, Any]) -> Caller:
        calling = _text(body, "CallingAet", "MWL")
        called = _text(body, "CalledAet", self._context.identity.ae_title)
        for title in (calling, called):
            if not title.strip() or len(title) > AE_TITLE_LIMIT or not title.isascii():
                message = f"an AE title has 1 to {AE_TITLE_LIMIT} characters of ASCII"
                raise ApiError("ParameterOutOfRange", message)
        host = _text(body, "Host", "")
        access = self._context.access()
        if not host:
            entries = access.entries(calling)
            host = entries[0].host if entries else LOOPBACK
        return Caller(calling.strip(), called.strip(), host, access.names_expected(calling))


@contextmanager
def _switching_often() -> Iterator[None]:
    """Let the event loop wait less for a thread that computes: it has the interpreter in turns."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _text(body: dict[str, Any], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise ApiError("BadFileFormat", f"String value expected in field: {name}")
    return value


def _misses(body: dict[str, Any]) -> int:
    value = body.get("Misses", MISSES)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiError("BadFileFormat", "Integer value expected in field: Misses")
    if not 0 <= value <= MISSES_LIMIT:
        raise ApiError("ParameterOutOfRange", f"Misses: allowed are 0 to {MISSES_LIMIT}")
    return value


def _identifier(body: dict[str, Any]) -> Elements:
    keys, query = body.get("Keys"), body.get("Query")
    if keys is not None and not (
        isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    ):
        raise ApiError("BadFileFormat", "Array of strings expected in field: Keys")
    try:
        if _is_orthancs(query):
            return identifier_of([*keys_of(query), *(keys or [])])
        base = None if query is None else from_json(query)
        also = () if keys or base is not None else USUAL_KEYS
        return identifier_of(keys or [], base=base, also=also)
    except InputError as error:
        message = " ".join(filter(None, (error.message, error.hint)))
        raise ApiError("ParameterOutOfRange", message) from error


def _is_orthancs(query: object) -> TypeGuard[dict[str, Any]]:
    """Tell Orthanc's form of a query from DICOM JSON, in which each value is an object."""
    return isinstance(query, dict) and not all(isinstance(one, dict) for one in query.values())


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    explaining = _Explaining(context)
    return router_of(
        "Worklists",
        [
            Route(
                method="POST",
                path="/worklists/explain",
                endpoint=explaining.explain,
                body={
                    "type": "object",
                    "properties": {
                        "Keys": {
                            **STRINGS,
                            "description": "Keys as for `mwl find -k`; without any, the usual.",
                        },
                        "Query": {
                            "type": "object",
                            "description": "A query as DICOM JSON, or as Orthanc takes it.",
                        },
                        "CallingAet": STRING,
                        "CalledAet": STRING,
                        "Host": STRING,
                        "Misses": {"type": "integer", "minimum": 0, "maximum": MISSES_LIMIT},
                    },
                },
                needs_body=False,
                example={"Keys": ["PatientName=DOE*"], "CallingAet": "CT1"},
                answer=ANY_OBJECT,
            )
        ],
    )
