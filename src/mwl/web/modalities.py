"""The known modalities: who may ask over DICOM, and asking them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from mwl.dataset import (
    ENCODINGS,
    EVERYTHING,
    Elements,
    Format,
    character_set,
    decode,
    to_orthanc_json,
)
from mwl.errors import ConfigError, DatasetError, InputError
from mwl.keys import identifier_of
from mwl.limits import KEYS
from mwl.net.client import PENDING, ClientAssociation, Peer
from mwl.net.client import Response as DimseResponse
from mwl.site import KnownModality
from mwl.web.asked import keys_of, unknown_names
from mwl.web.auditing import note_configuration, note_query
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.routing import (
    ANY_OBJECT,
    EMPTY_OBJECT,
    JSON,
    STRINGS,
    Route,
    Schema,
    done,
    json_answer,
    json_of,
    object_of,
    router_of,
    text_answer,
)
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION

MODALITIES_LIMIT = 10_000
"""Most known modalities that HTTP may make: each change counts them all anew."""

ANSWERS_LIMIT_BYTES = 64 * 1024 * 1024
"""Most bytes of answers taken from a server that is asked: about 100,000 items."""

LONGEST_TIMEOUT_S = 86_400
"""Longest time to wait for a server, which is what 0 stands for: a day."""

FAILURE_STATUS = 422
"""HTTP status for a DIMSE status that is a failure, as in Orthanc."""

_JSON_TEXT = f"{JSON}; charset=utf-8"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OUT_OF_RANGE = frozenset({"Port", "Manufacturer", "Timeout"})
"""Members of a modality whose wrong value Orthanc calls out of range."""

_MODALITY: Schema = {
    "description": "An entry of `DicomModalities`: a list, or an object.",
    "oneOf": [
        {
            "type": "array",
            "minItems": 3,
            "maxItems": 4,
            "prefixItems": [
                {"type": "string", "description": "AE title"},
                {"type": "string", "description": "Host"},
                {"type": ["integer", "string"], "description": "Port"},
                {"type": "string", "description": "Manufacturer"},
            ],
        },
        {
            "type": "object",
            "required": ["AET", "Host", "Port"],
            "properties": {
                "AET": {"type": "string", "minLength": 1, "maxLength": 16},
                "Host": {"type": "string", "minLength": 1},
                "Port": {"type": ["integer", "string"]},
                "AllowEcho": {"type": "boolean"},
                "AllowFindWorklist": {"type": "boolean"},
                "LocalAet": {"type": "string", "maxLength": 16},
                "Manufacturer": {"type": "string"},
                "Timeout": {"type": "integer", "minimum": 0, "maximum": LONGEST_TIMEOUT_S},
                "TlsSubject": {
                    "type": "string",
                    "description": "Name in the certificate that it must show; without this "
                    "member, and in a list, that of before stays.",
                },
                "UseDicomTls": {"type": "boolean"},
            },
        },
    ],
}
_CONFIGURATION: Schema = {
    "type": "object",
    "description": "A modality with all its members.",
    "required": ["AET", "AllowEcho", "AllowFindWorklist", "Host", "LocalAet", "Port", "Timeout"],
    "properties": {
        "AET": {"type": "string"},
        "AllowEcho": {"type": "boolean"},
        "AllowFindWorklist": {"type": "boolean"},
        "Host": {"type": "string"},
        "LocalAet": {"type": "string"},
        "Manufacturer": {"type": "string"},
        "Port": {"type": "integer"},
        "Timeout": {"type": "integer"},
        "TlsSubject": {"type": "string"},
        "UseDicomTls": {"type": "boolean"},
    },
}
_TIMEOUT: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": LONGEST_TIMEOUT_S,
    "description": "Seconds to wait for the connection and for each answer; 0 is a day.",
}
_ECHO: Schema = {
    "type": "object",
    "properties": {"Timeout": _TIMEOUT, "CheckFind": {"type": "boolean"}},
}
_FIND: Schema = {
    "description": "What to ask for under `Query`; or, as before Orthanc 1.9.5, the query itself.",
    "type": "object",
    "properties": {
        "Query": {
            "type": "object",
            "description": "Keyword or tag to text; a sequence is an array of objects.",
        },
        "Short": {"type": "boolean", "description": "Name attributes by tag."},
        "Full": {"type": "boolean", "description": "Name attributes by tag, with name and type."},
        "Timeout": _TIMEOUT,
    },
}
_UNKNOWN = {404: "There is no such modality"}
_ASKING_FAILS = _UNKNOWN | {
    422: "The server answered with a status of failure",
    500: "The server cannot be reached or refuses: `OrthancStatus` 9",
}


class _Find(NamedTuple):
    """What a body asks for."""

    query: dict[str, Any]
    form: Format
    timeout_s: int | None


class _Modalities:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = context.modalities
        self._changing = asyncio.Lock()

    async def names(self, expand: str | None = None) -> Response:
        """List the known modalities.

        With `expand` it is an object of their configurations.
        """
        # There may be thousands, and scanners wait meanwhile.
        return await asyncio.to_thread(self._listed, is_expanded=expand is not None)

    def _listed(self, *, is_expanded: bool) -> Response:
        known = self._known.all
        if not is_expanded:
            return json_answer([*known])
        # One by one: nobody else has a turn while the encoder is at work.
        parts = (
            f"{json.dumps(name)}: {json.dumps(modality.to_orthanc())}"
            for name, modality in known.items()
        )
        return Response(f"{{{', '.join(parts)}}}", media_type=_JSON_TEXT)

    async def operations(self, modality: str) -> Response:
        """List what can be done with a modality."""
        self._get(modality)
        return json_answer(["configuration", "echo", "find-worklist"])

    async def configuration(self, modality: str) -> Response:
        """Give the configuration of a modality."""
        return json_answer(self._get(modality).to_orthanc())

    async def put(self, modality: str, request: Request) -> Response:
        """Add or replace a known modality.

        It may ask over DICOM at once. It is forgotten when the server ends: what is to stay
        belongs into `DicomModalities`.
        """
        if not _NAME.fullmatch(modality):
            raise ApiError(
                "BadFileFormat",
                "Only alphanumeric, dash characters and underscores are allowed in the names of "
                "modalities, and at most 255 of them",
            )
        value = await json_of(request)
        async with self._changing:
            await asyncio.to_thread(self._put, modality, value)
        note_configuration(self._context, request, f"modality {modality} was put")
        return text_answer()

    def _put(self, name: str, value: object) -> None:
        if len(self._known.all) >= MODALITIES_LIMIT and self._known.get(name) is None:
            raise ApiError("ForbiddenAccess", f"there are {MODALITIES_LIMIT} modalities already")
        with _reading_modality():
            self._known.put(name, value)

    async def delete(self, modality: str, request: Request) -> Response:
        """Forget a known modality.

        An entry of the configuration file is there again after a restart.
        """
        async with self._changing:
            was_known = await asyncio.to_thread(self._known.remove, modality)
        if not was_known:
            raise ApiError(
                "InexistentItem", f"Unknown DICOM modality with symbolic name: {modality}"
            )
        note_configuration(self._context, request, f"modality {modality} was deleted")
        return text_answer()

    async def echo(self, modality: str, request: Request) -> Response:
        """Ask a modality whether it is there (C-ECHO)."""
        known = self._get(modality)
        return await self._echo(known, await object_of(request, empty={}))

    async def echo_anybody(self, request: Request) -> Response:
        """Ask a server that need not be known whether it is there (C-ECHO)."""
        value = await json_of(request)
        with _reading_modality():
            modality = self._known.read("echo", value)
        return await self._echo(modality, value if isinstance(value, dict) else {})

    async def find_worklist(self, modality: str, request: Request) -> Response:
        """Query the worklist of a modality (C-FIND)."""
        known = self._get(modality)
        asked = _read_find(await object_of(request))
        # A misspelt keyword is looked for among all of them, which takes 50 ms.
        identifier = await asyncio.to_thread(_identifier, asked.query)
        note_query(self._context, request, known, identifier)
        responses, size = [], 0
        async with self._associate(known, MODALITY_WORKLIST_FIND, asked.timeout_s) as association:
            async for response in association.find(identifier):
                size += len(response.identifier or b"")
                if size > ANSWERS_LIMIT_BYTES:
                    message = f"more than {ANSWERS_LIMIT_BYTES} bytes of answers: narrow the query"
                    raise ApiError("NetworkProtocol", message)
                responses.append(response)
        _check_status("C-FIND", known, responses.pop())
        default = self._context.worklists.default_encoding
        body = await asyncio.to_thread(_answers, responses, asked.form, default)
        return Response(body, media_type=_JSON_TEXT)

    def _get(self, name: str) -> KnownModality:
        modality = self._known.get(name)
        if modality is None:
            raise ApiError("InexistentItem", f"No modality with symbolic name: {name}")
        return modality

    async def _echo(self, modality: KnownModality, body: dict[str, Any]) -> Response:
        _boolean(body, "CheckFind")
        timeout_s = _timeout(body)
        async with self._associate(modality, VERIFICATION, timeout_s) as association:
            response = await association.echo()
        _check_status("C-ECHO", modality, response)
        return done()

    @asynccontextmanager
    async def _associate(
        self, modality: KnownModality, sop_class: str, timeout_s: int | None
    ) -> AsyncIterator[ClientAssociation]:
        try:
            tls = self._context.tls() if modality.use_tls else None
        except ConfigError as error:
            raise ApiError("BadFileFormat", f"UseDicomTls: {error}") from error
        wanted = modality.timeout_s or self._context.settings.scu_timeout_s
        peer = Peer(
            host=modality.host,
            port=modality.port,
            called_ae_title=modality.ae_title,
            calling_ae_title=modality.local_ae_title or self._context.identity.ae_title,
            timeout_s=(wanted if timeout_s is None else timeout_s) or LONGEST_TIMEOUT_S,
            tls=tls,
        )
        async with self._context.associate(peer, [sop_class]) as association:
            yield association


@contextmanager
def _reading_modality() -> Iterator[None]:
    """Tell the client what is wrong with a modality that cannot be used."""
    try:
        yield
    except ConfigError as error:
        code = "ParameterOutOfRange" if error.option in _OUT_OF_RANGE else "BadFileFormat"
        raise ApiError(code, str(error)) from error


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise ApiError("BadFileFormat", f"Boolean value expected in field: {name}")
    return value


def _timeout(body: dict[str, Any]) -> int | None:
    value = body.get("Timeout")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiError("BadFileFormat", "Integer value expected in field: Timeout")
    if not 0 <= value <= LONGEST_TIMEOUT_S:
        raise ApiError("ParameterOutOfRange", f"Timeout: allowed are 0 to {LONGEST_TIMEOUT_S} s")
    return value


def _read_find(body: dict[str, Any]) -> _Find:
    if "Query" not in body:
        return _Find(body, Format.HUMAN, None)
    if not isinstance(body["Query"], dict):
        raise ApiError("BadParameterType", "Query: allowed is an object")
    short, full = _boolean(body, "Short"), _boolean(body, "Full")
    form = Format.SHORT if short else Format.FULL if full else Format.HUMAN
    return _Find(body["Query"], form, _timeout(body))


def _identifier(query: dict[str, Any]) -> Elements:
    if unknown := unknown_names(query):
        raise ApiError("UnknownDicomTag", f"Unknown DICOM tag: {unknown[0]}")
    try:
        keys = list(keys_of(query))
    except InputError as error:
        raise ApiError("BadParameterType", str(error)) from error
    if len(keys) > KEYS.default:
        raise ApiError("ParameterOutOfRange", f"more than {KEYS.default} attributes are asked for")
    try:
        return identifier_of(keys)
    except InputError as error:
        raise ApiError("ParameterOutOfRange", error.message) from error


def _check_status(service: str, modality: KnownModality, response: DimseResponse) -> None:
    status = response.command.status
    if status in {Status.SUCCESS, *PENDING}:
        return
    comment = response.command.error_comment or "no comment"
    raise ApiError(
        "NetworkProtocol",
        f'{service} SCU to AET "{modality.ae_title}" has failed with DIMSE status '
        f"0x{status:04X} ({comment})",
        http_status=FAILURE_STATUS,
    )


def _answers(responses: list[DimseResponse], form: Format, default_encoding: str) -> str:
    """Give the answers as JSON. Cost: about 0.1 ms each, so not for the event loop."""
    answers = []
    for response in responses:
        try:
            elements = decode(response.identifier or b"", response.transfer_syntax)
            text = character_set(elements, ENCODINGS[default_encoding])
            answers.append(json.dumps(to_orthanc_json(elements, text, form, EVERYTHING)))
        except DatasetError as error:
            raise ApiError("NetworkProtocol", f"an answer cannot be read: {error}") from error
    return f"[{', '.join(answers)}]"


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    routes = _Modalities(context)
    one = "/modalities/{modality}"
    return router_of(
        "Modalities",
        [
            Route(
                method="GET",
                path="/modalities",
                endpoint=routes.names,
                answer={
                    "anyOf": [STRINGS, {"type": "object", "additionalProperties": _CONFIGURATION}]
                },
            ),
            Route(
                method="GET",
                path=one,
                endpoint=routes.operations,
                answer=STRINGS,
                failures=_UNKNOWN,
            ),
            *_changing(routes, one),
            Route(
                method="GET",
                path=f"{one}/configuration",
                endpoint=routes.configuration,
                answer=_CONFIGURATION,
                failures=_UNKNOWN,
            ),
            *_asking(routes, one),
        ],
    )


def _changing(routes: _Modalities, one: str) -> list[Route]:
    return [
        Route(
            method="PUT",
            path=one,
            endpoint=routes.put,
            body=_MODALITY,
            example=["CT1", "192.0.2.10", 104],
            failures={
                400: "The name or the configuration cannot be used",
                403: f"There are {MODALITIES_LIMIT} modalities already",
            },
        ),
        Route(method="DELETE", path=one, endpoint=routes.delete, failures=_UNKNOWN),
    ]


def _asking(routes: _Modalities, one: str) -> list[Route]:
    return [
        Route(
            method="POST",
            path=f"{one}/echo",
            endpoint=routes.echo,
            body=_ECHO,
            needs_body=False,
            example={},
            answer=EMPTY_OBJECT,
            failures=_ASKING_FAILS,
        ),
        Route(
            method="POST",
            path=f"{one}/find-worklist",
            endpoint=routes.find_worklist,
            body=_FIND,
            example={
                "Query": {
                    "PatientName": "",
                    "PatientID": "",
                    "ScheduledProcedureStepSequence": [{"Modality": "CT"}],
                },
            },
            answer={"type": "array", "items": ANY_OBJECT},
            failures=_ASKING_FAILS,
        ),
        Route(
            method="POST",
            path="/tools/dicom-echo",
            endpoint=routes.echo_anybody,
            body=_MODALITY,
            example={"AET": "CT1", "Host": "192.0.2.10", "Port": 104},
            answer=EMPTY_OBJECT,
            failures={key: when for key, when in _ASKING_FAILS.items() if key != 404},
        ),
    ]
