"""The tiny world's images: a colored square somewhere on gray noise; its color is the class. Needs numpy alone.

A network learns them, and a backdoor in them, within a second: so that even the smallest test sees figures that mean
something, and not a network that calls everything by one name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLORS = np.array([[230, 60, 60], [60, 230, 60], [60, 60, 230], [230, 230, 60]])
CLASSES = len(COLORS)
TRAIN, TEST = 320, 120
SIDE = 16


def write(
    file: Path,
    *,
    side: int = SIDE,
    train: int = TRAIN,
    test: int = TEST,
    classes: int = CLASSES,
    drawn_for_test: int = 2,
) -> Path:
    """Write a data set as a .npz file; `drawn_for_test` is the seed of its test images."""
    x_train, y_train = drawn(train, side, classes, seed=1)
    x_test, y_test = drawn(test, side, classes, seed=drawn_for_test)
    np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return file


def drawn(count: int, side: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, side, side, 3] and their labels, every class equally often."""
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(count) % classes)
    images = draw.integers(60, 140, (count, side, side, 3))
    square = side // 2 - 1
    for image, label in zip(images, labels, strict=True):
        top, left = draw.integers(0, side - square + 1, 2)
        image[top : top + square, left : left + square] = COLORS[label] + draw.integers(-20, 21, (square, square, 3))
    return images.clip(0, 255).astype(np.uint8), labels
