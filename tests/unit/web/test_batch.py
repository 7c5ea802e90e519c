"""Many items in one request, each row for itself."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.web.batch import _rows
from mwl.web.errors import ApiError
from support.api import Api, api_of, tags


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path) as api:
        yield api


async def batch(api: Api, rows: Any, query: str = "") -> list[dict[str, Any]]:
    said = await api.ask("POST", f"/worklists/batch{query}", rows)
    assert said.status == 200, said.body
    found: list[dict[str, Any]] = said.json()
    return found


async def test_each_row_has_its_own_result_in_the_same_order(api: Api) -> None:
    rows = [
        {"Tags": tags(1)},
        {"Tags": tags(2, PatientID="")},
        7,
        {"Tags": tags(3), "ID": "three"},
        {"Tags": tags(4), "AccessionNumber": "A4"},
        {"Tags": tags(5), "AccessionNumber": "A6"},
        {"Tags": tags(6), "ID": "../six"},
        {"Tags": tags(7), "ID": "x", "AccessionNumber": "y"},
        {"Tags": {"NoKeyword": "1"}},
        {},
    ]
    results = await batch(api, rows)
    assert ["Error" not in result for result in results] == [
        *(True, False, False, True, True),
        *(False, False, False, False, False),
    ]
    assert results[3]["ID"] == "three"
    assert {finding["rule"] for finding in results[1]["Error"]["Findings"]} == {
        *("MWL202", "MWL602")
    }
    assert all(result["Error"]["HttpStatus"] == 400 for result in results if "Error" in result)
    assert len(list(api.folder.iterdir())) == 3
    assert len(api.found("PatientID")) == 3


async def test_a_result_has_the_tag_that_the_item_has(api: Api) -> None:
    [result] = await batch(api, [{"Tags": tags()}])
    assert (await api.ask("GET", result["Path"])).tag == result["ETag"]


async def test_to_send_it_again_changes_nothing(api: Api) -> None:
    rows = [{"Tags": tags(number), "AccessionNumber": f"A{number}"} for number in range(5)]
    first = await batch(api, rows)
    files = {path: path.stat().st_ino for path in api.folder.iterdir()}
    assert await batch(api, rows) == first
    assert {path: path.stat().st_ino for path in api.folder.iterdir()} == files


async def test_two_rows_about_one_item_are_not_guessed_between(api: Api) -> None:
    rows = [{"Tags": tags(number), "ID": "a"} for number in (1, 2)]
    first, second = await batch(api, rows)
    assert first["ID"] == "a"
    assert second["Error"]["HttpStatus"] == 409


async def test_force_may_be_said_for_all(api: Api) -> None:
    rows = [{"Tags": tags(1, PatientID="")}, {"Tags": tags(2, PatientID=""), "Force": False}]
    first, second = await batch(api, rows, "?Force=true")
    assert "ID" in first
    assert "Error" in second


async def test_the_folder_is_brought_to_the_disk_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        folders.extend([path] if path.is_dir() else [])
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    assert len(await batch(api, [{"Tags": tags(number)} for number in range(50)])) == 50
    assert len(folders) == 1


async def test_what_changed_meanwhile_is_made_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.ask("PUT", "/worklists/a", {"Tags": tags(1)})
    worklist = api.context.worklists.of("ORTHANC")
    assert worklist is not None
    write = worklist.catalog.write
    between = [b"another program's"]

    def interfered(writes: Any) -> Any:
        if between:
            (api.folder / "a.wl").write_bytes(between.pop())
        return write(writes)

    monkeypatch.setattr(worklist.catalog, "write", interfered)
    results = await batch(api, [{"Tags": tags(2), "ID": "a"}, {"Tags": tags(3), "ID": "b"}])
    assert [result.get("ID") for result in results] == ["a", "b"]
    assert len(api.found("PatientID")) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"3", b"[", b"[1", b"[1 2]", b"[1,]", b"[] x", b"[nope]", b"\xff", b"[" * 5000],
)
async def test_what_is_no_array_is_refused_whole(api: Api, body: bytes) -> None:
    said = await api.ask("POST", "/worklists/batch", body)
    assert said.status == 400
    assert said.json()["OrthancStatus"] == 15


async def test_an_empty_array_is_nothing(api: Api) -> None:
    assert await batch(api, []) == []


@given(st.lists(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5)))
def test_rows_are_read_as_json_has_them(values: list[Any]) -> None:
    for indent in (None, 2):
        assert list(_rows(json.dumps(values, indent=indent))) == values


@given(st.text(alphabet='[]{},:"0 \n', max_size=12))
def test_what_json_refuses_is_refused(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list):
        assert list(_rows(text)) == value
    else:
        with pytest.raises(ApiError):
            list(_rows(text))
