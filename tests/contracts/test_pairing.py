"""The design of the pairs: what it covers, and how much it leaves out."""

from __future__ import annotations

import pytest

from engine.attacks import ATTACKS
from engine.defenses import DEFENSES
from engine.models import FAMILIES
from tests.contracts.pairing import KINDS, LEAST, UNLIKE, attacks, families

OURS = {"defenses": list(DEFENSES.ours), "families": list(FAMILIES.ours), "attacks": list(ATTACKS.ours)}
MANY = [f"defense-{number}" for number in range(20)]
NETS = [*OURS["families"], *(f"package-{number}" for number in range(8))]


def test_every_family_of_ours_is_of_a_kind():
    assert sorted(name for names in UNLIKE.values() for name in names) == sorted(OURS["families"])


@pytest.mark.parametrize(
    ("defenses", "nets"), [(OURS["defenses"], OURS["families"]), (MANY, NETS), (MANY[:1], OURS["families"])]
)
def test_every_defense_meets_three_unlike_families_and_every_family_two_defenses(defenses, nets):
    met = families(defenses, nets)
    for defense in defenses:
        kinds = {
            next((kind for kind, names in UNLIKE.items() if net in names), "package") for net in with_(met, defense)
        }
        assert len(kinds) >= min(KINDS, len(nets)), defense
    assert list(met) == list(nets)
    assert all(len(found) == len(set(found)) >= min(LEAST, len(defenses)) for found in met.values())
    assert sum(map(len, met.values())) <= KINDS * len(defenses) + LEAST * len(nets), "far fewer than all pairs"
    assert met == families(defenses, nets)


def test_every_attack_meets_two_defenses_and_every_defense_an_attack():
    def bears(attack: str, defense: str) -> bool:
        return not (attack == "dynamic" and defense in MANY[:18])

    met = attacks(MANY, OURS["attacks"], bears)
    assert all(with_(met, defense) for defense in MANY)
    assert all(len(found) >= LEAST for found in met.values())
    assert set(met["dynamic"]) == set(MANY[18:])
    assert sum(map(len, met.values())) <= len(MANY) + LEAST * len(met)


def with_(met: dict[str, list[str]], defense: str) -> list[str]:
    return [name for name, found in met.items() if defense in found]
