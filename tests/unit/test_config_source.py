import json
from pathlib import Path

import pytest

from mwl.config.source import NESTING_LIMIT, Source, read
from mwl.errors import ConfigError


def written(folder: Path, text: str, name: str = "mwl.json") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def values(folder: Path, text: str, **environ: str) -> dict[str, object]:
    return read([written(folder, text)], environ).values


def lines(source: Source) -> dict[str, int]:
    return {".".join(path): place.line for path, place in source.places.items()}


def refused(paths: list[Path]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(paths, {})
    return caught.value


def test_comments_are_read_past_and_keep_the_lines(tmp_path: Path) -> None:
    text = """{
      // "DicomAet": "NOT",  /* not the start of a comment
      "Name": "a // b /* c */",  // after
      /**
         "DicomPort": 1,
      **/
      "DicomPort" /* here */ : 104
    }"""
    source = read([written(tmp_path, text)], {})
    assert source.values == {"Name": "a // b /* c */", "DicomPort": 104}
    assert lines(source) == {"Name": 3, "DicomPort": 7}


def test_keys_are_found_at_every_depth(tmp_path: Path) -> None:
    text = """{
      "DicomModalities": {
        "a": ["A", "host",
              104],
        "b": {"AET": "B",
              "Host": {"x": [{"y": 1}]}}
      },
      "Name": "n"
    }"""
    assert lines(read([written(tmp_path, text)], {})) == {
        "DicomModalities": 2,
        "DicomModalities.a": 3,
        "DicomModalities.b": 5,
        "DicomModalities.b.AET": 5,
        "DicomModalities.b.Host": 6,
        "DicomModalities.b.Host.x": 6,
        "DicomModalities.b.Host.x.y": 6,
        "Name": 8,
    }


def test_what_json5_allows_is_read_too(tmp_path: Path) -> None:
    text = "{ Name: 'it\\'s', // JSON5\n 'DicomPort': 0x68, \"A\": [1, 2,], }"
    source = read([written(tmp_path, text)], {})
    assert source.values == {"Name": "it's", "DicomPort": 104, "A": [1, 2]}
    assert lines(source) == {"Name": 1, "DicomPort": 2, "A": 2}


def test_a_byte_order_mark_and_latin_1_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_bytes(b'\xef\xbb\xbf{"Name": "\xc3\xa9"}')
    assert read([file], {}).values == {"Name": "é"}
    file.write_bytes(b'{ // cr\xe8me\n "Name": "x"}')
    assert read([file], {}).values == {"Name": "x"}


def test_variables_are_replaced_inside_and_outside_strings(tmp_path: Path) -> None:
    text = '{"Name": "${WHO} at ${WHERE:-home}", "DicomPort": ${PORT}, "A": ${B:-[1]}}'
    assert values(tmp_path, text, WHO="me", PORT="104") == {
        "Name": "me at home",
        "DicomPort": 104,
        "A": [1],
    }


def test_a_default_may_be_empty_and_a_set_variable_wins_over_it(tmp_path: Path) -> None:
    assert values(tmp_path, '{"Name": "<${A:-}>"}') == {"Name": "<>"}
    assert values(tmp_path, '{"Name": "<${A:-x}>"}', A="") == {"Name": "<>"}


@pytest.mark.parametrize("value", ['say "ah"', "C:\\folder", "it's", "a\nb", "é"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_variable_stays_one_string(tmp_path: Path, value: str, quote: str) -> None:
    text = f"{{{quote}Name{quote}: {quote}${{A}}{quote}}}"
    assert values(tmp_path, text, A=value) == {"Name": value.replace("\n", " ")}


def test_variables_in_comments_do_not_matter(tmp_path: Path) -> None:
    source = read([written(tmp_path, '{ // ${NOT_SET}\n "Name": "a" /* ${NOR_THIS} */ }')], {})
    assert source.missing == []


def test_a_variable_that_is_not_set_is_reported_with_its_place_and_option(tmp_path: Path) -> None:
    file = written(tmp_path, '{\n "Worklists": {\n  "Database": "/data/${SITE}"}\n}')
    (missing,) = read([file], {}).missing
    assert missing.name == "SITE"
    assert missing.place.describe() == f"{file}:3"
    assert missing.path == ("Worklists", "Database")


def test_a_dollar_that_is_no_variable_stays(tmp_path: Path) -> None:
    assert values(tmp_path, '{"Name": "$A ${} ${1} $"}') == {"Name": "$A ${} ${1} $"}


def test_several_files_and_folders_make_one_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    written(folder, '{"B": 2}', "20.json")
    written(folder, '{"A": 1}', "10.JSON")
    written(folder, "not JSON", "README.md")
    (folder / "sub.json").mkdir()
    source = read([folder, written(tmp_path, '{"C": 3}')], {})
    assert source.values == {"A": 1, "B": 2, "C": 3}
    assert list(source.values) == ["A", "B", "C"]


def test_one_key_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    one = written(tmp_path, '{\n"Worklists": {"Enable": true}}', "a.json")
    two = written(tmp_path, '{"Name": "n",\n\n"Worklists": {"Watch": "scan"}}', "b.json")
    error = refused([one, two])
    assert (error.file, error.line, error.option) == (str(two), 3, "Worklists")
    assert f"{one}:2" in error.message


def test_one_key_twice_in_an_object_is_noted_with_both_places(tmp_path: Path) -> None:
    source = read([written(tmp_path, '{"A": {"x": 1,\n "x": 2}, "B": {"x": 3}}')], {})
    assert source.values == {"A": {"x": 2}, "B": {"x": 3}}
    (repeated,) = source.repeated
    assert repeated.path == ("A", "x")
    assert (repeated.first.line, repeated.place.line) == (1, 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{\n"A": 1\n"B": 2}', 3),
        ('{"A": "not closed\n}', 1),
        ("", None),
        ("[]", 1),
        ("7", 1),
        ('{"A": 1', 1),
    ],
)
def test_a_file_that_is_not_a_json_object_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int | None
) -> None:
    file = written(tmp_path, text)
    error = refused([file])
    assert (error.file, error.line) == (str(file), line)


def test_nesting_without_end_is_an_error(tmp_path: Path) -> None:
    assert "nested" in refused([written(tmp_path, '{"A": ' + "[" * 100_000)]).message


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    error = refused([tmp_path / "none.json"])
    assert str(error) == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory"


def test_a_folder_without_a_file_is_an_error(tmp_path: Path) -> None:
    assert "no *.json file" in refused([tmp_path]).message


def test_a_key_with_an_escape_is_found_under_its_value(tmp_path: Path) -> None:
    source = read([written(tmp_path, json.dumps({"\u00e9tude": 1}))], {})
    assert lines(source) == {"\u00e9tude": 1}


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_what_is_nested_too_deeply_is_refused_before_it_costs_anything(
    tmp_path: Path, opening: str
) -> None:
    deep = '{"a":' + "[" * (NESTING_LIMIT - 1) + "]" * (NESTING_LIMIT - 1) + "}"
    assert list(values(tmp_path, deep)) == ["a"]
    # With each key's path in memory it would take 12 GB.
    error = refused([written(tmp_path, "\n" + opening * 50_000)])
    assert (error.message, error.line) == ("nested too deeply", 2)
