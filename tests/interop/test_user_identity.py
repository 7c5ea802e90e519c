"""User identity as pynetdicom offers it, and what is left of it in the log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from mwl.wire.negotiation import VERIFICATION
from support.dcmtk import echoscu
from support.server import RunningServer, running_server
from support.worklist_files import FIVE_ITEMS, configuration, fill

pytestmark = pytest.mark.interop

PASSCODE, WRONG_PASSCODE = "Tulpe-und-Nelke", "Nelke-und-Tulpe"


def server_with(tmp_path: Path, mode: str, *arguments: str) -> Iterator[RunningServer]:
    file = configuration(
        tmp_path / "mwl.json",
        fill(tmp_path / "items", FIVE_ITEMS),
        DicomUserIdentity=mode,
        RegisteredUsers={"ct1": PASSCODE},
    )
    with running_server("--config", file, *arguments) as server:
        yield server


@pytest.fixture
def required(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "required", "--trace")


@pytest.fixture
def offered(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "offered", "--trace")


@pytest.fixture
def ignored(tmp_path: Path) -> Iterator[RunningServer]:
    yield from server_with(tmp_path, "ignored", "--trace")


def associate(
    server: RunningServer, kind: int, name: str = "ct1", passcode: str = "", *, asks: bool = True
) -> Association:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = kind
    identity.primary_field = name.encode()
    if kind == 2:
        identity.secondary_field = passcode.encode()
    identity.positive_response_requested = asks
    ae = AE(ae_title="CT1")
    ae.add_requested_context(VERIFICATION)
    return ae.associate(server.host, server.port, ext_neg=[identity])


def is_confirmed(association: Association) -> bool:
    return association.acceptor.user_identity is not None


def is_rejected_for_identity(association: Association) -> bool:
    answer = association.acceptor.primitive
    assert association.is_rejected
    assert answer is not None
    return (answer.result, answer.result_source, answer.diagnostic) == (1, 2, 1)


def test_a_device_with_the_right_passcode_gets_in_and_is_confirmed(
    required: RunningServer,
) -> None:
    association = associate(required, 2, passcode=PASSCODE)
    assert association.is_established
    assert is_confirmed(association)
    status = association.send_c_echo()
    assert status.Status == 0
    association.release()
    silent = associate(required, 2, passcode=PASSCODE, asks=False)
    assert silent.is_established
    assert not is_confirmed(silent)
    silent.release()
    line = required.log.wait_for("user_identified")
    assert (line.fields["user"], line.fields["calling_ae_title"]) == ("ct1", "CT1")
    assert PASSCODE not in required.stop()


@pytest.mark.parametrize(("name", "passcode"), [("ct1", WRONG_PASSCODE), ("ct2", PASSCODE)])
def test_a_device_with_a_wrong_passcode_is_rejected_and_the_log_does_not_have_it(
    required: RunningServer, name: str, passcode: str
) -> None:
    assert is_rejected_for_identity(associate(required, 2, name, passcode))
    line = required.log.wait_for("user_refused")
    assert line.fields["user"] == name
    assert line.fields["host"] == "127.0.0.1"
    assert "RegisteredUsers has no such user" in line.text
    ended = required.log.wait_for("association")
    assert ended.fields["outcome"].startswith("rejected: RegisteredUsers")
    log = required.stop()
    assert PASSCODE not in log
    assert WRONG_PASSCODE not in log


@pytest.mark.parametrize("kind", [1, 3, 4, 5])
def test_what_cannot_be_checked_is_no_identity_where_one_is_required(
    required: RunningServer, kind: int
) -> None:
    assert is_rejected_for_identity(associate(required, kind))
    assert echoscu(required.host, required.port).returncode != 0
    assert "cannot be checked" in required.stop() or kind == 1


@pytest.mark.parametrize("kind", [3, 4, 5])
def test_what_cannot_be_checked_is_let_in_unconfirmed_where_none_is_required(
    offered: RunningServer, kind: int
) -> None:
    association = associate(offered, kind)
    assert association.is_established
    assert not is_confirmed(association)
    association.release()
    assert echoscu(offered.host, offered.port).returncode == 0
    assert offered.log.events("user_identified") == []


def test_where_none_is_required_one_that_is_offered_must_be_right(offered: RunningServer) -> None:
    assert is_rejected_for_identity(associate(offered, 2, passcode=WRONG_PASSCODE))
    assert is_rejected_for_identity(associate(offered, 1, "somebody"))
    for kind in (1, 2):
        association = associate(offered, kind, passcode=PASSCODE)
        assert association.is_established
        assert is_confirmed(association)
        association.release()


def test_a_configuration_of_orthanc_with_users_locks_no_device_out(ignored: RunningServer) -> None:
    association = associate(ignored, 2, passcode=WRONG_PASSCODE)
    assert association.is_established
    association.release()
    assert echoscu(ignored.host, ignored.port).returncode == 0
    assert WRONG_PASSCODE not in ignored.stop()
