"""Batched augmentation against a slow reference that goes image by image and pixel by pixel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.augment import Augment, Draw


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch, height, width, seed=0):
    """Images without a zero in them, so that a zero in the result is padding or a hole."""
    return torch.randint(1, 256, (batch, 3, height, width), dtype=torch.uint8, generator=generator(seed))


def reference(images, augment, draw):
    """What the draw means, pixel by pixel: pad and crop, then mirror, then cut out."""
    result = torch.zeros_like(images)
    batch, channels, height, width = images.shape
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                from_x = width - 1 - x if augment.flip and draw.mirrored[b] else x
                row, column = y, from_x
                if augment.crop:
                    row = y + int(draw.top[b]) - augment.crop
                    column = from_x + int(draw.left[b]) - augment.crop
                if augment.cutout:
                    first_row = int(draw.hole_row[b]) - augment.cutout // 2
                    first_column = int(draw.hole_column[b]) - augment.cutout // 2
                    in_rows = first_row <= y < first_row + augment.cutout
                    if in_rows and first_column <= x < first_column + augment.cutout:
                        continue
                if 0 <= row < height and 0 <= column < width:
                    for c in range(channels):
                        result[b, c, y, x] = images[b, c, row, column]
    return result


augments = st.builds(Augment, crop=st.integers(0, 5), flip=st.booleans(), cutout=st.integers(0, 12))


@settings(max_examples=30, deadline=None)
@given(augment=augments, height=st.integers(4, 10), width=st.integers(4, 10), seed=st.integers(0, 2**32))
def test_batched_equals_the_slow_reference(augment, height, width, seed):
    images = pictures(3, height, width, seed)
    draw = augment.draw(3, height, width, generator(seed))
    assert torch.equal(augment.apply(images, draw), reference(images, augment, draw))


@settings(max_examples=50, deadline=None)
@given(
    augment=augments,
    batch=st.integers(1, 5),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_shape_dtype_and_values_are_those_of_the_images_or_zero(augment, batch, height, width, seed):
    images = pictures(batch, height, width, seed)
    before = images.clone()
    result = augment(images, generator(seed))
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    assert torch.equal(images, before)
    for image, original in zip(result, images, strict=True):
        allowed = {0, *original.unique().tolist()}
        assert set(image.unique().tolist()) <= allowed


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_with_everything_off_the_images_come_back_equal_but_not_the_same(height, width, seed):
    images = pictures(2, height, width, seed)
    result = Augment(crop=0, flip=False, cutout=0)(images, generator(seed))
    assert torch.equal(result, images)
    result.zero_()
    assert images.min() > 0


def test_flip_alone_mirrors_or_leaves_about_half_of_the_images():
    images = pictures(400, 6, 7)
    result = Augment(crop=0, flip=True, cutout=0)(images, generator(1))
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    kept = (result == images).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250


def test_crops_reach_every_offset_and_no_other():
    augment = Augment(crop=2, flip=False, cutout=0)
    draw = augment.draw(2000, 8, 8, generator(2))
    assert set(draw.top.tolist()) == set(draw.left.tolist()) == {0, 1, 2, 3, 4}
    middle = Draw(torch.tensor([2]), torch.tensor([2]), None, None, None)
    images = pictures(1, 8, 8)
    assert torch.equal(augment.apply(images, middle), images)


@pytest.mark.parametrize("side", [1, 8, 9])
def test_the_hole_has_its_side_inside_and_is_clipped_at_the_border(side):
    augment = Augment(crop=0, flip=False, cutout=side)
    images = pictures(2, 32, 32)
    draw = Draw(None, None, None, torch.tensor([16, 0]), torch.tensor([16, 31]))
    holes = (augment.apply(images, draw) == 0).all(1)
    assert holes[0].sum() == side * side
    below, left = side - side // 2, min(side // 2 + 1, side)
    assert holes[1].sum() == below * left
    assert holes[1, 0, 31]


def test_hole_centers_are_drawn_over_the_whole_image():
    draw = Augment(crop=0, flip=False, cutout=3).draw(4000, 5, 9, generator(3))
    assert set(draw.hole_row.tolist()) == set(range(5))
    assert set(draw.hole_column.tolist()) == set(range(9))


def test_all_channels_are_treated_alike():
    gray = pictures(8, 16, 16)[:, :1].expand(-1, 3, -1, -1).contiguous()
    result = Augment(4, True, 9)(gray, generator(4))
    assert torch.equal(result[:, 0], result[:, 1])
    assert torch.equal(result[:, 0], result[:, 2])


def test_the_generator_alone_decides_and_moves_on():
    images, augment = pictures(16, 12, 12), Augment(3, True, 5)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    source = generator(5)
    first, second = augment(images, source), augment(images, source)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, augment(images, generator(5)))
    assert not torch.equal(first, second)


def test_any_memory_layout_gives_the_same_images():
    images, augment = pictures(4, 12, 10), Augment(3, True, 5)
    strided = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(augment(images, generator(6)), augment(strided, generator(6)))
