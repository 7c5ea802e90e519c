"""The routes called from within the process, without a socket and without access control."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope


class Reply(NamedTuple):
    """What a route answered.

    Args:
        status: Its HTTP status.
        body: Its body, whole.
        headers: Its headers, names in lower case.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]


async def call(
    app: ASGIApp,
    method: str,
    uri: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Call a route.

    Args:
        app: The application.
        method: Method of the request.
        uri: Path, with a query if any.
        body: Body of the request.
        headers: Headers of the request.
    """
    parts_to_send = [{"type": "http.request", "body": body, "more_body": False}]
    answered: list[Message] = []
    is_answered = asyncio.Event()

    async def receive() -> Message:
        if parts_to_send:
            return parts_to_send.pop()
        # The caller stays: an answer that is streamed ends where it finds that nobody listens.
        await is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            is_answered.set()

    await app(_scope(method, uri, headers or {}), receive, send)
    start, *rest = answered
    return Reply(
        start["status"],
        b"".join(message.get("body", b"") for message in rest),
        {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
    )


def _scope(method: str, uri: str, headers: Mapping[str, str]) -> Scope:
    parts = urlsplit(uri)
    given = {name.lower(): value for name, value in headers.items()}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": None,
        "server": None,
    }
