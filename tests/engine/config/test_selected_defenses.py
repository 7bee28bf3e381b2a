"""Which defenses a run has, and where each takes its settings from."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.layers import parse_override
from engine.config.presets import resolve
from engine.defenses import DEFENSES
from tests.engine.config.asking import BOTH, refused, write


def test_defenses_are_those_asked_for_in_their_order_else_nad():
    assert list(resolve("badnets").defenses) == ["nad"]
    assert list(resolve("badnets", defenses=["fine-tuning", "nad"]).defenses) == ["fine-tuning", "nad"]
    assert list(resolve("badnets", defenses=["fine-tuning"]).defenses) == ["fine-tuning"]
    assert list(resolve("badnets", defenses=["nad", "fine-tuning", "nad"]).defenses) == ["nad", "fine-tuning"]
    assert resolve("badnets", defenses=[]).defenses == {}
    assert "unknown defense 'nda', did you mean 'nad'" in refused("badnets", defenses=["nda"])


def test_defenses_of_a_configuration_file_are_the_runs(tmp_path: Path):
    given = "preset: sig\ndefenses: {fine-tuning: {training: {epochs: 3}}, nad: }"
    file = write(tmp_path / "given.yaml", given)
    config = resolve(None, config_file=file)
    assert list(config.defenses) == ["fine-tuning", "nad"]
    assert config.defenses["fine-tuning"].training.epochs == 3
    # What the file leaves open is as the recipe says.
    assert config.defenses["nad"] == resolve("sig").defenses["nad"]
    assert resolve(None, config_file=write(tmp_path / "none.yaml", "preset: sig\ndefenses: {}")).defenses == {}
    assert list(resolve(None, config_file=write(tmp_path / "open.yaml", "preset: sig")).defenses) == ["nad"]
    assert "defenses = None: a table" in refused(
        None, config_file=write(tmp_path / "empty.yaml", "preset: sig\ndefenses:")
    )


@pytest.mark.parametrize("given", ["all", "[nad, all]", "{all: , nad: {distill: {p: 3}}}"])
def test_a_configuration_file_may_have_all_defenses(tmp_path: Path, given: str):
    file = write(tmp_path / "given.yaml", f"preset: badnets\ndefenses: {given}")
    told: list[str] = []
    config = resolve(None, config_file=file, tell=told.append)
    assert set(config.defenses) == {name for name, kind in DEFENSES.loaded().items() if not kind.slow}
    assert config.defenses["nad"].distill.p == (3 if "p" in given else 2)
    assert len(told) == len(DEFENSES) - len(config.defenses)
    assert resolve(None, config_file=write(tmp_path / "again.yaml", config.to_yaml())) == config


def test_names_in_a_row_are_defenses_too_and_nothing_else_is(tmp_path: Path):
    file = write(tmp_path / "given.yaml", "preset: sig\ndefenses: fine-tuning, nad")
    assert list(resolve(None, config_file=file).defenses) == ["fine-tuning", "nad"]
    file = write(tmp_path / "given.yaml", "preset: sig\ndefenses: [3]")
    assert refused(None, config_file=file) == "defenses = [3]: a table of fields is wanted, or names in a row"


def test_defenses_asked_for_win_over_a_files(tmp_path: Path):
    file = write(tmp_path / "given.yaml", "preset: sig\ndefenses: {nad: {distill: {p: 3}}, fine-tuning: {}}")
    config = resolve(None, config_file=file, defenses=["nad"])
    assert list(config.defenses) == ["nad"]
    assert config.defenses["nad"].distill.p == 3


def test_recipe_and_preset_say_how_a_defense_works_but_not_which_there_are(folder: Path):
    write(folder / "recipes" / "mine.yaml", "defenses: {fine-tuning: {training: {epochs: 3}}}")
    write(folder / "own.yaml", "attack: {name: sig}\ndefenses: {fine-tuning: {training: {lr: 0.5}}}")
    assert list(resolve("own", recipe="mine").defenses) == ["nad"]
    tuning = resolve("own", recipe="mine", defenses=["fine-tuning"]).defenses["fine-tuning"]
    assert (tuning.training.epochs, tuning.training.lr) == (3, 0.5)


def test_field_of_a_defense_that_the_run_does_not_have_is_refused(tmp_path: Path):
    set_p, set_lr = parse_override("defenses.nad.distill.p=3"), parse_override("defenses.fine-tuning.training.lr=1")
    assert refused("badnets", overrides=[set_p, set_lr]) == (
        "defenses.fine-tuning: not among this run's defenses (nad); --defense fine-tuning adds it"
    )
    assert "defenses.nad: not among this run's defenses (fine-tuning)" in refused(
        "badnets", overrides=[set_p], defenses=["fine-tuning"]
    )
    assert "(none); --defense nad adds it" in refused("badnets", overrides=[set_p], defenses=[])
    both = resolve("badnets", overrides=[set_p, set_lr], defenses=BOTH).defenses
    assert (both["nad"].distill.p, both["fine-tuning"].training.lr) == (3, 1)
    file = write(tmp_path / "given.yaml", "preset: sig\ndefenses: {fine-tuning: {}}")
    assert "(fine-tuning); --defense nad adds it" in refused(None, config_file=file, overrides=[set_p])


# Recorded configurations


def test_recorded_configuration_takes_a_further_defense_from_its_recipe(folder: Path, tmp_path: Path):
    recipe = write(
        folder / "recipes" / "mine.yaml",
        """
        defenses: {nad: {distill: {beta: {group1: 5, others: 7}}}, fine-tuning: {training: {epochs: 3}}}
        datasets: {signs: {defenses: {fine-tuning: {training: {lr: 0.5}}}}}
        """,
    )
    recorded = resolve("badnets", recipe="mine")
    file = write(tmp_path / "config.yaml", recorded.to_yaml())
    config = resolve(None, config_file=file, defenses=BOTH)
    tuning = config.defenses["fine-tuning"].training
    assert (tuning.epochs, tuning.lr) == (3, 0.5)
    assert config == recorded.model_copy(update={"defenses": config.defenses})
    assert config.defenses["nad"] == recorded.defenses["nad"]
    # Of the defense that is recorded nothing comes from the recipe, were it one tap's weight.
    write(recipe, "defenses: {nad: {distill: {beta: {group2: 9}, p: 3}}, fine-tuning: {training: {epochs: 4}}}")
    later = resolve(None, config_file=file, defenses=["fine-tuning", "nad"])
    assert later.defenses["nad"] == recorded.defenses["nad"]
    assert later.defenses["fine-tuning"].training.epochs == 4
    set_lr = parse_override("defenses.fine-tuning.training.lr=2")
    assert resolve(None, config_file=file, defenses=BOTH, overrides=[set_lr]).defenses["fine-tuning"].training.lr == 2


def test_recorded_configuration_with_fewer_defenses_needs_no_recipe(folder: Path, tmp_path: Path):
    recipe = write(folder / "recipes" / "mine.yaml", "{}")
    recorded = resolve("badnets", recipe="mine", defenses=BOTH)
    file = write(tmp_path / "config.yaml", recorded.to_yaml())
    recipe.unlink()
    fewer = resolve(None, config_file=file, defenses=["fine-tuning"])
    assert fewer.defenses == {"fine-tuning": recorded.defenses["fine-tuning"]}
    assert fewer.recipe == "mine"
