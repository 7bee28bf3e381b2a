"""Which of the training images the defender holds."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.errors import RequestError

TEST_SHARE = 0.2
"""Share of the images that test where a data set comes in one part."""


def clean_subset(labels: Tensor, fraction: float, seed: int, stratified: bool = False) -> Tensor:
    """Draw a share of the data set without replacement.

    Args:
        labels: int64 [N].
        fraction: above 0, at most 1; round(fraction * N) images are drawn, at least one.
        seed: another one gives another draw; torch's global generators are not touched.
        stratified: give every class its share of the images, at least one, instead of drawing at random.

    Returns:
        Sorted int64 indices into ``labels``, on its device.

    Raises:
        RequestError: the fraction is out of range, or too small to hold every class when stratified.
    """
    if not 0 < fraction <= 1:
        raise RequestError(f"the clean fraction is {fraction}; it must be above 0 and at most 1")
    count = max(1, round(fraction * len(labels)))
    if stratified:
        return stratified_draw(labels, count, seed, f"a clean fraction of {fraction}, that is {count} images,")
    return torch.randperm(len(labels), generator=_generator(seed))[:count].sort().values.to(labels.device)


def stratified_draw(labels: Tensor, count: int, seed: int, what: str) -> Tensor:
    """Draw ``count`` of the labels, 1 <= count <= N, each class in its share and at least once.

    Shares are rounded by the largest remainder, so that they add up. Returns sorted int64 indices into
    ``labels``, on its device. ``what`` begins the message of the error.

    Raises:
        RequestError: there are more classes than ``count``.
    """
    kinds, sizes = labels.cpu().unique(return_counts=True)
    if count < len(kinds):
        raise RequestError(f"{what} cannot hold one image of each of the {len(kinds)} classes")
    generator = _generator(seed)
    drawn = []
    for kind, share in zip(kinds, apportion(sizes.tolist(), count), strict=True):
        members = (labels.cpu() == kind).nonzero().flatten()
        drawn.append(members[torch.randperm(len(members), generator=generator)[:share]])
    return torch.cat(drawn).sort().values.to(labels.device)


def split_off(labels: Tensor, names: Sequence[str], where: str) -> tuple[Tensor, Tensor]:
    """Which images train and which test, where nobody has said: a fifth of every class, always the same one, tests.

    Returns sorted int64 indices into ``labels``, int64 [N] of 0 ... len(names) - 1, of either part.

    Raises:
        RequestError: a class has fewer than two images; ``where`` begins the message.
    """
    counts = labels.bincount(minlength=len(names))
    if counts.min() < 2:
        label = int(counts.argmin())
        held = "one image" if counts[label] else "no image"
        raise RequestError(f"{where} holds {held} of class {names[label]!r}; wants two or more, to train and to test")
    total = max(len(names), round(TEST_SHARE * len(labels)))
    chosen = stratified_draw(labels, total, seed=0, what=f"the test part of {where}")
    tests = torch.zeros(len(labels), dtype=torch.bool)
    tests[chosen] = True
    return (~tests).nonzero().flatten(), chosen


def apportion(sizes: list[int], total: int) -> list[int]:
    """Divide ``total`` over classes of these sizes in proportion, by largest remainder, at least 1 to each.

    ``total`` lies between the number of classes and the sum of the sizes; no class gets more than it has.
    """
    everything = sum(sizes)
    shares = [max(1, total * size // everything) for size in sizes]

    def excess(index: int) -> int:  # how far a share lies above its exact value, in units of 1 / everything
        return shares[index] * everything - total * sizes[index]

    while sum(shares) < total:
        shares[min((i for i in range(len(sizes)) if shares[i] < sizes[i]), key=excess)] += 1
    while sum(shares) > total:  # classes lifted to 1 have taken what the larger ones now give back
        shares[max((i for i in range(len(sizes)) if shares[i] > 1), key=excess)] -= 1
    return shares


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
