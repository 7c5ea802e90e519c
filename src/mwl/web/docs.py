"""The description of the routes: OpenAPI, and a page that shows it without asking anybody else."""

import json
import mimetypes
from importlib import resources
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi

from mwl.web.errors import ApiError
from mwl.web.routing import JSON

ASSETS = (
    *("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "docs.js"),
    *("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"),
)
"""Files that the page is made of, beside itself."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a browser lets the page do: nothing that leaves this server (Content Security Policy)."""

_DESCRIPTION = """\
Orthanc's routes, as far as they mean something to a worklist server, and some that it lacks.

Every failure is an object with `HttpStatus`, `OrthancStatus`, `Message` and, where there is more
to say, `Details`. No route looks at the Content-Type of a body.
"""


def describe(app: FastAPI, *, authentication: bool) -> dict[str, Any]:
    """Give the OpenAPI description of the routes that an application has.

    Args:
        app: The application.
        authentication: Whether a name and a password are asked for.

    Cost: about 0.1 s, so not for the event loop.
    """
    description = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    # The framework documents an answer of its own to a wrong parameter; ours has another shape.
    for operation in _operations(description):
        validation = operation["responses"].get("422", {}).get("content", {}).get(JSON, {})
        if "HTTPValidationError" in validation.get("schema", {}).get("$ref", ""):
            del operation["responses"]["422"]
        if operation["description"].rstrip(".") == operation["summary"]:
            del operation["description"]  # the framework repeats it
    components = description.setdefault("components", {})
    components.pop("schemas", None)
    if authentication:
        components["securitySchemes"] = {"basic": {"type": "http", "scheme": "basic"}}
        description["security"] = [{"basic": []}]
    return description


def _operations(description: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in description["paths"].values() for operation in path.values()]


def router(description: dict[str, Any]) -> APIRouter:
    """Give the routes of this module.

    Args:
        description: What `describe` gives.
    """
    encoded = json.dumps(description).encode()
    files = resources.files("mwl.web") / "assets"
    assets = {name: (files / name).read_bytes() for name in ASSETS}
    html = (files / "docs.html").read_bytes()
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}

    async def openapi() -> Response:
        return Response(encoded, media_type=JSON)

    async def page() -> Response:
        return Response(html, headers=headers, media_type="text/html; charset=utf-8")

    async def asset(name: str) -> Response:
        if name not in assets:
            raise ApiError("UnknownResource")
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        return Response(assets[name], headers=headers, media_type=kind)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/openapi.json", openapi, methods=["GET"])
    router.add_api_route("/docs", page, methods=["GET"])
    router.add_api_route("/docs/{name}", asset, methods=["GET"])
    return router
