"""Requests whose answers by a real Orthanc are recorded, and how they are asked of both.

`scripts/record-orthanc` asks Orthanc and writes the answers to `RECORDED`; the contract test asks
mwl the same. Every server starts with the modalities of `MODALITIES`, the worklists of the samples
and no image. All data is invented.
"""

from pathlib import Path
from typing import Any, NamedTuple

SAMPLES = Path(__file__).parents[2] / "samples" / "worklists"
RECORDED = Path(__file__).parents[1] / "contract" / "orthanc-1.10.1.json"
DEFAULTS = RECORDED.with_name("orthanc-1.10.1-defaults.json")
"""The values of the configuration that Orthanc prints."""

CLOSED_PORT = 1
"""Nobody listens there."""


def configuration(http_port: int, dicom_port: int) -> dict[str, Any]:
    """Give the configuration that the recordings were made with."""
    return {
        "Name": "Invented",
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DefaultEncoding": "Utf8",
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "Database": str(SAMPLES)},
        "DicomModalities": {
            "self": ["ORTHANC", "127.0.0.1", dicom_port],
            "closed": ["CT1", "127.0.0.1", CLOSED_PORT, "GE"],
            "full": {
                "AET": "MR1",
                "Host": "127.0.0.1",
                "Port": CLOSED_PORT,
                "LocalAet": "ME",
                "Timeout": 3,
                "AllowEcho": False,
                "AllowStorageCommitment": False,
            },
        },
    }


class Asked(NamedTuple):
    """One request; `about` names it in the recording."""

    about: str
    method: str
    uri: str
    body: str | None = None


_ONE = '{"PatientID":"EX-0001","PatientName":"","ScheduledProcedureStepSequence":[{"Modality":""}]}'
_FIND = "/modalities/self/find-worklist"

REQUESTS: tuple[Asked, ...] = (
    Asked("home", "GET", "/"),
    Asked("an unknown path", "GET", "/nope"),
    Asked("more path than there is", "GET", "/system/x"),
    Asked("a slash too many", "GET", "/modalities/"),
    Asked("two slashes", "GET", "//modalities"),
    Asked("a method that is not offered", "POST", "/system", "{}"),
    Asked("a method that nobody offers", "PATCH", "/system", "{}"),
    Asked("system", "GET", "/system"),
    Asked("plugins", "GET", "/plugins"),
    Asked("the plugin", "GET", "/plugins/worklists"),
    Asked("an unknown plugin", "GET", "/plugins/nope"),
    *(
        Asked(f"no images: {path}", "GET", f"/{path}")
        for path in (
            *("statistics", "changes", "exports", "jobs", "peers", "patients", "studies"),
            *("series", "instances"),
        )
    ),
    Asked("modalities", "GET", "/modalities"),
    Asked("modalities, expanded", "GET", "/modalities?expand"),
    Asked("modalities, expanded with a value", "GET", "/modalities?expand=false"),
    Asked("operations", "GET", "/modalities/closed"),
    Asked("operations of none", "GET", "/modalities/nope"),
    Asked("configuration of the list form", "GET", "/modalities/closed/configuration"),
    Asked("configuration of the object form", "GET", "/modalities/full/configuration"),
    Asked("configuration of none", "GET", "/modalities/nope/configuration"),
    Asked("put a list", "PUT", "/modalities/new", '["NEW","192.0.2.1",104]'),
    Asked("what was put", "GET", "/modalities/new/configuration"),
    Asked("put a port as text", "PUT", "/modalities/new", '["NEW","192.0.2.1","104"]'),
    Asked(
        "put an object",
        "PUT",
        "/modalities/new",
        '{"AET":"A","Host":"h","Port":104,"AllowFindWorklist":false,"AllowNAction":false,"X":1}',
    ),
    Asked("what the object became", "GET", "/modalities/new/configuration"),
    Asked("put port 0", "PUT", "/modalities/new", '["NEW","192.0.2.1",0]'),
    Asked("put a wrong manufacturer", "PUT", "/modalities/new", '["NEW","192.0.2.1",104,"Bogus"]'),
    Asked("put too little", "PUT", "/modalities/new", '{"AET":"A"}'),
    Asked("put a short list", "PUT", "/modalities/new", '["NEW","192.0.2.1"]'),
    Asked("put text", "PUT", "/modalities/new", '"x"'),
    Asked("put what is no JSON", "PUT", "/modalities/new", "nonsense"),
    Asked("put nothing", "PUT", "/modalities/new", ""),
    Asked("put under a wrong name", "PUT", "/modalities/a.b", '["NEW","192.0.2.1",104]'),
    Asked("delete", "DELETE", "/modalities/new"),
    Asked("delete again", "DELETE", "/modalities/new"),
    Asked("echo", "POST", "/modalities/self/echo", "{}"),
    Asked("echo without a body", "POST", "/modalities/self/echo", ""),
    Asked("echo with options", "POST", "/modalities/self/echo", '{"Timeout":5,"CheckFind":false}'),
    Asked("echo with what is no JSON", "POST", "/modalities/self/echo", "x"),
    Asked("echo of a closed port", "POST", "/modalities/closed/echo", '{"Timeout":1}'),
    Asked("echo of none", "POST", "/modalities/nope/echo", "{}"),
    Asked("echo with GET", "GET", "/modalities/self/echo"),
    Asked(
        "echo of anybody on a closed port",
        "POST",
        "/tools/dicom-echo",
        '{"AET":"CT1","Host":"127.0.0.1","Port":1}',
    ),
    Asked("echo of nobody", "POST", "/tools/dicom-echo", "{}"),
    Asked("find", "POST", _FIND, f'{{"Query":{_ONE}}}'),
    Asked("find, Short", "POST", _FIND, f'{{"Query":{_ONE},"Short":true}}'),
    Asked("find, Full", "POST", _FIND, f'{{"Query":{_ONE},"Full":true}}'),
    Asked("find, Short and Full", "POST", _FIND, f'{{"Query":{_ONE},"Short":true,"Full":true}}'),
    Asked("find, old body", "POST", _FIND, '{"0010,0020":"EX-0001","PatientName":""}'),
    Asked("find by tags", "POST", _FIND, '{"Query":{"0010-0020":"EX-0001","00080050":""}}'),
    Asked(
        "find several values",
        "POST",
        _FIND,
        '{"Query":{"PatientID":"EX-0002",'
        '"ScheduledProcedureStepSequence":[{"ScheduledStationAETitle":""}]}}',
    ),
    Asked("find by text that is not ASCII", "POST", _FIND, '{"Query":{"PatientName":"*Jürgen"}}'),
    Asked("find nobody", "POST", _FIND, '{"Query":{"PatientID":"none-such"}}'),
    Asked(
        "find with null", "POST", _FIND, '{"Query":{"PatientID":null,"PatientName":"Beispiel*"}}'
    ),
    Asked("find an unknown keyword", "POST", _FIND, '{"Query":{"Bogus":""}}'),
    Asked("find a number", "POST", _FIND, '{"Query":{"PatientID":5}}'),
    Asked(
        "find an object for a sequence",
        "POST",
        _FIND,
        '{"Query":{"ScheduledProcedureStepSequence":{"Modality":""}}}',
    ),
    Asked(
        "find what the server refuses",
        "POST",
        _FIND,
        '{"Query":{"ScheduledProcedureStepSequence":[{},{}]}}',
    ),
    Asked("find with a list", "POST", _FIND, '{"Query":[]}'),
    Asked("find with Short that is no boolean", "POST", _FIND, '{"Query":{},"Short":"yes"}'),
    Asked("find with Timeout that is no number", "POST", _FIND, '{"Query":{},"Timeout":"x"}'),
    Asked("find without a body", "POST", _FIND, ""),
    Asked("find with an array", "POST", _FIND, "[]"),
    Asked("find at a closed port", "POST", "/modalities/closed/find-worklist", '{"Query":{}}'),
    Asked("tools", "GET", "/tools"),
    Asked("encoding", "GET", "/tools/default-encoding"),
    Asked("put the encoding", "PUT", "/tools/default-encoding", "latin1"),
    Asked("put the encoding back", "PUT", "/tools/default-encoding", "UTF8"),
    Asked("put a wrong encoding", "PUT", "/tools/default-encoding", "bogus"),
    Asked("put no encoding", "PUT", "/tools/default-encoding", ""),
    Asked("a UID", "GET", "/tools/generate-uid?level=study"),
    Asked("a UID of no level", "GET", "/tools/generate-uid"),
    Asked("a UID of a wrong level", "GET", "/tools/generate-uid?level=bogus"),
    Asked("now", "GET", "/tools/now"),
    Asked("now, local", "GET", "/tools/now-local"),
    Asked("now with POST", "POST", "/tools/now", ""),
    Asked("log level", "GET", "/tools/log-level"),
    Asked("put the log level", "PUT", "/tools/log-level", "verbose"),
    Asked("put the log level back", "PUT", "/tools/log-level", "default"),
    Asked("put a wrong log level", "PUT", "/tools/log-level", "bogus"),
    Asked("metrics", "GET", "/tools/metrics-prometheus"),
    Asked("conformance", "GET", "/tools/dicom-conformance"),
    Asked("Lua, which is off", "POST", "/tools/execute-script", "print(1)"),
)
"""In the order in which they are asked: some build on those before."""
