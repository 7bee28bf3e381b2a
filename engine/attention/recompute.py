"""Attention maps of a recorded run under another operator, from its checkpoints and its recorded samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.capture import captures, looked_at
from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.models.bounded import taking
from engine.models.normalized import Normalized, bare
from engine.models.preprocessing import Preprocessing
from engine.models.scale import Size
from engine.storage.checkpoints import fit, load_weights
from engine.storage.state_dicts.normalization import OURS

NEWEST = -1
"""The epoch of a map that comes from a stage's checkpoint."""


@torch.inference_mode()
def recapture(
    files: Mapping[str, Path],
    samples: Sequence[SampleShown],
    network: nn.Module,
    *,
    operator: str,
    p: float,
    size: Size | None = None,
) -> Iterator[AttentionCaptured]:
    """The maps of every sample at every tap for each stage whose checkpoint is there, on one processor thread.

    Samples are taken as the record holds them: of data larger than 64 pixels a side they are reduced ones, which are
    enlarged again.

    Args:
        files: the stages' checkpoints.
        samples: one or more.
        network: of the run's kind, with the taps that are wanted; it takes each checkpoint's weights in turn.
        size: height and width of the run's images; None = as the samples'.

    Raises:
        MisfitError: a checkpoint of another network, such as a defense's that edits it.
        RequestError: a checkpoint that is damaged.
    """
    torch.set_num_threads(1)  # of this thread: a training beside it keeps its own
    clean = _stacked(samples, "clean", size)
    triggered = _stacked(samples, "triggered", size) if all(sample.triggered for sample in samples) else None
    for stage, file in files.items():
        if not file.is_file():
            continue
        weights, _ = load_weights(file)
        network = _taking(network, weights)
        fit(network, weights, file)
        network.eval()
        maps = looked_at(network, clean, operator, p)[1]
        others = None if triggered is None else looked_at(network, triggered, operator, p)[1]
        yield from captures(stage, NEWEST, [sample.sample for sample in samples], network.tap_names, maps, others)


def _taking(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network with a normalization in front where the weights come with one, whose numbers they then bring, and
    with the bounds that they bring."""
    with_one = OURS[0] in weights
    network = Normalized(bare(network), Preprocessing((0, 0, 0), (1, 1, 1))) if with_one else bare(network)
    return taking(network, {name: tuple(tensor.shape) for name, tensor in weights.items()})


def _stacked(samples: Sequence[SampleShown], which: str, size: Size | None) -> Tensor:
    """uint8 [N, 3, H, W] from the record's bytes."""
    sizes = {(sample.height, sample.width) for sample in samples}
    if len(sizes) != 1:
        raise RequestError("the run's samples are of different sizes: their maps cannot be recomputed")
    ((height, width),) = sizes
    images = [torch.frombuffer(bytearray(getattr(sample, which)), dtype=torch.uint8) for sample in samples]
    stacked = torch.stack([image.view(height, width, 3).permute(2, 0, 1) for image in images])
    if size in (None, (height, width)):
        return stacked
    return F.interpolate(stacked.float(), size=size, mode="bilinear").round().to(torch.uint8)
