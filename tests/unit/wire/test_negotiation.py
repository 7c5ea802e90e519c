"""Answers to association requests: PS3.8 9.3, PS3.7 D.3.3, PS3.4 K.5."""

from dataclasses import replace

import pytest

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from mwl.wire import negotiation, pdu
from mwl.wire.negotiation import (
    MODALITY_WORKLIST_FIND,
    VERIFICATION,
    NegotiatedContext,
    Policy,
    negotiate,
    negotiated_contexts,
)
from mwl.wire.pdu import (
    MEMO_CHUNK_BYTES,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
    encode,
    read_pdu,
)

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
STORAGE = "1.2.840.10008.5.1.4.1.1.2"

POLICY = Policy(
    {MODALITY_WORKLIST_FIND: (IMPLICIT, EXPLICIT), VERIFICATION: (IMPLICIT,)},
    max_pdu_length=32768,
)
CONTEXT = ProposedContext(1, MODALITY_WORKLIST_FIND, (IMPLICIT,))
REQUEST = AssociateRequest("MWL", "CT1", (CONTEXT,))


def accepted(request: AssociateRequest) -> AssociateAccept:
    answer = negotiate(request, POLICY)
    assert isinstance(answer, AssociateAccept)
    return answer


def answer_to(offered: UserInformation) -> UserInformation:
    return accepted(replace(REQUEST, user_information=offered)).user_information


@pytest.mark.parametrize(
    ("abstract_syntax", "offered", "result", "chosen"),
    [
        (MODALITY_WORKLIST_FIND, (EXPLICIT, IMPLICIT), 0, EXPLICIT),
        (MODALITY_WORKLIST_FIND, (IMPLICIT, EXPLICIT), 0, IMPLICIT),
        (MODALITY_WORKLIST_FIND, (JPEG, EXPLICIT), 0, EXPLICIT),
        (MODALITY_WORKLIST_FIND, (JPEG,), 4, JPEG),
        (MODALITY_WORKLIST_FIND, (), 4, IMPLICIT),
        (VERIFICATION, (EXPLICIT, IMPLICIT), 0, IMPLICIT),
        (STORAGE, (JPEG, IMPLICIT), 3, JPEG),
        ("", (), 3, IMPLICIT),
    ],
)
def test_first_proposed_transfer_syntax_that_is_supported_is_taken(
    abstract_syntax: str, offered: tuple[str, ...], result: int, chosen: str
) -> None:
    context = ProposedContext(5, abstract_syntax, offered)
    answer = accepted(replace(REQUEST, contexts=(context,)))
    assert answer.contexts == (ContextResult(5, result, chosen),)


def test_every_context_is_answered_in_order() -> None:
    contexts = (
        ProposedContext(9, STORAGE, (IMPLICIT,)),
        ProposedContext(3, VERIFICATION, (IMPLICIT,)),
        CONTEXT,
    )
    answer = accepted(replace(REQUEST, contexts=contexts))
    assert [(context.context_id, context.result) for context in answer.contexts] == [
        (9, 3),
        (3, 0),
        (1, 0),
    ]


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_only_bit_0_of_the_protocol_version_is_tested(version: int) -> None:
    assert accepted(replace(REQUEST, protocol_version=version)).protocol_version == 1


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_another_protocol_version_is_rejected(version: int) -> None:
    answer = negotiate(replace(REQUEST, protocol_version=version), POLICY)
    assert answer == AssociateReject(result=1, source=2, reason=2)


@pytest.mark.parametrize("context", ["", "1.2.840.10008.3.1.1.2"])
def test_another_application_context_is_rejected(context: str) -> None:
    answer = negotiate(replace(REQUEST, application_context=context), POLICY)
    assert answer == AssociateReject(result=1, source=1, reason=2)


def test_answer_repeats_titles_and_reserved_bytes() -> None:
    header = b"\1\2" + b"  MWL".ljust(16) + b"CT1".ljust(16) + bytes(range(32))
    request = replace(REQUEST, header=header)
    assert encode(accepted(request))[8:74] == header


def test_answer_says_who_we_are_and_what_we_take() -> None:
    assert answer_to(UserInformation()) == UserInformation(
        max_length=32768,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize("window", [(0, 0), (1, 1), (8, 4)])
def test_offered_window_is_answered_with_one_operation_each_way(window: tuple[int, int]) -> None:
    assert answer_to(UserInformation(asynchronous_window=window)).asynchronous_window == (1, 1)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (b"\1\1\1\1", b"\1\1\0\0"),
        (b"\1\1\0\0", b"\1\1\0\0"),
        (b"\1\1\1", b"\1\1\0"),
        (b"\1\1\1\1\1\1\1", b"\1\1\0\0"),
        (b"\0", b"\1"),
    ],
)
def test_worklist_options_are_answered_as_long_as_offered(offered: bytes, answered: bytes) -> None:
    extended = (
        ExtendedNegotiation(STORAGE, b"\1\1"),
        ExtendedNegotiation(MODALITY_WORKLIST_FIND, offered),
        ExtendedNegotiation(VERIFICATION, b"\1"),
    )
    answer = answer_to(UserInformation(extended_negotiations=extended))
    assert answer.extended_negotiations == (ExtendedNegotiation(MODALITY_WORKLIST_FIND, answered),)


def test_worklist_options_without_a_byte_are_not_answered() -> None:
    extended = (ExtendedNegotiation(MODALITY_WORKLIST_FIND, b""),)
    assert answer_to(UserInformation(extended_negotiations=extended)).extended_negotiations == ()


def test_worklist_options_are_not_answered_without_a_worklist() -> None:
    extended = (ExtendedNegotiation(MODALITY_WORKLIST_FIND, b"\1\1\1"),)
    request = replace(REQUEST, user_information=UserInformation(extended_negotiations=extended))
    answer = negotiate(request, Policy({VERIFICATION: (IMPLICIT,)}))
    assert isinstance(answer, AssociateAccept)
    assert answer.user_information.extended_negotiations == ()


def test_requestor_may_be_scu_and_not_scp() -> None:
    roles = (
        RoleSelection(MODALITY_WORKLIST_FIND, scu=True, scp=True),
        RoleSelection(VERIFICATION, scu=False, scp=True),
        RoleSelection(STORAGE, scu=True, scp=True),
    )
    assert answer_to(UserInformation(role_selections=roles)).role_selections == (
        RoleSelection(MODALITY_WORKLIST_FIND, scu=True, scp=False),
        RoleSelection(VERIFICATION, scu=False, scp=False),
    )


@pytest.mark.parametrize(
    ("identity_type", "asked", "response"),
    [
        (1, True, b""),
        (2, True, b""),
        (1, False, None),
        (2, False, None),
        (3, True, None),
        (4, True, None),
        (5, True, None),
    ],
)
def test_user_identity_is_confirmed_only_when_asked_for_and_a_name(
    identity_type: int, asked: bool, response: bytes | None
) -> None:
    identity = UserIdentity(identity_type, asked, b"someone", b"secret")
    answer = answer_to(UserInformation(user_identity=identity))
    assert answer.user_identity_response == response
    assert answer.user_identity is None


def test_same_question_gives_the_same_answer_object() -> None:
    assert negotiate(REQUEST, POLICY) is negotiate(replace(REQUEST), POLICY)


@pytest.mark.parametrize("is_long", [False, True])
def test_what_a_long_request_leads_to_is_not_remembered(is_long: bool) -> None:
    syntaxes = tuple(f"1.2.{number}.{is_long:d}" for number in range(400 if is_long else 4))
    asked = replace(REQUEST, contexts=(replace(CONTEXT, transfer_syntaxes=(*syntaxes, IMPLICIT)),))
    data = encode(asked)
    assert (len(data) > MEMO_CHUNK_BYTES) == is_long
    memos = (
        negotiation._negotiate_remembered,
        negotiation._agreed_remembered,
        pdu._accept_remembered,
    )
    for memo in memos:
        memo.cache_clear()
    for _ in range(2):
        request = read_pdu(bytearray(data), limit=16384)
        assert request == asked
        assert isinstance(request, AssociateRequest)
        accept = negotiate(request, POLICY)
        assert accept == negotiate(asked, POLICY)
        assert isinstance(accept, AssociateAccept)
        assert negotiated_contexts(request, accept)[1].transfer_syntax == IMPLICIT
        assert read_pdu(bytearray(encode(accept)), limit=16384) == accept
    # `asked` was not read, so its length is not known.
    assert [memo.cache_info().currsize for memo in memos] == ([1, 0, 0] if is_long else [1, 1, 1])


def test_policies_are_told_apart() -> None:
    other = Policy({MODALITY_WORKLIST_FIND: (IMPLICIT,)}, max_pdu_length=4096)
    answer = negotiate(REQUEST, other)
    assert isinstance(answer, AssociateAccept)
    assert answer.user_information.max_length == 4096


def test_contexts_in_force_are_those_proposed_and_accepted() -> None:
    request = replace(
        REQUEST,
        contexts=(
            ProposedContext(1, MODALITY_WORKLIST_FIND, (EXPLICIT, IMPLICIT)),
            ProposedContext(3, VERIFICATION, (IMPLICIT,)),
            ProposedContext(5, STORAGE, (IMPLICIT,)),
        ),
    )
    accept = AssociateAccept(
        (
            ContextResult(1, 0, IMPLICIT),
            ContextResult(3, 0, EXPLICIT),
            ContextResult(5, 3, IMPLICIT),
            ContextResult(7, 0, IMPLICIT),
        )
    )
    assert negotiated_contexts(request, accept) == {
        1: NegotiatedContext(1, MODALITY_WORKLIST_FIND, IMPLICIT)
    }
