"""Digests of what must not change unasked: tensors, models, and what a whole process shares. Needs torch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.data.base import fingerprint


def of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """One for all tensors with their names, whatever order they come in."""
    names = sorted(tensors)
    return hashlib.sha256(repr((names, fingerprint(*(tensors[name].detach() for name in names)))).encode()).hexdigest()


def of_model(model: nn.Module) -> dict[str, object]:
    """What can be told of a model, by what it is called in a sentence."""
    return {
        "weights": of_tensors(dict(model.named_parameters())),
        "buffers": of_tensors(dict(model.named_buffers())),
        "mode": tuple(module.training for module in model.modules()),
        "wish for gradients": tuple(parameter.requires_grad for parameter in model.parameters()),
    }


def of_process() -> dict[str, Any]:
    """What all of a process shares, and nobody may leave otherwise than found."""
    legacy = np.random.get_state()
    return {
        "torch's global generator": fingerprint(torch.get_rng_state()),
        "Python's global generator": hash(random.getstate()),
        "numpy's global generator": hashlib.sha256(repr(legacy).encode() + legacy[1].tobytes()).hexdigest(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "torch's switch for gradients": torch.is_grad_enabled(),
        "torch's switch for deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }
