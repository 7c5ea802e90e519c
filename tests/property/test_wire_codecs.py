"""What holds for the bytes of all PDUs, commands and messages."""

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from mwl.errors import RemoteProtocolError
from mwl.wire.dimse import (
    Command,
    CommandField,
    MessageAssembler,
    decode_command,
    encode_command,
    frame_command,
    frame_dataset,
)
from mwl.wire.pdu import PData, Pdu, encode, read_pdu
from support.wire_strategies import commands, packings, pdus

LIMIT = 4096
ABORT_REASONS = {0, 1, 2, 4, 5, 6}
FIND = Command(CommandField.C_FIND_RQ, message_id=1, affected_sop_class_uid="1.2", has_dataset=True)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Give the bytes of a PDU with a few of them changed, cut or repeated."""
    data = bytearray(encode(draw(pdus)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))])


@given(st.one_of(st.binary(max_size=200), damaged()))
@example(b"")
@example(b"\x04\0\0\0\0\0")
@example(b"\x04\0\0\0\0\6\0\0\0\1\1\3")
def test_any_bytes_are_read_or_refused_as_documented(data: bytes) -> None:
    buffer = bytearray(data)
    pdu, reason = None, None
    try:
        pdu = read_pdu(buffer, limit=LIMIT)
    except RemoteProtocolError as error:
        reason = error.reason
    if reason is not None:
        assert reason in ABORT_REASONS
    elif pdu is None:
        assert buffer == data
    else:
        assert len(buffer) <= len(data) - 6
        assert encode(pdu)[0] == data[0]


@given(pdus)
def test_what_is_written_is_read_back(pdu: Pdu) -> None:
    buffer = bytearray(encode(pdu))
    assert read_pdu(buffer, limit=LIMIT) == pdu
    assert not buffer


@given(pdus, st.binary(max_size=5))
def test_what_was_read_is_written_as_it_was(pdu: Pdu, more: bytes) -> None:
    data = encode(pdu)
    buffer = bytearray(data + more)
    again = read_pdu(buffer, limit=LIMIT)
    assert again is not None
    assert encode(again)[:6] == data[:6]
    assert buffer == more


@given(st.binary(max_size=120))
def test_any_bytes_are_a_command_or_refused_as_documented(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert isinstance(decode_command(data), Command)


@given(commands, st.integers(0, 200), st.integers(0, 255))
def test_damaged_commands_are_read_or_refused_as_documented(
    command: Command, at: int, value: int
) -> None:
    data = bytearray(encode_command(command))
    data[at % len(data)] = value
    with suppress(RemoteProtocolError):
        again = decode_command(bytes(data))
        written = decode_command(encode_command(again))
        assert written == again._replace(error_comment=written.error_comment)
        assert decode_command(encode_command(written)) == written


@given(commands)
def test_command_that_is_written_is_read_back(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


@given(st.binary(max_size=300), st.integers(0, 400))
def test_framed_message_comes_back_and_respects_the_peer(data: bytes, max_length: int) -> None:
    buffer = bytearray(frame_command(1, FIND, max_length) + frame_dataset(1, data, max_length))
    assembler = MessageAssembler(1000, 1000)
    messages = []
    while buffer:
        # A peer that takes less than one fragment of two bytes is sent that all the same.
        pdu = read_pdu(buffer, limit=max(max_length, 8) if max_length else 1000)
        assert isinstance(pdu, PData)
        assert len(pdu.values) == 1
        messages.append(assembler.add(pdu.values[0]))
    assert [message for message in messages if message is not None] == [(FIND, data)]
    assert messages[-1] is not None


@given(st.data(), st.binary(max_size=60))
def test_any_legal_packing_gives_the_message(data: st.DataObject, dataset: bytes) -> None:
    buffer = bytearray(data.draw(packings(1, encode_command(FIND), dataset)))
    assembler = MessageAssembler(1000, 1000)
    messages: list[tuple[Command, bytes | None] | None] = []
    while buffer:
        pdu = read_pdu(buffer, limit=LIMIT)
        assert isinstance(pdu, PData)
        messages.extend(assembler.add(value) for value in pdu.values)
    assert [message for message in messages if message is not None] == [(FIND, dataset)]
