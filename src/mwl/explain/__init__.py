"""Why a query gets the answer that it gets.

`explain` takes a query the way of the server: access, folder, matching, dialect, limit. Then it
looks at what was left out, and says for each item which keys did it, the nearest miss first. How
keys and values read is in `words`, what to look at in `hints`, how it is printed in `mwl.cli`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from mwl.access import AccessPolicy, Caller, Refusal, admit, allow
from mwl.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSet,
    Elements,
    character_set,
    decode,
    encode,
    name_of,
    vr_of,
)
from mwl.errors import DatasetError
from mwl.explain.changes import CONTEXT, Change, changes_of
from mwl.explain.hints import LEGAL_FORMS, Case, hints_for, likeness
from mwl.explain.words import asked_texts, label_of, shown, words_of
from mwl.find import Outcome, Request, Search, Worklist
from mwl.item import WorklistItem
from mwl.matching import Criterion, Policy, Query
from mwl.results import Batch, Variant
from mwl.wire.dimse import whole_dataset

COMPARED_MISSES = 1000
"""Nearest misses that are compared value by value and given hints, in items: more say the same
again, and each takes 0.2 milliseconds."""

_VARIANT = Variant(EXPLICIT_VR_LITTLE_ENDIAN, context_id=1, max_length=0)


class Refused(NamedTuple):
    """Why the caller would get no answer at all.

    Args:
        stage: What is refused: the association, or the query.
        reason: Why.
        remedy: What to write into the configuration.
    """

    stage: str
    reason: str
    remedy: str


class Key(NamedTuple):
    """A key that asks for something.

    Args:
        criterion: As the query has it.
        name: Path in keywords, such as `ScheduledProcedureStepSequence.Modality`.
        label: Name of the attribute.
        words: What it asks for.
        asked: Its values.
        excluded: How many items it leaves out on its own.
    """

    criterion: Criterion
    name: str
    label: str
    words: str
    asked: tuple[str, ...]
    excluded: int


@dataclass(frozen=True, slots=True)
class Miss:
    """An item that does not match.

    Args:
        item: The item.
        criteria: What leaves it out on its own, in the order of the query.
    """

    item: WorklistItem
    criteria: tuple[Criterion, ...]

    def stored(self) -> Iterator[tuple[Criterion, str]]:
        """Give what leaves it out, each with what the item has there."""
        return ((criterion, shown(criterion, self.item)) for criterion in self.criteria)


class Hint(NamedTuple):
    """Something to look at.

    Args:
        text: What.
        source: File of the nearest item that it is about; empty when it is about the query.
        items: How many of the nearest misses it is about.
    """

    text: str
    source: str
    items: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a query would get, and why.

    Args:
        caller: Who asks.
        refused: Why the caller gets nothing, whatever it asks for; what follows then tells what it
            would get if it were let in.
        outcome: How the query ends; None when there is no worklist to ask.
        items: Items that were there to match.
        keys: The keys that ask for something.
        returned: Names of the attributes that are only asked to be returned.
        misses: The items that do not match, the nearest first.
        hints: What to look at.
        unreadable: The files that are not served because of a fault, each with the reason.
        edited: The answers that callbacks may have changed, encoded.
        changes: What scripts and hooks did to the query.
        assumed: What the caller is taken to prove, as sentences.
    """

    caller: Caller
    refused: Refused | None
    outcome: Outcome | None = None
    items: int = 0
    keys: Sequence[Key] = ()
    returned: Sequence[str] = ()
    misses: Sequence[Miss] = ()
    hints: Sequence[Hint] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    edited: Mapping[WorklistItem, bytes] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    assumed: Sequence[str] = ()

    @property
    def matches(self) -> Sequence[WorklistItem]:
        """The items that match, in the order of the answers."""
        return self.outcome.matches if self.outcome else ()

    def answer(self, item: WorklistItem) -> tuple[Elements, CharacterSet]:
        """Give the answer for an item that matches, and the character set of its text."""
        query = self.outcome.query if self.outcome else None
        if query is None:
            raise ValueError("a query that was refused has no answers")
        answer = self.edited.get(item) or query.answer(item, _VARIANT.transfer_syntax)
        elements = decode(answer, _VARIANT.transfer_syntax)
        return elements, character_set(elements, query.policy.default_character_set)


def explain(
    worklist: Worklist | None, access: AccessPolicy, caller: Caller, identifier: Elements
) -> Report:
    """Explain one query.

    Args:
        worklist: What the called AE title serves; None when it serves nothing.
        access: Who may ask.
        caller: Who asks.
        identifier: The query.

    Cost: about that of matching every item without an index, 20 microseconds an item.
    """
    report = _explained(worklist, access, caller, identifier)
    return replace(report, assumed=list(_assumed(access, caller)))


def _assumed(access: AccessPolicy, caller: Caller) -> Iterator[str]:
    """Say what the caller is taken to prove, for it is not there to prove it."""
    who = caller.calling_ae_title
    if caller.certificate_names:
        yield f"{who} is taken to show the certificate of its TlsSubject."
    if access.user_identity == "required":
        yield (
            f'DicomUserIdentity is "required": {who} is taken to log in '
            "with the passcode of a user of RegisteredUsers."
        )


def _explained(
    worklist: Worklist | None, access: AccessPolicy, caller: Caller, identifier: Elements
) -> Report:
    refused = _refusal(worklist, access, caller)
    if worklist is None:
        return Report(caller, refused)
    encoded = encode(identifier.values(), _VARIANT.transfer_syntax)
    if len(encoded) > (longest := worklist.rules.limits.identifier_length):
        return Report(caller, refused or _too_long(len(encoded), longest))
    request = Request(
        encoded, caller.calling_ae_title, _VARIANT, caller.called_ae_title, caller.host
    )
    outcome, answers = _result(worklist.find(request))
    query = outcome.query
    unreadable = worklist.catalog.unreadable
    changes = _changes(identifier, outcome.identifier, worklist.rules.policy)
    if query is None:
        return Report(
            caller,
            refused,
            outcome,
            len(worklist.catalog),
            hints=_hints_of_refusal(outcome),
            unreadable=unreadable,
            changes=changes,
        )
    callbacks = worklist.callbacks
    items = [] if callbacks and callbacks.answers_alone else list(worklist.catalog)
    items += outcome.candidates
    identifier = identifier if outcome.identifier is None else outcome.identifier
    characters = _characters(identifier, worklist.rules.policy)
    asked = {key: asked_texts(key, identifier, characters) for key in query.leaves()}
    misses = _misses(query, items, asked)
    excluded = Counter(chain.from_iterable(miss.criteria for miss in misses))
    keys = [
        Key(key, key.name, label_of(key), words_of(key, texts), texts, excluded[key])
        for key, texts in asked.items()
    ]
    return Report(
        caller=caller,
        refused=refused,
        outcome=outcome,
        items=len(items),
        keys=keys,
        returned=list(_returned(identifier, {path for key in asked for path in key.paths()})),
        misses=misses,
        hints=_hints(misses, asked),
        unreadable=unreadable,
        edited=dict(zip(outcome.matches, answers, strict=False)) if callbacks else {},
        changes=changes,
    )


def _changes(before: Elements, after: Elements | None, policy: Policy) -> list[Change]:
    if after is None:
        return []
    return changes_of(before, after, _characters(before, policy), _characters(after, policy))


def _refusal(worklist: Worklist | None, access: AccessPolicy, caller: Caller) -> Refused | None:
    """Ask in the order in which the server does."""
    if (refusal := admit(access, caller)) is not None:
        return _refused("association", refusal)
    if worklist is None:
        return Refused(
            "association",
            f"there is no folder for the called AE title {caller.called_ae_title}",
            "make that folder in Worklists.Database, or set FolderPerCalledAet to false",
        )
    if (refusal := allow(access, caller, "find worklist")) is not None:
        return _refused("query", refusal)
    return None


def _too_long(length: int, longest: int) -> Refused:
    return Refused(
        "association",
        f"the query has {length} bytes, {longest} are taken",
        "ask for less; a query of a scanner has a few hundred bytes",
    )


def _refused(stage: str, refusal: Refusal) -> Refused:
    return Refused(stage, refusal.explanation, refusal.hint)


def _result(search: Search) -> tuple[Outcome, list[bytes]]:
    """Run a search to its end, waiting for callbacks; give the answers too."""
    answers: list[bytes] = []
    while True:
        try:
            step = next(search)
        except StopIteration as end:
            return end.value, answers
        if isinstance(step, Batch):
            answers += map(whole_dataset, step.answers)
        elif step is not None:
            wait([step])


def _characters(identifier: Elements, policy: Policy) -> CharacterSet:
    try:
        return character_set(identifier, policy.default_character_set)
    except DatasetError:
        return policy.default_character_set  # such a query was refused


def _returned(
    elements: Elements, asked: set[tuple[int, ...]], path: tuple[int, ...] = ()
) -> Iterator[str]:
    """Give the names of the keys that ask for nothing, those in sequences too."""
    for tag, element in elements.items():
        here = (*path, tag)
        if isinstance(element.value, tuple) and any(element.value):
            for item in element.value:
                yield from _returned(item, asked, here)
        elif here not in asked and tag not in CONTEXT:
            yield name_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


_Asked = Mapping[Criterion, tuple[str, ...]]


def _misses(query: Query, items: Sequence[WorklistItem], asked: _Asked) -> list[Miss]:
    """Give what does not match: the fewest keys first, of those the most alike."""
    found = (Miss(item, query.rejected_by(item)) for item in sorted(items, key=attrgetter("order")))
    misses = sorted((miss for miss in found if miss.criteria), key=lambda miss: len(miss.criteria))
    fewest = sum(len(miss.criteria) == len(misses[0].criteria) for miss in misses)
    near, far = misses[: min(fewest, COMPARED_MISSES)], misses[min(fewest, COMPARED_MISSES) :]
    near.sort(key=lambda miss: -sum(map(likeness, _cases(miss, asked))))
    return near + far


def _cases(miss: Miss, asked: _Asked) -> Iterator[Case]:
    return (Case(criterion, asked.get(criterion, ()), miss.item) for criterion in miss.criteria)


def _hints(misses: Sequence[Miss], asked: _Asked) -> list[Hint]:
    """Look for hints where the fewest keys leave an item out: those are the items meant."""
    counts: Counter[str] = Counter()
    sources: dict[str, str] = {}
    for miss in misses[:COMPARED_MISSES]:
        if len(miss.criteria) > len(misses[0].criteria):
            break
        for text in dict.fromkeys(chain.from_iterable(map(hints_for, _cases(miss, asked)))):
            counts[text] += 1
            sources.setdefault(text, miss.item.source)
    return [Hint(text, sources[text], count) for text, count in counts.items()]


def _hints_of_refusal(outcome: Outcome) -> list[Hint]:
    forms = (LEGAL_FORMS.get(vr_of(tag)) for tag in outcome.offending[-1:])
    return [Hint(form, "", 0) for form in forms if form is not None]
