import os
import resource
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mwl.doctor import machine
from mwl.doctor.findings import Finding, fail, ok, warn, worst


def test_the_worst_finding_counts() -> None:
    every: list[Finding] = [ok("a", "b", "c"), warn("a", "b", "c", "d"), fail("a", "b", "c", "d")]
    assert [worst(every[:count]) for count in range(4)] == ["ok", "ok", "warn", "FAIL"]


def test_root_is_warned_of_unless_it_is_said() -> None:
    assert machine.user(0, "root", is_stated=False).level == "warn"
    assert machine.user(0, "root", is_stated=True).level == "ok"
    assert machine.user(990, "mwl", is_stated=False).level == "ok"


def test_a_program_that_the_user_may_not_read_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "__file__", str(tmp_path / "gone.py"))
    assert machine.user(990, "mwl", is_stated=True).level == "FAIL"


NOW = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=1)))


def levels(now: datetime, zone: str | None, *, synchronised: bool | None) -> list[str]:
    return [finding.level for finding in machine.clock(now, zone, synchronised)]


def test_the_clock_is_judged_by_year_zone_and_synchronisation() -> None:
    assert levels(NOW, "Europe/Berlin", synchronised=True) == ["ok", "ok"]
    assert levels(NOW, "Europe/Berlin", synchronised=None) == ["ok", "ok"]
    assert levels(NOW, "Europe/Berlin", synchronised=False) == ["ok", "warn"]
    assert levels(NOW, None, synchronised=True) == ["warn", "ok"]
    assert levels(datetime(1970, 1, 1, tzinfo=UTC), "UTC", synchronised=True)[0] == "FAIL"


def test_the_offset_from_utc_is_shown() -> None:
    first, _ = machine.clock(NOW, "Europe/Berlin", True)
    assert (first.subject, first.found) == (
        "2026-12-01 08:00:00 UTC+0100",
        "time zone Europe/Berlin",
    )


def test_the_time_zone_is_that_of_the_environment_or_of_the_machine(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    assert machine.time_zone({"TZ": ":Asia/Tokyo"}, link) == "Asia/Tokyo"
    assert machine.time_zone({}, link) is None
    zone = tmp_path / "zoneinfo" / "Europe" / "Rome"
    zone.parent.mkdir(parents=True)
    zone.touch()
    link.symlink_to(zone)
    assert machine.time_zone({}, link) == "Europe/Rome"


def test_the_kernel_is_asked_whether_the_clock_is_set() -> None:
    assert machine.is_synchronised() in {True, False, None}


def test_descriptors_have_to_suffice_for_all_connections() -> None:
    found = machine.descriptors(1024, 2000, 1, "this shell")
    assert (found.level, found.mend) == ("warn", "LimitNOFILE=4096 in the unit of systemd")
    assert machine.descriptors(4096, 2000, 1, "this shell").level == "ok"
    assert machine.descriptors(resource.RLIM_INFINITY, 2000, 1, "this shell").level == "ok"


def test_the_limit_of_a_process_is_read_where_it_can_be() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert machine.descriptor_limit(os.getpid()) == (
        hard,
        f"running server, process {os.getpid()}",
    )
    assert machine.descriptor_limit(None) == (hard, "this shell")


def test_limits_of_notification_have_to_suffice() -> None:
    limits = {"max_user_instances": 128, "max_user_watches": 8192}
    assert machine.inotify(limits, used=100, needed=28).level == "ok"
    found = machine.inotify(limits, used=128, needed=1)
    assert (found.level, "fs.inotify.max_user_instances=1024" in found.mend) == ("warn", True)
    assert machine.inotify({}, used=0, needed=1).level == "warn"


def test_notification_in_use_is_counted() -> None:
    import inotify_simple  # noqa: PLC0415

    before = machine.inotify_in_use(os.geteuid())
    with inotify_simple.INotify():
        assert machine.inotify_in_use(os.geteuid()) >= before
        assert machine.inotify_in_use(os.geteuid()) >= 1
