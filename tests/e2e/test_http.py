"""HTTP as a process serves it: where it listens, who gets in, how it starts again and ends."""

import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.http import HttpClient, basic
from support.server import TIMEOUT_S, RunningServer, run_mwl, running_server

SAMPLES = Path(__file__).parents[2] / "samples" / "worklists"
USERS = {"nurse": "Tulpe-93-Regen"}
NURSE = basic("nurse", "Tulpe-93-Regen")


def configuration(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write a configuration that serves the samples."""
    file = folder / "mwl.json"
    worklists = {"Enable": True, "Database": str(SAMPLES)}
    file.write_text(json.dumps({"Worklists": worklists} | dict(content)), encoding="utf-8")
    return file


@pytest.fixture
def taken() -> Any:
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate with its key, as Orthanc takes it, and what trusts it."""
    authority = trustme.CA()
    file = tmp_path / "certificate.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(file)
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return file, trusting


def test_a_folder_is_served_over_http_too_on_the_loopback() -> None:
    with running_server(SAMPLES, "--http-port", "0") as server:
        line = server.log.wait_for("http_listening")
        assert line.fields["host"] == "127.0.0.1"
        system = HttpClient(server.http_port).get("/system").json()
        assert (system["HttpPort"], system["DicomPort"]) == (server.http_port, server.port)
        modality = ["ORTHANC", "127.0.0.1", server.port]
        client = HttpClient(server.http_port)
        assert client.ask("PUT", "/modalities/me", modality).status == 200
        found = client.ask("POST", "/modalities/me/find-worklist", {"Query": {"PatientID": ""}})
        assert len(found.json()) == 17


def test_http_can_be_off() -> None:
    with running_server(SAMPLES, "--http-port", "off") as server:
        server.stop()
        assert not server.log.events("http_listening")


def test_without_a_configuration_a_taken_port_is_a_warning(taken: int) -> None:
    with running_server(SAMPLES, "--http-port", str(taken)) as server:
        line = server.log.wait_for("http_unavailable")
        assert (line.level, line.fields["port"]) == ("WARNING", str(taken))
        assert "--http-port" in line.fields["hint"]
        assert run_mwl("echo", server.host, server.port).returncode == 0


def test_with_a_configuration_a_taken_port_is_an_error(tmp_path: Path, taken: int) -> None:
    file = configuration(tmp_path, {"DicomPort": 0})
    done = run_mwl("serve", "--config", file, "--http-port", taken)
    assert done.returncode == 1  # it may be given up: starting again is worth a try
    assert f"HttpPort: cannot listen on 127.0.0.1, port {taken}" in done.stderr


@pytest.mark.parametrize("port", ["x", "-1", "65536", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert run_mwl("serve", SAMPLES, f"--http-port={port}").returncode == 2


@pytest.mark.parametrize(
    ("content", "option", "remedy"),
    [
        ({}, "RegisteredUsers", '"RegisteredUsers"'),
        ({"HttpInsecureRemote": True}, "RegisteredUsers", '"RegisteredUsers"'),
        ({"RegisteredUsers": USERS}, "SslEnabled", "HttpInsecureRemote"),
        (
            {"RegisteredUsers": USERS, "AuthenticationEnabled": False, "SslEnabled": True},
            "AuthenticationEnabled",
            "HttpInsecureRemote",
        ),
    ],
)
def test_remote_access_that_is_not_safe_does_not_start(
    tmp_path: Path, content: Mapping[str, Any], option: str, remedy: str
) -> None:
    file = configuration(tmp_path, {"RemoteAccessAllowed": True, "DicomPort": 0} | dict(content))
    done = run_mwl("serve", "--config", file, "--http-port", 0)
    assert done.returncode == 2
    assert f"{option}: " in done.stderr
    assert remedy in done.stderr
    assert "Tulpe" not in done.stderr


def test_remote_access_can_be_had_at_ones_own_risk(tmp_path: Path) -> None:
    content = {
        "RemoteAccessAllowed": True,
        "RegisteredUsers": USERS,
        "HttpInsecureRemote": True,
        # All addresses are this test's to choose from; nobody but the loopback is to reach it.
        "HttpBindAddresses": ["127.0.0.1"],
    }
    with running_server("--config", configuration(tmp_path, content), "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        refused = client.get("/system")
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="Orthanc Secure Area"'
        assert client.ask("GET", "/system", headers=NURSE).status == 200
        assert client.ask("GET", "/system", headers=basic("nurse", "wrong")).status == 401
        assert "Tulpe" not in server.log.text()


def test_https_has_the_certificate_that_is_configured(
    tmp_path: Path, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    file, trusting = certificate
    content = {
        "SslEnabled": True,
        "SslCertificate": file.name,
        "AuthenticationEnabled": True,
        "RegisteredUsers": USERS,
    }
    with running_server("--config", configuration(tmp_path, content), "--http-port", "0") as server:
        client = HttpClient(server.http_port, "localhost", trusting, NURSE)
        assert client.get("/system").status == 200
        with pytest.raises(OSError):  # noqa: PT011 - nothing is answered, in one way or another
            HttpClient(server.http_port).get("/system")
        assert client.get("/system").status == 200


@pytest.mark.parametrize(("least", "takes_1_2"), [(0, True), (4, True), (5, False)])
def test_https_takes_no_older_version_than_is_configured(
    tmp_path: Path, certificate: tuple[Path, ssl.SSLContext], least: int, takes_1_2: bool
) -> None:
    file, trusting = certificate
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    content = {
        "SslEnabled": True,
        "SslCertificate": file.name,
        "SslMinimumProtocolVersion": least,
    }
    with running_server("--config", configuration(tmp_path, content), "--http-port", "0") as server:
        client = HttpClient(server.http_port, "localhost", trusting)
        if takes_1_2:
            assert client.get("/system").status == 200
        else:
            with pytest.raises(OSError):  # noqa: PT011 - as above
                client.get("/system")


def test_https_can_ask_for_a_clients_certificate(
    tmp_path: Path, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    file, trusting = certificate
    clients = trustme.CA()
    clients.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    content = {
        "SslEnabled": True,
        "SslCertificate": file.name,
        "SslVerifyPeers": True,
        "SslTrustedClientCertificates": "clients.pem",
    }
    with running_server("--config", configuration(tmp_path, content), "--http-port", "0") as server:
        with pytest.raises(OSError):  # noqa: PT011 - as above
            HttpClient(server.http_port, "localhost", trusting).get("/system")
        clients.issue_cert("program.example").configure_cert(trusting)
        assert HttpClient(server.http_port, "localhost", trusting).get("/system").status == 200


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nx", None])
def test_a_certificate_that_is_none_is_an_error_with_the_option(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "c.pem").write_text(content, encoding="utf-8")
    file = configuration(tmp_path, {"SslEnabled": True, "SslCertificate": "c.pem", "DicomPort": 0})
    done = run_mwl("serve", "--config", file, "--http-port", 0)
    assert done.returncode == 2
    assert "SslCertificate: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_of_another_site_is_kept_out(tmp_path: Path) -> None:
    with running_server("--config", configuration(tmp_path, {}), "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        elsewhere = {"Origin": "http://evil.example"}
        assert client.ask("POST", "/tools/shutdown", "{}", elsewhere).status == 403
        assert client.ask("GET", "/system", headers={"Host": "evil.example"}).status == 403
        assert client.get("/system").status == 200
        assert server.log.wait_for("http_refused").fields["method"] == "POST"
        server.log.wait_for("http_refused", lambda line: line.fields["method"] == "GET")


def may_ask(server: RunningServer, title: str) -> bool:
    """Tell whether a scanner gets an answer to a query."""
    command = ("find", "-aet", title, "-k", "PatientID", server.host, server.port)
    return run_mwl(*command).returncode == 0


def test_a_modality_that_is_put_may_ask_at_once_until_a_restart(tmp_path: Path) -> None:
    file = configuration(tmp_path, {})
    with running_server("--config", file, "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        assert not may_ask(server, "CT9")
        assert client.ask("PUT", "/modalities/ct9", ["CT9", "127.0.0.1", 104]).status == 200
        assert may_ask(server, "CT9")
        assert client.ask("DELETE", "/modalities/ct9").status == 200
        assert not may_ask(server, "CT9")


def test_reset_reads_the_configuration_anew_and_forgets_what_was_put(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"Name": "before"})
    with running_server("--config", file, "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        client.ask("PUT", "/modalities/ct9", ["CT9", "127.0.0.1", 104])
        configuration(tmp_path, {"Name": "after", "DicomAet": "AFTER"})
        reply = client.ask("POST", "/tools/reset", "{}")
        assert (reply.status, reply.body) == (200, b"{}")
        server.log.wait_for("listening", lambda line: line.fields["ae_title"] == "AFTER")
        first = server.log.wait_for("http_listening")
        again = server.log.wait_for("http_listening", lambda line: line.text != first.text)
        client = HttpClient(int(again.fields["port"]))
        assert client.get("/system").json()["Name"] == "after"
        assert client.get("/modalities").json() == []


def test_shutdown_ends_the_process_well(tmp_path: Path) -> None:
    with running_server("--config", configuration(tmp_path, {}), "--http-port", "0") as server:
        assert HttpClient(server.http_port).ask("POST", "/tools/shutdown", "").body == b"{}"
        assert server.process.wait(TIMEOUT_S) == 0
        assert server.log.wait_for("stopped").level == "INFO"


def test_the_port_is_free_again_after_the_end() -> None:
    with running_server(SAMPLES, "--http-port", "0") as server:
        port = server.http_port
        HttpClient(port).get("/system")
        server.stop()
    with running_server(SAMPLES, "--http-port", str(port)) as server:
        assert server.http_port == port


def test_a_request_that_is_none_is_told_so_and_logged(tmp_path: Path) -> None:
    with running_server("--config", configuration(tmp_path, {}), "--http-port", "0") as server:
        with socket.create_connection(("127.0.0.1", server.http_port), TIMEOUT_S) as connection:
            connection.sendall(b"\0\1\2\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert server.log.wait_for("http_trouble").level == "WARNING"
        assert HttpClient(server.http_port).get("/system").status == 200
