"""Standard output: results, and nothing else. No other module of the front end writes there.

Nor does anybody else while a command is carried out: what a network's file or a package prints goes to standard error.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import IO, TYPE_CHECKING, Any, cast

from nadtui.formatting import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


class _Aside:
    """Where others print: standard error, or whatever stands in for it just then, as a live view does."""

    def __init__(self, results: IO[str]) -> None:
        self._results = results

    def isatty(self) -> bool:
        """Whether both are terminals: the workbench asks, and draws only where nothing is led elsewhere."""
        return self._results.isatty() and sys.stderr.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


_results: IO[str] | None = None
"""Standard output while it is kept for results."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep standard output for results; what others print meanwhile goes to standard error."""
    global _results
    before, _results = _results, _stream()
    try:
        with redirect_stdout(cast("IO[str]", _Aside(_results))):
            yield
    finally:
        _results = before


def _stream() -> IO[str]:
    return sys.stdout if _results is None else _results


def on_terminal() -> bool:
    """Whether results go to a terminal."""
    return _stream().isatty()


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

    terminal = on_terminal()
    console = Console(file=_stream(), width=None if terminal else UNBOUNDED, markup=False, highlight=False, emoji=False)
    drawn = draw(console.width)
    console.file = drawing = io.StringIO()  # the console knows the terminal by now; to write there is our own business
    console.print(drawn)
    lines = drawing.getvalue().splitlines()
    _write("".join((said if terminal else said.rstrip()) + "\n" for said in lines))


def color_system() -> str | None:
    """The colors that the terminal on standard output shows, as rich names them; None without one."""
    from rich.console import Console

    return Console(file=_stream()).color_system


def document(text: str) -> None:
    """A text as it is, in whatever format: it ends with one line end."""
    _write(text if text.endswith("\n") else text + "\n")


def json_document(values: Any) -> None:
    """Exactly one JSON document; everything outside ASCII is escaped, so that nothing in it steers a terminal."""
    document(json.dumps(values, indent=2, allow_nan=False))


def _write(text: str) -> None:
    stream = _stream()
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise UnwritableError(f"cannot write to standard output: {error.strerror or error}") from None
