"""Cipher suites by both their names, as the OpenSSL of this machine lists them."""

import re
import subprocess

import pytest

from mwl.tls.ciphers import PROFILE, is_of_tls_1_3, openssl_name
from support.dcmtk import require


def listed() -> list[tuple[str, str]]:
    """Give the standard's name and OpenSSL's of every suite that needs a certificate."""
    command = [require("openssl"), "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:!aNULL:@SECLEVEL=0"]
    printed = subprocess.run(command, capture_output=True, check=True, encoding="ascii").stdout
    rows = re.findall(r"^(\S+)\s+- (\S+) .* Au=(\S+)", printed, re.MULTILINE)
    return [(name, ours) for name, ours, keys in rows if keys not in {"PSK", "SRP", "RSAPSK"}]


def test_every_suite_is_known_by_its_standard_name() -> None:
    suites = [(name, ours) for name, ours in listed() if "PSK" not in name and "SRP" not in name]
    assert len(suites) > 40
    for name, ours in suites:
        if is_of_tls_1_3(name):
            assert name == ours
        else:
            assert openssl_name(name) == ours
            assert openssl_name(ours) == ours


def test_the_profile_has_the_four_suites_of_the_standard() -> None:
    # PS3.15 B.12, by way of RFC 9325 section 4.2
    assert {
        f"TLS_ECDHE_{key}_WITH_AES_{bits}_GCM_SHA{digest}"
        for key in ("RSA", "ECDSA")
        for bits, digest in ((128, 256), (256, 384))
    } == {name for name, ours in listed() if ours in PROFILE}


@pytest.mark.parametrize(
    "name", ["HIGH", "@SECLEVEL=1", "!RC4", "tls", "TLS_", "_WITH_", "nonsense"]
)
def test_what_is_no_standard_name_stays(name: str) -> None:
    assert openssl_name(name) == name
    assert not is_of_tls_1_3(name)
