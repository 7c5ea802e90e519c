"""Adds the orders of a RIS, kept in an SQLite database, to the items of the folder.

    "Hooks": ["ris_candidates.py"]

The database is named by the environment variable RIS_DATABASE. To make one to try with:

    python ris_candidates.py orders.sqlite
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing

from mwl import hook

STEP = "ScheduledProcedureStepSequence[0]"

# A column of the table, and the attribute that it holds.
COLUMNS = {
    "accession_number": "AccessionNumber",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "study_uid": "StudyInstanceUID",
    "description": "RequestedProcedureDescription",
    "modality": f"{STEP}.Modality",
    "station": f"{STEP}.ScheduledStationAETitle",
    "start_date": f"{STEP}.ScheduledProcedureStepStartDate",
    "start_time": f"{STEP}.ScheduledProcedureStepStartTime",
}

# Columns that narrow the search when a query asks for one value of theirs. It may stay wide: what
# does not match the query is left out by the server.
NARROWING = ("accession_number", "patient_id", "modality")


@hook.candidates
def orders(query: hook.Dataset, origin: hook.Origin) -> Iterator[hook.Dataset]:
    """Give the orders that may match."""
    conditions, values = ["status = 'scheduled'"], []
    for column in NARROWING:
        value = query.get(COLUMNS[column], "")
        if value and not set(value) & set("*?\\"):
            conditions.append(f"{column} = ?")
            values.append(value)
    names = ", ".join(COLUMNS)
    statement = f"SELECT {names} FROM orders WHERE {' AND '.join(conditions)}"
    with closing(sqlite3.connect(f"file:{os.environ['RIS_DATABASE']}?mode=ro", uri=True)) as ris:
        for row in ris.execute(statement, values):
            yield hook.Dataset.of(dict(zip(COLUMNS.values(), row, strict=True)))


def make_sample(path: str) -> None:
    """Make a database with two orders, of which one is done."""
    with closing(sqlite3.connect(path)) as ris:
        ris.execute(f"CREATE TABLE orders ({', '.join(COLUMNS)}, status)")
        ris.executemany(
            f"INSERT INTO orders VALUES ({', '.join('?' * (len(COLUMNS) + 1))})",
            [
                (
                    *("A-7001", "P-7001", "Beispiel^Jörg", "19590312", "M", "2.25.7001"),
                    *("MR knee", "MR", "MR1", "20261124", "0930", "scheduled"),
                ),
                (
                    *("A-7002", "P-7002", "Muster^Erika", "19800517", "F", "2.25.7002"),
                    *("MR head", "MR", "MR1", "20261124", "1000", "done"),
                ),
            ],
        )
        ris.commit()


if __name__ == "__main__":
    make_sample(sys.argv[1])
