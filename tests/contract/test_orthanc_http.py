"""Every route of Orthanc's that is here answers as a real Orthanc was recorded to answer.

The recording is `orthanc-1.10.1.json`, made by `scripts/record-orthanc`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.http import Answer, HttpClient
from support.orthanc_http import RECORDED, REQUESTS, Asked, configuration
from support.server import running_server

ORTHANC: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8"))

TEXTS = {
    "a UID": r"[0-9.]{1,64}",
    "now": r"\d{8}T\d{6}",
    "now, local": r"\d{8}T\d{6}",
    "metrics": r"[\s\S]*",
    "conformance": r"=+\nDICOM Conformance Statement of [\s\S]*",
}
"""What a text must look like where it cannot be the same."""

OTHER_STATUS = {
    "a method that nobody offers": (405, "as for any other method that is not offered"),
    "find an unknown keyword": (400, "the client is at fault, not the server"),
    "find with an array": (400, "the client is at fault, not the server"),
}
"""Where mwl has another status than Orthanc, and why."""

OTHER_ERROR = {
    "find with an array": "Orthanc falls over an exception of its JSON library",
}
"""Errors of another kind than Orthanc's, and why."""

FEWER = {
    "operations": "there are no images to find, to move and to store",
    "tools": "there are no images to work on",
    "plugins": "explorer.js extends Orthanc's own page",
}
"""Lists that are shorter, and why."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answer]]:
    """What mwl answers to all that Orthanc was asked, in the same order."""
    file = tmp_path_factory.mktemp("orthanc") / "orthanc.json"
    content = configuration(http_port=0, dicom_port=1)
    file.write_text(json.dumps(content), encoding="utf-8")
    with running_server("--config", file, "--http-port", "0") as server:
        client = HttpClient(server.http_port)
        itself = ["ORTHANC", "127.0.0.1", server.port]
        assert client.ask("PUT", "/modalities/self", itself).status == 200
        yield {asked.about: client.ask(asked.method, asked.uri, asked.body) for asked in REQUESTS}


def covers(ours: Any, theirs: Any) -> bool:
    """Tell whether ours has all the members that theirs has, each of the same type."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(
            name in ours and covers(ours[name], value) for name, value in theirs.items()
        )
    if isinstance(theirs, list):
        return isinstance(ours, list) and (
            not theirs or (bool(ours) and all(covers(one, theirs[0]) for one in ours))
        )
    return type(ours) is type(theirs)


@pytest.mark.parametrize("asked", REQUESTS, ids=[asked.about for asked in REQUESTS])
def test_the_status_is_orthancs(asked: Asked, answers: dict[str, Answer]) -> None:
    expected, _ = OTHER_STATUS.get(asked.about, (ORTHANC[asked.about]["status"], ""))
    assert answers[asked.about].status == expected, answers[asked.about].text


@pytest.mark.parametrize("asked", REQUESTS, ids=[asked.about for asked in REQUESTS])
def test_what_is_answered_is_of_orthancs_shape(asked: Asked, answers: dict[str, Answer]) -> None:
    ours, theirs = answers[asked.about], ORTHANC[asked.about]
    if ours.status >= 400:
        return
    if theirs["type"]:
        assert ours.media_type == theirs["type"]
    if "json" in theirs:
        assert covers(ours.json(), _of_any_character_set(theirs["json"]))
    elif asked.about in TEXTS:
        assert re.fullmatch(TEXTS[asked.about], ours.text)
    else:
        assert ours.text == theirs["text"]


def _of_any_character_set(value: Any) -> Any:
    """Leave out the character set: an answer of mwl names none where ASCII is enough."""
    return without(without(value, "SpecificCharacterSet"), "0008,0005")


def without(value: Any, name: str) -> Any:
    """Give a value without the members of a name."""
    if isinstance(value, dict):
        return {key: without(one, name) for key, one in value.items() if key != name}
    return [without(one, name) for one in value] if isinstance(value, list) else value


ERRORS = [asked for asked in REQUESTS if ORTHANC[asked.about]["status"] >= 400]


@pytest.mark.parametrize("asked", ERRORS, ids=[asked.about for asked in ERRORS])
def test_an_error_is_orthancs_object_on_every_route(
    asked: Asked, answers: dict[str, Answer]
) -> None:
    ours, theirs = answers[asked.about], ORTHANC[asked.about].get("json", {})
    error = ours.json()
    assert error["HttpStatus"] == ours.status
    assert (error["Method"], error["Uri"]) == (asked.method, asked.uri.partition("?")[0])
    assert error["Message"] == error["OrthancError"]
    if theirs and asked.about not in OTHER_ERROR:
        assert (error["OrthancStatus"], error["Message"]) == (
            theirs["OrthancStatus"],
            theirs["Message"],
        )


SAME = [
    *("modalities", "modalities, expanded", "modalities, expanded with a value", "plugins"),
    *("configuration of the list form", "configuration of the object form", "what was put"),
    *("what the object became", "find nobody", "echo", "echo without a body"),
    *(asked.about for asked in REQUESTS if asked.about.startswith("no images: ")),
]


@pytest.mark.parametrize("about", SAME)
def test_what_can_be_the_same_is(about: str, answers: dict[str, Answer]) -> None:
    # Orthanc 1.12 has RetrieveMethod; the port is that of the server that was asked.
    ours = without(without(answers[about].json(), "RetrieveMethod"), "Port")
    theirs = without(ORTHANC[about]["json"], "Port")
    if about in FEWER:
        assert set(ours) < set(theirs)
    else:
        assert ours == theirs


OURS_ALONE = {"reload"}
"""What can be done here and not in Orthanc."""


@pytest.mark.parametrize("about", ["operations", "tools"])
def test_lists_of_what_can_be_done_name_what_orthanc_has(
    about: str, answers: dict[str, Answer]
) -> None:
    assert {*answers[about].json()} - OURS_ALONE < {*ORTHANC[about]["json"]}


FOUND = [
    asked.about for asked in REQUESTS if asked.about.startswith("find ") or asked.about == "find"
]


@pytest.mark.parametrize("about", [about for about in FOUND if ORTHANC[about]["status"] == 200])
def test_the_answers_of_a_server_are_written_as_orthanc_writes_them(
    about: str, answers: dict[str, Answer]
) -> None:
    assert _of_any_character_set(answers[about].json()) == _of_any_character_set(
        ORTHANC[about]["json"]
    )


def test_a_method_that_is_not_offered_is_told_those_that_are(answers: dict[str, Answer]) -> None:
    for asked in REQUESTS:
        if "allow" in ORTHANC[asked.about]:
            assert answers[asked.about].headers["allow"] == ORTHANC[asked.about]["allow"]
