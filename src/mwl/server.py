"""Composition root: a `Config` becomes a running server. The only place where the parts meet.

What an option means is in `mwl.config`; what the parts do is in their own modules.
"""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Self

from mwl import telemetry
from mwl.access import AccessPolicy, KnownCaller
from mwl.catalog import Catalog
from mwl.config import Config
from mwl.dataset import (
    ENCODINGS,
    TRANSFER_SYNTAXES,
    DictionaryEntry,
    extend_dictionary,
    load_registry,
)
from mwl.errors import ConfigError, StoreError
from mwl.find import IDENTIFIER_LIMIT_BYTES, Rules, Worklist
from mwl.item import WorklistItem, items_of
from mwl.matching import DIALECTS, Policy
from mwl.matching.stored import indexed_values
from mwl.net.connections import Connections
from mwl.net.dicom import DicomConnection, Service
from mwl.store.directory import DirectoryStore, subfolder
from mwl.store.snapshot import Snapshot
from mwl.wire import negotiation
from mwl.wire.association import Limits

_PORT_HINTS: Mapping[int | None, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "another program has this port; choose another with --port",
        errno.EACCES: "ports below 1024 need a privilege; choose a higher one with --port",
    }
)
"""What to do about a port that cannot be had."""

FILES_WANTED = 4096
"""Descriptors to have room for: connections up to their limit, folders and files."""

LINES_TOGETHER_S = 0.005
"""Seconds that a line of the log may wait for others: all that a kill without warning can lose."""

REGISTRY_LATER_S = 1.0
"""Seconds from the reading of the folder to that of the registry, which takes 0.1 s: early enough
to be there before a query asks for a rare attribute, late enough for those who wait to be answered.
"""

BACKLOG = 512
"""Connections that may wait to be accepted: every device of a hospital after a power cut."""


class Worklists:
    """The worklists of a server, by called AE title.

    Args:
        config: What is served, and how.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._of_folder: dict[Path, Worklist] = {}

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
            self._parser(),
            watch=self._config.worklists.watch,
            snapshot=self._snapshot(folder),
        )
        dialect = DIALECTS[self._config.worklists.compatibility]
        catalog = Catalog(store, needs_step=not dialect.skips_missing_sequences)
        return Worklist(catalog, self._rules())

    def _snapshot(self, folder: Path) -> Snapshot | None:
        config = self._config
        cache = cache_folder(config.worklists.snapshot, os.environ)
        if cache is None:
            return None
        return Snapshot(
            cache,
            str(folder.absolute()),
            # All that `_parser` gives to the items, and the dictionary.
            (config.worklists.compatibility, config.default_encoding, repr(config.dictionary)),
            ENCODINGS[config.default_encoding],
        )

    def _parser(self) -> Callable[[str, bytes], tuple[WorklistItem, ...]]:
        dialect = DIALECTS[self._config.worklists.compatibility]
        return partial(
            items_of,
            split_steps=dialect.splits_steps,
            default=ENCODINGS[self._config.default_encoding],
            indexed_of=indexed_values,
        )

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


class Server:
    """A DICOM Modality Worklist server.

    Args:
        config: What to serve, where and to whom.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._worklists = Worklists(config)
        self._connections: Connections | None = None
        self._listener: asyncio.Server | None = None
        self._preloading: Callable[[], None] = _nothing
        self.host = ""
        self.port = 0

    async def start(self) -> Self:
        """Listen, and begin to read the folder; queries wait until it is read.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        config = self._config
        extend_dictionary(
            DictionaryEntry(entry.tag, entry.vr, entry.name) for entry in config.dictionary
        )
        loop = asyncio.get_running_loop()
        service = self._service()
        connections = self._connections = Connections(loop, service.limits)
        _raise_file_limit()
        telemetry.write_together(partial(loop.call_later, LINES_TOGETHER_S))
        listening = _listen(config.dicom_host, config.dicom_port)
        # Accepted sockets inherit it: a scanner that crashed leaves no association for ever.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listener = await loop.create_server(
            lambda: DicomConnection(service, connections, loop),
            sock=listening,
            backlog=BACKLOG,
        )
        self.host, self.port = listening.getsockname()[:2]
        telemetry.emit(
            "listening",
            ae_title=config.dicom_ae_title,
            host=self.host,
            port=self.port,
            folder=str(config.worklists.database.absolute()),
        )
        if (worklist := self._worklists.of_everyone()) is not None:
            self._preloading = _preload(loop, worklist)
        return self

    async def stop(self) -> None:
        """Take no new association, let the open ones finish for a while, abort the rest."""
        if self._listener is None or self._connections is None:
            return
        telemetry.emit("stopping", associations=len(self._connections))
        self._listener.close()
        self._preloading()
        await self._connections.close()
        self._worklists.close()
        telemetry.emit("stopped")
        telemetry.write_together(None)

    async def serve(self) -> None:
        """Start, run until SIGTERM, SIGINT or SIGHUP, stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await self.start()
        await stop.wait()
        await self.stop()

    def _service(self) -> Service:
        config = self._config
        return Service(
            access=_access(config),
            worklist=self._worklists.of,
            negotiation=negotiation.Policy(
                abstract_syntaxes={
                    negotiation.VERIFICATION: TRANSFER_SYNTAXES,
                    negotiation.MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES,
                },
                max_pdu_length=config.maximum_pdu_length,
            ),
            limits=Limits(
                max_pdu_length=config.maximum_pdu_length,
                idle_timeout_s=config.dicom_scp_timeout_s,
                max_message_bytes=IDENTIFIER_LIMIT_BYTES,
            ),
            values_in_log=not config.deidentify_logs,
        )


def _access(config: Config) -> AccessPolicy:
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


def _raise_file_limit() -> None:
    """Ask for as many descriptors as the limits of connections may need, where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    """Give a listening socket: of one address, or of all of them, IPv4 and IPv6, without a host."""
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        family, *_ = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104 - the operator asked for all addresses
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        in_port = number in _PORT_HINTS
        reason = os.strerror(number) if number and in_port else str(error)
        raise ConfigError(
            f"cannot listen on {host or 'all addresses'}, port {port}: {reason}",
            option="DicomPort" if in_port else "DicomHost",
            hint=_PORT_HINTS[number] if number and in_port else None,
        ) from error


def _preload(loop: asyncio.AbstractEventLoop, worklist: Worklist) -> Callable[[], None]:
    """Read the folder in slices between other work, so that the first query need not wait.

    Returns:
        What ends it before its time.
    """
    steps = _load(worklist)

    def step() -> None:
        try:
            next(steps)
        except (StopIteration, StoreError):
            # Read, or not to be read: the store has said so. Those who waited are answered first.
            loop.call_later(REGISTRY_LATER_S, load_registry)
        else:
            loop.call_soon(step)

    step()
    return steps.close


def _load(worklist: Worklist) -> Generator[None, None, None]:
    # Items make no cycles, but the search for some takes long among 100,000 of them, while nobody
    # is answered: none while they are read, and what is there then is left out of it.
    gc.disable()
    try:
        yield from worklist.see_every_change()
    finally:
        gc.enable()
        gc.freeze()
    yield from worklist.catalog.remember()


def _nothing() -> None:
    pass
