"""The configuration: what is refused, in which words, and that a recorded one says everything."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.config.layers import merge, parse_override
from engine.config.presets import resolve
from engine.config.run import known_fields, validate
from engine.errors import RequestError
from tests.engine.config.asking import message, refused, short

# What is refused, and in which words: the field, what was given, what is allowed.


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs=0", ["training.epochs", "0", "greater than or equal to 1"]),
        ("training.epochs=100000", ["training.epochs", "100000", "less than or equal to 10000"]),
        ("training.epochs=1.5", ["training.epochs", "1.5", "a whole number is wanted"]),
        ("training.epochs=many", ["training.epochs", "'many'", "a whole number is wanted"]),
        ("training.epochs=", ["training.epochs", "None", "a whole number is wanted"]),
        ("training.epochs=[3]", ["training.epochs", "[3]", "a whole number is wanted"]),
        ("training.epochs=yes", ["training.epochs", "True", "not yes/no"]),
        ("training.lr=no", ["training.lr", "False", "not yes/no"]),
        ("seed=true", ["seed", "True", "not yes/no"]),
        ("attack.poisoning_rate=on", ["attack.poisoning_rate", "True", "not yes/no"]),
        ("defenses.nad.distill.beta=[yes, 1, 1]", ["defenses.nad.distill.beta", "not yes/no"]),
        ("training.schedule.milestones=[yes]", ["training.schedule.milestones", "not yes/no"]),
        ("training.lr=.nan", ["training.lr", "nan", "finite"]),
        ("training.lr=.inf", ["training.lr", "inf", "finite"]),
        ("training.lr=-.inf", ["training.lr", "-inf", "finite"]),
        ("defenses.nad.distill.beta=[1, .inf, 1]", ["defenses.nad.distill.beta", "inf", "finite"]),
        ("defenses.nad.distill.beta=[1, .nan, 1]", ["defenses.nad.distill.beta", "nan", "finite"]),
        ("training.lr=0", ["training.lr", "greater than 0"]),
        ("training.lr=101", ["training.lr", "101", "less than or equal to 100"]),
        ("training.momentum=1", ["training.momentum", "less than 1"]),
        ("training.momentum=0", ["training", "nesterov needs a momentum above 0"]),
        ("training.schedule.milestones=[3, 2]", ["training.schedule.milestones", "[3, 2]", "rising"]),
        ("training.schedule.milestones=[0]", ["training.schedule.milestones", "rising"]),
        ("training.schedule.name=linear", ["training.schedule.name", "'linear'", "'one-cycle'", "'cosine'"]),
        ("defenses.nad.distill.beta=[-1, 1, 1]", ["defenses.nad.distill.beta", "-1", "0 or more"]),
        ("defenses.nad.distill.beta=[]", ["defenses.nad.distill.beta", "for each tap"]),
        ("defenses.nad.distill.beta={}", ["defenses.nad.distill.beta = {}", "for each tap"]),
        ("defenses.nad.distill.beta=-1", ["defenses.nad.distill.beta = -1", "0 or more"]),
        ("defenses.nad.distill.beta=many", ["defenses.nad.distill.beta = 'many'", "number"]),
        ("defenses.nad.distill.beta=yes", ["defenses.nad.distill.beta = True", "not yes/no"]),
        ("defenses.nad.distill.beta=.nan", ["defenses.nad.distill.beta = nan", "finite"]),
        ("defenses.nad.distill.beta=[[1]]", ["defenses.nad.distill.beta.0 = [1]", "number"]),
        ("defenses.nad.distill.beta={group1: yes}", ["defenses.nad.distill.beta.group1 = True", "not yes/no"]),
        ("defenses.nad.distill.beta={group1: -1}", ["defenses.nad.distill.beta", "-1", "0 or more"]),
        ("defenses.nad.distill.beta={others: .inf}", ["defenses.nad.distill.beta.others = inf", "finite"]),
        ("defenses.nad.distill.operator=median", ["defenses.nad.distill.operator", "'median'", "'sum_p'", "'max_p'"]),
        ("defenses.nad.distill.p=0", ["distill.p", "greater than or equal to 1"]),
        ("data.clean_fraction=0", ["data.clean_fraction", "greater than 0"]),
        ("data.clean_fraction=1.01", ["data.clean_fraction", "1.01", "less than or equal to 1"]),
        ("data.size=7", ["data.size", "7", "greater than or equal to 8"]),
        ("data.mirror=maybe", ["data.mirror", "'maybe'", "true or false"]),
        ("seed=-1", ["seed", "-1", "greater than or equal to 0"]),
        ("seed=9223372036854775808", ["seed", "9223372036854775808", "less than"]),
        ("device=tpu", ["device", "'tpu'", "'auto'", "'cuda'"]),
        ("precision=fp16", ["precision", "'fp16'", "'bf16'"]),
        ("threads=0", ["threads", "0", "greater than or equal to 1"]),
        ("attack.target=-1", ["attack.target", "-1", "greater than or equal to 0"]),
        ("attack.poisoning_rate=2", ["attack.poisoning_rate", "2", "less than or equal to 1"]),
        ("attack=badnets", ["attack", "'badnets'"]),
        ("data=cifar10", ["data", "'cifar10'", "table"]),
        ("data.name=[cifar10]", ["data.name", "['cifar10']"]),
        ("data.name=3", ["data.name", "3", "string"]),
        ("training=3", ["training", "3"]),
        ("defenses=[fine-tuning]", ["defenses", "table"]),
        ("defenses.nad=3", ["defenses.nad = 3", "a table of fields"]),
        ("defenses.nad.teacher=3", ["defenses.nad.teacher = 3", "a table of fields"]),
        ("suspect=", ["suspect", "None", "string"]),
        ("suspect=zoo:badnets-1", ["the zoo has no suspect 'badnets-1'", "badnets-cifar10-0", "nadtui zoo"]),
        ("attack=", ["without an attack nothing makes the suspect", "--suspect FILE"]),
        ("model.taps=group1", ["model.taps = 'group1'", "a list is wanted"]),
        ("model.taps=[yes]", ["model.taps", "not yes/no"]),
        ("defenses.fine-tuning=3", ["defenses.fine-tuning = 3", "a table of fields"]),
        ("defenses.fine-tuning=no", ["defenses.fine-tuning = False", "a table of fields"]),
        ("defenses.fine-tuning.training.lr=0", ["defenses.fine-tuning.training.lr = 0", "greater than 0"]),
        ("defenses.fine-tuning.training.lr=no", ["defenses.fine-tuning.training.lr = False", "not yes/no"]),
        ("defenses.fine-tuning.training.momentum=0", ["defenses.fine-tuning.training = ", "nesterov"]),
        ("evaluation.samples=33", ["evaluation.samples", "33", "less than or equal to 32"]),
        ("training.lr=" + "x" * 500, ["training.lr", "...", "number"]),
        ("training.epochs=0x" + "f" * 5000, ["training.epochs", "less than or equal to 10000"]),
    ],
    ids=short,
)
def test_value_that_is_refused(override: str, said: list[str]):
    text = message(override)
    assert [part for part in said if part not in text] == [], text


def test_mixup_is_refused_where_the_trigger_learns_with_the_model():
    # The joint training of model and trigger mixes nothing: the setting would be passed over without a word.
    with pytest.raises(RequestError, match=r"training = .*: mixup must be 0 for dynamic"):
        resolve("dynamic", overrides=[parse_override("training.mixup=0.5")])
    assert resolve("sig", overrides=[parse_override("training.mixup=0.5")]).training.mixup == 0.5


def test_all_to_all_has_no_target():
    text = message("attack.label_rule=all-to-all", "attack.target=2")
    assert "all-to-all has no target class" in text


def test_sections_are_frozen():
    config = resolve("badnets")
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 3
    with pytest.raises(ValueError, match="frozen"):
        config.attack.target = 3


# Arbitrary tables

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["badnets", "sig", "fine-tuning", "signs", "wrn-16-1", "one-cycle", "~x", "a/b", "all-to-all"])
    | st.dates()
    | st.binary(max_size=4)
    | st.just(10**400)
)
PARTS = sorted({part for name in known_fields({"attack": {"name": "blend"}}) for part in name.split(".")})
KEYS = st.sampled_from(PARTS) | st.sampled_from(["datasets", "title", "fine-tuning"]) | st.text(max_size=4)
TABLES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers() | st.none(), inner, max_size=3),
    max_leaves=8,
)


def fitted(fields: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A table with wild values at known places, so that they get past the names."""

    def nested(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in pairs:
            for part in reversed(name.split(".")):
                value = {part: value}
            values = merge(values, value)
        return values

    return st.lists(st.tuples(st.sampled_from(fields), TABLES), max_size=3).map(nested)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, TABLES, max_size=4) | fitted(known_fields({"attack": {"name": "blend"}})))
@example({"data": {"name": "~nobody"}})
@example({"data": {"name": "x" * 5000}})
@example({"data": {"name": "\x00"}})
@example({"data": {"name": "\ud800"}})
@example({"attack": {"name": ["badnets"]}})
@example({"attack": {"name": {"a": 1}}})
@example({"defenses": {3: None}})
@example({"defenses": {"fine-tuning": {"training": {"lr": math.nan}}}})
@example({"training": {"lr": 10**400}})
def test_any_table_is_a_configuration_or_refused_in_one_line(values: dict[str, Any]):
    for table in (values, merge({"attack": {"name": "blend"}}, values)):
        try:
            config = validate(table)
        except RequestError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert validate(yaml.safe_load(config.to_yaml())) == config


# The whole, written down


@pytest.mark.parametrize(
    "beta", ["[0, 1e-07, 12345.678]", "0.25", "{block1: 0, 'yes': 1e-07, others: 12345.678}", "null"]
)
def test_round_trip_through_yaml_with_everything_off_its_default(beta: str, tmp_path: Path):
    config = resolve(
        "blend",
        dataset="cifar10",
        recipe="paper",
        overrides=[
            parse_override(text)
            for text in (
                "seed=9223372036854775807",
                "attack.seed=3",
                "attack.alpha=0.1",
                "threads=2",
                "suspect=\"models/größe: 'a'\\n.safetensors\"",
                "model.taps=[block1, block2.layer.0]",
                "defenses.nad.teacher=no.safetensors",
                f"defenses.nad.distill.beta={beta}",
                "training.weight_decay=1e-5",
                "defenses.fine-tuning={training: {epochs: 3}, objective: {mixup: 0.2, anchor: {weight: 1}}}",
                "data.train_images=77",
            )
        ],
        defenses=["fine-tuning", "nad"],
    )
    # A defense's settings are its own: what was `teacher` is the teacher of the defense nad.
    assert config.defenses["nad"].teacher.file == str(Path("no.safetensors").absolute())
    assert list(config.defenses) == ["fine-tuning", "nad"]
    assert config.defenses["fine-tuning"].training.epochs == 3
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    again = resolve(None, config_file=file)
    assert again == config
    assert list(again.defenses) == list(config.defenses)
    assert again.to_yaml() == config.to_yaml()
    assert again.sha256() == config.sha256()
    assert type(again.attack) is type(config.attack)
    assert type(again.defenses["fine-tuning"]) is type(config.defenses["fine-tuning"])
    assert type(again.defenses["nad"].distill.beta) is type(config.defenses["nad"].distill.beta)


def test_digest_depends_on_values_and_not_on_order():
    config = resolve("badnets")
    turned = dict(reversed(list(config.to_dict().items())))
    assert validate(turned).sha256() == config.sha256()
    assert resolve("badnets", overrides=[{"seed": 1}]).sha256() != config.sha256()


def test_attack_seed_is_the_runs_unless_it_has_its_own():
    assert resolve("badnets", overrides=[{"seed": 4}]).attack_seed == 4
    assert resolve("badnets", overrides=[{"seed": 4, "attack": {"seed": 0}}]).attack_seed == 0


# The suspect and its attack


def test_suspect_from_a_file_may_come_without_an_attack():
    config = validate({"attack": None, "suspect": "models/x.pt"})
    file = str(Path("models/x.pt").absolute())
    assert (config.attack, config.suspect, config.suspect_file) == (None, file, file)
    assert config.attack_seed == config.seed
    assert validate(config.to_dict()) == config
    assert resolve(None, overrides=[{"suspect": "models/x.pt"}]).attack is None


def test_suspect_is_trained_unless_it_comes_from_a_file():
    config = resolve("badnets")
    assert (config.suspect, config.suspect_file) == ("trained", None)
    given = resolve("badnets", overrides=[{"suspect": "x.pt"}])
    assert (given.attack.name, given.suspect_file) == ("badnets", str(Path("x.pt").absolute()))


@pytest.mark.parametrize("suspect", [{}, {"suspect": "trained"}])
def test_without_an_attack_the_suspect_must_be_given(suspect: dict[str, str]):
    with pytest.raises(RequestError, match=r"without an attack nothing makes the suspect.*--suspect FILE"):
        validate({"attack": None, **suspect})
    assert "no attack" in refused(None, overrides=[{"seed": 1}])


# Weights of NAD's taps


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (None, None),
        ("null", None),
        ("0.5", 0.5),
        ("[1, 2]", (1.0, 2.0)),
        ("[0, '3e2']", (0.0, 300.0)),
        ("{group1: 0, others: 2}", {"group1": 0.0, "others": 2.0}),
    ],
)
def test_beta_is_none_a_number_a_list_or_a_table(beta: str | None, expected: object):
    overrides = [] if beta is None else [parse_override(f"defenses.nad.distill.beta={beta}")]
    assert resolve("badnets", overrides=overrides).defenses["nad"].distill.beta == expected


def test_configuration_is_put_together_without_loading_torch():
    code = (
        "import sys, engine.config.run, engine.config.presets, engine.events, engine.control\n"
        "engine.config.presets.list_presets()\n"
        "engine.config.presets.resolve('blend', recipe='paper', overrides=[{'seed': 3}]).to_yaml()\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
