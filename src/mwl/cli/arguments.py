"""Arguments that several commands check alike."""

import string

import typer

AE_TITLE_LIMIT = 16
"""Characters in an AE title: PS3.5 Table 6.2-1."""

_LEGAL = frozenset(string.printable) - frozenset(string.whitespace) - {"\\"} | {" "}


def checked_ae_title(value: str | None) -> str | None:
    """Check an AE title: 1 to 16 characters of the default repertoire, not only spaces.

    Raises:
        typer.BadParameter: It is something else; ends with exit status 2.
    """
    if value is None:
        return None
    if not value.strip() or len(value) > AE_TITLE_LIMIT or not _LEGAL.issuperset(value):
        raise typer.BadParameter(
            f"an AE title has 1 to {AE_TITLE_LIMIT} characters of ASCII and no backslash"
        )
    return value.strip()
