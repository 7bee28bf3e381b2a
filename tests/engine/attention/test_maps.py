"""Attention maps and their distance against values computed by hand and a numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.attention.maps import attention_loss, attention_map, dead_taps, normalized

# One image, two channels, a 1x3 map.
FEATURES = torch.tensor([[[[1.0, -2.0, 0.0]], [[-3.0, 1.0, 0.5]]]])


def features(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def reference_map(values: np.ndarray, operator: str, p: float) -> np.ndarray:
    """method.md's table, in numpy."""
    absolute = np.abs(values)
    return {
        "sum": lambda: absolute.sum(1),
        "sum_p": lambda: (absolute**p).sum(1),
        "mean": lambda: absolute.sum(1) / values.shape[1],
        "mean_p": lambda: (absolute**p).sum(1) / values.shape[1],
        "max_p": lambda: (absolute**p).max(1),
    }[operator]()


def reference_loss(student: np.ndarray, teacher: np.ndarray, operator: str, p: float) -> float:
    """The normalized maps' squared distance, the mean over cells and images, an image at a time."""
    losses = []
    for a, b in zip(reference_map(student, operator, p), reference_map(teacher, operator, p), strict=True):
        a, b = a / (np.sqrt((a**2).sum()) + 1e-6), b / (np.sqrt((b**2).sum()) + 1e-6)
        losses.append(((a - b) ** 2).mean())
    return float(np.mean(losses))


@pytest.mark.parametrize(
    ("operator", "p", "expected"),
    [
        ("sum", 2, [4, 3, 0.5]),
        ("sum_p", 2, [10, 5, 0.25]),
        ("sum_p", 1, [4, 3, 0.5]),
        ("sum_p", 4, [82, 17, 0.0625]),
        ("mean", 2, [2, 1.5, 0.25]),
        ("mean_p", 2, [5, 2.5, 0.125]),
        ("mean_p", 3, [14, 4.5, 0.0625]),
        ("max_p", 2, [9, 4, 0.25]),
        ("max_p", 1, [3, 2, 0.5]),
    ],
)
def test_operators_by_hand(operator, p, expected):
    assert attention_map(FEATURES, operator, p).tolist() == [[expected]]


def test_the_default_is_the_papers_choice():
    assert attention_map(FEATURES).tolist() == [[[10, 5, 0.25]]]


def test_a_normalized_map_has_norm_one_and_keeps_its_proportions():
    maps = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[60.0, 60.0], [60.0, 60.0]]])
    result = normalized(maps)
    np.testing.assert_allclose(result[0].numpy(), [[0.6, 0.0], [0.0, 0.8]], atol=1e-6)
    np.testing.assert_allclose(result[1].numpy(), [[0.5, 0.5], [0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(result.flatten(1).norm(dim=1).numpy(), [1, 1], atol=1e-6)


def test_each_image_is_normalized_by_itself():
    maps = features(3, 4, 4).abs()
    alone = torch.cat([normalized(one) for one in maps.split(1)])
    assert torch.equal(normalized(maps), alone)


def test_a_map_of_zeros_stays_finite_and_so_does_its_gradient():
    zero = torch.zeros(2, 3, 4, 4, requires_grad=True)
    assert (normalized(attention_map(zero)) == 0).all()
    loss = attention_loss(zero, features(2, 3, 4, 4, dtype=torch.float32))
    loss.backward()
    assert loss.isfinite()
    assert zero.grad.isfinite().all()


# Maps (squares of one channel): student (3, 4), teacher (4, 3) and (5, 0), over two images.
STUDENT = torch.tensor([[[[3.0, 4.0]]], [[[3.0, 4.0]]]]).sqrt()
TEACHER = torch.tensor([[[[4.0, 3.0]]], [[[5.0, 0.0]]]]).sqrt()


@pytest.mark.parametrize(
    ("normalize", "reduction", "expected"),
    [
        # (0.6, 0.8) - (0.8, 0.6): 0.04 + 0.04; (0.6, 0.8) - (1, 0): 0.16 + 0.64; the mean of the two images.
        (True, "sum", (0.08 + 0.80) / 2),
        (True, "mean", (0.04 + 0.40) / 2),
        # (3, 4) - (4, 3): 1 + 1; (3, 4) - (5, 0): 4 + 16.
        (False, "sum", (2 + 20) / 2),
        (False, "mean", (1 + 10) / 2),
    ],
)
def test_loss_by_hand(normalize, reduction, expected):
    loss = attention_loss(STUDENT, TEACHER, normalize=normalize, reduction=reduction)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_loss_is_zero_for_equal_maps_alone():
    one = features(2, 3, 4, 4)
    assert float(attention_loss(one, one.clone())) == 0
    assert float(attention_loss(one, -3 * one)) < 1e-12, "sign and scale are normalized away"
    assert float(attention_loss(one, features(2, 3, 4, 4, seed=1))) > 1e-3


@pytest.mark.parametrize("operator", ["sum", "sum_p", "mean", "mean_p", "max_p"])
@pytest.mark.parametrize("p", [2.0, 3.0])
def test_gradient_against_central_differences(operator, p):
    student = features(2, 3, 2, 3).requires_grad_(True)
    teacher = features(2, 3, 2, 3, seed=1)
    loss = attention_loss(student, teacher, operator=operator, p=p)
    (gradient,) = torch.autograd.grad(loss, student)

    values, fixed, step = student.detach().numpy(), teacher.numpy(), 1e-6
    assert float(loss.detach()) == pytest.approx(reference_loss(values, fixed, operator, p), rel=1e-9)
    differences = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[place] += step
        down[place] -= step
        rise = reference_loss(up, fixed, operator, p) - reference_loss(down, fixed, operator, p)
        differences[place] = rise / (2 * step)
    np.testing.assert_allclose(gradient.numpy(), differences, rtol=1e-5, atol=1e-9)
    assert np.abs(differences).max() > 1e-3


def test_the_larger_map_is_pooled_to_the_smaller_one():
    large, small = features(2, 5, 4, 6), features(2, 3, 2, 3, seed=1)
    # Each cell of the smaller map is the mean of a 2x2 block of the larger one's attention.
    blocks = reference_map(large.numpy(), "sum_p", 2).reshape(2, 2, 2, 3, 2).mean(axis=(2, 4))
    other = reference_map(small.numpy(), "sum_p", 2)
    expected = ((blocks - other) ** 2).mean()
    assert float(attention_loss(large, small, normalize=False)) == pytest.approx(expected, rel=1e-9)
    assert float(attention_loss(small, large, normalize=False)) == pytest.approx(expected, rel=1e-9)


def test_maps_that_are_each_smaller_in_one_direction_meet_at_the_smaller_of_both():
    tall, wide = features(1, 2, 4, 2), features(1, 2, 2, 4, seed=1)
    a = reference_map(tall.numpy(), "sum_p", 2).reshape(1, 2, 2, 2).mean(axis=2)
    b = reference_map(wide.numpy(), "sum_p", 2).reshape(1, 2, 2, 2).mean(axis=3)
    loss = attention_loss(tall, wide, normalize=False, reduction="sum")
    assert float(loss) == pytest.approx(((a - b) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half):
    given = features(2, 64, 4, 4, dtype=half)
    result = attention_map(given)
    assert result.dtype == torch.float32
    exact = reference_map(given.double().numpy(), "sum_p", 2)
    np.testing.assert_allclose(result.numpy(), exact, rtol=1e-5)
    other = features(2, 64, 4, 4, seed=1, dtype=half)
    loss = attention_loss(given, other)
    assert float(loss) == pytest.approx(
        reference_loss(given.double().numpy(), other.double().numpy(), "sum_p", 2), rel=1e-4
    )


def test_the_normalized_loss_of_1x1_maps_is_zero_whatever_they_hold():
    """What BackdoorBench's NAD minimizes on most networks at 32 pixels: the reason for `dead_taps`."""
    one, other = features(4, 8, 1, 1), features(4, 8, 1, 1, seed=1)
    assert float(attention_loss(one, other)) < 1e-9


def test_dead_taps_names_those_that_say_nothing_about_places():
    good = features(3, 4, 8, 8, dtype=torch.float32)
    taps = {
        "good": good,
        "tiny": good * 1e-3,
        "pooled": features(3, 4, 1, 1, dtype=torch.float32),
        "constant": features(3, 4, 1, 1, dtype=torch.float32).expand(3, 4, 8, 8),
        "zero": torch.zeros(3, 4, 2, 2),
        "one image speaks": torch.cat([torch.ones(2, 4, 8, 8), good[:1]]),
    }
    dead = dead_taps(list(taps), list(taps.values()), "sum_p", 2.0)
    assert dead == {
        "pooled": "its map is 1x1",
        "constant": "its 8x8 map is constant",
        "zero": "its 2x2 map is constant",
    }


@pytest.mark.parametrize("value", [1e-3, 0.1, 3.3, 1e3])
@pytest.mark.parametrize("operator", ["sum", "sum_p", "mean", "mean_p", "max_p"])
def test_a_constant_map_is_dead_at_any_level(value, operator):
    assert dead_taps(["tap"], [torch.full((2, 7, 7, 5), value)], operator, 2.0) == {"tap": "its 7x5 map is constant"}
