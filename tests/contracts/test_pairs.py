"""What meets what: each defense that reads attention and each family, each defense and each attack, and those attacks
that learn with their model and each family. Not the whole product: all on the smallest network of a kind."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.attacks import ATTACKS
from engine.config.layers import merge
from engine.defenses import DEFENSES
from engine.events import AttentionCaptured, AttentionHealth, RunStarted
from engine.record.layout import checkpoint_file
from engine.testing import quick
from engine.testing.resuming import interrupted
from tests.contracts.table import networks

QUICK = [name for name, kind in DEFENSES.loaded().items() if not kind.slow]
READING = [name for name in QUICK if DEFENSES.get(name)().attention is not None]
LEARNING = [name for name, kind in ATTACKS.loaded().items() if kind.learns]
FEW = {"training": {"epochs": 2}}


def defended(*names: str, epochs: int = 1) -> dict[str, Any]:
    return {name: quick.defense(DEFENSES.get(name), name, epochs) for name in names}


def attack(name: str) -> dict[str, Any]:
    return {"attack": {"name": name, **quick.attack(name)}}


@pytest.mark.parametrize("name", ATTACKS.loaded())
def test_every_defense_meets_every_attack(world, name):
    defenses = [each for each in QUICK if not (DEFENSES.get(each).needs and ATTACKS.get(name).learns)]
    config = world.config(attack(name), FEW, defenses=defended(*defenses))
    done = world.whole(config, f"{name} against {', '.join(defenses)}").finished
    purified = [config.defenses[each].stages()[-1].name for each in defenses]
    assert {"attack", *purified} <= set(done)
    for stage in purified:
        assert math.isfinite(done[stage].metrics.acc)
        assert math.isfinite(done[stage].metrics.asr) is ATTACKS.get(name).marks


@pytest.mark.parametrize("network", networks())
@pytest.mark.parametrize("name", READING)
def test_every_defense_that_reads_attention_works_on_every_family(world, name, network):
    """A whole run, stopped and resumed, with maps of every tap; its suspect's checkpoint is taken in again."""
    model = {"model": {"name": network}, "training": {"epochs": 1}}
    config = world.config(model, defenses=defended(name, epochs=2))
    pieces = interrupted(world, config, lambda event: getattr(event, "stage", "") == name, cache=True)
    assert pieces.halfway
    ran = world.recorded(pieces.folder)
    taps = next(event.model["taps"] for event in ran.events if isinstance(event, RunStarted))
    shown = {(event.stage, event.tap) for event in ran.events if isinstance(event, AttentionCaptured)}
    assert shown == {(stage, tap) for stage in ran.finished for tap in taps}
    measured = [event for event in ran.events if isinstance(event, AttentionHealth)]
    assert measured and not any(tap.dead for health in measured for tap in health.taps)
    file = checkpoint_file(pieces.folder, "attack")
    again = world.whole(world.config(model, {"suspect": str(file)}), f"{network} from its checkpoint")
    assert again.finished["attack"].metrics == ran.finished["attack"].metrics


@pytest.mark.parametrize("network", networks())
@pytest.mark.parametrize("name", LEARNING)
def test_every_attack_that_learns_learns_with_every_family(world, name, network):
    layers = merge(attack(name), {"model": {"name": network}, "training": {"epochs": 1}})
    ran = world.whole(world.config(layers), f"{name} on {network}")
    assert math.isfinite(ran.finished["attack"].metrics.asr)
