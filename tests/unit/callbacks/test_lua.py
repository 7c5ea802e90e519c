"""Lua scripts as Orthanc runs them."""

import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mwl.callbacks import HttpRequest, runner
from mwl.callbacks import lua as lua_module
from mwl.errors import ConfigError, MwlError, RequestRefused
from support.callbacks import TIME_LIMIT_S, callbacks_of, site_of
from support.items import Values, step
from support.telemetry import captured_log
from support.worklist import Site

ITEMS: tuple[Values, ...] = (
    {
        "AccessionNumber": "A1",
        "PatientID": "P1",
        "PatientName": "DOE^JANE",
        **step(Modality="CT", ScheduledStationAETitle="CT1"),
    },
    {
        "AccessionNumber": "A2",
        "PatientID": "P2",
        "PatientName": "MÜLLER^ÖZIL",
        **step(Modality="US", ScheduledStationAETitle="US1"),
    },
)


def fill(site: Site) -> Site:
    for values in ITEMS:
        site.put(f"{values['AccessionNumber']}.wl", values)
    return site


def filtered(folder: Path, body: str, query: Values, **given: Any) -> list[str]:
    """Give the accession numbers that a query finds when a filter rewrites it."""
    script = f"function IncomingWorklistRequestFilter(query, origin)\n{body}\nend"
    with site_of(folder, lua=script, **given) as site:
        return fill(site).accessions(query)


EMPTY_STEP = step(Modality="", ScheduledStationAETitle="")


def test_without_a_change_the_query_is_answered_as_it_came(tmp_path: Path) -> None:
    assert filtered(tmp_path, "return query", {"PatientID": "P1"}) == ["A1"]


def test_a_value_that_is_set_decides_what_matches(tmp_path: Path) -> None:
    body = "query['0040,0100'][1]['0040,0001'] = origin['RemoteAet'] return query"
    assert filtered(tmp_path, body, EMPTY_STEP) == ["A1"]


def test_the_origin_names_who_asks(tmp_path: Path) -> None:
    body = """
      assert(origin.RemoteIp == '192.0.2.1' and origin.CalledAet == 'MWL')
      assert(origin.RemoteAet == 'CT1' and origin.Manufacturer == 'Generic')
      return query
    """
    assert filtered(tmp_path, body, {}) == ["A1", "A2"]


def test_a_key_that_is_set_to_nil_neither_matches_nor_comes_back(tmp_path: Path) -> None:
    script = """
      function IncomingWorklistRequestFilter(query, origin)
        query['0010,0020'] = nil
        return query
      end
    """
    with site_of(tmp_path, lua=script) as site:
        asked = fill(site).ask({"PatientID": "NOBODY", "PatientName": ""})
    assert [0x00100020 in answer for answer in asked.answers] == [False, False]
    assert all(0x00100010 in answer for answer in asked.answers)


def test_a_key_that_is_added_comes_back(tmp_path: Path) -> None:
    script = """
      function IncomingWorklistRequestFilter(query)
        return {['0010,0010'] = '', ['0040,0100'] = {{['0008,0060'] = 'US'}}}
      end
    """
    with site_of(tmp_path, lua=script) as site:
        (answer,) = fill(site).ask({"PatientID": "P1"}).answers
    assert set(answer) - {0x00080005} == {0x00100010, 0x00400100}


def test_text_is_utf_8_in_lua_and_in_the_query_that_it_makes(tmp_path: Path) -> None:
    body = """
      assert(query['0010,0010'] == 'MÜ*' and #query['0010,0010'] == 4)
      query['0010,0010'] = query['0010,0010'] .. 'ÖZ*'
      return query
    """
    query = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "MÜ*"}
    assert filtered(tmp_path, body, query) == ["A2"]


def test_numbers_are_taken_as_text(tmp_path: Path) -> None:
    body = "query['0040,0100'][1]['0040,0002'] = 20261124.0 return query"
    assert filtered(tmp_path, body, EMPTY_STEP) == []


def test_an_empty_table_is_an_empty_sequence(tmp_path: Path) -> None:
    assert filtered(tmp_path, "query['0040,0100'] = {} return query", {}) == ["A1", "A2"]


def test_private_attributes_and_bytes_are_not_in_the_table(tmp_path: Path) -> None:
    body = """
      local count = 0
      for key in pairs(query) do count = count + 1 end
      assert(count == 2 and query['0008,0050'] == '' and query['0010,0020'] == 'P1')
      return query
    """
    query: Values = {
        "PatientID": "P1",
        "0009,0010 LO": "MAKER",
        "0009,1001 LO": "x",
        "0042,0011 OB": b"ab",
    }
    assert filtered(tmp_path, body, query) == ["A1"]


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("  local nothing = nil\n  return nothing.there", 3, "attempt to index a nil value"),
        ("  error('not today')", 2, "not today"),
        ("  return 5", None, "must return a table"),
        ("  return nil", None, "must return a table"),
        ("  return {}", None, "must return a table"),
        ("  return {nonsense = 'x'}", None, "neither a keyword of DICOM nor a tag"),
        ("  return {['0010,0020'] = print}", None, "is no value"),
        ("  return {['0010,0020'] = {a = 1}}", None, "PatientID"),
        ("  return {['0040,0100'] = 'CT'}", None, "ScheduledProcedureStepSequence"),
        ("  return {['0010,0020'] = true}", None, "PatientID"),
        ("  return {['0028,0010'] = 'x'}", None, "Rows"),
        ("  query.itself = query\n  return query", None, "tables within each other"),
        ("  return {['0010,0020'] = '\\xff'}", None, "utf-8"),
    ],
)
def test_what_goes_wrong_fails_the_query_and_is_in_the_log(
    tmp_path: Path, body: str, line: int | None, words: str
) -> None:
    script = f"function IncomingWorklistRequestFilter(query, origin)\n{body}\nend"
    with captured_log() as log, site_of(tmp_path, lua=script) as site:
        outcome = fill(site).ask({"PatientID": "P1"}).outcome
    assert (outcome.status, outcome.answers) == (0xC000, 0)
    assert outcome.comment == "A callback of the worklist server failed, see its log"
    event = log.events("callback_failed")[0]
    assert event["script"] == str(tmp_path / "site.lua")
    assert event.get("line") == line
    assert words in event["error"]


@pytest.mark.parametrize(
    "body",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function()\n while true do end end)()",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    ],
    ids=["loop", "caught", "coroutine", "resumed"],
)
def test_a_script_in_a_circle_is_interrupted_and_the_next_query_is_answered(
    tmp_path: Path, body: str
) -> None:
    script = f"""
      function IncomingWorklistRequestFilter(query)
        if query['0010,0020'] == 'HANG' then
          {body}
        end
        return query
      end
    """
    with captured_log() as log, site_of(tmp_path, lua=script, timeout_s=1) as site:
        fill(site)
        outcome = site.ask({"PatientID": "HANG"}).outcome
        assert (outcome.status, outcome.comment) == (0xC002, "A callback took longer than 1 s")
        assert site.accessions({"PatientID": "P1"}) == ["A1"]
    event = log.events("callback_failed")[0]
    assert event["line"] >= 4
    assert "took longer than" in event["error"]
    assert log.events("callback_left_behind") == []


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe that nobody writes to before the test ends: who opens it waits, in C."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    for thread in threading.enumerate():
        if thread.name == "Lua scripts":
            thread.join(20)
    os.close(writer)


def test_a_script_that_waits_is_left_behind_and_loaded_anew(
    tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.05)
    script = f"""
      function IncomingWorklistRequestFilter(query)
        if query['0010,0020'] == 'HANG' then io.open('{pipe}') end
        return query
      end
    """
    with captured_log() as log, site_of(tmp_path, lua=script, timeout_s=TIME_LIMIT_S) as site:
        fill(site)
        assert site.ask({"PatientID": "HANG"}).outcome.status == 0xC002
        assert site.accessions({"PatientID": "P1"}) == ["A1"]
        # What cannot be loaded any more fails the query.
        (tmp_path / "site.lua").write_text("x = = 1")
        assert site.ask({"PatientID": "HANG"}).outcome.status == 0xC002
        assert site.ask({"PatientID": "P1"}).outcome.status == 0xC000
    late, also_late, broken = log.events("callback_failed")
    assert late["error"] == also_late["error"] == "took longer than 0.5 s (CallbackTimeout)"
    assert "unexpected symbol" in broken["error"]
    assert [event["left_behind"] for event in log.events("callback_left_behind")] == [1, 2]


def test_all_scripts_share_one_lua_and_the_last_filter_counts(tmp_path: Path) -> None:
    first = tmp_path / "first.lua"
    first.write_text("wanted = 'P2' function IncomingWorklistRequestFilter() error('no') end")
    second = tmp_path / "second.lua"
    second.write_text(
        "function IncomingWorklistRequestFilter(q) q['0010,0020'] = wanted return q end"
    )
    with site_of(tmp_path, lua_scripts=(first, second)) as site:
        assert fill(site).accessions({"PatientID": ""}) == ["A2"]


def test_scripts_without_the_filter_leave_queries_alone(tmp_path: Path) -> None:
    with callbacks_of(tmp_path, lua="function OnStoredInstance() end") as callbacks:
        assert not callbacks.rewrites


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("function f(\n  x = \nend", 2, "expected near"),
        ("local x = nil\nprint(x.y)", 2, "attempt to index a nil value"),
        ("error({})", None, ""),
    ],
)
def test_a_script_that_cannot_be_loaded_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as caught, callbacks_of(tmp_path, lua=text):
        pass
    assert caught.value.file == str(tmp_path / "site.lua")
    assert caught.value.line == line
    assert words in caught.value.message
    assert caught.value.option == "LuaScripts"


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.lua"
    with (
        pytest.raises(ConfigError, match="cannot be read") as caught,
        callbacks_of(tmp_path, lua_scripts=(missing,)),
    ):
        pass
    assert caught.value.file == str(missing)


def test_without_lupa_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lupa", None)
    with pytest.raises(ConfigError) as caught:
        lua_module.lupa()
    assert caught.value.hint == "pip install mwl[lua]"
    assert caught.value.option == "LuaScripts"


def run(folder: Path, text: str, **given: Any) -> str:
    """Run a piece of Lua beside an empty script and give what it prints."""
    with callbacks_of(folder, lua="", **given) as callbacks:
        return callbacks.execute_lua(text).result(20)


def test_print_and_print_recursive_print(tmp_path: Path) -> None:
    assert run(tmp_path, "print('a', 1, 2.5, true, nil)") == "a, 1, 2.5, true, nil\n"
    printed = run(tmp_path, "PrintRecursive({b = {1, 'ü'}, a = 'x'})")
    assert json.loads(printed) == {"a": "x", "b": [1, "ü"]}


def test_what_a_filter_prints_goes_into_the_log(tmp_path: Path) -> None:
    with captured_log() as log:
        body = "print('seen') LogWarning('w') LogError('e') LogInfo('i') return query"
        filtered(tmp_path, body, {})
    said = [(event["event"], event["message"]) for event in log.events() if "message" in event]
    assert said == [
        ("script_output", "seen"),
        ("script_warning", "w"),
        ("script_error", "e"),
        ("script_info", "i"),
    ]


def test_json_is_parsed_and_dumped(tmp_path: Path) -> None:
    text = """
      local value = ParseJson('{"a": ["07", 1.5, null, true]}')
      print(value.a[1], value.a[2], value.a[4])
      print(DumpJson({x = '7', y = '1.5', z = 'seven'}, true))
      print(DumpJson({'7', '1.5', 'seven'}))
    """
    lines = run(tmp_path, text).splitlines()
    assert lines[0] == "07, 1.5, true"
    assert json.loads(lines[1]) == {"x": "7", "y": "1.5", "z": "seven"}
    assert json.loads(lines[2]) == [7, 1.5, "seven"]


def test_the_configuration_is_given_as_it_was_read(tmp_path: Path) -> None:
    configuration = {"DicomAet": "MWL", "Ours": {"Url": "http://ris"}}
    text = "local c = GetOrthancConfiguration() print(c.DicomAet, c.Ours.Url)"
    assert run(tmp_path, text, configuration=configuration) == "MWL, http://ris\n"


def test_the_rest_api_is_asked_with_method_address_and_body(tmp_path: Path) -> None:
    asked: list[Any] = []

    def rest(method: str, uri: str, body: bytes, headers: Any) -> tuple[int, bytes]:
        asked.append((method, uri, body, dict(headers)))
        return (404, b"{}") if uri == "/missing" else (200, b'{"ID": "x"}')

    text = """
      print(ParseJson(RestApiGet('/system')).ID)
      print(RestApiPost('/a', 'body', false, {h = 'v'}), RestApiPut('/b', 'c'))
      print(RestApiDelete('/d'), RestApiGet('/missing'))
    """
    with callbacks_of(tmp_path, lua="") as callbacks:
        callbacks.rest = rest
        lines = callbacks.execute_lua(text).result(20).splitlines()
    assert lines == ["x", '{"ID": "x"}, {"ID": "x"}', '{"ID": "x"}, nil']
    assert asked == [
        ("GET", "/system", b"", {}),
        ("POST", "/a", b"body", {"h": "v"}),
        ("PUT", "/b", b"c", {}),
        ("DELETE", "/d", b"", {}),
        ("GET", "/missing", b"", {}),
    ]


def test_without_http_the_rest_api_gives_nil_and_says_why(tmp_path: Path) -> None:
    with captured_log() as log:
        assert run(tmp_path, "print(RestApiGet('/system'))") == "nil\n"
    assert "HttpServerEnabled" in log.events("script_error")[0]["message"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Says what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = f"{self.command} {self.path} {self.headers.get('X')} {self.rfile.read(length)!r}"
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_other_servers_are_asked_over_http(tmp_path: Path, url: str) -> None:
    text = f"""
      print(HttpGet('{url}/a', {{X = 'y'}}))
      print(HttpPost('{url}/b', 'c'))
      print(HttpGet('{url}/missing'))
      print(HttpGet('file:///etc/passwd'))
    """
    assert run(tmp_path, text).splitlines() == [
        "GET /a y b''",
        "POST /b None b'c'",
        "nil",
        "nil",
    ]


def test_python_cannot_be_reached_from_lua(tmp_path: Path) -> None:
    assert run(tmp_path, "print(type(python))") == "nil\n"
    text = "print(pcall(function() return print.__globals__ end))"
    assert run(tmp_path, text).startswith("false")


def test_a_piece_of_lua_that_is_wrong_says_why(tmp_path: Path) -> None:
    with pytest.raises(MwlError, match="attempt to index"):
        run(tmp_path, "local x x.y = 1")
    with pytest.raises(MwlError, match="unexpected symbol near"):
        run(tmp_path, "x = = 1")


def test_coroutines_work_as_ever(tmp_path: Path) -> None:
    text = """
      local co = coroutine.create(function(a)
        local b = coroutine.yield(a + 1)
        return b, 'end'
      end)
      print(coroutine.resume(co, 1))
      print(coroutine.resume(co, 5))
      print(coroutine.status(co), (coroutine.resume(co)))
      for each in coroutine.wrap(function() coroutine.yield('x') coroutine.yield('y') end) do
        print(each)
      end
      print(pcall(coroutine.wrap(function() error('oh', 0) end)))
    """
    assert run(tmp_path, text).splitlines() == [
        "true, 2",
        "true, 5, end",
        "dead, false",
        "x",
        "y",
        "false, oh",
    ]


GUARD = "function IncomingHttpRequestFilter(method, uri, ip, user, headers)\n%s\nend"


def admitted(folder: Path, body: str, **given: Any) -> bool:
    request = HttpRequest("GET", "/statistics", "192.0.2.1", "nurse", {"host": "mwl", "x": "\xe9"})
    with callbacks_of(folder, lua=GUARD % body, **given) as callbacks:
        assert callbacks.filters_http
        return callbacks.admit(request).result(20)


def test_the_filter_of_http_decides_and_is_told_what_is_asked(tmp_path: Path) -> None:
    told = """
      return method == 'GET' and uri == '/statistics' and ip == '192.0.2.1'
        and user == 'nurse' and headers['host'] == 'mwl' and headers.x == 'é'
    """
    assert admitted(tmp_path, told)
    assert not admitted(tmp_path, "return uri ~= '/statistics'")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("error('no')", 0xC000),
        ("return nil", 0xC000),
        ("return 1", 0xC000),
        ("return print", 0xC000),
        ("while true do end", 0xC002),
    ],
)
def test_a_filter_of_http_that_gives_no_answer_fails(
    tmp_path: Path, body: str, status: int
) -> None:
    with captured_log() as log, pytest.raises(RequestRefused) as caught:
        admitted(tmp_path, body, timeout_s=TIME_LIMIT_S)
    assert caught.value.status == status
    assert log.events("callback_failed")[0]["callback"] == "IncomingHttpRequestFilter"


def test_a_filter_of_http_may_come_later(tmp_path: Path) -> None:
    with callbacks_of(tmp_path, lua="") as callbacks:
        assert not callbacks.filters_http
        callbacks.execute_lua(GUARD % "return false").result(20)
        assert callbacks.filters_http


def test_a_filter_of_http_that_goes_lets_nobody_in(tmp_path: Path) -> None:
    request = HttpRequest("GET", "/", "192.0.2.1", "", {})
    lua = GUARD % "IncomingHttpRequestFilter = nil return true"
    with callbacks_of(tmp_path, lua=lua) as callbacks:
        assert callbacks.admit(request).result(20)
        assert callbacks.filters_http
        with pytest.raises(RequestRefused):
            callbacks.admit(request).result(20)
        callbacks.execute_lua("IncomingHttpRequestFilter = nil").result(20)
        assert not callbacks.filters_http


BEGINNING = """
    begun = 0
    function Initialize()
      begun = begun + 1
      if broken then error('not yet') end
    end
    function Finalize() LogWarning('finalized after ' .. begun) end
    function IncomingWorklistRequestFilter(query)
      query['0010,0020'] = 'P' .. begun
      return query
    end
"""


def test_initialize_is_called_once_before_all_others_and_finalize_last(tmp_path: Path) -> None:
    with captured_log() as log, site_of(tmp_path, lua=BEGINNING) as site:
        fill(site)
        assert site.accessions({"PatientID": ""}) == ["A1"]
        assert site.accessions({"PatientID": ""}) == ["A1"]
    assert [event["message"] for event in log.events("script_warning")] == ["finalized after 1"]


def test_the_start_of_the_server_is_that_of_the_scripts(tmp_path: Path) -> None:
    lua = "function Initialize() LogWarning('begun') end function OnHeartBeat() end"
    with captured_log() as log, callbacks_of(tmp_path, lua=lua) as callbacks:
        callbacks.started(lambda function: function())
        assert callbacks.execute_lua("print(1)").result(20) == "1\n"
    assert [event["message"] for event in log.events("script_warning")] == ["begun"]
    assert log.events("callback_never_called")[0]["functions"] == ["OnHeartBeat"]


def test_while_initialize_fails_so_does_every_query(tmp_path: Path) -> None:
    lua = f"broken = true {BEGINNING}"
    with captured_log() as log, site_of(tmp_path, lua=lua) as site:
        fill(site)
        for _ in range(2):
            assert site.ask({"PatientID": ""}).outcome.status == 0xC000
    failed = log.events("callback_failed")
    assert [event["callback"] for event in failed] == ["Initialize"] * 2
    assert "not yet" in failed[0]["error"]


@pytest.mark.parametrize("call", ["os.exit(3)", "os.exit()", "debug.debug()"])
def test_a_script_cannot_end_the_server_or_wait_for_a_keyboard(tmp_path: Path, call: str) -> None:
    with captured_log() as log:
        assert filtered(tmp_path, f"{call}\nreturn query", {}) == []
    (event,) = log.events("callback_failed")
    assert event["line"] == 2
    assert "is not for scripts of a server" in event["error"]


@pytest.mark.parametrize("text", ["bad", "", "nil", "{", "[" * 100_000])
def test_what_is_no_json_is_nil(tmp_path: Path, text: str) -> None:
    assert run(tmp_path, f"print(ParseJson('{text}'), ParseJson(nil), ParseJson())") == (
        "nil, nil, nil\n"
    )


def test_text_that_is_no_utf_8_is_shown_and_stays_as_it_is(tmp_path: Path) -> None:
    text = """
      print('a' .. string.char(255), string.sub('é', 1, 1))
      io.write('b', string.char(255), '\\n')
      PrintRecursive({string.char(255)})
      print(DumpJson({string.char(255)}))
      print(ParseJson('"\\\\ud800"') ~= nil, #GenerateUuid())
    """
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert run(tmp_path, text).split() == [
        *(f"a{replaced},", replaced, f"b{replaced}"),
        *("[", f'"{replaced}"', "]", f'["{replaced}"]', "true,", "36"),
    ]
    with captured_log() as log:
        body = "print(string.char(255)) LogError('é' .. string.char(255)) return query"
        assert filtered(tmp_path, body, {}) == ["A1", "A2"]
    assert log.events("script_error")[0]["message"] == f"é{replaced}"


@pytest.mark.parametrize(
    "call", ["DumpJson(print)", "SetHttpTimeout('soon')", "PrintRecursive({f = print})"]
)
def test_what_a_helper_cannot_do_has_its_line_and_traceback(tmp_path: Path, call: str) -> None:
    with captured_log() as log:
        assert filtered(tmp_path, f"\n{call}\nreturn query", {}) == []
    (event,) = log.events("callback_failed")
    assert (event["script"], event["line"]) == (str(tmp_path / "site.lua"), 3)
    assert "stack traceback" in event["traceback"]
    with pytest.raises(MwlError, match="script:1: "):
        run(tmp_path, call)


def test_what_debian_lua_has_of_5_2_is_there(tmp_path: Path) -> None:
    text = """
      print(math.pow(2, 10), bit32.band(0xFF, 0x0F), bit32.bor(1, 2), bit32.bxor(3, 1))
      print(bit32.bnot(0), bit32.lshift(1, 31), bit32.lshift(1, 32), bit32.rshift(-1, 28))
      print(bit32.arshift(-8, 1), bit32.arshift(8, 1), bit32.arshift(-1, 40), bit32.btest(4, 6))
      print(bit32.lrotate(0x80000001, 1), bit32.rrotate(1, 1), bit32.lrotate(7, 0))
      print(bit32.extract(0xABCD, 4, 8), bit32.replace(0, 0xF, 8, 4), bit32.band())
    """
    assert run(tmp_path, text).splitlines() == [
        "1024.0, 15, 3, 2",
        "4294967295, 2147483648, 0, 15",
        "4294967292, 4, 4294967295, true",
        "3, 2147483648, 7",
        "188, 3840, 4294967295",
    ]
