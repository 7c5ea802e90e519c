"""The OpenAPI description is honest: what it says of each route is what the route does.

Schemathesis makes requests of the description, legal and not, and compares the answers with it.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from mwl.web import Settings
from support.web import web

EXAMPLES = 25
"""Requests of one kind for each route."""


async def execute(script: str) -> str:
    """Stand for Lua."""
    return script


def application() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="mwl-openapi-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    site = web(folder, settings=Settings(may_execute_lua=True), execute_lua=execute)
    site.context.modalities.put("known", ["KNOWN", "192.0.2.1", 104])
    return site.app


# A stream of events has no end to wait for; tests/unit/web/test_monitoring.py reads it.
schema = schemathesis.openapi.from_asgi("/openapi.json", application()).exclude(path="/events")


def network_is_the_only_excuse(context: Any, response: Any, case: Any) -> None:
    """No answer is a server error, but that nobody can be reached."""
    if response.status_code == 500 and response.json()["OrthancStatus"] == 9:
        return
    not_a_server_error(context, response, case)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    derandomize=True,
    database=None,
)
def test_the_description_is_true(case: Any) -> None:
    case.call_and_validate(
        checks=[
            network_is_the_only_excuse,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            unsupported_method,
        ]
    )


def test_every_route_is_described() -> None:
    paths = schema.raw_schema["paths"]
    for path in ("/system", "/modalities/{modality}/find-worklist", "/tools/reset"):
        assert path in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["summary"], (path, method)
            assert operation["operationId"]
            assert "HTTPValidationError" not in str(operation)


def test_no_two_operations_have_one_id() -> None:
    ids = [
        operation["operationId"]
        for operations in schema.raw_schema["paths"].values()
        for operation in operations.values()
    ]
    assert len(ids) == len(set(ids))
