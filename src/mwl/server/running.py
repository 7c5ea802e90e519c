"""A server from its start to its end."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, Self

from mwl import telemetry
from mwl.access import AccessPolicy
from mwl.callbacks import Callbacks
from mwl.config import Config, Loaded
from mwl.errors import ConfigError
from mwl.net.certificates import Watch
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection
from mwl.net.listening import BACKLOG
from mwl.net.over_tls import TlsConnection
from mwl.server.auditing import Auditing, auditing_of
from mwl.server.log import report_notes
from mwl.server.over_http import OverHttp, Parts, scripts_of
from mwl.server.reading import nothing, preload, watch
from mwl.server.reloading import (
    LOOK_AGAIN_S,
    Changes,
    Prepared,
    Read,
    Retired,
    in_own_thread,
    prepare,
)
from mwl.server.serving import (
    capacity_of,
    dicom_certificates,
    https_certificates,
    service_of,
)
from mwl.server.sockets import DicomSockets, listen_as, within_file_limit
from mwl.server.supervisor import Supervisor
from mwl.site import KnownModalities, Worklists, take_dictionary

Ending = Literal["stop", "reset"]
"""Why a server ended: to be gone, or to start again with its configuration read anew."""

_ENDS = (signal.SIGTERM, signal.SIGINT)
"""Signals that end a server."""

ENDING_S = 30.0
"""Seconds for what comes after the associations: scripts end, what was read is remembered."""

LINES_TOGETHER_S = 0.005
"""Seconds that a line of the log may wait for others: all that a kill without warning can lose."""


class Server:
    """A DICOM Modality Worklist server.

    Args:
        config: What to serve, where and to whom.
        read: Reads the configuration anew; without it there is no other.

    Attributes:
        host: Address of DICOM, as listened on.
        port: Its TCP port.
        tls_port: TCP port of DICOM over TLS, 0 without.
        http_port: TCP port of HTTP, 0 without.
    """

    def __init__(self, config: Config, read: Read | None = None) -> None:
        self._config = config
        self._read = read or (lambda: Loaded(config, [], {}))
        self._reloading = asyncio.Lock()
        self._reload_asked = False
        self._reloads: set[asyncio.Task[None]] = set()
        self._retired: list[Retired] = []
        self._worklists = Worklists(config)
        self._service = service_of(config, self._worklists)
        self._modalities = KnownModalities(config, self._let_in)
        self._http: OverHttp | None = None
        self._ending: Ending = "stop"
        self._started = asyncio.Event()
        self._ended = asyncio.Event()
        self._had_terminal = has_terminal()
        self._supervisor = Supervisor(os.environ)
        self._connections: Connections | None = None
        self._listeners: list[asyncio.Server] = []
        self._tls = dicom_certificates(config)
        self._https = https_certificates(config)
        self._audit: Auditing | None = None
        self._watch: Watch | None = None
        self._preloading: Callable[[], None] = nothing
        self._watching: Callable[[], None] = nothing
        self.host = ""
        self.port = 0
        self.tls_port = 0
        self.http_port = 0

    async def start(self) -> Self:
        """Listen, and begin to read the folder; queries wait until it is read.

        Raises:
            ConfigError: The address cannot be listened on, or audit messages cannot be kept.
        """
        self._audit = auditing_of(self._config, self._worklists)
        try:
            await self._start()
        except BaseException:
            if self._audit is not None:
                self._audit.abandon()
            telemetry.write_together(None)
            raise
        return self

    async def _start(self) -> None:
        config, audit = self._config, self._audit
        if audit is not None:
            self._worklists.auditor = self._service.auditor = audit.auditor
        take_dictionary(config)
        loop = asyncio.get_running_loop()
        capacity = within_file_limit(capacity_of(config))
        connections = self._connections = Connections(loop, self._service.limits, capacity)
        telemetry.write_together(partial(loop.call_later, LINES_TOGETHER_S))
        dicom_sockets, http_sockets = listen_as(config)
        await self._serve_dicom(connections, dicom_sockets)
        if http_sockets:
            self._serve_http(connections, http_sockets)
        every = (self._tls, self._https, None if audit is None else audit.certificates)
        self._watch = Watch(loop, [one for one in every if one is not None])
        self._watch.start()
        if (worklist := self._worklists.of_everyone()) is not None:
            self._preloading = preload(loop, worklist, self._when_loaded)
        else:
            self._when_loaded()
        self._start_scripts()
        if audit is not None:
            audit.auditor.started()
        self._supervisor.ready(self._status())
        self._supervisor.watch(loop)

    def _status(self) -> str:
        where = f"{self.host}, port {self.port}"
        return f"{self._config.dicom_ae_title} on {where}: {self._config.worklists.database}"

    def _start_scripts(self, before: Callbacks | None = None) -> None:
        loop = asyncio.get_running_loop()
        if (callbacks := scripts_of(self._config, self._worklists)) is not None:
            callbacks.rest = self.rest
            callbacks.started(loop.call_soon_threadsafe, before)
        if self._audit is not None or (callbacks is not None and callbacks.hears_events):
            self._watching = watch(loop, self._worklists)

    def _let_in(self, policy: AccessPolicy) -> None:
        self._service.access = policy

    async def reload(self) -> Changes:
        """Read the configuration anew and take it over, without dropping an association.

        One at a time; the next waits.

        Raises:
            ConfigError: It cannot be used, and the one before stays in force, all of it.
        """
        async with self._reloading:
            self._reload_asked = False  # who asks from now on asks for another one
            self._supervisor.reloading()
            status = ""
            try:
                prepared = await self._prepared()
                self._take_over(prepared)
            except ConfigError as error:
                status = f"The new configuration cannot be used: {error}"
                more = len(getattr(error, "__notes__", ()))
                telemetry.emit("reload_failed", error=str(error), more_errors=more or None)
                raise
            finally:
                if not self._ended.is_set():
                    self._supervisor.ready(status or self._status())
        return prepared.changes

    async def _prepared(self) -> Prepared:
        through = asyncio.get_running_loop().call_soon_threadsafe
        prepared = await in_own_thread(
            partial(prepare, self._read, self._config, self._worklists, through),
            Prepared.discard,
        )
        if self._http is not None:
            await self._http.settled()
        if self._ended.is_set():
            prepared.discard()
            raise ConfigError("the server ends")
        return prepared

    def _take_over(self, prepared: Prepared) -> None:
        """Put a configuration in force, in one go."""
        loop = asyncio.get_running_loop()
        before, found = self._config, prepared.changes
        config = self._config = found.config
        prepared.log.use(keeps_level=config.log_level == before.log_level)
        telemetry.write_together(partial(loop.call_later, LINES_TOGETHER_S))
        report_notes(prepared.notes)
        for certificates, new in ((self._tls, prepared.tls), (self._https, prepared.https)):
            if certificates is not None and new is not None:
                certificates.take_over(new)
        if self._watch is not None:
            self._watch.refresh()
        served = self._worklists.of_everyone()
        retired = self._worklists.take_over(config, prepared.callbacks)
        self._service.take_over(service_of(config, self._worklists))
        self._modalities.take_over(config)
        if self._audit is not None:
            self._audit.take_over(config, self._worklists)
        if self._http is not None:
            self._http.take_over(config)
        self._watching()
        self._watching = nothing
        self._start_scripts(retired[0] if retired else None)
        if self._connections is not None:
            self._connections.follow(self._service.limits)
            self._connections.capacity = within_file_limit(capacity_of(config))
            self._connections.renew()
            after_s = before.callback_timeout_s + LOOK_AGAIN_S
            self._retired = [each for each in self._retired if not each.is_closed]
            self._retired += [Retired(loop, each, self._connections, after_s) for each in retired]
        worklist = self._worklists.of_everyone()
        if worklist is not None and worklist is not served:
            self._preloading()
            self._preloading = preload(loop, worklist, self._when_loaded)
        telemetry.emit("reloaded", changed=found.changed or None)
        if found.needs_restart:
            telemetry.emit("restart_needed", options=found.needs_restart)

    async def stop(self) -> None:
        """Take no new association, let the open ones end for `ShutdownTimeout`, abort the rest."""
        if not self._listeners or self._connections is None:
            return
        telemetry.emit("stopping", associations=self._connections.associations)
        if self._ending == "stop":
            self._supervisor.stopping(self._config.shutdown_timeout_s + ENDING_S)
        else:
            self._supervisor.reloading()
        for listener in self._listeners:
            listener.close()
        if self._watch is not None:
            self._watch.stop()
        self._preloading()
        self._watching()
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._connections.close(self._config.shutdown_timeout_s))
            if self._http is not None:
                ending.create_task(self._http.stop())
        for retired in self._retired:
            retired.close()
        self._worklists.close()
        self._supervisor.end_watch()
        if self._audit is not None:
            await self._audit.stop()
        telemetry.emit("stopped")
        telemetry.write_together(None)

    async def serve(self) -> Ending:
        """Start, run until SIGTERM or SIGINT or until HTTP says so, stop. SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for number in _ENDS:
            loop.add_signal_handler(number, self._told_to_end)
        loop.add_signal_handler(signal.SIGHUP, self._told_to_reload)
        await self.start()
        self._started.set()
        await self._ended.wait()
        await self.stop()
        return self._ending

    def _told_to_end(self) -> None:
        if not self._ended.is_set():
            self.end("stop")
            return
        # Who says it twice means now, and who says it three times is not kept waiting by anything.
        self.hurry()
        for number in _ENDS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _told_to_reload(self) -> None:
        if self._had_terminal and not has_terminal():
            self._told_to_end()  # nobody asks for anything: the terminal was closed
        elif not self._reload_asked and not self._ended.is_set():
            self._reload_asked = True
            task = asyncio.get_running_loop().create_task(self._reload_as_told())
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

    async def _reload_as_told(self) -> None:
        await self._started.wait()
        try:
            await self.reload()
        except ConfigError:
            return  # the log has it
        except Exception as error:  # noqa: BLE001 - the edge: the server goes on
            telemetry.emit("internal_error", error=error)

    def hurry(self) -> None:
        """Let `stop` wait for nobody: associations are aborted, requests over HTTP are cut."""
        if self._connections is not None:
            self._connections.hurry()
        if self._http is not None:
            self._http.hurry()
        if self._audit is not None:
            self._audit.hurry()

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
        if self._http is None:
            raise ConfigError(
                "a script asks a route, and HTTP is not served", option="HttpServerEnabled"
            )
        return self._http.rest(method, uri, body, headers)

    def _when_loaded(self) -> None:
        if self._http is not None:
            self._http.begin()

    async def _serve_dicom(self, connections: Connections, sockets: DicomSockets) -> None:
        loop, service = asyncio.get_running_loop(), self._service

        def plain() -> DicomConnection:
            return DicomConnection(service, connections, loop)

        if sockets.plain is not None:
            await self._listen_with(plain, sockets.plain, tls=False)
        if sockets.tls is not None and (certificates := self._tls) is not None:
            await self._listen_with(
                lambda: TlsConnection(certificates.context, plain, connections, loop),
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

    def _serve_http(self, connections: Connections, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        parts = Parts(
            config=self._config,
            service=self._service,
            modalities=self._modalities,
            worklists=self._worklists,
            dicom_port=self.port,
            associations=lambda: connections.associations,
            days_left=self._days_left,
            auditing=self._audit,
            stop=partial(loop.call_soon, self.end, "stop"),
            reset=partial(loop.call_soon, self.end, "reset"),
            reload=self.reload,
        )
        self._http = OverHttp(parts, sockets, self._https)
        self.http_port = self._http.port

    def _days_left(self) -> Mapping[str, float]:
        return {} if self._watch is None else self._watch.days_left()


def has_terminal() -> bool:
    """Tell whether there is a terminal that this process can be told from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
