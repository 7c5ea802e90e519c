"""Who a certificate is for; the certificates are real, as OpenSSL reads them in a handshake."""

import ipaddress
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mwl.tls.contexts import Credentials, PemFile, client_context, server_context
from mwl.tls.names import meant_by, names_in
from support.certificates import Authority, Issued, Subject
from support.dcmtk import require

CT1: Subject = [("C", "DE"), ("O", "Example"), ("OU", "Radiology"), ("CN", "ct1")]


def shown(folder: Path, authority: Authority, issued: Issued) -> Mapping[str, Any]:
    """Give what a server is told of a client's certificate."""
    certificate, key = issued.write(folder, "peer")
    server_certificate, server_key = authority.issue("server").write(folder, "server")
    trusted = PemFile(authority.write(folder), "T")
    server = server_context(
        Credentials(
            certificate=PemFile(server_certificate, "C"),
            private_key=PemFile(server_key, "K"),
            trusted=trusted,
            peer_certificate_required=True,
        )
    )
    client = client_context(
        Credentials(
            certificate=PemFile(certificate, "C"), private_key=PemFile(key, "K"), trusted=trusted
        )
    )
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    for side in (theirs, ours, theirs, ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    found = ours.getpeercert()
    assert found
    return found


def is_meant(certificate: Mapping[str, Any], name: str) -> bool:
    return not names_in(certificate).isdisjoint(meant_by(name))


@pytest.mark.parametrize(
    "name",
    [
        "ct1",
        "CT1",
        "  ct1 ",
        "ct1.example.org",
        "10.0.0.7",
        "urn:device:ct1",
        "admin@example.org",
        "CN=ct1,OU=Radiology,O=Example,C=DE",
        "C=DE,O=Example,OU=Radiology,CN=ct1",
        "C = DE, O = Example, OU = Radiology, CN = ct1",
        'commonName=ct1, organizationalUnitName="Radiology", o=example, c=de',
    ],
)
def test_a_certificate_is_meant_by_its_names_and_by_its_subject(tmp_path: Path, name: str) -> None:
    authority = Authority()
    issued = authority.issue(
        CT1,
        x509.DNSName("ct1.example.org"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
        x509.UniformResourceIdentifier("urn:device:ct1"),
        x509.RFC822Name("admin@example.org"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])),
    )
    assert is_meant(shown(tmp_path, authority, issued), name)


@pytest.mark.parametrize(
    "name",
    [
        "ct2",
        "ct",
        "ct1,O=Example",
        "CN=ct1",
        "CN=ct1,O=Example",
        "CN=ct1,O=Example,C=DE",
        "CN=ct1,OU=Radiology,O=Example,C=DE,CN=ct1",
        "OU=Radiology",
        "O=Example,OU=Radiology,CN=ct1,C=DE",
        "Radiology",
        "Example",
        "other",
        "<unsupported>",
    ],
)
def test_and_by_no_part_of_them(tmp_path: Path, name: str) -> None:
    authority = Authority()
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    issued = authority.issue(
        CT1,
        x509.DirectoryName(other),
        x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x03ct2"),
    )
    assert not is_meant(shown(tmp_path, authority, issued), name)


@pytest.mark.parametrize(
    "subject",
    [
        [("CN", "ct1,O=Example")],
        [("CN", "CN=ct1,O=Example")],
        [("O", "Example,CN=ct1")],
        [("O", "Example"), ("CN", "ct1\\")],
        [("O", "Example\\,CN=ct1")],
        [("O", 'Example"'), ("CN", '"ct1')],
        [("O", "Example"), ("CN", "ct1"), ("UID", "x")],
        [("O", "Example"), ("CN", "ct1\0.evil.example")],
        [("O", "Example"), ("CN", "\N{FULLWIDTH LATIN SMALL LETTER C}t1")],
    ],
)
def test_a_name_made_to_look_like_another_is_not_it(tmp_path: Path, subject: Subject) -> None:
    authority = Authority()
    certificate = shown(tmp_path, authority, authority.issue(subject))
    assert not is_meant(certificate, "CN=ct1,O=Example")
    assert not is_meant(certificate, "O=Example,CN=ct1")


@pytest.mark.parametrize("alternative", ["CN=ct1,O=Example", "cn = ct1, o = example"])
def test_an_alternative_name_is_no_subject(tmp_path: Path, alternative: str) -> None:
    authority = Authority()
    issued = authority.issue("visitor", x509.UniformResourceIdentifier(alternative))
    assert not is_meant(shown(tmp_path, authority, issued), "CN=ct1,O=Example")


@pytest.mark.parametrize(
    "subject",
    [
        [("commonName", "1.2.3.4=ct1")],
        [("1.2.3.4", "ct1,1.2.3.5=Example")],
        [("1.2.3.4", "ct1\\"), ("1.2.3.5", "Example")],
    ],
)
def test_kinds_that_are_numbers_are_no_way_around_that(subject: list[tuple[str, str]]) -> None:
    found = _certificate(subject)
    for meant in ("1.2.3.4=ct1", "1.2.3.4=ct1,1.2.3.5=Example", "1.2.3.5=Example,1.2.3.4=ct1"):
        assert not is_meant(found, meant)


def test_a_letter_that_only_folds_to_another_is_not_it(tmp_path: Path) -> None:
    authority = Authority()
    issued = authority.issue("\N{KELVIN SIGN}1")
    assert not is_meant(shown(tmp_path, authority, issued), "k1")


@pytest.mark.parametrize("options", [[], ["-nameopt", "RFC2253"], ["-nameopt", "oneline"]])
@pytest.mark.parametrize(
    "subject",
    [
        CT1,
        [("O", "Example, Inc. + Sons"), ("CN", 'the "ct" \\ 1')],
        [("O", "Müller;<Söhne>"), ("CN", "#ct1"), ("emailAddress", "a@example.org")],
    ],
)
def test_a_subject_is_written_as_openssl_prints_it(
    tmp_path: Path, subject: Subject, options: list[str]
) -> None:
    authority = Authority()
    issued = authority.issue(subject)
    certificate = shown(tmp_path, authority, issued)
    printed = subprocess.run(
        [require("openssl"), "x509", "-noout", "-subject", *options, "-in", tmp_path / "peer.pem"],
        capture_output=True,
        check=True,
        encoding="utf-8",
    ).stdout
    assert is_meant(certificate, printed.removeprefix("subject=").strip())


@pytest.mark.parametrize("name", ["", " ", "CN=a,b", "CN=a,,O=b", "CN=a\\", 'CN="a'])
def test_what_is_no_name_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=r"empty|KIND=VALUE"):
        meant_by(name)


_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_values = st.one_of(_texts, st.lists(st.sampled_from(["1.2=", *'CO=,+"\\; '])).map("".join))
_kinds = st.sampled_from(["commonName", "organizationName", "1.2"])
_subjects = st.lists(st.tuples(_kinds, _values))


def _certificate(parts: list[tuple[str, str]]) -> Mapping[str, Any]:
    return {"subject": tuple((part,) for part in parts)}


def _folded(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    fold = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
    return [(k, " ".join(filter(None, v.split(" "))).translate(fold)) for k, v in parts]


@given(_subjects.filter(bool), _subjects)
def test_subjects_are_equal_only_when_their_parts_are(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    starts = ("CN=", "O=", "1.2=")
    (whole,) = (name for name in names_in(_certificate(one)) if name.startswith(starts))
    assert (whole in names_in(_certificate(other))) == (_folded(one) == _folded(other))


@given(_texts)
def test_any_text_means_names_or_is_refused(name: str) -> None:
    try:
        assert meant_by(name)
    except ValueError:
        return
