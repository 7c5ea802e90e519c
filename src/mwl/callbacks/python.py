"""A Python script as Orthanc's plugin runs it: the module `orthanc` that it imports.

Only what worklist scripts use is offered. The script is loaded once; its worklist callback is
called for one query at a time and gives all the answers to it, in place of the folder.
"""

import builtins
import json
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mwl.callbacks.http_client import Rest
from mwl.callbacks.journal import Journal
from mwl.callbacks.loading import MODULE, let_import_from, modules_beside, run_file
from mwl.callbacks.runner import Interrupted, Late, Limits, Worker
from mwl.callbacks.view import Origin
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Flags,
    Format,
    character_set,
    encode_file,
    from_orthanc_json,
    read_file,
    to_orthanc_json,
)
from mwl.errors import DatasetError, InputError, MwlError
from mwl.item import WorklistItem
from mwl.matching import Query

ANSWERS_LIMIT = 100_000
"""Answers of one call at most: a callback in a circle shall not fill the memory."""

Parse = Callable[[str, bytes], tuple[WorklistItem, ...]]
"""Makes the items of a file: `mwl.item.items_of` as the site has it."""


class OrthancException(Exception):
    """What the functions of the module `orthanc` raise."""


class ChangeType(IntEnum):
    """Events that a script may hear of; numbers as in Orthanc's plugin SDK."""

    COMPLETED_SERIES = 0
    DELETED = 1
    NEW_CHILD_INSTANCE = 2
    NEW_INSTANCE = 3
    NEW_PATIENT = 4
    NEW_SERIES = 5
    NEW_STUDY = 6
    STABLE_PATIENT = 7
    STABLE_SERIES = 8
    STABLE_STUDY = 9
    ORTHANC_STARTED = 10
    ORTHANC_STOPPED = 11
    UPDATED_ATTACHMENT = 12
    UPDATED_METADATA = 13
    UPDATED_PEERS = 14
    UPDATED_MODALITIES = 15
    JOB_SUBMITTED = 16
    JOB_SUCCESS = 17
    JOB_FAILURE = 18


class CreateDicomFlags(IntEnum):
    """What `CreateDicom` does besides; numbers as in Orthanc's plugin SDK."""

    NONE = 0
    DECODE_DATA_URI_SCHEME = 1
    GENERATE_IDENTIFIERS = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as a script is asked it.

    Args:
        query: The compiled query.
        identifier: The query as a DICOM file.
        origin: Who asks.
    """

    query: Query
    identifier: bytes
    origin: Origin


@dataclass(slots=True)
class Answered:
    """What a script answers.

    Args:
        items: The items that it answers with, in its order.
        tried: All items that it looked at or answered with.
        is_incomplete: Whether it says that there are more.
    """

    items: list[WorklistItem] = field(default_factory=list)
    tried: list[WorklistItem] = field(default_factory=list)
    is_incomplete: bool = False


class WorklistQuery:
    """The second argument of a worklist callback."""

    def __init__(self, asked: Asked, answered: Answered, parse: Parse) -> None:
        self._asked = asked
        self._answered = answered
        self._parse = parse
        self._last: tuple[bytes, tuple[WorklistItem, ...]] = b"", ()
        """The file looked at last, and its items: it is mostly the one answered with."""

    def WorklistGetDicomQuery(self) -> bytes:  # noqa: N802 - Orthanc's name
        """Give the query as a DICOM file, as the scripts and hooks before left it."""
        return self._asked.identifier

    def WorklistIsMatch(self, dicom: bytes) -> int:  # noqa: N802 - Orthanc's name
        """Tell whether a worklist file matches, 1 or 0; what cannot be read does not."""
        try:
            items = self._items(dicom)
        except (DatasetError, TypeError):
            return 0
        return int(any(map(self._asked.query.matches, items)))

    def add(self, dicom: bytes) -> None:
        """Answer with those steps of a file that match; with all when none does."""
        try:
            items = self._items(dicom)
        except DatasetError as error:
            raise OrthancException(f"the answer cannot be read: {error}") from None
        if len(self._answered.items) >= ANSWERS_LIMIT:
            raise OrthancException(f"more than {ANSWERS_LIMIT} answers")
        self._answered.items += [*filter(self._asked.query.matches, items)] or items

    def _items(self, dicom: bytes) -> tuple[WorklistItem, ...]:
        data, items = self._last
        if data != dicom or not items:
            items = self._parse(f"PythonScript #{len(self._answered.tried) + 1}", bytes(dicom))
            self._last = dicom, items
            self._answered.tried += items
        return items


class WorklistAnswers:
    """The first argument of a worklist callback."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered

    def WorklistAddAnswer(self, query: WorklistQuery, dicom: bytes) -> None:  # noqa: N802 - Orthanc's name
        """Answer with a worklist file: what the query asks for is taken from it."""
        if not isinstance(query, WorklistQuery):
            raise TypeError("WorklistAddAnswer takes the query and a DICOM file")
        query.add(dicom)

    def WorklistMarkIncomplete(self) -> None:  # noqa: N802 - Orthanc's name
        """Say that there are more answers: the status is then FE00."""
        self._answered.is_incomplete = True


class DicomConnection:
    """The third argument of a callback of `RegisterWorklistCallback2`."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def GetConnectionRemoteAet(self) -> str:  # noqa: N802 - Orthanc's name
        """Give the AE title of the device."""
        return self._origin.calling_ae_title

    def GetConnectionRemoteIp(self) -> str:  # noqa: N802 - Orthanc's name
        """Give the address of the device."""
        return self._origin.host

    def GetConnectionCalledAet(self) -> str:  # noqa: N802 - Orthanc's name
        """Give the AE title that it calls."""
        return self._origin.called_ae_title


@dataclass(slots=True)
class _Registered:
    """What a script registers while it is loaded, or later."""

    worklist: Callable[..., Any] | None = None
    takes_connection: bool = False
    change: Callable[..., Any] | None = None


class PythonScript:
    """The Python script of a site.

    Args:
        path: The script.
        limits: Time limit.
        journal: Where failures and what it logs go.
        configuration: What `GetConfiguration` gives.
        rest: What `RestApiGet` and the others call.
        parse: Makes the items of a worklist file.
        default: Character set of data sets that name none.

    Raises:
        ConfigError: It cannot be read, is no Python, or fails.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        journal: Journal,
        configuration: Mapping[str, Any],
        rest: Rest,
        parse: Parse,
        default: CharacterSet,
    ) -> None:
        self._path = path.absolute()  # as tracebacks name it
        self._journal = journal
        self._limits = limits
        self._configuration = configuration
        self._rest = rest
        self._parse = parse
        self._default = default
        first = self._load()
        self.answers = first.worklist is not None
        self.hears_changes = first.change is not None
        self._worker = Worker("Python script", limits, self._load_again, [first])

    def find(self, asked: Asked) -> Future[Answered]:
        """Let the worklist callback answer a query."""
        return self._worker.submit(
            lambda registered: self._guarded(
                "worklist callback", lambda: self._find(registered, asked)
            ),
            self._late("worklist callback"),
        )

    def tell(self, change: ChangeType) -> Future[None]:
        """Tell the script of a change, if it wants to hear of them."""
        return self._worker.submit(
            lambda registered: self._guarded("change callback", lambda: _tell(registered, change)),
            self._late("change callback"),
        )

    def close(self) -> None:
        """End the thread."""
        self._worker.close()
        module = sys.modules.get(MODULE)
        if isinstance(module, _Orthanc) and module.owner is self:
            del sys.modules[MODULE]

    def _find(self, registered: _Registered, asked: Asked) -> Answered:
        if registered.worklist is None:
            raise OrthancException("no worklist callback is registered any more")
        answered = Answered()
        query = WorklistQuery(asked, answered, self._parse)
        answers = WorklistAnswers(answered)
        if registered.takes_connection:
            registered.worklist(answers, query, DicomConnection(asked.origin))
        else:
            origin = asked.origin
            registered.worklist(answers, query, origin.calling_ae_title, origin.called_ae_title)
        return answered

    def _guarded(self, callback: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Interrupted:
            raise
        except BaseException as error:  # noqa: BLE001 - the edge: a script may even call exit()
            raise self._journal.failed(callback, error, str(self._path)) from None

    def _late(self, callback: str) -> Late:
        return lambda stack: self._journal.late(
            callback, stack, str(self._path), self._limits.seconds
        )

    def _load_again(self) -> _Registered:
        # They may have registered something with the module `orthanc` that they were given.
        for name in self._imported:
            sys.modules.pop(name, None)
        return cast("_Registered", self._guarded("loading again", self._load))

    def _load(self) -> _Registered:
        registered = _Registered()
        # Modules that the script imports may import it too, and some do so only when called.
        sys.modules[MODULE] = _Orthanc(self, self._functions(registered))
        let_import_from(self._path.parent)
        before = modules_beside(self._path)
        run_file(self._path, "PythonScript", print=self._print)
        self._imported = modules_beside(self._path) - before
        return registered

    def _print(self, *values: object, sep: str | None = None, **others: Any) -> None:
        """Print into the log, unless the script names a file."""
        if others.get("file") is not None:
            builtins.print(*values, sep=sep, **others)  # noqa: T201 - where the script says
        else:
            text = (" " if sep is None else sep).join(map(str, values))
            self._journal.log("output", text)

    def _functions(self, registered: _Registered) -> dict[str, object]:
        """Give what the module offers, by name."""

        def register(callback: Callable[..., Any]) -> None:
            self._register(registered, callback, takes_connection=False)

        def register_2(callback: Callable[..., Any]) -> None:
            self._register(registered, callback, takes_connection=True)

        def register_change(callback: Callable[..., Any]) -> None:
            registered.change = callback

        return {
            "ChangeType": ChangeType,
            "CreateDicom": self._create_dicom,
            "CreateDicomFlags": CreateDicomFlags,
            "DicomBufferToJson": self._dicom_to_json,
            "DicomConnection": DicomConnection,
            "DicomToJsonFlags": Flags,
            "DicomToJsonFormat": Format,
            "GenerateUuid": lambda: str(uuid.uuid4()),
            "GetConfiguration": lambda: json.dumps(self._configuration, ensure_ascii=False),
            "LogError": lambda text: self._journal.log("error", text),
            "LogInfo": lambda text: self._journal.log("info", text),
            "LogWarning": lambda text: self._journal.log("warning", text),
            "OrthancException": OrthancException,
            "RegisterOnChangeCallback": register_change,
            "RegisterWorklistCallback": register,
            "RegisterWorklistCallback2": register_2,
            "RestApiDelete": lambda uri: self._api("DELETE", uri, b""),
            "RestApiGet": lambda uri: self._api("GET", uri, b""),
            "RestApiPost": lambda uri, body: self._api("POST", uri, body),
            "RestApiPut": lambda uri, body: self._api("PUT", uri, body),
            "WorklistAnswers": WorklistAnswers,
            "WorklistQuery": WorklistQuery,
        }

    @staticmethod
    def _register(
        registered: _Registered, callback: Callable[..., Any], *, takes_connection: bool
    ) -> None:
        if not callable(callback):
            raise TypeError("a worklist callback is a function")
        if registered.worklist is not None:
            raise OrthancException("only one worklist callback can be registered")
        registered.worklist = callback
        registered.takes_connection = takes_connection

    def _api(self, method: str, uri: str, body: bytes | str) -> bytes:
        data = body.encode() if isinstance(body, str) else bytes(body)
        try:
            status, answer = self._rest(method, uri, data, {})
        except MwlError as error:
            raise OrthancException(f"{method} {uri}: {error}") from None
        if status != 200:
            raise OrthancException(f"{method} {uri}: status {status}")
        return answer

    def _dicom_to_json(
        self, buffer: bytes, form: int, flags: int = 0, max_string_length: int = 0
    ) -> str:
        try:
            elements = read_file(bytes(buffer))
            characters = character_set(elements, self._default)
        except DatasetError as error:
            raise OrthancException(f"the buffer is no DICOM: {error}") from None
        found = to_orthanc_json(elements, characters, Format(form), Flags(flags), max_string_length)
        return json.dumps(found, ensure_ascii=False)

    @staticmethod
    def _create_dicom(tags: str | bytes, pixel_data: object = None, flags: int = 0) -> bytes:
        if pixel_data is not None:
            raise OrthancException("CreateDicom makes no images here: the second argument is None")
        try:
            found = json.loads(tags)
            elements = from_orthanc_json(
                found, decode_data_uri=bool(flags & CreateDicomFlags.DECODE_DATA_URI_SCHEME)
            )
        except (ValueError, InputError) as error:
            raise OrthancException(f"CreateDicom: {error}") from None
        if flags & CreateDicomFlags.GENERATE_IDENTIFIERS:
            given = {tag: element for tag, element in elements.items() if element.value}
            elements = dict(sorted((from_orthanc_json(_new_identifiers()) | given).items()))
        return encode_file(elements, EXPLICIT_VR_LITTLE_ENDIAN)


def _new_identifiers() -> dict[str, str]:
    return {
        "PatientID": str(uuid.uuid4()),
        **{
            name: f"2.25.{uuid.uuid4().int}"
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        },
    }


def _tell(registered: _Registered, change: ChangeType) -> None:
    if registered.change is not None:
        registered.change(change, 0, "")


class _Orthanc(ModuleType):
    """The module `orthanc`."""

    def __init__(self, owner: PythonScript, functions: Mapping[str, object]) -> None:
        super().__init__(MODULE, "What mwl offers of Orthanc's plugin for Python.")
        self.owner = owner
        self.__dict__.update(functions)
        self.__all__ = sorted(functions)

    def __getattr__(self, name: str) -> object:
        offered: Sequence[str] = self.__dict__.get("__all__", ())
        raise AttributeError(
            f"module 'orthanc' has no {name!r} here; offered are {', '.join(offered)}"
        )
