"""What a configuration gives the checks of `mwl doctor` to look at."""

import asyncio
import dataclasses
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from mwl.cli.config import notes_of_scripts, scripts_one_by_one
from mwl.config import (
    AuditDestination,
    Config,
    Loaded,
    Modality,
    Note,
    check,
    missing_here,
    of_folder,
    refusals,
)
from mwl.doctor import (
    Finding,
    audit,
    certificates,
    fail,
    folders,
    machine,
    modalities,
    ok,
    ports,
    warn,
)
from mwl.doctor.modalities import Device
from mwl.doctor.ports import Place
from mwl.doctor.units import Unit
from mwl.errors import ConfigError
from mwl.matching import DIALECTS
from mwl.net.client import Peer, User
from mwl.paths import is_file
from mwl.site import (
    access_policy,
    audit_credentials,
    cache_folder,
    dicom_credentials,
    https_credentials,
    making_of,
    take_dictionary,
)
from mwl.store.folder import subfolder
from mwl.text import escape
from mwl.tls.contexts import client_context, server_context

FOLDERS_READ = 50
"""Folders of called AE titles that are read; of a site with more, the first."""

_LOOKED_AT_ELSEWHERE = ("Worklists.Database", "LuaScripts", "PythonScript", "Hooks", "DicomHost")
"""Options of which a check of its own says what is missing on this machine."""

_CERTIFICATES = (
    *("Audit.TrustedCertificates", "Audit.Certificate", "Audit.PrivateKey"),
    *("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"),
)


class Progress(Protocol):
    """How far the work is, for somebody who waits."""

    def __call__(self, what: str) -> None:
        """Say what is being done."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be looked at, as the user said it.

    Args:
        folder: A folder to be served without a configuration.
        configuration: Files or folders of the configuration.
        overrides: Fields of `Config` that the command line sets.
        is_user_stated: Whether the user said as whom to look.
        unit: The unit of systemd that runs the server, where the user named one.
        asks: Whether modalities are asked.
        timeout_s: Seconds that each of them has.
    """

    folder: Path | None
    configuration: Sequence[Path]
    overrides: Mapping[str, Any]
    is_user_stated: bool
    unit: Unit | None
    asks: bool
    timeout_s: float


def examine(wanted: Wanted, tell: Progress) -> Iterator[Finding]:
    """Make each check that the configuration needs, in the order of `mwl.doctor.CHECKS`."""
    user_id = machine.effective_user_id()
    found = machine.user(user_id, user_name(user_id), is_stated=wanted.is_user_stated)
    yield found
    if found.level == "FAIL":
        return
    loaded, findings = _configuration(wanted)
    yield from findings
    if loaded is not None:
        config = dataclasses.replace(loaded.config, **wanted.overrides)
        yield from _of_site(config, wanted, tell)
    else:
        yield from _clock()


def _of_site(config: Config, wanted: Wanted, tell: Progress) -> Iterator[Finding]:
    take_dictionary(config)
    tell("loading scripts")
    yield from _scripts(config)
    yield from _folders(config, wanted.unit, tell)
    tell("looking at ports")
    process, found = asyncio.run(_ports(config, wanted.unit))
    yield from found
    yield from _http(config)
    yield from _certificates(config)
    yield from _audit(config, wanted.unit)
    limit, whose = machine.descriptor_limit(process)
    if wanted.unit is not None:
        limit, whose = wanted.unit.files, wanted.unit.name
    count = len(_worklist_folders(config))
    yield machine.descriptors(limit, config.limits.connections, count, whose)
    yield from _clock()
    yield from _modalities(config, wanted, tell)


def _has(unit: Unit | None, capability: str) -> bool:
    return unit is not None and capability in unit.capabilities


def user_name(user_id: int) -> str:
    """Give the name of a user, the number of one without."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


# ------------------------------------------------------------------------------- configuration


def _configuration(wanted: Wanted) -> tuple[Loaded | None, list[Finding]]:
    """Load what is to be served, as `mwl config check` does."""
    if wanted.folder is not None:
        config = of_folder(wanted.folder)
        found = ok(
            "configuration", str(wanted.folder), "served without a file, as mwl serve FOLDER"
        )
        return Loaded(config, [], {}), [found]
    subject = ", ".join(map(str, wanted.configuration))
    checked = check(wanted.configuration, os.environ)
    errors, notes = checked.errors, checked.notes
    if checked.loaded is not None:
        errors = refusals(checked.loaded)
        notes = [*notes, *_missing(checked.loaded)]
    findings = [_of_error("configuration", error) for error in errors]
    findings += [_of_note(note) for note in notes if note.kind == "warning"]
    if not findings:
        findings = [ok("configuration", subject, "can be used")]
    return checked.loaded, findings


def _missing(loaded: Loaded) -> list[Note]:
    elsewhere = {*_LOOKED_AT_ELSEWHERE, *_CERTIFICATES, "SslCertificate"}
    return [note for note in missing_here(loaded) if note.option not in elsewhere]


def _place(error: ConfigError | Note) -> str:
    where = ":".join(str(part) for part in (error.file, error.line) if part is not None)
    return " ".join(filter(None, (where, error.option))) or "configuration"


def _of_error(name: str, error: ConfigError) -> Finding:
    mend = error.hint or "correct it there; docs/reference/options.md says what is allowed"
    if error.file:
        user = user_name(machine.effective_user_id())
        mend = folders.let_read(Path(error.file), user) or mend
    return fail(name, _place(error), error.message, mend)


def _of_note(note: Note) -> Finding:
    mend = note.hint or "remove it, or correct it there"
    return warn("configuration", _place(note), note.message, mend)


def _scripts(config: Config) -> Iterator[Finding]:
    named = [*config.lua_scripts, *config.hooks]
    named += [config.python_script] if config.python_script else []
    if not named:
        yield ok("scripts", "LuaScripts, PythonScript, Hooks", "none")
        return
    missing = [path for path in named if isinstance(path, Path) and not is_file(path)]
    for path in missing:
        mend = "put it there, or take it out of the configuration"
        yield fail("scripts", str(path), "cannot be read: the server does not start", mend)
    refused = False
    for only in scripts_one_by_one(config):
        try:
            notes = notes_of_scripts(only)
        except ConfigError as error:
            refused = True
            yield _of_error("scripts", error)
        else:
            for note in notes:
                yield warn("scripts", note.option or "scripts", note.message, "remove it")
    if not missing and not refused:
        yield ok("scripts", f"{len(named)} scripts and hooks", "can be loaded")


# ------------------------------------------------------------------------------- folders


def _worklist_folders(config: Config) -> Sequence[Path]:
    """Give the folders that are served, as far as they can be seen."""
    root = config.worklists.database.absolute()
    if not config.worklists.folder_per_called_ae_title:
        return [root]
    try:
        return folders.folders_of_titles(root, subfolder)
    except OSError:
        return []


def _folders(config: Config, unit: Unit | None, tell: Progress) -> Iterator[Finding]:
    root = config.worklists.database.absolute()
    user_id = machine.effective_user_id()
    user = user_name(user_id)
    found = folders.folder(root, user)
    yield found
    served = _worklist_folders(config) if found.level != "FAIL" else []
    if config.worklists.folder_per_called_ae_title and found.level != "FAIL":
        for title in served:
            yield folders.folder(title, user)
        if not served:
            mend = f"sudo install -d -o {user} -m 750 {root / config.dicom_ae_title}"
            yield warn("folder", str(root), "has no folder of a called AE title", mend)
    if len(served) > FOLDERS_READ:
        yield ok("files", str(root), f"of {len(served)} folders the first {FOLDERS_READ} are read")
    for path in served[:FOLDERS_READ]:
        if folders.may(path, os.R_OK | os.X_OK):
            yield from _files(path, config, user, unit, tell)
    limits, used = machine.inotify_limits(), machine.inotify_in_use(user_id)
    if config.worklists.watch != "scan":
        yield machine.inotify(limits, used, len(served))
    setting = config.worklists.snapshot
    environment = _environment(unit)
    yield folders.cache(cache_folder(setting, environment), setting, user)
    logs = environment.get("LOGS_DIRECTORY")
    yield folders.log(config.log_file, user, Path(logs) if logs else None)


def _files(
    path: Path, config: Config, user: str, unit: Unit | None, tell: Progress
) -> Iterator[Finding]:
    mode = config.worklists.watch
    needs_step = not DIALECTS[config.worklists.compatibility].skips_missing_sequences
    found = folders.contents(
        path,
        making_of(config).parser(),
        mode,
        needs_step=needs_step,
        tell=lambda count: tell(f"{path}: {count} files read"),
    )
    yield from folders.files(path, found, user)
    if not found.failure:
        kind = folders.file_system(path)
        yield folders.watch(path, mode, kind, found)
        tried = folders.leases(path)
        names = {owner: user_name(owner) for owner in tried.refused}
        may_lease = _has(unit, "CAP_LEASE")
        yield folders.lease(path, kind, tried, names, may_lease=may_lease)


# ------------------------------------------------------------------------------- network


async def _ports(config: Config, unit: Unit | None) -> tuple[int | None, list[Finding]]:
    """Look at each port; give the process that has that of DICOM, and what was found."""
    main = "DICOM over TLS" if config.dicom_tls_enabled else "DICOM"
    places = [Place(main, "DicomPort", config.dicom_host, config.dicom_port)]
    if config.dicom_tls_port and not config.dicom_tls_enabled:
        place = Place("DICOM over TLS", "DicomTlsPort", config.dicom_host, config.dicom_tls_port)
        places.append(place)
    places += [Place("HTTP", "HttpPort", host, config.http_port) for host in _http_hosts(config)]
    looked = [await _look(config, place) for place in places]
    # HTTP that asks for a password does not say whose it is.
    is_ours = bool(looked[0].answer and looked[0].answer.is_ours)
    return looked[0].process, [
        ports.port(one, is_ours=is_ours, may_bind=_has(unit, "CAP_NET_BIND_SERVICE"))
        for one in looked
    ]


async def _look(config: Config, place: Place) -> ports.Look:
    problem = ports.problem_of(place)
    if problem is None or not place.port:
        return ports.Look(place, problem)
    process = ports.listener(place.port)
    # Passcodes are for our own server alone, and not for what has taken its port.
    user = _user(config) if process is not None and ports.serves(process) else None
    return ports.Look(place, problem, process, await _answer(config, place, user))


def _user(config: Config) -> User | None:
    """Give whom to log in as where the server lets nobody else in."""
    if config.dicom_user_identity != "required":
        return None
    for name, passcode in config.registered_users.items():
        return User(*(text.encode("utf-8", "surrogatepass") for text in (name, passcode)))
    return None


def _http_hosts(config: Config) -> Sequence[str]:
    if not config.http_server_enabled:
        return []
    if config.http_bind_addresses:
        return config.http_bind_addresses
    return [""] if config.remote_access_allowed else ["127.0.0.1"]


async def _answer(config: Config, place: Place, user: User | None) -> ports.Answer | None:
    if place.what == "HTTP":
        return await ports.http_answer(place, tls=config.ssl_enabled)
    try:
        tls = client_context(dicom_credentials(config)) if "TLS" in place.what else None
    except ConfigError:
        return None  # the check of certificates says why
    title = config.dicom_ae_title
    return await ports.dicom_answer(
        Peer(place.reachable, place.port, title, title, ports.ANSWER_WITHIN_S, tls=tls, user=user)
    )


def _http(config: Config) -> Iterator[Finding]:
    if not config.http_server_enabled:
        yield ok("http", "access", "HTTP is off")
        return
    yield from ports.remote(
        is_remote=config.remote_access_allowed,
        password=config.http_authentication,
        tls=config.ssl_enabled,
        lua=config.execute_lua_enabled,
    )


def _certificates(config: Config) -> Iterator[Finding]:
    now = datetime.now(UTC)
    serves_tls = config.dicom_tls_enabled or config.dicom_tls_port
    asks_tls = any(modality.use_tls for modality in config.modalities)
    found = False
    destination = config.audit.destination
    if destination is not None and destination.scheme == "tls":
        found = True
        yield from certificates.certificates(audit_credentials(config), client_context, now)
    if serves_tls or asks_tls:
        make = server_context if serves_tls else client_context
        for finding in certificates.certificates(dicom_credentials(config), make, now):
            found = True
            yield finding
    if config.http_server_enabled and config.ssl_enabled:
        found = True
        yield from certificates.certificates(https_credentials(config), server_context, now)
    if not found:
        yield ok("certificates", "TLS", "none are in use")


def _audit(config: Config, unit: Unit | None) -> Iterator[Finding]:
    destination = config.audit.destination
    if destination is None:
        yield ok("audit", "Audit.Destination", "no audit trail is kept")
        return
    from mwl.server.auditing import spool_folder  # noqa: PLC0415 - few keep a trail

    user = user_name(machine.effective_user_id())
    if destination.path is not None:
        yield audit.file(destination.path, user)
    else:
        yield _receiver(config, destination)
    folder = spool_folder(config.audit.spool_folder, _environment(unit))
    yield from audit.spool(folder, config.audit.spool_size_mib, user)


def _receiver(config: Config, destination: AuditDestination) -> Finding:
    tls = None
    if destination.scheme == "tls":
        try:
            check_name = config.audit.check_server_name
            tls = client_context(audit_credentials(config), check_name=check_name)
        except ConfigError as error:
            return _of_error("audit", error)
    return asyncio.run(audit.receiver(destination.host, destination.port, tls))


def _environment(unit: Unit | None) -> Mapping[str, str]:
    """Give the environment of the server, as far as it is known."""
    return os.environ | (dict(unit.environment) if unit else {})


def _clock() -> Iterator[Finding]:
    now = datetime.now(UTC).astimezone()
    return machine.clock(now, machine.time_zone(os.environ), machine.is_synchronised())


# ------------------------------------------------------------------------------- modalities


def _modalities(config: Config, wanted: Wanted, tell: Progress) -> Iterator[Finding]:
    policy = access_policy(config)
    every = [_device(config, modality, wanted.timeout_s) for modality in config.modalities]
    yield from modalities.entries(
        every,
        policy.fold,
        others=_others(config),
        by_host=config.dicom_check_modality_host,
    )
    if not wanted.asks:
        return
    devices, refused = _with_tls(config, every)
    yield from refused
    waiting = {device.name for device in devices}

    def answered(device: Device) -> None:
        waiting.discard(device.name)
        tell(f"asking {len(waiting)} modalities")

    tell(f"asking {len(waiting)} modalities")
    yield from asyncio.run(modalities.ask(devices, answered))


def _others(config: Config) -> str:
    """Say who may query besides the known modalities; "" for nobody."""
    if config.dicom_always_allow_find_worklist:
        return "anybody"
    return "any program on this machine" if config.loopback_may_query else ""


def _device(config: Config, modality: Modality, timeout_s: float) -> Device:
    return Device(
        name=escape(modality.name),
        host=escape(modality.host),
        port=modality.port,
        ae_title=modality.ae_title,
        calling_ae_title=modality.local_ae_title or config.dicom_ae_title,
        timeout_s=modality.timeout_s or timeout_s,
    )


def _with_tls(config: Config, every: Sequence[Device]) -> tuple[list[Device], list[Finding]]:
    """Give the devices with what they are asked over, and why some cannot be."""
    encrypted = {escape(modality.name) for modality in config.modalities if modality.use_tls}
    plain = [device for device in every if device.name not in encrypted]
    if not encrypted:
        return plain, []
    try:
        tls = client_context(dicom_credentials(config))
    except ConfigError as error:
        return plain, [_of_error("modalities", error)]
    secured = (device for device in every if device.name in encrypted)
    return [*plain, *(dataclasses.replace(device, tls=tls) for device in secured)], []
