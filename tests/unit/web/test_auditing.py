"""What the routes tell the audit trail."""

import base64
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from mwl.audit.auditor import Auditor, Server
from mwl.web import Settings, create_app
from mwl.web.access import Guard, Rules
from mwl.web.within import call
from support.api import Api, api_of, tags
from support.audit import Recorded, said
from support.telemetry import captured_log
from support.worklist_files import FIVE_ITEMS, fill

BASIC = {"authorization": "Basic " + base64.b64encode(b"nurse:secret words").decode()}


class Scene:
    """Routes, and what they tell."""

    def __init__(self, api: Api) -> None:
        self.recorded = Recorded()
        parse = api.context.worklists.parser()
        auditor = Auditor(Server(ae_title="MWL", folder="/srv", parse=parse), self.recorded)
        api.context.worklists.auditor = auditor
        settings = Settings(authentication=True)
        context = dataclasses.replace(api.context, auditor=auditor, settings=settings)
        self.auditor = auditor
        self.api = Api(api.folder, context, create_app(context))
        self.api.found()  # what is there is there

    def told(self) -> list[tuple[object, ...]]:
        """Give what was told since the last time: event, action, outcome, who, patient."""
        self.api.found()
        names = ("event", "action", "outcome", "who", "Patient Number")
        messages = [said(message) for message in self.recorded.taken()]
        return [tuple(one.get(name) for name in names) for one in messages]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    fill(tmp_path, FIVE_ITEMS)
    with api_of(tmp_path) as api:
        yield Scene(api)


def record(action: str, patient: str, who: str = "nurse", outcome: int = 0) -> tuple[object, ...]:
    return ("Procedure Record", action, outcome, [who], patient)


async def test_an_item_is_told_of_from_its_creation_to_its_end(scene: Scene) -> None:
    said = await scene.api.ask("POST", "/worklists/create", {"Tags": tags(1)}, BASIC)
    path = said.json()["Path"]
    assert scene.told() == [record("C", "P1")]
    changed = {"Tags": tags(1, PatientName="DOE^JANET")}
    assert (await scene.api.ask("PUT", path, changed, BASIC)).status == 200
    assert scene.told() == [record("U", "P1")]
    assert (await scene.api.ask("PUT", path, changed, BASIC)).status == 200
    assert scene.told() == []
    assert (await scene.api.ask("GET", path, None, BASIC)).status == 200
    assert scene.told() == [record("R", "P1")]
    assert (await scene.api.ask("PUT", path, {"Tags": tags(2)}, BASIC)).status == 200
    assert scene.told() == [record("D", "P1"), record("C", "P2")]
    assert (await scene.api.ask("DELETE", path, None, BASIC)).status == 200
    assert scene.told() == [record("D", "P2")]


async def test_each_row_of_a_batch_is_told_of(scene: Scene) -> None:
    rows = [{"Tags": tags(number)} for number in range(1, 4)] + [{"Tags": {}}]
    assert (await scene.api.ask("POST", "/worklists/batch", rows, BASIC)).status == 200
    assert scene.told() == [record("C", f"P{number}") for number in range(1, 4)]


async def test_an_order_that_is_sent_again_is_an_update(scene: Scene) -> None:
    uri = "/worklists?AccessionNumber=A77"
    await scene.api.ask("PUT", uri, {"Tags": tags(1, AccessionNumber="A77")}, BASIC)
    again = tags(1, AccessionNumber="A77", PatientName="DOE^JANET")
    await scene.api.ask("PUT", uri, {"Tags": again}, BASIC)
    assert scene.told() == [record("C", "P1"), record("U", "P1")]


async def test_who_is_a_script_has_no_name(scene: Scene) -> None:
    await scene.api.ask("POST", "/worklists/create", {"Tags": tags(1)})
    assert scene.told() == [record("C", "P1", "script")]


async def test_what_the_disk_refuses_is_told_of_as_a_failure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = await scene.api.ask("POST", "/worklists/create", {"Tags": tags(1)}, BASIC)
    assert said.status in (500, 507)
    assert scene.told() == [record("C", "P1", outcome=4)]


async def test_what_is_refused_is_not_told_of(scene: Scene) -> None:
    assert (await scene.api.ask("POST", "/worklists/create", {"Tags": {}}, BASIC)).status == 400
    assert (await scene.api.ask("DELETE", "/worklists/none", None, BASIC)).status == 404
    assert (await scene.api.ask("GET", "/worklists/none", None, BASIC)).status == 404
    assert scene.told() == []


async def test_a_search_is_told_of_with_what_was_asked(scene: Scene) -> None:
    await scene.api.ask("GET", "/worklists?match=PatientName=DOE*&limit=2", None, BASIC)
    await scene.api.ask("POST", "/worklists/explain", {"Keys": ["PatientID=P1"]}, BASIC)
    search, explanation = scene.recorded.taken()
    assert said(search)["Search Criteria"] == "/worklists"
    assert said(explanation)["Search Criteria"] == "/worklists/explain"
    asked = [
        base64.b64decode(one.findtext(".//ParticipantObjectQuery") or "").decode()
        for one in (search, explanation)
    ]
    assert asked[0] == "match=PatientName=DOE*&limit=2"
    assert json.loads(asked[1]) == {"Keys": ["PatientID=P1"]}
    assert said(search)["who"] == ["nurse"]


async def test_who_may_ask_over_dicom_is_told_of_when_it_changes(scene: Scene) -> None:
    await scene.api.ask("PUT", "/modalities/ct9", ["CT9", "192.0.2.9", 104], BASIC)
    await scene.api.ask("DELETE", "/modalities/ct9", None, BASIC)
    await scene.api.ask("DELETE", "/modalities/ct9", None, BASIC)
    assert [one[0] for one in scene.told()] == ["Security Configuration"] * 2


@pytest.mark.parametrize(
    ("method", "path", "body", "event", "words"),
    [
        *(
            ("PUT", f"/tools/{tool}", value, "Security Configuration", f"the {words} was set")
            for tool, value, words in (
                ("log-level", b"trace", "log level trace"),
                ("default-encoding", b"Utf8", "default encoding Utf8"),
            )
        ),
        *(
            ("POST", f"/tools/{tool}", None, "Use of Restricted Function", f"was told to {words}")
            for tool, words in (("reload", "reload"), ("reset", "start again"), ("shutdown", "end"))
        ),
    ],
)
async def test_what_few_may_is_told_of_with_who_did_it(
    scene: Scene, method: str, path: str, body: bytes | None, event: str, words: str
) -> None:
    with captured_log("default"):
        assert (await scene.api.ask(method, path, body, BASIC)).status == 200
    (message,) = scene.recorded.taken()
    told = said(message)
    assert (told["event"], told["outcome"]) == (event, 0)
    assert "nurse" in [one.get("UserID") for one in message.iter("ActiveParticipant")]
    (detail,) = (one.get("value", "") for one in message.iter("ParticipantObjectDetail"))
    assert words in base64.b64decode(detail).decode()


async def test_a_query_to_a_modality_is_told_of(scene: Scene) -> None:
    await scene.api.ask("PUT", "/modalities/ris", ["RIS", "127.0.0.1", 1], BASIC)
    scene.told()
    query = {"Query": {"PatientID": "P1"}, "Timeout": 1}
    await scene.api.ask("POST", "/modalities/ris/find-worklist", query, BASIC)
    [message] = scene.recorded.taken()
    titles = [one.attrib.get("AlternativeUserID") for one in message.findall("ActiveParticipant")]
    assert titles == ["AETITLES=MWL", "AETITLES=RIS", None]
    assert said(message)["who"] == ["nurse"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"authorization": "Basic " + base64.b64encode(b"eve:x").decode()}, ("Login", ["eve"])),
        ({}, ("Use of Restricted Function", ["script"])),
    ],
)
async def test_who_is_refused_at_the_door_is_told_of(
    scene: Scene, headers: dict[str, str], expected: tuple[str, list[str]]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError((scope, receive, send))

    rules = Rules(
        remote_allowed=True, authentication=True, users={"nurse": "x"}, auditor=scene.auditor
    )
    assert (await call(Guard(app, rules), "GET", "/worklists", b"", headers)).status == 401
    [message] = scene.recorded.taken()
    assert (said(message)["event"], said(message)["who"]) == expected
