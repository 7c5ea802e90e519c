"""What docs/howto/tls.md says beside its commands."""

import json
import re
import ssl
from pathlib import Path

from mwl.tls.contexts import Credentials, client_context
from mwl.tls.problems import Problem, problem_of

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "tls.md").read_text("utf-8")
_REASONS = (
    *("WRONG_VERSION_NUMBER", "PEER_DID_NOT_RETURN_A_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA"),
    *("UNSUPPORTED_PROTOCOL", "NO_SHARED_CIPHER"),
)
_UNTRUSTED = {
    # openssl/x509_vfy.h
    20: "unable to get local issuer certificate",
    10: "certificate has expired",
    26: "unsuitable certificate purpose",
}


def _problems() -> set[Problem]:
    found = {problem_of(TimeoutError())}
    for reason in _REASONS:
        error = ssl.SSLError(1, reason)
        error.reason = reason
        found.add(problem_of(error))
    for code, message in _UNTRUSTED.items():
        untrusted = ssl.SSLCertVerificationError(1, "x")
        untrusted.verify_code, untrusted.verify_message = code, message
        found.add(problem_of(untrusted))
    return found


def test_the_reasons_and_hints_are_those_of_the_log() -> None:
    rows = re.findall(r"^\| (its? .*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    rows += re.findall(r"^\| (the handshake .*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert set(rows) == {(problem.reason, problem.hint) for problem in _problems()}


def test_the_example_for_old_scanners_can_be_used() -> None:
    (text,) = re.findall(r"```json\n(\{\s+\"DicomTlsMinimum.*?)```", PAGE, re.DOTALL)
    options = json.loads(text)
    context = client_context(
        Credentials(
            least_version=options["DicomTlsMinimumProtocolVersion"],
            ciphers=tuple(options["DicomTlsCiphersAccepted"]),
        )
    )
    assert context.minimum_version == ssl.TLSVersion.TLSv1
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert {"ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA"} <= names
