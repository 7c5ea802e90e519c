"""Whether the server works, for what watches it, and how much, for Prometheus."""

from fastapi import APIRouter, Response

from mwl.errors import StoreError
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.metrics import PROMETHEUS
from mwl.web.routing import ANY_OBJECT, STRING, Route, json_answer, router_of


class _Health:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def live(self) -> Response:
        """Tell that the server runs."""
        return json_answer({"Status": "live"})

    async def ready(self) -> Response:
        """Tell whether queries are answered: every folder in use is read, and can be."""
        worklists = self._context.worklists
        try:
            opened = worklists.opened
            waiting = [name for name, worklist in opened.items() if not worklist.is_ready()]
            worklists.require_folder()
        except StoreError as error:
            raise ApiError("DatabaseUnavailable", error.comment) from error
        if waiting:
            raise ApiError("DatabaseUnavailable", "the folder is being read")
        items = sum(len(worklist.catalog) for worklist in opened.values())
        return json_answer({"Status": "ready", "Items": items})

    async def metrics(self) -> Response:
        """Give the metrics as Prometheus reads them."""
        return Response(self._context.metrics(), headers={"Content-Type": PROMETHEUS})


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    health = _Health(context)
    return router_of(
        "Monitoring",
        [
            Route(method="GET", path="/health/live", endpoint=health.live, answer=ANY_OBJECT),
            Route(
                method="GET",
                path="/health/ready",
                endpoint=health.ready,
                answer=ANY_OBJECT,
                failures={503: "A folder cannot be read, or is being read for the first time"},
            ),
            Route(
                method="GET",
                path="/metrics",
                endpoint=health.metrics,
                answer=STRING,
                answer_type=PROMETHEUS,
            ),
        ],
    )
