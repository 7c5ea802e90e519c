import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mwl import dataset
from mwl.config import (
    OPTIONS,
    AuditConfig,
    AuditDestination,
    Checked,
    Config,
    DictionaryEntry,
    LimitsConfig,
    Modality,
    Note,
    WorklistsConfig,
    check,
    in_force,
    load,
    of_folder,
)
from mwl.config.orthanc import KNOWN_ORTHANC_OPTIONS
from mwl.errors import ConfigError


def checked(folder: Path, content: object, **environ: str) -> Checked:
    file = folder / "mwl.json"
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    file.write_text(text, encoding="utf-8")
    return check([file], environ)


def config_of(folder: Path, content: object, **environ: str) -> Config:
    result = checked(folder, content, **environ)
    assert result.errors == []
    assert result.loaded is not None
    return result.loaded.config


def the_error(folder: Path, content: object) -> ConfigError:
    (error,) = checked(folder, content).errors
    return error


def the_note(folder: Path, content: object) -> Note:
    (note,) = checked(folder, content).notes
    return note


ORTHANC_DEFAULTS: Mapping[str, Any] = {
    "dicom_server_enabled": True,
    "dicom_ae_title": "ORTHANC",
    "dicom_port": 4242,
    "dicom_check_called_ae_title": False,
    "strict_ae_comparison": False,
    "dicom_check_modality_host": False,
    "dicom_always_allow_echo": True,
    "dicom_always_allow_store": True,
    "dicom_always_allow_find": False,
    "dicom_always_allow_find_worklist": False,
    "dicom_always_allow_get": False,
    "dicom_always_allow_move": False,
    "modalities": (),
    "default_encoding": "Latin1",
    "case_sensitive_person_names": False,
    "dicom_scp_timeout_s": 30,
    "maximum_pdu_length": 16384,
    "deidentify_logs": True,
    "dictionary": (),
}


def test_without_a_file_every_option_has_orthancs_default() -> None:
    config = load([], {}).config
    assert {name: getattr(config, name) for name in ORTHANC_DEFAULTS} == ORTHANC_DEFAULTS
    assert config.worklists == WorklistsConfig(
        enable=False,
        database=Path("worklists"),
        filter_issuer_ae_title="off",
        limit_answers=0,
        set_study_instance_uid=True,
        compatibility="standard",
        folder_per_called_ae_title=False,
        watch="auto",
        snapshot="auto",
    )


def test_every_field_has_one_option_and_every_option_a_field() -> None:
    top = {option.field for option in OPTIONS if not option.section}
    of_section = {
        name: {option.field for option in OPTIONS if option.section == name}
        for name in ("Worklists", "Limits", "Audit")
    }
    fields = {field.name for field in dataclasses.fields(Config)}
    others = {"loopback_may_query", "http_may_fail", "as_read"}
    assert top == fields - {"worklists", "limits", "audit"} - others
    sections = {"Worklists": WorklistsConfig, "Limits": LimitsConfig, "Audit": AuditConfig}
    for name, section in sections.items():
        assert of_section[name] == {field.name for field in dataclasses.fields(section)}
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


def test_no_option_is_both_read_and_read_past() -> None:
    assert not KNOWN_ORTHANC_OPTIONS & {option.key for option in OPTIONS if not option.section}


def test_the_encodings_are_those_that_can_be_read() -> None:
    (option,) = (option for option in OPTIONS if option.name == "DefaultEncoding")
    assert {value for value, _ in option.choices} == set(dataset.ENCODINGS)


def test_scripts_lie_beside_the_configuration_and_entry_points_are_names(tmp_path: Path) -> None:
    content = {"LuaScripts": ["a.lua", "/b.lua"], "PythonScript": "c.py", "Hooks": ["d.py", "ris"]}
    config = config_of(tmp_path, content)
    assert config.lua_scripts == (tmp_path / "a.lua", Path("/b.lua"))
    assert config.python_script == tmp_path / "c.py"
    assert config.hooks == (tmp_path / "d.py", "ris")
    assert config_of(tmp_path, {"PythonScript": ""}).python_script is None


def test_scripts_see_the_configuration_as_the_files_have_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"DicomPort": 104, "ImagingUrl": "${URL}"}, URL="http://ris")
    assert config.as_read == {"DicomPort": 104, "ImagingUrl": "http://ris"}
    assert "http://ris" not in repr(config)


def test_values_of_every_kind_are_read(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        {
            "DicomAet": " MWL ",
            "DicomPort": 104,
            "DicomHost": "::1",
            "StrictAetComparison": True,
            "DefaultEncoding": "Utf8",
            "DicomScpTimeout": 0,
            "MaximumPduLength": 131072.0,
            "Worklists": {
                "Enable": True,
                "Database": "wl",
                "FilterIssuerAet": "force",
                "LimitAnswers": 10,
                "Compatibility": "orthanc",
                "FolderPerCalledAet": True,
                "Watch": "scan",
            },
        },
    )
    assert config.dicom_ae_title == "MWL"
    assert config.dicom_port == 104
    assert config.dicom_host == "::1"
    assert config.strict_ae_comparison
    assert config.default_encoding == "Utf8"
    assert config.dicom_scp_timeout_s == 0
    assert config.maximum_pdu_length == 131072
    assert config.worklists == WorklistsConfig(
        enable=True,
        database=tmp_path / "wl",
        filter_issuer_ae_title="force",
        limit_answers=10,
        set_study_instance_uid=True,
        compatibility="orthanc",
        folder_per_called_ae_title=True,
        watch="scan",
        snapshot="auto",
    )


@pytest.mark.parametrize(("value", "meaning"), [(False, "off"), (True, "fill"), ("force", "force")])
def test_filter_issuer_aet_is_off_fills_or_forces(
    tmp_path: Path, value: object, meaning: str
) -> None:
    config = config_of(tmp_path, {"Worklists": {"FilterIssuerAet": value}})
    assert config.worklists.filter_issuer_ae_title == meaning


@pytest.mark.parametrize(
    ("database", "expected"), [("/srv/wl", "/srv/wl"), ("../wl", "../wl"), (None, "worklists")]
)
def test_a_relative_path_starts_at_the_folder_of_its_file(
    tmp_path: Path, database: str | None, expected: str
) -> None:
    section = {"Enable": True} | ({"Database": database} if database else {})
    config = config_of(tmp_path, {"Worklists": section})
    assert config.worklists.database == tmp_path / expected


def test_modality_worklists_and_directory_are_other_names(tmp_path: Path) -> None:
    content = {"ModalityWorklists": {"Enable": True, "Directory": "/srv/wl", "LimitAnswers": 3}}
    result = checked(tmp_path, content)
    assert result.notes == []
    assert result.loaded is not None
    assert result.loaded.config.worklists.database == Path("/srv/wl")
    assert result.loaded.config.worklists.limit_answers == 3
    assert result.loaded.origins["Worklists.Database"].line == 4


def test_a_section_under_both_its_names_is_an_error(tmp_path: Path) -> None:
    error = the_error(tmp_path, '{"Worklists": {},\n"ModalityWorklists": {}}')
    assert (error.option, error.line) == ("ModalityWorklists", 2)
    assert "mwl.json:1" in error.message


def test_an_option_under_both_its_names_is_an_error(tmp_path: Path) -> None:
    error = the_error(tmp_path, '{"Worklists": {"Database": "a",\n"Directory": "b"}}')
    assert (error.option, error.line) == ("Directory", 2)


def test_both_forms_of_modalities_are_read(tmp_path: Path) -> None:
    content = {
        "DicomModalities": {
            "ct1": ["CT1 ", "10.0.0.7", 104],
            "mr1": ["MR1", "10.0.0.8", "11112", "Generic"],
            "us1": {
                "AET": "US1",
                "Host": "us1",
                "Port": "104",
                "Manufacturer": "GE",
                "AllowEcho": False,
                "AllowFindWorklist": False,
                "AllowStore": True,
                "LocalAet": "ME",
                "Timeout": 7,
                "UseDicomTls": True,
            },
            "xa1": {"AET": "XA1", "Host": "10.0.0.9", "Port": 104},
        }
    }
    assert config_of(tmp_path, content).modalities == (
        Modality(name="ct1", ae_title="CT1", host="10.0.0.7", port=104),
        Modality(name="mr1", ae_title="MR1", host="10.0.0.8", port=11112),
        Modality(
            name="us1",
            ae_title="US1",
            host="us1",
            port=104,
            allow_echo=False,
            allow_find_worklist=False,
            local_ae_title="ME",
            timeout_s=7,
            use_tls=True,
            manufacturer="GE",
            others=(("AllowStore", True),),
        ),
        Modality(name="xa1", ae_title="XA1", host="10.0.0.9", port=104),
    )


@pytest.mark.parametrize(
    ("entry", "option"),
    [
        (["CT1", "host"], "a"),
        (["CT1", "host", 104, "Generic", "more"], "a"),
        (["CT1", "host", 104, 5], "a"),
        (["", "host", 104], "a.AET"),
        (["SEVENTEEN_LETTERS", "host", 104], "a.AET"),
        (["BACK\\SLASH", "host", 104], "a.AET"),
        (["ÄÖÜ", "host", 104], "a.AET"),
        ([5, "host", 104], "a.AET"),
        (["CT1", "", 104], "a.Host"),
        (["CT1", 5, 104], "a.Host"),
        (["CT1", "host", 0], "a.Port"),
        (["CT1", "host", 65536], "a.Port"),
        (["CT1", "host", "ssh"], "a.Port"),
        (["CT1", "host", True], "a.Port"),
        ({"AET": "CT1", "Port": 104}, "a"),
        ({"AET": "CT1", "Host": "host", "Port": 104, "AllowEcho": "yes"}, "a.AllowEcho"),
        ("CT1", "a"),
        (None, "a"),
    ],
)
def test_a_modality_that_cannot_be_used_is_an_error(
    tmp_path: Path, entry: object, option: str
) -> None:
    error = the_error(tmp_path, {"DicomModalities": {"a": entry}})
    assert error.option == f"DicomModalities.{option}"
    assert error.line == (3 if "." not in option or isinstance(entry, list) else 7)


def test_all_entries_that_cannot_be_used_are_found_at_once(tmp_path: Path) -> None:
    content = {
        "DicomModalities": {"a": "A", "b": ["B", "host", 104], "c": ["C", "", 104]},
        "Dictionary": {"0009,1001": "LO", "0009,1002": ["XX", "x"], "0009,1003": ["LO", "x"]},
    }
    assert [(error.option, error.line is None) for error in checked(tmp_path, content).errors] == [
        ("DicomModalities.a", False),
        ("DicomModalities.c.Host", False),
        ("Dictionary.0009,1001", False),
        ("Dictionary.0009,1002", False),
    ]


def test_dictionary_entries_are_read(tmp_path: Path) -> None:
    content = {
        "Dictionary": {
            "0014,1020": ["DA", "ValidationExpiryDate", 1, 1],
            "00e110c2": ["UI", "Multi Modality Name", 1, 0, "ELSCINT1"],
            "2001,5f": ["SQ", "StackSequence"],
        }
    }
    assert config_of(tmp_path, content).dictionary == (
        DictionaryEntry(tag=0x00141020, vr="DA", name="ValidationExpiryDate"),
        DictionaryEntry(
            tag=0x00E110C2,
            vr="UI",
            name="Multi Modality Name",
            maximum=0,
            private_creator="ELSCINT1",
        ),
        DictionaryEntry(tag=0x2001005F, vr="SQ", name="StackSequence"),
    )


@pytest.mark.parametrize(
    ("tag", "entry"),
    [
        ("PatientName", ["PN", "x"]),
        ("0009,1001", ["XX", "x"]),
        ("0009,1001", ["LO"]),
        ("0009,1001", "LO"),
        ("0009,1001", ["LO", "x", "1"]),
        ("0009,1001", ["LO", "x", 0]),
        ("0009,1001", ["LO", "x", 1, -1]),
        ("0009,1001", ["LO", "x", 1, 1, 5]),
        ("0009,1001", ["LO", "x", 1, 1, "creator", "more"]),
    ],
)
def test_a_dictionary_entry_that_cannot_be_used_is_an_error(
    tmp_path: Path, tag: str, entry: object
) -> None:
    error = the_error(tmp_path, {"Dictionary": {tag: entry}})
    assert (error.option, error.line) == (f"Dictionary.{tag}", 3)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([0], "found 0 as the least number of values, allowed is 1 or more"),
        ([1, -1], "found -1 as the most values, allowed is 1 or more, or 0 for any number"),
    ],
)
def test_a_wrong_number_of_values_says_which_are_allowed(
    tmp_path: Path, counts: list[int], message: str
) -> None:
    error = the_error(tmp_path, {"Dictionary": {"0009,1001": ["LO", "x", *counts]}})
    assert error.message == message


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("Name", 5, "text"),
        ("DicomAet", "SEVENTEEN_LETTERS", "1 to 16 ASCII characters, no backslash, not only"),
        ("DicomAet", "   ", "1 to 16 ASCII"),
        ("DicomPort", "104", "a whole number from 0 to 65535"),
        ("DicomPort", 65536, "a whole number from 0 to 65535"),
        ("DicomPort", -1, "a whole number"),
        ("DicomPort", 1.5, "a whole number"),
        ("DicomPort", True, "a whole number"),
        ("DicomPort", None, "a whole number"),
        ("DicomServerEnabled", 1, "true or false"),
        ("DicomServerEnabled", "true", "true or false"),
        ("DefaultEncoding", "latin1", '"Ascii" or "Utf8" or "Latin1"'),
        ("DicomScpTimeout", -1, "a whole number from 0 to 86400 seconds"),
        ("MaximumPduLength", 4095, "a whole number from 4096 to 131072 bytes"),
        ("MaximumPduLength", 131073, "a whole number from 4096 to 131072 bytes"),
        ("DicomModalities", [], "an object"),
        ("LuaScripts", "one.lua", "a list of paths of files"),
        ("LuaScripts", [""], "a list of paths of files"),
        ("PythonScript", 5, "the path of a file"),
        ("Hooks", [5], "a list of paths of files and names of entry points"),
        ("CallbackTimeout", 0, "a whole number from 1 to 3600 seconds"),
        ("Dictionary", [], "an object"),
        ("Worklists.Enable", "yes", "true or false"),
        ("Worklists.Database", "", "the path of a folder"),
        ("Worklists.Database", "a\0b", "the path of a folder"),
        ("Worklists.Database", "\ud800", "the path of a folder"),
        ("Worklists.FilterIssuerAet", "fill", 'false or true or "force"'),
        ("Worklists.FilterIssuerAet", 1, 'false or true or "force"'),
        ("Worklists.Compatibility", "Standard", '"standard" or "orthanc"'),
        ("Worklists.Watch", True, '"auto" or "inotify" or "scan"'),
    ],
)
def test_a_wrong_value_is_an_error_with_file_line_option_and_what_is_allowed(
    tmp_path: Path, option: str, value: object, allowed: str
) -> None:
    section, _, key = option.rpartition(".")
    error = the_error(tmp_path, {section: {key: value}} if section else {key: value})
    assert error.file == str(tmp_path / "mwl.json")
    assert error.line == (3 if section else 2)
    assert error.option == option
    assert f"allowed is {allowed}" in error.message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_an_error(tmp_path: Path, number: str) -> None:
    error = the_error(tmp_path, f'{{"DicomPort": {number}}}')
    assert error.option == "DicomPort"


def test_a_section_that_is_not_an_object_is_an_error(tmp_path: Path) -> None:
    assert the_error(tmp_path, {"Worklists": True}).option == "Worklists"


def test_all_errors_of_a_file_are_found_at_once(tmp_path: Path) -> None:
    content = {"DicomPort": "x", "MaximumPduLength": 1, "Worklists": {"Watch": 5}}
    result = checked(tmp_path, content)
    assert [error.option for error in result.errors] == [
        "DicomPort",
        "MaximumPduLength",
        "Worklists.Watch",
    ]
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "mwl.json"], {})
    assert caught.value.option == "DicomPort"
    assert [note.split(": ")[1] for note in caught.value.__notes__] == [
        "MaximumPduLength",
        "Worklists.Watch",
    ]


def test_a_long_wrong_value_is_cut_in_the_message(tmp_path: Path) -> None:
    assert len(the_error(tmp_path, {"DicomPort": "x" * 1000}).message) < 150


def test_a_variable_that_is_not_set_is_an_error_with_its_name_and_line(tmp_path: Path) -> None:
    error = the_error(tmp_path, '{\n"DicomPort": "${MWL_PORT}"}')
    assert (error.line, error.option) == (2, "DicomPort")
    assert "MWL_PORT" in error.message
    assert the_error(tmp_path, '{\n"DicomPort": ${MWL_PORT}}').message == error.message
    error = the_error(tmp_path, {"ModalityWorklists": {"Directory": "${MWL_FOLDER}"}})
    assert (error.line, error.option) == (3, "Worklists.Database")
    assert config_of(tmp_path, '{"DicomPort": ${MWL_PORT}}', MWL_PORT="104").dicom_port == 104


def test_a_variable_that_is_not_set_in_an_ignored_option_is_no_error(tmp_path: Path) -> None:
    notes = checked(tmp_path, {"PostgreSQL": {"Password": "${NOT_SET}"}}).notes
    assert {note.kind for note in notes} == {"ignored"}


@pytest.mark.parametrize(
    "option", ["HttpTimeout", "DicomWeb", "PostgreSQL", "LuaHeartBeatPeriod", "Plugins"]
)
def test_orthancs_other_options_are_ignored(tmp_path: Path, option: str) -> None:
    note = the_note(tmp_path, {option: {"Anything": [1, None]}})
    assert (note.kind, note.option, note.line) == ("ignored", option, 2)


@pytest.mark.parametrize(
    ("option", "likely"),
    [
        ("DicomAEt", "DicomAet"),
        ("dicomport", "DicomPort"),
        ("DicomModalites", "DicomModalities"),
        ("Worklist", "Worklists"),
        ("StrictAETComparison", "StrictAetComparison"),
        ("DicomAlwaysAllowFindWorklists", "DicomAlwaysAllowFindWorklist"),
    ],
)
def test_a_misspelt_option_is_a_warning_with_the_likely_name(
    tmp_path: Path, option: str, likely: str
) -> None:
    note = the_note(tmp_path, {option: {}})
    assert (note.kind, note.option, note.line) == ("warning", option, 2)
    assert note.hint == f"did you mean {likely}?"


def test_a_name_that_is_like_no_option_is_ignored(tmp_path: Path) -> None:
    assert the_note(tmp_path, {"MyOwnPlugin": {}}).kind == "ignored"


def test_an_unknown_name_in_the_worklists_section_is_a_warning(tmp_path: Path) -> None:
    note = the_note(tmp_path, {"ModalityWorklists": {"Datenbase": "x"}})
    assert (note.kind, note.option, note.line) == ("warning", "ModalityWorklists.Datenbase", 3)
    assert note.hint == "did you mean Database?"
    note = the_note(tmp_path, {"Worklists": {"Colour": "x"}})
    assert note.kind == "warning"
    assert note.hint is not None
    assert "LimitAnswers" in note.hint


def test_other_options_of_orthancs_worklist_plugin_are_ignored(tmp_path: Path) -> None:
    content = {"Worklists": {"DeleteWorklistsOnStableStudy": True, "HousekeepingInterval": 60}}
    assert [note.kind for note in checked(tmp_path, content).notes] == ["ignored", "ignored"]


def test_unknown_names_in_a_modality_are_warnings_and_orthancs_are_not(tmp_path: Path) -> None:
    entry = {"AET": "A", "Host": "h", "Port": 1, "AllowGet": False, "AllowFindWorklists": True}
    others, misspelt = checked(tmp_path, {"DicomModalities": {"a": entry}}).notes
    assert (others.kind, others.option) == ("ignored", "DicomModalities.a.AllowGet")
    assert (misspelt.kind, misspelt.hint) == ("warning", "did you mean AllowFindWorklist?")


@pytest.mark.parametrize(
    "content",
    [
        {"DicomModalitiesInDatabase": True},
        {"ReadOnly": True},
        {"Worklists": {"SaveInOrthancDatabase": True}},
    ],
)
def test_what_a_site_may_rely_on_and_is_not_done_is_a_warning(
    tmp_path: Path, content: Mapping[str, Any]
) -> None:
    assert the_note(tmp_path, content).kind == "warning"
    off = json.loads(json.dumps(content).replace("true", "false"))
    assert checked(tmp_path, off).notes == []


def test_a_host_that_can_never_be_equal_is_a_warning_when_hosts_are_checked(
    tmp_path: Path,
) -> None:
    content = {
        "DicomCheckModalityHost": True,
        "DicomModalities": {"a": ["A", "scanner", 104], "b": ["B", "10.0.0.7", 104]},
    }
    note = the_note(tmp_path, content)
    assert (note.kind, note.option) == ("warning", "DicomModalities.a")
    assert checked(tmp_path, content | {"DicomCheckModalityHost": False}).notes == []


MODALITY_WITH = '{"DicomModalities": {"a": {"AET": "A", "Host": "h", "Port": 1, %s}}}'


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ('{"DicomPort": 1,\n"DicomPort": 2}', "DicomPort"),
        ('{"DicomModalities": {"a": ["A", "h", 1]},\n"DicomModalities": {}}', "DicomModalities"),
        ('{"DicomModalities": {"a": ["A", "h", 1],\n"a": ["B", "h", 1]}}', "DicomModalities.a"),
        (MODALITY_WITH % '\n"AET": "B"', "DicomModalities.a.AET"),
        ('{"Worklists": {"Enable": true},\n"Worklists": {"Database": "wl"}}', "Worklists"),
        ('{"ModalityWorklists": {"Directory": "a",\n"Directory": "b"}}', "Worklists.Database"),
        ('{"Worklists": {"Enable": true,\n"Enable": false}}', "Worklists.Enable"),
        ('{"Dictionary": {"0009,1001": ["LO", "a"],\n"0009,1001": ["LO", "b"]}}', "Dictionary"),
    ],
)
def test_an_option_given_twice_in_a_file_is_an_error_that_names_both_lines(
    tmp_path: Path, text: str, option: str
) -> None:
    error = the_error(tmp_path, text)
    assert error.option is not None
    assert error.option.startswith(option)
    assert (error.file, error.line) == (str(tmp_path / "mwl.json"), 2)
    assert f"{tmp_path / 'mwl.json'}:1" in error.message
    assert error.hint == "one of the two must go"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ('{"HttpTimeout": 1,\n"HttpTimeout": 2}', "HttpTimeout"),
        ('{"PostgreSQL": {"Enable": true,\n"Enable": false}}', "PostgreSQL.Enable"),
        ('{"Worklists": {"Colour": 1,\n"Colour": 2}}', "Worklists.Colour"),
        (MODALITY_WITH % '"AllowGet": true,\n"AllowGet": false', "DicomModalities.a.AllowGet"),
    ],
)
def test_a_key_without_meaning_given_twice_is_a_warning(
    tmp_path: Path, text: str, option: str
) -> None:
    result = checked(tmp_path, text)
    assert result.errors == []
    (note,) = (note for note in result.notes if "twice" in note.message)
    assert (note.kind, note.option) == ("warning", option)
    assert note.describe().startswith(f"{tmp_path / 'mwl.json'}:2: {note.option}: ")


def test_options_of_the_worklists_section_at_the_top_level_are_warnings(tmp_path: Path) -> None:
    content = {"Enable": True, "Directory": "wl", "FilterIssuerAet": True, "LimitAnswers": 5}
    notes = checked(tmp_path, content).notes
    assert [(note.kind, note.option, note.line) for note in notes] == [
        ("warning", name, line) for line, name in enumerate(content, 2)
    ]
    assert all("belongs into Worklists" in note.message for note in notes)
    assert notes[0].hint == 'write it inside "Worklists": {...}'


def test_a_folder_is_served_to_the_loopback_without_a_file() -> None:
    config = of_folder(Path("/srv/wl"))
    assert config.loopback_may_query
    assert config.dicom_host == "127.0.0.1"
    assert config.worklists.enable
    assert config.worklists.database == Path("/srv/wl")
    assert not load([], {}).config.loopback_may_query


def test_one_open_service_opens_the_first_stage(tmp_path: Path) -> None:
    names = ["Store", "Find", "Get", "Move"]
    shut: dict[str, bool] = {f"DicomAlwaysAllow{name}": False for name in names}
    assert not config_of(tmp_path, shut).dicom_always_allow_other
    for name in shut:
        assert config_of(tmp_path, shut | {name: True}).dicom_always_allow_other


def test_orthancs_own_configuration_file_loads_without_a_warning(tmp_path: Path) -> None:
    text = """/* Orthanc */ {
      "Name" : "MyOrthanc", "StorageDirectory" : "OrthancStorage", "Plugins" : [ ],
      "HttpPort" : 8042, // REST
      "DicomAet" : "ORTHANC", "DicomPort" : 4242, "DefaultEncoding" : "Latin1",
      "RegisteredUsers" : { /* "alice" : "alicePassword" */ },
      "DicomModalities" : { /* "sample" : [ "STORESCP", "127.0.0.1", 2000 ] */ },
      "DicomAlwaysAllowStore" : true, "DicomScuTimeout" : 10, "JobsHistorySize" : 10,
      "Dictionary" : { /* "0014,1020" : [ "DA", "ValidationExpiryDate", 1, 1 ] */ },
      "Warnings" : { "W001_TagsBeingReadFromStorage" : true },
      "Worklists" : { "Enable": true, "Database": "WorklistsDatabase", "LimitAnswers": 0 }
    }"""
    result = checked(tmp_path, text)
    assert result.errors == []
    assert {note.kind for note in result.notes} == {"ignored"}


@pytest.mark.parametrize(
    "value", [[], "x", {"a": 1}, {"a": ""}, {"": "b"}, {"a:b": "Tulpe"}, {"a": ["Tulpe"]}]
)
def test_users_that_are_none_are_refused_without_a_password(tmp_path: Path, value: object) -> None:
    error = the_error(tmp_path, {"RegisteredUsers": value})
    assert error.option == "RegisteredUsers"
    assert "Tulpe" not in str(error)


@pytest.mark.parametrize(
    ("users", "found"),
    [
        ({"ris": ""}, "the password of 'ris' is empty"),
        ({"ris": 4711}, "the password of 'ris' is no text"),
        ({"ris:x": "Tulpe"}, "the name of a user has a colon"),
        ({"": "Tulpe"}, "a user has no name"),
    ],
)
def test_what_is_wrong_with_a_user_is_said(
    tmp_path: Path, users: dict[str, object], found: str
) -> None:
    error = the_error(tmp_path, {"RegisteredUsers": {"nurse": "Tulpe", **users}})
    assert error.message.startswith(f"{found}, allowed is")


def test_a_password_of_a_variable_that_is_not_set_is_one_error(tmp_path: Path) -> None:
    error = the_error(tmp_path, {"RegisteredUsers": {"ris": "${NO_SUCH_VARIABLE}"}})
    assert (error.option, error.message) == (
        "RegisteredUsers.ris",
        "environment variable NO_SUCH_VARIABLE is not set",
    )


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"RegisteredUsers": {"nurse": "Tulpe"}})
    assert config.registered_users == {"nurse": "Tulpe"}
    assert "Tulpe" not in repr(config)
    shown = in_force(config, secrets=False)["RegisteredUsers"]
    assert shown == {"nurse": "(hidden)"}


def test_authentication_is_as_remote_access_unless_it_is_said(tmp_path: Path) -> None:
    for remote in (True, False):
        content = {"RemoteAccessAllowed": remote}
        assert config_of(tmp_path, content).http_authentication is remote
        for said in (True, False):
            given = content | {"AuthenticationEnabled": said}
            assert config_of(tmp_path, given).http_authentication is said


def test_addresses_are_a_list_of_texts(tmp_path: Path) -> None:
    content = {"HttpBindAddresses": ["127.0.0.1", "::1"]}
    assert config_of(tmp_path, content).http_bind_addresses == ("127.0.0.1", "::1")
    wrongs: tuple[object, ...] = ("127.0.0.1", [1], [""], {})
    for wrong in wrongs:
        assert the_error(tmp_path, {"HttpBindAddresses": wrong}).option == "HttpBindAddresses"


def test_a_password_that_nobody_has_is_a_warning(tmp_path: Path) -> None:
    note = the_note(tmp_path, {"AuthenticationEnabled": True})
    assert (note.kind, note.option) == ("warning", "AuthenticationEnabled")
    content = {"AuthenticationEnabled": True, "RegisteredUsers": {"nurse": "Tulpe"}}
    assert checked(tmp_path, content).notes == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", None),
        ("file:audit.xml", "file:{folder}/audit.xml"),
        ("file:/var/log/audit.xml", "file:/var/log/audit.xml"),
        ("file:///var/log/audit.xml", "file:/var/log/audit.xml"),
        ("udp://log.example", "udp://log.example:514"),
        ("udp://192.0.2.1:1514/", "udp://192.0.2.1:1514"),
        ("tls://log.example", "tls://log.example:6514"),
        ("tls://[2001:db8::1]:1", "tls://[2001:db8::1]:1"),
    ],
)
def test_a_destination_of_audit_messages_is_read(
    tmp_path: Path, written: str, expected: str | None
) -> None:
    destination = config_of(tmp_path, {"Audit": {"Destination": written}}).audit.destination
    if expected is None:
        assert destination is None
    else:
        assert isinstance(destination, AuditDestination)
        assert str(destination) == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        *("audit.xml", "file:", "http://log.example", "udp://", "udp://log.example:0"),
        *("tls://log.example:99999", "tls://[::1", "tls://log.example/path", "udp:log.example"),
        *("tls://user@log.example", 7, None),
    ],
)
def test_what_is_no_destination_of_audit_messages_is_refused(
    tmp_path: Path, written: object
) -> None:
    error = the_error(tmp_path, json.dumps({"Audit": {"Destination": written}}))
    assert error.option == "Audit.Destination"
    assert "udp://host:port" in error.message


def test_an_option_of_a_section_at_the_top_is_told_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "mwl.json"
    file.write_text('{"Audit": {"SpoolSizes": ""}, "SpoolSize": 5}', encoding="utf-8")
    notes = {note.option: note.hint for note in check([file], {}).notes}
    assert notes == {
        "Audit.SpoolSizes": "did you mean SpoolSize?",
        "SpoolSize": 'write it inside "Audit": {...}',
    }
