"""A worklist server on pynetdicom, after the example in its documentation; a peer to measure.

Usage: pynetdicom_server.py FOLDER PORT

Kinder than the example: the files are read once, at the start, not at each query. Matching is a
loop over all items that looks at the keys the benchmark uses.
"""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import AE, evt

LOGGER = logging.getLogger("bench")
MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
STEP_KEYS = ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate")


def matches(identifier: Dataset, item: Dataset) -> bool:
    """Compare the keys that have a value with those of an item."""
    wanted = identifier.get("PatientID")
    if wanted and wanted != item.PatientID:
        return False
    step = item.ScheduledProcedureStepSequence[0]
    asked = identifier.ScheduledProcedureStepSequence[0]
    return all(not asked.get(key) or asked.get(key) == step.get(key) for key in STEP_KEYS)


def answer(identifier: Dataset, item: Dataset) -> Dataset:
    """Give the attributes that were asked for."""
    result = Dataset()
    for element in identifier:
        if element.tag in item and element.VR != "SQ":
            result.add(item[element.tag])
    step = Dataset()
    for element in identifier.ScheduledProcedureStepSequence[0]:
        step.add(item.ScheduledProcedureStepSequence[0][element.tag])
    result.ScheduledProcedureStepSequence = [step]
    return result


def serve(folder: Path, port: int) -> None:
    """Answer queries until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("pynetdicom").setLevel(logging.WARNING)
    items = [dcmread(path) for path in sorted(folder.glob("*.wl"))]

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        found = [item for item in items if matches(identifier, item)]
        LOGGER.info("query answers=%d", len(found))
        for item in found:
            yield 0xFF00, answer(identifier, item)

    server = AE(ae_title="ORTHANC")
    server.maximum_associations = 100  # those that were released linger
    server.add_supported_context(MODALITY_WORKLIST_FIND)
    server.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_FIND, find)])


serve(Path(sys.argv[1]), int(sys.argv[2]))
