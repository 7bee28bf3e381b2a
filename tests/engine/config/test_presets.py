"""Presets, recipes and profiles: which layer wins, whose file counts, and what a file may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import attacks, data, models
from engine.config import shelf
from engine.config.layers import parse_override
from engine.config.presets import list_presets, list_recipes, load_preset, resolve
from engine.config.run import RunConfig
from tests.engine.config.asking import BOTH, refused, write

# The built in ones

KIN = ("nad-features", "distillation")
KINDS = {
    "adaptive": "dirty label",
    "badnets": "dirty label",
    "badnets-all2all": "all-to-all",
    "blend": "dirty label",
    "cl": "clean label",
    "clean": "none",
    "dynamic": "dirty label",
    "pixel": "dirty label",
    "refool": "clean label",
    "sig": "clean label",
    "trojan": "dirty label",
    "wanet": "dirty label",
}


@pytest.mark.parametrize("dataset", list(data.SOURCES))
@pytest.mark.parametrize("recipe", ["default", "paper", "thorough", "classic"])
@pytest.mark.parametrize("preset", KINDS)
def test_every_combination_resolves_and_its_record_says_everything(
    preset: str, recipe: str, dataset: str, tmp_path: Path
):
    config = resolve(preset, dataset=dataset, recipe=recipe)
    assert (config.preset, config.recipe, config.data.name) == (preset, recipe, dataset)
    assert config.attack.name == {"adaptive": "badnets", "badnets-all2all": "badnets"}.get(preset, preset)
    # Mirrored signs mean something else.
    assert config.data.mirror is (dataset == "cifar10")
    file = write(tmp_path / "config.yaml", config.to_yaml())
    assert resolve(None, config_file=file) == config


def test_built_in_presets_and_recipes_are_all_there():
    assert {preset.name: preset.kind for preset in list_presets()} == KINDS
    assert {"default", "paper", "thorough", "classic"} <= set(list_recipes())
    for preset in list_presets():
        assert preset.origin == "built in"
        assert preset.values["attack"]["name"] in attacks.ATTACKS
        assert "arXiv" in preset.source or "doi" in preset.source
        assert preset.title
        assert preset.description


def test_papers_of_the_attacks_are_followed():
    sig = resolve("sig", dataset="cifar10").attack
    assert (sig.label_rule, sig.delta, sig.frequency) == ("clean-label", 20, 6)
    assert resolve("blend").attack.alpha == 0.2
    badnets = resolve("badnets").attack
    assert (badnets.size, badnets.place, badnets.poisoning_rate) == (3, "bottom-right", 0.1)


def test_paper_recipe_is_the_papers():
    config = resolve("badnets", recipe="paper")
    nad = config.defenses["nad"]
    for training, epochs in ((nad.teacher.training, 10), (nad.distill.training, 20)):
        assert (training.epochs, training.batch_size, training.lr, training.momentum) == (epochs, 64, 0.1, 0.9)
        assert (training.schedule.name, training.schedule.milestones, training.schedule.gamma) == ("step", (2,), 0.1)
        assert training.weight_decay == 1e-4
    # As weights of the taps, since a recipe may also give them by the taps' names.
    weights = nad.distill.weights(("group1", "group2", "group3"), (1024, 256, 64))
    assert (weights, nad.distill.operator, nad.distill.p, nad.distill.normalize) == (
        (500, 1000, 1000),
        "sum_p",
        2,
        True,
    )
    assert config.data.clean_fraction == 0.05


def test_paper_recipe_has_the_settings_of_each_paper():
    names = ("d3", "fst", "ft-sam", "nad-features", "distillation")
    found = resolve("badnets", recipe="paper", defenses=["nad", *names]).defenses
    told = {name: (found[name].training.epochs, found[name].training.batch_size) for name in names[:3]}
    assert told == {"d3": (100, 256), "fst": (10, 128), "ft-sam": (100, 256)}
    lam = 1 / found["d3"].distance.weight
    assert found["d3"].training.lr == pytest.approx(0.01 * lam / (lam + 1), rel=1e-3)
    for name in names[3:]:
        assert found[name].teacher == found["nad"].teacher
        assert found[name].distill.training == found["nad"].distill.training
    (alone,) = resolve("badnets", recipe="paper", defenses=["d3"]).defenses.items()
    assert alone == ("d3", found["d3"])


@pytest.mark.parametrize("dataset", list(data.SOURCES))
@pytest.mark.parametrize("recipe", ["default", "thorough", "classic"])
def test_in_our_recipes_nads_kin_differ_from_it_by_their_loss_alone(recipe: str, dataset: str):
    defenses = resolve("badnets", dataset=dataset, recipe=recipe, defenses=["nad", *KIN]).defenses
    for name in KIN:
        assert defenses[name].teacher == defenses["nad"].teacher
        mine, nads = defenses[name].distill, defenses["nad"].distill
        assert (mine.training, mine.objective) == (nads.training, nads.objective)


@pytest.mark.parametrize("dataset", list(data.SOURCES))
def test_thorough_recipe_is_the_default_with_twice_the_epochs_and_on_cifar10_more_weight_decay(dataset: str):
    default, thorough = (
        resolve("badnets", dataset=dataset, recipe=name, defenses=BOTH) for name in ("default", "thorough")
    )
    for stage in (
        lambda config: config.defenses["nad"].teacher,
        lambda config: config.defenses["nad"].distill,
        lambda config: config.defenses["fine-tuning"],
    ):
        ours, theirs = (stage(config).model_dump() for config in (thorough, default))
        assert ours["training"].pop("epochs") == 2 * theirs["training"].pop("epochs")
        if dataset == "cifar10":
            assert ours["training"].pop("weight_decay") > theirs["training"].pop("weight_decay")
        assert ours == theirs


@pytest.mark.parametrize("dataset", list(data.SOURCES))
@pytest.mark.parametrize("recipe", ["default", "paper", "thorough", "classic"])
def test_in_every_recipe_fine_tuning_is_the_stage_of_nad_that_begins_as_the_suspect(recipe: str, dataset: str):
    defenses = resolve("badnets", dataset=dataset, recipe=recipe, defenses=BOTH).defenses
    tuning, nad = defenses["fine-tuning"], defenses["nad"]
    alike = nad.distill if nad.distill.start == "suspect" else nad.teacher
    assert (tuning.training, tuning.objective) == (alike.training, alike.objective)


# Layers

LAYERS = [
    "profile of the data set",
    "recipe",
    "recipe for signs",
    "preset",
    "preset for signs",
    "profile of the family",
    "profile of the family for signs",
    "file",
    "override",
]


@pytest.mark.parametrize("top", range(len(LAYERS)), ids=LAYERS)
def test_each_layer_wins_over_those_before_it(top: int, folder: Path, tmp_path: Path):
    # Layer k sets epochs to 11 + k, as far as `top`.
    def epochs(layer: int) -> str:
        return f"training: {{epochs: {11 + layer}}}" if layer <= top else "training: {}"

    write(folder / "datasets" / "signs.yaml", epochs(0))
    write(folder / "recipes" / "mine.yaml", f"{epochs(1)}\ndatasets: {{signs: {{{epochs(2)}}}}}")
    write(folder / "own.yaml", f"attack: {{name: sig}}\n{epochs(3)}\ndatasets: {{signs: {{{epochs(4)}}}}}")
    write(folder / "models" / "wrn.yaml", f"{epochs(5)}\ndatasets: {{signs: {{{epochs(6)}}}}}")
    file = write(tmp_path / "given.yaml", epochs(7))
    overrides = [parse_override("training.epochs=18"), parse_override("training.epochs=19")] if top == 8 else []
    config = resolve("own", recipe="mine", config_file=file, overrides=overrides)
    assert config.training.epochs == 11 + top
    assert (config.preset, config.recipe, config.data.name) == ("own", "mine", "signs")


def test_tables_for_other_data_sets_do_not_count(folder: Path):
    write(folder / "own.yaml", "attack: {name: sig}\ndatasets: {gtsrb: {training: {epochs: 33}}}")
    assert resolve("own", dataset="signs").training.epochs != 33
    assert resolve("own", dataset="gtsrb").training.epochs == 33
    assert resolve("own", overrides=[{"data": {"name": "gtsrb"}}]).training.epochs == 33


def test_data_set_is_the_asked_one_then_the_overrides_then_the_presets(folder: Path):
    write(folder / "own.yaml", "attack: {name: sig}\ndata: {name: gtsrb}")
    asked = {"data": {"name": "cifar10"}}
    assert resolve("own").data.name == "gtsrb"
    assert resolve("own", overrides=[asked]).data.name == "cifar10"
    assert resolve("own", overrides=[asked]).data.mirror is True
    assert resolve("own", dataset="signs", overrides=[asked]).data.name == "signs"
    assert resolve("badnets").data.name == "signs"


def test_profile_of_a_network_is_that_of_its_family_wherever_it_is_named(folder: Path, tmp_path: Path):
    write(folder / "models" / "vgg.yaml", "training: {epochs: 33}")
    small = {"model": {"name": "vgg-11@0.25"}}
    file = write(tmp_path / "given.yaml", "attack: {name: sig}\nmodel: {name: vgg-16}")
    write(folder / "own.yaml", "attack: {name: sig}\nmodel: {name: vgg-19}")
    for config in (resolve("sig", overrides=[small]), resolve(None, config_file=file), resolve("own")):
        assert config.training.epochs == 33
    other = {"model": {"name": "resnet-18"}}
    assert resolve("sig", overrides=[other]).training == resolve("sig").training
    assert resolve("sig", overrides=[small, {"training": {"epochs": 2}}]).training.epochs == 2
    write(folder / "own.yaml", "attack: {name: sig}\nmodel: {name: vgg-19}\ntraining: {epochs: 3}")
    assert resolve("own").training.epochs == 3  # it knows its network
    own = {"model": {"name": f"{tmp_path / 'vgg.py'}:Net"}}
    assert resolve("sig", overrides=[own]).training.epochs != 33
    assert "model.name" in refused("sig", overrides=[{"model": {"name": 3}}])


def test_record_of_a_run_takes_nothing_from_a_profile_that_came_later(folder: Path, tmp_path: Path):
    file = write(tmp_path / "config.yaml", resolve("sig", overrides=[{"model": {"name": "vgg-11"}}]).to_yaml())
    write(folder / "models" / "vgg.yaml", "training: {epochs: 33}")
    assert resolve(None, config_file=file).training.epochs != 33


def test_every_profile_that_ships_is_of_a_family_and_can_be_had():
    names = shelf.files("models")
    assert {"preact-resnet", "mobilenet", "vit"} <= set(names) <= set(models.FAMILIES)
    for word in names:
        for dataset in data.SOURCES:
            resolve("badnets", dataset=dataset, overrides=[{"model": {"name": models.FAMILIES.get(word).smallest}}])


def test_users_own_data_has_no_profile(tmp_path: Path):
    images = tmp_path / "images"
    images.mkdir()
    config = resolve("badnets", dataset=str(images))
    assert config.data.name == str(images)
    assert config.training.epochs == RunConfig.model_fields["training"].default.epochs


def test_file_may_name_preset_recipe_and_data_set(tmp_path: Path):
    file = write(tmp_path / "given.yaml", "preset: sig\nrecipe: paper\ndata: {name: gtsrb}\nseed: 5")
    config = resolve(None, config_file=file)
    assert (config.preset, config.recipe, config.data.name, config.seed) == ("sig", "paper", "gtsrb", 5)
    assert config.defenses["nad"].distill.training.epochs == 20
    assert resolve("blend", recipe="default", config_file=file).preset == "blend"
    assert resolve("blend", recipe="default", config_file=file).recipe == "default"


def test_override_of_the_recipe_takes_the_recipe_in(tmp_path: Path):
    assert resolve("sig", overrides=[{"recipe": "paper"}]) == resolve("sig", recipe="paper")


def test_recipe_may_be_a_file_anywhere(tmp_path: Path):
    file = write(tmp_path / "gentle.yaml", "description: slow\ndefenses: {nad: {teacher: {training: {lr: 0.001}}}}")
    config = resolve("badnets", recipe=str(file))
    assert (config.recipe, config.defenses["nad"].teacher.training.lr) == ("gentle", 0.001)
    assert "cannot be read" in refused("badnets", recipe=str(tmp_path / "absent.yaml"))


def test_without_preset_an_attack_must_be_given(tmp_path: Path):
    text = refused(None)
    assert "no attack" in text
    assert "badnets" in text
    config = resolve(None, overrides=[{"attack": {"name": "badnets", "size": 5}}])
    assert (config.preset, config.attack.size) == ("custom", 5)


# A recorded configuration is complete


def test_recorded_configuration_takes_nothing_from_presets_changed_since(folder: Path, tmp_path: Path):
    own = write(folder / "own.yaml", "attack: {name: badnets, size: 4}\ntraining: {epochs: 3}")
    recipe = write(folder / "recipes" / "mine.yaml", "defenses: {nad: {distill: {beta: [1, 2, 3]}}}")
    profile = write(folder / "datasets" / "signs.yaml", "data: {clean_fraction: 0.5}")
    config = resolve("own", recipe="mine")
    file = write(tmp_path / "config.yaml", config.to_yaml())

    write(own, "attack: {name: badnets, size: 9, margin: 2}\ntraining: {epochs: 77, lr: 0.9}")
    write(recipe, "defenses: {nad: {distill: {beta: [7, 7, 7]}, teacher: {training: {epochs: 99}}}}")
    write(profile, "data: {clean_fraction: 0.9, stratified: true}")
    assert resolve("own", recipe="mine") != config
    assert resolve(None, config_file=file) == config

    for changed in (own, recipe, profile):
        changed.unlink()
    again = resolve(None, config_file=file, overrides=[{"seed": 6}])
    assert again == config.model_copy(update={"seed": 6})


def test_recorded_configuration_still_takes_what_is_asked_for(tmp_path: Path):
    file = write(tmp_path / "config.yaml", resolve("badnets").to_yaml())
    config = resolve(None, config_file=file, recipe="paper")
    assert (config.recipe, config.defenses["nad"].distill.training.epochs) == ("paper", 20)
    assert config.attack == resolve("badnets").attack


# The user's own folder


def test_users_files_are_added_and_replace_built_in_ones(folder: Path):
    own = write(folder / "own.yaml", "title: Mine\nsource: me\nattack: {name: blend, alpha: 0.5}")
    write(folder / "badnets.yaml", "attack: {name: badnets, size: 7}")
    write(folder / "recipes" / "default.yaml", "defenses: {nad: {distill: {beta: [9, 9, 9]}}}")
    write(folder / "recipes" / "more.yaml", "{}")
    names = {preset.name: preset for preset in list_presets()}
    assert list(names) == sorted([*KINDS, "own"])
    assert (names["own"].title, names["own"].source, names["own"].origin) == ("Mine", "me", str(own))
    assert names["sig"].origin == "built in"
    assert names["badnets"].origin == str(folder / "badnets.yaml")
    assert resolve("badnets").attack.size == 7
    assert resolve("badnets").defenses["nad"].distill.beta == (9, 9, 9)
    assert {"default", "more", "paper"} <= set(list_recipes())


def test_recipe_builds_on_another(folder: Path):
    write(
        folder / "recipes" / "first.yaml",
        """
        defenses: {nad: {distill: {beta: [1, 2, 3], operator: sum}}}
        datasets: {signs: {defenses: {nad: {distill: {beta: [4, 5, 6]}, teacher: {training: {epochs: 7}}}}}}
        """,
    )
    own = write(
        folder / "recipes" / "own.yaml",
        "{based_on: first, defenses: {nad: {distill: {beta: [7, 8, 9]}, teacher: {training: {lr: 0.5}}}}}",
    )
    third = write(
        folder / "third.yml", "based_on: own\ndatasets: {gtsrb: {defenses: {nad: {distill: {beta: [1, 1, 1]}}}}}"
    )
    for recipe, name in (("own", "own"), (str(own), "own"), (str(third), "third")):
        config = resolve("badnets", recipe=recipe)
        nad = config.defenses["nad"]
        assert (config.recipe, nad.distill.beta, nad.distill.operator) == (name, (7, 8, 9), "sum")
        assert (nad.teacher.training.epochs, nad.teacher.training.lr) == (7, 0.5)
    assert resolve("badnets", recipe=str(third), dataset="gtsrb").defenses["nad"].distill.beta == (1, 1, 1)
    assert resolve("badnets", recipe="own", dataset="cifar10").defenses["nad"].teacher.training.epochs != 7


@pytest.mark.parametrize(
    ("based_on", "said"),
    [
        ("own", "recipe own: is based on itself (own on own)"),
        ("other", "recipe own: is based on itself (own on other on own)"),
        ("defalt", "did you mean 'default'?"),
        ("missing.yaml", "missing.yaml: cannot be read"),
        ("[default]", "recipe own: based_on = ['default']: the name of a recipe is wanted"),
    ],
)
def test_recipe_that_builds_on_nothing_is_refused(folder: Path, based_on: str, said: str):
    write(folder / "recipes" / "own.yaml", f"based_on: {based_on}")
    write(folder / "recipes" / "other.yaml", "based_on: own")
    assert said in refused("badnets", recipe="own")


def test_preset_says_its_kind(folder: Path):
    write(folder / "turn.yaml", "attack: {name: badnets, label_rule: all-to-all}")
    write(folder / "quiet.yaml", "attack: {name: badnets, label_rule: clean-label}")
    assert load_preset("turn").kind == "all-to-all"
    assert load_preset("quiet").kind == "clean label"


def test_about_lines_are_no_configuration(folder: Path):
    write(folder / "own.yaml", "title: T\nsource: S\ndescription: D\nattack: {name: sig}")
    assert resolve("own").attack.name == "sig"
    assert not {"title", "source", "description"} & set(load_preset("own").values)


def test_files_that_are_no_presets_are_passed_over(folder: Path):
    for name in ("notes.txt", "Upper.yaml", "-x.yaml", ".hidden.yaml", "sp ace.yaml", "a.yml"):
        write(folder / name, "not: {a preset")
    assert [preset.name for preset in list_presets()] == list(KINDS)


def test_unknown_names_come_with_suggestions(folder: Path):
    write(folder / "own.yaml", "attack: {name: sig}")
    text = refused("badnet")
    assert "unknown preset 'badnet': did you mean 'badnets'?" in text
    assert "own" in text
    assert "did you mean 'paper'?" in refused("badnets", recipe="papr")
    assert "did you mean" not in refused("qqqqqq")
    refused("../recipes/paper")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("attack: {name: badnets", "not valid YAML, line"),
        ("- a\n- b", "a table of fields is wanted"),
        ("", "a table of fields is wanted"),
        ("3: 4", "a table of fields is wanted"),
        ("training: {epochs: 3}", "attack.name must be one of badnets"),
        ("attack: sig", "attack.name must be one of badnets"),
        ("attack: {name: wanet-x}", "attack.name must be one of badnets"),
        ("attack: {name: [sig]}", "attack.name must be one of badnets"),
        ("attack: {name: sig, label_rule: [a]}", "attack.label_rule"),
        ("attack: {name: sig, delta: 9999}", "attack.delta = 9999"),
        ("attack: {name: sig}\ntrainings: {}", "unknown field 'trainings': did you mean training"),
        ("attack: {name: sig}\ndatasets: 5", "datasets"),
        ("attack: {name: sig}\ndatasets: {signs: 5}", "datasets.signs"),
        ("attack: {name: sig}\ndata: 5", "data"),
        ("attack: {name: sig}\ndata: {name: [signs]}", "data.name"),
        ("attack: {name: sig, seed: 2001-99-99}", "not valid YAML"),
        ("attack: {name: sig, seed: !!int x}", "not valid YAML"),
        ("[" * 1000, "not valid YAML"),
    ],
    ids=lambda value: value[:40],
)
def test_broken_preset_is_refused_in_one_line(text: str, said: str, folder: Path):
    write(folder / "own.yaml", text)
    assert said in refused("own")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defenses: [", "not valid YAML, line"),
        ("datasets: [signs]", "datasets"),
        ("data: 5", "data"),
        ("defenses: 5", "defenses"),
        ("defenses: {nad: 5}", "defenses.nad = 5"),
        ("defenses: {nad: {distill: 5}}", "defenses.nad.distill"),
        ("defenses: {nad: {teacher: {training: {lr: fast}}}}", "defenses.nad.teacher.training.lr = 'fast'"),
    ],
)
def test_broken_recipe_is_refused_in_one_line(text: str, said: str, folder: Path):
    write(folder / "recipes" / "mine.yaml", text)
    assert said in refused("badnets", recipe="mine")


def test_file_that_is_no_text_is_refused(folder: Path, tmp_path: Path):
    (write(folder / "own.yaml", "")).write_bytes(b"\xff\xfe\x00")
    assert "preset own: cannot be read" in refused("own")
    assert "cannot be read" in refused("badnets", config_file=tmp_path)
    assert "cannot be read" in refused("badnets", config_file=tmp_path / "absent.yaml")


@pytest.mark.parametrize("tag", ["object/apply:os.system", "object/new:os.system", "object/apply:builtins.exec"])
def test_files_run_no_code(tag: str, folder: Path, tmp_path: Path):
    target = tmp_path / "touched"
    bomb = f"attack: {{name: sig}}\nsuspect: !!python/{tag} ['touch {target}']\n"
    file = write(folder / "own.yaml", bomb)
    write(folder / "recipes" / "mine.yaml", bomb)
    assert "not valid YAML" in refused("own")
    assert "not valid YAML" in refused("sig", recipe="mine")
    assert "not valid YAML" in refused("sig", recipe=str(file))
    assert "not valid YAML" in refused("sig", config_file=file)
    assert not target.exists()
