"""What every source of images hands over, and the checks they share."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from engine.data.subset import stratified_draw
from engine.errors import RequestError

SMALLEST = 8
"""The least height and width of an image in pixels."""

Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much is done, and how much there is; a total of 0 is unknown."""


def silent(what: str, done: int, total: int) -> None:
    """Take a report of progress and do nothing with it."""


class DataRequest(Protocol):
    """The settings a source reads (``engine.config.run.DataSettings`` has them)."""

    name: str
    size: int
    train_images: int | None
    test_images: int | None


@dataclass(frozen=True)
class Note:
    """A line on how the data was read, for the record and for whoever waits."""

    text: str
    warning: bool = False
    """Whether something was left out or changed, beyond a mere conversion."""


@dataclass(frozen=True)
class ImageData:
    """A data set: uint8 images [N, 3, H, W], contiguous, and int64 labels [N] of 0 ... classes - 1."""

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]
    fingerprint: str
    """Hex digest of all images and labels: data sets with equal fingerprints are equal."""
    notes: tuple[Note, ...] = ()
    """What was understood, converted and left out on the way."""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def fingerprint(*tensors: Tensor) -> str:
    """Return the SHA-256 over dtypes, shapes and bytes of the tensors, in hex."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = np.ascontiguousarray(tensor.cpu().numpy())
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def assemble(
    name: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    class_names: Sequence[str] | None,
    where: str,
    notes: Sequence[Note] = (),
) -> ImageData:
    """Check that two parts of uint8 images [N, 3, H, W] and int64 labels [N] make a data set, and make it.

    Without class names the classes are called by their numbers. Every class must occur in training.

    Raises:
        RequestError: the first thing that is wrong, with ``where`` it is.
    """
    for part, (images, labels) in (("train", train), ("test", test)):
        check_lengths(images, labels, part, where)
        if labels.min() < 0:
            raise RequestError(f"{where}: y_{part} holds the label {int(labels.min())}; labels begin at 0")
    _check_sizes(train[0], test[0], where)
    names = tuple(class_names) if class_names is not None else None
    names = _check_classes(train[1], test[1], names, where)
    return ImageData(name, *train, *test, names, fingerprint(*train, *test), tuple(notes))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their ids: by name, or, where all of them are whole numbers, by number."""
    known = sorted(names)
    if known and all(name.isascii() and name.isdigit() and len(name) < 20 for name in known):
        known.sort(key=int)
    return tuple(known)


def few(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_lengths(images: Tensor, labels: Tensor, part: str, where: str) -> None:
    """Raise RequestError unless the part has as many images as labels, and at least one."""
    if len(images) != len(labels):
        raise RequestError(f"{where}: x_{part} has {len(images)} images, y_{part} {len(labels)} labels")
    if not len(images):
        raise RequestError(f"{where}: x_{part} holds no image")


def cut(images: Tensor, labels: Tensor, count: int | None, field: str) -> tuple[Tensor, Tensor]:
    """Return ``count`` of the images with their labels, each class in its share; None returns all.

    The draw is always the same one. ``field`` is the setting the count comes from, for the message.

    Raises:
        RequestError: there are fewer images than ``count``, or more classes.
    """
    kept = cut_indices(labels, count, field)
    return (images, labels) if kept is None else (images[kept], labels[kept])


def cut_indices(labels: Tensor, count: int | None, field: str) -> Tensor | None:
    """Return which images ``cut`` keeps, as sorted int64 indices, or None for all of them."""
    if count is None or count == len(labels):
        return None
    if count > len(labels):
        raise RequestError(f"{field} is {count}; the data set has {len(labels)} such images")
    return stratified_draw(labels, count, seed=0, what=field)


def _check_sizes(x_train: Tensor, x_test: Tensor, where: str) -> None:
    height, width = x_train.shape[2:]
    if x_test.shape[2:] != x_train.shape[2:]:
        other = "x".join(map(str, x_test.shape[2:]))
        raise RequestError(f"{where}: training images are {height}x{width} pixels, test images {other}")
    if min(height, width) < SMALLEST:
        raise RequestError(f"{where}: images are {height}x{width} pixels; at least {SMALLEST}x{SMALLEST} wanted")


def _check_classes(y_train: Tensor, y_test: Tensor, names: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    present = y_train.unique()
    if len(present) < 2:
        raise RequestError(f"{where}: all training images have the label {int(present[0])}; wants two classes")
    classes = len(names) if names is not None else int(present[-1]) + 1
    if present[-1] >= classes:
        raise RequestError(f"{where}: y_train holds the label {int(present[-1])}, but there are {classes} classes")
    if len(present) < classes:
        missing = next(label for label, found in enumerate([*present.tolist(), classes]) if label != found)
        raise RequestError(f"{where}: no training image has the label {missing}; wants all of 0 to {classes - 1}")
    if y_test.max() >= classes:
        label = int(y_test[y_test >= classes][0])
        raise RequestError(f"{where}: y_test holds the label {label}, which no training image has")
    return names if names is not None else tuple(str(label) for label in range(classes))
