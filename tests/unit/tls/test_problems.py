import ssl

import pytest

from mwl.tls.problems import problem_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "the handshake took too long"),
        (ConnectionAbortedError(), "the handshake took too long"),
        (ConnectionResetError(), "it went away during the handshake"),
        (OSError("x"), "it went away during the handshake"),
        (ssl.SSLEOFError(8, "x"), "it went away during the handshake"),
        (RuntimeError("words"), "words"),
    ],
)
def test_every_error_has_words(error: Exception, reason: str) -> None:
    assert problem_of(error).reason == reason


def test_what_openssl_says_and_nobody_foresaw_is_passed_on() -> None:
    error = ssl.SSLError(1, "x")
    assert problem_of(error).reason.startswith("the handshake failed: ")
    error.reason = "SOME_NEW_REASON"
    assert problem_of(error).reason == "the handshake failed: some new reason"


def test_a_certificate_that_is_not_trusted_for_another_reason_has_no_hint() -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code, error.verify_message = 7, "certificate signature failure"
    assert problem_of(error) == (
        "its certificate is not trusted: certificate signature failure",
        None,
    )
