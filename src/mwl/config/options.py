"""Every option there is, as one table: name, type, default, unit, what is allowed, help.

The table drives reading (`mwl.config.load`), the file that `mwl config init` prints, what `mwl
config show` prints, and the reference page.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mwl.config.values import (
    DictionaryEntry,
    Modality,
    dictionary_entries,
    dictionary_to_json,
    modalities_to_json,
    modality_list,
    one_modality,
)
from mwl.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of `OPTIONS`.

    Args:
        name: Name in the file; `Section.Name` in a section.
        field: Name of the field of `Config`, or of its section.
        kind: Type of the value; a key of `KINDS`.
        default: Value in the file that stands for "not given".
        help: What it does; sentences.
        unit: Unit of a number.
        minimum: Least number allowed.
        maximum: Greatest number allowed.
        choices: Allowed values as they stand in the file, each with the value it stands for.
        aliases: Other names accepted in its place.
        from_orthanc: Whether Orthanc has this option, with this default and meaning.
    """

    name: str
    field: str
    kind: str
    default: Any
    help: str
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[tuple[object, str], ...] = ()
    aliases: tuple[str, ...] = ()
    from_orthanc: bool = True

    @property
    def section(self) -> str:
        """Name of the section that holds it; empty at the top level."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Name within its section."""
        return self.name.rpartition(".")[2]

    @property
    def allowed(self) -> str:
        """What its value may be, as a phrase."""
        if self.choices:
            return " or ".join(json.dumps(value) for value, _ in self.choices)
        if self.kind == "integer":
            unit = f" {self.unit}" if self.unit else ""
            return f"a whole number from {self.minimum} to {self.maximum}{unit}"
        return KINDS[self.kind].allowed

    def parse(self, value: object, folder: Path) -> Any:
        """Give the value of the field for a value in a file.

        Args:
            value: Value as read from JSON.
            folder: Where relative paths start.

        Raises:
            ConfigError: The value is of the wrong type or out of range.
            ExceptionGroup: Several of its entries are, a ConfigError for each.
        """
        return KINDS[self.kind].parse(value, self, folder)

    def to_json(self, value: object, *, secrets: bool = True) -> object:
        """Give the value in a file for a value of the field, with or without passwords."""
        if self.choices:
            return next(written for written, meaning in self.choices if meaning == value)
        kind = KINDS[self.kind]
        return kind.to_json(value) if secrets or kind.hide is None else kind.hide(value)


def _boolean(value: object, option: Option, folder: Path) -> bool:
    del folder
    if not isinstance(value, bool):
        raise refused(value, option)
    return value


def _switch(value: object, option: Option, folder: Path) -> bool | None:
    return None if value is None else _boolean(value, option, folder)


def _integer(value: object, option: Option, folder: Path) -> int:
    del folder
    # true is 1 to Python, and 30.0 is 30 to Orthanc.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise refused(value, option)
    if not (option.minimum or 0) <= value <= (option.maximum or value):
        raise refused(value, option)
    return int(value)


def _text(value: object, option: Option, folder: Path) -> str:
    del folder
    if not isinstance(value, str):
        raise refused(value, option)
    return value


# PS3.5 Table 6.2-1, VR AE: the default repertoire without backslash and control characters;
# leading and trailing spaces do not count, spaces alone are no title.
_is_ae_title = re.compile(r"(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}").fullmatch


def ae_title(value: object) -> str | None:
    """Give an AE title without the spaces around it; None when it is not one."""
    if isinstance(value, str) and _is_ae_title(text := value.strip(" ")):
        return text
    return None


def _ae_title(value: object, option: Option, folder: Path) -> str:
    del folder
    if (title := ae_title(value)) is None:
        raise refused(value, option)
    return title


def _choice(value: object, option: Option, folder: Path) -> str:
    del folder
    for allowed, meaning in option.choices:
        if type(value) is type(allowed) and value == allowed:
            return meaning
    raise refused(value, option)


def _path(value: object, option: Option, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise refused(value, option)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise refused(value, option) from None
    return folder / value


def _paths(value: object, option: Option, folder: Path) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise refused(value, option)
    return tuple(_path(path, option, folder) for path in value)


def _script(value: object, option: Option, folder: Path) -> Path | None:
    return None if value == "" else _path(value, option, folder)


def _paths_or_names(value: object, option: Option, folder: Path) -> tuple[Path | str, ...]:
    if not isinstance(value, list):
        raise refused(value, option)
    # An entry point has no folder and no file name extension.
    return tuple(
        name if isinstance(name, str) and _is_entry_point(name) else _path(name, option, folder)
        for name in value
    )


_is_entry_point = re.compile(r"[A-Za-z_][\w-]*").fullmatch


def _cache(value: object, option: Option, folder: Path) -> str:
    return str(value) if value in ("auto", "off") else str(_path(value, option, folder))


def _users(value: object, option: Option, folder: Path) -> Mapping[str, str]:
    del folder
    # The message of `refused` would show the passwords.
    wrong = ConfigError(f"allowed is {option.allowed}", option=option.name)
    if not isinstance(value, dict):
        raise wrong
    for name, password in value.items():
        # RFC 7617 section 2: a colon ends the name.
        if not isinstance(password, str) or not password or not name or ":" in name:
            raise wrong
    return MappingProxyType(dict(value))


def _hidden_passwords(users: Mapping[str, str]) -> object:
    return dict.fromkeys(users, "(hidden)")


def _texts(value: object, option: Option, folder: Path) -> tuple[str, ...]:
    del folder
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise refused(value, option)
    return tuple(value)


def _modalities(value: object, option: Option, folder: Path) -> tuple[Modality, ...]:
    del folder
    if not isinstance(value, dict):
        raise refused(value, option)
    return modality_list(value, ae_title)


def modality_of(name: str, value: object) -> Modality:
    """Read one entry of `DicomModalities`.

    Raises:
        ConfigError: It cannot be used.
    """
    return one_modality(name, value, ae_title)


def _dictionary(value: object, option: Option, folder: Path) -> tuple[DictionaryEntry, ...]:
    del folder
    if not isinstance(value, dict):
        raise refused(value, option)
    return dictionary_entries(value)


def refused(value: object, option: Option) -> ConfigError:
    """Make the error for a value of the wrong type or out of range."""
    found = json.dumps(value, ensure_ascii=False, default=str)
    if len(found) > _LONGEST_SHOWN:
        found = f"{found[:_LONGEST_SHOWN]}..."
    return ConfigError(f"found {found}, allowed is {option.allowed}", option=option.name)


_LONGEST_SHOWN = 60
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values.

    Args:
        allowed: What a value may be, as a phrase.
        parse: Value in the file, option and folder of the file to value of the field; raises
            what `Option.parse` does.
        to_json: Value of the field to value in the file.
        hide: Value of the field to what may be shown of it, where that is less.
    """

    allowed: str
    parse: Callable[[object, Option, Path], Any]
    to_json: Callable[[Any], object] = lambda value: value
    hide: Callable[[Any], object] | None = None


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "boolean": Kind("true or false", _boolean),
        "switch": Kind("true, false or null", _switch),
        "integer": Kind("a whole number", _integer),
        "text": Kind("text", _text),
        "AE title": Kind("1 to 16 ASCII characters, no backslash, not only spaces", _ae_title),
        "choice": Kind("one of a few values", _choice),
        "path": Kind("the path of a folder", _path, str),
        "file": Kind("the path of a file", _path, str),
        "users": Kind('an object: {"name": "password"}', _users, dict, hide=_hidden_passwords),
        "texts": Kind('a list of texts: ["one", "another"]', _texts, list),
        "paths": Kind(
            'a list of paths of files: ["one.lua", "another.lua"]',
            _paths,
            lambda paths: [str(path) for path in paths],
        ),
        "script": Kind("the path of a file", _script, lambda path: str(path or "")),
        "hooks": Kind(
            'a list of paths of files and names of entry points: ["hooks.py", "our_ris"]',
            _paths_or_names,
            lambda paths: [str(path) for path in paths],
        ),
        "cache": Kind('the path of a folder, "auto" or "off"', _cache),
        "modalities": Kind(
            'an object: {"name": ["AE TITLE", "host", 104]} or '
            '{"name": {"AET": "AE TITLE", "Host": "host", "Port": 104}}',
            _modalities,
            modalities_to_json,
        ),
        "dictionary": Kind(
            'an object: {"0009,1001": ["DS", "Name", 1, 1, "Private creator"]}',
            _dictionary,
            dictionary_to_json,
        ),
    }
)
"""Types of options, by the name that the reference page shows."""

_ENCODINGS = (
    *("Ascii", "Utf8", "Latin1", "Latin2", "Latin3", "Latin4", "Latin5", "Cyrillic"),
    *("Windows1251", "Arabic", "Greek", "Hebrew", "Thai", "Japanese", "Chinese"),
    *("JapaneseKanji", "Korean", "SimplifiedChinese"),
)


def _same(*values: str) -> tuple[tuple[object, str], ...]:
    return tuple((value, value) for value in values)


OPTIONS: tuple[Option, ...] = (
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
        default=4242,
        minimum=0,
        maximum=65535,
        help="TCP port to listen on. 0 takes any free port and writes it to the log.",
    ),
    Option(
        name="DicomHost",
        field="dicom_host",
        kind="text",
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
        "(empty: `DicomAet`) and `Timeout` (0: `DicomScuTimeout`).",
    ),
    Option(
        name="DefaultEncoding",
        field="default_encoding",
        kind="choice",
        default="Latin1",
        choices=_same(*_ENCODINGS),
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
    Option(
        name="DicomScpTimeout",
        field="dicom_scp_timeout_s",
        kind="integer",
        default=30,
        unit="seconds",
        minimum=0,
        maximum=86_400,
        help="How long an association may be idle before it is aborted; 0 is for ever.",
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
    Option(
        name="MaximumPduLength",
        field="maximum_pdu_length",
        kind="integer",
        default=16384,
        unit="bytes",
        minimum=4096,
        maximum=131_072,
        help="Longest PDU that this server takes.",
    ),
    Option(
        name="DeidentifyLogs",
        field="deidentify_logs",
        kind="boolean",
        default=True,
        help="Whether the values of queries are left out of the log. The line of a query then only "
        "names the keys that have a value, and the whole query that `--verbose` adds shows the "
        "values of station, modality, date and time and hides all others, those of patients. "
        "`--trace` is not covered: it logs answers with all their values, whatever this option "
        "says.",
    ),
    Option(
        name="QueriesHistorySize",
        field="queries_history_size",
        kind="integer",
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
        default={},
        help="Private or new attributes: tag to VR, name, least and most values (1, 1; most 0 is "
        "any number) and private creator.",
    ),
    Option(
        name="HttpServerEnabled",
        field="http_server_enabled",
        kind="boolean",
        default=True,
        help="Whether to listen for HTTP.",
    ),
    Option(
        name="HttpPort",
        field="http_port",
        kind="integer",
        default=8042,
        minimum=0,
        maximum=65535,
        help="TCP port of HTTP. 0 takes any free port and writes it to the log.",
    ),
    Option(
        name="HttpBindAddresses",
        field="http_bind_addresses",
        kind="texts",
        default=[],
        help="Addresses to listen on for HTTP. Without any it is all of them with "
        "`RemoteAccessAllowed`, else those of the loopback interface.",
    ),
    Option(
        name="HttpHosts",
        field="http_hosts",
        kind="texts",
        default=[],
        from_orthanc=False,
        help="Names by which a proxy on this machine passes requests on (their header `Host`). "
        "Without `RemoteAccessAllowed` every other name than those of the loopback interface is "
        "refused, so that no web page can reach this server through a browser.",
    ),
    Option(
        name="RemoteAccessAllowed",
        field="remote_access_allowed",
        kind="boolean",
        default=False,
        help="Whether other machines may use HTTP. The server does not start if that would be "
        "without `RegisteredUsers`, or with passwords that can be read on the way: see "
        "`HttpInsecureRemote`.",
    ),
    Option(
        name="HttpInsecureRemote",
        field="http_insecure_remote",
        kind="boolean",
        default=False,
        from_orthanc=False,
        help="Whether other machines may use HTTP without encryption (`SslEnabled` false), or "
        "without a password (`AuthenticationEnabled` false). Patient data and passwords can then "
        "be read and changed by whoever reaches the port: for a proxy or a closed network.",
    ),
    Option(
        name="AuthenticationEnabled",
        field="authentication_enabled",
        kind="switch",
        default=None,
        help="Whether HTTP asks for a name and a password of `RegisteredUsers`. Left out it is as "
        "`RemoteAccessAllowed`.",
    ),
    Option(
        name="RegisteredUsers",
        field="registered_users",
        kind="users",
        default={},
        help="Who may use HTTP: name to password. Keep the file readable by the server alone.",
    ),
    Option(
        name="SslEnabled",
        field="ssl_enabled",
        kind="boolean",
        default=False,
        help="Whether HTTP is encrypted (HTTPS), with `SslCertificate`.",
    ),
    Option(
        name="SslCertificate",
        field="ssl_certificate",
        kind="file",
        default="certificate.pem",
        help="File with the certificate of HTTPS and its private key, both as PEM. A relative "
        "path starts at the folder of the configuration file.",
    ),
    Option(
        name="SslVerifyPeers",
        field="ssl_verify_peers",
        kind="boolean",
        default=False,
        help="Whether clients of HTTPS must have a certificate that `SslTrustedClientCertificates` "
        "vouches for.",
    ),
    Option(
        name="SslTrustedClientCertificates",
        field="ssl_trusted_client_certificates",
        kind="file",
        default="trustedClientCertificates.pem",
        help="File with the certificates, as PEM, that vouch for those of clients.",
    ),
    Option(
        name="HttpDescribeErrors",
        field="http_describe_errors",
        kind="boolean",
        default=True,
        help="Whether an error over HTTP says what is wrong, beyond its status.",
    ),
    Option(
        name="ExecuteLuaEnabled",
        field="execute_lua_enabled",
        kind="boolean",
        default=False,
        help="Whether `POST /tools/execute-script` runs the Lua that it is sent: whoever may use "
        "HTTP may then do all that the server may.",
    ),
    Option(
        name="LuaScripts",
        field="lua_scripts",
        kind="paths",
        default=[],
        help="Lua files whose function `IncomingWorklistRequestFilter` may rewrite each query. "
        "They need the extra `mwl[lua]`. All run in one Lua, in this order.",
    ),
    Option(
        name="PythonScript",
        field="python_script",
        kind="script",
        default="",
        help="Python file in which `import orthanc` gives what worklist scripts of Orthanc use. A "
        "worklist callback that it registers gives all the answers, in place of the folder.",
    ),
    Option(
        name="Hooks",
        field="hooks",
        kind="hooks",
        default=[],
        from_orthanc=False,
        help="Python files with functions marked by `mwl.hook`, or names of entry points in the "
        "group `mwl.hooks`: they rewrite or refuse queries, add items, edit answers, hear of "
        "events.",
    ),
    Option(
        name="CallbackTimeout",
        field="callback_timeout_s",
        kind="integer",
        default=5,
        unit="seconds",
        minimum=1,
        maximum=3600,
        from_orthanc=False,
        help="Longest time that one call of a script or hook may take; then its query fails.",
    ),
    Option(
        name="Worklists.Enable",
        field="enable",
        kind="boolean",
        default=False,
        help="Whether the worklist is served. Set it to true: `mwl serve` does not start without.",
    ),
    Option(
        name="Worklists.Database",
        field="database",
        kind="path",
        default="worklists",
        aliases=("Directory",),
        help="Folder of the worklist files (*.wl). A relative path starts at the folder of the "
        "configuration file. Orthanc has no default and does not start without.",
    ),
    Option(
        name="Worklists.FilterIssuerAet",
        field="filter_issuer_ae_title",
        kind="choice",
        default=False,
        choices=((False, "off"), (True, "fill"), ("force", "force")),
        help="Whether callers get only the items of their own AE title: true fills Scheduled "
        'Station AE Title into queries that leave it empty, "force" restricts every query.',
    ),
    Option(
        name="Worklists.LimitAnswers",
        field="limit_answers",
        kind="integer",
        default=0,
        unit="answers",
        minimum=0,
        maximum=2_147_483_647,
        help="Most answers to one query, after which its status is FE00; 0 is no limit.",
    ),
    Option(
        name="Worklists.SetStudyInstanceUidIfMissing",
        field="set_study_instance_uid",
        kind="boolean",
        default=True,
        help="Whether an item that comes over HTTP without a Study Instance UID gets a new one. "
        "Without one, a scanner cannot start the examination.",
    ),
    Option(
        name="Worklists.Compatibility",
        field="compatibility",
        kind="choice",
        default="standard",
        choices=_same("standard", "orthanc"),
        from_orthanc=False,
        help="Dialect of matching and answers: as the DICOM standard says, or as Orthanc does "
        "where that differs.",
    ),
    Option(
        name="Worklists.FolderPerCalledAet",
        field="folder_per_called_ae_title",
        kind="boolean",
        default=False,
        from_orthanc=False,
        help="Whether each called AE title has a folder of its own within `Database`, as "
        "wlmscpfs has it.",
    ),
    Option(
        name="Worklists.Watch",
        field="watch",
        kind="choice",
        default="auto",
        choices=_same("auto", "inotify", "scan"),
        from_orthanc=False,
        help="How changes of the folder are noticed: by notification of the kernel, by looking "
        "at the folder before each answer (network file systems), or whichever can be trusted.",
    ),
    Option(
        name="Worklists.Snapshot",
        field="snapshot",
        kind="cache",
        default="auto",
        from_orthanc=False,
        help="Folder that keeps what was read of 1,000 files and more, so that the next start "
        "reads only those that changed. It holds patient data: only the server's user can read it. "
        'With "auto" it is $CACHE_DIRECTORY (systemd), else $XDG_CACHE_HOME/mwl, else '
        '~/.cache/mwl; "off" keeps nothing.',
    ),
)
"""All options, in the order in which a configuration file should have them."""

SECTION_ALIASES: Mapping[str, str] = MappingProxyType({"ModalityWorklists": "Worklists"})
"""Other names of sections: Orthanc's sample plugin is called ModalityWorklists."""
