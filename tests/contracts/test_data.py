"""The contract of every data source that is registered."""

from __future__ import annotations

import pytest

from engine.testing.settings_checks import loads_no_torch
from engine.testing.subject import REGISTRIES
from tests.contracts.table import TABLE, cases


@pytest.mark.parametrize("case", [*cases("data")], ids=str)
def test_contract(hold, case):
    hold(case)


def test_none_loads_torch_before_it_is_used():
    loads_no_torch("data", list(REGISTRIES["data"].loaded()))


def test_each_of_ours_has_a_row():
    assert list(TABLE["data"]) == list(REGISTRIES["data"].ours)


@pytest.mark.parametrize(
    ("drawn", "said"), [({"classes": 1}, "wants two classes"), ({"side": 6}, "at least 8x8 wanted")]
)
def test_images_that_nothing_can_be_learned_from_are_refused_before_anything_is_written(world, drawn, said):
    config = world.config({"data": {"name": world.squares(**drawn)}})
    assert said in world.refusal(config, "such images")
