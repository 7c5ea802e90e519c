"""TLS: contexts made of files with certificates, and what certificates and handshakes say.

Source: DICOM PS3.15 B.12 (the profile of BCP 195: RFC 8996, RFC 9325); RFC 5280 (certificates).
"""

import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mwl.errors import ConfigError

PROFILE_CIPHERS = (
    *("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
)
"""Cipher suites of TLS 1.2 in the profile; those of TLS 1.3 are all in it."""

LEAST_VERSIONS: Mapping[int, ssl.TLSVersion] = MappingProxyType(
    {
        0: ssl.TLSVersion.TLSv1_2,
        1: ssl.TLSVersion.TLSv1,  # SSL 3 has left OpenSSL; what is above it is meant, too
        2: ssl.TLSVersion.TLSv1,
        3: ssl.TLSVersion.TLSv1_1,
        4: ssl.TLSVersion.TLSv1_2,
        5: ssl.TLSVersion.TLSv1_3,
    }
)
"""Values of `DicomTlsMinimumProtocolVersion`."""


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file with certificates or a key.

    Args:
        path: Where it is.
        option: What the operator calls it.
    """

    path: Path
    option: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are over TLS, and whom we believe.

    Args:
        certificate: Our certificate, those that vouch for it behind it; None without.
        private_key: Its key; None when it is in the same file.
        trusted: Certificates that vouch for peers; None believes anybody.
        peer_certificate_required: Whether a peer without a certificate is refused.
        least_version: A key of `LEAST_VERSIONS`.
        ciphers: Names of cipher suites as OpenSSL writes them; empty for `PROFILE_CIPHERS`.
    """

    certificate: PemFile | None = None
    private_key: PemFile | None = None
    trusted: PemFile | None = None
    peer_certificate_required: bool = False
    least_version: int = 0
    ciphers: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[PemFile, ...]:
        """All files it names."""
        every = (self.certificate, self.private_key, self.trusted)
        return tuple(file for file in every if file is not None)


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """Make what a server encrypts with.

    Raises:
        ConfigError: A file cannot be used, or no cipher suite is known.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
    # A session that is taken up again shows no certificate: one that is not trusted any more
    # would stay good.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if credentials.trusted is not None:
        required = credentials.peer_certificate_required
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def client_context(credentials: Credentials, *, check_name: bool = False) -> ssl.SSLContext:
    """Make what a client encrypts with.

    Args:
        credentials: Without `trusted` any server is believed.
        check_name: Whether the certificate has to be for the name that is called. Certificates
            of DICOM servers are seldom for names: IHE ITI-19 asks for none.

    Raises:
        ConfigError: A file cannot be used, or no cipher suite is known.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credentials)
    context.check_hostname = check_name and credentials.trusted is not None
    if credentials.trusted is None:
        context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    with _telling_of_versions():
        context.minimum_version = LEAST_VERSIONS[credentials.least_version]
    _set_ciphers(context, credentials.ciphers or PROFILE_CIPHERS)
    if credentials.certificate is not None:
        _load_certificate(context, credentials.certificate, credentials.private_key)
    if credentials.trusted is not None:
        _load_trusted(context, credentials.trusted)
    return context


@contextlib.contextmanager
def _telling_of_versions() -> Iterator[None]:
    """Let old versions be asked for: the operator did, knowing the peer."""
    import warnings  # noqa: PLC0415 - of no use elsewhere

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _set_ciphers(context: ssl.SSLContext, names: Sequence[str]) -> None:
    # Those of TLS 1.3 have names of their own and cannot be chosen: all three are sound.
    older = [name for name in names if not name.startswith("TLS_")]
    if not older:
        return
    try:
        context.set_ciphers(":".join(older))
    except ssl.SSLError:
        raise ConfigError(
            f"OpenSSL knows none of {', '.join(older)}",
            option="DicomTlsCiphersAccepted",
            hint="`openssl ciphers` lists the names",
        ) from None


def _load_certificate(
    context: ssl.SSLContext, certificate: PemFile, private_key: PemFile | None
) -> None:
    for file in filter(None, (certificate, private_key)):
        _require(file)
    key = private_key or certificate
    try:
        context.load_cert_chain(certificate.path, key.path, password=_refuse_password)
    except _PasswordError:
        raise _unusable(key, "its key has a password, and nobody is there to give it") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _unusable(key, f"the key is not that of {certificate.path}") from None
        if not _holds(certificate.path, "CERTIFICATE"):
            raise _unusable(certificate, "expected is a certificate as PEM") from None
        if not _holds(key.path, "PRIVATE KEY"):
            raise _unusable(key, _no_key(private_key)) from None
        raise _unusable(certificate, f"OpenSSL refuses it: {_said(error)}") from None


def _no_key(private_key: PemFile | None) -> str:
    if private_key is None:
        return "expected is a certificate and its private key as PEM, and the key is missing"
    return "expected is a private key as PEM"


def _load_trusted(context: ssl.SSLContext, trusted: PemFile) -> None:
    _require(trusted)
    try:
        context.load_verify_locations(trusted.path)
    except ssl.SSLError:
        raise _unusable(trusted, "expected are certificates as PEM") from None


class _PasswordError(Exception):
    """A key wants a password."""


def _refuse_password() -> str:
    raise _PasswordError


def _require(file: PemFile) -> None:
    try:
        file.path.read_bytes()
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from None


def _unusable(file: PemFile, reason: str) -> ConfigError:
    return ConfigError(f"{file.path}: {reason}", option=file.option)


def _holds(path: Path, kind: str) -> bool:
    # "PRIVATE KEY" stands alone or behind its kind, as in "RSA PRIVATE KEY".
    return (
        re.search(rb"-----BEGIN [A-Z ]*?" + kind.encode() + rb"-----", path.read_bytes())
        is not None
    )


def _said(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def names_in(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Give the names by which a certificate may be meant, in lower case.

    They are its common names, its alternative names, and its whole subject, as `openssl x509
    -nameopt RFC2253` writes it but for escapes: `CN=ct1,O=Example`.

    Args:
        certificate: What `ssl.SSLSocket.getpeercert` gives.
    """
    parts = [part for relative in certificate.get("subject", ()) for part in relative]
    names = {value for key, value in parts if key == "commonName"}
    names |= {value for _, value in certificate.get("subjectAltName", ())}
    names.add(",".join(f"{_SHORT.get(key, key)}={value}" for key, value in reversed(parts)))
    return frozenset(name.casefold() for name in names if name)


_SHORT: Mapping[str, str] = MappingProxyType(
    {
        # RFC 4514 section 3
        "commonName": "CN",
        "countryName": "C",
        "domainComponent": "DC",
        "localityName": "L",
        "organizationName": "O",
        "organizationalUnitName": "OU",
        "stateOrProvinceName": "ST",
        "streetAddress": "STREET",
        "userId": "UID",
    }
)

_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME = 0x17
_LONG_FORM = 0x80


def expires_at(path: Path) -> datetime:
    """Tell until when the first certificate of a file is valid.

    Raises:
        ValueError: The file holds none.
        OSError: It cannot be read.
    """
    text = path.read_text("ascii", errors="replace")
    begin, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if begin < 0 or end < begin:
        raise ValueError(f"{path} holds no certificate")
    der = ssl.PEM_cert_to_DER_cert(text[begin : end + len(ssl.PEM_FOOTER)])
    return _not_after(der)


def _not_after(der: bytes) -> datetime:
    """Read the end of the validity, RFC 5280 section 4.1, from the few fields before it."""
    _, start, _ = _field(der, 0)  # Certificate
    _, start, _ = _field(der, start)  # TBSCertificate
    kind, _, end = _field(der, start)
    if kind == _VERSION:
        _, _, end = _field(der, end)  # serialNumber
    for _ in ("signature", "issuer"):
        _, _, end = _field(der, end)
    _, start, _ = _field(der, end)  # validity
    _, _, end = _field(der, start)  # notBefore
    kind, start, end = _field(der, end)
    text = der[start:end].decode("ascii")
    if kind == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _field(der: bytes, at: int) -> tuple[int, int, int]:
    """Give tag, start and end of the value of a field of DER (X.690 section 8.1)."""
    length, start = der[at + 1], at + 2
    if length & _LONG_FORM:
        size = length & ~_LONG_FORM
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    return der[at], start, start + length


_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "HTTP_REQUEST": "it speaks HTTP, not TLS",
        "NO_SHARED_CIPHER": "it offers no cipher suite that is accepted here",
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
        "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired for it",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
        "SSLV3_ALERT_HANDSHAKE_FAILURE": "it accepts neither our versions nor our cipher suites, "
        "or it asks for a certificate",
        "TLSV1_ALERT_PROTOCOL_VERSION": "it wants another version of TLS",
        "TLSV1_ALERT_UNKNOWN_CA": "it does not trust our certificate",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate",
        "UNSUPPORTED_PROTOCOL": "its version of TLS is older than accepted here",
        "VERSION_TOO_LOW": "its version of TLS is older than accepted here",
        "WRONG_VERSION_NUMBER": "it does not speak TLS",
    }
)


def problem_of(error: Exception) -> str:
    """Say in words why a handshake failed, of the peer as "it"."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return _REASONS.get(error.reason or "", f"the handshake failed: {error.reason}")
        case TimeoutError() | ConnectionAbortedError():
            return "the handshake took too long"
        case OSError():
            return "it went away during the handshake"
        case _:
            return str(error)
