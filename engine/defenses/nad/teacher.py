"""What a teacher is made of: the suspect's network, or another one. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine import models
from engine.defenses.nad.settings import TeacherSettings
from engine.errors import RequestError
from engine.models.finding import with_taps
from engine.models.foreign import check_logits
from engine.models.inference import copy_of, in_eval_mode
from engine.models.normalized import Normalized
from engine.storage.checkpoints import fit, load_foreign


def made(settings: TeacherSettings, model: nn.Module, images: Tensor, seed: int, whose: str = "nad") -> nn.Module:
    """A trainable copy of `model`, or a network of the teacher's own; with the file's weights where there is a file.

    Args:
        model: the suspect, or a network as the suspect's.
        images: a few, float [N, 3, H, W] in [0, 1], where the model is.
        seed: draws the weights of another network.
        whose: the name of the defense, for messages.

    Raises:
        RequestError: the file does not fit, or the other network takes no such images or has no maps.
    """
    teacher = copy_of(model) if settings.model is None else _another(settings.model, model, images, seed, whose)
    if settings.path is not None:
        fit(teacher, load_foreign(settings.path, teacher), settings.path)
    return teacher


def _another(name: str, model: nn.Module, images: Tensor, seed: int, whose: str) -> nn.Module:
    with torch.no_grad(), in_eval_mode(model):
        classes = model(images).shape[1]
    height, width = images.shape[-2:]
    teacher = models.build(name, classes, seed, size=(height, width))
    teacher = teacher.to(images.device, memory_format=torch.channels_last)
    try:
        check_logits(teacher, images, classes)
        teacher = with_taps(teacher, images)
    except RequestError as error:
        raise RequestError(f"defenses.{whose}.teacher.model = {name!r}: {error}") from error
    # What is done to the images before the suspect's first layer is done to them before the teacher's.
    return Normalized(teacher, model.preprocessing).to(images.device) if isinstance(model, Normalized) else teacher
