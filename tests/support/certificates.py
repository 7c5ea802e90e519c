"""Certificates of a hospital that was made up: an authority, a server, scanners.

Sizes and names as real ones have them, all from `cryptography`, so that any of them can be wrong.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
_KINDS = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "UID": NameOID.USER_ID,
}

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)

Subject = Sequence[tuple[str, str]]
"""Parts of a name, in the order of the certificate: the most general first."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate, as it goes over the line."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def key_pem(self, password: bytes | None = None) -> bytes:
        """Give the key, with a password where one is given."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key; give both."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem())
        return certificate, key


class Authority:
    """Who vouches for certificates.

    Args:
        name: Its common name.
    """

    def __init__(self, name: str = "Example CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name([("CN", name)])
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        unsigned = _unsigned(self._name, self._key, NOW, NOW + dt.timedelta(days=3650))
        self.certificate = (
            unsigned.issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, name: str = "ca.pem") -> Path:
        """Write its certificate into a file."""
        file = folder / name
        file.write_bytes(self.pem)
        return file

    def issue(
        self,
        subject: str | Subject,
        *alternative: x509.GeneralName,
        days: float = 365,
        until: dt.datetime | None = None,
    ) -> Issued:
        """Vouch for a certificate.

        Args:
            subject: Its common name, or all parts of its name.
            *alternative: Its alternative names.
            days: How long it is valid from now on; less than none for one that has expired.
            until: When it ends, instead.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [("CN", subject)] if isinstance(subject, str) else subject
        end = NOW + dt.timedelta(days=days) if until is None else until
        unsigned = _unsigned(_name(parts), key, min(NOW, end) - dt.timedelta(days=1), end)
        if alternative:
            names = x509.SubjectAlternativeName(alternative)
            unsigned = unsigned.add_extension(names, critical=False)
        # Strict clients, such as Python from 3.13 on, want to be told whose key signed it.
        signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        unsigned = unsigned.add_extension(signer, critical=False)
        signed = unsigned.issuer_name(self._name).sign(self._key, hashes.SHA256())
        return Issued(signed, key)


def _name(parts: Subject) -> x509.Name:
    return x509.Name([x509.NameAttribute(_KINDS[kind], value) for kind, value in parts])


def _unsigned(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, begin: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
