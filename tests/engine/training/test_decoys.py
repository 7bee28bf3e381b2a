"""Decoys: every image that bears one bears what its kind does, and the models that are followed see none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.settings import AnchorSettings, DecoySettings, ObjectiveSettings
from engine.training.decoys import KINDS, with_decoys
from engine.training.loop import Batch
from engine.training.objectives import CleanObjective, drawn

OFF = dict.fromkeys(KINDS, 0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 64, side: int = 32) -> torch.Tensor:
    smooth = torch.rand((count, 3, 4, 4), generator=generator(5))
    return nn.functional.interpolate(smooth, size=(side, side), mode="bilinear", align_corners=True)


def alone(kind: str, strength: float, share: float = 1.0) -> DecoySettings:
    return DecoySettings(**{**OFF, kind: strength}, share=share)


def apart(kind: str, strength: float, given: torch.Tensor) -> torch.Tensor:
    """How far each image is moved, [B, H, W]: the largest of its channels."""
    return (with_decoys(given, alone(kind, strength), generator()) - given).abs().amax(dim=1)


def test_every_kind_has_a_strength_and_every_strength_a_kind():
    assert set(DecoySettings.model_fields) == {"share", *KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoy_changes_its_image_within_the_range_of_pixels(kind: str):
    given = images()
    marked = with_decoys(given, DecoySettings(share=1, **{**OFF, kind: 0.2}), generator())
    assert marked.shape == given.shape
    assert marked.min() >= 0 and marked.max() <= 1
    assert ((marked - given).abs().amax(dim=(1, 2, 3)) > 0.001).float().mean() > 0.9


def test_the_share_is_that_of_the_images_that_bear_one():
    given = images(2000, 8)
    bear = (with_decoys(given, DecoySettings(share=0.3), generator()) != given).flatten(1).any(dim=1)
    assert 0.25 < bear.float().mean() < 0.35


def test_a_wave_stays_below_its_amplitude_and_a_patch_within_its_square():
    given = 0.3 + 0.4 * images()
    assert apart("wave", 0.1, given).max() <= 0.1 + 1e-5
    touched = apart("patch", 0.25, given) > 0
    assert touched.any(dim=1).sum(dim=1).max() <= 8
    assert touched.any(dim=2).sum(dim=1).max() <= 8


def test_a_warp_shifts_by_no_more_on_average_than_it_is_told():
    ramp = torch.arange(32.0).expand(32, 3, 32, 32) / 31
    moved = with_decoys(ramp, alone("warp", 0.05), generator())
    columns = (moved - ramp).abs().mean(dim=(1, 2, 3)) * 31
    assert columns.mean() > 0.1 and columns.max() < 0.05 * 32 * 2  # the mean is over both directions


def test_of_strength_0_none_is_there():
    given = images()
    assert torch.equal(with_decoys(given, DecoySettings(**OFF, share=1), generator()), given)


def test_equal_generators_draw_equal_decoys():
    given, settings = images(), DecoySettings(share=0.5)
    assert torch.equal(with_decoys(given, settings, generator(3)), with_decoys(given, settings, generator(3)))
    assert not torch.equal(with_decoys(given, settings, generator(3)), with_decoys(given, settings, generator(4)))


def batch() -> Batch:
    return Batch(images(16), torch.arange(16) % 3, generator())


def test_without_a_share_nothing_is_drawn():
    before = batch()
    mixed = drawn(before, ObjectiveSettings())
    assert mixed.images is mixed.plain is before.images
    assert torch.equal(before.generator.get_state(), generator().get_state())


def test_the_anchor_looks_at_the_images_without_decoys():
    seen = []

    class Watched(nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            seen.append(given)
            return given.mean(dim=(2, 3))

    settings = ObjectiveSettings(mixup=1.0, decoys=DecoySettings(share=1.0), anchor=AnchorSettings(weight=1.0))
    CleanObjective(settings, Watched())(Watched(), batch())
    trained, anchor = seen
    assert not torch.equal(trained, anchor)
    mixed = drawn(batch(), settings)
    assert torch.equal(trained, mixed.images) and torch.equal(anchor, mixed.plain)
