"""Triggers pixel by pixel against the papers' formulas in numpy, and poisoning against its label rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from engine.attacks.badnets import BadNets
from engine.attacks.base import Attack, AttackContext, Trigger
from engine.attacks.blend import Blend, BlendTrigger
from engine.attacks.lab import TrainingLab
from engine.attacks.refool import SelectionSettings
from engine.attacks.sig import Sig
from engine.config.presets import list_presets, resolve
from engine.errors import RequestError
from engine.events import outcome

CLASSES = 4


def context(count: int = 60, side: int = 16, seed: int = 7) -> AttackContext:
    """Random images, an equal number of each class, in a shuffled order that is always the same."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, side, side), generator=draw).to(torch.uint8)
    labels = (torch.arange(count) % CLASSES)[torch.randperm(count, generator=draw)]
    return AttackContext(images, labels, CLASSES, seed, TrainingLab(CLASSES))


def built(attack: Attack, of: AttackContext) -> Trigger:
    """Run an attack's preparation to its end."""
    return outcome(attack.build(of))


def gray(value: int, side: int = 32, count: int = 2) -> Tensor:
    return torch.full((count, 3, side, side), value, dtype=torch.uint8)


# --- BadNets -------------------------------------------------------------------------------------------------------

# Top and left of a 3x3 grid in a 16x16 image, by place and margin, counted by hand.
PLACES = [
    ("bottom-right", 0, 13, 13),
    ("bottom-right", 1, 12, 12),
    ("bottom-left", 0, 13, 0),
    ("bottom-left", 2, 11, 2),
    ("top-right", 0, 0, 13),
    ("top-right", 2, 2, 11),
    ("top-left", 0, 0, 0),
    ("top-left", 4, 4, 4),
    ("center", 0, 6, 6),
    ("center", 5, 6, 6),
]


@pytest.mark.parametrize(("place", "margin", "top", "left"), PLACES)
def test_badnets_sets_the_grid_and_nothing_else(place, margin, top, left):
    given_context = context(5)
    before = given_context.images.clone()
    marked = built(BadNets(place=place, margin=margin), given_context)(given_context.images)

    expected = before.numpy().copy()
    expected[:, :, top : top + 3, left : left + 3] = [[255, 0, 255], [0, 255, 0], [255, 0, 255]]
    np.testing.assert_array_equal(marked.numpy(), expected)
    assert torch.equal(given_context.images, before)


def test_badnets_grid_of_even_size_in_an_oblong_image():
    images = torch.full((1, 3, 9, 14), 77, dtype=torch.uint8)
    marked = built(BadNets(size=2, place="center"), AttackContext(images, torch.zeros(1).long(), 2, 0))(images)
    changed = (marked[0] != 77).nonzero()
    assert changed[:, 1].unique().tolist() == [3, 4]
    assert changed[:, 2].unique().tolist() == [6, 7]
    assert marked[0, :, 3:5, 6:8].tolist() == [[[255, 0], [0, 255]]] * 3


@pytest.mark.parametrize("wrong", [{"size": 17}, {"size": 14, "margin": 3}])
def test_badnets_refuses_a_patch_larger_than_the_image(wrong):
    with pytest.raises(RequestError, match=r"does not fit into images of 20x16"):
        BadNets(**wrong).check(CLASSES, 16, 20)
    BadNets(size=16).check(CLASSES, 16, 20)
    BadNets(size=14, margin=2).check(CLASSES, 16, 20)


def test_badnets_in_the_center_is_not_refused_for_a_margin_it_has_not():
    BadNets(size=15, margin=9, place="center").check(CLASSES, 16, 16)


# --- Blend ---------------------------------------------------------------------------------------------------------


def test_blend_on_known_pixels():
    # 0.8 x image + 0.2 x pattern by hand: 40, 11.8, 102.8, 204, 255, 0.4.
    image = torch.tensor([0, 2, 103, 255, 255, 0], dtype=torch.uint8).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    pattern = torch.tensor([200, 51, 102, 0, 255, 2], dtype=torch.uint8).view(1, 1, 6).expand(3, 1, 6)
    assert BlendTrigger(pattern, 0.2)(image)[0, :, 0].tolist() == [[40, 12, 103, 204, 255, 0]] * 3


@settings(max_examples=80, deadline=None)
@given(
    images=arrays(np.uint8, (2, 3, 4, 4)),
    pattern=arrays(np.uint8, (3, 4, 4)),
    alpha=st.floats(0, 1, exclude_min=True),
)
def test_blend_is_the_rounded_mean_and_never_wraps(images, pattern, alpha):
    given_images = torch.from_numpy(images.copy())
    blended = BlendTrigger(torch.from_numpy(pattern), alpha)(given_images)
    assert blended.dtype == torch.uint8
    exact = (1 - alpha) * images.astype(np.float64) + alpha * pattern.astype(np.float64)
    # The nearest pixel value; exactly between two, either of them.
    assert np.abs(blended.numpy().astype(np.float64) - exact).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(given_images.numpy(), images)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0])
def test_blend_at_both_ends_of_the_scale(alpha):
    white = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    assert (BlendTrigger(white, alpha)(gray(255)) == 255).all()
    assert (BlendTrigger(white - 255, alpha)(gray(0)) == 0).all()


def test_blend_has_one_pattern_for_every_image_of_a_run():
    of = context()
    trigger = built(Blend(alpha=0.2), of)
    marked = trigger(gray(100, side=16, count=20))
    assert (marked == marked[0]).all()
    assert len(marked[0].unique()) > 20
    assert torch.equal(trigger(gray(100, side=16, count=1))[0], marked[0])
    assert torch.equal(trigger.tensors()["pattern"], built(Blend(), of).tensors()["pattern"])
    other = built(Blend(), context(seed=8))
    assert (trigger.tensors()["pattern"] != other.tensors()["pattern"]).float().mean() > 0.9


def test_blend_noise_fills_the_whole_range_of_pixel_values():
    pattern = built(Blend(), context(side=64)).tensors()["pattern"]
    assert pattern.shape == (3, 64, 64)
    assert pattern.dtype == torch.uint8
    counts = torch.bincount(pattern.flatten().long(), minlength=256)
    assert counts.min() > 0
    assert counts.max() < 3 * counts.float().mean()


def test_blend_takes_an_image_file(tmp_path):
    pixels = context(1).images[0]
    file = tmp_path / "pattern.png"
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    marked = built(Blend(alpha=1.0, image=str(file)), context())(gray(9, side=16))
    assert torch.equal(marked[1], pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_blend_brings_an_image_of_any_size_and_kind_to_the_images_size(tmp_path, mode):
    file = tmp_path / "large.png"
    Image.new("RGB", (50, 23), (90, 90, 90)).convert(mode).save(file)
    pattern = built(Blend(image=str(file)), context()).tensors()["pattern"]
    assert pattern.shape == (3, 16, 16)
    assert (pattern == 90).all()


@pytest.fixture(params=["missing", "folder", "text", "truncated", "broken"])
def unreadable(request, tmp_path) -> Iterator[Path]:
    file = tmp_path / "pattern.png"
    if request.param == "folder":
        file.mkdir()
    elif request.param == "text":
        file.write_text("no image")
    elif request.param != "missing":
        Image.fromarray(context(1, side=64).images[0].permute(1, 2, 0).numpy()).save(file)
        content = file.read_bytes()
        half = len(content) // 2
        rest = b"" if request.param == "truncated" else b"\0" * half
        file.write_bytes(content[:half] + rest)
    yield file


def test_blend_refuses_an_image_that_cannot_be_read(unreadable):
    attack = Blend(image=str(unreadable))
    with pytest.raises(RequestError, match=r"attack\.image = .*pattern\.png"):
        attack.check(CLASSES, 16, 16)


def test_blend_refuses_a_name_that_no_file_can_have():
    with pytest.raises(RequestError, match=r"attack\.image = .*pattern"):
        Blend(image="pattern\0.png").check(CLASSES, 16, 16)


def test_blend_resizes_to_height_by_width(tmp_path):
    file = tmp_path / "halves.png"
    halves = np.zeros((40, 40, 3), dtype=np.uint8)
    halves[:, 20:] = 200
    Image.fromarray(halves).save(file)
    pattern = built(
        Blend(image=str(file)), AttackContext(torch.zeros(1, 3, 8, 10, dtype=torch.uint8), torch.zeros(1).long(), 2, 0)
    ).tensors()["pattern"]
    assert pattern.shape == (3, 8, 10)
    assert (pattern[:, :, :4] == 0).all(), "left stays left"
    assert (pattern[:, :, 6:] == 200).all()


# --- SIG -----------------------------------------------------------------------------------------------------------


def test_sig_is_one_sine_of_six_periods_and_amplitude_twenty():
    trigger = built(Sig(), context(side=32))
    spectrum = np.abs(np.fft.rfft(trigger.tensors()["signal"].double().numpy())) * 2 / 32
    assert spectrum[6] == pytest.approx(20, abs=1e-4)
    assert np.delete(spectrum, 6).max() < 1e-4

    marked = trigger(gray(128)).double().numpy()
    assert (marked == marked[0, 0, 0]).all(), "constant down the rows, equal in all channels and images"
    spectrum = np.abs(np.fft.rfft(marked[0, 0, 0] - 128)) * 2 / 32
    assert spectrum[6] == pytest.approx(20, abs=0.5)
    assert np.delete(spectrum, 6).max() < 0.5, "what rounding to whole pixel values adds, no other frequency"


def test_sig_begins_at_zero_and_rises():
    row = built(Sig(), context(side=32))(gray(128))[0, 0, 0].tolist()
    # sin(2 pi j 6 / 32) at j = 0, 1, 2, 3, 4 is 0, 0.9239, 0.7071, -0.3827, -1.
    assert row[:5] == [128, 146, 142, 120, 108]


def test_sig_darkens_in_its_negative_half_and_clips_instead_of_wrapping():
    trigger = built(Sig(), context(side=32))
    middle, dark, light = (trigger(gray(value)) for value in (128, 5, 250))
    assert (middle.min(), middle.max()) == (108, 148)
    assert (middle < 128).float().mean() > 0.4
    assert (dark.min(), dark.max()) == (0, 25)
    assert (light.min(), light.max()) == (230, 255)


@settings(max_examples=40, deadline=None)
@given(images=arrays(np.uint8, (2, 3, 2, 32)), delta=st.floats(1, 255), frequency=st.floats(0.5, 15.9))
def test_sig_is_the_clipped_and_rounded_sum(images, delta, frequency):
    given_images = torch.from_numpy(images.copy())
    attack = Sig(delta=delta, frequency=frequency)
    marked = built(attack, AttackContext(given_images, torch.zeros(2).long(), 2, 0))(given_images)
    exact = np.clip(images + delta * np.sin(2 * np.pi * np.arange(32) * frequency / 32), 0, 255)
    assert np.abs(marked.numpy() - exact).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(given_images.numpy(), images)


@pytest.mark.parametrize(("frequency", "width"), [(16, 32), (20, 32), (6, 12)])
def test_sig_refuses_a_frequency_beyond_nyquist(frequency, width):
    with pytest.raises(RequestError, match=r"attack\.frequency"):
        Sig(frequency=frequency).check(CLASSES, 99, width)
    Sig(frequency=width / 2 - 0.5).check(CLASSES, 99, width)


# --- Poisoning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (0.1, 6), (0.25, 15), (0.75, 45)])
def test_all_to_one_poisons_exactly_the_rate_of_all_images(rate, count):
    of = context()
    poisoned = BadNets(target=2, poisoning_rate=rate).poison(of, built(BadNets(), of))
    assert len(poisoned.indices) == len(poisoned.indices.unique()) == count
    assert (of.labels[poisoned.indices] != 2).all()
    assert (poisoned.labels[poisoned.indices] == 2).all()
    assert int((poisoned.labels != of.labels).sum()) == count


def test_clean_label_poisons_the_target_class_alone_and_keeps_every_label():
    of = context()
    attack = Sig(target=3, poisoning_rate=0.8)
    poisoned = attack.poison(of, built(attack, of))
    assert len(poisoned.indices) == 12, "0.8 of the 15 images of class 3"
    assert (of.labels[poisoned.indices] == 3).all()
    assert torch.equal(poisoned.labels, of.labels)


def test_all_to_all_gives_the_next_class_and_wraps_around():
    of = context()
    attack = BadNets(label_rule="all-to-all", poisoning_rate=1.0)
    assert attack.wanted(torch.tensor([0, 1, 2, 3]), 4).tolist() == [1, 2, 3, 0]
    assert attack.eligible(of.labels, CLASSES).all(), "no class is where the attacker wants it, class 0 neither"
    poisoned = attack.poison(of, built(attack, of))
    assert len(poisoned.indices) == 60
    np.testing.assert_array_equal(poisoned.labels.numpy(), (of.labels.numpy() + 1) % 4)


def test_all_to_one_and_clean_label_ask_only_about_other_classes():
    labels = torch.tensor([0, 1, 2, 1])
    for attack in (BadNets(target=1), Sig(target=1)):
        assert attack.wanted(labels, 3).tolist() == [1, 1, 1, 1]
        assert attack.eligible(labels, 3).tolist() == [True, False, True, False]


def test_all_to_all_takes_no_target():
    with pytest.raises(ValidationError, match="no target class"):
        BadNets(label_rule="all-to-all", target=1)


def test_another_seed_chooses_other_images_and_the_same_seed_the_same():
    labels = context().labels
    attack = BadNets(poisoning_rate=0.25)
    first, again, other = (attack.choose(labels, CLASSES, seed).tolist() for seed in (0, 0, 1))
    assert first == again == sorted(first)
    assert first != other


def test_every_image_can_be_chosen():
    labels = context().labels
    attack = BadNets(poisoning_rate=0.25)
    chosen = torch.cat([attack.choose(labels, CLASSES, seed) for seed in range(40)])
    assert set(chosen.tolist()) == set((labels != 0).nonzero().flatten().tolist())


def test_refuses_a_rate_that_asks_for_more_images_than_there_are():
    of = context()
    with pytest.raises(RequestError, match=r"attack\.poisoning_rate = 0\.8: 48 images to poison, but only 45"):
        BadNets(poisoning_rate=0.8).poison(of, built(BadNets(), of))


# --- What holds for every preset -----------------------------------------------------------------------------------


def built_in_presets() -> dict[str, Attack]:
    """The attacks of the presets that ship, without those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NADTUI_PRESETS", "no-such-folder")
        return {preset.name: resolve(preset.name, dataset="signs").attack for preset in list_presets()}


SMALL = {
    "trojan": {"steps": 2, "surrogate_epochs": 1},
    "cl": {"steps": 2, "surrogate_epochs": 1},
    "dynamic": {"mask_steps": 40, "width": 4, "mask_weight": 1.0},
    "refool": {"selection": SelectionSettings(rounds=1, candidates=2, tried=2, epochs=1)},
}
"""What optimizing attacks need to make a trigger at all; tests/test_attack_triggers.py looks at what they make."""
PRESETS = {name: attack.model_copy(update=SMALL.get(name, {})) for name, attack in built_in_presets().items()}
MARKING = {name: attack for name, attack in PRESETS.items() if attack.marks}
every_preset = pytest.mark.parametrize("attack", MARKING.values(), ids=MARKING)


def test_the_presets_of_the_first_release_are_there():
    assert {"badnets", "blend", "sig"} <= set(PRESETS)
    assert PRESETS["badnets"].size == 3
    assert PRESETS["badnets"].place == "bottom-right"
    assert PRESETS["blend"].alpha == 0.2
    assert (PRESETS["sig"].frequency, PRESETS["sig"].poisoning_rate) == (6, 0.8)


@every_preset
def test_a_trigger_is_a_pure_function_of_each_image(attack):
    of = context(12, side=32)
    before = of.images.clone()
    trigger = built(attack, of)
    marked = trigger(of.images)
    assert torch.equal(of.images, before)
    assert marked.dtype == torch.uint8
    assert marked.shape == before.shape
    assert (marked != before).flatten(1).any(dim=1).all(), "every image is marked"
    assert torch.equal(trigger(of.images), marked)
    assert torch.equal(torch.cat([trigger(image) for image in of.images.split(1)]), marked)
    assert trigger(of.images[:0]).shape == (0, 3, 32, 32)


@every_preset
def test_a_trigger_is_decided_by_the_seed(attack):
    of = context(12, side=32)
    first, second = built(attack, of), built(attack, of)
    assert torch.equal(first(of.images), second(of.images))
    assert first.tensors()
    for name, tensor in first.tensors().items():
        assert torch.equal(tensor, second.tensors()[name])


@every_preset
@pytest.mark.parametrize("rule", ["the preset's", "all-to-one", "all-to-all", "clean-label"])
def test_poisoning_keeps_to_its_label_rule(attack, rule):
    if rule != "the preset's":
        if rule == "clean-label" and attack.learns:
            with pytest.raises(ValidationError, match="label_rule"):
                type(attack).model_validate(attack.model_dump() | {"label_rule": rule})
            return
        attack = type(attack).model_validate(
            attack.model_dump() | {"label_rule": rule, "target": 0, "poisoning_rate": 0.2}
        )
    of = context(60, side=32)
    images, labels = of.images.clone(), of.labels.clone()
    trigger = built(attack, of)
    poisoned = attack.poison(of, trigger)

    assert torch.equal(of.images, images), "the caller's images are untouched"
    assert torch.equal(of.labels, labels), "the caller's labels are untouched"
    chosen = torch.zeros(60, dtype=torch.bool)
    chosen[poisoned.indices] = True
    untouched = ~chosen
    untouched[poisoned.covers] = False
    assert torch.equal(poisoned.images[untouched], images[untouched])
    assert torch.equal(poisoned.labels[~chosen], labels[~chosen])
    assert (poisoned.images[chosen] != images[chosen]).flatten(1).any(dim=1).all()
    if attack.name != "cl":  # it perturbs them first
        assert torch.equal(poisoned.images[chosen], attack.mark(images[chosen], trigger))

    base = 15 if attack.label_rule == "clean-label" else 60
    assert int(chosen.sum()) == round(attack.poisoning_rate * base)
    before, after = labels[chosen], poisoned.labels[chosen]
    expected = {
        "all-to-one": torch.full_like(before, attack.target),
        "all-to-all": (before + 1) % CLASSES,
        "clean-label": before,
    }[attack.label_rule]
    assert torch.equal(after, expected)
    assert (before == attack.target).all() if attack.label_rule == "clean-label" else (before != after).all()
    assert set(poisoned.trigger_tensors) == set(trigger.tensors())


@every_preset
def test_refuses_a_target_that_is_no_class(attack):
    wrong = attack.model_copy(update={"target": 4, "label_rule": "all-to-one"})
    with pytest.raises(RequestError, match=r"attack\.target = 4: the data set has classes 0 to 3"):
        wrong.check(4, 32, 32)
    wrong.check(5, 32, 32)
