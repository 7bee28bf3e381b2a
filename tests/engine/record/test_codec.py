"""The lines of the record: every event survives the way to JSON and back, and nothing else gets in."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import types
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import AttentionHealth, Evaluation, Event, Message, SampleShown, Step
from engine.figures import Metrics, TapHealth
from engine.record.codec import decode, encode
from tests.scripted_run import run_started

KINDS = Event.__subclasses__()

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WHOLE = st.integers(-(2**70), 2**70)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBER = FINITE | st.just(math.nan)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SIMPLE = {int: WHOLE, float: NUMBER, str: TEXT, bool: st.booleans(), bytes: st.binary(max_size=20), Any: JSON}
SIMPLE[types.NoneType] = st.none()


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """All values of a type, as the dataclasses annotate their fields."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if dataclasses.is_dataclass(kind):
        return st.builds(kind, **{name: values_of(hint) for name, hint in fields_of(kind).items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is types.UnionType:
        return st.one_of(*map(values_of, arguments))
    assert origin is dict, kind
    return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)


def fields_of(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, name), getattr(other, name)) for name in fields_of(type(one)))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is not JSON")


METRICS = Metrics(
    images=10,
    eligible=0,
    acc=90.0,
    asr=math.nan,
    ra=math.nan,
    base=math.nan,
    acc_ci=(59.6, 98.2),
    asr_ci=(math.nan, math.nan),
    ra_ci=(math.nan, math.nan),
    base_ci=(math.nan, math.nan),
    class_acc=(100.0, math.nan, 80.0),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_round_trip(kind: type[Event]):
    @settings(max_examples=25, deadline=None)
    @given(values_of(kind))
    def survives(event: Event) -> None:
        line = encode(event)
        assert "\n" not in line
        assert json.loads(line, parse_constant=refuse)["kind"] == kind.kind
        assert same(decode(line), event)

    survives()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_null_in_the_line_and_nan_when_read(value: float):
    step = Step(
        stage="nad", epoch=1, step=1, loss=value, parts={"ce": value, "anchor": 2.5}, lr=0.1, images_per_second=1.0
    )
    values = json.loads(encode(step), parse_constant=refuse)
    assert values["loss"] is None
    assert values["parts"] == {"ce": None, "anchor": 2.5}
    read = decode(encode(step))
    assert isinstance(read, Step)
    assert math.isnan(read.loss)
    assert math.isnan(read.parts["ce"])
    assert read.parts["anchor"] == 2.5


def test_metrics_without_eligible_images_survive():
    event = Evaluation(stage="nad", epoch=1, step=3, metrics=METRICS, seq=4, time=1.5)
    line = encode(event)
    assert json.loads(line)["metrics"]["class_acc"] == [100.0, None, 80.0]
    read = decode(line)
    assert same(read, event)
    assert read.metrics.balanced_acc == 90.0


def test_bytes_are_base64():
    event = SampleShown(
        sample=0, index=3, label=1, height=1, width=1, clean=bytes([0, 128, 255]), triggered=b"\xff\x00\n"
    )
    values = json.loads(encode(event))
    assert base64.b64decode(values["clean"]) == bytes([0, 128, 255])
    assert decode(encode(event)) == event


def test_taps_come_back_as_dataclasses():
    tap = TapHealth(tap="group3", height=8, width=8, beta=1000.0, loss=0.5, share=0.25, gradient=2.0)
    read = decode(encode(AttentionHealth(stage="nad", epoch=0, taps=(tap, tap))))
    assert isinstance(read, AttentionHealth)
    assert read.taps == (tap, tap)


def test_kinds_of_a_newer_version_are_skipped():
    assert decode('{"kind":"hologram","seq":3,"depth":[1,2]}') is None


def test_fields_of_a_newer_version_are_dropped_also_inside():
    values = json.loads(encode(Evaluation(stage="nad", epoch=1, step=3, metrics=METRICS)))
    values["mood"] = "hopeful"
    values["metrics"]["karma"] = [1, None]
    assert same(decode(json.dumps(values)), Evaluation(stage="nad", epoch=1, step=3, metrics=METRICS))


def test_fields_with_defaults_may_be_absent_and_others_may_not():
    assert decode('{"kind":"message","text":"hello"}') == Message(text="hello")
    with pytest.raises(ValueError, match="Message"):
        decode('{"kind":"message","level":"info"}')


def test_every_torn_line_is_refused():
    line = encode(Evaluation(stage="naïve", epoch=1, step=3, metrics=METRICS))
    for length in range(len(line)):
        with pytest.raises(ValueError):
            decode(line[:length])


@pytest.mark.parametrize(
    "line",
    [
        "null",
        "[]",
        "3",
        '"step"',
        "{}",
        '{"kind":3}',
        '{"kind":["step"]}',
        "[" * 100_000,
        '{"kind":"message","text":3}',
        '{"kind":"message","text":"x","seq":"first"}',
        '{"kind":"message","text":"x","seq":1.5}',
        '{"kind":"message","text":"x","seq":true}',
        '{"kind":"message","text":"x","time":"noon"}',
        '{"kind":"run-paused","paused":1}',
        '{"kind":"queued","position":1,"holders":7}',
        '{"kind":"queued","position":1,"holders":"all"}',
        '{"kind":"attention-health","stage":"nad","epoch":0,"taps":[3]}',
        '{"kind":"evaluation","stage":"nad","epoch":1,"step":1,"metrics":[]}',
        '{"kind":"evaluation","stage":"nad","epoch":1,"step":1,"metrics":{"images":3}}',
    ],
)
def test_what_is_no_event_is_refused(line: str):
    with pytest.raises(ValueError):
        decode(line)


@pytest.mark.parametrize("text", ["no base64!", "AAA", "ä"])
def test_bytes_that_are_not_base64_are_refused(text: str):
    values = {"kind": "sample", "sample": 0, "index": 0, "label": 0, "height": 1, "width": 1, "clean": text}
    with pytest.raises(ValueError):
        decode(json.dumps({**values, "triggered": ""}))


ALL_FIELDS = sorted({name for kind in KINDS for name in fields_of(kind)} | set(fields_of(Metrics)))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: st.tuples(
            st.just(kind), st.dictionaries(st.sampled_from(ALL_FIELDS), JSON, max_size=3), values_of(kind)
        )
    )
)
def test_tampered_lines_raise_nothing_but_value_errors(drawn: tuple[type[Event], dict[str, Any], Event]):
    kind, noise, event = drawn
    for values in ({"kind": kind.kind, **noise}, {**json.loads(encode(event)), **noise}):
        try:
            read = decode(json.dumps(values))
        except ValueError:
            continue
        assert type(read) is kind
        encode(read)


def test_a_plan_comes_back_as_it_was_whatever_a_newer_writer_adds_to_it():
    event = run_started()
    values = json.loads(encode(event))
    assert same(decode(encode(event)), event)
    values["plan"][0] |= {"role": "decoy", "mood": "hopeful"}
    read = decode(json.dumps(values))
    assert (read.plan[0].name, read.plan[0].role, read.plan[1:]) == ("attack", "decoy", event.plan[1:])
    for plan in (None, {}, "nad", ["nad"], [{"name": "nad"}], [{"name": "nad", "role": 3}]):
        with pytest.raises(ValueError):
            decode(json.dumps({**values, "plan": plan}))
