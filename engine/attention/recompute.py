"""Attention maps of a recorded run under another operator, from its checkpoints and its recorded samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine import models
from engine.attention.capture import attention_maps, captures
from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.record.store import RunFolder
from engine.storage.checkpoints import fit, load_weights

NEWEST = -1
"""The epoch of a map that comes from a stage's checkpoint."""


@torch.inference_mode()
def recapture(
    folder: Path,
    stages: Sequence[str],
    samples: Sequence[SampleShown],
    *,
    model: str,
    classes: int,
    operator: str,
    p: float,
) -> Iterator[AttentionCaptured]:
    """The maps of every sample at every tap for those stages that have a checkpoint, on one processor thread.

    Samples are taken as the record holds them: of data larger than 64 pixels a side they are reduced ones.

    Raises:
        RequestError: an unknown model, or a checkpoint that does not fit it.
    """
    torch.set_num_threads(1)  # of this thread: a training beside it keeps its own
    clean, triggered = (_stacked(samples, which) for which in ("clean", "triggered"))
    for stage in stages:
        file = RunFolder(folder).checkpoint(stage)
        if not file.is_file():
            continue
        network = models.build(model, classes, seed=0)
        weights, _ = load_weights(file)
        fit(network, weights, file)
        network.eval()
        pair = [attention_maps(network, images, operator, p) for images in (clean, triggered)]
        yield from captures(stage, NEWEST, [sample.sample for sample in samples], network.tap_names, *pair)


def _stacked(samples: Sequence[SampleShown], which: str) -> Tensor:
    """[N, 3, H, W] from the record's bytes."""
    sizes = {(sample.height, sample.width) for sample in samples}
    if len(sizes) != 1:
        raise RequestError("the run's samples are of different sizes: their maps cannot be recomputed")
    ((height, width),) = sizes
    images = [torch.frombuffer(bytearray(getattr(sample, which)), dtype=torch.uint8) for sample in samples]
    return torch.stack([image.view(height, width, 3).permute(2, 0, 1) for image in images])
