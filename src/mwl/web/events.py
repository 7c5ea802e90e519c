"""What happens, as it happens: server-sent events of items and queries.

Every reader has a queue of its own with an end: one that reads too slowly loses the oldest events
and is told how many. While there are readers, the folders are looked at every second, so that a
file that somebody drops is told of without a query.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from mwl.errors import StoreError
from mwl.find import Worklist
from mwl.item import WorklistItem
from mwl.limits import HTTP_EVENT_READERS
from mwl.net.journal import QueryRecord
from mwl.web.context import Context
from mwl.web.desk import id_of
from mwl.web.errors import ApiError
from mwl.web.queries import query_document
from mwl.web.routing import STRING, Route, router_of
from mwl.web.turns import finished

EVENT_STREAM = "text/event-stream"

KEPT_EVENTS = 1000
"""Events that wait for one reader, in events: a few hundred kilobytes."""

LOOK_S = 1.0
"""Seconds between looks at the folders while somebody reads."""

HEARTBEAT_LOOKS = 15
"""Looks without an event, in looks, after which a reader is sent a comment, so that proxies keep
the connection and a reader that is gone is noticed."""

Event = tuple[int, str, dict[str, Any]]
"""Number, kind and content."""


class _Reader:
    """Events that wait for one reader."""

    def __init__(self) -> None:
        self.has_some = asyncio.Event()
        self._waiting: deque[Event] = deque()
        self._lost = 0

    def tell(self, event: Event) -> None:
        """Let an event wait; the oldest gives way."""
        if len(self._waiting) >= KEPT_EVENTS:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)
        self.has_some.set()

    def take(self) -> Iterator[str]:
        """Give what waits, as it is sent."""
        self.has_some.clear()
        lost, self._lost = self._lost, 0
        if lost:
            yield f"event: lost\ndata: {json.dumps({'Events': lost})}\n\n"
        while self._waiting:
            number, kind, content = self._waiting.popleft()
            yield f"id: {number}\nevent: {kind}\ndata: {json.dumps(content)}\n\n"


class Events:
    """Tells readers what happens.

    Args:
        context: What is watched.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._readers: set[_Reader] = set()
        self._number = 0
        self._seen: dict[str, tuple[Worklist, int]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._stack = ExitStack()

    async def stream(self) -> StreamingResponse:
        """Tell what happens, as server-sent events.

        `put` and `remove` of items with `ID`, `query` as in `/queries`; `lost` says how many
        events a reader missed that read too slowly, `reset` that so many items changed that each
        is not told.
        """
        most = self._context.settings.limits.http_event_readers
        if len(self._readers) >= most:
            message = f"{most} clients read the events already"
            raise ApiError("DatabaseUnavailable", message, exceeded=HTTP_EVENT_READERS.hit(most))
        return StreamingResponse(
            self._events(), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"}
        )

    async def _events(self) -> AsyncGenerator[str, None]:
        with self._reading() as reader:
            yield ": mwl\n\n"
            quiet = 0
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await reader.has_some.wait()
                text = "".join(reader.take())
                quiet = 0 if text else quiet + 1
                if text:
                    yield text
                elif quiet % HEARTBEAT_LOOKS == 0:
                    yield ":\n\n"

    @contextmanager
    def _reading(self) -> Iterator[_Reader]:
        reader = _Reader()
        if not self._readers:
            self._begin()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)
            if not self._readers:
                self._end()

    def _begin(self) -> None:
        self._seen = {
            name: (worklist, worklist.catalog.version)
            for name, worklist in self._context.worklists.opened.items()
        }
        self._stack.enter_context(self._context.journal.told(self._note_query))
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def _end(self) -> None:
        self._stack.close()
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            for name, worklist in self._context.worklists.opened.items():
                with suppress(StoreError):
                    await finished(worklist.see_every_change())
                self._tell_changes(name, worklist)
            await asyncio.sleep(LOOK_S)  # noqa: TID251 - nobody tells of files that are dropped

    def _note_query(self, record: QueryRecord) -> None:
        # What the query saw comes before it.
        for name, worklist in self._context.worklists.opened.items():
            self._tell_changes(name, worklist)
        self._tell("query", query_document(record))

    def _tell_changes(self, name: str, worklist: Worklist) -> None:
        catalog = worklist.catalog
        known, version = self._seen.get(name, (worklist, 0))
        changes = catalog.changes_since(version) if known is worklist else None
        self._seen[name] = (worklist, catalog.version)
        if changes is None:
            self._tell("reset", {"Folder": name, "Items": len(catalog)})
            return
        for removed, added in changes:
            for kind, source in _told(removed, added):
                self._tell(kind, {"ID": id_of(source), "Folder": name})

    def _tell(self, kind: str, content: dict[str, Any]) -> None:
        self._number += 1
        for reader in self._readers:
            reader.tell((self._number, kind, content))


def _told(
    removed: tuple[WorklistItem, ...], added: tuple[WorklistItem, ...]
) -> Iterator[tuple[str, str]]:
    """Name what one change did: a change is of one file."""
    if added:
        yield "put", added[0].source
    elif removed:
        yield "remove", removed[0].source


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    return router_of(
        "Monitoring",
        [
            Route(
                method="GET",
                path="/events",
                endpoint=Events(context).stream,
                answer=STRING,
                answer_type=EVENT_STREAM,
                failures={503: "Too many clients read already"},
            )
        ],
    )
