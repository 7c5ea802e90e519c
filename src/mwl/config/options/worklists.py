"""The section `Worklists`: the folder and how it is answered from."""

from mwl.config.option import Option, same
from mwl.config.options.limits import of_limit
from mwl.limits import LIMIT_ANSWERS

WORKLISTS: tuple[Option, ...] = (
    Option(
        name="Worklists.Enable",
        field="enable",
        kind="boolean",
        default=False,
        help="Whether the worklist is served. Set it to true: `mwl serve` does not start without.",
    ),
    Option(
        name="Worklists.Database",
        field="database",
        kind="path",
        default="worklists",
        aliases=("Directory",),
        help="Folder of the worklist files (*.wl). A relative path starts at the folder of the "
        "configuration file. Orthanc has no default and does not start without.",
    ),
    Option(
        name="Worklists.FilterIssuerAet",
        field="filter_issuer_ae_title",
        kind="choice",
        default=False,
        choices=((False, "off"), (True, "fill"), ("force", "force")),
        help="Whether callers get only the items of their own AE title: true fills Scheduled "
        'Station AE Title into queries that leave it empty, "force" restricts every query.',
    ),
    of_limit(
        LIMIT_ANSWERS,
        "Most answers to one query, after which its status is FE00; 0 is no limit.",
    ),
    Option(
        name="Worklists.SetStudyInstanceUidIfMissing",
        field="set_study_instance_uid",
        kind="boolean",
        default=True,
        help="Whether an item that comes over HTTP without a Study Instance UID gets a new one. "
        "Without one, a scanner cannot start the examination.",
    ),
    Option(
        name="Worklists.Compatibility",
        field="compatibility",
        kind="choice",
        default="standard",
        choices=same("standard", "orthanc"),
        from_orthanc=False,
        help="Dialect of matching and answers: as the DICOM standard says, or as Orthanc does "
        "where that differs.",
    ),
    Option(
        name="Worklists.FolderPerCalledAet",
        field="folder_per_called_ae_title",
        kind="boolean",
        default=False,
        from_orthanc=False,
        help="Whether each called AE title has a folder of its own within `Database`, as "
        "wlmscpfs has it.",
    ),
    Option(
        name="Worklists.Watch",
        field="watch",
        kind="choice",
        default="auto",
        choices=same("auto", "inotify", "scan"),
        from_orthanc=False,
        help="How changes of the folder are noticed: by notification of the kernel, by looking "
        "at the folder before each answer (network file systems), or whichever can be trusted.",
    ),
    Option(
        name="Worklists.Snapshot",
        field="snapshot",
        kind="cache",
        default="auto",
        from_orthanc=False,
        help="Folder that keeps what was read of 1,000 files and more, so that the next start "
        "reads only those that changed. It holds patient data: only the server's user can read it. "
        'With "auto" it is $CACHE_DIRECTORY (systemd), else $XDG_CACHE_HOME/mwl, else '
        '~/.cache/mwl; "off" keeps nothing.',
    ),
)
