"""The folder of a called AE title."""

from pathlib import Path

import pytest

from mwl.store.folder import subfolder


@pytest.mark.parametrize("title", ["CT1", "A", "ABCDEFGHIJKLMNOP", "a-b:c@d_e f"])
def test_the_folder_of_a_called_ae_title_is_below_the_root(tmp_path: Path, title: str) -> None:
    assert subfolder(tmp_path, title) == tmp_path / title


def test_spaces_around_a_called_ae_title_do_not_count(tmp_path: Path) -> None:
    assert subfolder(tmp_path, " CT1 ") == tmp_path / "CT1"


@pytest.mark.parametrize(
    "title",
    ["", "   ", ".", "..", "../X", "a/b", "a\\b", "a.b", "A" * 17, "A\n", "A\0", "Ä", "\u0661"],
)
def test_a_called_ae_title_that_could_leave_the_root_is_refused(tmp_path: Path, title: str) -> None:
    assert subfolder(tmp_path, title) is None
