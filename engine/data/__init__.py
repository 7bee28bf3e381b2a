"""The sources of images and how a name or a path finds its source.

A new source is one file beside this one that offers ``load(settings, progress) -> ImageData``, and one entry
in ``SOURCES``. Importing this package loads no torch: names are checked long before images are read.
"""

import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.storage.paths import data_dir

if TYPE_CHECKING:
    from engine.data.base import DataRequest, ImageData, Progress

SOURCES: dict[str, str] = {
    "signs": "engine.data.embedded",
    "cifar10": "engine.data.cifar10",
    "gtsrb": "engine.data.gtsrb",
}
"""Data sets by name, with the module that loads each."""

_STORED = {"cifar10": ("cifar10.npz", "cifar-10-batches-py"), "gtsrb": ("gtsrb.npz", "gtsrb")}
"""What is in the data folder where a source's images are on the machine; a source without such a thing draws them."""

_FILE, _FOLDER = "engine.data.npz", "engine.data.folder"


def check_name(name: str) -> None:
    """Raise RequestError, naming what is allowed, unless ``name`` is a data set or the path of one.

    Whether a file or folder holds what it should is seen when it is loaded.
    """
    _module(name)


def present(name: str) -> bool:
    """Whether the images of a data set are on this machine already: none of it would have to be downloaded."""
    if name in SOURCES:
        return name not in _STORED or any((data_dir() / each).exists() for each in _STORED[name])
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError):
        return False


def load(settings: "DataRequest", progress: "Progress | None" = None) -> "ImageData":
    """Load the data set that ``settings.name`` names; what is slow about it is told to ``progress``.

    Raises:
        RequestError: an unknown name, an absent path, data of the wrong form, or a download that failed.
    """
    from engine.data.base import silent

    return importlib.import_module(_module(settings.name)).load(settings, progress or silent)


def _module(name: str) -> str:
    """Return the module that loads ``name``; the name of a registered source wins over a path."""
    if name in SOURCES:
        return SOURCES[name]
    path = Path(name)
    try:
        path = path.expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError):  # too long for a name, a folder that may not be entered, the home of nobody
        folder, file = False, False
    if name and folder:
        return _FOLDER
    if file:
        if path.suffix == ".npz":
            return _FILE
        raise RequestError(f"data set {name!r} is a file, but not a .npz file; {_allowed()}")
    if len(path.parts) > 1 or path.suffix:
        raise RequestError(f"data set {name!r}: no such file or folder; {_allowed()}")
    near = difflib.get_close_matches(name.lower(), SOURCES, n=1)
    hint = f": did you mean {near[0]}?" if near else ";"
    raise RequestError(f"unknown data set {name!r}{hint} {_allowed()}")


def _allowed() -> str:
    return f"known: {', '.join(SOURCES)}; or the path of a .npz file or of a folder of class folders"
