"""Composition root: a `Config` becomes a running server. The only place where the parts meet.

`running` starts and ends it, `sockets` is what it listens on, `over_http` what it is over HTTP,
`reading` reads the folder while nobody asks. What an option means is in `mwl.config`; what the
parts do is in their own modules.
"""

from mwl.server.running import Ending, Server

__all__ = ["Ending", "Server"]
