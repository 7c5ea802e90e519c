"""The checks of `mwl doctor` as data: docs/reference/doctor.md is made of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One row of `CHECKS`.

    Args:
        name: As it stands in the output.
        looks_at: What it looks at.
        warns: When it warns; empty where it never does.
        fails: When it fails; empty where it never does.
        mend: What helps.
    """

    name: str
    looks_at: str
    warns: str
    fails: str
    mend: str


CHECKS: tuple[Check, ...] = (
    Check(
        "user",
        "As whom `mwl doctor` looks: what root may read, the server's user perhaps may not.",
        "It is root, and nobody said as whom the server runs.",
        "That user may not read this program.",
        "`sudo mwl doctor --unit mwl ...` where systemd runs it, `--user NAME` elsewhere; "
        "`--user root` where that is meant.",
    ),
    Check(
        "configuration",
        "The configuration, as `mwl config check` does: what cannot be used, what `mwl serve` "
        "would refuse, what is probably misspelt.",
        "Something is probably not meant.",
        "It cannot be read, or `mwl serve` would refuse it.",
        "The line that is named; `mwl config init` prints a configuration to start from.",
    ),
    Check(
        "scripts",
        "`LuaScripts`, `PythonScript` and `Hooks`: they are loaded as `mwl serve` loads them, and "
        "not called.",
        "A script defines a callback that is never called here.",
        "One is missing or cannot be loaded: the server does not start.",
        "The file and the line that are named; `pip install mwl[lua]` for Lua.",
    ),
    Check(
        "folder",
        "`Worklists.Database`: that it is there and that this user may list it. With "
        "`FolderPerCalledAet` also each folder in it.",
        "Anybody on this machine may write into it; or, with a folder for each called AE title, "
        "there is none.",
        "It is missing, no folder, or may not be listed: every query fails.",
        "`install -d`, `setfacl` or `chmod`, as shown.",
    ),
    Check(
        "files",
        "The worklist files, read as the server reads them.",
        "Some are not served, because they cannot be read or parsed; some are found by hardly any "
        "query (`mwl check` says which and why); no name ends in `.wl`.",
        "Files may not be read by this user.",
        "`setfacl` for permissions, `mwl check FOLDER` for the rest.",
    ),
    Check(
        "watch",
        "How the server will learn of changes in the folder, as it chooses for `Worklists.Watch`: "
        "told by the kernel (inotify), or by comparing the folder before each answer.",
        "Notification is asked for on a file system where it cannot be trusted, or cannot be had.",
        "",
        '`"Watch": "auto"`; `sysctl` where a limit of the kernel is reached.',
    ),
    Check(
        "lease",
        "Whether the server can ask the kernel if somebody is still writing a file: as owner of "
        "the files, or with CAP_LEASE.",
        "For some files it cannot, so that it has to go by time and by the end of writing; see "
        "[freshness](../design/freshness.md).",
        "",
        "Run the server as the user that owns the files, give it `AmbientCapabilities=CAP_LEASE`, "
        "or let writers rename finished files into the folder.",
    ),
    Check(
        "inotify",
        "The limits of the kernel on notification, and how much of them this user has in use.",
        "What is left is less than the folders need: the server then compares folders instead.",
        "",
        "`sysctl fs.inotify.max_user_instances=...`, and a file in `/etc/sysctl.d` to keep it.",
    ),
    Check(
        "cache",
        "The folder of `Worklists.Snapshot`, which holds patient data: that it can be written, and "
        "by nobody else.",
        "It cannot be written, so that each start reads every file anew; or others may enter it.",
        "",
        "`install -d -m 700`, `chmod 700`, `CacheDirectory=mwl` in the unit of systemd, or "
        '`"Snapshot": "off"`.',
    ),
    Check(
        "log",
        "`LogFile`: that it can be written.",
        "",
        "It cannot be written: the server does not start.",
        "`LogsDirectory=mwl` in the unit of systemd and a file in `/var/log/mwl`; `install -d`, "
        "`chown`.",
    ),
    Check(
        "port",
        "The ports of DICOM, DICOM over TLS and HTTP: free, or who has them; a server that has one "
        'is asked who it is. Where `DicomUserIdentity` is `"required"`, the first of '
        "`RegisteredUsers` logs in for that, at a process that was started as `mwl serve` and at "
        "nothing else.",
        "The port needs a privilege that this user lacks here and the service may have.",
        "Another program has it, or there is no such address on this machine.",
        "`ss -ltnp` names the program; another port; `AmbientCapabilities=CAP_NET_BIND_SERVICE`.",
    ),
    Check(
        "http",
        "Who may use HTTP: this machine, or others, and with what in between.",
        "Other machines may use it without encryption or password (`HttpInsecureRemote`), or may "
        "run Lua (`ExecuteLuaEnabled`).",
        "",
        '`"SslEnabled": true` and `SslCertificate`, `"RemoteAccessAllowed": false`.',
    ),
    Check(
        "certificates",
        "The files of TLS: that they can be read, that key and certificate belong together, the "
        "chain, the days left, who may read the key.",
        "It expires within 30 days; others may read the key; the file holds certificates that do "
        "not vouch for the first; a trusted one has expired.",
        "A file cannot be used, or the certificate has expired or is not valid yet.",
        "A new certificate; `chmod 600` for the key; certificates in the order leaf, intermediate.",
    ),
    Check(
        "audit",
        "`Audit.Destination` and `Audit.SpoolFolder`: that the file can be written, that the "
        "receiver's name can be resolved and TLS is agreed upon, that the spool can be written, by "
        "nobody else, and how much waits in it. No message is sent.",
        "Others may read the file or enter the spool, which name patients; much waits in the "
        "spool. A receiver over UDP cannot be asked whether it is there.",
        "The file or the spool cannot be written, or the receiver cannot be reached.",
        "`chmod`, `install -d -m 700`, `StateDirectory=mwl` in the unit of systemd; the receiver.",
    ),
    Check(
        "descriptors",
        "How many files and connections the server may have open (RLIMIT_NOFILE): of the running "
        "server where it can be seen, else of this shell.",
        "They do not suffice for all connections that its limits allow.",
        "",
        "`LimitNOFILE=4096` in the unit of systemd.",
    ),
    Check(
        "clock",
        "Year, time zone and whether something sets the clock (NTP); where the kernel does not "
        "say, it is shown as unknown.",
        "No time zone is set, or nothing sets the clock.",
        "The year cannot be.",
        "`timedatectl set-ntp true`, `timedatectl set-timezone Europe/Berlin`.",
    ),
    Check(
        "modalities",
        "`DicomModalities`: entries that are there twice, names that cannot be resolved, and a "
        "C-ECHO to each, over TLS where it says so; not with `--no-echo`.",
        "Nobody answers there: it is switched off, or the port is not its own. Nobody may query. "
        "Two entries have one AE title, or one address.",
        "It refuses us, its name cannot be resolved, or no TLS is agreed upon.",
        "What the refusal says: the AE title in the entry, ours on the device, its port.",
    ),
)
"""The checks, in the order of the output."""
