"""Log events: one line each, as text or JSON, and a count of every one.

`EVENTS` names all events with their level; `emit` counts an event and, when the level is on,
writes one whole line. A line carries facts as fields, and nothing that a peer sends can forge a
second line or a second field. What the fields of an event are is decided where it is emitted;
whether they may hold patient data is decided there too (`DeidentifyLogs`).
"""

import functools
import json
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import starmap
from types import MappingProxyType, NoneType
from typing import Any, Literal, NamedTuple, TextIO

from mwl.limits import LIMITS, Exceeded
from mwl.log_sink import LogFile, Output, output_under
from mwl.text import UNSAFE, escape

Verbosity = Literal["none", "default", "verbose", "trace"]
Format = Literal["text", "json"]


class Level(IntEnum):
    """How much an event matters; the higher, the more."""

    TRACE = 5
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    NONE = 50


VERBOSITY: Mapping[str, Level] = MappingProxyType(
    {"none": Level.NONE, "default": Level.INFO, "verbose": Level.DEBUG, "trace": Level.TRACE}
)
"""The least level that is written: that of a server with and without `--verbose` or `--trace`, and
that of a command that reports in its own way."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of `EVENTS`.

    Args:
        level: Level at which the event is written.
        help: When it happens and what its fields say; a sentence for the reference page.
    """

    level: Level
    help: str


EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "listening": Event(
            Level.INFO,
            "The server accepts associations: AE title, host, port, folder.",
        ),
        "stopping": Event(
            Level.INFO,
            "The server was told to stop: no new association, the open ones may finish.",
        ),
        "reloaded": Event(
            Level.INFO,
            "The configuration was read again and is in force: the options that changed.",
        ),
        "restart_needed": Event(
            Level.WARNING,
            "Options changed in the configuration that a running server keeps: they count when it "
            "is started again.",
        ),
        "reload_failed": Event(
            Level.ERROR,
            "The configuration was read again and cannot be used: the one before stays in force, "
            "all of it. What is wrong, with file and line, and how many more errors there are.",
        ),
        "stopped": Event(Level.INFO, "The server has ended."),
        "association": Event(
            Level.INFO,
            "An association ended: who called whom, from which host and port, how it ended "
            "(`outcome`), how many queries it carried and how long it lasted.",
        ),
        "association_refused": Event(
            Level.WARNING,
            "An association or an operation was refused: `reason`, and in `hint` what to write "
            "into the configuration to let this caller in.",
        ),
        "user_identified": Event(
            Level.INFO,
            "An association is that of a registered user (`DicomUserIdentity`): who called and the "
            "name of the user.",
        ),
        "user_refused": Event(
            Level.WARNING,
            "An association was rejected for its user identity (`DicomUserIdentity`): who called, "
            "the user name if one was offered, and why. No passcode is ever written.",
        ),
        "nothing_accepted": Event(
            Level.WARNING,
            "An association was accepted and none of what the caller proposed can be used: the SOP "
            "classes and transfer syntaxes it proposed, and in `hint` what it should propose.",
        ),
        "echo": Event(Level.INFO, "A C-ECHO was answered: by whom it was asked and its status."),
        "query": Event(
            Level.INFO,
            "A worklist query was answered: caller, keys with a value, items served, items that "
            "the index left to look at, answers, status, milliseconds. With no answer, "
            "`excluded_most` names the key that excluded the most items; `detail` says why a list "
            "was cut or not finished (then the status is FF00).",
        ),
        "query_identifier": Event(
            Level.DEBUG,
            "The whole query as JSON, tags written as Orthanc writes them. With `DeidentifyLogs` "
            "only values that cannot be a patient's are shown.",
        ),
        "query_matched": Event(Level.DEBUG, "The files that answered a query."),
        "query_refused": Event(
            Level.WARNING,
            "A query was answered with a failure: status, comment and offending attribute, and its "
            "keys, unless the caller may not ask.",
        ),
        "answer": Event(
            Level.TRACE,
            "One answer to a query: as text, or with `DeidentifyLogs` as JSON without the values "
            "that may be a patient's.",
        ),
        "pdu": Event(Level.TRACE, "Name and length of one PDU, sent or received."),
        "text_lost": Event(
            Level.WARNING,
            'Characters that `DefaultEncoding` lacks were dropped from an answer ("orthanc" '
            "dialect only).",
        ),
        "file_skipped": Event(
            Level.WARNING,
            "A worklist file cannot be read or parsed: its name, the reason, the offset. Written "
            "again only when the file changed.",
        ),
        "file_doubtful": Event(
            Level.WARNING,
            "A worklist file is served, and some queries will miss it: its name and why, such as a "
            "date that is none. Written again only when the file changed.",
        ),
        "store_unavailable": Event(
            Level.ERROR,
            "The worklist folder cannot be read: until it can, every query gets a failure status.",
        ),
        "store_available": Event(Level.INFO, "The worklist folder can be read again."),
        "folder_loaded": Event(
            Level.INFO, "The whole worklist folder was read: files, items, files skipped."
        ),
        "snapshot_failed": Event(
            Level.WARNING,
            "What was read cannot be kept for the next start (`Worklists.Snapshot`): with many "
            "files it takes longer.",
        ),
        "second_reader_failed": Event(
            Level.WARNING,
            "The process that helps to read a large folder at a start could not be started, or "
            "ended: the server reads all of it, which takes longer.",
        ),
        "watch_fallback": Event(
            Level.WARNING,
            "Changes of the folder cannot be notified: it is scanned for each query instead.",
        ),
        "config_ignored": Event(
            Level.DEBUG, "An option of the configuration has no meaning here and is ignored."
        ),
        "config_warning": Event(
            Level.WARNING, "The configuration holds something that is probably a mistake."
        ),
        "callback_failed": Event(
            Level.ERROR,
            "A script or hook of the site raised, returned nonsense or took too long, and its "
            "query failed: the callback, its file and line, the error and the traceback. "
            "With `DeidentifyLogs` the error has the texts that stand in the script's source, and "
            "of others its type alone.",
        ),
        "callback_left_behind": Event(
            Level.ERROR,
            "A callback that took too long could not be interrupted: its thread runs on, and "
            "another takes its place. After four of them callbacks fail until one ends.",
        ),
        "callback_never_called": Event(
            Level.WARNING,
            "Lua scripts define callbacks of Orthanc that never happen here, of images, jobs and "
            "time: their names in `functions`.",
        ),
        "callback_event_lost": Event(
            Level.WARNING, "An event hook was not told of an event, or failed: `reason`."
        ),
        "script_output": Event(Level.INFO, "A script printed a line."),
        "script_info": Event(Level.DEBUG, "A script called `LogInfo`."),
        "script_warning": Event(Level.WARNING, "A script called `LogWarning`."),
        "script_error": Event(
            Level.ERROR,
            "A script called `LogError`, or asked over HTTP in vain: method, address and why.",
        ),
        "peer_error": Event(
            Level.WARNING,
            "A peer broke the protocol: what was found and the reason of the A-ABORT sent.",
        ),
        "tls_refused": Event(
            Level.WARNING,
            "A connection to the TLS port came to nothing: who called and why no TLS was agreed "
            'upon, of the caller as "it".',
        ),
        "certificates_loaded": Event(
            Level.INFO, "Certificates were read again after their files had changed."
        ),
        "certificates_kept": Event(
            Level.ERROR,
            "Files with certificates changed and cannot be used: the old ones stay in force.",
        ),
        "certificate_expires": Event(
            Level.WARNING,
            "A certificate expires soon or has expired: the option that names it, its file, and "
            "the days left.",
        ),
        "audit_undelivered": Event(
            Level.WARNING,
            "Audit messages do not reach their destination (`Audit.Destination`): why, of a "
            'receiver as "it", and how many wait in the spool. They are sent when they can be.',
        ),
        "audit_delivered": Event(
            Level.INFO, "Audit messages reach their destination again; how many still wait."
        ),
        "audit_spool_unavailable": Event(
            Level.ERROR,
            "The spool of audit messages takes no more, because it is full or its disk is: they "
            "wait in memory as long as there is room.",
        ),
        "audit_dropped": Event(
            Level.ERROR,
            "Audit messages were lost, because neither spool nor memory had room for them: how "
            "many since the last such line, which comes once a minute at most.",
        ),
        "audit_damaged": Event(
            Level.ERROR,
            "Bytes of the spool of audit messages could not be read, and what they said is lost. "
            "After a kill or a power cut it may be the last message.",
        ),
        "http_listening": Event(
            Level.INFO, "The server takes HTTP requests: address and port, whether with TLS."
        ),
        "http_unavailable": Event(
            Level.WARNING,
            "HTTP is not served and DICOM is: its port is taken (`mwl serve FOLDER` only), or "
            "descriptors or memory ran out, and it is tried again.",
        ),
        "http_request": Event(
            Level.DEBUG,
            "An HTTP request that changes nothing was answered: by whom it was asked "
            "and its status; of its address the path alone, for the rest may name patients. With "
            "`DeidentifyLogs` a name in the path is shown where the request succeeded, so that it "
            "is that of a file or a modality, and else the route, such as "
            "`/worklists/{worklist}`.",
        ),
        "http_change": Event(
            Level.INFO,
            "An HTTP request that may change something was answered; see `http_request`.",
        ),
        "http_refused": Event(
            Level.WARNING,
            "An HTTP request was refused: by whom it was asked, and why; with `DeidentifyLogs` the "
            "route in place of the path.",
        ),
        "http_trouble": Event(
            Level.WARNING, "What the HTTP library complains of, such as a request that is none."
        ),
        "few_descriptors": Event(
            Level.WARNING,
            "This process may have fewer files and sockets open (`ulimit -n`, `LimitNOFILE`) than "
            "`Limits.Connections` asks for: how many, and how many connections are taken now.",
        ),
        "log_interrupted": Event(
            Level.WARNING,
            "Lines of the log could not be written, and now they can again: about how many are "
            "missing, and why.",
        ),
        "internal_error": Event(
            Level.ERROR,
            "A fault of this program, with its traceback; with `DeidentifyLogs` without what the "
            "exception says, for that may be a value. Please report it.",
        ),
    }
)
"""Every event there is. Emitting a name that is missing here is a bug and raises KeyError."""

COUNTS: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
"""How often each event happened since the start, written or not."""

LIMIT_REFUSALS: Counter[str] = Counter({limit.name: 0 for limit in LIMITS})
"""How often each limit was gone beyond since the start, by the name of its option."""

TRACEBACK_EVENTS = frozenset({"internal_error"})
"""Events whose `error` field, an exception, is followed by a `traceback` field."""

# A value that stands without quotes: no space, quote, equals sign or backslash, and it does not
# look like the JSON of a mapping.
_is_bare = re.compile(f'[^{UNSAFE}\\s"=\\\\{{]+').fullmatch


def _plain(value: object) -> Any:
    """Give what JSON writes for a value that it does not know."""
    match value:
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=str)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case _:
            return str(value)


_encode_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, default=_plain).encode


QUOTES_KEPT, QUOTES_KEPT_LENGTH = 1024, 256
"""Texts of which is remembered how they stand in a text line, and their longest, in characters:
peers choose some of them, and may choose a long one anew each time."""


class _Quotes(dict[str, str]):
    """Gives strings as they stand in a text line, in quotes where they need them."""

    def __missing__(self, text: str) -> str:
        quoted = text
        if not _is_bare(text):
            body = text.replace("\\", "\\\\").replace('"', '\\"')
            quoted = f'"{escape(body)}"'
        if len(text) <= QUOTES_KEPT_LENGTH:
            if len(self) >= QUOTES_KEPT:
                self.clear()
            self[text] = quoted
        return quoted


_quotes = _Quotes()
_quote = _quotes.__getitem__


def _text_of(value: object) -> str:
    """Give a value that is not plainly text or a number as it stands in a text line."""
    match value:
        case bool():
            text = "true" if value else "false"
        case Mapping():
            # JSON ends where its brace closes, so it is readable without further quotes.
            return escape(_encode_json(value))
        case list() | tuple():
            text = ",".join(map(str, value))
        case int() | float() | str():
            text = str(value)
        case _:
            text = str(_plain(value))
    return _quote(text)


class _Clock:
    """Spells a time in UTC with milliseconds; the rest of it is formatted once a second."""

    __slots__ = ("_second", "_stamp")

    def __init__(self) -> None:
        self._second = -1
        self._stamp = ""

    def __call__(self, time_ns: int) -> str:
        second, millisecond = divmod(time_ns // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._stamp + _MILLISECONDS[millisecond]


_MILLISECONDS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


# How a field of each of the usual types stands in a text line, and what spells its value first.
_FIELDS: Mapping[type, tuple[str, Callable[[Any], str] | None]] = {
    str: (" {}=%s", _quote),
    int: (" {}=%d", None),
    float: (" {}=%.3f", None),
    NoneType: ("%.0s", None),
}
_OTHER_FIELD = (" {}=%s", _text_of)


class _Layout(NamedTuple):
    """How the lines of one event are put together, for one set of fields and their types.

    Args:
        template: The line, with a place for the time and one for each value.
        spelled: Which values are spelled first, and how.
    """

    template: str
    spelled: tuple[tuple[int, Callable[[Any], str]], ...]


@functools.lru_cache(maxsize=512)
def _layout(level: str, event: str, names: tuple[str, ...], kinds: tuple[type, ...]) -> _Layout:
    template = [f"%s {level:<7} {event}"]
    spelled = []
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        form, spell = _FIELDS.get(kind, _OTHER_FIELD)
        template.append(form.format(name))
        if spell is not None:
            spelled.append((place, spell))
    return _Layout("".join((*template, "\n")), tuple(spelled))


class _TextRenderer:
    """Makes a line of an event: `TIME LEVEL event key=value ...`."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def __call__(self, time_ns: int, level: str, event: str, fields: Mapping[str, Any]) -> str:
        values = [*fields.values()]
        template, spelled = _layout(level, event, tuple(fields), tuple(map(type, values)))
        for place, spell in spelled:
            values[place] = spell(values[place])
        return template % (self._clock(time_ns), *values)


class _JsonRenderer:
    """Makes a line of an event: an object with `timestamp`, `level` and `event` first."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def __call__(self, time_ns: int, level: str, event: str, fields: Mapping[str, Any]) -> str:
        head = {"timestamp": self._clock(time_ns), "level": level.lower(), "event": event}
        line = head | {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None
        }
        return f"{escape(_encode_json(line))}\n"


_Render = Callable[[int, str, str, Mapping[str, Any]], str]
"""Makes a whole line of a time in nanoseconds since 1970, a level, an event and its fields."""

_RENDERERS: Mapping[str, Callable[[], _Render]] = MappingProxyType(
    {"text": _TextRenderer, "json": _JsonRenderer}
)


class _Writer:
    """Makes whole lines and writes them.

    Attributes:
        later: Calls back soon; with it, the lines until then are made and written together: one
            after the other they find the interpreter's caches warm, and a query does not wait.
    """

    __slots__ = (
        *("_held", "_is_torn", "_lost", "_output", "_render", "_stream", "_time_ns"),
        *("_why_lost", "later"),
    )

    def __init__(
        self, render: _Render, time_ns: Callable[[], int], target: TextIO | LogFile | None
    ) -> None:
        self.later: Callable[[Callable[[], None]], object] | None = None
        self._render = render
        self._time_ns = time_ns
        self._stream = None if isinstance(target, LogFile) else target
        self._output = target if isinstance(target, LogFile) else output_under(target)
        self._is_torn = False
        self._lost = 0
        self._why_lost = ""
        self._held: list[tuple[int, str, str, Mapping[str, Any]]] = []

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if self.later is None:
            self._write(self._render(self._time_ns(), level, event, fields))
            return
        if not self._held:
            self.later(self.flush)
        self._held.append((self._time_ns(), level, event, fields))

    def flush(self) -> None:
        held, self._held = self._held, []
        if held:
            self._write("".join(starmap(self._render, held)))

    def _write(self, lines: str) -> None:
        # A full disk, a broken pipe or a closed stream must not stop the service: lines are lost,
        # their counts are not, and the next that can be written is told how many they were.
        wanted = lines.count("\n")
        if self._lost:
            lines = self._resumed() + lines
        try:
            self._write_to_stream(lines)
        except (OSError, ValueError) as error:
            self._lost += wanted
            self._why_lost = getattr(error, "strerror", None) or str(error)
        else:
            self._lost = 0

    def _resumed(self) -> str:
        """Give the line that tells of those lost, on a line of its own."""
        fields = {"lines": self._lost, "reason": self._why_lost}
        told = self._render(self._time_ns(), "WARNING", "log_interrupted", fields)
        return f"\n{told}" if self._is_torn else told

    def _write_to_stream(self, lines: str) -> None:
        output: Output | None = self._output
        if output is None:
            stream = self._stream if self._stream is not None else sys.stderr
            stream.write(lines)
            stream.flush()
            return
        data, written = lines.encode(), 0
        try:
            while written < len(data):
                written += output.write(data[written:])
        finally:
            if written:
                self._is_torn = data[written - 1] != _LINE_END

    def close(self) -> None:
        """Write what was kept; close the file, if it is one."""
        self.flush()
        if isinstance(self._output, LogFile):
            self._output.close()


_LINE_END = ord("\n")


Listener = Callable[[str, Mapping[str, Any]], None]
"""Is given an event and its fields; must not raise, nor take long, nor change them."""

_LISTENERS: dict[str, tuple[Listener, ...]] = {}
"""Who hears of an event, beside the log."""

_LEVELS: dict[str, str | None] = {}
"""For each event, the name of its level when that is written, else None."""
_WRITERS: list[_Writer] = []
"""The one in use."""
_VERBOSITY: list[Verbosity] = []
"""What was chosen."""
_HIDES_ERROR_TEXTS: list[bool] = [False]
"""Whether `error_text` leaves out what an exception says."""


def configure(
    level: Verbosity = "default",
    format: Format = "text",  # noqa: A002 - the name of the command-line option
    stream: TextIO | LogFile | None = None,
    *,
    hides_error_texts: bool = False,
    time_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Choose what is written and where. Until it is called: default level, text, standard error.

    Args:
        level: "default" writes INFO and above, "verbose" DEBUG too, "trace" everything, "none"
            nothing.
        format: "text" for `key=value` lines, "json" for one object a line.
        stream: Where lines go; None is the standard error stream. A file that lines went to is
            closed.
        hides_error_texts: Whether faults of this program are told without the texts of their
            exceptions, which may hold any value (`DeidentifyLogs`).
        time_ns: Clock, nanoseconds since 1970 in UTC.
    """
    for before in _WRITERS:
        before.close()
    _WRITERS[:] = [_Writer(_RENDERERS[format](), time_ns, stream)]
    _HIDES_ERROR_TEXTS[:] = [hides_error_texts]
    set_verbosity(level)


def verbosity() -> Verbosity:
    """Tell which events are written."""
    return _VERBOSITY[0]


def set_verbosity(level: Verbosity) -> None:
    """Choose which events are written from now on."""
    least = VERBOSITY[level]
    _VERBOSITY[:] = [level]
    _LEVELS.update(
        {name: row.level.name if row.level >= least else None for name, row in EVENTS.items()}
    )


def write_together(later: Callable[[Callable[[], None]], object] | None) -> None:
    """Write lines that come close together in one go, as a busy server wants it.

    Args:
        later: Calls back soon, as `call_soon` of an event loop; what was emitted until then is
            written at once. None writes each line when it is emitted, and what was held now.
    """
    writer = _WRITERS[0]
    writer.later = later
    if later is None:
        writer.flush()


configure()


def enabled(event: str) -> bool:
    """Tell whether `event` would be written, for callers whose fields are dear to compute."""
    return _LEVELS[event] is not None


def hear(events: Iterable[str], listener: Listener) -> Callable[[], None]:
    """Tell a listener of some events too, whether they are written or not.

    Returns:
        What ends it.
    """
    names = tuple(events)
    for name in names:
        _LISTENERS[name] = (*_LISTENERS.get(name, ()), listener)

    def end() -> None:
        for name in names:
            others = tuple(one for one in _LISTENERS.get(name, ()) if one is not listener)
            _LISTENERS[name] = others
            if not others:
                del _LISTENERS[name]

    return end


WITHOUT_TEXT = "its text is hidden: DeidentifyLogs"
"""Stands for what an exception says."""


def error_text(error: BaseException) -> str:
    """Give an exception that nobody foresaw as the log may have it: its type, perhaps its text."""
    if _HIDES_ERROR_TEXTS[0]:
        return f"{type(error).__name__} ({WITHOUT_TEXT})"
    return f"{type(error).__name__}: {error}"


def _traceback_of(error: BaseException) -> str:
    if not _HIDES_ERROR_TEXTS[0]:
        return "".join(traceback.format_exception(error))
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(
        "".join([*traceback.format_tb(each.__traceback__), type(each).__name__, "\n"])
        for each in reversed(chain)
    )


def emit(event: str, /, **fields: Any) -> None:
    """Count an event and write its line when its level is on.

    Args:
        event: A name in `EVENTS`.
        **fields: Facts, in the order in which they are to be read. A field that is None is left
            out; a float is written with three decimals; a list or tuple is joined by commas (a
            JSON array in JSON); a mapping is written as JSON; an exception as `Type: message`.
            The names `timestamp`, `level` and `event` are taken. A line may be made a little
            later (`write_together`), so a value must not change any more.

    Raises:
        KeyError: The event is not in `EVENTS`.

    Cost: below the level, the call and two dictionary look-ups; the fields themselves are the
    caller's, so ask `enabled` first where they are dear.
    """
    level = _LEVELS[event]
    COUNTS[event] += 1
    if _LISTENERS and event in _LISTENERS:
        for listener in _LISTENERS[event]:
            listener(event, fields)
    if level is None:
        return
    if event in TRACEBACK_EVENTS and isinstance(error := fields.get("error"), BaseException):
        fields = fields | {"error": error_text(error), "traceback": _traceback_of(error)}
    _WRITERS[0].write(level, event, fields)


def refuse(exceeded: Exceeded, event: str, /, **fields: Any) -> None:
    """Count a limit that somebody went beyond, and emit the event that tells of it.

    Args:
        exceeded: The limit; its name and value become the fields `limit` and `limit_value`.
        event: As for `emit`.
        **fields: As for `emit`.
    """
    LIMIT_REFUSALS[exceeded.limit] += 1
    emit(event, **fields, limit=exceeded.limit, limit_value=exceeded.value)


def emitting(exceeded: Exceeded | None) -> Callable[..., None]:
    """Give `emit`, or where a limit was gone beyond a `refuse` that tells of it."""
    return emit if exceeded is None else functools.partial(refuse, exceeded)
