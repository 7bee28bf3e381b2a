"""Standard error: errors, warnings, progress. No other module of the front end opens it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING, Any

from nadtui.formatting import clean

if TYPE_CHECKING:
    from rich.console import Console


class Tolerant:
    """A stream that cannot fail: what it cannot take (it is closed, its disk full, its reader gone) is lost.

    What is said on the way decides nothing: a run goes on whoever has stopped listening.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write as much as can be written; returns the length of the text in any case."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As `write`, for each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is waiting, if that can be done."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def take_over() -> None:
    """Make standard error, for all of the process, a stream that cannot fail; where it was closed, one to nowhere."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  (for as long as the process lives)
    sys.stderr.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail
    # The workbench draws on the one that Python keeps beside it.
    sys.stderr = sys.__stderr__ = Tolerant(sys.stderr)


def on_terminal() -> bool:
    """Whether standard error is a terminal that can paint over what it shows; FORCE_COLOR makes none of a file."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def console() -> Console:
    """A console on the terminal of standard error that takes text literally, without markup; NO_COLOR is honored."""
    from rich.console import Console

    return Console(stderr=True, force_terminal=True, markup=False, highlight=False, emoji=False)


def error(message: object) -> None:
    """What is wrong, in one line."""
    note(f"error: {message}")


def note(text: str) -> None:
    """One line, whatever foreign text is in it."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def traceback(text: str) -> None:
    """Where a mistake of ours happened, for the report of it."""
    sys.stderr.write("\n".join(map(clean, text.splitlines())) + "\n")


def leave_terminal() -> None:
    """Show the cursor again, from within a signal handler: a live view that is cut off cannot do it itself."""
    stderr = sys.__stderr__
    if stderr is not None and stderr.isatty():
        with contextlib.suppress(OSError):
            os.write(stderr.fileno(), b"\x1b[?25h\r\n")
