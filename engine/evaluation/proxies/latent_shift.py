"""Which class a suspect is led to most easily: the least shift of the features that moves images there. Needs torch.

TAC-QP (arXiv 2511.08944): s_k is the shortest vector that, added to a clean image's features, makes class k win, for
all images. With the head's weights w and biases b

    s_k = argmin 1/2 ||s||^2   subject to   (w_k - w_j) s >= c_j   for all j != k

and a backdoored class is one whose shift is short. There c_j is the largest lead that class j has over k; here it is
its 95 % quantile over the images of other classes, as one odd image would rule a maximum. How short is short, the paper
does not say: here the modified z-score of log ||s_k||, from the median and the median absolute deviation over classes
(Iglewicz and Hoaglin 1993; beyond 3.5 is their outlier). It says which class to suspect; whether to suspect it, the
size of the patch that leads there says better (`inverted_mask`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.data.subset import stratified_draw
from engine.device import Device
from engine.evaluation.verification.material import Unfit
from engine.models.inference import as_input, in_eval_mode, predict
from engine.models.layers import HEAD, layer_paths
from engine.models.penultimate import features

QUANTILE = 0.95
"""Of the leads that a shift has to make up for."""
IMAGES = 2_500
"""Clean images whose features are looked at, at most, but one of each class."""
SWEEPS, CLOSE = 200, 1e-10
"""Passes of coordinate ascent over a problem's constraints, at most, and the relative step at which it is done."""
TIGHTEST, ROUNDS = 64, 10
"""Constraints of a class that are looked at first, and how often those that are then broken are added: few of a
thousand classes stand in the way of one."""
BROKEN = 1e-6
"""By how much of the largest lead a constraint may be."""
TOGETHER = 200
"""Classes at a time."""
PROBE = 2
"""Images with which a network is asked for its head."""
ASKED, AGREED = 256, 0.95
"""Images whose answers have to be those of the head, at most, and the share of them: in bf16 a few may be ties."""


def lengths(model: nn.Module, images: Tensor, labels: Tensor, device: Device) -> Tensor:
    """The length of each class's shift, float64 [classes] on the CPU: the shorter, the more easily it is reached.

    Args:
        images: clean ones, uint8 [N, 3, H, W].
        labels: int64 [N].

    Raises:
        Unfit: the network's answers are not those of a last layer over its features, or a class has no image of
            another.
    """
    count = max(IMAGES, len(labels.unique()))
    if count < len(labels):
        some = stratified_draw(labels.cpu(), count, 0, "the latent shift")
        images, labels = images[some.to(images.device)], labels.cpu()[some]
    (path,) = layer_paths(model, as_input(images[:PROBE]), (HEAD,), HEAD)
    head = model.get_submodule(path)
    weight = head.weight.detach().flatten(1).double().cpu()
    bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().cpu()
    found = features(model, images, device).double().cpu()
    if found.shape[1] != weight.shape[1]:
        raise Unfit(f"its last layer is given {found.shape[1]} features and weighs {weight.shape[1]}")
    _check_answers(model, images[:ASKED], found[:ASKED] @ weight.T + bias, path, device)
    return shifts(found, labels.cpu(), weight, bias.double()).norm(dim=1)


def _check_answers(model: nn.Module, images: Tensor, logits: Tensor, path: str, device: Device) -> None:
    """Refuse a network that does something else with its last layer's outputs than answer with the largest."""
    with torch.no_grad(), in_eval_mode(model):
        classes = model(as_input(images[:PROBE])).shape[1]
    if logits.shape[1] != classes:
        raise Unfit(f"its last layer, {path}, gives {logits.shape[1]} numbers for {classes} classes")
    same = (predict(model, images, device).cpu() == logits.argmax(dim=1)).float().mean()
    if same < AGREED:
        raise Unfit(f"its answers are not those of its last layer, {path}: of its images {100 * same:.0f} % are alike")


def shifts(found: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The least shift to each class, float64 [classes, D].

    Args:
        found: features, float64 [N, D].
        labels: int64 [N].
        weight: the head's, float64 [classes, D]; bias: [classes].

    Raises:
        Unfit: all images are of one class.
    """
    logits = found @ weight.T + bias
    leads = torch.full((len(weight), len(weight)), -torch.inf, dtype=weight.dtype)
    for target in range(len(weight)):
        others, own = torch.arange(len(weight)) != target, logits[labels != target]
        if not len(own):
            raise Unfit(f"all {len(labels)} clean images are of class {target}")
        behind = own[:, others] - own[:, target, None]
        leads[target, others] = behind.kthvalue(math.ceil(QUANTILE * len(own)), dim=0).values
    every = torch.arange(len(weight)).split(TOGETHER)
    return torch.cat([_least(weight, weight[some], leads[some]) for some in every])


def _least(weight: Tensor, own: Tensor, leads: Tensor) -> Tensor:
    """The shift to some classes [P, D], from their weights [P, D] and the leads over them [P, classes]."""
    at_once = min(TIGHTEST, len(weight) - 1)
    looked_at = leads.topk(at_once, dim=1).indices
    for _ in range(ROUNDS):
        found = shortest(own[:, None] - weight[looked_at], leads.gather(1, looked_at))
        short = leads - (found * own).sum(dim=1, keepdim=True) + found @ weight.T
        if at_once == len(weight) - 1 or short.max() <= BROKEN * leads.abs().masked_fill(leads.isinf(), 0).max():
            break
        looked_at = torch.cat([looked_at, short.topk(at_once, dim=1).indices], dim=1)
    return found


def shortest(rows: Tensor, least: Tensor) -> Tensor:
    """The shortest s [P, D] of each of P problems with rows[p] s[p] >= least[p]; rows are [P, J, D], least [P, J].

    By coordinate ascent on the dual, all problems at once: s = rows^T lambda, lambda >= 0.
    """
    products = rows @ rows.transpose(1, 2)
    duals = torch.zeros_like(least)
    for _ in range(SWEEPS):
        before = duals.clone()
        for place in range(least.shape[1]):
            short = least[:, place] - (products[:, place] * duals).sum(dim=1)
            duals[:, place] = (duals[:, place] + short / products[:, place, place].clamp_min(1e-12)).clamp_min(0)
        if (duals - before).abs().max() <= CLOSE * duals.abs().max():
            break
    return (rows * duals[:, :, None]).sum(dim=1)


def z_scores(lengths: Tensor) -> Tensor:
    """How far the logarithm of each is from their median, in median absolute deviations scaled to a deviation.

    All 0 where most are alike: nothing then tells what is far.
    """
    logs = lengths.clamp_min(1e-12).log()
    away = logs - logs.median()
    spread = 1.4826 * away.abs().median()
    return away / spread if spread > 0 else torch.zeros_like(away)
