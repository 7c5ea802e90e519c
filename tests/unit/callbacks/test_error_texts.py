"""With `DeidentifyLogs` an error of a script is told without what may be a value."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwl.callbacks.error_texts import LuaTexts, of_python, of_request
from mwl.errors import DatasetError, MwlError
from mwl.telemetry import WITHOUT_TEXT
from support.callbacks import site_of
from support.telemetry import captured_log

HIDDEN = f"({WITHOUT_TEXT})"
NAME = "QXNAME^QX"

pytestmark = pytest.mark.filterwarnings("error")


def failed(folder: Path, value: str, **scripts: Any) -> dict[str, Any]:
    """Ask for a name with scripts that fail; give the line of the log."""
    with captured_log() as log, site_of(folder, hides_values=True, **scripts) as site:
        assert site.ask({"PatientName": value, "PatientID": ""}).outcome.status == 0xC000
    assert "QX" not in json.dumps(log.events())
    (event,) = log.events("callback_failed")
    return event


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise KeyError(name)", f"KeyError {HIDDEN}"),
        ("{}[name]", f"KeyError {HIDDEN}"),
        ("int(name)", f"ValueError {HIDDEN}"),
        ("raise ValueError(f'no {name}')", f"ValueError {HIDDEN}"),
        ("raise ValueError('no ' + name)", f"ValueError {HIDDEN}"),
        ("query[name]", f"InputError {HIDDEN}"),
        ("open('/no/' + name)", f"FileNotFoundError {HIDDEN}"),
        ("__import__(name)", f"ModuleNotFoundError {HIDDEN}"),
        ("error = ValueError('RIS is down'); error.add_note(name); raise error", "RIS is down"),
        ("raise ValueError", "ValueError"),
        ("raise ValueError('RIS is down')", "ValueError: RIS is down"),
        ("raise ValueError('RIS is down') from KeyError(name)", "ValueError: RIS is down"),
        ("query['AccessionNumber']", "KeyError: AccessionNumber"),
        ("return 5", "TypeError: a hook gave int, expected is Dataset or None"),
    ],
)
@pytest.mark.parametrize("how", ["", "async "])
def test_of_a_hook_its_own_words_are_told(tmp_path: Path, body: str, error: str, how: str) -> None:
    hooks = f"from mwl import hook\n@hook.query\n{how}def broken(query, origin):\n"
    hooks += f"    name = query['PatientName']\n    {body}\n"
    event = failed(tmp_path, NAME, hooks=hooks)
    assert error in event["error"]
    assert event["traceback"].endswith(event["error"] + "\n")
    if not body.startswith("return"):
        assert event["line"] == 5


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("error(name)", HIDDEN),
        ("error('no ' .. name)", HIDDEN),
        ("error('on purpose\\n' .. name)", HIDDEN),
        ("error(name .. '\\nstack traceback:\\n\\t' .. name)", HIDDEN),
        ("error('site.lua:4: ' .. name, 0)", f"site.lua:4: {HIDDEN}"),
        ("_G[name] = function() error('on purpose') end _G[name]()", "on purpose"),
        ("load('error(\"on purpose\")', name)()", HIDDEN),
        ("error('on purpose')", "on purpose"),
        ("error({name})", HIDDEN),
        ("return nothing.x", "attempt to index a nil value (global 'nothing')"),
        ("return name < 1", "attempt to compare string with number"),
        ("return name()", "attempt to call a string value (local 'name')"),
        ("os.exit()", HIDDEN),
        ("return name", "IncomingWorklistRequestFilter must return a table of attributes"),
        ("return {[name] = '1'}", HIDDEN),
    ],
)
def test_of_lua_its_own_words_are_told(tmp_path: Path, body: str, error: str) -> None:
    pytest.importorskip("lupa")
    lua = "function IncomingWorklistRequestFilter(query, origin)\n"
    lua += f"local name = query['0010,0010']\ndo {body} end\nreturn query\nend"
    event = failed(tmp_path, NAME, lua=lua)
    assert error in event["error"]


def test_of_an_orthanc_script_its_own_words_are_told(tmp_path: Path) -> None:
    script = """
        import json, orthanc

        def answer(answers, query, *_):
            asked = json.loads(orthanc.DicomBufferToJson(query.WorklistGetDicomQuery(), 2, 0, 0))
            raise orthanc.OrthancException('no ' + asked['0010,0010'])

        orthanc.RegisterWorklistCallback(answer)
    """
    assert failed(tmp_path, NAME, python=script)["error"] == f"OrthancException {HIDDEN}"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            "HttpGet('http://127.0.0.1:1/' .. name)",
            "GET http://127.0.0.1:1/...: Connection",
        ),
        ("HttpGet('http://127.0.0.1:1/all')", "GET http://127.0.0.1:1/all: Connection refused"),
        ("HttpGet(name)", "GET (address hidden: DeidentifyLogs): ValueError"),
        ("HttpGet('http://' .. name)", "GET (address hidden: DeidentifyLogs): "),
        ("RestApiGet('/worklists/' .. name)", "GET (address hidden: DeidentifyLogs): this server"),
        ("RestApiGet('/system')", "GET /system: this server has no HTTP API"),
    ],
)
def test_what_a_script_asks_in_vain_is_told_as_far_as_it_is_in_its_source(
    tmp_path: Path, call: str, told: str
) -> None:
    pytest.importorskip("lupa")
    lua = f"""
        function IncomingWorklistRequestFilter(query, origin)
          local name = query['0010,0010']
          {call}
          return query
        end
    """
    with captured_log() as log, site_of(tmp_path, hides_values=True, lua=lua) as site:
        assert site.ask({"PatientName": "QXNAME", "PatientID": ""}).outcome.status == 0
    (event,) = log.events("script_error")
    assert event["message"].startswith(told)
    assert "QX" not in json.dumps(log.events())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text().map("QX{}".format))
def test_no_text_that_is_not_in_the_source_is_told(tmp_path: Path, text: str) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('RIS is down', \"a\")\n", encoding="utf-8")
    for error in (ValueError(text), KeyError(text), OSError(2, text), Exception(text, text)):
        assert "QX" not in of_python(error, str(script))
        assert "QX" not in of_request(error)
    texts = LuaTexts(["site.lua"], [script.read_text("utf-8")])
    for message in (text, f"site.lua:1: {text}", f"{text}\nstack traceback:\n\t{text}"):
        assert "QX" not in str(texts.of(message))
    assert "QX" not in texts.address(text)
    assert "QX" not in texts.address(f"http://{text}/")


def test_errors_of_ours_without_values_are_told() -> None:
    assert of_python(DatasetError("cut", offset=3), "x.py") == "DatasetError: cut"
    assert of_request(MwlError("no HTTP API")) == "no HTTP API"
    assert of_request("status 404") == "status 404"
