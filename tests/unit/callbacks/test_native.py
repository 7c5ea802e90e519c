"""Hooks of mwl's own."""

import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from mwl import hook
from mwl.callbacks import SWITCH_INTERVAL_S, native, runner
from mwl.callbacks.runner import LEFT_BEHIND_LIMIT
from mwl.errors import ConfigError
from support.callbacks import TIME_LIMIT_S, callbacks_of, site_of
from support.items import Values, step
from support.telemetry import captured_log
from support.worklist import Asked, Site

HEAD = "from mwl import hook\n"
TIMEOUT_S = 20.0


def fill(site: Site) -> Site:
    for number, modality in enumerate(("CT", "MR", "US"), 1):
        site.put(
            f"{number}.wl",
            {
                "AccessionNumber": f"A{number}",
                "PatientID": f"P{number}",
                "PatientName": "MÜLLER^ANNA",
                **step(Modality=modality, ScheduledStationAETitle=f"{modality}1"),
            },
        )
    return site


def ask(folder: Path, hooks: str, query: Values, **given: Any) -> Asked:
    with site_of(folder, hooks=HEAD + hooks, **given) as site:
        return fill(site).ask({"AccessionNumber": "", **query})


def accessions(asked: Asked) -> list[str]:
    return [bytes(answer[0x00080050].value).decode().strip() for answer in asked.answers]  # type: ignore[arg-type]


BOTH = pytest.mark.parametrize("kind", ["def", "async def"])


@BOTH
def test_a_query_hook_rewrites_what_matches_and_what_comes_back(tmp_path: Path, kind: str) -> None:
    hooks = f"""
@hook.query
{kind} rewrite(query, origin):
    query["ScheduledProcedureStepSequence[0].ScheduledStationAETitle"] = origin.calling_ae_title
    del query["PatientID"]
    return query
"""
    asked = ask(tmp_path, hooks, {"PatientID": "P9"})
    assert accessions(asked) == ["A1"]
    assert set(asked.answers[0]) == {0x00080050, 0x00400100}


def test_a_query_hook_that_gives_none_leaves_the_query_as_it_was(tmp_path: Path) -> None:
    hooks = """
@hook.query
def look(query, origin):
    query["PatientID"] = "P9"
"""
    assert accessions(ask(tmp_path, hooks, {"PatientID": "P2"})) == ["A2"]


def test_query_hooks_come_one_after_the_other_and_lua_first(tmp_path: Path) -> None:
    lua = "function IncomingWorklistRequestFilter(q) q['0010,0020'] = 'a' return q end"
    hooks = """
@hook.query
def first(query, origin):
    query["PatientID"] += "b"
    return query

@hook.query
def second(query, origin):
    raise hook.Refuse(query["PatientID"] + "c")
"""
    outcome = ask(tmp_path, hooks, {"PatientID": ""}, lua=lua).outcome
    assert (outcome.status, outcome.comment) == (0xC001, "abc")


@BOTH
def test_a_hook_refuses_with_its_reason_and_nothing_is_logged_as_a_failure(
    tmp_path: Path, kind: str
) -> None:
    hooks = f"""
@hook.query
{kind} refuse(query, origin):
    raise hook.Refuse(f"{{origin.calling_ae_title}} is for\\n research, " + "x" * 100)
"""
    with captured_log() as log:
        outcome = ask(tmp_path, hooks, {}).outcome
    assert outcome.status == 0xC001
    assert outcome.comment.startswith("CT1 is for research, xxx")
    assert len(outcome.comment) == 64
    assert log.events() == []


@BOTH
def test_candidates_are_matched_and_sorted_among_those_of_the_folder(
    tmp_path: Path, kind: str
) -> None:
    hooks = f"""
@hook.candidates
{kind} ris(query, origin):
    return [
        hook.Dataset.of({{
            "AccessionNumber": f"A{{number}}",
            "PatientName": "ÇELIK^ŞULE",
            "ScheduledProcedureStepSequence[0].Modality": modality,
        }})
        for number, modality in ((0, "CT"), (4, "MR"))
    ]
"""
    query = {"PatientName": "", **step(Modality="MR")}
    asked = ask(tmp_path, hooks, query)
    assert accessions(asked) == ["A2", "A4"]
    assert asked.answers[1][0x00100010].value == "ÇELIK^ŞULE".encode()
    assert asked.outcome.looked_at == 3
    assert accessions(ask(tmp_path, hooks, {})) == ["A0", "A1", "A2", "A3", "A4"]


@BOTH
def test_candidates_may_be_dicom_files_and_come_from_a_generator(tmp_path: Path, kind: str) -> None:
    hooks = f"""
@hook.candidates
{kind} ris(query, origin):
    yield hook.Dataset.of({{"AccessionNumber": "A0"}}).encode()
"""
    assert accessions(ask(tmp_path, hooks, {"AccessionNumber": "A0"})) == ["A0"]


def test_the_limit_of_answers_counts_candidates_too(tmp_path: Path) -> None:
    hooks = """
@hook.candidates
def ris(query, origin):
    return [hook.Dataset.of({"AccessionNumber": f"B{n}"}) for n in range(30)]
"""
    asked = ask(tmp_path, hooks, {}, rules={"limit_answers": 31})
    assert (len(asked.answers), asked.outcome.status) == (31, 0xFE00)
    assert asked.outcome.detail == "LimitAnswers 31 of 33 matches"
    assert len(asked.batches) == 4


@BOTH
def test_an_answer_hook_edits_each_answer(tmp_path: Path, kind: str) -> None:
    hooks = f"""
@hook.answer
{kind} edit(answer, origin):
    if answer["AccessionNumber"] == "A2":
        return None
    answer["PatientName"] = answer["PatientName"] + "^Ł"
    answer["PatientComments"] = f"for {{origin.called_ae_title}}"
    return answer
"""
    asked = ask(tmp_path, hooks, {"PatientName": ""})
    names = [bytes(answer[0x00100010].value).strip() for answer in asked.answers]  # type: ignore[arg-type]
    assert names == [
        "MÜLLER^ANNA^Ł".encode(),
        "MÜLLER^ANNA".encode("latin-1"),
        "MÜLLER^ANNA^Ł".encode(),
    ]
    assert asked.answers[0][0x00080005].value == b"ISO_IR 192"
    assert asked.answers[0][0x00104000].value == b"for MWL "


def test_answer_hooks_edit_what_a_script_answers(tmp_path: Path) -> None:
    hooks = """
@hook.answer
def edit(answer, origin):
    answer["AccessionNumber"] = "EDITED"
    return answer
"""
    python = """
import orthanc
orthanc.RegisterWorklistCallback(lambda answers, query, *_: answers.WorklistAddAnswer(
    query, orthanc.CreateDicom('{"PatientID": "S"}')))
"""
    assert accessions(ask(tmp_path, hooks, {}, python=python)) == ["EDITED"]


FAILURES = [
    ("query", "    return 5", "TypeError: a hook gave int, expected is Dataset or None"),
    ("query", "    query['PatientNam'] = 'x'", "did you mean PatientName"),
    ("query", "    query['PatientID'] = 5", "expected is text"),
    ("query", "    raise KeyError('x')", "KeyError"),
    ("candidates", "    return [5]", "TypeError: a hook gave int, expected is Dataset or bytes"),
    ("candidates", "    return 5", "TypeError"),
    ("candidates", "    return [b'nonsense']", "DatasetError"),
    ("answer", "    return 'x'", "TypeError"),
    ("answer", "    raise SystemExit", "SystemExit"),
]


@pytest.mark.parametrize(("kind", "body", "words"), FAILURES)
@pytest.mark.parametrize("how", ["", "async "])
def test_a_hook_that_fails_fails_the_query_and_is_in_the_log(
    tmp_path: Path, kind: str, body: str, words: str, how: str
) -> None:
    if how and "SystemExit" in words:
        pytest.skip("asyncio lets it end the loop")
    hooks = f"@hook.{kind}\n{how}def broken(query, origin):\n{body}\n"
    with captured_log() as log:
        outcome = ask(tmp_path, hooks, {}).outcome
    assert outcome.status == 0xC000
    event = log.events("callback_failed")[0]
    assert (event["callback"], event["script"]) == ("broken", str(tmp_path / "site_hooks.py"))
    assert words in event["error"]
    if "raise" in body or "['" in body:
        assert event["line"] == 4


@pytest.mark.parametrize("how", ["", "async "])
def test_a_hook_that_hangs_fails_the_query_and_the_next_is_answered(
    tmp_path: Path, how: str
) -> None:
    wait = (
        "    import asyncio\n    await asyncio.Event().wait()"
        if how
        else ("    while True:\n        pass")
    )
    hooks = f"""
@hook.query
{how}def hang(query, origin):
    if query["PatientID"] == "P1":
        return query
{wait}
"""
    with (
        captured_log() as log,
        site_of(tmp_path, hooks=HEAD + hooks, timeout_s=TIME_LIMIT_S) as site,
    ):
        fill(site)
        outcome = site.ask({"PatientID": "P2"}).outcome
        assert (outcome.status, outcome.comment) == (0xC002, "A callback took longer than 0.5 s")
        assert site.accessions({"PatientID": "P1"}) == ["A1"]
    (event,) = log.events("callback_failed")
    assert event["line"] in {7, 8}
    assert "took longer than" in event["error"]


def test_events_of_items_are_told_but_not_those_that_were_there_at_the_start(
    tmp_path: Path,
) -> None:
    hooks = """
import threading
events = []
told = threading.Condition()

@hook.event
def note(event):
    with told:
        events.append(event)
        told.notify_all()
"""
    with site_of(tmp_path, hooks=HEAD + hooks) as site:
        noted = vars(sys.modules["mwl_hooks_site_hooks"])
        fill(site).ask({})
        site.put("new.wl", {"PatientID": "NEW"})
        site.ask({})
        site.store.remove("1.wl")
        site.ask({})
        with noted["told"]:
            assert noted["told"].wait_for(lambda: len(noted["events"]) == 2, TIMEOUT_S)
        put, removed = noted["events"]
    assert (put.kind, put.source, put.items[0]["PatientID"]) == ("put", "new.wl", "NEW")
    assert removed == hook.ItemEvent("removed", "1.wl", ())


def test_event_hooks_that_fail_or_hang_hold_up_no_query(tmp_path: Path) -> None:
    hooks = """
import threading
opened = threading.Event()

@hook.event
def hang(event):
    opened.wait()

@hook.event
async def fail(event):
    raise ValueError
"""
    with captured_log(), site_of(tmp_path, hooks=HEAD + hooks) as site:
        opened = vars(sys.modules["mwl_hooks_site_hooks"])["opened"]
        try:
            fill(site).ask({})
            site.put("new.wl", {"AccessionNumber": "NEW"})
            assert "NEW" in site.accessions({})
        finally:
            opened.set()


@pytest.mark.parametrize("how", ["", "async "])
def test_event_hooks_that_hang_for_ever_end_no_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.05)
    monkeypatch.setattr("mwl.callbacks.coroutines.GRACE_S", 0.05)
    hooks = f"""
import threading
opened = threading.Event()

@hook.event
{how}def hang(event):
    opened.wait()

@hook.query
{how}def leave(query, origin):
    return query
"""
    event = hook.ItemEvent("removed", "a.wl", ())
    with captured_log() as log, site_of(tmp_path, hooks=HEAD + hooks, timeout_s=0.2) as site:
        opened = vars(sys.modules["mwl_hooks_site_hooks"])["opened"]
        callbacks = site.worklist.callbacks
        assert callbacks is not None
        written = threading.Condition()

        def write(line: Callable[[], None]) -> None:
            with written:
                line()
                written.notify_all()

        callbacks.started(write)
        try:
            for _ in range(8):
                callbacks.tell(event)
            with written:
                assert written.wait_for(
                    lambda: len(log.events("callback_event_lost")) == 8, TIMEOUT_S
                )
            behind = len(log.events("callback_left_behind"))
            assert behind == (1 if how else LEFT_BEHIND_LIMIT)
            assert accessions(fill(site).ask({"AccessionNumber": ""})) == ["A1", "A2", "A3"]
        finally:
            opened.set()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = = 1\n", 1, "is no Python"),
        ("\nint('x')\n", 2, "ValueError"),
        ("x = 1\n", None, "has no hook"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_an_error(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as caught, callbacks_of(tmp_path, hooks=text):
        pass
    assert caught.value.line == line
    assert words in str(caught.value)
    assert caught.value.option == "Hooks"


def entry_points(*names: str) -> Any:
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{name}", native.ENTRY_POINTS) for name in names
    )
    return points.select


@hook.query
def our_entry_point(query: hook.Dataset, origin: hook.Origin) -> hook.Dataset:
    query["PatientID"] = "P3"
    assert origin.host
    return query


def test_hooks_come_from_entry_points_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[our_entry_point.__module__])
    monkeypatch.setattr("importlib.metadata.entry_points", entry_points("our_entry_point"))
    hooks = native.load(["our_entry_point"])
    assert [each.name for each in hooks["query"]] == ["our_entry_point"]
    with pytest.raises(ConfigError, match="there are: our_entry_point"):
        native.load(["another"])


def test_an_endless_list_of_candidates_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "CANDIDATES_LIMIT", 10)
    hooks = """
import itertools

@hook.candidates
def ris(query, origin):
    return (hook.Dataset.of({"AccessionNumber": str(n)}) for n in itertools.count())
"""
    assert ask(tmp_path, hooks, {}).outcome.status == 0xC000


def test_threads_give_way_soon_while_the_server_runs(tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    with callbacks_of(tmp_path, hooks=f"{HEAD}@hook.event\ndef note(event):\n    pass\n") as loaded:
        loaded.started(lambda function: function())
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_no_thread_is_left_when_all_is_closed(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    hooks = "@hook.query\ndef nothing(query, origin):\n    pass\n"
    assert ask(tmp_path, hooks, {}).outcome.status == 0
    left = {thread.name for thread in threading.enumerate()} - before
    assert left <= {"callback clock"}
