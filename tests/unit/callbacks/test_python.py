"""The module `orthanc` for Python scripts."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mwl.callbacks import runner
from mwl.dataset import read_file
from mwl.errors import ConfigError
from support.callbacks import TIME_LIMIT_S, callbacks_of, site_of, written
from support.datasets import data_set, file_of
from support.items import Values, step
from support.telemetry import captured_log
from support.worklist import Asked

FOLDER_SCRIPT = """
    import json
    import os
    import orthanc

    FOLDER = os.path.dirname(__file__)

    def on_worklist(answers, query, issuer, called):
        asked = json.loads(orthanc.DicomBufferToJson(
            query.WorklistGetDicomQuery(), orthanc.DicomToJsonFormat.SHORT,
            orthanc.DicomToJsonFlags.NONE, 0))
        orthanc.LogWarning('%s asks %s for %s' % (issuer, called, sorted(asked)))
        for name in sorted(os.listdir(FOLDER)):
            if os.path.splitext(name)[1] == '.wl':
                with open(os.path.join(FOLDER, name), 'rb') as file:
                    content = file.read()
                if query.WorklistIsMatch(content):
                    answers.WorklistAddAnswer(query, content)

    orthanc.RegisterWorklistCallback(on_worklist)
"""


def ask(folder: Path, script: str, query: Values, **given: Any) -> Asked:
    with site_of(folder, python=script, **given) as site:
        site.put("folder.wl", {"PatientID": "FROM THE FOLDER", "AccessionNumber": "F"})
        return site.ask(query)


def put(folder: Path, name: str, **values: Any) -> None:
    (folder / name).write_bytes(file_of(data_set(**values)))


def patient_ids(asked: Asked) -> list[bytes]:
    return [bytes(answer[0x00100020].value).strip() for answer in asked.answers]  # type: ignore[arg-type]


def test_a_script_answers_from_its_own_folder_in_place_of_ours(tmp_path: Path) -> None:
    put(tmp_path, "1.wl", PatientID="P1", PatientName="DOE^JANE")
    put(tmp_path, "2.wl", PatientID="P2", PatientName="ROE^JOHN")
    (tmp_path / "broken.wl").write_bytes(b"no DICOM at all")
    with captured_log() as log:
        asked = ask(tmp_path, FOLDER_SCRIPT, {"PatientName": "DOE*", "PatientID": ""})
    assert asked.outcome.status == 0x0000
    assert patient_ids(asked) == [b"P1"]
    assert set(asked.answers[0]) == {0x00100010, 0x00100020}
    assert [event["message"] for event in log.events("script_warning")] == [
        "CT1 asks MWL for ['0010,0010', '0010,0020']"
    ]


MAKE = """
    import json
    import orthanc

    def make(number, **more):
        tags = {'PatientID': f'P{number}', 'PatientName': 'ÖZIL', **more}
        return orthanc.CreateDicom(json.dumps(tags), None, orthanc.CreateDicomFlags.NONE)
"""


def test_the_newer_callback_gets_the_connection(tmp_path: Path) -> None:
    script = f"""
    {MAKE.strip()}

    def on_worklist(answers, query, connection):
        who = (connection.GetConnectionRemoteAet(), connection.GetConnectionRemoteIp(),
               connection.GetConnectionCalledAet())
        answers.WorklistAddAnswer(query, make(1, PatientComments='|'.join(who)))

    orthanc.RegisterWorklistCallback2(on_worklist)
    """
    (answer,) = ask(tmp_path, script, {"PatientComments": ""}).answers
    assert answer[0x00104000].value == b"CT1|192.0.2.1|MWL "


def test_answers_keep_the_order_of_the_script_and_hold_what_is_asked_for(tmp_path: Path) -> None:
    script = f"""
    {MAKE.strip()}

    def on_worklist(answers, query, *_):
        for number in (3, 1, 2):
            answers.WorklistAddAnswer(query, make(number, AccessionNumber='A'))

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    asked = ask(tmp_path, script, {"PatientID": "", "PatientName": ""})
    assert patient_ids(asked) == [b"P3", b"P1", b"P2"]
    assert {frozenset(answer) for answer in asked.answers} == {
        frozenset({0x00080005, 0x00100010, 0x00100020})
    }
    assert asked.answers[0][0x00100010].value == "ÖZIL".encode() + b" "


def test_answers_marked_as_incomplete_end_with_fe00(tmp_path: Path) -> None:
    script = f"""
    {MAKE.strip()}

    def on_worklist(answers, query, *_):
        answers.WorklistAddAnswer(query, make(1))
        answers.WorklistMarkIncomplete()

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    asked = ask(tmp_path, script, {"PatientID": ""})
    assert (asked.outcome.status, asked.outcome.answers) == (0xFE00, 1)


def test_the_limit_of_answers_holds_for_scripts_too(tmp_path: Path) -> None:
    script = f"""
    {MAKE.strip()}

    def on_worklist(answers, query, *_):
        for number in range(25):
            answers.WorklistAddAnswer(query, make(number))

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    asked = ask(tmp_path, script, {"PatientID": ""}, rules={"limit_answers": 12})
    assert (asked.outcome.status, len(asked.answers)) == (0xFE00, 12)


@pytest.mark.parametrize(("dialect", "expected"), [("standard", 1), ("orthanc", 2)])
def test_a_file_with_several_steps_is_answered_as_the_dialect_has_it(
    tmp_path: Path, dialect: str, expected: int
) -> None:
    script = f"""
    {MAKE.strip()}

    def on_worklist(answers, query, *_):
        steps = [{{'Modality': 'CT', 'ScheduledStationAETitle': 'A'}},
                 {{'Modality': 'CT', 'ScheduledStationAETitle': 'B'}}]
        content = make(1, ScheduledProcedureStepSequence=steps)
        if query.WorklistIsMatch(content):
            answers.WorklistAddAnswer(query, content)

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    query = step(Modality="CT", ScheduledStationAETitle="")
    asked = ask(tmp_path, script, query, dialect=dialect)
    steps = [answer[0x00400100].value for answer in asked.answers]
    assert [len(each) for each in steps] == [expected] * len(steps)
    assert sum(map(len, steps)) == 2


FAILURES = [
    ("  raise ValueError('not today')", "ValueError: not today"),
    ("  answers.WorklistAddAnswer(query, b'nonsense')", "OrthancException"),
    ("  answers.WorklistAddAnswer(None, None)", "TypeError"),
    ("  exit(1)", "SystemExit"),
    ("  orthanc.NoSuchThing()", "offered are ChangeType, CreateDicom,"),
]


@pytest.mark.parametrize(("body", "words"), FAILURES)
def test_a_script_that_fails_fails_the_query_and_is_in_the_log(
    tmp_path: Path, body: str, words: str
) -> None:
    script = (
        "import orthanc\n"
        f"def on_worklist(answers, query, *_):\n{body}\n"
        "orthanc.RegisterWorklistCallback(on_worklist)\n"
    )
    with captured_log() as log:
        outcome = ask(tmp_path, script, {"PatientID": ""}).outcome
    assert (outcome.status, outcome.answers) == (0xC000, 0)
    (event,) = log.events("callback_failed")
    assert (event["script"], event["line"]) == (str(tmp_path / "site_script.py"), 3)
    assert words in event["error"]
    assert "site_script.py" in event["traceback"]
    assert str(Path(runner.__file__).parent) not in event["traceback"].split("site_script.py")[0]


def test_a_script_in_a_circle_is_interrupted_with_its_line(tmp_path: Path) -> None:
    script = """
    import orthanc
    seen = []

    def on_worklist(answers, query, *_):
        seen.append(1)
        while len(seen) == 1:
            pass
        answers.WorklistAddAnswer(query, orthanc.CreateDicom('{"PatientID": "P1"}'))

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    with captured_log() as log, site_of(tmp_path, python=script, timeout_s=TIME_LIMIT_S) as site:
        outcome = site.ask({"PatientID": ""}).outcome
        assert (outcome.status, outcome.comment) == (0xC002, "A callback took longer than 0.5 s")
        assert patient_ids(site.ask({"PatientID": ""})) == [b"P1"]
    (event,) = log.events("callback_failed")
    assert event["line"] in {7, 8}
    assert "CallbackTimeout" in event["error"]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe that nobody writes to before the test ends: who opens it waits."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    for thread in threading.enumerate():
        if thread.name == "Python script":
            thread.join(20)
    os.close(writer)


@pytest.mark.parametrize("beside", [False, True], ids=["itself", "in a module beside it"])
def test_a_script_that_waits_is_left_behind_and_loaded_anew(
    tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch, *, beside: bool
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.05)
    text = f"""
    import json
    import orthanc

    def on_worklist(answers, query, *_):
        asked = json.loads(orthanc.DicomBufferToJson(query.WorklistGetDicomQuery(), 2, 0, 0))
        if asked['0010,0020'] == 'HANG':
            open({str(pipe)!r}).close()
        answers.WorklistAddAnswer(query, orthanc.CreateDicom('{{"PatientID": "P1"}}'))

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    if beside:
        written(tmp_path, "beside_that_registers.py", text)
    script = "import beside_that_registers" if beside else text
    with captured_log() as log, site_of(tmp_path, python=script, timeout_s=TIME_LIMIT_S) as site:
        assert site.ask({"PatientID": "HANG"}).outcome.status == 0xC002
        assert patient_ids(site.ask({"PatientID": ""})) == [b"P1"]
    assert [event.get("line") for event in log.events("callback_failed")] == [None if beside else 8]
    assert [event["left_behind"] for event in log.events("callback_left_behind")] == [1]


def loaded(folder: Path, script: str, **given: Any) -> None:
    with callbacks_of(folder, python=script, **given):
        pass


@pytest.mark.parametrize(
    ("script", "line", "words"),
    [
        ("import orthanc\nx = = 1\n", 2, "is no Python: invalid syntax"),
        ("import orthanc\n\nint('x')\n", 3, "ValueError"),
        ("import orthanc\northanc.RegisterRestCallback\n", 2, "offered are"),
        ("import no_such_module\n", 1, "ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit"),
        (
            "import orthanc\nfor _ in 'ab':\n    orthanc.RegisterWorklistCallback(print)\n",
            3,
            "only one worklist callback",
        ),
        ("import orthanc\northanc.RegisterWorklistCallback(5)\n", 2, "TypeError"),
    ],
)
def test_a_script_that_cannot_be_loaded_is_an_error_with_its_line(
    tmp_path: Path, script: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, script)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "site_script.py"), line)
    assert words in caught.value.message
    assert caught.value.option == "PythonScript"


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="does not exist"),
        callbacks_of(tmp_path, python_script=tmp_path / "missing.py"),
    ):
        pass


def test_a_module_beside_the_script_may_be_imported_and_imports_orthanc_too(
    tmp_path: Path,
) -> None:
    (tmp_path / "beside_the_script.py").write_text(
        "import orthanc\n"
        "def answer(answers, query, *_):\n"
        '    answers.WorklistAddAnswer(query, orthanc.CreateDicom(\'{"PatientID": "B"}\'))\n'
    )
    script = """
    import orthanc
    import beside_the_script
    orthanc.RegisterWorklistCallback(beside_the_script.answer)
    """
    assert patient_ids(ask(tmp_path, script, {"PatientID": ""})) == [b"B"]


def test_the_module_is_there_only_while_the_script_is(tmp_path: Path) -> None:
    with callbacks_of(tmp_path, python="import orthanc"):
        assert "orthanc" in sys.modules
    assert "orthanc" not in sys.modules


def test_without_a_worklist_callback_the_folder_is_served(tmp_path: Path) -> None:
    asked = ask(tmp_path, "import orthanc", {"PatientID": ""})
    assert patient_ids(asked) == [b"FROM THE FOLDER"]


def run(folder: Path, text: str, **given: Any) -> Any:
    """Load a script and give what it puts into `found`."""
    with callbacks_of(folder, python=f"import orthanc, json\n{text}", **given):
        return vars(sys.modules["mwl_pythonscript_site_script"])["found"]


SAMPLE = data_set(
    SpecificCharacterSet="ISO_IR 192",
    PatientID="P1",
    PatientName="ÖZIL".encode(),
    Rows=b"\x00\x02",
)


def converted(folder: Path, form: str, flags: str = "NONE", longest: int = 0) -> Any:
    (folder / "sample.dcm").write_bytes(file_of(SAMPLE))
    text = (
        f"import pathlib\ndata = pathlib.Path({str(folder / 'sample.dcm')!r}).read_bytes()\n"
        f"found = json.loads(orthanc.DicomBufferToJson(data, orthanc.DicomToJsonFormat.{form}, "
        f"orthanc.DicomToJsonFlags.{flags}, {longest}))"
    )
    return run(folder, text)


def test_a_data_set_becomes_json_in_each_format(tmp_path: Path) -> None:
    assert converted(tmp_path, "SHORT") == {
        "0008,0005": "ISO_IR 192",
        "0010,0010": "ÖZIL",
        "0010,0020": "P1",
        "0028,0010": "512",
    }
    assert converted(tmp_path, "HUMAN")["PatientName"] == "ÖZIL"
    assert converted(tmp_path, "FULL")["0010,0010"] == {
        "Name": "PatientName",
        "Type": "String",
        "Value": "ÖZIL",
    }
    assert converted(tmp_path, "SHORT", longest=3)["0010,0010"] is None


def test_dicom_is_created_from_json_by_name_and_by_tag(tmp_path: Path) -> None:
    text = """found = orthanc.CreateDicom(json.dumps({
        'SpecificCharacterSet': 'ISO_IR 100', '0010,0010': 'MÜLLER', 'PatientWeight': 71.5,
        'ScheduledProcedureStepSequence': [{'Modality': 'CT'}]}), None, 0)"""
    elements = read_file(run(tmp_path, text))
    assert elements[0x00100010].value == "MÜLLER".encode("latin-1")
    assert elements[0x00101030].value == b"71.5"
    (item,) = elements[0x00400100].value
    assert isinstance(item, dict)
    assert item[0x00080060].value == b"CT"


def test_identifiers_are_generated_where_they_are_wanted_and_missing(tmp_path: Path) -> None:
    text = """found = orthanc.CreateDicom('{"PatientID": "P1", "StudyInstanceUID": ""}', None,
        orthanc.CreateDicomFlags.GENERATE_IDENTIFIERS)"""
    elements = read_file(run(tmp_path, text))
    assert elements[0x00100020].value == b"P1"
    assert bytes(elements[0x0020000D].value).startswith(b"2.25.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        "orthanc.CreateDicom('[]')",
        "orthanc.CreateDicom('no json')",
        "orthanc.CreateDicom('{}', b'pixels')",
        "orthanc.DicomBufferToJson(b'x', 2, 0, 0)",
        "orthanc.RestApiGet('/missing')",
    ],
)
def test_what_cannot_be_done_raises_the_exception_of_orthanc(tmp_path: Path, call: str) -> None:
    text = f"""
try:
    {call}
except orthanc.OrthancException:
    found = True
"""
    assert run(tmp_path, text)


def test_the_rest_api_is_asked_when_a_query_comes(tmp_path: Path) -> None:
    script = """
    import json
    import orthanc

    def on_worklist(answers, query, *_):
        name = json.loads(orthanc.RestApiGet('/system'))['Name']
        orthanc.RestApiPost('/a', json.dumps({'x': 1}))
        orthanc.RestApiPut('/b', b'bytes')
        orthanc.RestApiDelete('/c')
        answers.WorklistAddAnswer(query, orthanc.CreateDicom(json.dumps({'PatientID': name})))

    orthanc.RegisterWorklistCallback(on_worklist)
    """
    asked: list[Any] = []

    def rest(method: str, uri: str, body: bytes, _: Any) -> tuple[int, bytes]:
        asked.append((method, uri, body))
        return 200, b'{"Name": "MWL"}'

    with site_of(tmp_path, python=script) as site:
        assert site.worklist.callbacks is not None
        site.worklist.callbacks.rest = rest
        assert patient_ids(site.ask({"PatientID": ""})) == [b"MWL"]
    assert asked == [
        ("GET", "/system", b""),
        ("POST", "/a", b'{"x": 1}'),
        ("PUT", "/b", b"bytes"),
        ("DELETE", "/c", b""),
    ]


def test_the_configuration_is_json_as_it_was_read(tmp_path: Path) -> None:
    configuration = {"DicomAet": "MWL", "ImagingUrl": "http://ris"}
    text = "found = json.loads(orthanc.GetConfiguration())"
    assert run(tmp_path, text, configuration=configuration) == configuration


def test_changes_are_heard_when_the_server_starts_and_stops(tmp_path: Path) -> None:
    script = """
    import orthanc
    orthanc.RegisterOnChangeCallback(lambda change, level, resource: orthanc.LogWarning(
        change == orthanc.ChangeType.ORTHANC_STARTED))
    """
    with captured_log() as log, callbacks_of(tmp_path, python=script) as callbacks:
        callbacks.started(lambda function: function())
    assert [event["message"] for event in log.events("script_warning")] == ["True", "False"]


def test_what_a_script_prints_goes_into_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
        import sys
        import orthanc

        def on_worklist(answers, query, issuer, called):
            print("seen", 1, None)
            print("a", "b", sep="", end="")
            print("aside", file=sys.stderr)

        orthanc.RegisterWorklistCallback(on_worklist)
    """
    with captured_log() as log:
        ask(tmp_path, script, {})
    said = [event["message"] for event in log.events("script_output")]
    assert said == ["seen 1 None", "ab"]
    assert capsys.readouterr() == ("", "aside\n")
