"""`mwl doctor` as it is typed; its checks one by one are in tests/unit/doctor."""

import asyncio
import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from mwl.cli import app
from mwl.doctor import CHECKS
from support.server import running_server
from support.worklist_files import fill, step, worklist

NAMES = [check.name for check in CHECKS]


def run(*arguments: str | int | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def findings(*arguments: str | int | Path) -> tuple[str, dict[str, list[dict[str, str]]]]:
    """Run it for a program; give the status and the findings of each check."""
    result = CliRunner().invoke(app, ["doctor", "--json", *map(str, arguments)])
    document = json.loads(result.stdout)
    assert {"ok": 0, "warn": 1, "fail": 2}[document["status"]] == result.exit_code
    by_check: dict[str, list[dict[str, str]]] = {}
    for finding in document["findings"]:
        assert list(finding) == ["check", "level", "subject", "found", "mend"]
        assert (finding["level"] == "ok") == (not finding["mend"])
        by_check.setdefault(finding["check"], []).append(finding)
    assert list(by_check) == [name for name in NAMES if name in by_check]
    return document["status"], by_check


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    item = worklist("P1", "DOE^JANE", step("CT", "CT1", "20261201", "0800", "S1"))
    return fill(tmp_path / "worklists", {"doe-jane.wl": item})


@pytest.fixture
def ports() -> tuple[str, ...]:
    """Let ports be free ones."""
    return ("--port", "0", "--http-port", "0")


def configuration(folder: Path, **options: Any) -> Path:
    given = {"DicomPort": 0, "HttpPort": 0, "DicomAlwaysAllowFindWorklist": True} | options
    worklists = {"Enable": True, "Database": str(folder)} | given.pop("Worklists", {})
    file = folder.parent / "mwl.json"
    file.write_text(json.dumps({"Worklists": worklists} | given), encoding="utf-8")
    return file


def test_every_check_of_the_table_is_made(folder: Path, ports: tuple[str, ...]) -> None:
    _, found = findings(folder, *ports)
    assert list(found) == NAMES


def test_a_line_says_level_check_subject_and_what_was_found(
    folder: Path, ports: tuple[str, ...]
) -> None:
    _, output = run(folder, *ports)
    assert f"ok   files         {folder}: files served: 1, items: 1\n" in output
    assert output.splitlines()[-1].endswith(" 0 FAIL")


def test_http_may_be_off_as_for_the_server(folder: Path) -> None:
    _, found = findings(folder, "--port", "0", "--http-port", "off")
    assert [one["found"] for one in found["http"]] == ["HTTP is off"]
    assert [one["subject"].partition(",")[0] for one in found["port"]] == ["DICOM"]


def test_what_is_not_ok_says_what_to_type(folder: Path, ports: tuple[str, ...]) -> None:
    folder.chmod(0o777)
    status, output = run(folder, "--quiet", *ports)
    assert status == 1
    assert f"                   mend: sudo chmod o-w {folder}\n" in output
    assert "\nok " not in output


def test_a_missing_folder_ends_with_2(tmp_path: Path, ports: tuple[str, ...]) -> None:
    status, found = findings(tmp_path / "gone", *ports)
    assert status == "fail"
    assert found["folder"][0]["level"] == "fail"


def test_nothing_is_changed_and_nobody_is_named(folder: Path, ports: tuple[str, ...]) -> None:
    def tree() -> list[tuple[str, os.stat_result]]:
        paths = sorted(folder.parent.rglob("*"))
        return [(str(path), path.stat()) for path in paths]

    def stamps() -> list[tuple[str, int, int]]:
        return [(path, status.st_mtime_ns, status.st_ctime_ns) for path, status in tree()]

    before = stamps()
    (folder / "roe-broken.wl").write_text("ROE^RICHARD")
    before = stamps()
    _, output = run(folder, *ports)
    assert stamps() == before
    assert not any(name in output.lower() for name in ("doe-", "roe-", "jane", "richard"))


def test_what_serve_refuses_fails(folder: Path) -> None:
    file = configuration(folder, Worklists={"Enable": False}, DicomServerEnabled=False)
    _, found = findings("--config", file)
    refused = [one["subject"].split()[-1] for one in found["configuration"]]
    assert refused == ["DicomServerEnabled", "Worklists.Enable"]
    assert {one["level"] for one in found["configuration"]} == {"fail"}


def test_a_misspelt_option_is_warned_of(folder: Path) -> None:
    _, found = findings("--config", configuration(folder, DicomPrt=104))
    (warned,) = found["configuration"]
    assert (warned["level"], warned["mend"]) == ("warn", "did you mean DicomPort?")


def test_a_configuration_that_cannot_be_read_ends_the_look(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_text('{"DicomPort": "x"}', encoding="utf-8")
    status, found = findings("--config", file)
    assert status == "fail"
    assert list(found) == ["user", "configuration", "clock"]


def test_scripts_are_loaded_and_not_called(folder: Path) -> None:
    script = folder.parent / "hooks.py"
    text = "from mwl import hook\n@hook.query\ndef refuse(query):\n    print('called')\n"
    script.write_text(f"print('loaded')\n{text}", encoding="utf-8")
    _, found = findings("--config", configuration(folder, Hooks=[str(script)]))
    assert found["scripts"][0]["found"] == "can be loaded"
    script.write_text("def hook(:", encoding="utf-8")
    _, found = findings("--config", configuration(folder, Hooks=[str(script)]))
    assert (found["scripts"][0]["level"], len(found["scripts"])) == ("fail", 1)
    script.unlink()
    _, found = findings("--config", configuration(folder, Hooks=[str(script)]))
    assert found["scripts"][0]["found"] == "cannot be read: the server does not start"


def test_folders_of_called_ae_titles_are_each_looked_at(folder: Path) -> None:
    root = folder.parent / "titles"
    file = configuration(root, Worklists={"FolderPerCalledAet": True})
    root.mkdir()
    _, found = findings("--config", file)
    assert found["folder"][1]["found"] == "has no folder of a called AE title"
    for name in ("CT1", "MR1"):
        (root / name).mkdir()
    _, found = findings("--config", file)
    assert [one["subject"] for one in found["files"]] == [str(root / "CT1"), str(root / "MR1")]


def test_a_running_server_is_found_at_its_ports(folder: Path) -> None:
    with running_server(folder, "--http-port", "0") as server:
        http_port = server.log.wait_for("http_listening").fields["port"]
        status, found = findings(folder, "--port", server.port, "--http-port", http_port)
    assert status != "fail"
    dicom, http = found["port"]
    assert "a server answers there as AE title ORTHANC" in dicom["found"]
    assert f"process {server.process.pid}" in http["found"]
    assert f"process {server.process.pid}" in found["descriptors"][0]["subject"]


def test_a_running_server_that_asks_for_users_is_logged_in_to(folder: Path) -> None:
    secrets = {"RegisteredUsers": {"ct1": "Tulpe", "ct2": "Nelke"}, "DicomUserIdentity": "required"}
    with running_server("--config", configuration(folder, **secrets)) as server:
        file = configuration(folder, DicomPort=server.port, HttpServerEnabled=False, **secrets)
        _, found = findings("--config", file)
        assert server.log.wait_for("user_identified").fields["user"] == "ct1"
        assert "a server answers there as AE title ORTHANC" in found["port"][0]["found"]
        assert found["port"][0]["level"] == "ok"
        assert "Tulpe" not in json.dumps(found)


@asynccontextmanager
async def hearing() -> AsyncIterator[tuple[int, bytearray]]:
    """Listen for one message of the upper layer and answer nothing; give port and message."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readexactly(6))
        heard.extend(await reader.readexactly(int.from_bytes(heard[2:6], "big")))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard


async def test_what_took_the_port_of_a_server_that_asks_for_users_is_told_no_passcode(
    folder: Path,
) -> None:
    secrets = {"RegisteredUsers": {"ct1": "Tulpe"}, "DicomUserIdentity": "required"}
    async with hearing() as (port, heard):
        file = configuration(folder, DicomPort=port, HttpServerEnabled=False, **secrets)
        status, found = await asyncio.to_thread(findings, "--config", file)
    assert (status, found["port"][0]["level"]) == ("fail", "fail")
    assert b"ORTHANC" in heard
    assert b"Tulpe" not in heard


async def test_a_modality_is_told_no_passcode(folder: Path) -> None:
    secrets = {"RegisteredUsers": {"ct1": "Tulpe"}, "DicomUserIdentity": "required"}
    async with hearing() as (port, heard):
        device = {"mr1": ["MR1", "127.0.0.1", port]}
        file = configuration(folder, DicomModalities=device, **secrets)
        await asyncio.to_thread(findings, "--config", file)
    assert b"MR1" in heard
    assert b"Tulpe" not in heard


def test_a_port_of_another_program_fails(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, found = findings("--config", configuration(folder, HttpPort=port))
    assert status == "fail"
    assert found["port"][1]["level"] == "fail"


def test_certificates_of_dicom_and_https_are_looked_at(folder: Path) -> None:
    authority = trustme.CA()
    pem = folder.parent / "server.pem"
    authority.issue_cert("mwl.example").private_key_and_cert_chain_pem.write_to_path(pem)
    pem.chmod(0o600)
    trusted = folder.parent / "trusted.pem"
    authority.cert_pem.write_to_path(trusted)
    file = configuration(
        folder,
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(pem),
        DicomTlsTrustedCertificates=str(trusted),
        SslEnabled=True,
        SslCertificate=str(pem),
    )
    _, found = findings("--config", file)
    assert {one["level"] for one in found["certificates"]} == {"ok"}
    options = {one["subject"].split()[0] for one in found["certificates"]}
    assert options == {"DicomTlsCertificate", "DicomTlsTrustedCertificates", "SslCertificate"}
    pem.unlink()
    _, found = findings("--config", file)
    assert [one["level"] for one in found["certificates"]] == ["fail", "fail"]


def test_modalities_are_asked_unless_it_is_said_otherwise(folder: Path) -> None:
    with running_server(folder) as other:
        modalities = {"ct1": ["CT1", "127.0.0.1", other.port]}
        file = configuration(folder, DicomModalities=modalities)
        _, found = findings("--config", file)
        assert found["modalities"][0]["found"] == "answers C-ECHO"
    _, found = findings("--config", file, "--timeout", "1")
    assert found["modalities"][0]["level"] == "warn"
    _, found = findings("--config", file, "--no-echo")
    assert "modalities" not in found


def test_a_modality_over_tls_needs_sound_certificates(folder: Path) -> None:
    modality = {"AET": "CT1", "Host": "127.0.0.1", "Port": 104, "UseDicomTls": True}
    file = configuration(
        folder, DicomModalities={"ct1": modality}, DicomTlsTrustedCertificates="gone.pem"
    )
    _, found = findings("--config", file)
    assert [one["level"] for one in found["modalities"]] == ["fail"]
    assert found["certificates"][0]["level"] == "fail"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give either a FOLDER or --config"),
        (["x", "--config", "y"], "give either a FOLDER or --config"),
        (["x", "--user", "nobody-of-that-name"], "there is no user"),
    ],
)
def test_arguments_that_cannot_be_used_end_with_2(arguments: list[str], told: str) -> None:
    status, output = run(*arguments)
    assert status == 2
    assert told in output


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look as anybody")
def test_only_root_can_look_as_another(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "initgroups", refused)
    status, output = run(folder, "--user", "nobody")
    assert (status, "sudo mwl doctor" in output) == (2, True)


def test_what_is_being_done_is_said_on_a_terminal_and_is_no_part_of_the_output(
    folder: Path, ports: tuple[str, ...]
) -> None:
    terminal, other_end = os.openpty()
    with os.fdopen(terminal, "rb", 0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "mwl", "doctor", folder, *ports],
            stdout=subprocess.PIPE,
            stderr=other_end,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
            encoding="utf-8",
        )
        os.close(other_end)
        shown = screen.read(4096)
    assert done.stdout.startswith(("ok   user", "warn user"))
    assert "\x1b" not in done.stdout
    assert b"looking at ports" in shown
    assert shown.endswith(b"\r\x1b[K")


UNIT = """LoadState=loaded
User={user}
AmbientCapabilities=cap_lease cap_net_bind_service
LimitNOFILE=65536
CacheDirectory=mwl
StateDirectory=mwl
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for systemd, which tests cannot start: what it is asked and what it says."""
    script = tmp_path / "bin" / "systemctl"
    script.parent.mkdir()
    text = UNIT.format(user=pwd.getpwuid(os.geteuid()).pw_name)
    (tmp_path / "unit").write_text(text, encoding="utf-8")
    script.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {tmp_path}/unit\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    return tmp_path


def test_a_unit_says_as_whom_with_what_and_where_it_runs(
    systemd: Path, folder: Path, ports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    _, found = findings(folder, "--unit", "mwl", *ports)
    assert (systemd / "asked").read_text().split()[-2:] == ["--", "mwl.service"]
    assert found["user"][0]["level"] == "ok"
    assert found["cache"][0]["subject"] == "/var/cache/mwl"
    assert found["descriptors"][0]["subject"] == "mwl.service"
    assert found["descriptors"][0]["found"].startswith("65536 ")


def test_a_unit_that_is_not_there_ends_with_2(systemd: Path, folder: Path) -> None:
    (systemd / "unit").write_text("LoadState=not-found\nUser=\n")
    status, output = run(folder, "--unit", "nwl")
    assert (status, "there is no unit nwl.service" in output) == (2, True)
    (systemd / "bin" / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    status, output = run(folder, "--unit", "mwl")
    assert (status, "systemd cannot be asked" in output) == (2, True)


def test_a_unit_has_its_user(folder: Path) -> None:
    status, output = run(folder, "--unit", "mwl", "--user", "root")
    assert (status, "either --user or --unit" in output) == (2, True)


def test_an_audit_trail_has_its_destination_and_its_spool_looked_at(folder: Path) -> None:
    spool = folder.parent / "spool"
    audit = {"Destination": f"file:{folder.parent}/audit.log", "SpoolFolder": str(spool)}
    _, found = findings("--config", configuration(folder, Audit=audit))
    assert [one["found"] for one in found["audit"]] == ["will be made", "will be made"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        audit["Destination"] = f"tls://127.0.0.1:{probe.getsockname()[1]}"
        authority = folder.parent / "authority.pem"
        trustme.CA().cert_pem.write_to_path(authority)
        audit["TrustedCertificates"] = str(authority)
        _, found = findings("--config", configuration(folder, Audit=audit))
    assert found["audit"][0]["level"] == "fail"
    assert "Connection refused" in found["audit"][0]["found"]
    assert found["certificates"][0]["subject"].startswith("Audit.TrustedCertificates")
    authority.unlink()
    _, found = findings("--config", configuration(folder, Audit=audit))
    assert found["certificates"][0]["level"] == "fail"
    assert not spool.exists()
