"""Any file is read or refused with ConfigError, and what is read stays what it was."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mwl.config import OPTIONS, Checked, check, in_force
from mwl.config.source import read

KEYS = [option.key for option in OPTIONS] + ["Worklists", "ModalityWorklists", "Directory", "AET"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
FRAGMENTS = ['{"DicomPort": ', '"Name"', ":", ",", "{", "}", "[", "]", "//", "/*", "*/", "\n", "'"]
FRAGMENTS += ['"', "\\", "${", "${A}", "${B:-", "}", "1", "true", "Worklists", " ", "\u2028", "-"]


def checked(text: str, environ: Mapping[str, str]) -> Checked:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mwl.json"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        return check([file], environ)


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3)).map("".join), st.text(max_size=4))
@example('{"Name": "${A}"}', '"')
@example('{"Name": "${A}"}', "\ud800")
@example("{'Name': '${A}'}", "'\\")
def test_any_text_is_read_or_refused_with_the_documented_error(text: str, value: str) -> None:
    result = checked(text, {"A": value})
    assert (result.loaded is None) == bool(result.errors)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), JSON, max_size=6))
def test_any_object_is_read_or_refused_with_a_place_for_every_error(content: Any) -> None:
    result = checked(json.dumps(content, indent=1), {})
    for error in result.errors:
        assert error.file is not None
        assert error.line is not None
        assert error.option


@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=5),
    st.sampled_from(["", "// comment\n", "/* two\nlines */", "/**/ "]),
)
def test_comments_change_no_value_and_the_line_of_each_key_is_right(
    content: Any, comment: str
) -> None:
    lines = json.dumps(content, indent=1).split("\n")
    text = "\n".join(lines[:1] + [comment.rstrip("\n") + "\n" + line for line in lines[1:]])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mwl.json"
        file.write_text(text, encoding="utf-8")
        # Text that looks like a variable would be one.
        environ = {"A": "${A}"}
        source = read([file], environ)
    if "${" not in text:  # that would be a variable
        assert json.dumps(source.values) == json.dumps(content)
    for key in content:
        line = text.split("\n")[source.places[key,].line - 1]
        assert line.lstrip().startswith(json.dumps(key) + ":")


def _valid(option: Any) -> st.SearchStrategy[object]:
    if option.choices:
        return st.sampled_from([value for value, _ in option.choices])
    return {
        "boolean": st.booleans(),
        "integer": st.integers(option.minimum, option.maximum),
        "text": st.text(max_size=8).filter(lambda text: "$" not in text),
        "AE title": st.text("ABCxyz019_-.", min_size=1, max_size=16),
        "path": st.text("abc/.", min_size=1, max_size=8),
        "switch": st.none() | st.booleans(),
        "file": st.text("abc/.", min_size=1, max_size=8),
        "texts": st.lists(st.text("abc.:", min_size=1, max_size=8), max_size=3),
        "users": st.dictionaries(
            st.text("ab", min_size=1, max_size=3), st.text("ab:", min_size=1, max_size=3)
        ),
        "paths": st.lists(st.text("abc/.", min_size=1, max_size=8), max_size=3),
        "optional file": st.text("abc/.", max_size=8),
        "hooks": st.lists(st.sampled_from(["our_ris", "a.py", "/b/c.py"]), max_size=3),
        "state folder": st.sampled_from(["auto", "folder", "/a/b"]),
        "audit destination": st.sampled_from(
            ["", "file:a.xml", "file:///a/b.xml", "udp://host", "tls://[::1]:6514", "udp://h:1"]
        ),
        "cache": st.sampled_from(["off", "auto", "folder", "/a/b"]),
        "modalities": st.dictionaries(
            st.text("abc", max_size=3),
            st.tuples(st.text("AB", min_size=1, max_size=3), st.just("10.0.0.7"), st.just(104)),
            max_size=3,
        ),
        "dictionary": st.dictionaries(
            st.sampled_from(["0009,1001", "0011,1002"]),
            st.tuples(st.sampled_from(["LO", "SQ"]), st.text("ab", max_size=3)),
            max_size=2,
        ),
    }[option.kind]


CONFIGURATIONS = st.fixed_dictionaries(
    {}, optional={option.name: _valid(option) for option in OPTIONS}
)


@given(CONFIGURATIONS)
def test_what_is_in_force_reads_back_as_the_same_configuration(flat: Mapping[str, Any]) -> None:
    content: dict[str, Any] = {"Worklists": {}, "Limits": {}, "Audit": {}}
    for name, value in flat.items():
        section, _, key = name.rpartition(".")
        (content[section] if section else content)[key] = value
    first = checked(json.dumps(content), {})
    assert first.errors == []
    assert first.loaded is not None
    again = checked(json.dumps(in_force(first.loaded.config)), {})
    assert again.loaded is not None
    assert again.loaded.config == first.loaded.config
