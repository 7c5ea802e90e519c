"""Routes as data: what the OpenAPI description says of each stands beside it.

Bodies are read and answers are written here and not by the framework: Orthanc looks at no
Content-Type, and its scripts send none that fits.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from mwl.limits import HTTP_BODY, Limit
from mwl.web.context import Context, HttpLimits
from mwl.web.errors import ApiError

JSON = "application/json"
TEXT = "text/plain"

Endpoint = Callable[..., Awaitable[Response]]
"""What answers an operation."""

Schema = Mapping[str, Any]
"""A schema of JSON, as OpenAPI 3.1 has it."""

ANY_OBJECT: Schema = {"type": "object"}
EMPTY_OBJECT: Schema = {"type": "object", "maxProperties": 0}
STRING: Schema = {"type": "string"}
STRINGS: Schema = {"type": "array", "items": STRING}

ERROR: Schema = {
    "type": "object",
    "description": "Orthanc's error object; without a body when `HttpDescribeErrors` is false.",
    "required": [
        *("HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus", "Uri")
    ],
    "properties": {
        "HttpError": STRING,
        "HttpStatus": {"type": "integer"},
        "Message": STRING,
        "Method": STRING,
        "OrthancError": STRING,
        "OrthancStatus": {"type": "integer"},
        "Uri": STRING,
        "Details": {"type": "string", "description": "What was found and what to do about it."},
    },
}
"""Every failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation.

    Args:
        method: Its method.
        path: Its path, with parameters in braces.
        endpoint: What answers it; its docstring is the description.
        body: Schema of the body, None without.
        body_type: Media type of the body in the description.
        needs_body: Whether it is an error to send none.
        example: A body that can be tried.
        answer: Schema of the answer; None for an empty one.
        answer_type: Media type of the answer.
        success: Status of the answer.
        failures: Other statuses, each with when it happens.
    """

    method: str
    path: str
    endpoint: Endpoint
    body: Schema | None = None
    body_type: str = JSON
    needs_body: bool = True
    example: Any = None
    answer: Schema | None = None
    answer_type: str = JSON
    success: int = 200
    failures: Mapping[int, str] = field(default_factory=dict)


def router_of(tag: str, routes: Sequence[Route]) -> APIRouter:
    """Make a router.

    Args:
        tag: Heading of the routes in the description.
        routes: What it answers.
    """
    router = APIRouter(tags=[tag])
    for route in routes:
        summary, description = _parts_of(route.endpoint.__doc__ or "")
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            response_model=None,
            response_class=Response,
            status_code=route.success,
            responses=_responses(route),
            openapi_extra=_request_body(route),
            operation_id=f"{route.method.lower()}{route.path.replace('/', '_')}".translate(_BRACES),
            summary=summary,
            description=description,
        )
    return router


_BRACES = str.maketrans({"{": None, "}": None, "-": "_"})


def _parts_of(docstring: str) -> tuple[str, str]:
    summary, _, rest = docstring.partition("\n\n")
    description = "\n".join(line.strip() for line in rest.splitlines()).strip()
    return " ".join(summary.split()).rstrip("."), description


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    success: dict[str, Any] = {"description": "Done" if route.answer is None else "The answer"}
    if route.answer is not None:
        success["content"] = {route.answer_type: {"schema": dict(route.answer)}}
    failures = dict(route.failures)
    if route.body is not None:
        failures.setdefault(400, "The body cannot be used")
        failures[413] = "The body is longer than is taken: see `Limits` in the configuration"
    documented: dict[int | str, dict[str, Any]] = {route.success: success}
    for status, when in sorted(failures.items()):
        documented[status] = {"description": when, "content": {JSON: {"schema": dict(ERROR)}}}
    return documented


def _request_body(route: Route) -> dict[str, Any] | None:
    if route.body is None:
        return None
    media: dict[str, Any] = {"schema": dict(route.body)}
    if route.example is not None:
        media["example"] = route.example
    return {"requestBody": {"required": route.needs_body, "content": {route.body_type: media}}}


def limits_of(request: Request) -> HttpLimits:
    """Give how much is taken now."""
    context: Context = request.app.state.context
    return context.settings.limits


async def body_of(request: Request, limit: Limit = HTTP_BODY) -> bytes:
    """Give the body of a request.

    Raises:
        ApiError: It is longer than allowed.
    """
    body = bytearray()
    longest: int = getattr(limits_of(request), limit.field)
    async for part in request.stream():
        body += part
        if len(body) > longest:
            message = f"the body has more than {longest} bytes"
            exceeded = limit.hit(longest)
            raise ApiError("BadRequest", message, http_status=413, exceeded=exceeded)
    return bytes(body)


async def text_of(request: Request) -> str:
    """Give the body of a request as text.

    Raises:
        ApiError: It is not UTF-8, or longer than allowed.
    """
    try:
        return (await body_of(request)).decode()
    except UnicodeDecodeError:
        raise ApiError("BadRequest", "the body is not text in UTF-8") from None


async def json_of(request: Request, *, empty: Any = None) -> Any:
    """Give the body of a request as JSON.

    Args:
        request: The request.
        empty: What an empty body stands for.

    Raises:
        ApiError: It is no JSON, or longer than allowed.
    """
    body = await body_of(request)
    if not body and empty is not None:
        return empty
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError("BadFileFormat", "Cannot parse the JSON body") from None


async def object_of(request: Request, *, empty: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give the body of a request as a JSON object.

    Raises:
        ApiError: It is none.
    """
    value = await json_of(request, empty=empty)
    if not isinstance(value, dict):
        raise ApiError("BadFileFormat", "Must provide a JSON object")
    return value


def json_answer(value: object) -> Response:
    """Give an answer as Orthanc writes JSON: with its character set, and ASCII alone."""
    return Response(json.dumps(value), media_type=f"{JSON}; charset=utf-8")


def text_answer(text: str = "") -> Response:
    """Give an answer of plain text, or an empty one."""
    return Response(text, headers={"Content-Type": TEXT})


def done() -> Response:
    """Give the answer of an action that has nothing to tell."""
    return Response("{}", media_type=JSON)
