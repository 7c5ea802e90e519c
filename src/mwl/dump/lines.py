"""The grammar of one line: tag, VR, value and comment.

    (0010,0010) PN [DOE^JOHN]                #   8, 1 PatientName
    0010,0010 DOE^JOHN
    PatientName = DOE^JOHN

The parts stand apart by spaces or tabs; `=` belongs to a keyword before it. Without a VR the
dictionary's is taken. A value in brackets ends at the last bracket of the line, as in `dump2dcm`;
where that would take a comment for a part of the value, the line is refused. A value without
brackets ends before `#`.

Source: the manual of dump2dcm 3.6.7, and what it does.
"""

import re
from enum import Enum
from typing import NamedTuple

from mwl.dataset import TEXT_VRS, VRS, likely_keyword, tag_of, vr_of
from mwl.errors import InputError

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD


_TAG = re.compile(r"\(([^(),]*),([^(),]*)\)|([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})(?=[ \t]|$)")
_FOUR_DIGITS = re.compile(r"[0-9A-Fa-f]{4}")
_KEYWORD = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?=[ \t=[<(#]|$)[ \t]*(=?)")
_VR = re.compile(r"([A-Z]{2}|na|pi|ox|px|lt|up|xs|\?\?)(?=[ \t\[<=(#]|$)")
_WHITE = " \t\r\f\v"
_DESCRIPTION = re.compile(r"\(([^()]*)\)(.*)")
_COUNT = re.compile(r"explicit length #=([0-9]{1,9})")
_LENGTHS = re.compile(r"[ \t]*#[ \t]*([0-9]{1,10})[ \t]*,[ \t]*[0-9]+([ \t].*)?")
_ESCAPED = re.compile(r"<((?:[^<>\\]|\\.)*)>[ \t]*(#.*)?")
_SHORTENED = re.compile(r"\.\.\.[ \t]*#[ \t]*[0-9]+,")
_EMPTY = ("", "no value available")


class Form(Enum):
    """How a value is written."""

    ABSENT = "not at all"
    BRACKETED = "[...]"
    ESCAPED = "<...>"
    BARE = "as it is"
    DESCRIBED = "(...), what dcmdump says in the place of a value"


class Line(NamedTuple):
    """One line that is no comment.

    Args:
        number: From 1.
        tag: The attribute, or an item or delimiter.
        vr: As written, or from the dictionary.
        form: How the value is written.
        value: What is between the brackets, or stands for itself.
        length: Bytes that the comment says the value has.
    """

    number: int
    tag: int
    vr: str
    form: Form
    value: str
    length: int | None = None

    @property
    def place(self) -> str:
        """The attribute, as messages name it."""
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"

    @property
    def declared(self) -> int | None:
        """Number of items or elements that a sequence or item of defined length says it has."""
        match = _COUNT.search(self.value) if self.form is Form.DESCRIBED else None
        return int(match[1]) if match else None


def refused(number: int | None, message: str, hint: str | None = None) -> InputError:
    """Make the error about a line; the file is added by who knows it."""
    return InputError(message, line=number, hint=hint)


def read_line(number: int, text: str) -> Line | None:
    """Take a line apart.

    Args:
        number: Of the line, from 1.
        text: The line without its end; a value of several lines included.

    Returns:
        None for a comment and for an empty line.

    Raises:
        InputError: It is no line of a dump.
    """
    rest = text.strip(_WHITE)
    if not rest or rest.startswith("#"):
        return None
    tag, rest, is_assigned = _read_tag(number, rest)
    place = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    rest = rest.lstrip(_WHITE)
    if is_assigned:
        vr = _vr_of_dictionary(number, tag, place)
    else:
        vr, rest = _read_vr(number, tag, place, rest)
    form, value, comment = _read_value(number, vr, place, rest.lstrip(_WHITE))
    lengths = _LENGTHS.fullmatch(comment)
    if form is Form.BARE and _SHORTENED.search(rest):
        raise _shortened(number, place)
    return Line(number, tag, vr, form, value, int(lengths[1]) if lengths else None)


def continues(text: str) -> bool:
    """Tell whether a line opens a bracket that it does not close: dcmdump prints text as it is."""
    start, bracket, value = text.partition("[")
    is_open = bool(bracket) and "]" not in value and "#" not in start
    return is_open and not _SHORTENED.search(value)


def _read_tag(number: int, text: str) -> tuple[int, str, bool]:
    """Give the tag, what follows, and whether an equals sign stood between them."""
    match = _TAG.match(text)
    if match is None:
        return _read_keyword(number, text)
    group, element = ("".join(part.split()) for part in match.groups() if part is not None)
    if not (_FOUR_DIGITS.fullmatch(group) and _FOUR_DIGITS.fullmatch(element)):
        raise refused(
            number, "this is no tag", "a tag is four hexadecimal digits twice, (0010,0020)"
        )
    return int(group + element, 16), text[match.end() :], False


def _read_keyword(number: int, text: str) -> tuple[int, str, bool]:
    match = _KEYWORD.match(text)
    tag = tag_of(match[1]) if match else None
    if match is None or tag is None:
        likely = likely_keyword(match[1]) if match else None
        hint = f"did you mean {likely}?" if likely else "a line is (0010,0020) LO [value]"
        raise refused(number, "no tag and no keyword of DICOM at the start of the line", hint)
    return tag, text[match.end() :], bool(match[2])


def _read_vr(number: int, tag: int, place: str, text: str) -> tuple[str, str]:
    match = _VR.match(text)
    if match is None:
        return _vr_of_dictionary(number, tag, place), text
    vr, rest = match[1], text[match.end() :]
    if not vr.isupper():  # VRs that only DCMTK has: a choice, what is unknown, and no VR
        return ("UN" if vr == "??" else vr_of(tag)), rest
    known = vr_of(tag)
    if vr not in VRS:
        raise refused(
            number,
            f"{place}: no VR has the name that stands here",
            f"its VR is {known}; a value without VR stands in brackets, [...]",
        )
    if rest.partition("#")[0].strip(_WHITE) == "" and vr != known and known in TEXT_VRS:
        raise refused(
            number,
            f"{place}: this could be a VR or the value",
            f"write {known} [{vr}], or (no value available) behind the VR",
        )
    return vr, rest


def _vr_of_dictionary(number: int, tag: int, place: str) -> str:
    vr = vr_of(tag)
    if vr == "UN" and tag >> 16 != ITEM >> 16:
        raise refused(
            number, f"{place} is not in the DICOM dictionary", "write its VR behind the tag"
        )
    return vr


def _read_value(number: int, vr: str, place: str, text: str) -> tuple[Form, str, str]:
    """Give form and text of a value, and the comment behind it."""
    first = text[:1]
    if first in {"", "#"}:
        return Form.ABSENT, "", text
    if first == "[":
        return _read_bracketed(number, place, text)
    if first == "<":
        match = _ESCAPED.fullmatch(text)
        if match is None:
            raise refused(
                number, f"{place}: no value between < and >", "text may stand in [...] instead"
            )
        return Form.ESCAPED, match[1], match[2] or ""
    if first == "(" and vr != "AT":
        return _read_description(number, place, text)
    if text.startswith(tuple(f"({words})" for words in _EMPTY)):
        return Form.ABSENT, "", text.partition(")")[2]
    value, mark, comment = text.partition("#")
    return Form.BARE, value.rstrip(_WHITE), mark + comment


def _read_bracketed(number: int, place: str, text: str) -> tuple[Form, str, str]:
    value, bracket, comment = text[1:].rpartition("]")
    if not bracket:
        if _SHORTENED.search(text):
            raise _shortened(number, place)
        raise refused(number, f"{place}: the bracket [ is never closed")
    if comment.strip(_WHITE) and not comment.lstrip(_WHITE).startswith("#"):
        raise refused(
            number, f"{place}: there is more behind the closing ]", "a comment begins with #"
        )
    if not _LENGTHS.fullmatch(comment) and re.search(r"\][ \t]*#", value):
        raise refused(
            number,
            f"{place}: the value could end at more than one ]",
            "write the comment without brackets",
        )
    return Form.BRACKETED, value, comment


def _shortened(number: int, place: str) -> InputError:
    return refused(
        number, f"{place}: dcmdump has shortened the value", "print it whole with dcmdump +L"
    )


def _read_description(number: int, place: str, text: str) -> tuple[Form, str, str]:
    match = _DESCRIPTION.fullmatch(text)
    if match is None:
        raise refused(number, f"{place}: the parenthesis is never closed", "text stands in [...]")
    return (Form.ABSENT if match[1] in _EMPTY else Form.DESCRIBED), match[1], match[2]
