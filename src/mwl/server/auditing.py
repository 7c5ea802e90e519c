"""The audit trail of a running server, where its configuration wants one.

Nothing here imports `mwl.audit` before it is wanted.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mwl import telemetry
from mwl.config import AuditDestination, Config
from mwl.net.certificates import Certificates
from mwl.site import Worklists, audit_credentials
from mwl.tls.contexts import client_context

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor, Server
    from mwl.audit.destinations import Destination
    from mwl.audit.trail import Trail

APPLICATION = "mwl"
"""What syslog calls this program."""

_MIB = 1024 * 1024


class Auditing:
    """An audit trail that runs.

    Args:
        auditor: Makes messages of what happens.
        trail: Takes them where they go.
        stopping: Lets the trail wait for nobody when it is set.
        certificates: What is used over TLS; None without.
    """

    def __init__(
        self,
        auditor: "Auditor",
        trail: "Trail",
        stopping: threading.Event,
        certificates: Certificates | None,
    ) -> None:
        from mwl.audit import alerts  # noqa: PLC0415 - see the module's head

        self.auditor = auditor
        self.trail = trail
        self.certificates = certificates
        self._stopping = stopping
        self._unhear = telemetry.hear(alerts.EVENTS, auditor.heard)
        trail.start()

    def hurry(self) -> None:
        """Let `stop` wait for nobody."""
        self._stopping.set()

    def take_over(self, config: Config, worklists: Worklists) -> None:
        """Let messages say what another configuration makes of the server."""
        self.auditor.server = _server(config, worklists)

    async def stop(self) -> None:
        """Note that the server has ended, and send what waits for a short while."""
        self._unhear()
        self.auditor.stopped()
        await asyncio.to_thread(self.trail.close)

    def abandon(self) -> None:
        """End what a server that could not be started has begun."""
        self._unhear()
        self.hurry()
        self.trail.close(grace_s=0)


def auditing_of(config: Config, worklists: Worklists) -> Auditing | None:
    """Begin the audit trail that a configuration wants; None for none.

    Raises:
        ConfigError: A certificate or the spool cannot be used.
    """
    audit = config.audit
    if audit.destination is None:
        return None
    from mwl.audit.auditor import Auditor  # noqa: PLC0415 - see the module's head
    from mwl.audit.messages import Source  # noqa: PLC0415
    from mwl.audit.spool import Spool  # noqa: PLC0415
    from mwl.audit.trail import Trail  # noqa: PLC0415

    certificates = _certificates(config, audit.destination)
    stopping = threading.Event()
    trail = Trail(
        Spool(spool_folder(audit.spool_folder, os.environ), audit.spool_size_mib * _MIB),
        _destination(audit.destination, certificates, stopping),
        Source(
            audit.source_id or f"{config.dicom_ae_title}@{socket.gethostname()}",
            audit.enterprise_site_id,
        ),
        _report_in(asyncio.get_running_loop()),
        stopping,
    )
    auditor = Auditor(_server(config, worklists), trail)
    return Auditing(auditor, trail, stopping, certificates)


def _server(config: Config, worklists: Worklists) -> "Server":
    from mwl.audit.auditor import Server  # noqa: PLC0415 - see the module's head

    return Server(
        ae_title=config.dicom_ae_title,
        folder=str(config.worklists.database.absolute()),
        parse=worklists.parser(),
    )


def spool_folder(given: Path | None, environment: Mapping[str, str]) -> Path:
    """Give the folder that `Audit.SpoolFolder` means; None stands for `auto`."""
    if given is not None:
        return given
    if state := environment.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0]) / "audit"  # systemd.exec(5): several are possible
    home = Path(environment.get("HOME") or "/var/lib")
    state_home = environment.get("XDG_STATE_HOME") or home / ".local" / "state"
    return Path(state_home) / "mwl" / "audit"


def _certificates(config: Config, destination: AuditDestination) -> Certificates | None:
    if destination.scheme != "tls":
        return None
    credentials = audit_credentials(config)
    check_name = config.audit.check_server_name
    return Certificates(
        partial(client_context, credentials, check_name=check_name), credentials.files
    )


def _destination(
    where: AuditDestination, certificates: Certificates | None, stopping: threading.Event
) -> "Destination":
    from mwl.audit.destinations import (  # noqa: PLC0415 - see the module's head
        FileDestination,
        TlsDestination,
        UdpDestination,
    )
    from mwl.audit.syslog import Sender  # noqa: PLC0415

    if where.path is not None:
        return FileDestination(where.path)
    sender = Sender(socket.gethostname(), APPLICATION, str(os.getpid()))
    if certificates is None:
        return UdpDestination(where.host, where.port, sender)
    return TlsDestination(where.host, where.port, sender, lambda: certificates.context, stopping)


def _report_in(loop: asyncio.AbstractEventLoop) -> Callable[..., None]:
    def report(event: str, /, **fields: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(partial(telemetry.emit, event, **fields))

    return report
