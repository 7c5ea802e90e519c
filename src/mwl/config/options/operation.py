"""How the server runs: its end, its log."""

from mwl.config.option import Option, same

OPERATION: tuple[Option, ...] = (
    Option(
        name="LogFile",
        field="log_file",
        kind="optional file",
        default="",
        from_orthanc=False,
        help="File that the log is written to, at its end; without one it is the standard error "
        "stream. When the file is renamed or removed, as logrotate does, it is made anew.",
    ),
    Option(
        name="LogLevel",
        field="log_level",
        kind="choice",
        default="default",
        choices=same("default", "verbose", "trace"),
        from_orthanc=False,
        help='How much is logged: "verbose" adds whole queries and the files that answer, "trace" '
        "adds PDUs and answers; values as `DeidentifyLogs` has it.",
    ),
    Option(
        name="LogFormat",
        field="log_format",
        kind="choice",
        default="text",
        choices=same("text", "json"),
        from_orthanc=False,
        help="How lines of the log are written.",
    ),
    Option(
        name="ShutdownTimeout",
        field="shutdown_timeout_s",
        kind="integer",
        default=5,
        unit="seconds",
        minimum=0,
        maximum=3600,
        from_orthanc=False,
        help="How long the server takes to stop at most. It listens no more at once; queries at "
        "work are answered and associations without one are asked to release. What is left then "
        "is aborted.",
    ),
)
