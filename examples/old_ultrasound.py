"""Rewrites the queries of an old ultrasound, which sends its AE title in lower case.

    "Hooks": ["old_ultrasound.py"]

Orders are for US-ROOM-2. The device calls itself us-room-2, asks for that station, and is told that
nobody is scheduled: AE titles are compared letter by letter. It also asks for a year that it does
not know, 1900, where no date was entered.
"""

from mwl import hook

DEVICE = "us-room-2"
STATION = "ScheduledProcedureStepSequence[0].ScheduledStationAETitle"
DATE = "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate"


@hook.query
def correct(query: hook.Dataset, origin: hook.Origin) -> hook.Dataset | None:
    """Correct the station, and drop a date that is none."""
    if origin.calling_ae_title != DEVICE:
        return None
    query[STATION] = DEVICE.upper()
    if query.get(DATE, "").startswith("1900"):
        query[DATE] = ""
    return query
