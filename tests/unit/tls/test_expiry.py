"""Until when certificates are valid: as OpenSSL says it, and never a crash."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.tls.expiry import ends_in, not_after
from support.certificates import NOW, Authority
from support.dcmtk import require

AUTHORITY = Authority()
DER = AUTHORITY.issue("ct1").der


@pytest.mark.parametrize(
    "end",
    [
        dt.datetime(1999, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
        dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC),  # the last that is a UTCTime
        dt.datetime(2050, 1, 1, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC),  # never, RFC 5280 section 4.1.2.5
    ],
)
def test_the_end_is_what_openssl_says(tmp_path: Path, end: dt.datetime) -> None:
    file, _ = AUTHORITY.issue("ct1", until=end).write(tmp_path, "ct1")
    assert ends_in(file) == [end]
    command = [require("openssl"), "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"]
    printed = subprocess.run(
        [*command, file], capture_output=True, check=True, encoding="ascii"
    ).stdout
    assert printed == f"notAfter={end:%Y-%m-%d %H:%M:%S}Z\n"


def test_all_certificates_of_a_file_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    issued = [AUTHORITY.issue("a", days=2), AUTHORITY.issue("b", days=-2)]
    file.write_bytes(b"words before\n" + issued[0].key_pem() + issued[0].pem + issued[1].pem)
    assert ends_in(file) == [NOW + dt.timedelta(days=2), NOW - dt.timedelta(days=2)]


def test_a_file_with_a_key_alone_has_none(tmp_path: Path) -> None:
    _, key = AUTHORITY.issue("a").write(tmp_path, "a")
    assert ends_in(key) == []


@given(st.integers(0, len(DER)))
def test_a_certificate_that_is_cut_off_is_no_crash(length: int) -> None:
    try:
        not_after(DER[:length])
    except ValueError:
        return
    assert not_after(DER[:length]) == not_after(DER)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_certificate_with_a_wrong_byte_is_no_crash(place: int, byte: int) -> None:
    try:
        not_after(DER[:place] + bytes([byte]) + DER[place + 1 :])
    except ValueError:
        return


@given(st.binary(max_size=200))
def test_bytes_are_no_crash(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - in whichever words
        not_after(data)
