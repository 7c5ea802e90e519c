"""CSV to what each row says."""

import pytest

from mwl.compose import Document, read_table
from mwl.errors import InputError
from mwl.keys import describe_path
from mwl.text_files import decode_text


def rows(text: str) -> list[dict[str, str] | str]:
    return [
        {describe_path(one.path): one.value for one in row.assignments}
        if isinstance(row, Document)
        else str(row)
        for row in read_table(text, "a.csv")
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_is_an_item_whatever_separates_cells_and_lines(delimiter: str, end: str) -> None:
    lines = [["PatientName", "PatientID"], ["DOE^JANE", "P1"], ['"A, B; C"', "P2"]]
    text = end.join(delimiter.join(line) for line in lines) + end
    assert rows(text) == [
        {"PatientName": "DOE^JANE", "PatientID": "P1"},
        {"PatientName": "A, B; C", "PatientID": "P2"},
    ]


@pytest.mark.parametrize(
    "header", ['"0010,0010",PatientID', "0010,0010;0010,0020", "PatientName\t0010,0020"]
)
def test_the_header_may_hold_tags_with_their_commas(header: str) -> None:
    delimiter = next(one for one in "\t;," if one in header)
    assert rows(f"{header}\nA{delimiter}B") == [{"PatientName": "A", "PatientID": "B"}]


def test_an_empty_cell_says_nothing_and_an_empty_row_is_none() -> None:
    assert rows("PatientName,PatientID\n\n,\n ,P1\n  \n") == [{"PatientID": "P1"}]


def test_spaces_around_a_cell_do_not_count() -> None:
    assert rows("PatientName ; PatientID\n DOE ; P1 ") == [
        {"PatientName": "DOE", "PatientID": "P1"}
    ]


def test_a_quoted_cell_may_have_lines_and_quotes_and_lines_are_counted_as_an_editor_does() -> None:
    text = 'PatientComments,PatientID\r\n"two\r\n""lines""",P1\r\n\r\nx,P2,\r\n'
    assert rows(text) == [
        {"PatientComments": 'two\r\n"lines"', "PatientID": "P1"},
        (
            "a.csv:5: the row has 3 cells and the header 2"
            " (a cell with a separator in it needs quotes)"
        ),
    ]


def test_a_column_without_a_header_has_to_be_empty() -> None:
    assert rows("PatientName,PatientID,\nA,B,\nC,D,E") == [
        {"PatientName": "A", "PatientID": "B"},
        "a.csv:3: there is a value in a column that has no header",
    ]


def test_placeholders_in_cells_are_text() -> None:
    assert rows("PatientName\n{today}") == [{"PatientName": "{today}"}]


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("", None, "there is no header"),
        ("\n \n", None, "there is no header"),
        ("PatientName,PatientNmae\nA,B", 1, "column 2 is no keyword, tag or path"),
        ("PatientName,PatientNmae\nA,B", 1, "did you mean PatientName?"),
        ("\nDOE^JANE,P1\n", 2, "the first row has to be the header"),
        ("PatientName,0010,0010\nA,B", 1, "column 2"),
        ("PatientName,PatientName\nA,B", 1, "columns 1 and 2 have the same header"),
        ('PatientName,"(0010,0010)"\nA,B', 1, "columns 1 and 2 have the same header"),
        ('PatientName,PatientID\n"A,B\nC,D\n', 2, "a quote opens a cell here and nothing ends it"),
        ('PatientName,PatientID\r\nA,B\r\n"x\r\ny","C\r\nD,E', 4, "nothing ends it"),
        ('PatientName,PatientID\n"x""\ny","C\n', 3, "nothing ends it"),
        ('PatientName,PatientID\rA,B\r"C,D\r', 3, "nothing ends it"),
        ('PatientName,PatientID\n"' + "A,B\n" * 50_000, 2, "nothing ends it"),
        ('PatientName,PatientID\n"A"x,B\n', 2, "the quote that ends a cell that begins here"),
        ('PatientName,PatientID\n"A,B\n"C",D\n', 2, "has more behind it"),
        ('PatientName,PatientID\nx,"A"x\n', 2, "has more behind it"),
        ('PatientName,PatientID\n"p\nq","A\n"x\n', 3, "has more behind it"),
        ('PatientName;"PatientID\nA;B', 1, "nothing ends it"),
        ("PatientName,PatientID\nA,B\n" + "x" * 200_000 + ",1", 3, "more than 131072 characters"),
        ("x" * 200_000, 1, "more than 131072 characters"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_with_its_line(
    text: str, line: int | None, fact: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_table(text, "a.csv")
    assert fact in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("a.csv", line)
    assert "JANE" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "windows-1252"),
        ("utf-8-sig", "utf-8"),
    ],
)
def test_a_file_is_read_in_its_encoding(encoding: str, charset: str | None) -> None:
    assert decode_text("Müller\n".encode(encoding), "a.csv", charset) == "Müller\n"


@pytest.mark.parametrize(
    ("data", "charset", "place", "fact"),
    [
        (b"A\nB\nab\xfcc\n", None, "a.csv:3: ", "byte 3 of the line is not utf-8"),
        (b"\xfcA", None, "a.csv:1: ", "byte 1 of the line is not utf-8"),
        (b"A\n\x81", "windows-1252", "a.csv:2: ", "byte 1 of the line is not windows-1252"),
        (b"A", "klingon", "--charset: ", "no such encoding"),
        (b"A", "hex", "--charset: ", "no such encoding"),
        (b"A\0B", "utf-16", "a.csv:", "utf-16"),
    ],
)
def test_a_wrong_encoding_is_told_with_line_and_byte(
    data: bytes, charset: str | None, place: str, fact: str
) -> None:
    with pytest.raises(InputError) as caught:
        decode_text(data, "a.csv", charset)
    assert str(caught.value).startswith(place)
    assert fact in str(caught.value)
