"""Who does something over HTTP, for the audit trail."""

from typing import NamedTuple


class Actor(NamedTuple):
    """Who does something over HTTP.

    Args:
        user: Name by which it is known; empty where nobody asks for one.
        host: Address that it comes from; empty for a script of the site.
    """

    user: str
    host: str
