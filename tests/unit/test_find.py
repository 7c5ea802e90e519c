"""One query, from identifier to answers, over a store in memory."""

import pytest

from mwl.dataset import TRANSFER_SYNTAXES, encode
from mwl.find import READ_SLICE
from mwl.limits import KEYS, VALUES, WILD_CARDS
from mwl.results import BATCH_BYTES
from mwl.wire.dimse import Status
from support.items import elements, policy, step
from support.telemetry import captured_log
from support.worklist import VARIANT, Site


def scheduled(accession: str, date: str = "20261123", **values: str) -> dict[str, object]:
    return {
        "AccessionNumber": accession,
        "PatientID": f"P{accession}",
        **step(
            ScheduledProcedureStepStartDate=date,
            ScheduledProcedureStepStartTime="0800",
            **{"Modality": "CT", "ScheduledStationAETitle": "CT1", **values},
        ),
    }


def site_with(*accessions: str, limit_answers: int = 0) -> Site:
    site = Site(limit_answers=limit_answers)
    for accession in accessions:
        site.put(f"{accession}.wl", scheduled(accession))
    return site


def test_every_answer_comes_before_success() -> None:
    asked = site_with("1", "2", "3").ask({"PatientID": ""})
    assert len(asked.answers) == 3
    assert asked.outcome.status == Status.SUCCESS
    assert asked.outcome.answers == 3


def test_answers_come_by_date_time_accession_number_and_file_name() -> None:
    site = Site()
    site.put("a.wl", scheduled("3", "20261124"))
    site.put("b.wl", scheduled("2", "20261123"))
    site.put("d.wl", scheduled("1", "20261123"))
    site.put("c.wl", scheduled("1", "20261123"))
    asked = site.ask({"AccessionNumber": ""})
    assert [item.source for item in asked.outcome.matches] == ["c.wl", "d.wl", "b.wl", "a.wl"]


@pytest.mark.parametrize("keys", [{}, step(Modality="CT")])
def test_a_long_answer_is_in_order_and_sorted_with_pauses(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, object]
) -> None:
    monkeypatch.setattr("mwl.results.SORTED_AT_ONCE", 16)
    monkeypatch.setattr("mwl.results.MERGED_AT_ONCE", 8)
    numbers = [f"{number * 77 % 200:03d}" for number in range(200)]
    site = site_with(*numbers)
    site.ask({"PatientID": "nobody"})
    asked = site.ask({"AccessionNumber": "", **keys})
    assert [item.source for item in asked.outcome.matches] == [
        f"{number}.wl" for number in sorted(numbers)
    ]
    assert asked.pauses >= 200 / 8


def test_a_change_between_two_queries_is_seen_by_the_second() -> None:
    site = site_with("1")
    assert site.accessions({}) == ["1"]
    site.put("0.wl", scheduled("0"))
    site.put("2.wl", scheduled("2"))
    assert site.accessions({}) == ["0", "1", "2"]
    site.store.remove("1.wl")
    assert site.accessions({}) == ["0", "2"]
    site.put("2.wl", scheduled("9", "20200101"))
    assert site.accessions({}) == ["9", "0"]


def test_a_change_is_seen_whatever_the_query_and_however_many_changes_there_were() -> None:
    site = site_with("1")
    query = step(Modality="CT")
    assert site.accessions(query) == ["1"]
    for number in range(2, 2000):
        site.put(f"{number}.wl", scheduled(f"{number}", Modality="CT" if number % 2 else "MR"))
    assert len(site.accessions(query)) == 1000
    site.put("1.wl", scheduled("1", Modality="MR"))
    assert len(site.accessions(query)) == 999


def test_a_long_list_of_changes_is_read_with_pauses() -> None:
    site = site_with(*(str(number) for number in range(3 * READ_SLICE)))
    asked = site.ask({"PatientID": ""})
    assert asked.pauses >= 2
    assert len(asked.answers) == 3 * READ_SLICE


def test_many_answers_come_in_batches_of_limited_size() -> None:
    site = site_with(*(str(number) for number in range(500)))
    for number in range(500):
        site.put(f"{number}.wl", {"PatientComments": "x" * 1000})
    asked = site.ask({"PatientComments": ""})
    assert len(asked.answers) == 500
    assert len(asked.batches) >= 500 * 1000 // BATCH_BYTES
    assert max(asked.batches) <= BATCH_BYTES + 1200


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (
            {f"0011,{number:04X} LO": "" for number in range(0x1000, 0x1000 + KEYS.default + 1)},
            f"more than {KEYS.default} keys",
        ),
        (
            {"AccessionNumber": "\\".join(["A"] * (VALUES.default + 2))},
            f"more than {VALUES.default} values",
        ),
        (
            {"AccessionNumber": "\\".join(["A*"] * (WILD_CARDS.default + 1))},
            f"more than {WILD_CARDS.default} wild cards",
        ),
    ],
    ids=["keys", "values", "wild cards"],
)
@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_a_query_that_would_keep_others_waiting_is_refused(
    query: dict[str, str], reason: str, transfer_syntax: str
) -> None:
    identifier = encode(elements(query).values(), transfer_syntax)
    variant = VARIANT._replace(transfer_syntax=transfer_syntax)
    outcome = site_with("1").ask_bytes(identifier, variant=variant).outcome
    assert outcome.status == Status.OUT_OF_RESOURCES
    assert reason in outcome.comment


@pytest.mark.parametrize(
    ("limit", "matches", "answers", "status"),
    [
        (2, 5, 2, Status.CANCEL),
        (5, 5, 5, Status.SUCCESS),
        (6, 5, 5, Status.SUCCESS),
        (0, 5, 5, Status.SUCCESS),
    ],
)
def test_a_limit_of_n_gives_exactly_n_answers(
    limit: int, matches: int, answers: int, status: int
) -> None:
    site = site_with(*map(str, range(matches)), limit_answers=limit)
    asked = site.ask({"PatientID": ""})
    assert (len(asked.answers), asked.outcome.status) == (answers, status)


def test_an_unreadable_store_is_a_failure_and_never_an_empty_list() -> None:
    site = site_with("1")
    assert site.accessions({}) == ["1"]
    site.store.fail("folder /x cannot be read", "Worklist folder cannot be read")
    asked = site.ask({"PatientID": ""})
    assert asked.answers == []
    assert asked.outcome.status == Status.UNABLE_TO_PROCESS
    assert asked.outcome.comment == "Worklist folder cannot be read"
    site.store.recover()
    assert site.accessions({}) == ["1"]


def test_an_illegal_key_is_refused_with_its_tag() -> None:
    asked = site_with("1").ask(step(ScheduledProcedureStepStartDate="tomorrow"))
    assert asked.outcome.status == Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS
    assert asked.outcome.offending[-1] == 0x00400002
    assert asked.outcome.comment
    assert asked.answers == []


def test_an_identifier_that_cannot_be_decoded_is_refused() -> None:
    asked = site_with("1").ask_bytes(b"\x10\x00\x10\x00\xff\xff\x00\x00ABC")
    assert asked.outcome.status == Status.UNABLE_TO_PROCESS
    assert asked.outcome.comment


def test_a_station_is_filled_in_only_when_the_query_leaves_it_open() -> None:
    site = Site(station_rule="fill")
    site.put("1.wl", scheduled("1", ScheduledStationAETitle="CT1"))
    site.put("2.wl", scheduled("2", ScheduledStationAETitle="CT2"))
    assert site.accessions({}, calling="CT2") == ["2"]
    assert site.accessions(step(ScheduledStationAETitle="*"), calling="CT2") == ["2"]
    assert site.accessions(step(ScheduledStationAETitle="CT1"), calling="CT2") == ["1"]


def test_a_forced_station_restricts_what_was_asked() -> None:
    site = Site(station_rule="force")
    site.put("1.wl", scheduled("1", ScheduledStationAETitle="CT1"))
    site.put("2.wl", scheduled("2", ScheduledStationAETitle="CT2"))
    assert site.accessions(step(ScheduledStationAETitle="CT1"), calling="CT2") == []
    assert site.accessions({}, calling="CT2") == ["2"]


def test_a_query_without_an_answer_tells_which_key_excluded_the_most() -> None:
    site = site_with(*map(str, range(10)))
    asked = site.ask(step(Modality="MR", ScheduledStationAETitle="CT1"))
    exclusion = asked.outcome.exclusion
    assert exclusion is not None
    assert exclusion.name == "ScheduledProcedureStepSequence.Modality"
    assert (exclusion.excluded, exclusion.looked_at) == (10, 10)


def test_a_key_without_an_index_is_explained_from_a_sample() -> None:
    site = site_with(*map(str, range(1000)))
    exclusion = site.ask({"RequestedProcedureID": "X"}).outcome.exclusion
    assert exclusion is not None
    assert exclusion.name == "RequestedProcedureID"
    assert exclusion.excluded == exclusion.looked_at < 1000


def test_lost_text_is_told_once() -> None:
    site = Site(policy("orthanc"))
    site.put("1.wl", {**scheduled("1"), "SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ж"})
    with captured_log() as log:
        site.ask({"PatientName": ""})
        site.ask({"PatientName": ""})
    assert [event["characters"] for event in log.events("text_lost")] == [1]


def test_old_forms_of_date_and_time_sort_with_the_others() -> None:
    site = Site()
    for accession, date, time in (
        ("1", "20261123", "08:00"),
        ("2", "2026.11.23", "0900"),
        ("3", "20261123", "10:30:00"),
        ("4", "2026.11.24", "0700"),
    ):
        site.put(
            f"{accession}.wl",
            {
                "AccessionNumber": accession,
                **step(ScheduledProcedureStepStartDate=date, ScheduledProcedureStepStartTime=time),
            },
        )
    assert site.accessions({}) == ["1", "2", "3", "4"]
