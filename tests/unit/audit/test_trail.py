"""From the queue over the spool to a receiver."""

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from mwl.audit import destinations, trail
from mwl.audit.destinations import (
    Destination,
    DestinationError,
    FileDestination,
    TlsDestination,
    UdpDestination,
)
from mwl.audit.envelope import Envelope
from mwl.audit.messages import (
    QUERY,
    RECORDING_STARTED,
    SOP_CLASS_UID,
    AuditMessage,
    Object,
    Outcome,
    Participant,
    Source,
)
from mwl.audit.spool import Spool
from mwl.audit.syslog import LIMIT_BYTES, Sender
from mwl.audit.trail import Gap, Trail
from mwl.tls.contexts import Credentials, PemFile, client_context
from support.audit import TIMEOUT_S, parsed, tls_receiver, udp_receiver

SENDER = Sender("worklist", "mwl", "4711")
LIMIT = 256 * 1024


def said(number: int, size: int = 10, outcome: Outcome = Outcome.SUCCESS) -> AuditMessage:
    """Make a message that has a number."""
    return AuditMessage(
        kind=QUERY,
        time_ns=number,
        outcome=outcome,
        participants=[Participant(user_id=str(number), is_requestor=True)],
        objects=[Object(identifier="1.2", identifier_kind=SOP_CLASS_UID, query=b"q" * size)],
    )


def number_of(xml: bytes) -> str:
    """Give the number in a message."""
    return parsed(xml)[1].attrib["UserID"]


def gap_message(gap: Gap) -> AuditMessage:
    return AuditMessage(
        kind=RECORDING_STARTED,
        time_ns=gap.until_ns,
        participants=[Participant(user_id=f"gap {gap.dropped}", is_requestor=True)],
    )


class Log:
    """Events that a trail told of."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, /, **fields: Any) -> None:
        with self._changed:
            self.events.append((event, fields))
            self._changed.notify_all()

    def has(self, name: str) -> bool:
        """Tell whether there was such an event."""
        with self._changed:
            return any(event == name for event, _ in self.events)

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """Give the last of some events of a name."""

        def found() -> list[dict[str, Any]]:
            return [fields for event, fields in self.events if event == name]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, TIMEOUT_S), self.events
            return found()[count - 1]


class Held:
    """A destination that takes messages only when the test lets it."""

    name = "held"

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.problem: str | None = None
        self.is_open = True
        self.numbers: list[str] = []
        self.closed = 0

    def send(self, messages: Sequence[Envelope]) -> None:
        with self._changed:
            if self.problem is not None:
                raise DestinationError(self.problem)
            assert self._changed.wait_for(lambda: self.is_open, TIMEOUT_S)
            self.numbers += [number_of(one.xml) for one in messages]
            self._changed.notify_all()

    def close(self) -> None:
        self.closed += 1

    def open(self, *, is_open: bool = True) -> None:
        with self._changed:
            self.is_open = is_open
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.numbers) >= count, TIMEOUT_S)
            return self.numbers


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "RETRY_S", 0.01)
    monkeypatch.setattr(trail, "RETRY_LIMIT_S", 0.05)
    monkeypatch.setattr(trail, "ROOM_S", 0.01)
    monkeypatch.setattr(destinations, "LOOK_S", 0.05)


@contextmanager
def running(
    folder: Path,
    make: Callable[[threading.Event], Destination],
    log: Log | None = None,
    grace_s: float = 5.0,
    limit: int = LIMIT,
    *,
    starts: bool = True,
) -> Iterator[Trail]:
    stopping = threading.Event()
    one = Trail(
        Spool(folder / "spool", limit),
        make(stopping),
        Source("here"),
        log or Log(),
        stopping,
    )
    one.of_gap = gap_message
    if starts:
        one.start()
    try:
        yield one
    finally:
        one.close(grace_s)


def put(one: Trail, *numbers: int) -> None:
    for number in numbers:
        one.put(partial(said, number))


def written(folder: Path) -> list[str]:
    return [number_of(line) for line in (folder / "audit.xml").read_bytes().splitlines()]


def to_file(folder: Path) -> Callable[[threading.Event], Destination]:
    return lambda _: FileDestination(folder / "audit.xml")


def test_a_file_gets_a_message_on_each_line(tmp_path: Path) -> None:
    with running(tmp_path, to_file(tmp_path)) as one:
        put(one, *range(500))
    assert written(tmp_path) == [*map(str, range(500))]
    assert (one.sent, one.waiting, one.dropped) == (500, 0, 0)
    assert (tmp_path / "audit.xml").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    destination = FileDestination(tmp_path / "audit.xml")
    envelopes = [Envelope.of(said(number), Source("here")) for number in range(2)]
    destination.send(envelopes[:1])
    (tmp_path / "audit.xml").rename(tmp_path / "audit.xml.1")
    destination.send(envelopes[1:])
    destination.close()
    assert written(tmp_path) == ["1"]


def test_a_message_of_a_full_disk_is_written_whole_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = FileDestination(tmp_path / "audit.xml")
    envelope = Envelope.of(said(1), Source("here"))
    write = os.write
    destination.send([envelope])

    def full(file: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(file, data[:-50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DestinationError, match="No space"):
        destination.send([envelope])
    monkeypatch.setattr(os, "write", write)
    destination.send([envelope])
    destination.close()
    assert written(tmp_path) == ["1", "1"]


def test_what_could_not_be_delivered_is_at_the_next_start_in_order(tmp_path: Path) -> None:
    held = Held()
    held.problem = "it is down"
    log = Log()
    with running(tmp_path, lambda _: held, log) as one:
        put(one, 1, 2)
        assert log.wait_for("audit_undelivered")["reason"] == "it is down"
    assert held.closed == 1
    with running(tmp_path, to_file(tmp_path)) as one:
        put(one, 3)
    assert written(tmp_path) == ["1", "2", "3"]
    assert (one.sent, one.dropped) == (3, 0)


def test_a_destination_that_is_back_gets_all_in_order(tmp_path: Path) -> None:
    held, log = Held(), Log()
    held.problem = "it is down"
    with running(tmp_path, lambda _: held, log) as one:
        put(one, *range(5))
        log.wait_for("audit_undelivered")
        held.problem = None
        assert held.wait_for(5) == [*"01234"]
        assert log.wait_for("audit_delivered")["destination"] == "held"
    assert [event for event, _ in log.events] == ["audit_undelivered", "audit_delivered"]


def test_a_full_spool_is_told_of_and_drops_what_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "QUEUE_LIMIT", 10)
    held, log = Held(), Log()
    held.open(is_open=False)
    with running(tmp_path, lambda _: held, log, limit=32 * 1024) as one:
        number = 0
        while not log.has("audit_spool_unavailable"):
            put(one, number)
            number += 1
            with one._change:
                one._change.wait_for(lambda: len(one._queue) < 2, 0.1)
        assert log.wait_for("audit_spool_unavailable")["reason"] == "it is full"
        while one.dropped < 3:
            put(one, number)
            number += 1
        assert log.wait_for("audit_dropped")["dropped"] == 1
        held.open()
        kept = number - 3
        assert held.wait_for(kept)[:kept] == [*map(str, range(kept))]
        put(one, number)
        assert held.wait_for(kept + 2)[kept:] == ["gap 3", str(number)]
        assert log.wait_for("audit_dropped", 2)["dropped"] == 2
    assert (one.sent, one.dropped) == (kept + 2, 3)


def test_a_flood_makes_one_gap_and_not_one_for_each_place_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "QUEUE_LIMIT", 10)
    with running(tmp_path, to_file(tmp_path), starts=False) as one:
        put(one, *range(11))
        taken = []
        for number in range(11, 21):
            before, _ = one.dropped, one._queue.popleft()
            put(one, number)
            taken += [number] * (one.dropped == before)
        # Half of the ten places had to be free.
        assert taken[:1] == [16]
        assert one.dropped == 6
        one._queue.clear()


def test_queries_that_are_too_large_to_wait_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "QUEUE_LIMIT_BYTES", 1000)
    with running(tmp_path, to_file(tmp_path)) as one:
        one.put(partial(said, 1), size=1001)
    assert (one.dropped, one.sent) == (1, 0)


def test_a_message_that_cannot_be_made_costs_no_other(tmp_path: Path) -> None:
    def faulty() -> AuditMessage:
        raise ValueError("a fault")

    log = Log()
    with running(tmp_path, to_file(tmp_path), log) as one:
        one.put(faulty)
        put(one, 2)
    assert isinstance(log.wait_for("internal_error")["error"], ValueError)
    assert (one.dropped, one.sent) == (1, 1)
    assert written(tmp_path) == ["2"]


def test_what_comes_after_the_end_is_counted(tmp_path: Path) -> None:
    with running(tmp_path, to_file(tmp_path)) as one:
        pass
    put(one, 1)
    assert one.dropped == 1


def test_udp_sends_a_datagram_for_each_message(tmp_path: Path) -> None:
    with (
        udp_receiver() as (receiver, port),
        running(tmp_path, lambda _: UdpDestination("127.0.0.1", port, SENDER)) as one,
    ):
        one.put(partial(said, 1))
        one.put(partial(said, 2, outcome=Outcome.MINOR_FAILURE))
        first, second = receiver.messages(2)
        assert (number_of(first.xml), number_of(second.xml)) == ("1", "2")
        assert (first.priority, second.priority) == (85, 84)
        assert (first.host, first.application, first.process) == ("worklist", "mwl", "4711")


def test_a_query_that_is_too_long_for_a_receiver_goes_without_its_bytes(tmp_path: Path) -> None:
    with (
        udp_receiver() as (receiver, port),
        running(tmp_path, lambda _: UdpDestination("127.0.0.1", port, SENDER)) as one,
    ):
        one.put(partial(said, 1, size=20_000))
        one.put(partial(said, 2, size=128 * 1024))
        whole, cut = receiver.messages(2)
        assert parsed(whole.xml).find(".//ParticipantObjectQuery") is not None
        name = parsed(cut.xml).findtext(".//ParticipantObjectName")
        assert name == "(query of 131072 bytes, too long to be sent)"
        assert all(len(one.xml) < LIMIT_BYTES for one in (whole, cut))


def test_over_udp_a_receiver_that_was_down_misses_nothing_on_this_machine(tmp_path: Path) -> None:
    log = Log()
    with udp_receiver() as (receiver, port):
        pass
    with running(tmp_path, lambda _: UdpDestination("127.0.0.1", port, SENDER), log) as one:
        put(one, *range(5))
        assert "refused" in log.wait_for("audit_undelivered")["reason"]
        with udp_receiver(port) as (receiver, _):
            came = receiver.messages(5)
            log.wait_for("audit_delivered")
    assert [number_of(message.xml) for message in came] == [*"01234"]
    assert (one.sent, one.dropped) == (5, 0)


def test_over_udp_one_message_that_is_refused_is_not_taken_as_sent(tmp_path: Path) -> None:
    with udp_receiver() as (_, port):
        pass
    log = Log()
    with running(tmp_path, lambda _: UdpDestination("127.0.0.1", port, SENDER), log) as one:
        put(one, 1)
        log.wait_for("audit_undelivered")
    assert (one.sent, one.waiting) == (0, 1)


class Authority:
    """Certificates of a receiver and of this server."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self._ours = folder / "ours.pem"
        self._trusted = folder / "trusted.pem"
        authority.cert_pem.write_to_path(self._trusted)
        authority.issue_cert("worklist").private_key_and_cert_chain_pem.write_to_path(self._ours)
        self.receiver = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.receiver)
        authority.configure_trust(self.receiver)
        self.receiver.verify_mode = ssl.CERT_REQUIRED

    def destination(
        self, port: int, stopping: threading.Event, host: str = "localhost"
    ) -> TlsDestination:
        credentials = Credentials(
            certificate=PemFile(self._ours, "Audit.Certificate"),
            trusted=PemFile(self._trusted, "Audit.TrustedCertificates"),
        )
        context = partial(client_context, credentials, check_name=True)
        return TlsDestination(host, port, SENDER, context, stopping)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_tls_sends_each_message_with_its_length(tmp_path: Path, authority: Authority) -> None:
    with (
        tls_receiver(authority.receiver) as (receiver, port),
        running(tmp_path, partial(authority.destination, port)) as one,
    ):
        put(one, *range(1000))
        came = receiver.messages(1000)
    assert [number_of(message.xml) for message in came] == [*map(str, range(1000))]
    assert one.sent == 1000


def test_over_tls_a_receiver_that_was_down_gets_all_in_order_and_once(
    tmp_path: Path, authority: Authority
) -> None:
    log = Log()
    with tls_receiver(authority.receiver) as (first, port):
        stack = running(tmp_path, partial(authority.destination, port), log)
        one = stack.__enter__()
        put(one, 0, 1, 2)
        assert len(first.messages(3)) == 3
    put(one, 3, 4)
    log.wait_for("audit_undelivered")
    put(one, 5)
    with tls_receiver(authority.receiver, port) as (second, _):
        came = second.messages(3)
        log.wait_for("audit_delivered")
        stack.__exit__(None, None, None)
    assert [number_of(message.xml) for message in came] == [*"345"]
    assert (one.sent, one.waiting, one.dropped) == (6, 0, 0)


def test_over_tls_what_is_not_confirmed_is_not_taken_as_sent(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "STALLED_S", 0.1)
    monkeypatch.setattr(destinations, "_unconfirmed", lambda _: 1)
    log = Log()
    with (
        tls_receiver(authority.receiver) as (_, port),
        running(tmp_path, partial(authority.destination, port), log, grace_s=0.1) as one,
    ):
        put(one, 1)
        assert log.wait_for("audit_undelivered")["reason"] == "it takes no more"
    assert (one.sent, one.waiting) == (0, 1)


def test_a_receiver_that_nobody_vouches_for_gets_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    log = Log()
    with (
        tls_receiver(Authority(other).receiver) as (receiver, port),
        running(tmp_path, partial(authority.destination, port), log) as one,
    ):
        put(one, 1)
        reason = log.wait_for("audit_undelivered")["reason"]
    assert reason.startswith("its certificate is not trusted")
    assert receiver.messages() == []
    assert one.sent == 0


def test_a_receiver_of_another_name_gets_nothing(tmp_path: Path, authority: Authority) -> None:
    log = Log()
    with (
        tls_receiver(authority.receiver) as (receiver, port),
        running(tmp_path, partial(authority.destination, port, host="127.0.0.1"), log) as one,
    ):
        put(one, 1)
        assert "127.0.0.1" in log.wait_for("audit_undelivered")["reason"]
    assert receiver.messages() == []


def test_a_receiver_that_reads_nothing_holds_up_neither_us_nor_the_end(
    tmp_path: Path, authority: Authority
) -> None:
    with tls_receiver(authority.receiver, reads=False) as (_, port):
        with running(
            tmp_path, partial(authority.destination, port), grace_s=0.1, limit=128 * LIMIT
        ) as one:
            for number in range(1000):
                one.put(partial(said, number, size=15_000), 15_000)
            assert one.dropped == 0
            began = time.monotonic()
        assert time.monotonic() - began < 2
    assert one.sent < 1000
    with running(tmp_path, to_file(tmp_path), limit=128 * LIMIT, grace_s=20) as again:
        pass
    assert (one.sent + again.sent, again.dropped) == (1000, 0)


def test_a_receiver_that_stalls_is_left_and_found_again(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "STALLED_S", 0.2)
    log = Log()
    with (
        tls_receiver(authority.receiver, reads=False) as (_, port),
        running(
            tmp_path, partial(authority.destination, port), log, grace_s=0.1, limit=128 * LIMIT
        ) as one,
    ):
        for number in range(1000):
            one.put(partial(said, number, size=15_000), 15_000)
        assert log.wait_for("audit_undelivered")["reason"] == "it takes no more"
