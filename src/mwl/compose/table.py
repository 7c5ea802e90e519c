"""Tables in CSV: a header of keywords, tags or paths, and a row for each item.

What separates the cells, the header decides: of comma, semicolon and tab the one with which every
cell of it names an attribute. Spaces around a cell do not count, and an empty cell says nothing.

Source: RFC 4180 (CSV), as spreadsheets write it.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mwl.compose.assignments import Assignment, Document, Origin, read_path, suggestion
from mwl.errors import InputError
from mwl.keys import Path

DELIMITERS: Sequence[str] = (",", ";", "\t")

_HEADER_LIMIT = 65_536
"""Characters of the header that are looked at to find what separates its cells."""


_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')
_UNQUOTED = {one: re.compile(rf"[^{one}\r\n]*") for one in DELIMITERS}
_LINE_END = re.compile(r"\r\n|\r|\n")
_TWICE = "a quote that belongs to a cell is written twice, and quotes stand around the cell"


class _Record(NamedTuple):
    """One row, with the line that it begins on."""

    line: int
    cells: list[str]


def read_table(text: str, file: str) -> list[Document | InputError]:
    """Read a table.

    Args:
        text: The file's text.
        file: Its path, for messages.

    Returns:
        A document for each row, or the error in the place of one that cannot be used. Rows with
        nothing in them are left out.

    Raises:
        InputError: A quote is open, or the header is none.
    """
    header = _first_line(text)
    delimiter = max(DELIMITERS, key=lambda one: _likeliness(header, one))
    records = list(_records(text, file, delimiter))
    if not records:
        raise InputError("there is no header", file=file)
    columns = _columns(records[0], file)
    return [_document(record, columns, file) for record in records[1:]]


def _first_line(text: str) -> str:
    lines = io.StringIO(text, newline="")
    return next((line[:_HEADER_LIMIT] for line in lines if line.strip()), "")


def _likeliness(header: str, delimiter: str) -> tuple[bool, int]:
    """Tell how well a delimiter fits: whether all cells are keys, and how many there are."""
    cells = next(csv.reader([header], delimiter=delimiter), [])
    named = [cell for cell in cells if cell.strip()]
    keys = [cell for cell in named if _is_key(cell)]
    return bool(keys) and len(keys) == len(named), len(keys)


def _is_key(cell: str) -> bool:
    try:
        read_path(cell, Origin())
    except InputError:
        return False
    return True


def _records(text: str, file: str, delimiter: str) -> Iterator[_Record]:
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Behind an open quote nobody knows where rows begin, so none of them is read.
            offset, what, hint = _fault("".join(lines[line - 1 :]), delimiter, str(error))
            raise InputError(what, file=file, line=line + offset, hint=hint) from None
        record = _Record(line, [cell.strip() for cell in cells])
        if any(record.cells):
            yield record


def _fault(text: str, delimiter: str, fallback: str) -> tuple[int, str, str | None]:
    """Say what is wrong with a row that cannot be read.

    Args:
        text: The table from this row on.
        delimiter: What separates cells.
        fallback: What Python's reader says.

    Returns:
        The line of the fault from that of the row on, what it is, and what to do.
    """
    position, is_inside = 0, True
    while is_inside:
        is_quoted = text.startswith('"', position)
        cell = (_QUOTED if is_quoted else _UNQUOTED[delimiter]).match(text, position)
        line = len(_LINE_END.findall(text, 0, position))
        if cell is None:
            return line, "a quote opens a cell here and nothing ends it", _TWICE
        behind = text[cell.end() : cell.end() + 1]
        if is_quoted and behind not in {delimiter, "\r", "\n", ""}:
            return line, "the quote that ends a cell that begins here has more behind it", _TWICE
        if len(cell[0]) > csv.field_size_limit():
            return line, f"a cell has more than {csv.field_size_limit()} characters", None
        position, is_inside = cell.end() + 1, behind == delimiter
    return 0, f"this row cannot be read: {fallback}", None


def _columns(header: _Record, file: str) -> list[Path | None]:
    """Read the header; None for a column without a name, in which nothing may stand."""
    origin = Origin(file, header.line)
    columns = [_column(number, cell, origin) for number, cell in enumerate(header.cells, 1)]
    named = [path for path in columns if path is not None]
    for path in named:
        if named.count(path) > 1:
            first, second = [number for number, one in enumerate(columns, 1) if one == path][:2]
            raise origin.refuse(f"columns {first} and {second} have the same header")
    if not named:
        raise origin.refuse("the header names no attribute", "write keywords, such as PatientName")
    return columns


def _column(number: int, cell: str, origin: Origin) -> Path | None:
    if not cell:
        return None
    try:
        return read_path(cell, origin)
    except InputError:
        # Where the header is missing this is a patient's value, so it is not shown.
        raise origin.refuse(
            f"the header of column {number} is no keyword, tag or path of an attribute",
            suggestion(cell) or "the first row has to be the header",
        ) from None


def _document(record: _Record, columns: Sequence[Path | None], file: str) -> Document | InputError:
    origin = Origin(file, record.line)
    if len(record.cells) != len(columns):
        return origin.refuse(
            f"the row has {len(record.cells)} cells and the header {len(columns)}",
            "a cell with a separator in it needs quotes",
        )
    if any(cell and path is None for path, cell in zip(columns, record.cells, strict=True)):
        return origin.refuse("there is a value in a column that has no header")
    return Document(
        origin,
        [
            Assignment(path, cell, origin)
            for path, cell in zip(columns, record.cells, strict=True)
            if path is not None and cell
        ],
    )
