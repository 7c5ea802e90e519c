"""Who this server is, whom it lets in over DICOM, and how it matches and logs."""

from mwl import limits
from mwl.config.option import Option, same
from mwl.config.options.limits import of_limit

_ENCODINGS = (
    *("Ascii", "Utf8", "Latin1", "Latin2", "Latin3", "Latin4", "Latin5", "Cyrillic"),
    *("Windows1251", "Arabic", "Greek", "Hebrew", "Thai", "Japanese", "Chinese"),
    *("JapaneseKanji", "Korean", "SimplifiedChinese"),
)

DICOM: tuple[Option, ...] = (
    Option(
        name="Name",
        field="name",
        kind="text",
        default="MyOrthanc",
        help="Name of this server for people. It appears in the log and nowhere else.",
    ),
    Option(
        name="DicomServerEnabled",
        field="dicom_server_enabled",
        kind="boolean",
        needs_restart=True,
        default=True,
        help="Whether to listen for DICOM associations.",
    ),
    Option(
        name="DicomAet",
        field="dicom_ae_title",
        kind="AE title",
        default="ORTHANC",
        help="AE title of this server.",
    ),
    Option(
        name="DicomPort",
        field="dicom_port",
        kind="integer",
        needs_restart=True,
        default=4242,
        minimum=0,
        maximum=65535,
        help="TCP port to listen on. 0 takes any free port and writes it to the log.",
    ),
    Option(
        name="DicomHost",
        field="dicom_host",
        kind="text",
        needs_restart=True,
        default="",
        from_orthanc=False,
        help="Address to listen on: an IPv4 or IPv6 address or a host name. Empty listens on all "
        "interfaces, IPv4 and IPv6, as Orthanc does.",
    ),
    Option(
        name="DicomCheckCalledAet",
        field="dicom_check_called_ae_title",
        kind="boolean",
        default=False,
        help="Whether a caller must call this server by `DicomAet`. An association that calls "
        "another AE title is then rejected.",
    ),
    Option(
        name="StrictAetComparison",
        field="strict_ae_comparison",
        kind="boolean",
        default=False,
        help="Whether upper and lower case differ when AE titles are compared.",
    ),
    Option(
        name="DicomCheckModalityHost",
        field="dicom_check_modality_host",
        kind="boolean",
        default=False,
        help="Whether a known caller must come from the `Host` of its entry in "
        "`DicomModalities`. The address is compared, no name is looked up.",
    ),
    Option(
        name="DicomAlwaysAllowEcho",
        field="dicom_always_allow_echo",
        kind="boolean",
        default=True,
        help="Whether callers that `DicomModalities` does not name may use C-ECHO.",
    ),
    Option(
        name="DicomAlwaysAllowFindWorklist",
        field="dicom_always_allow_find_worklist",
        kind="boolean",
        default=False,
        help="Whether callers that `DicomModalities` does not name may query the worklist.",
    ),
    Option(
        name="DicomAlwaysAllowStore",
        field="dicom_always_allow_store",
        kind="boolean",
        default=True,
        help="There is no C-STORE here; but as in Orthanc, any caller may associate while at "
        "least one `DicomAlwaysAllow...` option is true, and is judged by what it then asks for. "
        "Set all of them to false to reject unknown callers at association.",
    ),
    Option(
        name="DicomAlwaysAllowFind",
        field="dicom_always_allow_find",
        kind="boolean",
        default=False,
        help="Only counts at association, see `DicomAlwaysAllowStore`. It does not cover "
        "worklists: that is `DicomAlwaysAllowFindWorklist`.",
    ),
    Option(
        name="DicomAlwaysAllowGet",
        field="dicom_always_allow_get",
        kind="boolean",
        default=False,
        help="Only counts at association, see `DicomAlwaysAllowStore`.",
    ),
    Option(
        name="DicomAlwaysAllowMove",
        field="dicom_always_allow_move",
        kind="boolean",
        default=False,
        help="Only counts at association, see `DicomAlwaysAllowStore`.",
    ),
    Option(
        name="DicomModalities",
        field="modalities",
        kind="modalities",
        default={},
        help="The known callers: AE title, host, port, or an object with `AET`, `Host`, `Port` "
        "and `AllowEcho`, `AllowFindWorklist` (both true); for asking it over HTTP also `LocalAet` "
        "(empty: `DicomAet`), `Timeout` (0: `DicomScuTimeout`) and `UseDicomTls` (false). "
        "`TlsSubject` binds it to a certificate: it then calls over TLS, with one that has this "
        "common name, this alternative name or this whole subject (`CN=ct1,O=Example`), or it is "
        "rejected.",
    ),
    Option(
        name="DicomUserIdentity",
        field="dicom_user_identity",
        kind="choice",
        default="ignored",
        choices=same("ignored", "offered", "required"),
        from_orthanc=False,
        help="What becomes of the user identity that a device may offer with its association. "
        '"ignored" lets in whoever else may, as Orthanc does; with "offered" a user name, and its '
        'passcode if there is one, must be of `RegisteredUsers`; with "required" every device must '
        "offer such a name with its passcode. Others are rejected. Passcodes can be read on the "
        "way unless DICOM is over TLS (`DicomTlsEnabled`).",
    ),
    Option(
        name="DefaultEncoding",
        field="default_encoding",
        kind="choice",
        default="Latin1",
        choices=same(*_ENCODINGS),
        help="Character set of worklist files and queries that name none, (0008,0005). In the "
        '"orthanc" dialect also the character set of every answer.',
    ),
    Option(
        name="CaseSensitivePN",
        field="case_sensitive_person_names",
        kind="boolean",
        default=False,
        help="Whether upper and lower case, and accents, differ in person names.",
    ),
    of_limit(
        limits.IDLE_TIMEOUT,
        "How long an association may be idle before it is aborted; 0 is for ever.",
    ),
    Option(
        name="DicomScuTimeout",
        field="dicom_scu_timeout_s",
        kind="integer",
        default=10,
        unit="seconds",
        minimum=0,
        maximum=86_400,
        help="How long to wait for a server that is asked over DICOM, for the connection and for "
        "each answer; 0 is for ever.",
    ),
    of_limit(limits.PDU_LENGTH, "Longest PDU that this server takes."),
    Option(
        name="DeidentifyLogs",
        field="deidentify_logs",
        kind="boolean",
        default=True,
        help="Whether the values of queries and answers are left out of the log. The line of a "
        "query then only names the keys that have a value. The whole query that `--verbose` adds, "
        "and the answers that `--trace` adds, show those values alone that cannot be a patient's, "
        "wherever a device puts one: of Modality and Specific Character Set defined terms; of "
        "Scheduled Station AE Title those of this server, of `DicomModalities`, of the caller and "
        "whom it called; of Scheduled Procedure Step Start Date dates from 31 days ago to 366 "
        "ahead, for any other may be a birth date or a number; of Scheduled Procedure Step Start "
        "Time beginnings and ends of hours, such as 080000-115959. A date that is hidden is said "
        "to be one. Errors of scripts and of this program, and addresses of requests over HTTP, "
        "are told without values too. Names of files are written, and what scripts of the site "
        "print or log themselves.",
    ),
    Option(
        name="QueriesHistorySize",
        field="queries_history_size",
        kind="integer",
        needs_restart=True,
        default=1000,
        unit="queries",
        minimum=0,
        maximum=100_000,
        from_orthanc=False,
        help="How many of the last queries are kept for GET /queries, about a kilobyte each. What "
        "they asked for is shown as in the log, see `DeidentifyLogs`.",
    ),
    Option(
        name="Dictionary",
        field="dictionary",
        kind="dictionary",
        needs_restart=True,
        default={},
        help="Private or new attributes: tag to VR, name, least and most values (1, 1; most 0 is "
        "any number) and private creator.",
    ),
)
