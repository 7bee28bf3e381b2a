"""Layers: what an override's text stands for, and how tables are laid over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.layers import as_yaml, merge, merged, nested, parse_override, read_yaml
from engine.config.run import validate
from engine.errors import RequestError
from tests.engine.config.asking import short

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
        values = parse_override(f"suspect={value}")
        validate(merge({"attack": {"name": "badnets"}}, values))
    except RequestError as error:
        assert len(str(error).splitlines()) == 1


def test_override_runs_no_code(tmp_path: Path):
    target = tmp_path / "touched"
    for tag in ("object/apply:os.system", "object/new:os.system", "object/apply:pathlib.Path.touch"):
        with pytest.raises(RequestError, match="not valid YAML"):
            parse_override(f"suspect=!!python/{tag} ['touch {target}']")
    assert not target.exists()


# Merging


def test_tables_merge_and_everything_else_is_replaced():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 3}
    assert merge(base, {"a": {"y": [9]}, "b": {"z": 1}}) == {"a": {"x": 1, "y": [9]}, "b": {"z": 1}}
    assert merge(base, {"a": 5}) == {"a": 5, "b": 3}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 3}


def test_layers_are_laid_over_each_other_in_their_order():
    layers = [{"a": {"x": 1}, "b": 1}, {"a": {"y": 2}}, {"a": {"x": 3}, "b": None}]
    assert merged(layers) == {"a": {"x": 3, "y": 2}, "b": None}
    assert layers[0] == {"a": {"x": 1}, "b": 1}
    assert merged([]) == {}


def test_a_dotted_field_is_nested_tables():
    assert nested("a.b-c.d", [1]) == {"a": {"b-c": {"d": [1]}}}
    assert nested("a", None) == {"a": None}


@pytest.mark.parametrize("text", ["2001-99-99", "!!int x", "!!bool x", "[" * 1000, "!!python/name:os.system"])
def test_what_yaml_fails_on_is_an_error_of_yaml(text: str):
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", "", "yes", "1", "a: b", [1.0, 2.0], {}])
def test_values_survive_yaml(value):
    assert "\n" not in as_yaml(value)
    assert read_yaml(as_yaml(value)) == value
