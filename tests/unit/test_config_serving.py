import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mwl.config import Loaded, Note, load, missing_here, refusals, require_worklist
from mwl.errors import ConfigError


def loaded(folder: Path, content: Mapping[str, Any]) -> Loaded:
    file = folder / "mwl.json"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return load([file], {})


def the_warning(folder: Path, content: Mapping[str, Any]) -> Note:
    (note,) = missing_here(loaded(folder, content))
    assert note.kind == "warning"
    return note


@pytest.mark.parametrize(
    ("content", "line", "hint"),
    [
        (
            {},
            None,
            'write "Worklists": {"Enable": true, "Database": "/path/of/the/folder"}',
        ),
        ({"Worklists": {"Enable": False}}, 3, 'write "Enable": true'),
        ({"Worklists": {"Database": "wl"}}, None, 'inside Worklists add: "Enable": true'),
    ],
)
def test_a_worklist_that_is_not_enabled_is_refused_with_what_to_write(
    tmp_path: Path, content: Mapping[str, Any], line: int | None, hint: str
) -> None:
    (error,) = refusals(loaded(tmp_path, content))
    assert (error.option, error.line, error.hint) == ("Worklists.Enable", line, hint)


def test_a_server_that_is_not_enabled_is_refused(tmp_path: Path) -> None:
    content = {"DicomServerEnabled": False, "Worklists": {"Enable": True}}
    (error,) = refusals(loaded(tmp_path, content))
    assert (error.option, error.line) == ("DicomServerEnabled", 2)
    assert error.hint == 'write "DicomServerEnabled": true'


def test_all_reasons_to_refuse_are_told_at_once(tmp_path: Path) -> None:
    content = {"DicomServerEnabled": False}
    with pytest.raises(ConfigError) as caught:
        require_worklist(loaded(tmp_path, content))
    assert caught.value.option == "DicomServerEnabled"
    (note,) = caught.value.__notes__
    assert note.startswith("Worklists.Enable: ")


def test_an_enabled_worklist_is_not_refused(tmp_path: Path) -> None:
    found = loaded(tmp_path, {"Worklists": {"Enable": True}})
    assert refusals(found) == []
    require_worklist(found)


def test_a_folder_that_is_there_and_an_address_are_no_reason_to_warn(tmp_path: Path) -> None:
    content = {"DicomHost": "127.0.0.1", "Worklists": {"Database": "."}}
    assert missing_here(loaded(tmp_path, content)) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("LuaScripts", ["none"]), ("PythonScript", "none"), ("Hooks", ["none.py", "entry_point"])],
)
def test_a_script_that_does_not_exist_is_a_warning(
    tmp_path: Path, option: str, value: object
) -> None:
    note = the_warning(tmp_path, {option: value, "Worklists": {"Database": "."}})
    assert note.option == option
    assert "none" in note.message
    assert note.message.endswith(" does not exist")
    assert note.hint == "the server does not start without it"


def test_a_folder_that_does_not_exist_is_a_warning_with_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = the_warning(tmp_path, {"Worklists": {"Database": "none"}})
    assert (note.option, note.line) == ("Worklists.Database", 3)
    assert note.message == f"{tmp_path / 'none'} does not exist"
    monkeypatch.chdir(tmp_path)
    Path("mwl.json").write_text("{}", encoding="utf-8")
    (note,) = missing_here(load([Path("mwl.json")], {}))
    assert (note.file, note.message) == (None, f"{tmp_path / 'worklists'} does not exist")


def test_a_database_that_is_no_folder_is_a_warning(tmp_path: Path) -> None:
    note = the_warning(tmp_path, {"Worklists": {"Database": "mwl.json"}})
    assert note.message == f"{tmp_path / 'mwl.json'} is no folder"
    note = the_warning(tmp_path, {"Worklists": {"Database": "mwl.json/wl"}})
    assert note.message == f"{tmp_path / 'mwl.json/wl'} cannot be read: Not a directory"


def test_a_host_that_cannot_be_resolved_is_a_warning(tmp_path: Path) -> None:
    # A label that no name may have: nobody is asked for it.
    content = {"DicomHost": "x" * 64, "Worklists": {"Database": "."}}
    note = the_warning(tmp_path, content)
    assert (note.option, note.line) == ("DicomHost", 2)
    assert "neither an address nor a name" in note.message


@pytest.mark.parametrize("host", ["", "::1", "localhost"])
def test_no_host_an_address_and_a_name_can_be_resolved(tmp_path: Path, host: str) -> None:
    content = {"DicomHost": host, "Worklists": {"Database": "."}}
    assert missing_here(loaded(tmp_path, content)) == []


USERS = {"nurse": "Tulpe-93-Regen"}
REMOTE = {"RemoteAccessAllowed": True, "Worklists": {"Enable": True}}


@pytest.mark.parametrize(
    ("content", "option"),
    [
        ({}, "RegisteredUsers"),
        ({"AuthenticationEnabled": True, "SslEnabled": True}, "RegisteredUsers"),
        ({"HttpInsecureRemote": True}, "RegisteredUsers"),
        ({"AuthenticationEnabled": False}, "AuthenticationEnabled"),
        ({"AuthenticationEnabled": False, "SslEnabled": True}, "AuthenticationEnabled"),
        ({"RegisteredUsers": USERS}, "SslEnabled"),
    ],
)
def test_remote_access_that_is_not_safe_is_refused(
    tmp_path: Path, content: Mapping[str, Any], option: str
) -> None:
    (error,) = refusals(loaded(tmp_path, REMOTE | dict(content)))
    assert error.option == option
    assert error.hint
    assert "Tulpe" not in str(error)


@pytest.mark.parametrize(
    "content",
    [
        {"RegisteredUsers": USERS, "SslEnabled": True},
        {"RegisteredUsers": USERS, "HttpInsecureRemote": True},
        {"AuthenticationEnabled": False, "HttpInsecureRemote": True},
        {"HttpServerEnabled": False},
        {"RemoteAccessAllowed": False},
        {"RemoteAccessAllowed": False, "AuthenticationEnabled": True, "RegisteredUsers": USERS},
    ],
)
def test_remote_access_that_is_safe_or_wanted_all_the_same_is_not_refused(
    tmp_path: Path, content: Mapping[str, Any]
) -> None:
    assert refusals(loaded(tmp_path, REMOTE | dict(content))) == []


def test_a_certificate_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    content = {"SslEnabled": True, "Worklists": {"Database": "."}}
    note = the_warning(tmp_path, content)
    assert (note.option, note.message) == (
        "SslCertificate",
        f"{tmp_path / 'certificate.pem'} does not exist",
    )
    (tmp_path / "certificate.pem").touch()
    assert missing_here(loaded(tmp_path, content)) == []


SERVED: Mapping[str, Any] = {"Worklists": {"Enable": True, "Database": "."}}
OVER_TLS: Mapping[str, Any] = {
    **SERVED,
    "DicomTlsEnabled": True,
    "DicomTlsCertificate": "server.pem",
    "DicomTlsPrivateKey": "server.key",
    "DicomTlsTrustedCertificates": "ca.pem",
}
BOUND: Mapping[str, Any] = {"AET": "CT1", "Host": "192.0.2.7", "Port": 104, "TlsSubject": "ct1"}


@pytest.fixture
def tls_folder(tmp_path: Path) -> Path:
    for name in ("server.pem", "server.key", "ca.pem"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "option", "hint"),
    [
        ({"DicomTlsCertificate": ""}, "DicomTlsCertificate", "DicomTlsCertificate"),
        ({"DicomTlsTrustedCertificates": ""}, "DicomTlsTrustedCertificates", "Required"),
        ({"DicomTlsMinimumProtocolVersion": 4}, "DicomTlsCiphersAccepted", "BCP 195"),
        ({"DicomTlsPort": 2762}, "DicomTlsPort", '"DicomTlsEnabled": false'),
    ],
)
def test_tls_that_lacks_something_is_refused(
    tls_folder: Path, changes: Mapping[str, Any], option: str, hint: str
) -> None:
    (error,) = refusals(loaded(tls_folder, {**OVER_TLS, **changes}))
    assert error.option == option
    assert error.hint is not None
    assert hint in error.hint


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"DicomTlsPrivateKey": ""},
        {"DicomTlsEnabled": False, "DicomTlsPort": 2762},
        {"DicomTlsEnabled": False, "DicomTlsCertificate": ""},
        {"DicomTlsTrustedCertificates": "", "DicomTlsRemoteCertificateRequired": False},
        {"DicomTlsMinimumProtocolVersion": 4, "DicomTlsCiphersAccepted": ["TLS_A"]},
        {"DicomModalities": {"ct1": BOUND}},
        {"DicomModalities": {"ct1": BOUND, "ct2": {**BOUND, "AET": "CT2", "TlsSubject": ""}}},
    ],
)
def test_tls_that_has_all_is_served_without_a_warning(
    tls_folder: Path, changes: Mapping[str, Any]
) -> None:
    found = loaded(tls_folder, {**OVER_TLS, **changes})
    assert refusals(found) == []
    assert missing_here(found) == []


@pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.pem"])
def test_a_file_of_tls_that_is_missing_is_a_warning(tls_folder: Path, name: str) -> None:
    (tls_folder / name).unlink()
    warning = the_warning(tls_folder, OVER_TLS)
    assert warning.message == f"{tls_folder / name} does not exist"
    assert missing_here(loaded(tls_folder, {**OVER_TLS, "DicomTlsEnabled": False})) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DicomTlsEnabled": False}, "ct1 must show a certificate (TlsSubject), and TLS is off"),
        (
            {"DicomTlsTrustedCertificates": "", "DicomTlsRemoteCertificateRequired": False},
            "ct1 must show a certificate (TlsSubject), and nobody is asked for one",
        ),
    ],
)
def test_a_modality_that_is_bound_in_vain_is_a_warning(
    tls_folder: Path, changes: Mapping[str, Any], message: str
) -> None:
    content = {**OVER_TLS, "DicomModalities": {"ct1": BOUND}, **changes}
    assert the_warning(tls_folder, content).message == message


def test_an_entry_without_a_certificate_beside_one_with_is_a_warning(tls_folder: Path) -> None:
    modalities = {"ct1": BOUND, "old": ["ct1", "192.0.2.9", 104]}
    warning = the_warning(tls_folder, {**OVER_TLS, "DicomModalities": modalities})
    assert warning.option == "DicomModalities.old"
    assert warning.hint == "it needs no certificate when it calls from 192.0.2.9"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_of_tls_that_can_be_broken_into_are_a_warning(
    tls_folder: Path, version: int
) -> None:
    changes = {"DicomTlsMinimumProtocolVersion": version, "DicomTlsCiphersAccepted": ["TLS_A"]}
    warning = the_warning(tls_folder, {**OVER_TLS, **changes})
    assert warning.option == "DicomTlsMinimumProtocolVersion"


@pytest.mark.parametrize("name", [7, " ", "CN=ct1,Example"])
def test_a_tls_subject_that_is_none_is_refused(tmp_path: Path, name: object) -> None:
    content = {**SERVED, "DicomModalities": {"ct1": {**BOUND, "TlsSubject": name}}}
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content)
    assert caught.value.option == "DicomModalities.ct1.TlsSubject"


@pytest.mark.parametrize("mode", ["offered", "required"])
def test_user_identities_without_users_would_lock_devices_out(tmp_path: Path, mode: str) -> None:
    content = {"DicomUserIdentity": mode, "Worklists": {"Enable": True}}
    (error,) = refusals(loaded(tmp_path, content))
    assert (error.option, error.line) == ("DicomUserIdentity", 2)
    assert error.hint == 'write "RegisteredUsers": {"name": "a long password"}'


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        ({}, False),
        ({"DicomUserIdentity": "offered"}, True),
        ({"DicomUserIdentity": "required", "DicomTlsPort": 2762}, True),
        ({"DicomUserIdentity": "required", "DicomTlsEnabled": True}, False),
    ],
)
def test_passcodes_that_can_be_read_on_the_way_are_a_warning(
    tmp_path: Path, content: Mapping[str, Any], warned: bool
) -> None:
    found = loaded(
        tmp_path, {"RegisteredUsers": USERS, "Worklists": {"Enable": True}} | dict(content)
    )
    told = [note for note in missing_here(found) if note.option == "DicomUserIdentity"]
    assert bool(told) == warned
    assert all("can be read on the way" in note.message for note in told)


def with_audit(**audit: Any) -> Mapping[str, Any]:
    return {"Worklists": {"Enable": True, "Database": "."}, "Audit": audit}


def test_audit_messages_over_tls_to_nobody_known_are_refused(tmp_path: Path) -> None:
    (error,) = refusals(loaded(tmp_path, with_audit(Destination="tls://log.example")))
    assert error.option == "Audit.TrustedCertificates"
    for content in (
        with_audit(Destination="tls://log.example", TrustedCertificates="ca.pem"),
        with_audit(Destination="udp://log.example"),
        with_audit(),
    ):
        assert refusals(loaded(tmp_path, content)) == []


def test_a_certificate_for_audit_messages_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    content = with_audit(Destination="tls://log.example", TrustedCertificates="ca.pem")
    note = the_warning(tmp_path, content)
    assert note.option == "Audit.TrustedCertificates"
