"""What the record shows of a model's attention: maps of a few fixed test images, without and with the trigger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.maps import attention_map
from engine.device import Device
from engine.evaluation.metrics import TestImages
from engine.events import AttentionCaptured, SampleShown
from engine.training.loop import as_input

LARGEST = 64
"""Largest side of a recorded sample or map in pixels: the record serves terminals, and stays small."""


class Capture:
    """A few eligible test images, as unlike in class as can be, and their recorded maps."""

    def __init__(self, test: TestImages, samples: int, operator: str, p: float, device: Device) -> None:
        self._places = _spread(test.labels[test.eligible], samples)
        self._test = test
        self._operator = operator
        self._p = p
        self._device = device
        self._clean = test.clean[test.eligible[self._places]]
        self._triggered = test.triggered[self._places]

    def samples(self) -> Iterator[SampleShown]:
        """The images themselves, once a record."""
        for number, place in enumerate(self._places.tolist()):
            index = int(self._test.eligible[place])
            clean, triggered = (
                shrunk(images[number].float().unsqueeze(0)).round().to(torch.uint8).squeeze(0)
                for images in (self._clean, self._triggered)
            )
            yield SampleShown(
                sample=number,
                index=index,
                label=int(self._test.labels[index]),
                height=clean.shape[-2],
                width=clean.shape[-1],
                clean=_bytes(clean.permute(1, 2, 0)),
                triggered=_bytes(triggered.permute(1, 2, 0)),
            )

    @torch.inference_mode()
    def maps(self, stage: str, epoch: int, model: nn.Module) -> Iterator[AttentionCaptured]:
        """Each sample's map at each tap, in the model's eval mode (the mode it was in is restored)."""
        if len(self._places) == 0:
            return
        was_training = model.training
        model.eval()
        with self._device.autocast():
            pair = [attention_maps(model, images, self._operator, self._p) for images in (self._clean, self._triggered)]
        model.train(was_training)
        yield from captures(stage, epoch, range(len(self._places)), model.tap_names, *pair)


def attention_maps(model: nn.Module, images: Tensor, operator: str, p: float) -> list[Tensor]:
    """For each tap the maps [N, h, w] of images uint8 [N, 3, H, W], on the CPU, no side above `LARGEST`."""
    _, taps = model.forward_with_taps(as_input(images))
    maps = (attention_map(tap, operator, p) for tap in taps)
    return [shrunk(each.unsqueeze(1)).squeeze(1).cpu() for each in maps]


def captures(
    stage: str, epoch: int, samples: Sequence[int], taps: Sequence[str], clean: list[Tensor], triggered: list[Tensor]
) -> Iterator[AttentionCaptured]:
    """What the record holds of each sample at each tap; `clean` and `triggered` as `attention_maps` returns them."""
    for tap, one, other in zip(taps, clean, triggered, strict=True):
        for place, sample in enumerate(samples):
            peak = float(torch.maximum(one[place].max(), other[place].max()))
            yield AttentionCaptured(
                stage=stage,
                epoch=epoch,
                sample=sample,
                tap=tap,
                height=one.shape[-2],
                width=one.shape[-1],
                peak=peak,
                clean=_quantized(one[place], peak),
                triggered=_quantized(other[place], peak),
            )


def _spread(labels: Tensor, count: int) -> Tensor:
    """The places of `count` images, taken class by class in turn."""
    by_class = [(labels == label).nonzero().flatten() for label in labels.unique()]
    turns = max((len(places) for places in by_class), default=0)
    in_turn = [places[turn] for turn in range(min(turns, count)) for places in by_class if turn < len(places)]
    return torch.stack(in_turn[:count]) if in_turn[:count] else labels.new_empty(0)


def shrunk(images: Tensor) -> Tensor:
    """[N, C, H, W] pooled so that no side exceeds `LARGEST`."""
    height, width = images.shape[-2:]
    if max(height, width) <= LARGEST:
        return images
    scale = LARGEST / max(height, width)
    return F.adaptive_avg_pool2d(images, [max(1, round(height * scale)), max(1, round(width * scale))])


def _quantized(values: Tensor, peak: float) -> bytes:
    scaled = values / peak if peak > 0 else torch.zeros_like(values)
    return _bytes((255 * scaled).round().to(torch.uint8))


def _bytes(values: Tensor) -> bytes:
    return values.cpu().contiguous().numpy().tobytes()
