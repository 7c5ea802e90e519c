"""Ports: whether they can be had, who has them, and what answers there.

A port is bound and given back at once, and never listened on: nobody who calls meanwhile is
answered by it. Source: proc_pid_net(5), capabilities(7).
"""

import asyncio
import contextlib
import errno
import http.client
import os
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mwl import IMPLEMENTATION_CLASS_UID
from mwl.doctor.findings import Finding, fail, ok, warn
from mwl.doctor.machine import command_of, open_files, processes
from mwl.errors import PeerRefused
from mwl.net.client import Peer, associate
from mwl.tls.contexts import Credentials, client_context
from mwl.wire.dimse import Status
from mwl.wire.negotiation import VERIFICATION

ANSWER_WITHIN_S = 3.0
"""Seconds that a program on this machine has to say who it is."""

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Place:
    """An address to listen on, as the configuration has it.

    Args:
        what: What is spoken there: "DICOM", "DICOM over TLS", "HTTP".
        option: Option of the port.
        host: Address or name; empty for all addresses.
        port: TCP port; 0 for any.
    """

    what: str
    option: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        """It, for people."""
        return f"{self.what}, {self.host or 'all addresses'}, port {self.port or 'of choice'}"

    @property
    def reachable(self) -> str:
        """An address of this machine at which it answers."""
        return "127.0.0.1" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104 - compared


@dataclass(frozen=True, slots=True)
class Answer:
    """What answers at a port.

    Args:
        is_ours: Whether it is a server of mwl; None where it does not say.
        found: Who it is.
    """

    is_ours: bool | None
    found: str


def problem_of(place: Place) -> OSError | None:
    """Try whether a place can be had, and give what stands against it."""
    try:
        for family, address in _addresses(place):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(place.host))
                probe.bind(address)
    except PermissionError as error:
        # Of a port that needs a privilege the kernel does not say first whether it is taken.
        taken = any(True for _ in _listening_inodes(place.port))
        return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) if taken else error
    except (OSError, UnicodeError) as error:
        return error if isinstance(error, OSError) else OSError(None, str(error))
    return None


def _addresses(place: Place) -> Iterator[tuple[int, tuple[str, int]]]:
    """Give what `mwl.net.listening.listen` would bind."""
    if not place.host and socket.has_dualstack_ipv6():
        yield socket.AF_INET6, ("", place.port)
        return
    host = place.host or "0.0.0.0"  # noqa: S104 - the operator asked for all addresses
    family, _, _, _, address = socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM)[0]
    yield family, (str(address[0]), place.port)


# ------------------------------------------------------------------------------- who has it


def listener(port: int) -> int | None:
    """Give the process that listens on a port; None where that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in processes():
        if any(target in sockets for _, target in open_files(process)):
            return process
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def serves(process: int) -> bool:
    """Tell whether a process was started as `mwl serve`."""
    try:
        command = (Path("/proc") / str(process) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    programs = [word.rpartition(b"/")[2] for word in command[:3]]
    return b"mwl" in programs and b"serve" in command


async def dicom_answer(peer: Peer) -> Answer:
    """Ask who answers over DICOM: with C-ECHO."""
    try:
        async with associate(peer, [VERIFICATION]) as association:
            information = association.peer_information
            response = await association.echo()
    except PeerRefused as error:
        return Answer(is_ours=False, found=str(error))
    program = information.implementation_version_name or "an unnamed program"
    is_ours = information.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    told = "" if response.command.status == Status.SUCCESS else ", and refuses C-ECHO to us"
    return Answer(
        is_ours, f"a server answers there as AE title {peer.called_ae_title} ({program}){told}"
    )


async def http_answer(place: Place, *, tls: bool) -> Answer:
    """Ask who answers over HTTP."""
    return await asyncio.to_thread(_http_answer, place, tls=tls)


def _http_answer(place: Place, *, tls: bool) -> Answer:
    host, port, within = place.reachable, place.port, ANSWER_WITHIN_S
    connection = (
        # Any is believed: it is told nothing.
        http.client.HTTPSConnection(
            host, port, timeout=within, context=client_context(Credentials())
        )
        if tls
        else http.client.HTTPConnection(host, port, timeout=within)
    )
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/health/live")
            answer = connection.getresponse()
            body = answer.read(256)
        except (OSError, http.client.HTTPException) as error:
            return Answer(is_ours=False, found=f"what answers there speaks no HTTP: {error}")
    if answer.status == http.client.UNAUTHORIZED:
        return Answer(None, "an HTTP server answers there and asks for a password")
    return Answer(b'"live"' in body, f"an HTTP server answers there with status {answer.status}")


# ------------------------------------------------------------------------------- the verdict


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a place to listen on.

    Args:
        place: Where.
        problem: Why it cannot be had; None when it can.
        process: Who listens there, where that can be seen.
        answer: What answered there; None when it was not asked.
    """

    place: Place
    problem: OSError | None
    process: int | None = None
    answer: Answer | None = None


def port(look: Look, *, is_ours: bool = False, may_bind: bool = False) -> Finding:
    """Judge a place to listen on.

    Args:
        look: What was seen.
        is_ours: Whether what does not say who it is counts as a server of mwl.
        may_bind: Whether the server has CAP_NET_BIND_SERVICE although the user that looks has not.
    """
    place, problem = look.place, look.problem
    if problem is None:
        return ok("port", place.shown, "free")
    if problem.errno == errno.EADDRINUSE:
        return _taken(look, is_ours=is_ours)
    if problem.errno == errno.EACCES and may_bind:
        return ok("port", place.shown, "free for the service, which has CAP_NET_BIND_SERVICE")
    if problem.errno == errno.EACCES:
        found = f"user {os.geteuid()} may not take a port below {_unprivileged()} by itself"
        mend = (
            "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit of systemd, or a port from "
            f'{_unprivileged()} on, as "{place.option}": 11112'
        )
        return warn("port", place.shown, found, mend)
    mend = "ip address shows the addresses of this machine; without one, all are listened on"
    return fail("port", place.shown, problem.strerror or str(problem), mend)


def _taken(look: Look, *, is_ours: bool) -> Finding:
    place, process, answer = look.place, look.process, look.answer
    who = (
        f"process {process}, {command_of(process)}"
        if process
        else "a process that this user may not look into"
    )
    found = answer.found if answer else "it was not asked who it is"
    if answer is not None and answer.is_ours is not None:
        is_ours = answer.is_ours
    if is_ours or (process and serves(process)):
        return ok("port", place.shown, f"{found}: {who}")
    command = shlex.join(["ss", "-ltnp", f"sport = :{place.port}"])
    mend = f'sudo {command} names the program: end it, or choose another "{place.option}"'
    return fail("port", place.shown, f"taken by {who}; {found}", mend)


def _unprivileged() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    except (OSError, ValueError):
        return 1024


# ------------------------------------------------------------------------------- who may use HTTP


def remote(*, is_remote: bool, password: bool, tls: bool, lua: bool) -> Iterator[Finding]:
    """Judge who may use HTTP.

    Args:
        is_remote: Whether other machines may.
        password: Whether it asks for one.
        tls: Whether it is encrypted.
        lua: Whether it runs pieces of Lua.
    """
    if not is_remote:
        yield ok("http", "access", "this machine only")
    elif password and tls:
        yield ok("http", "access", "other machines may use it, encrypted and with a password")
    else:
        missing = " and ".join(
            word for word, is_there in (("encryption", tls), ("password", password)) if not is_there
        )
        yield warn(
            "http",
            "access",
            f"other machines may use it without {missing}",
            '"SslEnabled": true with SslCertificate, "AuthenticationEnabled": true, or '
            '"RemoteAccessAllowed": false; as it is it needs a proxy before it that does both',
        )
    if lua and is_remote:
        found = "whoever gets in may run programs as the server (ExecuteLuaEnabled)"
        yield warn("http", "access", found, '"ExecuteLuaEnabled": false')
