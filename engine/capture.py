"""What the record shows of a model's attention: maps of a few fixed test images, without and with the trigger."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention import attention_map
from engine.device import Device
from engine.evaluate import TestImages
from engine.events import AttentionCaptured, SampleShown
from engine.training import as_input

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
                _shrunk(images[number].float().unsqueeze(0)).round().to(torch.uint8).squeeze(0)
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

    def maps(self, stage: str, epoch: int, model: nn.Module) -> Iterator[AttentionCaptured]:
        """Each sample's map at each tap, in the model's eval mode (the mode it was in is restored)."""
        if len(self._places) == 0:
            return
        clean, triggered = self._tap_maps(model, self._clean), self._tap_maps(model, self._triggered)
        for tap, one, other in zip(model.tap_names, clean, triggered, strict=True):
            for number in range(len(self._places)):
                peak = float(torch.maximum(one[number].max(), other[number].max()))
                yield AttentionCaptured(
                    stage=stage,
                    epoch=epoch,
                    sample=number,
                    tap=tap,
                    height=one.shape[-2],
                    width=one.shape[-1],
                    peak=peak,
                    clean=_quantized(one[number], peak),
                    triggered=_quantized(other[number], peak),
                )

    @torch.inference_mode()
    def _tap_maps(self, model: nn.Module, images: Tensor) -> list[Tensor]:
        was_training = model.training
        model.eval()
        with self._device.autocast():
            _, taps = model.forward_with_taps(as_input(images))
        model.train(was_training)
        maps = (attention_map(tap, self._operator, self._p) for tap in taps)
        return [_shrunk(each.unsqueeze(1)).squeeze(1).cpu() for each in maps]


def _spread(labels: Tensor, count: int) -> Tensor:
    """The places of `count` images, taken class by class in turn."""
    by_class = [(labels == label).nonzero().flatten() for label in labels.unique()]
    turns = max((len(places) for places in by_class), default=0)
    in_turn = [places[turn] for turn in range(min(turns, count)) for places in by_class if turn < len(places)]
    return torch.stack(in_turn[:count]) if in_turn[:count] else labels.new_empty(0)


def _shrunk(images: Tensor) -> Tensor:
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
