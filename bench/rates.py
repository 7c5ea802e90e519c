"""Rates: how many associations, queries or answers a second, beside a peer or another condition."""

from collections.abc import Mapping
from dataclasses import replace

from bench.errors import BenchError
from bench.load import Load, Outcome
from bench.session import Session, median
from bench.systems import MWL, ORTHANC, PYNETDICOM, WLMSCPFS, System
from bench.targets import Measured
from bench.worklists import NUMBER, SERIAL

CLIENTS = 8
SMALL, MEDIUM, LARGE = 10, 1_000, 10_000
PATIENT_ID = f"PID{NUMBER}"
CHANGED_ACCESSION = f"A{SERIAL}"
CHANGED_FILE = f"w{NUMBER}.wl"
"""Each client changes the file with its own number: file 0 to file 7."""

CURVE_SYSTEMS = (MWL, ORTHANC, WLMSCPFS, PYNETDICOM)
SLOW_FROM = 10_000
"""Files from which a peer that reads all of them for each query is asked by two clients only."""


def narrow(session: Session) -> list[Measured]:
    """Measure the narrow query, 10 files, beside two peers and the floor."""
    loads = {
        system.name: (session.server(system, SMALL), session.narrow)
        for system in (MWL, ORTHANC, WLMSCPFS)
    }
    loads["floor"] = (session.floor(1), session.narrow)
    found = session.compare(loads)
    beside_peers = [
        _ratio(_rate(found, "mwl"), _rate(found, other), "associations/s", other)
        for other in ("Orthanc", "wlmscpfs")
    ]
    return [*beside_peers, _beside_floor(found, "associations/s")]


def sizes(session: Session) -> list[Measured]:
    """Measure the narrow query with 1,000, 10,000 and 100,000 files beside 10."""
    found = session.compare(
        {str(size): (session.server(MWL, size), session.narrow) for size in session.plan.sizes}
    )
    few = _rate(found, str(SMALL))
    measured = [
        _ratio(_rate(found, str(size)), few, "associations/s", f"with {SMALL}")
        for size in session.plan.sizes[1:]
    ]
    return measured + [Measured(None, "")] * (3 - len(measured))


def different(session: Session) -> list[Measured]:
    """Measure queries for another patient each time beside queries for the same patient.

    No Patient ID is asked for twice in the whole scenario, so nothing can be remembered.
    """
    server = session.server(MWL, LARGE)
    each = session.plan.distinct
    load = replace(
        session.narrow,
        identifiers=(session.identifiers.patient,),
        associations=each,
        text=PATIENT_ID,
        seconds=60.0,
    )
    repeated, changing = [], []
    for number in range(session.plan.rounds):
        same = replace(load, first_number=0, numbers=1)
        repeated.append(session.run(server, same))
        other = replace(load, first_number=number * each, numbers=each)
        changing.append(session.run(server, other))
    return [_beside(median(changing), median(repeated), "associations/s", "repeated")]


def association(session: Session) -> list[Measured]:
    """Measure 50 queries on each association beside the floor."""
    load = replace(session.narrow, queries=50)
    found = session.compare(
        {"mwl": (session.server(MWL, SMALL), load), "floor": (session.floor(1), load)}
    )
    return [_beside_floor(found, "queries/s")]


def limits(session: Session) -> dict[str, dict[str, Outcome]]:
    """Measure what canned answers take in C and in Python beside mwl, for each kind of load."""
    servers = {
        "floor": session.floor(1),
        "canned": session.canned(),
        "mwl": session.server(MWL, SMALL),
    }
    loads = {
        "an association each": session.narrow,
        "50 on one association": replace(session.narrow, queries=50),
    }
    return {
        what: session.compare({name: (server, load) for name, server in servers.items()})
        for what, load in loads.items()
    }


def broad(session: Session) -> list[Measured]:
    """Measure the broad query with 1,000 answers beside Orthanc and the floor."""
    load = _broad_load(session)
    found = session.compare(
        {
            "mwl": (session.server(MWL, MEDIUM), load),
            "Orthanc": (session.server(ORTHANC, MEDIUM), load),
            "floor": (session.floor(MEDIUM), load),
        }
    )
    own = found["mwl"].answers_per_second
    return [
        _ratio(own, found[other].answers_per_second, "answers/s", other)
        for other in ("Orthanc", "floor")
    ]


def broad_after_change(session: Session) -> list[Measured]:
    """Measure the broad query, a file changed before each, beside the same without changes."""
    return _changing(session, MEDIUM, _broad_load(session), "answers_per_second", "answers/s")


def changed(session: Session) -> list[Measured]:
    """Measure the narrow query, one of its answers changed before each, beside no change."""
    load = replace(session.narrow, expected=CLIENTS)
    return _changing(session, LARGE, load, "associations_per_second", "associations/s")


def _changing(session: Session, files: int, load: Load, rate: str, unit: str) -> list[Measured]:
    """Compare a load with itself where each client changes its file before each query.

    The answers must hold what the client has just written. All changed files answer the narrow
    query: from the start, so that both loads have the same answers.
    """
    server = session.changing_server(MWL, files)
    folder = session.changing_folder(files)
    changing = replace(
        load,
        text=CHANGED_ACCESSION,
        publication=session.publication(folder, CHANGED_FILE),
    )
    try:
        session.run(server, replace(changing, associations=CLIENTS * 2, expected=None))
        found = session.compare({"unchanged": (server, load), "changed": (server, changing)})
    finally:
        session.restore(folder, CLIENTS)
    own, other = found["changed"], found["unchanged"]
    ratio = _ratio(getattr(own, rate), getattr(other, rate), unit, "unchanged")
    return [_with_processor(ratio, own, other, "unchanged")]


def _broad_load(session: Session) -> Load:
    return replace(session.narrow, identifiers=(session.identifiers.broad,), expected=MEDIUM)


def _rate(found: Mapping[str, Outcome], name: str) -> float:
    return found[name].associations_per_second


def _ratio(value: float, other: float, unit: str, name: str) -> Measured:
    return Measured(value / other, f"{value:,.0f} {unit}; {name} {other:,.0f}")


def _beside_floor(found: Mapping[str, Outcome], unit: str) -> Measured:
    return _beside(found["mwl"], found["floor"], unit, "floor")


def _beside(own: Outcome, other: Outcome, unit: str, name: str) -> Measured:
    ratio = _ratio(own.queries_per_second, other.queries_per_second, unit, name)
    return _with_processor(ratio, own, other, name)


def _with_processor(ratio: Measured, own: Outcome, other: Outcome, name: str) -> Measured:
    """Tell where the difference between two rates is: in the processor."""
    processor = f"processor {own.processor_us:.0f} µs each; {name} {other.processor_us:.0f}"
    return Measured(ratio.value, f"{ratio.figure}; {processor}")


def curve(session: Session) -> dict[str, dict[int, float]]:
    """Measure the narrow query for each system and number of files; what takes minutes is left out.

    Each point is one measurement after another, not in turn: it is for the plot, not for a target.
    """
    rates: dict[str, dict[int, float]] = {}
    for system in CURVE_SYSTEMS:
        points = rates.setdefault(system.name, {})
        for files in session.plan.sizes:
            if files > system.most_files:
                continue
            try:
                points[files] = _point(session, system, files)
            except BenchError as error:
                print(f"  left out: {system.name} with {files:,} files: {error}")
            finally:
                session.stop_servers()
    floor = session.run(session.floor(1), session.narrow)
    rates["floor"] = dict.fromkeys(session.plan.sizes, floor.associations_per_second)
    return rates


def _point(session: Session, system: System, files: int) -> float:
    is_slow = system is not MWL and files >= SLOW_FROM
    load = replace(session.narrow, clients=2 if is_slow else CLIENTS)
    return session.run(session.server(system, files), load).associations_per_second
