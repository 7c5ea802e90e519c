"""What is done to the servers at once, for as long as the run lasts. Each worker is a coroutine."""

import asyncio
import http.client
import json
import random
import shutil
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mwl.dataset import EXPLICIT_VR_LITTLE_ENDIAN, decode, encode_file, tag_of, values
from mwl.errors import PeerRefused
from mwl.net.client import ClientAssociation, Peer, associate
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION
from soak import material
from soak.material import Asked
from soak.servers import Server
from soak.truth import SERIAL, Truth
from support.dcmtk import findscu
from support.items import LATIN_1, elements
from support.proxy import Then, Treatment, proxy

SERIAL_TAG = tag_of(SERIAL) or 0
TIMEOUT_S = 30.0
"""Seconds to wait for an answer; one that takes longer is wrong."""

GARBAGE = b"This is no worklist file. "


@dataclass(slots=True)
class Run:
    """What the workers share.

    Args:
        folder: Of the worklist files.
        servers: What serves it.
        truth: What may be found.
        asked: The queries.
        items: What files hold.
        ended: Is set when the run is over.
        done: How often each thing was done.
        wrong: What was wrong.
    """

    folder: Path
    servers: Sequence[Server]
    truth: Truth
    asked: Sequence[Asked]
    items: Sequence[dict[str, Any]]
    ended: asyncio.Event
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def now(self) -> float:
        """Give the time."""
        return asyncio.get_running_loop().time()

    async def rest(self, seconds: float) -> None:
        """Let time pass, until the run is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return


# Queries


async def ask(run: Run, peer: Peer, asked: Sequence[Asked], what: str, pause_s: float) -> None:
    """Ask queries, some on each association, and check each answer."""
    dice = random.Random(what)
    while not run.ended.is_set():
        try:
            async with associate(peer, [MODALITY_WORKLIST_FIND, VERIFICATION]) as association:
                for _ in range(dice.randint(1, 5)):
                    await _ask_one(run, association, dice.choice(asked), what)
                if dice.random() < 0.1:
                    await association.echo()
                    run.done["echoes"] += 1
        except PeerRefused as refused:
            run.wrong.append(f"{what}: {refused}")
        await run.rest(pause_s)


async def _ask_one(run: Run, association: ClientAssociation, asked: Asked, what: str) -> None:
    began, serials, status = run.now(), [], None
    async for response in association.find(elements(asked.identifier)):
        status = response.command.status
        if response.identifier is not None:
            answer = decode(response.identifier, response.transfer_syntax)
            serials += [value.strip() for value in values(answer[SERIAL_TAG], LATIN_1)]
    ended = run.now()
    if status != Status.SUCCESS:
        run.wrong.append(f"{what}: status {status} to {asked.identifier}")
        return
    run.done[what] += 1
    run.done["answers"] += len(serials)
    wrong = run.truth.wrong(asked.number, asked.means, began, ended, serials)
    run.wrong += [f"{what}: {one}; query {asked.identifier}" for one in wrong]


async def ask_with_findscu(run: Run, server: Server, pause_s: float) -> None:
    """Ask for everything with DCMTK's program, where there is one."""
    if shutil.which("findscu") is None:
        return
    while not run.ended.is_set():
        began = run.now()
        found = await asyncio.to_thread(findscu, "127.0.0.1", server.port, SERIAL)
        serials = [str(answer.get(SERIAL)) for answer in found.answers]
        wrong = run.truth.wrong(0, {}, began, run.now(), serials)
        run.wrong += [f"findscu: {one}" for one in wrong]
        run.done["queries of findscu"] += 1
        await run.rest(pause_s)


async def list_over_http(run: Run, server: Server, pause_s: float) -> None:
    """Take the list of items over HTTP: all, with their tags."""
    while not run.ended.is_set():
        began = run.now()
        status, said = await asyncio.to_thread(request, server, "GET", "/worklists", None)
        ended = run.now()
        if status == http.client.OK:
            found = Counter(item["Tags"].get(SERIAL) for item in said)
            # A file with several steps is one item of this list, and several answers.
            wrong = run.truth.wrong_list(began, ended, found)
            run.wrong += [f"list over HTTP: {one}" for one in wrong]
        else:
            run.wrong.append(f"list over HTTP: {status} {said}")
        run.done["lists over HTTP"] += 1
        await asyncio.to_thread(request, server, "GET", "/health/ready", None)
        await run.rest(pause_s)


# Changes


async def churn_files(run: Run, name: str, files: int, pause_s: float) -> None:
    """Write, replace and remove files, one or many at once, whole and broken ones."""
    dice = random.Random(name)
    while not run.ended.is_set():
        if dice.random() < 0.02:
            _storm(run, dice, [f"{name}{number}.wl" for number in range(files)])
        else:
            _change(run, dice, f"{name}{dice.randrange(files)}.wl")
        await run.rest(pause_s * dice.random() * 2)


def fill(run: Run, name: str, files: int) -> None:
    """Write the first version of files."""
    dice = random.Random(name)
    for number in range(files):
        _replace(run, f"{name}{number}.wl", _new_item(run, dice))


def _new_item(run: Run, dice: random.Random) -> dict[str, Any]:
    return {**dice.choice(run.items), SERIAL: run.truth.new_serial()}


def _change(run: Run, dice: random.Random, source: str) -> None:
    choice = dice.random()
    path = run.folder / source
    if choice < 0.15:
        with run_change(run, source, None):
            path.unlink(missing_ok=True)
    elif choice < 0.2:
        with run_change(run, source, None):
            path.write_bytes(GARBAGE * dice.randint(1, 50))
    elif choice < 0.6:
        item = _new_item(run, dice)
        with run_change(run, source, item):
            path.write_bytes(_file(item))
    else:
        _replace(run, source, _new_item(run, dice))
    run.done["files changed"] += 1


def _replace(run: Run, source: str, item: dict[str, Any]) -> None:
    aside = run.folder / f"{source}.part"
    aside.write_bytes(_file(item))
    with run_change(run, source, item):
        aside.replace(run.folder / source)


def _storm(run: Run, dice: random.Random, sources: Sequence[str]) -> None:
    """Replace all files of a worker at once."""
    items = {source: _new_item(run, dice) for source in sources}
    for source, item in items.items():
        (run.folder / f"{source}.part").write_bytes(_file(item))
    for source, item in items.items():
        with run_change(run, source, item):
            (run.folder / f"{source}.part").replace(run.folder / source)
    run.done["files changed"] += len(items)


def _file(item: dict[str, Any]) -> bytes:
    return encode_file(elements(item), EXPLICIT_VR_LITTLE_ENDIAN)


@contextmanager
def run_change(run: Run, source: str, item: dict[str, Any] | None) -> Iterator[None]:
    """Note when a change begins and when it is done."""
    run.truth.begins(source, run.now(), item)
    yield
    run.truth.is_there(source, run.now())


async def write_over_http(run: Run, server: Server, name: str, files: int, pause_s: float) -> None:
    """Write and remove items over HTTP, one at a time and in batches."""
    dice = random.Random(name)
    number = 0
    while not run.ended.is_set():
        number += 1
        chosen = dice.sample(range(files), dice.choice((1, 1, 1, 5)))
        if len(chosen) > 1:
            await _write_batch(run, server, [f"{name}{one}" for one in chosen], number)
        elif dice.random() < 0.3:
            await _remove(run, server, f"{name}{chosen[0]}")
        else:
            await _write_one(run, server, f"{name}{chosen[0]}", number)
        await run.rest(pause_s * dice.random() * 2)


async def _write_one(run: Run, server: Server, name: str, number: int) -> None:
    item = material.order(number, run.truth.new_serial())
    with run_change(run, f"{name}.wl", item):
        status, said = await asyncio.to_thread(
            request, server, "PUT", f"/worklists/{name}", {"Tags": item, "Force": True}
        )
    if status != http.client.OK:
        run.wrong.append(f"PUT: {status} {said}")
    run.done["writes over HTTP"] += 1


async def _remove(run: Run, server: Server, name: str) -> None:
    with run_change(run, f"{name}.wl", None):
        status, said = await asyncio.to_thread(
            request, server, "DELETE", f"/worklists/{name}", None
        )
    if status not in (http.client.OK, http.client.NOT_FOUND):
        run.wrong.append(f"DELETE: {status} {said}")
    run.done["writes over HTTP"] += 1


async def _write_batch(run: Run, server: Server, names: Sequence[str], number: int) -> None:
    items = {name: material.order(number, run.truth.new_serial()) for name in names}
    rows = [{"ID": name, "Tags": item, "Force": True} for name, item in items.items()]
    for name, item in items.items():
        run.truth.begins(f"{name}.wl", run.now(), item)
    status, said = await asyncio.to_thread(request, server, "POST", "/worklists/batch", rows)
    for name in items:
        run.truth.is_there(f"{name}.wl", run.now())
    if status != http.client.OK or any("ID" not in row or "HttpError" in row for row in said):
        run.wrong.append(f"batch: {status} {said}")
    run.done["writes over HTTP"] += len(items)


def request(server: Server, method: str, uri: str, body: Any = None) -> tuple[int, Any]:
    """Ask over HTTP; give status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=TIMEOUT_S)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, uri, data)
        response = connection.getresponse()
        said = response.read()
    finally:
        connection.close()
    return response.status, json.loads(said) if said else None


# Bad company


def _treatments(dice: random.Random) -> tuple[Treatment, Treatment]:
    """Give something bad for one direction, and pieces for the other."""
    bad = Treatment(
        pdus=dice.randint(0, 4),
        octets=dice.randint(0, 40),
        then=dice.choice([then for then in Then if then is not Then.GO_ON]),
        pieces=dice.choice([(), (1,), (7, 3, 50)]),
    )
    pieces = Treatment(pieces=dice.choice([(), (1, 100), (13,)]))
    return (bad, pieces) if dice.random() < 0.6 else (pieces, bad)


async def break_associations(run: Run, server: Server, name: str, pause_s: float) -> None:
    """Ask through a network that stalls, cuts, splits and floods; what comes of it is nobody's."""
    dice = random.Random(name)
    while not run.ended.is_set():
        upward, downward = _treatments(dice)
        async with proxy(server.port, upward, downward) as between:
            peer = Peer("127.0.0.1", between.port, "ORTHANC", "BROKEN", 0.5)
            try:
                async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
                    identifier = elements(dice.choice(run.asked).identifier)
                    async for _ in association.find(identifier):
                        pass
            except PeerRefused:
                run.done["associations broken"] += 1
        await run.rest(pause_s)


async def open_and_say_nothing(run: Run, server: Server, many: int, pause_s: float) -> None:
    """Open connections, say nothing or nonsense, and drop them."""
    dice = random.Random(many)
    while not run.ended.is_set():
        opened = [
            socket.create_connection(("127.0.0.1", server.port))
            for _ in range(dice.randint(1, many))
        ]
        for one in opened[::3]:
            one.sendall(dice.randbytes(dice.randint(1, 300)))
        await run.rest(pause_s)
        for one in opened:
            one.close()
        run.done["connections dropped"] += len(opened)
