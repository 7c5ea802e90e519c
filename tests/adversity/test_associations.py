"""Slow, cancelling, flooding, silent and lying peers, over real sockets of the loopback."""

import asyncio
import resource
import socket

import pytest

from mwl.access import AccessPolicy, KnownCaller
from mwl.dataset import IMPLICIT_VR_LITTLE_ENDIAN, encode
from mwl.errors import PeerRefused
from mwl.net.client import associate
from mwl.net.connections import Capacity
from mwl.net.dicom import DicomConnection
from mwl.net.report import UID_LENGTH, UIDS_NAMED
from mwl.wire.association import Limits
from mwl.wire.dimse import (
    Command,
    CommandField,
    Status,
    decode_command,
    frame_command,
    frame_dataset,
)
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION
from mwl.wire.pdu import Abort, AssociateRequest, ProposedContext, UserInformation
from mwl.wire.pdu import encode as encode_pdu
from support.items import elements, step
from support.listener import RawPeer, listening
from support.raw_requests import (
    ABORT,
    ASSOCIATE,
    ASSOCIATE_AC,
    DATA,
    EVERYTHING,
    RELEASE,
    RELEASE_RP,
    associated,
    cancel_request,
    echo_request,
    find_request,
    hear_status,
)
from support.telemetry import captured_log
from support.worklist import Site

MANY = 10_000
ASKED = frame_dataset(1, EVERYTHING, 16384)
"""The identifier of `find_request`."""


def site_with(count: int) -> Site:
    site = Site()
    for number in range(count):
        site.put(
            f"{number}.wl",
            {
                "AccessionNumber": str(number),
                "PatientName": "NOBODY^" + "X" * 48,
                **step(Modality="CT", ScheduledProcedureStepStartDate="20261123"),
            },
        )
    for _ in site.worklist.see_every_change():
        pass
    return site


@pytest.fixture(scope="module")
def large_site() -> Site:
    return site_with(MANY)


async def test_a_cancel_stops_a_query_in_the_middle_of_its_answers(large_site: Site) -> None:
    async with listening(large_site) as server:
        peer = await associated(server)
        await peer.say(find_request())
        await peer.hear()
        await peer.say(cancel_request())
        pending, final = await hear_status(peer)
        assert final.status == Status.CANCEL
        assert not final.has_dataset
        assert pending < MANY
        await peer.say(find_request(2))
        pending, final = await hear_status(peer)
        assert (pending, final.status) == (MANY, Status.SUCCESS)
        await peer.close()


async def test_a_cancel_that_comes_too_late_has_no_effect() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        await peer.say(find_request())
        assert (await hear_status(peer))[1].status == Status.SUCCESS
        await peer.say(cancel_request() + echo_request(2))
        assert (await hear_status(peer))[1].field == CommandField.C_ECHO_RSP
        await peer.close()


async def test_a_cancel_reaches_a_query_that_still_waits(large_site: Site) -> None:
    async with listening(large_site) as server:
        peer = await associated(server)
        await peer.say(find_request(1) + find_request(2) + cancel_request(2))
        finals = [(await hear_status(peer))[1] for _ in range(2)]
        assert {(final.message_id_being_responded_to, final.status) for final in finals} == {
            (1, Status.SUCCESS),
            (2, Status.CANCEL),
        }
        await peer.close()


async def test_a_cancel_reaches_no_request_but_a_query(large_site: Site) -> None:
    async with listening(large_site) as server:
        peer = await associated(server)
        await peer.say(find_request(1) + echo_request(2) + cancel_request(2))
        finals = [(await hear_status(peer))[1] for _ in range(2)]
        assert [(final.field, final.status) for final in finals] == [
            (CommandField.C_FIND_RSP, Status.SUCCESS),
            (CommandField.C_ECHO_RSP, Status.SUCCESS),
        ]
        await peer.close()


async def test_a_query_that_is_cancelled_has_its_line_with_its_keys(large_site: Site) -> None:
    keys = elements({"PatientName": "NOBODY*", "AccessionNumber": "*", **step(Modality="CT")})
    identifier = frame_dataset(1, encode(keys.values(), IMPLICIT_VR_LITTLE_ENDIAN), 16384)
    first, second = (find_request(number).removesuffix(ASKED) for number in (1, 2))
    async with listening(large_site) as server:
        with captured_log() as log:
            peer = await associated(server)
            await peer.say(first + identifier + second + identifier)
            await peer.hear()
            await peer.say(cancel_request(2) + cancel_request(1))
            for _ in range(2):
                assert (await hear_status(peer))[1].status == Status.CANCEL
            await peer.close()
    assert [event.get("detail") for event in log.events("query")] == [
        "cancelled by the peer before it was begun",
        "cancelled by the peer",
    ]
    for event in log.events("query"):
        assert event["keys"] == "PatientName ScheduledProcedureStepSequence.Modality"
        assert event.get("looked_at") is None  # it is not known


async def test_others_are_served_while_one_does_not_read_and_memory_stays_bounded(
    large_site: Site,
) -> None:
    async with listening(large_site) as server:
        slow = await associated(server)
        await slow.say(find_request())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(20):
            async with associate(server.peer(), [VERIFICATION]) as association:
                assert (await association.echo()).command.status == Status.SUCCESS
        stuck = [await associated(server) for _ in range(10)]
        for peer in stuck:
            await peer.say(find_request())
        async with associate(server.peer(), [MODALITY_WORKLIST_FIND]) as association:
            async for response in association.find(elements({"AccessionNumber": "77"})):
                assert response.command.status in (Status.PENDING, Status.SUCCESS)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < 32 * 1024
        pending, final = await hear_status(slow)
        assert (pending, final.status) == (MANY, Status.SUCCESS)
        for peer in (slow, *stuck):
            await peer.close()


async def test_requests_that_come_ahead_are_answered_in_turn() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        await peer.say(b"".join(find_request(number) for number in range(1, 6)) + echo_request(6))
        answered = [(await hear_status(peer))[1].message_id_being_responded_to for _ in range(6)]
        assert answered == [1, 2, 3, 4, 5, 6]
        await peer.close()


async def test_a_peer_that_floods_requests_is_aborted(large_site: Site) -> None:
    async with listening(large_site, limits=Limits(artim_timeout_s=0.1)) as server:
        peer = await associated(server)
        await peer.say(b"".join(find_request(number + 1) for number in range(100)))
        rest = await peer.hear_end()
        assert rest.endswith(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        await peer.close()


async def test_a_find_of_another_sop_class_is_answered_0122() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        await peer.say(find_request(1, "1.2.840.10008.5.1.4.1.2.2.1"))
        assert (await hear_status(peer))[1].status == Status.SOP_CLASS_NOT_SUPPORTED
        await peer.say(find_request(2, MODALITY_WORKLIST_FIND, context_id=3))
        assert (await hear_status(peer))[1].status == Status.SOP_CLASS_NOT_SUPPORTED
        await peer.close()


async def test_an_operation_that_is_not_served_is_answered_0211() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        command = Command(
            field=CommandField.N_DELETE_RQ,
            message_id=9,
            requested_sop_class_uid=MODALITY_WORKLIST_FIND,
        )
        await peer.say(frame_command(1, command, 16384))
        final = (await hear_status(peer))[1]
        assert final.status == Status.UNRECOGNIZED_OPERATION
        assert final.field == CommandField.N_DELETE_RSP
        await peer.close()


async def test_a_peer_that_asks_for_nothing_is_closed_when_artim_ends() -> None:
    async with listening(site_with(1), limits=Limits(artim_timeout_s=0.05)) as server:
        peer = await RawPeer.connect(server.port)
        assert await peer.hear_end() == b""
        await peer.close()


async def test_an_idle_association_is_aborted() -> None:
    limits = Limits(idle_timeout_s=0.05, artim_timeout_s=0.05)
    async with listening(site_with(1), limits=limits) as server:
        with captured_log() as log:
            peer = await associated(server)
            assert (await peer.hear())[0] == ABORT
            assert await peer.hear_end() == b""
            await server.connections.closed()
        (event,) = log.events("association")
        assert event["outcome"] == "timed out: idle"
        await peer.close()


async def test_a_peer_that_never_reads_its_answers_is_dropped(large_site: Site) -> None:
    limits = Limits(idle_timeout_s=0.2, artim_timeout_s=0.1)
    async with listening(large_site, limits=limits) as server:
        peer = await associated(server)
        await peer.say(find_request())
        async with asyncio.timeout(10):
            await server.connections.closed()
        await peer.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"\x01\x00\xff\xff\xff\xff" + bytes(100),
        b"\x04\x00\x00\x00\x00\x0a" + bytes(10),
        ASSOCIATE[:60] + bytes(200),
    ],
    ids=["http", "tls", "4 GiB announced", "data first", "broken request"],
)
async def test_bytes_that_are_no_association_are_answered_with_an_abort(garbage: bytes) -> None:
    async with listening(site_with(1)) as server:
        peer = await RawPeer.connect(server.port)
        await peer.say(garbage)
        assert (await peer.hear())[0] == ABORT
        await peer.close()
        async with asyncio.timeout(5):
            await server.connections.closed()
        async with associate(server.peer(), [VERIFICATION]) as association:
            assert (await association.echo()).command.status == Status.SUCCESS


async def test_half_a_query_and_a_cut_line_leave_nothing_behind() -> None:
    async with listening(site_with(1)) as server:
        for cut in range(1, len(find_request()), 17):
            peer = await associated(server)
            await peer.say(find_request()[:cut])
            await peer.close()
        async with asyncio.timeout(5):
            await server.connections.closed()


async def test_a_message_too_long_is_refused_with_an_abort() -> None:
    async with listening(site_with(1), limits=Limits(max_message_bytes=1000)) as server:
        peer = await associated(server)
        await peer.say(find_request()[: -len(frame_dataset(1, EVERYTHING, 16384))])
        await peer.say(frame_dataset(1, bytes(2000), 16384))
        assert (await peer.hear())[0] == ABORT
        await peer.close()


async def test_an_association_too_many_is_rejected_for_now_with_a_line_that_says_so() -> None:
    capacity = Capacity(associations_per_host=2)
    async with listening(site_with(1), capacity=capacity) as server:
        first, second = await associated(server), await associated(server)
        with captured_log() as log, pytest.raises(PeerRefused, match="for now: local limit"):
            async with associate(server.peer(), [VERIFICATION]):
                pass
        (event,) = log.events("association_refused")
        assert "2 associations are open from this host" in event["reason"]
        await first.close()
        await second.close()


async def test_a_caller_that_may_not_query_gets_0124_and_the_log_says_what_to_write() -> None:
    access = AccessPolicy(modalities=(KnownCaller("ct1", "CT1", "127.0.0.1"),))
    async with listening(site_with(1), access=access) as server:
        with captured_log() as log:
            async with associate(server.peer("MR9"), [MODALITY_WORKLIST_FIND]) as association:
                responses = [item async for item in association.find(elements({"PatientID": ""}))]
        (final,) = responses
        assert final.command.status == Status.NOT_AUTHORIZED
        assert "MR9" in final.command.error_comment
        (event,) = log.events("association_refused")
        assert '"mr9": ["MR9", "127.0.0.1", 104]' in event["hint"]


async def test_an_unknown_caller_is_rejected_where_nobody_is_always_allowed() -> None:
    access = AccessPolicy(always_allow_echo=False, always_allow_other=False)
    async with listening(site_with(1), access=access) as server:
        with pytest.raises(PeerRefused, match="calling AE title not recognised"):
            async with associate(server.peer(), [VERIFICATION]):
                pass


async def test_stopping_lets_open_associations_finish(large_site: Site) -> None:
    async with listening(large_site) as server:
        peer = await associated(server)
        await peer.say(find_request())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.connections.close(grace_s=20))
            pending, final = await hear_status(peer)
            assert (pending, final.status) == (MANY, Status.SUCCESS)
            await peer.say(RELEASE)
            assert (await peer.hear())[0] == RELEASE_RP
            await peer.close()


async def test_small_writes_are_not_held_back() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        (connection,) = server.connections._open
        assert isinstance(connection, DicomConnection)
        accepted = connection._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await peer.close()


@pytest.mark.parametrize("goodbye", ["abort", "half-close"])
async def test_a_peer_that_never_read_and_goes_leaves_no_connection(
    large_site: Site, goodbye: str
) -> None:
    async with listening(large_site) as server:
        peer = await associated(server)
        await peer.say(find_request())
        await peer.hear()
        if goodbye == "abort":
            await peer.say(encode_pdu(Abort(0, 0)))
        else:
            peer.writer.write_eof()
        async with asyncio.timeout(5):
            await server.connections.closed()
        await peer.close()


async def test_echoes_to_a_peer_that_does_not_read_are_bounded(large_site: Site) -> None:
    async with listening(large_site, limits=Limits(artim_timeout_s=0.1)) as server:
        peer = await associated(server)
        await peer.say(find_request())
        await peer.hear()
        peer.writer.write(b"".join(echo_request(number) for number in range(2, 200)))
        assert (await peer.hear_end()).endswith(encode_pdu(Abort(0, 0)))
        await peer.close()


async def test_requests_beyond_the_limit_in_one_pdu_are_answered_with_an_abort() -> None:
    limits = Limits(artim_timeout_s=0.1)
    async with listening(site_with(600), limits=limits) as server:
        requests = b"".join(
            chunk[6:] for number in range(1, 31) for chunk in pdus_of(find_request(number))
        )
        with captured_log() as log:
            peer = await associated(server)
            await peer.say(b"\x04\x00" + len(requests).to_bytes(4, "big") + requests)
            assert (await peer.hear_end()).endswith(encode_pdu(Abort(0, 0)))
            await peer.close()
            await server.connections.closed()
        assert log.events("internal_error") == []


def pdus_of(data: bytes) -> list[bytes]:
    pdus = []
    while data:
        end = 6 + int.from_bytes(data[2:6], "big")
        pdus.append(data[:end])
        data = data[end:]
    return pdus


async def test_a_query_that_is_not_finished_has_its_line_all_the_same(large_site: Site) -> None:
    async with listening(large_site) as server:
        with captured_log() as log:
            peer = await associated(server)
            await peer.say(find_request(1) + find_request(2))
            await peer.hear()
            await peer.say(encode_pdu(Abort(0, 0)))
            await peer.close()
            await server.connections.closed()
        assert [event["detail"] for event in log.events("query")] == ["not finished", "not begun"]


async def test_a_slow_reader_is_not_taken_for_an_idle_one(large_site: Site) -> None:
    limits = Limits(idle_timeout_s=0.4)
    async with listening(large_site, limits=limits) as server:
        peer = await associated(server)
        await peer.say(find_request())
        loop = asyncio.get_running_loop()
        started = loop.time()
        final = None
        while final is None:
            kind, body = await peer.hear()
            assert kind == DATA, "the association was aborted"
            if body[5] & 1 and decode_command(body[6:]).status != Status.PENDING:
                final = decode_command(body[6:])
            if loop.time() - started < 1.5:
                await asyncio.wait([loop.create_future()], timeout=0.001)
        assert final.status == Status.SUCCESS
        await peer.close()


async def test_many_who_ask_the_same_at_once_do_not_keep_an_echo_waiting() -> None:
    site = site_with(3000)
    asked = step(ScheduledProcedureStepDescription="*zz*")
    async with listening(site) as server:

        async def ask(number: int) -> None:
            async with associate(server.peer(f"CT{number}"), [MODALITY_WORKLIST_FIND]) as device:
                responses = [item async for item in device.find(elements(asked))]
            assert len(responses) == 1

        async with asyncio.TaskGroup() as tasks:
            for number in range(40):
                tasks.create_task(ask(number))
            async with associate(server.peer(), [VERIFICATION]) as association:
                async with asyncio.timeout(2):
                    assert (await association.echo()).command.status == Status.SUCCESS


async def test_a_find_without_an_identifier_is_refused() -> None:
    async with listening(site_with(3)) as server:
        peer = await associated(server)
        command = Command(
            field=CommandField.C_FIND_RQ,
            message_id=1,
            affected_sop_class_uid=MODALITY_WORKLIST_FIND,
            priority=0,
        )
        await peer.say(frame_command(1, command, 16384))
        pending, final = await hear_status(peer)
        assert (pending, final.status) == (0, Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS)
        await peer.close()


async def test_a_response_is_not_answered() -> None:
    async with listening(site_with(1)) as server:
        peer = await associated(server)
        command = Command(field=CommandField.C_ECHO_RSP, message_id_being_responded_to=7)
        await peer.say(frame_command(3, command, 16384) + echo_request(8))
        assert (await hear_status(peer))[1].message_id_being_responded_to == 8
        await peer.close()


async def test_a_fault_of_ours_is_answered_with_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with(1)
    monkeypatch.setattr(site.catalog, "notice", lambda: 1 // 0)
    async with listening(site) as server:
        with captured_log() as log:
            peer = await associated(server)
            await peer.say(find_request())
            final = (await hear_status(peer))[1]
            await peer.close()
        assert final.status == Status.UNABLE_TO_PROCESS
        assert "ZeroDivisionError" in log.events("internal_error")[0]["error"]


async def test_names_that_nobody_knows_do_not_fill_the_log() -> None:
    """What a request may hold is 128 KiB, and each of these takes six characters in the log."""
    long = "9." + "\x01" * 900
    contexts = tuple(
        ProposedContext(number, f"{number}{long}", (f"{number}{long}",))
        for number in range(1, 130, 2)
    )
    request = AssociateRequest("MWL", "RAW", contexts, UserInformation(max_length=16384))
    with captured_log() as log:
        async with listening(Site()) as server:
            peer = await RawPeer.connect(server.port)
            await peer.say(encode_pdu(request))
            kind, _ = await peer.hear()
            assert kind == ASSOCIATE_AC
            await peer.close()
    (line,) = log.events("nothing_accepted")
    for named in (line["proposed"], line["transfer_syntaxes"]):
        assert (len(named), named[-1]) == (UIDS_NAMED + 1, f"and {len(contexts) - UIDS_NAMED} more")
        assert max(map(len, named)) == UID_LENGTH
