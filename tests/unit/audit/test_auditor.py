"""What happens becomes audit messages."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from mwl import telemetry
from mwl.access import Caller, Refusal
from mwl.audit import alerts, records
from mwl.audit.actor import Actor
from mwl.audit.auditor import Auditor, Server
from mwl.audit.trail import Gap
from mwl.errors import SourceChanged, WriteError
from mwl.item import WorklistItem, items_of
from mwl.limits import Exceeded
from mwl.matching.stored import indexed_values
from mwl.net import report
from mwl.store import ABSENT, PRESENT, Write
from support import items
from support.audit import Recorded, details, faults, said
from support.datasets import data_set, file_of
from support.worklist import Site

CT1 = Caller("CT1", "MWL", "192.0.2.7")
NURSE = Actor("nurse", "192.0.2.9")


class Scene:
    """A worklist in memory, its auditor, and what it tells."""

    def __init__(self) -> None:
        self.site = Site()
        self.recorded = Recorded()
        self.auditor = Auditor(
            Server(ae_title="MWL", folder="/srv/worklists", parse=self.parse), self.recorded
        )
        self.site.worklist.auditor = self.auditor
        self.look()

    def parse(self, source: str, data: bytes) -> tuple[WorklistItem, ...]:
        """Make items of a file."""
        return items_of(
            source, data, split_steps=True, default=items.LATIN_1, indexed_of=indexed_values
        )

    def look(self) -> list[dict[str, object]]:
        """See every change; give what is told of them."""
        list(self.site.worklist.see_every_change())
        return self.told()

    def told(self) -> list[dict[str, object]]:
        """Give what was told since the last time."""
        return [said(message) for message in self.recorded.taken()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def patient(number: int, **others: Any) -> dict[str, Any]:
    return {
        "PatientID": f"P{number}",
        "PatientName": f"DOE^JANE{number}",
        "StudyInstanceUID": f"1.2.{number}",
        "AccessionNumber": f"A{number}",
        **others,
    }


def test_a_server_tells_when_it_starts_and_stops(scene: Scene) -> None:
    scene.auditor.started()
    scene.auditor.stopped()
    start, stop = scene.told()
    assert (start["event"], stop["event"]) == ("Application Start", "Application Stop")


def test_a_query_is_told_of_with_its_bytes(scene: Scene) -> None:
    scene.auditor.queried(CT1, b"\x10\x00\x10\x00", "1.2.840.10008.1.2", None)
    [message] = scene.recorded.taken()
    asking, answering = message.findall("ActiveParticipant")
    assert asking.attrib["UserID"] == "CT1"
    assert asking.attrib["NetworkAccessPointID"] == "192.0.2.7"
    assert answering.attrib["AlternativeUserID"] == "AETITLES=MWL"
    query = message.findtext(".//ParticipantObjectQuery")
    assert query is not None
    assert base64.b64decode(query) == b"\x10\x00\x10\x00"
    assert details(message[-1]) == {"TransferSyntax": "1.2.840.10008.1.2"}


def test_a_query_names_this_server_as_it_was_called(scene: Scene) -> None:
    scene.auditor.queried(Caller("CT1", "RADIOLOGY", "192.0.2.7"), b"", "1.2.840.10008.1.2", None)
    [message] = scene.recorded.taken()
    asking, answering = message.findall("ActiveParticipant")
    assert answering.attrib["AlternativeUserID"] == "AETITLES=RADIOLOGY"
    assert [one.attrib["UserIsRequestor"] for one in (asking, answering)] == ["true", "false"]


def test_a_query_that_failed_says_why(scene: Scene) -> None:
    scene.auditor.queried(CT1, b"", "1.2.840.10008.1.2", "no such thing")
    [message] = scene.recorded.taken()
    assert said(message)["outcome"] == 4
    assert message.findtext("EventIdentification/EventOutcomeDescription") == "no such thing"


def test_a_query_of_somebody_who_logged_in_says_who(scene: Scene) -> None:
    caller = Caller("CT1", "MWL", "192.0.2.7", user="radiographer")
    scene.auditor.queried(caller, b"", "1.2.840.10008.1.2", None)
    assert [one["who"] for one in scene.told()] == [["radiographer"]]


def test_a_query_that_this_server_asks_names_all_three(scene: Scene) -> None:
    whom = Caller("", "RIS", "192.0.2.4")
    scene.auditor.asked(NURSE, whom, b"\x00", "1.2.840.10008.1.2")
    [message] = scene.recorded.taken()
    ourselves, answering, person = message.findall("ActiveParticipant")
    assert ourselves.attrib["AlternativeUserID"] == "AETITLES=MWL"
    assert (answering.attrib["UserID"], person.attrib["UserID"]) == ("RIS", "nurse")
    assert answering.attrib["NetworkAccessPointID"] == "192.0.2.4"
    everybody = (ourselves, answering, person)
    assert [one.attrib["UserIsRequestor"] for one in everybody] == ["false", "false", "true"]


def test_what_others_do_to_the_folder_is_told_of(scene: Scene) -> None:
    scene.site.put("a.wl", patient(1))
    [created] = scene.look()
    assert created == {
        "event": "Procedure Record",
        "action": "C",
        "outcome": 0,
        "who": ["/srv/worklists"],
        "Study Instance UID": "1.2.1",
        "Patient Number": "P1",
    }
    scene.site.put("a.wl", patient(1, PatientName="DOE^JANET"))
    assert [one["action"] for one in scene.look()] == ["U"]
    scene.site.put("a.wl", patient(1, PatientName="DOE^JANET"))
    assert scene.look() == []
    scene.site.store.remove("a.wl")
    [removed] = scene.look()
    assert (removed["action"], removed["Patient Number"]) == ("D", "P1")


def test_what_is_there_at_the_start_is_not_told_of() -> None:
    scene = Scene()
    other = Site()
    for number in range(500):
        other.put(f"{number}.wl", patient(number))
    other.worklist.auditor = scene.auditor
    list(other.worklist.see_every_change())
    assert scene.told() == []
    other.put("new.wl", patient(7))
    list(other.worklist.see_every_change())
    assert [one["action"] for one in scene.told()] == ["C"]


def test_an_item_that_another_patient_gets_is_told_of_for_both(scene: Scene) -> None:
    scene.site.put("a.wl", patient(1))
    scene.look()
    scene.site.put("a.wl", patient(2))
    told = [(one["action"], one["Patient Number"]) for one in scene.look()]
    assert told == [("D", "P1"), ("C", "P2")]


def test_a_file_of_several_steps_is_one_record_with_its_studies(scene: Scene) -> None:
    steps = [{"ScheduledProcedureStepID": "1"}, {"ScheduledProcedureStepID": "2"}]
    scene.site.put("a.wl", patient(1, ScheduledProcedureStepSequence=steps))
    list(scene.site.worklist.see_every_change())
    [message] = scene.recorded.taken()
    study, person = message.findall("ParticipantObjectIdentification")
    assert [one.attrib["Number"] for one in study.iter("Accession")] == ["A1"]
    assert person.findtext("ParticipantObjectName") == "DOE^JANE1"
    assert details(person) == {"Worklist File": "a.wl"}


def test_changes_that_nobody_knows_any_more_are_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.site.catalog, "changes_since", lambda _: None)
    scene.site.put("a.wl", patient(1))
    scene.look()
    assert scene.recorded.dropped == 1


# What is written over HTTP.


def file(number: int, **others: Any) -> bytes:
    return file_of(data_set(**patient(number, **others)))


def write(scene: Scene, one: Write, failure: WriteError | None = None) -> None:
    """Write as the routes do, and let the folder show it."""
    writing = scene.auditor.writing(scene.site.catalog, one, NURSE)
    if failure is None:
        if one.data is None:
            scene.site.store.remove(one.source)
        else:
            scene.site.store.put(one.source, scene.parse(one.source, one.data))
    scene.auditor.written(writing, failure)


def test_what_is_written_over_http_is_told_of_once_with_who_did_it(scene: Scene) -> None:
    write(scene, Write("a.wl", file(1), ABSENT))
    write(scene, Write("a.wl", file(1, PatientName="DOE^JANET"), PRESENT))
    write(scene, Write("b.wl", file(2), ABSENT))
    told = [(one["action"], one["who"], one["Patient Number"]) for one in scene.look()]
    assert told == [
        ("C", ["nurse"], "P1"),
        ("U", ["nurse"], "P1"),
        ("C", ["nurse"], "P2"),
    ]
    assert scene.look() == []
    write(scene, Write("b.wl", None, PRESENT))
    told = [(one["action"], one["who"], one["Patient Number"]) for one in scene.look()]
    assert told == [("D", ["nurse"], "P2")]


def test_what_shows_before_its_writer_knows_is_told_of_once(scene: Scene) -> None:
    data = file(1)
    writing = scene.auditor.writing(scene.site.catalog, Write("a.wl", data, ABSENT), NURSE)
    scene.site.store.put("a.wl", scene.parse("a.wl", data))
    assert scene.look() == []
    scene.auditor.written(writing, None)
    assert [one["who"] for one in scene.told()] == [["nurse"]]


def test_what_another_writes_in_between_is_told_of_too(scene: Scene) -> None:
    write(scene, Write("a.wl", file(1), ABSENT))
    scene.site.put("a.wl", patient(1, PatientName="DOE^JANET"))
    assert [one["who"] for one in scene.look()] == [["nurse"], ["/srv/worklists"]]
    write(scene, Write("a.wl", file(1), PRESENT))
    assert [one["who"] for one in scene.look()] == [["nurse"]]


def test_what_could_not_be_written_is_told_of_and_not_expected(scene: Scene) -> None:
    write(scene, Write("a.wl", file(1), ABSENT), WriteError("the disk is full", is_full=True))
    [failed] = scene.told()
    assert (failed["action"], failed["outcome"]) == ("C", 4)
    scene.site.store.put("a.wl", scene.parse("a.wl", file(1)))
    assert [one["who"] for one in scene.look()] == [["/srv/worklists"]]


def test_a_write_that_came_too_late_is_nothing_to_tell_of(scene: Scene) -> None:
    write(scene, Write("a.wl", file(1), ABSENT), SourceChanged("it is another"))
    assert scene.told() == []


def test_what_is_awaited_in_vain_is_forgotten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwl.audit.records.KNOWN_S", -1.0)
    write(scene, Write("a.wl", file(1), ABSENT))
    assert [one["who"] for one in scene.look()] == [["nurse"], ["/srv/worklists"]]


def test_what_is_awaited_no_longer_is_swept_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = records.Known()
    monkeypatch.setattr(records, "KNOWN_LIMIT", 10)
    monkeypatch.setattr(known, "_sweep_at", 10)
    for number in range(100):
        known.expect(scene, f"{number}.wl", (), now=number * records.KNOWN_S / 10)
    assert len(known._of_file) <= 2 * 11
    assert known.knows(scene, "99.wl", (), now=99 * records.KNOWN_S / 10)


def test_an_item_that_was_read_is_told_of(scene: Scene) -> None:
    scene.auditor.read(Actor("", "192.0.2.9"), "a.wl", scene.parse("a.wl", file(1)))
    [told] = scene.told()
    assert (told["action"], told["who"], told["Patient Number"]) == ("R", ["192.0.2.9"], "P1")


def test_a_script_that_writes_is_called_one(scene: Scene) -> None:
    scene.auditor.read(Actor("", ""), "a.wl", ())
    [told] = scene.told()
    assert (told["who"], told["Patient Number"]) == (["script"], "")


# Alerts.

REFUSED = Refusal(explanation="unknown", hint="let it in", comment="Not authorized")


@pytest.fixture
def _heard(scene: Scene) -> Iterator[None]:
    end = telemetry.hear(alerts.EVENTS, scene.auditor.heard)
    yield
    end()


@pytest.mark.usefixtures("_heard")
def test_a_caller_that_is_refused_is_an_alert(scene: Scene) -> None:
    report.refusal(CT1, REFUSED, "association")
    report.refusal(CT1, REFUSED, "C-FIND")
    report.no_room("192.0.2.8", Exceeded("Limits.Connections", 5))
    association, operation, room = scene.recorded.taken()
    assert said(association) == {
        "event": "Node Authentication",
        "action": "E",
        "outcome": 4,
        "who": [],
        "Node ID": "192.0.2.7",
    }
    assert details(association[-1]) == {"Alert Description": "association to MWL refused: unknown"}
    assert said(operation)["event"] == "Use of Restricted Function"
    assert said(room)["who"] == ["192.0.2.8"]
    peer = association.findall("ActiveParticipant")[1]
    assert (peer.attrib["UserID"], peer.attrib["UserIsRequestor"]) == ("CT1", "false")


@pytest.mark.usefixtures("_heard")
def test_what_is_about_tls_and_the_configuration_is_an_alert(scene: Scene) -> None:
    telemetry.emit("tls_refused", host="192.0.2.7", reason="it does not speak TLS")
    telemetry.emit("certificates_loaded", files=["/a.pem", "/b.pem"])
    telemetry.emit("certificates_kept", files=["/a.pem"], error=ValueError("no"))
    telemetry.emit("reloaded", changed=("RegisteredUsers",))
    telemetry.emit("reloaded")
    telemetry.emit("reload_failed", error="mwl.json:3: no")
    told = [(one["event"], one["outcome"]) for one in scene.told()]
    assert told == [
        ("Node Authentication", 4),
        ("Security Configuration", 0),
        ("Security Configuration", 4),
        ("Security Configuration", 0),
        ("Security Configuration", 0),
        ("Security Configuration", 4),
    ]


@pytest.mark.usefixtures("_heard")
def test_a_device_that_logs_in_is_a_login_whether_it_gets_in_or_not(scene: Scene) -> None:
    called = {"calling_ae_title": "CT1", "called_ae_title": "MWL", "host": "192.0.2.7"}
    telemetry.emit("user_identified", **called, user="ct1")
    telemetry.emit("user_refused", **called, user="ct1", reason="no such user", hint="")
    telemetry.emit("user_refused", **called, user=None, reason="it offers none", hint="")
    roots = scene.recorded.taken()
    told = [(said(root)["event"], said(root)["outcome"]) for root in roots]
    assert told == [("Login", 0), ("Login", 4), ("Node Authentication", 4)]
    asking = [
        (one.attrib["UserID"], one.attrib["AlternativeUserID"], one.attrib["NetworkAccessPointID"])
        for root in roots
        for one in root.findall("ActiveParticipant")
        if one.attrib.get("NetworkAccessPointID") == "192.0.2.7"
    ]
    logged_in = ("ct1", "AETITLES=CT1", "192.0.2.7")
    assert asking == [logged_in, logged_in, ("CT1", "AETITLES=CT1", "192.0.2.7")]
    assert [faults(root) for root in roots] == [[], [], []]


def test_every_event_that_is_an_alert_is_one_of_the_log() -> None:
    assert set(telemetry.EVENTS) >= alerts.EVENTS


def test_nobody_hears_of_what_ended(scene: Scene) -> None:
    end = telemetry.hear(["tls_refused"], scene.auditor.heard)
    other = telemetry.hear(["tls_refused"], scene.auditor.heard)
    end()
    telemetry.emit("tls_refused", host="192.0.2.7", reason="why")
    assert len(scene.told()) == 1
    other()
    telemetry.emit("tls_refused", host="192.0.2.7", reason="why")
    assert scene.told() == []


def test_a_wrong_password_is_a_failed_login_anything_else_an_alert(scene: Scene) -> None:
    scene.auditor.refused("nurse", "192.0.2.9", 401, "GET /worklists: Unauthorized")
    scene.auditor.refused("", "192.0.2.9", 401, "GET /worklists: Unauthorized")
    scene.auditor.refused("nurse", "192.0.2.9", 403, "GET /worklists: Forbidden")
    login, nobody, forbidden = scene.told()
    assert (login["event"], login["who"], login["outcome"]) == ("Login", ["nurse"], 4)
    assert (nobody["event"], nobody["who"]) == ("Use of Restricted Function", ["192.0.2.9"])
    assert forbidden["event"] == "Use of Restricted Function"


def test_a_gap_is_told_of_in_the_trail(scene: Scene) -> None:
    assert scene.recorded.of_gap is not None
    message = scene.recorded.of_gap(Gap(12, 1_000_000_000, 61_000_000_000))
    scene.recorded.put(lambda: message)
    [root] = scene.recorded.taken()
    assert said(root)["event"] == "Audit Recording Started"
    words = "12 audit messages of the last 60 seconds were dropped"
    assert details(root[-1]) == {"Alert Description": words}


def test_text_that_its_character_set_cannot_decode_is_told_as_its_bytes(scene: Scene) -> None:
    data = file(1, SpecificCharacterSet="ISO_IR 192", PatientName=b"D\xc3(")
    scene.site.store.put("a.wl", scene.parse("a.wl", data))
    list(scene.site.worklist.see_every_change())
    [root] = scene.recorded.taken()
    assert root[-1].findtext("ParticipantObjectName") == "D\\xc3("
