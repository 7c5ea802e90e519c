"""Whether a server can do its work on this machine, and what to mend where it cannot.

    table          the checks, as data: what each looks at, when it warns and fails, what helps
    findings       what a check found
    machine        user, clock, descriptors, notification
    folders        the worklist folder, its files, the cache
    ports          who has a port, and what answers there
    certificates   files of TLS
    audit          where audit messages go, and what keeps them until then
    units          how systemd runs a server
    modalities     the devices of `DicomModalities`

Nothing is changed by looking, and no value of a worklist item is shown. A check is given what it
judges as arguments; what cannot be had otherwise (a port, a lease, an answer) is tried as the
server tries it. Which checks a configuration needs is decided in `mwl.cli.examination`.
"""

from mwl.doctor.findings import LEVELS, Finding, Level, fail, ok, warn, worst
from mwl.doctor.table import CHECKS, Check

__all__ = ["CHECKS", "LEVELS", "Check", "Finding", "Level", "fail", "ok", "warn", "worst"]
