"""Data sets as torchvision lays them out on the disk, given by their path: CIFAR-10 and CIFAR-100.

Their files are pickles. torchvision compares their checksums before it opens them, and so none but the published
ones are. What it lays out as image files, GTSRB for one, is read like any folder.
"""

from pathlib import Path
from typing import Any

import torch

from engine.data.arrays import images_from_array
from engine.data.base import DataRequest, ImageData, Note, Progress, assemble, cut
from engine.errors import RequestError

_TREES = {
    "CIFAR10": ("data_batch_1", "test_batch"),
    "CIFAR100": ("train", "test", "meta"),
}
"""torchvision's classes, and files by which their folders are known."""


def load(folder: Path, settings: DataRequest, progress: Progress) -> ImageData | None:
    """The data set that lies in a folder, or in one within it; None where there is none of these.

    Raises:
        RequestError: it is not whole, or files in it are not the published ones.
    """
    try:
        inner = [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]
    except OSError as error:
        raise RequestError(f"cannot read {folder}: {error.strerror or error}") from error
    for place in inner:
        for name, files in _TREES.items():
            if all((place / file).is_file() for file in files):
                return _read(name, place, settings, progress)
    return None


def _read(name: str, place: Path, settings: DataRequest, progress: Progress) -> ImageData:
    from torchvision import datasets  # importing it takes seconds

    whole: Any = getattr(datasets, name)
    here = type(name, (whole,), {"base_folder": place.name})
    parts = []
    counts = {"train": settings.train_images, "test": settings.test_images}
    for part, count in counts.items():
        progress(f"reading {part} images", 0, 0)
        try:
            found = here(place.parent, part == "train")
        except (RuntimeError, OSError) as error:
            raise RequestError(
                f"{place} looks like torchvision's {name}, but is not whole or not as it was published: get it again"
            ) from error
        labels = torch.tensor(found.targets)
        parts.append(cut(images_from_array(found.data, str(place)), labels, count, f"data.{part}_images"))
    note = Note(f"{place}: read as torchvision's {name}; {len(found.classes)} classes")
    return assemble(place.name, parts[0], parts[1], found.classes, str(place), [note])
