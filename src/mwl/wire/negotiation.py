"""Association negotiation: what is accepted of what was proposed.

Pure functions: a request and a policy give an answer, always the same one. Who may ask is not
decided here (`mwl.access`), and nothing is sent here (`mwl.wire.association`).

Source: DICOM PS3.8 sections 7.1.1 and 9.3.2 to 9.3.4, PS3.7 annex D.3.3, PS3.4 K.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from mwl.wire.pdu import (
    APPLICATION_CONTEXT,
    DEFAULT_MAX_PDU_LENGTH,
    MEMO_ENTRIES,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserInformation,
)

VERIFICATION = "1.2.840.10008.1.1"
"""Verification SOP class (PS3.4 A.4)."""

MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
"""Modality Worklist Information Model - FIND (PS3.4 K.6.1.4)."""

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


class Result(IntEnum):
    """Answer to one presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


APPLICATION_CONTEXT_NOT_SUPPORTED = AssociateReject(result=1, source=1, reason=2)
PROTOCOL_VERSION_NOT_SUPPORTED = AssociateReject(result=1, source=2, reason=2)
CALLING_AE_TITLE_NOT_RECOGNIZED = AssociateReject(result=1, source=1, reason=3)
CALLED_AE_TITLE_NOT_RECOGNIZED = AssociateReject(result=1, source=1, reason=7)
# PS3.7 D.3.3.7.3: permanent, by the service-provider (ACSE); that without a reason is left.
USER_IDENTITY_NOT_ACCEPTED = AssociateReject(result=1, source=2, reason=1)
LOCAL_LIMIT_EXCEEDED = AssociateReject(result=2, source=3, reason=2)
"""Rejections in use (PS3.8 Table 9-21)."""

_USER_NAME_TYPES = frozenset({1, 2})  # PS3.7 Table D.3-14: user name, user name and passcode

EXTENDED_ANSWER = bytes((1, 1, 0, 0))
"""Answer to extended negotiation of the worklist. PS3.4 Table K.5-1: bytes 1 and 2 are always 1;
fuzzy matching of names and adjustment of time zones are not performed. What lies behind the fourth
byte is left out, which also says no."""


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What an acceptor takes. Compared by identity, so that it is a cheap key of a cache.

    Args:
        abstract_syntaxes: SOP class UID to the transfer syntaxes that it is taken in.
        max_pdu_length: Longest P-DATA-TF body that we take, in bytes: the limit that the
            association enforces, `Limits.max_pdu_length`.
        implementation_class_uid: Sent to the peer.
        implementation_version_name: Sent to the peer.
    """

    abstract_syntaxes: Mapping[str, tuple[str, ...]]
    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


@dataclass(frozen=True, slots=True)
class NegotiatedContext:
    """A presentation context that both sides have agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


def negotiate(request: AssociateRequest, policy: Policy) -> AssociateAccept | AssociateReject:
    """Answer a request for an association.

    Whether the caller may ask at all is decided elsewhere. Answers are remembered, but for long
    requests: scanners repeat themselves, and what a hostile peer sends is a hundred times as long.
    """
    return (_negotiate if request.is_long else _negotiate_remembered)(request, policy)


def _negotiate(request: AssociateRequest, policy: Policy) -> AssociateAccept | AssociateReject:
    # Only bit 0 is tested: PS3.8 Table 9-11.
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    return AssociateAccept(
        contexts=tuple(_answer_context(context, policy) for context in request.contexts),
        user_information=_answer_user_information(request.user_information, policy),
        header=request.header,
        is_long=request.is_long,
    )


_negotiate_remembered = lru_cache(MEMO_ENTRIES)(_negotiate)


def _answer_context(context: ProposedContext, policy: Policy) -> ContextResult:
    """Take the first transfer syntax that the requestor names and we support."""
    # The requestor's order is taken as its preference, although PS3.8 does not say so.
    supported = policy.abstract_syntaxes.get(context.abstract_syntax)
    if supported is not None:
        for transfer_syntax in context.transfer_syntaxes:
            if transfer_syntax in supported:
                return ContextResult(context.context_id, Result.ACCEPTANCE, transfer_syntax)
    result = (
        Result.ABSTRACT_SYNTAX_NOT_SUPPORTED
        if supported is None
        else Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
    )
    # A transfer syntax is sent all the same, and not tested: PS3.8 Table 9-18.
    first = next(iter(context.transfer_syntaxes), _IMPLICIT_VR_LITTLE_ENDIAN)
    return ContextResult(context.context_id, result, first)


def _answer_user_information(offered: UserInformation, policy: Policy) -> UserInformation:
    """Answer what was offered and nothing else: PS3.7 D.3.3.3 to D.3.3.7."""
    identity = offered.user_identity
    # The identity is accepted without effect. A ticket or an assertion (types 3 to 5) would have
    # to be answered with one of the server's own, so it is not answered: PS3.7 D.3.3.7.2.
    confirmed = (
        identity is not None
        and identity.positive_response_requested
        and identity.identity_type in _USER_NAME_TYPES
    )
    return UserInformation(
        max_length=policy.max_pdu_length,
        implementation_class_uid=policy.implementation_class_uid,
        implementation_version_name=policy.implementation_version_name,
        asynchronous_window=None if offered.asynchronous_window is None else (1, 1),
        role_selections=tuple(
            # Only SCP here, so the requestor is SCU or nothing: PS3.7 D.3.3.4.
            RoleSelection(role.sop_class_uid, scu=role.scu, scp=False)
            for role in offered.role_selections
            if role.sop_class_uid in policy.abstract_syntaxes
        ),
        extended_negotiations=_answer_extended(offered.extended_negotiations, policy),
        user_identity_response=b"" if confirmed else None,
    )


def _answer_extended(
    offered: tuple[ExtendedNegotiation, ...], policy: Policy
) -> tuple[ExtendedNegotiation, ...]:
    """Answer for the worklist, byte for byte as offered and no longer: PS3.4 K.5.1."""
    if MODALITY_WORKLIST_FIND not in policy.abstract_syntaxes:
        return ()
    for extended in offered:
        if extended.sop_class_uid == MODALITY_WORKLIST_FIND and extended.information:
            answer = EXTENDED_ANSWER[: len(extended.information)]
            return (ExtendedNegotiation(MODALITY_WORKLIST_FIND, answer),)
    return ()


def negotiated_contexts(
    request: AssociateRequest, accept: AssociateAccept
) -> Mapping[int, NegotiatedContext]:
    """Give the contexts that were proposed and accepted, by their number.

    An acceptance of a context or a transfer syntax that was not proposed counts for nothing.
    """
    return (_agreed if request.is_long else _agreed_remembered)(request, accept)


def _agreed(request: AssociateRequest, accept: AssociateAccept) -> Mapping[int, NegotiatedContext]:
    proposed = {context.context_id: context for context in request.contexts}
    contexts: dict[int, NegotiatedContext] = {}
    for answer in accept.contexts:
        context = proposed.get(answer.context_id)
        if (
            context is not None
            and answer.result == Result.ACCEPTANCE
            and answer.transfer_syntax in context.transfer_syntaxes
        ):
            contexts[answer.context_id] = NegotiatedContext(
                answer.context_id, context.abstract_syntax, answer.transfer_syntax
            )
    return MappingProxyType(contexts)


_agreed_remembered = lru_cache(MEMO_ENTRIES)(_agreed)
