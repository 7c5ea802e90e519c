"""Until when certificates are valid, from the few fields before that.

Source: RFC 5280 section 4.1; X.690 (DER).
"""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

_certificate = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_LONG_FORM = 0x80


def ends_in(path: Path) -> list[datetime]:
    """Tell until when each certificate of a file is valid, in the file's order.

    Raises:
        ValueError: One cannot be read.
        OSError: The file cannot be read.
    """
    text = path.read_text("ascii", errors="replace")
    return [not_after(ssl.PEM_cert_to_DER_cert(pem)) for pem in _certificate.findall(text)]


def not_after(der: bytes) -> datetime:
    """Tell until when a certificate is valid.

    Raises:
        ValueError: The bytes are no certificate.
    """
    try:
        kind, start, end = _end_of_validity(der)
    except IndexError:
        raise ValueError("a certificate ends before its validity does") from None
    text = der[start:end].decode("ascii")
    if kind == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1
        text = ("19" if text >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError("the validity of a certificate ends with no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _end_of_validity(der: bytes) -> tuple[int, int, int]:
    _, start, _ = _field(der, 0)  # Certificate
    _, start, _ = _field(der, start)  # TBSCertificate
    kind, _, end = _field(der, start)
    if kind == _VERSION:
        _, _, end = _field(der, end)  # serialNumber
    for _ in ("signature", "issuer"):
        _, _, end = _field(der, end)
    kind, start, _ = _field(der, end)
    if kind != _SEQUENCE:
        raise ValueError("a certificate has no validity")
    _, _, end = _field(der, start)  # notBefore
    return _field(der, end)


def _field(der: bytes, at: int) -> tuple[int, int, int]:
    """Give tag, start and end of the value of a field of DER (X.690 section 8.1)."""
    length, start = der[at + 1], at + 2
    if length & _LONG_FORM:
        size = length & ~_LONG_FORM
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    return der[at], start, start + length
