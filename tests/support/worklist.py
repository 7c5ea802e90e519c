"""A worklist over a memory store, asked without a socket."""

from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

from mwl.attributes import ACCESSION_NUMBER
from mwl.callbacks import Callbacks
from mwl.catalog import Catalog
from mwl.dataset import IMPLICIT_VR_LITTLE_ENDIAN, Elements, decode, encode, values
from mwl.find import Outcome, Request, Rules, Worklist
from mwl.matching import Policy
from mwl.results import Batch, Variant
from mwl.store.memory import MemoryStore
from support import items

TIMEOUT_S = 20.0
"""Longest wait for a callback."""

VARIANT = Variant(IMPLICIT_VR_LITTLE_ENDIAN, context_id=1, max_length=0)


def unframed(framed: bytes) -> bytes:
    """Give the data set in P-DATA-TF PDUs of one fragment each (PS3.8 section 9.3.5)."""
    data = bytearray()
    while framed:
        end = 6 + int.from_bytes(framed[2:6], "big")
        data += framed[12:end]
        framed = framed[end:]
    return bytes(data)


@dataclass
class Asked:
    """What came of one query."""

    outcome: Outcome
    answers: list[Elements]
    pauses: int
    batches: list[int] = field(default_factory=list)
    """Bytes of each batch of answers."""


class Site:
    """A store whose sources a test sets, and the worklist that answers from it."""

    def __init__(
        self, policy: Policy | None = None, callbacks: Callbacks | None = None, **rules: Any
    ) -> None:
        self.store = MemoryStore()
        self.catalog = Catalog(self.store)
        self.rules = Rules(policy or items.policy(), **rules)
        self.worklist = Worklist(self.catalog, self.rules, callbacks)

    def put(self, source: str, values: Mapping[str, Any]) -> None:
        """Let a file hold a data set."""
        split = self.rules.policy.dialect.splits_steps
        self.store.put(source, items.items(values, source, split_steps=split))

    def ask(self, values: Mapping[str, Any], calling: str = "CT1") -> Asked:
        """Send a query and take every answer."""
        identifier = encode(items.elements(values).values(), IMPLICIT_VR_LITTLE_ENDIAN)
        return self.ask_bytes(identifier, calling)

    def ask_bytes(
        self, identifier: bytes, calling: str = "CT1", variant: Variant = VARIANT
    ) -> Asked:
        """Send an identifier and take every answer."""
        search = self.worklist.find(Request(identifier, calling, variant, "MWL", "192.0.2.1"))
        answers: list[Elements] = []
        batches: list[int] = []
        pauses = 0
        while True:
            try:
                batch = next(search)
            except StopIteration as done:
                return Asked(done.value, answers, pauses, batches)
            if not isinstance(batch, Batch):
                pauses += 1
                if batch is not None:
                    wait([batch], TIMEOUT_S)
                continue
            batches.append(sum(map(len, batch.answers)))
            answers += [
                decode(unframed(framed), variant.transfer_syntax) for framed in batch.answers
            ]

    def accessions(self, query: Mapping[str, Any], calling: str = "CT1") -> list[str]:
        """Send a query and give the accession number of each answer, in order."""
        asked = self.ask({**query, "AccessionNumber": query.get("AccessionNumber", "")}, calling)
        return [
            values(answer[ACCESSION_NUMBER], items.LATIN_1)[0].strip() for answer in asked.answers
        ]
