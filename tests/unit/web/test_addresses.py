"""With `DeidentifyLogs` the log shows of an address what names nobody."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwl.web.access import Guard, Rules
from mwl.web.addresses import UNKNOWN
from mwl.web.context import HttpLimits, Settings
from mwl.web.within import call
from support.telemetry import captured_log
from support.web import web
from support.worklist_files import FIVE_ITEMS, fill

RULES = Rules(remote_allowed=True)
NOBODY = Rules(remote_allowed=True, authentication=True)
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("addresses"), FIVE_ITEMS)


async def shown(folder: Path, method: str, uri: str, rules: Rules = RULES) -> str:
    """Give the path that the log has of a request."""
    site = web(folder)
    guard = Guard(site.app, replace(rules, addresses=site.app.state.addresses))
    with captured_log("verbose") as log:
        await call(guard, method, uri, b"{}")
    (path,) = [line["path"] for line in log.events() if "path" in line]
    return str(path)


@pytest.mark.parametrize(
    ("method", "uri", "path"),
    [
        ("GET", "/worklists/p1", "/worklists/p1"),
        ("GET", "/worklists/p1/?x=QX", "/worklists/p1"),
        ("GET", "/worklists", "/worklists"),
        ("GET", "/worklists/QXNAME", "/worklists/{worklist}"),
        ("GET", "/worklists//QXNAME/", "/worklists/{worklist}"),
        ("GET", "/worklists/QX%5ENAME", "/worklists/{worklist}"),
        ("DELETE", "/worklists/QXNAME", "/worklists/{worklist}"),
        ("PUT", "/worklists/QXNAME", "/worklists/{worklist}"),
        ("PATCH", "/worklists/QXNAME", "/worklists/{worklist}"),
        ("POST", "/modalities/QXNAME/echo", "/modalities/{modality}/echo"),
        ("GET", "/patients/QXNAME", UNKNOWN),
        ("GET", "/QXNAME", UNKNOWN),
        ("GET", "/worklists/QXNAME/QX", UNKNOWN),
    ],
)
async def test_what_is_not_there_is_not_named(
    folder: Path, method: str, uri: str, path: str
) -> None:
    assert await shown(folder, method, uri) == path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/worklists/p1", "/worklists/{worklist}"),
        ("/tools/reset", "/tools/reset"),
        ("/QX", UNKNOWN),
    ],
)
async def test_of_a_request_that_is_refused_the_route_is_named(
    folder: Path, uri: str, path: str
) -> None:
    assert await shown(folder, "GET", uri, NOBODY) == path


@pytest.mark.parametrize("hides", [True, False])
async def test_a_request_beyond_a_limit_names_its_route(folder: Path, hides: bool) -> None:
    limited = Settings(hide_values=hides, limits=HttpLimits(http_body=4))
    with captured_log() as log:
        site = web(folder, settings=limited)
        reply = await site.ask("PUT", "/worklists/QXNAME", b'{"Tags": {}}')
    assert reply.status == 413
    (line,) = log.events("http_refused")
    assert line["path"] == ("/worklists/{worklist}" if hides else "/worklists/QXNAME")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.sampled_from(METHODS),
    st.sampled_from(["/worklists/{}", "/modalities/{}", "/modalities/{}/echo", "/{}", "/tools/{}"]),
    st.text(min_size=1, max_size=20).map("QX{}".format),
)
async def test_no_text_in_an_address_is_logged(
    folder: Path, method: str, route: str, text: str
) -> None:
    uri = route.format(quote(text, safe=""))
    for rules in (RULES, NOBODY):
        assert "QX" not in await shown(folder, method, uri, rules)
