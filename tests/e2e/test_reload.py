"""A running server takes over another configuration, or none of it; no association is dropped."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from mwl.net.client import Peer, associate
from mwl.wire.dimse import Status
from mwl.wire.negotiation import VERIFICATION
from support.dcmtk import FindResult, echoscu, findscu
from support.http import HttpClient, basic
from support.raw_requests import ABORT, EVERY_HISTORY, associated, find_request, hear_status
from support.server import TIMEOUT_S, LogLine, RunningServer, running_server, wait_until
from support.worklist_files import FIVE_ITEMS, configuration, fill, fill_with_many

pytestmark = pytest.mark.interop

MANY = 2_000
MODALITIES = {"ct1": ["CT1", "127.0.0.1", 104]}


class Site:
    """A server, its configuration file, and what it says to a change of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items = fill(folder / "items", FIVE_ITEMS)
        self.file = folder / "mwl.json"
        self.options: dict[str, Any] = {"DicomModalities": MODALITIES}
        self.write()

    def write(self, **changes: Any) -> None:
        """Change some options of the file."""
        self.options |= changes
        configuration(self.file, self.items, **json.loads(json.dumps(self.options)))

    def serve(self, *arguments: str) -> Any:
        """Run the server."""
        return running_server("--config", self.file, "--http-port", "0", *arguments)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def reload(server: RunningServer, event: str = "reloaded") -> LogLine:
    """Tell a server to reload, and give the line that it writes of it."""
    before = len(server.log.events(event))
    server.process.send_signal(signal.SIGHUP)
    server.log.wait_for(event, lambda _: len(server.log.events(event)) > before)
    return server.log.events(event)[before]


def asked_by(server: RunningServer, calling: str) -> FindResult:
    return findscu(server.host, server.port, "PatientID", calling=calling)


def test_a_modality_that_is_added_is_let_in_and_one_that_is_removed_is_not(site: Site) -> None:
    with site.serve() as server:
        assert asked_by(server, "CT1").final_status == 0
        assert asked_by(server, "MR1").final_status == 0x0124
        site.write(DicomModalities={"mr1": ["MR1", "127.0.0.1", 104]})
        assert reload(server).fields["changed"] == "DicomModalities"
        assert asked_by(server, "MR1").final_status == 0
        assert asked_by(server, "CT1").final_status == 0x0124


def break_file(site: Site) -> None:
    site.file.write_text('{\n"DicomAet": \n}', encoding="utf-8")


def break_hook(site: Site) -> None:
    (site.folder / "hooks.py").write_text("1 / 0", encoding="utf-8")
    site.write(Hooks=["hooks.py"])


BROKEN: dict[str, tuple[Callable[[Site], None], str, str | None]] = {
    "no JSON": (break_file, "mwl.json:3", None),
    "a wrong value": (
        lambda site: site.write(LogLevel="loud"),
        'LogLevel: found "loud"',
        "LogLevel",
    ),
    "no worklist": (lambda site: site.write(DicomServerEnabled=False), "nothing to serve", None),
    "a folder that is none": (
        lambda site: site.write(Worklists={"Database": "/nowhere"}),
        "/nowhere cannot be read",
        '"Database"',
    ),
    "a script that fails": (
        break_hook,
        "hooks.py:1: Hooks: ZeroDivisionError",
        None,
    ),
    "no certificate": (
        lambda site: site.write(SslEnabled=True, SslCertificate="none.pem"),
        "SslCertificate",
        '"SslCertificate"',
    ),
    "a log that cannot be written": (
        lambda site: site.write(LogFile="nowhere/mwl.log"),
        "nowhere/mwl.log: No such file",
        '"LogFile"',
    ),
}


@pytest.mark.parametrize(("spoil", "expected", "option"), BROKEN.values(), ids=BROKEN)
def test_of_a_configuration_with_an_error_nothing_counts(
    site: Site, spoil: Callable[[Site], None], expected: str, option: str | None
) -> None:
    with site.serve() as server:
        site.write(
            DicomModalities={},
            DicomAet="OTHER",
            DicomCheckCalledAet=True,
            MaximumPduLength=20000,
            DefaultEncoding="Utf8",
            Worklists={"LimitAnswers": 1},
        )
        spoil(site)
        error = reload(server, "reload_failed").text.replace("\\", "")
        assert expected in error
        if option is not None:
            lines = site.file.read_text(encoding="utf-8").splitlines()
            (line,) = (number for number, text in enumerate(lines, 1) if option in text)
            assert f"{site.file}:{line}: " in error
        answer = HttpClient(server.http_port).ask("POST", "/tools/reload")
        assert (answer.status, answer.json()["OrthancError"]) == (400, "Bad file format")
        assert expected in "".join(answer.json()["Errors"])
        found = asked_by(server, "CT1")
        assert (found.final_status, len(found.answers)) == (0, 5)
        assert asyncio.run(longest_pdu(server)) == 16384
        client = HttpClient(server.http_port)
        assert client.get("/system").json()["DicomAet"] == "ORTHANC"
        assert client.get("/tools/default-encoding").text == "Latin1"
        site.options = {"DicomModalities": MODALITIES}
        site.write()
        assert "changed" not in reload(server).fields


def test_over_http_every_error_is_told(site: Site) -> None:
    with site.serve() as server:
        site.write(LogLevel="loud", QueriesHistorySize=-1)
        answer = HttpClient(server.http_port).ask("POST", "/tools/reload").json()
        assert len(answer["Errors"]) == 2
        site.write(LogLevel="verbose", QueriesHistorySize=5)
        answer = HttpClient(server.http_port).ask("POST", "/tools/reload")
        assert answer.status == 200
        assert answer.json() == {"Changed": ["LogLevel"], "NeedsRestart": ["QueriesHistorySize"]}
        assert server.log.wait_for("restart_needed").fields["options"] == "QueriesHistorySize"
        assert "tools" in server.log.wait_for("http_change").text


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ({"Worklists": {"LimitAnswers": 3}}, (3, Status.CANCEL)),
        ({"Worklists": {"Compatibility": "orthanc"}}, (MANY + 5, Status.SUCCESS)),
        ({"Worklists": {"Database": "other"}}, (1, Status.SUCCESS)),
        ({"DefaultEncoding": "Utf8", "Hooks": ["hooks.py"]}, (MANY + 5, Status.SUCCESS)),
    ],
    ids=["rules", "items read anew", "another folder", "hooks"],
)
async def test_a_query_that_is_half_answered_gets_the_rest(
    site: Site, changes: dict[str, Any], then: tuple[int, int]
) -> None:
    fill_with_many(site.items, MANY)
    fill(site.folder / "other", {"one.wl": FIVE_ITEMS["p1.wl"]})
    hooks = "from mwl import hook\n@hook.answer\ndef same(answer, origin):\n    return answer\n"
    (site.folder / "hooks.py").write_text(hooks, encoding="utf-8")
    raw = {"raw": ["RAW", "127.0.0.1", 104]}
    site.write(DicomModalities=raw)
    with site.serve() as server:
        peer = await associated(server)
        await peer.say(find_request(1, identifier=EVERY_HISTORY))
        await peer.hear()
        site.write(**changes)
        await asyncio.to_thread(reload, server)
        assert not server.log.events("query")  # the answers are more than the network holds
        pending, final = await hear_status(peer)
        assert (1 + pending, final.status) == (MANY + 5, Status.SUCCESS)
        # Then the new rules count, for the association that is open too.
        await peer.say(find_request(2))
        pending, final = await hear_status(peer)
        assert (pending, final.status) == then
        site.write(DicomModalities={})
        await asyncio.to_thread(reload, server)
        await peer.say(find_request(3))
        assert (await hear_status(peer))[1].status == Status.NOT_AUTHORIZED
        await peer.close()


def test_rules_of_matching_and_the_ae_title_count_for_the_next_query(site: Site) -> None:
    with site.serve() as server:
        assert len(asked_by(server, "CT1").answers) == 5
        site.write(Worklists={"LimitAnswers": 2}, DicomAet="OTHER", DicomCheckCalledAet=True)
        reload(server)
        assert not asked_by(server, "CT1").answers
        found = findscu(server.host, server.port, "PatientID", calling="CT1", called="OTHER")
        assert len(found.answers) == 2
        assert HttpClient(server.http_port).get("/system").json()["DicomAet"] == "OTHER"


async def test_other_limits_count_for_the_next_query_and_the_next_association(site: Site) -> None:
    with site.serve() as server:
        many = "PatientName=" + "?*" * 6
        assert findscu(server.host, server.port, many, calling="CT1").final_status == 0
        site.write(Limits={"WildCards": 10, "Associations": 1})
        assert reload(server).fields["changed"] == "Limits.Associations,Limits.WildCards"
        assert findscu(server.host, server.port, many, calling="CT1").final_status == 0xA700
        peer = await associated(server)
        rejected = await asyncio.to_thread(echoscu, server.host, server.port)
        assert "Association Rejected" in rejected.stdout
        await peer.close()


async def longest_pdu(server: RunningServer) -> int:
    """Give the length that a server takes of a PDU, in bytes."""
    there = Peer(server.host, server.port, "ORTHANC", "CT1")
    async with associate(there, [VERIFICATION]) as association:
        return association.peer_information.max_length


async def test_what_an_association_may_take_counts_for_the_next_one(site: Site) -> None:
    with site.serve() as server:
        assert await longest_pdu(server) == 16384
        site.write(MaximumPduLength=20000, DicomScpTimeout=1)
        await asyncio.to_thread(reload, server)
        assert await longest_pdu(server) == 20000
        peer = await associated(server)
        assert (await peer.hear())[0] == ABORT
        await peer.close()


async def test_how_long_others_are_waited_for_at_the_end_counts_at_once(site: Site) -> None:
    site.write(ShutdownTimeout=1000)
    with site.serve() as server:
        peer = await associated(server)
        site.write(ShutdownTimeout=0)
        await asyncio.to_thread(reload, server)
        server.process.terminate()
        assert (await peer.hear())[0] == ABORT
        await peer.close()


def test_whether_values_are_written_counts_for_the_next_query(site: Site) -> None:
    with site.serve() as server:
        last = partial(HttpClient(server.http_port).get, "/queries?limit=1")
        findscu(server.host, server.port, "PatientID=P1", calling="CT1")
        assert last().json()[0]["Keys"] == "PatientID"
        site.write(DeidentifyLogs=False)
        reload(server)
        findscu(server.host, server.port, "PatientID=P1", calling="CT1")
        assert "P1" in last().json()[0]["Keys"]


def test_the_log_goes_on_where_it_is_to_go_in_the_form_that_it_is_to_have(site: Site) -> None:
    with site.serve() as server:
        site.write(LogFile="mwl.log", LogFormat="json")
        answer = HttpClient(server.http_port).ask("POST", "/tools/reload").json()
        assert sorted(answer["Changed"]) == ["LogFile", "LogFormat"]
        assert asked_by(server, "CT1").final_status == 0
        file = site.folder / "mwl.log"
        wait_until(lambda: '"event": "association"' in file.read_text("utf-8"))
        assert '"event": "reloaded"' in file.read_text("utf-8")
        assert not server.log.events("association")


def test_another_folder_is_served(site: Site, tmp_path: Path) -> None:
    other = fill(tmp_path / "other", {"one.wl": FIVE_ITEMS["p1.wl"]})
    with site.serve() as server:
        assert len(asked_by(server, "CT1").answers) == 5
        site.items = other
        site.write()
        assert reload(server).fields["changed"] == "Worklists.Database"
        loaded = server.log.wait_for(
            "folder_loaded", lambda line: line.fields["folder"] == str(other)
        )
        assert loaded.fields["items"] == "1"  # before anybody asks
        assert len(asked_by(server, "CT1").answers) == 1
        assert HttpClient(server.http_port).get("/health/ready").json()["Items"] == 1


def test_what_was_changed_over_http_stays_unless_the_file_changed_it_too(site: Site) -> None:
    with site.serve() as server:
        client = HttpClient(server.http_port)
        client.ask("PUT", "/modalities/mr1", ["MR1", "127.0.0.1", 104])
        client.ask("DELETE", "/modalities/ct1")
        client.ask("PUT", "/tools/log-level", "verbose")
        client.ask("PUT", "/tools/default-encoding", "Utf8")
        reload(server)
        assert client.get("/modalities").json() == ["mr1"]
        assert client.get("/tools/log-level").text == "verbose"
        assert client.get("/tools/default-encoding").text == "Utf8"
        site.write(
            DicomModalities={"ct1": ["CT2", "127.0.0.1", 104]},
            LogLevel="trace",
            DefaultEncoding="Latin2",
        )
        reload(server)
        assert client.get("/modalities").json() == ["ct1", "mr1"]
        assert client.get("/tools/log-level").text == "trace"
        assert client.get("/tools/default-encoding").text == "Latin2"
        assert asked_by(server, "CT2").final_status == asked_by(server, "MR1").final_status == 0


def test_arguments_of_the_command_line_still_win(site: Site) -> None:
    with site.serve("--verbose", "--aet", "MINE") as server:
        site.write(LogLevel="trace", DicomAet="THEIRS")
        assert "changed" not in reload(server).fields
        assert HttpClient(server.http_port).get("/tools/log-level").text == "verbose"
        assert HttpClient(server.http_port).get("/system").json()["DicomAet"] == "MINE"


def test_a_server_without_a_configuration_file_goes_on(tmp_path: Path) -> None:
    with running_server(fill(tmp_path / "items", FIVE_ITEMS)) as server:
        assert "changed" not in reload(server).fields
        assert echoscu(server.host, server.port).returncode == 0


def test_users_count_at_once(site: Site) -> None:
    site.write(AuthenticationEnabled=True, RegisteredUsers={"a": "old"})
    with site.serve() as server:
        old, new = (
            HttpClient(server.http_port, headers=basic("a", password))
            for password in ("old", "new")
        )
        assert (old.get("/system").status, new.get("/system").status) == (200, 401)
        site.write(RegisteredUsers={"a": "new"})
        reload(server)
        assert (old.get("/system").status, new.get("/system").status) == (401, 200)


def test_scripts_are_loaded_anew_and_what_they_import_too(site: Site) -> None:
    hook = "from mwl import hook\nimport helper\n"
    hook += "@hook.query\ndef narrow(query, origin):\n"
    hook += "    query['PatientID'] = helper.WANTED\n    return query\n"
    (site.folder / "hooks.py").write_text(hook)
    (site.folder / "helper.py").write_text("WANTED = 'P1'")
    site.write(Hooks=["hooks.py"])
    with site.serve() as server:
        assert asked_by(server, "CT1").patient_ids == ["P1"]
        (site.folder / "helper.py").write_text("WANTED = 'P2' or 'longer'")
        reload(server)
        assert asked_by(server, "CT1").patient_ids == ["P2"]
        (site.folder / "helper.py").write_text("1 / 0")
        reload(server, "reload_failed")
        assert asked_by(server, "CT1").patient_ids == ["P2"]
        site.write(Hooks=[])
        reload(server)
        assert len(asked_by(server, "CT1").patient_ids) == 5


def asking_for(patient_id: str) -> str:
    """Give a Lua script that narrows every query to one patient, and the second one to none."""
    return f"""
        asked = (asked or 0) + 1
        queries = 0
        function IncomingWorklistRequestFilter(query, origin)
          queries = queries + 1
          assert(asked == 1)
          query['0010,0020'] = queries == 1 and '{patient_id}' or 'NOBODY'
          return query
        end
    """


def test_lua_scripts_are_loaded_anew_and_know_nothing_of_before(site: Site) -> None:
    script = site.folder / "site.lua"
    script.write_text(asking_for("P1"), encoding="utf-8")
    site.write(LuaScripts=["site.lua"])
    with site.serve() as server:
        assert asked_by(server, "CT1").patient_ids == ["P1"]
        assert asked_by(server, "CT1").patient_ids == []
        script.write_text(asking_for("P2"), encoding="utf-8")
        assert asked_by(server, "CT1").patient_ids == []
        assert "changed" not in reload(server).fields  # the option is as it was
        assert asked_by(server, "CT1").patient_ids == ["P2"]
        script.write_text("function nobody(\n", encoding="utf-8")
        site.write(DicomModalities={})
        failed = reload(server, "reload_failed").text
        assert "site.lua:" in failed
        assert "LuaScripts" in failed
        assert asked_by(server, "CT1").final_status == 0  # and the old script, for the second time
        assert asked_by(server, "CT1").patient_ids == []
        site.write(DicomModalities=MODALITIES, LuaScripts=[])
        assert reload(server).fields["changed"] == "LuaScripts"
        assert len(asked_by(server, "CT1").patient_ids) == 5
        script.write_text(asking_for("P3"), encoding="utf-8")
        site.write(LuaScripts=["site.lua"])
        reload(server)
        assert asked_by(server, "CT1").patient_ids == ["P3"]


def test_lua_scripts_are_told_when_they_begin_and_when_others_have_taken_their_place(
    site: Site,
) -> None:
    text = "function Initialize() io.open('{folder}/begun-{name}', 'w'):close() end\n"
    text += "function Finalize() io.open('{folder}/ended-{name}', 'w'):close() end\n"
    for name in ("one", "two"):
        script = text.replace("{folder}", str(site.folder)).replace("{name}", name)
        (site.folder / f"{name}.lua").write_text(script, encoding="utf-8")
    site.write(LuaScripts=["one.lua"], CallbackTimeout=1)
    with site.serve() as server:
        wait_until((site.folder / "begun-one").exists)
        site.write(LuaScripts=["two.lua"])
        reload(server)
        wait_until((site.folder / "begun-two").exists)
        wait_until((site.folder / "ended-one").exists)
        assert not (site.folder / "ended-two").exists()
        server.stop()
    assert (site.folder / "ended-two").exists()


WAITING_LUA = """
function IncomingWorklistRequestFilter(query, origin)
  io.open('{folder}/asked', 'w'):close()
  repeat local go = io.open('{folder}/go') until go
  query['0010,0020'] = 'P1'
  return query
end
"""


def test_a_query_that_waits_for_a_lua_script_gets_what_that_script_says(site: Site) -> None:
    text = WAITING_LUA.replace("{folder}", str(site.folder))
    (site.folder / "site.lua").write_text(text, encoding="utf-8")
    site.write(LuaScripts=["site.lua"], CallbackTimeout=20)
    with site.serve() as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(asked_by, server, "CT1")
        wait_until((site.folder / "asked").exists)
        (site.folder / "site.lua").write_text(asking_for("P2"), encoding="utf-8")
        reload(server)
        assert asked_by(server, "CT1").patient_ids == ["P2"]
        (site.folder / "go").touch()
        assert asked.result().patient_ids == ["P1"]


WAITING = """
import threading
from pathlib import Path
from mwl import hook

@hook.query
def wait(query, origin):
    here = Path(__file__).parent
    (here / "asked").touch()
    while not (here / "go").exists():
        threading.Event().wait(0.01)
    query["PatientID"] = "P1"
    return query
"""


def test_a_query_that_waits_for_a_hook_gets_what_that_hook_says(site: Site) -> None:
    (site.folder / "hooks.py").write_text(WAITING, encoding="utf-8")
    site.write(Hooks=["hooks.py"], CallbackTimeout=20)
    with site.serve() as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(asked_by, server, "CT1")
        wait_until((site.folder / "asked").exists)
        site.write(Hooks=[])
        reload(server)
        assert len(asked_by(server, "CT1").patient_ids) == 5
        (site.folder / "go").touch()
        assert asked.result().patient_ids == ["P1"]


def test_another_certificate_counts_for_the_next_handshake(site: Site) -> None:
    authority = trustme.CA()

    for name in ("one", "two"):
        issued = authority.issue_cert(f"{name}.example").private_key_and_cert_chain_pem
        issued.write_to_path(site.folder / f"{name}.pem")
    site.write(SslEnabled=True, SslCertificate="one.pem")
    with site.serve() as server:
        assert "one.example" in shown(server.http_port)
        site.write(SslCertificate="two.pem")
        reload(server)
        assert "two.example" in shown(server.http_port)


def test_another_certificate_of_dicom_counts_for_the_next_handshake_too(site: Site) -> None:
    authority = trustme.CA()
    for name in ("one", "two"):
        issued = authority.issue_cert(f"{name}.example").private_key_and_cert_chain_pem
        issued.write_to_path(site.folder / f"{name}.pem")
    site.write(
        DicomTlsEnabled=True,
        DicomTlsCertificate="one.pem",
        DicomTlsPrivateKey="one.pem",
        DicomTlsRemoteCertificateRequired=False,
    )
    with site.serve() as server:
        assert "one.example" in shown(server.port)
        site.write(DicomTlsCertificate="two.pem", DicomTlsPrivateKey="two.pem")
        reload(server)
        assert "two.example" in shown(server.port)
        soon = datetime.now(UTC) + timedelta(days=2)
        issued = authority.issue_cert(
            "three.example", not_after=soon
        ).private_key_and_cert_chain_pem
        issued.write_to_path(site.folder / "two.pem")
        reload(server)
        assert "three.example" in shown(server.port)
        assert server.log.wait_for("certificate_expires").fields["option"] == "DicomTlsCertificate"


def shown(port: int) -> str:
    """Give the names in the certificate that a server shows."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    names = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName"],
        input=done.stdout,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return names.stdout.decode()


def test_many_who_reload_at_once_get_one_another_s_answers_right(site: Site) -> None:
    with site.serve() as server:
        client = HttpClient(server.http_port)
        site.write(LogLevel="verbose")
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client.ask, "POST", "/tools/reload") for _ in range(8)]
            for _ in range(20):
                server.process.send_signal(signal.SIGHUP)
            answers = [each.result().json() for each in asked]
        assert sorted(len(answer["Changed"]) for answer in answers) in (
            [0] * 7 + [1],
            [0] * 8,  # a signal was the first
        )
        assert asked_by(server, "CT1").final_status == 0


def test_a_server_that_is_told_to_reload_and_to_stop_stops(site: Site) -> None:
    with site.serve() as server:
        server.process.send_signal(signal.SIGHUP)
        server.stop()


def test_a_server_whose_terminal_is_closed_stops(site: Site) -> None:
    control, terminal = pty.openpty()
    program = (
        "import os, pty, sys\n"
        "os.setsid()\n"
        "os.close(os.open(os.ttyname(0), os.O_RDWR))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'mwl', *sys.argv[1:]])\n"
    )
    log = site.folder / "log"
    arguments = ("serve", "--config", site.file, "--port", "0", "--http-port", "off")
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments), "--log-file", log],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        wait_until(lambda: log.exists() and "listening" in log.read_text("utf-8"))
        os.close(control)
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()
    assert " stopped" in log.read_text("utf-8")
