"""What the server tells about itself: queries, events, health and metrics."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mwl import telemetry
from mwl.limits import HTTP_EVENT_READERS
from mwl.net.journal import CALLERS_COUNTED, LATENCY_BOUNDS_S, OTHERS, Journal
from mwl.web import events as events_module
from mwl.web.events import KEPT_EVENTS, Events
from support.api import Api, api_of, tags
from support.worklist_files import FIVE_ITEMS, GARBAGE, fill, part10


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path) as api:
        yield api


def note(journal: Journal, **fields: Any) -> None:
    """Let a query end."""
    known: dict[str, Any] = {
        "calling_ae_title": "CT1",
        "called_ae_title": "ORTHANC",
        "host": "192.0.2.1",
        "keys": "PatientName",
        "status": 0,
        "comment": "",
        "detail": "",
        "items": 5,
        "answers": 2,
        "milliseconds": 0.3,
    }
    journal.note(**known | fields)


class TestQueries:
    async def test_the_last_ones_are_listed_the_latest_first(self, api: Api) -> None:
        for number in range(8):
            note(api.context.journal, host=f"192.0.2.{number}")
        found = (await api.ask("GET", "/queries")).json()
        assert [query["Host"] for query in found] == [f"192.0.2.{n}" for n in (7, 6, 5, 4, 3)]
        assert [query["Number"] for query in found] == [8, 7, 6, 5, 4]
        assert len((await api.ask("GET", "/queries?limit=2")).json()) == 2

    async def test_a_query_says_all_that_the_log_says(self, api: Api) -> None:
        note(api.context.journal, status=0xC001, comment="No", detail="why")
        [found] = (await api.ask("GET", "/queries")).json()
        assert found.pop("Date").endswith("+00:00")
        assert found == {
            "Number": 1,
            "CallingAet": "CT1",
            "CalledAet": "ORTHANC",
            "Host": "192.0.2.1",
            "Keys": "PatientName",
            "Status": "C001",
            "Comment": "No",
            "Detail": "why",
            "Items": 5,
            "Answers": 2,
            "Milliseconds": 0.3,
        }

    @pytest.mark.parametrize("limit", ["-1", "x", "100000"])
    async def test_a_number_that_is_none_is_refused(self, api: Api, limit: str) -> None:
        assert (await api.ask("GET", f"/queries?limit={limit}")).status == 400

    def test_none_is_kept_where_none_is_wanted(self) -> None:
        journal = Journal(0)
        note(journal)
        assert list(journal) == []
        assert journal.count == 1


@asynccontextmanager
async def reading(events: Events) -> AsyncIterator[Any]:
    """Give what reads the next event."""
    stream = events._events()
    assert await anext(stream) == ": mwl\n\n"
    pending: list[tuple[str, dict[str, Any]]] = []

    async def read() -> tuple[str, dict[str, Any]]:
        while not pending:
            async with asyncio.timeout(20):
                text = await anext(stream)
            for event in text.split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in event.splitlines() if line != ":")
                if "event" in fields:
                    pending.append((fields["event"], json.loads(fields["data"])))
        return pending.pop(0)

    try:
        yield read
    finally:
        await stream.aclose()


class TestEvents:
    async def test_items_are_told_of_however_they_come(self, api: Api) -> None:
        events = Events(api.context)
        async with reading(events) as read:
            fill(api.folder, {"dropped.wl": part10(FIVE_ITEMS["p1.wl"])})
            assert await read() == ("put", {"ID": "dropped", "Folder": api.folder.name})
            identifier = await api.create(number=7)
            assert await read() == ("put", {"ID": identifier, "Folder": api.folder.name})
            await api.ask("DELETE", "/worklists/dropped")
            assert await read() == ("remove", {"ID": "dropped", "Folder": api.folder.name})

    async def test_queries_are_told_of(self, api: Api) -> None:
        async with reading(Events(api.context)) as read:
            note(api.context.journal)
            kind, content = await read()
            assert (kind, content["CallingAet"], content["Answers"]) == ("query", "CT1", 2)

    async def test_a_change_that_a_query_saw_comes_before_it(self, api: Api) -> None:
        async with reading(Events(api.context)) as read:
            await api.ask("PUT", "/worklists/a", {"Tags": tags()})
            assert api.found("PatientID")
            note(api.context.journal)
            assert [(await read())[0], (await read())[0]] == ["put", "query"]

    async def test_a_slow_reader_loses_the_oldest_and_is_told_so(self, api: Api) -> None:
        events = Events(api.context)
        async with reading(events) as read:
            for number in range(KEPT_EVENTS + 7):
                note(api.context.journal, host=str(number))
            [reader] = events._readers
            assert len(reader._waiting) == KEPT_EVENTS
            assert await read() == ("lost", {"Events": 7})
            assert (await read())[1]["Host"] == "7"

    async def test_more_changes_than_are_kept_are_told_as_one(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with reading(Events(api.context)) as read:
            worklist = api.context.worklists.of("ORTHANC")
            assert worklist is not None
            monkeypatch.setattr(worklist.catalog, "changes_since", lambda _: None)
            note(api.context.journal)
            assert await read() == ("reset", {"Folder": api.folder.name, "Items": 0})

    async def test_nobody_is_told_where_nobody_reads(self, api: Api) -> None:
        events = Events(api.context)
        async with reading(events):
            watching = events._watching
            assert watching is not None
            assert api.context.journal._listeners
        assert not events._readers
        assert not api.context.journal._listeners
        await asyncio.wait([watching])
        assert watching.cancelled()

    async def test_a_connection_without_events_is_kept_alive(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events_module, "LOOK_S", 0.01)
        stream = Events(api.context)._events()
        assert await anext(stream) == ": mwl\n\n"
        async with asyncio.timeout(20):
            assert await anext(stream) == ":\n\n"
        await stream.aclose()

    async def test_readers_have_a_limit(self, api: Api) -> None:
        events = Events(api.context)
        async with asyncio.TaskGroup(), reading(events):
            others = [events._events() for _ in range(HTTP_EVENT_READERS.default - 1)]
            for stream in others:
                await anext(stream)
            with pytest.raises(Exception, match="clients read the events already"):
                await events.stream()
            for stream in others:
                await stream.aclose()


class TestHealth:
    async def test_a_server_that_runs_is_live(self, api: Api) -> None:
        assert (await api.ask("GET", "/health/live")).status == 200

    async def test_it_is_ready_when_the_folder_is_read(self, api: Api) -> None:
        fill(api.folder, {"p1.wl": part10(FIVE_ITEMS["p1.wl"])})
        said = await api.ask("GET", "/health/ready")
        assert (said.status, said.json()["OrthancStatus"]) == (503, 36)
        assert len(api.found("PatientID")) == 1
        said = await api.ask("GET", "/health/ready")
        assert (said.status, said.json()) == (200, {"Status": "ready", "Items": 1})

    async def test_files_that_come_later_do_not_make_it_unready(self, api: Api) -> None:
        api.found("PatientID")
        fill(api.folder, {"p1.wl": part10(FIVE_ITEMS["p1.wl"])})
        assert (await api.ask("GET", "/health/ready")).status == 200

    async def test_it_is_not_ready_while_the_folder_cannot_be_read(self, api: Api) -> None:
        api.found("PatientID")
        api.folder.rename(api.folder.with_name("away"))
        assert (await api.ask("GET", "/health/ready")).status == 503
        assert (await api.ask("GET", "/health/live")).status == 200
        api.folder.with_name("away").rename(api.folder)
        assert (await api.ask("GET", "/health/ready")).status == 503
        api.found("PatientID")
        assert (await api.ask("GET", "/health/ready")).status == 200


class TestMetrics:
    async def metrics(self, api: Api) -> dict[tuple[str, ...], float]:
        said = await api.ask("GET", "/metrics")
        assert said.status == 200
        assert said.body == (await api.ask("GET", "/tools/metrics-prometheus")).body
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(said.body.decode())
            for sample in family.samples
        }

    async def test_queries_are_counted_by_caller_and_status(self, api: Api) -> None:
        for _ in range(3):
            note(api.context.journal)
        note(api.context.journal, calling_ae_title="MR1", status=0xA700, answers=0)
        found = await self.metrics(api)
        assert found["mwl_queries_total", "CT1", "0000"] == 3
        assert found["mwl_queries_total", "MR1", "A700"] == 1
        assert found["mwl_answers_total",] == 6

    async def test_times_are_counted_below_each_bound(self, api: Api) -> None:
        for milliseconds in (0.05, 0.1, 0.3, 7, 9999):
            note(api.context.journal, milliseconds=milliseconds)
        found = await self.metrics(api)
        counts = [found["mwl_query_seconds_bucket", str(bound)] for bound in LATENCY_BOUNDS_S]
        assert counts == [2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4]
        assert found["mwl_query_seconds_bucket", "+Inf"] == 5
        assert found["mwl_query_seconds_count",] == 5
        assert found["mwl_query_seconds_sum",] == pytest.approx(10.00645)

    async def test_callers_are_bounded(self, api: Api) -> None:
        for number in range(CALLERS_COUNTED + 50):
            note(api.context.journal, calling_ae_title=f"CT{number}")
        note(api.context.journal, calling_ae_title="CT0")
        found = {key: value for key, value in (await self.metrics(api)).items() if len(key) == 3}
        assert len(found) == CALLERS_COUNTED + 1
        assert found["mwl_queries_total", OTHERS, "0000"] == 50
        assert found["mwl_queries_total", "CT0", "0000"] == 2

    async def test_a_title_with_quotes_does_no_harm(self, api: Api) -> None:
        title = 'A"} 1\n\\'
        note(api.context.journal, calling_ae_title=title)
        assert (await self.metrics(api))["mwl_queries_total", title, "0000"] == 1

    async def test_folders_and_results_are_counted(self, api: Api) -> None:
        fill(api.folder, {"p1.wl": part10(FIVE_ITEMS["p1.wl"]), "bad.wl": GARBAGE})
        for _ in range(3):
            api.found("PatientID")
        found = await self.metrics(api)
        folder = api.folder.name
        assert found["mwl_items", folder] == 1
        assert found["mwl_files_skipped", folder] == 1
        assert found["mwl_cache_hits_total", folder] == 2
        assert found["mwl_cache_misses_total", folder] == 1
        (api.folder / "bad.wl").unlink()
        api.found("PatientID")
        assert (await self.metrics(api))["mwl_files_skipped", folder] == 0

    async def test_associations_are_counted(self, api: Api) -> None:
        before = telemetry.COUNTS["association_refused"]
        found = await self.metrics(api)
        assert found["mwl_associations_open",] == 3
        assert found["mwl_associations_refused_total",] == before
