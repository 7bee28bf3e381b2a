"""The contract of every model that is registered."""

from __future__ import annotations

import pytest

from engine.testing.settings_checks import loads_no_torch
from engine.testing.subject import REGISTRIES
from tests.contracts.table import TABLE, cases


@pytest.mark.parametrize("case", [*cases("model")], ids=str)
def test_contract(hold, case):
    hold(case)


def test_none_loads_torch_before_it_is_used():
    loads_no_torch("model", list(REGISTRIES["model"].loaded()))


def test_each_of_ours_has_a_row():
    assert list(TABLE["model"]) == list(REGISTRIES["model"].ours)
