"""What a configuration makes of a site: its worklists and who may ask, without a socket.

The server answers scanners with it (`mwl.server`), and `mwl.explain` tells what it would answer.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from mwl.access import AccessPolicy, KnownCaller
from mwl.callbacks import Callbacks, Settings
from mwl.catalog import Catalog
from mwl.config import Config
from mwl.dataset import ENCODINGS, DictionaryEntry, extend_dictionary
from mwl.errors import StoreError
from mwl.find import Rules, Worklist
from mwl.item import WorklistItem, items_of
from mwl.matching import DIALECTS, Policy
from mwl.matching.stored import indexed_values
from mwl.store import Store
from mwl.store.directory import DirectoryStore, subfolder
from mwl.store.snapshot import Snapshot


class Worklists:
    """The worklists of a server, by called AE title.

    Args:
        config: What is served, and how.

    Raises:
        ConfigError: A script or a hook cannot be loaded.

    Attributes:
        callbacks: What the site's own scripts and hooks do to queries; None without any.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.callbacks = self._callbacks()
        self._of_folder: dict[Path, Worklist] = {}

    @property
    def opened(self) -> Iterable[Worklist]:
        """The worklists that somebody has asked for."""
        return tuple(self._of_folder.values())

    def of(self, called_ae_title: str) -> Worklist | None:
        """Give the worklist of a called AE title, None when it has none."""
        if (worklist := self.of_everyone()) is not None:
            return worklist
        root = self._config.worklists.database
        folder = subfolder(root, called_ae_title)
        if folder is None:
            return None
        if _is_folder(folder):
            return self._open(folder)
        # Where the root itself cannot be read, nobody can say whether there is such a folder: the
        # queries fail, and the device is not told that its called AE title is wrong.
        return None if _can_be_listed(root) else self._new(folder)

    def of_everyone(self) -> Worklist | None:
        """Give the one worklist that every called AE title has, None with a folder for each."""
        if self._config.worklists.folder_per_called_ae_title:
            return None
        return self._open(self._config.worklists.database)

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
        )
        return self.of_store(store)

    def of_store(self, store: Store) -> Worklist:
        """Give the worklist that this site would make of another store."""
        dialect = DIALECTS[self._config.worklists.compatibility]
        catalog = Catalog(store, needs_step=not dialect.skips_missing_sequences)
        return Worklist(catalog, self._rules(), self.callbacks)

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

    def parser(self) -> Callable[[str, bytes], tuple[WorklistItem, ...]]:
        """Give what makes the items of a file: `mwl.item.items_of` as the site has it."""
        dialect = DIALECTS[self._config.worklists.compatibility]
        return partial(
            items_of,
            split_steps=dialect.splits_steps,
            default=ENCODINGS[self._config.default_encoding],
            indexed_of=indexed_values,
        )

    def _callbacks(self) -> Callbacks | None:
        config = self._config
        settings = Settings(
            lua_scripts=config.lua_scripts,
            python_script=config.python_script,
            hooks=config.hooks,
            timeout_s=config.callback_timeout_s,
            parse=self.parser(),
            default_character_set=ENCODINGS[config.default_encoding],
            configuration=config.as_read,
        )
        return None if settings.is_empty else Callbacks(settings)

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
        )

    def close(self) -> None:
        """Remember the folders for the next start and stop watching them."""
        for worklist in self._of_folder.values():
            with suppress(StoreError):
                deque(worklist.catalog.remember(), maxlen=0)
            worklist.catalog.close()
        if self.callbacks is not None:
            self.callbacks.close()


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


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # it lies in a folder that may not be searched


def _can_be_listed(folder: Path) -> bool:
    return _is_folder(folder) and os.access(folder, os.R_OK | os.X_OK)


def take_dictionary(config: Config) -> None:
    """Add the site's own attributes to the dictionary."""
    extend_dictionary(
        DictionaryEntry(entry.tag, entry.vr, entry.name) for entry in config.dictionary
    )


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
            )
            for modality in config.modalities
        ),
        loopback_may_query=config.loopback_may_query,
    )
