"""Rules 800 to 899: what a known device or program needs beyond the standard.

`mwl.check.rules.PROFILES` says which device, and how that is known.
"""

from collections.abc import Iterator, Mapping

from mwl.attributes import SCHEDULED_PROCEDURE_STEP_DESCRIPTION, SCHEDULED_STATION_AE_TITLE
from mwl.check.identifiers import SCHEDULED_PROCEDURE_STEP_STATUS
from mwl.check.subject import Fault, Finder, Subject

_TITLES_LIMIT = 16


def no_description(subject: Subject) -> Iterator[Fault]:
    """MWL801."""
    return _empty(subject, SCHEDULED_PROCEDURE_STEP_DESCRIPTION)


def long_titles(subject: Subject) -> Iterator[Fault]:
    """MWL802."""
    for step in subject.steps:
        titles = step.texts(SCHEDULED_STATION_AE_TITLE)
        length = len("\\".join(titles))
        if len(titles) > 1 and length > _TITLES_LIMIT:
            message = f"{len(titles)} AE titles of {length} characters together"
            yield Fault((*step.path, SCHEDULED_STATION_AE_TITLE), message)


def no_status(subject: Subject) -> Iterator[Fault]:
    """MWL803."""
    return _empty(subject, SCHEDULED_PROCEDURE_STEP_STATUS)


def _empty(subject: Subject, tag: int) -> Iterator[Fault]:
    for step in subject.steps:
        if not step.has_value(tag):
            yield Fault((*step.path, tag), "no value")


FINDERS: Mapping[str, Finder] = {
    "MWL801": no_description,
    "MWL802": long_titles,
    "MWL803": no_status,
}
"""What looks for breaches of each rule."""
