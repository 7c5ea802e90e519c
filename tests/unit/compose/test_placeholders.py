"""Placeholders."""

import pytest

from mwl.compose.placeholders import EXAMPLE, PLACEHOLDERS, expand


def refuse(message: str, hint: str) -> Exception:
    return ValueError(f"{message}: {hint}")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("{today}", "20261124"),
        ("{today+1}", "20261125"),
        ("{today-24}", "20261031"),
        ("{today+38}", "20270101"),
        ("{now}", "083000"),
        ("{today}{now}", "20261124083000"),
        ("{uid}", "2.25.1"),
        ("{counter}", "1"),
        ("A{counter:4}B", "A0001B"),
        ("{{today}}", "{today}"),
        ("{{{counter}}}", "{1}"),
    ],
)
def test_placeholders_stand_for_what_the_table_says(text: str, expanded: str) -> None:
    assert expand(text, EXAMPLE, refuse) == expanded


@pytest.mark.parametrize(
    "text", ["{", "}", "a{b", "{yesterday}", "{today+}", "{counter:}", "{}", "{ today }"]
)
def test_braces_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|alone"):
        expand(text, EXAMPLE, refuse)


def test_every_placeholder_of_the_table_works_as_it_is_written() -> None:
    for placeholder in PLACEHOLDERS:
        assert expand(placeholder, EXAMPLE, refuse) != placeholder
