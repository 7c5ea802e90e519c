"""Messages on the disk until they are delivered."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwl.audit.spool import SEGMENTS, Record, Spool
from mwl.errors import ConfigError

LIMIT = 64 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


def take(spool: Spool, limit: int = 1000) -> list[bytes]:
    records = spool.next(limit, LIMIT)
    if records:
        spool.delivered(records)
    return [record.data for record in records]


def everything(spool: Spool) -> Iterator[bytes]:
    while found := take(spool):
        yield from found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def test_messages_come_out_in_the_order_in_which_they_went_in(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        assert all(spool.append(b"%d" % number) for number in range(10))
        assert spool.waiting == 10
        assert take(spool, 4) == [b"0", b"1", b"2", b"3"]
        assert take(spool) == [b"%d" % number for number in range(4, 10)]
        assert spool.waiting == 0
        assert take(spool) == []


def test_what_was_given_and_not_delivered_is_given_again(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"a")
        spool.append(b"b")
        assert [record.data for record in spool.next(1, LIMIT)] == [b"a"]
        assert [record.data for record in spool.next(9, LIMIT)] == [b"a", b"b"]
        assert [record.data for record in spool.next(9, 1)] == [b"a"]
        assert [record.data for record in spool.next(9, 0)] == [b"a"]


class Machine:
    """Spools one after the other in a folder, and what they should hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.spool = Spool(folder, LIMIT)
        self.expected: list[bytes] = []
        self.number = 0

    def append(self, size: int) -> None:
        self.number += 1
        data = b"%d " % self.number + b"x" * size
        if self.spool.append(data):
            self.expected.append(data)

    def deliver(self, count: int) -> None:
        found: list[Record] = self.spool.next(count, LIMIT)
        assert [record.data for record in found] == self.expected[: len(found)]
        assert found or not self.expected
        if found:
            self.spool.delivered(found)
            del self.expected[: len(found)]

    def restart(self, _: int) -> None:
        self.spool.close()
        self.spool = Spool(self._folder, LIMIT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 4000)),
            st.tuples(st.just("deliver"), st.integers(1, 20)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=80,
    )
)
def test_whatever_happens_each_message_is_delivered_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    machine = Machine(folder)
    for name, number in steps:
        getattr(machine, name)(number)
        assert machine.spool.waiting == len(machine.expected)
        assert sum(file.stat().st_size for file in segments(folder)) <= LIMIT
    while machine.expected:
        machine.deliver(20)
    machine.spool.close()
    with closing(Spool(folder, LIMIT)) as spool:
        assert spool.waiting == 0


def test_a_full_spool_takes_no_more_until_some_are_delivered(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        taken = 0
        while spool.append(b"%04d" % taken + b"x" * 996):
            taken += 1
        assert LIMIT - 2048 < taken * 1008 <= LIMIT
        assert not spool.append(b"x" * 1000)
        take(spool, taken // SEGMENTS + 2)
        assert spool.append(b"x" * 1000)


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_message_half_written_does_not_hide_those_after_it(folder: Path, cut: int) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"whole")
        spool.append(b"half")
    [segment] = segments(folder)
    os.truncate(segment, segment.stat().st_size - cut)
    with closing(Spool(folder, LIMIT)) as spool:
        assert spool.damaged_bytes == 12 - cut
        assert spool.waiting == 1
        spool.append(b"later")
        assert [*everything(spool)] == [b"whole", b"later"]


@given(data=st.data())
def test_damage_anywhere_leaves_what_stands_before_it_and_after_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    for number in range(2):
        with closing(Spool(folder, LIMIT)) as spool:
            for place in range(3):
                spool.append(b"%d.%d" % (number, place))
    first, _ = segments(folder)
    content = bytearray(first.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    first.write_bytes(content)
    with closing(Spool(folder, LIMIT)) as spool:
        whole = at // 11
        expected = [b"0.%d" % place for place in range(whole)]
        assert [*everything(spool)] == [*expected, b"1.0", b"1.1", b"1.2"]
        assert spool.damaged_bytes == 33 - 11 * whole


def test_damage_while_it_runs_is_passed_over(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"one")
        spool.append(b"two")
        [segment] = segments(folder)
        os.truncate(segment, 3)
        assert [*everything(spool)] == []
        assert (spool.waiting, spool.damaged_bytes) == (0, 22)
        spool.append(b"three")
        assert [*everything(spool)] == [b"three"]


def test_a_place_that_cannot_be_read_delivers_again_rather_than_not(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"one")
        spool.append(b"two")
        take(spool, 1)
    (folder / "position").write_bytes(b"\xff" * 20)
    with closing(Spool(folder, LIMIT)) as spool:
        assert [*everything(spool)] == [b"one", b"two"]


def test_only_its_user_can_read_it(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"x")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_two_servers_do_not_share_it(folder: Path) -> None:
    with closing(Spool(folder, LIMIT)):
        with pytest.raises(ConfigError, match="used by another server") as caught:
            Spool(folder, LIMIT)
        assert caught.value.option == "Audit.SpoolFolder"
    Spool(folder, LIMIT).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory"):
        Spool(tmp_path / "file" / "audit", LIMIT)


def test_a_closed_spool_touches_nothing(folder: Path) -> None:
    spool = Spool(folder, LIMIT)
    spool.append(b"x")
    records = spool.next(1, LIMIT)
    spool.close()
    calls: list[Any] = [lambda: spool.append(b"x"), lambda: spool.next(1, 1)]
    for call in [*calls, lambda: spool.delivered(records)]:
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()


def test_what_cannot_be_written_leaves_no_half_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    with closing(Spool(folder, LIMIT)) as spool:
        spool.append(b"before")

        def full(file: int, data: bytes, offset: int) -> int:
            if len(data) < 3:
                raise OSError(28, "No space left on device")
            return write(file, data[: len(data) // 2], offset)

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            spool.append(b"x" * 100)
        monkeypatch.setattr(os, "pwrite", write)
        spool.append(b"after")
        assert [*everything(spool)] == [b"before", b"after"]
