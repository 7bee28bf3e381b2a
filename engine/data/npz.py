"""A user's own images in a ``.npz`` file: the arrays x_train, y_train, x_test and y_test, or what others call them."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.data import look
from engine.data.array_names import Roles, roles
from engine.data.arrays import images_from_arrays, labels_from_arrays
from engine.data.base import DataRequest, ImageData, Note, Progress, assemble, check_lengths, cut
from engine.data.subset import split_off
from engine.errors import AbsentError, RequestError

# All that numpy and zipfile raise on files that are damaged, encrypted, or no npz files at all.
_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load the file that ``settings.name`` is the path of.

    Images are uint8, color as [N, H, W, 3] or [N, 3, H, W] or gray as [N, H, W] (repeated to three channels), or what
    becomes that without loss (`engine.data.arrays`). Labels are integers, [N] or [N, 1], one-hot rows, or names. An
    array of strings ``class_names`` may name the classes. Without test arrays a fifth of every class is the test set.

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
    found, arrays = _arrays(path, progress)
    notes = _understood(found, path)
    if found.class_names is not None:
        class_names = _names(arrays[found.class_names], f"{path}: {found.class_names}")
    labeled = {pair[1]: arrays.pop(pair[1]) for pair in (found.train, found.test) if pair}
    labels, names, more = labels_from_arrays(labeled, class_names, str(path))
    notes += more
    pictured = {pair[0]: arrays.pop(pair[0]) for pair in (found.train, found.test) if pair}
    images, more = images_from_arrays(pictured, str(path))
    notes += more
    parts = list(zip(images, labels, strict=True))
    for part, (pixels, numbers) in zip(("train", "test"), parts, strict=False):
        check_lengths(pixels, numbers, part, str(path))
    if found.test is None:
        known = names or tuple(map(str, range(int(labels[0].max()) + 1)))
        parts = [(images[0][kept], labels[0][kept]) for kept in split_off(labels[0], known, str(path))]
    counts = {"train": settings.train_images, "test": settings.test_images}
    train, test = (cut(*each, counts[part], f"data.{part}_images") for part, each in zip(counts, parts, strict=True))
    if names is not None and found.class_names is None and class_names is not None:
        names = names[: int(train[1].max()) + 1]
    return assemble(name, train, test, names, str(path), notes)


def _understood(found: Roles, path: Path) -> list[Note]:
    """What was taken for what, where the file does not have the names that are asked for."""
    notes = []
    if not found.standard:
        taken = f"{' and '.join(found.train)} train"
        tested = f"{' and '.join(found.test)} test" if found.test else "a fifth of every class tests"
        notes.append(Note(f"{path}: took what there is: {taken}, {tested}"))
    if found.unused:
        notes.append(Note(f"{path}: left out the arrays {', '.join(found.unused)}"))
    return notes


def _arrays(path: Path, progress: Progress) -> tuple[Roles, dict[str, np.ndarray]]:
    """The arrays that are wanted of a file, by the names that they have there, and which is what."""
    if not path.exists():
        raise AbsentError(f"no such file: {path}")
    reading = ""
    try:
        if not look.holds_arrays(path):
            raise RequestError(f"{path} cannot be read as a .npz file: it is {look.what(path)}")
        with np.load(path, allow_pickle=False) as file:
            found = roles(file.files, str(path))
            wanted = [*found.train, *(found.test or ()), *([found.class_names] if found.class_names else [])]
            arrays = {}
            for done, name in enumerate(wanted):
                progress(f"reading {path.name}", done, len(wanted))
                reading = f"{name}: "
                arrays[name] = file[name]
            progress(f"reading {path.name}", len(wanted), len(wanted))
            return found, arrays
    except _UNREADABLE as error:
        raise RequestError(f"{path} cannot be read as a .npz file: {reading}{_reason(error)}") from error


def _reason(error: BaseException) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "allow_pickle" in reason or "Object arrays" in reason:
        return "it holds Python objects, which could execute code; wants plain arrays of numbers"
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
        return f"the file is damaged, perhaps by a broken download ({reason}): get it again"
    return reason


def _names(array: np.ndarray, where: str) -> tuple[str, ...]:
    if array.dtype.kind not in "US" or array.ndim != 1:
        raise RequestError(f"{where} is {array.dtype} of {array.ndim} dimensions; wants a list of strings")
    return tuple(map(str, array.astype(str).tolist()))
