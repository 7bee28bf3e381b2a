"""What the tests of the sources of images share: settings, refusals, and what every source promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine import data
from engine.data.base import ImageData
from engine.errors import RequestError


@dataclass
class Settings:
    name: str
    size: int = 32
    train_images: int | None = None
    test_images: int | None = None


def load(name: object, **settings) -> ImageData:
    return data.load(Settings(str(name), **settings))


def refusal(name: object, **settings) -> str:
    """The message of the RequestError that loading must raise: always one line."""
    with pytest.raises(RequestError) as caught:
        load(name, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def notes(found: ImageData, *, warning: bool | None = None) -> str:
    """What was said of how the data was read, a line each; with `warning` only the warnings, or only the others."""
    return "\n".join(note.text for note in found.notes if warning in (None, note.warning))


def well_formed(found: ImageData) -> ImageData:
    """Check what every source promises."""
    for images, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        assert images.dtype == torch.uint8
        assert images.is_contiguous()
        assert images.ndim == 4
        assert images.shape[1] == 3
        assert labels.dtype == torch.int64
        assert labels.shape == (len(images),)
        assert labels.min() >= 0
        assert labels.max() < found.classes
    assert found.classes == len(found.class_names)
    assert len(found.fingerprint) == 64
    return found


def picture(path: Path, color=(200, 30, 60), size=(40, 30), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)
    return path


def shades(root: Path, classes=("a", "b", "c"), count: int = 3, inner: str = "") -> Path:
    """A folder of class folders; the images of class number k are of the gray 20 k."""
    for label, name in enumerate(classes):
        for index in range(count):
            picture(root / name / inner / f"{index}.png", (20 * label,) * 3, (9, 9))
    return root


def shade_of(found: ImageData) -> dict[str, int]:
    """The gray of each class, by its name: which folder its images came from, if they came from `shades`."""
    grays = {}
    for images, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        for image, label in zip(images, labels.tolist(), strict=True):
            assert image.min() == image.max()
            assert grays.setdefault(found.class_names[label], int(image.max())) == int(image.max())
    return grays


def arrays(train: int = 30, test: int = 12, classes: int = 3, size=(10, 12)) -> dict[str, np.ndarray]:
    """Arrays of a valid file, every image different."""
    chance = np.random.default_rng(0)
    return {
        "x_train": chance.integers(0, 256, (train, *size, 3), dtype=np.uint8),
        "y_train": np.arange(train) % classes,
        "x_test": chance.integers(0, 256, (test, *size, 3), dtype=np.uint8),
        "y_test": np.arange(test) % classes,
    }
