"""Why a handshake failed, in words."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Problem(NamedTuple):
    """Why a handshake failed.

    Args:
        reason: What happened, of the peer as "it".
        hint: What to do about it where the peer is a caller; None where nobody knows.
    """

    reason: str
    hint: str | None = None


_NO_TLS = "let it speak TLS, or let it call the port without"
_NOT_OURS = "give it the certificates that vouch for DicomTlsCertificate"
_OLD = "let it speak TLS 1.2 or later; DicomTlsMinimumProtocolVersion lets older ones in"
_CIPHERS = "DicomTlsCiphersAccepted lets others in"

_PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        # OpenSSL's names of what it found itself, and of alerts from the peer
        "BAD_KEY_SHARE": Problem("it sends a broken key"),
        "HTTP_REQUEST": Problem("it speaks HTTP, not TLS"),
        "HTTPS_PROXY_REQUEST": Problem("it speaks HTTP, not TLS"),
        "NO_SHARED_CIPHER": Problem("it offers no cipher suite that is accepted here", _CIPHERS),
        "NO_SHARED_SIGNATURE_ALGORITHMS": Problem(
            "it takes no signature that our certificate can give"
        ),
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": Problem(
            "it shows no certificate",
            "give it one, or set DicomTlsRemoteCertificateRequired to false",
        ),
        "RECORD_LAYER_FAILURE": Problem("it does not speak TLS", _NO_TLS),
        "SSLV3_ALERT_BAD_CERTIFICATE": Problem("it does not accept our certificate", _NOT_OURS),
        "SSLV3_ALERT_CERTIFICATE_EXPIRED": Problem(
            "our certificate has expired for it", "renew it, or set its clock"
        ),
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Problem("it does not accept our certificate", _NOT_OURS),
        "SSLV3_ALERT_HANDSHAKE_FAILURE": Problem(
            "it accepts neither our versions nor our cipher suites, or it asks for a certificate",
            _CIPHERS,
        ),
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": Problem(
            "our certificate is of a kind that it does not accept"
        ),
        "TLSV1_ALERT_DECRYPT_ERROR": Problem("it could not verify our key or our certificate"),
        "TLSV1_ALERT_PROTOCOL_VERSION": Problem("it wants another version of TLS", _OLD),
        "TLSV1_ALERT_UNKNOWN_CA": Problem("it does not trust our certificate", _NOT_OURS),
        "TLSV13_ALERT_CERTIFICATE_REQUIRED": Problem(
            "it asks for a certificate: show one with --tls-cert, or DicomTlsCertificate"
        ),
        "UNEXPECTED_EOF_WHILE_READING": Problem("it went away during the handshake"),
        "UNKNOWN_PROTOCOL": Problem("it does not speak TLS", _NO_TLS),
        "UNSUPPORTED_PROTOCOL": Problem("its version of TLS is older than accepted here", _OLD),
        "VERSION_TOO_LOW": Problem("its version of TLS is older than accepted here", _OLD),
        "WRONG_SSL_VERSION": Problem("it does not speak TLS", _NO_TLS),
        "WRONG_VERSION_NUMBER": Problem("it does not speak TLS", _NO_TLS),
    }
)

_NOT_VOUCHED_FOR = "add the certificate that vouches for it to DicomTlsTrustedCertificates"
_VERIFICATION_HINTS: Mapping[int, str] = MappingProxyType(
    {
        # X509_V_ERR_... of openssl/x509_vfy.h
        2: _NOT_VOUCHED_FOR,
        9: "see whether the clocks are right, there and here",
        10: "renew it, or see whether the clocks are right, there and here",
        18: _NOT_VOUCHED_FOR,
        19: _NOT_VOUCHED_FOR,
        20: _NOT_VOUCHED_FOR,
        21: _NOT_VOUCHED_FOR,
        26: "give it a certificate whose extended key usage allows clients",
    }
)


def problem_of(error: Exception) -> Problem:
    """Say in words why a handshake failed."""
    match error:
        case ssl.SSLCertVerificationError():
            return Problem(
                f"its certificate is not trusted: {error.verify_message}",
                _VERIFICATION_HINTS.get(error.verify_code),
            )
        case ssl.SSLEOFError():
            return _PROBLEMS["UNEXPECTED_EOF_WHILE_READING"]
        case ssl.SSLError():
            reason: str = getattr(error, "reason", None) or str(error)
            said = reason.replace("_", " ").lower()
            return _PROBLEMS.get(reason, Problem(f"the handshake failed: {said}"))
        case TimeoutError() | ConnectionAbortedError():
            return Problem("the handshake took too long", "see whether it speaks TLS on this port")
        case OSError():
            return _PROBLEMS["UNEXPECTED_EOF_WHILE_READING"]
        case _:
            return Problem(str(error))
