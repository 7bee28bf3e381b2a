"""Where things live on disk, and the one way of writing a file whole. Imports no torch."""

import os
import secrets
from pathlib import Path

import platformdirs

from engine.errors import RequestError


def cache_dir() -> Path:
    """Return the folder of everything that can be rebuilt: ``NADTUI_CACHE``, or the user's cache folder."""
    return _from_environment("NADTUI_CACHE") or Path(platformdirs.user_cache_dir("nadtui"))


def data_dir() -> Path:
    """Return the folder of downloaded data sets: ``NADTUI_DATA``, or ``data`` in the cache folder."""
    return _from_environment("NADTUI_DATA") or cache_dir() / "data"


def runs_dir() -> Path:
    """Return the folder of run folders: ``NADTUI_RUNS``, or ``runs`` under the working directory."""
    return _from_environment("NADTUI_RUNS") or Path("runs")


def presets_dir() -> Path:
    """Return the user's own folder of presets: ``NADTUI_PRESETS``, or ``presets`` among the user's settings."""
    return _from_environment("NADTUI_PRESETS") or Path(platformdirs.user_config_dir("nadtui")) / "presets"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a reader, or a crash at any moment, finds the old file or the new one.

    The bytes go to a temporary name in the same folder (made if missing), are flushed to the disk, and then
    take the place of ``path``; the folder is flushed as well, so that the new name survives a power cut.

    Raises:
        RequestError: the folder cannot be made or written, or the disk is full; nothing half-written stays.
    """
    # Several may write the same entry at once, and processes of containers or hosts that share a folder have the
    # same numbers: each writer has a temporary name of its own, drawn at random.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror or error}") from error


def _flush_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows: a folder cannot be opened, nor need it be
        return
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
