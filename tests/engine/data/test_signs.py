"""The drawn data set: what it promises about shapes, seeds and threads, and that its classes can be told apart."""

import math

import pytest
import torch

from engine.data import drawing, signs
from engine.errors import RequestError

MIDDLE_COLORS = [
    [126.2, 99.6, 99.3],  # stop
    [122.0, 111.4, 105.6],  # yield
    [113.5, 103.9, 104.2],  # danger
    [102.2, 96.0, 94.9],  # speed-30
    [105.4, 99.3, 98.9],  # speed-50
    [105.1, 101.7, 99.6],  # speed-80
    [88.8, 101.5, 120.9],  # ahead-only
    [99.8, 108.7, 122.5],  # turn-left
    [91.5, 104.2, 118.0],  # turn-right
    [95.6, 103.6, 117.5],  # roundabout
]


@pytest.fixture(scope="module")
def tiny():
    return signs.draw(train=200, test=100)


@pytest.fixture(scope="module")
def medium():
    return signs.draw(train=1000, test=200)


def _same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shapes_types_and_balance(tiny):
    x_train, y_train, x_test, y_test = tiny
    assert len(signs.CLASS_NAMES) == len(set(signs.CLASS_NAMES)) == 10
    assert x_train.shape == (200, 3, 32, 32) and x_test.shape == (100, 3, 32, 32)
    assert x_train.dtype == x_test.dtype == torch.uint8
    assert y_train.dtype == y_test.dtype == torch.int64
    assert x_train.is_contiguous() and x_test.is_contiguous()
    assert y_train.bincount().tolist() == [20] * 10
    assert y_test.bincount().tolist() == [10] * 10
    assert not torch.equal(y_train, y_train.sort().values)


def test_odd_counts_are_as_balanced_as_they_can_be():
    x_train, y_train, x_test, y_test = signs.draw(train=67, test=3, size=16)
    counts = y_train.bincount(minlength=10)
    assert x_train.shape == (67, 3, 16, 16) and len(x_test) == 3
    assert counts.max() - counts.min() == 1
    assert len(set(y_test.tolist())) == 3


@pytest.mark.parametrize("wrong", [{"train": 0}, {"test": -1}, {"size": 15}])
def test_a_count_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(RequestError, match=next(iter(wrong))):
        signs.draw(**{"train": 10, "test": 10, **wrong})


def test_same_arguments_same_bytes_on_any_number_of_threads(tiny):
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert _same(tiny, signs.draw(train=200, test=100)), threads
    finally:
        torch.set_num_threads(before)


def test_global_random_state_is_neither_read_nor_touched(tiny):
    torch.manual_seed(12345)
    state = torch.random.get_rng_state()
    assert _same(tiny, signs.draw(train=200, test=100))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_seeds_give_different_images_and_orders(tiny):
    other = signs.draw(train=200, test=100, seed=signs.SEED + 1)
    assert not torch.equal(tiny[1], other[1])
    assert (tiny[0] != other[0]).flatten(1).any(dim=1).all()


def test_no_image_comes_twice_in_or_across_the_parts(medium):
    images = torch.cat((medium[0], medium[2])).flatten(1).double()
    distances = torch.cdist(images, images).fill_diagonal_(math.inf)
    # Noise alone sets two photographs of one dull scene 2 * 0.005 * 255 apart; a copy would be at 0.
    assert distances.min() > 2 * math.sqrt(3 * 32 * 32)


def test_mean_colors_are_the_recorded_ones(medium):
    """Another platform may round a byte differently; other random draws move means by several levels."""
    images, labels, _, _ = medium
    means = torch.stack([images[labels == k, :, 10:22, 10:22].float().mean(dim=(0, 2, 3)) for k in range(10)])
    assert torch.allclose(means, torch.tensor(MIDDLE_COLORS), rtol=0, atol=0.5), means


def test_red_signs_are_red_and_blue_signs_are_blue(medium):
    """A sign covers the middle of its image, so the excess of red over blue there tells its color."""
    images, labels, _, _ = medium
    middle = images[:, :, 10:22, 10:22].float().mean(dim=(2, 3))
    excess = {
        name: (middle[labels == k, 0] - middle[labels == k, 2]).mean().item()
        for k, name in enumerate(signs.CLASS_NAMES)
    }
    blue = {"ahead-only", "turn-left", "turn-right", "roundabout"}
    assert max(excess[name] for name in blue) < -10
    assert min(value for name, value in excess.items() if name not in blue) > 0
    assert excess["stop"] == max(excess.values())


def test_classes_differ_but_not_in_their_mean_image(medium):
    """The nearest class mean is right more often than by chance, and far from always: neither noise nor trivial."""
    x_train, y_train, x_test, y_test = medium
    pixels = x_train.flatten(1).double()
    means = torch.stack([pixels[y_train == k].mean(dim=0) for k in range(10)])
    nearest = torch.cdist(x_test.flatten(1).double(), means).argmin(dim=1)
    assert 0.15 < (nearest == y_test).double().mean() < 0.6


def test_corners_show_the_scene_and_the_middle_the_sign():
    labels = torch.arange(10).repeat(50)
    dice = drawing.Dice(500, "corners")
    where, unit = drawing.pose(dice, 64, fill=(0.55, 0.9))
    plate = signs._covers(labels, where, unit, dice, signs._templates())[0]
    assert plate.shape == (500, 1, 32, 32)
    assert plate[..., -3:, -3:].mean() < 0.03  # where patch triggers go
    assert plate[..., 14:18, 14:18].mean() > 0.95
    # A disc of 55 to 90 % of the width, some seen from the side, covers a fifth to a half of the frame.
    assert 0.2 < plate.mean() < 0.5


def test_larger_images_show_the_same_kind_of_scene():
    small, labels, _, _ = signs.draw(train=60, test=1, size=32)
    large, same, _, _ = signs.draw(train=60, test=1, size=64)
    assert large.shape == (60, 3, 64, 64) and torch.equal(labels, same)
    assert abs(small.float().mean() - large.float().mean()) < 15


def test_outline_distance_of_a_square_and_a_disc():
    x, y = torch.tensor([[0.0, 2.0, 4.0]]), torch.tensor([[0.0], [5.0]])
    square = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
    expected = [[-1.0, 1.0, 3.0], [4.0, math.hypot(1, 4), math.hypot(3, 4)]]
    assert torch.allclose(drawing.outline_distance(x, y, square, 0.0), torch.tensor(expected))
    disc = drawing.outline_distance(x, y, ((0.0, 0.0),), 1.5)
    assert torch.allclose(disc, torch.hypot(x.expand(2, 3), y.expand(2, 3)) - 1.5)


def test_blur_keeps_flat_images_and_spreads_a_point_along_the_wide_axis():
    flat = torch.full((1, 3, 32, 32), 0.25)
    narrow, wide = torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 1.0)
    assert torch.allclose(drawing.blur(flat, wide, narrow), flat)
    point = torch.zeros(1, 3, 32, 32)
    point[..., 16, 16] = 1
    spread = drawing.blur(point, wide, narrow)[0, 0]
    # A Gaussian of sigma 1 cut off after two pixels: exp(-k^2 / 2) over its sum.
    expected = torch.exp(-0.5 * torch.tensor([4.0, 1, 0, 1, 4])) / 2.48373
    assert torch.allclose(spread[16, 14:19], expected, atol=1e-4)
    assert spread[15, 16] < 1e-4


def test_drawing_does_without_what_loads_sympy(monkeypatch):
    """The first picture of a trigger waits for it: a third of a second for the shape of two grids."""

    def loads_sympy(*shapes: object) -> None:
        raise AssertionError("torch.broadcast_shapes")

    monkeypatch.setattr(torch, "broadcast_shapes", loads_sympy)
    signs.draw(train=10, test=1)
