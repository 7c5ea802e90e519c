"""Text that came from elsewhere, made safe for a line of a log or of a terminal."""

import re

UNSAFE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Characters that could end a line, move the cursor or reorder what a reader sees, as ranges of a
regular expression: C0, DEL and C1 controls, line and paragraph separators, bidirectional
overrides; lone surrogates cannot be written as UTF-8."""

_unsafe = re.compile(f"[{UNSAFE}]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    r"""Give `text` with control characters written as `\n`, `\t` or `\u001b`."""
    return _unsafe.sub(_escape_character, text)


def _escape_character(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"
