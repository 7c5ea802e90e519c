"""pynetdicom as SCU against `mwl serve`, and as SCP for `mwl find` and `mwl echo`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association

from support.dcmtk import free_port
from support.server import RunningServer, run_mwl, running_server
from support.worklist_files import FIVE_ITEMS, P1, P3, fill, fill_with_many, step, worklist

pytestmark = pytest.mark.interop

FIND = UID("1.2.840.10008.5.1.4.31")
ECHO = UID("1.2.840.10008.1.1")
MANY = 2_000
JAPANESE = worklist(
    "P11",
    "Mihon^Tarou=見本^太郎=みほん^たろう",
    step("DX", "DX1", "20250120", "0900", "S11"),
    character_set="\\ISO 2022 IR 87",
)
LATIN = worklist(
    "P12",
    "Beispiel^Jürgen",
    step("DX", "DX1", "20250120", "0930", "S12"),
    character_set="ISO_IR 100",
)
CHINESE = worklist(
    "P13",
    "Shili^Xiaocheng=示例^晓誠",
    step("DX", "DX1", "20250120", "1000", "S13"),
    character_set="GB18030",
)
OTHERS = {"japanese.wl": JAPANESE, "latin.wl": LATIN, "chinese.wl": CHINESE}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = fill(tmp_path_factory.mktemp("pynetdicom") / "items", FIVE_ITEMS | OTHERS)
    with running_server(folder) as running:
        yield running


@contextmanager
def association(server: RunningServer) -> Iterator[Association]:
    """Open an association with a server, and release it."""
    scu = AE("PYNETDICOM")
    scu.add_requested_context(FIND)
    scu.add_requested_context(ECHO)
    opened = scu.associate(server.host, server.port, ae_title="ORTHANC")
    assert opened.is_established
    try:
        yield opened
    finally:
        opened.release()
        scu.shutdown()


def find(server: RunningServer, identifier: Dataset) -> tuple[list[Dataset], int]:
    """Query, and give the answers and the final status."""
    with association(server) as opened:
        responses = list(opened.send_c_find(identifier, FIND))
    return [answer for _, answer in responses if answer is not None], responses[-1][0].Status


def by_name(name: str, character_set: str) -> Dataset:
    """Make an identifier that asks for a name, written in a character set."""
    identifier = Dataset()
    identifier.SpecificCharacterSet = character_set
    identifier.PatientName = name
    identifier.PatientID = ""
    return identifier


def test_echo_is_answered(server: RunningServer) -> None:
    with association(server) as opened:
        assert opened.send_c_echo().Status == 0x0000


NAMES = {
    "Latin 1 name asked for in UTF-8": ("beispiel^jürgen", "ISO_IR 192", "P12"),
    "Latin 1 name asked for without its accent": ("BEISPIEL^JURGEN", "ISO_IR 6", "P12"),
    "kanji name asked for in UTF-8": ("見本*", "ISO_IR 192", "P11"),
    "kanji name asked for in its own set": ("=見本^太郎", "\\ISO 2022 IR 87", "P11"),
    "hiragana name asked for in UTF-8": ("==みほん^*", "ISO_IR 192", "P11"),
    "Chinese name asked for in GB18030": ("=示例^晓誠", "GB18030", "P13"),
    "Chinese name asked for in UTF-8 with ?": ("=示例^晓?", "ISO_IR 192", "P13"),
    "Cyrillic name asked for in ISO_IR 144": ("Примеров*", "ISO_IR 144", "P4"),
}


@pytest.mark.parametrize(("name", "character_set", "expected"), NAMES.values(), ids=NAMES)
def test_names_are_compared_after_decoding(
    server: RunningServer, name: str, character_set: str, expected: str
) -> None:
    answers, status = find(server, by_name(name, character_set))
    assert status == 0x0000
    assert [answer.PatientID for answer in answers] == [expected]


@pytest.mark.parametrize("item", OTHERS.values(), ids=OTHERS)
def test_names_are_answered_in_the_items_own_character_set(
    server: RunningServer, item: Dataset
) -> None:
    identifier = by_name("", "ISO_IR 192")
    identifier.PatientID = item.PatientID
    (answer,), _ = find(server, identifier)
    assert answer.PatientName == item.PatientName
    assert answer.SpecificCharacterSet == item.SpecificCharacterSet


def test_cancel_in_the_middle_ends_with_fe00(tmp_path: Path) -> None:
    folder = fill_with_many(tmp_path / "items", MANY)
    identifier = Dataset()
    identifier.PatientID = ""
    identifier.AdditionalPatientHistory = ""
    statuses: list[int] = []
    with running_server(folder) as server, association(server) as opened:
        for status, _ in opened.send_c_find(identifier, FIND, msg_id=7):
            statuses.append(status.Status)
            if len(statuses) == 2:
                opened.send_c_cancel(7, query_model=FIND)
        assert opened.send_c_echo().Status == 0x0000
    assert statuses[-1] == 0xFE00
    assert len(statuses) < MANY


@contextmanager
def serving(handler: Any, **settings: Any) -> Iterator[int]:
    """Run pynetdicom as a worklist SCP whose C-FIND is a function; give its port."""
    scp = AE("THEM")
    scp.require_called_aet = settings.get("require_called_aet", False)
    scp.add_supported_context(ECHO)
    if settings.get("worklist", True):
        scp.add_supported_context(FIND)
    server = scp.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_FIND, handler), (evt.EVT_C_ECHO, lambda _: 0x0000)],
    )
    assert server is not None
    assert server.socket is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


Responses = Iterator[tuple[int, Dataset | None]]


def two_answers(event: evt.Event) -> Responses:
    """Answer with P1 and P3."""
    assert "PatientID" in event.identifier
    yield 0xFF00, P1
    yield 0xFF00, P3


def too_busy(_: evt.Event) -> Responses:
    """Fail after one answer."""
    yield 0xFF00, P1
    yield 0xA700, None


def hanging_up(event: evt.Event) -> Responses:
    """Abort the association instead of answering."""
    event.assoc.abort()
    yield 0x0000, None


def test_mwl_find_prints_the_answers_of_a_pynetdicom_server() -> None:
    with serving(two_answers) as port:
        done = run_mwl("find", "-k", "PatientID", "-k", "PatientName", "--json", "127.0.0.1", port)
    assert done.returncode == 0, done.stderr
    answers = [Dataset.from_json(answer) for answer in json.loads(done.stdout)]
    assert [answer.PatientID for answer in answers] == ["P1", "P3"]


def test_mwl_echo_succeeds_with_a_pynetdicom_server() -> None:
    with serving(two_answers) as port:
        assert run_mwl("echo", "127.0.0.1", port, "-aec", "THEM").returncode == 0


FAILURES = {
    "failure status": (too_busy, {}, "A700"),
    "abort": (hanging_up, {}, "abort"),
    "rejected called AE title": (two_answers, {"require_called_aet": True}, "reject"),
    "worklist not supported": (two_answers, {"worklist": False}, "1.2.840.10008.5.1.4.31"),
}


@pytest.mark.parametrize(("handler", "settings", "told"), FAILURES.values(), ids=FAILURES)
def test_mwl_find_fails_and_says_why(handler: Any, settings: dict[str, bool], told: str) -> None:
    with serving(handler, **settings) as port:
        done = run_mwl("find", "-k", "PatientID", "-aec", "WRONG", "127.0.0.1", port)
    assert done.returncode == 1
    assert told.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["echo", "find"])
def test_command_fails_when_nobody_listens(command: str) -> None:
    keys = ["-k", "PatientID"] if command == "find" else []
    done = run_mwl(command, *keys, "127.0.0.1", str(free_port()))
    assert done.returncode == 1
    assert "no connection" in done.stderr
    assert "Traceback" not in done.stderr
