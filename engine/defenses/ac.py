"""Activation clustering (Chen et al., 2018): within a class, poisoned images and its own activate the suspect's last
hidden layer differently; the features of each class are parted in two, and one part is taken for poisoned.

The features are brought to ten dimensions by ICA there. What ICA does beyond whitening is a rotation, which two-means
does not notice: so whitened principal components are the same. By default they are not whitened here: brought to the
variance of all others, the direction in which poisoned images differ is often missed. The paper takes the smaller
cluster, and finds classes without poison by the clusters' sizes or their silhouette. At the poisoning rates of our
presets the poisoned images of the target class are half of it, or most of it: the smaller cluster is then often the
clean one. The defender holds clean images, so by default they tell: a cluster is poisoned where hardly any of the
class's clean images lie in it, and what is left is parted again, as poisoned images of several classes are several
clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.defenses.retraining import Retraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RESTARTS = 8
SPLITS = 8
"""Of a class, at most."""
EXPECTED = 3
"""Clean images that a cluster ought to have by its size: of a smaller one nothing can be told."""
ROUNDS = 100
"""Of a start of two-means, at most."""


class Ac(Retraining):
    """Settings of activation clustering and of the retraining after it."""

    name: ClassVar[str] = "ac"
    summary: ClassVar[str] = "isolates a cluster of each class's features, then trains anew without it"
    source: ClassVar[str] = (
        "Chen, Carvalho, Baracaldo, Ludwig, Edwards, Lee, Molloy, Srivastava: Detecting Backdoor Attacks on Deep "
        "Neural Networks by Activation Clustering, SafeAI 2019 (arXiv 1811.03728), section 4"
    )

    dimensions: int = Field(10, ge=1, le=1000)
    """Of the reduced features."""
    whiten: bool = False
    """Whether they are brought to variance 1 each, as ICA's are (the paper's)."""
    select: Literal["clean", "smaller"] = "clean"
    """What is isolated: a cluster with hardly any of the class's clean images, or the smaller one (the paper's)."""
    most: float = Field(0.25, gt=0, le=1)
    """clean: the largest ratio of a cluster's share of the clean images to its share of the class. smaller: the
    largest share of the class that the smaller cluster may have (the paper's rule of relative size; 0.5 = any)."""

    def suspected(self, features: Tensor, clean: Tensor, seed: int) -> Tensor:
        """The class's poisoned clusters: one at most by the paper's rule; by clean images one after the other, as long
        as what is left parts into one that looks clean and one that does not."""
        import torch

        draw = torch.Generator().manual_seed(seed)
        if self.select == "smaller":
            return self._smaller(self._parted(features, clean, draw)[0])
        taken = torch.zeros(len(features), dtype=torch.bool, device=features.device)
        for _ in range(SPLITS):
            left = (~taken).nonzero().flatten()
            if len(left) < 2 or not len(clean):
                break
            second, known = self._parted(features[left], clean, draw)
            side = self._poisoned_side(second, known)
            if side is None:
                break
            taken[left[second == side]] = True
            clean = clean[known != side]
        return taken

    def _parted(self, features: Tensor, clean: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which of two clusters each image is in, 0 or 1, and each clean image."""
        mean, basis = reduction(features, self.dimensions, whiten=self.whiten)
        points = (features - mean) @ basis
        centers = two_means(points, draw)
        return nearest(points, centers), nearest((clean - mean) @ basis, centers)

    def _smaller(self, sides: Tensor) -> Tensor:
        """The smaller cluster, bool; none where it is no small one."""
        import torch

        smaller = sides == int(float(sides.float().mean()) <= 0.5)
        return smaller if float(smaller.float().mean()) <= self.most else torch.zeros_like(smaller)

    def _poisoned_side(self, sides: Tensor, known: Tensor) -> int | None:
        """The cluster in which there are far fewer clean images than there ought to be; None where neither is so."""
        for side in (0, 1):
            share = float((sides == side).float().mean())
            if share * len(known) >= EXPECTED and float((known == side).float().mean()) <= self.most * share < 1:
                return side
        return None


def reduction(features: Tensor, dimensions: int, *, whiten: bool) -> tuple[Tensor, Tensor]:
    """The mean [D] of features [N, D] and the basis [D, d] of their principal components; whitened of variance 1 each.

    d is at most `dimensions`; directions in which there is next to no variance are left out.
    """
    import torch

    mean = features.mean(dim=0)
    _, values, directions = torch.linalg.svd(features - mean, full_matrices=False)
    spread = values / max(1, len(features) - 1) ** 0.5
    count = min(dimensions, max(1, int((spread > 1e-5 * spread[0]).sum())))
    basis = directions[:count].T
    return mean, basis / spread[:count].clamp(min=1e-12) if whiten else basis


def two_means(points: Tensor, generator: torch.Generator) -> Tensor:
    """Two centers [2, d] of points [N, d], N > 1: the best of several starts, each of two points, the second drawn in
    proportion to its squared distance from the first (k-means++)."""
    import torch

    best, least = points[:2], float("inf")
    for _ in range(RESTARTS):
        first = points[int(torch.randint(len(points), (1,), generator=generator))]
        weights = (points - first).square().sum(dim=1).cpu()
        if not bool((weights > 0).any()):
            return torch.stack([first, first])
        second = points[int(torch.multinomial(weights, 1, generator=generator))]
        centers = _settled(points, torch.stack([first, second]))
        cost = float(torch.cdist(points, centers).min(dim=1).values.square().sum())
        if cost < least:
            best, least = centers, cost
    return best


def _settled(points: Tensor, centers: Tensor) -> Tensor:
    """Lloyd's rounds, until no point changes sides."""
    import torch

    sides = nearest(points, centers)
    for _ in range(ROUNDS):
        if bool((sides == sides[0]).all()):
            break
        centers = torch.stack([points[sides == side].mean(dim=0) for side in (0, 1)])
        before, sides = sides, nearest(points, centers)
        if bool((sides == before).all()):
            break
    return centers


def nearest(points: Tensor, centers: Tensor) -> Tensor:
    """The nearer center of each point, int64 [N]."""
    import torch

    return torch.cdist(points, centers).argmin(dim=1)
