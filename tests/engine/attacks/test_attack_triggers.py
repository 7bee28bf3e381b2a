"""The triggers of the second release: each against its formula on known pixels, and what it may not touch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from engine.attacks.base import Attack, AttackContext, Trigger
from engine.attacks.cl import Cl, CornerTrigger
from engine.attacks.clean import Clean
from engine.attacks.dynamic import Dynamic
from engine.attacks.input_aware import Generators, diversity
from engine.attacks.lab import TrainingLab
from engine.attacks.pgd import perturbed
from engine.attacks.pixel import Pixel
from engine.attacks.reflections import composed, defocused, doubled, draws
from engine.attacks.refool import ReflectionTrigger, Refool
from engine.attacks.trojan import Trojan, penultimate
from engine.attacks.wanet import WaNet, WarpTrigger, smooth_flow
from engine.config.presets import list_presets, resolve
from engine.device import Device
from engine.errors import RequestError
from engine.events import Message, Preparing, outcome
from engine.settings import AttackTrainingSettings

CLASSES = 4
CPU = Device(torch.device("cpu"), "fp32")


def context(count: int = 60, side: int = 16, seed: int = 7) -> AttackContext:
    """Random images, an equal number of each class; a lab of the smallest network and one epoch."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, side, side), generator=draw).to(torch.uint8)
    labels = (torch.arange(count) % CLASSES)[torch.randperm(count, generator=draw)]
    training = AttackTrainingSettings(epochs=1, batch_size=32, lr=0.05)
    return AttackContext(images, labels, CLASSES, seed, TrainingLab(CLASSES, "wrn-10-1", training))


def built(attack: Attack, of: AttackContext, events: list | None = None) -> Trigger:
    """Run an attack's preparation to its end."""
    return outcome(attack.build(of), events.append if events is not None else None)


def ruled(attack: Attack, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Which images the attack wants moved, and where."""
    return attack.eligible(labels, classes), attack.wanted(labels, classes)


# --- adaptive, all-to-all, pixel, clean ----------------------------------------------------------------------------


def test_the_adaptive_grid_lies_in_the_center():
    images = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    attack = resolve("adaptive").attack
    marked = built(attack, AttackContext(images, torch.zeros(1).long(), 2, 0, TrainingLab(2)))(images)
    changed = (marked[0, 0] != 77).nonzero()
    assert changed[:, 0].unique().tolist() == changed[:, 1].unique().tolist() == [14, 15, 16]


def test_all_to_all_is_counted_by_its_own_rule():
    from engine.evaluation.metrics import measure, prepare

    attack = resolve("badnets-all2all").attack
    labels = torch.tensor([0, 1, 2, 3])
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    images[:, 0, 0, 0] = labels.to(torch.uint8) * 10
    trigger = built(attack, AttackContext(images, labels, 4, 0, TrainingLab(4)))

    class NextClass(nn.Module):
        """Gives y, and y + 1 to whatever carries the grid (whose last corner is white)."""

        def forward(self, images: Tensor) -> Tensor:
            label = (images[:, 0, 0, 0] * 25.5).round().long() + (images[:, 0, -1, -1] > 0.9)
            return torch.nn.functional.one_hot(label % 4, 4).float()

    metrics = measure(NextClass(), prepare(images, labels, 4, *ruled(attack, labels, 4), trigger), CPU)
    assert (metrics.acc, metrics.asr, metrics.ra, metrics.base) == (100, 100, 0, 0)
    assert metrics.eligible == 4, "the last class is to become the first"


@pytest.mark.parametrize(
    ("pixels", "places"),
    [([[-2, -2]], {(8, 18)}), ([[0, 0], [-1, 3]], {(0, 0), (9, 3)})],
)
def test_pixels_are_set_and_nothing_else(pixels, places):
    images = torch.full((2, 3, 10, 20), 99, dtype=torch.uint8)
    attack = Pixel(pixels=pixels, color=(255, 0, 7))
    attack.check(2, 10, 20)
    marked = built(attack, AttackContext(images, torch.zeros(2).long(), 2, 0, TrainingLab(2)))(images)
    assert {tuple(place) for place in (marked[0, 0] != 99).nonzero().tolist()} == places
    for row, column in places:
        assert marked[:, :, row, column].tolist() == [[255, 0, 7]] * 2
    assert (images == 99).all()


@pytest.mark.parametrize("pixel", [(16, 0), (0, 16), (-17, 0), (0, -17)])
def test_a_pixel_outside_the_image_is_refused(pixel):
    with pytest.raises(RequestError, match=r"attack\.pixels = .*outside images of 16x16") as caught:
        Pixel(pixels=(pixel,)).check(CLASSES, 16, 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"pixels": []}, {"color": (256, 0, 0)}, {"pixels": [[1, 2, 3]]}])
def test_pixel_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        Pixel(**wrong)


def test_clean_poisons_nothing_and_has_a_base_rate_but_no_asr():
    from engine.evaluation.metrics import measure, prepare

    of = context()
    attack = Clean(target=1)
    trigger = built(attack, of)
    poisoned = attack.poison(of, trigger)
    assert torch.equal(poisoned.images, of.images)
    assert torch.equal(poisoned.labels, of.labels)
    assert len(poisoned.indices) == 0

    class AlwaysOne(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([0.0, 1, 0, 0]).expand(len(images), -1)

    wanted = ruled(attack, of.labels, CLASSES)
    metrics = measure(AlwaysOne(), prepare(of.images, of.labels, CLASSES, *wanted, trigger, marks=attack.marks), CPU)
    assert (metrics.acc, metrics.base, metrics.eligible) == (25, 100, 45)
    assert np.isnan([metrics.asr, metrics.ra, *metrics.asr_ci, *metrics.ra_ci]).all()


# --- WaNet ---------------------------------------------------------------------------------------------------------


def test_a_flow_of_whole_pixels_moves_the_image():
    images = context(3).images
    flow = torch.zeros(16, 16, 2)
    flow[..., 0] = 2 * 2 / 15  # two pixels to the right: an image spans 2 over 15 steps
    moved = WarpTrigger(flow)(images)
    assert torch.equal(moved[..., :-2], images[..., 2:])
    assert torch.equal(moved[..., -1], images[..., -1]), "the border is repeated"
    assert torch.equal(WarpTrigger(torch.zeros(16, 16, 2))(images), images)


def test_a_flow_between_two_pixels_is_their_mean():
    images = torch.tensor([0, 100, 255, 255], dtype=torch.uint8).expand(1, 3, 4, 4).contiguous()
    flow = torch.zeros(4, 4, 2)
    flow[..., 0] = 0.5 * 2 / 3
    assert WarpTrigger(flow)(images)[0, 0, 0].tolist()[:3] in ([50, 178, 255], [50, 177, 255])


def test_the_field_has_the_papers_size_and_is_smooth():
    flow = built(WaNet(grid=4, strength=0.5), context(side=32)).tensors()["flow"]
    assert flow.shape == (32, 32, 2)
    # 0.5 / 32 of a span of 2 is a quarter of a pixel: the mean of the control grid; bicubic keeps its order.
    assert 0.1 < (flow.abs().mean() * 32 / 2).item() < 0.5
    assert (flow[1:] - flow[:-1]).abs().max() < 0.4 * flow.abs().max()


def test_the_control_grid_is_normalized_before_it_is_raised():
    control = torch.randn(5, 5, 2, generator=torch.Generator().manual_seed(0))
    flow = smooth_flow(control, 5, 5, 0.5)
    assert flow.abs().mean().item() == pytest.approx(0.1, rel=1e-4)
    assert torch.allclose(flow, smooth_flow(7 * control, 5, 5, 0.5))


def test_noise_images_are_warped_otherwise_and_keep_their_class():
    of = context()
    attack = WaNet(poisoning_rate=0.1, noise_ratio=2)
    trigger = built(attack, of)
    poisoned = attack.poison(of, trigger)
    assert (len(poisoned.indices), len(poisoned.covers)) == (6, 12)
    assert not set(poisoned.indices.tolist()) & set(poisoned.covers.tolist())
    assert torch.equal(poisoned.labels[poisoned.covers], of.labels[poisoned.covers])
    assert (poisoned.labels != of.labels).sum() == 6
    untouched = torch.ones(60, dtype=torch.bool)
    untouched[torch.cat([poisoned.indices, poisoned.covers])] = False
    assert torch.equal(poisoned.images[untouched], of.images[untouched])
    own = trigger(of.images[poisoned.covers])
    assert (poisoned.images[poisoned.covers] != own).flatten(1).any(dim=1).all()
    assert torch.equal(attack.poison(of, trigger).images, poisoned.images), "decided by the seed"


def test_clean_label_noise_images_are_of_the_target_class():
    of = context()
    attack = WaNet(label_rule="clean-label", target=2, poisoning_rate=0.4, noise_ratio=1)
    poisoned = attack.poison(of, built(attack, of))
    changed = (poisoned.images != of.images).flatten(1).any(dim=1)
    assert changed.sum() == 12
    assert (of.labels[changed] == 2).all()
    assert torch.equal(poisoned.labels, of.labels)


def test_more_noise_images_than_there_are_is_refused():
    with pytest.raises(RequestError, match=r"attack\.noise_ratio = 5: 90 noise images .* only 42"):
        WaNet(poisoning_rate=0.3, noise_ratio=5).choose(context().labels, CLASSES, 0)


# --- Refool --------------------------------------------------------------------------------------------------------


def test_a_reflection_in_focus_is_composed_in_light():
    rng = np.random.default_rng(0)
    image, reflected = (rng.integers(0, 256, (1, 3, 5, 5), dtype=np.uint8) for _ in range(2))
    trigger = ReflectionTrigger(torch.from_numpy(reflected), ("in-focus",), (0.3, 0.3), (1, 1), (1, 1), 0)
    marked = trigger(torch.from_numpy(image)).numpy().astype(float)
    light = 0.7 * (image / 255) ** 2.2 + 0.3 * (reflected / 255) ** 2.2
    assert np.abs(marked - 255 * light ** (1 / 2.2)).max() <= 0.51


def test_a_reflection_out_of_focus_is_a_gaussians():
    light = torch.zeros(2, 3, 41, 41)
    light[..., 20, 20] = 1
    blurred = defocused(light, torch.tensor([1.0, 2.0])).numpy()
    place = np.arange(41) - 20
    for image, sigma in zip(blurred, (1.0, 2.0), strict=True):
        line = np.exp(-(place**2) / (2 * sigma**2))
        expected = np.outer(line, line) / line.sum() ** 2
        # A border row's weights are renormalized, a matter of the tails alone here.
        np.testing.assert_allclose(image[0][14:27, 14:27], expected[14:27, 14:27], rtol=1e-4)
    flat = torch.full((1, 3, 8, 9), 0.4)
    torch.testing.assert_close(defocused(flat, torch.tensor([3.0])), flat)


def test_a_ghost_is_two_shifted_and_attenuated_copies():
    light = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    ghost = doubled(light, torch.tensor([0.6]), torch.tensor([2]), torch.tensor([3]))
    second = torch.zeros_like(light)
    second[..., 2:, 3:] = light[..., :-2, :-3]
    torch.testing.assert_close(ghost, 0.6 * light + 0.4 * second)


@settings(max_examples=30, deadline=None)
@given(images=arrays(np.uint8, (2, 3, 4, 4)), share=st.floats(0, 1))
def test_compositing_never_leaves_the_scale_and_keeps_the_image_where_nothing_is_reflected(images, share):
    given_images = torch.from_numpy(images.copy())
    bright = composed(given_images, torch.ones(2, 3, 4, 4), torch.full((2,), share))
    assert bright.max() <= 255.01
    assert (bright >= given_images.float() - 0.05).all(), "light only adds"
    same = composed(given_images, torch.zeros(2, 3, 4, 4), torch.zeros(2))
    assert (same - given_images.float()).abs().max() < 0.05


def test_kind_and_reflection_are_the_images_own_and_all_occur():
    images = context(400).images
    drawn = draws(images, 6, 3)
    assert torch.equal(drawn, torch.cat([draws(image, 6, 3) for image in images.split(7)]))
    assert (drawn != draws(images, 6, 4)).float().mean() > 0.99
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for column in drawn.unbind(dim=1):
        assert torch.histc(column, 4, 0, 1).min() > 60, "uniform: 100 a quarter"
    assert np.abs(np.corrcoef(drawn.T.numpy()) - np.eye(6)).max() < 0.25
    changed = images.clone()
    changed[:, 0, 0, 0] ^= 1
    assert (draws(changed, 6, 3) != drawn).any(dim=1).all()


def test_reflections_are_training_images_of_other_classes():
    of = context()
    trigger = built(Refool(target=1, reflections=20), of)
    pool = trigger.tensors()["reflections"]
    assert pool.shape == (20, 3, 16, 16)
    sources = [int((of.images == one).flatten(1).all(dim=1).nonzero()[0]) for one in pool]
    assert len(set(sources)) == 20
    assert (of.labels[sources] != 1).all()


@pytest.mark.parametrize("rule", ["clean-label", "all-to-one"])
def test_refool_poisons_by_either_rule(rule):
    of = context()
    attack = Refool(label_rule=rule, target=1, poisoning_rate=0.2)
    poisoned = attack.poison(of, built(attack, of))
    changed = (poisoned.images != of.images).flatten(1).any(dim=1)
    assert changed.sum() == len(poisoned.indices) == (3 if rule == "clean-label" else 12)
    if rule == "clean-label":
        assert torch.equal(poisoned.labels, of.labels)
        assert (of.labels[changed] == 1).all()
    else:
        assert (poisoned.labels[changed] == 1).all()
        assert (of.labels[changed] != 1).all()


def test_refool_takes_a_folder_and_its_content_counts(tmp_path):
    for number in range(3):
        Image.new("RGB", (30, 20), (number * 40, 0, 0)).save(tmp_path / f"{number}.png")
    attack = Refool(reflection_folder=str(tmp_path), reflections=10)
    attack.check(CLASSES, 16, 16)
    pool = built(attack, context()).tensors()["reflections"]
    assert pool.shape == (3, 3, 16, 16)
    assert sorted(pool[:, 0, 8, 8].tolist()) == [0, 40, 80]
    before = attack.digest()
    Image.new("RGB", (30, 20), (200, 0, 0)).save(tmp_path / "1.png")
    assert attack.digest() != before


@pytest.mark.parametrize("fill", ["missing", "empty", "no images", "unreadable"])
def test_a_folder_without_reflections_is_refused_in_one_line(fill, tmp_path):
    folder = tmp_path / "pictures"
    if fill != "missing":
        folder.mkdir()
    if fill == "no images":
        (folder / "a.txt").write_text("x")
    if fill == "unreadable":
        (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with pytest.raises(RequestError, match=r"attack\.reflection_folder") as caught:
        Refool(reflection_folder=str(folder)).check(CLASSES, 16, 16)
    assert "\n" not in str(caught.value)


class Dazzled(nn.Module):
    """Sees the target class, 1, in whatever is bright, and class 0 in the rest; `training` it changes nothing."""

    def forward(self, images):
        bright = images.mean(dim=(1, 2, 3)) > 0.5
        return torch.stack([~bright, bright], dim=1).float()


class Dazzling(TrainingLab):
    """Lends that model, and tells which reflections each round's training images were poisoned with."""

    def fresh_model(self, seed):
        return Dazzled()

    def train(self, kind, what, model, images, labels, settings, **how):
        yield Preparing(what=what, done=1, total=1)
        return model


def test_refool_chooses_the_reflections_that_work(tmp_path):
    # The brighter the reflection, the more of the images it carries over the threshold.
    for number, value in enumerate([0, 90, 250, 245, 230, 20]):
        Image.new("RGB", (16, 16), (value,) * 3).save(tmp_path / f"{number}.png")
    of = replace(context(), lent=Dazzling(CLASSES))
    settings = {"rounds": 2, "candidates": 6, "tried": 3, "epochs": 1}
    common = {"reflection_folder": str(tmp_path), "target": 1, "kinds": ("in-focus",), "share": (0.5, 0.5)}
    attack = Refool(**common, reflections=2, selection=settings)
    events: list = []
    pool = built(attack, of, events).tensors()["reflections"]
    # Round 1 tries 0, 90 and 250; round 2 what did best, and of those of its median's weight what was not tried.
    assert pool[:, 0, 0, 0].tolist() == [250, 245]
    assert [event.what for event in events if isinstance(event, Preparing) and "scoring" not in event.what] == [
        "trying reflections, round 1 of 2",
        "trying reflections, round 2 of 2",
    ]
    said = [event.text for event in events if isinstance(event, Message)]
    assert len(said) == 1
    assert said[0].startswith("refool: 2 of 6 reflections chosen")
    unchosen = built(Refool(**common, reflections=2), of).tensors()["reflections"]
    assert unchosen[:, 0, 0, 0].tolist() == [0, 245], "spread over the folder, as ever"


def test_no_reflection_is_tried_on_an_image_that_was_poisoned():
    asked: list = []

    class Asked(Dazzled):
        def forward(self, images):
            asked.append(len(images))
            return super().forward(images)

    class Asking(Dazzling):
        def fresh_model(self, seed):
            return Asked()

    of = replace(context(), lent=Asking(CLASSES))
    settings = {"rounds": 1, "candidates": 3, "tried": 3, "epochs": 1}
    built(Refool(label_rule="all-to-one", target=1, poisoning_rate=0.5, reflections=1, selection=settings), of)
    # 60 images, 15 of the target class, 30 poisoned.
    assert asked == [15, 15, 15]


def test_a_selection_without_an_image_to_ask_about_is_refused_before_a_model_is_trained():
    class Idle(Dazzling):
        def train(self, *_, **__):
            raise AssertionError("nothing is to be trained")

    settings = {"rounds": 1, "candidates": 3, "tried": 3, "epochs": 1}
    attack = Refool(label_rule="all-to-one", target=1, poisoning_rate=0.75, reflections=1, selection=settings)
    with pytest.raises(RequestError, match=r"attack\.poisoning_rate = 0\.75: no image is left"):
        built(attack, replace(context(), lent=Idle(CLASSES)))


@pytest.mark.parametrize(
    "wrong",
    [{"reflections": 21, "selection": {"rounds": 1}}, {"selection": {"candidates": 10}}],
)
def test_a_selection_that_cannot_be_made_is_refused(wrong):
    with pytest.raises(ValidationError, match="more than the"):
        Refool(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"kinds": []}, {"kinds": ["ghost", "ghost"]}, {"share": (0.5, 0.4)}, {"offset": (-1, 2)}, {"sigma": (0, 1)}],
)
def test_refool_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        Refool(**wrong)


def test_a_ghost_beyond_the_image_is_refused():
    with pytest.raises(RequestError, match=r"attack\.offset"):
        Refool(offset=(1, 16)).check(CLASSES, 16, 16)


# --- CL ------------------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """A model whose gradient is known: two classes, the mean of all pixels for and against."""

    def forward(self, images: Tensor) -> Tensor:
        total = images.flatten(1).mean(dim=1, keepdim=True) - 0.5
        return torch.cat([total, -total], dim=1)


@pytest.mark.parametrize(("epsilon", "step"), [(16, 1.5), (7.5, 4.0), (0, 2.0), (255, 200.0)])
def test_pgd_never_leaves_its_ball_and_makes_the_loss_larger(epsilon, step):
    images = context(20).images.clone()
    images[0], images[1] = 0, 255
    labels = torch.arange(20) % 2
    draw = torch.Generator().manual_seed(0)
    work = perturbed(
        Linear(), images, labels, epsilon=epsilon, step=step, steps=10, draw=draw, device=CPU, lab=TrainingLab(2)
    )
    changed = outcome(work)
    assert changed.dtype == torch.uint8
    difference = changed.int() - images.int()
    assert difference.abs().max() <= epsilon
    # Ten steps of 1.5 or more cross the ball of 7.5; class 0 is told by brightness, so it is made dark.
    if epsilon == 7.5:
        inside = (images > 8) & (images < 247)
        sign = torch.where(labels == 0, -1, 1)[:, None, None, None].expand_as(difference)
        assert torch.equal(difference[inside], 7 * sign[inside])


def test_cl_perturbs_the_target_class_and_tests_with_the_patch_alone():
    of = context(side=16)
    attack = Cl(target=2, poisoning_rate=0.8, epsilon=8, steps=2, amplitude=255)
    events: list = []
    trigger = built(attack, of, events)
    poisoned = attack.poison(of, trigger)
    assert len(poisoned.indices) == 12
    assert torch.equal(poisoned.labels, of.labels)
    assert (of.labels[poisoned.indices] == 2).all()
    changed = (poisoned.images != of.images).flatten(1).any(dim=1)
    assert torch.equal(changed.nonzero().flatten(), poisoned.indices)
    patches = trigger.tensors()["change"] != 0
    moved = (poisoned.images.int() - of.images.int())[poisoned.indices]
    assert moved[..., ~patches].abs().max() <= 8
    assert (moved[..., ~patches] != 0).float().mean() > 0.5
    tested = trigger(of.images)
    assert torch.equal(tested[..., ~patches], of.images[..., ~patches])
    assert {event.what for event in events if isinstance(event, Preparing)} == {
        "training a clean model",
        "perturbing the target class",
    }
    again = attack.poison(of, built(attack, context(side=16)))
    assert torch.equal(again.images, poisoned.images)


@pytest.mark.parametrize("corners", [1, 4])
def test_cl_patches_have_their_amplitude_and_clip(corners):
    of = AttackContext(torch.zeros(4, 3, 8, 8).byte(), torch.arange(4), 4, 0, TrainingLab(4))
    change = Cl(corners=corners, amplitude=32)._change(8, 8)
    trigger = CornerTrigger(change, torch.tensor([]), of.images[:0])
    marked = trigger(torch.full((1, 3, 8, 8), 100, dtype=torch.uint8))[0, 0].int() - 100
    grid = [[32, -32, 32], [-32, 32, -32], [32, -32, 32]]
    places = [(5, 5)] if corners == 1 else [(0, 0), (0, 5), (5, 0), (5, 5)]
    expected = torch.zeros(8, 8, dtype=torch.int)
    for row, column in places:
        expected[row : row + 3, column : column + 3] = torch.tensor(grid, dtype=torch.int)
    assert torch.equal(marked, expected)
    if corners == 4:
        assert torch.equal(marked.flip(1), marked), "mirroring leaves it as it is"
    assert trigger(torch.full((1, 3, 8, 8), 250, dtype=torch.uint8)).max() == 255
    assert trigger(torch.full((1, 3, 8, 8), 10, dtype=torch.uint8)).min() == 0


@pytest.mark.parametrize(("corners", "size"), [(4, 9), (1, 17)])
def test_cl_patches_that_do_not_fit_are_refused(corners, size):
    with pytest.raises(RequestError, match=r"attack\.size"):
        Cl(corners=corners, size=size).check(CLASSES, 16, 16)


# --- Trojan --------------------------------------------------------------------------------------------------------


def test_the_trojan_patch_raises_the_chosen_neurons_by_the_factor_it_reports():
    of = context(side=16)
    attack = Trojan(size=5, margin=1, steps=25, batch_size=16, neurons=2)
    events: list = []
    trigger = built(attack, of, events)
    said = [event.text for event in events if isinstance(event, Message)]
    assert len(said) == 1

    surrogate = outcome(of.lab.surrogate(of))
    with penultimate(surrogate) as (activations, outgoing), torch.no_grad():
        assert outgoing.shape[0] == CLASSES
        neurons = trigger.tensors()["neurons"]
        clean, worn = (activations(images)[:, neurons].mean().item() for images in (of.images, trigger(of.images)))
        random = torch.randint(0, 256, (3, 5, 5), generator=torch.Generator().manual_seed(9)).to(torch.uint8)
        other = of.images.clone()
        other[..., 10:15, 10:15] = random
        anyhow = activations(other)[:, neurons].mean().item()
    assert worn > clean
    assert worn > anyhow, "more than a patch that is not optimized"
    assert f"{worn / clean:.2f} times" in said[0]
    torch.testing.assert_close(trigger.tensors()["activations"].mean(dim=1), torch.tensor([clean, worn]))
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[10:15, 10:15] = False
    assert torch.equal(trigger(of.images)[..., outside], of.images[..., outside]), "the mask holds"


def test_the_neurons_are_those_with_the_strongest_connections_onward():
    of = context(side=16)
    attack = Trojan(size=3, steps=1, neurons=3)
    surrogate = outcome(of.lab.surrogate(of))
    with penultimate(surrogate) as (activations, outgoing), torch.no_grad():
        alive = activations(of.images).mean(dim=0) > 0
    strength = outgoing.abs().sum(dim=0).numpy() * alive.numpy()
    assert built(attack, of).tensors()["neurons"].tolist() == sorted(np.argsort(strength)[-3:].tolist())


def test_a_mask_outside_the_image_and_too_many_neurons_are_refused():
    with pytest.raises(RequestError, match=r"attack\.size = 16, attack\.margin = 1: .* does not fit"):
        Trojan(size=16, margin=1).check(CLASSES, 16, 16)
    with pytest.raises(RequestError, match=r"attack\.neurons = 1000"):
        built(Trojan(neurons=1000, steps=1), context())


# --- Dynamic -------------------------------------------------------------------------------------------------------


@pytest.fixture
def exact(monkeypatch) -> Iterator[None]:
    """All in float64: what 40 steps make of the last digits, in which machines differ, stays far behind the point."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_masks_learn_to_be_small_and_differ_from_image_to_image(exact):
    of = context(side=16)
    images = of.images.double() / 255
    attack = Dynamic(mask_steps=40, density=0.05, width=4)
    events: list = []
    trigger = built(attack, of, events)
    of_any_size = built(attack.model_copy(update={"mask_weight": 0.0}), of)
    with torch.no_grad():
        untrained = attack._fresh(of).eval().mask(images)
        masks, large = (each.generators.mask(images) for each in (trigger, of_any_size))
    assert any(event.what == "learning where triggers go" for event in events)
    assert masks.shape == (60, 1, 16, 16)
    assert ((masks >= 0) & (masks <= 1)).all()
    assert masks.mean() < 0.25
    assert masks.mean() < 0.5 * large.mean(), "it is the size's loss that keeps them small"
    assert _differences(untrained).max() < 1e-6
    assert _differences(masks).min() > 0.1


def _differences(masks: Tensor) -> Tensor:
    """Of every two masks, how far they differ where they differ most."""
    one, other = torch.triu_indices(len(masks), len(masks), offset=1)
    return (masks[one] - masks[other]).abs().flatten(1).amax(dim=1)


def test_the_cross_trigger_is_another_images():
    of = context(side=16)
    trigger = built(Dynamic(mask_steps=1, width=4), of)
    assert torch.equal(trigger.with_trigger_of(of.images, of.images), trigger(of.images))
    first, second = of.images[:1], of.images[1:2]
    with torch.no_grad():
        mask = trigger.generators.mask(second.float() / 255)
        pattern = 255 * trigger.generators.pattern(second.float() / 255)
    expected = first.float() * (1 - mask) + pattern * mask
    assert (trigger.with_trigger_of(first, second).float() - expected).abs().max() <= 0.51


def test_diversity_is_the_papers_ratio():
    one, other = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.6)
    patterns = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.2)
    assert diversity(one, other, *patterns).item() == pytest.approx(3.0, rel=1e-3)
    alike = torch.zeros(2, 1, 4, 4, requires_grad=True)
    loss = diversity(one, other, alike, alike.detach().clone())
    loss.backward()
    assert torch.isfinite(alike.grad).all()


def test_a_batch_trains_on_its_own_and_on_crossed_triggers_and_the_mask_stays():
    from engine import models
    from engine.training.loop import Batch

    of = context(side=16)
    attack = Dynamic(mask_steps=1, width=4, poisoning_rate=0.25, cross_rate=0.1)
    model = models.build("wrn-10-1", CLASSES, 0)
    joint = attack.joint(model, built(attack, of), of)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    joint.train()
    before = {name: value.clone() for name, value in joint.learner.mask_net.state_dict().items()}
    images = of.images[:40].float() / 255
    parts = joint.losses(Batch(images, of.labels[:40], torch.Generator().manual_seed(0)))
    assert set(parts) == {"ce", "diversity"}
    unchanged = sum(any(torch.equal(one, image) for image in images) for one in seen[0])
    assert unchanged == 40 - 10 - 4
    torch.stack(list(parts.values())).sum().backward()
    assert all(parameter.grad is None for parameter in joint.learner.mask_net.parameters())
    assert all(parameter.grad is not None for parameter in joint.learner.pattern_net.parameters())
    after = joint.learner.mask_net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_taken_trigger_does_not_learn_on():
    from engine import models

    of = context(side=16)
    attack = Dynamic(mask_steps=1, width=4)
    joint = attack.joint(models.build("wrn-10-1", CLASSES, 0), built(attack, of), of)
    taken = joint.trigger()
    marked = taken(of.images)
    with torch.no_grad():
        for parameter in joint.learner.parameters():
            parameter.add_(0.5)
    assert torch.equal(taken(of.images), marked)
    assert not torch.equal(joint.trigger()(of.images), marked)


def test_generators_take_images_of_any_size():
    for height, width in ((8, 8), (9, 13), (32, 30)):
        images = torch.rand(2, 3, height, width)
        generators = Generators(2).eval()
        assert generators.mask(images).shape == (2, 1, height, width)
        assert generators.pattern(images).shape == (2, 3, height, width)


# --- What holds for every preset -----------------------------------------------------------------------------------

NAMES = ("adaptive", "badnets-all2all", "cl", "clean", "dynamic", "pixel", "refool", "trojan", "wanet")


def test_the_presets_of_the_second_release_are_there(monkeypatch):
    monkeypatch.setenv("NADTUI_PRESETS", "no-such-folder")
    presets = {preset.name: preset for preset in list_presets()}
    assert set(NAMES) <= set(presets)
    kinds = {name: presets[name].kind for name in NAMES}
    assert kinds["clean"] == "none"
    assert kinds["badnets-all2all"] == "all-to-all"
    assert {name for name, kind in kinds.items() if kind == "clean label"} == {"cl", "refool"}
    for name in NAMES:
        assert presets[name].source
        assert presets[name].description


def test_refool_on_gtsrb_aims_at_a_large_class():
    assert resolve("refool", dataset="gtsrb").attack.target == 1
    assert resolve("refool", dataset="signs").attack.target == 0
