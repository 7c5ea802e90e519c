"""Where items are written: composed and checked, then put with the condition that all is as before.

Several who write one item come one after the other, and what another program writes in between is
noticed: then the item is made again from what is there now, unless its writer named the content
that it expects.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote
from weakref import WeakValueDictionary

from mwl.audit.actor import Actor
from mwl.catalog import Catalog
from mwl.check import Finding
from mwl.errors import SourceChanged, StoreError, WriteError
from mwl.find import Worklist
from mwl.intake import Draft, Force
from mwl.item import SUFFIX, is_worklist
from mwl.store import ABSENT, ANYTHING, PRESENT, Expected, Write, entity_tag
from mwl.web.auditing import write
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.turns import finished

ATTEMPTS = 20
"""How often an item is made anew because another program changed it in between."""


class Order(NamedTuple):
    """What is to be written.

    Args:
        source: Name of its file.
        tags: What the item says.
        force: What becomes of faults.
        expected: What is to be there before.
        accession_number: Its accession number, when the tags may leave it out.
    """

    source: str
    tags: Mapping[str, Any]
    force: Force
    expected: Expected = ANYTHING
    accession_number: str | None = None


class Placed(NamedTuple):
    """An item that was written.

    Args:
        source: Name of its file.
        entity_tag: Of its file.
        findings: What is wrong with it.
    """

    source: str
    entity_tag: str
    findings: Sequence[Finding] = ()

    def reply(self) -> dict[str, Any]:
        """Give what Orthanc answers."""
        name = id_of(self.source)
        return {"ID": name, "Path": f"/worklists/{quote(name, safe='')}"}


def id_of(source: str) -> str:
    """Give the identifier of an item: its file name, without the usual ending."""
    return source.removesuffix(SUFFIX) if source.endswith(SUFFIX) else source


def source_of(catalog: Catalog, name: str) -> str:
    """Give the file name of an identifier; of an item that is not there, the one it would get."""
    usual = f"{name}{SUFFIX}"
    if usual not in catalog.sources and is_worklist(name) and is_there(catalog, name):
        return name  # it ends in .WL, say
    return usual


def is_there(catalog: Catalog, source: str) -> bool:
    """Tell whether there is such a file, as far as was read."""
    return source in catalog.sources or source in catalog.unreadable


class Desk:
    """Writes items.

    Args:
        context: What it works with.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    def worklist(self, called: str | None) -> Worklist:
        """Give the worklist that a client means.

        Args:
            called: A called AE title, None for that of the server.

        Raises:
            ApiError: There is none.
        """
        title = self._context.identity.ae_title if called is None else called
        worklist = self._context.worklists.of(title)
        if worklist is None:
            raise ApiError("UnknownResource", "called: there is no folder for this AE title")
        return worklist

    async def put(self, worklist: Worklist, order: Order, actor: Actor) -> Placed:
        """Write an item.

        Raises:
            ApiError: It is refused, is not as expected, or cannot be written.
            InputError: It can be no item.
            StoreError: The worklist cannot be read.
        """
        lock = self._turns.setdefault((id(worklist.catalog), order.source), asyncio.Lock())
        async with lock:
            for _ in range(ATTEMPTS):
                placed = await self._try(worklist, order, actor)
                if placed is not None:
                    return placed
        message = "another program writes this item all the time"
        raise ApiError("Revision", message)

    async def _try(self, worklist: Worklist, order: Order, actor: Actor) -> Placed | None:
        """Write an item if nobody writes it meanwhile, else give None."""
        await finished(worklist.see_every_change())
        draft, wanted = await self.drafted(worklist, order)
        if wanted is None:
            return Placed(order.source, entity_tag(draft.data), draft.findings)
        [failure] = await self.write(worklist, [wanted], actor)
        await catch_up(worklist)
        if isinstance(failure, SourceChanged) and order.expected.may_be_present:
            return None
        if failure is not None:
            raise api_error_of(failure)
        return Placed(order.source, entity_tag(draft.data), draft.findings)

    async def drafted(self, worklist: Worklist, order: Order) -> tuple[Draft, Write | None]:
        """Make an item, and the write that puts it where all is as it was; None if it is there.

        Raises:
            ApiError: It is refused, or what is there is not as expected.
        """
        previous = None
        if order.expected != ABSENT:
            previous = await asyncio.to_thread(worklist.catalog.content, order.source)
        tag = None if previous is None else entity_tag(previous)
        if not order.expected.admits(tag):
            raise changed(tag)
        draft = await finished(
            self._context.worklists.intake.draft(
                worklist,
                order.source,
                order.tags,
                force=order.force,
                previous=previous,
                accession_number=order.accession_number,
            )
        )
        if draft.is_refused:
            raise _refused(draft)
        if draft.is_unchanged:
            return draft, None
        now = ABSENT if tag is None else Expected(frozenset({tag}), may_be_absent=False)
        return draft, Write(order.source, draft.data, now)

    async def write(
        self, worklist: Worklist, writes: Sequence[Write], actor: Actor
    ) -> list[WriteError | None]:
        """Write what was drafted; give for each why it was not."""
        return await write(self._context, worklist, writes, actor)

    async def remove(
        self, worklist: Worklist, source: str, expected: Expected, actor: Actor
    ) -> None:
        """Remove an item.

        Raises:
            ApiError: There is none, it is not as expected, or it cannot be removed.
        """
        wanted = PRESENT if expected == ANYTHING else expected
        [failure] = await self.write(worklist, [Write(source, None, wanted)], actor)
        await catch_up(worklist)
        if failure is not None:
            raise api_error_of(failure)


async def catch_up(worklist: Worklist) -> None:
    """See what was written, where that costs nothing else: the next query has it the sooner."""
    if worklist.catalog.is_watching:
        with suppress(StoreError):
            await finished(worklist.see_every_change())


def unknown() -> ApiError:
    """Make the error of an item that is not there."""
    return ApiError("UnknownResource", "Worklist not found")


def changed(tag: str | None) -> ApiError:
    """Make the error of an item that is not as its writer expects: 412, with what it is now."""
    if tag is None:
        return ApiError("Revision", "there is no such item", http_status=412)
    message = "the item is not the one that was expected: read it again"
    return ApiError("Revision", message, http_status=412, headers={"ETag": f'"{tag}"'})


def api_error_of(failure: WriteError) -> ApiError:
    """Give what a client is told of a write that was not done."""
    if isinstance(failure, SourceChanged):
        return changed(failure.entity_tag)
    if failure.is_full:
        return ApiError("FullStorage", str(failure), http_status=507)
    return ApiError("CannotWriteFile", str(failure))


def _refused(draft: Draft) -> ApiError:
    errors = sum(finding.severity == "error" for finding in draft.findings)
    return ApiError(
        "BadFileFormat",
        f'the check of the item found {errors} errors, see Findings. Use "Force": true to write '
        "it as it is.",
        extra={"Findings": findings_of(draft.findings)},
    )


def findings_of(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Give findings as the answers have them; the file is the item that they are about."""
    return [
        {key: value for key, value in finding.document().items() if key != "file"}
        for finding in findings
    ]
