"""The files that somebody is writing, as far as that can be told, and who waits for them how long.

docs/design/freshness.md has the rules for files of which no lease can tell.
"""

import time
from collections.abc import Callable

from mwl.store.filesystem import Reading, Signature
from mwl.store.known import Known
from mwl.store.notify import Hint

_END_WILL_BE_TOLD = frozenset({Hint.APPEARED, Hint.TOUCHED})

SETTLE_NS = 2_000_000_000
"""Where no lease can tell, a file that does not parse, or whose end of writing was not told,
counts as being written until it is this old."""

PATIENCE_NS = 250_000_000
"""How long queries wait for a writer who destroys a content that was whole before them: longer than
a file takes to be written, and too short for anybody at a scanner to notice. Once for each."""


class Unfinished:
    """Keeps the names of files that are being written, each with what is known about it.

    Args:
        now_ns: Clock to compare file time stamps with, nanoseconds since 1970.
        patience_ns: See `PATIENCE_NS`.

    Attributes:
        overwritten: Files that were whole and are being written again before they were read, each
            with the time until which the writer is waited for.
    """

    def __init__(self, now_ns: Callable[[], int], patience_ns: int) -> None:
        self.overwritten: dict[str, int] = {}
        self._now_ns = now_ns
        self._patience_ns = patience_ns
        self._hints: dict[str, Hint] = {}

    def may_be_growing(self, hint: Hint, reading: Reading, known: Known | None) -> bool:
        """Tell whether the end of writing a file will be told, and must be waited for."""
        if reading.is_proven or reading.is_linked or hint not in _END_WILL_BE_TOLD:
            return False
        if not self._is_young(reading.signature):
            return False
        # Only its attributes changed: what was complete is complete.
        return (
            known is None
            or known.signature is None
            or known.signature.content != reading.signature.content
        )

    def may_be_cut_short(self, hint: Hint, reading: Reading) -> bool:
        """Tell whether a file that does not parse may do so when its writer has ended."""
        return not reading.is_proven and hint is Hint.LISTED and self._is_young(reading.signature)

    def _is_young(self, signature: Signature) -> bool:
        return 0 <= self._now_ns() - signature.newest_ns < SETTLE_NS

    def put_off(self, name: str, hint: Hint) -> None:
        """Look again at a file that somebody is writing: soon where its last content was whole."""
        if hint is Hint.FINISHED:
            now_ns = time.monotonic_ns()
            if now_ns < self.overwritten.setdefault(name, now_ns + self._patience_ns):
                return
            del self.overwritten[name]
            hint = Hint.TOUCHED
        self._hints[name] = hint

    def add(self, name: str, hint: Hint) -> None:
        """Look again at a file when the next query comes."""
        self._hints[name] = hint

    def take(self) -> dict[str, Hint]:
        """Give what is to be looked at now, and keep none of it."""
        hints, self._hints = self._hints, {}
        return hints

    def end(self, name: str) -> None:
        """Take it that nobody writes a file any more."""
        self._hints.pop(name, None)
        self.overwritten.pop(name, None)
