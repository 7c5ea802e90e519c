"""The machine around a server: its user, its clock, what the kernel allows.

Source: adjtimex(2), inotify(7), getrlimit(2), proc(5).
"""

import ctypes
import os
import re
import resource
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from mwl.doctor.findings import Finding, fail, ok, warn

EARLIEST_YEAR, LATEST_YEAR = 2025, 2100
"""Years that a clock may show: this program is not older, nor will it get so old."""

SPARE_DESCRIPTORS = 64
"""Descriptors for files, log, HTTP and the rest, beside those of connections."""

_PROC = Path("/proc")
_INOTIFY = _PROC / "sys/fs/inotify"


# ------------------------------------------------------------------------------- user


def user(user_id: int, name: str, *, is_stated: bool) -> Finding:
    """Judge as whom the rest is looked at."""
    if (barred := unreadable_program()) is not None:
        mend = "run the mwl that the service runs, or install it where its user may read it"
        return fail("user", name, f"may not read this program, {barred}", mend)
    if user_id or is_stated:
        return ok("user", name, f"looks as user {user_id}")
    mend = "--unit mwl, where systemd runs it; --user NAME elsewhere; --user root if that is it"
    found = "root may do what the user of the service perhaps may not"
    return warn("user", name, found, mend)


def unreadable_program() -> Path | None:
    """Give a part of this program that the user may not read; None where all is well."""
    effective = os.access in os.supports_effective_ids
    parts = (Path(os.__file__), Path(__file__))
    unreadable = (part for part in parts if not os.access(part, os.R_OK, effective_ids=effective))
    return next(unreadable, None)


# ------------------------------------------------------------------------------- clock


def clock(now: datetime, zone: str | None, is_synchronised: bool | None) -> Iterator[Finding]:
    """Judge the clock.

    Args:
        now: Its time, with the offset from UTC.
        zone: Name of the time zone; None where none is set.
        is_synchronised: Whether something sets it; None where that cannot be told.
    """
    shown = now.strftime("%Y-%m-%d %H:%M:%S UTC%z")
    if not EARLIEST_YEAR <= now.year <= LATEST_YEAR:
        yield fail("clock", shown, f"the year cannot be {now.year}", _SET_NTP)
    if zone is None:
        mend = "sudo timedatectl set-timezone Europe/Berlin; in a container: TZ=Europe/Berlin"
        yield warn("clock", shown, "no time zone is set, so UTC is taken for the local time", mend)
    else:
        yield ok("clock", shown, f"time zone {zone}")
    if is_synchronised is None:
        yield ok("clock", "synchronisation", "unknown: the kernel does not say")
    elif is_synchronised:
        yield ok("clock", "synchronisation", "the kernel's clock is kept right (NTP)")
    else:
        yield warn(
            "clock",
            "synchronisation",
            "the kernel knows of nothing that keeps the clock right",
            _SET_NTP,
        )


_SET_NTP = (
    "sudo timedatectl set-ntp true; timedatectl shows whether it worked (chronyd: with rtcsync)"
)


def time_zone(environment: Mapping[str, str], local: Path = Path("/etc/localtime")) -> str | None:
    """Give the name of the time zone; None where none is set."""
    if given := environment.get("TZ"):
        return given.removeprefix(":")
    if not local.exists():
        return None
    _, _, name = str(local.resolve()).partition("zoneinfo/")
    return name or f"of {local}"


class _Timex(ctypes.Structure):
    """The begin of `struct timex`, and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of <sys/timex.h>."""


def is_synchronised() -> bool | None:
    """Tell whether something sets the clock; None where the kernel does not say."""
    state = _Timex()  # modes 0: nothing is set
    try:
        result = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (AttributeError, OSError):
        return None
    return None if result < 0 else not state.status & _UNSYNCHRONISED


# ------------------------------------------------------------------------------- descriptors


def descriptors(limit: int, connections: int, folders: int, whose: str) -> Finding:
    """Judge how many descriptors a server may have.

    Args:
        limit: The most that it can give itself; `resource.RLIM_INFINITY` for any number.
        connections: The most connections that its limits allow.
        folders: How many it watches.
        whose: Whose limit it is.
    """
    needed = connections + folders + SPARE_DESCRIPTORS
    if limit in (resource.RLIM_INFINITY, -1) or limit >= needed:
        shown = "any number" if limit in (resource.RLIM_INFINITY, -1) else limit
        return ok("descriptors", whose, f"{shown} files and connections, {needed} are enough")
    found = f"{limit} files and connections, {needed} are needed for {connections} connections"
    return warn("descriptors", whose, found, f"LimitNOFILE={_round(needed)} in the unit of systemd")


def _round(count: int) -> int:
    return 1 << (count - 1).bit_length()


def descriptor_limit(process: int | None) -> tuple[int, str]:
    """Give the hard limit of a process, or of this one, and whose it is."""
    if process is not None:
        try:
            text = (_PROC / str(process) / "limits").read_text("ascii")
        except OSError:
            text = ""
        if found := re.search(r"^Max open files +\S+ +(\S+)", text, re.MULTILINE):
            limit = -1 if found[1] == "unlimited" else int(found[1])
            return limit, f"running server, process {process}"
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1], "this shell"


# ------------------------------------------------------------------------------- notification


def inotify(limits: Mapping[str, int], used: int, needed: int) -> Finding:
    """Judge the limits on notification.

    Args:
        limits: `max_user_instances` and `max_user_watches`; empty where there is no inotify.
        used: Instances that this user has already.
        needed: Folders to watch.
    """
    if not limits:
        return warn(
            "inotify", "kernel", "has none", 'nothing: folders are compared, "Watch": "auto"'
        )
    instances, watches = limits["max_user_instances"], limits["max_user_watches"]
    subject = f"max_user_instances={instances} max_user_watches={watches}"
    found = f"{used} instances in use, {needed} needed"
    if instances - used >= needed and watches >= needed:
        return ok("inotify", subject, found)
    name = "max_user_watches" if watches < needed else "max_user_instances"
    value = max(_round(used + needed + 1), 1024)
    mend = f"sudo sysctl fs.inotify.{name}={value}, and the same in /etc/sysctl.d/mwl.conf"
    return warn("inotify", subject, found, mend)


def inotify_limits() -> dict[str, int]:
    """Read the limits on notification; none where there is no inotify."""
    try:
        return {
            name: int((_INOTIFY / name).read_text("ascii"))
            for name in ("max_user_instances", "max_user_watches")
        }
    except (OSError, ValueError):
        return {}


def inotify_in_use(user_id: int) -> int:
    """Count the instances of a user, as far as they can be seen."""
    return sum(
        1
        for process in processes()
        if _owner(process) == user_id
        for _, target in open_files(process)
        if target == "anon_inode:inotify"
    )


# ------------------------------------------------------------------------------- processes


def processes() -> Iterator[int]:
    """Give the number of each process."""
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def open_files(process: int) -> Iterator[tuple[str, str]]:
    """Give the open files of a process, as far as they may be seen: number and target."""
    try:
        entries = list((_PROC / str(process) / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield entry.name, str(entry.readlink())
        except OSError:
            continue  # closed meanwhile


def command_of(process: int) -> str:
    """Give the name of the program that a process runs; "" if it is gone."""
    try:
        return (_PROC / str(process) / "comm").read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def _owner(process: int) -> int | None:
    try:
        return (_PROC / str(process)).stat().st_uid
    except OSError:
        return None


def effective_user_id() -> int:
    """Give whom the kernel takes this process for."""
    return os.geteuid()
