"""Every failure over HTTP, as Orthanc's error object.

A route raises `ApiError` with the name of a row of `CODES`; `install` makes the object of it, and
of all else that can go wrong: an unknown address, a wrong method, a fault of this program.

    {"HttpError": "Not Found", "HttpStatus": 404, "Message": "Accessing an inexistent item",
     "Method": "GET", "OrthancError": "Accessing an inexistent item", "OrthancStatus": 7,
     "Uri": "/modalities/nope"}

Source of the codes: the enumeration `OrthancPluginErrorCode` of Orthanc's plugin interface.
"""

import http
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from mwl import telemetry
from mwl.errors import InputError, MwlError, PeerRefused, StoreError
from mwl.limits import Exceeded

SHOWN_CHARACTERS = 1000
"""What the log and the audit trail show of the path and the user of a request, in characters:
anybody may send 64 KiB."""


class Code(NamedTuple):
    """One row of `CODES`.

    Args:
        orthanc_status: Number of the error in Orthanc.
        http_status: Status of the response.
        description: What Orthanc says.
    """

    orthanc_status: int
    http_status: int
    description: str


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "InternalError": Code(-1, 500, "Internal error"),
        "NotImplemented": Code(2, 501, "Not implemented yet"),
        "ParameterOutOfRange": Code(3, 400, "Parameter out of range"),
        "BadParameterType": Code(5, 400, "Bad type for a parameter"),
        "InexistentItem": Code(7, 404, "Accessing an inexistent item"),
        "BadRequest": Code(8, 400, "Bad request"),
        "NetworkProtocol": Code(9, 500, "Error in the network protocol"),
        "CannotWriteFile": Code(14, 500, "Cannot write to file"),
        "BadFileFormat": Code(15, 400, "Bad file format"),
        "Timeout": Code(16, 500, "Timeout"),
        "UnknownResource": Code(17, 404, "Unknown resource"),
        "FullStorage": Code(19, 500, "The file storage is full"),
        "UnknownDicomTag": Code(27, 400, "Unknown DICOM tag"),
        "Unauthorized": Code(29, 401, "Bad credentials were provided to an HTTP request"),
        "NotAcceptable": Code(
            34,
            406,
            "Cannot send a response which is acceptable according to the Accept HTTP header",
        ),
        "DatabaseUnavailable": Code(
            36, 503, "The database is currently not available (probably a transient situation)"
        ),
        "Revision": Code(
            43,
            409,
            "A bad revision number was provided, which might indicate conflict between multiple "
            "writers",
        ),
        "ForbiddenAccess": Code(45, 403, "Access to a resource is forbidden"),
        "LuaFails": Code(2031, 500, "Cannot execute a Lua command"),
        "DuplicateResource": Code(46, 409, "Duplicate resource"),
    }
)
"""The errors of Orthanc that can happen here."""

_OF_STATUS: Mapping[int, str] = MappingProxyType(
    {
        400: "BadRequest",
        401: "Unauthorized",
        403: "ForbiddenAccess",
        404: "UnknownResource",
        405: "BadRequest",
        406: "NotAcceptable",
        409: "DuplicateResource",
        412: "Revision",
        413: "BadRequest",
        503: "DatabaseUnavailable",
    }
)
"""The error that stands for a status which the framework chose."""


class ApiError(MwlError):
    """A request over HTTP fails.

    Args:
        code: Name of a row of `CODES`.
        details: What was found and what to do about it; never a value that may be a patient's.
        http_status: Status of the response where it is not that of the row.
        headers: Further headers of the response.
        extra: Further members of the object, such as the findings of a check.
        exceeded: The limit that the request goes beyond, where that is why.
    """

    def __init__(
        self,
        code: str,
        details: str = "",
        *,
        http_status: int | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        exceeded: Exceeded | None = None,
    ) -> None:
        row = CODES[code]
        super().__init__(details or row.description)
        self.code = code
        self.details = details
        self.http_status = row.http_status if http_status is None else http_status
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.exceeded = exceeded


def error_response(error: ApiError, method: str, uri: str, *, described: bool) -> Response:
    """Give the response that says an error.

    Args:
        error: What went wrong.
        method: Method of the request.
        uri: Path of the request.
        described: Whether the client is told more than the status (`HttpDescribeErrors`).
    """
    if not described:
        return Response(status_code=error.http_status, headers=error.headers)
    return Response(
        json.dumps(error_object(error, method, uri)),
        error.http_status,
        error.headers,
        media_type="application/json",
    )


def error_object(error: ApiError, method: str, uri: str) -> dict[str, Any]:
    """Give the object that says an error."""
    row = CODES[error.code]
    body = {
        "HttpError": http.HTTPStatus(error.http_status).phrase,
        "HttpStatus": error.http_status,
        "Message": row.description,
        "Method": method,
        "OrthancError": row.description,
        "OrthancStatus": row.orthanc_status,
        "Uri": uri,
        **error.extra,
    }
    if error.details:
        body["Details"] = error.details
    return body


def _of_framework(error: HTTPException) -> ApiError:
    code = _OF_STATUS.get(error.status_code, "InternalError")
    return ApiError(code, http_status=error.status_code, headers=error.headers)


def _of_validation(error: RequestValidationError) -> ApiError:
    # The values stay out: they may be a patient's.
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return ApiError("ParameterOutOfRange", f"{place}: {first['msg']}")


_OF_MWL: tuple[tuple[type[MwlError], str], ...] = (
    (StoreError, "DatabaseUnavailable"),
    (PeerRefused, "NetworkProtocol"),
    (InputError, "BadFileFormat"),
)
"""The error that stands for an exception of ours."""


def as_api_error(error: Exception) -> ApiError:
    """Give the error that a client is told for an exception that left a route."""
    match error:
        case ApiError():
            return error
        case HTTPException():
            return _of_framework(error)
        case RequestValidationError():
            return _of_validation(error)
        case _:
            for kind, code in _OF_MWL:
                if isinstance(error, kind):
                    return ApiError(code, str(error))
    telemetry.emit("internal_error", error=error)
    return ApiError("InternalError")


def install(app: FastAPI, routers: Sequence[APIRouter], *, described: bool) -> None:
    """Let an application answer every failure with the error object.

    Args:
        app: The application.
        routers: All its routes.
        described: Whether an error says more than its status.
    """

    async def handle(request: Request, error: Exception) -> Response:
        failure = as_api_error(error)
        if failure.http_status == http.HTTPStatus.METHOD_NOT_ALLOWED and failure is not error:
            # The framework names the methods of the first route with this path alone.
            failure.headers["Allow"] = _allowed_methods(routers, request)
        if failure.exceeded is not None:
            _report(failure, failure.exceeded, request)
        return error_response(failure, request.method, request.url.path, described=described)

    for kind in (MwlError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def _report(failure: ApiError, exceeded: Exceeded, request: Request) -> None:
    """Tell of a request that goes beyond a limit."""
    path, state = request.url.path, request.app.state
    if state.context.settings.hide_values:
        path = state.addresses.route(request.scope)
    telemetry.refuse(
        exceeded,
        "http_refused",
        host=None if request.client is None else request.client.host,
        method=request.method[:SHOWN_CHARACTERS],
        path=path[:SHOWN_CHARACTERS],
        status=failure.http_status,
        reason=str(failure),
    )


def _allowed_methods(routers: Sequence[APIRouter], request: Request) -> str:
    methods: set[str] = set()
    for route in (route for router in routers for route in router.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))
