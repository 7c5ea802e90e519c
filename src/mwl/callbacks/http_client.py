"""What scripts ask over HTTP: this server's own API, and others."""

import base64
from collections.abc import Callable, Mapping

from mwl.errors import MwlError

TIMEOUT_S = 4.0
"""Seconds to wait for a server, unless a script sets them: less than `CallbackTimeout` as it comes,
so that the script is told and can go on."""

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest answer that is read."""

Rest = Callable[[str, str, bytes, Mapping[str, str]], tuple[int, bytes]]
"""Asks this server's HTTP API: method, URI, body, headers to status and body."""


def no_rest(method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Stand for the HTTP API where there is none."""
    del method, uri, body, headers
    raise MwlError("this server has no HTTP API (HttpServerEnabled)")


class Http:
    """A client for scripts."""

    def __init__(self) -> None:
        self._timeout_s = TIMEOUT_S
        self._authorization = ""

    def set_timeout(self, seconds: float) -> None:
        """Wait that long for a server."""
        self._timeout_s = float(seconds)

    def set_credentials(self, user: str, password: str) -> None:
        """Name a user to every server from now on; none ends it."""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._authorization = f"Basic {pair}" if user else ""

    def __call__(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Ask a server.

        Raises:
            OSError: It cannot be reached, or its status is 400 or above.
            ValueError: The URL is none of HTTP.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError("expected a URL of http or https")
        all_headers = dict(headers)
        if self._authorization:
            all_headers.setdefault("Authorization", self._authorization)
        import urllib.request  # noqa: PLC0415 - half of the start of a short command

        request = urllib.request.Request(  # noqa: S310 - http and https alone
            url,
            data=body if method in {"POST", "PUT"} else None,
            headers=all_headers,
            method=method,
        )
        with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
            data: bytes = answer.read(ANSWER_LIMIT_BYTES + 1)
        if len(data) > ANSWER_LIMIT_BYTES:
            raise ValueError(f"the answer has more than {ANSWER_LIMIT_BYTES} bytes")
        return data
