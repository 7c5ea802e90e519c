"""What the options of limits become in the parts that hold them."""

import asyncio
import dataclasses
import json
from pathlib import Path

from mwl.config import Config, check, load
from mwl.find import QueryLimits
from mwl.limits import LIMITS
from mwl.server import Server
from mwl.server.serving import association_limits, capacity_of
from mwl.site import Worklists
from mwl.web import HttpLimits
from support.items import step
from support.worklist import Site

IN_PARTS = {
    "maximum_pdu_length": "max_pdu_length",
    "associate_length": "max_associate_bytes",
    "command_length": "max_command_bytes",
    "dicom_scp_timeout_s": "idle_timeout_s",
}
"""Fields that have another name in the part that holds them."""


def unusual(folder: Path) -> Config:
    """Give every limit a value that is not its default and that no other has."""
    content: dict[str, object] = {"Worklists": {"Enable": True, "Database": str(folder)}}
    section: dict[str, int] = {}
    for number, limit in enumerate(LIMITS, start=1):
        value = limit.default + (number if limit.default + number <= limit.maximum else -number)
        if limit.is_in_section:
            section[limit.name.removeprefix("Limits.")] = value
        elif "." not in limit.name:
            content[limit.name] = value
    file = folder / "mwl.json"
    file.write_text(json.dumps(content | {"Limits": section}), encoding="utf-8")
    return load([file], {}).config


def test_every_limit_reaches_the_part_that_holds_it(tmp_path: Path) -> None:
    config = unusual(tmp_path)
    worklist = Worklists(config).of_everyone()
    assert worklist is not None
    query, association = worklist.rules.limits, association_limits(config)
    over_http = {field.name for field in dataclasses.fields(HttpLimits)}
    held = {
        **dataclasses.asdict(capacity_of(config)),
        **dataclasses.asdict(query),
        **dataclasses.asdict(association),
    }
    assert query.identifier_length == association.max_message_bytes
    for limit in LIMITS:
        if limit.field in over_http:
            continue  # see `test_the_limits_of_http_reach_its_routes_and_its_listener`
        if limit.is_in_section:
            wanted = getattr(config.limits, limit.field)
        elif limit.field in IN_PARTS:
            wanted = getattr(config, limit.field)
        else:
            continue  # of callbacks and of answers: see the tests of those
        assert wanted != limit.default
        assert held[IN_PARTS.get(limit.field, limit.field)] == wanted, limit.name


def test_a_limit_out_of_its_range_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_text('{"Limits": {"Keys": 0, "Nestin": 5}}', encoding="utf-8")
    checked = check([file], {})
    (error,) = checked.errors
    assert str(error) == (
        f"{file}:1: Limits.Keys: found 0, allowed is a whole number from 100 to 100000 keys"
    )
    (note,) = checked.notes
    assert note.describe() == f"{file}:1: Limits.Nestin: is not an option (did you mean Nesting?)"


async def test_the_limits_of_http_reach_its_routes_and_its_listener(tmp_path: Path) -> None:
    config = dataclasses.replace(
        unusual(tmp_path), dicom_port=0, http_port=0, dicom_host="127.0.0.1"
    )
    server = await Server(config).start()
    try:
        async with asyncio.timeout(20):
            status, _ = await asyncio.to_thread(server.rest, "GET", "/system")
        assert status == 200
        parts = server._http
        assert parts is not None
        assert parts._context is not None
        assert parts._serving is not None
        wanted = {
            field.name: getattr(config.limits, field.name)
            for field in dataclasses.fields(HttpLimits)
        }
        assert dataclasses.asdict(parts._context.settings.limits) == wanted
        assert dataclasses.asdict(parts._serving.limits) == wanted
        changed = dataclasses.replace(
            config, limits=dataclasses.replace(config.limits, http_requests=7, http_body=2000)
        )
        parts.take_over(changed)
        assert parts._context.settings.limits.http_body == 2000
        assert parts._serving.limits.http_requests == 7
        assert parts._serving._config.limit_concurrency == 7
    finally:
        await server.stop()


def test_another_configuration_changes_how_much_is_buffered() -> None:
    site = Site()
    for number in range(200):
        values = {"PatientID": str(number), "PatientComments": "X" * 1000}
        site.put(f"{number}.wl", values | step(Modality="CT"))
    asked = {"PatientID": "", "PatientComments": ""}
    site.ask(asked)  # the answers of the first time come a few at a time, and are kept
    assert max(site.ask(asked).batches) > 100_000
    small = QueryLimits(answers_buffered=16_384)
    site.worklist.take_over(dataclasses.replace(site.rules, limits=small), None)
    site.ask(asked)
    again = site.ask(asked)
    assert len(again.answers) == 200
    assert 10_000 < max(again.batches) <= 16_384
