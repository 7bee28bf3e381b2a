"""Standard error: errors, warnings, progress. No other module of the front end opens it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nadtui.formatting import clean

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """A console on standard error that takes text literally, without markup; NO_COLOR and TERM=dumb are honored."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, emoji=False)


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
        os.write(stderr.fileno(), b"\x1b[?25h\r\n")
