"""What a configuration makes of a site: its worklists and who may ask, without a socket.

The server answers scanners with it (`mwl.server`), and `mwl.explain` tells what it would answer.
"""

import dataclasses
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mwl.access import AccessPolicy, KnownCaller
from mwl.callbacks import Callbacks, Settings
from mwl.catalog import Catalog
from mwl.config import MANUFACTURERS, Config, LimitsConfig, Modality, modality_of
from mwl.dataset import ENCODINGS, CharacterSet, DictionaryEntry, extend_dictionary
from mwl.errors import ConfigError, StoreError
from mwl.find import QueryLimits, Rules, Worklist
from mwl.intake import Intake
from mwl.matching import DIALECTS, Policy
from mwl.paths import is_folder
from mwl.store import Store
from mwl.store.directory import COMMENT, DirectoryStore
from mwl.store.folder import subfolder
from mwl.store.memory import MemoryStore
from mwl.store.second_reader import Making, Parse, SecondReader
from mwl.store.snapshot import Snapshot
from mwl.tls.contexts import Credentials, PemFile

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor


class Worklists:
    """The worklists of a server, by called AE title.

    Args:
        config: What is served, and how.

    Raises:
        ConfigError: A script or a hook cannot be loaded.

    Attributes:
        callbacks: What the site's own scripts and hooks do to queries; None without any.
        auditor: Is told of items that change, in the worklists opened from then on; None without
            an audit trail.
    """

    def __init__(self, config: Config) -> None:
        self._of_folder: dict[Path, Worklist] = {}
        self._configured_encoding = config.default_encoding
        self._take(config)
        self.callbacks: Callbacks | None = None
        self.callbacks = self.load_callbacks(config)
        self._scripts: Callbacks | None = None
        self.auditor: Auditor | None = None

    def _take(self, config: Config) -> None:
        """Let folders be read as a configuration says, from now on."""
        self._config = config
        self._making = making_of(config)
        self._second_reader = SecondReader(self._making)

    def take_over(self, config: Config, callbacks: Callbacks | None) -> list[Callbacks]:
        """Let another configuration count for the queries from now on.

        A query at work ends on what it began with.

        Args:
            config: The configuration.
            callbacks: What `load_callbacks` gave for it.

        Returns:
            The callbacks until now, for the caller to close.
        """
        retired = {each for each in (self.callbacks, callbacks and self._scripts) if each}
        if self._scripts in retired:
            self._scripts = None
        self.callbacks = callbacks
        old, new = self._config, self._with_encoding(config)
        self._configured_encoding = config.default_encoding
        if _reading_of(old) != _reading_of(new):
            self._read_anew(new)
        else:
            self._config = new
            for worklist in self._of_folder.values():
                worklist.take_over(self._rules(), callbacks)
        return [*retired]

    def _with_encoding(self, config: Config) -> Config:
        """Keep what `set_default_encoding` chose, unless the files have another one now."""
        if config.default_encoding != self._configured_encoding:
            return config
        return dataclasses.replace(config, default_encoding=self._config.default_encoding)

    def _read_anew(self, config: Config) -> None:
        self._take(config)
        # A query at work ends on what it began with.
        before, self._of_folder = self._of_folder, {}
        for worklist in before.values():
            worklist.catalog.close()

    def of(self, called_ae_title: str) -> Worklist | None:
        """Give the worklist of a called AE title, None when it has none."""
        if (worklist := self.of_everyone()) is not None:
            return worklist
        root = self._config.worklists.database
        folder = subfolder(root, called_ae_title)
        if folder is None:
            return None
        if is_folder(folder):
            return self._open(folder)
        # Where the root itself cannot be read, nobody can say whether there is such a folder: the
        # queries fail, and the device is not told that its called AE title is wrong.
        return None if _can_be_listed(root) else self._new(folder)

    def of_everyone(self) -> Worklist | None:
        """Give the one worklist that every called AE title has, None with a folder for each."""
        if self._config.worklists.folder_per_called_ae_title:
            return None
        return self._open(self._config.worklists.database)

    @property
    def default_encoding(self) -> str:
        """Name of the character set of files and queries that name none (`DefaultEncoding`)."""
        return self._config.default_encoding

    @property
    def default_character_set(self) -> CharacterSet:
        """The character set of files and queries that name none."""
        return ENCODINGS[self._config.default_encoding]

    def set_default_encoding(self, name: str) -> str:
        """Read every file anew, with another character set for those that name none.

        Args:
            name: A name of `ENCODINGS`, in upper or lower case.

        Returns:
            The name as `ENCODINGS` has it.

        Raises:
            ConfigError: There is no such name.
        """
        canonical = {known.lower(): known for known in ENCODINGS}.get(name.strip().lower())
        if canonical is None:
            raise ConfigError(f"allowed are {', '.join(ENCODINGS)}", option="DefaultEncoding")
        if canonical != self._config.default_encoding:
            self._read_anew(dataclasses.replace(self._config, default_encoding=canonical))
        return canonical

    def _open(self, folder: Path) -> Worklist:
        if folder not in self._of_folder:
            self._of_folder[folder] = self._new(folder)
        return self._of_folder[folder]

    def _new(self, folder: Path) -> Worklist:
        store = DirectoryStore(
            folder,
            self.parser(),
            watch=self._config.worklists.watch,
            snapshot=self._snapshot(folder),
            second_reader=self._second_reader,
        )
        worklist = self.of_store(store)
        worklist.auditor = self.auditor
        return worklist

    def of_store(self, store: Store, *, tells_doubts: bool = True) -> Worklist:
        """Give the worklist that this site would make of another store."""
        dialect = DIALECTS[self._config.worklists.compatibility]
        catalog = Catalog(
            store, needs_step=not dialect.skips_missing_sequences, tells_doubts=tells_doubts
        )
        return Worklist(catalog, self._rules(), self.callbacks)

    def copy_of(self, worklist: Worklist) -> Callable[[], Worklist]:
        """Take the items of a worklist as they are now.

        Returns:
            What makes a worklist of them that no change reaches; takes its time, in any thread.
        """
        items = dict(worklist.catalog.sources)
        unreadable = dict(worklist.catalog.unreadable)

        def copied() -> Worklist:
            store = MemoryStore()
            for source, reason in unreadable.items():
                store.refuse(source, reason)
            for source, of_source in items.items():
                store.put(source, of_source)
            copy = self.of_store(store, tells_doubts=False)
            deque(copy.see_every_change(), maxlen=0)
            return copy

        return copied

    @property
    def intake(self) -> Intake:
        """How items are taken from programs."""
        config = self._config
        return Intake(
            now=lambda: datetime.now().astimezone(),
            new_number=lambda: uuid.uuid4().int,
            default=ENCODINGS[config.default_encoding],
            sets_study_instance_uid=config.worklists.set_study_instance_uid,
            checks_as_orthanc=config.worklists.compatibility == "orthanc",
        )

    @property
    def opened(self) -> Mapping[str, Worklist]:
        """The worklists in use, by the name of their folder."""
        self.of_everyone()  # it is in use, also when nobody has asked yet
        return {folder.name: worklist for folder, worklist in self._of_folder.items()}

    @staticmethod
    def can_be_listed(config: Config) -> bool:
        """Tell whether the folder of all worklists of a configuration can be read."""
        return _can_be_listed(config.worklists.database)

    def require_folder(self) -> None:
        """Require that the folder of all worklists can be read.

        Raises:
            StoreError: It cannot.
        """
        root = self._config.worklists.database
        if not _can_be_listed(root):
            raise StoreError(f"worklist folder {root} cannot be read", comment=COMMENT)

    def _snapshot(self, folder: Path) -> Snapshot | None:
        config = self._config
        cache = cache_folder(config.worklists.snapshot, os.environ)
        if cache is None:
            return None
        return Snapshot(
            cache,
            str(folder.absolute()),
            # All that `parser` gives to the items, and the dictionary.
            (config.worklists.compatibility, config.default_encoding, repr(config.dictionary)),
            ENCODINGS[config.default_encoding],
        )

    def parser(self) -> Parse:
        """Give what makes the items of a file: `mwl.item.items_of` as the site has it."""
        return self._making.parser()

    @property
    def scripts(self) -> Callbacks:
        """What runs pieces of Lua: the callbacks of queries, or some that no query knows of."""
        if self._scripts is None:
            self._scripts = self.callbacks or Callbacks(_settings_of_callbacks(self._config))
        return self._scripts

    def load_callbacks(
        self, config: Config, through: Callable[[Callable[[], None]], object] | None = None
    ) -> Callbacks | None:
        """Load the scripts and hooks of a configuration, in any thread.

        Args:
            config: The configuration.
            through: Runs a function where the log is written, when this is another thread.

        Returns:
            None where it names none.

        Raises:
            ConfigError: One cannot be loaded.
        """
        settings = _settings_of_callbacks(self._with_encoding(config))
        if settings.is_empty:
            return None
        return Callbacks(settings, self.callbacks, through)

    def _rules(self) -> Rules:
        config = self._config
        return Rules(
            policy=Policy(
                dialect=DIALECTS[config.worklists.compatibility],
                case_sensitive_person_names=config.case_sensitive_person_names,
                default_character_set=ENCODINGS[config.default_encoding],
            ),
            station_rule=config.worklists.filter_issuer_ae_title,
            limit_answers=config.worklists.limit_answers,
            limits=query_limits(config.limits),
        )

    def close(self) -> None:
        """Remember the folders for the next start and stop watching them."""
        for worklist in self._of_folder.values():
            with suppress(StoreError):
                deque(worklist.catalog.remember(), maxlen=0)
            worklist.catalog.close()
        if (scripts := self._scripts or self.callbacks) is not None:
            scripts.close()


def query_limits(config: LimitsConfig) -> QueryLimits:
    """Give how much a query may ask."""
    return QueryLimits(
        identifier_length=config.identifier_length,
        inflated_length=config.inflated_length,
        nesting=config.nesting,
        keys=config.keys,
        values=config.values,
        wild_cards=config.wild_cards,
        answers_buffered=config.answers_buffered,
        answers_kept=config.answers_kept,
    )


def _reading_of(config: Config) -> object:
    """Give all that counts when a folder is opened and read."""
    worklists = config.worklists
    return (
        making_of(config),
        worklists.compatibility,
        worklists.database,
        worklists.folder_per_called_ae_title,
        worklists.watch,
        worklists.snapshot,
    )


def _settings_of_callbacks(config: Config) -> Settings:
    return Settings(
        lua_scripts=config.lua_scripts,
        python_script=config.python_script,
        hooks=config.hooks,
        timeout_s=config.callback_timeout_s,
        parse=making_of(config).parser(),
        default_character_set=ENCODINGS[config.default_encoding],
        configuration=config.as_read,
        hides_values=config.deidentify_logs,
    )


KnownModality = Modality
"""One that `KnownModalities` has."""


class KnownModalities:
    """The known modalities of a running server; what changes is lost when it ends, as in Orthanc.

    It may be read and changed in any thread. A change costs 1 ms for each thousand of them.

    Args:
        config: The ones that the configuration names, and the rest of the rules.
        changed: Is given the rules of who may ask whenever they change.
    """

    def __init__(self, config: Config, changed: Callable[[AccessPolicy], None]) -> None:
        self._config = config
        self._changed = changed
        self._of_name = {modality.name: modality for modality in config.modalities}
        # Rules made of what another thread replaces meanwhile would stay in force.
        self._changing = threading.Lock()

    @property
    def all(self) -> Mapping[str, Modality]:
        """All of them by name, in the order of the names; what changes later does not show."""
        return dict(sorted(self._of_name.items()))

    def get(self, name: str) -> Modality | None:
        """Give a modality, None when there is none of that name."""
        return self._of_name.get(name)

    def put(self, name: str, value: object) -> None:
        """Add a modality, or put it in the place of another.

        One that is bound to a certificate stays so unless the value says `TlsSubject`: programs
        written for Orthanc know of no such member, and a list has no room for it.

        Args:
            name: Its name.
            value: A value of `DicomModalities`, a list or an object.

        Raises:
            ConfigError: The value cannot be used.
        """
        modality = self.read(name, value)
        is_said = isinstance(value, dict) and "TlsSubject" in value
        with self._changing:
            if not is_said and (before := self._of_name.get(name)) is not None:
                modality = dataclasses.replace(modality, tls_subject=before.tls_subject)
            self._apply(self._of_name | {name: modality})

    @staticmethod
    def read(name: str, value: object) -> Modality:
        """Give the modality that a value of `DicomModalities` describes, without adding it.

        Raises:
            ConfigError: The value cannot be used.
        """
        modality = modality_of(name, value)
        if modality.manufacturer not in MANUFACTURERS:
            raise ConfigError(
                f"unknown, allowed are {', '.join(MANUFACTURERS)}", option="Manufacturer"
            )
        return modality

    def take_over(self, config: Config) -> None:
        """Let the modalities and the rules of another configuration count.

        What was put or removed since stays, but for the modalities that the files changed as well:
        the later word counts.
        """
        with self._changing:
            before = {modality.name: modality for modality in self._config.modalities}
            now = {modality.name: modality for modality in config.modalities}
            self._config = config
            names = dict.fromkeys((*now, *self._of_name))
            chosen = {
                name: self._of_name.get(name)
                if before.get(name) == now.get(name)
                else now.get(name)
                for name in names
            }
            self._apply({name: each for name, each in chosen.items() if each is not None})

    def remove(self, name: str) -> bool:
        """Forget a modality; tell whether there was one of that name."""
        with self._changing:
            if name not in self._of_name:
                return False
            self._apply({key: one for key, one in self._of_name.items() if key != name})
            return True

    def _apply(self, of_name: dict[str, Modality]) -> None:
        self._of_name = of_name
        modalities = tuple(of_name.values())
        self._changed(access_policy(dataclasses.replace(self._config, modalities=modalities)))


def dicom_credentials(config: Config) -> Credentials:
    """Say who this server is over DICOM, and whom it believes."""
    return Credentials(
        certificate=_pem(config.dicom_tls_certificate, "DicomTlsCertificate"),
        private_key=_pem(config.dicom_tls_private_key, "DicomTlsPrivateKey"),
        trusted=_pem(config.dicom_tls_trusted_certificates, "DicomTlsTrustedCertificates"),
        peer_certificate_required=config.dicom_tls_remote_certificate_required,
        least_version=config.dicom_tls_minimum_protocol_version,
        ciphers=config.dicom_tls_ciphers_accepted,
    )


def https_credentials(config: Config) -> Credentials:
    """Say who this server is over HTTP, and whom it believes."""
    verifies = config.ssl_verify_peers
    trusted = config.ssl_trusted_client_certificates if verifies else None
    return Credentials(
        certificate=PemFile(config.ssl_certificate, "SslCertificate"),
        trusted=_pem(trusted, "SslTrustedClientCertificates"),
        peer_certificate_required=verifies,
        least_version=max(config.ssl_minimum_protocol_version, _TLS_1_2),
    )


_TLS_1_2 = 4
"""The key of `mwl.tls.contexts.LEAST_VERSIONS`."""


def audit_credentials(config: Config) -> Credentials:
    """Say who this server is to the receiver of audit messages, and whom it believes."""
    audit = config.audit
    return Credentials(
        certificate=_pem(audit.certificate, "Audit.Certificate"),
        private_key=_pem(audit.private_key, "Audit.PrivateKey"),
        trusted=_pem(audit.trusted_certificates, "Audit.TrustedCertificates"),
    )


def credentials_in_use(config: Config) -> list[Credentials]:
    """Give who this server is wherever it encrypts."""
    found = []
    if config.dicom_tls_enabled or config.dicom_tls_port:
        found.append(dicom_credentials(config))
    if config.http_server_enabled and config.ssl_enabled:
        found.append(https_credentials(config))
    if config.audit.destination is not None and config.audit.destination.scheme == "tls":
        found.append(audit_credentials(config))
    return found


def _pem(path: Path | None, option: str) -> PemFile | None:
    return None if path is None else PemFile(path, option)


def cache_folder(setting: str, environment: Mapping[str, str]) -> Path | None:
    """Give the folder that `Worklists.Snapshot` names, None for none."""
    if setting == "off":
        return None
    if setting != "auto":
        return Path(setting)
    if given := environment.get("CACHE_DIRECTORY"):
        return Path(given.partition(":")[0])  # systemd.exec(5): several are possible
    if given := environment.get("XDG_CACHE_HOME"):
        return Path(given) / "mwl"
    home = environment.get("HOME")
    return Path(home) / ".cache" / "mwl" if home else None


def _can_be_listed(folder: Path) -> bool:
    return is_folder(folder) and os.access(folder, os.R_OK | os.X_OK)


def take_dictionary(config: Config) -> None:
    """Add the site's own attributes to the dictionary."""
    extend_dictionary(dictionary_of(config))


def making_of(config: Config) -> Making:
    """Say how the items of a file are made."""
    return Making(
        split_steps=DIALECTS[config.worklists.compatibility].splits_steps,
        default_encoding=config.default_encoding,
        dictionary=tuple(dictionary_of(config)),
    )


def dictionary_of(config: Config) -> list[DictionaryEntry]:
    """Give the site's own attributes."""
    return [DictionaryEntry(entry.tag, entry.vr, entry.name) for entry in config.dictionary]


def access_policy(config: Config) -> AccessPolicy:
    """Give the rules of who may ask."""
    return AccessPolicy(
        ae_title=config.dicom_ae_title,
        check_called_ae_title=config.dicom_check_called_ae_title,
        strict_ae_comparison=config.strict_ae_comparison,
        check_modality_host=config.dicom_check_modality_host,
        always_allow_echo=config.dicom_always_allow_echo,
        always_allow_find_worklist=config.dicom_always_allow_find_worklist,
        always_allow_other=config.dicom_always_allow_other,
        modalities=tuple(
            KnownCaller(
                modality.name,
                modality.ae_title,
                modality.host,
                modality.allow_echo,
                modality.allow_find_worklist,
                modality.tls_subject,
            )
            for modality in config.modalities
        ),
        loopback_may_query=config.loopback_may_query,
        user_identity=config.dicom_user_identity,
        users=config.registered_users,
    )
