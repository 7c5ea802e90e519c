"""Scripts and hooks of a site in a running server, asked by findscu and pynetdicom."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.callbacks import written
from support.dcmtk import echoscu, findscu
from support.server import Configured, configured_server, run_mwl
from support.worklist_files import FIVE_ITEMS, configuration, fill

pytestmark = pytest.mark.interop

STEP = "ScheduledProcedureStepSequence[0]"


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Give a function that runs a server over five items with scripts."""
    return partial(configured_server, tmp_path / "mwl.json", fill(tmp_path / "items", FIVE_ITEMS))


LUA = """
    function IncomingWorklistRequestFilter(query, origin)
      if query['0010,0020'] == 'HANG' then while true do end end
      if query['0010,0020'] == 'FAIL' then error('on purpose') end
      if query['0010,0020'] == 'NONSENSE' then return 'nonsense' end
      query['0040,0100'][1]['0040,0001'] = string.upper(origin['RemoteAet'])
      query['0010,1030'] = nil
      return query
    end
"""


def test_a_lua_script_rewrites_queries_and_drops_keys(
    tmp_path: Path, configured: Configured
) -> None:
    script = written(tmp_path, "site.lua", LUA)
    with configured(LuaScripts=[script.name]) as server:
        keys = ("PatientID", "PatientWeight", f"{STEP}.ScheduledStationAETitle")
        (answer,) = findscu(server.host, server.port, *keys, calling="mr1").answers
        assert (answer.PatientID, "PatientWeight" in answer) == ("P3", False)
        for patient_id in ("FAIL", "NONSENSE"):
            asked = (f"PatientID={patient_id}", f"{STEP}.ScheduledStationAETitle")
            failed = findscu(server.host, server.port, *asked)
            assert failed.final_status == 0xC000
            assert failed.error_comment == "A callback of the worklist server failed, see its log"
        raised = server.log.wait_for("callback_failed", lambda line: "on purpose" in line.text)
        assert (raised.fields["script"], raised.fields["line"]) == (str(script), "4")
        server.log.wait_for("callback_failed", lambda line: "must return a table" in line.text)
        assert echoscu(server.host, server.port).returncode == 0


def test_a_lua_script_in_a_circle_is_ended(tmp_path: Path, configured: Configured) -> None:
    script = written(tmp_path, "site.lua", LUA)
    with configured(LuaScripts=[script.name], CallbackTimeout=1) as server:
        keys = ("PatientID=HANG", f"{STEP}.ScheduledStationAETitle")
        hung = findscu(server.host, server.port, *keys)
        assert (hung.final_status, hung.error_comment) == (
            0xC002,
            "A callback took longer than 1 s",
        )
        assert server.log.wait_for("callback_failed").fields["line"] == "3"
        keys = ("PatientID", f"{STEP}.ScheduledStationAETitle")
        assert findscu(server.host, server.port, *keys, calling="MR1").patient_ids == ["P3"]


PYTHON = """
    import json
    import orthanc
    import os

    HERE = os.path.dirname(__file__)

    def on_worklist(answers, query, connection):
        asked = json.loads(orthanc.DicomBufferToJson(
            query.WorklistGetDicomQuery(), orthanc.DicomToJsonFormat.SHORT,
            orthanc.DicomToJsonFlags.NONE, 0))
        if asked['0010,0020'] == 'WAIT':
            open(os.path.join(HERE, 'pipe')).close()
        while asked['0010,0020'] == 'HANG':
            pass
        orthanc.LogWarning('asked by %s' % connection.GetConnectionRemoteAet())
        for name in sorted(os.listdir(os.path.join(HERE, 'items'))):
            with open(os.path.join(HERE, 'items', name), 'rb') as file:
                content = file.read()
            if query.WorklistIsMatch(content):
                answers.WorklistAddAnswer(query, content)
        if asked['0010,0020'] == 'P*':
            answers.WorklistMarkIncomplete()

    orthanc.RegisterWorklistCallback2(on_worklist)
"""


def test_a_python_script_gives_the_answers(tmp_path: Path, configured: Configured) -> None:
    script = written(tmp_path, "site.py", PYTHON)
    with configured(PythonScript=script.name) as server:
        found = findscu(server.host, server.port, "PatientID=P3", "PatientName", calling="CT7")
        assert found.patient_ids == ["P3"]
        assert set(found.answers[0].keys()) <= {0x00080005, 0x00100010, 0x00100020}
        assert server.log.wait_for("script_warning").fields["message"] == "asked by CT7"
        incomplete = findscu(server.host, server.port, "PatientID=P*")
        assert incomplete.final_status == 0xFE00
        assert len(incomplete.answers) == 5


def test_a_python_script_that_hangs_or_waits_fails_its_query_alone(
    tmp_path: Path, configured: Configured
) -> None:
    # A pipe that nobody writes to: who opens it to read waits.
    os.mkfifo(tmp_path / "pipe")
    script = written(tmp_path, "site.py", PYTHON)
    with configured(PythonScript=script.name, CallbackTimeout=1) as server:
        for patient_id in ("HANG", "WAIT"):
            failed = findscu(server.host, server.port, f"PatientID={patient_id}")
            assert failed.final_status == 0xC002
        server.log.wait_for("callback_left_behind")
        assert findscu(server.host, server.port, "PatientID=P3").patient_ids == ["P3"]
        assert server.log.count("callback_failed", 2) == 2
        # It ends in good order although a thread of it still waits.
        assert " stopped" in server.stop()


HOOKS = """
    from mwl import hook

    @hook.query
    async def rewrite(query: hook.Dataset, origin: hook.Origin) -> hook.Dataset | None:
        if origin.calling_ae_title == "RESEARCH":
            raise hook.Refuse("Not for research")
        query["PatientID"] = query["PatientID"].upper()
        return query

    @hook.candidates
    def ris(query: hook.Dataset, origin: hook.Origin) -> list[hook.Dataset]:
        return [hook.Dataset.of({"PatientID": "RIS1", "PatientName": "FROM^RIS"})]

    @hook.answer
    def edit(answer: hook.Dataset, origin: hook.Origin) -> hook.Dataset:
        answer["PatientComments"] = f"seen by {origin.host}"
        return answer

    @hook.event
    def note(event: hook.Event) -> None:
        print(event, flush=True)
"""


def test_hooks_rewrite_refuse_provide_and_edit(tmp_path: Path, configured: Configured) -> None:
    script = written(tmp_path, "site.py", HOOKS)
    with configured(Hooks=[script.name]) as server:
        found = findscu(server.host, server.port, "PatientID=ris1", "PatientName")
        (answer,) = found.answers
        assert (answer.PatientName, answer.PatientComments) == ("FROM^RIS", "seen by 127.0.0.1")
        refused = findscu(server.host, server.port, "PatientID", calling="RESEARCH")
        assert (refused.final_status, refused.error_comment) == (0xC001, "Not for research")
        assert len(findscu(server.host, server.port, "PatientID").answers) == 6


@pytest.mark.parametrize(
    ("option", "name", "text", "words"),
    [
        ("LuaScripts", "site.lua", "x = = 1", ":1: LuaScripts: unexpected symbol near '='"),
        ("PythonScript", "site.py", "\nx = = 1", ":2: PythonScript: is no Python"),
        ("Hooks", "site.py", "import nothing_of_that_name", ":1: Hooks: ModuleNotFoundError"),
        ("LuaScripts", "other.lua", "", "other.lua: LuaScripts: cannot be read"),
    ],
)
def test_a_script_that_cannot_be_loaded_ends_the_server_at_its_start(
    tmp_path: Path, option: str, name: str, text: str, words: str
) -> None:
    written(tmp_path, name.replace("other", "one"), text)
    value: Any = name if option == "PythonScript" else [name]
    file = configuration(tmp_path / "mwl.json", fill(tmp_path / "items", {}), **{option: value})
    done = run_mwl("serve", "--config", file, "--port", "0")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_takes_the_way_through_the_scripts(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    lua = written(tmp_path, "site.lua", LUA)
    file = configuration(
        tmp_path / "mwl.json", folder, LuaScripts=[lua.name], DicomAlwaysAllowFindWorklist=True
    )
    keys = ("-k", "PatientID", "-k", f"{STEP}.ScheduledStationAETitle")
    done = run_mwl("explain", "--config", file, "--calling-aet", "mr1", *keys)
    assert done.returncode == 0, done.stderr
    assert "is “MR1”" in done.stdout
    failed = run_mwl("explain", "--config", file, *keys, "-k", "PatientID=FAIL")
    assert failed.returncode == 1
    assert "A callback of the worklist server failed" in failed.stdout


def test_explain_shows_candidates_and_edited_answers(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    hooks = written(tmp_path, "site.py", HOOKS)
    file = configuration(
        tmp_path / "mwl.json", folder, Hooks=[hooks.name], DicomAlwaysAllowFindWorklist=True
    )
    done = run_mwl("explain", "--config", file, "-k", "PatientID=ris1", "--json")
    assert done.returncode == 0, done.stderr
    assert "ris #1" in done.stdout
    assert "seen by 127.0.0.1" in done.stdout


def test_explain_shows_what_a_python_script_looked_at(tmp_path: Path) -> None:
    folder = fill(tmp_path / "items", FIVE_ITEMS)
    script = written(tmp_path, "site.py", PYTHON)
    file = configuration(
        tmp_path / "mwl.json", folder, PythonScript=script.name, DicomAlwaysAllowFindWorklist=True
    )
    done = run_mwl("explain", "--config", file, "-k", "PatientID=P9", "--json")
    assert done.returncode == 0, done.stderr
    assert "PythonScript #5" in done.stdout
