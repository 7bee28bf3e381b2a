"""NAD on raw features and distillation by logits: their losses in numpy, on NAD's batches, with NAD's teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.defenses.base import Stage
from engine.defenses.distillation import Distillation, LogitSettings
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.objective import FeatureObjective, LedObjective
from engine.defenses.nad_features import FeatureSettings, NadFeatures
from engine.errors import RequestError
from engine.models.inference import freeze
from engine.settings import AnchorSettings, TrainingSettings
from tests.numpy_losses import cross_entropy, kl
from tests.ports import Driver, Tapped, Untouchable, batch, unchanged

TRAINING = {"epochs": 1, "batch_size": 8, "lr": 0.05}
BOTH = [NadFeatures, Distillation]


def of(kind: Any, **distill: Any) -> Any:
    given = {"teacher": {"training": TRAINING}, "distill": {"training": TRAINING, **distill}}
    return kind.model_validate(given)


def test_features_are_compared_as_they_are():
    model, teacher, given = Tapped(1).eval(), freeze(Tapped(2)), batch()
    objective = FeatureObjective(FeatureSettings(beta=(2.0, 3.0)), Untouchable(), teacher, model.tap_names)
    parts = objective(model, given)
    logits, mine = model.forward_with_taps(given.images)
    _, theirs = teacher.forward_with_taps(given.images)
    assert float(parts["ce"].detach()) == pytest.approx(cross_entropy(logits, given.labels), rel=1e-5)
    for name, beta, one, other in zip(("one", "two"), (2, 3), mine, theirs, strict=True):
        apart = (one.detach().double().numpy() - other.detach().double().numpy()) ** 2
        assert float(parts[name].detach()) == pytest.approx(beta * apart.mean(), rel=1e-5)


def test_the_share_of_each_taps_features_is_told():
    driver = Driver(of(NadFeatures, beta={"one": 0, "others": 5}))
    driver.run()
    assert {name for step in driver.steps("nad-features") for name in step.parts} == {"ce", "two"}
    (one, two), after = driver.health["nad-features"]
    assert (one.tap, one.share, one.beta) == ("one", 0, 0)
    assert two.beta == 5 and two.share > 0 and two.gradient > 0
    assert [tap.tap for tap in after] == ["one", "two"]


def test_logits_follow_the_teachers_softened():
    model, teacher, given = Tapped(1).eval(), freeze(Tapped(2)), batch()
    settings = LogitSettings(teacher_anchor=AnchorSettings(weight=0.7, temperature=4.0))
    parts = LedObjective(settings, Untouchable(), teacher)(model, given)
    assert list(parts) == ["ce", "teacher_anchor"]
    wanted = 0.7 * kl(teacher(given.images), model(given.images), 4.0)
    assert float(parts["teacher_anchor"].detach()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", BOTH)
def test_the_teacher_is_nads_and_the_batches_too(kind):
    nad = Driver(of(Nad, beta=(50.0, 50.0)))
    kin = Driver(of(kind))
    led, taught = kin.run(), kin.models[kind.taught_by]
    assert kin.defense.stages() == (
        Stage(f"{kind.name}-teacher", "reference"),
        Stage(kind.name, "purified", needs=(f"{kind.name}-teacher",)),
    )
    own = nad.run()
    assert unchanged(taught, nad.models["teacher"].state_dict())
    assert all(torch.equal(one, other) for one, other in zip(led.seen[True], own.seen[True], strict=True))
    assert not np.allclose(led.fc.weight, own.fc.weight)


def test_both_can_begin_as_a_teacher_that_was_pushed_away():
    pushed = {"weight": 0.5, "start": "random"}
    for kind in BOTH:
        defense = kind.model_validate(
            {
                "teacher": {"training": TRAINING, "distance": pushed},
                "distill": {"training": TRAINING, "start": "teacher", "distance": {"weight": 0.5}},
            }
        )
        driver = Driver(defense)
        model, suspect = driver.run(), driver.port.suspect
        norms = [float(each.fc.weight.detach().double().norm()) for each in (model, suspect)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (NadFeatures, {"distill": {"beta": 0}}, "defenses.nad-features.distill.beta: all weights are 0"),
        (NadFeatures, {"distill": {"beta": [1]}}, "defenses.nad-features.distill.beta = [1.0]: 2 weights are wanted"),
        (NadFeatures, {"teacher": {"model": "wrn-10-1"}}, "features of another network cannot be compared"),
    ],
)
def test_what_cannot_be_followed_is_refused(kind, given, said):
    with pytest.raises(RequestError) as refused:
        kind.model_validate(given).check(Tapped(0), torch.rand(2, 3, 32, 32))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_distillation_without_a_weight_is_no_distillation():
    with pytest.raises(ValueError, match="without a weight it is plain fine-tuning"):
        LogitSettings(teacher_anchor=AnchorSettings(weight=0))
    assert TrainingSettings(**TRAINING) == of(Distillation).distill.training
