"""What every store keeps to, whatever it reads from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from mwl.errors import StoreError
from mwl.store import Store
from mwl.store.directory import DirectoryStore
from mwl.store.folder import WatchMode
from mwl.store.memory import MemoryStore
from support.folder import Served, content, item, parse


class Place(Protocol):
    """The world that a store looks at."""

    @property
    def store(self) -> Store: ...

    def put(self, source: str, text: str) -> None: ...
    def remove(self, source: str) -> None: ...
    def break_down(self) -> None: ...
    def repair(self) -> None: ...


class Memory:
    def __init__(self, _: Path) -> None:
        self.store = MemoryStore()

    def put(self, source: str, text: str) -> None:
        self.store.put(source, (item(source, content(text)),))

    def remove(self, source: str) -> None:
        self.store.remove(source)

    def break_down(self) -> None:
        self.store.fail("taken away", "Call the administrator")

    def repair(self) -> None:
        self.store.recover()


class Folder:
    mode: WatchMode

    def __init__(self, path: Path) -> None:
        self.path = path / "worklists"
        self.path.mkdir()
        self.store = DirectoryStore(self.path, parse, watch=self.mode)

    def put(self, source: str, text: str) -> None:
        (self.path / source).write_bytes(content(text))

    def remove(self, source: str) -> None:
        (self.path / source).unlink()

    def break_down(self) -> None:
        self.path.rename(self.path.with_name("away"))

    def repair(self) -> None:
        self.path.with_name("away").rename(self.path)


class WatchedFolder(Folder):
    mode = "inotify"


class ScannedFolder(Folder):
    mode = "scan"


PLACES: list[Callable[[Path], Place]] = [Memory, WatchedFolder, ScannedFolder]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place: Place = request.param(tmp_path)
    yield place
    place.store.close()


@pytest.fixture
def served(place: Place) -> Served:
    return Served(place.store)


def test_what_was_there_before_the_first_notice_is_told(place: Place, served: Served) -> None:
    place.put("a.wl", "1")
    assert served.look() == {"a.wl": content("1")}


def test_every_change_before_a_notice_is_told_by_the_time_it_is_current(
    place: Place, served: Served
) -> None:
    assert served.look() == {}
    place.put("a.wl", "1")
    place.put("b.wl", "1")
    assert served.look().keys() == {"a.wl", "b.wl"}
    place.put("a.wl", "2")
    place.remove("b.wl")
    place.put("c.wl", "3")
    assert served.look() == {"a.wl": content("2"), "c.wl": content("3")}


def test_the_last_of_several_changes_counts(place: Place, served: Served) -> None:
    for text in ("1", "2", "3"):
        place.put("a.wl", text)
    place.put("b.wl", "1")
    place.remove("b.wl")
    place.put("b.wl", "2")
    assert served.look() == {"a.wl": content("3"), "b.wl": content("2")}


def test_tickets_never_fall(place: Place, served: Served) -> None:
    tickets = [place.store.notice()]
    for number in range(5):
        place.put("a.wl", str(number))
        tickets.append(place.store.notice())
        served.look()
        tickets.append(place.store.notice())
    assert tickets == sorted(tickets)


def test_a_ticket_stays_current(place: Place, served: Served) -> None:
    place.put("a.wl", "1")
    ticket = place.store.notice()
    served.look()
    assert place.store.is_current(ticket)
    place.put("b.wl", "1")
    place.store.notice()
    assert place.store.is_current(ticket)


def test_read_gives_no_more_changes_than_it_was_asked_to(place: Place, served: Served) -> None:
    for number in range(10):
        place.put(f"{number}.wl", "1")
    ticket = place.store.notice()
    told = 0
    while not place.store.is_current(ticket):
        served.read(3)
        assert served.changes - told <= 3
        told = served.changes
    assert told == 10


def test_reading_without_work_gives_nothing(place: Place, served: Served) -> None:
    served.look()
    assert place.store.read(10) == []


def test_a_place_that_cannot_be_read_fails_and_recovers_with_what_changed_meanwhile(
    place: Place, served: Served
) -> None:
    place.put("a.wl", "1")
    served.look()
    place.break_down()
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            place.store.notice()
        assert caught.value.comment
    place.repair()
    place.put("b.wl", "2")
    assert served.look() == {"a.wl": content("1"), "b.wl": content("2")}


def test_a_query_that_waits_when_the_place_breaks_down_is_told_so(
    place: Place, served: Served
) -> None:
    place.put("a.wl", "1")
    ticket = place.store.notice()
    place.break_down()
    assert not place.store.is_current(ticket)
    with pytest.raises(StoreError):
        served.read(1)


def test_closing_twice_is_harmless(place: Place) -> None:
    place.store.notice()
    place.store.close()
    place.store.close()
