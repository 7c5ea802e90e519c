"""Command sets and messages, restated from PS3.7 9.3, 10.3, E.1 and PS3.8 annex E."""

import pytest

from mwl.errors import RemoteProtocolError
from mwl.wire.dimse import (
    MEMO_COMMAND_BYTES,
    Command,
    CommandField,
    MessageAssembler,
    Status,
    decode_command,
    encode_command,
    frame_command,
    frame_dataset,
    frame_pending,
    response_to,
)
from mwl.wire.pdu import PData, PresentationDataValue, read_pdu

WORKLIST = "1.2.840.10008.5.1.4.31"


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return (
        group.to_bytes(2, "little")
        + number.to_bytes(2, "little")
        + len(value).to_bytes(4, "little")
        + value
    )


def command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return element(0x0000, len(body).to_bytes(4, "little")) + body


FIND_RQ_BYTES = command_set(
    element(0x0002, WORKLIST.encode()),
    element(0x0100, b"\x20\0"),
    element(0x0110, b"\7\0"),
    element(0x0700, b"\0\0"),
    element(0x0800, b"\1\0"),
)
FIND_RQ = Command(
    CommandField.C_FIND_RQ,
    message_id=7,
    affected_sop_class_uid=WORKLIST,
    priority=0,
    has_dataset=True,
)


def refusal(data: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_command(data)
    return caught.value


def test_find_request_is_read_and_written_byte_by_byte() -> None:
    assert decode_command(FIND_RQ_BYTES) == FIND_RQ
    assert encode_command(FIND_RQ) == FIND_RQ_BYTES


def test_find_response_is_read_and_written_byte_by_byte() -> None:
    data = command_set(
        element(0x0002, WORKLIST.encode()),
        element(0x0100, b"\x20\x80"),
        element(0x0120, b"\7\0"),
        element(0x0800, b"\1\1"),
        element(0x0900, b"\0\xa9"),
        element(0x0901, b"\x40\0\0\1" + b"\x40\0\2\0"),
        element(0x0902, b"odd "),
    )
    response = response_to(
        FIND_RQ,
        Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
        offending_element=(0x00400100, 0x00400002),
        error_comment="odd",
    )
    assert encode_command(response) == data
    assert decode_command(data) == response


def test_cancel_has_the_message_id_of_what_it_cancels_and_none_of_its_own() -> None:
    data = command_set(
        element(0x0100, b"\xff\x0f"), element(0x0120, b"\7\0"), element(0x0800, b"\1\1")
    )
    cancel = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=7)
    assert decode_command(data) == cancel
    assert encode_command(cancel) == data
    assert not cancel.is_response


def test_response_answers_class_instance_and_kind_of_the_request() -> None:
    request = Command(
        CommandField.N_ACTION_RQ,
        message_id=9,
        requested_sop_class_uid="1.2",
        requested_sop_instance_uid="1.2.3",
        action_type_id=4,
    )
    assert response_to(request, Status.NO_SUCH_SOP_CLASS) == Command(
        CommandField.N_ACTION_RSP,
        message_id_being_responded_to=9,
        affected_sop_class_uid="1.2",
        affected_sop_instance_uid="1.2.3",
        action_type_id=4,
        status=0x0118,
    )


def test_response_to_an_unknown_request_has_its_number() -> None:
    request = Command(0x0666, message_id=1)
    response = response_to(request, Status.UNRECOGNIZED_OPERATION)
    assert response.field == 0x8666
    assert response.is_response
    assert decode_command(encode_command(response)) == response


def test_uids_are_padded_with_nul_and_read_with_any_padding() -> None:
    odd = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid="1.2")
    assert element(0x0002, b"1.2\0") in encode_command(odd)
    assert decode_command(encode_command(odd).replace(b"1.2\0", b"1.2 ")) == odd


def test_any_uid_of_a_request_can_be_repeated_in_its_response() -> None:
    data = FIND_RQ_BYTES.replace(WORKLIST.encode(), b"\xff" * len(WORKLIST))
    response = response_to(decode_command(data), Status.SOP_CLASS_NOT_SUPPORTED)
    assert b"\xff" * len(WORKLIST) in encode_command(response)


def test_comment_fits_its_element() -> None:
    response = response_to(FIND_RQ, Status.UNABLE_TO_PROCESS, error_comment="a\\ü" + "x" * 100)
    assert element(0x0902, b"a/?" + b"x" * 61) in encode_command(response)


@pytest.mark.parametrize("presence", [b"\0\0", b"\1\0", b"\2\1", b"\xff\xff"])
def test_any_data_set_type_but_one_is_a_data_set(presence: bytes) -> None:
    data = FIND_RQ_BYTES[:-2] + presence
    assert decode_command(data).has_dataset
    assert not decode_command(FIND_RQ_BYTES[:-2] + b"\1\1").has_dataset


def test_unknown_elements_order_and_group_length_do_not_matter() -> None:
    shuffled = (
        element(0x0800, b"\1\0")
        + element(0x5010, b"retired ")
        + element(0x0700, b"\0\0")
        + element(0x0110, b"\7\0")
        + element(0x0100, b"\x20\0")
        + element(0x0002, WORKLIST.encode())
        + element(0x0000, b"\1\2\3\4")
    )
    assert decode_command(shuffled) == FIND_RQ


def test_elements_of_another_kind_of_message_are_dropped() -> None:
    data = command_set(FIND_RQ_BYTES[12:] + element(0x0120, b"\5\0") + element(0x0900, b"\1\0"))
    assert decode_command(data) == FIND_RQ


def test_unknown_command_field_is_a_number() -> None:
    data = FIND_RQ_BYTES.replace(element(0x0100, b"\x20\0"), element(0x0100, b"\x66\6"))
    assert decode_command(data).field == 0x0666


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        command_set(element(0x0110, b"\1\0"), element(0x0800, b"\1\1")),
        command_set(element(0x0100, b"\x30\0"), element(0x0110, b"\1\0")),
        command_set(element(0x0100, b"\x30\0"), element(0x0800, b"\1\1")),
        command_set(element(0x0100, b"\x30\x80"), element(0x0800, b"\1\1")),
        command_set(element(0x0100, b"\xff\x0f"), element(0x0800, b"\1\1")),
        command_set(element(0x0100, b"\x30\0\0\0")),
        command_set(element(0x0901, b"\0\0\0")),
        element(0x0010, b"1", group=8),
        FIND_RQ_BYTES[:-1],
    ],
    ids=[
        "empty",
        "cut header",
        "no field",
        "no data set type",
        "request without message ID",
        "response without status",
        "cancel without message ID",
        "long number",
        "broken tag list",
        "another group",
        "cut value",
    ],
)
def test_broken_command_sets_are_invalid_parameters(data: bytes) -> None:
    assert refusal(data).reason == 6


def test_same_bytes_give_the_same_command_and_long_ones_are_not_kept() -> None:
    assert decode_command(FIND_RQ_BYTES) is decode_command(FIND_RQ_BYTES)
    long = FIND_RQ_BYTES + element(0x5010, bytes(MEMO_COMMAND_BYTES))
    assert decode_command(long) == FIND_RQ
    assert decode_command(long) is not decode_command(long)


# -- framing -------------------------------------------------------------------------------------


def values_of(data: bytes, limit: int) -> list[list[PresentationDataValue]]:
    buffer = bytearray(data)
    pdus = []
    while buffer:
        pdu = read_pdu(buffer, limit=limit)
        assert isinstance(pdu, PData)
        pdus.append(list(pdu.values))
    return pdus


def test_data_set_that_fits_is_one_pdu() -> None:
    assert frame_dataset(3, b"abcd", 10) == b"\4\0\0\0\0\x0a\0\0\0\6\3\2abcd"
    assert frame_dataset(3, b"abcd", 0) == frame_dataset(3, b"abcd", 10)


def test_command_is_marked_as_such() -> None:
    data = encode_command(FIND_RQ)
    assert values_of(frame_command(3, FIND_RQ, 0), 16384) == [
        [PresentationDataValue(3, True, True, data)]
    ]


@pytest.mark.parametrize("max_length", [8, 9, 10, 11, 13, 16, 105])
def test_no_pdu_is_longer_than_the_peer_takes(max_length: int) -> None:
    data = bytes(range(100))
    pdus = values_of(frame_dataset(3, data, max_length), limit=max_length)
    assert [len(values) for values in pdus] == [1] * len(pdus)
    assert b"".join(values[0].data for values in pdus) == data
    assert [values[0].is_last for values in pdus] == [False] * (len(pdus) - 1) + [True]
    assert all(len(values[0].data) % 2 == 0 for values in pdus)


@pytest.mark.parametrize("max_length", [1, 2, 6, 7])
def test_peer_that_takes_nothing_is_sent_the_least(max_length: int) -> None:
    pdus = values_of(frame_dataset(3, b"abcdef", max_length), limit=8)
    assert [values[0].data for values in pdus] == [b"ab", b"cd", b"ef"]


@pytest.mark.parametrize("max_length", [0, 1, 16384])
def test_empty_data_set_is_sent_as_one_empty_fragment(max_length: int) -> None:
    assert values_of(frame_dataset(3, b"", max_length), 16384) == [
        [PresentationDataValue(3, False, True, b"")]
    ]


def test_pending_response_announces_an_identifier() -> None:
    [[value]] = values_of(frame_pending(3, 7, WORKLIST, 0), 16384)
    assert decode_command(value.data) == Command(
        CommandField.C_FIND_RSP,
        message_id_being_responded_to=7,
        affected_sop_class_uid=WORKLIST,
        has_dataset=True,
        status=0xFF00,
    )


# -- assembling ----------------------------------------------------------------------------------

ECHO = Command(CommandField.C_ECHO_RQ, message_id=1)


def command_value(data: bytes, *, last: bool = True, context_id: int = 1) -> PresentationDataValue:
    return PresentationDataValue(context_id, True, last, data)


def data_value(data: bytes, *, last: bool = True, context_id: int = 1) -> PresentationDataValue:
    return PresentationDataValue(context_id, False, last, data)


def test_command_without_data_set_is_a_message() -> None:
    assembler = MessageAssembler(1000, 1000)
    assert assembler.add(command_value(encode_command(ECHO))) == (ECHO, None)
    assert assembler.add(command_value(encode_command(ECHO), context_id=3)) == (ECHO, None)


def test_fragments_of_both_kinds_are_joined() -> None:
    assembler = MessageAssembler(1000, 1000)
    data = encode_command(FIND_RQ)
    assert assembler.add(command_value(data[:5], last=False)) is None
    assert assembler.add(command_value(b"", last=False)) is None
    assert assembler.held_bytes == 5
    assert assembler.add(command_value(data[5:])) is None
    assert assembler.held_bytes == 0
    assert assembler.add(data_value(b"ab", last=False)) is None
    assert assembler.add(data_value(b"cd", last=False)) is None
    assert assembler.add(data_value(b"")) == (FIND_RQ, b"abcd")
    assert assembler.held_bytes == 0


def test_empty_data_set_is_not_a_missing_one() -> None:
    assembler = MessageAssembler(1000, 1000)
    assembler.add(command_value(encode_command(FIND_RQ)))
    assert assembler.add(data_value(b"")) == (FIND_RQ, b"")


@pytest.mark.parametrize(
    "values",
    [
        [data_value(b"ab")],
        [command_value(FIND_RQ_BYTES), command_value(FIND_RQ_BYTES)],
        [command_value(FIND_RQ_BYTES[:4], last=False), data_value(b"ab")],
        [command_value(FIND_RQ_BYTES), data_value(b"ab", context_id=3)],
        [
            command_value(FIND_RQ_BYTES[:4], last=False),
            command_value(FIND_RQ_BYTES[4:], context_id=3),
        ],
        [
            command_value(FIND_RQ_BYTES),
            data_value(b"ab", last=False),
            data_value(b"ab", context_id=3),
        ],
    ],
    ids=[
        "data first",
        "command twice",
        "data in a command",
        "data elsewhere",
        "command elsewhere",
        "rest of the data elsewhere",
    ],
)
def test_fragments_out_of_order_are_unexpected_parameters(
    values: list[PresentationDataValue],
) -> None:
    assembler = MessageAssembler(1000, 1000)
    for value in values[:-1]:
        assert assembler.add(value) is None
    with pytest.raises(RemoteProtocolError) as caught:
        assembler.add(values[-1])
    assert caught.value.reason == 5


@pytest.mark.parametrize("last", [True, False])
def test_messages_longer_than_the_limits_are_refused(last: bool) -> None:
    size = len(FIND_RQ_BYTES)
    with pytest.raises(RemoteProtocolError, match="command set") as caught:
        MessageAssembler(size - 1, 1000).add(command_value(FIND_RQ_BYTES, last=last))
    assert caught.value.reason == 0
    assembler = MessageAssembler(size, 10)
    assembler.add(command_value(FIND_RQ_BYTES))
    assembler.add(data_value(bytes(6), last=False))
    with pytest.raises(RemoteProtocolError, match="limit is 10"):
        assembler.add(data_value(bytes(6), last=last))


def test_messages_as_long_as_the_limits_are_taken() -> None:
    assembler = MessageAssembler(len(FIND_RQ_BYTES), 10)
    assembler.add(command_value(FIND_RQ_BYTES))
    assert assembler.add(data_value(bytes(10))) == (FIND_RQ, bytes(10))
