"""What a server is over HTTP: its routes, made when the first one asks.

The framework takes longer to import than all the rest, and few scanners ask for it: nothing here
imports `mwl.web` before it is wanted.
"""

import asyncio
import gc
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mwl import telemetry
from mwl.callbacks import Callbacks, HttpRequest
from mwl.config import Config
from mwl.errors import ConfigError, InputError, RequestRefused
from mwl.net.certificates import Certificates
from mwl.net.listening import AGAIN_S, OnDemand, Running
from mwl.net.service import Service
from mwl.server.auditing import Auditing
from mwl.server.reloading import Changes
from mwl.site import KnownModalities, Worklists, dicom_credentials
from mwl.tls.contexts import client_context

if TYPE_CHECKING:
    from mwl import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes are to work with.

    Args:
        config: What is served.
        service: What every association shares.
        worklists: The worklists that are served.
        dicom_port: TCP port of DICOM, as listened on.
        associations: Gives the number of those that are open.
        days_left: Gives the days left of each certificate, by its option.
        modalities: The known modalities.
        auditing: The audit trail; None without.
        stop: Ends the server.
        reset: Ends the server and starts it again with its configuration read anew.
        reload: Reads the configuration anew and takes it over.
    """

    config: Config
    service: Service
    worklists: Worklists
    modalities: KnownModalities
    dicom_port: int
    associations: Callable[[], int]
    days_left: Callable[[], Mapping[str, float]]
    auditing: Auditing | None
    stop: Callable[[], object]
    reset: Callable[[], object]
    reload: Callable[[], Awaitable[Changes]]


class OverHttp:
    """A server over HTTP.

    Args:
        parts: What the routes are to work with.
        sockets: Bound and listening.
        certificates: What to encrypt with; None does not.

    Attributes:
        port: TCP port.
    """

    def __init__(
        self, parts: Parts, sockets: list[socket.socket], certificates: Certificates | None
    ) -> None:
        self._parts = parts
        self._config = parts.config
        self._worklists = parts.worklists
        self._sockets = sockets
        self._tls = None if certificates is None else certificates.following()
        self._routes: web.App | None = None
        self._context: web.Context | None = None
        self._guard: web.Guard | None = None
        self._serving: web.HttpServer | None = None
        self._loop = asyncio.get_running_loop()
        host, self.port = sockets[0].getsockname()[:2]
        self._listener = OnDemand(self._loop, sockets, self._make, self._tell_of_failure)
        telemetry.emit("http_listening", host=host, port=self.port, tls=self._tls is not None)

    def begin(self) -> None:
        """Make the routes now, if that has not begun."""
        self._listener.begin()

    async def stop(self) -> None:
        """Take no more connections, and end those that are open."""
        await self._listener.stop()

    def hurry(self) -> None:
        """Let `stop` wait for nobody."""
        self._listener.hurry()

    def rest(
        self, method: str, uri: str, body: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        """Ask a route from another thread than that of the event loop, and wait for the answer."""
        asked = self._ask(method, uri, body, headers)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    async def _ask(
        self, method: str, uri: str, body: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        from mwl import web  # noqa: PLC0415 - see the module's head

        await self._listener.ready()
        if self._routes is None:
            raise ConfigError("HTTP could not be started: see the log")
        reply = await web.call(self._routes, method, uri, body, headers)
        return reply.status, reply.body

    def _tell_of_failure(self, error: Exception) -> None:
        if isinstance(error, OSError | MemoryError):
            reason = getattr(error, "strerror", None) or "out of memory"
            hint = f"it is tried again in {AGAIN_S:g} seconds"
            telemetry.emit("http_unavailable", port=self.port, reason=reason, hint=hint)
        else:
            telemetry.emit("internal_error", error=error)

    def _make(self) -> Running:
        from mwl import web  # noqa: PLC0415 - see the module's head

        self._context = self._new_context()
        self._routes = web.create_app(self._context)
        self._guard = web.Guard(self._routes, self._rules())
        limits = self._context.settings.limits
        serving = self._serving = web.listener(self._guard, self._sockets, self._tls, limits)
        # What was imported stays: no search for cycles need look at it while others wait.
        gc.freeze()
        return serving

    async def settled(self) -> None:
        """Wait until the routes are made, if that has begun."""
        await self._listener.settled()

    def take_over(self, config: Config) -> None:
        """Let another configuration count for the requests from now on; not while `settled`."""
        self._config = config
        if self._context is not None and self._guard is not None:
            self._context.identity = self._identity()
            self._context.settings = self._settings()
            self._context.execute_lua = self._execute_lua if config.execute_lua_enabled else None
            self._guard.rules = self._rules()
        if self._context is not None and self._serving is not None:
            self._serving.take_over(self._context.settings.limits)

    def _identity(self) -> "web.Identity":
        from mwl import web  # noqa: PLC0415 - see the module's head

        config = self._config
        return web.Identity(
            name=config.name,
            ae_title=config.dicom_ae_title,
            dicom_port=self._parts.dicom_port,
            http_port=self.port,
            is_secure=config.http_authentication or not config.remote_access_allowed,
            folder=str(config.worklists.database.absolute()),
        )

    def _settings(self) -> "web.Settings":
        from mwl import web  # noqa: PLC0415 - see the module's head

        config = self._config
        return web.Settings(
            describe_errors=config.http_describe_errors,
            hide_values=config.deidentify_logs,
            scu_timeout_s=config.dicom_scu_timeout_s,
            may_execute_lua=config.execute_lua_enabled,
            authentication=config.http_authentication,
            limits=web.HttpLimits(
                http_connections=config.limits.http_connections,
                http_requests=config.limits.http_requests,
                http_head_timeout_s=config.limits.http_head_timeout_s,
                handshake_timeout_s=config.limits.handshake_timeout_s,
                http_body=config.limits.http_body,
                http_batch=config.limits.http_batch,
                http_rows=config.limits.http_rows,
                http_event_readers=config.limits.http_event_readers,
            ),
        )

    def _new_context(self) -> "web.Context":
        from mwl import web  # noqa: PLC0415 - see the module's head

        parts, service = self._parts, self._parts.service
        return web.Context(
            identity=self._identity(),
            settings=self._settings(),
            worklists=self._worklists,
            modalities=parts.modalities,
            stop=parts.stop,
            reset=parts.reset,
            reload=self._reload,
            journal=service.journal,
            access=lambda: service.access,
            tls=self._client_tls,
            execute_lua=self._execute_lua if self._config.execute_lua_enabled else None,
            metrics=web.Metrics(
                service.journal,
                lambda: self._worklists.opened,
                parts.associations,
                telemetry.COUNTS,
                parts.days_left,
                telemetry.LIMIT_REFUSALS,
                None if parts.auditing is None else parts.auditing.trail,
            ),
            auditor=service.auditor,
        )

    async def _reload(self) -> "web.Reloaded":
        from mwl import web  # noqa: PLC0415 - see the module's head

        found = await self._parts.reload()
        return web.Reloaded(found.changed, found.needs_restart)

    def _client_tls(self) -> ssl.SSLContext:
        credentials = dicom_credentials(self._config)
        if credentials.peer_certificate_required and credentials.trusted is None:
            raise ConfigError(
                "a modality must show a certificate, and none vouches for theirs",
                option="DicomTlsTrustedCertificates",
                hint='or "DicomTlsRemoteCertificateRequired": false believes any',
            )
        return client_context(credentials)

    def _rules(self) -> "web.Rules":
        from mwl import web  # noqa: PLC0415 - see the module's head

        config = self._config
        routes = self._routes if config.deidentify_logs else None
        return web.Rules(
            remote_allowed=config.remote_access_allowed,
            authentication=config.http_authentication,
            users=config.registered_users,
            hosts=frozenset(host.lower() for host in config.http_hosts),
            describe_errors=config.http_describe_errors,
            auditor=self._parts.service.auditor,
            addresses=None if routes is None else routes.state.addresses,
            admit=None if scripts_of(config, self._worklists) is None else self._admit,
        )

    async def _admit(self, request: HttpRequest) -> bool:
        """Let a script decide who may use HTTP, where one wants to."""
        callbacks = scripts_of(self._config, self._worklists)
        if callbacks is None or not callbacks.filters_http:
            return True
        return await asyncio.wrap_future(callbacks.admit(request))

    async def _execute_lua(self, text: str) -> str:
        """Run a piece of Lua; give what it prints.

        Raises:
            InputError: It fails or takes too long, or lupa is not installed.
        """
        try:
            return await asyncio.wrap_future(self._worklists.scripts.execute_lua(text))
        except RequestRefused as refusal:
            raise InputError(refusal.comment) from None


def scripts_of(config: Config, worklists: Worklists) -> Callbacks | None:
    """Give what runs scripts, where there can be some."""
    return worklists.scripts if config.execute_lua_enabled else worklists.callbacks
