import json
import re
from pathlib import Path

from mwl.config import OPTIONS, default_file, in_force, load, origins


def written(folder: Path, text: str, name: str = "mwl.json") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_the_default_file_loads_without_a_note_and_gives_the_defaults(tmp_path: Path) -> None:
    loaded = load([written(tmp_path, default_file())], {})
    assert loaded.notes == []
    assert loaded.config == load([written(tmp_path, "{}", "empty.json")], {}).config
    assert set(loaded.origins) == {option.name for option in OPTIONS}


def test_the_default_file_explains_every_option() -> None:
    text = default_file()
    for option in OPTIONS:
        before, _, _ = text.partition(f'"{option.key}": {json.dumps(option.default)}')
        assert "Allowed:" in before.split("\n\n")[-1]
    assert max(map(len, text.splitlines())) <= 100


def test_values_can_be_put_into_the_default_file(tmp_path: Path) -> None:
    text = default_file({"Worklists.Enable": True, "Worklists.Database": '/srv/"wl"'})
    config = load([written(tmp_path, text)], {}).config
    assert config.worklists.enable
    assert config.worklists.database == Path('/srv/"wl"')


def test_what_is_in_force_can_be_loaded_again(tmp_path: Path) -> None:
    first = {
        "DicomAet": "MWL",
        "DicomModalities": {"ct1": ["CT1", "10.0.0.7", "104"]},
        "Dictionary": {"0009,1001": ["LO", "Name", 1, 0, "creator"], "00091002": ["DS", "Other"]},
        "ModalityWorklists": {"Enable": True, "Directory": "wl", "FilterIssuerAet": True},
    }
    config = load([written(tmp_path, json.dumps(first))], {}).config
    shown = json.dumps(in_force(config))
    loaded = load([written(tmp_path, shown, "shown.json")], {})
    assert loaded.notes == []
    assert loaded.config == config


def test_the_origin_of_each_value_is_known(tmp_path: Path) -> None:
    one = written(tmp_path, '{\n"Name": "n"}', "a.json")
    two = written(tmp_path, '{"ModalityWorklists": {\n\n"Directory": "wl"}}', "b.json")
    found = origins(load([one, two], {}))
    assert found["Name"] == f"{one}:2"
    assert found["Worklists.Database"] == f"{two}:3"
    assert found["DicomPort"] == "default"
    assert list(found) == [option.name for option in OPTIONS]


def test_no_help_text_names_an_option_that_does_not_exist() -> None:
    names = {name for option in OPTIONS for name in (option.key, option.name)}
    names |= {"DicomAlwaysAllow...", "Host", "AET", "Port"}
    names |= {"AllowEcho", "AllowFindWorklist", "mwl serve", "--verbose", "--trace"}
    names |= {"LocalAet", "Timeout", "POST /tools/execute-script", "GET /queries"}
    names |= {"GET /events", "POST /worklists/batch"}
    names |= {
        "IncomingWorklistRequestFilter",
        "mwl[lua]",
        "import orthanc",
        "mwl.hook",
        "mwl.hooks",
    }
    names |= {"UseDicomTls", "TlsSubject", "CN=ct1,O=Example"}
    named = {name for option in OPTIONS for name in re.findall(r"`([^`]*)`", option.help)}
    assert named <= names
