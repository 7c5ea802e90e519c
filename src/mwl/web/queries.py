"""The last queries: who asked for what, and how it ended."""

import datetime as dt
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from mwl.net.journal import QueryRecord
from mwl.web.context import Context
from mwl.web.routing import STRING, Route, Schema, json_answer, router_of

LIST_LIMIT = 1000
"""Most queries in one answer, in queries: three milliseconds."""

_QUERY: Schema = {
    "type": "object",
    "properties": {
        "Number": {"type": "integer", "description": "Of the query since the start."},
        "Date": STRING,
        "CallingAet": STRING,
        "CalledAet": STRING,
        "Host": STRING,
        "Keys": {"type": ["string", "null"], "description": "Without values: `DeidentifyLogs`."},
        "Status": STRING,
        "Comment": STRING,
        "Detail": STRING,
        "Items": {"type": "integer"},
        "Answers": {"type": "integer"},
        "Milliseconds": {"type": "number"},
    },
}


def query_document(record: QueryRecord) -> dict[str, Any]:
    """Give a query as the answers have it."""
    date = dt.datetime.fromtimestamp(record.time_ns / 1e9, dt.UTC)
    return {
        "Number": record.number,
        "Date": date.isoformat(timespec="milliseconds"),
        "CallingAet": record.calling_ae_title,
        "CalledAet": record.called_ae_title,
        "Host": record.host,
        "Keys": record.keys,
        "Status": f"{record.status:04X}",
        "Comment": record.comment,
        "Detail": record.detail,
        "Items": record.items,
        "Answers": record.answers,
        "Milliseconds": round(record.milliseconds, 3),
    }


class _Queries:
    def __init__(self, context: Context) -> None:
        self._journal = context.journal

    async def queries(self, limit: Annotated[int, Query(ge=0, le=LIST_LIMIT)] = 100) -> Response:
        """List the last queries, the latest first.

        How many are kept says `QueriesHistorySize`.
        """
        return json_answer([query_document(one) for one in islice(self._journal, limit)])


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    return router_of(
        "Monitoring",
        [
            Route(
                method="GET",
                path="/queries",
                endpoint=_Queries(context).queries,
                answer={"type": "array", "items": dict(_QUERY)},
                failures={400: "A parameter cannot be used"},
            )
        ],
    )
