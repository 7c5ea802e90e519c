"""The routes of a site, asked without a socket, and what a scanner finds there."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from mwl import telemetry
from mwl.access import AccessPolicy
from mwl.config import Config, of_folder
from mwl.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Elements, decode, encode
from mwl.find import Outcome, Request
from mwl.keys import identifier_of
from mwl.net.journal import Journal
from mwl.results import Variant
from mwl.site import KnownModalities, Worklists
from mwl.web import Context, Identity, Metrics, Settings, call, create_app

STEP = {
    "Modality": "CT",
    "ScheduledStationAETitle": "CT1",
    "ScheduledProcedureStepStartDate": "20991124",
    "ScheduledProcedureStepStartTime": "083000",
    "ScheduledProcedureStepDescription": "Head",
}


def tags(number: int = 1, **others: Any) -> dict[str, Any]:
    """Give what an item says in which the check finds no fault."""
    return {
        "PatientID": f"P{number}",
        "PatientName": f"DOE^JANE{number}",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "AccessionNumber": f"A{number}",
        "ScheduledProcedureStepSequence": [STEP],
        **others,
    }


@dataclass(frozen=True, slots=True)
class Said:
    """What a route answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Give the body as JSON."""
        return json.loads(self.body)

    @property
    def tag(self) -> str:
        """The entity tag, with its quotes."""
        return self.headers["etag"]


@dataclass(frozen=True, slots=True)
class Api:
    """A site and its routes."""

    folder: Path
    context: Context
    app: FastAPI

    async def ask(
        self, method: str, uri: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Said:
        """Ask a route; a body that is not bytes goes as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        encoded = data if isinstance(data, bytes) else data.encode()
        reply = await call(self.app, method, uri, encoded, headers)
        return Said(reply.status, reply.headers, reply.body)

    async def create(self, **others: Any) -> str:
        """Make an item and give its identifier."""
        said = await self.ask("POST", "/worklists/create", {"Tags": tags(**others)})
        assert said.status == 200, said.body
        identifier: str = said.json()["ID"]
        return identifier

    def found(self, *keys: str, called: str = "ORTHANC") -> list[Elements]:
        """Give the answers that a scanner gets now."""
        worklist = self.context.worklists.of(called)
        assert worklist is not None
        identifier = encode(identifier_of(keys).values(), EXPLICIT_VR_LITTLE_ENDIAN)
        variant = Variant(EXPLICIT_VR_LITTLE_ENDIAN, 1, 0)
        search = worklist.find(Request(identifier, "CT1", variant))
        while True:
            try:
                next(search)
            except StopIteration as end:
                outcome: Outcome = end.value
                assert outcome.query is not None, outcome
                return [
                    decode(
                        outcome.query.answer(item, EXPLICIT_VR_LITTLE_ENDIAN),
                        EXPLICIT_VR_LITTLE_ENDIAN,
                    )
                    for item in outcome.matches
                ]


@contextmanager
def api_of(
    folder: Path, change: Callable[[Config], Config] = lambda config: config
) -> Iterator[Api]:
    """Give the routes of a folder."""
    config = change(of_folder(folder))
    worklists = Worklists(config)
    journal = Journal(5)
    context = Context(
        identity=Identity(
            name="Invented",
            ae_title=config.dicom_ae_title,
            dicom_port=4242,
            http_port=8042,
            is_secure=True,
            folder=str(folder),
        ),
        settings=Settings(),
        worklists=worklists,
        modalities=KnownModalities(config, lambda _: None),
        stop=lambda: None,
        reset=lambda: None,
        metrics=Metrics(
            journal,
            lambda: worklists.opened,
            lambda: 3,
            telemetry.COUNTS,
            dict,
            telemetry.LIMIT_REFUSALS,
        ),
        journal=journal,
        access=lambda: AccessPolicy(always_allow_find_worklist=True),
    )
    try:
        yield Api(folder, context, create_app(context))
    finally:
        worklists.close()
