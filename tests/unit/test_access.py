import dataclasses
import json

import pytest

from mwl.access import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    COMMENT_LIMIT,
    REJECTED_PERMANENT,
    SOURCE_SERVICE_USER,
    AccessPolicy,
    Caller,
    KnownCaller,
    Operation,
    Refusal,
    admit,
    allow,
)
from mwl.errors import ERROR_COMMENT_LIMIT

CT1 = KnownCaller("ct1", "CT1", "10.0.0.7")


def caller(calling: str = "CT1", called: str = "ORTHANC", host: str = "10.0.0.7") -> Caller:
    return Caller(calling, called, host)


def closed(**changes: object) -> AccessPolicy:
    """Every DicomAlwaysAllow... false: only known callers associate."""
    rules: dict[str, object] = {
        "always_allow_echo": False,
        "always_allow_find_worklist": False,
        "always_allow_other": False,
        "modalities": (CT1,),
    }
    return AccessPolicy(**(rules | changes))  # type: ignore[arg-type]


def refused(result: Refusal | None) -> Refusal:
    assert result is not None
    return result


def added(refusal: Refusal) -> object:
    """Give what a hint adds to the object DicomModalities, as JSON reads it."""
    before, _, entry = refusal.hint.partition(": ")
    assert before == "inside DicomModalities add"
    return json.loads(f"{{{entry}}}")


def test_with_the_defaults_anybody_associates_and_echoes_but_does_not_query() -> None:
    policy, stranger = AccessPolicy(), caller("STRANGER")
    assert admit(policy, stranger) is None
    assert allow(policy, stranger, "echo") is None
    assert allow(policy, stranger, "find worklist") is not None


@pytest.mark.parametrize(
    "opened", ["always_allow_echo", "always_allow_find_worklist", "always_allow_other"]
)
def test_anybody_associates_while_anything_is_always_allowed(opened: str) -> None:
    assert admit(closed(**{opened: True}), caller("STRANGER")) is None


def test_what_is_always_allowed_is_allowed_to_strangers_and_nothing_else_is() -> None:
    policy, stranger = closed(always_allow_find_worklist=True), caller("STRANGER")
    assert allow(policy, stranger, "find worklist") is None
    assert allow(policy, stranger, "echo") is not None


def test_an_unknown_caller_is_rejected_when_nothing_is_always_allowed() -> None:
    refusal = refused(admit(closed(), caller("STRANGER", host="::ffff:10.0.0.9")))
    assert (refusal.result, refusal.source, refusal.reason) == (
        REJECTED_PERMANENT,
        SOURCE_SERVICE_USER,
        CALLING_AE_TITLE_NOT_RECOGNIZED,
    )
    assert refusal.hint == 'inside DicomModalities add: "stranger": ["STRANGER", "10.0.0.9", 104]'


def test_a_known_caller_is_admitted_and_allowed() -> None:
    assert admit(closed(), caller()) is None
    assert allow(closed(), caller(), "echo") is None
    assert allow(closed(), caller(), "find worklist") is None


def test_case_of_ae_titles_counts_only_with_strict_comparison() -> None:
    assert allow(closed(), caller("ct1"), "find worklist") is None
    assert allow(closed(strict_ae_comparison=True), caller("ct1"), "find worklist") is not None
    assert allow(closed(strict_ae_comparison=True), caller("CT1"), "find worklist") is None


def test_spaces_around_ae_titles_do_not_count() -> None:
    assert allow(closed(strict_ae_comparison=True), caller(" CT1  "), "find worklist") is None


def test_the_called_ae_title_counts_only_when_it_is_checked() -> None:
    assert admit(closed(), caller(called="OTHER")) is None
    policy = closed(check_called_ae_title=True)
    assert admit(policy, caller(called="orthanc ")) is None
    refusal = refused(admit(policy, caller(called="OTHER")))
    assert refusal.reason == CALLED_AE_TITLE_NOT_RECOGNIZED
    assert '"DicomAet": "OTHER"' in refusal.hint


def test_the_called_ae_title_is_checked_even_when_anybody_may_associate() -> None:
    policy = AccessPolicy(check_called_ae_title=True)
    assert admit(policy, caller(called="OTHER")) is not None
    strict = AccessPolicy(check_called_ae_title=True, strict_ae_comparison=True)
    assert admit(strict, caller(called="orthanc")) is not None


def test_the_host_counts_only_when_it_is_checked() -> None:
    elsewhere = caller(host="10.0.0.8")
    assert admit(closed(), elsewhere) is None
    assert allow(closed(), elsewhere, "find worklist") is None
    policy = closed(check_modality_host=True)
    assert admit(policy, caller()) is None
    assert admit(policy, elsewhere) is not None
    refusal = refused(allow(policy, elsewhere, "find worklist"))
    assert "10.0.0.7" in refusal.explanation
    assert refusal.hint == 'inside DicomModalities set the host of "ct1" to 10.0.0.8'


@pytest.mark.parametrize(
    ("configured", "seen"),
    [
        ("10.0.0.7", "::ffff:10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1", "FE80:0::1"),
        ("scanner", "scanner"),
    ],
)
def test_spellings_of_one_address_are_equal(configured: str, seen: str) -> None:
    policy = closed(check_modality_host=True, modalities=(KnownCaller("a", "CT1", configured),))
    assert allow(policy, caller(host=seen), "find worklist") is None


@pytest.mark.parametrize("operation", ["echo", "find worklist"])
def test_an_entry_can_deny_one_operation(operation: Operation) -> None:
    entry = KnownCaller("ct1", "CT1", "10.0.0.7", operation != "echo", operation == "echo")
    policy = closed(modalities=(entry,))
    other: Operation = "find worklist" if operation == "echo" else "echo"
    assert allow(policy, caller(), other) is None
    refusal = refused(allow(policy, caller(), operation))
    option = "AllowEcho" if operation == "echo" else "AllowFindWorklist"
    assert refusal.hint == f'"{option}": true in the entry "ct1" of "DicomModalities"'


def test_of_entries_with_one_ae_title_the_one_of_the_host_decides_when_hosts_are_checked() -> None:
    entries = (
        KnownCaller("a", "CT1", "10.0.0.7", allow_find_worklist=False),
        KnownCaller("b", "CT1", "10.0.0.8"),
    )
    policy = closed(check_modality_host=True, modalities=entries)
    assert allow(policy, caller(host="10.0.0.7"), "find worklist") is not None
    assert allow(policy, caller(host="10.0.0.8"), "find worklist") is None
    assert allow(policy, caller(host="10.0.0.9"), "find worklist") is not None


def test_of_entries_with_one_ae_title_all_must_allow_when_hosts_are_not_checked() -> None:
    entries = (
        KnownCaller("a", "CT1", "10.0.0.7"),
        KnownCaller("b", "CT1", "10.0.0.8", allow_find_worklist=False),
    )
    refusal = refused(allow(closed(modalities=entries), caller(), "find worklist"))
    assert '"b"' in refusal.hint
    assert allow(closed(modalities=entries), caller(), "echo") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_the_loopback_may_do_everything_without_a_configuration(host: str) -> None:
    stranger = caller("STRANGER", host=host)
    policy = closed(loopback_may_query=True)
    assert admit(policy, stranger) is None
    assert allow(policy, stranger, "echo") is None
    assert allow(policy, stranger, "find worklist") is None
    assert allow(closed(), stranger, "find worklist") is not None


@pytest.mark.parametrize("host", ["10.0.0.7", "::ffff:10.0.0.7", "localhost", ""])
def test_other_hosts_are_not_the_loopback(host: str) -> None:
    policy = closed(loopback_may_query=True, modalities=())
    assert admit(policy, caller(host=host)) is not None
    assert allow(policy, caller(host=host), "find worklist") is not None


def test_comments_fit_an_error_comment() -> None:
    assert COMMENT_LIMIT == ERROR_COMMENT_LIMIT
    long = "SIXTEEN_LETTERS_"
    entry = KnownCaller("a", long, "10.0.0.7", allow_find_worklist=False)
    policy = closed(modalities=(entry,), check_modality_host=True)
    refusals = [
        allow(policy, caller(long), "find worklist"),
        allow(policy, caller(long, host="10.0.0.1"), "find worklist"),
        admit(closed(), caller("OTHER_LETTERS_16")),
        admit(closed(check_called_ae_title=True), caller(called=long)),
    ]
    for refusal in refusals:
        assert 0 < len(refused(refusal).comment) <= ERROR_COMMENT_LIMIT


def test_comments_hold_only_what_an_error_comment_may_hold() -> None:
    refusal = refused(allow(closed(), caller("A\\B\n\xe9"), "find worklist"))
    assert refusal.comment.startswith("A?B?? is not")


def test_a_policy_can_be_changed_and_compared() -> None:
    changed = dataclasses.replace(closed(), modalities=(KnownCaller("b", "MR1", "h"),))
    assert allow(changed, caller("MR1"), "find worklist") is None
    assert allow(changed, caller("CT1"), "find worklist") is not None
    assert changed != closed()
    assert closed() == closed()


def test_the_hint_is_json_whatever_the_caller_is_called() -> None:
    refusal = refused(allow(closed(), caller('"}, "x": {"'), "find worklist"))
    assert added(refusal) == {"x": ['"}, "x": {"', "10.0.0.7", 104]}
    refusal = refused(allow(closed(), caller("!!"), "echo"))
    assert added(refusal) == {"modality": ["!!", "10.0.0.7", 104]}


def test_the_hint_adds_to_the_known_callers_and_replaces_none() -> None:
    known = (CT1, KnownCaller("mr1", "OLD_MR", "10.0.0.8"), KnownCaller("mr1-2", "X", "10.0.0.9"))
    refusal = refused(allow(closed(modalities=known), caller("MR1"), "find worklist"))
    assert added(refusal) == {"mr1-3": ["MR1", "10.0.0.7", 104]}


def test_the_hint_names_every_entry_whose_host_could_be_the_callers() -> None:
    known = (CT1, KnownCaller("ct1 new", "CT1", "10.0.0.8"))
    policy = closed(check_modality_host=True, modalities=known)
    refusal = refused(allow(policy, caller(host="::ffff:10.0.0.9"), "find worklist"))
    assert refusal.hint == ('inside DicomModalities set the host of "ct1" or "ct1 new" to 10.0.0.9')


BOUND = dataclasses.replace(CT1, tls_subject="CN=ct1,O=Example")
ITS_OWN = frozenset({"ct1", "CN=ct1,O=example"})


def showing(*names: str, calling: str = "CT1", host: str = "10.0.0.7") -> Caller:
    return Caller(calling, "ORTHANC", host, frozenset(names))


@pytest.mark.parametrize("spelling", ["CT1", "ct1", " Ct1 "])
@pytest.mark.parametrize("configured", ["CT1", "Ct1 "])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("opened", [True, False])
def test_a_bound_title_is_nothing_without_its_certificate(
    spelling: str, configured: str, strict: bool, opened: bool
) -> None:
    policy = AccessPolicy(
        modalities=(dataclasses.replace(BOUND, ae_title=configured),),
        always_allow_find_worklist=opened,
        strict_ae_comparison=strict,
    )
    for caller_ in (
        showing(calling=spelling),  # over the plain port
        showing("ct2", "CN=ct2,O=example", calling=spelling),
        showing("ct1", calling=spelling),  # not the whole subject
        showing("CN=ct1\\,O\\=example", calling=spelling),
    ):
        refusal = refused(admit(policy, caller_))
        assert refusal.reason == CALLING_AE_TITLE_NOT_RECOGNIZED
        assert allow(policy, caller_, "find worklist") is not None
        assert allow(policy, caller_, "echo") is not None


def test_a_bound_title_with_its_certificate_is_a_known_caller() -> None:
    policy, scanner = closed(modalities=(BOUND,)), showing(*ITS_OWN)
    assert admit(policy, scanner) is None
    assert allow(policy, scanner, "find worklist") is None


@pytest.mark.parametrize("name", ["ct1", "CT1", "CN=ct1,O=Example", "O = Example, CN = ct1"])
def test_a_title_is_bound_to_any_name_in_the_certificate(name: str) -> None:
    policy = closed(modalities=(dataclasses.replace(CT1, tls_subject=name),))
    assert admit(policy, showing(*ITS_OWN)) is None
    assert admit(policy, showing("other", "CN=other")) is not None


def test_a_certificate_is_no_title() -> None:
    other = KnownCaller("ct2", "CT2", "10.0.0.8", tls_subject="ct2")
    assert admit(closed(modalities=(BOUND, other)), showing(*ITS_OWN, calling="CT2")) is not None
    assert admit(closed(modalities=(BOUND,)), showing(*ITS_OWN, calling="CT9")) is not None


@pytest.mark.parametrize("checks_host", [True, False])
def test_an_entry_without_a_certificate_stands_for_its_host_alone_beside_one_with(
    checks_host: bool,
) -> None:
    old = KnownCaller("old", "CT1", "10.0.0.9")
    policy = closed(modalities=(BOUND, old), check_modality_host=checks_host)
    for host, names, admitted in (
        ("10.0.0.9", (), True),
        ("::ffff:10.0.0.9", (), True),
        ("10.0.0.7", ITS_OWN, True),
        ("10.0.0.7", (), False),
        ("10.0.0.66", ("ct2",), False),
    ):
        caller_ = showing(*names, host=host)
        assert (admit(policy, caller_) is None) is admitted
        assert (allow(policy, caller_, "find worklist") is None) is admitted


def test_an_entry_counts_only_for_the_certificate_that_it_is_bound_to() -> None:
    echoes = dataclasses.replace(BOUND, name="a", allow_find_worklist=False)
    asks = KnownCaller("b", "CT1", "10.0.0.7", tls_subject="ct9")
    policy = closed(modalities=(echoes, asks))
    assert refused(allow(policy, showing(*ITS_OWN), "find worklist")).explanation.endswith(
        "is false for a in DicomModalities"
    )
    assert allow(policy, showing("ct9"), "find worklist") is None


def test_a_certificate_that_is_right_from_the_host_of_another_is_refused_by_the_host() -> None:
    other = KnownCaller("b", "CT1", "10.0.0.8", tls_subject="ct9")
    policy = closed(modalities=(BOUND, other), check_modality_host=True)
    refusal = refused(allow(policy, showing("ct9", host="10.0.0.7"), "find worklist"))
    assert "CN=ct1,O=Example (ct1)" in refusal.explanation


def test_who_is_bound_while_associated_is_refused_from_then_on() -> None:
    policy = AccessPolicy(always_allow_find_worklist=True)
    assert allow(policy, showing(), "find worklist") is None
    bound = dataclasses.replace(policy, modalities=(BOUND,))
    assert allow(bound, showing(), "find worklist") is not None


def test_the_log_tells_which_certificate_was_expected_and_shown() -> None:
    policy = closed(modalities=(BOUND,))
    plain, wrong = admit(policy, showing()), admit(policy, showing("ct2", "CN=ct2"))
    assert refused(plain).explanation == (
        "TlsSubject in DicomModalities expects CN=ct1,O=Example (ct1), and it shows no certificate"
    )
    assert "over TLS" in refused(plain).hint
    assert refused(wrong).explanation.endswith("and its certificate is for CN=ct2; ct2")
    assert "TlsSubject" in refused(wrong).hint
