"""How the server runs: its end."""

from mwl.config.option import Option

OPERATION: tuple[Option, ...] = (
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
