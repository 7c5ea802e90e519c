"""Composition root: a `Config` becomes a running server. The only place where the parts meet.

What an option means is in `mwl.config`; what the parts do is in their own modules.
"""

import asyncio
import gc
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from mwl import telemetry
from mwl.access import AccessPolicy
from mwl.callbacks import Callbacks, HttpRequest
from mwl.config import Config
from mwl.dataset import (
    TRANSFER_SYNTAXES,
    load_registry,
)
from mwl.errors import ConfigError, InputError, RequestRefused, StoreError
from mwl.find import IDENTIFIER_LIMIT_BYTES, Worklist
from mwl.net.certificates import Certificates, Watch
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection, Service
from mwl.net.handshake import Handshake
from mwl.net.journal import Journal
from mwl.net.listening import BACKLOG, Named, OnDemand, Running, listen, listen_on_loopback
from mwl.site import (
    KnownModalities,
    Worklists,
    access_policy,
    dicom_credentials,
    https_credentials,
    take_dictionary,
)
from mwl.tls import client_context, server_context
from mwl.wire import negotiation
from mwl.wire.association import Limits

if TYPE_CHECKING:
    from mwl import web

Ending = Literal["stop", "reset"]
"""Why a server ended: to be gone, or to start again with its configuration read anew."""

FILES_WANTED = 4096
"""Descriptors to have room for: connections up to their limit, folders and files."""

LINES_TOGETHER_S = 0.005
"""Seconds that a line of the log may wait for others: all that a kill without warning can lose."""

REGISTRY_LATER_S = 1.0
"""Seconds from the reading of the folder to that of the registry, which takes 0.1 s: early enough
to be there before a query asks for a rare attribute, late enough for those who wait to be answered.
"""

EVENTS_WITHIN_S = 1.0
"""Seconds after which event hooks hear of items that changed, at the latest."""

_DICOM = Named("DicomHost", "DicomPort", "--port")
_DICOM_TLS = Named("DicomHost", "DicomTlsPort", "DicomTlsPort")
_HTTP = Named("HttpBindAddresses", "HttpPort", "--http-port")


def _nothing() -> None:
    pass


class Server:
    """A DICOM Modality Worklist server.

    Args:
        config: What to serve, where and to whom.

    Attributes:
        host: Address of DICOM, as listened on.
        port: Its TCP port.
        tls_port: TCP port of DICOM over TLS, 0 without.
        http_port: TCP port of HTTP, 0 without.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._worklists = Worklists(config)
        self._http: OnDemand | None = None
        self._routes: web.App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: Ending = "stop"
        self._ended = asyncio.Event()
        self._connections: Connections | None = None
        self._listeners: list[asyncio.Server] = []
        self._tls = _certificates(config)
        self._https = _https_certificates(config)
        self._watch: Watch | None = None
        self._preloading: Callable[[], None] = _nothing
        self._watching: Callable[[], None] = _nothing
        self.host = ""
        self.port = 0
        self.tls_port = 0
        self.http_port = 0

    async def start(self) -> Self:
        """Listen, and begin to read the folder; queries wait until it is read.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        config = self._config
        take_dictionary(config)
        loop = self._loop = asyncio.get_running_loop()
        service = self._service()
        connections = self._connections = Connections(loop, service.limits)
        _raise_file_limit()
        telemetry.write_together(partial(loop.call_later, LINES_TOGETHER_S))
        dicom_sockets, http_sockets = _listen(config)
        await self._serve_dicom(service, connections, dicom_sockets)
        if http_sockets:
            self._serve_http(service, http_sockets)
        self._watch = Watch(loop, [one for one in (self._tls, self._https) if one is not None])
        self._watch.start()
        if (worklist := self._worklists.of_everyone()) is not None:
            self._preloading = _preload(loop, worklist, self._when_loaded)
        else:
            self._when_loaded()
        if (callbacks := self._scripts()) is not None:
            callbacks.rest = self.rest
            callbacks.started(loop.call_soon_threadsafe)
            if callbacks.hears_events:
                self._watching = _watch(loop, self._worklists)
        return self

    async def stop(self) -> None:
        """Take no new association, let the open ones finish for a while, abort the rest."""
        if not self._listeners or self._connections is None:
            return
        telemetry.emit("stopping", associations=len(self._connections))
        for listener in self._listeners:
            listener.close()
        if self._watch is not None:
            self._watch.stop()
        self._preloading()
        self._watching()
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._connections.close())
            if self._http is not None:
                ending.create_task(self._http.stop())
        self._worklists.close()
        telemetry.emit("stopped")
        telemetry.write_together(None)

    async def serve(self) -> Ending:
        """Start, run until SIGTERM, SIGINT or SIGHUP or until HTTP says so, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.end, "stop")
        await self.start()
        await self._ended.wait()
        await self.stop()
        return self._ending

    def end(self, ending: Ending) -> None:
        """Let `serve` return."""
        self._ending = ending
        self._ended.set()

    def rest(
        self, method: str, uri: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Ask a route of this server from within, as scripts do; no password is asked for.

        It blocks until the answer is there, so it is for any thread but that of the event loop.

        Returns:
            Its HTTP status and its body.

        Raises:
            ConfigError: HTTP is not served.
        """
        if self._loop is None or self._http is None:
            raise ConfigError(
                "a script asks a route, and HTTP is not served", option="HttpServerEnabled"
            )
        asked = self._ask(self._http, method, uri, body, headers)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    async def _ask(
        self,
        http: OnDemand,
        method: str,
        uri: str,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> tuple[int, bytes]:
        from mwl import web  # noqa: PLC0415 - see `_serve_http`

        await http.ready()
        if self._routes is None:
            raise ConfigError("HTTP could not be started: see the log")
        reply = await web.call(self._routes, method, uri, body, headers)
        return reply.status, reply.body

    def _scripts(self) -> Callbacks | None:
        """Give what runs scripts, where there can be some."""
        if self._config.execute_lua_enabled:
            return self._worklists.scripts
        return self._worklists.callbacks

    async def _execute_lua(self, text: str) -> str:
        """Run a piece of Lua; give what it prints.

        Raises:
            InputError: It fails or takes too long, or lupa is not installed.
        """
        try:
            return await asyncio.wrap_future(self._worklists.scripts.execute_lua(text))
        except RequestRefused as refusal:
            raise InputError(refusal.comment) from None

    def _when_loaded(self) -> None:
        if self._http is not None:
            self._http.begin()

    async def _serve_dicom(
        self, service: Service, connections: Connections, sockets: "_DicomSockets"
    ) -> None:
        loop = asyncio.get_running_loop()

        def plain() -> DicomConnection:
            return DicomConnection(service, connections, loop)

        if sockets.plain is not None:
            await self._listen_with(plain, sockets.plain, tls=False)
        if sockets.tls is not None and (certificates := self._tls) is not None:
            await self._listen_with(
                lambda: Handshake(lambda: certificates.context, plain, connections, loop),
                sockets.tls,
                tls=True,
            )

    async def _listen_with(
        self, make: Callable[[], asyncio.Protocol], listening: socket.socket, *, tls: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        # Accepted sockets inherit it: a scanner that crashed leaves no association for ever.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listeners.append(await loop.create_server(make, sock=listening, backlog=BACKLOG))
        self._tell_of(listening, tls=tls)

    def _tell_of(self, listening: socket.socket, *, tls: bool) -> None:
        host, port = listening.getsockname()[:2]
        self.host = host
        if tls:
            self.tls_port = port
        if not tls or not self.port:
            self.port = port
        config = self._config
        telemetry.emit(
            "listening",
            ae_title=config.dicom_ae_title,
            host=host,
            port=port,
            tls=tls or None,
            folder=str(config.worklists.database.absolute()),
        )

    def _serve_http(self, service: Service, sockets: list[socket.socket]) -> None:
        tls = None if self._https is None else self._https.following()
        loop = asyncio.get_running_loop()
        host, self.http_port = sockets[0].getsockname()[:2]

        def make() -> Running:
            # The framework takes longer to import than all the rest, and few scanners ask for it.
            from mwl import web  # noqa: PLC0415

            self._routes = web.create_app(self._context(service, loop))
            serving = web.listener(self._routes, self._http_rules(), sockets, tls)
            # What was imported stays: no search for cycles need look at it while others wait.
            gc.freeze()
            return serving

        def failed(error: Exception) -> None:
            telemetry.emit("internal_error", error=error)

        self._http = OnDemand(loop, sockets, make, failed)
        telemetry.emit("http_listening", host=host, port=self.http_port, tls=tls is not None)

    def _context(self, service: Service, loop: asyncio.AbstractEventLoop) -> "web.Context":
        from mwl import web  # noqa: PLC0415 - see `_serve_http`

        config = self._config

        def changed(policy: AccessPolicy) -> None:
            service.access = policy

        return web.Context(
            identity=web.Identity(
                name=config.name,
                ae_title=config.dicom_ae_title,
                dicom_port=self.port,
                http_port=self.http_port,
                is_secure=config.http_authentication or not config.remote_access_allowed,
                folder=str(config.worklists.database.absolute()),
            ),
            settings=web.Settings(
                describe_errors=config.http_describe_errors,
                hide_values=config.deidentify_logs,
                scu_timeout_s=config.dicom_scu_timeout_s,
                may_execute_lua=config.execute_lua_enabled,
                authentication=config.http_authentication,
            ),
            worklists=self._worklists,
            modalities=KnownModalities(config, changed),
            stop=partial(loop.call_soon, self.end, "stop"),
            reset=partial(loop.call_soon, self.end, "reset"),
            journal=service.journal,
            access=lambda: service.access,
            tls=self._client_tls,
            execute_lua=self._execute_lua if config.execute_lua_enabled else None,
            metrics=web.Metrics(
                service.journal,
                lambda: self._worklists.opened,
                lambda: self._connections.associations if self._connections else 0,
                telemetry.COUNTS,
                self._days_left,
            ),
        )

    def _client_tls(self) -> ssl.SSLContext:
        return client_context(dicom_credentials(self._config))

    def _days_left(self) -> Mapping[str, float]:
        return {} if self._watch is None else self._watch.days_left()

    def _http_rules(self) -> "web.Rules":
        from mwl import web  # noqa: PLC0415 - see `_serve_http`

        config = self._config
        return web.Rules(
            remote_allowed=config.remote_access_allowed,
            authentication=config.http_authentication,
            users=config.registered_users,
            hosts=frozenset(host.lower() for host in config.http_hosts),
            describe_errors=config.http_describe_errors,
            admit=None if self._scripts() is None else self._admit,
        )

    async def _admit(self, request: HttpRequest) -> bool:
        """Let a script decide who may use HTTP, where one wants to."""
        callbacks = self._scripts()
        if callbacks is None or not callbacks.filters_http:
            return True
        return await asyncio.wrap_future(callbacks.admit(request))

    def _service(self) -> Service:
        config = self._config
        return Service(
            access=access_policy(config),
            worklist=self._worklists.of,
            negotiation=negotiation.Policy(
                abstract_syntaxes={
                    negotiation.VERIFICATION: TRANSFER_SYNTAXES,
                    negotiation.MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES,
                },
                max_pdu_length=config.maximum_pdu_length,
            ),
            limits=Limits(
                max_pdu_length=config.maximum_pdu_length,
                idle_timeout_s=config.dicom_scp_timeout_s,
                max_message_bytes=IDENTIFIER_LIMIT_BYTES,
            ),
            values_in_log=not config.deidentify_logs,
            journal=Journal(config.queries_history_size),
        )


def _raise_file_limit() -> None:
    """Ask for as many descriptors as the limits of connections may need, where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _DicomSockets(NamedTuple):
    """What listens for DICOM: without encryption, with it, or one of each."""

    plain: socket.socket | None
    tls: socket.socket | None


def _listen(config: Config) -> tuple[_DicomSockets, list[socket.socket]]:
    """Give the listening sockets of DICOM and of HTTP: all, or none."""
    opened: list[socket.socket] = []
    try:
        main = listen(config.dicom_host, config.dicom_port, _DICOM)
        opened.append(main)
        if config.dicom_tls_enabled:
            dicom = _DicomSockets(None, main)
        elif config.dicom_tls_port:
            second = listen(config.dicom_host, config.dicom_tls_port, _DICOM_TLS)
            opened.append(second)
            dicom = _DicomSockets(main, second)
        else:
            dicom = _DicomSockets(main, None)
        return dicom, _listen_http(config)
    except ConfigError:
        for sock in opened:
            sock.close()
        raise


def _listen_http(config: Config) -> list[socket.socket]:
    """Give the listening sockets of HTTP; none when it is off, or does without a taken port."""
    if not config.http_server_enabled:
        return []
    port = config.http_port
    try:
        if config.http_bind_addresses:
            return [listen(address, port, _HTTP) for address in config.http_bind_addresses]
        if config.remote_access_allowed:
            return [listen("", port, _HTTP)]
        return listen_on_loopback(port, _HTTP)
    except ConfigError as error:
        if not config.http_may_fail:
            raise
        telemetry.emit("http_unavailable", port=port, reason=error.message, hint=error.hint)
        return []


def _certificates(config: Config) -> Certificates | None:
    """Give the certificates of DICOM over TLS; None without.

    Raises:
        ConfigError: A file cannot be used.
    """
    if not config.dicom_tls_enabled and not config.dicom_tls_port:
        return None
    credentials = dicom_credentials(config)
    return Certificates(partial(server_context, credentials), credentials.files)


def _https_certificates(config: Config) -> Certificates | None:
    """Give the certificates of HTTPS; None without.

    Raises:
        ConfigError: A file cannot be used.
    """
    if not config.http_server_enabled or not config.ssl_enabled:
        return None
    credentials = https_credentials(config)
    return Certificates(partial(server_context, credentials), credentials.files)


def _preload(
    loop: asyncio.AbstractEventLoop, worklist: Worklist, loaded: Callable[[], None] = _nothing
) -> Callable[[], None]:
    """Read the folder in slices between other work, so that the first query need not wait.

    Args:
        loop: The loop to do it on.
        worklist: Whose folder.
        loaded: Is called when it is read, or cannot be.

    Returns:
        What ends it before its time.
    """
    steps = _load(worklist)

    def step() -> None:
        try:
            next(steps)
        except (StopIteration, StoreError):
            # Read, or not to be read: the store has said so. Those who waited are answered first.
            loop.call_later(REGISTRY_LATER_S, load_registry)
            loaded()
        else:
            loop.call_soon(step)

    step()
    return steps.close


def _load(worklist: Worklist) -> Generator[None, None, None]:
    # Items make no cycles, but the search for some takes long among 100,000 of them, while nobody
    # is answered: none while they are read, and what is there then is left out of it.
    gc.disable()
    try:
        yield from worklist.see_every_change()
    finally:
        gc.enable()
        gc.freeze()
    yield from worklist.catalog.remember()


def _watch(loop: asyncio.AbstractEventLoop, worklists: Worklists) -> Callable[[], None]:
    """Look for changes although nobody asks, so that event hooks hear of items soon.

    Returns:
        What ends it.
    """
    next_look: asyncio.Handle | None = None

    def look() -> None:
        step(chain.from_iterable(map(_changes, worklists.opened.values())))

    def step(steps: Iterator[None]) -> None:
        nonlocal next_look
        try:
            next(steps)
        except StopIteration:
            next_look = loop.call_later(EVENTS_WITHIN_S, look)
        else:
            next_look = loop.call_soon(step, steps)

    def end() -> None:
        if next_look is not None:
            next_look.cancel()

    look()
    return end


def _changes(worklist: Worklist) -> Iterator[None]:
    with suppress(StoreError):  # the store has said so
        yield from worklist.see_every_change()
