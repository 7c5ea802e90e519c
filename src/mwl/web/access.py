"""Who may ask over HTTP: from where, as whom, and from which page of a browser.

Put around the application by the composition root; scripts of callbacks call the application
within, without it. As in Orthanc: without `RemoteAccessAllowed` the loopback alone, with
`AuthenticationEnabled` only the `RegisteredUsers`. Beyond Orthanc: a page of another site cannot
write through the browser of somebody who may, and cannot read through a name of its own that it
lets point here (DNS rebinding).
"""

import base64
import binascii
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mwl import access, telemetry
from mwl.callbacks import HttpRequest
from mwl.errors import RequestRefused
from mwl.web.addresses import Addresses, plain_path
from mwl.web.errors import SHOWN_CHARACTERS, ApiError, error_response

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor

REALM = "Orthanc Secure Area"
"""What a browser is told to ask a password for; scripts may have it written down."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing: RFC 9110 section 9.2.1."""


Admit = Callable[[HttpRequest], Awaitable[bool]]
"""Tells whether a request may pass, or raises RequestRefused when it cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules.

    Args:
        remote_allowed: Whether others than the loopback may ask (`RemoteAccessAllowed`).
        authentication: Whether a name and a password are asked for (`AuthenticationEnabled`).
        users: Name to password (`RegisteredUsers`).
        hosts: Names, in lower case, that a browser may use for this server beyond those of the
            loopback (`HttpHosts`).
        describe_errors: Whether a refusal says why (`HttpDescribeErrors`).
        admit: Asks a script of the site last (`IncomingHttpRequestFilter`); None without one.
        auditor: Is told who was refused; None without an audit trail.
        addresses: Tells what the log may show of an address; None for all (`DeidentifyLogs`).
    """

    remote_allowed: bool = False
    authentication: bool = False
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    hosts: frozenset[str] = frozenset()
    describe_errors: bool = True
    admit: Admit | None = field(default=None, repr=False)
    auditor: "Auditor | None" = field(default=None, repr=False)
    addresses: Addresses | None = field(default=None, repr=False)


def refusal(rules: Rules, method: str, client: str, headers: Headers) -> ApiError | None:
    """Decide on a request.

    Args:
        rules: The rules.
        method: Its method.
        client: IP address that it comes from.
        headers: Its headers.

    Returns:
        None when it may pass.
    """
    if not rules.remote_allowed:
        if not is_loopback(client):
            return ApiError("ForbiddenAccess", "only this machine may ask: RemoteAccessAllowed")
        if not _is_ours(headers.get("host", ""), rules.hosts):
            return ApiError(
                "ForbiddenAccess",
                "the header Host names none of this server's names: add it to HttpHosts",
            )
    if method not in SAFE_METHODS and _is_of_another_site(headers):
        return ApiError("ForbiddenAccess", "a page of another site may not change anything here")
    if rules.authentication and not is_user(rules.users, headers.get("authorization", "")):
        challenge = {"WWW-Authenticate": f'Basic realm="{REALM}"'}
        return ApiError("Unauthorized", headers=challenge)
    return None


async def refusal_of_script(
    rules: Rules, method: str, path: str, client: str, headers: Headers
) -> ApiError | None:
    """Let a script of the site decide on a request that the rules let pass.

    Returns:
        None when it may pass. When the script fails or takes too long, it may not.
    """
    if rules.admit is None:
        return None
    # The path as the routes see it: no way of writing one gets past the script.
    request = HttpRequest(method, plain_path(path), client, user_of(headers), dict(headers))
    try:
        if await rules.admit(request):
            return None
    except RequestRefused as failed:
        return ApiError("LuaFails", f"IncomingHttpRequestFilter: {failed.comment}")
    return ApiError("ForbiddenAccess", "the site's IncomingHttpRequestFilter refused it")


def user_of(headers: Headers) -> str:
    """Give the name in a header Authorization (RFC 7617), right or wrong; empty without one."""
    given = _credentials(headers.get("authorization", ""))
    return "" if given is None else given.partition(b":")[0].decode("utf-8", "replace")


def is_loopback(host: str) -> bool:
    """Tell whether an IP address is of the loopback interface."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_user(users: Mapping[str, str], authorization: str) -> bool:
    """Tell whether a header Authorization (RFC 7617) is that of a user."""
    given = _credentials(authorization)
    if given is None:
        return False
    name, colon, password = given.partition(b":")
    return access.is_user(users, name, password) and bool(colon)


def _credentials(authorization: str) -> bytes | None:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _name_of(host: str) -> str:
    """Give the name in a header Host or in the authority of an address, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ours(host: str, hosts: frozenset[str]) -> bool:
    name = _name_of(host)
    return name == "localhost" or name in hosts or is_loopback(name)


def _is_of_another_site(headers: Headers) -> bool:
    """Tell whether a browser says that a page of another origin makes this request.

    Programs that are no browsers send neither header.
    """
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


class Guard:
    """An application that lets pass what the rules allow.

    Args:
        app: The application within.
        rules: The rules; others may take their place at any time.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        client, port = scope.get("client") or ("", 0)
        if "." in client and ":" in client:  # IPv4, seen by a socket of IPv6
            client = client.removeprefix("::ffff:")
            scope = {**scope, "client": (client, port)}
        headers = Headers(scope=scope)
        refused = refusal(self.rules, method, client, headers)
        if refused is None:
            refused = await refusal_of_script(self.rules, method, path, client, headers)
        if refused is None:
            await self._pass(scope, receive, send, client)
            return
        telemetry.emit(
            "http_refused",
            host=client,
            method=method[:SHOWN_CHARACTERS],
            path=self._shown(scope, refused.http_status),
            status=refused.http_status,
            reason=str(refused),
        )
        if (auditor := self.rules.auditor) is not None:
            words = f"{method} {path}"[:SHOWN_CHARACTERS]
            user = user_of(headers)[:SHOWN_CHARACTERS]
            auditor.refused(user, client, refused.http_status, f"{words}: {refused}")
        described = self.rules.describe_errors
        await error_response(refused, method, path, described=described)(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        status, started = 0, perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            telemetry.emit(
                "http_request" if scope["method"] in SAFE_METHODS else "http_change",
                host=client,
                method=scope["method"][:SHOWN_CHARACTERS],
                path=self._shown(scope, status),
                status=status,
                milliseconds=(perf_counter() - started) * 1000,
            )

    def _shown(self, scope: Scope, status: int) -> str:
        """Give the path of a request as the log may have it."""
        addresses = self.rules.addresses
        path: str = scope["path"] if addresses is None else addresses.shown(scope, status)
        return path[:SHOWN_CHARACTERS]
