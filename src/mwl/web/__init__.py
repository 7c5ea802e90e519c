"""HTTP: Orthanc's routes and those that it lacks, translated into calls. The only importer of
FastAPI, Starlette and uvicorn.

`context` is what the routes need, `errors` what they answer when they fail, `access` who may ask,
`serving` the listener in the event loop that DICOM has too. Each other module is one router.
Nothing here computes what another room should.
"""  # noqa: D205 - one sentence over two lines

import socket
import ssl
from collections.abc import Callable

from fastapi import APIRouter, FastAPI

from mwl import __version__
from mwl.web import (
    batch,
    docs,
    errors,
    events,
    explaining,
    health,
    modalities,
    queries,
    system,
    tools,
    worklists,
)
from mwl.web.access import Guard, Rules
from mwl.web.addresses import Addresses
from mwl.web.context import Context, HttpLimits, Identity, Reloaded, Settings
from mwl.web.entrance import Entrance
from mwl.web.metrics import Metrics
from mwl.web.serving import HttpServer
from mwl.web.within import Reply, call

ROUTERS: tuple[Callable[[Context], APIRouter], ...] = (
    system.router,
    modalities.router,
    tools.router,
    # Before the routes of single items, whose path its own would be too.
    batch.router,
    explaining.router,
    worklists.router,
    queries.router,
    events.router,
    health.router,
)
"""What makes the routers, in the order of the OpenAPI description."""


def create_app(context: Context) -> FastAPI:
    """Give the application, without access control: that is what `mwl.web.access` puts around it.

    Args:
        context: What the routes work with.
    """
    app = FastAPI(
        title="mwl",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    routers = [router(context) for router in ROUTERS]
    for router in routers:
        app.include_router(router)
    documentation = docs.router(docs.describe(app, authentication=context.settings.authentication))
    app.include_router(documentation)
    app.add_middleware(Entrance, described=context.settings.describe_errors)
    routers.append(documentation)
    app.state.context = context
    app.state.addresses = Addresses([route for router in routers for route in router.routes])
    errors.install(app, routers, described=context.settings.describe_errors)
    return app


App = FastAPI
"""What `create_app` gives."""


def listener(
    guard: Guard, sockets: list[socket.socket], tls: ssl.SSLContext | None, limits: HttpLimits
) -> HttpServer:
    """Give what serves an application on sockets that listen.

    Args:
        guard: What `create_app` gives, guarded.
        sockets: Bound and listening.
        tls: What to encrypt with; None does not.
        limits: How much is taken.
    """
    return HttpServer(guard, sockets, tls, limits)


__all__ = [
    "Addresses",
    "App",
    "Context",
    "Guard",
    "HttpLimits",
    "HttpServer",
    "Identity",
    "Metrics",
    "Reloaded",
    "Reply",
    "Rules",
    "Settings",
    "call",
    "create_app",
    "listener",
]
