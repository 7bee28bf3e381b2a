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

from engine.config.presets import resolve
from engine.config.run import known_fields, merge, parse_override, validate
from engine.errors import RequestError


def short(value: Any) -> str | None:
    """The name of a parameter in a test's name, where the value itself would fill pages."""
    return ascii(value)[:40] if isinstance(value, str) else None


def message(*overrides: str) -> str:
    """The one line that a person gets for these overrides of the badnets preset."""
    with pytest.raises(RequestError) as caught:
        resolve("badnets", overrides=[parse_override(text) for text in overrides])
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert len(text) < 400
    return text


# What is refused, and in which words: the field, what was given, what is allowed.


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs=0", ["training.epochs", "0", "greater than or equal to 1"]),
        ("training.epochs=100000", ["training.epochs", "100000", "less than or equal to 10000"]),
        ("training.epochs=1.5", ["training.epochs", "1.5", "integer"]),
        ("training.epochs=many", ["training.epochs", "'many'", "integer"]),
        ("training.epochs=", ["training.epochs", "None", "integer"]),
        ("training.epochs=[3]", ["training.epochs", "[3]", "integer"]),
        ("training.epochs=yes", ["training.epochs", "True", "not yes/no"]),
        ("training.lr=no", ["training.lr", "False", "not yes/no"]),
        ("seed=true", ["seed", "True", "not yes/no"]),
        ("attack.poisoning_rate=on", ["attack.poisoning_rate", "True", "not yes/no"]),
        ("distill.beta=[yes, 1, 1]", ["distill.beta", "not yes/no"]),
        ("training.schedule.milestones=[yes]", ["training.schedule.milestones", "not yes/no"]),
        ("training.lr=.nan", ["training.lr", "nan", "finite"]),
        ("training.lr=.inf", ["training.lr", "inf", "finite"]),
        ("training.lr=-.inf", ["training.lr", "-inf", "finite"]),
        ("distill.beta=[1, .inf, 1]", ["distill.beta", "inf", "finite"]),
        ("distill.beta=[1, .nan, 1]", ["distill.beta", "nan", "finite"]),
        ("training.lr=0", ["training.lr", "greater than 0"]),
        ("training.lr=101", ["training.lr", "101", "less than or equal to 100"]),
        ("training.momentum=1", ["training.momentum", "less than 1"]),
        ("training.momentum=0", ["training", "nesterov needs a momentum above 0"]),
        ("training.schedule.milestones=[3, 2]", ["training.schedule.milestones", "[3, 2]", "rising"]),
        ("training.schedule.milestones=[0]", ["training.schedule.milestones", "rising"]),
        ("training.schedule.name=linear", ["training.schedule.name", "'linear'", "'one-cycle'", "'cosine'"]),
        ("distill.beta=[-1, 1, 1]", ["distill.beta", "-1", "0 or more"]),
        ("distill.beta=[]", ["distill.beta", "for each tap"]),
        ("distill.operator=median", ["distill.operator", "'median'", "'sum_p'", "'max_p'"]),
        ("distill.p=0", ["distill.p", "greater than or equal to 1"]),
        ("data.clean_fraction=0", ["data.clean_fraction", "greater than 0"]),
        ("data.clean_fraction=1.01", ["data.clean_fraction", "1.01", "less than or equal to 1"]),
        ("data.size=7", ["data.size", "7", "greater than or equal to 8"]),
        ("data.mirror=maybe", ["data.mirror", "'maybe'", "boolean"]),
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
        ("defenses.fine-tuning=3", ["defenses.fine-tuning = 3", "dictionary"]),
        ("defenses.fine-tuning=no", ["defenses.fine-tuning = False", "dictionary"]),
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


@pytest.mark.parametrize(
    ("override", "unknown", "suggestion"),
    [
        ("epochs=3", "epochs", "training.epochs"),
        ("teacher.training.epoch=3", "teacher.training.epoch", "teacher.training.epochs"),
        ("distil.beta=[1]", "distil", "distill"),
        ("data.clean_fractoin=0.1", "data.clean_fractoin", "data.clean_fraction"),
        ("attack.sise=3", "attack.sise", "attack.size"),
        ("defenses.fine-tuning.trainings=3", "defenses.fine-tuning.trainings", "defenses.fine-tuning.training"),
    ],
)
def test_unknown_field_comes_with_a_suggestion(override: str, unknown: str, suggestion: str):
    text = message(override)
    assert f"unknown field '{unknown}'" in text
    assert suggestion in text.partition("did you mean ")[2].rstrip("?").split(" or ")


def test_unknown_field_that_is_near_nothing_comes_without_a_suggestion():
    assert message("zzzzqqqq=3").endswith("unknown field 'zzzzqqqq'")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("attack.name=badnet", ["'badnet'", "did you mean 'badnets'", "sig"]),
        ("data.name=cifar", ["'cifar'", "did you mean cifar10", "gtsrb"]),
        ("data.name=./nowhere.npz", ["./nowhere.npz", "no such file"]),
        ("data.name=~nobody-of-that-name/x", ["~nobody-of-that-name/x", "no such file"]),
        ("data.name=" + "x" * 5000, ["unknown data set"]),
        ("model.name=wrn-17-1", ["wrn-17-1", "wrn-DEPTH-WIDTH"]),
        ("defenses.fine-tunning={}", ["fine-tunning", "did you mean 'fine-tuning'"]),
        ("preset=badnet", ["'badnet'", "did you mean 'badnets'"]),
        ("recipe=papper", ["'papper'", "did you mean 'paper'"]),
    ],
    ids=short,
)
def test_unknown_name_comes_with_a_suggestion(override: str, said: list[str]):
    with pytest.raises(RequestError) as caught:
        resolve(None if override.startswith("preset") else "badnets", overrides=[parse_override(override)])
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert [part for part in said if part not in text] == [], text


def test_newlines_in_keys_and_values_stay_out_of_the_message():
    tables = [{"a\nb": 1}, {"preset": "a\nb"}, {"attack": {"name": "x\ny"}}, {"defenses": {"a\nb": {}}}]
    for values in [*tables, {"attack": {"a\nb": 1}}]:
        with pytest.raises(RequestError) as caught:
            validate(merge({"attack": {"name": "badnets"}}, values))
        assert len(str(caught.value).splitlines()) == 1


def test_message_says_where_the_configuration_is_from():
    with pytest.raises(RequestError, match=r"^here\.yaml: 'attack' is missing$"):
        validate({}, where="here.yaml")


def test_all_to_all_has_no_target():
    text = message("attack.label_rule=all-to-all", "attack.target=2")
    assert "all-to-all has no target class" in text


def test_sections_are_frozen():
    config = resolve("badnets")
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 3
    with pytest.raises(ValueError, match="frozen"):
        config.attack.target = 3


# Overrides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=3", {"seed": 3}),
        ("a.b.c=[1, 2.5]", {"a": {"b": {"c": [1, 2.5]}}}),
        (" a.b =x", {"a": {"b": "x"}}),
        ("name=a=b", {"name": "a=b"}),
        ("name=", {"name": None}),
        ("name='3'", {"name": "3"}),
        ("fine-tuning.x={y: no}", {"fine-tuning": {"x": {"y": False}}}),
    ],
)
def test_override_is_yaml_under_a_dotted_name(text: str, expected: dict[str, Any]):
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["", "seed", "=3", "a..b=3", ".a=3", "a.=3", "3a=1", "a b=1", "a\nb=1"])
def test_override_without_a_name_or_an_equals_sign_is_refused(text: str):
    with pytest.raises(RequestError, match="FIELD=VALUE") as caught:
        parse_override(text)
    assert len(str(caught.value).splitlines()) == 1


HOSTILE = [
    "[1",
    "{a: b: c}",
    "'",
    "&",
    "*x",
    "%",
    "@",
    "\x00",
    "2001-99-99",
    "2001-01-01 99:99:99",
    "!!int x",
    '!!int ""',
    "!!float x",
    "!!timestamp x",
    "!!bool x",
    "!!binary '*'",
    "!!set [1]",
    "!!omap 3",
    "!!python/object/apply:os.getcwd []",
    "!!python/name:os.system",
    "!x 3",
    "{[1]: 2}",
    "{{}: 2}",
    "? [a, b]\n: 3",
    "0b_",
    "0x_",
    "._",
    "9" * 5000,
    "[" * 1000,
    "a\n--- b",
    "\ud800",
]


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=40)
    | st.text(max_size=20).map("a.b={}".format)
    | st.lists(st.sampled_from([*"[]{}:,-?&*!|>'\"%@#~ \n019", "a", "!!int", "<<", "0x", "2001-"]), max_size=12).map(
        lambda parts: "a=" + "".join(parts)
    )
)
def test_any_text_is_an_override_or_refused(text: str):
    try:
        assert isinstance(parse_override(text), dict)
    except RequestError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("value", HOSTILE, ids=short)
def test_hostile_yaml_is_a_value_or_refused(value: str):
    try:
        values = parse_override(f"student={value}")
        validate(merge({"attack": {"name": "badnets"}}, values))
    except RequestError as error:
        assert len(str(error).splitlines()) == 1


def test_a_few_aliases_that_stand_for_billions_of_items_are_shown_short():
    bomb = ", ".join(
        f"&{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    values = parse_override(f"student=[&a [x], {bomb}]")
    with pytest.raises(RequestError, match=r"student = \[") as caught:
        validate(merge({"attack": {"name": "badnets"}}, values))
    assert len(str(caught.value)) < 200


def test_override_runs_no_code(tmp_path: Path):
    target = tmp_path / "touched"
    for tag in ("object/apply:os.system", "object/new:os.system", "object/apply:pathlib.Path.touch"):
        with pytest.raises(RequestError, match="not valid YAML"):
            parse_override(f"student=!!python/{tag} ['touch {target}']")
    assert not target.exists()


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


# Merging


def test_tables_merge_and_everything_else_is_replaced():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 3}
    assert merge(base, {"a": {"y": [9]}, "b": {"z": 1}}) == {"a": {"x": 1, "y": [9]}, "b": {"z": 1}}
    assert merge(base, {"a": 5}) == {"a": 5, "b": 3}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 3}


# The whole, written down


def test_round_trip_through_yaml_with_everything_off_its_default(tmp_path: Path):
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
                "student=\"models/größe: 'a'\\n.safetensors\"",
                "teacher=no.safetensors",
                "distill.beta=[0, 1e-07, 12345.678]",
                "training.weight_decay=1e-5",
                "defenses.fine-tuning={training: {epochs: 3}, objective: {mixup: 0.2, anchor: {weight: 1}}}",
                "data.train_images=77",
            )
        ],
    )
    assert config.teacher.file == "no.safetensors"
    assert config.defenses["fine-tuning"].training.epochs == 3
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    again = resolve(None, config_file=file)
    assert again == config
    assert again.to_yaml() == config.to_yaml()
    assert again.sha256() == config.sha256()
    assert type(again.attack) is type(config.attack)
    assert type(again.defenses["fine-tuning"]) is type(config.defenses["fine-tuning"])


def test_digest_depends_on_values_and_not_on_order():
    config = resolve("badnets")
    turned = dict(reversed(list(config.to_dict().items())))
    assert validate(turned).sha256() == config.sha256()
    assert resolve("badnets", overrides=[{"seed": 1}]).sha256() != config.sha256()


def test_attack_seed_is_the_runs_unless_it_has_its_own():
    assert resolve("badnets", overrides=[{"seed": 4}]).attack_seed == 4
    assert resolve("badnets", overrides=[{"seed": 4, "attack": {"seed": 0}}]).attack_seed == 0


def test_known_fields_follow_the_attack():
    blend = known_fields({"attack": {"name": "blend"}})
    assert {"attack.alpha", "distill.beta", "teacher.training.schedule.warmup", "seed"} <= set(blend)
    assert "attack.alpha" not in known_fields({"attack": {"name": "badnets"}})
    assert len(blend) == len(set(blend))


def test_configuration_is_put_together_without_loading_torch():
    code = (
        "import sys, engine.config.run, engine.config.presets, engine.events, engine.control\n"
        "engine.config.presets.list_presets()\n"
        "engine.config.presets.resolve('blend', recipe='paper', overrides=[{'seed': 3}]).to_yaml()\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
