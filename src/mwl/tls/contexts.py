"""What encrypts: contexts of OpenSSL, made of files with certificates.

Source: DICOM PS3.15 B.12 (the profile of BCP 195: RFC 8996, RFC 9325).
"""

import re
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mwl.errors import ConfigError
from mwl.tls import ciphers

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
        ciphers: Names of cipher suites, of the standard or of OpenSSL; empty for those of the
            profile.
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
    # A session that is taken up again is not verified again. Without tickets it lives in this
    # context alone, and ends when the files are read again and another one takes its place.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
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
    _set_least_version(context, LEAST_VERSIONS[credentials.least_version])
    _set_ciphers(context, credentials)
    if credentials.certificate is not None:
        _load_certificate(context, credentials.certificate, credentials.private_key)
    if credentials.trusted is not None:
        _load_trusted(context, credentials.trusted)
    return context


def _set_least_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():  # the operator asks for an old one, knowing the peer
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 takes old versions with it alone


def _set_ciphers(context: ssl.SSLContext, credentials: Credentials) -> None:
    wanted = credentials.ciphers or ciphers.PROFILE
    # Those of TLS 1.3 cannot be chosen one by one: all are sound.
    older = [name for name in wanted if not ciphers.is_of_tls_1_3(name)]
    if not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    if unknown := [name for name in older if not _is_known(name)]:
        raise ConfigError(
            f"OpenSSL does not know, or does not have, {', '.join(unknown)}",
            option="DicomTlsCiphersAccepted",
            hint="`openssl ciphers -stdname` lists the names",
        )
    # Anonymous suites have no certificates: a peer that must show one would get around it.
    context.set_ciphers(":".join([*map(ciphers.openssl_name, older), "!aNULL"]))


def _is_known(name: str) -> bool:
    if name.startswith(("!", "-", "+", "@")):  # takes away, sorts, or sets a level
        return True
    try:
        one = f"{ciphers.openssl_name(name)}:!aNULL:@SECLEVEL=0"
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(one)
    except ssl.SSLError:
        return False
    return True


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
    # IHE ITI-19: a certificate may also be trusted by itself, without the one that vouches for it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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
