"""The matcher: any identifier, asked of the samples."""

from collections.abc import Iterator
from functools import lru_cache

from fuzz.files import SAMPLES
from fuzz.traffic import recorded
from fuzz.wire import messages_of
from mwl.config import of_folder
from mwl.dataset import TRANSFER_SYNTAXES, decode
from mwl.find import Outcome, Request, Worklist
from mwl.results import Batch, Variant
from mwl.site import Worklists
from mwl.wire.dimse import Status, whole_dataset

REFUSED = frozenset(
    {
        Status.OUT_OF_RESOURCES,
        Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
        Status.UNABLE_TO_PROCESS,
    }
)


@lru_cache(maxsize=1)
def _worklist() -> Worklist:
    worklist = Worklists(of_folder(SAMPLES)).of("MWL")
    assert worklist is not None
    for _ in worklist.see_every_change():
        pass
    return worklist


def matcher(data: bytes) -> None:
    """Any identifier is answered with exactly the items that match it, or refused with a reason.

    The first byte names the transfer syntax.
    """
    if not data:
        return
    syntax = TRANSFER_SYNTAXES[data[0] % len(TRANSFER_SYNTAXES)]
    worklist = _worklist()
    # Without a limit of the PDU each answer is in one piece.
    outcome, answers = _asked(worklist, Request(data[1:], "CT1", Variant(syntax, 1, 0)))
    if outcome.query is None:
        assert outcome.status in REFUSED, f"{outcome.status:04X}"
        assert outcome.comment, "refused without a word"
        assert not answers
        return
    assert outcome.status == Status.SUCCESS, f"{outcome.status:04X}"
    expected = set(filter(outcome.query.matches, worklist.catalog))
    assert set(outcome.matches) == expected, "the index leaves out what matches"
    assert len(answers) == len(expected)
    for answer in answers:
        decode(whole_dataset(answer), syntax)


def _asked(worklist: Worklist, request: Request) -> tuple[Outcome, list[bytes]]:
    search = worklist.find(request)
    answers: list[bytes] = []
    while True:
        try:
            step = next(search)
        except StopIteration as done:
            return done.value, answers
        if isinstance(step, Batch):
            answers += step.answers


def identifiers() -> Iterator[bytes]:
    """Give every identifier that was recorded, behind the byte of its transfer syntax."""
    for one in recorded():
        for message in messages_of(one.of_requestor):
            if message.dataset is not None:
                syntax = TRANSFER_SYNTAXES.index(message.context.transfer_syntax)
                yield bytes([syntax]) + message.dataset
