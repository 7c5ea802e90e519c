"""Arguments that several commands check alike."""

import pytest
import typer

from mwl.cli.arguments import checked_ae_title


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN-LETTERS", "日本", "A\\B", "A\nB"])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(typer.BadParameter, match="1 to 16 characters"):
        checked_ae_title(title)


@pytest.mark.parametrize("title", ["CT1", "SIXTEEN LETTERS!", " MR1 "])
def test_an_ae_title_is_taken_without_the_spaces_around_it(title: str) -> None:
    assert checked_ae_title(title) == title.strip()


def test_no_title_is_left_to_the_default() -> None:
    assert checked_ae_title(None) is None
