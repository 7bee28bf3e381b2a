"""A user's own images in a ``.npz`` file with the arrays x_train, y_train, x_test and y_test."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.data.base import (
    DataRequest,
    ImageData,
    Progress,
    assemble,
    check_lengths,
    cut,
    images_from_array,
    labels_from_array,
)
from engine.errors import RequestError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")

# All that numpy and zipfile raise on files that are damaged, encrypted, or no npz files at all.
_UNREADABLE = (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load the file that ``settings.name`` is the path of.

    Images are uint8, color as [N, H, W, 3] or [N, 3, H, W] or gray as [N, H, W] (repeated to three channels).
    Labels are integers, [N] or [N, 1]. An array of strings ``class_names`` may name the classes.

    Raises:
        RequestError: no such file, not a npz file, or data of another form; it names the array and what is
            wanted.
    """
    path = Path(settings.name).expanduser()
    return read(path, path.stem, None, settings, progress)


def read(
    path: Path, name: str, class_names: Sequence[str] | None, settings: DataRequest, progress: Progress
) -> ImageData:
    """Load ``path`` as the data set ``name``.

    Where the file names no classes, its K classes are the first K of ``class_names``.
    """
    arrays = _arrays(path, progress)
    parts = []
    for part, count in (("train", settings.train_images), ("test", settings.test_images)):
        images = images_from_array(arrays.pop(f"x_{part}"), f"{path}: x_{part}")
        labels = labels_from_array(arrays.pop(f"y_{part}"), f"{path}: y_{part}")
        check_lengths(images, labels, part, str(path))
        parts.append(cut(images, labels, count, f"data.{part}_images"))
    if "class_names" in arrays:
        class_names = _names(arrays["class_names"], f"{path}: class_names")
    elif class_names is not None:
        class_names = class_names[: int(parts[0][1].max()) + 1]
    return assemble(name, parts[0], parts[1], class_names, str(path))


def _arrays(path: Path, progress: Progress) -> dict[str, np.ndarray]:
    if not path.exists():
        raise RequestError(f"no such file: {path}")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise RequestError(f"{path} is not a .npz file but a single array")
        with file:
            missing = [name for name in ARRAYS if name not in file.files]
            if missing:
                raise RequestError(f"{path} lacks {', '.join(missing)}; wants the arrays {', '.join(ARRAYS)}")
            wanted = [name for name in (*ARRAYS, "class_names") if name in file.files]
            arrays = {}
            for done, name in enumerate(wanted):
                progress(f"reading {path.name}", done, len(wanted))
                arrays[name] = file[name]
            progress(f"reading {path.name}", len(wanted), len(wanted))
            return arrays
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which could execute code; wants plain arrays of numbers"
        raise RequestError(f"{path} cannot be read as a .npz file: {reason}") from error


def _names(array: np.ndarray, where: str) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim != 1:
        raise RequestError(f"{where} is {array.dtype} of {array.ndim} dimensions; wants a list of strings")
    return tuple(array.tolist())
