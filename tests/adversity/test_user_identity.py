"""User identity byte by byte, over a real socket: PS3.7 Tables D.3-14 and D.3-15."""

from dataclasses import replace

import pytest

from mwl.access import AccessPolicy
from support.listener import RawPeer, listening, service_of, serving
from support.raw_requests import (
    ASSOCIATE,
    ASSOCIATE_AC,
    echo_request,
    find_request,
    hear_status,
)
from support.telemetry import captured_log
from support.worklist import Site

POLICY = AccessPolicy(user_identity="required", users={"ct1": "geheim"})
CONFIRMED = bytes.fromhex("59 00 0002 0000")
REJECTED = bytes.fromhex("03 00 00000004 00 01 02 01")


def request_with(sub_item: str) -> bytes:
    """Put a sub-item behind those of an A-ASSOCIATE-RQ, whose last item is the user information."""
    added = bytes.fromhex(sub_item)
    place = ASSOCIATE.index(b"\x50\x00", 74)
    length = int.from_bytes(ASSOCIATE[place + 2 : place + 4], "big") + len(added)
    request = ASSOCIATE[:place] + b"\x50\x00" + length.to_bytes(2, "big")
    request += ASSOCIATE[place + 4 :] + added
    return request[:2] + (len(request) - 6).to_bytes(4, "big") + request[6:]


@pytest.mark.parametrize(
    ("sub_item", "is_confirmed"),
    [
        ("58 00 000F 02 01 0003 637431 0006 67656865696D", True),
        ("58 00 000F 02 00 0003 637431 0006 67656865696D", False),
    ],
    ids=["asks for a response", "asks for none"],
)
async def test_the_right_passcode_is_confirmed_when_that_is_asked_for(
    sub_item: str, is_confirmed: bool
) -> None:
    async with listening(Site(), access=POLICY) as server:
        peer = await RawPeer.connect(server.port)
        await peer.say(request_with(sub_item))
        kind, body = await peer.hear()
        assert kind == ASSOCIATE_AC
        assert (CONFIRMED in body) == is_confirmed
        assert body.endswith(CONFIRMED) == is_confirmed
        await peer.close()


@pytest.mark.parametrize(
    "sub_item",
    [
        "58 00 000F 02 01 0003 637431 0006 676568656958",
        "58 00 000F 02 01 0003 637432 0006 67656865696D",
        "58 00 000F 02 01 0003 435431 0006 67656865696D",
        "58 00 0009 02 01 0003 637431 0000",
        "58 00 0007 02 01 0003 637431",
        "58 00 0009 01 01 0003 637431 0000",
        "58 00 0009 03 01 0003 637431 0000",
        "",
    ],
    ids=["passcode", "name", "case of the name", "empty", "left out", "type 1", "type 3", "none"],
)
async def test_all_else_is_rejected_for_good_by_the_provider(sub_item: str) -> None:
    async with listening(Site(), access=POLICY) as server:
        with captured_log() as log:
            peer = await RawPeer.connect(server.port)
            await peer.say(request_with(sub_item) if sub_item else ASSOCIATE)
            kind, body = await peer.hear()
            assert bytes((kind, 0)) + len(body).to_bytes(4, "big") + body == REJECTED
            await peer.close()
            await server.connections.closed()
        (event,) = log.events("user_refused")
        assert (event["calling_ae_title"], event["host"]) == ("RAW", "127.0.0.1")
        assert "geheim" not in str(log.events())


@pytest.mark.parametrize("still", [True, False])
async def test_who_is_no_user_any_more_is_answered_with_a_refusal(still: bool) -> None:
    users = {"ct1": "geheim"}
    policy = AccessPolicy(user_identity="offered", users=users, always_allow_find_worklist=True)
    service = service_of(Site(), access=policy)
    async with serving(service) as server:
        peer = await RawPeer.connect(server.port)
        await peer.say(request_with("58 00 000F 02 01 0003 637431 0006 67656865696D"))
        assert (await peer.hear())[0] == ASSOCIATE_AC
        service.access = replace(policy, users=users if still else {"ct2": "geheim"})
        for request in (find_request(1), echo_request(2)):
            await peer.say(request)
            _, response = await hear_status(peer)
            assert response.status == (0 if still else 0x0124)
            assert (response.error_comment == "the user identity is not accepted") != still
        await peer.close()
