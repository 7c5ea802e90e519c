from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mwl.doctor import Finding, certificates
from mwl.tls.contexts import Credentials, PemFile, server_context
from mwl.tls.expiry import certificates_in

NOW = datetime.now(UTC)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def write(folder: Path, authority: trustme.CA, **days: int) -> Credentials:
    """Write a certificate, its key and who is trusted."""
    times: dict[str, Any] = {name: NOW + timedelta(days=count) for name, count in days.items()}
    certificate = authority.issue_cert("ct1.example", **times)
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / "certificate.pem", append=number > 0)
    key = folder / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    authority.cert_pem.write_to_path(folder / "trusted.pem")
    return Credentials(
        certificate=PemFile(folder / "certificate.pem", "DicomTlsCertificate"),
        private_key=PemFile(key, "DicomTlsPrivateKey"),
        trusted=PemFile(folder / "trusted.pem", "DicomTlsTrustedCertificates"),
    )


def looked_at(credentials: Credentials) -> list[Finding]:
    return list(certificates.certificates(credentials, server_context, NOW))


def test_sound_files_are_ok_with_the_days_left(tmp_path: Path, authority: trustme.CA) -> None:
    credentials = write(tmp_path, authority, not_after=90)
    findings = looked_at(credentials)
    assert {finding.level for finding in findings} == {"ok"}
    assert "valid for 89 days" in findings[0].found or "valid for 90 days" in findings[0].found


def test_a_certificate_warns_before_it_ends_and_fails_after(
    tmp_path: Path, authority: trustme.CA
) -> None:
    credentials = write(tmp_path, authority, not_after=20)
    found = looked_at(credentials)[0]
    assert (found.level, found.subject.split()[0]) == ("warn", "DicomTlsCertificate")
    credentials = write(tmp_path, authority, not_before=-40, not_after=-1)
    found = looked_at(credentials)[0]
    assert (found.level, found.found.startswith("expired on ")) == ("FAIL", True)


def test_a_certificate_of_tomorrow_fails(tmp_path: Path, authority: trustme.CA) -> None:
    found = looked_at(write(tmp_path, authority, not_before=1, not_after=90))[0]
    assert (found.level, "is not valid before" in found.found) == ("FAIL", True)


def test_a_key_for_all_to_read_is_warned_of(tmp_path: Path, authority: trustme.CA) -> None:
    credentials = write(tmp_path, authority)
    (tmp_path / "key.pem").chmod(0o644)
    (found,) = (one for one in looked_at(credentials) if one.level == "warn")
    assert found.mend.startswith(f"sudo chmod o= {tmp_path / 'key.pem'}")


def test_a_key_of_another_certificate_fails(tmp_path: Path, authority: trustme.CA) -> None:
    credentials = write(tmp_path, authority)
    authority.issue_cert("mr1.example").private_key_pem.write_to_path(tmp_path / "key.pem")
    (found,) = looked_at(credentials)
    assert (found.level, found.subject) == ("FAIL", "DicomTlsPrivateKey")
    assert "the key is not that of" in found.found


@pytest.mark.parametrize("name", ["certificate.pem", "key.pem", "trusted.pem"])
def test_a_file_that_is_missing_or_something_else_fails(
    tmp_path: Path, authority: trustme.CA, name: str
) -> None:
    credentials = write(tmp_path, authority)
    (tmp_path / name).write_text("no PEM", encoding="utf-8")
    assert [found.level for found in looked_at(credentials)] == ["FAIL"]
    (tmp_path / name).unlink()
    (found,) = looked_at(credentials)
    assert (found.level, "No such file" in found.found) == ("FAIL", True)


def test_a_chain_in_order_is_ok_and_another_is_warned_of(tmp_path: Path) -> None:
    root = trustme.CA()
    credentials = write(tmp_path, root.create_child_ca())
    chain = tmp_path / "certificate.pem"
    assert any("a chain of 2" in found.found for found in looked_at(credentials))
    trustme.CA().cert_pem.write_to_path(chain, append=True)
    (found,) = (one for one in looked_at(credentials) if one.level == "warn")
    assert found.found == "of 3 certificates 1 vouch for none before them"


def test_trusted_certificates_that_have_expired_are_told(
    tmp_path: Path, authority: trustme.CA
) -> None:
    credentials = write(tmp_path, authority)
    old = authority.issue_cert("old.example", not_before=NOW - timedelta(9), not_after=NOW)
    trusted = tmp_path / "trusted.pem"
    old.cert_chain_pems[0].write_to_path(trusted, append=True)
    found = looked_at(credentials)[-1]
    assert (found.level, found.found.split(":")[0]) == ("warn", "1 of 2 have expired")
    old.cert_chain_pems[0].write_to_path(trusted)
    assert looked_at(credentials)[-1].level == "FAIL"


def test_names_and_times_are_read_as_they_were_written(
    tmp_path: Path, authority: trustme.CA
) -> None:
    begins, ends = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2051, 6, 7, tzinfo=UTC)
    leaf = authority.issue_cert("ct1.example", not_before=begins, not_after=ends)
    file = tmp_path / "both.pem"
    leaf.cert_chain_pems[0].write_to_path(file)
    authority.cert_pem.write_to_path(file, append=True)
    first, second = certificates_in(file)
    assert (first.not_before, first.not_after) == (begins, ends)
    assert first.issuer == second.subject == second.issuer != first.subject
