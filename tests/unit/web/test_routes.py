"""What the routes do with what they get; that they answer as Orthanc is in tests/contract."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mwl import telemetry
from mwl.access import Caller, allow
from mwl.dataset import ENCODINGS, EXPLICIT_VR_LITTLE_ENDIAN
from mwl.errors import ConfigError, InputError
from mwl.limits import HTTP_BODY
from mwl.net.client import Peer, Response
from mwl.web import Reply, Settings
from mwl.web.entrance import Entrance
from mwl.web.within import call
from mwl.wire.dimse import Command, CommandField
from support.telemetry import captured_log
from support.web import Web, nobody_there, web


@pytest.fixture
def site(tmp_path: Path) -> Web:
    """An application over an empty folder."""
    return web(tmp_path)


async def test_a_modality_that_is_put_may_ask_at_once_and_one_that_is_deleted_may_not(
    site: Web,
) -> None:
    scanner = Caller("CT9", "ORTHANC", "192.0.2.1")
    assert (await site.ask("PUT", "/modalities/ct9", '["CT9","192.0.2.1",104]')).status == 200
    assert allow(site.policies[-1], scanner, "find worklist") is None
    assert (await site.ask("DELETE", "/modalities/ct9")).status == 200
    assert allow(site.policies[-1], scanner, "find worklist") is not None
    assert len(site.policies) == 2


async def test_a_modality_that_is_refused_changes_nothing(site: Web) -> None:
    reply = await site.ask("PUT", "/modalities/ct9", '["A\\\\B","192.0.2.1",104]')
    assert reply.status == 400
    assert "AE title" in json.loads(reply.body)["Details"]
    assert site.policies == []
    assert (await site.ask("GET", "/modalities/ct9")).status == 404


@pytest.mark.parametrize("name", ["a.b", "a%2Fb", "ü", "x" * 256, "%00", "a%20b"])
async def test_the_name_of_a_modality_is_plain(site: Web, name: str) -> None:
    reply = await site.ask("PUT", f"/modalities/{name}", '["A","h",104]')
    assert reply.status in {400, 404, 405}
    assert site.policies == []


@pytest.mark.parametrize("use_tls", [True, False])
async def test_a_modality_over_tls_is_not_asked_without_it(tmp_path: Path, use_tls: bool) -> None:
    peers = []

    def called(peer: Peer, sop_classes: list[str]) -> nobody_there:
        peers.append(peer)
        return nobody_there(peer, sop_classes)

    site = web(tmp_path, associate=called)
    entry = {"AET": "A", "Host": "h", "Port": 104, "UseDicomTls": use_tls}
    assert (await site.ask("PUT", "/modalities/a", json.dumps(entry))).status == 200
    for action in ("echo", "find-worklist"):
        await site.ask("POST", f"/modalities/a/{action}", "{}")
    assert [peer.tls is not None for peer in peers] == [use_tls, use_tls]


async def test_a_modality_over_tls_is_not_asked_with_certificates_that_cannot_be_used(
    tmp_path: Path,
) -> None:
    def unusable() -> ssl.SSLContext:
        raise ConfigError("x.pem: expected is a certificate as PEM", option="DicomTlsCertificate")

    site = web(tmp_path, tls=unusable)
    entry = {"AET": "A", "Host": "h", "Port": 104, "UseDicomTls": True}
    assert (await site.ask("PUT", "/modalities/a", json.dumps(entry))).status == 200
    reply = await site.ask("POST", "/modalities/a/echo", "{}")
    assert reply.status == 400
    assert "UseDicomTls: DicomTlsCertificate: x.pem" in json.loads(reply.body)["Details"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"Query":{"PatientID":5}}', "PatientID"),
        ('{"Query":{"Bogus":""}}', "Bogus"),
        ('{"Query":{"PatientID":"","a=b":""}}', "a=b"),
        ('{"Query":{"ScheduledProcedureStepSequence":[{"Bogus":""}]}}', "Bogus"),
        ('{"Query":{"ScheduledProcedureStepSequence":["x"]}}', "[0]"),
        ('{"Query":{"PatientID":{}}}', "PatientID"),
        ('{"Query":{"PregnancyStatus":"x"}}', "PregnancyStatus"),
        ('{"Query":{"PatientID":[{"Modality":""}]}}', "PatientID"),
        ('{"Query":{"SpecificCharacterSet":"ISO_IR 999"}}', "ISO_IR 999"),
        ('{"Query":{"PatientName":"\\ud800"}}', "PatientName"),
        ('{"Query":{},"Timeout":-1}', "Timeout"),
        ('{"Query":{},"Timeout":true}', "Timeout"),
        (json.dumps({"Query": {f"{tag:08X}": "" for tag in range(0x90010, 0x90410)}}), "1000"),
    ],
)
async def test_a_query_that_cannot_be_sent_is_the_clients_fault(
    site: Web, body: str, message: str
) -> None:
    await site.ask("PUT", "/modalities/a", '["A","h",104]')
    reply = await site.ask("POST", "/modalities/a/find-worklist", body)
    assert reply.status == 400
    assert message in json.loads(reply.body)["Details"]


async def test_a_timeout_is_that_of_the_request_then_of_the_modality_then_of_the_server(
    tmp_path: Path,
) -> None:
    asked: list[float] = []

    def associate(peer: Any, sop_classes: list[str]) -> Any:
        asked.append(peer.timeout_s)
        raise InputError("no network here")

    site = web(tmp_path, settings=Settings(scu_timeout_s=11), associate=associate)
    entry = {"AET": "A", "Host": "h", "Port": 104}
    await site.ask("PUT", "/modalities/plain", json.dumps(entry))
    await site.ask("PUT", "/modalities/slow", json.dumps({**entry, "Timeout": 7}))
    await site.ask("POST", "/modalities/slow/echo", '{"Timeout":3}')
    await site.ask("POST", "/modalities/slow/echo", "{}")
    await site.ask("POST", "/modalities/plain/echo", "{}")
    await site.ask("POST", "/modalities/plain/echo", '{"Timeout":0}')
    assert asked == [3, 7, 11, 86_400]


async def test_reset_and_shutdown_reach_the_server(site: Web) -> None:
    for action in ("reset", "shutdown"):
        assert (await site.ask("POST", f"/tools/{action}")).body == b"{}"
    assert site.ended == ["reset", "stop"]


async def test_lua_runs_only_where_it_is_allowed_and_there(tmp_path: Path) -> None:
    async def execute(script: str) -> str:
        await asyncio.to_thread(len, script)
        if script == "error('x')":
            raise InputError("line 1: x")
        return script.upper()

    allowed = Settings(may_execute_lua=True)
    here = web(tmp_path, settings=allowed, execute_lua=execute)
    assert (await here.ask("POST", "/tools/execute-script", "print(1)")).body == b"PRINT(1)"
    reply = await here.ask("POST", "/tools/execute-script", "error('x')")
    assert (reply.status, json.loads(reply.body)["OrthancStatus"]) == (500, 2031)
    assert "line 1" in json.loads(reply.body)["Details"]
    without = web(tmp_path, settings=allowed)
    assert (await without.ask("POST", "/tools/execute-script", "x")).status == 501
    forbidden = web(tmp_path, execute_lua=execute)
    assert (await forbidden.ask("POST", "/tools/execute-script", "x")).status == 403


async def test_the_log_level_is_that_of_the_log(site: Web) -> None:
    with captured_log("default"):
        assert (await site.ask("GET", "/tools/log-level")).body == b"default"
        assert not telemetry.enabled("pdu")
        assert (await site.ask("PUT", "/tools/log-level", "trace")).status == 200
        assert telemetry.enabled("pdu")
        assert (await site.ask("GET", "/tools/log-level")).body == b"trace"


async def test_another_default_encoding_reads_the_files_anew(site: Web) -> None:
    before = site.context.worklists.of("ANY")
    assert (await site.ask("PUT", "/tools/default-encoding", "latin1")).body == b"Latin1"
    assert site.context.worklists.of("ANY") is before
    assert (await site.ask("PUT", "/tools/default-encoding", "UTF8\n")).body == b"Utf8"
    after = site.context.worklists.of("ANY")
    assert after is not before
    assert after is not None
    assert after.rules.policy.default_character_set is ENCODINGS["Utf8"]
    assert (await site.ask("GET", "/tools/default-encoding")).body == b"Utf8"


async def test_every_uid_is_another(site: Web) -> None:
    found = {
        (await site.ask("GET", f"/tools/generate-uid?level={level}")).body
        for level in ("patient", "study", "series", "instance", "study")
    }
    assert len(found) == 5
    assert all(len(one) <= 64 for one in found)


async def test_a_body_that_is_too_long_is_413(site: Web) -> None:
    long = b"x" * (HTTP_BODY.default + 1)
    reply = await site.ask("PUT", "/tools/log-level", long)
    assert reply.status == 413
    assert str(HTTP_BODY.default) in json.loads(reply.body)["Details"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 20_000, b"\xff", b"nul", b"NaN"])
async def test_what_is_no_json_is_told_so(site: Web, body: bytes) -> None:
    assert (await site.ask("PUT", "/modalities/a", body)).status == 400


async def test_errors_say_nothing_where_they_are_not_to(tmp_path: Path) -> None:
    silent = web(tmp_path, settings=Settings(describe_errors=False))
    for method, uri, status in (
        ("GET", "/nope", 404),
        ("POST", "/system", 405),
        ("GET", "/modalities/nope", 404),
    ):
        reply = await silent.ask(method, uri)
        assert (reply.status, reply.body) == (status, b"")


async def test_a_fault_of_ours_is_a_500_without_what_it_was_about() -> None:
    async def app(*_: object) -> None:
        raise RuntimeError("DOE^JANE")

    with captured_log() as log:
        reply = await call(Entrance(app, described=True), "GET", "/x")
    assert reply.status == 500
    assert json.loads(reply.body)["OrthancStatus"] == -1
    assert b"DOE" not in reply.body
    assert len(log.events("internal_error")) == 1


async def test_half_an_answer_is_not_followed_by_another() -> None:
    async def app(scope: object, receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with captured_log(), pytest.raises(RuntimeError):
        await call(Entrance(app, described=True), "GET", "/x")


async def test_the_methods_of_all_routes_of_a_path_are_allowed(site: Web) -> None:
    reply = await site.ask("PATCH", "/modalities/a")
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, PUT")


async def test_the_page_of_the_routes_needs_nothing_from_elsewhere(site: Web) -> None:
    page = await site.ask("GET", "/docs")
    assert page.status == 200
    assert b"http:" not in page.body
    assert b"https:" not in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js", "LICENSE"):
        assert f'"docs/{name}"'.encode() in page.body or name == "LICENSE"
        asset = await site.ask("GET", f"/docs/{name}")
        assert (asset.status, asset.headers["x-content-type-options"]) == (200, "nosniff")
    assert (await site.ask("GET", "/docs/..%2Fdocs.py")).status == 404
    assert (await site.ask("GET", "/")).headers["location"] == "docs"


async def test_the_description_asks_for_a_password_where_the_server_does(tmp_path: Path) -> None:
    for asked in (True, False):
        site = web(tmp_path, settings=Settings(authentication=asked))
        description = json.loads((await site.ask("GET", "/openapi.json")).body)
        assert ("security" in description) is asked


async def test_changes_of_many_at_once_are_all_there(site: Web) -> None:
    names = [f"ct{number}" for number in range(50)]
    bodies = [f'["CT{number}","192.0.2.1",104]' for number in range(50)]
    replies = await asyncio.gather(
        *(
            site.ask("PUT", f"/modalities/{name}", body)
            for name, body in zip(names, bodies, strict=True)
        )
    )
    assert {reply.status for reply in replies} == {200}
    assert json.loads((await site.ask("GET", "/modalities")).body) == sorted(names)
    assert len(site.policies[-1].modalities) == 50


async def test_there_is_an_end_to_the_modalities(
    site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwl.web.modalities.MODALITIES_LIMIT", 1)
    for name, status in (("a", 200), ("b", 403), ("a", 200)):
        reply = await site.ask("PUT", f"/modalities/{name}", '["A","h",104]')
        assert reply.status == status


class Answering:
    """A server whose answers a test chooses."""

    def __init__(self, *responses: Response) -> None:
        self._responses = responses

    def __call__(self, peer: Any, sop_classes: list[str]) -> "Answering":
        del peer, sop_classes
        return self

    async def __aenter__(self) -> "Answering":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def find(self, identifier: Any) -> AsyncIterator[Response]:
        """Give the answers."""
        del identifier
        for response in self._responses:
            yield response


def response(status: int, identifier: bytes | None = None, comment: str = "") -> Response:
    command = Command(CommandField.C_FIND_RSP, status=status, error_comment=comment)
    return Response(command, identifier, EXPLICIT_VR_LITTLE_ENDIAN)


PATIENT = b"\x10\0\x20\0LO\x04\0EX-1"


async def find(tmp_path: Path, *responses: Response) -> Reply:
    site = web(tmp_path, associate=Answering(*responses))
    await site.ask("PUT", "/modalities/a", '["A","h",104]')
    return await site.ask("POST", "/modalities/a/find-worklist", '{"Query":{}}')


async def test_answers_with_a_warning_status_are_answers(tmp_path: Path) -> None:
    reply = await find(tmp_path, response(0xFF00, PATIENT), response(0xFF01, PATIENT), response(0))
    assert json.loads(reply.body) == [{"PatientID": "EX-1"}] * 2


async def test_a_failure_after_answers_is_a_failure_with_its_comment(tmp_path: Path) -> None:
    reply = await find(tmp_path, response(0xFF00, PATIENT), response(0xA700, None, "no memory"))
    assert reply.status == 422
    assert "0xA700 (no memory)" in json.loads(reply.body)["Details"]


async def test_an_answer_that_cannot_be_read_is_the_servers_fault(tmp_path: Path) -> None:
    reply = await find(tmp_path, response(0xFF00, PATIENT[:-2]), response(0))
    assert (reply.status, json.loads(reply.body)["OrthancStatus"]) == (500, 9)


async def test_there_is_an_end_to_the_answers_that_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwl.web.modalities.ANSWERS_LIMIT_BYTES", 2 * len(PATIENT))
    two = [response(0xFF00, PATIENT)] * 2
    assert (await find(tmp_path, *two, response(0))).status == 200
    reply = await find(tmp_path, *two, response(0xFF00, PATIENT), response(0))
    assert "narrow the query" in json.loads(reply.body)["Details"]
