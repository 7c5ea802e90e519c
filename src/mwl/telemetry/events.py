"""Every event of the log, as a table: its level, and what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Level(IntEnum):
    """How much an event matters; the higher, the more."""

    TRACE = 5
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    NONE = 50


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

TRACEBACK_EVENTS = frozenset({"internal_error"})
"""Events whose `error` field, an exception, is followed by a `traceback` field."""
