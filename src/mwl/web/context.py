"""What the routes need, given to each router when it is made: no route reads a global.

The composition root (`mwl.server`) makes it of the configuration and the running parts.
"""

import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mwl import limits
from mwl.access import AccessPolicy
from mwl.net.client import ClientAssociation, Peer, associate
from mwl.net.journal import Journal
from mwl.site import KnownModalities, Worklists
from mwl.tls.contexts import Credentials, client_context

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the server tells about itself.

    Args:
        name: Its name for people (`Name`).
        ae_title: Its AE title.
        dicom_port: TCP port of DICOM, as listened on.
        http_port: TCP port of HTTP, as listened on.
        is_secure: Whether nobody can use HTTP who is neither here nor known.
        folder: Where the worklist files are.
    """

    name: str
    ae_title: str
    dicom_port: int
    http_port: int
    is_secure: bool
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How much is taken over HTTP; see `mwl.limits` for the reasons.

    Args:
        http_connections: TCP connections open at once.
        http_requests: Requests answered at once.
        http_head_timeout_s: Seconds to the end of the headers of a request.
        handshake_timeout_s: Seconds that a TLS handshake may take.
        http_body: Longest body, in bytes.
        http_batch: Longest body of a batch, in bytes.
        http_rows: Rows of a batch.
        http_event_readers: Clients that read the events at once.
    """

    http_connections: int = limits.HTTP_CONNECTIONS.default
    http_requests: int = limits.HTTP_REQUESTS.default
    http_head_timeout_s: float = limits.HTTP_HEAD_TIMEOUT.default
    handshake_timeout_s: float = limits.HANDSHAKE_TIMEOUT.default
    http_body: int = limits.HTTP_BODY.default
    http_batch: int = limits.HTTP_BATCH.default
    http_rows: int = limits.HTTP_ROWS.default
    http_event_readers: int = limits.HTTP_EVENT_READERS.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Options that routes obey.

    Args:
        describe_errors: Whether an error says more than its status (`HttpDescribeErrors`).
        hide_values: Whether values of patients stay out of what is kept of queries
            (`DeidentifyLogs`).
        scu_timeout_s: Seconds to wait for a server that is asked over DICOM, 0 for a day
            (`DicomScuTimeout`).
        may_execute_lua: Whether a client may have Lua run (`ExecuteLuaEnabled`).
        authentication: Whether a name and a password are asked for (`AuthenticationEnabled`).
        limits: How much is taken.
    """

    describe_errors: bool = True
    hide_values: bool = True
    scu_timeout_s: int = 10
    may_execute_lua: bool = False
    authentication: bool = False
    limits: HttpLimits = HttpLimits()


class Reloaded(NamedTuple):
    """What came of reading the configuration anew.

    Args:
        changed: Names of the options that changed.
        needs_restart: Names of those that changed and that a running server keeps.
    """

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


async def nothing_to_reload() -> Reloaded:
    """Stand for a server without a configuration."""
    return Reloaded()


@dataclass(slots=True, kw_only=True)
class Context:
    """All that the routes work with.

    `identity`, `settings` and `execute_lua` are replaced when the configuration is read anew: a
    route looks at them anew for each request.

    Args:
        identity: Who this server is.
        settings: Options that routes obey.
        worklists: The worklists that are served.
        modalities: The known modalities; a change of them counts at once.
        stop: Ends the server, after the response is out.
        reset: Ends the server and starts it again with its configuration read anew.
        reload: Reads the configuration anew and takes it over; raises a ConfigError, and then
            nothing has changed.
        metrics: Gives the metrics as Prometheus reads them.
        journal: The queries that were answered.
        access: Gives the rules of who may ask over DICOM.
        tls: Makes what a modality with `UseDicomTls` is asked through; raises a ConfigError where
            its files cannot be used.
        associate: Opens an association with a server that is asked.
        execute_lua: Runs a piece of Lua and gives what it printed, or raises an InputError that
            says where it fails; None where there is no Lua.
        auditor: Is told who reads, searches and writes; None without an audit trail.
    """

    identity: Identity
    settings: Settings
    worklists: Worklists
    modalities: KnownModalities
    stop: Callable[[], object]
    reset: Callable[[], object]
    metrics: Callable[[], bytes]
    journal: Journal = field(default_factory=lambda: Journal(0))
    access: Callable[[], AccessPolicy] = AccessPolicy
    tls: Callable[[], ssl.SSLContext] = partial(client_context, Credentials())  # noqa: RUF009
    associate: Callable[[Peer, list[str]], AbstractAsyncContextManager[ClientAssociation]] = (
        associate
    )
    execute_lua: Callable[[str], Awaitable[str]] | None = None
    reload: Callable[[], Awaitable[Reloaded]] = nothing_to_reload
    auditor: "Auditor | None" = None
