"""The exit codes of the command."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell learns from the command's end."""

    DONE = 0
    FAILED = 1
    """The run failed; its record is kept."""
    WRONG_REQUEST = 2
    """Nothing was done: the message names the field, the value and what is allowed."""
    INTERRUPTED = 130
    """Stopped from outside; the run can be resumed."""


def of_workbench(*, left: bool) -> ExitCode:
    """The workbench's own: whether a person `left` it, or it was cut off."""
    return ExitCode.DONE if left else ExitCode.INTERRUPTED
