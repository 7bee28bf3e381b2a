"""What a defender minimizes, against numpy; and what must not move meanwhile: teacher and backdoored model."""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attention.maps import attention_loss
from engine.config.run import DistillSettings, TeacherSettings
from engine.control import Control
from engine.defenses import fine_tuning
from engine.defenses.base import Defender, freeze
from engine.defenses.nad.defense import NadObjective, check_taps, distill, make_teacher, refuse_dead_taps
from engine.device import Device
from engine.errors import RequestError, StageError
from engine.events import outcome
from engine.settings import AnchorSettings, AugmentSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings
from engine.training.loop import Batch, Loop, as_input, augmentation
from engine.training.objectives import CleanObjective, anchor_loss, mixup

CPU = Device(torch.device("cpu"), "fp32")
TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1, flip=True, cutout=2))
MIXED = ObjectiveSettings(mixup=0.4, anchor=AnchorSettings(weight=0.5, temperature=3.0))


class TwoGroups(nn.Module):
    """A network of two taps with batch norms, which keeps the images it is trained on and those it is asked about."""

    tap_names = ("one", "two")

    def __init__(self, seed: int = 0, pooled: bool = False) -> None:
        super().__init__()
        self.pooled = pooled
        self.seen: dict[bool, list[Tensor]] = {True: [], False: []}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, padding=1, stride=2), nn.BatchNorm2d(6)
            self.fc = nn.Linear(6, 3)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        self.seen[self.training].append(images.detach().clone())
        one = self.conv1(images)
        two = self.conv2(F.relu(self.bn1(one)))
        if self.pooled:
            two = two.mean(dim=(2, 3), keepdim=True)
        return self.fc(F.relu(self.bn2(two)).mean(dim=(2, 3))), (one, two)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_with_taps(images)[0]


class Untouchable(nn.Module):
    """A model that must not be asked."""

    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("asked for logits that no part of the loss needs")


def batch(count: int = 6, seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand((count, 3, 8, 8), generator=draw)
    labels = torch.randint(0, 3, (count,), generator=draw)
    return Batch(images, labels, torch.Generator().manual_seed(seed + 1))


def subset() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (20, 3, 8, 8), generator=draw).to(torch.uint8)
    return images, torch.randint(0, 3, (20,), generator=draw)


class Lab:
    """A defender whose stages are trained by the real loop, with one seed as in a run."""

    def __init__(self, backdoored: TwoGroups | None = None) -> None:
        self.backdoored = freeze(backdoored or TwoGroups(0))
        self.images, self.labels = subset()
        self.trained: dict[str, TwoGroups] = {}
        self.health: list[tuple] = []
        self.steps: list[Any] = []
        self.defender = Defender(
            backdoored=self.backdoored,
            fresh=self.fresh,
            images=self.images,
            labels=self.labels,
            classes=3,
            device=CPU,
            train=self.train,
        )

    def fresh(self) -> TwoGroups:
        model = copy.deepcopy(self.backdoored).train()
        model.seen = {True: [], False: []}
        return model.requires_grad_(True)

    def train(self, stage, model, objective, settings, watch=None) -> Generator[Any, None, nn.Module]:
        loop = Loop(
            stage,
            model,
            objective,
            self.images,
            self.labels,
            settings,
            augment=augmentation(settings.augment, mirror=True),
            seed=5,
            device=CPU,
            control=Control(),
        )
        if watch is not None:
            self.health.append(watch(model))
        for _ in range(settings.epochs):
            yield from loop.run_epoch()
        self.trained[stage] = model
        return model

    def finish(self, stage: Generator[Any, None, nn.Module]) -> nn.Module:
        return outcome(stage, self.steps.append)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    shares = softmax(logits.detach().double().numpy())
    return float(-np.log(shares[np.arange(len(labels)), labels.numpy()]).mean())


def kl(anchor: Tensor, model: Tensor, temperature: float) -> float:
    """T^2 x sum q ln(q / p), q the anchor's softened output: Hinton et al. 2015."""
    q = softmax(anchor.detach().double().numpy() / temperature)
    p = softmax(model.detach().double().numpy() / temperature)
    return float(temperature**2 * (q * np.log(q / p)).sum(axis=1).mean())


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


def test_clean_objective_without_an_anchor_asks_the_backdoored_model_nothing():
    model, given = TwoGroups(1).eval(), batch()
    parts = CleanObjective(ObjectiveSettings(), Untouchable())(model, given)
    assert list(parts) == ["ce"]
    assert float(parts["ce"].detach()) == pytest.approx(cross_entropy(model(given.images), given.labels), rel=1e-5)


def test_clean_objective_anchors_on_the_mixed_images():
    model, backdoored, given = TwoGroups(1).eval(), freeze(TwoGroups(0)), batch()
    parts = CleanObjective(MIXED, backdoored)(model, given)
    assert set(parts) == {"ce", "anchor"}
    (seen,) = backdoored.seen[False]
    assert torch.equal(seen, model.seen[False][0])
    assert not torch.equal(seen, given.images), "mixup is on"
    expected = 0.5 * kl(backdoored(seen), model(seen), 3.0)
    assert float(parts["anchor"].detach()) == pytest.approx(expected, rel=1e-4)


def reference_attention(student: Tensor, teacher: Tensor) -> float:
    """Equation 3's distance with the authors' mean over cells, p = 2."""
    maps = []
    for features in (student, teacher):
        flat = (features.detach().double().numpy() ** 2).sum(axis=1).reshape(len(features), -1)
        maps.append(flat / (np.sqrt((flat**2).sum(axis=1, keepdims=True)) + 1e-6))
    return float(((maps[0] - maps[1]) ** 2).mean())


def test_nad_objective_adds_beta_times_the_attention_distance_of_each_tap():
    model, teacher, given = TwoGroups(1).eval(), freeze(TwoGroups(2)), batch()
    settings = DistillSettings(beta=(500.0, 1000.0))
    parts = NadObjective(settings, Untouchable(), teacher, model.tap_names)(model, given)
    assert set(parts) == {"ce", "one", "two"}
    logits, mine = model.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    assert float(parts["ce"].detach()) == pytest.approx(cross_entropy(logits, given.labels), rel=1e-5)
    assert float(parts["one"].detach()) == pytest.approx(500 * reference_attention(mine[0], theirs[0]), rel=1e-4)
    assert float(parts["two"].detach()) == pytest.approx(1000 * reference_attention(mine[1], theirs[1]), rel=1e-4)


def test_nad_objective_passes_operator_p_normalization_and_reduction_on():
    model, teacher, given = TwoGroups(1).eval(), freeze(TwoGroups(2)), batch()
    settings = DistillSettings(beta=(2.0, 0.0), operator="max_p", p=3.0, normalize=False, reduction="sum")
    part = NadObjective(settings, Untouchable(), teacher, model.tap_names)(model, given)["one"]
    mine, theirs = (m.forward_with_taps(given.images)[1][0].detach().double().numpy() for m in (model, teacher))
    squared = ((np.abs(mine) ** 3).max(axis=1) - (np.abs(theirs) ** 3).max(axis=1)) ** 2
    assert float(part.detach()) == pytest.approx(2 * squared.sum(axis=(1, 2)).mean(), rel=1e-4)


def test_a_weight_of_zero_leaves_a_tap_out():
    model, given = TwoGroups(1).eval(), batch()
    objective = NadObjective(DistillSettings(beta=(0.0, 3.0)), Untouchable(), freeze(TwoGroups(2)), model.tap_names)
    assert set(objective(model, given)) == {"ce", "two"}
    one, two = objective.health(model, given)
    assert (one.tap, one.beta, one.loss, one.share, one.gradient) == ("one", 0, 0, 0, 0)
    assert two.loss > 0


def test_teacher_and_student_are_asked_about_the_same_mixed_images():
    model, teacher = TwoGroups(1), freeze(TwoGroups(2))
    backdoored = freeze(TwoGroups(0))
    NadObjective(DistillSettings(beta=(1.0, 1.0), objective=MIXED), backdoored, teacher, model.tap_names)(
        model, batch()
    )
    (student_saw,) = model.seen[True]
    assert torch.equal(teacher.seen[False][0], student_saw)
    assert torch.equal(backdoored.seen[False][0], student_saw)


def test_the_gradient_reaches_the_student_alone():
    model, teacher, backdoored = TwoGroups(1), TwoGroups(2).eval(), TwoGroups(0).eval()
    settings = DistillSettings(beta=(1.0, 1.0), objective=MIXED)
    parts = NadObjective(settings, backdoored, teacher, model.tap_names)(model, batch())
    sum(parts.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.grad is None for other in (teacher, backdoored) for parameter in other.parameters())


# --- A whole distillation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [ObjectiveSettings(), MIXED], ids=["plain", "mixup and anchor"])
def test_the_teacher_stays_frozen_while_it_teaches(objective):
    """BackdoorBox leaves its teacher in train mode, and every batch moves its batch norms."""
    lab, teacher = Lab(), TwoGroups(2)
    assert teacher.training
    before, backdoored_before = snapshot(teacher), snapshot(lab.backdoored)
    student = lab.finish(
        distill(lab.defender, teacher, DistillSettings(training=TRAINING, objective=objective, beta=(50.0, 50.0)))
    )
    assert not teacher.seen[True], "it never ran in train mode"
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert unchanged(teacher, before), "weights and buffers bit by bit"
    assert unchanged(lab.backdoored, backdoored_before)
    assert not unchanged(student, backdoored_before)
    assert int(student.bn1.num_batches_tracked) == 6, "the student's own batch norms do move: 2 epochs of 3 batches"


def test_making_a_teacher_leaves_the_backdoored_model_alone():
    lab = Lab()
    before, images = snapshot(lab.backdoored), lab.images.clone()
    teacher = lab.finish(make_teacher(lab.defender, TeacherSettings(training=TRAINING, objective=MIXED)))
    assert unchanged(lab.backdoored, before)
    assert torch.equal(lab.images, images)
    assert teacher is not lab.backdoored
    assert not unchanged(teacher, before)
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_distillation_brings_the_students_attention_to_the_teachers():
    lab, teacher = Lab(), TwoGroups(2)
    plain = TrainingSettings(
        epochs=16,
        batch_size=20,
        lr=0.005,
        schedule=ScheduleSettings(name="constant"),
        augment=AugmentSettings(crop=0, flip=False),
    )
    student = lab.finish(distill(lab.defender, teacher, DistillSettings(training=plain, beta=(300.0, 300.0))))
    images = as_input(lab.images)
    with torch.no_grad():
        taps = [model.forward_with_taps(images)[1] for model in (lab.backdoored, student, teacher)]
    for before, after, goal in zip(*taps, strict=True):
        assert float(attention_loss(after, goal)) < 0.75 * float(attention_loss(before, goal))


def test_the_loop_minimizes_the_sum_of_the_parts():
    lab = Lab()
    lab.finish(distill(lab.defender, TwoGroups(2), DistillSettings(training=TRAINING, beta=(50.0, 50.0))))
    for step in lab.steps:
        assert set(step.parts) == {"ce", "one", "two"}
        assert step.loss == pytest.approx(sum(step.parts.values()))

    model, given = TwoGroups(1), batch()
    loop = Loop(
        "nad",
        model,
        NadObjective(DistillSettings(beta=(50.0, 70.0)), Untouchable(), freeze(TwoGroups(2)), model.tap_names),
        *subset(),
        TrainingSettings(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0),
        augment=augmentation(AugmentSettings(), mirror=False),
        seed=0,
        device=CPU,
        control=Control(),
    )
    twin = copy.deepcopy(model)
    sum(loop.objective(twin, given).values()).backward()
    loop.step(given, lr=0.1)
    for mine, expected in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), (expected - 0.1 * expected.grad).detach().numpy(), rtol=1e-4, atol=1e-6
        )


# --- Paired batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [ObjectiveSettings(), MIXED], ids=["plain", "mixup and anchor"])
def test_fine_tuning_and_nad_see_the_same_batches(objective):
    """What NAD does beyond fine-tuning can only be told if nothing else differs."""
    lab = Lab()
    settings = DistillSettings(training=TRAINING, objective=objective, beta=(50.0, 50.0))
    lab.finish(fine_tuning.defend(lab.defender, fine_tuning.Settings(), settings))
    lab.finish(distill(lab.defender, TwoGroups(2), settings))
    tuned, distilled = lab.trained["fine-tuning"].seen[True], lab.trained["nad"].seen[True]
    assert [len(images) for images in tuned] == [8, 8, 4] * 2
    assert len(tuned) == len(distilled)
    assert all(torch.equal(one, other) for one, other in zip(tuned, distilled, strict=True))
    assert not torch.equal(tuned[0], tuned[3]), "drawn anew in every epoch"


def test_batches_are_those_of_the_seed_whatever_the_objective_draws():
    def pass_over(seed: int, draws: int) -> list[Batch]:
        lab, model = Lab(), TwoGroups(1)
        loop = Loop(
            "nad",
            model,
            CleanObjective(ObjectiveSettings(), Untouchable()),
            lab.images,
            lab.labels,
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
    assert torch.equal(torch.cat([b.labels for b in quiet]).sort().values, subset()[1].sort().values)


def test_fine_tuning_may_have_a_schedule_of_its_own():
    lab = Lab()
    own = fine_tuning.Settings(training=TRAINING.model_copy(update={"epochs": 1}), objective=ObjectiveSettings())
    lab.finish(fine_tuning.defend(lab.defender, own, DistillSettings(training=TRAINING, objective=MIXED)))
    assert len(lab.trained["fine-tuning"].seen[True]) == 3
    assert {name for step in lab.steps for name in step.parts} == {"ce"}


# --- Taps: refused where they are dead, reported where they are used -----------------------------------------------


def test_refuses_to_distill_a_tap_after_pooling():
    """BackdoorBench's taps are 1x1 at 32 pixels on most networks: its NAD is fine-tuning without saying so."""
    lab, teacher = Lab(), TwoGroups(2, pooled=True)
    with pytest.raises(StageError, match=r"stage nad: two: its map is 1x1.*distill\.beta"):
        lab.finish(distill(lab.defender, teacher, DistillSettings(training=TRAINING, beta=(50.0, 50.0))))
    assert not lab.trained, "refused before any step"
    assert not lab.steps


def test_a_dead_tap_without_weight_is_no_hindrance():
    teacher = TwoGroups(2, pooled=True)
    refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(50.0, 0.0)))
    with pytest.raises(StageError):
        refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(0.0, 1e-3)))


def test_a_constant_tap_is_refused_by_name():
    teacher = TwoGroups(2)
    nn.init.zeros_(teacher.conv1.weight)
    with pytest.raises(StageError, match="one: its 8x8 map is constant"):
        refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(1.0, 0.0)))


@pytest.mark.parametrize("training", [True, False])
def test_looking_for_dead_taps_leaves_the_model_as_it_was(training):
    model = TwoGroups(2).train(training)
    before = snapshot(model)
    refuse_dead_taps(model, batch().images, DistillSettings(beta=(1.0, 1.0)))
    assert model.training is training
    assert unchanged(model, before)


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ((1.0,), r"distill\.beta = \[1\.0\]: 2 weights are wanted, one for each of one, two"),
        ((1.0, 2.0, 3.0), "2 weights are wanted, one for each of one, two"),
        ((0.0, 0.0), "all weights are 0, which is plain fine-tuning"),
    ],
)
def test_refuses_a_beta_that_does_not_fit_the_taps(beta, message):
    with pytest.raises(RequestError, match=message):
        check_taps(TwoGroups.tap_names, DistillSettings(beta=beta))
    check_taps(TwoGroups.tap_names, DistillSettings(beta=(0.0, 1.0)))


def test_health_against_an_independent_gradient():
    model, teacher, backdoored, given = TwoGroups(1), freeze(TwoGroups(2)), freeze(TwoGroups(0)), batch()
    settings = DistillSettings(beta=(30.0, 60.0), objective=MIXED)
    report = NadObjective(settings, backdoored, teacher, model.tap_names).health(model, given)
    assert [(tap.tap, tap.height, tap.width, tap.beta) for tap in report] == [("one", 8, 8, 30), ("two", 4, 4, 60)]

    twin = copy.deepcopy(model).eval()
    logits, mine = twin.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    losses = [b * reference_attention(m, t) for b, m, t in zip((30, 60), mine, theirs, strict=True)]
    rest = cross_entropy(logits, given.labels) + 0.5 * kl(backdoored(given.images), logits, 3.0)
    for number, tap in enumerate(report):
        assert 0 <= tap.share <= 1
        assert tap.loss == pytest.approx(losses[number], rel=1e-4)
        assert tap.share == pytest.approx(losses[number] / (sum(losses) + rest), rel=1e-3)
        twin.zero_grad()
        _, taps = twin.forward_with_taps(given.images)
        maps = [tap_.square().sum(dim=1).flatten(1) for tap_ in (taps[number], theirs[number])]
        ours, goal = (m / (m.square().sum(dim=1, keepdim=True).sqrt() + 1e-6) for m in maps)
        (tap.beta * (ours - goal).square().mean()).backward()
        squares = sum(float(p.grad.double().square().sum()) for p in twin.parameters() if p.grad is not None)
        assert tap.gradient == pytest.approx(squares**0.5, rel=1e-3)
        assert tap.gradient > 0


@pytest.mark.parametrize("training", [True, False])
def test_looking_at_the_health_leaves_the_student_as_it_was(training):
    model, given = TwoGroups(1).train(training), batch()
    before, state = snapshot(model), given.generator.get_state()
    settings = DistillSettings(beta=(30.0, 60.0), objective=MIXED)
    NadObjective(settings, freeze(TwoGroups(0)), freeze(TwoGroups(2)), model.tap_names).health(model, given)
    assert model.training is training
    assert unchanged(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(given.generator.get_state(), state)


def test_a_run_reports_each_taps_health():
    lab = Lab()
    lab.finish(distill(lab.defender, TwoGroups(2), DistillSettings(training=TRAINING, beta=(50.0, 50.0))))
    (report,) = lab.health
    assert [tap.tap for tap in report] == ["one", "two"]
    assert all(0 < tap.share < 1 for tap in report)
    assert sum(tap.share for tap in report) < 1, "the cross-entropy has its share"
