"""Items over HTTP: Orthanc's routes and ours, one item at a time."""

import asyncio
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mwl.attributes import PATIENT_ID, PATIENT_NAME, STUDY_INSTANCE_UID
from mwl.config import Config
from mwl.dataset import read_file
from mwl.store import writing as writing_module
from support.api import STEP, Api, api_of, tags
from support.worklist_files import FIVE_ITEMS, fill, part10

ORTHANC_EXAMPLE = {
    "Tags": {
        "PatientID": "PID-45",
        "PatientName": "Toto",
        "ScheduledProcedureStepSequence": [
            {
                "Modality": "US",
                "ScheduledProcedureStepStartDate": "20251014",
                "ScheduledProcedureStepDescription": "Description",
            }
        ],
    }
}
"""What Orthanc's documentation shows; scripts are made after it."""

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path) as api:
        yield api


def with_worklists(**options: Any) -> Any:
    def change(config: Config) -> Config:
        return dataclasses.replace(
            config, worklists=dataclasses.replace(config.worklists, **options)
        )

    return change


def is_error(said: Any, http_status: int, orthanc_status: int) -> bool:
    body = said.json()
    assert set(body) >= {
        *("HttpError", "HttpStatus", "Message", "Method"),
        *("OrthancError", "OrthancStatus", "Uri"),
    }
    return (said.status, body["HttpStatus"], body["OrthancStatus"]) == (
        http_status,
        http_status,
        orthanc_status,
    )


class TestCreate:
    async def test_the_example_of_orthanc_is_taken_as_it_is(self, api: Api) -> None:
        said = await api.ask("POST", "/worklists/create", ORTHANC_EXAMPLE)
        assert said.status == 200
        reply = said.json()
        assert set(reply) == {"ID", "Path"}
        assert reply["Path"] == f"/worklists/{reply['ID']}"
        assert [path.name for path in api.folder.iterdir()] == [f"{reply['ID']}.wl"]
        item = (await api.ask("GET", reply["Path"])).json()
        assert item["ID"] == reply["ID"]
        assert item["Tags"]["PatientName"] == "Toto"
        assert item["Tags"]["SpecificCharacterSet"] == "ISO_IR 192"
        assert item["Tags"]["StudyInstanceUID"].startswith("2.25.")
        assert item["Tags"]["ScheduledProcedureStepSequence"][0]["Modality"] == "US"

    async def test_the_very_next_query_of_a_scanner_has_it(self, api: Api) -> None:
        assert api.found("PatientID") == []
        await api.create()
        [found] = api.found("PatientID")
        assert found[PATIENT_ID].value == b"P1"

    @pytest.mark.parametrize(
        "names",
        [
            {"0010,0020": "X1", "0010,0010": "DOE^JANE"},
            {"00100020": "X1", "00100010": "DOE^JANE"},
            {"0010-0020": "X1", "0010-0010": "DOE^JANE"},
            {
                "00100020": {"vr": "LO", "Value": ["X1"]},
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE^JANE"}]},
            },
        ],
    )
    async def test_attributes_may_be_named_by_tag(self, api: Api, names: dict[str, Any]) -> None:
        step: dict[str, Any] = {"ScheduledProcedureStepSequence": [STEP]}
        if isinstance(names.get("00100020"), dict):
            said = await api.ask("POST", "/worklists/create", {"Tags": names, "Force": True})
        else:
            said = await api.ask("POST", "/worklists/create", {"Tags": names | step})
        assert said.status == 200, said.body
        assert api.found("PatientID=X1")

    @pytest.mark.parametrize(
        ("missing", "said"),
        [
            ("Modality", "Modality"),
            ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartDate"),
        ],
    )
    async def test_an_item_that_orthanc_refuses_is_refused(
        self, api: Api, missing: str, said: str
    ) -> None:
        step = {key: value for key, value in STEP.items() if key != missing}
        body = {"Tags": tags(ScheduledProcedureStepSequence=[step])}
        refused = await api.ask("POST", "/worklists/create", body)
        assert is_error(refused, 400, 15)
        assert said in {finding["keyword"] for finding in refused.json()["Findings"]}
        assert list(api.folder.iterdir()) == []

    async def test_an_item_with_errors_is_refused_with_what_the_check_found(self, api: Api) -> None:
        body = {"Tags": tags(PatientID="", PatientName="")}
        refused = await api.ask("POST", "/worklists/create", body)
        assert is_error(refused, 400, 15)
        findings = refused.json()["Findings"]
        assert {"MWL202"} <= {finding["rule"] for finding in findings}
        assert set(findings[0]) == {
            *("rule", "severity", "path", "keyword", "message"),
            *("title", "why", "section", "advice"),
        }
        assert list(api.folder.iterdir()) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"PatientID": "x" * 65},
            {"PatientBirthDate": "the day before"},
            {"PatientSex": "female"},
        ],
    )
    async def test_force_writes_what_would_be_refused(
        self, api: Api, wrong: dict[str, Any]
    ) -> None:
        body = {"Tags": tags(**wrong)}
        refused = await api.ask("POST", "/worklists/create", body)
        assert is_error(refused, 400, 15)
        [value] = wrong.values()
        assert value not in refused.body.decode()
        said = await api.ask("POST", "/worklists/create", body | {"Force": True})
        assert said.status == 200
        item = (await api.ask("GET", said.json()["Path"])).json()["Tags"]
        assert item | wrong == item

    async def test_force_adds_nothing_but_what_orthanc_adds(self, api: Api) -> None:
        body = {"Tags": {"PatientID": "P1"}, "Force": True}
        path = (await api.ask("POST", "/worklists/create", body)).json()["Path"]
        item = (await api.ask("GET", path)).json()["Tags"]
        assert list(item) == ["SpecificCharacterSet", "PatientID", "StudyInstanceUID"]

    async def test_no_study_is_made_up_where_the_site_does_not_want_it(
        self, tmp_path: Path
    ) -> None:
        with api_of(tmp_path, with_worklists(set_study_instance_uid=False)) as api:
            for force in (True, False):
                body = {"Tags": tags(1 + force), "Force": force}
                said = await api.ask("POST", "/worklists/create", body)
                assert said.status == 200, said.body
            assert not any(item[STUDY_INSTANCE_UID].value for item in api.found("StudyInstanceUID"))

    async def test_in_orthancs_dialect_only_what_it_refuses_is(self, tmp_path: Path) -> None:
        with api_of(tmp_path, with_worklists(compatibility="orthanc")) as api:
            step = {"Modality": "CT", "ScheduledProcedureStepStartDate": "20991124"}
            body = {"Tags": {"ScheduledProcedureStepSequence": [step]}}
            assert (await api.ask("POST", "/worklists/create", body)).status == 200
            del step["Modality"]
            assert is_error(await api.ask("POST", "/worklists/create", body), 400, 15)

    async def test_another_patient_in_the_same_order_is_refused(self, api: Api) -> None:
        await api.create(number=1)
        refused = await api.ask(
            "POST", "/worklists/create", {"Tags": tags(2, AccessionNumber="A1")}
        )
        assert is_error(refused, 400, 15)
        assert "MWL702" in {finding["rule"] for finding in refused.json()["Findings"]}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no JSON",
            b"[]",
            b"{}",
            b'{"Tags": []}',
            b'{"Tags": {"NoSuchKeyword": "x"}}',
            b'{"Tags": {"PatientName": true}}',
            b'{"Tags": {"PatientName": {"a": "b"}}}',
            b'{"Tags": {"PatientName": "\\ud800"}}',
            b'{"Tags": {"PatientID": "1", "0010,0020": "2"}}',
            b'{"Tags": {"00020010": "1.2"}}',
            b'{"Tags": {"PatientName": "x"}, "Force": 1}',
            b'{"Tags": ' + b'{"ReferencedStudySequence": [' * 400 + b"]}" * 400 + b"}",
        ],
    )
    async def test_a_body_that_says_no_item_is_an_error_of_the_client(
        self, api: Api, body: bytes
    ) -> None:
        assert is_error(await api.ask("POST", "/worklists/create", body), 400, 15)
        assert list(api.folder.iterdir()) == []

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
    async def test_another_method_is_not_allowed(self, api: Api, method: str) -> None:
        said = await api.ask(method, "/worklists/create", ORTHANC_EXAMPLE)
        assert said.status == 405
        assert said.headers["allow"] == "POST"

    async def test_a_folder_that_cannot_be_written_is_said(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: Path, __: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(writing_module, "sync_folder", broken)
        said = await api.ask("POST", "/worklists/create", {"Tags": tags()})
        assert is_error(said, 507, 19)


class TestOne:
    async def test_a_dropped_file_has_its_name_for_identifier(self, api: Api) -> None:
        fill(api.folder, {"Käse & co.wl": part10(FIVE_ITEMS["p1.wl"])})
        fill(api.folder, {"UPPER.WL": part10(FIVE_ITEMS["p2.wl"])})
        for identifier, patient in (("K%C3%A4se%20%26%20co", "P1"), ("UPPER.WL", "P2")):
            item = (await api.ask("GET", f"/worklists/{identifier}")).json()
            assert item["Tags"]["PatientID"] == patient
            assert (await api.ask("DELETE", f"/worklists/{identifier}")).json() == {}
        assert list(api.folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("form", "tag", "value"),
        [
            ("Simplify", "PatientID", "P1"),
            ("Short", "0010,0020", "P1"),
            ("Full", "0010,0020", {"Name": "PatientID", "Type": "String", "Value": "P1"}),
        ],
    )
    async def test_tags_are_written_in_three_forms(
        self, api: Api, form: str, tag: str, value: Any
    ) -> None:
        identifier = await api.create()
        said = await api.ask("GET", f"/worklists/{identifier}?format={form}")
        assert said.json()["Tags"][tag] == value
        [listed] = (await api.ask("GET", f"/worklists?format={form}")).json()
        assert listed["Tags"] == said.json()["Tags"]

    async def test_another_form_is_an_error(self, api: Api) -> None:
        for uri in ("/worklists", f"/worklists/{await api.create()}"):
            assert is_error(await api.ask("GET", f"{uri}?format=XML"), 400, 3)

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    @pytest.mark.parametrize(
        "name", ["nope", "..", "%2e%2e%2fetc", "a%00", "a%0a", "%ff", "x" * 300]
    )
    async def test_what_is_not_there_is_unknown(self, api: Api, method: str, name: str) -> None:
        said = await api.ask(method, f"/worklists/{name}")
        assert said.status == 404
        assert said.json()["OrthancStatus"] in {7, 17}

    async def test_a_put_replaces_and_makes(self, api: Api) -> None:
        for number in (1, 2):
            said = await api.ask("PUT", "/worklists/mine", {"Tags": tags(number)})
            assert said.json() == {"ID": "mine", "Path": "/worklists/mine"}
            [found] = api.found("PatientName")
            assert found[PATIENT_NAME].value == f"DOE^JANE{number} ".encode()

    async def test_a_put_passes_faults_unless_it_is_told_not_to(self, api: Api) -> None:
        body = {"Tags": tags(PatientID="")}
        assert (await api.ask("PUT", "/worklists/mine", body)).status == 200
        refused = await api.ask("PUT", "/worklists/mine", body | {"Force": False})
        assert is_error(refused, 400, 15)

    @pytest.mark.parametrize(
        "name", [".hidden", "a%5Cb", "a%0Ab", "a%7f", "%20", "x" * 198, "a%00b"]
    )
    async def test_a_name_that_is_not_safe_is_refused(self, api: Api, name: str) -> None:
        said = await api.ask("PUT", f"/worklists/{name}", {"Tags": tags()})
        assert said.status in {400, 404}
        assert list(api.folder.iterdir()) == []

    async def test_nothing_outside_the_folder_is_reached(self, tmp_path: Path) -> None:
        folder, outside = tmp_path / "worklists", tmp_path / "secret.wl"
        folder.mkdir()
        outside.write_bytes(part10(FIVE_ITEMS["p1.wl"]))
        with api_of(folder) as api:
            for name in ("../secret", "..%2Fsecret", "%2e%2e/secret", "..%5Csecret"):
                for method in ("GET", "DELETE", "PUT"):
                    said = await api.ask(method, f"/worklists/{name}", {"Tags": tags()})
                    assert said.status in {400, 404}, (method, name)
        assert outside.read_bytes() == part10(FIVE_ITEMS["p1.wl"])
        assert list(folder.iterdir()) == []

    async def test_a_file_that_is_no_item_can_be_replaced_and_removed(self, api: Api) -> None:
        (api.folder / "bad.wl").write_bytes(b"no item at all")
        assert (await api.ask("GET", "/worklists/bad")).status == 404
        assert (await api.ask("PUT", "/worklists/bad", {"Tags": tags()})).status == 200
        assert (await api.ask("GET", "/worklists/bad")).status == 200
        (api.folder / "bad.wl").write_bytes(b"no item at all")
        assert (await api.ask("DELETE", "/worklists/bad")).status == 200
        assert list(api.folder.iterdir()) == []

    async def test_an_unreadable_folder_is_no_empty_list(self, api: Api) -> None:
        await api.create()
        api.folder.rename(api.folder.with_name("away"))
        for method, uri in (
            ("GET", "/worklists"),
            ("GET", "/worklists/x"),
            ("DELETE", "/worklists/x"),
            ("PUT", "/worklists/x"),
            ("POST", "/worklists/create"),
            ("PUT", "/worklists?AccessionNumber=A1"),
        ):
            said = await api.ask(method, uri, {"Tags": tags()})
            assert said.status == 503, (method, uri, said.body)
        api.folder.with_name("away").rename(api.folder)
        assert len((await api.ask("GET", "/worklists")).json()) == 1

    async def test_each_called_ae_title_has_its_own(self, tmp_path: Path) -> None:
        for name in ("ORTHANC", "CT1"):
            (tmp_path / name).mkdir()
        with api_of(tmp_path, with_worklists(folder_per_called_ae_title=True)) as api:
            await api.ask("PUT", "/worklists/a?called=CT1", {"Tags": tags(1)})
            await api.ask("PUT", "/worklists/a", {"Tags": tags(2)})
            assert api.found("PatientID", called="CT1")[0][PATIENT_ID].value == b"P1"
            assert api.found("PatientID")[0][PATIENT_ID].value == b"P2"
            for called in ("NOPE", "..", "%2e%2e%2f"):
                for method, uri in (("GET", "/worklists"), ("PUT", "/worklists/a")):
                    said = await api.ask(method, f"{uri}?called={called}", {"Tags": tags()})
                    assert is_error(said, 404, 17)


class TestEntityTags:
    async def test_a_tag_is_that_of_the_content(self, api: Api) -> None:
        made = await api.ask("PUT", "/worklists/a", {"Tags": tags()})
        read = await api.ask("GET", "/worklists/a")
        assert made.tag == read.tag
        changed = await api.ask("PUT", "/worklists/a", {"Tags": tags(2)})
        assert changed.tag != made.tag
        assert (await api.ask("GET", "/worklists/a")).tag == changed.tag

    async def test_who_has_it_already_is_told_so(self, api: Api) -> None:
        tag = (await api.ask("PUT", "/worklists/a", {"Tags": tags()})).tag
        for known in (tag, f"W/{tag}", "*", f'"x", {tag}'):
            said = await api.ask("GET", "/worklists/a", headers={"If-None-Match": known})
            assert (said.status, said.body, said.tag) == (304, b"", tag)
        said = await api.ask("GET", "/worklists/a", headers={"If-None-Match": '"x"'})
        assert said.status == 200

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    async def test_a_write_with_another_content_in_mind_is_not_done(
        self, api: Api, method: str
    ) -> None:
        old = (await api.ask("PUT", "/worklists/a", {"Tags": tags(1)})).tag
        now = (await api.ask("PUT", "/worklists/a", {"Tags": tags(2)})).tag
        for expected in (old, f"W/{now}", '"x"'):
            said = await api.ask(method, "/worklists/a", {"Tags": tags(3)}, {"If-Match": expected})
            assert is_error(said, 412, 43)
            assert said.tag == now
        said = await api.ask(
            method, "/worklists/a", {"Tags": tags(3)}, {"If-Match": f"{old}, {now}"}
        )
        assert said.status == 200

    async def test_a_write_may_expect_that_there_is_something_or_nothing(self, api: Api) -> None:
        async def put(header: str) -> int:
            said = await api.ask("PUT", "/worklists/a", {"Tags": tags()}, {header: "*"})
            return said.status

        assert await put("If-Match") == 412
        assert await put("If-None-Match") == 200
        assert await put("If-None-Match") == 412
        assert await put("If-Match") == 200

    @pytest.mark.parametrize(
        "headers",
        [{"If-Match": "x"}, {"If-None-Match": '"x"'}, {"If-Match": "*", "If-None-Match": "*"}],
    )
    async def test_a_condition_that_is_none_is_refused(
        self, api: Api, headers: dict[str, str]
    ) -> None:
        said = await api.ask("PUT", "/worklists/a", {"Tags": tags()}, headers)
        assert said.status == 400
        assert list(api.folder.iterdir()) == []

    async def test_of_many_who_change_what_they_read_none_loses_an_update(self, api: Api) -> None:
        await api.ask("PUT", "/worklists/a", {"Tags": tags(PatientComments="0")})

        async def increment() -> None:
            while True:
                read = await api.ask("GET", "/worklists/a")
                count = int(read.json()["Tags"]["PatientComments"]) + 1
                body = {"Tags": tags(PatientComments=str(count))}
                said = await api.ask("PUT", "/worklists/a", body, {"If-Match": read.tag})
                if said.status == 200:
                    return
                assert said.status == 412

        async with asyncio.TaskGroup() as group:
            for _ in range(24):
                group.create_task(increment())
        item = (await api.ask("GET", "/worklists/a")).json()
        assert item["Tags"]["PatientComments"] == "24"


class TestUpsert:
    async def upsert(self, api: Api, accession: str = "A1", **others: Any) -> Any:
        uri = f"/worklists?AccessionNumber={accession}"
        return await api.ask("PUT", uri, {"Tags": tags(**others)})

    async def test_the_item_of_an_order_is_made_once(self, api: Api) -> None:
        first, second = await self.upsert(api), await self.upsert(api)
        assert first.json() == second.json()
        assert first.tag == second.tag
        changed = await self.upsert(api, PatientComments="late")
        assert changed.json() == first.json()
        assert changed.tag != first.tag
        assert len(list(api.folder.iterdir())) == 1

    async def test_identifiers_that_were_made_up_stay(self, api: Api) -> None:
        path = (await self.upsert(api)).json()["Path"]
        before = (await api.ask("GET", path)).json()["Tags"]
        await self.upsert(api, PatientComments="late")
        after = (await api.ask("GET", path)).json()["Tags"]
        assert after == before | {"PatientComments": "late"}

    async def test_another_patient_gets_another_study(self, api: Api) -> None:
        path = (await self.upsert(api)).json()["Path"]
        before = (await api.ask("GET", path)).json()["Tags"]
        await self.upsert(api, number=2, AccessionNumber="A1")
        after = (await api.ask("GET", path)).json()["Tags"]
        assert after["PatientID"] == "P2"
        assert after["StudyInstanceUID"] != before["StudyInstanceUID"]

    async def test_a_dropped_file_of_the_order_is_replaced(self, api: Api) -> None:
        fill(api.folder, {"dropped.wl": part10(FIVE_ITEMS["p1.wl"])})
        assert (await self.upsert(api)).json()["ID"] == "dropped"

    async def test_the_number_need_not_be_said_twice(self, api: Api) -> None:
        said = tags()
        del said["AccessionNumber"]
        await api.ask("PUT", "/worklists?AccessionNumber=A7", {"Tags": said})
        assert api.found("AccessionNumber=A7")

    async def test_two_numbers_are_refused(self, api: Api) -> None:
        said = await api.ask("PUT", "/worklists?AccessionNumber=A7", {"Tags": tags()})
        assert is_error(said, 400, 15)

    async def test_several_items_of_one_order_are_not_guessed_between(self, api: Api) -> None:
        for name in ("a", "b"):
            fill(api.folder, {f"{name}.wl": part10(FIVE_ITEMS["p1.wl"])})
        said = await self.upsert(api)
        assert is_error(said, 409, 46)
        assert said.json()["IDs"] == ["a", "b"]

    @pytest.mark.parametrize("number", ["", "%20", "A*", "A?", "A%5CB", "x" * 17, "A%0A"])
    async def test_what_is_no_accession_number_is_refused(self, api: Api, number: str) -> None:
        assert is_error(await self.upsert(api, number), 400, 3)

    async def test_it_is_case_sensitive(self, api: Api) -> None:
        await self.upsert(api, "a1", AccessionNumber="a1")
        await self.upsert(api)
        assert len(list(api.folder.iterdir())) == 2

    async def test_without_a_number_there_is_no_such_route(self, api: Api) -> None:
        assert (await api.ask("PUT", "/worklists", {"Tags": tags()})).status == 400

    async def test_many_who_make_it_at_once_make_one(self, api: Api) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.upsert(api, PatientComments=str(n))) for n in range(24)]
        assert {task.result().status for task in tasks} == {200}
        assert len({task.result().json()["ID"] for task in tasks}) == 1
        [path] = api.folder.iterdir()
        uid = read_file(path.read_bytes())[STUDY_INSTANCE_UID]
        again = await self.upsert(api, PatientComments="again")
        assert again.status == 200
        assert read_file(path.read_bytes())[STUDY_INSTANCE_UID] == uid

    async def test_a_change_of_another_program_in_between_is_seen(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.upsert(api)
        [path] = api.folder.iterdir()
        worklist = api.context.worklists.of("ORTHANC")
        assert worklist is not None
        write = worklist.catalog.write
        between = [part10(FIVE_ITEMS["p1.wl"])]

        def interfered(writes: Any) -> Any:
            if between:
                path.write_bytes(between.pop())
            return write(writes)

        monkeypatch.setattr(worklist.catalog, "write", interfered)
        said = await self.upsert(api, PatientComments="mine")
        assert said.status == 200
        item = (await api.ask("GET", said.json()["Path"])).json()["Tags"]
        assert item["PatientComments"] == "mine"
        assert item["StudyInstanceUID"] == "1.2.3.1"  # of the item that came between


class TestList:
    @pytest.fixture(autouse=True)
    def _folder(self, api: Api) -> None:
        fill(api.folder, {name: part10(item) for name, item in FIVE_ITEMS.items()})

    async def listed(self, api: Api, query: str = "") -> tuple[list[str], int]:
        said = await api.ask("GET", f"/worklists{query}")
        assert said.status == 200, said.body
        return [item["ID"] for item in said.json()], int(said.headers["x-total-count"])

    async def test_all_items_are_listed_in_the_order_of_answers(self, api: Api) -> None:
        assert await self.listed(api) == (["p5", "p1", "p2", "p3", "p4"], 5)

    async def test_an_item_says_when_it_was_made(self, api: Api) -> None:
        [first, *_] = (await api.ask("GET", "/worklists")).json()
        assert set(first) == {"ID", "Tags", "CreationDate"}
        assert len(first["CreationDate"]) == len("20261124T083000")

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("?match=PatientID=P2", ["p2"]),
            ("?match=PatientName=*OE*", ["p1", "p2", "p3"]),
            ("?match=PatientName=*OE*&match=0008,0050=A3", ["p3"]),
            ("?match=0040,0100[0].0040,0002=20250111-20250112", ["p2", "p3"]),
            ("?match=PatientID=P2&match=PatientID=P3", ["p3"]),
            ("?match=PatientName=%D0%9F%D1%80*", ["p4"]),
            ("?match=PatientID", ["p5", "p1", "p2", "p3", "p4"]),
            ("?match=PatientID=nobody", []),
        ],
    )
    async def test_keys_narrow_it_as_those_of_a_query_do(
        self, api: Api, query: str, found: list[str]
    ) -> None:
        assert await self.listed(api, query) == (found, len(found))

    @pytest.mark.parametrize(
        "query", ["match=NoKeyword=1", "match=", "match=Modality[0]=1", "sort=NoKeyword", "sort=-"]
    )
    async def test_a_key_that_is_none_is_refused(self, api: Api, query: str) -> None:
        assert is_error(await api.ask("GET", f"/worklists?{query}"), 400, 3)

    async def test_a_key_that_no_query_may_have_is_refused(self, api: Api) -> None:
        key = "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=today"
        assert is_error(await api.ask("GET", f"/worklists?match={key}"), 400, 3)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("?limit=2", ["p5", "p1"]),
            ("?limit=2&offset=3", ["p3", "p4"]),
            ("?offset=4", ["p4"]),
            ("?offset=9", []),
            ("?limit=0", []),
        ],
    )
    async def test_a_part_is_given_with_the_count_of_all(
        self, api: Api, query: str, found: list[str]
    ) -> None:
        assert await self.listed(api, query) == (found, 5)

    @pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=-1", "offset=1.5"])
    async def test_a_part_that_is_none_is_refused(self, api: Api, query: str) -> None:
        assert is_error(await api.ask("GET", f"/worklists?{query}"), 400, 3)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("?sort=PatientID", ["p1", "p2", "p3", "p4", "p5"]),
            ("?sort=-PatientID", ["p5", "p4", "p3", "p2", "p1"]),
            ("?sort=PatientName", ["p1", "p5", "p3", "p2", "p4"]),
            # Those without a value come last either way.
            ("?sort=Modality", ["p1", "p2", "p4", "p3", "p5"]),
            ("?sort=-Modality", ["p3", "p1", "p2", "p4", "p5"]),
            ("?sort=ScheduledProcedureStepSequence[0].Modality&limit=1", ["p1"]),
        ],
    )
    async def test_it_is_sorted_by_any_attribute(
        self, api: Api, query: str, found: list[str]
    ) -> None:
        assert (await self.listed(api, query))[0] == found

    async def test_a_file_of_several_steps_is_listed_once_and_whole(self, api: Api) -> None:
        steps = [STEP, STEP | {"Modality": "MR", "ScheduledProcedureStepStartDate": "20991125"}]
        identifier = await api.create(number=9, ScheduledProcedureStepSequence=steps)
        said = await api.ask(
            "GET",
            "/worklists?match=ScheduledProcedureStepSequence[0].Modality=MR&match=PatientID=P9",
        )
        [item] = said.json()
        assert item["ID"] == identifier
        found = [one["Modality"] for one in item["Tags"]["ScheduledProcedureStepSequence"]]
        assert found == ["CT", "MR"]
        one = (await api.ask("GET", f"/worklists/{identifier}")).json()
        assert one["Tags"] == item["Tags"]

    async def test_a_name_that_is_no_text_does_not_keep_the_others(self, api: Api) -> None:
        (api.folder / os.fsdecode(b"\xff.wl")).write_bytes(part10(FIVE_ITEMS["p1.wl"]))
        said = await api.ask("GET", "/worklists")
        assert len(json.loads(said.body)) == 6
