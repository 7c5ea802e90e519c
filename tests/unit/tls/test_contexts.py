"""What is refused before anybody calls; what is agreed upon is in tests/interop/test_tls.py."""

import ssl
from pathlib import Path

import pytest

from mwl.errors import ConfigError
from mwl.tls.contexts import Credentials, PemFile, client_context, server_context
from support.certificates import Authority, Issued

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("server")


def credentials(folder: Path, issued: Issued = ISSUED, **changes: object) -> Credentials:
    certificate, key = issued.write(folder, "server")
    given: dict[str, object] = {
        "certificate": PemFile(certificate, "DicomTlsCertificate"),
        "private_key": PemFile(key, "DicomTlsPrivateKey"),
        "trusted": PemFile(AUTHORITY.write(folder), "DicomTlsTrustedCertificates"),
        "peer_certificate_required": True,
    }
    return Credentials(**(given | changes))  # type: ignore[arg-type]


def names_of(context: ssl.SSLContext) -> set[str]:
    """Give the cipher suites of TLS 1.2 and before."""
    return {cipher["name"] for cipher in context.get_ciphers()} - {
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
    }


def test_the_default_is_the_profile(tmp_path: Path) -> None:
    for context in (
        server_context(credentials(tmp_path)),
        client_context(credentials(tmp_path)),
        client_context(Credentials()),
    ):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.maximum_version == ssl.TLSVersion.MAXIMUM_SUPPORTED
        assert names_of(context) == {
            f"ECDHE-{key}-AES{size}"
            for key in ("RSA", "ECDSA")
            for size in ("128-GCM-SHA256", "256-GCM-SHA384")
        }


@pytest.mark.parametrize(
    ("least_version", "expected"),
    [
        (0, ssl.TLSVersion.TLSv1_2),
        (1, ssl.TLSVersion.TLSv1),
        (2, ssl.TLSVersion.TLSv1),
        (3, ssl.TLSVersion.TLSv1_1),
        (4, ssl.TLSVersion.TLSv1_2),
        (5, ssl.TLSVersion.TLSv1_3),
    ],
)
def test_the_oldest_version_is_as_orthanc_numbers_it(
    tmp_path: Path, least_version: int, expected: ssl.TLSVersion
) -> None:
    names = ("TLS_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-GCM-SHA256")
    context = server_context(credentials(tmp_path, least_version=least_version, ciphers=names))
    assert context.minimum_version == expected
    assert names_of(context) == {"AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"}


def test_with_suites_of_tls_1_3_alone_nothing_older_is_taken(tmp_path: Path) -> None:
    context = server_context(credentials(tmp_path, ciphers=("TLS_AES_256_GCM_SHA384",)))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    "name",
    ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265", "nonsense", "TLS_DH_anon_WITH_AES_128_CBC_SHA"],
)
def test_a_suite_that_is_not_known_is_named_although_others_are(tmp_path: Path, name: str) -> None:
    names = ("ECDHE-RSA-AES128-GCM-SHA256", name)
    with pytest.raises(ConfigError) as caught:
        server_context(credentials(tmp_path, ciphers=names))
    assert caught.value.option == "DicomTlsCiphersAccepted"
    assert caught.value.message.endswith(f" {name}")


@pytest.mark.parametrize("name", ["ADH-AES256-GCM-SHA384", "aNULL", "ALL:aNULL", "HIGH"])
def test_no_suite_goes_without_certificates(tmp_path: Path, name: str) -> None:
    names = ("ECDHE-RSA-AES128-GCM-SHA256", name)
    try:
        context = server_context(credentials(tmp_path, ciphers=names))
    except ConfigError:
        return
    assert not any(found.startswith(("ADH", "AECDH")) for found in names_of(context))


class TestFiles:
    def refused(self, found: Credentials) -> str:
        with pytest.raises(ConfigError) as caught:
            server_context(found)
        return str(caught.value)

    def test_a_key_that_does_not_fit(self, tmp_path: Path) -> None:
        found = credentials(tmp_path)
        (tmp_path / "server.key").write_bytes(AUTHORITY.issue("other").key_pem())
        assert self.refused(found) == (
            f"DicomTlsPrivateKey: {tmp_path / 'server.key'}: "
            f"the key is not that of {tmp_path / 'server.pem'}"
        )

    def test_a_key_with_a_password(self, tmp_path: Path) -> None:
        found = credentials(tmp_path)
        (tmp_path / "server.key").write_bytes(ISSUED.key_pem(b"secret"))
        assert "server.key: its key has a password" in self.refused(found)

    def test_a_certificate_without_a_key(self, tmp_path: Path) -> None:
        found = credentials(tmp_path, private_key=None)
        assert "DicomTlsCertificate" in self.refused(found)
        assert "the key is missing" in self.refused(found)

    def test_a_certificate_and_its_key_in_one_file(self, tmp_path: Path) -> None:
        found = credentials(tmp_path, private_key=None)
        (tmp_path / "server.pem").write_bytes(ISSUED.key_pem() + ISSUED.pem)
        assert server_context(found).get_ca_certs() != []

    @pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.pem"])
    @pytest.mark.parametrize("content", [b"", b"\xff\x00", None, b"-----BEGIN CERTIFICATE-----\nx"])
    def test_a_file_that_is_none(self, tmp_path: Path, name: str, content: bytes | None) -> None:
        found = credentials(tmp_path)
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        option = {"server.pem": "Certificate", "server.key": "PrivateKey"}
        expected = f"DicomTls{option.get(name, 'TrustedCertificates')}: {tmp_path / name}: "
        assert self.refused(found).startswith(expected)

    def test_the_key_in_place_of_the_certificate(self, tmp_path: Path) -> None:
        found = credentials(tmp_path)
        (tmp_path / "server.pem").write_bytes(ISSUED.key_pem())
        assert self.refused(found).endswith("server.pem: expected is a certificate as PEM")
