"""What NAD minimizes, against numpy: each tap's attention loss by its weight, and what each tap's health tells."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engine.defenses.nad.objective import NadObjective, refuse_dead_taps
from engine.defenses.nad.settings import DistillSettings
from engine.errors import RequestError
from engine.models.inference import freeze
from engine.settings import AnchorSettings, ObjectiveSettings
from tests.numpy_losses import attention, cross_entropy, kl
from tests.ports import NAMES, Tapped, Untouchable, batch, snapshot, unchanged

MIXED = ObjectiveSettings(mixup=0.4, anchor=AnchorSettings(weight=0.5, temperature=3.0))


def test_nad_objective_adds_beta_times_the_attention_distance_of_each_tap():
    model, teacher, given = Tapped(1).eval(), freeze(Tapped(2)), batch()
    settings = DistillSettings(beta=(500.0, 1000.0))
    parts = NadObjective(settings, Untouchable(), teacher, model.tap_names)(model, given)
    assert set(parts) == {"ce", "one", "two"}
    logits, mine = model.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    assert float(parts["ce"].detach()) == pytest.approx(cross_entropy(logits, given.labels), rel=1e-5)
    assert float(parts["one"].detach()) == pytest.approx(500 * attention(mine[0], theirs[0]), rel=1e-4)
    assert float(parts["two"].detach()) == pytest.approx(1000 * attention(mine[1], theirs[1]), rel=1e-4)


def test_nad_objective_passes_operator_p_normalization_and_reduction_on():
    model, teacher, given = Tapped(1).eval(), freeze(Tapped(2)), batch()
    settings = DistillSettings(beta=(2.0, 0.0), operator="max_p", p=3.0, normalize=False, reduction="sum")
    part = NadObjective(settings, Untouchable(), teacher, model.tap_names)(model, given)["one"]
    mine, theirs = (m.forward_with_taps(given.images)[1][0].detach().double().numpy() for m in (model, teacher))
    squared = ((np.abs(mine) ** 3).max(axis=1) - (np.abs(theirs) ** 3).max(axis=1)) ** 2
    assert float(part.detach()) == pytest.approx(2 * squared.sum(axis=(1, 2)).mean(), rel=1e-4)


def test_a_weight_of_zero_leaves_a_tap_out():
    model, given = Tapped(1).eval(), batch()
    objective = NadObjective(DistillSettings(beta=(0.0, 3.0)), Untouchable(), freeze(Tapped(2)), model.tap_names)
    assert set(objective(model, given)) == {"ce", "two"}
    one, two = objective.health(model, given)
    assert (one.tap, one.beta, one.loss, one.share, one.gradient) == ("one", 0, 0, 0, 0)
    assert two.loss > 0


def test_teacher_and_student_are_asked_about_the_same_mixed_images():
    model, teacher = Tapped(1), freeze(Tapped(2))
    suspect = freeze(Tapped(0))
    NadObjective(DistillSettings(beta=(1.0, 1.0), objective=MIXED), suspect, teacher, model.tap_names)(model, batch())
    (student_saw,) = model.seen[True]
    assert torch.equal(teacher.seen[False][0], student_saw)
    assert torch.equal(suspect.seen[False][0], student_saw)


def test_the_gradient_reaches_the_student_alone():
    model, teacher, suspect = Tapped(1), Tapped(2).eval(), Tapped(0).eval()
    settings = DistillSettings(beta=(1.0, 1.0), objective=MIXED)
    parts = NadObjective(settings, suspect, teacher, model.tap_names)(model, batch())
    sum(parts.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.grad is None for other in (teacher, suspect) for parameter in other.parameters())


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("turned", [False, True], ids=["as they come", "turned"])
def test_summands_come_in_the_order_of_the_taps(count: int, turned: bool):
    """Losses are added up in this order: a table written in another must train the same weights."""
    model, teacher, given = Tapped(1, count).eval(), freeze(Tapped(2, count)), batch()
    names = NAMES[:count]
    weights = {name: 10.0 * (number + 1) for number, name in enumerate(names)}
    table = dict(reversed(weights.items())) if turned else weights
    parts = NadObjective(DistillSettings(beta=table), Untouchable(), teacher, model.tap_names)(model, given)
    assert tuple(parts) == ("ce", *names)
    _, mine = model.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    for name, one, other in zip(names, mine, theirs, strict=True):
        assert float(parts[name].detach()) == pytest.approx(weights[name] * attention(one, other), rel=1e-4)


def test_whatever_form_the_weights_have_the_summands_are_the_same():
    model, teacher, given = Tapped(1, 5).eval(), freeze(Tapped(2, 5)), batch()
    forms = [(7.0, 0.0, 7.0, 7.0, 7.0), {"two": 0, "others": 7}, {**dict.fromkeys(NAMES, 7.0), "two": 0.0}]
    summands = [
        NadObjective(DistillSettings(beta=beta), Untouchable(), teacher, model.tap_names)(model, given)
        for beta in forms
    ]
    for parts in summands:
        assert tuple(parts) == ("ce", "one", "three", "four", "five")
        assert all(torch.equal(value, summands[0][name]) for name, value in parts.items())


# --- Taps: refused where they are dead, reported where they are used -----------------------------------------------


def test_every_dead_tap_with_a_weight_is_named_with_its_reason():
    teacher = Tapped(2, 5, pooled=True)
    nn.init.zeros_(teacher.convs[0].weight)
    with pytest.raises(RequestError) as caught:
        refuse_dead_taps(teacher, batch().images, DistillSettings(beta=1.0))
    text = str(caught.value)
    assert text.startswith("nad: one: its 8x8 map is constant; five: its map is 1x1, ")
    assert "defenses.nad.distill.beta" in text
    assert len(text.splitlines()) == 1
    refuse_dead_taps(teacher, batch().images, DistillSettings(beta={"one": 0, "five": 0, "others": 1}))


def test_a_dead_tap_without_weight_is_no_hindrance():
    teacher = Tapped(2, pooled=True)
    refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(50.0, 0.0)))
    with pytest.raises(RequestError):
        refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(0.0, 1e-3)))


def test_a_constant_tap_is_refused_by_name():
    teacher = Tapped(2)
    nn.init.zeros_(teacher.convs[0].weight)
    with pytest.raises(RequestError, match="one: its 8x8 map is constant"):
        refuse_dead_taps(teacher, batch().images, DistillSettings(beta=(1.0, 0.0)))


@pytest.mark.parametrize("training", [True, False])
def test_looking_for_dead_taps_leaves_the_model_as_it_was(training):
    model = Tapped(2).train(training)
    before = snapshot(model)
    refuse_dead_taps(model, batch().images, DistillSettings(beta=(1.0, 1.0)))
    assert model.training is training
    assert unchanged(model, before)


def test_health_against_an_independent_gradient():
    model, teacher, suspect, given = Tapped(1), freeze(Tapped(2)), freeze(Tapped(0)), batch()
    settings = DistillSettings(beta=(30.0, 60.0), objective=MIXED)
    report = NadObjective(settings, suspect, teacher, model.tap_names).health(model, given)
    assert [(tap.tap, tap.height, tap.width, tap.beta) for tap in report] == [("one", 8, 8, 30), ("two", 4, 4, 60)]

    twin = copy.deepcopy(model).eval()
    logits, mine = twin.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    losses = [b * attention(m, t) for b, m, t in zip((30, 60), mine, theirs, strict=True)]
    rest = cross_entropy(logits, given.labels) + 0.5 * kl(suspect(given.images), logits, 3.0)
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
    model, given = Tapped(1).train(training), batch()
    before, state = snapshot(model), given.generator.get_state()
    settings = DistillSettings(beta=(30.0, 60.0), objective=MIXED)
    NadObjective(settings, freeze(Tapped(0)), freeze(Tapped(2)), model.tap_names).health(model, given)
    assert model.training is training
    assert unchanged(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(given.generator.get_state(), state)


@pytest.mark.parametrize("count", [1, 5])
def test_health_is_of_every_tap_in_their_order(count: int):
    model, teacher = Tapped(1, count), freeze(Tapped(2, count))
    report = NadObjective(DistillSettings(), Untouchable(), teacher, model.tap_names).health(model, batch())
    assert [tap.tap for tap in report] == list(NAMES[:count])
    assert [tap.beta for tap in report] == pytest.approx([20 / count * cells for cells in (64, 16, 16, 16, 16)[:count]])
    assert [(tap.height, tap.width) for tap in report] == [(8, 8), (4, 4), (4, 4), (4, 4), (4, 4)][:count]
    assert all(tap.loss > 0 and tap.gradient > 0 for tap in report)


# --- Equal shares, and a teacher of another network ----------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equal_shares_are_equal_at_the_first_step_and_as_much_together(count: int, reduction: str):
    model, teacher, given = Tapped(1, count), freeze(Tapped(2, count)), batch()
    plain = NadObjective(DistillSettings(reduction=reduction), Untouchable(), teacher, model.tap_names)
    before = plain.health(model, given)
    objective = NadObjective(
        DistillSettings(beta="equal", reduction=reduction), Untouchable(), teacher, model.tap_names
    )
    assert [tap.loss for tap in objective.health(model, given)] == [tap.loss for tap in before]
    objective.level(model, given)
    after = objective.health(model, given)
    assert len({round(tap.loss, 4) for tap in before}) == count
    assert [tap.share for tap in after] == pytest.approx([after[0].share] * count, rel=1e-4)
    assert sum(tap.loss for tap in after) == pytest.approx(sum(tap.loss for tap in before), rel=1e-4)
    parts = objective(model, given)
    assert tuple(parts) == ("ce", *NAMES[:count])


def test_a_tap_at_which_the_teacher_is_the_student_keeps_its_weight():
    model, given = Tapped(1), batch()
    twin = freeze(copy.deepcopy(model))
    objective = NadObjective(DistillSettings(beta="equal"), Untouchable(), twin, model.tap_names)
    objective.level(model, given)
    assert [tap.beta for tap in objective.health(model, given)] == [640.0, 160.0]


@pytest.mark.parametrize(("mine", "theirs", "pairs"), [(2, 5, (0, 4)), (5, 2, (0, 1, 1, 1, 1)), (1, 2, (0,))])
def test_a_teacher_of_other_taps_is_followed_by_resolution(mine: int, theirs: int, pairs: tuple[int, ...]):
    model, teacher, given = Tapped(1, mine).eval(), freeze(Tapped(2, theirs)), batch()
    settings = DistillSettings(beta=1000.0)
    parts = NadObjective(settings, Untouchable(), teacher, model.tap_names)(model, given)
    assert tuple(parts) == ("ce", *NAMES[:mine])
    _, ours = model.forward_with_taps(given.images)
    _, goals = teacher.forward_with_taps(given.images)
    for name, one, place in zip(NAMES, ours, pairs, strict=False):
        assert float(parts[name].detach()) == pytest.approx(1000 * attention(one, goals[place]), rel=1e-4)


def test_a_dead_tap_of_another_teacher_is_named_as_its_own():
    model, images = Tapped(1), batch().images
    refuse_dead_taps(model, images, DistillSettings(), Tapped(2, 5))
    with pytest.raises(RequestError, match=r"^nad: two: its map is 1x1, "):
        refuse_dead_taps(model, images, DistillSettings(), Tapped(2, pooled=True))
    with pytest.raises(RequestError, match=r"^nad: the teacher's one: its map is 1x1, "):
        refuse_dead_taps(model, images, DistillSettings(), Tapped(2, 1, pooled=True))
