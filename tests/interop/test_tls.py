"""DICOM over TLS with real peers: DCMTK, pynetdicom, OpenSSL's client, and mwl at both ends."""

import asyncio
import dataclasses
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification  # type: ignore[attr-defined]

from mwl.config import Config, load
from mwl.errors import PeerRefused
from mwl.net.client import Peer, associate
from mwl.net.connections import Capacity, Connections
from mwl.server import Server
from mwl.tls.contexts import Credentials, PemFile, client_context
from mwl.wire.dimse import Status
from mwl.wire.negotiation import VERIFICATION
from support.certificates import Authority
from support.dcmtk import echoscu, findscu, free_port, require, run
from support.http import HttpClient
from support.server import LogLine, RunningServer, run_mwl, running_server
from support.telemetry import captured_log
from support.worklist_files import FIVE_ITEMS, configuration, fill, fill_with_many

pytestmark = pytest.mark.interop

EXAMPLE = [("O", "Example"), ("CN", "ct1")]
TLS_OPTIONS: Mapping[str, Any] = {
    "DicomTlsEnabled": True,
    "DicomTlsCertificate": "server.pem",
    "DicomTlsPrivateKey": "server.key",
    "DicomTlsTrustedCertificates": "ca.pem",
    "DicomAlwaysAllowFindWorklist": True,
    "Worklists": {"Snapshot": "off"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates: of the site, of a stranger, of one that has expired."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(), Authority("Somebody else")
    ours.write(folder)
    theirs.write(folder, "other-ca.pem")
    ours.issue("server", days=10).write(folder, "server")
    ours.issue(EXAMPLE).write(folder, "ct1")
    ours.issue("ct2").write(folder, "ct2")
    ours.issue([("CN", "ct1,O=Example")]).write(folder, "forged")
    ours.issue("late", days=-1).write(folder, "expired")
    theirs.issue(EXAMPLE).write(folder, "stranger")
    fill(folder / "items", FIVE_ITEMS)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[RunningServer]:
    """A server with and without TLS, at which CT1 is bound to its certificate."""
    bound = {"AET": "CT1", "Host": "127.0.0.1", "Port": 104, "TlsSubject": "CN=ct1,O=Example"}
    changes = {
        "DicomTlsEnabled": False,
        "DicomTlsPort": free_port(),
        "DicomModalities": {"ct1": bound, "ct2": ["CT2", "127.0.0.1", 104]},
    }
    file = configuration(folder / "site.json", folder / "items", **{**TLS_OPTIONS, **changes})
    with running_server("--config", file, "--http-port", "0") as server:
        yield server


def showing(folder: Path, name: str, authority: str = "ca.pem") -> list[str]:
    """Give DCMTK's options for a certificate to show, and for whom to trust."""
    files = (folder / f"{name}.key", folder / f"{name}.pem", folder / authority)
    key, certificate, trusted = map(str, files)
    return ["+tls", key, certificate, "+cf", trusted]


def ours(folder: Path, name: str | None = "ct1") -> list[str | Path]:
    """Give mwl's options for the same."""
    shown = () if name is None else ("--tls-cert", folder / f"{name}.pem")
    key = () if name is None else ("--tls-key", folder / f"{name}.key")
    return [*shown, *key, "--tls-ca", folder / "ca.pem"]


def the_refusal(server: RunningServer, before: Sequence[LogLine]) -> LogLine:
    """Give the refused handshake that was not there before."""
    return server.log.wait_for("tls_refused", lambda line: line not in before)


class TestDcmtk:
    def test_a_scanner_with_its_certificate_is_answered(
        self, site: RunningServer, folder: Path
    ) -> None:
        options = showing(folder, "ct1")
        done = echoscu(site.host, site.tls_port, *options, "-aet", "CT1")
        assert done.returncode == 0, done.stdout
        found = findscu(site.host, site.tls_port, "PatientID", calling="CT1", options=options)
        assert sorted(found.patient_ids) == ["P1", "P2", "P3", "P4", "P5"]

    def test_beside_it_the_plain_port_goes_on(self, site: RunningServer) -> None:
        assert echoscu(site.host, site.port).returncode == 0
        found = findscu(site.host, site.port, "PatientID", calling="CT2")
        assert len(found.answers) == 5

    @pytest.mark.parametrize(
        ("options", "reason", "hint"),
        [
            ("stranger", "unable to get local issuer certificate", "DicomTlsTrustedCertificates"),
            ("expired", "certificate has expired", "renew it"),
            ("+tla", "it shows no certificate", "DicomTlsRemoteCertificateRequired"),
            ("plain", "it does not speak TLS", "the port without"),
        ],
    )
    def test_who_shows_nothing_good_is_refused_and_the_log_says_why(
        self, site: RunningServer, folder: Path, options: str, reason: str, hint: str
    ) -> None:
        before = site.log.events("tls_refused")
        given = {"+tla": ["+tla", "-ic"], "plain": []}
        done = echoscu(
            site.host, site.tls_port, *given.get(options, [*showing(folder, options), "-ic"])
        )
        assert done.returncode != 0
        line = the_refusal(site, before)
        assert reason in line.fields["reason"]
        assert hint in line.fields["hint"]
        assert (line.level, line.fields["host"]) == ("WARNING", "127.0.0.1")

    def test_a_scanner_that_does_not_trust_us_is_told_of(
        self, site: RunningServer, folder: Path
    ) -> None:
        before = site.log.events("tls_refused")
        done = echoscu(site.host, site.tls_port, *showing(folder, "ct1", "other-ca.pem"))
        assert "certificate verify failed" in done.stdout
        line = the_refusal(site, before)
        assert line.fields["reason"] == "it does not trust our certificate"
        assert "DicomTlsCertificate" in line.fields["hint"]

    def test_tls_on_the_plain_port_is_told_of(self, site: RunningServer, folder: Path) -> None:
        assert echoscu(site.host, site.port, *showing(folder, "ct1")).returncode != 0
        assert "as of TLS" in site.log.wait_for("peer_error").text

    def test_a_bound_title_needs_its_certificate(self, site: RunningServer, folder: Path) -> None:
        for port, options, said in (
            (site.port, [], "it shows no certificate"),
            (site.tls_port, showing(folder, "ct2"), "its certificate is for CN=ct2; ct2"),
            (site.tls_port, showing(folder, "forged"), "ct1,o=example"),
        ):
            for title in ("CT1", "ct1"):
                done = echoscu(site.host, port, *options, "-aet", title)
                assert "Calling AE Title Not Recognized" in done.stdout
            site.log.wait_for("association_refused", lambda line, said=said: said in line.text)  # type: ignore[misc]

    def test_a_title_that_is_not_bound_needs_none_of_its_own(
        self, site: RunningServer, folder: Path
    ) -> None:
        done = echoscu(site.host, site.tls_port, *showing(folder, "ct1"), "-aet", "CT2")
        assert done.returncode == 0

    def test_answers_larger_than_any_buffer_come_whole(self, folder: Path, tmp_path: Path) -> None:
        fill_with_many(tmp_path / "many", 300)
        options = {**TLS_OPTIONS, **absolute(folder)}
        file = configuration(tmp_path / "mwl.json", tmp_path / "many", **options)
        with running_server("--config", file) as server:
            found = findscu(
                server.host,
                server.port,
                "PatientID",
                "AdditionalPatientHistory",
                options=showing(folder, "ct1"),
            )
        assert len(found.answers) == 300
        assert {len(answer.AdditionalPatientHistory) for answer in found.answers} == {9999}


def absolute(folder: Path) -> Mapping[str, str]:
    """Give the options of files with their whole paths."""
    names = ("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates")
    return {name: str(folder / TLS_OPTIONS[name]) for name in names}


def test_pynetdicom_is_answered(site: RunningServer, folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(folder / "ct1.pem", folder / "ct1.key")
    scu = AE("CT1")
    scu.add_requested_context(ModalityWorklistInformationFind)
    scu.add_requested_context(Verification)
    opened = scu.associate(
        site.host, site.tls_port, ae_title="ORTHANC", tls_args=(context, "server")
    )
    assert opened.is_established
    assert opened.send_c_echo().Status == 0
    opened.release()


class TestOpenssl:
    def said(self, server: RunningServer, *options: str) -> str:
        peer = f"{server.host}:{server.port}"
        return run("openssl", "s_client", "-connect", peer, *options).stdout

    def served(self, folder: Path, tmp_path: Path, **changes: Any) -> Path:
        options = {**TLS_OPTIONS, **absolute(folder), **changes}
        return configuration(tmp_path / "mwl.json", folder / "items", **options)

    def credentials(self, folder: Path) -> list[str]:
        return ["-cert", str(folder / "ct1.pem"), "-key", str(folder / "ct1.key")]

    def test_the_default_is_tls_1_2_and_1_3_with_the_suites_of_the_profile(
        self, folder: Path, tmp_path: Path
    ) -> None:
        shown = self.credentials(folder)
        old = ["-cipher", "DEFAULT:@SECLEVEL=0"]
        with running_server("--config", self.served(folder, tmp_path)) as server:
            assert "New, TLSv1.3" in self.said(server, *shown)
            assert "New, TLSv1.2" in self.said(server, *shown, "-tls1_2")
            for version in ("-tls1", "-tls1_1"):
                assert "alert protocol version" in self.said(server, *shown, version, *old)
            for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-CHACHA20-POLY1305"):
                assert "handshake failure" in self.said(server, *shown, "-tls1_2", "-cipher", suite)
            reasons = {line.fields["reason"] for line in server.log.events("tls_refused")}
        assert reasons == {
            "its version of TLS is older than accepted here",
            "it offers no cipher suite that is accepted here",
        }

    @pytest.mark.parametrize(
        ("least", "versions"),
        [
            (1, {"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"}),
            (3, {"-tls1_1", "-tls1_2", "-tls1_3"}),
            (4, {"-tls1_2", "-tls1_3"}),
            (5, {"-tls1_3"}),
        ],
    )
    def test_other_versions_are_taken_as_orthanc_numbers_them(
        self, folder: Path, tmp_path: Path, least: int, versions: set[str]
    ) -> None:
        file = self.served(
            folder,
            tmp_path,
            DicomTlsMinimumProtocolVersion=least,
            # As Orthanc names it
            DicomTlsCiphersAccepted=["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"],
        )
        with running_server("--config", file) as server:
            options = [*self.credentials(folder), "-cipher", "DEFAULT:@SECLEVEL=0"]
            taken = {
                version
                for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3")
                if "\nNew, TLSv1" in self.said(server, *options, version)
            }
        assert taken == versions

    def test_a_session_that_is_taken_up_again_is_still_whose_it_was(
        self, folder: Path, tmp_path: Path
    ) -> None:
        bound = {"AET": "CT1", "Host": "h", "Port": 104, "TlsSubject": "CN=ct1,O=Example"}
        file = self.served(folder, tmp_path, DicomModalities={"ct1": bound})
        with running_server("--config", file) as server:
            shown, session = self.credentials(folder), str(tmp_path / "session")
            self.said(server, *shown, "-tls1_2", "-sess_out", session)
            assert "Reused" in self.said(server, *shown, "-tls1_2", "-sess_in", session)


class TestOurClient:
    def test_it_asks_over_tls(self, site: RunningServer, folder: Path) -> None:
        for command in (["echo"], ["find", "-k", "PatientID"]):
            done = run_mwl(*command, "-aet", "CT1", *ours(folder), site.host, site.tls_port)
            assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--tls"], "it asks for a certificate: show one with --tls-cert"),
            (["--tls-ca", "other-ca.pem"], "its certificate is not trusted"),
            (["--tls-ca", "ca.pem", "--tls-name", "other"], "its certificate is not trusted"),
            ([], "perhaps it speaks TLS: --tls"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, site: RunningServer, folder: Path, options: list[str], message: str
    ) -> None:
        given = [str(folder / word) if word.endswith(".pem") else word for word in options]
        done = run_mwl("echo", *given, site.host, site.tls_port)
        assert done.returncode == 1
        assert message in done.stderr

    def test_tls_with_a_server_without_is_said(self, site: RunningServer, folder: Path) -> None:
        done = run_mwl("echo", *ours(folder), site.host, site.port)
        assert (done.returncode, "it does not speak TLS" in done.stderr) == (1, True)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--tls-key", "ct1.key"], "--tls-key: a key is of no use without --tls-cert"),
            (["--tls-name", "x"], "--tls-name: a name is only checked with --tls-ca"),
            (["--tls-cert", "ct1.pem", "--tls-key", "ct2.key"], "the key is not that of"),
            (["--tls-ca", "nope.pem"], "No such file"),
        ],
    )
    def test_options_that_do_not_go_together_are_said(
        self, folder: Path, options: list[str], message: str
    ) -> None:
        given = [str(folder / word) if "." in word else word for word in options]
        done = run_mwl("echo", *given, "127.0.0.1", 104)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr

    def test_dcmtks_server_is_asked(self, folder: Path) -> None:
        program = require("dcmrecv")
        port = free_port()
        server = subprocess.Popen(
            [program, *showing(folder, "server"), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            done = run_mwl("echo", *ours(folder), "127.0.0.1", port)
            while "refused" in done.stderr and server.poll() is None:
                done = run_mwl("echo", *ours(folder), "127.0.0.1", port)
            assert done.returncode == 0, done.stderr
        finally:
            server.kill()
            server.wait()


def test_the_end_of_a_certificate_is_warned_of_and_a_metric(site: RunningServer) -> None:
    line = site.log.wait_for("certificate_expires")
    assert line.fields["option"] == "DicomTlsCertificate"
    assert float(line.fields["days"]) == pytest.approx(10, abs=0.1)
    metrics = HttpClient(site.http_port).get("/metrics").text
    days = re.findall(r'mwl_certificate_days_left\{option="(\w+)"\} (\S+)', metrics)
    assert {option: float(left) for option, left in days} == {
        "DicomTlsCertificate": pytest.approx(10, abs=0.1),
        "DicomTlsTrustedCertificates": pytest.approx(3650, abs=0.1),
    }
    assert "\nmwl_tls_refused_total " in metrics


def test_a_modality_is_asked_over_tls_from_http(site: RunningServer, folder: Path) -> None:
    client = HttpClient(site.http_port)
    entry = {"AET": "ORTHANC", "Host": "127.0.0.1", "Port": site.tls_port, "UseDicomTls": True}
    assert client.ask("PUT", "/modalities/me", {**entry, "LocalAet": "CT2"}).status == 200
    assert client.ask("POST", "/modalities/me/echo", {}).status == 200
    found = client.ask("POST", "/modalities/me/find-worklist", {"Query": {"PatientID": ""}})
    assert len(found.json()) == 5
    plain = {**entry, "UseDicomTls": False}
    assert client.ask("PUT", "/modalities/me", plain).status == 200
    assert client.ask("POST", "/modalities/me/echo", {}).status == 500


# In this process


def config_of(folder: Path, tmp_path: Path, **changes: Any) -> Config:
    options = {"DicomPort": 0, **TLS_OPTIONS, **changes}
    file = configuration(tmp_path / "here.json", folder / "items", **options)
    found = load([file], {}).config
    return dataclasses.replace(found, dicom_host="127.0.0.1", dicom_port=0, http_port=0)


def peer_of(server: Server, folder: Path, name: str | None = "ct1") -> Peer:
    shown = None if name is None else PemFile(folder / f"{name}.pem", "C")
    key = None if name is None else PemFile(folder / f"{name}.key", "K")
    context = client_context(Credentials(certificate=shown, private_key=key))
    return Peer(server.host, server.tls_port, "ORTHANC", "CT1", 10, tls=context)


def shown_by(server: Server) -> bytes:
    return ssl.get_server_certificate((server.host, server.tls_port)).encode()


async def test_a_certificate_that_is_replaced_is_shown_to_the_next_and_who_is_there_stays(
    folder: Path, tmp_path: Path
) -> None:
    authority = Authority()
    authority.write(tmp_path)
    first, second = authority.issue("server"), authority.issue("server")
    first.write(tmp_path, "server")
    authority.issue("ct1").write(tmp_path, "ct1")
    changes = {"DicomTlsRemoteCertificateRequired": False}
    config = config_of(folder, tmp_path, **changes)
    server = await Server(config).start()
    assert server._watch is not None
    try:
        assert await asyncio.to_thread(shown_by, server) == first.pem
        async with associate(peer_of(server, tmp_path), [VERIFICATION]) as association:
            second.write(tmp_path, "server")
            assert server._watch.refresh() == []
            assert await asyncio.to_thread(shown_by, server) == second.pem
            assert (await association.echo()).command.status == Status.SUCCESS
        # Who is not trusted any more is out from now on.
        Authority().write(tmp_path)
        server._watch.refresh()
        with pytest.raises(PeerRefused):
            async with associate(peer_of(server, tmp_path), [VERIFICATION]) as association:
                await association.echo()
    finally:
        await server.stop()


async def test_a_certificate_may_be_trusted_by_itself(folder: Path, tmp_path: Path) -> None:
    # IHE ITI-19: by direct comparison, without the authority that vouches for it.
    options = {**absolute(folder), "DicomTlsTrustedCertificates": str(folder / "stranger.pem")}
    server = await Server(config_of(folder, tmp_path, **options)).start()
    try:
        async with associate(peer_of(server, folder, "stranger"), [VERIFICATION]) as association:
            assert (await association.echo()).command.status == Status.SUCCESS
        with pytest.raises(PeerRefused):
            async with associate(peer_of(server, folder, "ct1"), [VERIFICATION]) as association:
                await association.echo()
    finally:
        await server.stop()


async def test_there_are_no_tickets(folder: Path, tmp_path: Path) -> None:
    # A certificate that is not trusted any more would stay good with one.
    server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
    try:
        async with associate(peer_of(server, folder), [VERIFICATION]) as association:
            assert (await association.echo()).command.status == Status.SUCCESS
            tls = association._writer.get_extra_info("ssl_object")
            assert (tls.version(), tls.session.has_ticket) == ("TLSv1.3", False)
    finally:
        await server.stop()


async def test_https_shows_a_certificate_that_is_replaced(tmp_path: Path) -> None:
    authority = Authority()
    first, second = authority.issue("localhost"), authority.issue("localhost")
    file = tmp_path / "https.pem"
    file.write_bytes(first.key_pem() + first.pem)
    fill(tmp_path / "items", {})
    path = configuration(
        tmp_path / "here.json", tmp_path / "items", SslEnabled=True, SslCertificate="https.pem"
    )
    config = dataclasses.replace(load([path], {}).config, dicom_port=0, http_port=0)
    server = await Server(config).start()

    def shown() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", server.http_port)).encode()

    assert server._watch is not None
    try:
        assert await asyncio.to_thread(shown) == first.pem
        file.write_bytes(second.key_pem() + second.pem)
        server._watch.refresh()
        assert await asyncio.to_thread(shown) == second.pem
    finally:
        await server.stop()


async def test_who_says_nothing_is_cut_off_in_time(folder: Path, tmp_path: Path) -> None:
    with captured_log() as log:
        server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
        connections_of(server).capacity = Capacity(handshake_timeout_s=0.01)
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(server.host, server.tls_port)
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
                writer.close()
            assert len(connections_of(server)) == 0
        finally:
            await server.stop()
    (refused,) = log.events("tls_refused")
    assert refused["reason"] == "the handshake took too long"


def connections_of(server: Server) -> Connections:
    assert server._connections is not None
    return server._connections


async def test_who_only_looks_whether_somebody_listens_is_not_told_of(
    folder: Path, tmp_path: Path
) -> None:
    with captured_log() as log:
        server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
        try:
            socket.create_connection((server.host, server.tls_port)).close()
            async with asyncio.timeout(10):
                async with associate(peer_of(server, folder), [VERIFICATION]) as association:
                    await association.echo()
                await connections_of(server).closed()
        finally:
            await server.stop()
    assert log.events("tls_refused") == []


async def test_hellos_cut_off_and_garbage_leave_nothing_behind(
    folder: Path, tmp_path: Path
) -> None:
    sent = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    whole = sent.read()
    server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
    said = [whole[:length] for length in range(1, len(whole), 37)]
    said += [whole + b"garbage" * 100, b"GET / HTTP/1.1\r\n\r\n", bytes(1000), whole * 50]
    said += [bytes([kind, 3, 3, 0, 2, 1, 0]) for kind in range(20, 25)]
    try:
        async with asyncio.timeout(20):
            for data in said:
                reader, writer = await asyncio.open_connection(server.host, server.tls_port)
                writer.write(data)
                writer.write_eof()
                with suppress(ConnectionError):
                    await reader.read()
                writer.close()
            async with associate(peer_of(server, folder), [VERIFICATION]) as association:
                assert (await association.echo()).command.status == Status.SUCCESS
            await connections_of(server).closed()
    finally:
        await server.stop()


async def test_who_leaves_right_behind_the_handshake_leaves_nothing_behind(
    folder: Path, tmp_path: Path
) -> None:
    server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
    peer = peer_of(server, folder)
    try:
        async with asyncio.timeout(20):
            for is_abrupt in (True, False) * 5:
                _, writer = await asyncio.open_connection(peer.host, peer.port, ssl=peer.tls)
                if is_abrupt:
                    writer.transport.abort()
                writer.close()
            await connections_of(server).closed()
    finally:
        await server.stop()


async def test_connections_that_have_not_agreed_count_and_are_told_of(
    folder: Path, tmp_path: Path
) -> None:
    with captured_log() as log:
        server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
        connections_of(server).capacity = Capacity(connections=2)
        at = server.host, server.tls_port
        try:
            async with asyncio.timeout(20):
                waiting = [await asyncio.open_connection(*at) for _ in range(3)]
                assert await waiting[0][0].read() == b"", "the oldest makes way"
                for _, writer in waiting:
                    writer.close()
                await connections_of(server).closed()
                # One that completes takes the place of its own handshake.
                _, idle = await asyncio.open_connection(*at)
                async with associate(peer_of(server, folder), [VERIFICATION]) as association:
                    assert (await association.echo()).command.status == Status.SUCCESS
                idle.close()
        finally:
            await server.stop()
    (refused,) = log.events("association_refused")
    assert refused["limit"] == "Limits.Connections"
    assert log.events("tls_refused") == []


async def test_what_is_changed_on_the_way_ends_the_association(
    folder: Path, tmp_path: Path
) -> None:
    with captured_log() as log:
        server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
        context = peer_of(server, folder).tls
        assert context is not None
        try:
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(server.host, server.tls_port)
                received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = context.wrap_bio(received, sent)
                while True:
                    try:
                        tls.do_handshake()
                    except ssl.SSLWantReadError:
                        writer.write(sent.read())
                        received.write(await reader.read(65536))
                    else:
                        break
                tls.write(b"\x01\x00\x00\x00\x00\x00")
                data = bytearray(sent.read())
                data[-1] ^= 1
                writer.write(data)
                with suppress(ConnectionError):
                    await reader.read()
                writer.close()
                await connections_of(server).closed()
        finally:
            await server.stop()
    (association,) = log.events("association")
    assert association["outcome"] == "connection lost"


async def test_a_server_that_stops_does_not_wait_for_a_handshake(
    folder: Path, tmp_path: Path
) -> None:
    server = await Server(config_of(folder, tmp_path, **absolute(folder))).start()
    async with asyncio.timeout(3):
        _, writer = await asyncio.open_connection(server.host, server.tls_port)
        # Whoever comes behind it is answered: so it is counted.
        async with associate(peer_of(server, folder), [VERIFICATION]) as association:
            await association.echo()
        assert len(connections_of(server)) >= 1
        await server.stop()
    writer.close()
