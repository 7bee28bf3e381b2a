"""What is said of a configuration that is wrong: in one line, near the name that was meant, however large it is."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from engine import attacks, defenses
from engine.config.complaints import explained
from engine.config.layers import merge, parse_override
from engine.config.run import RunConfig, known_fields, validate
from engine.errors import RequestError
from tests.engine.config.asking import message, refused, short, write
from tests.plugins import installed


@pytest.mark.parametrize(
    ("override", "unknown", "suggestion"),
    [
        ("epochs=3", "epochs", "training.epochs"),
        (
            "defenses.nad.teacher.training.epoch=3",
            "defenses.nad.teacher.training.epoch",
            "defenses.nad.teacher.training.epochs",
        ),
        # As a run's defenses hold their settings, the table that is meant has a longer name than it had.
        ("distil.beta=[1]", "distil", "defenses.nad.distill"),
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
    text = refused(None if override.startswith("preset") else "badnets", overrides=[parse_override(override)])
    assert [part for part in said if part not in text] == [], text


def test_newlines_in_keys_and_values_stay_out_of_the_message():
    tables = [{"a\nb": 1}, {"preset": "a\nb"}, {"attack": {"name": "x\ny"}}, {"defenses": {"a\nb": {}}}]
    for values in [*tables, {"attack": {"a\nb": 1}}]:
        with pytest.raises(RequestError) as caught:
            validate(merge({"attack": {"name": "badnets"}}, values))
        assert len(str(caught.value).splitlines()) == 1
    for values in [*tables, {"recipe": "a\nb"}, {"teacher": {"a\nb": 1}}, {"defenses": {"nad": {"a\nb": 1}}}]:
        refused(None, overrides=[{"attack": {"name": "badnets"}}, values])
    refused("badnets", defenses=["a\nb"])


def test_message_says_where_the_configuration_is_from():
    with pytest.raises(RequestError, match=r"^here\.yaml: 'attack' is missing$"):
        validate({}, where="here.yaml")


# Names of before a run was a plan


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("student=models/x.pt", "'student' is now 'suspect'"),
        ("teacher.file=x.pt", "'teacher.file' is now 'defenses.nad.teacher.file'"),
        ("teacher=x.pt", "'teacher' is now 'defenses.nad.teacher'"),
        ("teacher.training.lr=1", "'teacher.training' is now 'defenses.nad.teacher.training'"),
        ("distill.beta=[1, 2, 3]", "'distill.beta' is now 'defenses.nad.distill.beta'"),
        ("distill={}", "'distill' is now 'defenses.nad.distill'"),
    ],
)
def test_old_name_is_refused_with_the_new_one(override: str, said: str):
    assert message(override) == f"configuration: {said}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("student", "'student' is now 'suspect'"),
        ("teacher", "'teacher' is now 'defenses.nad.teacher'"),
        ("distill", "'distill' is now 'defenses.nad.distill'"),
    ],
)
def test_old_name_in_plain_values_is_refused_with_the_new_one(name: str, said: str):
    with pytest.raises(RequestError) as caught:
        validate({"attack": {"name": "badnets"}, name: {}}, where="here.yaml")
    assert str(caught.value) == f"here.yaml: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student: x", "'student' is now 'suspect'"),
        ("distill: {p: 2}", "'distill.p' is now 'defenses.nad.distill.p'"),
        ("datasets: {signs: {teacher: {file: x}}}", "'teacher.file' is now 'defenses.nad.teacher.file'"),
    ],
)
def test_old_name_is_refused_in_whatever_file_it_stands(text: str, said: str, folder: Path, tmp_path: Path):
    write(folder / "own.yaml", f"attack: {{name: sig}}\n{text}")
    recipe = write(folder / "recipes" / "mine.yaml", text)
    given = write(tmp_path / "given.yml", text)
    assert refused("own") == f"preset own: {said}"
    assert refused("sig", recipe="mine") == f"recipe mine: {said}"
    assert refused("sig", recipe=str(recipe)) == f"{recipe}: {said}"
    assert refused("sig", config_file=given) == f"{given}: {said}"


def test_data_set_profile_under_an_old_name_is_refused(folder: Path):
    write(folder / "datasets" / "signs.yaml", "distill: {beta: [1, 2, 3]}")
    assert refused("sig") == "profile of signs: 'distill.beta' is now 'defenses.nad.distill.beta'"


# What is large, or a stranger's


def test_a_few_aliases_that_stand_for_billions_of_items_are_shown_short():
    bomb = ", ".join(
        f"&{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    values = parse_override(f"suspect=[&a [x], {bomb}]")
    with pytest.raises(RequestError, match=r"suspect = \[") as caught:
        validate(merge({"attack": {"name": "badnets"}}, values))
    assert len(str(caught.value)) < 200


def test_known_fields_follow_the_attack():
    blend = known_fields({"attack": {"name": "blend"}})
    assert {
        "attack.alpha",
        "defenses.nad.distill.beta",
        "defenses.nad.teacher.training.schedule.warmup",
        "seed",
    } <= set(blend)
    assert "attack.alpha" not in known_fields({"attack": {"name": "badnets"}})
    assert len(blend) == len(set(blend))


def test_known_fields_are_those_of_every_defense():
    known = known_fields({"attack": {"name": "nobody's"}})
    assert {"defenses.fine-tuning.training.epochs", "defenses.nad.teacher.file", "suspect", "model.taps"} <= set(known)
    assert not {"student", "teacher", "distill"} & set(known)


def test_a_broken_package_is_no_hindrance_to_a_suggestion(tmp_path: Path):
    for group in ("nadtui.attacks", "nadtui.defenses"):
        with installed(tmp_path / group, f"nt-{group[7:]}", group, {"broken": "nt_nowhere:Nothing"}):
            with pytest.raises(RequestError, match=r"unknown field 'data\.nme': did you mean data\.name"):
                validate({"attack": {"name": "broken" if "attacks" in group else "sig"}, "data": {"nme": 3}})
            assert "attack.name" in known_fields({"attack": {"name": "sig"}})


WRONG = ("", "many", -1, 0, 1e300, 1.5, float("nan"), None, True, [], [[]], [1, 2, 3, 4], {"a": 1}, "x" * 300)


def test_nothing_that_is_said_of_a_value_is_pydantics_way_to_put_it():
    """Of every field of every section, attack and defense, given what it may not be."""
    kinds = [RunConfig, *(attacks.settings_class(name) for name in attacks.ATTACKS.names())]
    kinds += defenses.DEFENSES.loaded().values()
    said = set()
    while kinds:
        kind = kinds.pop()
        for name, field in kind.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                kinds.append(field.annotation)
            for value in WRONG:
                with contextlib.suppress(RequestError):
                    said |= complaints(kind, {name: value})
    assert len(said) > 1_000
    assert [each for each in said if " should " in each or "Input" in each or "valid tuple" in each] == []


def complaints(kind: type[BaseModel], values: dict) -> set[str]:
    try:
        kind.model_validate(values)
    except ValidationError as error:
        return {explained(error, values, kind)}
    return set()
