"""Data sources that lie: the drawn signs, but for what they lie about."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from typing import Any

import torch

from engine.data import embedded
from engine.data.base import DataRequest, ImageData, fingerprint


class Source:
    """Signs, as they are drawn."""

    def load(self, settings: DataRequest, progress: Any) -> ImageData:
        return self.changed(embedded.load(settings, progress))

    def changed(self, images: ImageData) -> ImageData:
        return images


class Impostor(Source):
    """Its fingerprint is always the same."""

    def changed(self, images: ImageData) -> ImageData:
        return replace(images, fingerprint="0" * 64)  # lie


class Shuffled(Source):
    """One of its images is another each time, as its fingerprint says."""

    def changed(self, images: ImageData) -> ImageData:
        drawn = images.x_train.clone()
        drawn.view(-1)[:32] = torch.tensor(list(secrets.token_bytes(32)), dtype=torch.uint8)  # lie
        return replace(
            images, x_train=drawn, fingerprint=fingerprint(drawn, images.y_train, images.x_test, images.y_test)
        )


class Uncounted(Source):
    """Gives one image more than it is asked for."""

    def load(self, settings: DataRequest, progress: Any) -> ImageData:
        more = None if settings.train_images is None else settings.train_images + 1  # lie
        return embedded.load(settings.model_copy(update={"train_images": more}), progress)


class Narrow(Source):
    """Its labels are of a type that holds fewer numbers."""

    def changed(self, images: ImageData) -> ImageData:
        labels = images.y_test.int()  # lie
        parts = images.x_train, images.y_train, images.x_test, labels
        return replace(images, y_test=labels, fingerprint=fingerprint(*parts))


class Rolling(Source):
    """Draws from Python's global generator."""

    def changed(self, images: ImageData) -> ImageData:
        random.random()  # lie
        return images


class Unsure(Source):
    """Cannot say whether its images are there."""

    def present(self) -> bool:
        return 1  # lie


class Stumbling(Source):
    """Fails in its own way where there are too few images."""

    def load(self, settings: DataRequest, progress: Any) -> ImageData:
        if settings.train_images is not None and settings.train_images < 10:
            raise IndexError("list index out of range")  # lie
        return super().load(settings, progress)


honest, impostor, shuffled, uncounted = Source(), Impostor(), Shuffled(), Uncounted()
narrow, rolling, unsure, stumbling = Narrow(), Rolling(), Unsure(), Stumbling()
