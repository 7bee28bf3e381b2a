"""What a defender's training minimizes on clean images, against numpy: cross-entropy, mixup, and the anchor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.control import Control
from engine.models.inference import freeze
from engine.settings import AnchorSettings, AugmentSettings, ObjectiveSettings, TrainingSettings
from engine.training.loop import Batch, Loop, augmentation
from engine.training.objectives import CleanObjective, anchor_loss, mixup
from tests.numpy_losses import cross_entropies, cross_entropy, kl
from tests.ports import CPU, Tapped, Untouchable, batch, clean_images

TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1, flip=True, cutout=2))
MIXED = ObjectiveSettings(mixup=0.4, anchor=AnchorSettings(weight=0.5, temperature=3.0))

# --- Mixup ---------------------------------------------------------------------------------------------------------


def test_mixup_zero_leaves_the_batch_and_its_generator_alone():
    given = batch()
    state = given.generator.get_state()
    mixed = mixup(given, 0)
    assert torch.equal(mixed.images, given.images)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    assert float(mixed.cross_entropy(logits)) == pytest.approx(cross_entropy(logits, given.labels), rel=1e-5)
    assert torch.equal(given.generator.get_state(), state)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_mixes_images_and_labels_in_one_proportion(alpha):
    given = Batch(batch().images, torch.arange(6), torch.Generator().manual_seed(4))
    before = given.images.clone()
    mixed = mixup(given, alpha)
    shares = mixed.shares.double().numpy()
    assert shares.shape == (6,)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert len(set(shares.tolist())) == 6, "each image has a share of its own"
    # Every image has a label of its own here, so the partners' labels say who the partners are.
    assert sorted(mixed.partners.tolist()) == list(range(6))
    own, other = before.double().numpy(), before[mixed.partners].double().numpy()
    wide = shares.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(mixed.images.numpy(), wide * own + (1 - wide) * other, atol=1e-6)
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(9))
    each = [
        share * cross_entropy(logits[[i]], given.labels[[i]])
        + (1 - share) * cross_entropy(logits[[i]], mixed.partners[[i]])
        for i, share in enumerate(shares)
    ]
    expected = np.mean(each)
    assert float(mixed.cross_entropy(logits)) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(given.images, before)


def test_mixup_is_decided_by_the_batchs_generator_alone():
    np.random.seed(1)
    torch.manual_seed(1)
    first = mixup(batch(seed=2), 0.4)
    np.random.seed(2)
    torch.manual_seed(2)
    again = mixup(batch(seed=2), 0.4)
    assert torch.equal(first.shares, again.shares)
    assert torch.equal(first.images, again.images)
    given = batch(seed=2)
    assert not torch.equal(mixup(given, 0.4).shares, mixup(given, 0.4).shares), "each batch is mixed anew"


def test_mixup_draws_from_the_beta_distribution():
    given = batch()
    shares = np.concatenate([mixup(given, 0.5).shares.numpy() for _ in range(200)])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)) = 1/8.
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert shares.var() == pytest.approx(0.125, abs=0.02)


# --- The anchor and the parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
def test_anchor_loss_is_the_softened_divergence(temperature):
    draw = torch.Generator().manual_seed(0)
    logits, anchor = torch.randn(5, 4, generator=draw) * 3, torch.randn(5, 4, generator=draw) * 3
    result = float(anchor_loss(logits, anchor, temperature))
    assert result == pytest.approx(kl(anchor, logits, temperature), rel=1e-4)
    assert result != pytest.approx(kl(logits, anchor, temperature), rel=1e-2), "the divergence has a direction"
    assert float(anchor_loss(anchor, anchor, temperature)) == pytest.approx(0, abs=1e-6)


def test_clean_objective_without_an_anchor_asks_the_suspect_nothing():
    model, given = Tapped(1).eval(), batch()
    parts = CleanObjective(ObjectiveSettings(), Untouchable())(model, given)
    assert list(parts) == ["ce"]
    assert float(parts["ce"].detach()) == pytest.approx(cross_entropy(model(given.images), given.labels), rel=1e-5)


def test_clean_objective_anchors_on_the_mixed_images():
    model, suspect, given = Tapped(1).eval(), freeze(Tapped(0)), batch()
    parts = CleanObjective(MIXED, suspect)(model, given)
    assert set(parts) == {"ce", "anchor"}
    (seen,) = suspect.seen[False]
    assert torch.equal(seen, model.seen[False][0])
    assert not torch.equal(seen, given.images), "mixup is on"
    expected = 0.5 * kl(suspect(seen), model(seen), 3.0)
    assert float(parts["anchor"].detach()) == pytest.approx(expected, rel=1e-4)


def test_an_anchor_needs_the_suspect():
    with pytest.raises(ValueError, match="an anchor needs the suspect"):
        CleanObjective(MIXED)
    assert list(CleanObjective(ObjectiveSettings())(Tapped(1), batch())) == ["ce"]


# --- Batches -------------------------------------------------------------------------------------------------------


def test_batches_are_those_of_the_seed_whatever_the_objective_draws():
    def pass_over(seed: int, draws: int) -> list[Batch]:
        clean = clean_images()
        loop = Loop(
            "nad",
            Tapped(1),
            CleanObjective(ObjectiveSettings(), Untouchable()),
            clean.images,
            clean.labels,
            TRAINING,
            augment=augmentation(TRAINING.augment, mirror=True),
            seed=seed,
            device=CPU,
            control=Control(),
        )
        batches = []
        for given in loop.batches(1):
            torch.rand(draws, generator=given.generator)
            batches.append(given)
        return batches

    quiet, drawing, other = pass_over(5, 0), pass_over(5, 100), pass_over(6, 0)
    for one, two in zip(quiet, drawing, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.labels, two.labels)
    assert not torch.equal(quiet[0].images, other[0].images)
    assert torch.equal(torch.cat([b.labels for b in quiet]).sort().values, clean_images().labels.sort().values)


# --- What is good enough, and labels that are not quite sure ---------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_only_what_an_image_has_above_the_hinge_counts(alpha):
    mixed = mixup(batch(), alpha)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    each = cross_entropies(logits, mixed.labels)
    if mixed.shares is not None:
        shares = mixed.shares.double().numpy()
        each = shares * each + (1 - shares) * cross_entropies(logits, mixed.partners)
    middle = float(np.median(each))
    wanted = np.maximum(each - middle, 0).mean()
    assert float(mixed.cross_entropy(logits, hinge=middle)) == pytest.approx(wanted, rel=1e-5)
    assert 0 < wanted < each.mean()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_smoothing_spreads_a_share_of_each_label_over_all_classes(alpha):
    mixed = mixup(batch(), alpha)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    evenly = np.mean([cross_entropies(logits, torch.full((6,), label)) for label in range(3)])
    shares = np.ones(6) if mixed.shares is None else mixed.shares.double().numpy()
    surely = shares * cross_entropies(logits, mixed.labels) + (1 - shares) * cross_entropies(logits, mixed.partners)
    wanted = 0.7 * surely.mean() + 0.3 * evenly
    assert float(mixed.cross_entropy(logits, smoothing=0.3)) == pytest.approx(wanted, rel=1e-5)


def test_an_objective_passes_both_on():
    model, given = Tapped(1).eval(), batch()
    settings = ObjectiveSettings(hinge=0.5, label_smoothing=0.2)
    wanted = mixup(given, 0).cross_entropy(model(given.images), hinge=0.5, smoothing=0.2)
    assert float(CleanObjective(settings)(model, given)["ce"].detach()) == pytest.approx(float(wanted.detach()))


@pytest.mark.parametrize(("fade", "done", "left"), [(0.0, 0.75, 1.0), (1.0, 0.75, 0.25), (0.5, 0.5, 0.75)])
def test_an_anchor_can_fade(fade, done, left):
    model, suspect, given = Tapped(1).eval(), freeze(Tapped(2)), replace(batch(), done=done)
    settings = ObjectiveSettings(anchor=AnchorSettings(weight=0.5, temperature=3.0, fade=fade))
    part = CleanObjective(settings, suspect)(model, given)["anchor"]
    wanted = left * 0.5 * kl(suspect(given.images), model(given.images), 3.0)
    assert float(part.detach()) == pytest.approx(wanted, rel=1e-4)


def test_the_loop_tells_how_much_of_the_training_is_done():
    seen: list[float] = []

    def objective(model, given):
        seen.append(given.done)
        return {"size": model(given.images).square().mean()}

    data = clean_images()
    settings = TRAINING.model_copy(update={"lr": 1e-4})
    augment = augmentation(settings.augment, mirror=False)
    loop = Loop(
        "stage", Tapped(0), objective, data.images, data.labels, settings,
        augment=augment, seed=1, device=CPU, control=Control(),
    )  # fmt: skip
    for _ in range(2):
        list(loop.run_epoch())
    assert seen == pytest.approx([number / 6 for number in range(6)])
