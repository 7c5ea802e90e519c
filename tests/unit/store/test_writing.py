"""Files are written on a condition, one writer after the other, and for good."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwl.catalog import Catalog
from mwl.errors import InputError, SourceChanged, StoreError, WriteError
from mwl.store import ABSENT, ANYTHING, PRESENT, Expected, Store, Write, entity_tag
from mwl.store import placing as placing_module
from mwl.store import writing as writing_module
from mwl.store.directory import DirectoryStore
from mwl.store.memory import MemoryStore
from mwl.store.placing import Staged
from mwl.store.writing import LEFTOVER_AGE_NS, NAME_LIMIT_BYTES, FolderWriter, require_safe
from support.folder import MODES, bytes_of, content, parse

WRITERS = 64
WRITES = 2


def exactly(data: bytes) -> Expected:
    return Expected(frozenset({entity_tag(data)}), may_be_absent=False)


def writer(folder: Path) -> FolderWriter:
    return FolderWriter(folder, lambda _device, _path: True)


def write(store: Store | FolderWriter, source: str, text: str, expected: Expected) -> object:
    [result] = store.write([Write(source, content(text), expected)])
    return result


def shown(catalog: Catalog) -> dict[str, bytes]:
    """Give what the very next query would see."""
    ticket = catalog.notice()
    while not catalog.is_current(ticket):
        catalog.read(16)
    return {source: bytes_of(items[0]) for source, items in catalog.sources.items()}


@pytest.fixture(params=["memory", *MODES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    found: Store = MemoryStore(parse)
    if request.param != "memory":
        found = DirectoryStore(tmp_path, parse, watch=request.param)
    yield found
    found.close()


def test_what_was_written_is_in_the_very_next_query(store: Store) -> None:
    catalog = Catalog(store)
    assert shown(catalog) == {}
    for text in ("1", "2", "2", "3"):
        assert write(store, "a.wl", text, ANYTHING) is None
        assert shown(catalog) == {"a.wl": content(text)}
    assert store.write([Write("a.wl", None, PRESENT)]) == [None]
    assert shown(catalog) == {}
    assert store.content("a.wl") is None


def test_a_write_and_its_removal_between_two_queries_leave_nothing(store: Store) -> None:
    catalog = Catalog(store)
    shown(catalog)
    write(store, "a.wl", "1", ANYTHING)
    write(store, "b.wl", "1", ANYTHING)
    store.write([Write("a.wl", None, ANYTHING)])
    assert shown(catalog) == {"b.wl": content("1")}


@pytest.mark.parametrize(
    ("before", "expected", "is_done"),
    [
        (None, ANYTHING, True),
        (None, ABSENT, True),
        (None, PRESENT, False),
        (None, exactly(content("old")), False),
        ("old", ANYTHING, True),
        ("old", ABSENT, False),
        ("old", PRESENT, True),
        ("old", exactly(content("old")), True),
        ("old", exactly(content("older")), False),
    ],
)
@pytest.mark.parametrize("data", [content("new"), None])
def test_a_write_is_done_when_its_source_is_as_expected(
    store: Store, before: str | None, expected: Expected, is_done: bool, data: bytes | None
) -> None:
    if before is not None:
        write(store, "a.wl", before, ANYTHING)
    [result] = store.write([Write("a.wl", data, expected)])
    found = store.content("a.wl")
    if is_done:
        assert result is None
        assert found == data
    else:
        assert isinstance(result, SourceChanged)
        assert result.entity_tag == (None if before is None else entity_tag(content(before)))
        assert found == (None if before is None else content(before))


def test_each_write_of_many_has_a_result_of_its_own(store: Store) -> None:
    results = store.write(
        [
            Write("a.wl", content("1"), ABSENT),
            Write("a.wl", content("2"), ABSENT),
            Write("b.wl", None, PRESENT),
            Write("c.wl", content("3"), ANYTHING),
        ]
    )
    assert [type(result) for result in results] == [
        type(None),
        SourceChanged,
        SourceChanged,
        type(None),
    ]
    assert shown(Catalog(store)) == {"a.wl": content("1"), "c.wl": content("3")}


class TestManyWriters:
    """No update is lost, whoever comes when."""

    def test_a_counter_has_every_increment_of_64_writers(self, store: Store) -> None:
        write(store, "a.wl", "0", ANYTHING)

        def increment(_: int) -> None:
            for _ in range(WRITES):
                while True:
                    before = store.content("a.wl")
                    assert before is not None
                    text = str(int(before[1:-1]) + 1)
                    if write(store, "a.wl", text, exactly(before)) is None:
                        break

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(increment, range(WRITERS)))
        assert store.content("a.wl") == content(str(WRITERS * WRITES))

    def test_one_of_64_who_make_the_same_name_makes_it(self, store: Store) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            results = list(
                pool.map(lambda number: write(store, "a.wl", str(number), ABSENT), range(WRITERS))
            )
        winners = [number for number, result in enumerate(results) if result is None]
        assert [store.content("a.wl")] == [content(str(number)) for number in winners]

    def test_two_servers_of_one_folder_lose_no_update_either(self, tmp_path: Path) -> None:
        writers = [writer(tmp_path), writer(tmp_path)]
        write(writers[0], "a.wl", "0", ANYTHING)

        def increment(mine: FolderWriter) -> None:
            for _ in range(100):
                while True:
                    before = mine.content("a.wl") or b""
                    text = str(int(before[1:-1]) + 1)
                    if write(mine, "a.wl", text, exactly(before)) is None:
                        break

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(increment, writers))
        assert writers[0].content("a.wl") == content("200")


class TestDurability:
    """A write is done when content and name are on the disk."""

    @pytest.fixture
    def disk(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Give what was brought to the disk, in order."""
        log: list[str] = []
        fsync = os.fsync

        def logged(handle: int) -> None:
            path = Path(f"/proc/self/fd/{handle}").readlink()
            log.append("folder" if path.is_dir() else "content")
            fsync(handle)

        monkeypatch.setattr(os, "fsync", logged)
        return log

    def test_the_content_is_there_before_the_name(self, tmp_path: Path, disk: list[str]) -> None:
        mine = writer(tmp_path)
        write(mine, "a.wl", "1", ANYTHING)
        assert disk == ["content", "folder"]
        mine.write([Write("a.wl", None)])
        assert disk == ["content", "folder", "folder"]

    def test_all_names_of_a_batch_are_made_sure_of_at_once(
        self, tmp_path: Path, disk: list[str]
    ) -> None:
        writer(tmp_path).write([Write(f"{n}.wl", content("1")) for n in range(100)])
        assert disk == ["content"] * 100 + ["folder"]

    def test_nothing_is_made_sure_of_where_nothing_was_written(
        self, tmp_path: Path, disk: list[str]
    ) -> None:
        writer(tmp_path).write([Write("a.wl", None, PRESENT)])
        assert disk == []

    def test_those_who_wait_share_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While the first is under way all others come; one more is enough for them."""
        begun, may_end = threading.Event(), threading.Event()
        syncs: list[int] = []

        def slow(_: Path, __: int) -> None:
            syncs.append(1)
            begun.set()
            assert may_end.wait(20)

        monkeypatch.setattr(writing_module, "sync_folder", slow)
        mine = writer(tmp_path)
        with ThreadPoolExecutor(WRITERS) as pool:
            first = pool.submit(write, mine, "first.wl", "1", ANYTHING)
            assert begun.wait(20)
            others = [
                pool.submit(write, mine, f"{number}.wl", "1", ANYTHING) for number in range(30)
            ]
            while len(list(tmp_path.glob("*.wl"))) < 31:
                pass
            names = mine._names
            while names._asked < 31:
                pass
            assert not first.done()
            assert not any(other.done() for other in others)
            may_end.set()
            assert [first.result(), *(other.result() for other in others)] == [None] * 31
        assert len(syncs) == 2

    def test_a_disk_that_fails_acknowledges_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: Path, __: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(writing_module, "sync_folder", broken)
        mine = writer(tmp_path)
        assert isinstance(write(mine, "a.wl", "1", ANYTHING), WriteError)
        monkeypatch.undo()
        assert write(mine, "a.wl", "1", ANYTHING) is None

    @pytest.mark.parametrize(("number", "is_full"), [(errno.ENOSPC, True), (errno.EROFS, False)])
    def test_a_write_that_fails_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_full: bool
    ) -> None:
        def broken(_: int) -> None:
            raise OSError(number, os.strerror(number))

        mine = writer(tmp_path)
        write(mine, "a.wl", "old", ANYTHING)
        monkeypatch.setattr(os, "fsync", broken)
        result = write(mine, "a.wl", "new", ANYTHING)
        assert isinstance(result, WriteError)
        assert result.is_full is is_full
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [content("old")]

    def test_a_write_that_is_not_expected_leaves_nothing_behind(self, tmp_path: Path) -> None:
        mine = writer(tmp_path)
        write(mine, "a.wl", "1", ANYTHING)
        for expected in (ABSENT, exactly(b"other")):
            assert isinstance(write(mine, "a.wl", "2", expected), SourceChanged)
        assert [path.name for path in tmp_path.iterdir()] == ["a.wl"]

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        mine = writer(tmp_path / "none")
        assert isinstance(write(mine, "a.wl", "1", ANYTHING), WriteError)
        assert isinstance(mine.write([Write("a.wl", None, PRESENT)])[0], WriteError)
        assert mine.content("a.wl") is None

    def test_permissions_do_not_depend_on_who_writes_meanwhile(self, tmp_path: Path) -> None:
        """To ask for the umask by setting another would let other threads see that one."""
        mine = writer(tmp_path)
        umask = os.umask(0o022)
        try:
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda n: write(mine, f"{n}.wl", "1", ABSENT), range(200)))
            assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
        finally:
            assert os.umask(umask) == 0o022

    def test_where_the_system_does_not_tell_the_umask_it_is_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(placing_module, "_STATUS", tmp_path / "none")
        umask = os.umask(0o027)
        try:
            write(writer(tmp_path), "a.wl", "1", ABSENT)
            assert (tmp_path / "a.wl").stat().st_mode & 0o777 == 0o640
        finally:
            os.umask(umask)


class TestOutside:
    """Nothing outside the folder is written, and no name leads there."""

    def test_a_link_is_replaced_and_not_what_it_leads_to(self, tmp_path: Path) -> None:
        folder = tmp_path / "worklists"
        folder.mkdir()
        outside = tmp_path / "outside"
        outside.write_bytes(content("theirs"))
        (folder / "a.wl").symlink_to(outside)
        mine = writer(folder)
        assert isinstance(write(mine, "a.wl", "ours", ABSENT), SourceChanged)
        assert write(mine, "a.wl", "ours", exactly(content("theirs"))) is None
        assert outside.read_bytes() == content("theirs")
        assert (folder / "a.wl").read_bytes() == content("ours")
        assert not (folder / "a.wl").is_symlink()

    def test_a_link_is_removed_and_not_what_it_leads_to(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(content("theirs"))
        (tmp_path / "a.wl").symlink_to(outside)
        assert writer(tmp_path).write([Write("a.wl", None, PRESENT)]) == [None]
        assert outside.read_bytes() == content("theirs")

    def test_what_is_no_file_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "a.wl").mkdir()
        os.mkfifo(tmp_path / "b.wl")
        mine = writer(tmp_path)
        for name in ("a.wl", "b.wl"):
            for expected in (ABSENT, PRESENT):
                assert isinstance(write(mine, name, "1", expected), WriteError)
            with pytest.raises(StoreError):
                mine.content(name)
        assert isinstance(write(mine, "a.wl", "1", ANYTHING), WriteError)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wl", "b.wl"]

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".wl",
            " .",
            ".hidden.wl",
            "../a.wl",
            "a/b.wl",
            "/a.wl",
            "a\\b.wl",
            "a\0.wl",
            "a\n.wl",
            "a\udc80.wl",
            "a.txt",
            "a",
            "x" * (NAME_LIMIT_BYTES - 2) + ".wl",
            "ä" * 99 + ".wl",
        ],
    )
    def test_a_name_that_is_not_safe_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InputError, match="the name of a worklist item cannot be used: it"):
            store.write([Write(name, content("1"))])

    @given(st.text(st.characters(codec="utf-8"), max_size=210))
    def test_a_safe_name_is_one_of_a_file_in_the_folder(self, stem: str) -> None:
        name = f"{stem}.wl"
        try:
            require_safe(name)
        except InputError:
            return
        path = Path("/folder") / name
        assert path.parent == Path("/folder")
        assert os.path.normpath(path) == str(path)
        assert len(os.fsencode(f".{name}.12345678.part")) <= 255


class TestLeftovers:
    """What a writer left that was killed goes when the next one writes."""

    def test_only_old_files_of_writers_go(self, tmp_path: Path) -> None:
        old, young = ".a.wl.0123456789abcdef.part", ".b.wl.0123456789abcdee.part"
        others = [
            ".a.wl.part",
            "a.wl.0123456789abcdef.part",
            ".a.txt.0123456789abcdef.part",
            ".a.wl.abc.part",
        ]
        for name in (old, young, *others):
            (tmp_path / name).write_bytes(content("1"))
        for name in (old, *others):
            os.utime(tmp_path / name, (0, 0))
        (tmp_path / ".c.wl.0123456789abcdef.part").mkdir()
        os.utime(tmp_path / ".c.wl.0123456789abcdef.part", (0, 0))
        write(writer(tmp_path), "c.wl", "1", ANYTHING)
        assert {path.name for path in tmp_path.iterdir()} == {
            *(young, *others, ".c.wl.0123456789abcdef.part", "c.wl"),
        }

    def test_they_are_looked_for_once_an_hour(self, tmp_path: Path) -> None:
        now_ns = [time.time_ns()]
        mine = FolderWriter(tmp_path, lambda _device, _path: True, lambda: now_ns[0])
        left = tmp_path / ".a.wl.0123456789abcdef.part"
        left.write_bytes(content("1"))
        for later_ns, is_there in ((0, True), (LEFTOVER_AGE_NS - 10**9, True), (2 * 10**9, False)):
            now_ns[0] += later_ns
            write(mine, "b.wl", "1", ANYTHING)
            assert left.exists() is is_there

    def test_a_name_that_a_writer_makes_is_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object, **__: object) -> None:
            raise SystemExit

        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.setattr(Staged, "name_it", killed)
        with pytest.raises(SystemExit):
            write(writer(tmp_path), "a.wl", "1", ANYTHING)
        [left] = tmp_path.iterdir()
        os.utime(left, (0, 0))
        monkeypatch.undo()
        write(writer(tmp_path), "b.wl", "1", ANYTHING)
        assert [path.name for path in tmp_path.iterdir()] == ["b.wl"]
