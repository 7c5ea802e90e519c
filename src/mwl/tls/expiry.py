"""What certificates say of themselves, from the few fields before their keys.

Source: RFC 5280 section 4.1; X.690 (DER).
"""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_certificate = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says.

    Args:
        issuer: Name of who vouches for it, encoded.
        subject: Name of whom it is for, encoded.
        not_before: From when it is valid.
        not_after: Until when.
    """

    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime


def certificates_in(path: Path) -> list[Certificate]:
    """Give what each certificate of a file says, in the file's order.

    Raises:
        ValueError: One cannot be read.
        OSError: The file cannot be read.
    """
    text = path.read_text("ascii", errors="replace")
    return [read(ssl.PEM_cert_to_DER_cert(pem)) for pem in _certificate.findall(text)]


def ends_in(path: Path) -> list[datetime]:
    """Tell until when each certificate of a file is valid, in the file's order.

    Raises:
        ValueError: One cannot be read.
        OSError: The file cannot be read.
    """
    return [certificate.not_after for certificate in certificates_in(path)]


def not_after(der: bytes) -> datetime:
    """Tell until when a certificate is valid.

    Raises:
        ValueError: The bytes are no certificate.
    """
    return read(der).not_after


def read(der: bytes) -> Certificate:
    """Tell what a certificate says.

    Raises:
        ValueError: The bytes are no certificate.
    """
    try:
        return _read(der)
    except IndexError:
        raise ValueError("a certificate ends before its validity does") from None


def _read(der: bytes) -> Certificate:
    _, start, _ = _field(der, 0)  # Certificate
    _, start, _ = _field(der, start)  # TBSCertificate
    kind, _, end = _field(der, start)
    if kind == _VERSION:
        _, _, end = _field(der, end)  # serialNumber
    _, _, end = _field(der, end)  # signature
    _, issuer, end = _field(der, end)
    issuer_end = end
    kind, start, end = _field(der, end)
    if kind != _SEQUENCE:
        raise ValueError("a certificate has no validity")
    _, subject, subject_end = _field(der, end)
    not_before, start = _time(der, start)
    not_after, _ = _time(der, start)
    return Certificate(der[issuer:issuer_end], der[subject:subject_end], not_before, not_after)


def _time(der: bytes, at: int) -> tuple[datetime, int]:
    """Read a time; give it with where it ends."""
    kind, start, end = _field(der, at)
    text = der[start:end].decode("ascii")
    if kind == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1
        text = ("19" if text >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError("the validity of a certificate ends with no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC), end


def _field(der: bytes, at: int) -> tuple[int, int, int]:
    """Give tag, start and end of the value of a field of DER (X.690 section 8.1)."""
    length, start = der[at + 1], at + 2
    if length & _LONG_FORM:
        size = length & ~_LONG_FORM
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    return der[at], start, start + length
