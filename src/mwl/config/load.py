"""Configuration files to a `Config`, with notes about what is probably not meant.

One load reports every error it can: `check` gives them all, `load` raises the first.
"""

import dataclasses
import difflib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mwl.config.option import Option
from mwl.config.options import OPTIONS, SECTION_ALIASES, SECTIONS
from mwl.config.orthanc import (
    KNOWN_MODALITY_OPTIONS,
    KNOWN_ORTHANC_OPTIONS,
    KNOWN_WORKLIST_OPTIONS,
)
from mwl.config.source import KeyPath, Place, Source, read
from mwl.config.values import AuditDestination, DictionaryEntry, Modality
from mwl.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistsConfig:
    """Section `Worklists`. The fields are explained in `mwl.config.options.OPTIONS`."""

    enable: bool
    database: Path
    filter_issuer_ae_title: Literal["off", "fill", "force"]
    limit_answers: int
    set_study_instance_uid: bool
    compatibility: Literal["standard", "orthanc"]
    folder_per_called_ae_title: bool
    watch: Literal["auto", "inotify", "scan"]
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Section `Limits`. The fields are explained in `mwl.limits.LIMITS`."""

    associations: int
    associations_per_host: int
    connections: int
    connections_per_host: int
    waiting_requests: int
    associate_length: int
    command_length: int
    identifier_length: int
    inflated_length: int
    nesting: int
    keys: int
    values: int
    wild_cards: int
    handshake_timeout_s: int
    artim_timeout_s: int
    slow_write_timeout_s: int
    slow_read_timeout_s: int
    answers_buffered: int
    answers_kept: int
    http_connections: int
    http_requests: int
    http_head_timeout_s: int
    http_body: int
    http_batch: int
    http_rows: int
    http_event_readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Section `Audit`. The fields are explained in `mwl.config.options.OPTIONS`."""

    destination: AuditDestination | None
    trusted_certificates: Path | None
    check_server_name: bool
    certificate: Path | None
    private_key: Path | None
    source_id: str
    enterprise_site_id: str
    spool_folder: Path | None
    spool_size_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that an operator can set. The fields are explained in `mwl.config.options.OPTIONS`.

    Three are no options: `loopback_may_query` and `http_may_fail`, which only `mwl serve FOLDER`
    sets, let any caller on the loopback interface do everything, and DICOM be served without HTTP
    when its port is taken; `as_read` is what the files say, for scripts.
    """

    name: str
    dicom_server_enabled: bool
    dicom_ae_title: str
    dicom_port: int
    dicom_host: str
    dicom_check_called_ae_title: bool
    strict_ae_comparison: bool
    dicom_check_modality_host: bool
    dicom_always_allow_echo: bool
    dicom_always_allow_find_worklist: bool
    dicom_always_allow_store: bool
    dicom_always_allow_find: bool
    dicom_always_allow_get: bool
    dicom_always_allow_move: bool
    modalities: tuple[Modality, ...]
    dicom_user_identity: Literal["ignored", "offered", "required"]
    default_encoding: str
    case_sensitive_person_names: bool
    dicom_scp_timeout_s: int
    dicom_scu_timeout_s: int
    maximum_pdu_length: int
    deidentify_logs: bool
    queries_history_size: int
    dictionary: tuple[DictionaryEntry, ...]
    dicom_tls_enabled: bool
    dicom_tls_port: int
    dicom_tls_certificate: Path | None
    dicom_tls_private_key: Path | None
    dicom_tls_trusted_certificates: Path | None
    dicom_tls_remote_certificate_required: bool
    dicom_tls_minimum_protocol_version: int
    dicom_tls_ciphers_accepted: tuple[str, ...]
    http_server_enabled: bool
    http_port: int
    http_bind_addresses: tuple[str, ...]
    http_hosts: tuple[str, ...]
    remote_access_allowed: bool
    http_insecure_remote: bool
    authentication_enabled: bool | None
    registered_users: Mapping[str, str] = dataclasses.field(repr=False)
    ssl_enabled: bool
    ssl_certificate: Path
    ssl_verify_peers: bool
    ssl_trusted_client_certificates: Path
    ssl_minimum_protocol_version: int
    http_describe_errors: bool
    execute_lua_enabled: bool
    lua_scripts: tuple[Path, ...]
    python_script: Path | None
    hooks: tuple[Path | str, ...]
    callback_timeout_s: int
    log_file: Path | None
    log_level: Literal["default", "verbose", "trace"]
    log_format: Literal["text", "json"]
    shutdown_timeout_s: int
    worklists: WorklistsConfig
    limits: LimitsConfig
    audit: AuditConfig
    loopback_may_query: bool = False
    http_may_fail: bool = False
    as_read: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def http_authentication(self) -> bool:
        """Whether HTTP asks for a password."""
        if self.authentication_enabled is None:
            return self.remote_access_allowed
        return self.authentication_enabled

    @property
    def dicom_always_allow_other(self) -> bool:
        """Whether a service that is not offered here is open to all callers."""
        return (
            self.dicom_always_allow_store
            or self.dicom_always_allow_find
            or self.dicom_always_allow_get
            or self.dicom_always_allow_move
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to tell the operator about a configuration that can be used.

    Args:
        kind: "warning": probably a mistake; "ignored": an option without meaning here.
        message: What was found.
        file: File it is in, when it is in one.
        line: Line in that file, counted from 1.
        option: Dotted name of the option.
        hint: What to write instead.
    """

    kind: Literal["warning", "ignored"]
    message: str
    file: str | None = None
    line: int | None = None
    option: str | None = None
    hint: str | None = None

    def describe(self) -> str:
        """Give `file:line: option: message (hint)`, as errors are given."""
        return str(
            ConfigError(
                self.message, file=self.file, line=self.line, option=self.option, hint=self.hint
            )
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used.

    Args:
        config: The values in force.
        notes: What to tell the operator.
        origins: Where each option that is not left at its default was given, by dotted name.
    """

    config: Config
    notes: list[Note]
    origins: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found.

    Args:
        loaded: The configuration; None when there are errors.
        notes: What to tell the operator.
        errors: Why the configuration cannot be used.
    """

    loaded: Loaded | None
    notes: list[Note]
    errors: list[ConfigError]


def load(paths: Sequence[Path], environ: Mapping[str, str]) -> Loaded:
    """Read the configuration that files and folders together make.

    Args:
        paths: Files, and folders of `*.json` files. With none, every option has its default and
            relative paths start at the working directory.
        environ: Environment variables, for `${VAR}`.

    Raises:
        ConfigError: The first error; the others are its notes (`add_note`).
    """
    checked = check(paths, environ)
    if checked.loaded is None:
        raise together(checked.errors)
    return checked.loaded


def together(errors: Sequence[ConfigError]) -> ConfigError:
    """Give the first error, with the others as its notes."""
    first, *others = errors
    for error in others:
        first.add_note(str(error))
    return first


def check(paths: Sequence[Path], environ: Mapping[str, str]) -> Checked:
    """Do what `load` does, and give every error instead of raising the first."""
    try:
        source = read(paths, environ)
    except ConfigError as error:
        return Checked(None, [], [error])
    reader = _Reader(source)
    config = reader.config()
    if reader.errors:
        return Checked(None, reader.notes, reader.errors)
    return Checked(Loaded(config, reader.notes, reader.origins), reader.notes, [])


def of_folder(folder: Path) -> Config:
    """Give the configuration of a server that needs no file: one folder, loopback callers only."""
    config = load([], {}).config
    worklists = dataclasses.replace(config.worklists, enable=True, database=folder)
    return dataclasses.replace(
        config,
        dicom_host="127.0.0.1",
        worklists=worklists,
        loopback_may_query=True,
        http_may_fail=True,
    )


class _Reader:
    """One load: what the files say, and what came of it so far."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.notes: list[Note] = []
        self.errors: list[ConfigError] = []
        self.origins: dict[str, Place] = {}
        # Section name (empty at the top level) to its key in the files.
        self._section_keys: dict[str, str] = {}
        # Where the default of a path starts: beside the first file.
        self._folder = source.files[0].parent if source.files else Path()

    def config(self) -> Config:
        """Read every option; the result is only good when no error came of it."""
        self._find_sections()
        values: dict[str, dict[str, Any]] = {name: {} for name in ("", *SECTIONS)}
        for option in OPTIONS:
            values[option.section][option.field] = self._value(option)
        self._report_missing_variables()
        self._report_repeated()
        self._report_unknown()
        config = Config(
            worklists=WorklistsConfig(**values["Worklists"]),
            limits=LimitsConfig(**values["Limits"]),
            audit=AuditConfig(**values["Audit"]),
            as_read=self._source.values,
            **values[""],
        )
        if not self.errors:
            self._report_without_effect(config)
        return config

    def _find_sections(self) -> None:
        for name in (*SECTIONS, *SECTION_ALIASES):
            if name not in self._source.values:
                continue
            section = SECTION_ALIASES.get(name, name)
            if section in self._section_keys:
                first = self._source.places.get((self._section_keys[section],))
                given = first.describe() if first else "another file"
                message = f"is another name of {section}, already given in {given}"
                self._fail(ConfigError(message, option=name), (name,))
            elif not isinstance(self._source.values[name], dict):
                self._fail(ConfigError("allowed is an object", option=name), (name,))
            else:
                self._section_keys[section] = name

    def _section(self, name: str) -> tuple[KeyPath, Mapping[str, Any]]:
        if not name:
            return (), self._source.values
        key = self._section_keys.get(name)
        return (key or name,), self._source.values[key] if key else {}

    def _value(self, option: Option) -> Any:
        path, section = self._section(option.section)
        given = [key for key in (option.key, *option.aliases) if key in section]
        if not given:
            return option.parse(option.default, self._folder)
        key, *others = given
        place = self._source.places.get((*path, key))
        for other in others:
            where = f" in {place.describe()}" if place else ""
            message = f"is another name of {option.key}, already given{where}"
            self._fail(ConfigError(message, option=other), (*path, other))
        if place:
            self.origins[option.name] = place
        try:
            return option.parse(section[key], place.file.parent if place else self._folder)
        except* ConfigError as group:
            for error in group.exceptions:
                if isinstance(error, ConfigError):  # there is no group within a group
                    self._fail(error, (*path, key))
        return option.parse(option.default, self._folder)

    def _fail(self, error: ConfigError, path: KeyPath) -> None:
        place = self._place(path, error.option)
        if place:
            error.file, error.line = str(place.file), place.line
        self.errors.append(error)

    def _place(self, path: KeyPath, option: str | None = None) -> Place | None:
        """Find the place of the innermost part that the dotted name of an option names."""
        inner = tuple(option.split(".")) if option else ()
        for candidate in (inner, inner[:-1], path):
            if candidate[: len(path)] == path and candidate in self._source.places:
                return self._source.places[candidate]
        return None

    def _note(
        self,
        kind: Literal["warning", "ignored"],
        path: KeyPath,
        message: str,
        hint: str | None = None,
    ) -> None:
        place = self._source.places.get(path)
        self.notes.append(
            Note(
                kind=kind,
                message=message,
                file=str(place.file) if place else None,
                line=place.line if place else None,
                option=".".join(path),
                hint=hint,
            )
        )

    def _report_missing_variables(self) -> None:
        for missing in self._source.missing:
            message = f"environment variable {missing.name} is not set"
            if missing.path and missing.path[0] in _TOP_LEVEL:
                place = missing.place
                error = ConfigError(
                    message,
                    file=str(place.file),
                    line=place.line,
                    option=".".join(_canonical(missing.path)),
                    hint=f"set it, or give a default: ${{{missing.name}:-...}}",
                )
                # The value that was read without it is wrong too; this says why.
                self.errors = [error, *(e for e in self.errors if not _is_within(error, e))]
            else:
                self._note("ignored", missing.path, message)

    def _report_repeated(self) -> None:
        """Refuse what is given twice and read: nobody sees which of the two counts."""
        for repeated in self._source.repeated:
            place = repeated.place
            if _is_read(repeated.path):
                error = ConfigError(
                    f"already given in {repeated.first.describe()}",
                    file=str(place.file),
                    line=place.line,
                    option=".".join(_canonical(repeated.path)),
                    hint="one of the two must go",
                )
                self.errors.append(error)
            else:
                note = Note(
                    kind="warning",
                    message="is given twice in one object; the last value counts",
                    file=str(place.file),
                    line=place.line,
                    option=".".join(repeated.path),
                )
                self.notes.append(note)

    def _report_unknown(self) -> None:
        for key in self._source.values:
            if key not in _TOP_LEVEL:
                self._report_unknown_key((key,), _TOP_LEVEL, KNOWN_ORTHANC_OPTIONS)
        for name, known in _KEYS_OF_SECTION.items():
            path, section = self._section(name)
            ignored = KNOWN_WORKLIST_OPTIONS if name == "Worklists" else frozenset[str]()
            for key in section:
                if key not in known:
                    self._report_unknown_key((*path, key), known, ignored)
        modalities = self._source.values.get("DicomModalities")
        for name, entry in modalities.items() if isinstance(modalities, dict) else ():
            for key in entry if isinstance(entry, dict) else ():
                if key not in _MODALITY:
                    path = ("DicomModalities", name, key)
                    self._report_unknown_key(path, _MODALITY, KNOWN_MODALITY_OPTIONS)

    def _report_unknown_key(
        self, path: KeyPath, ours: Sequence[str], ignored: frozenset[str]
    ) -> None:
        key = path[-1]
        if key in _SPECIAL or ".".join(path) in _SPECIAL:
            return
        if len(path) == 1 and (section := _SECTION_OF_KEY.get(key)) is not None:
            message = f"has no effect here: it belongs into {section}"
            self._note("warning", path, message, f'write it inside "{section}": {{...}}')
            return
        if key in ignored:
            self._note("ignored", path, "has no meaning here")
            return
        likely = _likely(key, ours)
        if likely or len(path) > 1:
            hint = f"did you mean {likely}?" if likely else f"known are {', '.join(ours)}"
            self._note("warning", path, "is not an option", hint)
        else:
            self._note("ignored", path, "is not an option")

    def _report_without_effect(self, config: Config) -> None:
        """Warn of settings that are read past although somebody relies on them."""
        section, _ = self._section("Worklists")
        for name, message in _SPECIAL.items():
            path = (*section, name.partition(".")[2]) if "." in name else (name,)
            holder = self._section("Worklists")[1] if "." in name else self._source.values
            if holder.get(path[-1]) is True:
                self._note("warning", path, message)
        refuses_all = config.authentication_enabled and not config.registered_users
        if config.http_server_enabled and refuses_all:
            message = "nobody is in RegisteredUsers: HTTP will refuse everybody"
            self._note("warning", ("AuthenticationEnabled",), message)
        if config.dicom_check_modality_host:
            for modality in config.modalities:
                if not _is_address(modality.host):
                    path = ("DicomModalities", modality.name)
                    message = (
                        "its host is not an IP address, and no name is looked up: it will be "
                        "refused while DicomCheckModalityHost is true"
                    )
                    self._note("warning", path, message, "write its IP address")


def _is_within(inner: ConfigError, outer: ConfigError) -> bool:
    """Tell whether what one error is about is the other's, or a part of it."""
    return f"{inner.option}.".startswith(f"{outer.option}.")


# Options that change what a site relies on when they are on and are not done here.
_SPECIAL: Mapping[str, str] = {
    "DicomModalitiesInDatabase": "there is no database here: DicomModalities is what counts",
    "ReadOnly": "who may use HTTP may change what it offers",
    "Worklists.SaveInOrthancDatabase": "there is no database here: the folder is what is served",
}
_TOP_LEVEL = tuple(
    dict.fromkeys([option.section or option.key for option in OPTIONS] + [*SECTION_ALIASES])
)
_KEYS_OF_SECTION: Mapping[str, tuple[str, ...]] = {
    name: tuple(
        key for option in OPTIONS if option.section == name for key in (option.key, *option.aliases)
    )
    for name in SECTIONS
}
_SECTION_OF_KEY = {key: name for name, keys in _KEYS_OF_SECTION.items() for key in keys}
_KEYS = {alias: option.key for option in OPTIONS for alias in option.aliases}
_MODALITY = (
    *("AET", "Host", "Port", "AllowEcho", "AllowFindWorklist", "LocalAet", "Timeout"),
    *("UseDicomTls", "TlsSubject"),
)
_ALIKE = 0.8
"""How alike two names must be for one to be the other misspelt: 1 is equal."""


def _canonical(path: KeyPath) -> KeyPath:
    """Give the path of an option by its own name, and its section's."""
    top, *inner = path
    if top not in (*SECTION_ALIASES, *SECTIONS):
        return path
    return SECTION_ALIASES.get(top, top), *(_KEYS.get(key, key) for key in inner)


def _is_read(path: KeyPath) -> bool:
    """Tell whether the key at a path means something here."""
    match _canonical(path):
        case (top,):
            return top in _TOP_LEVEL
        case (section, key) if section in _KEYS_OF_SECTION:
            return key in _KEYS_OF_SECTION[section]
        case ("DicomModalities" | "Dictionary", _):
            return True
        case ("DicomModalities", _, key):
            return key in _MODALITY
        case _:
            return False


def _likely(name: str, known: Sequence[str]) -> str | None:
    """Give the known name that a name is probably meant to be."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_ALIKE)
    return folded[found[0]] if found else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
