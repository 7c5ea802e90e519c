"""Composition root: a `Config` becomes a running server. The only place where the parts meet.

`running` starts and ends it, `reloading` reads its configuration anew, `sockets` is what it listens
on, `serving` what a configuration makes of associations, `over_http` what it is over HTTP, `log`
where its log goes, `supervisor` what systemd is told; `reading` reads the folder while nobody asks.
What an option means is in `mwl.config`; what the parts do is in their own modules.
"""

from mwl.server.log import begin_log
from mwl.server.running import Ending, Server

__all__ = ["Ending", "Server", "begin_log"]
