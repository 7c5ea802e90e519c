import io
import json
import re
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mwl import telemetry
from mwl.telemetry import (
    COUNTS,
    EVENTS,
    WITHOUT_TEXT,
    Level,
    configure,
    emit,
    enabled,
    error_text,
    lines,
    write_together,
)
from support.telemetry import captured_log

NOW_NS = 1_795_000_000_123_456_789


@pytest.fixture(autouse=True)
def _default_afterwards() -> Iterator[None]:
    yield
    configure()


def text_line(event: str, **fields: Any) -> str:
    stream = io.StringIO()
    configure("trace", "text", stream, time_ns=lambda: NOW_NS)
    emit(event, **fields)
    return stream.getvalue()


def json_line(event: str, **fields: Any) -> Any:
    stream = io.StringIO()
    configure("trace", "json", stream, time_ns=lambda: NOW_NS)
    emit(event, **fields)
    assert stream.getvalue().count("\n") == 1
    return json.loads(stream.getvalue())


def test_a_text_line_has_time_level_event_and_fields_in_their_order() -> None:
    line = text_line("query", calling_ae_title="CT1", host="127.0.0.1", answers=2)
    assert line == (
        "2026-11-18T11:06:40.123Z INFO    query calling_ae_title=CT1 host=127.0.0.1 answers=2\n"
    )


def test_a_json_line_is_one_object_with_timestamp_level_and_event_first() -> None:
    line = json_line("file_skipped", source="a.wl", offset=12)
    assert list(line.items()) == [
        ("timestamp", "2026-11-18T11:06:40.123Z"),
        ("level", "warning"),
        ("event", "file_skipped"),
        ("source", "a.wl"),
        ("offset", 12),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("CT1", "CT1"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "ah"', '"say \\"ah\\""'),
        ("a=b", '"a=b"'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines", '"two\\nlines"'),
        ("bell\x07 \x1b[31m", '"bell\\u0007 \\u001b[31m"'),
        ("next\x85line\u2028", '"next\\u0085line\\u2028"'),
        ("\u202eright to left", '"\\u202eright to left"'),
        ("half \ud800", '"half \\ud800"'),
        ("Müller^Jürgen", "Müller^Jürgen"),
        ("山田", "山田"),
        ("{}", '"{}"'),
        (7, "7"),
        (-1.5, "-1.500"),
        (True, "true"),
        (False, "false"),
        (Level.DEBUG, "10"),
        (["a.wl", "b.wl"], "a.wl,b.wl"),
        (("one two", "b"), '"one two,b"'),
        ([], '""'),
        (b"\x01\xff", "01ff"),
        ({"0008,0050": "*"}, '{"0008,0050": "*"}'),
        ({"a": "b\n"}, '{"a": "b\\n"}'),
        ({"a": "\u2028"}, '{"a": "\\u2028"}'),
        (ValueError("bad\nvalue"), '"ValueError: bad\\nvalue"'),
        ({1, 2}, '"[1, 2]"'),
    ],
)
def test_a_text_value_is_bare_quoted_or_escaped(value: object, text: str) -> None:
    assert text_line("query", value=value).endswith(f" query value={text}\n")


def test_a_field_that_is_none_is_left_out() -> None:
    assert text_line("query", a=None, b=1).endswith("query b=1\n")
    assert "a" not in json_line("query", a=None, b=1)


def test_json_keeps_types_and_text_and_rounds_to_three_decimals() -> None:
    line = json_line("query", a=["x"], b=True, c=1.23456, d="é\u2028\n", e=ValueError("no"), f={1})
    assert [line[name] for name in "abcdef"] == [
        ["x"],
        True,
        1.235,
        "é\u2028\n",
        "ValueError: no",
        [1],
    ]


def test_a_forged_line_stays_inside_its_value() -> None:
    forged = "CT1\n2026-01-01T00:00:00.000Z ERROR   stopped reason=forged"
    line = text_line("query", calling_ae_title=forged)
    assert line.count("\n") == 1
    assert re.fullmatch(r'\S+ INFO    query calling_ae_title="[^"]*"\n', line)


def test_a_long_text_is_written_whole_and_not_remembered() -> None:
    held = lines._quotes
    held.clear()
    for number in range(lines.QUOTES_KEPT + 5):
        long = f"{number} " + "x" * lines.QUOTES_KEPT_LENGTH
        assert text_line("query", value=long).endswith(f' value="{long}"\n')
        assert text_line("query", value=f"short {number}").endswith(f' value="short {number}"\n')
    assert 0 < len(held) <= lines.QUOTES_KEPT
    assert max(map(len, held)) <= lines.QUOTES_KEPT_LENGTH


@pytest.mark.parametrize(
    ("verbosity", "least"),
    [("default", Level.INFO), ("verbose", Level.DEBUG), ("trace", Level.TRACE)],
)
def test_the_verbosity_decides_which_levels_are_written(
    verbosity: telemetry.Verbosity, least: Level
) -> None:
    with captured_log(verbosity) as log:
        for event in EVENTS:
            emit(event)
    written = {event["event"] for event in log.events()}
    assert written == {name for name, row in EVENTS.items() if row.level >= least}


def test_enabled_tells_what_would_be_written() -> None:
    configure("verbose")
    assert enabled("query_identifier")
    assert not enabled("pdu")


def test_every_event_is_counted_also_below_the_level() -> None:
    configure("default", stream=io.StringIO())
    before = COUNTS.copy()
    emit("pdu")
    emit("query")
    emit("query")
    assert COUNTS["pdu"] == before["pdu"] + 1
    assert COUNTS["query"] == before["query"] + 2


def test_an_event_that_is_not_in_the_table_is_a_bug() -> None:
    with pytest.raises(KeyError):
        emit("no_such_event")
    with pytest.raises(KeyError):
        enabled("no_such_event")
    assert "no_such_event" not in COUNTS


def test_an_internal_error_comes_with_its_traceback_on_one_line() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    try:
        int("broken")
    except ValueError as error:
        emit("internal_error", error=error)
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert 'error="ValueError: invalid literal' in line
    assert "test_telemetry.py" in line


def test_an_internal_error_comes_without_what_it_says_where_that_is_hidden() -> None:
    stream = io.StringIO()
    configure(stream=stream, hides_error_texts=True)
    try:
        try:
            dict[str, str]()["QXNAME"]
        except KeyError:
            int("QXID" * 2)
    except ValueError as error:
        emit("internal_error", error=error)
    line = stream.getvalue()
    assert f'error="ValueError ({WITHOUT_TEXT})"' in line
    traceback = line.partition(" traceback=")[2]
    assert traceback.index("KeyError\\n") < traceback.index("ValueError\\n")
    assert "QXIDQXID" not in line
    assert line.count("QXNAME") == 1  # the line of the program, not the text of its error
    assert error_text(ValueError("said")) == f"ValueError ({WITHOUT_TEXT})"
    configure()
    assert error_text(ValueError("said")) == "ValueError: said"


def test_lines_go_to_the_standard_error_of_now_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure()
    emit("stopped")
    assert capsys.readouterr().err.endswith(" INFO    stopped\n")


class _Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_or_a_closed_stream_loses_the_line_and_nothing_else() -> None:
    before = COUNTS["stopped"]
    closed = io.StringIO()
    closed.close()
    for stream in (_Full(), closed):
        configure(stream=stream)
        emit("stopped")
    assert COUNTS["stopped"] == before + 2


def test_the_first_line_after_lost_ones_tells_how_many_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = _Full()
    configure(stream=stream, time_ns=lambda: NOW_NS)
    for _ in range(3):
        emit("stopped")
    monkeypatch.setattr(_Full, "write", io.StringIO.write)
    emit("stopped")
    emit("stopped")
    told, *others = stream.getvalue().splitlines()
    assert told.endswith('WARNING log_interrupted lines=3 reason="No space left on device"')
    assert len(others) == 2


def test_a_line_that_was_torn_does_not_spoil_the_next(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        configure(stream=stream, time_ns=lambda: NOW_NS)
        emit("stopped")
        length = (tmp_path / "log").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (length + 10, limits[1]))
        try:
            emit("stopped")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        emit("stopping")
    whole, torn, told, last = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert whole.startswith(torn)
    assert "log_interrupted lines=1" in told
    assert last.endswith("stopping")


class _Pieces(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, text: str, /) -> int:
        self.calls.append(text)
        return len(text)

    def flush(self) -> None:
        self.calls.append("flush")


def test_a_line_is_written_whole_and_flushed() -> None:
    stream = _Pieces()
    configure(stream=stream)
    emit("stopped")
    line, flush = stream.calls
    assert line.endswith("stopped\n")
    assert flush == "flush"


def test_the_time_moves_on() -> None:
    stream = io.StringIO()
    times = iter([999_000_000, 1_000_000_000, 61_000_000_000])
    configure(stream=stream, time_ns=lambda: next(times))
    for _ in range(3):
        emit("stopped")
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:01:01.000Z",
    ]


def test_lines_that_come_close_together_are_written_in_one_go() -> None:
    stream = _Pieces()
    soon: list[Callable[[], None]] = []
    configure(stream=stream)
    write_together(soon.append)
    emit("stopping")
    emit("stopped")
    assert stream.calls == []
    assert len(soon) == 1
    soon.pop()()
    lines, flush = stream.calls
    assert [line.split()[2] for line in lines.splitlines()] == ["stopping", "stopped"]
    assert flush == "flush"
    emit("stopped")
    write_together(None)
    assert len(stream.calls) == 4
    soon.pop()()
    assert len(stream.calls) == 4
