"""Compiling a request identifier: which keys ask for something, and what is to be returned.

Every key is a return key (PS3.4 K.2.2.1.2); those with a value are matching keys too. A key that
is not legal is refused and never ignored: to ignore it would widen the answer to patients nobody
asked for.

Source: DICOM PS3.4 C.2.2.2, K.2.2, K.4.1.1.3.1.
"""

from dataclasses import replace
from functools import lru_cache

from mwl.attributes import (
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
    SCHEDULED_STATION_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET_FROM_UTC,
)
from mwl.dataset import CharacterSet, Element, Elements, character_set, keyword_of, name_of, vr_of
from mwl.errors import ERROR_COMMENT_LIMIT, DatasetError, RequestRefused
from mwl.matching.answers import Form
from mwl.matching.criteria import (
    Condition,
    Criterion,
    HasDateAndTime,
    HasItem,
    HasUntypedValue,
    HasValue,
)
from mwl.matching.keys import IllegalKeyError, Kind, key_of
from mwl.matching.policy import Policy
from mwl.matching.predicates import OneOf, Within
from mwl.matching.query import Query
from mwl.matching.values import DAY, NORMALS, OPEN_LOWER, OPEN_UPPER

IDENTIFIER_DOES_NOT_MATCH = 0xA900
"""Status of a refused identifier: PS3.4 Table K.4-1."""

QUERY_RETRIEVE_LEVEL = 0x00080052

_CONTEXT = frozenset({SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC})
"""How to read the others, not keys: PS3.4 Table K.6-1a, C.2.2.2."""

# Deviation: a worklist has no levels (PS3.4 K.2.1), but some devices send one with a query made
# for another model. It selects nothing.
_RETURNED_ONLY = frozenset({QUERY_RETRIEVE_LEVEL})

_KEPT_FORMS = 512
"""Sets of attributes that are kept: a device always asks for the same."""

_LARGEST_KEPT_FORM = 256
"""Attributes of such a set, those in sequences too: devices ask for some fifty."""

_STATION = (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_STATION_AE_TITLE)
_START_DATE = (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_PROCEDURE_STEP_START_DATE)
_START_TIME = (SCHEDULED_PROCEDURE_STEP_SEQUENCE, SCHEDULED_PROCEDURE_STEP_START_TIME)

STATION_RULES = ("off", "fill", "force")
"""What becomes of the Scheduled Station AE Title: `Worklists.FilterIssuerAet`."""


def compile(  # noqa: A001 - the verb of `re.compile`; the module is called `mwl.matching`
    identifier: Elements,
    policy: Policy,
    *,
    station_ae_title: str | None = None,
    station_rule: str = "off",
) -> Query:
    """Compile a request identifier.

    Args:
        identifier: The decoded data set of a C-FIND request.
        policy: How the site matches and answers.
        station_ae_title: AE title of the caller, for the station rule.
        station_rule: `off`; `fill` restricts steps to those of the caller's station when the query
            leaves the station open; `force` restricts them always, on top of what is asked.

    Raises:
        RequestRefused: With A900; a key is not legal.

    Cost: O(keys); about a microsecond for each universal key.
    """
    if station_rule not in STATION_RULES:
        raise ValueError(f"station rule {station_rule!r} is none of {STATION_RULES}")
    try:
        characters = character_set(identifier, policy.default_character_set)
    except DatasetError:
        raise _refusal(
            "Specific Character Set is not supported", (SPECIFIC_CHARACTER_SET,)
        ) from None
    skips = policy.dialect.skips_missing_sequences
    compiler = _Compiler(not policy.case_sensitive_person_names, skips)
    criteria, form = compiler.level(identifier, (), characters)
    if station_rule != "off":
        # What is forced holds for an item without steps as well.
        skips = skips and station_rule != "force"
        criteria = _with_station(criteria, station_ae_title, station_rule, skips=skips)
    return Query(criteria, form, policy)


def _refusal(comment: str, path: tuple[int, ...]) -> RequestRefused:
    return RequestRefused(IDENTIFIER_DOES_NOT_MATCH, comment, offending=path)


def _illegal(path: tuple[int, ...], what: str) -> RequestRefused:
    """Refuse a key, named as a technician knows it where that fits the comment."""
    tag = path[-1]
    name = name_of(tag)
    if name != "Scheduled Procedure Step Sequence":
        name = name.removeprefix("Scheduled Procedure Step ")
    if not name or not name.isascii() or len(name) + 1 + len(what) > ERROR_COMMENT_LIMIT:
        name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return _refusal(f"{name} {what}", path)


def _label(tag: int) -> str:
    return keyword_of(tag) or f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


@lru_cache(maxsize=1024)
def _name(path: tuple[int, ...]) -> str:
    return ".".join(map(_label, path))


class _Shape:
    """What data sets of queries with the same attributes have in common.

    Args:
        tags: The attributes.
        own_vrs: The VR that each has, which counts for those that the dictionary lacks.

    Attributes:
        vrs: Those that are keys, with the VR that each is read as.
        illegal: An attribute that does not belong into a query.
    """

    __slots__ = ("illegal", "vrs")

    def __init__(self, tags: tuple[int, ...], own_vrs: tuple[str, ...]) -> None:
        self.illegal = next((tag for tag in tags if tag < 0x00080000), None)
        self.vrs: dict[int, str] = {}
        for tag, own_vr in zip(tags, own_vrs, strict=True):
            if tag & 0xFFFF and tag not in _CONTEXT:  # PS3.5 7.2: group lengths
                vr = vr_of(tag)
                self.vrs[tag] = own_vr if vr == "UN" else vr


def _new_form(shape: _Shape, *inner: tuple[int, Form]) -> Form:
    empties = [Element(tag, vr, () if vr == "SQ" else b"") for tag, vr in shape.vrs.items()]
    return Form(empties, dict(inner))


_kept_shape = lru_cache(maxsize=_KEPT_FORMS)(_Shape)
_kept_form = lru_cache(maxsize=_KEPT_FORMS)(_new_form)


def _shape_of(elements: Elements) -> _Shape:
    make = _kept_shape if len(elements) <= _LARGEST_KEPT_FORM else _Shape
    return make(tuple(elements), tuple([vr for _, vr, _ in elements.values()]))


def _form_of(shape: _Shape, inner: list[tuple[int, Form]]) -> Form:
    size = len(shape.vrs) + sum([form.size for _, form in inner])
    make = _kept_form if size <= _LARGEST_KEPT_FORM else _new_form
    return make(shape, *inner)


class _Compiler:
    """What is the same at every level of an identifier."""

    def __init__(self, folds_names: bool, skips_missing_sequences: bool) -> None:
        self._folds_names = folds_names
        self._skips = skips_missing_sequences

    def level(
        self, elements: Elements, path: tuple[int, ...], characters: CharacterSet
    ) -> tuple[tuple[Criterion, ...], Form]:
        """Give the criteria of a data set and what is to be returned for it."""
        shape = _shape_of(elements)
        if shape.illegal is not None:
            raise _illegal((*path, shape.illegal), "does not belong into a query")
        vrs = shape.vrs
        criteria: list[Criterion | None] = []
        forms: list[tuple[int, Form]] = []
        for element in elements.values():
            tag, _, value = element
            if not value or tag not in vrs or tag in _RETURNED_ONLY:
                continue
            if vrs[tag] == "SQ":
                criterion, form = self._sequence(element, (*path, tag), characters)
                criteria.append(criterion)
                forms += ((tag, form),) if form.size else ()
            else:
                criteria.append(self._value(element, vrs[tag], (*path, tag), characters))
        asked = [criterion for criterion in criteria if criterion is not None]
        return _joined(_without_idle_creators(asked)), _form_of(shape, forms)

    def _value(
        self, element: Element, vr: str, path: tuple[int, ...], characters: CharacterSet
    ) -> Criterion | None:
        is_typed = vr != "UN"
        try:
            key = key_of(
                element, vr if is_typed else "LO", characters, folds_names=self._folds_names
            )
        except IllegalKeyError as error:
            raise _illegal(path, str(error)) from None
        if key is None:
            return None
        condition = (
            HasValue(path[-1], vr, key.predicate, self._folds_names)
            if is_typed
            else HasUntypedValue(element, characters, self._folds_names)
        )
        kind = key.kind if is_typed else Kind.UNTYPED
        return Criterion(path, kind, _name(path), self._skips and len(path) > 1, condition)

    def _sequence(
        self, element: Element, path: tuple[int, ...], characters: CharacterSet
    ) -> tuple[Criterion | None, Form]:
        """Give what a sequence asks for, and of its items; an empty form stands for all of them."""
        items = element.value
        if isinstance(items, bytes):
            raise _illegal(path, "must be a sequence")
        if len(items) > 1:
            # PS3.4 C.2.2.2.6: a key "shall be structured as a Sequence ... with a single Item".
            raise _illegal(path, "must have one item in a query")
        inner = items[0]
        if SPECIFIC_CHARACTER_SET in inner:
            characters = self._inner_characters(inner, path, characters)
        criteria, form = self.level(inner, path, characters)
        if not criteria:
            return None, form
        return _sequence_criterion(path, criteria, skips=self._skips), form

    def _inner_characters(
        self, inner: Elements, path: tuple[int, ...], outer: CharacterSet
    ) -> CharacterSet:
        try:
            return character_set(inner, outer)
        except DatasetError:
            raise _refusal(
                "Specific Character Set is not supported", (*path, SPECIFIC_CHARACTER_SET)
            ) from None


def _without_idle_creators(criteria: list[Criterion]) -> list[Criterion]:
    """Leave out private creators unless an attribute of their block asks for something.

    To ask for a private attribute to be returned takes its creator's name as well (PS3.5 7.8.1);
    that shall not hide the items without that block.
    """
    if all(criterion.tag >> 16 & 1 == 0 for criterion in criteria):
        return criteria
    creators_asked = {
        criterion.tag & 0xFFFF0000 | (criterion.tag & 0xFFFF) >> 8
        for criterion in criteria
        if criterion.tag & 0xFFFF > 0xFF
    }
    return [
        criterion
        for criterion in criteria
        if not (criterion.tag >> 16 & 1 and criterion.tag & 0xFFFF <= 0xFF)
        or criterion.tag in creators_asked
    ]


def _sequence_criterion(
    path: tuple[int, ...], criteria: tuple[Criterion, ...], *, skips: bool
) -> Criterion:
    condition = HasItem(path[-1], criteria, skips)
    return Criterion(path, Kind.SEQUENCE, _name(path), skips, condition, criteria)


def _joined(criteria: list[Criterion]) -> tuple[Criterion, ...]:
    """Join start date and start time into one interval when both are ranges.

    Source: PS3.4 Table K.6-1, remark to Scheduled Procedure Step Start Date. Where a range is open
    the time is that of the begin or end of the day.
    """
    ranges = {criterion.path: criterion for criterion in criteria if criterion.kind is Kind.RANGE}
    date, time = ranges.get(_START_DATE), ranges.get(_START_TIME)
    if date is None or time is None:
        return tuple(criteria)
    condition = _date_and_time(date.condition, time.condition)
    name = f"{date.name}+{_label(SCHEDULED_PROCEDURE_STEP_START_TIME)}"
    joined = Criterion(
        date.path, Kind.DATE_AND_TIME, name, date.skipped_without_sequence, condition
    )
    kept = (criterion for criterion in criteria if criterion is not time)
    return tuple(joined if criterion is date else criterion for criterion in kept)


def _date_and_time(date: Condition, time: Condition) -> HasDateAndTime:
    days, times = _range_of(date), _range_of(time)
    lower, upper = OPEN_LOWER, OPEN_UPPER
    if days.lower != OPEN_LOWER:
        lower = days.lower * DAY + max(times.lower, 0)
    if days.upper != OPEN_UPPER:
        upper = days.upper * DAY + min(times.upper, DAY - 1)
    return HasDateAndTime(
        SCHEDULED_PROCEDURE_STEP_START_DATE, SCHEDULED_PROCEDURE_STEP_START_TIME, lower, upper
    )


def _range_of(condition: Condition) -> Within:
    match condition:
        case HasValue(predicate=Within() as found):
            return found
        case _:
            raise TypeError("a range of dates or times is a Within")


def _with_station(
    criteria: tuple[Criterion, ...], station_ae_title: str | None, rule: str, *, skips: bool
) -> tuple[Criterion, ...]:
    """Restrict the steps to those of the caller's station."""
    steps = next((found for found in criteria if found.path == _STATION[:1]), None)
    inner = tuple(
        replace(criterion, skipped_without_sequence=skips)
        for criterion in (steps.inner if steps else ())
    )
    if rule == "fill" and any(criterion.path == _STATION for criterion in inner):
        return criteria
    # A caller without a name, which the upper layer does not let through, has no station.
    values = frozenset({NORMALS["AE"](station_ae_title or "")} - {None})
    condition = HasValue(SCHEDULED_STATION_AE_TITLE, "AE", OneOf(values), folds_names=True)
    # The log must not pass it off as a key of the device.
    name = f"{_name(_STATION)}[FilterIssuerAet]"
    station = Criterion(_STATION, Kind.CALLER, name, skips, condition)
    restricted = _sequence_criterion(_STATION[:1], (station, *inner), skips=skips)
    return (restricted, *(criterion for criterion in criteria if criterion is not steps))
