"""What a value may be."""

import pytest

from mwl.compose.values import encoded, fault, in_dicom_form
from mwl.dataset import ENCODINGS, TEXT_VRS, tag_of

TEXT = 0x00104000


@pytest.mark.parametrize(
    ("vr", "written", "meant"),
    [
        ("DA", "2026-11-24", "20261124"),
        ("DA", "20261124", "20261124"),
        ("DA", "24.11.2026", "24.11.2026"),
        ("TM", "08:30", "083000"),
        ("TM", "8:30:15", "083015"),
        ("TM", "08:30:15.25", "083015.25"),
        ("TM", "0830", "0830"),
        ("DT", "2026-11-24T08:30", "20261124083000"),
        ("DT", "2026-11-24 08:30:15+01:00", "20261124083015+0100"),
        ("DT", "2026-11-24T08:30:15.5Z", "20261124083015.5+0000"),
        ("LO", "2026-11-24", "2026-11-24"),
        ("DA", "2026-11-24\\20261125", "20261124\\20261125"),
    ],
)
def test_dates_and_times_may_be_written_as_people_do(vr: str, written: str, meant: str) -> None:
    assert in_dicom_form(written, vr) == meant


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("AE", "SIXTEEN LETTERS!"),
        ("AS", "018M"),
        ("CS", "HEAD_2 X"),
        ("DA", "20240229"),
        ("DS", "-1.5E-3"),
        ("DS", " 72.5 "),
        ("DT", "2026"),
        ("DT", "20261124083000.123456+0100"),
        ("DT", "202611-0500"),
        ("DT", "20261124083000-1200"),
        ("DT", "20261124083000+1400"),
        ("IS", "-2147483648"),
        ("LO", "ä" * 64),
        ("LT", "line\r\nline\ttab" + "x" * 1000),
        ("PN", "=".join(["Y" * 64] * 3)),
        ("PN", "a^b^c^d^e"),
        ("SH", "0123456789abcdef"),
        ("TM", "235960.999999"),
        ("TM", "08"),
        ("UI", "1.2.840.0.1"),
        ("UR", "http://example.org/?a=b"),
        ("UC", "x" * 70000),
        ("US", "65535"),
        ("FD", "1.5"),
        ("CS", ""),
    ],
)
def test_what_the_standard_allows_is_taken(vr: str, value: str) -> None:
    assert fault(TEXT, vr, value) is None


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("AE", "SEVENTEEN LETTERS"),
        ("AE", "   "),
        ("AE", "CT\u00c4"),
        ("AS", "18Y"),
        ("CS", "ct"),
        ("CS", "C-T"),
        ("DA", "20260230"),
        ("DA", "00000101"),
        ("DA", "2026112"),
        ("DA", "20261124-"),
        ("DA", "٢٠٢٦١١٢٤"),
        ("DS", "1,5"),
        ("DS", "1e999"),
        ("DS", "NaN"),
        ("DT", "20261324"),
        ("DT", "2026112425"),
        ("DT", "2026.5"),
        ("DT", "20261124083000+9999"),
        ("DT", "20261124083000+1401"),
        ("DT", "20261124083000-1201"),
        ("DT", "20261124083000+0160"),
        ("DT", "20261124083000-0000"),
        ("IS", "2147483648"),
        ("IS", "1.5"),
        ("LO", "x" * 65),
        ("LO", "a\nb"),
        ("LO", "a\x1b[0m"),
        ("LT", "a\x00b"),
        ("PN", "Y" * 65),
        ("PN", "a=b=c=d"),
        ("PN", "a^b^c^d^e^f"),
        ("SH", "x" * 17),
        ("TM", "2400"),
        ("TM", "08:30"),
        ("TM", "08301"),
        ("TM", "083000."),
        ("UI", "1.02.3"),
        ("UI", "1..2"),
        ("UI", "1." * 32 + "1"),
        ("UR", "not an address"),
        ("US", "1_0"),
        ("OB", "00"),
        ("SQ", "x"),
    ],
)
def test_what_the_standard_does_not_allow_is_told(vr: str, value: str) -> None:
    assert fault(TEXT, vr, value)


@pytest.mark.parametrize(
    ("keyword", "value", "wrong"),
    [
        ("PatientID", "1\\2", True),
        ("ScheduledStationAETitle", "CT1\\CT2", False),
        ("PatientComments", "a\\b", False),
        ("Allergies", "a\\b\\c", False),
    ],
)
def test_as_many_values_are_taken_as_the_attribute_may_have(
    keyword: str, value: str, wrong: bool
) -> None:
    tag = tag_of(keyword)
    assert tag is not None
    vr = {"PatientID": "LO", "ScheduledStationAETitle": "AE", "PatientComments": "LT"}.get(
        keyword, "LO"
    )
    assert bool(fault(tag, vr, value)) is wrong


def test_every_text_vr_has_a_rule() -> None:
    assert all(fault(TEXT, vr, "") is None for vr in TEXT_VRS)


def test_a_value_that_16_bits_cannot_say_the_length_of_is_refused() -> None:
    many = "\\".join(["ä" * 64] * 600)
    assert fault(tag_of("Allergies") or 0, "LO", many) is None
    with pytest.raises(ValueError, match="65534 can be written"):
        encoded(many, "LO", ENCODINGS["Utf8"])


@pytest.mark.parametrize(("value", "vr"), [("70000", "US"), ("1e300", "FL"), ("9" * 400, "UL")])
def test_a_number_that_is_too_large_is_refused(value: str, vr: str) -> None:
    with pytest.raises(ValueError, match="not a number of the attribute's size"):
        encoded(value, vr, ENCODINGS["Ascii"])
