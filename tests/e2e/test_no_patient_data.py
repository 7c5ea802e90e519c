"""With `DeidentifyLogs` nothing that a busy server prints or says of errors names a patient.

What files are called, and items over HTTP with them, is not hidden where there is one: without it
no log could tell which one is broken. Whoever names them after patients puts that into the log.
"""

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from support.dcmtk import findscu
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import GARBAGE, configuration, fill, part10, put, step, worklist

pytestmark = pytest.mark.interop

SECRETS = {
    "PatientName": "QXNAME^QXGIVEN",
    "PatientID": "QXPATIENT",
    "AccessionNumber": "QXACCESSION",
    "OtherPatientIDs": "QXOTHER",
    "PatientBirthDate": "19310509",
    "StudyInstanceUID": "1.2.987654321.1",
    "PatientComments": "QXCOMMENT",
    "RequestingPhysician": "QXASKER",
    "AdmissionID": "QXADMISSION",
}
FORBIDDEN = ("QX", "19310509", "1.2.987654321")
HOOKS = """
from mwl import hook

@hook.query
def query(query, origin):
    if query.get("PatientID", "").endswith("-REFUSED"):
        raise hook.Refuse("not today")
    if query.get("PatientID", "").endswith("-BROKEN"):
        raise KeyError(query["PatientID"])
    return query

@hook.answer
def answer(answer, origin):
    return answer
"""


def item(suffix: str = "") -> Dataset:
    """Make an item all of whose values are secret."""
    dataset = worklist("P1", "X", step("CT", "CT1", "20250110", "085607", "QXSTEP"))
    for keyword, value in SECRETS.items():
        setattr(dataset, keyword, value + (suffix if keyword == "PatientID" else ""))
    return dataset


def broken() -> dict[str, bytes]:
    """Give files that are wrong in as many ways, with secrets where they are wrong."""
    whole = part10(item())
    return {
        "cut.wl": whole[: len(whole) // 2],
        "garbage.wl": GARBAGE + b"QXNAME^QXGIVEN",
        "text.wl": b"PatientName = QXNAME^QXGIVEN\n",
        "json.wl": b'{"00100010": {"vr": "PN", "Value": ["QXNAME"]}}',
        "odd.wl": whole.replace(b"19310509", b"QXNAME^A").replace(b"20250110", b"QXNAME^B"),
        "set.wl": part10(named(item(), "ISO_IR 100")).replace(b"ISO_IR 100", b"ISO_IR QXA"),
    }


def named(dataset: Dataset, character_set: str) -> Dataset:
    """Name a character set in an item."""
    dataset.SpecificCharacterSet = character_set
    return dataset


@dataclass
class Heard:
    """All that a run has said, apart from answers to who may have them."""

    texts: list[str] = field(default_factory=list)

    def forbidden(self) -> dict[str, list[str]]:
        """Give what names a patient, by the word."""
        return {
            word: [text[max(0, (at := text.find(word)) - 200) : at + 50] for text in found]
            for word in FORBIDDEN
            if (found := [text for text in self.texts if word in text])
        }


def ask_over_dicom(server: RunningServer, heard: Heard) -> None:
    """Ask for what there is and what there is not, rightly and wrongly."""
    keys = [f"{keyword}={value}" for keyword, value in SECRETS.items()]
    keys += [
        "PatientName=QXNAME*",
        "PatientID=QXPATIENT-REFUSED",
        "PatientID=QXPATIENT-BROKEN",
        "PatientBirthDate=QXNAME",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=QXNAME",
        "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=QXNAME^QXGIVEN",
        "ScheduledProcedureStepSequence[0].Modality=QXNAME^QX",
        "ScheduledProcedureStepSequence[0].Modality=QXNAME",
        "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=QXNAME",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=19310509",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=19310509-",
        "PatientName=QXNAME\\QXGIVEN\\*\\?",
    ]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda key: findscu(server.host, server.port, key), keys)
        heard.texts += [one.error_comment for one in found]
    done = run_mwl("find", "-k", "PatientBirthDate=QXNAM", "127.0.0.1", server.port)
    heard.texts += [line for line in done.stderr.splitlines() if "refused" in line]
    with socket.create_connection((server.host, server.port)) as raw:
        raw.sendall(b"QXNAME^QXGIVEN" * 20)
        raw.recv(100)


def ask_over_http(server: RunningServer, heard: Heard) -> None:
    """Write, read and fail in every way; what is refused is heard."""
    tags: dict[str, Any] = {
        **{key: value for key, value in SECRETS.items() if key != "OtherPatientIDs"},
        "ScheduledProcedureStepSequence": [{"Modality": "CT"}],
    }
    for method, uri, body in (
        ("PUT", "/worklists/one", {"Tags": tags}),
        ("PUT", "/worklists/one", {"Tags": tags, "Force": True}),
        ("PUT", "/worklists/one", {"Tags": {**tags, "PatientBirthDate": "QXNAME"}}),
        ("PUT", "/worklists/one", {"Tags": {**tags, "Modality": ["QXNAME"]}}),
        ("PUT", "/worklists/one", {"Tags": {**tags, "NoSuchKeyword": "QXGIVEN"}}),
        ("POST", "/worklists/create", {"Tags": {**tags, "StudyInstanceUID": "QXNAME"}}),
        ("POST", "/worklists/batch", [{"Tags": tags}, {"Tags": "QXNAME"}, {"ID": 1}]),
        ("POST", "/worklists/create", "QXNAME"),
        ("GET", "/worklists?match=PatientName=QXNAME*", None),
        ("GET", "/worklists?match=PatientBirthDate=QXNAME", None),
        ("GET", "/worklists?sort=Nothing", None),
        ("GET", "/worklists/nobody", None),
        ("DELETE", "/worklists/nobody", None),
        ("GET", "/worklists/QXPATIENT", None),
        ("DELETE", "/worklists/QXPATIENT", None),
        ("PUT", "/worklists/QXPATIENT", {"Tags": {"PatientBirthDate": "QXNAME"}}),
        ("GET", "/patients/QXPATIENT", None),
        ("PUT", "/worklists?AccessionNumber=QXACCESSION", {"Tags": tags}),
        ("POST", "/worklists/explain", {"Query": {"PatientName": "QXNAME"}}),
        ("GET", "/queries", None),
        ("GET", "/metrics", None),
        ("GET", "/health/ready", None),
        ("POST", "/modalities/nobody/echo", {}),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        connection.request(method, uri, None if body is None else json.dumps(body))
        response = connection.getresponse()
        said = response.read().decode()
        connection.close()
        if uri in ("/queries", "/metrics", "/health/ready"):
            heard.texts.append(said)
        elif response.status >= 400:
            heard.texts.append(_without_echo(said, uri))


def _without_echo(said: str, uri: str) -> str:
    """Leave out the address, which the error repeats to the one who sent it."""
    error = json.loads(said)
    assert error.pop("Uri", "") in uri
    return json.dumps(error)


def busy_run(folder: Path, log_format: str, dialect: str, **options: Any) -> Heard:
    """Do all of it; give what was heard."""
    hooks = folder / "hooks.py"
    hooks.write_text(HOOKS, encoding="utf-8")
    items = fill(folder / "items", {"one.wl": item("1"), "two.wl": item("2"), **broken()})
    file = configuration(
        folder / "mwl.json",
        items,
        DicomAlwaysAllowFindWorklist=True,
        Hooks=[str(hooks)],
        Worklists={"Compatibility": dialect},
        **options,
    )
    heard = Heard()
    arguments = ("--trace", "--log-format", log_format, "--http-port", "0")
    with running_server("--config", file, *arguments) as server:
        ask_over_dicom(server, heard)
        put(items, "three.wl", item("3"))
        ask_over_http(server, heard)
        (items / "three.wl").unlink()
        ask_over_dicom(server, heard)
        heard.texts.append(server.stop())
    assert server.log.events("query")
    assert server.log.events("query_identifier")
    assert server.log.events("answer")
    assert server.log.events("http_change")
    assert server.log.events("callback_failed")
    assert server.log.events("file_skipped")
    return heard


@pytest.mark.parametrize(
    ("log_format", "dialect"), [("text", "standard"), ("json", "orthanc")], ids=["text", "json"]
)
def test_nothing_that_a_busy_run_prints_names_a_patient(
    tmp_path: Path, log_format: str, dialect: str
) -> None:
    assert busy_run(tmp_path, log_format, dialect).forbidden() == {}


def test_what_is_looked_for_is_there_when_the_site_asks_for_it(tmp_path: Path) -> None:
    heard = busy_run(tmp_path, "text", "standard", DeidentifyLogs=False)
    assert set(heard.forbidden()) == set(FORBIDDEN)
