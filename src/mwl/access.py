"""Who may associate, and who may do what: allowed, or refused with the reason and the remedy.

Two stages, as in Orthanc. `admit` decides on an association request: while any of the
`DicomAlwaysAllow...` options is true everybody gets in, else only known callers do. `allow`
decides on each operation: everybody may when its own `DicomAlwaysAllow...` is true, else the
caller must be known and its entry must allow it.

Unlike Orthanc, which aborts, a refusal tells the caller: an A-ASSOCIATE-RJ at the first stage, the
status 0124 with a comment at the second. It also tells the operator which line of configuration
would let the caller in.
"""

import functools
import hashlib
import hmac
import ipaddress
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from mwl.tls.names import meant_by
from mwl.wire.negotiation import USER_IDENTITY_NOT_ACCEPTED
from mwl.wire.pdu import UserIdentity

Operation = Literal["echo", "find worklist"]

# A-ASSOCIATE-RJ, PS3.8 Table 9-21.
REJECTED_PERMANENT = 1
SOURCE_SERVICE_USER = 1
CALLING_AE_TITLE_NOT_RECOGNIZED = 3
CALLED_AE_TITLE_NOT_RECOGNIZED = 7

USER_NAME, USER_NAME_AND_PASSCODE = 1, 2
"""Types of user identity that can be checked: PS3.7 Table D.3-14."""

_UNCHECKED: Mapping[int, str] = MappingProxyType(
    {3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON web token"}
)

USER_NAME_SHOWN_BYTES = 64
"""What the log shows of a user name, in bytes."""

Identification = Literal["ignored", "offered", "required"]
"""What a user identity is taken for: nothing, something that must be right, or a must."""

COMMENT_LIMIT = 64
"""Characters in an Error Comment (0000,0902), VR LO: PS3.5 Table 6.2-1."""


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller that the configuration names.

    Args:
        name: Name of its entry.
        ae_title: AE title it calls with.
        host: IP address it calls from.
        allow_echo: Whether it may use C-ECHO.
        allow_find_worklist: Whether it may query the worklist.
        tls_subject: Name in the certificate that it has to show; empty for any or none.
    """

    name: str
    ae_title: str
    host: str
    allow_echo: bool = True
    allow_find_worklist: bool = True
    tls_subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """The rules. The defaults are Orthanc's.

    Args:
        ae_title: AE title of this server.
        check_called_ae_title: Whether callers must call it by that.
        strict_ae_comparison: Whether upper and lower case differ in AE titles.
        check_modality_host: Whether a known caller must call from its host.
        always_allow_echo: Whether anybody may use C-ECHO.
        always_allow_find_worklist: Whether anybody may query the worklist.
        always_allow_other: Whether anybody may use a service that is not offered here (C-STORE,
            C-FIND of images, C-GET, C-MOVE); it opens the first stage, as in Orthanc.
        modalities: The known callers.
        loopback_may_query: Whether any caller on the loopback interface may do everything.
        user_identity: What the user identity of an association request is taken for.
        users: Name to passcode.
    """

    ae_title: str = "ORTHANC"
    check_called_ae_title: bool = False
    strict_ae_comparison: bool = False
    check_modality_host: bool = False
    always_allow_echo: bool = True
    always_allow_find_worklist: bool = False
    always_allow_other: bool = True
    modalities: tuple[KnownCaller, ...] = ()
    loopback_may_query: bool = False
    user_identity: Identification = "ignored"
    users: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, hash=False
    )
    _by_title: Mapping[str, list[KnownCaller]] = field(init=False, repr=False, compare=False)
    _bound: Mapping[str, list[KnownCaller]] = field(init=False, repr=False, compare=False)
    binds: bool = field(init=False, repr=False, compare=False)
    """Whether some known caller is bound to a certificate: if not, nothing is looked up."""

    def __post_init__(self) -> None:
        by_title: dict[str, list[KnownCaller]] = {}
        alike: dict[str, list[KnownCaller]] = {}
        for modality in self.modalities:
            by_title.setdefault(self.fold(modality.ae_title), []).append(modality)
            alike.setdefault(_in_any_case(modality.ae_title), []).append(modality)
        object.__setattr__(self, "_by_title", by_title)
        bound = {
            title: entries
            for title, entries in alike.items()
            if any(entry.tls_subject for entry in entries)
        }
        object.__setattr__(self, "_bound", bound)
        object.__setattr__(self, "binds", bool(bound))

    def fold(self, ae_title: str) -> str:
        """Give an AE title in the form in which equal ones are the same text."""
        # PS3.5 Table 6.2-1: spaces around an AE title do not count.
        return ae_title.strip(" ") if self.strict_ae_comparison else _in_any_case(ae_title)

    def entries(self, ae_title: str) -> Sequence[KnownCaller]:
        """Give the known callers with an AE title. Cost: one look-up."""
        return self._by_title.get(self.fold(ae_title), ())

    def names_expected(self, ae_title: str) -> frozenset[str]:
        """Give the names in the certificate of a known caller as it should be; none for any."""
        entries = self.entries(ae_title)
        bound = entries[0].tls_subject if entries else ""
        return meant_by(bound) if bound else frozenset()

    def entries_beside_bound(self, ae_title: str) -> Sequence[KnownCaller]:
        """Give the known callers with an AE title, where one of them is bound to a certificate.

        Upper and lower case never differ here: what was spelt in another way would be no way
        around the certificate.
        """
        return self._bound.get(_in_any_case(ae_title), ())


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end of an association.

    Args:
        calling_ae_title: AE title it gives itself, without the padding.
        called_ae_title: AE title it calls, without the padding.
        host: IP address it calls from.
        certificate_names: Names in the certificate that it shows, as `mwl.tls.names.names_in` gives
            them; none where it shows none.
        user: Name of the registered user that it is; empty where that was not looked at or none
            was offered.
    """

    calling_ae_title: str
    called_ae_title: str
    host: str
    certificate_names: frozenset[str] = frozenset()
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No, and why.

    Args:
        result: Result of the A-ASSOCIATE-RJ.
        source: Source of the A-ASSOCIATE-RJ.
        reason: Reason of the A-ASSOCIATE-RJ.
        comment: For the caller: Error Comment of status 0124, at most `COMMENT_LIMIT` characters.
        explanation: For the log.
        hint: What to write into the configuration to let the caller in.
    """

    result: int = REJECTED_PERMANENT
    source: int = SOURCE_SERVICE_USER
    reason: int = CALLING_AE_TITLE_NOT_RECOGNIZED
    comment: str
    explanation: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """How the options name an operation: for all callers, for one, and in sentences."""

    always: str
    entry: str
    comment: str


_RULES: Mapping[Operation, _Rule] = MappingProxyType(
    {
        "echo": _Rule("DicomAlwaysAllowEcho", "AllowEcho", "C-ECHO"),
        "find worklist": _Rule("DicomAlwaysAllowFindWorklist", "AllowFindWorklist", "the worklist"),
    }
)


def admit(policy: AccessPolicy, caller: Caller) -> Refusal | None:
    """Decide on an association request.

    Returns:
        None when the caller may associate.
    """
    if policy.check_called_ae_title and (
        policy.fold(caller.called_ae_title) != policy.fold(policy.ae_title)
    ):
        return _wrong_called_ae_title(policy, caller)
    if policy.binds and (refusal := _without_its_certificate(policy, caller)) is not None:
        return refusal
    if (
        policy.always_allow_echo
        or policy.always_allow_find_worklist
        or policy.always_allow_other
        or _is_trusted_loopback(policy, caller)
    ):
        return None
    entries = policy.entries(caller.calling_ae_title)
    if not entries:
        return _unknown_caller(policy, caller)
    if not _from_their_host(policy, caller, entries):
        return _wrong_host(caller, entries)
    return None


def allow(policy: AccessPolicy, caller: Caller, operation: Operation) -> Refusal | None:
    """Decide on an operation of an associated caller.

    Several entries may share an AE title: with `check_modality_host` the one of the caller's host
    decides, else all of them must allow the operation. Where one is bound to a certificate, only
    those count that the caller's certificate is for.

    Returns:
        None when the caller may do it.
    """
    # It may have been bound since it associated.
    if policy.binds and (refusal := _without_its_certificate(policy, caller)) is not None:
        return refusal
    if _always_allowed(policy, operation) or _is_trusted_loopback(policy, caller):
        return None
    entries = policy.entries(caller.calling_ae_title)
    if not entries:
        return _unknown_caller(policy, caller)
    return _allowed_by(policy, caller, operation, entries)


def _allowed_by(
    policy: AccessPolicy, caller: Caller, operation: Operation, entries: Sequence[KnownCaller]
) -> Refusal | None:
    """Decide by the entries of the caller's AE title."""
    # Deviation: with several entries of one AE title Orthanc checks no host when all of them allow
    # the operation, which makes the check void.
    entries_here = _from_their_host(policy, caller, entries)
    if not entries_here:
        return _wrong_host(caller, entries)
    if policy.entries_beside_bound(caller.calling_ae_title):
        all_here = entries_here
        entries_here = [entry for entry in all_here if _has_its_certificate(caller, entry)]
        if not entries_here:
            return _wrong_certificate(caller, all_here)
    granted = [_entry_allows(entry, operation) for entry in entries_here]
    if any(granted) if policy.check_modality_host else all(granted):
        return None
    denying = entries_here[granted.index(False)]
    return _not_allowed(caller, operation, denying)


def identify(policy: AccessPolicy, identity: UserIdentity | None) -> Refusal | str:
    """Decide on the user identity of an association request (PS3.7 D.3.3.7).

    What cannot be checked here, a Kerberos ticket, a SAML assertion or a JSON web token, counts as
    none, as does an identity where it is ignored.

    Returns:
        The name of the registered user, empty where none is shown to be one, or the refusal.
    """
    if policy.user_identity == "ignored":
        return ""
    is_required = policy.user_identity == "required"
    if identity is None or identity.identity_type not in (USER_NAME, USER_NAME_AND_PASSCODE):
        return _no_user(identity) if is_required else ""
    if identity.identity_type == USER_NAME_AND_PASSCODE:
        is_known = is_user(policy.users, identity.primary, identity.secondary)
    elif is_required:
        return _no_passcode()
    else:
        is_known = is_user(policy.users, identity.primary)
    return user_of(identity) if is_known else _wrong_user(identity)


def allow_user(policy: AccessPolicy, caller: Caller, operation: Operation) -> Refusal | None:
    """Decide as `allow`, where user identities are looked at: the rules may be others by now.

    Returns:
        None when the caller may do it. Not so when its user is registered no more, or when it
        associated without one and has to have one since.
    """
    if not caller.user:
        gone = policy.user_identity == "required"
    else:
        gone = all(_user_shown(_utf8(name)) != caller.user for name in policy.users)
    if gone:
        return _not_identified(
            "DicomUserIdentity or RegisteredUsers changed, and the association is of no user now",
            _HOW_TO_OFFER,
        )
    return allow(policy, caller, operation)


def user_of(identity: UserIdentity | None) -> str:
    """Give the user name of an identity, right or wrong; empty where it has none."""
    if identity is None or identity.identity_type not in (USER_NAME, USER_NAME_AND_PASSCODE):
        return ""
    return _user_shown(identity.primary)


def _user_shown(name: bytes) -> str:
    return name[:USER_NAME_SHOWN_BYTES].decode("utf-8", "replace")


def is_user(users: Mapping[str, str], name: bytes, password: bytes | None = None) -> bool:
    """Tell whether a name, and a password where one is given, are those of a user, in UTF-8.

    The time it takes tells nothing about names and passwords: all are compared, each in full.
    """
    given = _digest(name, b"" if password is None else password)
    found = False
    for user, secret in users.items():
        known = _digest(_utf8(user), b"" if password is None else _utf8(secret))
        found |= hmac.compare_digest(given, known)
    return found


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digest(name: bytes, password: bytes) -> bytes:
    # Equally long, so that the comparison does not tell the length either; each by itself, so that
    # no part of a name is taken for one of a password.
    parts = (hashlib.sha256(part).digest() for part in (name, password))
    return hashlib.sha256(b"".join(parts)).digest()


def _not_identified(explanation: str, hint: str) -> Refusal:
    return Refusal(
        result=USER_IDENTITY_NOT_ACCEPTED.result,
        source=USER_IDENTITY_NOT_ACCEPTED.source,
        reason=USER_IDENTITY_NOT_ACCEPTED.reason,
        comment="the user identity is not accepted",
        explanation=explanation,
        hint=hint,
    )


_HOW_TO_OFFER = "let the device offer a user name and passcode of RegisteredUsers"


def _no_user(identity: UserIdentity | None) -> Refusal:
    found = "offers none"
    if identity is not None:
        number = identity.identity_type
        kind = _UNCHECKED.get(number, f"an identity of type {number}")
        found = f"offers {kind}, which cannot be checked here"
    return _not_identified(
        f'DicomUserIdentity is "required" and the caller {found}',
        f'{_HOW_TO_OFFER}, or "DicomUserIdentity": "offered"',
    )


def _no_passcode() -> Refusal:
    return _not_identified(
        'DicomUserIdentity is "required" and the caller offers a user name without a passcode',
        f'{_HOW_TO_OFFER}, or "DicomUserIdentity": "offered"',
    )


def _wrong_user(identity: UserIdentity) -> Refusal:
    what = "user" if identity.identity_type == USER_NAME else "user with this passcode"
    return _not_identified(f"RegisteredUsers has no such {what}", _HOW_TO_OFFER)


def _always_allowed(policy: AccessPolicy, operation: Operation) -> bool:
    if operation == "echo":
        return policy.always_allow_echo
    return policy.always_allow_find_worklist


def _entry_allows(entry: KnownCaller, operation: Operation) -> bool:
    return entry.allow_echo if operation == "echo" else entry.allow_find_worklist


def _from_their_host(
    policy: AccessPolicy, caller: Caller, entries: Sequence[KnownCaller]
) -> list[KnownCaller]:
    if not policy.check_modality_host:
        return list(entries)
    host = _canonical(caller.host)
    return [entry for entry in entries if _canonical(entry.host) == host]


def _in_any_case(ae_title: str) -> str:
    return ae_title.strip(" ").upper()


def _without_its_certificate(policy: AccessPolicy, caller: Caller) -> Refusal | None:
    """Refuse a caller with an AE title that is bound to another certificate than it shows."""
    entries = policy.entries_beside_bound(caller.calling_ae_title)
    if not entries or any(_has_its_certificate(caller, entry) for entry in entries):
        return None
    return _wrong_certificate(caller, entries)


def _has_its_certificate(caller: Caller, entry: KnownCaller) -> bool:
    """Tell whether a caller may be an entry of an AE title of which one is bound.

    Beside one that is bound, an entry that is not stands for its host alone, else it would let
    everybody in.
    """
    if not entry.tls_subject:
        return _canonical(entry.host) == _canonical(caller.host)
    return not caller.certificate_names.isdisjoint(meant_by(entry.tls_subject))


@functools.lru_cache(maxsize=1024)
def _canonical(host: str) -> str:
    """Give one spelling to each address; ::ffff:10.0.0.7 is 10.0.0.7 seen by an IPv6 socket."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_trusted_loopback(policy: AccessPolicy, caller: Caller) -> bool:
    return policy.loopback_may_query and _is_loopback(caller.host)


@functools.lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(_canonical(host)).is_loopback
    except ValueError:
        return False


# PS3.5 6.2, VR LO: no backslash, no control character; and no character set is announced.
_not_in_comment = re.compile(r"[^\x20-\x5b\x5d-\x7e]")


def _comment(text: str) -> str:
    return _not_in_comment.sub("?", text)[:COMMENT_LIMIT]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _new_name(policy: AccessPolicy, ae_title: str) -> str:
    """Give a name for an entry that no entry has: under a name in use it would replace that one."""
    plain = "".join(filter(str.isalnum, ae_title)).lower() or "modality"
    used = {modality.name for modality in policy.modalities}
    names = (f"{plain}-{number}" if number > 1 else plain for number in itertools.count(1))
    return next(name for name in names if name not in used)


def _entry_to_add(policy: AccessPolicy, caller: Caller) -> str:
    """Say what makes a caller known. The port is where it would listen: not used.

    The entry stands last and alone: as a section of its own it would replace the one that the
    file has, and a text log escapes each quote before it.
    """
    name = _json(_new_name(policy, caller.calling_ae_title))
    entry = _json([caller.calling_ae_title, _canonical(caller.host), 104])
    return f"inside DicomModalities add: {name}: {entry}"


def _unknown_caller(policy: AccessPolicy, caller: Caller) -> Refusal:
    return Refusal(
        comment=_comment(f"{caller.calling_ae_title} is not a known AE title here"),
        explanation="the calling AE title is not in DicomModalities",
        hint=_entry_to_add(policy, caller),
    )


def _wrong_host(caller: Caller, entries: Sequence[KnownCaller]) -> Refusal:
    expected = ", ".join(f"{entry.host} ({entry.name})" for entry in entries)
    names = " or ".join(_json(entry.name) for entry in entries)
    return Refusal(
        comment=_comment(f"{caller.calling_ae_title} is known from another address"),
        explanation=f"DicomCheckModalityHost is true and DicomModalities expects {expected}",
        hint=f"inside DicomModalities set the host of {names} to {_canonical(caller.host)}",
    )


def _wrong_certificate(caller: Caller, entries: Sequence[KnownCaller]) -> Refusal:
    expected = " or ".join(
        f"{entry.tls_subject or f'no certificate from {entry.host}'} ({entry.name})"
        for entry in entries
    )
    if caller.certificate_names:
        shown = f"its certificate is for {'; '.join(sorted(caller.certificate_names))}"
        hint = "give it the certificate that is meant, or set TlsSubject to one of those names"
    else:
        shown = "it shows no certificate"
        hint = "let it call over TLS and show its certificate; without TLS there is none"
    return Refusal(
        comment=_comment(f"{caller.calling_ae_title} is bound to another certificate"),
        explanation=f"TlsSubject in DicomModalities expects {expected}, and {shown}",
        hint=hint,
    )


def _not_allowed(caller: Caller, operation: Operation, entry: KnownCaller) -> Refusal:
    rule = _RULES[operation]
    return Refusal(
        comment=_comment(f"{caller.calling_ae_title} may not use {rule.comment}"),
        explanation=f"{rule.entry} is false for {entry.name} in DicomModalities",
        hint=f'"{rule.entry}": true in the entry "{entry.name}" of "DicomModalities"',
    )


def _wrong_called_ae_title(policy: AccessPolicy, caller: Caller) -> Refusal:
    title = _json(caller.called_ae_title)
    return Refusal(
        reason=CALLED_AE_TITLE_NOT_RECOGNIZED,
        comment=_comment(f"this server is {policy.ae_title}, not {caller.called_ae_title}"),
        explanation=f"DicomCheckCalledAet is true and this server is {policy.ae_title}",
        hint=f'"DicomAet": {title} here, or call {policy.ae_title}, '
        'or "DicomCheckCalledAet": false',
    )
