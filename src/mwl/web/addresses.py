"""Addresses of requests as the log may show them with `DeidentifyLogs`.

Whoever asks for `/worklists/4711` may mean a patient's number. So what stands in place of a
parameter is shown only when there is such a thing: then it is the name of a file or of a modality,
which other lines have as well. Else the log has the route, such as `/worklists/{worklist}`.
"""

import re
from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

UNKNOWN = "(no route of this server, hidden: DeidentifyLogs)"
"""Stands for an address that nothing answers."""

FAILURE = 400
"""Least status of a response that says that nothing came of a request."""


_SLASHES = re.compile(r"/{2,}")


def plain_path(path: str) -> str:
    """Give a path as the routes have it: one slash for several, none at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


class Addresses:
    """Tells what to show of an address.

    Args:
        routes: All routes of the application.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes

    def shown(self, scope: Scope, status: int) -> str:
        """Give the path of a request as the log may have it.

        Args:
            scope: The request.
            status: Of its response; 0 where there was none.
        """
        if 0 < status < FAILURE:
            return str(scope["path"])
        return self.route(scope)

    def route(self, scope: Scope) -> str:
        """Give the path of the route that answers a request, parameters in braces."""
        plain = {**scope, "path": plain_path(scope["path"])}
        for route in self._routes:
            if route.matches(plain)[0] is not Match.NONE:
                return str(getattr(route, "path", UNKNOWN))
        return UNKNOWN
