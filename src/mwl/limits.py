"""Every limit of what others may take, as one table: how much, how long, why, and what then.

Each is an option of the configuration, so a site may change it, and none has to. The parts that
hold a limit get its value as an argument; the rows are here so that whatever refuses for a limit
can name it, in the log and in the metric `mwl_limit_refusals_total`, by the name of its option.
"""

from dataclasses import dataclass
from typing import NamedTuple

SECTION = "Limits"
"""The section of the configuration that holds those that are no options of Orthanc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One row.

    Args:
        name: Name of its option.
        field: Name of its field in the configuration.
        unit: Unit of its value.
        default: Its value when nothing is said.
        minimum: Least value allowed.
        maximum: Greatest value allowed.
        bounds: What it bounds; a sentence.
        reason: Why it has its default; a sentence.
        refusal: What then happens to the one who goes beyond it; a sentence.
    """

    name: str
    field: str
    unit: str
    default: int
    minimum: int = 1
    maximum: int
    bounds: str
    reason: str
    refusal: str

    @property
    def is_in_section(self) -> bool:
        """Whether the section `Limits` holds it."""
        return self.name.startswith(f"{SECTION}.")

    def hit(self, value: float) -> "Exceeded":
        """Say that it was gone beyond where it was `value`."""
        return Exceeded(self.name, value)


class Exceeded(NamedTuple):
    """A limit that somebody went beyond.

    Args:
        limit: Name of its option.
        value: What it was set to.
    """

    limit: str
    value: float


_REJECTED_FOR_NOW = (
    "The association is rejected for now: A-ASSOCIATE-RJ, transient, local limit exceeded."
)
_CUT = "The connection is closed."
_CUT_SILENT = (
    "The oldest connection that has not said who it is is closed, of the address that has the most "
    "of them; where all have, the new one is."
)
_ABORTED_AS_PROVIDER = "The association is aborted: A-ABORT, source service-provider, reason {}."
_ABORTED_AS_USER = "The association is aborted: A-ABORT, source service-user."
_QUERY_REFUSED = "The query is answered with status A700 and a comment that says which limit."

ASSOCIATIONS = Limit(
    name="Limits.Associations",
    field="associations",
    unit="associations",
    default=1000,
    maximum=20_000,
    bounds="Associations open at once, in all.",
    reason="Each costs about 20 KiB and a file descriptor; a hospital has a few hundred devices.",
    refusal=_REJECTED_FOR_NOW,
)
ASSOCIATIONS_PER_HOST = Limit(
    name="Limits.AssociationsPerHost",
    field="associations_per_host",
    unit="associations",
    default=500,
    maximum=20_000,
    bounds="Associations open at once from one address.",
    reason="One runaway device leaves room for the others; many may call through one router.",
    refusal=_REJECTED_FOR_NOW,
)
CONNECTIONS = Limit(
    name="Limits.Connections",
    field="connections",
    unit="connections",
    default=2000,
    maximum=40_000,
    bounds="TCP connections for DICOM open at once, in all, those included that have not said who "
    "they are.",
    reason="Twice the associations: one that says nothing is cut off by `Limits.ArtimTimeout`, and "
    "until then it takes no association from anybody.",
    refusal=_CUT_SILENT,
)
CONNECTIONS_PER_HOST = Limit(
    name="Limits.ConnectionsPerHost",
    field="connections_per_host",
    unit="connections",
    default=1000,
    maximum=40_000,
    bounds="TCP connections for DICOM open at once from one address.",
    reason="Half of all: one device that opens connections and says nothing leaves room for the "
    "others.",
    refusal=_CUT_SILENT,
)
WAITING_REQUESTS = Limit(
    name="Limits.WaitingRequests",
    field="waiting_requests",
    unit="requests",
    default=16,
    maximum=1000,
    bounds="Requests of one association that wait while another is answered. Their data sets may "
    "together be as long as one alone (`Limits.IdentifierLength`).",
    reason="The window negotiated is one (PS3.7 D.3.3.3), so a peer that sends more than a few "
    "ahead does not keep to it.",
    refusal=_ABORTED_AS_USER,
)
PDU_LENGTH = Limit(
    name="MaximumPduLength",
    field="maximum_pdu_length",
    unit="bytes",
    default=16_384,
    minimum=4096,
    maximum=131_072,
    bounds="Longest PDU that this server takes.",
    reason="What most implementations take; it is announced to the peer, who must keep to it.",
    refusal=_ABORTED_AS_PROVIDER.format("invalid PDU parameter value"),
)
ASSOCIATE_LENGTH = Limit(
    name="Limits.AssociateLength",
    field="associate_length",
    unit="bytes",
    default=131_072,
    minimum=16_384,
    maximum=1_048_576,
    bounds="Longest A-ASSOCIATE-RQ that this server takes.",
    reason="128 presentation contexts with thirty transfer syntaxes each fit, or the longest SAML "
    "assertion beside the usual contexts; real ones stay under 20,000 bytes.",
    refusal="The connection gets an A-ABORT, source service-user, for there is no association.",
)
COMMAND_LENGTH = Limit(
    name="Limits.CommandLength",
    field="command_length",
    unit="bytes",
    default=16_384,
    minimum=1024,
    maximum=1_048_576,
    bounds="Longest command set of a message.",
    reason="Real ones take under 200 bytes; an N-GET-RQ that lists 4,000 attributes fits.",
    refusal=_ABORTED_AS_PROVIDER.format("not specified"),
)
IDENTIFIER_LENGTH = Limit(
    name="Limits.IdentifierLength",
    field="identifier_length",
    unit="bytes",
    default=131_072,
    minimum=4096,
    maximum=16_777_216,
    bounds="Longest identifier of a query, and data set of any message, as it is sent.",
    reason="A scanner's identifier takes a few hundred bytes; its longest legal text values stay "
    "far below this.",
    refusal=_ABORTED_AS_PROVIDER.format("not specified"),
)
INFLATED_LENGTH = Limit(
    name="Limits.InflatedLength",
    field="inflated_length",
    unit="bytes",
    default=131_072,
    minimum=4096,
    maximum=4_194_304,
    bounds="Longest identifier of a query that comes deflated, once it is inflated.",
    reason="As `Limits.IdentifierLength`. A thousand bytes may inflate to a million, and reading "
    "4 MiB of empty items takes seconds in which nobody else is answered.",
    refusal=_QUERY_REFUSED,
)
NESTING = Limit(
    name="Limits.Nesting",
    field="nesting",
    unit="sequences",
    default=32,
    minimum=4,
    maximum=32,
    bounds="Sequences inside each other in a query.",
    reason="Worklists use 4; a hostile data set could use thousands.",
    refusal=_QUERY_REFUSED,
)
KEYS = Limit(
    name="Limits.Keys",
    field="keys",
    unit="keys",
    default=1000,
    minimum=100,
    maximum=100_000,
    bounds="Attributes in a query, those in sequences counted.",
    reason="The tables of the worklist have under 500, and each costs time for every answer.",
    refusal=_QUERY_REFUSED,
)
VALUES = Limit(
    name="Limits.Values",
    field="values",
    unit="values",
    default=5000,
    minimum=100,
    maximum=1_000_000,
    bounds="Values of all keys of a query, where a key has a list of them.",
    reason="A list of studies may have hundreds.",
    refusal=_QUERY_REFUSED,
)
WILD_CARDS = Limit(
    name="Limits.WildCards",
    field="wild_cards",
    unit="wild cards",
    default=100,
    minimum=10,
    maximum=100_000,
    bounds="Wild cards in the values of a query.",
    reason="Each is tried on every value of an item.",
    refusal=_QUERY_REFUSED,
)
HANDSHAKE_TIMEOUT = Limit(
    name="Limits.HandshakeTimeout",
    field="handshake_timeout_s",
    unit="seconds",
    default=15,
    maximum=3600,
    bounds="Longest time that a TLS handshake may take, for DICOM or for HTTPS.",
    reason="A scanner with an old processor takes one second.",
    refusal=_CUT,
)
ARTIM_TIMEOUT = Limit(
    name="Limits.ArtimTimeout",
    field="artim_timeout_s",
    unit="seconds",
    default=30,
    maximum=3600,
    bounds="Longest time from the connection to the end of the A-ASSOCIATE-RQ, and from the end of "
    "an association until the peer closes the connection (ARTIM, PS3.8 9.1.5).",
    reason="What most implementations wait; a device says who it is at once.",
    refusal=_CUT,
)
IDLE_TIMEOUT = Limit(
    name="DicomScpTimeout",
    field="dicom_scp_timeout_s",
    unit="seconds",
    default=30,
    minimum=0,
    maximum=86_400,
    bounds="How long an association may be idle before it is aborted; 0 is for ever.",
    reason="What Orthanc waits.",
    refusal=_ABORTED_AS_USER,
)
SLOW_WRITE_TIMEOUT = Limit(
    name="Limits.SlowWriteTimeout",
    field="slow_write_timeout_s",
    unit="seconds",
    default=30,
    maximum=3600,
    bounds="Longest time that a PDU or a message may take to come, from its first byte.",
    reason="A query takes a few hundred bytes. A peer that sends it a byte at a time is never "
    "idle.",
    refusal=_ABORTED_AS_USER,
)
SLOW_READ_TIMEOUT = Limit(
    name="Limits.SlowReadTimeout",
    field="slow_read_timeout_s",
    unit="seconds",
    default=30,
    maximum=3600,
    bounds="Longest time that a peer may take nothing of what it was sent, while more waits.",
    reason="What waits is kept in memory, up to `Limits.AnswersBuffered`. A peer that takes some, "
    "however slowly, is waited for.",
    refusal="The connection is closed: an A-ABORT would wait behind the answers.",
)
CALLBACK_TIMEOUT = Limit(
    name="CallbackTimeout",
    field="callback_timeout_s",
    unit="seconds",
    default=5,
    maximum=3600,
    bounds="Longest time that one call of a script or hook may take; then its query fails.",
    reason="A technologist waits for the answer, and devices give up after a while.",
    refusal="The query is answered with status C002 and a comment.",
)
LIMIT_ANSWERS = Limit(
    name="Worklists.LimitAnswers",
    field="limit_answers",
    unit="answers",
    default=0,
    minimum=0,
    maximum=2_147_483_647,
    bounds="Most answers to one query, after which its status is FE00; 0 is no limit.",
    reason="A list that is cut hides patients, so it is cut where a site wants it alone.",
    refusal="The answers up to the limit are sent, then status FE00 in place of success.",
)
ANSWERS_BUFFERED = Limit(
    name="Limits.AnswersBuffered",
    field="answers_buffered",
    unit="bytes",
    default=131_072,
    minimum=16_384,
    maximum=16_777_216,
    bounds="Answers given to the network at a time, without their commands: what an association "
    "costs in memory while its peer reads slowly, beside 64 KiB of what was not taken before.",
    reason="Large enough to keep a fast network busy; an answer that is longer goes alone.",
    refusal="The query waits until the peer has read, at most `Limits.SlowReadTimeout` without "
    "progress.",
)
ANSWERS_KEPT = Limit(
    name="Limits.AnswersKept",
    field="answers_kept",
    unit="bytes",
    default=33_554_432,
    minimum=0,
    maximum=4_294_967_296,
    bounds="Memory for results of queries and their encoded answers, of one folder; a single "
    "result gets a quarter.",
    reason="Devices ask the same again and again: a hospital has a few hundred, each with one or "
    "two queries.",
    refusal="The results that were not asked for the longest time are forgotten, and made anew "
    "when they are.",
)
_TOO_LONG = "The request is answered with 413."

HTTP_CONNECTIONS = Limit(
    name="Limits.HttpConnections",
    field="http_connections",
    unit="connections",
    default=512,
    minimum=8,
    maximum=20_000,
    bounds="TCP connections for HTTP open at once, those in a TLS handshake included.",
    reason="Devices use DICOM: this is for programs. Each costs a descriptor, and what takes all "
    "of them takes them from the associations too.",
    refusal="The oldest connection in a TLS handshake is closed, of the address that has the most "
    "of them; where there is none, the new one is.",
)
HTTP_REQUESTS = Limit(
    name="Limits.HttpRequests",
    field="http_requests",
    unit="requests",
    default=256,
    minimum=4,
    maximum=20_000,
    bounds="HTTP requests answered at once, and connections with a request.",
    reason="Half of the connections: those beyond are told so and not cut.",
    refusal="The request is answered with 503.",
)
HTTP_HEAD_TIMEOUT = Limit(
    name="Limits.HttpHeadTimeout",
    field="http_head_timeout_s",
    unit="seconds",
    default=15,
    maximum=3600,
    bounds="Longest time from the connection, or the first byte of a later request, to the end of "
    "its headers.",
    reason="A program sends them at once.",
    refusal=_CUT,
)
HTTP_BODY = Limit(
    name="Limits.HttpBody",
    field="http_body",
    unit="bytes",
    default=131_072,
    minimum=1024,
    maximum=16_777_216,
    bounds="Longest body of an HTTP request other than a batch.",
    reason="Its JSON is parsed in 1 ms, in which nobody else is answered.",
    refusal=_TOO_LONG,
)
HTTP_BATCH = Limit(
    name="Limits.HttpBatch",
    field="http_batch",
    unit="bytes",
    default=16_777_216,
    minimum=1024,
    maximum=268_435_456,
    bounds="Longest body of `POST /worklists/batch`.",
    reason="It holds 20,000 items; a row is parsed at a time.",
    refusal=_TOO_LONG,
)
HTTP_ROWS = Limit(
    name="Limits.HttpRows",
    field="http_rows",
    unit="rows",
    default=20_000,
    maximum=1_000_000,
    bounds="Rows of `POST /worklists/batch`.",
    reason="Each takes a millisecond and its fsync.",
    refusal=_TOO_LONG,
)
HTTP_EVENT_READERS = Limit(
    name="Limits.HttpEventReaders",
    field="http_event_readers",
    unit="clients",
    default=50,
    maximum=10_000,
    bounds="Clients that read `GET /events` at once.",
    reason="Each is told of every query.",
    refusal="The request is answered with 503.",
)

LIMITS: tuple[Limit, ...] = (
    *(ASSOCIATIONS, ASSOCIATIONS_PER_HOST, CONNECTIONS, CONNECTIONS_PER_HOST, WAITING_REQUESTS),
    *(PDU_LENGTH, ASSOCIATE_LENGTH, COMMAND_LENGTH, IDENTIFIER_LENGTH, INFLATED_LENGTH),
    *(NESTING, KEYS, VALUES, WILD_CARDS),
    *(HANDSHAKE_TIMEOUT, ARTIM_TIMEOUT, IDLE_TIMEOUT, SLOW_WRITE_TIMEOUT, SLOW_READ_TIMEOUT),
    *(CALLBACK_TIMEOUT, LIMIT_ANSWERS, ANSWERS_BUFFERED, ANSWERS_KEPT),
    *(HTTP_CONNECTIONS, HTTP_REQUESTS, HTTP_HEAD_TIMEOUT, HTTP_BODY, HTTP_BATCH, HTTP_ROWS),
    HTTP_EVENT_READERS,
)
"""All limits, in the order of the reference page."""
