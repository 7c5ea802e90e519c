"""The HTTP application over a folder of this test, called without a socket."""

import dataclasses
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mwl.access import AccessPolicy
from mwl.config import Config, of_folder
from mwl.errors import PeerRefused
from mwl.net.client import ClientAssociation, Peer
from mwl.site import KnownModalities, Worklists
from mwl.web import Context, Identity, Reply, Settings, call, create_app


class nobody_there:  # noqa: N801 - stands for a function
    """Refuse, as the network does where nobody listens; without a network."""

    def __init__(self, peer: Peer, sop_classes: list[str]) -> None:
        del sop_classes
        self._peer = peer

    async def __aenter__(self) -> ClientAssociation:
        raise PeerRefused(f"no connection to {self._peer.host}: Connection refused")

    async def __aexit__(self, *_: object) -> None: ...


@dataclass
class Web:
    """An application and what it did to its server."""

    context: Context
    policies: list[AccessPolicy]
    ended: list[str]
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.context)

    async def ask(self, method: str, uri: str, body: str | bytes = b"", **headers: str) -> Reply:
        """Call a route."""
        encoded = body.encode() if isinstance(body, str) else body
        return await call(self.app, method, uri, encoded, headers)


def web(
    folder: Path,
    config: Callable[[Config], Config] = lambda config: config,
    settings: Settings | None = None,
    **parts: Any,
) -> Web:
    """Make an application.

    Args:
        folder: Of the worklist files.
        config: Changes the configuration of the site.
        settings: Options that routes obey.
        **parts: Other parts of the context.
    """
    site = config(of_folder(folder))
    policies: list[AccessPolicy] = []
    ended: list[str] = []
    context = Context(
        identity=Identity(
            name="Invented",
            ae_title=site.dicom_ae_title,
            dicom_port=4242,
            http_port=8042,
            is_secure=True,
            folder=str(folder),
        ),
        settings=settings or Settings(),
        worklists=Worklists(site),
        modalities=KnownModalities(site, policies.append),
        stop=lambda: ended.append("stop"),
        reset=lambda: ended.append("reset"),
        metrics=lambda: b"# nothing\n",
        associate=nobody_there,
    )
    made = Web(dataclasses.replace(context, **parts), policies, ended)
    # The application is a ring of objects: what it watches would stay open until they are found.
    weakref.finalize(made, context.worklists.close)
    return made
