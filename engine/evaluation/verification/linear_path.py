"""The straight way from the suspect to the purified model: how soon is the backdoor left behind?

w(t) = (1 - t) w_suspect + t w_purified. Where both lie in one valley of the backdoor's loss, ASR stays high for most of
the way (Min et al., NeurIPS 2024, arXiv 2410.09838). The statistics of batch norms are taken anew at each point, over
clean images (Garipov et al. 2018): between two trained models they fit neither.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from engine.evaluation.metrics import measure
from engine.evaluation.verification.material import Found, Material, Unfit, Work
from engine.models.inference import reestimated

POINTS = 11
GONE = 50.0
"""ASR in percent below which the backdoor counts as left behind."""


def linear_path(model: nn.Module, material: Material) -> Work:
    """`t50`, the first t with ASR below 50 % (NaN: nowhere on the way), and `asr_mean` over the way; the points.

    Raises:
        Unfit: the model's weights are not those of a network like the suspect's.
    """
    columns: dict[str, list[float]] = {"t": [], "acc": [], "asr": []}
    for number in range(POINTS):
        yield from material.control.checkpoint()
        t = number / (POINTS - 1)
        between = reestimated(interpolated(material.suspect, model, t), material.clean, material.device)
        metrics = measure(between, material.test, material.device)
        for name, value in {"t": t, "acc": metrics.acc, "asr": metrics.asr}.items():
            columns[name].append(value)
    gone = [t for t, asr in zip(columns["t"], columns["asr"], strict=True) if asr < GONE]
    figures = {"t50": gone[0] if gone else float("nan"), "asr_mean": sum(columns["asr"]) / POINTS}
    return Found(figures, {name: tuple(values) for name, values in columns.items()})


@torch.no_grad()
def interpolated(first: nn.Module, second: nn.Module, t: float) -> nn.Module:
    """A network whose parameters and buffers lie `t` of the way from the first's to the second's.

    Raises:
        Unfit: their names or shapes differ.
    """
    begin, end = first.state_dict(), second.state_dict()
    if {key: value.shape for key, value in begin.items()} != {key: value.shape for key, value in end.items()}:
        raise Unfit("its weights are not those of a network like the suspect's: there is no straight way")
    between = copy.deepcopy(second)
    between.load_state_dict(
        {key: torch.lerp(begin[key], end[key], t) if end[key].is_floating_point() else end[key] for key in end}
    )
    return between
