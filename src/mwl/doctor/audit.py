"""Where audit messages go, and what keeps them until they are there. None is sent."""

import asyncio
import os
import shlex
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from mwl.doctor.findings import Finding, fail, ok, warn
from mwl.doctor.folders import may
from mwl.net.client import reason_of
from mwl.paths import exists, is_folder
from mwl.tls.problems import problem_of

CONNECT_WITHIN_S = 5.0
"""Seconds for a connection to the receiver and its handshake."""

MUCH = 0.5
"""Part of the spool from which on what waits in it is too much."""

_MIB = 1024 * 1024


def file(path: Path, user: str) -> Finding:
    """Judge a file that messages are written to."""
    shown, quoted = f"file {path}", shlex.quote(str(path))
    above = path.absolute().parent
    if not exists(path):
        if is_folder(above) and may(above, os.W_OK | os.X_OK):
            return ok("audit", shown, "will be made")
        mend = f"sudo install -d -o {user} -m 750 {shlex.quote(str(above))}"
        return fail("audit", shown, f"cannot be made by {user}", mend)
    if not path.is_file() or not may(path, os.W_OK):
        mend = f"sudo chown {user} {quoted}"
        return fail("audit", shown, f"cannot be written by {user}", mend)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        told = f"names patients, and anybody on this machine may use it (mode {mode:04o})"
        return warn("audit", shown, told, f"sudo chmod o= {quoted}")
    return ok("audit", shown, f"can be written by {user} (mode {mode:04o})")


async def receiver(host: str, port: int, tls: ssl.SSLContext | None, *, name: str = "") -> Finding:
    """Try whether a receiver of messages can be reached.

    Args:
        host: Its name or address.
        port: Its port.
        tls: What to encrypt with; None for UDP.
        name: How it is shown; empty for host and port.
    """
    shown = name or f"{host}:{port}"
    mend = "Audit.Destination, the receiver, or a firewall between"
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            if tls is None:
                await asyncio.get_running_loop().getaddrinfo(host, port)
                return ok("audit", shown, "has an address; UDP tells nobody whether it is there")
            _, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=host)
            writer.close()
    except TimeoutError:
        return fail("audit", shown, f"does not answer within {CONNECT_WITHIN_S:g} s", mend)
    except ssl.SSLError as error:
        problem = problem_of(error)
        return fail("audit", shown, f"no TLS: {problem.reason}", problem.hint or mend)
    except (OSError, UnicodeError) as error:
        return fail("audit", shown, f"cannot be reached: {reason_of(error)}", mend)
    return ok("audit", shown, "TLS is agreed upon")


def spool(path: Path, limit_mib: int, user: str) -> Iterator[Finding]:
    """Judge the folder that keeps messages.

    Args:
        path: The folder.
        limit_mib: Most that it may hold.
        user: Name of the user that looks.
    """
    shown, quoted = f"spool {path}", shlex.quote(str(path))
    mend = (
        f"StateDirectory=mwl in the unit of systemd, or sudo install -d -m 700 -o {user} {quoted}"
    )
    if not exists(path):
        above = next(parent for parent in path.absolute().parents if exists(parent))
        if may(above, os.W_OK | os.X_OK):
            yield ok("audit", shown, "will be made")
        else:
            told = f"cannot be made: {above} cannot be written by {user}"
            yield fail("audit", shown, told, mend)
        return
    if not path.is_dir() or not may(path, os.R_OK | os.W_OK | os.X_OK):
        told = f"cannot be used by {user}: the server does not start"
        yield fail("audit", shown, told, mend)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        told = f"names patients, and others may enter it (mode {mode:04o})"
        yield warn("audit", shown, told, f"sudo chmod 700 {quoted}")
    held = sum(entry.stat().st_size for entry in path.iterdir() if entry.is_file()) / _MIB
    if held > MUCH * limit_mib:
        told = f"{held:.0f} of {limit_mib} MiB are in use: when it is full, messages are dropped"
        yield warn("audit", shown, told, "see whether the receiver takes them; Audit.SpoolSize")
    else:
        yield ok("audit", shown, f"{held:.1f} of {limit_mib} MiB are in use")
