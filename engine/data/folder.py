"""A user's own images as files in a folder of class folders."""

from collections.abc import Sequence
from pathlib import Path

import torch

from engine.data import torchvision_trees
from engine.data.base import DataRequest, ImageData, Note, Progress, assemble
from engine.data.decode import ImageFiles, decode_part
from engine.data.layout import Layout, understand
from engine.data.subset import split_off
from engine.data.tree import Branch, endings, grow
from engine.errors import RequestError


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load the folder ``settings.name``, resizing every image to ``settings.size`` pixels square.

    Either parts such as ``train`` and ``test`` or ``val`` each hold a folder of images for each class, or the folder
    itself holds the class folders. Then a fifth of every class, always the same one, is the test set. What the decoder
    takes is an image, however deep it lies in its class's folder. Classes are numbered in the order of their names, or
    of their numbers where all are called by numbers. Data sets as torchvision stores them are read by torchvision.

    Raises:
        RequestError: no class folders, no images, fewer than two classes, a class that is only in ``test``,
            or images that cannot be read.
    """
    folder = Path(settings.name).expanduser()
    stored = torchvision_trees.load(folder, settings, progress)
    if stored is not None:
        return stored
    found = understand(grow(folder, progress))
    train_files, test_files = _files(found, folder)
    train = decode_part(train_files, "train", settings, progress)
    test = decode_part(test_files, "test", settings, progress)
    return assemble(folder.resolve().name, train, test, found.classes, str(folder), [*found.notes, *_left(found)])


def _files(found: Layout, folder: Path) -> tuple[ImageFiles, ImageFiles]:
    """The training files and the test files."""
    train = _of_classes(found.train, found.classes)
    for branch in (found.train[name] for name in found.classes):
        if not branch.images:
            understood = f"understood as one of {len(found.classes)} class folders"
            raise RequestError(f"{branch} holds no image{_instead(branch)}; {understood}: fill or remove it")
    if found.test is None:
        kept, tests = split_off(train.labels, found.classes, str(folder))
        return train[kept], train[tests]
    return train, found.test if isinstance(found.test, ImageFiles) else _of_classes(found.test, found.classes)


def _instead(branch: Branch) -> str:
    """What lies in a class folder instead of images."""
    if branch.all_left:
        return f" that can be decoded; it holds {endings(branch.all_left)}"
    return ""


def _of_classes(branches: dict[str, Branch], classes: Sequence[str]) -> ImageFiles:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        images = branches[name].images if name in branches else []
        files += images
        labels += [label] * len(images)
    return ImageFiles(files, torch.tensor(labels, dtype=torch.int64))


def _left(found: Layout) -> list[Note]:
    """What was left out of the classes, and what lay deeper than usual."""
    parts = [found.train, *([found.test] if isinstance(found.test, dict) else [])]
    left, deep = [], []
    for part in parts:
        for name, branch in part.items():
            if branch.all_left:
                left.append(f"{endings(branch.all_left)} in {name!r}")
            if len(branch.images) > len(branch.own):
                deep.append(name)
    notes = []
    if left:
        count = sum(sum(branch.all_left.values()) for part in parts for branch in part.values())
        files = "file that is no image" if count == 1 else "files that are no images"
        more = f"; and in {len(left) - 6} more" if len(left) > 6 else ""
        notes.append(Note(f"left out {count} {files} Pillow can decode: {', '.join(left[:6])}{more}", warning=True))
    if deep:
        classes = f"{len(dict.fromkeys(deep))} of {len(found.classes)} classes"
        notes.append(Note(f"of {classes} images in folders within the class folder were taken as well"))
    return notes
