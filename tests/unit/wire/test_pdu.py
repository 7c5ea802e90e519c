"""Bytes of the PDUs, restated from the tables of PS3.8 section 9.3."""

from dataclasses import replace

import pytest
from pynetdicom import pdu as peer_pdu

from mwl.errors import LocalProtocolError, RemoteProtocolError
from mwl.wire.pdu import (
    APPLICATION_CONTEXT,
    MAX_ASSOCIATE_BYTES,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    PData,
    Pdu,
    PresentationDataValue,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    RoleSelection,
    UserIdentity,
    UserInformation,
    encode,
    pdus_in,
    read_pdu,
)

LIMIT = 16384


def item(item_type: int, content: bytes) -> bytes:
    return bytes((item_type, 0)) + len(content).to_bytes(2, "big") + content


def with_header(pdu_type: int, body: bytes) -> bytes:
    return bytes((pdu_type, 0)) + len(body).to_bytes(4, "big") + body


def request_bytes(*items: bytes, version: bytes = b"\0\1") -> bytes:
    titles = b"MWL             " + b"CT1             "
    return with_header(1, version + bytes(2) + titles + bytes(32) + b"".join(items))


APPLICATION = item(0x10, APPLICATION_CONTEXT.encode())
CONTEXT = item(
    0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
)
USER = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3"))


def read_one(data: bytes, limit: int = LIMIT) -> Pdu | None:
    return read_pdu(bytearray(data), limit=limit)


def read_request(data: bytes) -> AssociateRequest:
    pdu = read_one(data)
    assert isinstance(pdu, AssociateRequest)
    return pdu


def refusal(data: bytes, limit: int = LIMIT) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        read_one(data, limit)
    return caught.value


def test_request_is_read_byte_by_byte() -> None:
    request = read_request(request_bytes(APPLICATION, CONTEXT, USER))
    assert request == AssociateRequest(
        called_ae_title="MWL",
        calling_ae_title="CT1",
        contexts=(ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),),
        user_information=UserInformation(max_length=16384, implementation_class_uid="1.2.3"),
    )


def test_request_is_written_byte_by_byte() -> None:
    data = request_bytes(APPLICATION, CONTEXT, USER)
    assert encode(read_request(data)) == data


def test_request_is_written_from_titles_alone() -> None:
    request = AssociateRequest(" MWL ".strip(), "CT1", (ProposedContext(1, "1.2", ("1.3",)),))
    assert encode(request)[6:74] == b"\0\1\0\0" + b"MWL".ljust(16) + b"CT1".ljust(16) + bytes(32)


def test_request_without_titles_has_a_header_all_the_same() -> None:
    request = AssociateRequest("", "", (ProposedContext(1, "1.2", ("1.3",)),))
    assert encode(request)[8:74] == bytes(2) + b" " * 32 + bytes(32)


def test_changed_title_changes_the_header() -> None:
    request = read_request(request_bytes(APPLICATION, CONTEXT, USER))
    assert encode(replace(request, called_ae_title="OTHER"))[10:26] == b"OTHER".ljust(16)


def test_spaces_around_titles_mean_nothing_and_are_kept_for_the_answer() -> None:
    data = bytearray(request_bytes(APPLICATION, CONTEXT, USER))
    data[10:26] = b"  MWL".ljust(16)
    data[42:45] = b"xyz"  # reserved bytes, to be repeated
    request = read_request(bytes(data))
    assert request.called_ae_title == "MWL"
    assert request.header == bytes(data[8:74])


def test_uids_may_be_padded_on_the_wire() -> None:
    context = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2\0") + item(0x40, b"1.3 "))
    request = read_request(request_bytes(APPLICATION, context, USER))
    assert request.contexts == (ProposedContext(1, "1.2", ("1.3",)),)


def test_unknown_items_are_skipped_at_every_level() -> None:
    odd = item(0xEE, b"whatever")
    context = item(0x20, b"\1\0\0\0" + odd + item(0x30, b"1.2") + item(0x40, b"1.3") + odd)
    user = item(0x50, odd + item(0x51, b"\0\0\x40\0") + item(0x57, b"\0\0") + odd)
    request = read_request(request_bytes(odd, APPLICATION, context, odd, user, odd))
    assert request.contexts == (ProposedContext(1, "1.2", ("1.3",)),)
    assert request.user_information == UserInformation(max_length=16384)


def test_missing_user_information_states_no_limit() -> None:
    request = read_request(request_bytes(APPLICATION, CONTEXT))
    assert request.user_information == UserInformation(max_length=0)


def test_missing_application_context_is_left_to_negotiation() -> None:
    assert read_request(request_bytes(CONTEXT, USER)).application_context == ""


def test_all_user_information_is_read() -> None:
    uid = b"\0\x031.2"
    user = item(
        0x50,
        item(0x51, b"\0\1\0\0")
        + item(0x52, b"1.2.3")
        + item(0x53, b"\0\5\0\7")
        + item(0x54, uid + b"\1\0")
        + item(0x55, b"NAME")
        + item(0x56, uid + b"\1\1\1\0")
        + item(0x58, b"\2\1" + b"\0\2ab" + b"\0\3xyz"),
    )
    request = read_request(request_bytes(APPLICATION, CONTEXT, user))
    assert request.user_information == UserInformation(
        max_length=65536,
        implementation_class_uid="1.2.3",
        implementation_version_name="NAME",
        asynchronous_window=(5, 7),
        role_selections=(RoleSelection("1.2", scu=True, scp=False),),
        extended_negotiations=(ExtendedNegotiation("1.2", b"\1\1\1\0"),),
        user_identity=UserIdentity(2, True, b"ab", b"xyz"),
    )
    assert encode(request) == request_bytes(APPLICATION, CONTEXT, user)


def test_user_identity_may_leave_out_its_second_field() -> None:
    user = item(0x50, item(0x58, b"\1\0" + b"\0\2ab"))
    request = read_request(request_bytes(APPLICATION, CONTEXT, user))
    assert request.user_information.user_identity == UserIdentity(1, False, b"ab", b"")


def test_user_identity_is_not_shown() -> None:
    assert "secret" not in repr(UserIdentity(2, True, b"secret", b"secret"))


@pytest.mark.parametrize(
    "sub_item",
    [
        item(0x51, b"\0\0\x40"),
        item(0x53, b"\0\1"),
        item(0x54, b"\0\x031.2\1"),
        item(0x54, b"\0\x091.2\1\0"),
        item(0x56, b"\0"),
        item(0x58, b"\1"),
        item(0x58, b"\1\0\0\5ab"),
        item(0x59, b"\0\5ab"),
        b"\x51\0\0",
        b"\x51\0\0\5abc",
    ],
)
def test_broken_user_information_is_an_invalid_parameter(sub_item: bytes) -> None:
    data = request_bytes(APPLICATION, CONTEXT, item(0x50, sub_item))
    assert refusal(data).reason == 6


@pytest.mark.parametrize(
    "contexts",
    [
        b"",
        CONTEXT + CONTEXT,
        item(0x20, b"\2\0\0\0"),
        item(0x20, b"\0\0\0\0"),
        item(0x20, b"\1\0\0"),
        b"".join(item(0x20, bytes((number % 256, 0, 0, 0))) for number in range(1, 300, 2)),
    ],
    ids=["none", "twice", "even", "zero", "short", "too many"],
)
def test_contexts_that_cannot_be_told_apart_are_refused(contexts: bytes) -> None:
    assert refusal(request_bytes(APPLICATION, contexts, USER)).reason == 6


def test_context_without_syntaxes_is_left_to_negotiation() -> None:
    request = read_request(request_bytes(APPLICATION, item(0x20, b"\1\0\0\0"), USER))
    assert request.contexts == (ProposedContext(1, "", ()),)


def test_short_request_is_refused() -> None:
    assert refusal(with_header(1, bytes(67))).reason == 6


def test_a_chunk_of_whole_pdus_is_decoded_once() -> None:
    data = request_bytes(APPLICATION, CONTEXT, USER) + encode(ReleaseRequest())
    pdus = pdus_in(data, LIMIT)
    assert pdus == (read_request(data), ReleaseRequest())
    assert pdus_in(data, LIMIT) is pdus


def test_a_chunk_with_a_part_or_a_mistake_is_left_to_be_read_step_by_step() -> None:
    data = encode(ReleaseRequest())
    assert pdus_in(data + data[:5], LIMIT) is None
    assert pdus_in(data + b"\x09" + bytes(9), LIMIT) is None
    assert pdus_in(b"", LIMIT) == ()


def test_equal_requests_have_one_hash() -> None:
    data = request_bytes(APPLICATION, CONTEXT, USER)
    first = read_request(data)
    second = replace(first)
    assert first is not second
    assert (first, hash(first)) == (second, hash(second))
    assert hash(first) != hash(replace(first, calling_ae_title="MR2"))


def test_accept_is_read_and_written_byte_by_byte() -> None:
    accept = AssociateAccept(
        contexts=(ContextResult(1, 0, "1.2.840.10008.1.2"), ContextResult(3, 3, "1.9")),
        user_information=UserInformation(
            max_length=16384, implementation_class_uid="1.2.3", user_identity_response=b""
        ),
        header=bytes(range(66)),
    )
    data = with_header(
        2,
        b"\0\1"
        + bytes(range(66))
        + APPLICATION
        + item(0x21, b"\1\0\0\0" + item(0x40, b"1.2.840.10008.1.2"))
        + item(0x21, b"\3\0\3\0" + item(0x40, b"1.9"))
        + item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3") + item(0x59, b"\0\0")),
    )
    assert encode(accept) == data
    # The transfer syntax of a context that was not accepted counts for nothing.
    contexts = (accept.contexts[0], ContextResult(3, 3, ""))
    assert read_one(data) == replace(accept, contexts=contexts)


def test_accept_tolerates_anything_as_syntax_of_a_refused_context() -> None:
    data = with_header(2, b"\0\1" + bytes(66) + item(0x21, b"\1\0\4\0" + b"junk") + item(0xEE, b""))
    pdu = read_one(data)
    assert isinstance(pdu, AssociateAccept)
    assert pdu.contexts == (ContextResult(1, 4, ""),)


def test_accept_with_a_short_context_is_refused() -> None:
    assert refusal(with_header(2, b"\0\1" + bytes(66) + item(0x21, b"\1"))).reason == 6


@pytest.mark.parametrize(
    ("pdu", "data"),
    [
        (AssociateReject(1, 2, 3), b"\3\0\0\0\0\4\0\1\2\3"),
        (ReleaseRequest(), b"\5\0\0\0\0\4\0\0\0\0"),
        (ReleaseResponse(), b"\6\0\0\0\0\4\0\0\0\0"),
        (Abort(2, 6), b"\7\0\0\0\0\4\0\0\2\6"),
        (
            PData((PresentationDataValue(5, True, True, b"ab"),)),
            b"\4\0\0\0\0\x08\0\0\0\4\5\3ab",
        ),
        (
            PData(
                (
                    PresentationDataValue(1, True, False, b"ab"),
                    PresentationDataValue(1, False, True, b""),
                )
            ),
            b"\4\0\0\0\0\x0e\0\0\0\4\1\1ab\0\0\0\2\1\2",
        ),
    ],
)
def test_small_pdus_are_read_and_written_byte_by_byte(pdu: Pdu, data: bytes) -> None:
    assert encode(pdu) == data
    assert read_one(data) == pdu


def test_reserved_bits_and_bytes_are_not_tested() -> None:
    assert read_one(b"\5\xff\0\0\0\4\xff\xff\xff\xff") == ReleaseRequest()
    value = PresentationDataValue(1, True, True, b"ab")
    assert read_one(b"\4\xff\0\0\0\x08\0\0\0\4\1\xffab") == PData((value,))


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0\0", b"\0\0\0\1\1", b"\0\0\0\1\1\1", b"\0\0\0\5\1\1ab", b"\xff\xff\xff\xff\1\1"],
)
def test_broken_data_values_are_invalid_parameters(body: bytes) -> None:
    assert refusal(with_header(4, body)).reason == 6


@pytest.mark.parametrize("pdu_type", [3, 5, 6, 7])
@pytest.mark.parametrize("size", [0, 3, 5])
def test_pdus_of_fixed_length_have_that_length(pdu_type: int, size: int) -> None:
    assert refusal(with_header(pdu_type, bytes(size))).reason == 6


@pytest.mark.parametrize("pdu_type", [0, 8, 0x47, 0xFF])
def test_unknown_pdu_type_is_unrecognised(pdu_type: int) -> None:
    assert refusal(with_header(pdu_type, b"")).reason == 1


@pytest.mark.parametrize(("pdu_type", "longest"), [(1, MAX_ASSOCIATE_BYTES), (4, LIMIT)])
def test_length_is_checked_on_the_header_alone(pdu_type: int, longest: int) -> None:
    header = bytes((pdu_type, 0))
    assert read_one(header + longest.to_bytes(4, "big")) is None
    error = refusal(header + (longest + 1).to_bytes(4, "big"))
    assert error.reason == 6
    assert str(longest + 1) in str(error)
    assert str(longest) in str(error)


def test_buffer_is_consumed_only_when_a_whole_pdu_is_there() -> None:
    data = encode(ReleaseRequest()) + b"\7"
    for size in range(10):
        buffer = bytearray(data[:size])
        assert read_pdu(buffer, limit=LIMIT) is None
        assert buffer == data[:size]
    buffer = bytearray(data)
    assert read_pdu(buffer, limit=LIMIT) == ReleaseRequest()
    assert buffer == b"\7"


def test_what_cannot_be_written_is_a_mistake_of_ours() -> None:
    context = ProposedContext(1, "1.2", ("1.3",))
    with pytest.raises(LocalProtocolError, match="16"):
        AssociateRequest("SEVENTEEN_LETTERS", "CT1", (context,))
    with pytest.raises(LocalProtocolError):
        AssociateRequest("名", "CT1", (context,))
    too_long = UserInformation(user_identity=UserIdentity(4, False, bytes(0x10000 - 4), b""))
    with pytest.raises(LocalProtocolError, match="does not fit"):
        encode(AssociateRequest("MWL", "CT1", (context,), too_long))


def test_another_implementation_reads_our_request_and_writes_the_same_bytes() -> None:
    data = request_bytes(APPLICATION, CONTEXT, USER)
    theirs = peer_pdu.A_ASSOCIATE_RQ()
    theirs.decode(encode(read_request(data)))
    assert theirs.calling_ae_title.strip() == "CT1"
    assert [context.context_id for context in theirs.presentation_context] == [1]
    assert theirs.encode() == data


def test_another_implementation_reads_our_answer_and_data_and_writes_the_same_bytes() -> None:
    accept = AssociateAccept(
        contexts=(ContextResult(1, 0, "1.2.840.10008.1.2"), ContextResult(3, 3, "1.9")),
        user_information=UserInformation(
            implementation_class_uid="1.2.3",
            asynchronous_window=(1, 1),
            role_selections=(RoleSelection("1.2", scu=True, scp=False),),
            extended_negotiations=(ExtendedNegotiation("1.2", b"\1\1\0\0"),),
            user_identity_response=b"",
        ),
        header=bytes(2) + b"MWL".ljust(16) + b"CT1".ljust(16) + bytes(32),
    )
    answer = peer_pdu.A_ASSOCIATE_AC()
    answer.decode(encode(accept))
    assert [context.result for context in answer.presentation_context] == [0, 3]
    assert answer.encode() == encode(accept)
    data = peer_pdu.P_DATA_TF()
    pdu = PData((PresentationDataValue(1, True, True, b"ab"),))
    data.decode(encode(pdu))
    assert data.encode() == encode(pdu)
