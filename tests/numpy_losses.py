"""What is minimized, written out in numpy: what torch comes to is held against it."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def cross_entropies(logits: Tensor, labels: Tensor) -> np.ndarray:
    """Of each image."""
    shares = softmax(logits.detach().double().numpy())
    return -np.log(shares[np.arange(len(labels)), labels.numpy()])


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    return float(cross_entropies(logits, labels).mean())


def kl(anchor: Tensor, model: Tensor, temperature: float) -> float:
    """T^2 x sum q ln(q / p), q the anchor's softened output: Hinton et al. 2015."""
    q = softmax(anchor.detach().double().numpy() / temperature)
    p = softmax(model.detach().double().numpy() / temperature)
    return float(temperature**2 * (q * np.log(q / p)).sum(axis=1).mean())


def attention(student: Tensor, teacher: Tensor) -> float:
    """Equation 3's distance with the authors' mean over cells, p = 2."""
    maps = []
    for features in (student, teacher):
        flat = (features.detach().double().numpy() ** 2).sum(axis=1).reshape(len(features), -1)
        maps.append(flat / (np.sqrt((flat**2).sum(axis=1, keepdims=True)) + 1e-6))
    return float(((maps[0] - maps[1]) ** 2).mean())
