"""What the log shows with `DeidentifyLogs` is in a closed list."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl import attributes
from mwl.access import AccessPolicy, Caller, KnownCaller
from mwl.dataset import keywords, tag_of
from mwl.net.harmless import DAYS_AHEAD, DAYS_BACK, HIDDEN, OTHER_DAY, Harmless

TODAY = date(2026, 12, 1)
SITE = Harmless(frozenset({"ORTHANC", "CT1", "MR 1"}), TODAY.toordinal())

STATION = attributes.SCHEDULED_STATION_AE_TITLE
DATE = attributes.SCHEDULED_PROCEDURE_STEP_START_DATE
TIME = attributes.SCHEDULED_PROCEDURE_STEP_START_TIME


def shown(tag: int, text: str) -> str:
    return SITE.shown(tag, text.split("\\"))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        *[(tag, text) for tag in (attributes.PATIENT_NAME, DATE, STATION) for text in ("", "*")],
        (attributes.MODALITY, "CT"),
        (attributes.MODALITY, "ct"),  # the usual trap
        (attributes.MODALITY, "CT\\MR\\"),
        (attributes.SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
        (attributes.SPECIFIC_CHARACTER_SET, "\\ISO 2022 IR 87"),
        (STATION, "CT1"),
        (STATION, "MR 1\\ORTHANC"),
        (DATE, "20261201"),
        (DATE, "20261101-20261231"),
        (DATE, "20261201-"),
        (DATE, "-20261201"),
        (DATE, "20261201 - 20261202\\20261205"),
        (TIME, "0800"),
        (TIME, "080000-115959"),
        (TIME, "000000.000000-235959.999999"),
        (TIME, "-1200"),
    ],
)
def test_what_cannot_be_a_patients_is_shown(tag: int, text: str) -> None:
    assert shown(tag, text) == text


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (attributes.PATIENT_NAME, "DOE*"),
        (attributes.PATIENT_BIRTH_DATE, "20261201"),
        (attributes.STUDY_DATE, "20261201"),
        (attributes.MODALITY, "DOE"),
        (attributes.MODALITY, "CT\\DOE^JANE"),
        (attributes.MODALITY, "MA"),  # a family name, and a term that is retired
        (attributes.MODALITY, "u\u017f"),  # a long s, whose capital is an S
        (attributes.MODALITY, "D*"),
        (attributes.SPECIFIC_CHARACTER_SET, "ISO_IR 4711"),
        (STATION, "DOE^JANE"),
        (STATION, "CT2"),
        (STATION, "CT*"),
        (DATE, "4711"),
        (DATE, "2026"),
        (DATE, "20261301"),
        (DATE, "DOE"),
        (DATE, "20261201-DOE"),
        (DATE, "20261201-20261202-20261203"),
        (DATE, "-"),
        (TIME, "085607"),
        (TIME, "4711"),
        (TIME, "08"),
        (TIME, "0800-0830"),
        (TIME, "\u0660\u0668\u0660\u0660"),
        (TIME, "-"),
    ],
)
def test_what_may_be_a_patients_is_hidden(tag: int, text: str) -> None:
    assert shown(tag, text) == HIDDEN


@pytest.mark.parametrize("text", ["19310509", "20261030", "20271203", "20000101-", "-20991231"])
def test_another_day_is_told_to_be_one_and_not_shown(text: str) -> None:
    assert shown(DATE, text) == OTHER_DAY


def test_the_days_shown_are_those_around_today() -> None:
    days = [date.fromordinal(TODAY.toordinal() + each) for each in range(-400, 401)]
    near = [day for day in days if shown(DATE, f"{day:%Y%m%d}") != OTHER_DAY]
    assert near[0].toordinal() == TODAY.toordinal() - DAYS_BACK
    assert near[-1].toordinal() == TODAY.toordinal() + DAYS_AHEAD
    assert len(near) == DAYS_BACK + 1 + DAYS_AHEAD


def test_no_digits_but_those_of_days_and_hours_are_shown() -> None:
    numbers = [f"{number:0{width}}" for width in (1, 2, 3, 4) for number in range(10**width)]
    assert [text for text in numbers if shown(DATE, text) == text] == []
    clocks = [
        f"{number // 3600:02}{number // 60 % 60:02}{number % 60:02}" for number in range(86400)
    ]
    times = [text for text in numbers + clocks if shown(TIME, text) == text]
    ends = ("00", "59", "0000", "5900", "5959")
    assert sorted(times) == sorted(f"{hour:02}{end}" for hour in range(24) for end in ends)


TABLE = {attributes.SPECIFIC_CHARACTER_SET, attributes.MODALITY, STATION, DATE, TIME}
OTHERS = sorted({tag for word in keywords() if (tag := tag_of(word)) is not None} - TABLE)


@given(st.sampled_from(OTHERS), st.lists(st.text(max_size=64), min_size=1, max_size=3))
def test_of_no_other_attribute_anything_is_shown(tag: int, texts: list[str]) -> None:
    asks = any(text.strip(" \0*") or len(text.strip(" \0")) > 1 for text in texts)
    assert SITE.shown(tag, texts) == HIDDEN or not asks


def test_stations_are_those_of_the_site_and_of_the_association() -> None:
    access = AccessPolicy(ae_title="OURS", modalities=(KnownCaller("ct", " CT1 ", "192.0.2.1"),))
    found = Harmless.of(access, Caller("US7", "THEIRS", "192.0.2.2"))
    assert found.titles == {"OURS", "CT1", "US7", "THEIRS"}
    assert abs(found.today - datetime.now(UTC).toordinal()) <= 1
