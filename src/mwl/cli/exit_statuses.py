"""What the exit statuses of the commands mean, for scripts and service managers: one table."""

from typing import NamedTuple


class ExitStatus(NamedTuple):
    """One row of `STATUSES`.

    Args:
        command: The command; `any` for all of them.
        status: Its exit status.
        when: When it ends so.
    """

    command: str
    status: int
    when: str


STATUSES: tuple[ExitStatus, ...] = (
    ExitStatus("any", 0, "All is well."),
    ExitStatus(
        "any",
        1,
        "With a Python traceback: a fault of this program. Without one see the row of the command.",
    ),
    ExitStatus(
        "any",
        2,
        "The command line, a file or a configuration that was given cannot be used, or the output "
        "cannot be written.",
    ),
    ExitStatus(
        "serve", 0, "It was told to stop: SIGTERM, SIGINT or `POST /tools/shutdown`, once or twice."
    ),
    ExitStatus(
        "serve",
        1,
        "It did not start: a port or an address cannot be had now, for another program has it or "
        "its network is not there yet. The unit of systemd tries again.",
    ),
    ExitStatus(
        "serve",
        2,
        "It did not start: the configuration, a certificate, a script or the log file cannot be "
        "used, or a port needs a privilege. Starting it again does not mend that.",
    ),
    ExitStatus("echo", 0, "The server answers."),
    ExitStatus("echo", 1, "It cannot be reached, refuses, or answers with a failure."),
    ExitStatus("find", 0, "Every query ended with the status Success, with answers or without."),
    ExitStatus(
        "find", 1, "The server cannot be reached, refuses, or a query ended with another status."
    ),
    ExitStatus("explain", 0, "The query is explained, whatever it finds."),
    ExitStatus("explain", 1, "The server would refuse the caller or the query; that is explained."),
    ExitStatus("new", 0, "All items are written."),
    ExitStatus("new", 1, "Some items were refused, the others are written."),
    ExitStatus("new", 2, "Nothing is written."),
    ExitStatus("new", 129, "SIGHUP ended it; how many items are written is told."),
    ExitStatus("new", 130, "SIGINT ended it; how many items are written is told."),
    ExitStatus("new", 143, "SIGTERM ended it; how many items are written is told."),
    ExitStatus("check", 0, "Nothing is wrong with the files."),
    ExitStatus("check", 1, "There are warnings and no errors."),
    ExitStatus("check", 2, "There are errors."),
    ExitStatus("doctor", 0, "Nothing keeps the server from its work."),
    ExitStatus("doctor", 1, "There are warnings and no failures."),
    ExitStatus("doctor", 2, "There are failures."),
    ExitStatus("config check", 0, "`mwl serve` takes the configuration, perhaps with warnings."),
    ExitStatus("config check", 2, "`mwl serve` refuses it."),
)
"""All of them. A row of a command counts before those of `any`."""

IN_SHORT = (
    "Exit status: 0 all is well; 1 the other side said no, or there are warnings; 2 what was given "
    "cannot be used, or there are errors."
)
"""What the help says."""
