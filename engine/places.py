"""Paths as people write them, wherever they do: in options, fields, configuration files and the environment.

`~` is a home folder in all of them, since no shell expands it in `--out=~/runs` or in a file; a relative path is
relative to the working directory. Free of torch.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import RequestError


def expanded(written: str | Path) -> Path:
    """The path that is meant: `~` and `~name` stand for home folders.

    Raises:
        RequestError: nobody knows that home.
    """
    try:
        return Path(written).expanduser()
    except RuntimeError:
        whose = Path(written).parts[0]
        raise RequestError(f"{written}: there is no home folder {whose}; ./{whose} is a file or folder here") from None


def in_full(written: str | Path) -> str:
    """The same from the root on, fit for a record: it is of use from any folder.

    Raises:
        RequestError: as `expanded`, or the working directory is gone.
    """
    path = expanded(written)
    try:
        return str(path.absolute())
    except FileNotFoundError:
        raise RequestError(f"{written}: the working directory was deleted; a path from the root on is wanted") from None


def sought(path: Path) -> str:
    """Where a path that was not found was looked for, to be added to what is said of it; nothing where it says so."""
    return "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
