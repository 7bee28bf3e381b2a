"""What the record shows of a model's attention: maps of a few fixed test images, without and with the trigger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.maps import attention_map
from engine.device import Device
from engine.events import AttentionCaptured, SampleAnswered, SampleShown
from engine.models.inference import as_input, in_eval_mode

LARGEST = 64
"""Largest side of a recorded sample or map in pixels: the record serves terminals, and stays small."""


class Capture:
    """A few test images and their recorded maps."""

    def __init__(
        self,
        clean: Tensor,
        triggered: Tensor | None,
        indices: Tensor,
        labels: Tensor,
        *,
        operator: str,
        p: float,
        device: Device,
    ) -> None:
        """Take the images to show, uint8 [K, 3, H, W] on the device.

        Args:
            clean: the images.
            triggered: their triggered twins; None = there is no trigger.
            indices: their places in the test set, int64 [K].
            labels: their classes, int64 [K].
            operator, p: how maps are computed (`engine.attention.maps.attention_map`).
            device: where, and in which precision, the models run.
        """
        self._clean = clean
        self._triggered = triggered
        self._indices = indices.tolist()
        self._labels = labels.tolist()
        self._operator = operator
        self._p = p
        self._device = device

    def samples(self) -> Iterator[SampleShown]:
        """The images themselves, once a record."""
        for number, (index, label) in enumerate(zip(self._indices, self._labels, strict=True)):
            clean = _small(self._clean[number])
            yield SampleShown(
                sample=number,
                index=index,
                label=label,
                height=clean.shape[0],
                width=clean.shape[1],
                clean=_bytes(clean),
                triggered=b"" if self._triggered is None else _bytes(_small(self._triggered[number])),
            )

    @torch.inference_mode()
    def look(self, stage: str, epoch: int, model: nn.Module) -> tuple[list[AttentionCaptured], list[SampleAnswered]]:
        """Each sample's map at each tap, and what the model answers to it, in its eval mode (the mode it was in is
        restored)."""
        if not self._indices:
            return [], []
        with in_eval_mode(model), self._device.autocast():
            answers, clean = looked_at(model, self._clean, self._operator, self._p)
            others, triggered = [(-1, 0.0)] * len(answers), None
            if self._triggered is not None:
                others, triggered = looked_at(model, self._triggered, self._operator, self._p)
        numbers = range(len(self._indices))
        maps = list(captures(stage, epoch, numbers, model.tap_names, clean, triggered))
        return maps, [_answered(stage, epoch, number, answers[number], others[number]) for number in numbers]


def _answered(
    stage: str, epoch: int, sample: int, clean: tuple[int, float], triggered: tuple[int, float]
) -> SampleAnswered:
    return SampleAnswered(
        stage=stage,
        epoch=epoch,
        sample=sample,
        clean=clean[0],
        clean_confidence=clean[1],
        triggered=triggered[0],
        triggered_confidence=triggered[1],
    )


def looked_at(
    model: nn.Module, images: Tensor, operator: str, p: float
) -> tuple[list[tuple[int, float]], list[Tensor]]:
    """What a model makes of images uint8 [N, 3, H, W]: of each the class and its softmax, and for each tap the maps
    [N, h, w], on the CPU, no side above `LARGEST`."""
    logits, taps = model.forward_with_taps(as_input(images))
    confidences, labels = logits.float().softmax(dim=1).max(dim=1)
    maps = (attention_map(tap, operator, p) for tap in taps)
    answers = list(zip(labels.tolist(), confidences.tolist(), strict=True))
    return answers, [shrunk(each.unsqueeze(1)).squeeze(1).cpu() for each in maps]


def captures(
    stage: str,
    epoch: int,
    samples: Sequence[int],
    taps: Sequence[str],
    clean: Sequence[Tensor],
    triggered: Sequence[Tensor] | None,
) -> Iterator[AttentionCaptured]:
    """What the record holds of each sample at each tap; `clean` and `triggered` as `looked_at` returns them."""
    pairs = [(one, None) for one in clean] if triggered is None else zip(clean, triggered, strict=True)
    for tap, (one, other) in zip(taps, pairs, strict=True):
        for place, sample in enumerate(samples):
            peak = float(torch.stack([each[place].max() for each in (one, other) if each is not None]).max())
            yield AttentionCaptured(
                stage=stage,
                epoch=epoch,
                sample=sample,
                tap=tap,
                height=one.shape[-2],
                width=one.shape[-1],
                peak=peak,
                clean=_quantized(one[place], peak),
                triggered=b"" if other is None else _quantized(other[place], peak),
            )


def spread(labels: Tensor, count: int) -> Tensor:
    """The places of `count` images, as unlike in class as can be: taken class by class in turn."""
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


def _small(image: Tensor) -> Tensor:
    """uint8 [3, H, W] as the record holds it, uint8 [H, W, 3]."""
    return shrunk(image.float().unsqueeze(0)).round().to(torch.uint8).squeeze(0).permute(1, 2, 0)


def _quantized(values: Tensor, peak: float) -> bytes:
    scaled = values / peak if peak > 0 else torch.zeros_like(values)
    return _bytes((255 * scaled).round().to(torch.uint8))


def _bytes(values: Tensor) -> bytes:
    return values.cpu().contiguous().numpy().tobytes()
