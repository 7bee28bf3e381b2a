"""The graph of a network's attention maps, and what ARGD minimizes. Needs torch.

Nodes are the taps' maps, edges the distances between two of them; an embedding says which of the student's maps go with
which of the teacher's (of maps as they are, where the authors' code squares them once more).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.maps import attention_map, normalized
from engine.defenses.argd.settings import ArgdDistillSettings
from engine.models.inference import in_eval_mode
from engine.training.loop import Batch
from engine.training.objectives import CleanObjective, drawn


class ArgdObjective(CleanObjective):
    """Cross-entropy (and anchor, mixup) plus the graph's three losses, on one forward pass of each model."""

    def __init__(
        self,
        settings: ArgdDistillSettings,
        suspect: nn.Module,
        teacher: nn.Module,
        node_weights: Sequence[float],
        projections: Projections,
    ) -> None:
        super().__init__(settings.objective, suspect)
        self.distill = settings
        self.teacher = teacher
        self.node_weights = node_weights
        self.projections = projections

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands: `ce`, `anchor` where it is on, `node`, `edge`, `embedding`."""
        mixed = drawn(batch, self.settings)
        with torch.no_grad():
            theirs = [normalized(attention_map(each)) for each in self.teacher.forward_with_taps(mixed.plain)[1]]
        logits, taps = model.forward_with_taps(mixed.images)
        mine = [normalized(attention_map(each)) for each in taps]
        return {
            **self.parts(logits, mixed),
            "node": node_loss(mine, theirs, self.node_weights),
            "edge": self.distill.edge * edge_loss(mine, theirs),
            "embedding": self.distill.embedding * self.projections(mine, theirs),
        }


def node_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum of the maps' mean squared distances; maps [N, h, w], normalized."""
    return torch.stack(
        [weight * F.mse_loss(mine, their) for mine, their, weight in zip(student, teacher, weights, strict=True)]
    ).sum()


def edge_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The mean over all pairs of taps of the mean squared difference of both networks' edges; 0 with a single tap."""
    pairs = [*itertools.combinations(range(len(student)), 2)]
    if not pairs:
        return student[0].new_zeros(())
    return torch.stack(
        [F.mse_loss(edge(student[one], student[two]), edge(teacher[one], teacher[two])) for one, two in pairs]
    ).mean()


def edge(one: Tensor, other: Tensor) -> Tensor:
    """The squared distance of two taps' maps for each image, [N], over the batch's largest; the larger map is pooled to
    the smaller one's size."""
    size = tuple(min(a, b) for a, b in zip(one.shape[1:], other.shape[1:], strict=True))
    distances = (pooled(one, size) - pooled(other, size)).square().flatten(1).sum(dim=1).clamp(min=1e-12)
    return distances / distances.max()


def pooled(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Maps [N, h, w] brought to another size by adaptive mean pooling."""
    return maps if maps.shape[1:] == size else F.adaptive_avg_pool2d(maps[:, None], size)[:, 0]


class Projections(nn.Module):
    """Which of the student's maps go with which of the teacher's: queries and keys, each of a map's mean."""

    def __init__(self, taps: int, dimensions: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.queries = nn.ModuleList(_projection(1, dimensions) for _ in range(taps))
            self.keys = nn.ModuleList(_projection(1, dimensions) for _ in range(taps))
            self.pairing = _projection(dimensions, dimensions * taps)
            self.mine = nn.Parameter(nn.init.xavier_normal_(torch.empty(taps, dimensions)))
            self.theirs = nn.Parameter(nn.init.xavier_normal_(torch.empty(taps, dimensions)))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The sum over the teacher's maps of their mean squared distances from all of the student's, a scalar.

        The distances of an image are weighed by a softmax over the student's maps. One image has no spread: its
        projections are normalized by what was seen before.
        """
        with in_eval_mode(self) if len(student[0]) == 1 else nullcontext():
            shares = self.shares(student, teacher)
        distances = [
            torch.stack([self._distance(mine, their) for mine in student], dim=1) for their in teacher
        ]  # by the teacher's map [N, S]
        return (torch.stack(distances, dim=1) * shares).sum(dim=(1, 2)).mean()

    def shares(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """How much each of the student's maps goes with each of the teacher's, [N, T, S]; in all 1 for each."""
        queries = torch.stack([to(_mean(each)) for to, each in zip(self.queries, teacher, strict=True)], dim=1)
        keys = torch.stack([F.relu(to(_mean(each))) for to, each in zip(self.keys, student, strict=True)], dim=1)
        count, taps, dimensions = keys.shape
        paired = self.pairing(keys.flatten(0, 1)).view(count, taps, len(teacher), dimensions)
        alike = torch.einsum("nstd,ntd->nts", paired, queries) + self.theirs @ self.mine.T
        return (alike / math.sqrt(dimensions)).softmax(dim=2)

    @staticmethod
    def _distance(mine: Tensor, their: Tensor) -> Tensor:
        """The mean squared distance of two maps that are brought to the teacher's size, and normalized there; [N]."""
        same = normalized(pooled(mine, tuple(their.shape[1:])))
        return (same - their).square().flatten(1).mean(dim=1)


def _projection(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))


def _mean(maps: Tensor) -> Tensor:
    return maps.flatten(1).mean(dim=1, keepdim=True)
