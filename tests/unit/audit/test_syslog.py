"""Audit messages as syslog carries them."""

from hypothesis import given
from hypothesis import strategies as st

from mwl.audit import syslog
from mwl.audit.syslog import NOTICE, WARNING, Sender, framed, message
from support.audit import taken_apart

SENDER = Sender("worklist.example", "mwl", "4711")


def test_a_message_has_the_header_of_the_profile() -> None:
    text = "<é/>".encode()
    made = message(SENDER, 1_796_068_800_123_456_789, NOTICE, text)
    assert made == (
        b"<85>1 2026-11-30T20:00:00.123Z worklist.example mwl 4711 DICOM+RFC3881 - "
        b"\xef\xbb\xbf<\xc3\xa9/>"
    )
    assert taken_apart(message(SENDER, 0, WARNING, text)).priority == 84


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_name_of_a_machine_fits_into_the_header(host: str, application: str) -> None:
    made = taken_apart(message(Sender(host, application, ""), 0, NOTICE, b"<x/>"))
    assert (made.process, made.message_id, made.xml) == ("-", syslog.MESSAGE_ID, b"<x/>")


def test_over_tls_a_message_has_its_length_before_it() -> None:
    assert framed("é".encode()) == b"2 \xc3\xa9"
