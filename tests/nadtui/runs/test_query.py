"""The filter language against hand-made records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from nadtui.runs.query import parse


@dataclass
class Run:
    words: str = ""
    known: dict[str, Any] = field(default_factory=dict)

    def values(self, name: str) -> Sequence[Any]:
        return [self.known[name]] if name in self.known else []


SIG = Run(
    "20240101-120000-sig-cifar10-s1 finished sig cifar10",
    {
        "preset": "sig",
        "dataset": "cifar10",
        "seed": 1,
        "asr": 4.0,
        "acc": 91.5,
        "state": "finished",
        "age": 7_200.0,
        "attack.seed": None,
        "normalize": True,
    },
)
BLEND = Run(
    "20240102-120000-blend-signs-s10 failed blend signs",
    {"preset": "blend", "dataset": "signs", "seed": 10, "state": "failed", "age": 60.0, "normalize": False},
)


@pytest.mark.parametrize(
    ("text", "sig", "blend"),
    [
        ("", True, True),
        ("sig", True, False),  # whole: "signs" only begins so
        ("sig*", True, True),
        ("*", False, False),
        ("s10", False, True),
        ("SIG dataset:cifar10", True, False),
        ("sig asr<5 dataset:cifar10", True, False),
        ("asr<4", False, False),
        ("asr<=4%", True, False),
        ("acc>=91.5", True, False),
        ("acc>9.2e1", False, False),
        ("seed:1", True, False),
        ("seed=10", False, True),
        ("seed!=1", False, True),
        ("asr!=4", False, False),  # a run without the figure is no run with another figure
        ("preset:sig|blend", True, True),
        ("-state:failed", True, False),
        ("!failed", True, False),
        ("age<5min", False, True),
        ("age>1h age<1d", True, False),
        ('"sig cifar10"', True, False),
        ('"cifar10 sig"', False, False),
        ("normalize:yes", True, False),
        ("normalize=false", False, True),
        ("attack.seed=null", True, False),
        ("preset=si", False, False),
        ("preset:si", True, False),
        ("nowhere:1", False, False),
        ("-nowhere:1", True, True),
        ("2024*", True, True),
    ],
)
def test_terms_hold_as_they_say(text, sig, blend):
    query = parse(text)
    assert query.problem == ""
    assert (query.matches(SIG), query.matches(BLEND)) == (sig, blend)


@pytest.mark.parametrize("text", ["asr<", "asr<five", "-", '""', "preset:", "seed=|"])
def test_a_term_under_way_is_left_out_and_named(text):
    query = parse(f"sig {text}")
    assert query.problem
    assert len(query.terms) == 1
    assert query.matches(SIG)


def test_the_problem_names_field_and_value():
    assert parse("asr<five").problem == "asr<five: a number is wanted"


def test_fields_are_those_asked_for():
    assert parse("sig ASR<5 -nad.acc>3").fields == ("asr", "nad.acc")
