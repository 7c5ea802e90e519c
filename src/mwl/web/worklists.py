"""Items over HTTP: the routes of Orthanc's worklist plugin, and what those lack.

Source of the shapes: Orthanc's worklist plugin 0.9, `Plugin.cpp`, and the Orthanc Book.
"""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from email.utils import format_datetime
from time import perf_counter
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from mwl.attributes import ACCESSION_NUMBER, SCHEDULED_PROCEDURE_STEP_SEQUENCE
from mwl.dataset import (
    EVERYTHING,
    FORMS,
    Element,
    Elements,
    Format,
    character_set,
    read_file,
    to_orthanc_json,
    values,
)
from mwl.errors import DatasetError, InputError, RequestRefused
from mwl.find import Worklist
from mwl.intake import Force, having
from mwl.item import WorklistItem
from mwl.keys import Path, identifier_of, parse_path
from mwl.store import ABSENT, entity_tag
from mwl.store.writing import require_safe
from mwl.web.auditing import actor_of, note_reading, note_search
from mwl.web.conditions import expected_by, is_known, quoted
from mwl.web.context import Context
from mwl.web.desk import Desk, Order, Placed, findings_of, id_of, is_there, source_of, unknown
from mwl.web.errors import ApiError
from mwl.web.routing import (
    ANY_OBJECT,
    EMPTY_OBJECT,
    JSON,
    STRING,
    Route,
    Schema,
    done,
    json_answer,
    object_of,
    router_of,
)
from mwl.web.turns import SLICE_S, finished, in_turns, sorted_in_turns, turn

TOTAL = "X-Total-Count"
"""Header of a list: how many items there are, whatever part of them is asked for."""

ACCESSION_NUMBER_LIMIT = 16
"""Characters of an accession number, VR SH: PS3.5 Table 6.2-1."""

RESERVED = frozenset({"batch", "create", "explain"})
"""No identifiers: there are routes of these names."""

_ORDERS = uuid.UUID("6d1d2c0e-3b0a-5c3e-9d3f-2f6f0d8f6a11")
"""Name space of the identifiers that are made of accession numbers."""

_DATE = "%Y%m%dT%H%M%S"

FORCE: Schema = {"type": "boolean", "description": "Write the item whatever the check finds."}
TAGS: Schema = {
    "type": "object",
    "description": "Keyword or tag to text, a number or null; a sequence is an array of objects.",
}
BODY: Schema = {
    "type": "object",
    "required": ["Tags"],
    "properties": {"Tags": TAGS, "Force": FORCE},
}
EXAMPLE: Mapping[str, Any] = MappingProxyType(
    {
        "Tags": {
            "PatientID": "PID-45",
            "PatientName": "DOE^JANE",
            "AccessionNumber": "A100",
            "ScheduledProcedureStepSequence": [
                {
                    "Modality": "US",
                    "ScheduledStationAETitle": "US1",
                    "ScheduledProcedureStepStartDate": "20261124",
                    "ScheduledProcedureStepStartTime": "0830",
                    "ScheduledProcedureStepDescription": "Abdomen",
                }
            ],
        }
    }
)
PLACED: Schema = {
    "type": "object",
    "required": ["ID", "Path"],
    "properties": {"ID": STRING, "Path": STRING},
}
ITEM: Schema = {
    "type": "object",
    "required": ["ID", "Tags"],
    "properties": {
        "ID": STRING,
        "Tags": ANY_OBJECT,
        "CreationDate": STRING,
        "Error": {"type": "string", "description": "Why the tags cannot be shown."},
    },
}
WRITING_FAILS: Mapping[int, str] = MappingProxyType(
    {
        400: "It can be no item, or the check found errors: `Findings`",
        404: "There is no folder for the called AE title",
        412: "The item is not as `If-Match` or `If-None-Match` expects",
        409: "Another program writes this item all the time",
        500: "The folder cannot be written",
        503: "The folder cannot be read",
        507: "There is no room for it",
    }
)

_READING_FAILS = {
    400: "A parameter, a condition or the name cannot be used",
    404: "There is no such item, or no folder for the called AE title",
    503: "The folder cannot be read",
}

Called = Annotated[
    str | None,
    Query(description="Called AE title whose folder is meant (`FolderPerCalledAet`)."),
]
FormatName = Annotated[str, Query(description="How tags are written: Simplify, Short or Full.")]


class _Page(NamedTuple):
    """A part of a list.

    Args:
        items: For each file its items.
        total: Files in the whole list.
    """

    items: list[tuple[WorklistItem, ...]]
    total: int


class _Worklists:
    def __init__(self, context: Context, desk: Desk) -> None:
        self._context = context
        self._desk = desk

    async def create(self, request: Request, called: Called = None) -> Response:
        """Make an item.

        As in Orthanc; besides, what can be filled in is, and the item is checked.
        """
        tags, force = read_body(await object_of(request), default=False)
        worklist = self._desk.worklist(called)
        order = Order(f"{uuid.uuid4()}.wl", tags, force, ABSENT)
        return self._placed(await self._desk.put(worklist, order, actor_of(self._context, request)))

    async def list_all(
        self,
        request: Request,
        form: Annotated[FormatName, Query(alias="format")] = "Simplify",
        match: Annotated[
            list[str] | None,
            Query(description="Key and value as for `mwl find -k`, such as PatientName=DOE*."),
        ] = None,
        sort: Annotated[
            str | None,
            Query(
                description="Key to sort by, with - before it the other way round; else by start."
            ),
        ] = None,
        limit: Annotated[int | None, Query(ge=0)] = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        called: Called = None,
    ) -> Response:
        """List the items.

        Without `match` it is all of them. A file of several steps is listed whole when one of
        them matches. `X-Total-Count` says how many there are without `limit` and `offset`.
        """
        shown = _form(form)
        worklist = self._desk.worklist(called)
        note_search(self._context, request)
        path, is_reversed = await _sorting(sort)
        matches = await self._search(worklist, match or [])
        if path:
            matches = await _sorted(matches, path, is_reversed=is_reversed)
        page = await _page(worklist, matches, offset, limit)
        return StreamingResponse(
            self._listed(worklist, page.items, shown),
            media_type=f"{JSON}; charset=utf-8",
            headers={TOTAL: str(page.total)},
        )

    async def _search(self, worklist: Worklist, keys: list[str]) -> Sequence[WorklistItem]:
        # A misspelt keyword is looked for among all of them, which takes 50 ms.
        identifier = await asyncio.to_thread(_identifier, keys)
        try:
            return await finished(worklist.search(identifier))
        except RequestRefused as refused:
            raise ApiError("ParameterOutOfRange", f"match: {refused.comment}") from refused

    async def _listed(
        self, worklist: Worklist, page: Iterable[tuple[WorklistItem, ...]], form: Format
    ) -> AsyncIterator[str]:
        """Give the list as JSON, a slice at a time."""
        yield "["
        pieces: list[str] = []
        separator = ""
        until = perf_counter() + SLICE_S
        for items in page:
            source = items[0].source
            answer = {"ID": id_of(source), **self._tags(_whole(items), form)}
            changed_ns = worklist.catalog.changed_ns(source)
            if changed_ns is not None:
                answer["CreationDate"] = _moment(changed_ns).strftime(_DATE)
            pieces += (separator, json.dumps(answer))
            separator = ","
            if perf_counter() >= until:
                yield "".join(pieces)
                pieces.clear()
                await turn()
                until = perf_counter() + SLICE_S
        pieces.append("]")
        yield "".join(pieces)

    def _tags(self, elements: Elements, form: Format) -> dict[str, Any]:
        default = self._context.worklists.default_character_set
        try:
            text = character_set(elements, default)
            return {"Tags": to_orthanc_json(elements, text, form, EVERYTHING)}
        except DatasetError as error:
            return {"Tags": {}, "Error": str(error)}

    async def get(
        self,
        worklist: str,
        request: Request,
        form: Annotated[FormatName, Query(alias="format")] = "Simplify",
        called: Called = None,
    ) -> Response:
        """Give an item.

        With its entity tag; answered with 304 when `If-None-Match` names it.
        """
        shown = _form(form)
        where, source = await self._find(worklist, called)
        data = await asyncio.to_thread(where.catalog.content, source)
        if data is None:
            raise unknown()
        tag = entity_tag(data)
        headers = {"ETag": quoted(tag)}
        if (changed_ns := where.catalog.changed_ns(source)) is not None:
            headers["Last-Modified"] = format_datetime(_moment(changed_ns), usegmt=True)
        if is_known(request, tag):
            return Response(status_code=304, headers=headers)
        try:
            elements = read_file(data)
        except DatasetError:
            raise unknown() from None  # somebody put it there this moment
        note_reading(self._context, request, where, source)
        answer = json_answer({"ID": worklist, **self._tags(elements, shown)})
        answer.headers.update(headers)
        return answer

    async def put(self, worklist: str, request: Request, called: Called = None) -> Response:
        """Replace an item, or make it.

        As in Orthanc, `Force` is true unless it is given; what can be filled in is even so.
        """
        _require_free(worklist)
        body = await object_of(request)
        tags, force = read_body(body, default=True)
        where = self._desk.worklist(called)
        await finished(where.see_every_change())
        source = source_of(where.catalog, worklist)
        require_safe(source)
        order = Order(source, tags, force, expected_by(request))
        return self._placed(await self._desk.put(where, order, actor_of(self._context, request)))

    async def upsert(
        self,
        request: Request,
        accession_number: Annotated[
            str, Query(alias="AccessionNumber", description="Of the order that the item is for.")
        ],
        called: Called = None,
    ) -> Response:
        """Make the item of an order, or replace it.

        To send the same again changes nothing: identifiers that were made up stay.
        """
        tags, force = read_body(await object_of(request), default=False)
        where = self._desk.worklist(called)
        await finished(where.see_every_change())
        source = source_of_order(where, accession_number)
        order = Order(source, tags, force, expected_by(request), accession_number.strip(" "))
        placed = await self._desk.put(where, order, actor_of(self._context, request))
        return self._placed(placed, tells_findings=True)

    async def delete(self, worklist: str, request: Request, called: Called = None) -> Response:
        """Remove an item."""
        where, source = await self._find(worklist, called)
        require_safe(source)
        actor = actor_of(self._context, request)
        await self._desk.remove(where, source, expected_by(request), actor)
        return done()

    async def _find(self, name: str, called: str | None) -> tuple[Worklist, str]:
        """Give the worklist and the file of an item that is there."""
        _require_free(name)
        worklist = self._desk.worklist(called)
        await finished(worklist.see_every_change())
        source = source_of(worklist.catalog, name)
        if not is_there(worklist.catalog, source):
            raise unknown()
        return worklist, source

    def _placed(self, placed: Placed, *, tells_findings: bool = False) -> Response:
        reply = placed.reply()
        if tells_findings and placed.findings:
            reply["Findings"] = findings_of(placed.findings)
        answer = json_answer(reply)
        answer.headers["ETag"] = quoted(placed.entity_tag)
        return answer


def read_body(body: Mapping[str, Any], *, default: bool) -> tuple[Mapping[str, Any], Force]:
    """Take what an item says, and what becomes of its faults, from a body.

    Args:
        body: The body.
        default: Whether faults are let pass when it does not say.

    Raises:
        ApiError: It says neither in a way that can be understood.
    """
    tags, force = body.get("Tags"), body.get("Force")
    if not isinstance(tags, dict):
        raise ApiError("BadFileFormat", "'Tags' field is missing or not a JSON object")
    if force is None:
        return tags, "leave" if default else "no"
    if not isinstance(force, bool):
        raise ApiError("BadFileFormat", "Boolean value expected in field: Force")
    return tags, "yes" if force else "no"


def source_of_order(worklist: Worklist, accession_number: str) -> str:
    """Give the file of an order's item, or the one that it is to get.

    Raises:
        ApiError: There are several, or it is no accession number.
    """
    number = accession_number.strip(" ")
    is_text = number.isprintable() and not set(number) & set("*?\\")
    if not number or len(number) > ACCESSION_NUMBER_LIMIT or not is_text:
        raise ApiError(
            "ParameterOutOfRange",
            f"AccessionNumber: allowed are 1 to {ACCESSION_NUMBER_LIMIT} characters without "
            "asterisk, question mark and backslash",
        )
    found = {
        item.source
        for item in having(worklist, ACCESSION_NUMBER, number)
        if item.order[2] == number
    }
    if len(found) > 1:
        ids = sorted(map(id_of, found))
        message = "several items have this accession number: write each by its ID"
        raise ApiError("DuplicateResource", message, extra={"IDs": ids})
    # The same identifier for the same order, so that two who make it at once make one.
    made = f"{uuid.uuid5(_ORDERS, number)}.wl"
    return next(iter(found), f"{uuid.uuid4()}.wl" if is_there(worklist.catalog, made) else made)


def _require_free(name: str) -> None:
    if name in RESERVED:
        raise ApiError("BadRequest", http_status=405, headers={"Allow": "POST"})


def _form(name: str) -> Format:
    if name not in FORMS:
        raise ApiError("ParameterOutOfRange", f"format: allowed are {', '.join(FORMS)}")
    return FORMS[name]


def _identifier(keys: list[str]) -> Elements:
    try:
        return identifier_of(keys)
    except InputError as error:
        message = " ".join(filter(None, (error.message, error.hint)))
        raise ApiError("ParameterOutOfRange", f"match: {message}") from error


async def _sorting(sort: str | None) -> tuple[Path | None, bool]:
    if not sort:
        return None, False
    is_reversed = sort.startswith("-")
    try:
        return await asyncio.to_thread(parse_path, sort.removeprefix("-")), is_reversed
    except InputError as error:
        raise ApiError("ParameterOutOfRange", f"sort: {error.message}") from error


async def _sorted(
    items: Sequence[WorklistItem], path: Path, *, is_reversed: bool
) -> list[WorklistItem]:
    """Sort by the value of an attribute, without regard to case; those without it come last."""
    with_value, without = [], []
    async for item in in_turns(items):
        key = _value_at(item, path)
        if key:
            with_value.append((key.casefold(), item))
        else:
            without.append(item)
    ordered = await sorted_in_turns(with_value, reverse=is_reversed)
    return [cast("WorklistItem", item) for _, item in ordered] + without


def _value_at(item: WorklistItem, path: Path) -> str:
    """Give the text at a path; that of the step for a path that names an attribute of it alone."""
    elements = item.elements()
    found = _text_at(elements, path, item)
    if found or len(path) > 1:
        return found
    step = elements.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    items = step.value if step is not None and isinstance(step.value, tuple) else ()
    return _text_at(items[0], path, item) if items else ""


def _text_at(elements: Elements, path: Path, item: WorklistItem) -> str:
    for tag, number in path[:-1]:
        sequence = elements.get(tag)
        items = sequence.value if sequence is not None else ()
        if not isinstance(items, tuple) or len(items) <= (number or 0):
            return ""
        elements = items[number or 0]
    element = elements.get(path[-1].tag)
    if element is None or not isinstance(element.value, bytes):
        return ""
    try:
        return "\\".join(values(element, item.character_set)).strip()
    except DatasetError:
        return ""


async def _page(
    worklist: Worklist, matches: Sequence[WorklistItem], offset: int, limit: int | None
) -> _Page:
    """Give a part of the files that items are of, each once, where its first item is."""
    sources: dict[str, None] = {}
    async for item in in_turns(matches):
        sources.setdefault(item.source)
    end = len(sources) if limit is None else offset + limit
    found = [
        items
        async for source in in_turns(list(sources)[offset:end])
        if (items := worklist.catalog.sources.get(source))
    ]
    return _Page(found, len(sources))


def _whole(items: tuple[WorklistItem, ...]) -> Elements:
    """Put the steps of a file together again."""
    elements = items[0].elements()
    if len(items) > 1:
        tag = SCHEDULED_PROCEDURE_STEP_SEQUENCE
        steps = tuple(step for item in items for step in _steps(item.elements()))
        elements[tag] = Element(tag, "SQ", steps)
    return elements


def _steps(elements: Elements) -> Iterator[Elements]:
    sequence = elements.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    if sequence is not None and isinstance(sequence.value, tuple):
        yield from sequence.value


def _moment(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC)


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    routes = _Worklists(context, Desk(context))
    return router_of("Worklists", [*_of_all(routes), *_of_one(routes)])


def _of_all(routes: _Worklists) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/worklists/create",
            endpoint=routes.create,
            body=BODY,
            example=dict(EXAMPLE),
            answer=PLACED,
            failures={status: when for status, when in WRITING_FAILS.items() if status != 412},
        ),
        Route(
            method="GET",
            path="/worklists",
            endpoint=routes.list_all,
            answer={"type": "array", "items": ITEM},
            failures={status: _READING_FAILS[status] for status in (400, 503)}
            | {404: WRITING_FAILS[404]},
        ),
        Route(
            method="PUT",
            path="/worklists",
            endpoint=routes.upsert,
            body=BODY,
            example=dict(EXAMPLE),
            answer=PLACED,
            failures={**WRITING_FAILS, 409: "Several items have this accession number"},
        ),
    ]


def _of_one(routes: _Worklists) -> list[Route]:
    one = "/worklists/{worklist}"
    return [
        Route(
            method="GET",
            path=one,
            endpoint=routes.get,
            answer=ITEM,
            failures=_READING_FAILS,
        ),
        Route(
            method="PUT",
            path=one,
            endpoint=routes.put,
            body=BODY,
            example=dict(EXAMPLE),
            answer=PLACED,
            failures=WRITING_FAILS,
        ),
        Route(
            method="DELETE",
            path=one,
            endpoint=routes.delete,
            answer=EMPTY_OBJECT,
            failures=_READING_FAILS | {status: WRITING_FAILS[status] for status in (412, 500)},
        ),
    ]
