"""A user's own images as files in a folder of class folders."""

from pathlib import Path

import torch

from engine.data.base import DataRequest, ImageData, Progress, assemble
from engine.data.decode import ImageFiles, decode_part
from engine.data.subset import stratified_draw
from engine.errors import RequestError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
"""Files with these endings, in capitals or not, are images; others are left alone."""

TEST_SHARE = 0.2


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load the folder ``settings.name``, resizing every image to ``settings.size`` pixels square.

    Either ``train`` and ``test`` each hold a folder of images for each class, or the folder itself holds the
    class folders. Then a fifth of every class, always the same one, is the test set. Classes are numbered in
    the order of their names.

    Raises:
        RequestError: no class folders, no images, fewer than two classes, a class that is only in ``test``,
            or images that cannot be read.
    """
    folder = Path(settings.name).expanduser()
    classes, train_files, test_files = _find(folder)
    train = decode_part(train_files, "train", settings, progress)
    test = decode_part(test_files, "test", settings, progress)
    return assemble(folder.resolve().name, train, test, classes, str(folder))


def _find(folder: Path) -> tuple[tuple[str, ...], ImageFiles, ImageFiles]:
    """Return the names of the classes, the training files and the test files."""
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        classes = _classes(folder / "train")
        unknown = sorted(set(_subfolders(folder / "test")) - set(classes))
        if unknown:
            raise RequestError(f"{folder / 'test'} has the class {unknown[0]!r}, which is not in train")
        return classes, _files(folder / "train", classes), _files(folder / "test", classes, partial=True)
    classes = _classes(folder)
    everything = _files(folder, classes)
    counts = everything.labels.bincount()
    if counts.min() < 2:
        name = classes[int(counts.argmin())]
        raise RequestError(f"{folder / name} holds one image; wants two or more, to train and to test")
    total = max(len(classes), round(TEST_SHARE * len(everything.files)))
    chosen = stratified_draw(everything.labels, total, seed=0, what=f"the test part of {folder}")
    is_test = torch.zeros(len(everything.files), dtype=torch.bool)
    is_test[chosen] = True
    return classes, everything[(~is_test).nonzero().flatten()], everything[chosen]


def _classes(folder: Path) -> tuple[str, ...]:
    names = _subfolders(folder)
    if len(names) < 2:
        held = f"one class folder, {names[0]!r}" if names else "no class folders"
        raise RequestError(f"{folder} has {held}; wants a folder of images for each of two or more classes")
    return names


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in _entries(folder) if entry.is_dir()))


def _files(folder: Path, classes: tuple[str, ...], partial: bool = False) -> ImageFiles:
    """List the images of each class by name; ``partial`` allows classes without any."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = _images(folder / name)
        if not found and not partial:
            raise RequestError(f"{folder / name} holds no image ({' '.join(ENDINGS)})")
        files += found
        labels += [label] * len(found)
    if not files:
        raise RequestError(f"{folder} holds no image ({' '.join(ENDINGS)})")
    return ImageFiles(files, torch.tensor(labels))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in _entries(folder) if entry.suffix.lower() in ENDINGS)


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise RequestError(f"cannot read {folder}: {error.strerror or error}") from error
