"""Where things live on disk, and the one way of writing a file whole. Imports no torch."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import platformdirs

from engine.errors import RequestError
from engine.places import expanded


def cache_dir() -> Path:
    """Return the folder of everything that can be rebuilt: ``NADTUI_CACHE``, or the user's cache folder."""
    return _from_environment("NADTUI_CACHE") or of_user(platformdirs.user_cache_dir)


def data_dir() -> Path:
    """Return the folder of downloaded data sets: ``NADTUI_DATA``, or ``data`` in the cache folder."""
    return _from_environment("NADTUI_DATA") or cache_dir() / "data"


def runs_dir() -> Path:
    """Return the folder of run folders: ``NADTUI_RUNS``, or ``runs`` under the working directory."""
    return _from_environment("NADTUI_RUNS") or Path("runs")


def presets_dir() -> Path:
    """Return the user's own folder of presets: ``NADTUI_PRESETS``, or ``presets`` among the user's settings."""
    return _from_environment("NADTUI_PRESETS") or of_user(platformdirs.user_config_dir) / "presets"


def zoo_dir() -> Path:
    """Return the folder of the suspects that come with the package."""
    # Of a package without a file of its own the parts are paths, the whole is none.
    return Path(str(resources.files("presets").joinpath("zoo")))


def of_user(folder: Callable[[str], str]) -> Path:
    """One of the user's own folders, by the function of ``platformdirs`` that names it.

    Who has no home (a number without a name, in a container) has none: it is a place then where nothing can be kept.
    """
    try:
        named = Path(folder("nadtui"))
    except RuntimeError:  # what some versions make of it; others leave the ~ as it is
        named = Path("~")
    return named if named.is_absolute() else Path(os.devnull) / "no home folder"


def unusable(folder: Path) -> str:
    """Why nothing can be kept in a folder, which is made if it is missing; empty where something can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b".")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def entries(folder: Traversable) -> list[Traversable]:
    """What lies in a folder, by name; nothing where there is none, or it may not be looked into."""
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError:
        return []


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return expanded(value) if value else None


@contextmanager
def named_in_letters(path: Path) -> Iterator[str]:
    """A name for a file that safetensors takes: it wants UTF-8, which names of files need not be."""
    name = str(path)
    if name == name.encode("utf-8", "replace").decode():
        yield name
        return
    with path.open("rb") as file:
        yield f"/dev/fd/{file.fileno()}"


def write_atomically(path: Path, content: bytes, *, within: Path | None = None) -> None:
    """Write ``content`` to ``path``: a reader, or a crash at any moment, finds the old file or the new one.

    The bytes go to a temporary name in the same folder (made if missing), are flushed to the disk, and then
    take the place of ``path``; the folder is flushed as well, so that the new name survives a power cut.
    ``within`` is a folder that must be there, the file's own or the one above that: one that somebody has
    deleted is not made again.

    Raises:
        RequestError: the folder cannot be made or written, or the disk is full; nothing half-written stays.
    """
    # Several may write the same entry at once, and processes of containers or hosts that share a folder have the
    # same numbers: each writer has a temporary name of its own, drawn at random.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        if path.parent != within:
            path.parent.mkdir(parents=within is None, exist_ok=True)
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
