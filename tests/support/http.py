"""Requests over HTTP to a server on this machine, and the shapes of what it answers."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        """Give the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Asks one server; every request has a connection of its own."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        uri: str,
        body: str | bytes | object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; a body that is neither text nor bytes goes as JSON."""
        if self.tls is None:
            connection = http.client.HTTPConnection(self.host, self.port, TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=TIMEOUT_S, context=self.tls
            )
        data = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        encoded = data.encode() if isinstance(data, str) else data
        try:
            connection.request(method, uri, encoded, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, uri: str) -> Answer:
        """Ask with GET."""
        return self.ask("GET", uri)


def basic(name: str, password: str) -> dict[str, str]:
    """Give the header that says who asks."""
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}
