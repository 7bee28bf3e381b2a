"""Attention maps of a recorded run under another operator, from its checkpoints and its recorded samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engine import models
from engine.attention import attention_map
from engine.capture import LARGEST
from engine.checkpoints import fit, load_weights
from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.store import RunFolder
from engine.training import as_input

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
        before, after = (_maps(network, images, operator, p) for images in (clean, triggered))
        for tap, one, other in zip(network.tap_names, before, after, strict=True):
            for number, sample in enumerate(samples):
                yield _captured(stage, sample.sample, tap, one[number], other[number])


def _stacked(samples: Sequence[SampleShown], which: str) -> Tensor:
    """[N, 3, H, W] from the record's bytes."""
    sizes = {(sample.height, sample.width) for sample in samples}
    if len(sizes) != 1:
        raise RequestError("the run's samples are of different sizes: their maps cannot be recomputed")
    ((height, width),) = sizes
    images = [torch.frombuffer(bytearray(getattr(sample, which)), dtype=torch.uint8) for sample in samples]
    return torch.stack([image.view(height, width, 3).permute(2, 0, 1) for image in images])


def _maps(network: nn.Module, images: Tensor, operator: str, p: float) -> list[Tensor]:
    _, taps = network.forward_with_taps(as_input(images))
    found = []
    for tap in taps:
        maps = attention_map(tap, operator, p)
        longest = max(maps.shape[-2:])
        if longest > LARGEST:
            size = [max(1, round(side * LARGEST / longest)) for side in maps.shape[-2:]]
            maps = torch.nn.functional.adaptive_avg_pool2d(maps.unsqueeze(1), size).squeeze(1)
        found.append(maps)
    return found


def _captured(stage: str, sample: int, tap: str, clean: Tensor, triggered: Tensor) -> AttentionCaptured:
    """One capture, quantized as `engine.events.AttentionCaptured` says."""
    peak = float(torch.maximum(clean.max(), triggered.max()))
    scale = 255 / peak if peak > 0 else 0.0
    cells = [bytes((maps * scale).round().to(torch.uint8).flatten().tolist()) for maps in (clean, triggered)]
    return AttentionCaptured(
        stage=stage,
        epoch=NEWEST,
        sample=sample,
        tap=tap,
        height=clean.shape[-2],
        width=clean.shape[-1],
        peak=peak,
        clean=cells[0],
        triggered=cells[1],
    )
