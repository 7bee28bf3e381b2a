"""The errors a person can cause, as opposed to the ones we cause.

Nothing here imports torch: the command line catches these without loading it.
"""


class RequestError(Exception):
    """The request is wrong: one line that says what, where, and what is allowed.

    The command line prints the message without a traceback and exits with 2.
    """


class UnfitError(RequestError):
    """The network can bear none of the defenses that were asked for: there is no such figure, rather than a failure."""


class AbsentError(RequestError):
    """The request may be right, but not here: what it names is not on this machine (a data set, a file, a device, a
    package), is another there, or may not be used by this process (a network's file that nobody typed)."""


class StageError(Exception):
    """A stage cannot go on (a loss that is not finite, a dead tap); the run is marked failed.

    The message names the stage and the reason; the record of the run is kept.
    """


class RecordError(StageError):
    """The record of a run cannot be written any more: its folder was deleted or moved, or its disk is full; one line.

    The run ends without a last word.
    """
