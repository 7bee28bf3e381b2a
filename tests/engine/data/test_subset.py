"""The clean subset: its size, its strata, its seed."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.subset import apportion, clean_subset, stratified_draw
from engine.errors import RequestError

LABELS = torch.arange(1000) % 10


@pytest.mark.parametrize("stratified", [False, True])
def test_size_order_and_range(stratified):
    subset = clean_subset(LABELS, 0.05, seed=0, stratified=stratified)
    assert subset.dtype == torch.int64
    assert len(subset) == 50
    assert (subset.diff() > 0).all()
    assert subset.min() >= 0
    assert subset.max() < 1000


@pytest.mark.parametrize("stratified", [False, True])
def test_the_seed_alone_decides_the_draw(stratified):
    draws = [clean_subset(LABELS, 0.05, seed, stratified) for seed in range(5)]
    torch.manual_seed(99)
    for seed, draw in enumerate(draws):
        assert torch.equal(draw, clean_subset(LABELS, 0.05, seed, stratified))
    assert len({tuple(draw.tolist()) for draw in draws}) == 5


@pytest.mark.parametrize("stratified", [False, True])
def test_the_global_generator_is_not_touched(stratified):
    before = torch.random.get_rng_state()
    clean_subset(LABELS, 0.3, 1, stratified)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_random_draw_is_uniform_over_the_images():
    hits = torch.zeros(200)
    for seed in range(500):
        hits[clean_subset(torch.zeros(200), 0.1, seed)] += 1
    # Each image is drawn 50 times on average, with a standard deviation of 6.7.
    assert hits.sum() == 500 * 20
    assert hits.min() > 20
    assert hits.max() < 80


def test_a_tiny_fraction_still_draws_one_image_and_a_whole_one_draws_all():
    assert len(clean_subset(LABELS, 1e-9, 0)) == 1
    assert torch.equal(clean_subset(LABELS, 1.0, 0), torch.arange(1000))
    assert torch.equal(clean_subset(LABELS, 1.0, 0, stratified=True), torch.arange(1000))


def test_strata_of_an_unbalanced_set():
    labels = torch.cat([torch.full((size,), kind) for kind, size in enumerate((700, 200, 90, 10))])
    subset = clean_subset(labels[torch.randperm(1000)], 0.05, seed=3, stratified=True)
    assert len(subset) == 50
    counts = labels[clean_subset(labels, 0.05, 3, stratified=True)].bincount().tolist()
    assert counts == [35, 10, 4, 1]  # exact shares 35, 10, 4.5, 0.5: the last one is lifted to one image


def test_labels_need_not_be_consecutive():
    labels = torch.tensor([5] * 8 + [900] * 8)
    assert labels[stratified_draw(labels, 6, 0, "it")].tolist() == [5] * 3 + [900] * 3


@settings(deadline=None)  # a loaded machine makes any case slow
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12), data=st.data())
def test_shares_add_up_and_stay_near_their_exact_values(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    shares = apportion(sizes, total)
    assert sum(shares) == total
    assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))
    exact = [Fraction(total * size, sum(sizes)) for size in sizes]
    if min(exact) >= 1:  # no class had to be lifted: largest remainder keeps within one of the exact share
        assert all(abs(share - value) < 1 for share, value in zip(shares, exact, strict=True))


@pytest.mark.parametrize("fraction", [0, -0.1, 1.0001, 5, float("nan"), float("inf")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(RequestError, match="above 0 and at most 1"):
        clean_subset(LABELS, fraction, 0)


def test_a_fraction_that_cannot_hold_every_class_is_refused():
    with pytest.raises(RequestError, match="5 images, cannot hold one image of each of the 10 classes"):
        clean_subset(LABELS, 0.005, 0, stratified=True)
