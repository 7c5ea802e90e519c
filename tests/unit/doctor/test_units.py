import pytest

from mwl.doctor.units import read_unit
from mwl.errors import InputError


def test_a_unit_without_a_user_runs_as_root_and_has_no_more() -> None:
    unit = read_unit("x.service", "LoadState=loaded\nUser=\nLimitNOFILE=infinity\n")
    assert (unit.user, unit.capabilities, unit.environment, unit.files) == (
        "root",
        frozenset(),
        {},
        -1,
    )


def test_what_systemd_shows_is_read() -> None:
    shown = "User=mwl\nAmbientCapabilities=cap_lease\nLimitNOFILE=65536\nLoadState=loaded\n"
    unit = read_unit(
        "mwl.service", f"{shown}CacheDirectory=mwl other\nStateDirectory=mwl\nLogsDirectory=mwl\n"
    )
    assert unit.user == "mwl"
    assert unit.capabilities == {"CAP_LEASE"}
    assert unit.files == 65536
    assert unit.environment == {
        "CACHE_DIRECTORY": "/var/cache/mwl",
        "STATE_DIRECTORY": "/var/lib/mwl",
        "LOGS_DIRECTORY": "/var/log/mwl",
    }


@pytest.mark.parametrize("shown", ["", "LoadState=not-found\n", "LoadState=masked\n"])
def test_a_unit_that_is_not_loaded_is_refused(shown: str) -> None:
    with pytest.raises(InputError, match=r"there is no unit mwl\.service"):
        read_unit("mwl.service", shown)
