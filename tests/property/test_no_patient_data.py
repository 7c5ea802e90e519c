"""With `DeidentifyLogs` no text of a query or an item gets into the log, wherever it stands."""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwl import telemetry
from mwl.access import AccessPolicy, KnownCaller
from mwl.attributes import (
    MODALITY,
    MODALITY_TERMS,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
    SCHEDULED_STATION_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
)
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Element,
    Elements,
    encode_file,
    keywords,
    tag_of,
    vr_of,
)
from mwl.errors import DatasetError
from mwl.item import items_of
from mwl.matching.stored import indexed_values
from mwl.net.client import associate
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND
from support.items import LATIN_1, policy
from support.listener import service_of, serving
from support.worklist import Site

CODE_SEQUENCE = 0x00400008
ACCESS = AccessPolicy(
    always_allow_find_worklist=True, modalities=(KnownCaller("mr", "MR1", "192.0.2.1"),)
)
HIDDEN = "(hidden: DeidentifyLogs"
"""How everything begins that stands for a value."""

KEYWORDS = [word for word in keywords(of_worklist=True) if vr_of(tag_of(word) or 0) != "SQ"]
PRIVATE = 0x00091001
TAGS = [PRIVATE, *(tag for word in KEYWORDS if (tag := tag_of(word)) is not None)]

ALWAYS = ("timestamp", "milliseconds", "port", "bytes", "host", "length")
"""Fields that are numbers of ours."""

Place = tuple[int, int]
"""An attribute, and in how many sequences it stands."""

places = st.tuples(st.sampled_from(TAGS), st.integers(0, 2))
texts = st.one_of(
    st.text(min_size=1, max_size=20),
    st.text("0123456789-.:*?\\^= ", min_size=1, max_size=16),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ -*?", min_size=1, max_size=16),
    st.dates().map("{:%Y%m%d}".format),
    st.times().map("{:%H%M%S}".format),
)


def placed(place: Place, text: str) -> Elements:
    """Make a data set that has a text in one place, whatever its VR."""
    tag, depth = place
    characters = Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192")
    found = {tag: Element(tag, vr_of(tag), text.encode())}
    for sequence in (CODE_SEQUENCE, SCHEDULED_PROCEDURE_STEP_SEQUENCE)[2 - depth :]:
        found = {sequence: Element(sequence, "SQ", (found,))}
    both = {SPECIFIC_CHARACTER_SET: characters} | found
    return dict(sorted(both.items()))


def site_with(place: Place, text: str) -> Site:
    """Serve an item that has the text in the same place, if it can be read."""
    site = Site(policy())
    data = encode_file(placed(place, text), EXPLICIT_VR_LITTLE_ENDIAN)
    try:
        found = items_of(
            "item.wl", data, split_steps=True, default=LATIN_1, indexed_of=indexed_values
        )
    except DatasetError as error:
        telemetry.emit("file_skipped", source="item.wl", reason=error)
    else:
        site.store.put("item.wl", found)
    return site


async def ask(site: Site, identifiers: Sequence[Elements]) -> None:
    """Ask a server in this process over the network."""
    async with serving(service_of(site, access=ACCESS)) as server:
        for identifier in identifiers:
            async with associate(server.peer("CT1"), [MODALITY_WORKLIST_FIND]) as association:
                async for _ in association.find(identifier):
                    pass


def logged(places_: Sequence[Place], text: str, log_format: telemetry.Format) -> str:
    """Give all that is logged while a text is asked for and answered with."""
    stream = io.StringIO()
    telemetry.configure("trace", log_format, stream)
    try:
        for place in places_:
            wanted = placed(place, text)
            everything = placed(place, "")
            asyncio.run(ask(site_with(place, text), [wanted, everything]))
    finally:
        telemetry.configure()
    return stream.getvalue()


def leaves(query: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Give each value of a query in the log, with its tag."""
    for key, value in query.items():
        if isinstance(value, str):
            yield int(key.replace(",", ""), 16), value
        else:
            for item in value:
                yield from leaves(item)


_HOURS = re.compile(r"[0-2][0-9](00|59){1,2}(\.0+|\.9+)?|[*]?")


def is_near(text: str) -> bool:
    """Tell whether a text is a day not long ago, or one to come."""
    if text in {"", "*"}:
        return True
    day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    return timedelta(days=-33) < day - datetime.now(UTC) < timedelta(days=368)


_ALLOWED: Mapping[int, Callable[[str], object]] = {
    SPECIFIC_CHARACTER_SET: {"ISO_IR 192"}.__contains__,
    MODALITY: lambda text: text.upper() in MODALITY_TERMS,
    SCHEDULED_STATION_AE_TITLE: {"CT1", "MR1", "MWL", "ORTHANC"}.__contains__,
    SCHEDULED_PROCEDURE_STEP_START_DATE: lambda text: all(map(is_near, re.split("[- ]+", text))),
    SCHEDULED_PROCEDURE_STEP_START_TIME: lambda text: all(
        map(_HOURS.fullmatch, re.split("[- ]+", text))
    ),
}
"""The closed lists, told a second time."""


def is_allowed(tag: int, value: str) -> bool:
    """Tell whether the log may show a value of an attribute."""
    allows = _ALLOWED.get(tag, {""}.__contains__)
    return value.startswith(HIDDEN) or all(
        part in {"", "*"} or allows(part) for part in value.split("\\")
    )


NAME = "QXNAME^QX"
EVERYWHERE = [(tag, depth) for tag in TAGS for depth in (0, 1, 2)]
BASELINE = "".join(logged(EVERYWHERE, text, "json") for text in ("", NAME))
"""What stands in any log of this kind: a text that stands there too says nothing."""


@given(st.lists(places, min_size=1, max_size=4, unique=True), texts)
@example([(MODALITY, 1), (MODALITY, 0)], "QXNAME^A")
@example([(MODALITY, 1)], "MA")
@example([(SCHEDULED_STATION_AE_TITLE, 1)], "QXNAME")
@example([(SCHEDULED_PROCEDURE_STEP_START_DATE, 1)], "19310509")
@example([(SCHEDULED_PROCEDURE_STEP_START_DATE, 1)], "19310509-")
@example([(SCHEDULED_PROCEDURE_STEP_START_TIME, 1)], "085607")
@example([(SPECIFIC_CHARACTER_SET, 0)], "GB QXNAME 1")
def test_no_text_of_a_query_or_an_item_is_logged(places_: list[Place], text: str) -> None:
    log = logged(places_, text, "json")
    for event in map(json.loads, log.splitlines()):
        # Of the whole, each value on its own; of all else, nothing.
        for name in ("query", "identifier"):
            for tag, value in leaves(event.pop(name, {})):
                assert is_allowed(tag, value), (event["event"], hex(tag))
        said = json.dumps({name: event[name] for name in event if name not in ALWAYS})
        assert json.dumps(text)[1:-1] not in said or text in BASELINE, event["event"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_in_no_attribute_a_name_is_logged(log_format: telemetry.Format) -> None:
    log = logged(EVERYWHERE, NAME, log_format)
    for event in ("query_identifier", "query_refused", "query_matched", "answer", "query"):
        assert re.search(rf"\b{event}\b", log)
    assert HIDDEN in log
    assert "QX" not in log
