"""Values of options that have parts of their own: modalities, dictionary entries, destinations."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from mwl.errors import ConfigError
from mwl.tls.names import meant_by

_HIGHEST_PORT = 65535
MANUFACTURERS = (
    *("Generic", "GenericNoWildcardInDates", "GenericNoUniversalWildcard"),
    *("Vitrea", "GE", "SiemensSyngoCT"),
)
"""The values of `Manufacturer` that Orthanc has; here they change nothing."""

_LONGEST_TIMEOUT_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A known caller: one entry of `DicomModalities`.

    Args:
        name: Name of the entry.
        ae_title: AE title it calls with.
        host: Address it comes from, compared only with `DicomCheckModalityHost`, and at which it is
            asked.
        port: Port at which it is asked.
        allow_echo: Whether it may use C-ECHO when `DicomAlwaysAllowEcho` is false.
        allow_find_worklist: Whether it may query the worklist.
        local_ae_title: AE title that it is asked with; empty for that of this server.
        timeout_s: Seconds to wait for it when it is asked; 0 for `DicomScuTimeout`.
        use_tls: Whether it is asked over TLS.
        tls_subject: Name in the certificate that it has to show when it calls; empty for any or
            none.
        manufacturer: One of `MANUFACTURERS`, kept for Orthanc's scripts.
        others: The other switches of Orthanc and their values; kept for its scripts.
    """

    name: str
    ae_title: str
    host: str
    port: int
    allow_echo: bool = True
    allow_find_worklist: bool = True
    local_ae_title: str = ""
    timeout_s: int = 0
    use_tls: bool = False
    tls_subject: str = ""
    manufacturer: str = "Generic"
    others: tuple[tuple[str, bool], ...] = ()

    def to_orthanc(self) -> dict[str, object]:
        """Give it as Orthanc's REST API does."""
        others = dict.fromkeys(_OTHER_SWITCHES, True) | dict(self.others)
        members = {
            "AET": self.ae_title,
            "AllowEcho": self.allow_echo,
            "AllowFindWorklist": self.allow_find_worklist,
            "Host": self.host,
            "LocalAet": self.local_ae_title,
            "Manufacturer": self.manufacturer,
            "Port": self.port,
            "RetrieveMethod": "SystemDefault",
            "Timeout": self.timeout_s,
            "UseDicomTls": self.use_tls,
        }
        if self.tls_subject:
            members["TlsSubject"] = self.tls_subject
        return dict(sorted((members | others).items()))


_OTHER_SWITCHES = (
    *("AllowEventReport", "AllowFind", "AllowGet", "AllowMove", "AllowNAction", "AllowStore"),
    "AllowTranscoding",
)
_STORAGE_COMMITMENT = ("AllowNAction", "AllowEventReport")
"""What `AllowStorageCommitment` stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DictionaryEntry:
    """An attribute that the dictionary lacks: one entry of `Dictionary`.

    Args:
        tag: `(group << 16) | element`.
        vr: Its VR, two letters.
        name: Its name.
        minimum: Least number of values.
        maximum: Most values; 0 is any number.
        private_creator: Private creator; empty for a standard attribute.
    """

    tag: int
    vr: str
    name: str
    minimum: int = 1
    maximum: int = 1
    private_creator: str = ""


def _need(condition: object, message: str, key: str | None = None) -> None:
    """Refuse a part of a value; `key` is where in the entry it stands."""
    if not condition:
        raise ConfigError(message, option=key)


def _port(value: object) -> int:
    # Orthanc takes the port as a number or as text.
    port = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= _HIGHEST_PORT:
        raise ConfigError(
            f"found {value!r}, allowed is a port from 1 to {_HIGHEST_PORT}", option="Port"
        )
    return port


def _switch(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"found {value!r}, allowed is true or false", option=key)
    return value


def _tls_subject(value: object) -> str:
    if value == "":
        return ""
    try:
        if isinstance(value, str) and meant_by(value):
            return value
    except ValueError as error:
        raise ConfigError(f"found {value!r}: {error}", option="TlsSubject") from None
    raise ConfigError(
        f"found {value!r}, allowed is a name in a certificate or its subject, such as ct1 or "
        "CN=ct1,O=Example",
        option="TlsSubject",
    )


def one_modality(name: str, value: Any, ae_title: Callable[[object], str | None]) -> Modality:
    """Read one entry of `DicomModalities`.

    Raises:
        ConfigError: It cannot be used; its `option` is the key within the entry.
    """
    match value:
        case [title, host, port]:
            members: dict[str, Any] = {}
        case [title, host, port, str(manufacturer)]:
            members = {"Manufacturer": manufacturer}
        case {"AET": title, "Host": host, "Port": port}:
            members = value
        case list():
            message = (
                f"found a list of {len(value)}, allowed are AE title, host, port and, if any, "
                f"the manufacturer ({', '.join(MANUFACTURERS)})"
            )
            raise ConfigError(message)
        case dict():
            missing = [key for key in ("AET", "Host", "Port") if key not in value]
            raise ConfigError(f"lacks {', '.join(missing)}")
        case _:
            raise ConfigError("allowed is a list or an object")
    _need(isinstance(host, str) and host, f"found {host!r}, allowed is an address", "Host")
    return Modality(
        name=name,
        ae_title=_title(title, "AET", ae_title),
        host=host,
        port=_port(port),
        allow_echo=_switch(members.get("AllowEcho", True), "AllowEcho"),
        allow_find_worklist=_switch(members.get("AllowFindWorklist", True), "AllowFindWorklist"),
        local_ae_title=_local_title(members.get("LocalAet", ""), ae_title),
        timeout_s=_timeout(members.get("Timeout", 0)),
        use_tls=_switch(members.get("UseDicomTls", False), "UseDicomTls"),
        tls_subject=_tls_subject(members.get("TlsSubject", "")),
        manufacturer=str(members.get("Manufacturer", "Generic")),
        others=tuple(_other_switches(members).items()),
    )


def _title(value: object, key: str, ae_title: Callable[[object], str | None]) -> str:
    title = ae_title(value)
    if title is None:
        raise ConfigError(
            f"found {value!r}, allowed is an AE title: 1 to 16 ASCII characters, no backslash",
            option=key,
        )
    return title


def _local_title(value: object, ae_title: Callable[[object], str | None]) -> str:
    return "" if value == "" else _title(value, "LocalAet", ae_title)


def _timeout(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"found {value!r}, allowed is a number of seconds", option="Timeout")
    if not 0 <= value <= _LONGEST_TIMEOUT_S:
        raise ConfigError(
            f"found {value}, allowed are 0 to {_LONGEST_TIMEOUT_S} seconds", option="Timeout"
        )
    return value


def _other_switches(members: Mapping[str, Any]) -> dict[str, bool]:
    """Give the switches that count elsewhere; what is not true or false does not count at all."""
    found = {}
    if isinstance(both := members.get("AllowStorageCommitment"), bool):
        found = dict.fromkeys(_STORAGE_COMMITMENT, both)
    for key in _OTHER_SWITCHES:
        if isinstance(value := members.get(key), bool):
            found[key] = value
    return found


def modality_list(
    value: Mapping[str, Any], ae_title: Callable[[object], str | None]
) -> tuple[Modality, ...]:
    """Read the value of `DicomModalities`.

    Args:
        value: Name to list or object.
        ae_title: Gives the AE title in a value, None when it is not one.

    Raises:
        ExceptionGroup: Entries cannot be used: a ConfigError for each, whose `option` names it.
    """
    return _entries(
        "DicomModalities", value, lambda name, entry: one_modality(name, entry, ae_title)
    )


def modalities_to_json(modalities: Sequence[Modality]) -> object:
    """Give the value of `DicomModalities`, each entry with all that counts here."""
    return {
        modality.name: {
            "AET": modality.ae_title,
            "Host": modality.host,
            "Port": modality.port,
            "AllowEcho": modality.allow_echo,
            "AllowFindWorklist": modality.allow_find_worklist,
            "LocalAet": modality.local_ae_title,
            "Timeout": modality.timeout_s,
            "UseDicomTls": modality.use_tls,
            "TlsSubject": modality.tls_subject,
        }
        for modality in modalities
    }


# "0009,1001"; a private attribute may leave out the byte that its block decides: "0009,01".
_tag = re.compile(r"([0-9a-fA-F]{4})[,-]?([0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})?)").fullmatch
_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT"}
    | {"OB", "OD", "OF", "OL", "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM"}
    | {"UC", "UI", "UL", "UN", "UR", "US", "UT", "UV"}
)


def _dictionary_entry(key: str, value: Any) -> DictionaryEntry:
    tag = _tag(key)
    if tag is None:
        raise ConfigError("allowed is a tag, such as 0009,1001")
    match value:
        case [str(vr), str(name), *rest] if len(rest) <= 3:
            padded: list[Any] = [*rest, *(1, 1, "")[len(rest) :]]
            minimum, maximum, creator = padded
        case _:
            raise ConfigError('allowed is ["VR", "Name", least, most, "Private creator"]')
    _need(vr in _VRS, f"found {vr!r}, allowed is a VR, such as LO")
    for count, lowest, what, allowed in (
        (minimum, 1, "the least number of values", "1 or more"),
        (maximum, 0, "the most values", "1 or more, or 0 for any number"),
    ):
        plain = isinstance(count, int) and not isinstance(count, bool)
        _need(plain and count >= lowest, f"found {count!r} as {what}, allowed is {allowed}")
    _need(isinstance(creator, str), f"found {creator!r}, allowed is the name of a private creator")
    return DictionaryEntry(
        tag=int(tag[1], 16) << 16 | int(tag[2], 16),
        vr=vr,
        name=name,
        minimum=minimum,
        maximum=maximum,
        private_creator=creator,
    )


def dictionary_entries(value: Mapping[str, Any]) -> tuple[DictionaryEntry, ...]:
    """Read the value of `Dictionary`.

    Raises:
        ExceptionGroup: Entries cannot be used: a ConfigError for each, whose `option` names it.
    """
    return _entries("Dictionary", value, _dictionary_entry)


def dictionary_to_json(entries: Sequence[DictionaryEntry]) -> object:
    """Give the value of `Dictionary`, each entry in its full form."""
    return {
        f"{entry.tag >> 16:04x},{entry.tag & 0xFFFF:04x}": [
            entry.vr,
            entry.name,
            entry.minimum,
            entry.maximum,
            entry.private_creator,
        ]
        for entry in entries
    }


_Entry = TypeVar("_Entry")


def _entries(
    option: str, value: Mapping[str, Any], read: Callable[[str, Any], _Entry]
) -> tuple[_Entry, ...]:
    """Read each entry, and refuse all that cannot be used together."""
    entries, errors = [], []
    for name, entry in value.items():
        try:
            entries.append(read(name, entry))
        except ConfigError as error:
            errors.append(_within(option, name, error))
    if errors:
        raise ExceptionGroup(f"entries of {option} that cannot be used", errors)
    return tuple(entries)


def _within(option: str, name: str, error: ConfigError) -> ConfigError:
    return ConfigError(error.message, option=".".join(filter(None, (option, name, error.option))))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDestination:
    """Where audit messages go: the value of `Audit.Destination`.

    Args:
        scheme: How they get there.
        path: The file; None for a receiver.
        host: Name or address of the receiver; empty for a file.
        port: Its port; 0 for a file.
    """

    scheme: Literal["file", "udp", "tls"]
    path: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path is not None:
            return f"file:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


SYSLOG_PORTS: Mapping[str, int] = {
    # RFC 5426 section 3.3, RFC 5425 section 4.1
    "udp": 514,
    "tls": 6514,
}
"""Ports of a receiver when none is given."""


def audit_destination(text: str, folder: Path) -> AuditDestination | None:
    """Read the value of `Audit.Destination`; None when it is none.

    Args:
        text: The value.
        folder: Where a relative path starts.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        path = rest.removeprefix("//")
        return AuditDestination(scheme="file", path=folder / path) if path else None
    if scheme not in SYSLOG_PORTS:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.path.strip("/") or parts.query or parts.username or port == 0:
        return None
    kind: Literal["udp", "tls"] = "udp" if scheme == "udp" else "tls"
    return AuditDestination(scheme=kind, host=host, port=port or SYSLOG_PORTS[scheme])
