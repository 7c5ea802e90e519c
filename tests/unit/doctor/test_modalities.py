import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pynetdicom import AE, evt

from mwl.doctor import Finding, modalities
from mwl.doctor.modalities import Device
from mwl.tls.contexts import Credentials, PemFile, client_context
from mwl.wire.negotiation import VERIFICATION
from support.dcmtk import running_wlmscpfs


def device(port: int, name: str = "ct1", title: str = "CT1", **fields: Any) -> Device:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "calling_ae_title": "MWL",
        "timeout_s": 5.0,
    } | fields
    return Device(name=name, port=port, ae_title=title, **given)


@contextmanager
def scanner(**settings: Any) -> Iterator[int]:
    """Run a pynetdicom SCP that answers C-ECHO."""
    handlers = settings.pop("handlers", [])
    ae = AE(ae_title="CT1")
    ae.add_supported_context(settings.pop("sop_class", VERIFICATION))
    for name, value in settings.items():
        setattr(ae, name, value)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    assert server.socket is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


async def asked(*devices: Device) -> list[Finding]:
    told: list[Device] = []
    findings = await modalities.ask(devices, told.append)
    assert sorted(one.name for one in told) == sorted(one.name for one in devices)
    return findings


async def test_a_scanner_that_answers_is_ok() -> None:
    with scanner() as port:
        (found,) = await asked(device(port))
    assert (found.level, found.found) == ("ok", "answers C-ECHO")
    assert found.subject == f"ct1: CT1 at 127.0.0.1:{port}"


async def test_dcmtk_answers_too(tmp_path: Path) -> None:
    (tmp_path / "CT1").mkdir()
    with running_wlmscpfs(tmp_path) as port:
        (found,) = await asked(device(port))
    assert found.level == "ok"


async def test_a_scanner_that_is_off_is_warned_of() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (found,) = await asked(device(probe.getsockname()[1]))
    assert (found.level, found.found.startswith("nobody answers: ")) == ("warn", True)
    assert "Connection refused" in found.found


@pytest.mark.parametrize(
    ("settings", "told", "mend"),
    [
        ({"require_called_aet": True}, "called AE title not", 'the AE title of "ct1"'),
        ({"require_calling_aet": ["PACS"]}, "calling AE title not", "register MWL"),
        ({"sop_class": "1.2.840.10008.5.1.4.31"}, "not the SOP class", "nothing, if"),
        ({"handlers": [(evt.EVT_C_ECHO, lambda _: 0x0124)]}, "status 0124", "register MWL"),
    ],
)
async def test_a_refusal_fails_and_is_explained(
    settings: dict[str, Any], told: str, mend: str
) -> None:
    with scanner(**settings) as port:
        (found,) = await asked(device(port, title="WRONG"))
    assert found.level == "FAIL"
    assert told in found.found
    assert "-aec" not in found.found
    assert found.mend.startswith(mend)


async def test_a_name_that_cannot_be_resolved_fails() -> None:
    (found,) = await asked(device(104, host="no-such-host.invalid"))
    assert (found.level, "cannot be resolved" in found.found) == ("FAIL", True)


async def test_one_that_says_nothing_fails_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (found,) = await asked(device(silent.getsockname()[1], timeout_s=0.2))
    assert (found.level, found.found) == ("FAIL", "no answer within 0.2 s")


async def test_a_scanner_is_asked_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "trusted.pem")
    trusted = PemFile(tmp_path / "trusted.pem", "DicomTlsTrustedCertificates")
    tls = client_context(Credentials(trusted=trusted))
    with scanner() as port:
        (found,) = await asked(device(port, tls=tls))
    assert (found.level, "no TLS with" in found.found) == ("FAIL", True)
    assert found.mend.startswith('"UseDicomTls" of "ct1"')


async def test_many_are_asked_at_the_same_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        port = silent.getsockname()[1]
        devices = [device(port, f"ct{number}", timeout_s=0.5) for number in range(30)]
        findings = await asked(*devices)
    # One after the other they would take longer than the time limit of a test.
    assert [finding.subject.partition(":")[0] for finding in findings] == [
        one.name for one in devices
    ]


def entries(*devices: Device, others: str = "", by_host: bool = False) -> list[str]:
    found = modalities.entries(devices, str.upper, others=others, by_host=by_host)
    return [f"{finding.level} {finding.found}" for finding in found]


def test_entries_that_contradict_each_other_are_warned_of() -> None:
    one, two = device(104), device(105, "ct2", "ct1")
    assert entries(one, two) == ["warn ct1, ct2 have the AE title CT1: all of them must allow it"]
    assert "address decides" in entries(one, two, by_host=True)[0]
    same = device(104, "mr", "MR", host="127.0.0.1")
    assert entries(one, same) == ["warn ct1, mr have the address 127.0.0.1:104"]
    assert entries(one) == []


def test_nobody_may_query_without_entries() -> None:
    assert entries() == ["warn is empty, so nobody may query"]
    assert entries(others="anybody") == ["ok is empty, and anybody may query"]
