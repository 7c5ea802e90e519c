"""What systemd is told, over a real socket."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mwl.server.supervisor import Supervisor


class Told:
    """The socket of a service manager."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(20)

    def next(self) -> dict[str, str]:
        """Give the next message."""
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    listening = Told(str(tmp_path / "notify"))
    yield listening
    listening.close()


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_it_is_told_what_happens(told: Told, environment: Mapping[str, str]) -> None:
    supervisor = Supervisor(environment)
    supervisor.ready("MWL on port 4242")
    assert told.next() == {"READY": "1", "STATUS": "MWL on port 4242"}
    supervisor.stopping(35.5)
    assert told.next() == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "35500000"}


def test_a_status_cannot_tell_anything_else(told: Told, environment: Mapping[str, str]) -> None:
    Supervisor(environment).ready("cannot be used: 'x\nMAINPID=1'")
    assert told.next() == {"READY": "1", "STATUS": r"cannot be used: 'x\nMAINPID=1'"}


def test_a_reload_has_its_time(told: Told, environment: Mapping[str, str]) -> None:
    # systemd.service(5), Type=notify-reload: on CLOCK_MONOTONIC.
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    Supervisor(environment).reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    message = told.next()
    assert message["RELOADING"] == "1"
    assert before // 1000 <= int(message["MONOTONIC_USEC"]) <= after // 1000


def test_an_abstract_socket_is_one_too() -> None:
    name = f"mwl-test-{os.getpid()}"
    listening = Told(f"\0{name}")
    try:
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).status("well")
        assert listening.next() == {"STATUS": "well"}
    finally:
        listening.close()


async def test_signs_of_life_come_while_the_loop_turns(
    told: Told, environment: Mapping[str, str]
) -> None:
    watched = {**environment, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}
    supervisor = Supervisor(watched)
    supervisor.watch(asyncio.get_running_loop())
    for _ in range(3):
        assert await asyncio.to_thread(told.next) == {"WATCHDOG": "1"}
    supervisor.end_watch()


@pytest.mark.parametrize(
    "others",
    [{}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}],
    ids=["none", "another process", "nonsense"],
)
async def test_without_a_watchdog_there_are_none(
    told: Told, environment: Mapping[str, str], others: Mapping[str, str]
) -> None:
    supervisor = Supervisor({**environment, **others})
    supervisor.watch(asyncio.get_running_loop())
    supervisor.status("after")
    assert told.next() == {"STATUS": "after"}


def test_who_is_not_supervised_tells_nobody() -> None:
    Supervisor({}).ready("")


def test_a_supervisor_that_is_gone_disturbs_nobody(
    told: Told, environment: Mapping[str, str]
) -> None:
    told.close()
    Supervisor(environment).ready("")


def test_a_supervisor_that_does_not_read_keeps_nobody(
    told: Told, environment: Mapping[str, str]
) -> None:
    supervisor = Supervisor(environment)
    for _ in range(1000):
        supervisor.status("x" * 1000)
    assert told.next() == {"STATUS": "x" * 1000}
