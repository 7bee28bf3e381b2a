"""What meets what: defenses and families, defenses and attacks, NAD and each family, and those attacks that learn with
their model and each family. Not the whole product (see `pairing`): all on the smallest network of a kind."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.attacks import ATTACKS
from engine.config.layers import merge
from engine.defenses import DEFENSES
from engine.events import AttentionCaptured, AttentionHealth, Message, RunStarted
from engine.models import FAMILIES
from engine.record.layout import checkpoint_file
from engine.testing import quick
from engine.testing.resuming import interrupted
from tests.contracts.pairing import attacks, families
from tests.contracts.table import networks

DEFENDERS = list(DEFENSES.loaded())
HERE = [family for family in FAMILIES.loaded() if networks(family)]
"""Families that say which network is their smallest, and can build it here."""
LEARNING = [name for name, kind in ATTACKS.loaded().items() if kind.learns]
FEW = {"training": {"epochs": 2}}


def defended(*names: str, epochs: int = 1) -> dict[str, Any]:
    return {name: quick.defense(DEFENSES.get(name), name, epochs) for name in names}


def attack(name: str) -> dict[str, Any]:
    return {"attack": {"name": name, **quick.attack(name)}}


def on(network: str) -> dict[str, Any]:
    return {"model": {"name": network}, "training": {"epochs": 1}}


def bears(attack: str, defense: str) -> bool:
    """A trigger that learns with its model leaves no poisoned set."""
    return not (DEFENSES.get(defense).needs and ATTACKS.get(attack).learns)


@pytest.mark.parametrize(("name", "defenses"), attacks(DEFENDERS, list(ATTACKS.loaded()), bears).items())
def test_defenses_meet_attacks(world, name, defenses):
    config = world.config(attack(name), FEW, defenses=defended(*defenses))
    done = world.whole(config, f"{name} against {', '.join(defenses)}").finished
    purified = [config.defenses[each].stages()[-1].name for each in defenses]
    assert {"attack", *purified} <= set(done)
    for stage in purified:
        assert math.isfinite(done[stage].metrics.acc)
        assert math.isfinite(done[stage].metrics.asr) is ATTACKS.get(name).marks


@pytest.mark.parametrize(("family", "defenses"), families(DEFENDERS, HERE).items())
def test_defenses_meet_families(world, family, defenses):
    """To their end, or said to be n/a there: not all of them."""
    for network in networks(family):
        config = world.config(on(network), defenses=defended(*defenses))
        ran = world.whole(config, f"{network} against {', '.join(defenses)}")
        planned = next(event.plan for event in ran.events if isinstance(event, RunStarted))
        said = [event.text for event in ran.events if isinstance(event, Message)]
        for name, defense in config.defenses.items():
            stage = defense.stages()[-1].name
            if any(each.name == stage for each in planned):
                assert math.isfinite(ran.finished[stage].metrics.acc), name
            else:
                assert any(line.startswith(f"{name}: n/a, ") for line in said), name


@pytest.mark.parametrize("network", networks())
def test_nad_works_on_every_family(world, network):
    """A whole run, stopped and resumed, with maps of every tap; its suspect's checkpoint is taken in again."""
    config = world.config(on(network), defenses=defended("nad", epochs=2))
    pieces = interrupted(world, config, lambda event: getattr(event, "stage", "") == "nad", cache=True)
    assert pieces.halfway
    ran = world.recorded(pieces.folder)
    taps = next(event.model["taps"] for event in ran.events if isinstance(event, RunStarted))
    shown = {(event.stage, event.tap) for event in ran.events if isinstance(event, AttentionCaptured)}
    assert shown == {(stage, tap) for stage in ran.finished for tap in taps}
    measured = [event for event in ran.events if isinstance(event, AttentionHealth)]
    assert measured and not any(tap.dead for health in measured for tap in health.taps)
    file = checkpoint_file(pieces.folder, "attack")
    again = world.whole(world.config(on(network), {"suspect": str(file)}), f"{network} from its checkpoint")
    assert again.finished["attack"].metrics == ran.finished["attack"].metrics


@pytest.mark.parametrize("network", networks())
@pytest.mark.parametrize("name", LEARNING)
def test_every_attack_that_learns_learns_with_every_family(world, name, network):
    layers = merge(attack(name), {"model": {"name": network}, "training": {"epochs": 1}})
    ran = world.whole(world.config(layers), f"{name} on {network}")
    assert math.isfinite(ran.finished["attack"].metrics.asr)
