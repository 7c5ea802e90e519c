"""Scripts and this server's own routes: what one does shows in the other."""

from pathlib import Path

import pytest

from support.dcmtk import findscu
from support.http import HttpClient
from support.server import running_server
from support.worklist_files import FIVE_ITEMS, configuration, fill

PYTHON = """
import json

import orthanc

ITEM = {
    "PatientName": "MADE^BY SCRIPT",
    "PatientID": "SCRIPT-1",
    "AccessionNumber": "S-1",
    "ScheduledProcedureStepSequence": [
        {"Modality": "CT", "ScheduledProcedureStepStartDate": "20261124"}
    ],
}


def answer(answers, query, issuer, called):
    body = json.dumps({"Tags": ITEM, "Force": True})
    made = json.loads(orthanc.RestApiPost("/worklists/create", body))
    orthanc.LogWarning("made " + made["ID"])
    orthanc.RestApiDelete("/worklists/" + made["ID"])


orthanc.RegisterWorklistCallback(answer)
"""

LUA = """
function IncomingWorklistRequestFilter(query, origin)
  local system = ParseJson(RestApiGet('/system'))
  query['0010,0020'] = system['Name']
  return query
end
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "items", FIVE_ITEMS)


def test_a_script_asks_the_routes_of_its_server_and_lua_is_run(
    folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lupa")
    (tmp_path / "filter.lua").write_text(LUA, encoding="utf-8")
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        Name="P2",
        HttpPort=0,
        DicomAlwaysAllowFindWorklist=True,
        ExecuteLuaEnabled=True,
        LuaScripts=["filter.lua"],
    )
    with running_server("--config", file, "--http-port", "0") as server:
        http = HttpClient(server.http_port)
        ran = http.ask("POST", "/tools/execute-script", "print(2 + 3, RestApiGet('/plugins'))")
        assert ran.text.startswith("5, [")
        failed = http.ask("POST", "/tools/execute-script", "error('no')").json()
        assert failed["Details"] == "script:1: no"
        findscu(server.host, server.port, "PatientID=nobody", "PatientName")
        assert server.log.wait_for("query").fields["answers"] == "1"


def test_lua_is_run_without_any_script(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("lupa")
    file = configuration(tmp_path / "mwl.json", folder, ExecuteLuaEnabled=True)
    with running_server("--config", file, "--http-port", "0") as server:
        http = HttpClient(server.http_port)
        assert http.ask("POST", "/tools/execute-script", "print(RestApiGet('/tools/now'))").text


GUARD = """
function Initialize()
  allowed = '/system'
end
function IncomingHttpRequestFilter(method, uri, ip, user, headers)
  if uri == '/exit' then os.exit(3) end
  if uri == '/name' then return ParseJson(RestApiGet('/statistics')) ~= nil end
  return uri == allowed
end
function OnStoredInstance() end
"""


def test_a_script_decides_who_may_use_http(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("lupa")
    (tmp_path / "guard.lua").write_text(GUARD, encoding="utf-8")
    file = configuration(tmp_path / "mwl.json", folder, LuaScripts=["guard.lua"])
    with running_server("--config", file, "--http-port", "0") as server:
        http = HttpClient(server.http_port)
        statuses = {path: http.get(path).status for path in ("/system", "/statistics", "/exit")}
        assert statuses == {"/system": 200, "/statistics": 403, "/exit": 500}
        # Within, a script is not asked: it would wait for itself.
        assert http.get("/name").status == 404
        assert server.log.wait_for("callback_failed").fields["line"] == "6"
        never = server.log.wait_for("callback_never_called")
        assert never.fields["functions"] == "OnStoredInstance"


def test_a_python_script_makes_and_removes_an_item(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PYTHON, encoding="utf-8")
    file = configuration(
        tmp_path / "mwl.json",
        folder,
        DicomAlwaysAllowFindWorklist=True,
        PythonScript="script.py",
    )
    with running_server("--config", file, "--http-port", "0") as server:
        findscu(server.host, server.port, "PatientID")
        assert "made " in server.log.wait_for("script_warning").text
        assert server.log.wait_for("query").fields["status"] == "0000"
        assert len(HttpClient(server.http_port).get("/worklists").json()) == len(FIVE_ITEMS)
