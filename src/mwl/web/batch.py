"""Many items in one request: each row for itself, the names of all brought to the disk at once."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from mwl.audit.actor import Actor
from mwl.errors import MwlError, SourceChanged, WriteError
from mwl.find import Worklist
from mwl.limits import HTTP_BATCH, HTTP_ROWS
from mwl.store import ABSENT, ANYTHING, Write, entity_tag
from mwl.store.writing import require_safe
from mwl.web.auditing import actor_of
from mwl.web.conditions import quoted
from mwl.web.context import Context
from mwl.web.desk import Desk, Order, Placed, api_error_of, catch_up, findings_of, source_of
from mwl.web.errors import ApiError, as_api_error, error_object
from mwl.web.routing import (
    STRING,
    Route,
    Schema,
    body_of,
    json_answer,
    limits_of,
    router_of,
)
from mwl.web.turns import finished, in_turns
from mwl.web.worklists import (
    EXAMPLE,
    FORCE,
    RESERVED,
    TAGS,
    WRITING_FAILS,
    Called,
    read_body,
    source_of_order,
)

_ROW: Schema = {
    "type": "object",
    "required": ["Tags"],
    "properties": {
        "Tags": TAGS,
        "Force": FORCE,
        "ID": {"type": "string", "description": "Replace this item, or make it."},
        "AccessionNumber": {
            "type": "string",
            "description": "Replace the item of this order, or make it.",
        },
    },
}
_RESULTS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "ID": STRING,
            "Path": STRING,
            "ETag": STRING,
            "Findings": {"type": "array"},
            "Error": {"type": "object", "description": "Orthanc's error object."},
        },
    },
}

_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(slots=True)
class _Row:
    """One row on its way.

    Args:
        outcome: What became of it, or why nothing did.
        order: What it asks for; None when that cannot be read.
        write: What is to be written; None when that is there already, or was refused.
    """

    outcome: Placed | MwlError
    order: Order | None = None
    write: Write | None = None


class _Batch:
    def __init__(self, context: Context, desk: Desk) -> None:
        self._context = context
        self._desk = desk

    async def write(
        self,
        request: Request,
        force: Annotated[
            bool, Query(alias="Force", description="For the rows that do not say.")
        ] = False,
        called: Called = None,
    ) -> Response:
        """Write many items.

        Each row has its own result, in the same order; one that is refused keeps no other from
        being written. A row with `ID` replaces that item, one with `AccessionNumber` that of the
        order, any other makes a new one.
        """
        text = _text(await body_of(request, HTTP_BATCH))
        most = limits_of(request).http_rows
        worklist = self._desk.worklist(called)
        values = [value async for value in in_turns(_rows(text, most))]
        await finished(worklist.see_every_change())
        rows: list[_Row] = []
        taken: set[str] = set()
        async for value in in_turns(values):
            rows.append(await self._prepared(worklist, value, taken, force=force))  # noqa: PERF401
        await self._write(worklist, rows, actor_of(self._context, request))
        uri = request.url.path
        results = [_result(row.outcome, uri) async for row in in_turns(rows)]
        return json_answer(results)

    async def _prepared(
        self, worklist: Worklist, value: Any, taken: set[str], *, force: bool
    ) -> _Row:
        """Make the item of a row."""
        try:
            order = _order(worklist, value, force=force)
            if order.source in taken:
                raise ApiError("DuplicateResource", "a row before is about the same item")
            taken.add(order.source)
            draft, write = await self._desk.drafted(worklist, order)
        except MwlError as error:
            return _Row(error)
        return _Row(Placed(order.source, entity_tag(draft.data), draft.findings), order, write)

    async def _write(self, worklist: Worklist, rows: list[_Row], actor: Actor) -> None:
        """Write all at once; those that changed meanwhile again, each alone."""
        written = [row for row in rows if row.write is not None]
        writes = [row.write for row in written if row.write is not None]
        results = await self._desk.write(worklist, writes, actor)
        await catch_up(worklist)
        for row, failure in zip(written, results, strict=True):
            if isinstance(failure, SourceChanged) and row.order is not None:
                await self._again(worklist, row, row.order, actor)
            elif failure is not None:
                row.outcome = failure

    async def _again(self, worklist: Worklist, row: _Row, order: Order, actor: Actor) -> None:
        try:
            row.outcome = await self._desk.put(worklist, order, actor)
        except MwlError as error:
            row.outcome = error


def _result(outcome: Placed | MwlError, uri: str) -> dict[str, Any]:
    if isinstance(outcome, Placed):
        result = outcome.reply() | {"ETag": quoted(outcome.entity_tag)}
        if outcome.findings:
            result["Findings"] = findings_of(outcome.findings)
        return result
    error = api_error_of(outcome) if isinstance(outcome, WriteError) else as_api_error(outcome)
    return {"Error": error_object(error, "POST", uri)}


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ApiError("BadFileFormat", "the body is not text in UTF-8") from None


def _rows(text: str, most: int = HTTP_ROWS.default) -> Iterator[Any]:
    """Read an array of a number of values at most, a value at a time.

    Raises:
        ApiError: It is none.
    """
    decoder = json.JSONDecoder()
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise ApiError("BadFileFormat", "Must provide a JSON array")
    place = _after_space(text, place + 1)
    count = 0
    while text[place : place + 1] != "]" or count:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            raise ApiError("BadFileFormat", f"Cannot parse the JSON of row {count}") from None
        yield value
        count += 1
        if count > most:
            message, exceeded = f"more than {most} rows", HTTP_ROWS.hit(most)
            raise ApiError("BadRequest", message, http_status=413, exceeded=exceeded)
        place = _after_space(text, place)
        if text[place : place + 1] == "]":
            break
        if text[place : place + 1] != ",":
            raise ApiError("BadFileFormat", f"expected , or ] after row {count - 1}")
        place = _after_space(text, place + 1)
    if _after_space(text, place + 1) != len(text):
        raise ApiError("BadFileFormat", "more text behind the array")


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _order(worklist: Worklist, value: Any, *, force: bool) -> Order:
    if not isinstance(value, Mapping):
        raise ApiError("BadFileFormat", "a row is a JSON object")
    name, number = value.get("ID"), value.get("AccessionNumber")
    for given, what in ((name, "ID"), (number, "AccessionNumber")):
        if given is not None and not isinstance(given, str):
            raise ApiError("BadFileFormat", f"String value expected in field: {what}")
    if name is not None and number is not None:
        raise ApiError("BadFileFormat", "a row has ID or AccessionNumber")
    tags, forced = read_body(value, default=False)
    if "Force" not in value and force:
        forced = "yes"
    if name is not None:
        if name in RESERVED:
            raise ApiError("BadFileFormat", "ID: there is a route of this name")
        source = source_of(worklist.catalog, name)
        require_safe(source)
        return Order(source, tags, forced)
    if number is not None:
        return Order(source_of_order(worklist, number), tags, forced, ANYTHING, number.strip(" "))
    return Order(f"{uuid.uuid4()}.wl", tags, forced, ABSENT)


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    batch = _Batch(context, Desk(context))
    return router_of(
        "Worklists",
        [
            Route(
                method="POST",
                path="/worklists/batch",
                endpoint=batch.write,
                body={"type": "array", "items": dict(_ROW)},
                example=[dict(EXAMPLE)],
                answer=_RESULTS,
                failures={
                    400: "It is no array",
                    404: WRITING_FAILS[404],
                    503: WRITING_FAILS[503],
                },
            )
        ],
    )
