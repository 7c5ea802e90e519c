"""User identity (PS3.7 D.3.3.7): who is taken for whom, and who is rejected."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.access import (
    AccessPolicy,
    Caller,
    Identification,
    Refusal,
    allow,
    allow_user,
    identify,
    is_user,
    user_of,
)
from mwl.wire.pdu import UserIdentity

USERS = {"ct1": "grün:7", "mr:9": "geheim"}


def identity(kind: int, name: bytes = b"ct1", passcode: bytes = b"") -> UserIdentity:
    return UserIdentity(kind, True, name, passcode)


RIGHT = identity(2, b"ct1", "grün:7".encode())
WRONG = identity(2, b"ct1", b"gruen:7")
NAME = identity(1, b"ct1")
STRANGER = identity(1, b"somebody")
KERBEROS, SAML, TOKEN = identity(3), identity(4), identity(5)


@pytest.mark.parametrize(
    ("mode", "accepted", "as_nobody", "rejected"),
    [
        ("ignored", (), (None, RIGHT, WRONG, NAME, STRANGER, KERBEROS, SAML, TOKEN), ()),
        ("offered", (RIGHT, NAME), (None, KERBEROS, SAML, TOKEN, identity(9)), (WRONG, STRANGER)),
        (
            "required",
            (RIGHT,),
            (),
            (None, WRONG, NAME, STRANGER, KERBEROS, SAML, TOKEN, identity(9)),
        ),
    ],
)
def test_who_is_taken_for_whom(
    mode: Identification,
    accepted: tuple[UserIdentity, ...],
    as_nobody: tuple[UserIdentity | None, ...],
    rejected: tuple[UserIdentity | None, ...],
) -> None:
    policy = AccessPolicy(user_identity=mode, users=USERS)
    assert [identify(policy, one) for one in accepted] == ["ct1"] * len(accepted)
    assert [identify(policy, one) for one in as_nobody] == [""] * len(as_nobody)
    for one in rejected:
        refusal = identify(policy, one)
        assert isinstance(refusal, Refusal)
        # PS3.7 D.3.3.7.3
        assert (refusal.result, refusal.source, refusal.reason) == (1, 2, 1)
        assert "gruen" not in str(refusal)


LONG = "ü" * 80


@pytest.mark.parametrize(
    ("before", "now", "users", "may"),
    [
        ("ignored", "ignored", {}, True),
        ("ignored", "offered", USERS, True),
        ("ignored", "required", USERS, False),
        ("offered", "offered", USERS, True),
        ("required", "offered", {"mr:9": "geheim"}, False),
        ("required", "required", {"mr:9": "geheim"}, False),
        ("required", "ignored", {}, True),
    ],
)
@pytest.mark.parametrize("name", ["ct1", LONG])
def test_who_asks_after_the_rules_changed_must_still_be_a_user(
    before: Identification, now: Identification, users: dict[str, str], may: bool, name: str
) -> None:
    known = {"ct1": "x", LONG: "x"}
    user = identify(
        AccessPolicy(user_identity=before, users=known), identity(2, name.encode(), b"x")
    )
    assert isinstance(user, str)
    policy = AccessPolicy(
        user_identity=now, users=known if "ct1" in users else users, always_allow_find_worklist=True
    )
    decide = allow if now == "ignored" else allow_user
    refused = decide(policy, Caller("CT1", "MWL", "127.0.0.1", user=user), "find worklist")
    assert (refused is None) == may


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (None, "the caller offers none"),
        (NAME, "a user name without a passcode"),
        (KERBEROS, "a Kerberos ticket, which cannot be checked here"),
        (SAML, "a SAML assertion, which cannot be checked here"),
        (TOKEN, "a JSON web token, which cannot be checked here"),
        (identity(9), "an identity of type 9, which cannot be checked here"),
        (WRONG, "RegisteredUsers has no such user with this passcode"),
    ],
)
def test_a_refusal_says_what_is_wrong(offered: UserIdentity | None, reason: str) -> None:
    refusal = identify(AccessPolicy(user_identity="required", users=USERS), offered)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.explanation
    assert "RegisteredUsers" in refusal.hint


TEXTS = st.text(st.sampled_from("ab:é\0"), max_size=4)


@given(st.dictionaries(TEXTS, TEXTS, max_size=3), TEXTS, TEXTS)
def test_a_user_is_one_by_name_and_passcode_and_nothing_between(
    users: dict[str, str], name: str, passcode: str
) -> None:
    given_name, given_passcode = name.encode(), passcode.encode()
    assert is_user(users, given_name, given_passcode) == (users.get(name) == passcode)
    assert is_user(users, given_name) == (name in users)


def test_every_comparison_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for name, passcode in ((b"ct1", "grün:7".encode()), (b"", b""), (b"x" * 500, None)):
        compared.clear()
        is_user(USERS, name, passcode)
        assert compared == [(32, 32)] * len(USERS)


def test_the_name_that_is_shown_is_short_and_is_text() -> None:
    assert user_of(identity(2, b"\xff" + b"x" * 100, b"secret")) == "\ufffd" + "x" * 63
    assert user_of(None) == user_of(identity(3, b"a ticket")) == ""


def test_passcodes_are_not_shown() -> None:
    assert "geheim" not in repr(AccessPolicy(user_identity="required", users=USERS))
