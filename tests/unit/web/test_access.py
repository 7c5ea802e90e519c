"""Who may ask over HTTP."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from mwl.callbacks import HttpRequest
from mwl.errors import RequestRefused
from mwl.web.access import Guard, Rules, is_loopback, is_user, refusal, user_of
from mwl.web.errors import SHOWN_CHARACTERS
from mwl.web.within import call
from support.telemetry import captured_log

HERE = {"host": "localhost:8042"}
OPEN = Rules()
REMOTE = Rules(remote_allowed=True, authentication=True, users={"nurse": "s3cret:ü"})


def status(
    rules: Rules, method: str = "GET", client: str = "127.0.0.1", **headers: str
) -> int | None:
    """Give the status of a refusal, None where a request passes."""
    plain = {name.replace("_", "-"): value for name, value in headers.items()}
    refused = refusal(rules, method, client, Headers(plain))
    return None if refused is None else refused.http_status


class Noted:
    """An auditor that remembers what was refused."""

    refusal: tuple[object, ...] = ()

    def refused(self, *facts: object) -> None:
        self.refusal = facts


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("client", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_the_loopback_may_ask(client: str) -> None:
    assert status(OPEN, client=client, **HERE) is None


@pytest.mark.parametrize("client", ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "fe80::1%eth0", ""])
def test_another_machine_may_not_ask_unless_that_is_allowed(client: str) -> None:
    assert status(OPEN, client=client, **HERE) == 403
    assert status(Rules(remote_allowed=True), client=client, **HERE) is None


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "localhost.:8042", "127.0.0.1:8042", "[::1]:8042", "127.9.9.9"],
)
def test_the_names_of_the_loopback_are_this_servers(host: str) -> None:
    assert status(OPEN, host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8042", "localhost.evil.example", "10.0.0.1", "", "[::2]"),
        *("user@evil.example", "evil.example/localhost", "[", "localhost@evil.example:8042"),
    ],
)
def test_a_name_that_somebody_lets_point_here_is_not(host: str) -> None:
    assert status(OPEN, host=host) == 403
    assert status(OPEN, "POST", host=host) == 403


def test_a_proxys_name_can_be_added() -> None:
    rules = Rules(hosts=frozenset({"worklist.example"}))
    assert status(rules, host="Worklist.Example:443") is None
    assert status(rules, host="evil.example") == 403


def test_without_a_host_nobody_passes() -> None:
    assert status(OPEN) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://localhost"},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_write(method: str, headers: dict[str, str]) -> None:
    for rules in (OPEN, REMOTE):
        allowed = {"authorization": basic("nurse:s3cret:ü")}
        assert status(rules, method, **HERE, **allowed, **headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8042"},
        {"origin": "https://LOCALHOST:8042"},
        {"origin": "http://localhost:8042", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_a_page_of_this_server_and_a_program_can_write(headers: dict[str, str]) -> None:
    assert status(OPEN, "POST", **HERE, **headers) is None


def test_reading_does_not_ask_for_the_origin() -> None:
    assert status(OPEN, "GET", origin="http://evil.example", **HERE) is None


@pytest.mark.parametrize(
    "header",
    [
        *("", "Basic", "Basic !", "Bearer x", "Basic " + "A" * 5, basic("nurse"), basic("nurse:")),
        *(basic("nurse:s3cret"), basic("Nurse:s3cret:ü"), basic(":"), basic("nurse:s3cret:ü ")),
    ],
)
def test_a_wrong_password_is_401_with_a_challenge(header: str) -> None:
    refused = refusal(REMOTE, "GET", "192.0.2.1", Headers({"authorization": header}))
    assert refused is not None
    assert refused.http_status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_a_user_passes_with_the_password_and_colons_in_it() -> None:
    header = basic("nurse:s3cret:ü")
    assert status(REMOTE, client="192.0.2.1", authorization=header) is None
    assert (
        status(REMOTE, client="192.0.2.1", authorization=header.replace("Basic", "bAsIc")) is None
    )


def test_the_loopback_needs_a_password_too_where_one_is_asked_for() -> None:
    assert status(REMOTE, **HERE) == 401


def test_nobody_passes_where_nobody_is_registered() -> None:
    rules = Rules(authentication=True)
    assert status(rules, **HERE, authorization=basic(":")) == 401


@given(
    users=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: ":" not in name),
        st.text(min_size=1, max_size=8),
        max_size=4,
    ),
    name=st.text(max_size=8),
    password=st.text(max_size=8),
)
def test_exactly_the_registered_pass(users: dict[str, str], name: str, password: str) -> None:
    try:
        header = basic(f"{name}:{password}")
        known = {f"{one}:{secret}".encode() for one, secret in users.items()}
    except UnicodeEncodeError:
        return  # no text at all
    assert is_user(users, header) is (f"{name}:{password}".encode() in known)


@given(st.text())
def test_no_header_makes_the_check_fail(text: str) -> None:
    assert not is_user({"a": "b"}, f"Basic {text}") or text.strip() == "YTpi"
    assert is_loopback(text) in {True, False}
    assert status(OPEN, host=text.encode("ascii", "ignore").decode()) in {None, 403}


def test_every_comparison_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    users = {"a": "1", "bb": "a much longer password", "c": "3"}
    for text in ("a:1", "c:3", "nobody:x", ""):
        compared.clear()
        is_user(users, basic(text))
        assert compared == [(32, 32)] * 3


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything."""
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


async def test_a_refused_request_does_not_reach_the_application_and_is_logged() -> None:
    reached: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)
        await answered(scope, receive, send)

    with captured_log() as log:
        reply = await call(Guard(app, OPEN), "POST", "/worklists/create?PatientName=x", b"", HERE)
    assert (reply.status, reached) == (403, [])
    (line,) = log.events("http_refused")
    assert (line["path"], line["status"]) == ("/worklists/create", 403)
    assert "PatientName" not in str(line)


async def test_what_anybody_sends_does_not_fill_the_log() -> None:
    path, user = "/" + "\U00010000" * 20_000, basic("u" * 20_000 + ":p")
    noted: Any = Noted()
    with captured_log() as log:
        for guard in (Guard(answered, replace(OPEN, auditor=noted)), FromHere(answered, OPEN)):
            await call(guard, "GET", path, b"", {**HERE, "Authorization": user})
    assert [event["event"] for event in log.events()] == ["http_refused", "http_request"]
    for event in log.events():
        assert event["path"] == path[:SHOWN_CHARACTERS]
    assert 0 < len("".join(map(str, noted.refusal))) < 3 * SHOWN_CHARACTERS


async def test_a_caller_has_the_address_that_it_has_over_dicom() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"])
        await answered(scope, receive, send)

    guard = Guard(app, OPEN)

    async def from_there(scope: Scope, receive: Receive, send: Send) -> None:
        await guard({**scope, "client": ("::ffff:127.0.0.1", 7)}, receive, send)

    with captured_log() as log:
        for method, headers in (("PUT", HERE), ("PUT", {"host": "evil.example"})):
            await call(from_there, method, "/a", b"", headers)
    assert seen == [("127.0.0.1", 7)]  # what the audit trail names
    assert [line["host"] for line in log.events("http_change")] == ["127.0.0.1"]
    assert [line["host"] for line in log.events("http_refused")] == ["127.0.0.1"]


class FromHere(Guard):
    """A guard that sees a caller on this machine."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__({**scope, "client": ("127.0.0.1", 1)}, receive, send)


@pytest.mark.parametrize(
    ("answer", "status"),
    [(True, 200), (False, 403), (None, 403), (RequestRefused(0xC002, "too late"), 500)],
)
async def test_a_script_decides_last(answer: object, status: int) -> None:
    asked: list[HttpRequest] = []

    async def admit(request: HttpRequest) -> bool:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    rules = Rules(admit=admit)
    with captured_log() as log:
        headers = {**HERE, "Authorization": basic("nurse:secret:ü")}
        for path in ("/a", "/a//", "/%61?b=c"):
            reply = await call(FromHere(answered, rules), "PUT", path, b"", headers)
            assert reply.status == status
        assert (await call(Guard(answered, rules), "GET", "/a", b"", HERE)).status == 403
    assert len(asked) == 3  # nobody else gets so far
    for request in asked:
        seen = (request.method, request.uri, request.host, request.user, request.headers["host"])
        assert seen == ("PUT", "/a", "127.0.0.1", "nurse", "localhost:8042")
    assert len(log.events("http_refused")) == (1 if status == 200 else 4)


@pytest.mark.parametrize(
    ("header", "user"),
    [("", ""), ("Bearer x", ""), ("Basic !", ""), (basic("a"), "a"), (basic(":x"), "")],
)
def test_the_name_of_who_asks_is_that_of_the_header(header: str, user: str) -> None:
    assert user_of(Headers({"authorization": header})) == user


async def test_what_passes_is_logged_without_its_query() -> None:
    with captured_log() as log:
        for method in ("GET", "PUT"):
            reply = await call(FromHere(answered, OPEN), method, "/a?PatientID=1", b"", HERE)
            assert reply.body == b"in"
    (read,), (change,) = log.events("http_request"), log.events("http_change")
    assert (read["method"], change["method"]) == ("GET", "PUT")
    for line in (read, change):
        assert (line["path"], line["status"], line["host"]) == ("/a", 200, "127.0.0.1")


async def test_other_scopes_pass() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope)

    await Guard(app, OPEN)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]
