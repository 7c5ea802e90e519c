"""What `mwl doctor` says of folders. Tests may run as root, which may read everything: where that
matters, they look as the user nobody."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwl.doctor import Finding, folders
from mwl.doctor.folders import Contents, Leases
from mwl.store.folder import WatchMode, subfolder
from mwl.store.mounts import TRUSTED_FILE_SYSTEMS
from mwl.store.second_reader import Making
from support.users import as_root, nobody
from support.worklist_files import put, step, worklist


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def add(folder: Path, name: str = "a.wl") -> Path:
    return put(
        folder, name, worklist("P1", "DOE^JANE", step("CT", "CT1", "20261201", "0800", "S1"))
    )


def contents(folder: Path, watch: WatchMode = "auto") -> Contents:
    told: list[int] = []
    found = folders.contents(
        folder,
        Making(split_steps=True, default_encoding="Latin1", dictionary=()).parser(),
        watch,
        needs_step=True,
        tell=told.append,
    )
    assert told or not found.files
    return found


def texts(findings: Iterator[Finding]) -> list[str]:
    return [f"{finding.level} {finding.found}" for finding in findings]


def test_a_folder_that_can_be_listed_is_ok(folder: Path) -> None:
    found = folders.folder(folder, "me")
    assert (found.level, found.found) == ("ok", "can be listed by me (mode 0755)")


def test_a_missing_folder_fails_and_says_how_to_make_it(folder: Path) -> None:
    found = folders.folder(folder / "not here", "mwl")
    assert (found.level, found.found) == ("FAIL", "does not exist: every query fails")
    assert f"sudo install -d -o mwl -m 750 '{folder}/not here'" in found.mend


def test_a_file_is_no_folder(folder: Path) -> None:
    assert folders.folder(add(folder), "me").found == "is no folder"


def test_a_folder_for_all_to_write_is_warned_of(folder: Path) -> None:
    folder.chmod(0o777)
    found = folders.folder(folder, "me")
    assert (found.level, found.mend) == ("warn", f"sudo chmod o-w {folder}")


@as_root
def test_a_folder_that_the_user_may_not_list_fails(folder: Path) -> None:
    folder.chmod(0o711)
    with nobody():
        found = folders.folder(folder, "nobody")
    assert (found.level, found.mend) == ("FAIL", f"sudo setfacl -m u:nobody:rx {folder}")


@as_root
def test_the_folder_on_the_way_that_bars_it_is_named(folder: Path) -> None:
    inner = folder / "private" / "worklists"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    with nobody():
        found = folders.folder(inner, "nobody")
    assert (found.level, found.mend) == ("FAIL", f"sudo setfacl -m u:nobody:rx {inner.parent}")


def test_files_are_counted_as_the_server_serves_them(folder: Path) -> None:
    add(folder)
    add(folder, "B.WL")
    (folder / "lockfile").touch()
    found = folders.files(folder, contents(folder), "me")
    assert texts(found) == ["ok files served: 2, items: 2"]


def test_what_is_not_served_is_counted_and_not_named(folder: Path) -> None:
    add(folder, "doe-jane.wl")
    (folder / "roe-broken.wl").write_text("no data set")
    (folder / "roe-folder.wl").mkdir()
    (folder / "roe-link.wl").symlink_to(folder / "nowhere")
    dated = add(folder, "poe-date.wl")
    dated.write_bytes(dated.read_bytes().replace(b"20261201", b"1.1.2026"))
    findings = list(folders.files(folder, contents(folder), "me"))
    assert texts(iter(findings)) == [
        "warn not served, because they are no worklist files: 2",
        "warn links that lead nowhere: 1",
        "warn items that some queries miss: 1",
        "ok files served: 2, items: 2",
    ]
    assert not any("oe" in finding.found + finding.mend for finding in findings)


@as_root
def test_files_that_the_user_may_not_read_fail(folder: Path) -> None:
    add(folder).chmod(0o600)
    add(folder, "b.wl").chmod(0o644)
    with nobody():
        findings = list(folders.files(folder, contents(folder), "nobody"))
    assert texts(iter(findings)) == [
        "FAIL not served, because nobody may not read them: 1",
        "ok files served: 1, items: 1",
    ]
    assert "setfacl -m u:nobody:r" in findings[0].mend


def test_a_folder_of_other_files_is_probably_the_wrong_one(folder: Path) -> None:
    (folder / "image.dcm").touch()
    (found,) = folders.files(folder, contents(folder), "me")
    assert (found.level, "no name ends in .wl" in found.found) == ("warn", True)


def test_an_empty_folder_is_ok(folder: Path) -> None:
    assert texts(folders.files(folder, contents(folder), "me")) == ["ok files served: 0, items: 0"]


def test_a_folder_that_goes_is_told(folder: Path) -> None:
    found = contents(folder / "gone")
    assert texts(folders.files(folder, found, "me"))[0].startswith("FAIL ")


@pytest.mark.parametrize(
    ("mode", "kind", "found", "expected"),
    [
        ("auto", "ext4", Contents(is_watching=True), "ok the kernel tells of each change"),
        ("inotify", "ext4", Contents(is_watching=True), "ok the kernel tells of each change"),
        ("auto", "nfs4", Contents(fallback="file system nfs4"), "ok is compared before each"),
        ("scan", "ext4", Contents(), "ok is compared before each answer, as Worklists.Watch says"),
        ("inotify", "nfs4", Contents(is_watching=True), "warn changes by other machines are not"),
        ("auto", "ext4", Contents(fallback="Too many open files"), "warn is compared before each"),
    ],
)
def test_watching_is_judged_by_what_the_server_chose(
    mode: WatchMode, kind: str, found: Contents, expected: str
) -> None:
    (text,) = texts(iter([folders.watch(Path("/w"), mode, kind, found)]))
    assert text.startswith(expected)


def test_the_server_itself_is_asked_how_it_watches(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contents(folder, "inotify").is_watching
    assert not contents(folder, "scan").is_watching
    monkeypatch.setattr("mwl.store.mounts.file_system_type", lambda _: "nfs4")
    found = contents(folder)
    assert (found.is_watching, found.fallback) == (False, "file system nfs4")


def test_a_lease_is_had_on_files_of_ones_own(folder: Path) -> None:
    if folders.file_system(folder) not in TRUSTED_FILE_SYSTEMS:
        pytest.skip("no leases on the file system of the tests")
    add(folder)
    tried = folders.leases(folder)
    assert tried == Leases(granted=1, refused={})
    assert folders.lease(folder, "ext4", tried, {}).level == "ok"


@as_root
def test_a_lease_is_not_had_on_files_of_others(folder: Path) -> None:
    add(folder).chmod(0o644)
    with nobody():
        tried = folders.leases(folder)
    assert tried == Leases(granted=0, refused={0: 1})
    found = folders.lease(folder, "ext4", tried, {0: "root"})
    assert (found.level, "1 of root" in found.found) == ("warn", True)
    assert "CAP_LEASE" in found.mend
    assert folders.lease(folder, "ext4", tried, {0: "root"}, may_lease=True).level == "ok"


def test_a_file_that_is_being_written_has_leases(folder: Path) -> None:
    with add(folder).open("ab"):
        assert folders.leases(folder).refused == {}


def test_a_network_file_system_has_no_leases() -> None:
    assert folders.lease(Path("/w"), "nfs4", Leases(0, {}), {}).level == "warn"


def test_the_log_is_judged_by_who_may_write_it(folder: Path) -> None:
    path = folder / "mwl.log"
    assert folders.log(None, "me").level == "ok"
    assert folders.log(path, "me").found == "will be made"
    path.touch()
    assert folders.log(path, "me").found == "can be written by me"
    assert folders.log(folder, "me").found == "is no file: the server does not start"
    gone = folder / "gone" / "mwl.log"
    found = folders.log(gone, "mwl")
    assert (found.level, found.found) == (
        "FAIL",
        "cannot be made by mwl: the server does not start",
    )
    assert found.mend.endswith(f"or sudo install -d -o mwl -m 750 {folder / 'gone'}")
    assert folders.log(gone, "mwl", folder / "gone").level == "ok"


@as_root
def test_a_log_that_the_user_may_not_write_fails(folder: Path) -> None:
    path = folder / "mwl.log"
    with nobody():
        assert folders.log(path, "nobody", folder).found.startswith("cannot be made by nobody")
    path.touch(0o640)
    with nobody():
        assert folders.log(path, "nobody").mend == f"sudo chown nobody {path}"


def test_the_cache_is_judged_by_who_may_enter_it(folder: Path) -> None:
    cache = folder / "cache"
    assert folders.cache(cache, "auto", "me").found == "will be made"
    cache.mkdir(mode=0o700)
    assert folders.cache(cache, "auto", "me").level == "ok"
    cache.chmod(0o755)
    found = folders.cache(cache, "auto", "me")
    assert (found.level, found.mend) == ("warn", f"sudo chmod 700 {cache}")
    assert folders.cache(None, "off", "me").level == "ok"
    assert folders.cache(None, "auto", "me").level == "warn"
    assert folders.cache(add(folder), "x", "me").found == "is no folder"


@as_root
def test_a_cache_that_cannot_be_written_is_warned_of(folder: Path) -> None:
    cache = folder / "cache"
    with nobody():
        assert "cannot be made" in folders.cache(cache, "auto", "nobody").found
    cache.mkdir(mode=0o700)
    with nobody():
        found = folders.cache(cache, "auto", "nobody")
    assert (found.level, found.mend) == ("warn", f"sudo chown nobody {cache}")


def test_folders_of_called_ae_titles_are_found(folder: Path) -> None:
    for name in ("CT1", "MR 1", "a.b", "far too long a title"):
        (folder / name).mkdir()
    (folder / "FILE").touch()
    assert folders.folders_of_titles(folder, subfolder) == [folder / "CT1", folder / "MR 1"]
