"""What every request passes: its path is made plain as Orthanc does, and a fault is answered."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mwl.web.addresses import plain_path
from mwl.web.errors import as_api_error, error_response


class Entrance:
    """Put around the routes.

    Args:
        app: The routes.
        described: Whether an error says more than its status.
    """

    def __init__(self, app: ASGIApp, *, described: bool) -> None:
        self._app = app
        self._described = described

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = plain_path(scope["path"])
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return  # it went away in the middle of its request: nobody is there to answer
        except Exception as error:
            failure = as_api_error(error)
            if has_begun:
                raise  # half an answer cannot be taken back: the connection is cut
            method, path = scope["method"], scope["path"]
            await error_response(failure, method, path, described=self._described)(
                scope, receive, send
            )
