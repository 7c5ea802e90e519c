"""What a reload is made of; that a running server does it is in tests/e2e/test_reload.py."""

import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mwl import site
from mwl.access import AccessPolicy
from mwl.callbacks import Callbacks
from mwl.config import OPTIONS, Config, load, of_folder
from mwl.errors import ConfigError
from mwl.server import reloading
from mwl.server.reloading import Retired, changes, in_own_thread
from mwl.site import KnownModalities, Worklists, access_policy


def nothing(_: object) -> None:
    pass


def test_a_running_server_keeps_what_needs_a_restart(tmp_path: Path) -> None:
    running = of_folder(tmp_path)
    new = replace(running, dicom_port=104, log_level="trace", http_port=1)
    found = changes(running, new)
    assert (found.changed, found.needs_restart) == (("LogLevel",), ("DicomPort", "HttpPort"))
    assert found.config == replace(running, log_level="trace")


def test_every_option_can_be_compared(tmp_path: Path) -> None:
    config = of_folder(tmp_path)
    assert changes(config, config) == (config, (), ())
    # What another program has open, or what was measured against the start, cannot be taken over.
    kept = {option.name for option in OPTIONS if option.needs_restart}
    assert {"DicomPort", "DicomHost", "HttpPort", "RemoteAccessAllowed", "SslEnabled"} <= kept
    assert not {"DicomModalities", "RegisteredUsers", "ShutdownTimeout", "Hooks"} & kept


def modalities(folder: Path, **named: str) -> Any:
    file = folder / "mwl.json"
    entries = ",".join(f'"{name}": ["{title}", "127.0.0.1", 104]' for name, title in named.items())
    file.write_text(f'{{"DicomModalities": {{{entries}}}}}', encoding="utf-8")
    return load([file], {}).config


def test_of_a_modality_the_later_word_counts(tmp_path: Path) -> None:
    known = KnownModalities(modalities(tmp_path, a="A1", b="B1", c="C1", d="D1"), nothing)
    known.put("a", ["A2", "127.0.0.1", 104])  # changed over HTTP alone
    known.put("b", ["B2", "127.0.0.1", 104])  # changed over HTTP, then in the file
    known.remove("c")  # removed over HTTP alone
    known.put("e", ["E1", "127.0.0.1", 104])  # added over HTTP alone
    # d is removed in the file, f is added there
    known.take_over(modalities(tmp_path, a="A1", b="B3", c="C1", f="F1"))
    assert {name: one.ae_title for name, one in known.all.items()} == {
        "a": "A2",
        "b": "B3",
        "e": "E1",
        "f": "F1",
    }


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (["CT1", "127.0.0.2", 104], "ct1"),
        ({"AET": "CT1", "Host": "127.0.0.2", "Port": 104}, "ct1"),
        ({"AET": "CT1", "Host": "127.0.0.2", "Port": 104, "TlsSubject": "ct2"}, "ct2"),
        ({"AET": "CT1", "Host": "127.0.0.2", "Port": 104, "TlsSubject": ""}, ""),
    ],
)
def test_a_modality_stays_bound_unless_it_is_said(
    tmp_path: Path, value: object, subject: str
) -> None:
    in_force: list[AccessPolicy] = []
    known = KnownModalities(modalities(tmp_path), in_force.append)
    bound = {"AET": "CT1", "Host": "127.0.0.1", "Port": 104, "TlsSubject": "ct1"}
    known.put("ct1", bound)
    known.put("ct1", value)
    assert known.all["ct1"].host == "127.0.0.2"
    assert [one.tls_subject for one in in_force[-1].modalities] == [subject]
    known.remove("ct1")
    known.put("ct1", ["CT1", "127.0.0.1", 104])
    assert [one.tls_subject for one in in_force[-1].modalities] == [""]


def test_rules_that_were_being_made_do_not_come_back_after_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_force: list[AccessPolicy] = []
    known = KnownModalities(modalities(tmp_path, old="OLD"), in_force.append)
    makes_rules, reloaded = threading.Event(), threading.Event()

    def slowly(config: Config) -> AccessPolicy:
        rules = access_policy(config)
        if not makes_rules.is_set():
            makes_rules.set()
            reloaded.wait(0.2)  # it must not come between
        return rules

    monkeypatch.setattr(site, "access_policy", slowly)
    over_http = threading.Thread(target=known.put, args=("ct", ["CT", "127.0.0.1", 104]))
    over_http.start()
    assert makes_rules.wait(5)
    known.take_over(modalities(tmp_path, new="NEW"))
    reloaded.set()
    over_http.join(5)
    assert (
        {one.ae_title for one in in_force[-1].modalities}
        == {"CT", "NEW"}
        == {one.ae_title for one in known.all.values()}
    )


async def test_what_takes_too_long_counts_as_wrong_and_is_given_up_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reloading, "PREPARING_S", 0.05)
    may_end, discarded = threading.Event(), threading.Event()

    def slow() -> str:
        may_end.wait(20)
        return "late"

    with pytest.raises(ConfigError, match=r"took longer than 0\.05 s"):
        await in_own_thread(slow, lambda _: discarded.set())
    may_end.set()
    assert await asyncio.to_thread(discarded.wait, 20)


async def test_what_fails_in_its_thread_fails_here() -> None:
    def fails() -> str:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        await in_own_thread(fails, nothing)


class AtWork:
    """Connections with a query at work."""

    def __init__(self) -> None:
        self.work: set[object] = {"a query"}

    def at_work(self) -> set[object]:
        return set(self.work)


class Closed:
    """Callbacks that note when they are closed."""

    def __init__(self) -> None:
        self.was_closed = threading.Event()

    def close(self, *, server_runs: bool = False) -> None:
        del server_runs
        self.was_closed.set()


async def test_callbacks_are_closed_when_no_query_needs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reloading, "LOOK_AGAIN_S", 0.01)
    at_work, closed = AtWork(), Closed()
    looks: Any = asyncio.Semaphore(0)
    look = at_work.at_work

    def counted() -> set[object]:
        looks.release()
        return look()

    at_work.at_work = counted  # type: ignore[method-assign]
    loop: Any = asyncio.get_running_loop()
    retired = Retired(loop, closed, at_work, 0.01)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        for _ in range(4):
            await looks.acquire()
    assert not retired.is_closed
    at_work.work = {"another query"}
    assert await asyncio.to_thread(closed.was_closed.wait, 20)
    assert retired.is_closed


async def test_callbacks_are_closed_at_once_when_the_server_ends() -> None:
    closed = Closed()
    loop: Any = asyncio.get_running_loop()
    retired = Retired(loop, closed, AtWork(), 1000)  # type: ignore[arg-type]
    retired.close()
    retired.close()
    assert closed.was_closed.is_set()


def scripted(folder: Path, text: str) -> Any:
    (folder / "script.py").write_text(text, encoding="utf-8")
    return replace(of_folder(folder), python_script=folder / "script.py")


SCRIPT = "import orthanc\nimport beside_reloading\n"
SCRIPT += "orthanc.RegisterWorklistCallback(lambda *_: beside_reloading.VALUE)\n"


def test_a_script_that_cannot_be_loaded_leaves_the_modules_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "beside_reloading.py").write_text("VALUE = 1")
    worklists = Worklists(scripted(tmp_path, SCRIPT))
    try:
        orthanc, beside_reloading = sys.modules["orthanc"], sys.modules["beside_reloading"]
        (tmp_path / "beside_reloading.py").write_text("VALUE = 22")
        with pytest.raises(ConfigError, match="ZeroDivisionError"):
            worklists.load_callbacks(scripted(tmp_path, SCRIPT + "1 / 0\n"))
        assert (sys.modules["orthanc"], sys.modules["beside_reloading"]) == (
            orthanc,
            beside_reloading,
        )
        config = scripted(tmp_path, SCRIPT)
        (before,) = worklists.take_over(config, worklists.load_callbacks(config))
        assert sys.modules["beside_reloading"].VALUE == 22
        assert sys.modules["orthanc"] is not orthanc
        before.close()
        assert "orthanc" in sys.modules  # that of the new one
    finally:
        worklists.close()
        sys.modules.pop("beside_reloading", None)
    assert "orthanc" not in sys.modules


def test_the_switch_interval_is_that_of_python_again_when_the_last_is_closed(
    tmp_path: Path,
) -> None:
    interval = sys.getswitchinterval()
    config = scripted(tmp_path, "import orthanc\n")
    worklists = Worklists(config)
    first = worklists.callbacks
    assert isinstance(first, Callbacks)
    first.started(lambda function: function())
    worklists.take_over(config, worklists.load_callbacks(config))
    second = worklists.callbacks
    assert isinstance(second, Callbacks)
    second.started(lambda function: function(), first)
    first.close()
    assert sys.getswitchinterval() < interval
    worklists.close()
    assert sys.getswitchinterval() == pytest.approx(interval)
