"""What the routes tell the audit trail, where there is one: who asks, reads and writes."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from mwl.access import Caller
from mwl.audit.actor import Actor
from mwl.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Elements, encode
from mwl.errors import WriteError
from mwl.find import Worklist
from mwl.site import KnownModality
from mwl.store import Write
from mwl.web.access import user_of
from mwl.web.context import Context
from mwl.web.turns import in_turns


def actor_of(context: Context, request: Request) -> Actor:
    """Give who makes a request; a name counts only where a password was asked for."""
    user = user_of(request.headers) if context.settings.authentication else ""
    return Actor(user, "" if request.client is None else request.client.host)


def note_search(context: Context, request: Request, body: Mapping[str, Any] | None = None) -> None:
    """Note that somebody searches: by the address, or by a body."""
    if context.auditor is not None:
        query = request.url.query if body is None else json.dumps(body)
        context.auditor.searched(actor_of(context, request), request.url.path, query)


def note_query(
    context: Context, request: Request, modality: KnownModality, identifier: Elements
) -> None:
    """Note that somebody has a modality asked."""
    if context.auditor is not None:
        encoded = encode(identifier.values(), EXPLICIT_VR_LITTLE_ENDIAN)
        whom = Caller(modality.local_ae_title, modality.ae_title, modality.host)
        context.auditor.asked(actor_of(context, request), whom, encoded, EXPLICIT_VR_LITTLE_ENDIAN)


def note_reading(context: Context, request: Request, worklist: Worklist, source: str) -> None:
    """Note that somebody is given an item."""
    if context.auditor is not None:
        items = worklist.catalog.sources.get(source, ())
        context.auditor.read(actor_of(context, request), source, items)


def note_configuration(context: Context, request: Request, words: str) -> None:
    """Note that somebody changed who may do what."""
    if context.auditor is not None:
        context.auditor.configured(actor_of(context, request), words)


def note_restricted(context: Context, request: Request, words: str) -> None:
    """Note that somebody did what few may."""
    if context.auditor is not None:
        context.auditor.used(actor_of(context, request), words)


async def write(
    context: Context, worklist: Worklist, writes: Sequence[Write], actor: Actor
) -> list[WriteError | None]:
    """Write items (`Catalog.write`), and note who did it."""
    catalog, auditor = worklist.catalog, context.auditor
    if auditor is None:
        return await asyncio.to_thread(catalog.write, writes)
    writings = [auditor.writing(catalog, one, actor) async for one in in_turns(writes)]
    try:
        results = await asyncio.to_thread(catalog.write, writes)
    except BaseException:
        for writing in writings:
            auditor.abandoned(writing)
        raise
    async for writing, failure in in_turns(zip(writings, results, strict=True)):
        auditor.written(writing, failure)
    return results
