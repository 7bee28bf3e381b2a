"""What each field shapes: nobody forgot to say so, and every key is made of exactly the fields that it stands for."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel

from engine.attacks import ATTACKS
from engine.config.layers import merge, nested
from engine.config.run import RunConfig, validate
from engine.config.shapes import ALL, declared, shaping, undeclared
from engine.defenses import DEFENSES
from engine.errors import RequestError
from engine.settings import Section, Shapes

FINGERPRINT, DEVICE, NETWORK = "the images' fingerprint", "what it comes to", "its identity"


@cache
def config_of(attack: str) -> RunConfig:
    """A configuration with every defense, and with a seed of the attack's own."""
    few = {"reflections": 10} if attack == "refool" else {}  # so few that some of them may be chosen
    return validate({"attack": {"name": attack, "seed": 3, **few}, "defenses": dict.fromkeys(DEFENSES)})


# What is declared


def test_every_field_of_the_configuration_says_what_it_shapes():
    assert list(undeclared(RunConfig)) == []


@pytest.mark.parametrize(
    ("registry", "holder"), [(ATTACKS, "attack"), (DEFENSES, "defenses")], ids=["attacks", "defenses"]
)
def test_every_field_of_every_attack_and_defense_says_what_it_shapes(registry: Mapping[str, Any], holder: str):
    above = declared(RunConfig.model_fields[holder])
    assert above is not None
    for name in registry:
        assert list(undeclared(registry.get(name), f"{name}.", above)) == []


class Inner(Section):
    told: Annotated[int, Shapes("nothing")] = 1
    forgotten: int = 2


class Outer(Section):
    section: Inner = Inner()
    covered: Annotated[Inner, Shapes("measurement")] = Inner()
    one: Annotated[int, Shapes("defense")] = 3
    other: int = 4
    perhaps: Inner | None = None


def test_a_forgotten_field_is_found_by_name():
    assert list(undeclared(Outer)) == ["section.forgotten", "other", "perhaps"]
    assert list(undeclared(Outer, "x.", Shapes("suspect"))) == []


def test_a_forgotten_field_counts_as_shaping_the_suspect():
    values = shaping(Outer(), ("suspect",))
    assert values == {"section": {"forgotten": 2}, "other": 4, "perhaps": None}
    assert shaping(Outer(perhaps=Inner()), ("suspect",))["perhaps"] == {"forgotten": 2}


def test_a_field_says_otherwise_than_the_section_above_it():
    assert shaping(Outer(), ("measurement",)) == {"covered": {"forgotten": 2}}
    assert shaping(Outer(), ("nothing",)) == {"section": {"told": 1}, "covered": {"told": 1}}
    assert shaping(Outer(), ("defense",)) == {"one": 3}


def test_fields_shape_what_they_are_known_to():
    fields = dict(leaves(config_of("badnets")))
    by_kind: dict[str, set[str]] = {}
    for path, shapes in fields.items():
        by_kind.setdefault(shapes.what, set()).add(path)
    assert by_kind["nothing"] == {"preset", "recipe", "threads"}
    kept = {f"evaluation.{name}" for name in ("every", "images", "samples", "shadow", "verify")}
    assert by_kind["measurement"] == kept
    of_defenses = {path for path in fields if path.startswith("defenses.")}
    assert by_kind["defense"] - of_defenses == {
        *("seed", "model.taps"),
        *("data.clean_fraction", "data.stratified", "data.clean_from", "data.clean_shift"),
    }
    assert of_defenses <= by_kind["defense"]
    assert {path: shapes.through for path, shapes in fields.items() if shapes.through} == {
        "device": DEVICE,
        "precision": DEVICE,
        "data.name": FINGERPRINT,
        "data.size": FINGERPRINT,
        "data.train_images": FINGERPRINT,
        "data.test_images": FINGERPRINT,
        "model.name": NETWORK,
    }


# What the keys are made of: every field in turn gets another value, whatever fields there are


def leaves(section: BaseModel, prefix: str = "", above: Shapes | None = None) -> Iterator[tuple[str, Shapes]]:
    """The dotted name of every value in a section, with what it was declared to shape."""
    for name, field in type(section).model_fields.items():
        value, own = getattr(section, name), declared(field) or above
        inner = value if isinstance(value, Mapping) else {"": value}
        for key, each in inner.items():
            path = f"{prefix}{name}.{key}".rstrip(".")
            if isinstance(each, BaseModel):
                yield from leaves(each, f"{path}.", own)
            else:
                assert own is not None, path
                yield path, own


def literals(section: type[BaseModel]) -> Iterator[Any]:
    """Every word and number that a field of a section, or of one below it, may literally be."""
    for field in section.model_fields.values():
        yield from _literals(field.annotation)


def _literals(kind: Any) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from literals(kind)
    for each in get_args(kind):
        if isinstance(each, str | int):
            yield each
        else:
            yield from _literals(each)


NAMES = ["other", "wrn-16-2", "cifar10", "elsewhere.safetensors"]


def others(value: Any, known: list[Any]) -> Iterator[Any]:
    """Values of the same kind that might be allowed in a value's place."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, value // 2, value / 2, value * 2, 0.5, *known)
    elif isinstance(value, str):
        yield from known
    elif isinstance(value, list):
        yield from (value[:-1], [*value, *value[-1:]])
        for number, item in enumerate(value):
            yield from ([*value[:number], other, *value[number + 1 :]] for other in others(item, known))
    else:
        yield from (1, [1], ["other"], *known)


def value_at(values: Mapping[str, Any], path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


def changed(config: RunConfig, path: str, known: list[Any]) -> RunConfig | None:
    """The configuration with another value in one place, or None where nothing else is allowed there."""
    values = config.to_dict()
    old = value_at(values, path)
    for other in others(old, known):
        try:
            found = validate(merge(copy.deepcopy(values), nested(path, other)))
        except RequestError:
            continue
        if value_at(found.to_dict(), path) != old:
            return found
    return None


def stuck(config: RunConfig, paths: Mapping[str, Shapes]) -> set[str]:
    """Change each field in turn, and look which keys tell of it; the fields in whose place nothing else is allowed."""
    sections = (RunConfig, type(config.attack), *map(type, config.defenses.values()))
    known = [*dict.fromkeys(each for section in sections for each in literals(section)), *NAMES]
    found = set()
    for path, shapes in paths.items():
        other = changed(config, path, known)
        if other is None:
            found.add(path)
            continue
        keyed = shapes.what == "suspect" and not shapes.through
        assert (other.suspect_shapers() != config.suspect_shapers()) is keyed, path
        assert (other.sha256() != config.sha256()) is (shapes.what != "nothing"), path
    return found


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_keys_hold_the_fields_that_shape_and_no_others(attack: str):
    few = {"reflections": 10} if attack == "refool" else {}  # so few that some of them may be chosen
    config = validate({"attack": {"name": attack, "seed": 3, **few}, "defenses": {}})
    # Without a trigger nothing is poisoned or verified, and one that learns with the model bears no mixup.
    unmarked = set() if config.attack.marks else {"attack.label_rule", "attack.poisoning_rate", "evaluation.verify"}
    learning = {"training.mixup"} if config.attack.learns else set()
    assert stuck(config, dict(leaves(config))) == {"attack.name"} | unmarked | learning


@pytest.mark.parametrize("defense", list(DEFENSES))
def test_keys_hold_what_shapes_a_defense(defense: str):
    config = validate({"attack": {"name": "badnets", "seed": 3}, "defenses": {defense: None}})
    of_it = {path: shapes for path, shapes in leaves(config) if path.startswith("defenses.")}
    assert of_it
    assert stuck(config, of_it) == set()


def test_another_attack_is_another_key():
    keys = [config_of(name).suspect_shapers() for name in ATTACKS]
    assert all(one != other for number, one in enumerate(keys) for other in keys[:number])
    digests = {config_of(name).sha256() for name in ATTACKS}
    assert len(digests) == len(ATTACKS)


def test_another_choice_of_defenses_is_another_digest_and_the_same_suspect():
    chosen = [validate({"attack": {"name": "sig"}, "defenses": dict.fromkeys(names)}) for names in CHOICES]
    assert len({config.sha256() for config in chosen}) == len(CHOICES)
    assert all(config.suspect_shapers() == chosen[0].suspect_shapers() for config in chosen)


CHOICES = [[], ["nad"], ["fine-tuning"], ["nad", "fine-tuning"]]


def test_seed_shapes_the_suspect_where_the_attack_has_none_of_its_own():
    # `seed` is declared to shape defenses: of the suspect's key the attack's seed is a part, whichever it is.
    own = [validate({"attack": {"name": "sig", "seed": 3}, "seed": seed}) for seed in (0, 1)]
    runs = [validate({"attack": {"name": "sig"}, "seed": seed}) for seed in (3, 4)]
    assert own[0].suspect_shapers() == own[1].suspect_shapers() == runs[0].suspect_shapers()
    assert runs[0].suspect_shapers() != runs[1].suspect_shapers()
    assert runs[1].suspect_shapers()["attack"]["seed"] == 4


def test_names_and_threads_change_no_digest():
    config = config_of("badnets")
    renamed = validate(merge(config.to_dict(), {"preset": "mine", "recipe": "Mine.2", "threads": 7}))
    assert renamed.sha256() == config.sha256()
    assert renamed != config


def test_a_suspect_without_an_attack_has_a_key_and_a_digest():
    config = validate({"attack": None, "suspect": "x.safetensors"})
    assert config.suspect_shapers()["attack"] is None
    assert config.sha256() != validate({"attack": None, "suspect": "y.safetensors"}).sha256()


def test_what_shapes_a_figure_is_in_plain_types():
    def check(value: Any) -> None:
        match value:
            case dict():
                assert all(isinstance(key, str) for key in value)
                for each in value.values():
                    check(each)
            case list() | tuple():
                for each in value:
                    check(each)
            case float():
                assert math.isfinite(value)
            case _:
                assert value is None or type(value) in (str, int, bool), value

    for attack in ATTACKS:
        check(shaping(config_of(attack), ALL))


def test_what_a_literal_may_be_is_found():
    # The test of the keys is of no use where it finds no other value; this is what it finds them by.
    class Told(Section):
        word: Literal["one", "two"] = "one"
        maybe: Literal[3] | None = None

    assert list(literals(Told)) == ["one", "two", 3]
