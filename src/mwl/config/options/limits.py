"""The section `Limits`, made of the table of limits."""

from mwl.config.option import Option
from mwl.limits import LIMITS as ROWS
from mwl.limits import Limit


def of_limit(limit: Limit, text: str, *, from_orthanc: bool = True) -> Option:
    """Make the option of a limit.

    Args:
        limit: The limit.
        text: What it does; sentences.
        from_orthanc: Whether Orthanc has it.
    """
    return Option(
        name=limit.name,
        field=limit.field,
        kind="integer",
        default=limit.default,
        unit=limit.unit,
        minimum=limit.minimum,
        maximum=limit.maximum,
        from_orthanc=from_orthanc,
        help=text,
    )


LIMITS: tuple[Option, ...] = tuple(
    of_limit(limit, f"{limit.bounds} {limit.reason} {limit.refusal}", from_orthanc=False)
    for limit in ROWS
    if limit.is_in_section
)
