"""The sources of images and how a name or a path finds its source.

A new source is one file beside this one that offers ``load(settings, progress) -> ImageData``, and one entry
in ``SOURCES``; an installed package brings one, a module or anything else with such a ``load``, as an entry point of
the group ``nadtui.data``. Importing this package loads no torch: names are checked long before images are read.
"""

import difflib
import importlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import AbsentError, RequestError
from engine.overheard import listening
from engine.registry import Registry, warn
from engine.storage.paths import data_dir

if TYPE_CHECKING:
    from engine.data.base import DataRequest, ImageData, Progress


def _check(found: Any) -> None:
    if not callable(getattr(found, "load", None)):
        raise TypeError("load(settings, progress) -> engine.data.base.ImageData is wanted")


SOURCES = Registry(
    "data set",
    "nadtui.data",
    {
        "signs": "engine.data.embedded",
        "cifar10": "engine.data.cifar10",
        "gtsrb": "engine.data.gtsrb",
    },
    _check,
)
"""Data sets by name, with what loads each."""

_STORED = {"cifar10": ("cifar10.npz", "cifar-10-batches-py"), "gtsrb": ("gtsrb.npz", "gtsrb")}
"""What is in the data folder where a source's images are on the machine; a source without such a thing draws them."""

PARTS = ("train", "test")
"""The parts of a data set that clean images may be of."""

_FILE, _FOLDER = "engine.data.npz", "engine.data.folder"


def check_name(name: str) -> None:
    """Raise RequestError, naming what is allowed, unless ``name`` is a data set or the path of one.

    Whether a file or folder holds what it should is seen when it is loaded.
    """
    if name not in SOURCES:
        _module(name)


def present(name: str) -> bool:
    """Whether the images of a data set are on this machine already: none of it would have to be downloaded.

    A package's source says so by ``present() -> bool``; one that does not, has them.
    """
    if name in SOURCES.ours:
        return name not in _STORED or any(os.path.lexists(data_dir() / each) for each in _STORED[name])
    if name in SOURCES:
        try:
            return bool(getattr(SOURCES.get(name), "present", lambda: True)())
        except Exception as error:  # of a package: asked for a listing, it must not end the program
            warn(f"data set '{name}' of {SOURCES.origin(name)}: {error}")
            return False
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError):
        return False


def load(settings: "DataRequest", progress: "Progress | None" = None) -> "ImageData":
    """Load the data set that ``settings.name`` names; what is slow about it is told to ``progress``.

    Raises:
        RequestError: an unknown name, an absent path, data of the wrong form, a download that failed, or a package
            that cannot be imported.
    """
    from engine.data.base import ImageData, Note, silent

    if settings.name in SOURCES:
        try:
            source = SOURCES.get(settings.name)
        except ValueError as error:
            raise RequestError(str(error)) from error
    else:
        source = importlib.import_module(_module(settings.name))
    try:
        with listening() as ear:
            found = source.load(settings, progress or silent)
    except OSError as error:  # what no source has foreseen: a folder that may not be looked into, a disk that fails
        where = f"{error.filename}: " if error.filename else ""
        raise RequestError(f"data set {settings.name!r}: {where}{error.strerror or error}") from error
    heard = [Note(line, warning=True) for line in ear.untold()]
    return replace(found, notes=(*found.notes, *heard)) if heard and isinstance(found, ImageData) else found


def _module(name: str) -> str:
    """Return the module that loads the file or folder ``name``; the name of a registered source wins over a path."""
    from engine.data import look

    path = Path(name)
    try:
        path = path.expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError):  # too long for a name, a folder that may not be entered, the home of nobody
        folder, file = False, False
    if name and folder:
        return _FOLDER
    if file:
        if path.suffix.lower() == ".npz" or look.holds_arrays(path):
            return _FILE
        raise RequestError(f"data set {name!r} is {_what(path)}; it is not a .npz file; {_allowed()}")
    if len(path.parts) > 1 or path.suffix:
        raise AbsentError(f"data set {name!r}: no such file or folder; {_allowed()}")
    near = difflib.get_close_matches(name.lower(), SOURCES, n=1)
    hint = f": did you mean {near[0]}?" if near else ";"
    raise RequestError(f"unknown data set {name!r}{hint} {_allowed()}")


def _what(path: Path) -> str:
    from engine.data import look

    try:
        return look.what(path)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror or error})"


def _allowed() -> str:
    return f"known: {', '.join(SOURCES)}; or the path of a .npz file or of a folder of class folders"
