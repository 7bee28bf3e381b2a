"""Standard output: results, and nothing else. No other module of the front end writes there."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from nadtui.formatting import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

UNBOUNDED = 1_000
"""Columns where no terminal sets them: a table in a pipe is as wide as it needs to be."""


class ReaderGoneError(Exception):
    """Whoever read the output has had enough, as in `nadtui runs | head`."""


class UnwritableError(Exception):
    """Standard output is closed, or cannot take any more (its disk is full, its terminal gone); one line."""


class _Closed(io.TextIOBase):
    """Standard output that was closed from the start, as by `>&-`."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        if text:
            raise OSError(errno.EBADF, "it is closed")
        return 0


def take_over() -> None:
    """Make standard output one that says so when it cannot be written."""
    if sys.stdout is None:
        sys.stdout = _Closed()
    else:
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail


def end() -> None:
    """Pass on what is waiting; what cannot be passed on is dropped, or the interpreter would complain at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def line(text: str = "") -> None:
    """One line."""
    _write(clean(text) + "\n")


def show(draw: Callable[[int], RenderableType]) -> None:
    """What `draw` makes of the columns there are; text is taken literally, without markup."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout, width=None if terminal else UNBOUNDED, markup=False, highlight=False, emoji=False
    )
    drawn = draw(console.width)
    console.file = drawing = io.StringIO()  # the console knows the terminal by now; to write there is our own business
    console.print(drawn)
    lines = drawing.getvalue().splitlines()
    _write("".join((said if terminal else said.rstrip()) + "\n" for said in lines))


def color_system() -> str | None:
    """The colors that the terminal on standard output shows, as rich names them; None without one."""
    from rich.console import Console

    return Console(file=sys.stdout).color_system


def document(text: str) -> None:
    """A text as it is, in whatever format: it ends with one line end."""
    _write(text if text.endswith("\n") else text + "\n")


def json_document(values: Any) -> None:
    """Exactly one JSON document; everything outside ASCII is escaped, so that nothing in it steers a terminal."""
    document(json.dumps(values, indent=2, allow_nan=False))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise UnwritableError(f"cannot write to standard output: {error.strerror or error}") from None
