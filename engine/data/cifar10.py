"""CIFAR-10 (Krizhevsky 2009): 32x32 color photographs of ten kinds of things."""

from typing import TYPE_CHECKING

import torch

from engine.data import npz
from engine.data.arrays import images_from_array
from engine.data.base import DataRequest, ImageData, Progress, assemble, cut
from engine.data.download import downloading
from engine.storage import paths

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def load(settings: DataRequest, progress: Progress) -> ImageData:
    """Load ``cifar10.npz`` from the data folder if it is there, else torchvision's copy, else download that.

    The file has the arrays of a user's npz file (``engine.data.npz``); torchvision's copy is the standard
    50,000 + 10,000 images.

    Raises:
        RequestError: a file of the wrong form, or no file and no network; the message says what to do.
    """
    file = paths.data_dir() / "cifar10.npz"
    if file.exists():
        return npz.read(file, "cifar10", CLASS_NAMES, settings, progress)
    parts = []
    for train, count in ((True, settings.train_images), (False, settings.test_images)):
        part = _part(train, progress)
        images = images_from_array(part.data, "cifar10")
        field = f"data.{'train' if train else 'test'}_images"
        parts.append(cut(images, torch.tensor(part.targets), count, field))
    return assemble("cifar10", parts[0], parts[1], CLASS_NAMES, "cifar10")


def _part(train: bool, progress: Progress) -> "CIFAR10":
    # Here, not above: importing torchvision takes seconds, which a file in the data folder spares.
    from torchvision import datasets

    folder = paths.data_dir()
    progress("looking for cifar10", 0, 0)
    try:
        return datasets.CIFAR10(folder, train)
    except RuntimeError:  # torchvision's word for absent or damaged: it has compared the checksums
        with downloading("cifar10", "put cifar10.npz or cifar-10-batches-py", folder, progress):
            return datasets.CIFAR10(folder, train, download=True)
