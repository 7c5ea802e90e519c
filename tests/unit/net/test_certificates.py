"""Certificates that follow their files, and warn of their end."""

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from mwl.errors import ConfigError
from mwl.net import certificates as module
from mwl.net.certificates import WARN_DAYS, Certificates, Watch
from mwl.tls.contexts import Credentials, PemFile, server_context
from support.certificates import Authority, Issued
from support.telemetry import captured_log

AUTHORITY = Authority()


def following(folder: Path, issued: Issued) -> Certificates:
    certificate, key = issued.write(folder, "server")
    credentials = Credentials(
        certificate=PemFile(certificate, "DicomTlsCertificate"),
        private_key=PemFile(key, "DicomTlsPrivateKey"),
        trusted=PemFile(AUTHORITY.write(folder), "DicomTlsTrustedCertificates"),
    )
    return Certificates(partial(server_context, credentials), credentials.files)


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server"))
    context = found.context
    assert not found.refresh()
    assert found.context is context


def test_files_that_changed_are_in_force(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server"))
    context = found.context
    AUTHORITY.issue("server").write(tmp_path, "server")
    assert found.refresh()
    assert found.context is not context
    assert not found.refresh()


def test_a_new_certificate_whose_key_comes_later_waits_for_it(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server"))
    context, renewed = found.context, AUTHORITY.issue("server")
    (tmp_path / "server.pem").write_bytes(renewed.pem)
    with pytest.raises(ConfigError, match="the key is not that of"):
        found.refresh()
    assert found.context is context
    assert not found.refresh()  # told once
    (tmp_path / "server.key").write_bytes(renewed.key_pem())
    assert found.refresh()
    assert found.context is not context


def test_a_file_that_becomes_readable_is_read(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server"))
    key = tmp_path / "server.key"
    content = key.read_bytes()
    key.write_bytes(b"x" * len(content))
    unusable = key.stat()
    with pytest.raises(ConfigError):
        found.refresh()
    key.write_bytes(content)
    # As after a change of its owner: what tells of the content is as it was.
    os.utime(key, ns=(unusable.st_atime_ns, unusable.st_mtime_ns))
    assert found.refresh()


def test_a_link_to_another_folder_is_followed(tmp_path: Path) -> None:
    # How certbot and Kubernetes renew.
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        AUTHORITY.issue("server").write(tmp_path / name, "server")
    (tmp_path / "live").symlink_to("1")
    certificate, key = (tmp_path / "live" / name for name in ("server.pem", "server.key"))
    credentials = Credentials(certificate=PemFile(certificate, "C"), private_key=PemFile(key, "K"))
    found = Certificates(partial(server_context, credentials), credentials.files)
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(tmp_path / "live")
    assert found.refresh()


async def test_a_watch_reads_what_changed_and_tells_what_cannot_be_used(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server"))
    watch = Watch(asyncio.get_running_loop(), [found])
    with captured_log() as log:
        assert watch.refresh() == []
        assert log.events() == []
        (tmp_path / "ca.pem").write_bytes(b"")
        (error,) = watch.refresh()
        assert error.option == "DicomTlsTrustedCertificates"
        (kept,) = log.events("certificates_kept")
        assert kept["level"] == "error"
        assert "ca.pem: expected are certificates as PEM" in kept["error"]
        AUTHORITY.write(tmp_path)
        assert watch.refresh() == []
        assert len(log.events("certificates_loaded")) == 1


async def test_a_watch_looks_again_and_again_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.001)
    looked = asyncio.Event()

    class Looked(Certificates):
        def refresh(self) -> bool:
            looked.set()
            raise ConfigError("x")

    found = following(tmp_path, AUTHORITY.issue("server"))
    watch = Watch(asyncio.get_running_loop(), [Looked(lambda: found.context, found.files)])
    watch.start()
    async with asyncio.timeout(5):
        for _ in range(3):
            await looked.wait()
            looked.clear()
    watch.stop()


@pytest.mark.parametrize(
    ("days", "warns"), [(WARN_DAYS + 1, False), (WARN_DAYS - 1, True), (-1, True)]
)
async def test_a_certificate_near_its_end_is_warned_of_once_a_day(
    tmp_path: Path, days: float, warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = following(tmp_path, AUTHORITY.issue("server", days=days))
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    watch = Watch(loop, [found])
    with captured_log() as log:
        watch.start()
        watch.refresh()
        warnings = log.events("certificate_expires")
        assert len(warnings) == warns
        if warns:
            assert (warnings[0]["option"], warnings[0]["level"]) == (
                "DicomTlsCertificate",
                "warning",
            )
            assert warnings[0]["days"] == pytest.approx(days, abs=0.1)
        now += module.WARN_EVERY_S
        watch.refresh()
        assert len(log.events("certificate_expires")) == 2 * warns
        AUTHORITY.issue("server").write(tmp_path, "server")
        watch.refresh()
        now += module.WARN_EVERY_S
        watch.refresh()
        assert len(log.events("certificate_expires")) == 2 * warns
    watch.stop()


async def test_the_days_left_are_those_of_what_ends_first(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server", days=100))
    trusted = AUTHORITY.pem + AUTHORITY.issue("a", days=50).pem + AUTHORITY.issue("b", days=60).pem
    (tmp_path / "ca.pem").write_bytes(trusted)
    watch = Watch(asyncio.get_running_loop(), [found])
    assert watch.refresh() == []
    assert watch.days_left() == {
        "DicomTlsCertificate": pytest.approx(100, abs=0.1),
        "DicomTlsTrustedCertificates": pytest.approx(50, abs=0.1),
    }


async def test_the_days_left_are_those_of_what_is_in_force(tmp_path: Path) -> None:
    found = following(tmp_path, AUTHORITY.issue("server", days=5))
    watch = Watch(asyncio.get_running_loop(), [found])
    (tmp_path / "server.pem").write_bytes(AUTHORITY.issue("server").pem)  # its key is to come
    assert len(watch.refresh()) == 1
    assert watch.days_left()["DicomTlsCertificate"] == pytest.approx(5, abs=0.1)
