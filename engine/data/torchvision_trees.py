"""Data sets as torchvision lays them out on the disk, given by their path: the CIFAR and MNIST families.

CIFAR's files are pickles. torchvision compares their checksums before it opens them, and so none but the published
ones are. What it lays out as image files, GTSRB for one, is read like any folder.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.arrays import images_from_array
from engine.data.base import DataRequest, ImageData, Note, Progress, assemble, cut
from engine.errors import RequestError

_IDX = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
_TREES = {
    "CIFAR10": ("data_batch_1", "test_batch"),
    "CIFAR100": ("train", "test", "meta"),
    "MNIST": _IDX,
}
"""torchvision's classes, and files by which their folders are known."""
_AROUND = 2
"""Folders that may lie around these."""
_WRAPPERS = 4
"""Folders beside each other beyond which they are no mere wrappers."""

_Part = tuple[np.ndarray, Any]


def load(folder: Path, settings: DataRequest, progress: Progress) -> ImageData | None:
    """The data set that lies in a folder, or in one within it; None where there is none of these.

    Raises:
        RequestError: it is not whole, or files in it are not the published ones.
    """
    for place in _within(folder, _AROUND):
        for name, files in _TREES.items():
            if all((place / file).is_file() for file in files):
                return _read(name, place, settings, progress)
    return None


def _within(folder: Path, depth: int) -> Iterator[Path]:
    """The folder, and those in it where they are few."""
    yield folder
    try:
        with os.scandir(folder) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise RequestError(f"cannot read {folder}: {error.strerror or error}") from error
    if depth and len(inner) <= _WRAPPERS:
        for name in inner:
            yield from _within(folder / name, depth - 1)


def _read(name: str, place: Path, settings: DataRequest, progress: Progress) -> ImageData:
    read, classes = _mnist(place) if name == "MNIST" else _cifar(name, place)
    parts = []
    counts = {"train": settings.train_images, "test": settings.test_images}
    for part, count in counts.items():
        progress(f"reading {part} images", 0, 0)
        try:
            images, labels = read(part == "train")
        except (RuntimeError, OSError, ValueError, TypeError, AssertionError, IndexError, KeyError) as error:
            raise RequestError(
                f"{place} looks like torchvision's {name}, but is not whole or not as it was published: get it again"
            ) from error
        found = images_from_array(np.ascontiguousarray(images), str(place)), torch.as_tensor(labels).long()
        parts.append(cut(*found, count, f"data.{part}_images"))
    names = classes()
    note = Note(f"{place}: read as torchvision's {name}; {len(names)} classes")
    return assemble(place.name if name != "MNIST" else place.parent.name, *parts, names, str(place), [note])


def _cifar(name: str, place: Path) -> tuple[Callable[[bool], _Part], Callable[[], list[str]]]:
    from torchvision import datasets  # importing it takes seconds

    here = type(name, (getattr(datasets, name),), {"base_folder": place.name})
    read: dict[bool, Any] = {}

    def part(train: bool) -> _Part:
        read[train] = here(place.parent, train)
        return read[train].data, read[train].targets

    return part, lambda: list(read[True].classes)


def _mnist(place: Path) -> tuple[Callable[[bool], _Part], Callable[[], list[str]]]:
    """MNIST and its kin; classes have names where the folder is called like a set that has them."""
    from torchvision import datasets
    from torchvision.datasets.mnist import read_image_file, read_label_file

    highest = [0]

    def part(train: bool) -> _Part:
        files = _IDX[:2] if train else _IDX[2:]
        images, labels = read_image_file(str(place / files[0])), read_label_file(str(place / files[1]))
        highest.append(int(labels.max()))
        return images.numpy(), labels

    def classes() -> list[str]:
        known = {"FashionMNIST": datasets.FashionMNIST, "KMNIST": datasets.KMNIST}.get(place.parent.name)
        return list(known.classes) if known else [str(label) for label in range(max(highest) + 1)]

    return part, classes
