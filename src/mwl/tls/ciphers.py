"""Cipher suites: those of the profile, and their names in the standard and in OpenSSL.

Source: DICOM PS3.15 B.12; the registry "TLS Cipher Suites" of IANA, whose names DCMTK takes, and so
Orthanc; openssl-ciphers(1), whose names OpenSSL takes.
"""

import re

PROFILE = (
    *("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
)
"""Cipher suites of TLS 1.2 in the profile; those of TLS 1.3 are all in it."""

_standard = re.compile(r"(TLS|SSL)_[A-Z0-9_]+_WITH_[A-Z0-9_]+").fullmatch
_tls_1_3 = re.compile(r"TLS_(?!\w*_WITH_)(?:AES|CHACHA20|ARIA|CAMELLIA|SM4)\w+").fullmatch

_CHANGES: tuple[tuple[str, str], ...] = (
    # In this order: what OpenSSL leaves out, or says otherwise
    (r"^(TLS|SSL)_", ""),
    (r"^RSA_WITH_", ""),
    (r"_WITH_", "-"),
    (r"3DES_EDE_CBC", "DES-CBC3"),
    (r"(AES|CAMELLIA|ARIA)_(\d+)", r"\1\2"),
    (r"((?:AES|CAMELLIA)\d+)_CBC", r"\1"),
    (r"CCM_8", "CCM8"),
    (r"(CHACHA20_POLY1305)_SHA256", r"\1"),
    (r"^ECDHE_RSA-ARIA", "ECDHE-ARIA"),
    (r"_", "-"),
)


def openssl_name(name: str) -> str:
    """Give the name of a cipher suite in OpenSSL; what is no standard name as it is.

    Those without certificates (PSK, SRP) are of no use here and not known.
    """
    if _standard(name) is None:
        return name
    for pattern, replacement in _CHANGES:
        name = re.sub(pattern, replacement, name)
    return name


def is_of_tls_1_3(name: str) -> bool:
    """Tell whether a name is that of a cipher suite of TLS 1.3, the same in both."""
    return _tls_1_3(name) is not None
