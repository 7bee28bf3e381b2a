"""Precision within a step of training."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def in_full(like: Tensor) -> AbstractContextManager[object]:
    """Autocast off on that tensor's device: second derivatives, and steps by a gradient's sign, are lost in bf16."""
    return torch.autocast(like.device.type, enabled=False)
